//! A tokio task that turns a driver.

use std::sync::Arc;

use models::{ScheduleId, Timestamp};
use tokio::runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::turning::Turned;
use super::{Driver, Handle};
use crate::engine::Engine;

/// A driver and the task that turns it, which ends with it. Picks and records never wait for either.
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
        self.shared.turned.handle(id)
    }

    /// Changes the engine, as [`Driver::update`] does, at the instant that is handed in. It waits for a turn that is
    /// going on, for some microseconds a schedule.
    pub fn update<T>(&self, change: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let answer = self.shared.turned.update(change);
        self.shared.changed.notify_one();
        answer
    }

    /// Looks at the driver: its counters, its engine.
    pub fn with<T>(&self, look: impl FnOnce(&Driver) -> T) -> T {
        self.shared.turned.with(look)
    }

    /// One more turn, now: what was recorded is booked. The last thing to do before a process ends.
    pub fn settle(&self) {
        self.shared.turned.turn();
    }
}

impl Drop for TaskDriver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
