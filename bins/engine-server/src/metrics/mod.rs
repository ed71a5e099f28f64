//! `GET /metrics`: process-wide series from the recorder, per-schedule series as a view over the board
//! taken at scrape, so that they cannot drift and go when their schedule goes.

mod exposition;
mod families;
mod process;
mod savings;
mod whole;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, web};
use engine::View;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use models::ScheduleId;

use crate::connections::Connections;
use crate::forecasts::Refresh;
use crate::http::access::Access;
use crate::http::door::Door;
use crate::http::in_flight::{InFlight, Pieces};
use crate::http::probes;
use crate::http::problem::Problem;
use crate::limit_args::Limits;
use crate::listener::{self, Port};
use crate::security::{Security, Tls};
use crate::state::{State, now};
use exposition::Exposition;
use whole::Text;

/// Upper bounds of the histogram of evaluations, in seconds.
const EVALUATIONS: [f64; 14] =
    [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 1.0];

/// Upper bounds of the histograms of what somebody waits for, in seconds: from an answer out of memory to the longest
/// wait for a disk.
const WAITS: [f64; 16] =
    [1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Upper bounds of the histogram of how late evaluations begin, in seconds: up to the validity of most schedules.
const LATENESS: [f64; 12] = [1e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 12.0, 60.0];

/// Upper bounds of the histogram of providers, in seconds: up to the longest patience with one.
const ANSWERS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Installs the recorder behind the process-wide series.
///
/// # Errors
///
/// A recorder is installed already, or a bucket list is empty: neither can be here.
pub(crate) fn install(keeps_state: bool, in_cluster: bool) -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &WAITS)?
        .set_buckets_for_metric(Matcher::Full("scheduler_evaluation_duration_seconds".into()), &EVALUATIONS)?
        .set_buckets_for_metric(Matcher::Full("scheduler_evaluation_lateness_seconds".into()), &LATENESS)?
        .set_buckets_for_metric(Matcher::Full("carbon_provider_request_duration_seconds".into()), &ANSWERS)?
        .install_recorder()?;
    metrics::describe_counter!(
        "http_requests_total",
        "Requests answered, by route, method and class of status."
    );
    metrics::describe_histogram!("http_request_duration_seconds", "Time to answer a request.");
    metrics::describe_histogram!(
        "scheduler_evaluation_duration_seconds",
        "Time of one evaluation, publication included, as the mean of a tick."
    );
    metrics::describe_histogram!(
        "scheduler_evaluation_lateness_seconds",
        "How long after it was due an evaluation began, that of its tick that waited longest standing for all."
    );
    metrics::describe_counter!("scheduler_evaluations_total", "Evaluations made by the loop.");
    metrics::describe_counter!(
        "carbon_provider_requests_total",
        "How providers were asked for forecasts, by provider and outcome."
    );
    metrics::describe_histogram!(
        "carbon_provider_request_duration_seconds",
        "Time that a provider took to answer, or to fail, a login included."
    );
    metrics::describe_counter!(
        "carbon_provider_filled_slots_total",
        "Slots that the forecasts of a provider lacked, and that were drawn between their neighbours."
    );
    metrics::describe_counter!(
        "carbon_vintages_recorded_total",
        "Forecasts that said something new and were kept for replays."
    );
    metrics::describe_gauge!("carbon_vintages_kept", "Forecasts kept for replays, of all carbon targets.");
    metrics::describe_gauge!("carbon_vintages_bytes", "Memory taken by what is kept for replays.");
    metrics::describe_counter!("feedback_polls_total", "Polls of what a schedule served, by outcome.");
    metrics::describe_counter!(
        "feedback_unknown_flavour_requests_total",
        "Requests that were polled and not counted: their flavour is not the schedule's."
    );
    metrics::describe_counter!(
        "feedback_poll_lost_seconds_total",
        "Time whose requests were not asked for: polls had failed for too long."
    );
    metrics::describe_counter!("log_lines_total", "Lines to be logged, by level, left out or not.");
    metrics::describe_counter!(
        "log_lines_left_out_total",
        "Lines that were not logged, since there were many of their kind."
    );
    describe_limits();
    crate::http::access::describe();
    describe_state();
    begin_at_zero(keeps_state);
    if in_cluster {
        crate::kube::describe();
    }
    Ok(handle)
}

/// Counters that are there before they count anything: an increase from nothing shows nowhere.
fn begin_at_zero(keeps_state: bool) {
    metrics::counter!("scheduler_evaluations_total").increment(0);
    metrics::counter!("feedback_unknown_flavour_requests_total").increment(0);
    metrics::counter!("feedback_poll_lost_seconds_total").increment(0);
    for level in ["info", "warning", "error"] {
        metrics::counter!("log_lines_total", "level" => level).increment(0);
        metrics::counter!("log_lines_left_out_total", "level" => level).increment(0);
    }
    if keeps_state {
        metrics::counter!("state_records_total").increment(0);
        metrics::counter!("state_commits_total").increment(0);
        metrics::counter!("state_bases_total").increment(0);
        metrics::counter!("state_refused_total").increment(0);
        metrics::counter!("state_unrecorded_inputs_total").increment(0);
    }
}

/// What is said of limits.
fn describe_limits() {
    metrics::describe_counter!(
        "http_requests_refused_total",
        "Requests refused, or ended, at a limit that has a flag, by limit."
    );
    metrics::describe_gauge!("http_connections_open", "Open connections, by port.");
    metrics::describe_counter!(
        "http_connections_ended_total",
        "Connections ended since they neither brought a request nor took an answer, by port."
    );
}

/// What is said of the file that state is kept in.
fn describe_state() {
    metrics::describe_gauge!("state_healthy", "1 while the state can be written, 0 while it cannot.");
    metrics::describe_gauge!("state_restore_seconds", "How long it took to read the state at the start.");
    metrics::describe_counter!("state_records_total", "Inputs made durable.");
    metrics::describe_counter!("state_commits_total", "Commits that made them durable, several at once.");
    metrics::describe_histogram!("state_commit_duration_seconds", "Time of a commit.");
    metrics::describe_counter!("state_bases_total", "Whole copies of the state that were written.");
    metrics::describe_counter!(
        "state_refused_total",
        "Requests that were refused because they could not be made durable."
    );
    metrics::describe_counter!(
        "state_unrecorded_inputs_total",
        "Inputs that were acted upon without being made durable, among them evaluations."
    );
}

/// What a scrape looks at, and how much of it.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) state: Arc<State>,
    pub(crate) refresh: Arc<Refresh>,
    pub(crate) recorder: PrometheusHandle,
    pub(crate) started: SystemTime,
    /// The file that state is kept in.
    pub(crate) file: Option<PathBuf>,
    /// Schedules that may be configured, at most.
    pub(crate) max_schedules: usize,
    /// Schedules that have series of their own, at most.
    pub(crate) max_exported: usize,
}

impl Sources {
    /// The schedules that have series of their own: the default one, then the others in order of their names.
    fn exported(&self) -> Vec<(ScheduleId, Arc<View>)> {
        let (board, first) = (&self.state.board, &self.state.default_id);
        let default = board.view(first).map(|view| (first.clone(), view));
        // One more, since the default one may be among them.
        let others = board.page(None, self.max_exported.saturating_add(1)).into_iter();
        let others = others.filter(|(id, _)| id != first);
        default.into_iter().chain(others).take(self.max_exported).collect()
    }

    /// Everything but the series of each schedule, `exported` of which have any.
    fn whole(&self, exported: usize) -> String {
        let (now, wall) = (Instant::now(), now());
        let mut text = self.recorder.render();
        let mut to = Text(&mut text);
        to.process(self.started);
        to.life(&self.state.life, now, wall);
        to.schedules(&self.state.board, exported, self.max_schedules, wall);
        to.targets(&self.refresh.page(None, usize::MAX), wall);
        to.providers(&self.refresh.providers(wall));
        if let Some(file) = self.file.as_ref().and_then(|file| std::fs::metadata(file).ok()) {
            to.file(file.len());
        }
        text
    }
}

/// Serves `/metrics` and the probes on `listener` until told to stop.
pub(crate) fn serve(
    sources: Sources,
    listener: std::net::TcpListener,
    limits: &Limits,
    security: &Security,
) -> std::io::Result<actix_web::dev::Server> {
    let door = Door::of_metrics(Access::of_metrics(&sources.state, security.metrics_tokens()), limits);
    let probed = web::Data::from(Arc::clone(&sources.state));
    let in_flight = InFlight::scrapes(limits.scrapes);
    let sources = web::Data::new((sources, in_flight));
    let connections = Connections::new("metrics", limits.patience());
    actix_web::rt::spawn(Arc::clone(&connections).watch());
    let rooms = move || {
        App::new()
            .app_data(sources.clone())
            .app_data(probed.clone())
            .configure(probes)
            .route("/metrics", web::to(scrape))
            .default_service(web::to(elsewhere))
    };
    let port = Port {
        workers: 1,
        per_worker: limits.metrics_connections,
        request_timeout: limits.request_timeout,
        keep_alive: limits.keep_alive,
        drain_seconds: 1,
        connections,
        tls: security.metrics_tls().map(Tls::config).transpose()?,
    };
    listener::serve(door, rooms, listener, port)
}

async fn scrape(
    request: HttpRequest,
    sources: web::Data<(Sources, InFlight)>,
) -> Result<HttpResponse, Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Problem::not_allowed(request.method().as_str(), "GET, HEAD"));
    }
    let (sources, in_flight) = &**sources;
    let place = in_flight.enter()?;
    let views = sources.exported();
    let body = Exposition::new(sources.whole(views.len()), views);
    let body = Pieces::answering(&request, body, place);
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(body))
}

async fn elsewhere() -> Result<HttpResponse, Problem> {
    Err(Problem::new(StatusCode::NOT_FOUND, "nothing is served here but /metrics and the probes"))
}
