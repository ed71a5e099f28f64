//! What does a plan cost, by horizon, hull and capacity?

#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::hint::black_box;

use benches::{Question, print};
use policies::Hull;
use policies::planner::{Account, Bid, Load, Planner, Segments};

fn main() {
    let question = Question::ask(
        "What does a plan cost? (half-hours of 1 000 requests, target error 0.05, half of the budget banked, \
         8 terminal bids; a schedule makes about one plan a minute)",
    );
    let day = 48.0 * 1_000.0 * 0.05;
    let hulls: [(&str, Vec<(f64, f64)>); 3] = [
        ("3 flavours, 1 segment", vec![(0.0, 1.0), (0.15, 0.7), (0.3, 0.4)]),
        ("3 flavours, 2 segments", vec![(0.0, 1.0), (0.06, 0.19), (0.3, 0.03)]),
        ("10 flavours, 9 segments", (0..10).map(|i| (f64::from(i) * 0.03, 0.7_f64.powi(i))).collect()),
    ];
    for (shape, points) in &hulls {
        let segments = Segments::new(&Hull::new(points.iter().copied()).unwrap());
        let soft = segments.softened(3, 0.001);
        for (budget, capacity) in [("24 h", day), ("7 d", 7.0 * day)] {
            let account = Account { target_error: 0.05, capacity, credit: capacity / 2.0 };
            let price = 200.0 * segments.list()[segments.list().len() / 2].saving;
            let bid = |part: u32| Bid {
                price: price * (1.5 - f64::from(part) / 7.0),
                quantity: capacity / 8.0,
                slot: Bid::TERMINAL,
            };
            let terminal: Vec<Bid> = (0..8).map(bid).collect();
            for slots in [48, 96, 336, 672] {
                let loads: Vec<Load> = (0..slots).map(load).collect();
                let mut planner = Planner::default();
                question.measure(&format!("{slots} slots, {shape}, {budget} budget"), || {
                    let loads = black_box(&loads);
                    black_box(planner.plan_softly(&segments, &soft, account, loads, &[], &terminal));
                });
            }
        }
        print("\n");
    }
}

/// A daily wave with a weekly one over it, and noise that is the same on every run.
fn load(slot: u32) -> Load {
    let hour = f64::from(slot) / 2.0;
    let noise = f64::from(slot.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
    let intensity = 200.0
        + 80.0 * (hour / 24.0 * std::f64::consts::TAU).sin()
        + 30.0 * (hour / 168.0 * 6.3).cos()
        + 40.0 * noise;
    Load { ledger: 1_000.0, emissions: 1_000.0 * intensity }
}
