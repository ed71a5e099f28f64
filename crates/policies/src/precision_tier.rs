//! precision-tier: credit opens the lower tiers of precision, each shared evenly.

use crate::credit_greedy::reason;
use crate::{Decision, Menu, Policy, Reason, Situation};

/// Shares by tier of precision: from 0.95, from 0.8, and below.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PrecisionTier;

/// How many tiers there are.
const TIERS: usize = 3;
/// Precision from which a flavour is in the first tier, and in the second.
const FLOORS: [f64; TIERS - 1] = [0.95, 0.8];

impl Policy for PrecisionTier {
    fn name(&self) -> &'static str {
        "precision-tier"
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        let allowance = situation.allowance();
        let shares = tier_shares(allowance);
        split(situation.menu, shares, &mut decision.shares);
        decision.finish(situation.menu);
        decision.allowance = Some(allowance);
        decision.note("allowance", allowance);
        decision.note("tier_1_share", shares[0]);
        decision.note("tier_2_share", shares[1]);
        decision.note("tier_3_share", shares[2]);
        decision.reason = reason(situation, |credit| {
            let mut tiers = [0.0; TIERS];
            for (share, entry) in decision.shares.iter().zip(situation.menu.entries()) {
                tiers[tier(entry.precision)] += share;
            }
            Reason::Tiers { credit, tiers }
        });
    }
}

/// What each tier is due, the best first.
fn tier_shares(allowance: f64) -> [f64; TIERS] {
    let second = (0.6 * allowance).min(0.5);
    [(1.0 - allowance).max(0.3), second, (allowance - second).max(0.0)]
}

/// Gives each tier's share to its flavours, evenly. Without a first tier its share goes to the best tier
/// there is: the origin drops it, and with no credit is left with nothing.
fn split(menu: &Menu, mut due: [f64; TIERS], weights: &mut [f64]) {
    let mut sizes = [0_u8; TIERS];
    for entry in menu.entries() {
        sizes[tier(entry.precision)] += 1;
    }
    let best = tier(menu.baseline().precision);
    if best > 0 {
        due[best] += due[0];
    }
    for (weight, entry) in weights.iter_mut().zip(menu.entries()) {
        let tier = tier(entry.precision);
        *weight = due[tier] / f64::from(sizes[tier]);
    }
}

fn tier(precision: f64) -> usize {
    FLOORS.iter().position(|floor| precision >= *floor).unwrap_or(TIERS - 1)
}
