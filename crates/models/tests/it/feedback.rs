//! The body of a feedback post.

use crate::{body, pointers, told};
use models::feedback::{DEFAULT_WINDOW, MAX_COUNTED, MAX_SOURCE, Sender};
use models::{Feedback, Problems};
use serde_json::{Map, Value, json};

fn refused(json: &str) -> Problems {
    match Feedback::from_json(&body(json)) {
        Ok((feedback, _)) => unreachable!("{json} was taken for {feedback:?}"),
        Err(problems) => problems,
    }
}

#[test]
fn the_newest_routers_post_is_understood() {
    let post = r#"{"window_seconds": 30, "total_requests": 19500,
                   "flavour_counts": {"precision-30": 1800, "precision-50": 2700, "precision-100": 15000}}"#;
    let (feedback, ignored) = Feedback::from_json(&body(post)).unwrap();
    assert_eq!((feedback.window_seconds, feedback.window_end, feedback.total()), (30.0, None, 19_500));
    let counts: Vec<_> = feedback.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counts, [("precision-100", 15_000), ("precision-30", 1800), ("precision-50", 2700)]);
    assert!(ignored.is_empty());
    assert_eq!(feedback.sender, None);
}

#[test]
fn who_posts_and_which_post_it_is() {
    for (members, sequence) in [
        (r#""source": "router-a""#, None),
        (r#""source": "router-a", "sequence": null"#, None),
        (r#""source": "router-a", "sequence": 0"#, Some(0)),
        (r#""source": "router-a", "sequence": 7.0"#, Some(7)),
        (r#""source": "router-a", "sequence": " 7 ""#, Some(7)),
        (r#""source": "router-a", "sequence": 9007199254740991"#, Some((1 << 53) - 1)),
    ] {
        let post = format!(r#"{{"flavour_counts": {{}}, {members}}}"#);
        let (feedback, ignored) = Feedback::from_json(&body(&post)).unwrap();
        assert_eq!(feedback.sender, Some(Sender { source: "router-a".into(), sequence }), "{post}");
        assert!(ignored.is_empty(), "{post}");
    }
    let longest = json!({"flavour_counts": {}, "source": "x".repeat(MAX_SOURCE)});
    assert!(Feedback::from_json(longest.as_object().unwrap()).is_ok());
}

#[test]
fn what_was_measured_of_the_requests_counted() {
    let post = r#"{"flavour_counts": {"a": 10, "b": 20, "c": 0},
                   "flavour_precision": {"a": 0.93, "b": "71.5", "c": null},
                   "flavour_energy_wh": {"b": 0.25, "c": 0}}"#;
    let (feedback, ignored) = Feedback::from_json(&body(post)).unwrap();
    assert_eq!(ignored, [""; 0]);
    let precision = |name| feedback.precision_of(name).map(models::Precision::get);
    assert_eq!(["a", "b", "c", "d"].map(precision), [Some(0.93), Some(0.715), None, None]);
    let energy = |name| feedback.energy_wh_of(name);
    assert_eq!(["a", "b", "c", "d"].map(energy), [None, Some(0.25), Some(0.0), None]);
    assert_eq!(feedback.total(), 30);
}

#[test]
fn what_may_be_left_out_or_written_otherwise() {
    for (post, window, total, ignored) in [
        (r#"{"flavour_counts": {}}"#, DEFAULT_WINDOW, 0, vec![]),
        (r#"{"flavour_counts": {"a": 5}}"#, DEFAULT_WINDOW, 5, vec![]),
        (r#"{"flavour_counts": {"a": 5.0, "b": null}, "total_requests": "5"}"#, DEFAULT_WINDOW, 5, vec![]),
        (r#"{"flavour_counts": {"a": 0}, "total_requests": 0, "window_seconds": 0.001}"#, 0.001, 0, vec![]),
        (
            r#"{"flavour_counts": {"a": 1}, "window_seconds": " 86400 ", "colour": 1}"#,
            86_400.0,
            1,
            vec!["colour"],
        ),
        (
            r#"{"flavour_counts": {"a": 9007199254740992}, "total_requests": null}"#,
            DEFAULT_WINDOW,
            1 << 53,
            vec![],
        ),
    ] {
        let (feedback, named) = Feedback::from_json(&body(post)).unwrap();
        assert_eq!((feedback.window_seconds, feedback.total()), (window, total), "{post}");
        assert_eq!(named, ignored, "{post}");
    }
    let (dated, _) =
        Feedback::from_json(&body(r#"{"flavour_counts": {}, "windowEnd": "2026-11-23T15:17:06+01:00"}"#))
            .unwrap();
    assert_eq!(dated.window_end, Some("2026-11-23T14:17:06Z".parse().unwrap()));
}

#[test]
fn every_refusal_names_its_field() {
    for (post, at) in [
        (r"{}", "/flavour_counts"),
        (r#"{"flavour_counts": null}"#, "/flavour_counts"),
        (r#"{"flavour_counts": [1]}"#, "/flavour_counts"),
        (r#"{"flavour_counts": {"a": -1}}"#, "/flavour_counts/a"),
        (r#"{"flavour_counts": {"a": 1.5}}"#, "/flavour_counts/a"),
        (r#"{"flavour_counts": {"a": "x"}}"#, "/flavour_counts/a"),
        (r#"{"flavour_counts": {"a/b": true}}"#, "/flavour_counts/a~1b"),
        (r#"{"flavour_counts": {"a": 1e300}}"#, "/flavour_counts/a"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_precision": {"a": 0}}"#, "/flavour_precision/a"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_precision": {"a": 100.5}}"#, "/flavour_precision/a"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_precision": {"a": "nan"}}"#, "/flavour_precision/a"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_precision": {"b": 0.5}}"#, "/flavour_precision/b"),
        (r#"{"flavour_counts": {"a": 1, "b": null}, "flavour_precision": {"b": 1}}"#, "/flavour_precision/b"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_precision": 0.5}"#, "/flavour_precision"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_energy_wh": {"a": -0.1}}"#, "/flavour_energy_wh/a"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_energy_wh": {"a": "inf"}}"#, "/flavour_energy_wh/a"),
        (r#"{"flavour_counts": {"a": 1}, "flavour_energy_wh": {"b~": 1}}"#, "/flavour_energy_wh/b~0"),
        (r#"{"flavour_counts": {"a": 1}, "total_requests": 2}"#, "/total_requests"),
        (r#"{"flavour_counts": {"a": 1}, "total_requests": 1.5}"#, "/total_requests"),
        (r#"{"flavour_counts": {"a": 1}, "total_requests": -1}"#, "/total_requests"),
        (r#"{"flavour_counts": {"a": 1}, "window_seconds": 0}"#, "/window_seconds"),
        (r#"{"flavour_counts": {"a": 1}, "window_seconds": -30}"#, "/window_seconds"),
        (r#"{"flavour_counts": {"a": 1}, "window_seconds": 86401}"#, "/window_seconds"),
        (r#"{"flavour_counts": {"a": 1}, "window_seconds": "nan"}"#, "/window_seconds"),
        (r#"{"flavour_counts": {"a": 1}, "windowEnd": "yesterday"}"#, "/windowEnd"),
        (r#"{"flavour_counts": {"a": 1}, "windowEnd": "2026-11-23T15:17:06"}"#, "/windowEnd"),
        (r#"{"flavour_counts": {"a": 1}, "windowEnd": 1700000000}"#, "/windowEnd"),
        (r#"{"flavour_counts": {"a": 1}, "source": ""}"#, "/source"),
        (r#"{"flavour_counts": {"a": 1}, "source": 7, "sequence": 1}"#, "/source"),
        (r#"{"flavour_counts": {"a": 1}, "source": "a\nb", "sequence": 1}"#, "/source"),
        (r#"{"flavour_counts": {"a": 1}, "sequence": 1}"#, "/source"),
        (r#"{"flavour_counts": {"a": 1}, "source": null, "sequence": 1}"#, "/source"),
        (r#"{"flavour_counts": {"a": 1}, "source": "a", "sequence": -1}"#, "/sequence"),
        (r#"{"flavour_counts": {"a": 1}, "source": "a", "sequence": 1.5}"#, "/sequence"),
        (r#"{"flavour_counts": {"a": 1}, "source": "a", "sequence": "first"}"#, "/sequence"),
        (r#"{"flavour_counts": {"a": 1}, "source": "a", "sequence": true}"#, "/sequence"),
        // No float tells it from the number before it.
        (r#"{"flavour_counts": {"a": 1}, "source": "a", "sequence": 9007199254740993}"#, "/sequence"),
        (r#"{"flavour_counts": {"a": 1}, "source": "a", "sequence": 9007199254740992}"#, "/sequence"),
    ] {
        assert_eq!(pointers(&refused(post)), [at], "{post}");
    }
}

#[test]
fn refusals_are_sentences() {
    let mut told_lines = told(&refused(
        r#"{"flavour_counts": {"a": -1, "b": 1.5, "c": []}, "total_requests": "many", "window_seconds": 0, "windowEnd": "soon"}"#,
    ));
    told_lines += &told(&refused(r#"{"flavour_counts": {"a": 1, "b": 2}, "total_requests": 4}"#));
    told_lines += &told(&refused("{}"));
    told_lines += &told(&refused(r#"{"flavour_counts": {}, "source": "", "sequence": -1}"#));
    told_lines += &told(&refused(r#"{"flavour_counts": {}, "source": ["a"], "sequence": 0.5}"#));
    told_lines += &told(&refused(r#"{"flavour_counts": {}, "sequence": 9007199254740992}"#));
    told_lines += &told(&refused(r#"{"flavour_counts": {}, "sequence": 1}"#));
    insta::assert_snapshot!(told_lines, @r#"
    /flavour_counts/a: -1 is not a request count: expected a number of requests in [0, 9007199254740992]
    /flavour_counts/b: 1.5 is not a request count: expected a whole number, not below 0
    /flavour_counts/c: a list is not a request count: expected a number of requests in [0, 9007199254740992]
    /total_requests: `many` is not a request count: expected a number of requests in [0, 9007199254740992]
    /windowEnd: `soon` is not an instant: expected RFC 3339, e.g. 2026-11-23T15:17:06Z
    /window_seconds: 0 is not a feedback window: expected a number of seconds in (0, 86400]
    /total_requests: 4 is not the sum of flavour_counts, 3
    /flavour_counts: missing: expected an object of requests by flavour
    /sequence: -1 is not a sequence number: expected a number in [0, 9007199254740991]
    /source: `` is not a source: expected 1 to 128 bytes without control characters
    /sequence: 0.5 is not a sequence number: expected a whole number, not below 0
    /source: a list is not a source: expected a string
    /sequence: 9007199254740992 is not a sequence number: expected a number in [0, 9007199254740991]
    /source: missing: a sequence is counted per source, whose name is expected here
    /source: missing: a sequence is counted per source, whose name is expected here
    "#);
}

#[test]
fn no_more_flavours_than_a_schedule_can_have_had() {
    let post = |count: usize| {
        let counts: Map<String, Value> = (0..count).map(|i| (format!("f{i}"), json!(1_u64 << 53))).collect();
        body(&json!({"flavour_counts": counts}).to_string())
    };
    let (most, _) = Feedback::from_json(&post(MAX_COUNTED)).unwrap();
    assert_eq!(most.total(), (MAX_COUNTED as u64) << 53, "the sum cannot overflow");
    assert_eq!(pointers(&Feedback::from_json(&post(MAX_COUNTED + 1)).unwrap_err()), ["/flavour_counts"]);
}
