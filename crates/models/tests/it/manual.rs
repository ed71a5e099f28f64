//! The body of a manual override, and what it means for a list of flavours.

use crate::{body, pointers, told};
use models::flavour::MAX_FLAVOURS;
use models::{FlavourSet, Manual, Overrides, Problems};
use serde_json::{Map, Value, json};

fn read(json: &str) -> Manual {
    Manual::from_json(&body(json)).unwrap_or_else(|problems| unreachable!("{json} was refused: {problems}"))
}

fn refused(json: &str) -> Problems {
    match Manual::from_json(&body(json)) {
        Ok(manual) => unreachable!("{json} was taken for {manual:?}"),
        Err(problems) => problems,
    }
}

/// a and b enabled, c disabled.
fn flavours() -> FlavourSet {
    let put = r#"{"flavours": [{"name": "a", "precision": 1}, {"name": "b", "precision": 0.5}, {"name": "c", "precision": 0.3, "enabled": false}]}"#;
    Overrides::from_json(&body(put))
        .ok()
        .and_then(|parsed| parsed.overrides.flavours)
        .unwrap_or_else(FlavourSet::builtin)
}

#[test]
fn each_of_the_schedules_weight_lists_will_do() {
    for given in [
        r#"{"flavourWeights": {"a": 10, "b": 90}}"#,
        r#"{"flavourWeights": {"b": "0.9", "a": "0.1", "c": null}}"#,
        r#"{"weightsPerMille": {"a": 100, "b": 900}}"#,
        r#"{"flavours": [{"name": "b", "weight": 90}, {"name": "a", "weight": 10, "precision": 100}]}"#,
        r#"{"strategies": [{"name": "a", "weight": 1}, {"name": "b", "weight": 9}, {"name": "c", "weight": 0}]}"#,
        r#"{"flavourRules": [{"flavourName": "a", "weight": 1}, {"flavourName": "b", "weight": 9}]}"#,
        // A whole schedule posted back: the map is what counts, the rest is not read.
        r#"{"flavourWeights": {"a": 10, "b": 90}, "flavours": [{"name": "a", "weight": 100}], "validUntil": "2030-01-01T00:00:00Z", "zeta": [1]}"#,
    ] {
        let shares = read(given).shares(&flavours()).unwrap();
        assert!((shares[0] - 0.1).abs() < 1e-12 && (shares[1] - 0.9).abs() < 1e-12, "{given}: {shares:?}");
        assert_eq!(shares[2], 0.0, "{given}");
    }
}

#[test]
fn it_may_say_how_long_and_why() {
    for (extra, ttl, reason) in [
        ("", None, None),
        (r#", "ttlSeconds": 1"#, Some(1.0), None),
        (r#", "validFor": "86400""#, Some(86_400.0), None),
        (r#", "validFor": 60, "ttlSeconds": 120"#, Some(120.0), None),
        (r#", "ttlSeconds": null, "reason": "drill""#, None, Some("drill")),
    ] {
        let manual = read(&format!(r#"{{"flavourWeights": {{"a": 1}}{extra}}}"#));
        assert_eq!((manual.ttl_seconds, manual.reason.as_deref()), (ttl, reason), "{extra}");
    }
}

#[test]
fn what_had_no_part_is_named() {
    for (given, ignored) in [
        (r#"{"flavourWeights": {"a": 1}, "validFor": 60, "ttlSeconds": 60, "reason": "drill"}"#, &[][..]),
        (r#"{"flavourWeights": {"a": 1}, "ttl": 60, "credits": null}"#, &["ttl"]),
        (
            r#"{"flavours": [{"name": "a", "weight": 1}], "flavourWeights": {"a": 1}, "validUntil": "x"}"#,
            &["flavours", "validUntil"],
        ),
        (
            r#"{"flavours": [{"name": "a", "weight": 1, "enabled": false}], "strategies": []}"#,
            &["flavours/0/enabled", "strategies"],
        ),
    ] {
        assert_eq!(read(given).ignored, ignored, "{given}");
    }
}

#[test]
fn every_refusal_names_its_field() {
    for (given, at) in [
        ("{}", "/flavourWeights"),
        (r#"{"flavourWeights": null}"#, "/flavourWeights"),
        (r#"{"flavourWeights": {}}"#, "/flavourWeights"),
        (r#"{"flavourWeights": [1]}"#, "/flavourWeights"),
        (r#"{"flavourWeights": {"a": 0, "b": -0.0}}"#, "/flavourWeights"),
        (r#"{"flavourWeights": {"a": -1}}"#, "/flavourWeights/a"),
        (r#"{"flavourWeights": {"a": "nan"}}"#, "/flavourWeights/a"),
        (r#"{"flavourWeights": {"a/b": true}}"#, "/flavourWeights/a~1b"),
        (r#"{"weightsPerMille": {"a": -1}}"#, "/weightsPerMille/a"),
        (r#"{"flavours": []}"#, "/flavours"),
        (r#"{"flavours": {}}"#, "/flavours"),
        (r#"{"flavours": [{"name": "a", "weight": 0}]}"#, "/flavours"),
        (r#"{"flavours": [5]}"#, "/flavours/0"),
        (r#"{"flavours": [{"weight": 5}]}"#, "/flavours/0/name"),
        (r#"{"strategies": [{"name": "a"}]}"#, "/strategies/0/weight"),
        (r#"{"strategies": [{"name": "a", "weight": 1}, {"name": "a", "weight": 2}]}"#, "/strategies/1/name"),
        (r#"{"flavourRules": [{"name": "a", "weight": 1}]}"#, "/flavourRules/0/flavourName"),
        (r#"{"flavourWeights": {"a": 1}, "ttlSeconds": 0}"#, "/ttlSeconds"),
        (r#"{"flavourWeights": {"a": 1}, "ttlSeconds": 86401}"#, "/ttlSeconds"),
        (r#"{"flavourWeights": {"a": 1}, "validFor": "soon"}"#, "/validFor"),
        (r#"{"flavourWeights": {"a": 1}, "reason": 5}"#, "/reason"),
        (r#"{"flavourWeights": {"a": 1}, "reason": ""}"#, "/reason"),
    ] {
        assert_eq!(pointers(&refused(given)), [at], "{given}");
    }
    let many: Map<String, Value> = (0..=MAX_FLAVOURS).map(|i| (format!("f{i}"), json!(1))).collect();
    assert_eq!(pointers(&refused(&json!({"flavourWeights": many}).to_string())), ["/flavourWeights"]);
    let many: Vec<_> = (0..=MAX_FLAVOURS).map(|i| json!({"name": format!("f{i}"), "weight": 1})).collect();
    assert_eq!(pointers(&refused(&json!({"flavours": many}).to_string())), ["/flavours"]);
}

#[test]
fn only_enabled_flavours_of_the_schedule_may_be_named() {
    let manual = read(r#"{"flavourWeights": {"a": 1, "c": 3, "x\ny": 0}}"#);
    insta::assert_snapshot!(manual.shares(&flavours()).unwrap_err(), @r#"/flavourWeights/c: `c` is disabled: expected an enabled flavour; /flavourWeights/x\ny: `x\ny` is not a flavour here: expected one of a, b"#);
    assert!(read(r#"{"flavourWeights": {"a": 1, "c": 0}}"#).shares(&flavours()).is_ok());
    assert!(read(r#"{"flavourWeights": {"a": 1}}"#).shares(&FlavourSet::builtin()).is_err());
}

#[test]
fn refusals_are_sentences() {
    let mut lines = told(&refused(
        r#"{"flavours": [{"name": "a", "weight": -1}, {"name": "b"}, {"name": ""}], "ttlSeconds": 1e9, "reason": [1]}"#,
    ));
    lines += &told(&refused("{}"));
    lines += &told(&refused(r#"{"flavourRules": [{"flavourName": "a", "weight": 0}]}"#));
    insta::assert_snapshot!(lines, @r#"
    /flavours/0/weight: -1 is not a weight: expected a number in [0, 1000000000000000]
    /flavours/1/weight: null is not a weight: expected a number in [0, 1000000000000000]
    /flavours/2/name: `` is not a flavour name: expected 1 to 253 bytes without control characters
    /ttlSeconds: 1000000000 is not an override lifetime: expected a number of seconds in [1, 86400]
    /reason: a list is not a reason: expected a string
    /flavourWeights: missing: expected an object of weights by flavour (or weightsPerMille, or a list flavours, strategies or flavourRules)
    /flavourRules: every weight is 0: expected at least one above 0
    "#);
}

#[test]
fn shares_stay_finite_at_the_edges_of_the_range() {
    for given in [
        r#"{"flavourWeights": {"a": 1e15, "b": 5e-324}}"#,
        r#"{"flavourWeights": {"a": 5e-324, "b": 5e-324}}"#,
    ] {
        let shares = read(given).shares(&flavours()).unwrap();
        let sum: f64 = shares.iter().sum();
        assert!(
            (sum - 1.0).abs() < 1e-12 && shares.iter().all(|share| (0.0..=1.0).contains(share)),
            "{shares:?}"
        );
    }
}
