//! The body of a PUT: what is understood, what is ignored, what is refused and in which words.

use crate::{body, pointers, told};
use models::config::{MAX_COMPONENTS, ParsedOverrides};
use models::{Overrides, SETTINGS, Setting};
use serde_json::json;

fn parsed(json: &str) -> ParsedOverrides {
    Overrides::from_json(&body(json))
        .unwrap_or_else(|problems| unreachable!("{json} was refused: {problems}"))
}

fn refused(json: &str) -> models::Problems {
    match Overrides::from_json(&body(json)) {
        Ok(parsed) => unreachable!("{json} was taken for {parsed:?}"),
        Err(problems) => problems,
    }
}

/// As the origin's operator sends it, seed version.
const SEED_OPERATOR: &str = r#"{"targetError": 0.05, "creditMin": -0.5, "creditMax": 0.5, "creditWindow": 10,
    "policy": "forecast-aware", "validFor": 300, "discoveryInterval": 30, "carbonTarget": "300",
    "carbonTimeout": 5000, "carbonCacheTTL": 300,
    "components": {"router": {"minReplicas": 1, "maxReplicas": 15}, "consumer": {"minReplicas": 0, "maxReplicas": 15},
                   "target": {"minReplicas": 0, "maxReplicas": 15}},
    "strategies": [
        {"name": "precision-100", "precision": 1, "carbonIntensity": 1.2, "enabled": true,
         "annotations": {"carbonstat.precision": "100", "app": "x"}},
        {"name": "precision-85", "precision": 0.85, "carbonIntensity": 0.8, "enabled": true},
        {"name": "precision-30", "precision": 0.3, "carbonIntensity": 0, "enabled": true}]}"#;

/// What the newest version sends besides: throttle, evaluator, and the list under its newer word.
fn newest_operator() -> String {
    SEED_OPERATOR.replace("\"strategies\"", "\"flavours\"").replacen(
        '{',
        r#"{"throttleMin": 0.2, "throttleIntensityFloor": 100, "throttleIntensityCeiling": 300, "evaluator": "router", "#,
        1,
    )
}

#[test]
fn both_versions_of_the_operator_are_understood() {
    let seed = parsed(SEED_OPERATOR);
    assert!(seed.ignored.is_empty(), "{:?}", seed.ignored);
    let newest = parsed(&newest_operator());
    assert_eq!(newest.ignored, ["evaluator"]);
    assert_eq!(newest.overrides.number(Setting::ThrottleIntensityFloor), Some(100.0));
    for overrides in [&seed.overrides, &newest.overrides] {
        for (setting, value) in [
            (Setting::TargetError, 0.05),
            (Setting::CreditMin, -0.5),
            (Setting::CreditMax, 0.5),
            (Setting::CreditWindow, 10.0),
            (Setting::ValidFor, 300.0),
            (Setting::DiscoveryInterval, 30.0),
            (Setting::CarbonTimeout, 5000.0),
            (Setting::CarbonCacheTtl, 300.0),
        ] {
            assert_eq!(overrides.number(setting), Some(value), "{setting:?}");
        }
        assert_eq!(overrides.policy.as_deref(), Some("forecast-aware"));
        assert_eq!(overrides.carbon_target.as_ref().map(models::CarbonTarget::as_str), Some("300"));
        let flavours = overrides.flavours.as_ref().unwrap();
        assert_eq!(flavours[0].annotations["carbonstat.precision"], "100");
        assert_eq!(flavours[2].carbon_intensity, Some(0.0), "the label is missing: said to be 0, not absent");
        let components = overrides.components.as_deref().unwrap();
        let shape: Vec<_> = components.iter().map(|c| (&*c.name, c.min_replicas, c.max_replicas)).collect();
        assert_eq!(shape, [("consumer", 0, Some(15)), ("router", 1, Some(15)), ("target", 0, Some(15))]);
    }
}

#[test]
fn numbers_may_be_strings_that_hold_numbers() {
    let strings = parsed(
        r#"{"targetError": " 0.05 ", "creditMin": "-5e-1", "creditMax": ".5", "creditWindow": "10", "validFor": "\t300\n",
            "carbonTimeout": "5.", "flavours": [{"precision": " 85 ", "carbonIntensity": "0.7", "energyWh": "1e-3"}],
            "components": {"r": {"minReplicas": "2", "maxReplicas": "9.0"}}}"#,
    );
    let numbers = parsed(
        r#"{"targetError": 0.05, "creditMin": -0.5, "creditMax": 0.5, "creditWindow": 10, "validFor": 300,
            "carbonTimeout": 5, "flavours": [{"precision": 85, "carbonIntensity": 0.7, "energyWh": 0.001}],
            "components": {"r": {"minReplicas": 2, "maxReplicas": 9}}}"#,
    );
    assert_eq!(strings, numbers);
}

#[test]
fn the_schedulers_keys_may_be_nested_and_the_flat_ones_are_not_read_then() {
    let cases: [(&str, &str, &[&str]); 9] = [
        // body, what it asks for, what is ignored
        (
            r#"{"scheduler": {"policy": "p100", "targetError": 0.2}}"#,
            r#"{"policy": "p100", "targetError": 0.2}"#,
            &[],
        ),
        (
            r#"{"policy": "random", "creditMax": 0.9, "scheduler": {"policy": "p100"}}"#,
            r#"{"policy": "p100"}"#,
            &["creditMax", "policy"],
        ),
        (
            r#"{"policy": "random", "targetError": "no number", "scheduler": {}}"#,
            "{}",
            &["policy", "targetError"],
        ),
        (r#"{"policy": "random", "scheduler": null}"#, r#"{"policy": "random"}"#, &[]),
        // The lists are always read at the top, never below.
        (
            r#"{"scheduler": {"strategies": [{"precision": 0.5}], "components": {"r": {"maxReplicas": 4}}}}"#,
            "{}",
            &["scheduler/components", "scheduler/strategies"],
        ),
        (
            r#"{"scheduler": {"policy": "p100"}, "strategies": [{"precision": 0.5}], "components": {"r": {"maxReplicas": 4}}}"#,
            r#"{"policy": "p100", "flavours": [{"precision": 0.5}], "components": {"r": {"maxReplicas": 4}}}"#,
            &[],
        ),
        (
            r#"{"scheduler": {"evaluator": "router", "a/b~c": 1}}"#,
            "{}",
            &["scheduler/a~1b~0c", "scheduler/evaluator"],
        ),
        // Keys are what they are: case and spelling count.
        (
            r#"{"foo": 1, "Policy": "x", "target_error": 0.5, "": 0}"#,
            "{}",
            &["", "Policy", "foo", "target_error"],
        ),
        // null is absent, whatever the key.
        (
            r#"{"targetError": null, "policy": null, "strategies": null, "flavours": null, "components": null, "zeta": null}"#,
            "{}",
            &[],
        ),
    ];
    for (given, wanted, ignored) in cases {
        let given_parsed = parsed(given);
        assert_eq!(given_parsed.overrides, parsed(wanted).overrides, "{given}");
        assert_eq!(given_parsed.ignored, ignored, "{given}");
    }
    assert_eq!(pointers(&refused(r#"{"scheduler": "x"}"#)), ["/scheduler"]);
    assert_eq!(
        pointers(&refused(r#"{"scheduler": {"validFor": 0, "policy": 5}}"#)),
        ["/scheduler/policy", "/scheduler/validFor"]
    );
}

#[test]
fn every_range_holds_at_both_ends() {
    let huge = f64::MAX;
    for (setting, inside, outside) in [
        (Setting::TargetError, vec![0.0, 0.999_999], vec![-1e-9, 1.0]),
        (Setting::CreditMin, vec![-huge, 0.0], vec![1e-9]),
        (Setting::CreditMax, vec![0.0, huge], vec![-1e-9]),
        (Setting::CreditWindow, vec![1.0, 2_592_000.0], vec![0.999, 2_592_001.0]),
        (Setting::BudgetWindow, vec![3600.0, 2_592_000.0], vec![3599.0, 2_592_001.0]),
        (Setting::BudgetOverdraft, vec![0.0, 1.0], vec![-0.1, 1.1]),
        (Setting::BudgetDailyAim, vec![1.0, huge], vec![0.99]),
        (Setting::ValidFor, vec![1.0, 86_400.0], vec![0.0, 86_401.0, 1e10]),
        (Setting::DiscoveryInterval, vec![1.0, 86_400.0], vec![0.0, 86_401.0]),
        (Setting::CarbonTimeout, vec![0.001, 86_400.0], vec![0.0, -3.0, 86_401.0]),
        (Setting::CarbonCacheTtl, vec![1.0, 86_400.0], vec![0.0, 86_401.0]),
        (Setting::ThrottleMin, vec![0.0, 1.0], vec![-0.1, 1.1]),
        (Setting::ThrottleIntensityFloor, vec![0.0, huge], vec![-1.0]),
        (Setting::ThrottleIntensityCeiling, vec![0.0, huge], vec![-1.0]),
    ] {
        let key = setting.spec().key;
        for value in inside {
            for text in [format!("{{\"{key}\": {value:e}}}"), format!("{{\"{key}\": \"{value:e}\"}}")] {
                assert_eq!(parsed(&text).overrides.number(setting), Some(value), "{text}");
            }
        }
        for value in outside {
            for text in [format!("{{\"{key}\": {value:e}}}"), format!("{{\"{key}\": \"{value:e}\"}}")] {
                assert_eq!(pointers(&refused(&text)), [format!("/{key}")], "{text}");
            }
        }
        for value in [
            "\"nan\"",
            "\"NaN\"",
            "\"inf\"",
            "\"-Infinity\"",
            "\"1e400\"",
            "\"1_0\"",
            "\"abc\"",
            "\"\"",
            "true",
            "[1]",
            "{}",
        ] {
            let text = format!("{{\"{key}\": {value}}}");
            assert_eq!(pointers(&refused(&text)), [format!("/{key}")], "{text}");
        }
    }
    assert_eq!(SETTINGS.len(), 14, "a new setting belongs into the table above");
}

#[test]
fn every_bad_field_is_told_at_once() {
    let problems = refused(
        r#"{"targetError": 1.5, "creditMin": 0.5, "creditMax": -0.5, "creditWindow": "7 minutes", "validFor": 1e300,
            "carbonTimeout": [1], "throttleMin": "nan", "policy": 5, "carbonTarget": {"a": 1},
            "strategies": [{"precision": 0}, {}, "x", {"precision": 150, "carbonIntensity": -3, "energyWh": "inf", "enabled": 0}],
            "components": {"r": {"minReplicas": 8, "maxReplicas": 3}, "s": 5, "t": {"maxReplicas": 1.9}}}"#,
    );
    insta::assert_snapshot!(told(&problems), @r#"
    /carbonTarget: an object is not a carbon target: expected a string
    /carbonTimeout: a list is not a carbon timeout: expected a number of seconds in (0, 86400]
    /creditMax: -0.5 is not an upper credit bound: expected a number >= 0
    /creditMin: 0.5 is not a lower credit bound: expected a number <= 0
    /creditWindow: `7 minutes` is not a credit window: expected a number of seconds in [1, 2592000]
    /policy: a number is not a policy: expected a string
    /targetError: 1.5 is not a target error: expected a number in [0, 1)
    /throttleMin: NaN is not a smallest throttle: expected a number in [0, 1]
    /validFor: 1e300 is not a validity: expected a number of seconds in [1, 86400]
    /strategies/0/precision: 0 is not a precision (a fraction up to 1, a percentage above): expected a number in (0, 100]
    /strategies/1/precision: missing: expected a number in (0, 100], e.g. 0.85
    /strategies/2: a string stands here: expected an object
    /strategies/3/carbonIntensity: -3 is not a flavour carbon intensity: expected a number >= 0
    /strategies/3/enabled: a number is not a truth value: expected true or false
    /strategies/3/energyWh: inf is not an energy per request: expected a number of Wh >= 0
    /strategies/3/precision: 150 is not a precision (a fraction up to 1, a percentage above): expected a number in (0, 100]
    /components/r/maxReplicas: 3 is below minReplicas 8: expected min <= max
    /components/s: a number stands here: expected an object
    /components/t/maxReplicas: 1.9 is not a replica count: expected a whole number, not below 0
    "#);
}

#[test]
fn names_are_told_to_be_words() {
    let long = "x".repeat(254);
    for (key, value) in [
        ("policy", json!("")),
        ("policy", json!("x".repeat(64))),
        ("policy", json!("a\u{0}b")),
        ("policy", json!(true)),
        ("carbonTarget", json!("")),
        ("carbonTarget", json!(long)),
        ("carbonTarget", json!(5)),
    ] {
        let text = json!({key: value}).to_string();
        assert_eq!(pointers(&refused(&text)), [format!("/{key}")], "{text}");
    }
    let problems = refused(&json!({"policy": "a\u{0}b", "carbonTarget": long}).to_string());
    insta::assert_snapshot!(told(&problems), @r#"
    /carbonTarget: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..` is not a carbon target: expected 1 to 253 bytes without control characters
    /policy: `a\0b` is not a policy: expected 1 to 63 bytes without control characters
    "#);
}

#[test]
fn the_two_words_for_the_list_mean_the_same() {
    let list = r#"[{"precision": 0.5}, {"precision": 1}]"#;
    let one = parsed(&format!(r#"{{"strategies": {list}}}"#));
    assert_eq!(one, parsed(&format!(r#"{{"flavours": {list}}}"#)));
    assert_eq!(one, parsed(&format!(r#"{{"flavours": {list}, "strategies": {list}}}"#)), "twice the same");
    assert_eq!(one, parsed(&format!(r#"{{"flavours": null, "strategies": {list}}}"#)));
    let problems = refused(&format!(r#"{{"strategies": {list}, "flavours": [{{"precision": 0.5}}]}}"#));
    insta::assert_snapshot!(told(&problems), @r#"/flavours: differs from /strategies: expected one of the two lists, or the same twice"#);
    // A bad list is told where it stands, and the good one beside it is not applied.
    assert_eq!(pointers(&refused(&format!(r#"{{"strategies": [], "flavours": {list}}}"#))), ["/strategies"]);
}

#[test]
fn components_have_whole_replicas_and_min_is_at_most_max() {
    for (given, min, max) in [
        (r#"{"minReplicas": 1, "maxReplicas": 10}"#, 1, Some(10)),
        (r#"{"minReplicas": 3}"#, 3, None),
        (r#"{"maxReplicas": 7}"#, 0, Some(7)),
        (r#"{"minReplicas": 0, "maxReplicas": 0}"#, 0, Some(0)),
        (r#"{"minReplicas": 4, "maxReplicas": 4}"#, 4, Some(4)),
        (r#"{"minReplicas": null, "maxReplicas": null}"#, 0, None),
        (r#"{"maxReplicas": 2147483647}"#, 0, Some(2_147_483_647)),
        (r#"{"minReplicas": "2", "maxReplicas": "9"}"#, 2, Some(9)),
        ("{}", 0, None),
    ] {
        let parsed = parsed(&format!(r#"{{"components": {{"r": {given}}}}}"#));
        let component = &parsed.overrides.components.unwrap()[0];
        assert_eq!((component.min_replicas, component.max_replicas), (min, max), "{given}");
    }
    for (given, at) in [
        ("[1]", "/components"),
        (r#""x""#, "/components"),
        (r#"{"r": 5}"#, "/components/r"),
        (r#"{"": {}}"#, "/components/"),
        (r#"{"r": {"minReplicas": 8, "maxReplicas": 3}}"#, "/components/r/maxReplicas"),
        (r#"{"r": {"maxReplicas": -2}}"#, "/components/r/maxReplicas"),
        (r#"{"r": {"maxReplicas": 1.9}}"#, "/components/r/maxReplicas"),
        (r#"{"r": {"maxReplicas": true}}"#, "/components/r/maxReplicas"),
        (r#"{"r": {"maxReplicas": 2147483648}}"#, "/components/r/maxReplicas"),
        (r#"{"r": {"maxReplicas": 1e300}}"#, "/components/r/maxReplicas"),
        (r#"{"r/s~": {"minReplicas": "x"}}"#, "/components/r~1s~0/minReplicas"),
    ] {
        let text = format!(r#"{{"components": {given}}}"#);
        assert_eq!(pointers(&refused(&text)), [at], "{text}");
    }
    let short_keys = parsed(r#"{"components": {"r/s": {"min": 1, "max": 4}}}"#);
    assert_eq!(short_keys.ignored, ["components/r~1s/max", "components/r~1s/min"]);
    let named = |count: usize| json!({"components": (0..count).map(|i| (format!("c{i}"), json!({}))).collect::<serde_json::Map<_, _>>()});
    assert_eq!(
        parsed(&named(MAX_COMPONENTS).to_string()).overrides.components.unwrap().len(),
        MAX_COMPONENTS
    );
    assert_eq!(pointers(&refused(&named(MAX_COMPONENTS + 1).to_string())), ["/components"]);
}

#[test]
fn a_hostile_body_does_not_buy_a_long_answer() {
    let flavours: Vec<_> = (0..models::flavour::MAX_FLAVOURS)
        .map(|_| json!({"precision": "x".repeat(10_000), "carbonIntensity": -1, "energyWh": -1}))
        .collect();
    let problems = refused(&json!({"flavours": flavours}).to_string());
    assert_eq!(problems.iter().count(), models::problem::MAX_PROBLEMS);
    assert!(problems.to_string().len() < 30_000);
}
