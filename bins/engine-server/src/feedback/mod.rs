//! What was served, asked of Prometheus: a few threads, so that nothing else ever waits for it.
//!
//! Each schedule's window begins where the last one ended, so that no request is counted twice and none is
//! missed; a failure leaves the window open. What routers post wins: the engine refuses the rest.

mod polls;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::journal::{Answer, Input};
use engine::{Polled, UnknownSchedule};
use jiff::SignedDuration;
use models::{ScheduleId, Timestamp};
use providers::http::Client;
use providers::{AttemptError, CounterQuery, Fetch as _};

use crate::forecasts::outcome_of;
use crate::state::{State, now, until};
use polls::{Job, Others, Outcome, Polls};

/// Questions under way at once.
const THREADS: usize = 4;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked which schedules there are, and at the clock, which can be set.
const LOOK: Duration = Duration::from_secs(1);
/// Longest window that is asked for: what failed for longer is lost, and counted as that. Longer than posts keep
/// polls away, so that nothing is lost where routers stop posting.
const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(2);

/// Whom to ask, what, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    pub(crate) url: String,
    pub(crate) query: CounterQuery,
    pub(crate) interval: Duration,
}

/// What is to be polled, and the threads' place to wait.
pub(crate) struct Polling {
    counters: Counters,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    polls: Polls,
    looked: Option<Instant>,
}

impl Polling {
    pub(crate) fn new(counters: Counters) -> Self {
        let interval = SignedDuration::try_from(counters.interval).unwrap_or(SignedDuration::MAX);
        let waiting = Waiting { polls: Polls::new(interval), looked: None };
        Self { counters, waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    /// Starts the threads. They end with the process: the window of a poll under way is asked for again.
    pub(crate) fn start(self: &Arc<Self>, state: &Arc<State>) -> std::io::Result<()> {
        for index in 0..THREADS {
            let (polling, state) = (Arc::clone(self), Arc::clone(state));
            std::thread::Builder::new().name(format!("feedback-{index}")).spawn(move || {
                let client = Client::new();
                loop {
                    let job = polling.next_job(&state);
                    polling.run(&job, &client, &state);
                }
            })?;
        }
        Ok(())
    }

    /// Waits for the next job.
    fn next_job(&self, state: &State) -> Job {
        let mut waiting = self.lock();
        loop {
            let at = now();
            if waiting.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                waiting.looked = Some(Instant::now());
                let changed = waiting.polls.want(&self.alike(state), at);
                for (id, notes) in changed {
                    // One that is gone needs no warnings.
                    state.tell(Input::Note { id, notes });
                }
            }
            if let Some(job) = waiting.polls.take_due(at) {
                return job;
            }
            let wait = waiting.polls.next_due().map_or(LOOK, |due| until(due, at).min(LOOK));
            let waited = self.changed.wait_timeout(waiting, wait);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Every schedule, with the others that would be told the same requests. The default one is there
    /// whether anybody wants it or not: as long as nobody asked anything of it, it stands in nobody's way.
    fn alike(&self, state: &State) -> BTreeMap<ScheduleId, Others> {
        let mut by_scope: BTreeMap<String, Vec<ScheduleId>> = BTreeMap::new();
        for (id, _) in state.board.page(None, usize::MAX) {
            by_scope.entry(self.counters.query.scope(&id)).or_default().push(id);
        }
        let mut wanted = BTreeMap::new();
        for mut ids in by_scope.into_values() {
            if ids.len() > 1
                && ids.contains(&state.default_id)
                && state.engine().is_untouched(&state.default_id)
            {
                ids.retain(|id| *id != state.default_id);
            }
            wanted.extend(ids.iter().map(|id| (id.clone(), Others::of(id, &ids))));
        }
        wanted
    }

    fn run(&self, job: &Job, client: &Client, state: &State) {
        // Nothing here is known to panic; but a job that is never finished would never be due again.
        let asked = catch_unwind(AssertUnwindSafe(|| self.ask(job, client, state)));
        let result = match asked {
            Ok(Ok(result)) => result,
            Ok(Err(UnknownSchedule(id))) => return self.lock().polls.forget(&id),
            Err(_) => Err(AttemptError::Lost("the thread that asked failed".into())),
        };
        count(&result);
        let outcome = result.as_ref().map_or(Outcome::Failed, Clone::clone);
        let finished = self.lock().polls.finish(&job.id, &outcome, now());
        self.changed.notify_one();
        if let Some(notes) = finished.notes {
            // One that is gone needs no warnings.
            state.tell(Input::Note { id: job.id.clone(), notes });
        }
        if let Err(problem) = result {
            // The first failure of a row is worth a line; the others are counted in metrics.
            if finished.log {
                tracing::warn!(target: "engine_server::feedback", schedule = %job.id, %problem, "no counts of served requests");
            } else {
                tracing::debug!(target: "engine_server::feedback", schedule = %job.id, %problem, "still no counts of served requests");
            }
        }
    }

    /// Asks for what was served since somebody last told, and counts it.
    fn ask(
        &self,
        job: &Job,
        client: &Client,
        state: &State,
    ) -> Result<Result<Outcome, AttemptError>, UnknownSchedule> {
        let at = now();
        let from = match state.engine().polling(&job.id, at)? {
            engine::Polling::Posted { .. } => return Ok(Ok(Outcome::Posted)),
            engine::Polling::Wanted { from } => from.max(job.since),
        };
        let Some(Window { from, to, seconds, lost }) = Window::between(from, at) else {
            return Ok(Ok(Outcome::Early));
        };
        let counts = match self.counts(&job.id, seconds, to, client) {
            Ok(counts) if counts.is_empty() => return Ok(Ok(Outcome::Empty { end: to })),
            Ok(counts) => counts,
            Err(problem) => return Ok(Err(problem)),
        };
        let polled = match state.act_and_wait(Input::Poll { id: job.id.clone(), from, to, counts }) {
            Ok(Answer::Polled(polled)) => polled?,
            Ok(_) => return Ok(Err(AttemptError::Lost("the engine gave another answer".into()))),
            // The window stays open: it is asked for again.
            Err(refused) => return Ok(Err(AttemptError::Lost(refused.to_string()))),
        };
        Ok(Ok(match polled {
            Polled::Refused => Outcome::Posted,
            Polled::Counted { unknown } => {
                metrics::counter!("feedback_poll_lost_seconds_total").increment(lost);
                let requests = unknown.iter().map(|(_, requests)| requests).sum();
                metrics::counter!("feedback_unknown_flavour_requests_total").increment(requests);
                Outcome::Counted { unknown }
            }
        }))
    }

    fn counts(
        &self,
        id: &ScheduleId,
        seconds: u32,
        to: Timestamp,
        client: &Client,
    ) -> Result<Vec<(String, u64)>, AttemptError> {
        let request = self.counters.query.request(&self.counters.url, id, seconds, to);
        Ok(self.counters.query.parse(&client.fetch(&request, PATIENCE)?)?)
    }

    // A panic elsewhere leaves whole values here: the lock's poison says nothing.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A window that can be asked for: whole seconds, since queries have no finer ones everywhere.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    from: Timestamp,
    to: Timestamp,
    seconds: u32,
    /// Seconds before it that are not asked for.
    lost: u64,
}

impl Window {
    /// The whole seconds from `from` to `at`, the last two hours of them; none where there is no whole one.
    fn between(from: Timestamp, at: Timestamp) -> Option<Self> {
        let to = at.as_second();
        let whole = from.as_second() + i64::from(from.subsec_nanosecond() > 0);
        let start = whole.max(to.saturating_sub(MAX_WINDOW.as_secs()));
        let seconds = u32::try_from(to.checked_sub(start)?).ok().filter(|seconds| *seconds > 0)?;
        Some(Self {
            from: Timestamp::from_second(start).ok()?,
            to: Timestamp::from_second(to).ok()?,
            seconds,
            lost: u64::try_from(start - whole).unwrap_or(0),
        })
    }
}

/// Counts one poll.
fn count(result: &Result<Outcome, AttemptError>) {
    let outcome = match result {
        Ok(Outcome::Counted { .. }) => "ok",
        Ok(Outcome::Empty { .. }) => "empty",
        Ok(Outcome::Posted) => "posted",
        Ok(Outcome::Early | Outcome::Failed) => return,
        Err(problem) => outcome_of(problem),
    };
    metrics::counter!("feedback_polls_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_seconds_and_at_most_two_hours() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = |from, to| Window::between(at(from), at(to));
        let first = window("2026-01-01T00:00:00.4Z", "2026-01-01T00:00:15.9Z").unwrap();
        assert_eq!((first.from, first.to), (at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:15Z")));
        assert_eq!((first.seconds, first.lost), (14, 0));
        // The next one begins where it ended.
        let next = Window::between(first.to, at("2026-01-01T00:00:30.1Z")).unwrap();
        assert_eq!((next.from, next.seconds), (first.to, 15));
        let long = window("2026-01-01T00:00:00Z", "2026-01-01T02:00:07Z").unwrap();
        assert_eq!((long.from, long.seconds, long.lost), (at("2026-01-01T00:00:07Z"), 7_200, 7));
        for to in ["2026-01-01T00:00:00.9Z", "2026-01-01T00:00:01.9Z", "2025-01-01T00:00:00Z"] {
            assert_eq!(window("2026-01-01T00:00:00.95Z", to).filter(|window| window.seconds == 0), None);
        }
        assert_eq!(window("2026-01-01T00:00:01Z", "2026-01-01T00:00:01.9Z"), None);
        assert_eq!(window("2026-01-01T00:00:01Z", "2025-01-01T00:00:00Z"), None);
    }
}
