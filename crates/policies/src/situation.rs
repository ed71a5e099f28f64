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
