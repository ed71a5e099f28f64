//! What has to be written to the cluster, on its way from who decides to who writes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use engine::{Publisher, View};
use models::ScheduleId;
use tokio::sync::Notify;

/// Names of schedules that were decided anew, each at most once: a queue that no API server, however slow, makes
/// longer than there are schedules.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    ids: Mutex<BTreeSet<ScheduleId>>,
    some: Notify,
}

impl Changes {
    /// Adds one.
    pub(super) fn note(&self, id: &ScheduleId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        self.some.notify_one();
    }

    /// All of them; none are left.
    pub(super) fn take(&self) -> BTreeSet<ScheduleId> {
        std::mem::take(&mut self.ids.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there are some.
    pub(super) async fn some(&self) {
        self.some.notified().await;
    }
}

impl Publisher for Changes {
    fn publish(&self, id: &ScheduleId, _: &View) {
        self.note(id);
    }

    fn withdraw(&self, id: &ScheduleId) {
        self.note(id);
    }
}
