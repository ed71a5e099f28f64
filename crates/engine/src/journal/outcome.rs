//! What was published, short enough to be written down each time.

use std::sync::{Mutex, PoisonError};

use models::ScheduleId;
use serde::{Deserialize, Serialize};

use crate::board::{Publisher, View};

/// What was published of a schedule, as far as it takes to tell whether something else was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which schedule.
    pub id: ScheduleId,
    /// Percent of each flavour, in the order of the configuration; none where nothing could be evaluated.
    pub weights: Vec<u8>,
    /// CRC-32 (ISO-HDLC) of the document's bytes, or of the reason why there is none.
    pub digest: u32,
}

/// Gathers outcomes: a publisher to be asked after each input.
#[derive(Debug, Default)]
pub struct Outcomes(Mutex<Vec<Outcome>>);

impl Outcome {
    /// What `view` comes to.
    pub fn of(id: &ScheduleId, view: &View) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        let weights = match view {
            View::Schedule(published) => {
                published.document.parts().into_iter().for_each(|part| hasher.update(part));
                published.schedule.flavours.iter().map(|share| share.weight).collect()
            }
            View::Pending(reason) => {
                hasher.update(reason.as_bytes());
                Vec::new()
            }
        };
        Self { id: id.clone(), weights, digest: hasher.finalize() }
    }
}

impl Outcomes {
    /// What was published since this was last asked.
    pub fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Publisher for Outcomes {
    fn publish(&self, id: &ScheduleId, view: &View) {
        let outcome = Outcome::of(id, view);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    fn withdraw(&self, _: &ScheduleId) {}
}
