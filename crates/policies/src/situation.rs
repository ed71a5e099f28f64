//! What a policy looks at.

use ledger::Bounds;

use crate::Menu;

/// Everything one decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The flavours to choose from.
    pub menu: &'a Menu,
    /// Allowed mean error, in [0, 1).
    pub target_error: f64,
    /// Credit banked before this decision, within `bounds`.
    pub balance: f64,
    /// Bounds of the credit ledger.
    pub bounds: Bounds,
    /// Carbon intensity of the slot that is, gCO2eq/kWh, where it is known.
    pub now: Option<f64>,
    /// Carbon intensity of the slot to come, gCO2eq/kWh, where it is known.
    pub next: Option<f64>,
    /// What lies ahead and what may be spent on it, for policies that look ahead.
    pub horizon: Option<Horizon<'a>>,
}

/// What lies ahead of a decision, and the error budget it may spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Horizon<'a> {
    /// The slots ahead without a gap, the one decided for first (its rest); empty where nothing is known of
    /// the grid.
    pub slots: &'a [Ahead],
    /// The least credit to be kept at the beginning of each slot and, last, at the end; empty for none.
    pub floors: &'a [f64],
    /// Whether the service ends with the last slot: what is banked then is worth nothing. Otherwise the
    /// horizon is only as far as can be seen.
    pub is_last: bool,
    /// Credit above the floor of the budget, requests x error; below 0 it is debt.
    pub credit: f64,
    /// Most credit above the floor that can be banked, requests x error.
    pub capacity: f64,
    /// The most requests to be reckoned with before the next evaluation, >= 1.
    pub most_requests: f64,
    /// Seconds since the last decision, >= 0.
    pub elapsed_seconds: f64,
}

/// One slot ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ahead {
    /// Its length, seconds.
    pub seconds: f64,
    /// Its expected carbon intensity, gCO2eq/kWh, >= 0.
    pub intensity: f64,
    /// Its expected requests, >= 0.
    pub requests: f64,
}

impl Horizon<'_> {
    /// How far it reaches, seconds.
    pub fn seconds(&self) -> f64 {
        self.slots.iter().map(|slot| slot.seconds).sum()
    }
}

impl Situation<'_> {
    /// The share of the most credit there can be that is banked, in [0, 1]: what a policy may spend. 0 in
    /// debt, and where nothing can be banked.
    pub fn allowance(&self) -> f64 {
        let most = self.bounds.max();
        if most > 0.0 { unit(self.balance / most) } else { 0.0 }
    }
}

/// `ratio` within [0, 1]; what is not a number counts as 0.
pub(crate) fn unit(ratio: f64) -> f64 {
    if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) }
}
