//! Answers that take their time: what is said of them is of when they came, not of when they were asked for.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use models::{CarbonTarget, Timestamp};
use providers::circuit::{FAILURES_TO_OPEN, FIRST_PAUSE};
use providers::{
    Answer, Asked, Chain, CircuitChange, CircuitState, Fetch, FetchError, Job, Limits, RefreshError, Request,
    UkCarbonIntensity,
};

/// How long an answer takes.
const TAKES: SignedDuration = SignedDuration::from_secs(20);

/// A network in virtual time that takes its time.
struct Slow {
    now: Cell<Timestamp>,
    body: Option<&'static str>,
}

impl Slow {
    fn begin(at: Timestamp, body: Option<&'static str>) -> Self {
        Self { now: Cell::new(at), body }
    }
}

impl Fetch for Slow {
    fn fetch(&self, request: &Request, timeout: Duration) -> Result<Vec<u8>, FetchError> {
        self.now.set(self.now.get() + TAKES);
        let timed_out = || FetchError::TimedOut { url: request.url.clone(), timeout };
        self.body.map(|body| body.as_bytes().to_vec()).ok_or_else(timed_out)
    }
}

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap_or(Timestamp::MIN)
}

fn run(chain: &Chain, network: &Slow, watch: impl FnMut(Asked<'_>)) -> Result<Answer, RefreshError> {
    let job = Job::new(CarbonTarget::from("national"), SignedDuration::from_secs(30), chain.clone());
    job.run_watched(network, || network.now.get(), watch)
}

fn chain() -> Chain {
    let limits = Limits { per_second: Some(1), ..Limits::default() };
    Chain::with_limits(vec![(Arc::new(UkCarbonIntensity::default()), limits)])
}

#[test]
fn a_forecast_was_retrieved_when_it_came() {
    let body = r#"{"data":[{"from":"2018-01-20T12:00Z","intensity":{"forecast":266}}]}"#;
    let (chain, network) = (chain(), Slow::begin(at("2018-01-20T12:00:00Z"), Some(body)));
    let answer = run(&chain, &network, |_| ()).unwrap();
    assert_eq!(answer.forecast.retrieved_at, at("2018-01-20T12:00:20Z"));
    let status = chain.links()[0].status(network.now.get());
    assert_eq!(status.last_success, Some(at("2018-01-20T12:00:20Z")));
}

#[test]
fn what_is_over_when_it_comes_is_none() {
    let body = r#"{"data":[{"from":"2018-01-20T12:00Z","intensity":{"forecast":266}}]}"#;
    let network = Slow::begin(at("2018-01-20T12:29:50Z"), Some(body));
    let refused = run(&chain(), &network, |_| ()).unwrap_err().to_string();
    assert!(refused.contains("slots that are all over"), "{refused}");
}

#[test]
fn a_pause_counts_from_the_failure_and_not_from_the_question() {
    let (chain, network) = (chain(), Slow::begin(at("2018-01-20T12:00:00Z"), None));
    let mut changes = Vec::new();
    for _ in 0..FAILURES_TO_OPEN {
        run(&chain, &network, |asked| changes.extend(asked.circuit)).unwrap_err();
    }
    let until = network.now.get() + FIRST_PAUSE;
    assert_eq!(changes, [CircuitChange::Opened { until }]);
    let status = chain.links()[0].status(network.now.get());
    assert_eq!(status.circuit, CircuitState::Open { until });
    // The rate paces what is sent: the last question was sent before the wait.
    assert_eq!(status.ready_at, network.now.get());
}
