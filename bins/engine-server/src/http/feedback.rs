//! What routers served.

use actix_web::{HttpRequest, HttpResponse, web};
use engine::journal::{Answer, Input};
use models::Feedback;

use super::answers::Counted;
use super::problem::Problem;
use super::{body, schedule_id};
use crate::state::State;

/// POST `/feedback/{namespace}/{name}`: posts of several routers add up, repeats of numbered ones do not.
pub(crate) async fn post(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    state: web::Data<State>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = schedule_id(&path)?;
    let body = body::json_object(&request, payload).await?;
    if state.board.view(&id).is_none() {
        return Err(engine::UnknownSchedule(id).into());
    }
    let (feedback, ignored) = Feedback::from_json(&body).map_err(Problem::invalid)?;
    let Answer::Counted(report) = state.act(Input::Feedback { id, feedback }).await? else {
        return Err(Problem::confused());
    };
    Ok(HttpResponse::Ok().json(Counted::of(&report?, ignored)))
}
