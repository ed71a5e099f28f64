//! Request counts and latencies, by route. The route is a word of ours, never the path: a label set that
//! a client can grow is a leak.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;

use crate::connections::Progress;

pub(crate) async fn measure<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let started = Instant::now();
    let method = method(request.method());
    if let Some(progress) = Progress::of(request.request()) {
        progress.note();
    }
    let response = next.call(request).await;
    let (route, code) = match &response {
        Ok(response) => (route(response.request().match_pattern().as_deref()), response.status()),
        Err(error) => ("error", error.as_response_error().status_code()),
    };
    let code = class(code.as_u16());
    metrics::counter!("http_requests_total", "route" => route, "method" => method, "code" => code)
        .increment(1);
    metrics::histogram!("http_request_duration_seconds", "route" => route)
        .record(started.elapsed().as_secs_f64());
    response
}

fn route(pattern: Option<&str>) -> &'static str {
    match pattern {
        Some("/schedule") => "/schedule",
        Some("/schedule/{namespace}/{name}") => "/schedule/{namespace}/{name}",
        Some("/schedule/{namespace}/{name}/manual" | "/setschedule") => "/schedule/{namespace}/{name}/manual",
        Some("/config/{namespace}/{name}") => "/config/{namespace}/{name}",
        Some("/feedback/{namespace}/{name}") => "/feedback/{namespace}/{name}",
        Some("/forecasts/{target}/vintages") => "/forecasts/{target}/vintages",
        Some("/forecasts/{target}/actuals") => "/forecasts/{target}/actuals",
        Some("/schedules") => "/schedules",
        Some("/healthz" | "/livez" | "/readyz") => "probes",
        _ => "other",
    }
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn class(code: u16) -> &'static str {
    match code / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
