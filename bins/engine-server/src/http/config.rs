//! Configuring schedules.

use actix_web::{HttpRequest, HttpResponse, web};
use engine::UnknownSchedule;
use engine::journal::{Answer, Input};
use models::{Overrides, ParsedOverrides, Problems};
use policies::Registry;
use serde_json::{Map, Value};

use super::answers::{Accepted, Effective, Removed};
use super::problem::Problem;
use super::{body, schedule_id};
use crate::limit_args::Limits;
use crate::state::State;

/// PUT `/config/{namespace}/{name}`: the next GET finds the new configuration in force.
pub(crate) async fn put(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    state: web::Data<State>,
    limits: web::Data<Limits>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = schedule_id(&path)?;
    let body = body::json_object(&request, payload).await?;
    let ParsedOverrides { overrides, ignored } =
        understand(&body, &state.registry).map_err(Problem::invalid)?;
    limits.check(&overrides, flavour_list(&body)).map_err(Problem::invalid)?;
    let refused = state.options.refused(&overrides);
    let Answer::Configured(accepted) = state.act(Input::Configure { id, overrides, refused }).await? else {
        return Err(Problem::confused());
    };
    let accepted = accepted?;
    Ok(HttpResponse::Accepted().json(Accepted { ignored, status: "accepted", warnings: accepted.warnings }))
}

/// The configuration a body asks for, its policy known: every bad field at once.
fn understand(body: &Map<String, Value>, registry: &Registry) -> Result<ParsedOverrides, Problems> {
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

/// Where the flavours stand that are read.
fn flavour_list(body: &Map<String, Value>) -> &'static str {
    let older = body.get("strategies").is_some_and(|list| !list.is_null());
    if older { "/strategies" } else { "/flavours" }
}

/// GET `/config/{namespace}/{name}`: the effective configuration, each value with where it came from.
pub(crate) async fn get(
    path: web::Path<(String, String)>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let id = schedule_id(&path)?;
    let (config, generation) = state.engine().config(&id).ok_or_else(|| UnknownSchedule(id.clone()))?;
    Ok(HttpResponse::Ok().json(Effective::of(&id, config, generation)))
}

/// DELETE `/config/{namespace}/{name}`: frees the schedule; the default one is reset instead.
pub(crate) async fn delete(
    path: web::Path<(String, String)>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let id = schedule_id(&path)?;
    let is_default = id == state.default_id;
    let input = if is_default { Input::Reset { id } } else { Input::Remove { id } };
    let status = match state.act(input).await? {
        Answer::Reset(reset) => reset.map(|()| "reset")?,
        Answer::Removed(removed) => removed.map(|()| "deleted")?,
        _ => return Err(Problem::confused()),
    };
    Ok(HttpResponse::Ok().json(Removed { status }))
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
