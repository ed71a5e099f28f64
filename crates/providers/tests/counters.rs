//! Counters asked of Prometheus: what is asked, and what is made of the answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use models::{ScheduleId, Timestamp};
use proptest::prelude::*;
use providers::counters::{BadQuery, CounterQuery, DEFAULT_QUERY};
use serde_json::{Value, json};

fn id() -> ScheduleId {
    ScheduleId::new("shop", "search").unwrap()
}

fn vector(series: &Value) -> Vec<u8> {
    json!({"status": "success", "data": {"resultType": "vector", "result": series}}).to_string().into_bytes()
}

fn parse(body: &[u8]) -> Result<Vec<(String, u64)>, String> {
    CounterQuery::default().parse(body).map_err(|problem| problem.to_string())
}

#[test]
fn the_default_query_asks_for_the_routers_counters() {
    let end: Timestamp = "2026-11-23T15:00:00.9Z".parse().unwrap();
    let request = CounterQuery::default().request("http://prometheus:9090/", &id(), 45, end);
    let (asked, time) = request.url.split_once("&time=").unwrap();
    assert_eq!(time, "1795446000");
    let query = asked.strip_prefix("http://prometheus:9090/api/v1/query?query=").unwrap();
    assert!(query.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{query}");
    let decoded = query.replace("%20", " ").replace("%28", "(").replace("%29", ")").replace("%7B", "{");
    let decoded = decoded.replace("%7D", "}").replace("%3D", "=").replace("%22", "\"").replace("%2C", ",");
    assert_eq!(
        decoded.replace("%5B", "[").replace("%5D", "]"),
        r#"sum by (flavour) (increase(router_http_requests_total{namespace="shop",status="200",qtype="queue"}[45s]))"#
    );
}

#[test]
fn a_query_of_ones_own_is_filled_in() {
    let text = r#"sum by ({label}) (increase(served{ns="{namespace}",app="{schedule}"}[{window}s]))"#;
    let query = CounterQuery::new(text, "variant").unwrap();
    let scope = r#"sum by (variant) (increase(served{ns="shop",app="search"}[{window}s]))"#;
    assert_eq!(query.scope(&id()), scope);
    let body = vector(&json!([{"metric": {"variant": "a", "flavour": "b"}, "value": [1, "2"]}]));
    assert_eq!(query.parse(&body).unwrap(), [("a".to_owned(), 2)]);
    let other = ScheduleId::new("shop", "browse").unwrap();
    assert_ne!(query.scope(&id()), query.scope(&other));
    assert_eq!(CounterQuery::default().scope(&id()), CounterQuery::default().scope(&other));
    assert_eq!(CounterQuery::new(DEFAULT_QUERY, "flavour"), Ok(CounterQuery::default()));
    for (text, label, wrong) in [
        ("increase(x[15s])", "flavour", BadQuery::NoWindow),
        ("", "flavour", BadQuery::NoLine),
        ("increase(x[{window}s])\n", "flavour", BadQuery::NoLine),
        (&"{window}".repeat(300), "flavour", BadQuery::NoLine),
        ("increase(x[{window}s])", "", BadQuery::NoLabel),
        ("increase(x[{window}s])", "1a", BadQuery::NoLabel),
        ("increase(x[{window}s])", "a-b", BadQuery::NoLabel),
        ("increase(x[{window}s])", &"a".repeat(64), BadQuery::NoLabel),
    ] {
        assert_eq!(CounterQuery::new(text, label), Err(wrong), "{text} {label}");
    }
}

#[test]
fn fractions_are_rounded_half_to_even_once_the_series_of_a_flavour_are_added_up() {
    let series = |flavour: &str, value: &str| json!({"metric": {"flavour": flavour}, "value": [1.5, value]});
    for (values, total) in [
        (vec!["0"], 0),
        (vec!["0.5"], 0),
        (vec!["1.5"], 2),
        (vec!["2.5"], 2),
        (vec!["2.5000001"], 3),
        (vec!["1.25", "1.25"], 2),
        (vec!["1e3", "0.4"], 1_000),
    ] {
        let list: Vec<Value> = values.iter().map(|value| series("a", value)).collect();
        assert_eq!(parse(&vector(&json!(list))), Ok(vec![("a".to_owned(), total)]), "{values:?}");
    }
    let body = vector(&json!([series("b", "3"), {"metric": {}, "value": [1, "4"]}, series("a", "5")]));
    assert_eq!(parse(&body), Ok(vec![(String::new(), 4), ("a".into(), 5), ("b".into(), 3)]));
    assert_eq!(parse(&vector(&json!([]))), Ok(vec![]));
}

#[test]
fn what_is_no_count_spoils_the_whole_answer() {
    let sound = json!({"metric": {"flavour": "a"}, "value": [1, "5"]});
    let mut told = String::new();
    for wrong in ["NaN", "+Inf", "-0.5", "many", "1e300"] {
        let bad = json!({"metric": {"flavour": "b"}, "value": [1, wrong]});
        told += &parse(&vector(&json!([sound, bad]))).unwrap_err();
        told.push('\n');
    }
    for body in [
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,5]}]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#,
        r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
        r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#,
        r#"{"status":"success","data":{"resultType":"vector"}}"#,
        r#"{"status":"success","data":[]}"#,
        r#"{"status":"success"}"#,
        r#"{"status":"error","errorType":"execution","error":"too many samples"}"#,
        "<html>Sign in</html>",
        "",
    ] {
        told += &parse(body.as_bytes()).unwrap_err();
        told.push('\n');
    }
    let many: Vec<Value> =
        (0..257).map(|n| json!({"metric": {"flavour": n.to_string()}, "value": [1, "5"]})).collect();
    told += &parse(&vector(&json!(many))).unwrap_err();
    insta::assert_snapshot!(told, @r#"
    the body is not the JSON of prometheus: /data/result/1: `NaN` is not a count of requests: expected a number >= 0
    the body is not the JSON of prometheus: /data/result/1: `+Inf` is not a count of requests: expected a number >= 0
    the body is not the JSON of prometheus: /data/result/1: `-0.5` is not a count of requests: expected a number >= 0
    the body is not the JSON of prometheus: /data/result/1: `many` is not a count of requests: expected a number >= 0
    the body is not the JSON of prometheus: 1e300 is not a request count: expected a number of requests in [0, 9007199254740992]
    the body is not the JSON of prometheus: /data/result/0: no sample: expected value: [instant, "number"]
    the body is not the JSON of prometheus: /data/result/0: no sample: expected value: [instant, "number"]
    the body is not the JSON of prometheus: /data/resultType: `matrix` stands here: expected vector
    the body is not the JSON of prometheus: /data/result: an object stands here: expected a list
    the body is not the JSON of prometheus: /data/result: missing: expected a list of series
    the body is not the JSON of prometheus: /data/resultType: missing: expected vector
    the body is not the JSON of prometheus: /data: missing
    prometheus answered an error: too many samples
    the body is not the JSON of prometheus: expected value at line 1 column 1; it begins `<html>Sign in</html>`
    the body is not the JSON of prometheus: it is empty
    the body is not the JSON of prometheus: more than 256 flavours: expected fewer
    "#);
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_series_are_an_answer_or_an_error(
        values in prop::collection::vec((".{0,8}", r"[-+0-9.eNaInf]{0,12}"), 0..20),
    ) {
        let series: Vec<Value> = values
            .iter()
            .map(|(flavour, value)| json!({"metric": {"flavour": flavour}, "value": [1, value]}))
            .collect();
        if let Ok(counts) = parse(&vector(&json!(series))) {
            prop_assert!(counts.iter().all(|(_, count)| *count <= 1 << 53));
            prop_assert!(counts.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
