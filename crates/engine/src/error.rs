//! The ways a request to the engine can fail.

use std::sync::Arc;

use models::{CarbonTarget, Problems, ScheduleId, Signal};

/// No such schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown schedule {0}")]
pub struct UnknownSchedule(pub ScheduleId);

/// A configuration that was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigureError {
    /// A value that cannot be.
    #[error("{0}")]
    Invalid(#[from] Problems),
    /// There are as many schedules as this engine takes.
    #[error(
        "{limit} schedules are configured already, the most this engine takes: delete one first, or raise the limit"
    )]
    TooManySchedules {
        /// How many it takes.
        limit: usize,
    },
}

/// Feedback that was not counted, or an override that was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such schedule.
    #[error(transparent)]
    Unknown(#[from] UnknownSchedule),
    /// A value that cannot be.
    #[error("{0}")]
    Invalid(#[from] Problems),
}

/// A forecast that was not taken in: one series never mixes average and marginal intensity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the forecast of `{target}` by {provider} is of {given} carbon intensity, but what is known of this \
     target is {expected}: expected {expected} there, or the {given} forecast under a carbon target of its own"
)]
pub struct MixedSignals {
    /// What the forecast was for.
    pub target: CarbonTarget,
    /// Who made it.
    pub provider: Arc<str>,
    /// What the forecasts of this target were of so far.
    pub expected: Signal,
    /// What this one is of.
    pub given: Signal,
}
