//! What an object's spec asks for, as a layer of configuration: the body of a PUT in other words.

use models::{Overrides, Problems, json};
use policies::Registry;
use serde_json::{Map, Value};

use crate::limit_args::Limits;
use crate::wanted;

/// Components, by the spec's fields.
const COMPONENTS: [&str; 3] = ["router", "consumer", "target"];
/// Who routes where nobody says.
pub(super) const DEFAULT_EVALUATOR: &str = "router";

/// What `spec` asks for.
///
/// # Errors
///
/// [`Problems`] with every bad field at once, each a field of the object such as `spec.scheduler.targetError`.
pub(super) fn understand(spec: &Value, registry: &Registry, limits: &Limits) -> Result<Overrides, Problems> {
    let mut problems = Problems::new();
    let empty = Map::new();
    let spec = match spec {
        Value::Null => &empty,
        Value::Object(spec) => spec,
        other => {
            problems.push("spec", format_args!("{}: expected an object", json::kind(other)));
            return Err(problems);
        }
    };
    let mut body = Map::new();
    if let Some(scheduler) = present(spec, "scheduler") {
        body.insert("scheduler".into(), without_blanks(scheduler));
    }
    let components: Map<String, Value> = COMPONENTS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), component(present(spec, name)?, name, &mut problems)?)))
        .collect();
    if !components.is_empty() {
        body.insert("components".into(), Value::Object(components));
    }
    let understood = wanted::understand(&body, registry)
        .and_then(|parsed| limits.check(&parsed.overrides, "").map(|()| parsed.overrides));
    match understood {
        Ok(overrides) => problems.or(overrides),
        Err(wrong) => {
            for field in &wrong {
                problems.push(field_of(&field.pointer), &field.problem);
            }
            Err(problems)
        }
    }
}

/// Who routes, by the spec: `router` or `consumer`. Anything else is `router`, as the origin has it.
pub(super) fn evaluator(spec: &Value) -> &'static str {
    let asked = spec.pointer("/scheduler/evaluator").and_then(Value::as_str).unwrap_or_default();
    if asked.trim().eq_ignore_ascii_case("consumer") { "consumer" } else { DEFAULT_EVALUATOR }
}

fn present<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// Strings without a letter are as good as absent: forms and templates leave them behind.
fn without_blanks(scheduler: &Value) -> Value {
    let mut scheduler = scheduler.clone();
    if let Some(fields) = scheduler.as_object_mut() {
        fields.retain(|_, value| value.as_str().is_none_or(|text| !text.trim().is_empty()));
    }
    scheduler
}

/// The replica bounds of a component, where it has any.
fn component(value: &Value, name: &str, problems: &mut Problems) -> Option<Value> {
    let mut object = |value: &Value, at: &str| {
        let fields = value.as_object().cloned();
        if fields.is_none() {
            problems.push(at, format_args!("{}: expected an object", json::kind(value)));
        }
        fields
    };
    let fields = object(value, &format!("spec.{name}"))?;
    let autoscaling = present(&fields, "autoscaling")?;
    let autoscaling = object(autoscaling, &format!("spec.{name}.autoscaling"))?;
    let bounds = [("minReplicas", "minReplicaCount"), ("maxReplicas", "maxReplicaCount")];
    let bounds: Map<String, Value> = bounds
        .into_iter()
        .filter_map(|(ours, theirs)| Some((ours.to_owned(), present(&autoscaling, theirs)?.clone())))
        .collect();
    (!bounds.is_empty()).then_some(Value::Object(bounds))
}

/// The object's field behind the pointer of a setting.
pub(super) fn field_of_setting(pointer: &str) -> String {
    field_of(&format!("/scheduler{pointer}"))
}

/// The object's field behind a pointer into the body that was made of it.
fn field_of(pointer: &str) -> String {
    let path = pointer.trim_start_matches('/').replace('/', ".");
    match path.strip_prefix("components.") {
        None if path.is_empty() => "spec".into(),
        None => format!("spec.{path}"),
        Some(component) => {
            let path = component.replace(".minReplicas", ".autoscaling.minReplicaCount");
            format!("spec.{}", path.replace(".maxReplicas", ".autoscaling.maxReplicaCount"))
        }
    }
}

#[cfg(test)]
mod tests {
    use models::Setting;
    use serde_json::json;

    use super::*;

    fn asked(spec: &Value) -> Result<Overrides, Vec<String>> {
        let understood = understand(spec, &Registry::builtin(), &Limits::default());
        understood.map_err(|wrong| wrong.iter().map(|field| field.pointer.clone()).collect())
    }

    #[test]
    fn a_spec_is_a_put_in_other_words() {
        let spec = json!({
            "scheduler": {"targetError": "0.15", "creditMin": "-2.0", "creditWindow": 10, "policy": "forecast-aware",
                "evaluator": "consumer", "validFor": 5, "carbonTarget": "150", "carbonCacheTTL": 5},
            "router": {"debug": true, "autoscaling": {"minReplicaCount": 1, "maxReplicaCount": 15, "cooldownPeriod": 60},
                "resources": {"requests": {"cpu": "200m"}}},
            "consumer": {"autoscaling": {"cpuUtilization": 80}},
            "target": {"autoscaling": {"maxReplicaCount": 12}},
        });
        let overrides = asked(&spec).unwrap();
        assert_eq!(overrides.number(Setting::TargetError), Some(0.15));
        assert_eq!(overrides.number(Setting::ValidFor), Some(5.0));
        assert_eq!(overrides.flavours, None);
        assert_eq!(
            overrides.to_json()["components"],
            json!({"router": {"minReplicas": 1, "maxReplicas": 15}, "target": {"minReplicas": 0, "maxReplicas": 12}})
        );
        assert_eq!(evaluator(&spec), "consumer");
    }

    #[test]
    fn nothing_and_blanks_ask_for_nothing() {
        for spec in [
            json!(null),
            json!({}),
            json!({"scheduler": null, "router": {}}),
            json!({"scheduler": {"targetError": " ", "policy": ""}}),
        ] {
            assert_eq!(asked(&spec), Ok(Overrides::default()), "{spec}");
            assert_eq!(evaluator(&spec), "router");
        }
    }

    #[test]
    fn every_bad_field_is_named_as_the_object_has_it() {
        for (spec, fields) in [
            (json!(7), vec!["spec"]),
            (json!({"scheduler": []}), vec!["spec.scheduler"]),
            (
                json!({"scheduler": {"targetError": "much", "validFor": -1}}),
                vec!["spec.scheduler.targetError", "spec.scheduler.validFor"],
            ),
            (json!({"scheduler": {"policy": "nope"}}), vec!["spec.scheduler.policy"]),
            (json!({"router": 1}), vec!["spec.router"]),
            (json!({"router": {"autoscaling": "many"}}), vec!["spec.router.autoscaling"]),
            (
                json!({"router": {"autoscaling": {"minReplicaCount": 3, "maxReplicaCount": 2}}}),
                vec!["spec.router.autoscaling.maxReplicaCount"],
            ),
            (
                json!({"target": {"autoscaling": {"minReplicaCount": -3}}}),
                vec!["spec.target.autoscaling.minReplicaCount"],
            ),
        ] {
            let mut found = asked(&spec).unwrap_err();
            found.sort();
            assert_eq!(found, fields, "{spec}");
        }
    }
}
