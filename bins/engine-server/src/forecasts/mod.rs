//! Keeping forecasts fresh: a few threads that ask upstream, so that nothing else ever waits for it.

mod limits;
mod outcome;
mod reader;
mod stopwatch;
mod trace;
mod words;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::journal::Input;
use engine::{TargetCheck, WantedForecast};
use models::{CarbonTarget, Signal, Timestamp};
use providers::{
    Adapter, Asked, Attempt, AttemptError, Chain, CircuitChange, Job, Limits, Link, LinkStatus, News,
    RefreshError, Refresher, Status, Wanted,
};

use crate::state::{State, now, until};
pub(crate) use limits::CallLimits;
pub(crate) use outcome::outcome_of;
use reader::Reader;
use stopwatch::Stopwatch;
pub(crate) use trace::trace;
use words::{Cause, Words};

/// Requests under way at once. A dead upstream holds a thread for `carbonTimeout`; others go on.
const THREADS: usize = 4;
/// A waiting thread looks at the clock at least this often: clocks are set, and sleeps do not know.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is to be refreshed, and the threads' place to wait.
pub(crate) struct Refresh {
    refresher: Mutex<Refresher>,
    words: Mutex<Words>,
    changed: Condvar,
}

/// One provider of the chain.
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) signal: Signal,
    pub(crate) limits: Limits,
    pub(crate) status: LinkStatus,
}

impl Refresh {
    pub(crate) fn new(chain: Chain, seed: u64) -> Self {
        let refresher = Mutex::new(Refresher::with_chain(chain, seed));
        Self { refresher, words: Mutex::default(), changed: Condvar::new() }
    }

    /// Which targets somebody asks for.
    pub(crate) fn want(&self, wanted: impl Iterator<Item = (CarbonTarget, WantedForecast)>) {
        let wanted = wanted.map(|(target, how)| (target, Wanted { ttl: how.ttl, timeout: how.timeout }));
        self.lock().want(&wanted.collect(), now());
        self.changed.notify_all();
    }

    /// How the refreshing of targets stands, in order, after one of them.
    pub(crate) fn page(&self, after: Option<&CarbonTarget>, most: usize) -> Vec<(CarbonTarget, Status)> {
        let refresher = self.lock();
        let page = refresher.statuses().filter(|(target, _)| after.is_none_or(|after| *target > after));
        page.take(most).map(|(target, status)| (target.clone(), status.clone())).collect()
    }

    /// How each provider of the chain does.
    pub(crate) fn providers(&self, now: Timestamp) -> Vec<Provider> {
        let chain = self.lock().chain().clone();
        let provider = |link: &Link| Provider {
            name: link.adapter().name().to_owned(),
            signal: link.adapter().signal(),
            limits: link.limits(),
            status: link.status(now),
        };
        chain.links().iter().map(provider).collect()
    }

    /// Starts the threads. They end with the process: what they ask for is nobody's loss.
    pub(crate) fn start(self: &Arc<Self>, state: &Arc<State>) -> std::io::Result<()> {
        for index in 0..THREADS {
            let (refresh, state) = (Arc::clone(self), Arc::clone(state));
            std::thread::Builder::new().name(format!("forecasts-{index}")).spawn(move || {
                let reader = Reader::new();
                loop {
                    let job = refresh.next_job();
                    refresh.run(&job, &reader, &state);
                }
            })?;
        }
        Ok(())
    }

    /// Waits for the next job.
    fn next_job(&self) -> Job {
        let mut refresher = self.lock();
        loop {
            let at = now();
            if let Some(job) = refresher.take_due(at) {
                return job;
            }
            let wait = refresher.next_due().map_or(LONGEST_WAIT, |due| until(due, at).min(LONGEST_WAIT));
            let waited = self.changed.wait_timeout(refresher, wait);
            refresher = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn run(&self, job: &Job, reader: &Reader, state: &State) {
        let stopwatch = Stopwatch::new(reader);
        let problems = RefCell::new(Vec::new());
        let watch = |asked: Asked<'_>| {
            watch(asked, stopwatch.lap());
            match asked.outcome {
                Ok(_) => self.words().well(asked.provider, &job.target),
                Err(problem) if problem.was_asked() => {
                    let problem = Attempt { provider: asked.provider.to_owned(), problem: problem.clone() };
                    problems.borrow_mut().push(problem);
                }
                Err(_) => {}
            }
        };
        let asked = AssertUnwindSafe(|| job.run_watched(&stopwatch, now, watch));
        // Nothing here is known to panic; but a job that is never finished would never be due again.
        let outcome = catch_unwind(asked).unwrap_or_else(|_| Err(lost(job)));
        let failed = outcome.as_ref().err().cloned();
        let (news, failures, stood_in) = {
            let mut refresher = self.lock();
            let news = refresher.finish(&job.target, outcome, now());
            let status = refresher.status(&job.target);
            (news, status.map_or(0, |status| status.failures), status.map_or(0, |status| status.stood_in))
        };
        self.changed.notify_all();
        match failed {
            Some(error) if error.is_held() => {
                tracing::debug!(target: "engine_server::forecasts", carbon_target = %job.target, problem = %error, "nobody may be asked");
            }
            // Somebody stands in: what has failed is a try to better that.
            Some(error) if failures == 0 => self.say_stand_in(job, &error.attempts, stood_in),
            Some(error) => {
                let problem = error.to_string();
                let said = self.words().failed(&causes(&error.attempts), &job.target, failures <= 1, now());
                match said {
                    Some(unsaid) => {
                        tracing::warn!(target: "engine_server::forecasts", carbon_target = %job.target, problem, unsaid, "no fresh forecast");
                    }
                    None => {
                        tracing::debug!(target: "engine_server::forecasts", carbon_target = %job.target, problem, failures, "still no fresh forecast");
                    }
                }
            }
            None => {
                tracing::debug!(target: "engine_server::forecasts", carbon_target = %job.target, "fresh forecast");
                self.say_stand_in(job, &problems.take(), stood_in);
            }
        }
        if let Some(News { forecast, actuals, is_current }) = news {
            state.tell(Input::Forecast { target: job.target.clone(), forecast, actuals, is_current });
        }
    }

    /// Says why somebody stands in, if that is news.
    fn say_stand_in(&self, job: &Job, attempts: &[Attempt], stood_in: u32) {
        let said = self.words().failed(&causes(attempts), &job.target, stood_in <= 1, now());
        if let Some(unsaid) = said {
            let problems: Vec<_> = attempts.iter().map(|attempt| attempt.problem.to_string()).collect();
            let problem = problems.join("; ");
            tracing::warn!(target: "engine_server::forecasts", carbon_target = %job.target, problem, unsaid, "another provider stands in");
        }
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // A panic elsewhere leaves whole values here: the lock's poison says nothing.
    fn lock(&self) -> MutexGuard<'_, Refresher> {
        self.refresher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What went wrong, of those that were asked.
fn causes(attempts: &[Attempt]) -> Vec<Cause> {
    let held = |problem: &AttemptError| matches!(problem, AttemptError::Held { .. });
    let failed = attempts.iter().filter(|attempt| !held(&attempt.problem));
    failed.map(|attempt| (attempt.provider.clone(), outcome_of(&attempt.problem))).collect()
}

/// Counts one attempt, the time that its requests took and what its forecast lacked, and says so where a provider is left alone from now
/// on, or answers again.
fn watch(asked: Asked<'_>, took: Option<Duration>) {
    let provider = asked.provider;
    count(provider, asked.outcome.map_or_else(outcome_of, |_| "ok"));
    if let Some(took) = took {
        metrics::histogram!("carbon_provider_request_duration_seconds", "provider" => provider.to_owned())
            .record(took.as_secs_f64());
    }
    if let Ok(forecast) = asked.outcome {
        let filled = u64::try_from(forecast.filled_slots()).unwrap_or_default();
        metrics::counter!("carbon_provider_filled_slots_total", "provider" => provider.to_owned())
            .increment(filled);
    }
    match (asked.circuit, asked.outcome) {
        (Some(CircuitChange::Opened { until }), Err(problem)) => {
            tracing::warn!(target: "engine_server::forecasts", provider, %until, %problem, "left alone after failures in a row");
        }
        (Some(CircuitChange::Closed), _) => {
            tracing::info!(target: "engine_server::forecasts", provider, "answers again");
        }
        _ => {}
    }
}

fn count(provider: &str, outcome: &'static str) {
    metrics::counter!("carbon_provider_requests_total", "provider" => provider.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// Counts a job that died, and says so in place of its outcome.
fn lost(job: &Job) -> RefreshError {
    let problem = AttemptError::Lost("the thread that ran it failed".into());
    let provider = "engine-server";
    count(provider, outcome_of(&problem));
    RefreshError {
        target: job.target.clone(),
        attempts: vec![Attempt { provider: provider.to_owned(), problem }],
    }
}

/// A target exists if the first provider of the chain has it: what follows is its stand-in.
pub(crate) struct ChainTargets(pub(crate) Vec<Arc<dyn Adapter>>);

impl TargetCheck for ChainTargets {
    fn check(&self, target: &CarbonTarget) -> Result<(), String> {
        let Some(first) = self.0.first() else { return Ok(()) };
        first.check(target, now()).map_err(|problem| problem.to_string())
    }
}
