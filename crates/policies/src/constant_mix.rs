//! constant-mix: the cheapest mix that spends the target error, whatever the grid does.

use crate::hull::Mix;
use crate::{Decision, Menu, Policy, Reason, Situation};

/// The honest baseline: spends what every policy may spend, blind to carbon and credit.
///
/// The mean error is the target error, or the largest error there is where that is less, or the least one
/// where that is more. At that error the mix is the cheapest one: the two flavours around it on the lower
/// convex hull of (error, energy).
#[derive(Debug, Clone, Copy, Default)]
pub struct ConstantMix;

/// Errors this close are one: 1 - 0.85 is not 0.15 to the last bit.
const SAME: f64 = 1e-9;

impl ConstantMix {
    /// The mix of `menu` for a mean error of `target_error`.
    fn mix(menu: &Menu, target_error: f64) -> Mix {
        menu.hull().mix(target_error)
    }

    /// Its energy per request, on the menu's [`crate::EnergyBasis`].
    pub fn energy(menu: &Menu, target_error: f64) -> f64 {
        let parts = Self::mix(menu, target_error).parts;
        parts.iter().map(|(entry, share)| menu.entries()[*entry].energy * share).sum()
    }
}

impl Policy for ConstantMix {
    fn name(&self) -> &'static str {
        "constant-mix"
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        let mix = Self::mix(situation.menu, situation.target_error);
        for (entry, share) in mix.parts {
            decision.shares[entry] += share;
        }
        decision.finish(situation.menu);
        decision.note("planned_error", mix.error);
        let name = |index: usize| situation.menu.entries()[index].name.clone();
        let [(low, _), (high, share)] = mix.parts;
        decision.reason = if situation.menu.entries().len() == 1 {
            Reason::OnlyFlavour(name(low))
        } else if mix.error > situation.target_error + SAME {
            Reason::ErrorsAbove { flavour: name(low), error: mix.error, target: situation.target_error }
        } else if mix.error < situation.target_error - SAME {
            Reason::ErrorsBelow { flavour: name(high), error: mix.error, target: situation.target_error }
        } else {
            Reason::Mix { flavours: [name(low), name(high)], share, target: situation.target_error }
        };
    }
}
