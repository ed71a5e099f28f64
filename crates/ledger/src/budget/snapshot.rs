//! An error budget at one moment, as a value.

use models::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::State;
use super::{Accounting, BudgetSettings, Span};

/// A copy of an error budget that can be questioned and stored. It survives storage to the last bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BudgetSnapshot(pub(super) State);

/// A snapshot that no budget can have had.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The settings are out of range.
    #[error(
        "the stored budget's window {window} or overdraft {overdraft} is out of range: expected a window of \
         at least 0 seconds, an overdraft in [0, 1]",
        window = .0.window, overdraft = .0.overdraft
    )]
    Settings(BudgetSettings),
    /// The balance is above the capacity, or the capacity below 0.
    #[error(
        "the stored balance {balance} and capacity {capacity} are not those of a budget: expected the \
             capacity at least 0, the balance at most that"
    )]
    Balance {
        /// The balance stored.
        balance: f64,
        /// The capacity stored.
        capacity: f64,
    },
    /// The intervals are out of order, too many, or their figures out of range.
    #[error(
        "the stored intervals are not those of a budget: expected at most {} of them, in order of time, \
             errors of at most 1 000 000 ppm",
        crate::MAX_OPEN
    )]
    Intervals,
    /// The realised sums are not what served requests add up to.
    #[error(
        "the stored sums of served error are not those of a budget: expected errors of at most 1 per request"
    )]
    Realised,
}

impl BudgetSnapshot {
    /// What was counted.
    pub fn accounting(&self) -> Accounting {
        self.0.accounting
    }

    /// What was in force.
    pub fn settings(&self) -> BudgetSettings {
        self.0.settings
    }

    /// The most that is banked, in requests x error (seconds x error, under [`Accounting::Time`]), at
    /// least 0.
    pub fn capacity(&self) -> f64 {
        self.0.capacity()
    }

    /// What was banked, at most [`BudgetSnapshot::capacity`]; below 0 it was overdrawn.
    pub fn balance(&self) -> f64 {
        self.0.balance()
    }

    /// How low the balance may be spent, at most 0.
    pub fn floor(&self) -> f64 {
        self.0.floor()
    }

    /// What was held back for intervals not booked yet, at least 0.
    pub fn held(&self) -> f64 {
        self.0.held()
    }

    /// Credit that could be spent; below 0 a debt.
    pub fn spendable(&self) -> f64 {
        self.0.spendable()
    }

    /// Requests served; 0 under [`Accounting::Time`].
    pub fn served_requests(&self) -> u64 {
        self.0.served_requests()
    }

    /// The sum of their errors; 0 under [`Accounting::Time`].
    pub fn served_error(&self) -> f64 {
        self.0.served_error()
    }

    /// Mean error over a span that ends at `now`, in [0, 1], were nothing served since; none where nothing
    /// was served at all.
    pub fn mean_error(&self, over: Span, now: Timestamp) -> Option<f64> {
        self.0.mean_error(over, now)
    }
}
