//! What a body asks for, where the policies are known.

use models::{Overrides, ParsedOverrides, Problems};
use policies::Registry;
use serde_json::{Map, Value};

/// The configuration a body asks for, its policy known.
///
/// # Errors
///
/// [`Problems`] with every bad field at once.
pub(crate) fn understand(
    body: &Map<String, Value>,
    registry: &Registry,
) -> Result<ParsedOverrides, Problems> {
    let parsed = Overrides::from_json(body);
    let nested = body.get("scheduler").filter(|nested| !nested.is_null());
    let (at, scheduler) = match nested {
        Some(nested) => ("/scheduler/policy", nested.as_object()),
        None => ("/policy", Some(body)),
    };
    let name = scheduler.and_then(|scheduler| scheduler.get("policy")).and_then(Value::as_str);
    let Some(Err(unknown)) = name.map(|name| registry.create(name, 0)) else { return parsed };
    let mut problems = parsed.err().unwrap_or_default();
    if !problems.iter().any(|field| field.pointer == at) {
        problems.push(at, unknown);
    }
    Err(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(body: &Value) -> Vec<String> {
        let understood = understand(body.as_object().unwrap(), &Registry::builtin());
        understood.unwrap_err().iter().map(|field| field.pointer.clone()).collect()
    }

    #[test]
    fn an_unknown_policy_is_named_beside_every_other_problem() {
        assert_eq!(problems(&json!({"policy": "nope"})), ["/policy"]);
        assert_eq!(problems(&json!({"policy": "", "targetError": 2})), ["/policy", "/targetError"]);
        assert_eq!(problems(&json!({"policy": "nope", "targetError": 2})), ["/targetError", "/policy"]);
        assert_eq!(problems(&json!({"scheduler": {"policy": "CREDIT-GREEDY"}})), ["/scheduler/policy"]);
        // The flat keys are not read beside nested ones.
        assert!(
            understand(json!({"policy": "nope", "scheduler": {}}).as_object().unwrap(), &Registry::builtin())
                .is_ok()
        );
    }
}
