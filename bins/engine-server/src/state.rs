//! What handlers and tasks share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Board, Engine};
use jiff::{RoundMode, SignedDuration, TimestampRound, Unit};
use models::{ScheduleId, Timestamp};
use tokio::sync::Notify;

use crate::vintages::Vintages;

/// The one engine, its board, and what wakes its loop.
pub(crate) struct State {
    engine: Mutex<Engine>,
    pub(crate) board: Arc<Board>,
    /// What was forecast and measured so far.
    pub(crate) vintages: Vintages,
    /// Something may be due sooner, or other forecasts be wanted.
    pub(crate) wake: Notify,
    pub(crate) default_id: ScheduleId,
    /// Different for every start: entity tags of one process never match another's.
    pub(crate) instance: u64,
    /// Whether anyone who reaches the port may write.
    pub(crate) anonymous_writes: bool,
    ready: AtomicBool,
}

impl State {
    pub(crate) fn new(
        engine: Engine,
        vintages: Vintages,
        default_id: ScheduleId,
        instance: u64,
        anonymous_writes: bool,
    ) -> Self {
        let board = Arc::clone(engine.board());
        Self {
            engine: Mutex::new(engine),
            board,
            vintages,
            wake: Notify::new(),
            default_id,
            instance,
            anonymous_writes,
            ready: AtomicBool::new(false),
        }
    }

    /// The engine, for a few microseconds: nobody holds it across a wait.
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether state is restored and the first evaluations are out.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}

/// The wall clock, to the millisecond: what is published reads better, and nothing here is finer.
pub(crate) fn now() -> Timestamp {
    let exact = Timestamp::now();
    let rounding = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Floor);
    exact.round(rounding).unwrap_or(exact)
}

/// How long until `at`, from `now` on; nothing if it has passed.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> std::time::Duration {
    at.duration_since(now).max(SignedDuration::ZERO).unsigned_abs()
}
