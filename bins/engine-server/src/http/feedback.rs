//! What routers served.

use actix_web::{HttpRequest, HttpResponse, web};
use engine::journal::{Answer, Input};
use models::Feedback;
use serde_json::{Value, json};

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
    let report = report?;
    let mut answer = json!({
        "realized_precision": report.realized_precision,
        "credit_balance": report.credit_balance,
        "credit_velocity": report.credit_velocity,
        "total_requests": report.total_requests,
    });
    if report.duplicate {
        answer["duplicate"] = Value::from(true);
    }
    if !ignored.is_empty() {
        answer["ignored"] = Value::from(ignored);
    }
    Ok(HttpResponse::Ok().json(answer))
}
