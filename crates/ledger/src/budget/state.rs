//! All that a budget is, as it is stored, and what can be asked of it.
//!
//! What storage brought back can be asked too, before anybody has checked it: answers saturate.

use models::Timestamp;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::amount::{PPM, plain, target_ppm};
use super::intervals::Intervals;
use super::realised::{Realised, Span};
use super::{Accounting, BudgetError, BudgetSettings};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) settings: BudgetSettings,
    pub(super) accounting: Accounting,
    /// The target last heard of, in ppm; none before there was one.
    pub(super) target: Option<u32>,
    pub(super) account: Account,
    pub(super) intervals: Intervals,
    pub(super) realised: Realised,
}

impl State {
    pub(super) fn new(settings: BudgetSettings) -> Self {
        Self {
            settings,
            accounting: Accounting::Time,
            target: None,
            account: Account::default(),
            intervals: Intervals::new(),
            realised: Realised::default(),
        }
    }

    pub(super) fn capacity(&self) -> f64 {
        plain(self.account.capacity())
    }

    pub(super) fn balance(&self) -> f64 {
        plain(self.account.balance())
    }

    pub(super) fn floor(&self) -> f64 {
        plain(self.exact_floor())
    }

    pub(super) fn held(&self) -> f64 {
        plain(self.intervals.held())
    }

    pub(super) fn spendable(&self) -> f64 {
        plain(self.above_floor().saturating_sub(self.intervals.held()))
    }

    pub(super) fn above_floor(&self) -> i128 {
        self.account.balance().saturating_sub(self.exact_floor())
    }

    pub(super) fn served_requests(&self) -> u64 {
        self.served().map_or(0, Realised::weight)
    }

    pub(super) fn served_error(&self) -> f64 {
        self.served().map_or(0.0, Realised::error)
    }

    pub(super) fn mean_error(&self, over: Span, now: Timestamp) -> Option<f64> {
        self.realised.mean(over, now.as_second())
    }

    fn exact_floor(&self) -> i128 {
        self.account.floor(target_ppm(self.settings.overdraft))
    }

    /// What was served, if that is what is counted.
    fn served(&self) -> Option<&Realised> {
        (self.accounting == Accounting::Requests).then_some(&self.realised)
    }

    /// Whether a budget can have had this state.
    pub(super) fn check(&self) -> Result<(), BudgetError> {
        if self.settings.checked() != self.settings {
            return Err(BudgetError::Settings(self.settings));
        }
        if !self.account.is_sound() {
            return Err(BudgetError::Balance { balance: self.balance(), capacity: self.capacity() });
        }
        if !self.intervals.is_sound() || self.target.is_some_and(|target| target > PPM) {
            return Err(BudgetError::Intervals);
        }
        if !self.realised.is_sound() {
            return Err(BudgetError::Realised);
        }
        Ok(())
    }
}
