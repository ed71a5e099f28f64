//! Examples, made by the code that answers so wherever it can be asked to.

use actix_web::http::StatusCode;
use engine::{ConfigureError, UnknownSchedule};
use models::{Config, Overrides, Problems, ScheduleId};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::answers::Effective;
use super::super::problem::Problem;
use crate::limit_args::Limits;
use crate::store::Refused;

/// A whole schedule, as a server told it.
const SCHEDULE: &str = include_str!("examples/schedule.json");
/// What is known of the carbon targets, as a server told it.
const FORECASTS: &str = include_str!("examples/forecasts.json");

/// An answer, and the request that gets it where that is another than the parameters' own examples make.
pub(super) fn example(value: &impl Serialize, request: Value) -> Value {
    let mut example = json!({"value": value});
    if !request.is_null() {
        example["x-request"] = request;
    }
    example
}

/// The same with what it is about.
pub(super) fn told(summary: &str, value: &impl Serialize) -> Value {
    json!({"summary": summary, "value": value})
}

/// A configuration that has the whole forecast planned for.
pub(super) fn planned() -> Value {
    json!({
        "policy": "receding-horizon", "targetError": 0.05,
        "flavours": [
            {"name": "large", "precision": 1.0, "energyWh": 2.9},
            {"name": "medium", "precision": 0.94, "energyWh": 1.1},
            {"name": "small", "precision": 0.8, "energyWh": 0.4},
        ],
        "components": {"router": {"minReplicas": 1, "maxReplicas": 15}},
    })
}

/// The same in the origin's words.
pub(super) fn older() -> Value {
    json!({
        "scheduler": {"targetError": "0.1", "validFor": 120, "evaluator": "carbon"},
        "strategies": [{"precision": 1.0}, {"precision": 85}, {"precision": "0.7", "enabled": false}],
    })
}

/// What is in force where [`planned`] is asked for.
pub(super) fn effective() -> Value {
    let put = planned().as_object().and_then(|body| Overrides::from_json(body).ok()).unwrap_or_default();
    let config = Config::resolve(&Overrides::default(), &put.overrides).to_json();
    ScheduleId::new("shop", "search").map_or_else(|_| Value::Null, |id| json!(Effective::of(&id, config, 1)))
}

pub(super) fn schedule() -> Value {
    serde_json::from_str(SCHEDULE).unwrap_or_default()
}

pub(super) fn forecasts() -> Value {
    serde_json::from_str(FORECASTS).unwrap_or_default()
}

/// Names that cannot be.
pub(super) fn wrong_name() -> Value {
    let problems = ScheduleId::new("Shop", "search").map_or_else(|wrong| wrong, |_| Problems::new());
    example(&Problem::invalid(problems).body(), json!({"path": {"namespace": "Shop"}}))
}

pub(super) fn unknown_schedule() -> Value {
    let unknown = ScheduleId::new("shop", "nowhere").map(|id| Problem::from(UnknownSchedule(id)));
    let request = json!({"path": {"name": "nowhere"}});
    unknown.map_or_else(|_| Value::Null, |problem| example(&problem.body(), request))
}

/// A body that is understood and wrong.
pub(super) fn wrong_body(body: &Value, problems: &[(&str, &str)]) -> Value {
    let mut all = Problems::new();
    for (pointer, problem) in problems {
        all.push(*pointer, problem);
    }
    example(&Problem::invalid(all).body(), json!({"body": body}))
}

/// A query that is wrong.
pub(super) fn wrong_query(query: &Value, pointer: &str, problem: &str) -> Value {
    example(&Problem::invalid(Problems::one(pointer, problem)).body(), json!({"query": query}))
}

pub(super) fn too_large() -> Value {
    let most = Limits::default().body_bytes;
    let detail = format!("the body is larger than {most} bytes: expected a smaller one");
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
    example(&problem.body(), json!({"bodyBytes": most + 1}))
}

pub(super) fn unsupported() -> Value {
    let detail = "the body has no JSON content type: expected Content-Type: application/json";
    let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    example(&problem.body(), json!({"headers": {"Content-Type": "text/plain"}}))
}

pub(super) fn too_many() -> Value {
    let problem = Problem::from(ConfigureError::TooManySchedules { limit: 3 });
    example(&problem.body(), json!({"path": {"name": "one-too-many"}}))
}

/// Why nothing can be done now.
pub(super) fn refused() -> Vec<(&'static str, Value)> {
    let refused = [("restoring", Refused::Restoring), ("unknown-outcome", Refused::Unknown)];
    refused.map(|(name, refused)| (name, json!({"value": Problem::from(refused).body()}))).into()
}

/// Why nothing is told to whoever asks.
pub(super) fn unauthorized() -> Vec<(&'static str, Value)> {
    let none = "a token is needed: expected the header field `Authorization: Bearer TOKEN`";
    let wrong = "the token is not one of those known here: expected one `Authorization: Bearer TOKEN` with a token in force";
    let presented = json!({"headers": {"Authorization": "Bearer nobodys-0123456789abcdef"}});
    vec![
        ("no-token", example(&Problem::unauthorized("", none).body(), json!({"headers": {}}))),
        ("wrong-token", example(&Problem::unauthorized("", wrong).body(), presented)),
    ]
}

/// Why a write is not for whoever asks.
pub(super) fn forbidden() -> Vec<(&'static str, Value)> {
    let problem = Problem::forbidden("this token may read only: expected one with the role write");
    let presented = json!({"headers": {"Authorization": "Bearer reads-0123456789abcdef"}});
    vec![("reads-only", example(&problem.body(), presented))]
}
