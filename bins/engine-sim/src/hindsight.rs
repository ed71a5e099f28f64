//! What could have been had: the optimum under the error budget, and under one average over everything.
//!
//! Both know the whole trace and every request. They serve exact shares of the flavours on the lower convex
//! hull; the intensity is constant within a slot, so spreading a slot's error evenly over it is optimal and
//! the optimum by slots is the optimum at any cadence.

use policies::planner::{Account as Credit, Hindsight, Load, Segments, hindsight, hindsight_global};

use crate::account::Account;
use crate::plan::Plan;
use crate::recording::{Recorder, Served};
use crate::run::Outcome;
use crate::world::World;

/// The optimum under the error budget, and its name in every table.
pub(crate) const BUDGET: &str = "hindsight (budget)";
/// The optimum under one average, and its name in every table.
pub(crate) const AVERAGE: &str = "hindsight (average)";

/// Both optima for `requests` in each slot of the world: under the budget, under one average.
pub(crate) fn optima(world: &World, plan: &Plan, requests: &[f64]) -> (Outcome, Outcome) {
    let terms = plan.budget(world);
    // Not softened: what a planner does to be steady, an optimum need not.
    let segments = Segments::new(world.flavours.menu.hull());
    let slots = world.slots.iter().zip(requests);
    let loads: Vec<Load> = slots
        .map(|(slot, requests)| Load { ledger: *requests, emissions: requests * slot.intensity })
        .collect();
    let credit = Credit {
        target_error: terms.target,
        capacity: terms.capacity + terms.overdraft,
        credit: terms.overdraft,
    };
    let of_budget = hindsight(&segments, credit, &loads);
    let of_average = hindsight_global(&segments, terms.target, &loads);
    (served(world, plan, requests, BUDGET, &of_budget), served(world, plan, requests, AVERAGE, &of_average))
}

/// What an optimum comes to, served.
fn served(world: &World, plan: &Plan, requests: &[f64], name: &str, found: &Hindsight) -> Outcome {
    let menu = &world.flavours.menu;
    let flavours = &world.flavours.set;
    let mut account = Account::new(menu, flavours.len(), plan.budget(world));
    let mut recorder = plan.keep.recording.then(|| Recorder::new(name, flavours));
    let mut shares = vec![0.0; flavours.len()];
    for ((slot, requests), error) in world.slots.iter().zip(requests).zip(&found.errors) {
        shares.fill(0.0);
        for (entry, share) in menu.hull().mix(*error).parts {
            shares[menu.entries()[entry].position] += share;
        }
        // At the policies' cadence, so that churn compares.
        plan.intervals(slot).for_each(|_| account.published(&shares));
        let (emissions, error) = account.mixed(slot, *requests, &shares);
        if let Some(recorder) = &mut recorder {
            recorder.slot(slot.from, slot.intensity);
            recorder.served(&Served {
                seconds: slot.seconds(),
                shares: &shares,
                requests: *requests,
                error,
                emissions,
                credit: 0.0,
                budget: account.budget().standing(),
            });
        }
    }
    let errors = account.errors();
    Outcome::reference(name, account.totals(), recorder.map(|recorder| recorder.finish(&errors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::plan::{Keep, Knobs};
    use clap::Parser;

    /// Two clean hours and one twice as dirty, 100 requests in each.
    const GRID: &str =
        "timestamp,actual\n2026-01-05T00:00:00Z,100\n2026-01-05T01:00:00Z,100\n2026-01-05T02:00:00Z,200\n";

    fn tiny(budget_window: &str) -> (Outcome, Outcome) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("grid.csv");
        std::fs::write(&file, GRID).unwrap();
        let arguments = ["engine-sim", "run", "--carbon", file.to_str().unwrap()];
        let Some(Command::Run(args)) = Cli::try_parse_from(arguments).unwrap().command else {
            unreachable!()
        };
        let mut world = World::load(&args.study.world, 1).unwrap();
        world.demand.requests = vec![100.0; 3];
        let window = crate::args::budget_window(budget_window).unwrap();
        let knobs = Knobs { target_error: 0.1, budget_window: Some(window) };
        let keep = Keep { recording: true, ..Keep::default() };
        optima(&world, &Plan::new(knobs, &args.study.engine, &world, keep), &[100.0; 3])
    }

    fn errors(outcome: &Outcome) -> Vec<f64> {
        let samples = &outcome.recording.as_ref().unwrap().samples;
        samples.iter().map(|sample| (sample.error * 1e9).round() / 1e9).collect()
    }

    #[test]
    fn a_tiny_trace_is_solved_as_by_hand() {
        // Energy falls by 2 per unit of error, down to 0.4 at an error of 0.3. The best flavour throughout
        // emits 10 + 10 + 20; a unit of budget saves 0.2 in a clean hour and 0.4 in the dirty one; each hour
        // brings 10 units. One average spends all 30 in the dirty hour.
        let (budget, average) = tiny("1d");
        for outcome in [&budget, &average] {
            assert!((outcome.totals.emissions - 28.0).abs() < 1e-9, "{}", outcome.totals.emissions);
            assert!((outcome.totals.mean_error - 0.1).abs() < 1e-12);
            assert_eq!(errors(outcome), [0.0, 0.0, 0.3]);
        }
        // A budget of one hour banks 10 units: 20 are spent in the dirty hour, 10 before it.
        let (budget, average) = tiny("1h");
        assert!((average.totals.emissions - 28.0).abs() < 1e-9);
        assert!((budget.totals.emissions - 30.0).abs() < 1e-9, "{}", budget.totals.emissions);
        assert_eq!(errors(&budget)[2], 0.2);
        assert_eq!(budget.totals.worst_overspend, Some(0.0));
    }

    #[test]
    fn an_optimum_never_owes() {
        let samples = tiny("1h").0.recording.unwrap().samples;
        assert!(samples.iter().all(|sample| sample.budget.is_some_and(|(balance, _)| balance > -1e-9)));
    }
}
