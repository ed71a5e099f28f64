//! What does a decision cost, by policy and number of flavours?
#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::hint::black_box;

use benches::{Question, flavours};
use ledger::Bounds;
use policies::{Decision, Menu, Registry, Situation};

fn main() {
    let question = Question::ask("What does a decision cost?");
    let registry = Registry::builtin();
    for count in [3, 10, 64] {
        let menu = Menu::new(&flavours(count)).unwrap();
        for name in registry.names() {
            let mut created = registry.create(name, 7).unwrap();
            let mut decision = Decision::default();
            let mut balance = 0.0;
            question.measure(&format!("{name}, {count} flavours"), || {
                balance = if balance > 0.4 { 0.0 } else { balance + 0.01 };
                let situation = Situation {
                    menu: &menu,
                    target_error: 0.05,
                    balance,
                    bounds: Bounds::new(-0.5, 0.5).unwrap(),
                    now: Some(250.0),
                    next: Some(300.0),
                    horizon: None,
                };
                created.policy.decide(black_box(&situation), &mut decision);
                black_box(&decision);
            });
        }
    }
}
