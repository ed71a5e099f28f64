//! Manual overrides.

use actix_web::{HttpRequest, HttpResponse, web};
use engine::journal::{Answer, Input};
use models::{Manual, ScheduleId};

use super::answers::{OverrideEnded, OverrideSet};
use super::problem::Problem;
use super::{body, schedule_id};
use crate::state::State;

/// POST `/schedule/{namespace}/{name}/manual`.
pub(crate) async fn post(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    state: web::Data<State>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = schedule_id(&path)?;
    set(&request, &state, &id, payload).await
}

/// POST `/setschedule`: the same for the default schedule.
pub(crate) async fn post_default(
    request: HttpRequest,
    state: web::Data<State>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    set(&request, &state, &state.default_id, payload).await
}

/// DELETE `/schedule/{namespace}/{name}/manual`: ends it early.
pub(crate) async fn delete(
    path: web::Path<(String, String)>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    clear(&state, &schedule_id(&path)?).await
}

/// DELETE `/setschedule`: the same for the default schedule.
pub(crate) async fn delete_default(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    clear(&state, &state.default_id).await
}

async fn set(
    request: &HttpRequest,
    state: &State,
    id: &ScheduleId,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let body = body::json_object(request, payload).await?;
    let mut manual = Manual::from_json(&body).map_err(Problem::invalid)?;
    let ignored = std::mem::take(&mut manual.ignored);
    let Answer::Set(until) = state.act(Input::SetManual { id: id.clone(), manual }).await? else {
        return Err(Problem::confused());
    };
    let until = until?;
    Ok(HttpResponse::Accepted().json(OverrideSet { ignored, status: "schedule set", until }))
}

async fn clear(state: &State, id: &ScheduleId) -> Result<HttpResponse, Problem> {
    let Answer::Cleared(cleared) = state.act(Input::ClearManual { id: id.clone() }).await? else {
        return Err(Problem::confused());
    };
    let status = if cleared? { "override ended" } else { "no override in force" };
    Ok(HttpResponse::Ok().json(OverrideEnded { status }))
}
