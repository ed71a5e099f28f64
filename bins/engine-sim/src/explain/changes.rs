//! What changed from one configuration to the next.

use std::collections::BTreeMap;

use models::json;
use serde_json::Value;

/// What changed, a line each: `targetError 0.05 -> 0.1`, `+flavour small`.
pub(super) fn between(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let mut changes = Vec::new();
    for (key, entry) in after {
        let value = |entry: Option<&Value>| entry.and_then(|entry| entry.get("value")).cloned();
        let (old, new) = (value(before.get(key)).unwrap_or_default(), value(Some(entry)).unwrap_or_default());
        if old == new {
            continue;
        }
        match (&old, &new) {
            (Value::Array(old), Value::Array(new)) if key == "flavours" => {
                flavours(old, new, &mut changes);
            }
            _ => changes.push(format!("{key} {} -> {}", shown(&old), shown(&new))),
        }
    }
    changes
}

fn flavours(before: &[Value], after: &[Value], changes: &mut Vec<String>) {
    fn name(flavour: &Value) -> &str {
        flavour.get("name").and_then(Value::as_str).unwrap_or_default()
    }
    let named = |list: &[Value], wanted: &str| list.iter().find(|other| name(other) == wanted).cloned();
    for flavour in after {
        let Some(old) = named(before, name(flavour)) else {
            let precision = flavour.get("precision").map_or_else(String::new, |value| format!(" {value}"));
            changes.push(format!("+flavour {}{precision}", name(flavour)));
            continue;
        };
        let (Some(old), Some(new)) = (old.as_object(), flavour.as_object()) else { continue };
        for key in new.keys().chain(old.keys().filter(|key| !new.contains_key(*key))) {
            let value = |flavour: &serde_json::Map<String, Value>| {
                flavour.get(key).map_or_else(|| "none".to_owned(), shown)
            };
            if old.get(key) != new.get(key) {
                changes.push(format!("flavour {}: {key} {} -> {}", name(flavour), value(old), value(new)));
            }
        }
    }
    for flavour in before.iter().filter(|flavour| named(after, name(flavour)).is_none()) {
        changes.push(format!("-flavour {}", name(flavour)));
    }
    if changes.is_empty() {
        changes.push("flavours in another order".to_owned());
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => json::excerpt(text),
        other => json::excerpt(&other.to_string()),
    }
}
