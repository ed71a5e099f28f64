//! The planner's problem against exact optima.
//!
//! `ORACLE_FILE` names another file to try.

#![expect(clippy::disallowed_methods, reason = "a test may be told which file to read")]
#![expect(clippy::expect_used, reason = "a test stops where its file is wrong")]

use policies::Hull;
use policies::planner::{Account, Load, Planner, Segments, hindsight, hindsight_global};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    tolerance: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    flavours: Vec<Flavour>,
    target_error: f64,
    intensity: Vec<f64>,
    demand: Vec<f64>,
    ledger_weight: String,
    credit_min: f64,
    credit_max: f64,
    initial_balance: f64,
    ledger: Optimum,
    global: Optimum,
}

#[derive(Deserialize)]
struct Flavour {
    error: f64,
    energy: f64,
}

#[derive(Deserialize)]
struct Optimum {
    emissions: f64,
    price: Option<f64>,
    first_error: Option<f64>,
    first_price: Option<f64>,
}

fn file() -> File {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/oracle_cases.json");
    let path = std::env::var("ORACLE_FILE").unwrap_or_else(|_| default.to_owned());
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

impl Case {
    fn segments(&self) -> Segments {
        Segments::new(&Hull::new(self.flavours.iter().map(|f| (f.error, f.energy))).expect("flavours"))
    }

    fn account(&self) -> Account {
        Account {
            target_error: self.target_error,
            capacity: self.credit_max - self.credit_min,
            credit: self.initial_balance - self.credit_min,
        }
    }

    fn loads(&self) -> Vec<Load> {
        let slots = self.intensity.iter().zip(&self.demand);
        let load = |(intensity, demand): (&f64, &f64)| Load {
            ledger: if self.ledger_weight == "demand" { *demand } else { 1.0 },
            emissions: intensity * demand,
        };
        slots.map(load).collect()
    }
}

fn same(case: &str, what: &str, expected: f64, got: f64, tolerance: f64) {
    let scale = expected.abs().max(1.0);
    assert!((expected - got).abs() <= tolerance * scale, "{case}: {what}: expected {expected}, got {got}");
}

#[test]
fn oracle_optimum_under_the_ledger() {
    let file = file();
    for case in &file.cases {
        let (segments, account, loads) = (case.segments(), case.account(), case.loads());
        let found = hindsight(&segments, account, &loads);
        same(&case.name, "emissions", case.ledger.emissions, found.emissions, file.tolerance);
        feasible(case, &found.errors, file.tolerance);
        // A plan over the whole trace begins as the optimum does, price and all.
        let plan = Planner::default().plan(&segments, account, &loads, &[], &[]);
        same(&case.name, "first error of the plan", found.errors[0], plan.error, file.tolerance);
        assert_eq!(found.prices[0], plan.price, "{}", case.name);
        if let (Some(error), Some(price)) = (case.ledger.first_error, case.ledger.first_price) {
            println!(
                "{}: first error {} (oracle {error}), price {} (oracle {price})",
                case.name, plan.error, plan.price
            );
        }
    }
    println!("{} oracle cases under the ledger agree", file.cases.len());
}

/// Every balance stays at or above the floor, whatever is clamped at the top.
fn feasible(case: &Case, errors: &[f64], tolerance: f64) {
    let mut balance = case.initial_balance;
    for ((load, error), slot) in case.loads().iter().zip(errors).zip(0..) {
        let before = balance;
        balance = (balance + load.ledger * (case.target_error - error)).min(case.credit_max);
        let repaying = balance >= before - tolerance;
        assert!(
            balance >= case.credit_min - tolerance || repaying,
            "{}: slot {slot}: balance {balance}",
            case.name
        );
    }
}

#[test]
fn oracle_optimum_of_one_average() {
    let file = file();
    for case in &file.cases {
        let found = hindsight_global(&case.segments(), case.target_error, &case.loads());
        same(&case.name, "emissions", case.global.emissions, found.emissions, file.tolerance);
        if let Some(price) = case.global.price {
            same(&case.name, "price", price, found.prices[0], file.tolerance);
        }
        let spent: f64 =
            case.loads().iter().zip(&found.errors).map(|(load, error)| load.ledger * error).sum();
        let budget: f64 = case.loads().iter().map(|load| load.ledger * case.target_error).sum();
        assert!(spent <= budget + file.tolerance, "{}: {spent} of {budget}", case.name);
    }
    println!("{} oracle cases of one average agree", file.cases.len());
}
