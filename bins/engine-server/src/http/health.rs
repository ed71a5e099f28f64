//! Probes.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::Problem;
use crate::state::State;
use crate::store::Queue;

/// The origin's probe: 200 as soon as the process answers, `starting` until state is restored.
pub(crate) async fn healthz(state: web::Data<State>) -> HttpResponse {
    let status = if state.is_ready() { "ready" } else { "starting" };
    HttpResponse::Ok().json(json!({ "status": status }))
}

/// 200 while the process lives.
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// 200 once state is restored and the first evaluations are out, until a stop was asked for.
pub(crate) async fn readyz(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    if state.is_ready() {
        // A disk that fails takes nobody's schedules away: to be sent elsewhere would.
        let is_well = state.queue.as_ref().is_none_or(Queue::is_well);
        let body = if is_well {
            json!({"status": "ready"})
        } else {
            json!({"status": "degraded", "detail": "the state cannot be written: changes are refused, schedules are still made"})
        };
        return Ok(HttpResponse::Ok().json(body));
    }
    let detail = "not ready: state is being restored, or the process is stopping";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
}
