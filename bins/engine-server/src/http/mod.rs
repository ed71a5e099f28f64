//! The API: routes, and what every route has in common.

pub(crate) mod access;
mod answers;
mod body;
mod config;
pub(crate) mod door;
mod feedback;
mod forecasts;
mod forward;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod health;
pub(crate) mod in_flight;
mod manual;
mod measure;
pub(crate) mod openapi;
mod page;
pub(crate) mod problem;
mod schedule;
mod vintages;

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{HttpServiceFactory, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, Resource, Route, guard, middleware, web};
use models::ScheduleId;

use crate::connections::{self, Connections};
use crate::forecasts::Refresh;
use crate::limit_args::Limits;
use crate::listener::{self, Port};
use crate::security::{Security, Tls, Tokens};
use crate::state::State;
use access::Access;
use door::Door;
use forward::Forwarder;
use in_flight::InFlight;
use problem::Problem;

#[cfg(feature = "fuzzing")]
pub use fuzzing::fuzz;

/// How long requests in flight may take once nothing new is taken any more.
const LAST_ANSWERS_SECONDS: u64 = 10;

/// Serves the API on `listener` until told to stop.
pub(crate) fn serve(
    state: &Arc<State>,
    refresh: &Arc<Refresh>,
    listener: std::net::TcpListener,
    workers: usize,
    limits: &Limits,
    security: &Security,
) -> std::io::Result<actix_web::dev::Server> {
    let connections = Connections::new("api", limits.patience());
    actix_web::rt::spawn(Arc::clone(&connections).watch());
    let (request_timeout, keep_alive) = (limits.request_timeout, limits.keep_alive);
    // Each worker has its share.
    let most = connections::allow(limits.connections, limits.metrics_connections);
    let workers = workers.min(most);
    let per_worker = most / workers;
    let api = Api::new(state, refresh, limits, security.tokens.as_ref());
    let door = api.door.clone();
    let tls = security.tls.as_ref().map(Tls::config).transpose()?;
    let drain_seconds = LAST_ANSWERS_SECONDS;
    let port = Port { workers, per_worker, request_timeout, keep_alive, drain_seconds, connections, tls };
    let rooms = move || App::new().configure(|app| api.furnish(app));
    listener::serve(door, rooms, listener, port)
}

/// What every worker's copy of the API shares.
#[derive(Clone)]
struct Api {
    door: Door,
    state: web::Data<State>,
    refresh: web::Data<Refresh>,
    limits: web::Data<Limits>,
    in_flight: web::Data<InFlight>,
    forwarder: Option<web::Data<Forwarder>>,
}

impl Api {
    fn new(
        state: &Arc<State>,
        refresh: &Arc<Refresh>,
        limits: &Limits,
        tokens: Option<&Arc<Tokens>>,
    ) -> Self {
        Self {
            door: Door::of_api(Access::of_api(state, tokens), limits, Arc::clone(state)),
            state: web::Data::from(Arc::clone(state)),
            refresh: web::Data::from(Arc::clone(refresh)),
            limits: web::Data::new(limits.clone()),
            in_flight: web::Data::new(InFlight::requests(limits.requests)),
            forwarder: state.replica.is_some().then(|| web::Data::new(Forwarder::new())),
        }
    }

    /// Puts all that is served behind the door into `app`.
    fn furnish(&self, app: &mut web::ServiceConfig) {
        if let Some(forwarder) = &self.forwarder {
            app.app_data(forwarder.clone());
        }
        app.app_data(self.state.clone())
            .app_data(self.refresh.clone())
            .app_data(self.limits.clone())
            .app_data(self.in_flight.clone())
            .app_data(web::PathConfig::default().error_handler(|error, _| {
                let detail = format!("the path is not a schedule's: {error}");
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into()
            }))
            .app_data(web::QueryConfig::default().error_handler(|error, _| {
                let detail = format!("the query cannot be read: {error}");
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into()
            }))
            .configure(routes)
            .default_service(web::to(not_found));
    }
}

/// Whole paths first, then what is asked most: a path is held against one pattern after the other.
fn routes(app: &mut web::ServiceConfig) {
    app.configure(probes)
        .service(listing("/openapi.json", web::to(openapi::get)))
        .service(listing("/forecasts", web::to(forecasts::list)))
        .service(listing("/schedules", web::to(schedule::list)))
        .service(
            waiting("/setschedule", "POST, DELETE")
                .route(web::to(manual::post_default).method(Method::POST))
                .route(web::to(manual::delete_default).method(Method::DELETE)),
        )
        // Whoever only reads these was answered at the door.
        .service(resource("/schedule", "GET, HEAD"))
        .service(resource("/schedule/{namespace}/{name}", "GET, HEAD"))
        .service(
            waiting("/feedback/{namespace}/{name}", "POST")
                .route(web::to(feedback::post).method(Method::POST)),
        )
        .service(
            waiting("/config/{namespace}/{name}", "GET, HEAD, PUT, DELETE")
                .route(web::to(config::put).method(Method::PUT))
                .route(get_or_head(web::to(config::get)))
                .route(web::to(config::delete).method(Method::DELETE)),
        )
        .service(
            waiting("/schedule/{namespace}/{name}/manual", "POST, DELETE")
                .route(web::to(manual::post).method(Method::POST))
                .route(web::to(manual::delete).method(Method::DELETE)),
        )
        .service(listing("/forecasts/{target}/vintages", web::to(vintages::vintages)))
        .service(listing("/forecasts/{target}/actuals", web::to(vintages::actuals)));
}

/// Probes, which need no token; the metrics port has them too.
pub(crate) fn probes(app: &mut web::ServiceConfig) {
    app.service(reading("/healthz", web::to(health::healthz)))
        .service(reading("/livez", web::to(health::livez)))
        .service(reading("/readyz", web::to(health::readyz)));
}

fn get_or_head(route: Route) -> Route {
    route.guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A resource that can only be read, and is too large to be sent at once.
fn listing(path: &'static str, route: Route) -> impl HttpServiceFactory {
    waiting(path, "GET, HEAD").route(get_or_head(route))
}

/// A resource whose requests can wait: for a body, for the disk, or for a reader.
fn waiting(
    path: &'static str,
    allowed: &'static str,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let passed_on = middleware::from_fn(forward::to_the_leader);
    resource(path, allowed).wrap(passed_on).wrap(middleware::from_fn(in_flight::bounded))
}

/// A resource that can only be read.
fn reading(path: &'static str, route: Route) -> impl HttpServiceFactory {
    resource(path, "GET, HEAD").route(get_or_head(route))
}

/// A resource that answers what is not `allowed` with 405, and OPTIONS as the origin does.
fn resource(path: &'static str, allowed: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move |request: HttpRequest| async move {
        if request.method() == Method::OPTIONS {
            return Ok(HttpResponse::Ok().insert_header(("Allow", format!("{allowed}, OPTIONS"))).finish());
        }
        Err(Problem::not_allowed(request.method().as_str(), allowed))
    }))
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path: String = request.path().chars().take(200).collect();
    Err(Problem::new(StatusCode::NOT_FOUND, format!("nothing is served at {path}")))
}

/// The schedule a path names.
fn schedule_id(path: &(String, String)) -> Result<ScheduleId, Problem> {
    ScheduleId::new(&path.0, &path.1).map_err(Problem::invalid)
}
