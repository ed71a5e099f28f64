//! A ledger at one moment, as a value.

use jiff::SignedDuration;
use models::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bounds::Bounds;
use crate::exact;
use crate::history::History;

/// A copy of a ledger that can be questioned and stored. It survives storage to the last bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreditSnapshot {
    pub(crate) bounds: Bounds,
    pub(crate) window: SignedDuration,
    #[serde(with = "exact")]
    pub(crate) balance: f64,
    /// The balance before the newest posting.
    #[serde(with = "exact")]
    pub(crate) before: f64,
    pub(crate) history: History,
}

impl CreditSnapshot {
    /// Credit banked, within [`CreditSnapshot::bounds`].
    pub fn balance(&self) -> f64 {
        self.balance
    }

    /// How far the balance may go.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The window of the velocity.
    pub fn window(&self) -> SignedDuration {
        self.window
    }

    /// Credit that can still be banked before the balance is at its upper bound, at least 0.
    pub fn headroom(&self) -> f64 {
        (self.bounds.max() - self.balance).max(0.0)
    }

    /// Credit that can still be spent before the balance is at its lower bound, at least 0.
    pub fn spendable(&self) -> f64 {
        (self.balance - self.bounds.min()).max(0.0)
    }

    /// Mean posting over those in `(now - window, now]`, were nothing posted until then; 0 where there is
    /// none. An instant before the latest posting counts as that one.
    pub fn velocity_at(&self, now: Timestamp) -> f64 {
        self.history.recount(now, self.window).0
    }

    /// How many postings the velocity is a mean of at `now`, were nothing posted until then.
    pub fn postings_at(&self, now: Timestamp) -> u64 {
        self.history.recount(now, self.window).1
    }

    /// The instant of the latest posting, if there was one.
    pub fn latest_posting(&self) -> Option<Timestamp> {
        self.history.latest()
    }
}

/// A snapshot that no ledger can have had.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The balance is outside of its bounds.
    #[error("the stored balance {balance} is outside of its bounds [{min}, {max}]")]
    Balance {
        /// The balance stored.
        balance: f64,
        /// Its lower bound.
        min: f64,
        /// Its upper bound.
        max: f64,
    },
    /// The window is negative.
    #[error("the stored window {0} is negative: expected at least 0 seconds")]
    Window(SignedDuration),
    /// The postings are out of order, too many, or not what postings add up to.
    #[error(
        "the stored postings are not those of a ledger: expected them in order of time, each figure in [0, 1]"
    )]
    History,
}
