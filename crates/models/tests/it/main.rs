//! The vocabulary through its public door.

mod feedback;
mod flavours;
mod layers;
mod manual;
mod overrides;
mod properties;
mod schedule;

use models::Problems;
use serde_json::{Map, Value};

/// The object in `json`, as the server hands it in.
pub(crate) fn body(json: &str) -> Map<String, Value> {
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => map,
        other => unreachable!("the test's own body is an object: {other:?} from {json}"),
    }
}

/// One line a problem, pointer first.
pub(crate) fn told(problems: &Problems) -> String {
    let lines: Vec<_> =
        problems.iter().map(|field| format!("{}: {}", field.pointer, field.problem)).collect();
    lines.join("\n") + "\n"
}

/// The pointers alone.
pub(crate) fn pointers(problems: &Problems) -> Vec<&str> {
    problems.iter().map(|field| field.pointer.as_str()).collect()
}
