//! The loop that turns the engine's crank.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Tick;
use metrics_exporter_prometheus::PrometheusHandle;
use models::Timestamp;

use crate::forecasts::Refresh;
use crate::sampling;
use crate::state::{State, now, until};

/// The clock is looked at this often at least: it can be set, and timers do not know.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often is looked whether evaluations have to be made here.
const WATCH: Duration = Duration::from_millis(100);
/// A pause between looks at which forecasts are wanted: a storm of PUTs is not a storm of those.
const WANTED_PAUSE: Duration = Duration::from_millis(250);
/// How often the recorder folds what was recorded into its histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// Evaluates what is due and tells the refresher what is wanted, for ever.
pub(crate) async fn turn(state: Arc<State>, refresh: Arc<Refresh>, recorder: PrometheusHandle) {
    let mut wanted_revision = None;
    let mut wanted_looked = Instant::now();
    let mut upkept = Instant::now();
    loop {
        let tick = state.tick(now());
        let wanted = {
            let engine = state.engine();
            let revision = engine.wanted_revision();
            let look = wanted_revision != Some(revision)
                && (wanted_revision.is_none() || wanted_looked.elapsed() >= WANTED_PAUSE);
            look.then(|| {
                wanted_revision = Some(revision);
                wanted_looked = Instant::now();
                engine.wanted()
            })
        };
        if let Some(wanted) = wanted {
            refresh.want(wanted.into_iter());
        }
        if upkept.elapsed() >= UPKEEP {
            recorder.run_upkeep();
            sampling::tell_left_out(Some(Instant::now()));
            upkept = Instant::now();
        }
        let (due, revision) = {
            let engine = state.engine();
            state.known.note(&engine);
            state.life.turned(Instant::now(), engine.next_due());
            (engine.next_due(), engine.wanted_revision())
        };
        let wait = match (tick, due) {
            // Whoever writes things down may stop doing it.
            (None, _) => WATCH,
            (Some(_), due) => due.map_or(LONGEST_WAIT, |due| until(due, now()).min(LONGEST_WAIT)),
        };
        if wait.is_zero() {
            // More is due already: let requests in between.
            tokio::task::yield_now().await;
            continue;
        }
        let wait = if wanted_revision == Some(revision) { wait } else { wait.min(WANTED_PAUSE) };
        let _ = tokio::time::timeout(wait, state.wake.notified()).await;
    }
}

/// A tick that begins, to be counted when it is over.
pub(crate) struct Turn {
    started: Instant,
    /// How long its first evaluation has been due.
    late: Duration,
}

impl Turn {
    /// One whose first evaluation was due then.
    pub(crate) fn begin(due: Option<Timestamp>) -> Self {
        let now = now();
        Self { started: Instant::now(), late: due.map_or(Duration::ZERO, |due| until(now, due)) }
    }

    /// Counts its evaluations.
    pub(crate) fn end(&self, tick: &Tick) {
        if tick.evaluated > 0 {
            let count = u32::try_from(tick.evaluated).unwrap_or(u32::MAX);
            let each = self.started.elapsed().as_secs_f64() / f64::from(count);
            metrics::histogram!("scheduler_evaluation_duration_seconds").record_many(each, tick.evaluated);
            // The first of a tick has waited longest.
            metrics::histogram!("scheduler_evaluation_lateness_seconds")
                .record_many(self.late.as_secs_f64(), tick.evaluated);
            metrics::counter!("scheduler_evaluations_total").increment(u64::from(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::{Engine, EngineOptions};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use models::ScheduleId;
    use policies::Registry;
    use providers::Chain;
    use providers::archive::Bounds;

    use super::*;
    use crate::vintages::Vintages;

    #[track_caller]
    fn eventually(what: &str, look: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !look() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_loop_that_cannot_have_the_engine_does_not_turn() {
        let engine = Engine::new(EngineOptions::default(), Registry::builtin());
        let id = ScheduleId::new("shop", "search").unwrap();
        let state = Arc::new(State::new(engine, Vintages::new(Bounds::default()), id, 0, true, None));
        let refresh = Arc::new(Refresh::new(Chain::new(Vec::new()), 0));
        let recorder = PrometheusBuilder::new().build_recorder().handle();
        state.life.set_serving(Instant::now());
        let looping = Arc::clone(&state);
        // It ends with the process.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(turn(looping, refresh, recorder));
        });
        let held = state.engine();
        eventually("it waits", || state.life.idle(Instant::now()) > LONGEST_WAIT + WANTED_PAUSE);
        drop(held);
        let again = Instant::now();
        eventually("it turns again", || state.life.idle(Instant::now()) < again.elapsed());
    }
}
