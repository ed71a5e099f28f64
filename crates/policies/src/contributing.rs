//! The file that CONTRIBUTING.md shows, as this crate would have it.

#[path = "../tests/contributing/half_and_half.rs"]
mod half_and_half;

use crate::{Decision, Menu, Policy as _, Situation};

#[test]
fn half_of_the_traffic_goes_to_the_best_flavour_and_half_to_the_worst() {
    let menu = Menu::new(&models::FlavourSet::builtin()).unwrap();
    let situation = Situation {
        menu: &menu,
        target_error: 0.05,
        balance: 0.0,
        bounds: ledger::Bounds::new(-0.5, 0.5).unwrap(),
        now: None,
        next: None,
        horizon: None,
    };
    let mut decision = Decision::default();
    let mut policy = half_and_half::HalfAndHalf;
    policy.decide(&situation, &mut decision);
    assert_eq!((policy.name(), &decision.shares[..]), ("half-and-half", &[0.5, 0.0, 0.5][..]));
}
