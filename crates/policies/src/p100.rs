//! p100: always the best flavour.

use crate::{Decision, Policy, Reason, Situation};

/// The most precise flavour takes everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct P100;

impl Policy for P100 {
    fn name(&self) -> &'static str {
        "p100"
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        // Where every weight is 0 the best flavour takes all.
        decision.finish(situation.menu);
        let best = situation.menu.baseline();
        decision.note("selected_flavour", best.precision);
        decision.reason = Reason::Best(best.name.clone());
    }
}
