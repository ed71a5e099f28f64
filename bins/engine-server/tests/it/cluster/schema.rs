//! What an API server does with an object by its structural schema: prunes what is unknown, refuses what is wrong.

use serde_json::Value;

/// Prunes `object`, and answers what is wrong with it.
pub(crate) fn admit(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for part in ["spec", "status"] {
        let (Some(schema), Some(value)) = (schema["properties"].get(part), object.get_mut(part)) else {
            continue;
        };
        check(schema, value, part, &mut wrong);
    }
    wrong
}

fn check(schema: &Value, value: &mut Value, at: &str, wrong: &mut Vec<String>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let expected = schema["type"].as_str().unwrap_or_default();
    let is_right = match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !is_right {
        wrong.push(format!("{at}: Invalid value: {value}: {at} in body must be of type {expected}"));
        return;
    }
    if schema["format"] == "date-time"
        && value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_err())
    {
        wrong.push(format!("{at}: Invalid value: {value}: {at} in body must be of type date-time"));
    }
    match value {
        Value::Object(fields) => {
            for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(required) {
                    wrong.push(format!("{at}.{required}: Required value"));
                }
            }
            let properties = schema["properties"].as_object();
            let others = &schema["additionalProperties"];
            if !others.is_object() && schema["x-kubernetes-preserve-unknown-fields"] != true {
                fields.retain(|key, _| properties.is_some_and(|properties| properties.contains_key(key)));
            }
            for (key, value) in fields {
                if let Some(schema) = properties.and_then(|properties| properties.get(key)) {
                    check(schema, value, &format!("{at}.{key}"), wrong);
                } else if others.is_object() {
                    check(others, value, &format!("{at}.{key}"), wrong);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                check(&schema["items"], item, &format!("{at}[{index}]"), wrong);
            }
        }
        _ => {}
    }
}
