//! The ways a request to the engine can fail.

use models::{Problems, ScheduleId};

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
