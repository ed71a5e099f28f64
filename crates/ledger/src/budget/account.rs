//! The balance and how much of it is banked.

use serde::{Deserialize, Serialize};

use super::amount::{MOST, PPM, share_of};
use crate::exact;

/// Credit in ppm x requests (or seconds). Capped from above by the capacity, and from below by nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Account {
    #[serde(with = "exact")]
    balance: i128,
    #[serde(with = "exact")]
    capacity: i128,
    /// Whether anybody said what to expect. Until then it is what was served so far.
    expected: bool,
}

impl Account {
    /// Caps the balance anew. A count that is not finite says nothing: the capacity stays.
    pub(super) fn expect(&mut self, target: u32, in_window: f64) {
        if !in_window.is_finite() {
            return;
        }
        self.expected = true;
        self.capacity = share_of(in_window, target);
        self.balance = self.balance.min(self.capacity);
    }

    /// Books `earned - spent`, both at least 0.
    pub(super) fn book(&mut self, earned: i128, spent: i128) {
        if !self.expected {
            self.capacity = self.capacity.saturating_add(earned).min(MOST);
        }
        let balance = self.balance.saturating_add(earned).saturating_sub(spent);
        self.balance = balance.min(self.capacity);
    }

    pub(super) fn balance(&self) -> i128 {
        self.balance
    }

    pub(super) fn capacity(&self) -> i128 {
        self.capacity
    }

    /// How low the balance may be spent: `overdraft` ppm of the capacity below 0, rounded towards 0.
    pub(super) fn floor(&self, overdraft: u32) -> i128 {
        -(self.capacity.saturating_mul(overdraft.into()) / i128::from(PPM))
    }

    /// Whether it can have been made here.
    pub(super) fn is_sound(&self) -> bool {
        (0..=MOST).contains(&self.capacity) && self.balance <= self.capacity
    }
}
