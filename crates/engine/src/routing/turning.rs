//! A driver that is turned by somebody else than its owner: what a thread and a task have in common.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use models::{ScheduleId, Timestamp};

use super::{Driver, Handle};
use crate::engine::Engine;
use crate::journal::{Answer, Input, StoreError};

/// Nobody sleeps longer, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// A driver that a `ThreadDriver` or a `TaskDriver` turns, for whoever has that one. It stands behind a lock that neither a pick
/// nor a record takes. What is asked for here waits for a turn that is going on; whoever asks for it within
/// [`Turned::update`] or [`Turned::with`], or from a publisher, waits for ever.
pub struct Turned {
    driver: Mutex<Driver>,
    /// Says what time it is.
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Tells whoever turns that there is news.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Turned {
    pub(super) fn new(
        driver: Driver,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { driver: Mutex::new(driver), clock: Box::new(clock), wake: Box::new(wake) }
    }

    /// A handle of a schedule, which may be configured later.
    pub fn handle(&self, id: &ScheduleId) -> Handle {
        self.act(|driver, now| driver.handle(id, now))
    }

    /// Changes the engine, as [`Driver::update`] does, at the instant that is handed in.
    pub fn update<T>(&self, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        self.act(|driver, now| driver.update(now, change))
    }

    /// Acts upon something that comes in, as [`Driver::apply`] does, at the instant that the clock says.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn apply(&self, input: Input) -> Result<Answer, StoreError> {
        self.act(|driver, now| driver.apply(input, now))
    }

    /// Looks at the driver: its counters, its engine.
    pub fn with<T>(&self, look: impl FnOnce(&Driver) -> T) -> T {
        look(&self.lock())
    }

    /// One more turn, now: what was recorded is booked.
    pub fn settle(&self) {
        self.turn();
    }

    /// One turn. Answers for how long there is nothing to do.
    pub(super) fn turn(&self) -> Duration {
        let tick = self.lock().tick((self.clock)());
        // By the clock of now: a turn takes its time.
        let wait = tick.next_due.map(|due| due.duration_since((self.clock)()));
        wait.map_or(LONGEST_SLEEP, |wait| {
            Duration::try_from(wait).unwrap_or(Duration::ZERO).min(LONGEST_SLEEP)
        })
    }

    /// Does something with the driver after which something else may be due.
    fn act<T>(&self, act: impl FnOnce(&mut Driver, Timestamp) -> T) -> T {
        // The lock is given back before anybody is woken.
        let answer = act(&mut self.lock(), (self.clock)());
        (self.wake)();
        answer
    }

    // What panicked was a change, a policy or a publisher of the caller's: the engine answers as it is.
    fn lock(&self) -> MutexGuard<'_, Driver> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
