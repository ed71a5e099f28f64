//! What several test files need.

#![expect(clippy::unwrap_used, reason = "the bounds are right, and every policy asked for is known")]

use ledger::Bounds;
use policies::{Decision, Menu, Registry, Situation};

/// Nothing banked of at most 0.5, a target of 0.05, no forecast.
pub(crate) fn situation(menu: &Menu) -> Situation<'_> {
    let bounds = Bounds::new(-0.5, 0.5).unwrap();
    Situation { menu, target_error: 0.05, balance: 0.0, bounds, now: None, next: None, horizon: None }
}

/// What a policy decides first.
pub(crate) fn decide(policy: &str, situation: &Situation<'_>) -> Decision {
    let mut decision = Decision::default();
    Registry::builtin().create(policy, 0).unwrap().policy.decide(situation, &mut decision);
    decision
}
