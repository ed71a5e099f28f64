//! Request counts and latencies, by route. The route is a word of ours, never the path: a label set that
//! a client can grow is a leak.
//!
//! Every request is measured, so that nothing is looked up for it: each series is found once and held.

use std::sync::OnceLock;
use std::time::Instant;

use actix_http::Request;
use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};

/// The labels of routes; the last one is of whatever is not served.
const ROUTES: [&str; 11] = [
    "/schedule",
    "/schedule/{namespace}/{name}",
    "/schedule/{namespace}/{name}/manual",
    "/config/{namespace}/{name}",
    "/feedback/{namespace}/{name}",
    "/forecasts/{target}/vintages",
    "/forecasts/{target}/actuals",
    "/forecasts",
    "/schedules",
    "probes",
    "other",
];
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

type ByClass = [OnceLock<Counter>; CLASSES.len()];
type ByMethod = [ByClass; METHODS.len()];

static COUNTERS: [ByMethod; ROUTES.len()] =
    [const { [const { [const { OnceLock::new() }; CLASSES.len()] }; METHODS.len()] }; ROUTES.len()];
static DURATIONS: [OnceLock<Histogram>; ROUTES.len()] = [const { OnceLock::new() }; ROUTES.len()];

/// A request that is being answered.
pub(crate) struct Measurement {
    route: usize,
    method: usize,
    started: Instant,
}

impl Measurement {
    /// Of a request that came just now.
    pub(crate) fn begin(request: &Request) -> Self {
        Self { route: route(request.path()), method: method(request.method()), started: Instant::now() }
    }

    /// Counts what it was answered, and how long that took.
    pub(crate) fn end(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(CLASSES.len() - 1);
        let counter = COUNTERS.get(self.route).and_then(|methods| methods.get(self.method)?.get(class));
        let (Some(counter), Some(duration)) = (counter, DURATIONS.get(self.route)) else { return };
        let labels = || (ROUTES[self.route], METHODS[self.method], CLASSES[class]);
        let counted = || {
            let (route, method, code) = labels();
            metrics::counter!("http_requests_total", "route" => route, "method" => method, "code" => code)
        };
        counter.get_or_init(counted).increment(1);
        let timed = || metrics::histogram!("http_request_duration_seconds", "route" => labels().0);
        duration.get_or_init(timed).record(self.started.elapsed().as_secs_f64());
    }
}

/// The pattern of what is served at a path.
pub(super) fn pattern(path: &str) -> &'static str {
    ROUTES[route(path)]
}

/// Which of [`ROUTES`] a path belongs to.
fn route(path: &str) -> usize {
    let mut segments = path.split('/').skip(1);
    let first = segments.next().unwrap_or_default();
    let mut last = "";
    let more = segments.inspect(|segment| last = segment).count();
    match (first, more, last) {
        ("schedule", 0, _) => 0,
        ("schedule", 2, _) => 1,
        ("schedule", 3, "manual") | ("setschedule", 0, _) => 2,
        ("config", 2, _) => 3,
        ("feedback", 2, _) => 4,
        ("forecasts", 2, "vintages") => 5,
        ("forecasts", 2, "actuals") => 6,
        ("forecasts", 0, _) => 7,
        ("schedules", 0, _) => 8,
        ("healthz" | "livez" | "readyz", 0, _) => 9,
        _ => ROUTES.len() - 1,
    }
}

/// Which of [`METHODS`] a method is.
fn method(method: &Method) -> usize {
    METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_word_of_its_route_and_no_other() {
        for (path, word) in [
            ("/schedule", "/schedule"),
            ("/schedule/shop/search", "/schedule/{namespace}/{name}"),
            ("/schedule/shop/search/manual", "/schedule/{namespace}/{name}/manual"),
            ("/setschedule", "/schedule/{namespace}/{name}/manual"),
            ("/config/shop/search", "/config/{namespace}/{name}"),
            ("/feedback/shop/search", "/feedback/{namespace}/{name}"),
            ("/forecasts/region:13/vintages", "/forecasts/{target}/vintages"),
            ("/forecasts/national/actuals", "/forecasts/{target}/actuals"),
            ("/forecasts", "/forecasts"),
            ("/schedules", "/schedules"),
            ("/healthz", "probes"),
            ("/readyz", "probes"),
            ("/", "other"),
            ("", "other"),
            ("/schedule/", "other"),
            ("/schedule/shop", "other"),
            ("/schedule/shop/search/automatic", "other"),
            ("/config/shop/search/more", "other"),
            ("/healthz/x", "other"),
            ("/forecasts/national/other", "other"),
        ] {
            assert_eq!(pattern(path), word, "{path}");
        }
    }

    #[test]
    fn methods_have_a_word_each() {
        for (given, word) in [("GET", "GET"), ("DELETE", "DELETE"), ("PATCH", "other"), ("get", "other")] {
            assert_eq!(METHODS[method(&Method::from_bytes(given.as_bytes()).unwrap())], word);
        }
    }
}
