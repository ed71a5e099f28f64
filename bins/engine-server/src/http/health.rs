//! Probes.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::answers::Health;
use super::problem::Problem;
use crate::life::Readiness;
use crate::state::{State, now};
use crate::store::Queue;

/// The origin's probe: 200 as soon as the process answers, `starting` until the first evaluations are out.
pub(crate) async fn healthz(state: web::Data<State>) -> HttpResponse {
    let life = &state.life;
    let status = match (life.is_stopping(), life.is_serving()) {
        (true, _) => "stopping",
        (false, true) => "ready",
        (false, false) => "starting",
    };
    HttpResponse::Ok().json(Health::of(status))
}

/// 200 while the process does what it is there for; otherwise a restart is all that helps.
pub(crate) async fn livez(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    if state.life.is_alive(Instant::now()) {
        return Ok(HttpResponse::Ok().json(Health::of("alive")));
    }
    let detail = "not alive: the loop that evaluates does not turn any more";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
}

/// 200 where requests are to be sent here.
pub(crate) async fn readyz(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let is_well = state.queue.as_ref().is_none_or(Queue::is_moving);
    match state.life.readiness(is_well, Instant::now(), now()) {
        Readiness::Ready => Ok(HttpResponse::Ok().json(Health::of("ready"))),
        Readiness::Degraded(detail) => {
            Ok(HttpResponse::Ok().json(Health { detail: Some(detail), ..Health::of("degraded") }))
        }
        Readiness::Unready(reason) => {
            let detail = format!("not ready: {reason}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
        }
    }
}
