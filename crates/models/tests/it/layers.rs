//! Layers of configuration: what wins, and where it says it came from.

use crate::body;
use models::{CarbonTarget, Config, Overrides, SETTINGS, Setting, Source};
use serde_json::{Value, json};

fn overrides(json: &str) -> Overrides {
    Overrides::from_json(&body(json))
        .unwrap_or_else(|problems| unreachable!("{json} was refused: {problems}"))
        .overrides
}

fn source(config: &Config, key: &str) -> Value {
    config.to_json()[key]["source"].clone()
}

#[test]
fn without_layers_the_defaults_are_in_force() {
    let config = Config::resolve(&Overrides::default(), &Overrides::default());
    for spec in &SETTINGS {
        assert_eq!(config.number(spec.setting), spec.default, "{}", spec.key);
    }
    assert_eq!(config.target_error(), 0.05);
    assert_eq!(&**config.policy(), "credit-greedy");
    assert_eq!(config.carbon_target(), &CarbonTarget::from("national"));
    assert_eq!(config.flavours().len(), 3);
    assert!(config.components().is_empty());
    assert!(config.to_json().values().all(|entry| entry["source"] == "default"));
}

#[test]
fn the_put_lies_over_the_environment_over_the_defaults() {
    let env = overrides(
        r#"{"targetError": 0.1, "creditMax": 2, "policy": "p100", "carbonTarget": "region:13", "flavours": [{"precision": 0.9}]}"#,
    );
    let put = overrides(
        r#"{"targetError": 0.2, "policy": "random", "components": {"router": {"maxReplicas": 4}}}"#,
    );
    let config = Config::resolve(&env, &put);
    for (key, value, from) in [
        ("targetError", json!(0.2), Source::Put),
        ("creditMax", json!(2), Source::Env),
        ("creditMin", json!(-0.5), Source::Default),
        ("policy", json!("random"), Source::Put),
        ("carbonTarget", json!("region:13"), Source::Env),
        ("flavours", json!([{"name": "precision-90", "precision": 0.9, "enabled": true}]), Source::Env),
        ("components", json!({"router": {"minReplicas": 0, "maxReplicas": 4}}), Source::Put),
    ] {
        assert_eq!(config.to_json()[key], json!({"value": value, "source": from}), "{key}");
    }
    let without = Config::resolve(&env, &Overrides::default());
    assert_eq!(without.target_error(), 0.1, "what a PUT leaves out falls back to the environment");
    assert_eq!(source(&without, "policy"), "env");
}

#[test]
fn the_flavour_list_replaces_the_one_below() {
    let config =
        Config::resolve(&Overrides::default(), &overrides(r#"{"strategies": [{"precision": 0.5}]}"#));
    assert_eq!(config.flavours().len(), 1, "no default flavour is merged in");
    let empty =
        Config::resolve(&overrides(r#"{"components": {"a": {}}}"#), &overrides(r#"{"components": {}}"#));
    assert!(empty.components().is_empty(), "an empty object is an answer, not an absence");
}

#[test]
fn a_put_without_the_list_keeps_the_one_before() {
    let first = overrides(r#"{"targetError": 0.3, "flavours": [{"precision": 0.5}]}"#);
    let mut second = overrides(r#"{"creditMax": 0.8}"#);
    second.keep_flavours_of(&first);
    let config = Config::resolve(&Overrides::default(), &second);
    assert_eq!(&*config.flavours()[0].name, "precision-50");
    assert_eq!(config.target_error(), 0.05, "everything else is gone");
    let mut third = overrides(r#"{"flavours": [{"precision": 0.6}]}"#);
    third.keep_flavours_of(&second);
    assert_eq!(&*third.flavours.unwrap()[0].name, "precision-60");
}

#[test]
fn the_same_values_are_the_same_wherever_they_came_from() {
    let none = Overrides::default();
    let said = overrides(
        r#"{"targetError": 0.05, "policy": "credit-greedy", "carbonTarget": "national", "components": {},
            "flavours": [{"precision": 1, "carbonIntensity": 1}, {"precision": 0.85, "carbonIntensity": 0.7}, {"precision": 0.7, "carbonIntensity": 0.4}]}"#,
    );
    let (default, put, env) =
        (Config::resolve(&none, &none), Config::resolve(&none, &said), Config::resolve(&said, &none));
    assert!(default.same_values(&put) && put.same_values(&env));
    assert_ne!(default, put);
    for change in [
        r#"{"budgetDailyAim": 3}"#,
        r#"{"policy": "p100"}"#,
        r#"{"calibrate": true}"#,
        r#"{"carbonTarget": "region:1"}"#,
        r#"{"components": {"r": {}}}"#,
        r#"{"flavours": [{"precision": 1}]}"#,
    ] {
        assert!(!default.same_values(&Config::resolve(&none, &overrides(change))), "{change}");
    }
}

#[test]
fn the_effective_configuration_reads_like_this() {
    let put = overrides(
        r#"{"targetError": 0.1, "validFor": 300, "flavours": [{"precision": 0.5, "carbonIntensity": 0, "energyWh": 1.5, "annotations": {"a": "b"}}],
            "components": {"router": {"minReplicas": 1, "maxReplicas": 15}, "consumer": {}}}"#,
    );
    let env = overrides(r#"{"carbonTimeout": 2.5}"#);
    let lines: Vec<String> =
        Config::resolve(&env, &put).to_json().iter().map(|(key, entry)| format!("{key}: {entry}")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    budgetDailyAim: {"source":"default","value":2}
    budgetOverdraft: {"source":"default","value":0}
    budgetWindow: {"source":"default","value":172800}
    calibrate: {"source":"default","value":false}
    carbonCacheTTL: {"source":"default","value":300}
    carbonTarget: {"source":"default","value":"national"}
    carbonTimeout: {"source":"env","value":2.5}
    components: {"source":"put","value":{"consumer":{"minReplicas":0},"router":{"maxReplicas":15,"minReplicas":1}}}
    creditMax: {"source":"default","value":0.5}
    creditMin: {"source":"default","value":-0.5}
    creditWindow: {"source":"default","value":300}
    discoveryInterval: {"source":"default","value":60}
    flavours: {"source":"put","value":[{"annotations":{"a":"b"},"carbonIntensity":0.0,"enabled":true,"energyWh":1.5,"name":"precision-50","precision":0.5}]}
    policy: {"source":"default","value":"credit-greedy"}
    targetError: {"source":"put","value":0.1}
    throttleIntensityCeiling: {"source":"default","value":350}
    throttleIntensityFloor: {"source":"default","value":150}
    throttleMin: {"source":"default","value":0.2}
    validFor: {"source":"put","value":300}
    "#);
}

#[test]
fn a_number_set_in_code_is_held_to_its_range() {
    let mut overrides = Overrides::default();
    overrides.set_number(Setting::TargetError, 0.1).unwrap();
    let refused = overrides.set_number(Setting::TargetError, 1.0).unwrap_err();
    assert_eq!(refused.to_string(), "1 is not a target error: expected a number in [0, 1)");
    assert_eq!(overrides.number(Setting::TargetError), Some(0.1), "nothing is changed then");
}
