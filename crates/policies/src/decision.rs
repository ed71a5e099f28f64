//! What a policy decided, and why.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::{Menu, PriceUnit, Reason};

/// A decision. Its buffers are reused: deciding again into the same value allocates nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    /// One share of traffic per entry of the menu, in its order: in [0, 1], summing to 1.
    pub shares: Vec<f64>,
    /// Mean precision of the shares, in (0, 1].
    pub avg_precision: f64,
    /// The share of the credit being spent, in [0, 1], where the policy spends credit.
    pub allowance: Option<f64>,
    /// Figures behind the decision, by name; finite.
    pub diagnostics: Vec<(Cow<'static, str>, f64)>,
    /// The most mean error that the published whole-number weights may have, where that is bounded.
    pub most_error: Option<f64>,
    /// The plan behind the decision, where there is one.
    pub plan: Option<PlanReport>,
    /// Why.
    pub reason: Reason,
}

/// The plan a decision is the first step of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanReport {
    /// How far it reaches, seconds.
    pub horizon_seconds: f64,
    /// Slots it has.
    pub slots: usize,
    /// Mean error it wants for the first slot, in [0, 1].
    pub planned_error: f64,
    /// Shadow price of credit, grams per request x error (relative where energy is); none in debt.
    pub shadow_price: Option<f64>,
    /// What the price is in.
    pub unit: PriceUnit,
}

impl Decision {
    /// Forgets the last decision: every share 0, nothing said.
    pub fn begin(&mut self, menu: &Menu) {
        self.shares.clear();
        self.shares.resize(menu.entries().len(), 0.0);
        self.avg_precision = 0.0;
        self.allowance = None;
        self.diagnostics.clear();
        self.most_error = None;
        self.plan = None;
        self.reason = Reason::Unsaid;
    }

    /// Makes the shares sum to 1 and sets the mean precision they plan.
    ///
    /// Total, so that any policy's numbers can be published: a share that is negative or not finite counts
    /// as 0, a missing one too, one too many is dropped, and where all are 0 the best flavour takes all.
    pub fn finish(&mut self, menu: &Menu) {
        let entries = menu.entries();
        self.shares.resize(entries.len(), 0.0);
        for share in &mut self.shares {
            // Far above any weight that means something, and as many as there may be have a finite sum.
            *share = if share.is_finite() { share.clamp(0.0, 1e300) } else { 0.0 };
        }
        let total: f64 = sum(self.shares.iter().copied());
        if total > 0.0 {
            self.shares.iter_mut().for_each(|share| *share /= total);
        } else {
            self.shares[0] = 1.0;
        }
        let precisions = self.shares.iter().zip(entries).map(|(share, entry)| share * entry.precision);
        self.avg_precision = sum(precisions);
    }

    /// Notes a figure behind the decision; one that is not finite is left out.
    pub fn note(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        if value.is_finite() {
            self.diagnostics.push((name.into(), value));
        }
    }
}

/// Left to right from 0: the order in which the origin adds, on which the last bits depend. (An iterator's
/// own sum starts at -0.)
pub(crate) fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    terms.fold(0.0, |sum, term| sum + term)
}
