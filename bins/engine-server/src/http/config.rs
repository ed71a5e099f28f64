//! Configuring schedules.

use actix_web::{HttpRequest, HttpResponse, web};
use engine::UnknownSchedule;
use engine::journal::{Answer, Input};
use models::ParsedOverrides;
use serde_json::{Map, Value};

use super::answers::{Accepted, Effective, Removed};
use super::problem::Problem;
use super::{body, schedule_id};
use crate::limit_args::Limits;
use crate::state::State;
use crate::wanted;

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
        wanted::understand(&body, &state.registry).map_err(Problem::invalid)?;
    limits.check(&overrides, flavour_list(&body)).map_err(Problem::invalid)?;
    let refused = state.options.refused(&overrides);
    let Answer::Configured(accepted) = state.act(Input::Configure { id, overrides, refused }).await? else {
        return Err(Problem::confused());
    };
    let accepted = accepted?;
    Ok(HttpResponse::Accepted().json(Accepted { ignored, status: "accepted", warnings: accepted.warnings }))
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

/// DELETE `/config/{namespace}/{name}`: frees the schedule; the default one is reset instead, and one that has an
/// object in the cluster.
pub(crate) async fn delete(
    path: web::Path<(String, String)>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let id = schedule_id(&path)?;
    // What has an object in the cluster is there as long as that is.
    let stays = id == state.default_id || state.is_held_by_cluster(&id);
    let input = if stays { Input::Reset { id } } else { Input::Remove { id } };
    let status = match state.act(input).await? {
        Answer::Reset(reset) => reset.map(|()| "reset")?,
        Answer::Removed(removed) => removed.map(|()| "deleted")?,
        _ => return Err(Problem::confused()),
    };
    Ok(HttpResponse::Ok().json(Removed { status }))
}
