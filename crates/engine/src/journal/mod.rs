//! What comes in, as values: written down in order with their times, they make the same engine again.
//!
//! ```text
//! Input + instant ──> Record ──> Store::commit      made durable first,
//!                       │
//!                       └──────> Engine::apply      then acted upon, in the same order
//!                                     │
//!                                     └──> Outcome  what was published, to be compared in a replay
//! ```
//!
//! Whoever keeps every [`Record`] from an engine's beginning, or from a base of [`Part`](crate::Part)s on, can
//! make that engine again with [`Engine::apply`](crate::Engine::apply): the same inputs in the same order give the same bytes.

mod apply;
mod line;
mod memory;
mod outcome;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use models::{CarbonTarget, Feedback, Forecast, Manual, Overrides, ScheduleId, Slot, Timestamp};
use serde::{Deserialize, Serialize};

use crate::stored::StoredOptions;
pub use apply::Answer;
pub use line::{LINES_VERSION, Line};
pub use memory::Memory;
pub use outcome::{Outcome, Outcomes};
pub use store::{BaseParts, Changes, Kept, Recovered, Store, StoreError, recover, recover_shown};

/// What came in, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// The engine's time when it was acted upon.
    pub at: Timestamp,
    /// What came in.
    pub input: Input,
}

/// Something that changes an engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Input {
    /// A process began, with these options: every schedule is evaluated anew, under what is left of its
    /// configuration with the new defaults.
    Start {
        /// The options.
        options: Box<StoredOptions>,
        /// Carbon targets of schedules that no provider has, each with the sentence that says so.
        refused: BTreeMap<CarbonTarget, String>,
    },
    /// [`Engine::configure`](crate::Engine::configure).
    Configure {
        /// Of which schedule.
        id: ScheduleId,
        /// The whole desired configuration.
        overrides: Overrides,
        /// Why its carbon target is not one, where no provider has it.
        refused: Option<String>,
    },
    /// [`Engine::configure_in_cluster`](crate::Engine::configure_in_cluster).
    ConfigureInCluster {
        /// Of which schedule.
        id: ScheduleId,
        /// What its cluster asks for.
        wanted: Overrides,
        /// Why its carbon target is not one, where no provider has it.
        refused: Option<String>,
    },
    /// [`Engine::leave_cluster`](crate::Engine::leave_cluster).
    LeaveCluster {
        /// Which schedule.
        id: ScheduleId,
        /// Whether there is to be one all the same.
        stay: bool,
    },
    /// [`Engine::remove`](crate::Engine::remove).
    Remove {
        /// Which schedule.
        id: ScheduleId,
    },
    /// [`Engine::reset`](crate::Engine::reset).
    Reset {
        /// Which schedule.
        id: ScheduleId,
    },
    /// [`Engine::set_manual`](crate::Engine::set_manual).
    SetManual {
        /// Of which schedule.
        id: ScheduleId,
        /// The override.
        manual: Manual,
    },
    /// [`Engine::clear_manual`](crate::Engine::clear_manual).
    ClearManual {
        /// Of which schedule.
        id: ScheduleId,
    },
    /// [`Engine::feedback`](crate::Engine::feedback).
    Feedback {
        /// Of which schedule.
        id: ScheduleId,
        /// What was served.
        feedback: Feedback,
    },
    /// [`Engine::poll`](crate::Engine::poll).
    Poll {
        /// Of which schedule.
        id: ScheduleId,
        /// First instant of the window.
        from: Timestamp,
        /// First instant after it.
        to: Timestamp,
        /// Requests by flavour.
        counts: Vec<(String, u64)>,
    },
    /// [`Engine::note`](crate::Engine::note).
    Note {
        /// Of which schedule.
        id: ScheduleId,
        /// What is to be said.
        notes: Vec<Arc<str>>,
    },
    /// [`Engine::observe_forecast`](crate::Engine::observe_forecast), then
    /// [`Engine::observe_actual`](crate::Engine::observe_actual) of each actual value.
    Forecast {
        /// Of which carbon target.
        target: CarbonTarget,
        /// The forecast.
        forecast: Arc<Forecast>,
        /// What was measured meanwhile.
        actuals: Vec<Slot>,
        /// Whether it is the one to be published; of another only what was measured counts here.
        is_current: bool,
    },
    /// [`Engine::tick`](crate::Engine::tick).
    Tick,
    /// Something was acted upon without having been written down: from here on, until the next base, a replay
    /// need not come to the same.
    Unrecorded,
}

impl Input {
    /// Which schedule it is about; none where it is about several.
    pub fn schedule(&self) -> Option<&ScheduleId> {
        match self {
            Self::Configure { id, .. }
            | Self::ConfigureInCluster { id, .. }
            | Self::LeaveCluster { id, .. }
            | Self::Remove { id }
            | Self::Reset { id }
            | Self::SetManual { id, .. }
            | Self::ClearManual { id }
            | Self::Feedback { id, .. }
            | Self::Poll { id, .. }
            | Self::Note { id, .. } => Some(id),
            Self::Start { .. } | Self::Forecast { .. } | Self::Tick | Self::Unrecorded => None,
        }
    }

    /// A word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Configure { .. } => "configure",
            Self::ConfigureInCluster { .. } => "configure in cluster",
            Self::LeaveCluster { .. } => "leave cluster",
            Self::Remove { .. } => "remove",
            Self::Reset { .. } => "reset",
            Self::SetManual { .. } => "manual",
            Self::ClearManual { .. } => "clear manual",
            Self::Feedback { .. } => "feedback",
            Self::Poll { .. } => "poll",
            Self::Note { .. } => "note",
            Self::Forecast { .. } => "forecast",
            Self::Tick => "tick",
            Self::Unrecorded => "unrecorded",
        }
    }
}
