//! A tokio task that turns a driver.

use std::sync::Arc;

use models::{ScheduleId, Timestamp};
use tokio::runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::turning::Turned;
use super::{Driver, Handle};
use crate::engine::Engine;
use crate::journal::{Answer, Input, StoreError};

/// A driver and the task that turns it, which ends with it, after a last turn. Picks and records never wait for either. A turn
/// takes some microseconds a schedule, and what a store takes that it is [keeping](Driver::keeping) records in: where
/// that is long, a thread is the better place.
pub struct TaskDriver {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    turned: Turned,
    changed: Notify,
}

impl TaskDriver {
    /// Starts a task on `runtime`, whose timers are enabled, that turns `driver` by `clock`.
    pub fn start(
        runtime: &runtime::Handle,
        driver: Driver,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared { turned: Turned::new(driver, clock), changed: Notify::new() });
        let turning = Arc::clone(&shared);
        let task = runtime.spawn(async move {
            loop {
                let wait = turning.turned.turn();
                // Whichever comes first: it is time, or something changed.
                let _ = tokio::time::timeout(wait, turning.changed.notified()).await;
            }
        });
        Self { shared, task }
    }

    /// A handle of a schedule, which may be configured later.
    pub fn handle(&self, id: &ScheduleId) -> Handle {
        let handle = self.shared.turned.handle(id);
        self.shared.changed.notify_one();
        handle
    }

    /// Changes the engine, as [`Driver::update`] does, at the instant that is handed in. It waits for a turn that is
    /// going on; whoever asks this driver for something from in there waits for ever.
    pub fn update<T>(&self, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let answer = self.shared.turned.update(change);
        self.shared.changed.notify_one();
        answer
    }

    /// Acts upon something that comes in, as [`Driver::apply`] does, at the instant that the clock says.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn apply(&self, input: Input) -> Result<Answer, StoreError> {
        let answer = self.shared.turned.apply(input);
        self.shared.changed.notify_one();
        answer
    }

    /// Looks at the driver: its counters, its engine. Whoever asks the driver for something from in here waits for ever.
    pub fn with<T>(&self, look: impl FnOnce(&Driver) -> T) -> T {
        self.shared.turned.with(look)
    }

    /// Whether the task goes on: one that a policy, publisher or store of yours has panicked in does not.
    pub fn is_turning(&self) -> bool {
        !self.task.is_finished()
    }

    /// One more turn, now: what was recorded is booked.
    pub fn settle(&self) {
        self.shared.turned.turn();
    }
}

impl Drop for TaskDriver {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.turned.turn();
    }
}
