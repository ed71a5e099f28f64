//! A tokio task that turns a driver.

use std::ops::Deref;
use std::sync::Arc;

use models::Timestamp;
use tokio::runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{Driver, Turned};

/// A driver and the task that turns it, which ends with it, after a last turn. It is used as the [`Turned`] that it holds. A
/// turn takes some microseconds a schedule, and what a store takes that it is [keeping](Driver::keeping) records in: where
/// that is long, a thread is the better place.
pub struct TaskDriver {
    turned: Arc<Turned>,
    task: JoinHandle<()>,
}

impl TaskDriver {
    /// Starts a task on `runtime`, whose timers are enabled, that turns `driver` by `clock`.
    pub fn start(
        runtime: &runtime::Handle,
        driver: Driver,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let told = Arc::clone(&changed);
        let turned = Arc::new(Turned::new(driver, clock, move || changed.notify_one()));
        let turning = Arc::clone(&turned);
        let task = runtime.spawn(async move {
            loop {
                let wait = turning.turn();
                // Whichever comes first: it is time, or something changed.
                let _ = tokio::time::timeout(wait, told.notified()).await;
            }
        });
        Self { turned, task }
    }

    /// Whether the task goes on: one that a policy, publisher or store of yours has panicked in does not.
    pub fn is_turning(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Deref for TaskDriver {
    type Target = Turned;

    fn deref(&self) -> &Turned {
        &self.turned
    }
}

impl Drop for TaskDriver {
    fn drop(&mut self) {
        self.task.abort();
        self.turned.turn();
    }
}
