//! round-robin: every flavour alike.

use crate::{Decision, Policy, Reason, Situation};

/// Every flavour takes the same share.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RoundRobin;

impl Policy for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        decision.shares.fill(1.0);
        decision.finish(situation.menu);
        let flavours = situation.menu.entries().len();
        decision.note("num_flavours", flavours as f64);
        decision.reason = Reason::Equal(flavours);
    }
}
