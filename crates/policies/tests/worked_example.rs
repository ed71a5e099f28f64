//! The worked example of docs/planner.md: computed by hand there, by the planner here.

#![expect(clippy::unwrap_used, reason = "the example keeps to what flavours may be")]

use models::{Flavour, FlavourSet, Precision};
use policies::planner::{Account, Load, Plan, Planner, hindsight};
use policies::{Ahead, ConstantMix, Decision, Horizon, Menu, Policy, RecedingHorizon, Situation};

const DOCUMENT: &str = include_str!("../../../docs/planner.md");
const ACCOUNT: Account = Account { target_error: 0.05, capacity: 9.0, credit: 8.0 };
const REQUESTS: f64 = 100.0;
const INTENSITIES: [f64; 3] = [100.0, 300.0, 200.0];

/// Name, precision, Wh per request.
fn menu() -> Menu {
    let flavours = [("large", 1.0, 1.0), ("medium", 0.9, 0.6), ("old", 0.8, 0.55), ("small", 0.7, 0.4)];
    let flavours = flavours.map(|(name, precision, wh)| {
        let flavour = Flavour::new(Precision::new(precision).unwrap()).named(name);
        Flavour { energy_wh: Some(wh), ..flavour }
    });
    Menu::new(&FlavourSet::new(flavours.into()).unwrap()).unwrap()
}

fn loads() -> [Load; 3] {
    INTENSITIES.map(|intensity| Load { ledger: REQUESTS, emissions: REQUESTS * intensity })
}

/// Equal but for the last bits.
fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-9, "{got}, expected {want}");
}

fn said(line: &str) {
    assert!(DOCUMENT.contains(line), "docs/planner.md should say:\n{line}");
}

#[test]
fn the_hull_leaves_old_out_and_has_two_segments() {
    let menu = menu();
    assert_eq!(menu.dominated().map(|entry| &*entry.name).collect::<Vec<_>>(), ["old"]);
    let segments = menu.segments().list();
    for (segment, (saving, length)) in segments.iter().zip([(4.0, 0.1), (1.0, 0.2)]) {
        close(segment.saving, saving);
        close(segment.length, length);
    }
    assert_eq!(segments.len(), 2);
}

#[test]
fn going_backwards_the_books_are_those_of_the_document() {
    let menu = menu();
    let mut planner = Planner::default();
    // Credit at the beginning of a slot, before its income: the book prices it step by step.
    let mut price = |from: usize, credit: f64| {
        planner.plan(menu.segments(), Account { credit, ..ACCOUNT }, &loads()[from..], &[], &[]).price
    };
    for credit in [1.0, 4.9] {
        close(price(1, credit), 1200.0);
        close(price(2, credit), 800.0);
    }
    for credit in [5.1, 8.9] {
        close(price(1, credit), 800.0);
        close(price(2, credit), 200.0);
    }
}

#[test]
fn going_forwards_each_slot_takes_what_its_bids_win() {
    let menu = menu();
    let best = hindsight(menu.segments(), ACCOUNT, &loads());
    let mut credit = ACCOUNT.credit;
    let mut planner = Planner::default();
    for (slot, (error, price)) in [(0.04, 400.0), (0.1, 800.0), (0.09, 800.0)].into_iter().enumerate() {
        let account = Account { credit, ..ACCOUNT };
        let plan = planner.plan(menu.segments(), account, &loads()[slot..], &[], &[]);
        close(plan.error, error);
        close(plan.price, price);
        close(best.errors[slot], error);
        close(best.prices[slot], price);
        let left = (credit + REQUESTS * (ACCOUNT.target_error - plan.error)).min(ACCOUNT.capacity);
        let grams = REQUESTS * INTENSITIES[slot] * menu.segments().energy(plan.error) / 1000.0;
        let [before, spent, after] = [credit, REQUESTS * plan.error, left].map(whole);
        said(&format!(
            "| {slot} | {before} | 5 | {spent} | {error} | {after} | {:.1} | {grams:.1} |",
            price / 1000.0
        ));
        credit = left;
    }
    close(credit, 0.0);
    close(best.emissions, 39_200.0);
    // The same error spent blind to carbon, and none at all.
    let blind = menu.segments().energy(23.0 / 300.0) * REQUESTS * INTENSITIES.iter().sum::<f64>();
    close(blind, 41_600.0);
    close(REQUESTS * INTENSITIES.iter().sum::<f64>(), 60_000.0);
    said("39.2 g");
    said("41.6 g");
    said("60 g");
}

fn whole(amount: f64) -> f64 {
    close(amount, amount.round());
    // No minus before a nought.
    amount.round() + 0.0
}

#[test]
fn the_policy_publishes_its_first_step() {
    let menu = menu();
    let slots = INTENSITIES.map(|intensity| Ahead { seconds: 1800.0, intensity, requests: REQUESTS });
    let situation = Situation {
        menu: &menu,
        target_error: ACCOUNT.target_error,
        balance: 0.0,
        bounds: ledger::Bounds::new(-0.5, 0.5).unwrap(),
        now: Some(INTENSITIES[0]),
        next: Some(INTENSITIES[1]),
        horizon: Some(Horizon {
            slots: &slots,
            floors: &[],
            is_last: false,
            credit: ACCOUNT.credit,
            capacity: ACCOUNT.capacity,
            most_requests: 5.0,
            elapsed_seconds: 60.0,
        }),
    };
    let mut decision = Decision::default();
    RecedingHorizon::default().decide(&situation, &mut decision);
    for (share, want) in decision.shares.iter().zip([0.6, 0.4, 0.0, 0.0]) {
        close(*share, want);
    }
    // Softened, the dearest own segment is three; the second of them is where credit runs out.
    close(decision.plan.unwrap().shadow_price.unwrap(), 0.4);
    said(&decision.reason.to_string());

    // The constant mix spends the target alone, on the same hull.
    ConstantMix.decide(&situation, &mut decision);
    close(decision.shares[1], 0.5);
}

#[test]
fn a_debt_has_no_price() {
    let menu = menu();
    let account = Account { credit: -6.0, ..ACCOUNT };
    let plan = Planner::default().plan(menu.segments(), account, &loads(), &[], &[]);
    assert_eq!(plan, Plan { error: 0.0, price: f64::INFINITY });
}
