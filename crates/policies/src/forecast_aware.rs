//! forecast-aware: credit-greedy that saves ahead of dirtier slots and spends ahead of cleaner ones.

use crate::credit_greedy::{reason, report, spend};
use crate::{Decision, Policy, Reason, Situation, Trend};

/// credit-greedy, then up to 30 points moved by the trend of the carbon intensity.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ForecastAware;

impl Policy for ForecastAware {
    fn name(&self) -> &'static str {
        "forecast-aware"
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        let allowance = situation.allowance();
        spend(situation.menu, allowance, &mut decision.shares);
        decision.finish(situation.menu);
        // Of the credit alone, before the trend counts: as the origin publishes it.
        report(situation, allowance, decision);
        let trend = Trend::of(situation);
        if let Some(trend) = trend {
            shift(&mut decision.shares, trend.adjustment());
            decision.finish(situation.menu);
            decision.note("trend", trend.next - trend.now);
            decision.note("adjustment", trend.adjustment());
        }
        decision.reason = reason(situation, |credit| Reason::Trend { credit, trend });
    }
}

/// Takes `adjustment` from the heaviest share, the first of equals, and gives it to every other.
fn shift(shares: &mut [f64], adjustment: f64) {
    let heavier = |best: usize, index: usize| if shares[index] > shares[best] { index } else { best };
    let heaviest = (1..shares.len()).fold(0, heavier);
    for (index, share) in shares.iter_mut().enumerate() {
        let moved = if index == heaviest { *share - adjustment } else { *share + adjustment };
        *share = moved.clamp(0.0, 1.0);
    }
}
