//! A driver that is turned by somebody else than its owner: what a thread and a task have in common.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use models::{ScheduleId, Timestamp};

use super::{Driver, Handle};
use crate::engine::Engine;
use crate::journal::{Answer, Input, StoreError};

/// Nobody sleeps longer, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Says what time it is.
pub(super) type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A driver behind a lock that neither a pick nor a record takes.
pub(super) struct Turned {
    driver: Mutex<Driver>,
    clock: Clock,
}

impl Turned {
    pub(super) fn new(driver: Driver, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { driver: Mutex::new(driver), clock: Box::new(clock) }
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

    pub(super) fn handle(&self, id: &ScheduleId) -> Handle {
        self.lock().handle(id, (self.clock)())
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let mut driver = self.lock();
        driver.update((self.clock)(), change)
    }

    pub(super) fn apply(&self, input: Input) -> Result<Answer, StoreError> {
        self.lock().apply(input, (self.clock)())
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&Driver) -> T) -> T {
        look(&self.lock())
    }

    // What panicked was a change, a policy or a publisher of the caller's: the engine answers as it is.
    fn lock(&self) -> MutexGuard<'_, Driver> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
