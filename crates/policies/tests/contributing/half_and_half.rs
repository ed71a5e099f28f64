//! half-and-half: the best flavour and the worst share the traffic.

use crate::{Decision, Policy, Reason, Situation};

/// Half of the traffic goes to the most precise flavour, half to the least precise one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HalfAndHalf;

impl Policy for HalfAndHalf {
    fn name(&self) -> &'static str {
        "half-and-half"
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        decision.shares[0] += 0.5;
        if let Some(worst) = decision.shares.last_mut() {
            *worst += 0.5;
        }
        decision.finish(situation.menu);
        decision.reason = Reason::Other("the best flavour and the worst take half each".into());
    }
}
