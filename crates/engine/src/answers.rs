//! What the engine answers.

use jiff::SignedDuration;
use models::Timestamp;

/// A configuration that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Whether anything changed.
    pub changed: bool,
    /// What a user should know.
    pub warnings: Vec<String>,
    /// Counts configurations: a change adds one.
    pub generation: u64,
}

/// What feedback did.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FeedbackReport {
    /// Mean precision of this post; none where it counts no request.
    pub realized_precision: Option<f64>,
    /// Balance of the credit ledger, settled.
    pub credit_balance: f64,
    /// Velocity of the credit ledger.
    pub credit_velocity: f64,
    /// Requests of this post.
    pub total_requests: u64,
    /// Whether this post was counted before, by its source and sequence or by a poll: nothing was counted now.
    pub duplicate: bool,
}

/// What a poll's counts did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polled {
    /// They were counted.
    Counted {
        /// Flavours that are not the schedule's, with the requests that were left out.
        unknown: Vec<(String, u64)>,
    },
    /// Nothing was: something of the window is accounted for already, or a router posts.
    Refused,
}

/// What a tick did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Evaluations made.
    pub evaluated: usize,
    /// When to tick again; at once, where it is not later than the tick's own instant.
    pub next_due: Option<Timestamp>,
}

/// What the schedules of one carbon target ask of its forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WantedForecast {
    /// Shortest `carbonCacheTTL` among them.
    pub ttl: SignedDuration,
    /// Longest `carbonTimeout` among them.
    pub timeout: SignedDuration,
}

/// What there is in an error budget, requests x error (seconds x error under `time`).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Holdings {
    /// Held back for what was published and not reported yet; >= 0.
    pub held: f64,
    /// The balance above the overdraft less that; below 0 it is a debt.
    pub spendable: f64,
}
