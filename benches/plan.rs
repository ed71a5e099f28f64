//! What does a plan cost, by horizon, hull and capacity?

#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::hint::black_box;

use benches::{Question, print};
use policies::Hull;
use policies::planner::{Account, Load, Planner, Segments};

fn main() {
    let question =
        Question::ask("What does a plan cost? (half-hours, 1 000 requests each, target error 0.05)");
    let day = 48.0 * 1_000.0 * 0.05;
    let hulls: [(&str, Vec<(f64, f64)>); 3] = [
        ("1 segment", vec![(0.0, 1.0), (0.15, 0.7), (0.3, 0.4)]),
        ("2 segments", vec![(0.0, 1.0), (0.06, 0.19), (0.3, 0.03)]),
        ("9 segments", (0..10).map(|i| (f64::from(i) * 0.03, 0.7_f64.powi(i))).collect()),
    ];
    for (shape, points) in &hulls {
        let segments = Segments::new(&Hull::new(points.iter().copied()).unwrap());
        let soft = segments.softened(3, 0.03);
        {
            for (budget, capacity) in [("24 h", day), ("7 d", 7.0 * day)] {
                for slots in [48, 96, 336, 672] {
                    let loads: Vec<Load> = (0..slots).map(load).collect();
                    let account = Account { target_error: 0.05, capacity, credit: capacity / 2.0 };
                    let mut planner = Planner::default();
                    question.measure(&format!("{slots} slots, {shape}, {budget} budget"), || {
                        black_box(planner.plan_softly(
                            &segments,
                            &soft,
                            account,
                            black_box(&loads),
                            &[],
                            &[],
                        ));
                    });
                }
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
