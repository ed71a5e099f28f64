//! credit-greedy: spends the banked share of the credit, most of it where carbon falls most per error.

use crate::decision::sum;
use crate::{Credit, Decision, Menu, Policy, Reason, Situation};

/// The share of credit banked goes to the flavours below the baseline, by carbon saved per error made.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CreditGreedy;

impl Policy for CreditGreedy {
    fn name(&self) -> &'static str {
        "credit-greedy"
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        let allowance = situation.allowance();
        spend(situation.menu, allowance, &mut decision.shares);
        decision.finish(situation.menu);
        report(situation, allowance, decision);
        decision.reason = reason(situation, Reason::Spending);
    }
}

/// Weights of the flavours: the baseline keeps what is not spent, the others share the rest by score.
pub(crate) fn spend(menu: &Menu, allowance: f64, weights: &mut [f64]) {
    let [baseline, others @ ..] = menu.entries() else {
        return;
    };
    let [first, rest @ ..] = weights else { return };
    *first = 1.0 - allowance;
    for (weight, entry) in rest.iter_mut().zip(others) {
        let error = entry.error.max(LEAST);
        let gain = baseline.carbon - entry.carbon;
        let worth = if gain > 0.0 { gain } else { 0.5 * error };
        *weight = (worth / error).clamp(LEAST, MOST);
    }
    let total = sum(rest.iter().copied());
    // In this order, as the origin computes it: rounding a replica ceiling can hang on the last bit.
    for weight in rest {
        *weight = allowance * (*weight / total);
    }
}

/// The least error and the least score that count, so that no division fails.
const LEAST: f64 = 1e-6;
/// The greatest score that counts: as many as there may be have a finite sum.
const MOST: f64 = 1e300;

/// The figures that the origin's credit policies publish.
pub(crate) fn report(situation: &Situation<'_>, allowance: f64, decision: &mut Decision) {
    decision.allowance = Some(allowance);
    decision.note("credit_balance", situation.balance);
    decision.note("allowance", allowance);
    decision.note("avg_precision", decision.avg_precision);
}

/// The reason of a policy that spends credit, unless there is nothing to choose.
pub(crate) fn reason(situation: &Situation<'_>, spending: impl FnOnce(Credit) -> Reason) -> Reason {
    if let [only] = situation.menu.entries() {
        return Reason::OnlyFlavour(only.name.clone());
    }
    spending(Credit::of(situation))
}
