//! What an engine is, written down: its options, what it knows of each carbon target, and each schedule.
//!
//! A state is opaque to whoever keeps it. It goes through any format of serde that names fields and has floats
//! of 64 bits; what comes back is checked before it is taken up, and goes on to the last bit as what was saved.

mod schedule;
mod target;

use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonTarget, Overrides, ScheduleId, Timestamp};
use providers::archive::Archive;
use serde::{Deserialize, Serialize};

use crate::options::{EngineOptions, Spread, TargetCheck};
pub use schedule::ScheduleState;
pub use target::TargetState;

/// One part of what an engine is. [`EngineState`] comes first, then targets, then schedules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Part {
    /// What there is once.
    Engine(Box<EngineState>),
    /// What is known of a carbon target.
    Target(CarbonTarget, Box<TargetState>),
    /// A schedule.
    Schedule(ScheduleId, Box<ScheduleState>),
    /// What was forecast and measured so far: of whoever keeps that beside an engine, which passes it over.
    Archive(Box<Archive>),
}

/// What there is once: the options that decisions depend on, and counters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineState {
    /// The options.
    pub options: StoredOptions,
    pub(crate) published: u64,
    pub(crate) last_tick: Timestamp,
}

/// [`EngineOptions`] but for who says which carbon targets exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredOptions {
    /// The layer below every schedule's own configuration.
    pub defaults: Overrides,
    /// Root of every random stream.
    pub seed: u64,
    spread_by_name: bool,
    slot_lead: SignedDuration,
    max_planned_interval: SignedDuration,
    ends_at: Option<Timestamp>,
    max_schedules: usize,
}

impl From<&EngineOptions> for StoredOptions {
    fn from(options: &EngineOptions) -> Self {
        Self {
            defaults: options.defaults.clone(),
            seed: options.seed,
            spread_by_name: options.spread == Spread::ByName,
            slot_lead: options.slot_lead,
            max_planned_interval: options.max_planned_interval,
            ends_at: options.ends_at,
            max_schedules: options.max_schedules,
        }
    }
}

impl StoredOptions {
    /// The options they were made of, with `targets` to say which carbon targets exist. Documents are written.
    pub fn options(&self, targets: Arc<dyn TargetCheck>) -> EngineOptions {
        EngineOptions {
            defaults: self.defaults.clone(),
            seed: self.seed,
            spread: if self.spread_by_name { Spread::ByName } else { Spread::None },
            slot_lead: self.slot_lead,
            max_planned_interval: self.max_planned_interval,
            ends_at: self.ends_at,
            documents: true,
            max_schedules: self.max_schedules,
            targets,
        }
    }
}

/// A stored state that no engine can have had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored state of {of} is not one that this engine can have had: {problem}")]
pub struct BadState {
    /// Of what.
    pub of: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl BadState {
    pub(crate) fn new(of: &impl ToString, problem: &(impl ToString + ?Sized)) -> Self {
        Self { of: of.to_string(), problem: problem.to_string() }
    }
}
