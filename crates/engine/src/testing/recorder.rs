//! A publisher that remembers everything.

use std::sync::{Mutex, PoisonError};

use models::ScheduleId;

use crate::board::{Publisher, View};

/// Remembers every view in order, until it is asked: for tests of whatever turns an engine.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Seen>>);

/// Something that a publisher was told.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of which schedule.
    pub id: ScheduleId,
    /// Its new view; none where it was withdrawn.
    pub view: Option<View>,
}

impl Recorder {
    /// What was published since this was last asked.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, id: &ScheduleId, view: Option<View>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Seen { id: id.clone(), view });
    }
}

impl Publisher for Recorder {
    fn publish(&self, id: &ScheduleId, view: &View) {
        self.note(id, Some(view.clone()));
    }

    fn withdraw(&self, id: &ScheduleId) {
        self.note(id, None);
    }
}
