//! The planner and the policy around it, beyond what the oracle says.

mod common;
mod menus;

use common::{decide, situation};
use menus::{builtin_menu, menu};
use policies::planner::{Account, Bid, Load, Planner, Segments, hindsight, hindsight_global};
use policies::{Ahead, Bound, Decision, Horizon, Hull, Policy, Reason, RecedingHorizon, Situation};
use proptest::prelude::*;

#[expect(clippy::unwrap_used, reason = "a test stops where its points span no hull")]
fn segments(points: &[(f64, f64)]) -> Segments {
    Segments::new(&Hull::new(points.iter().copied()).unwrap())
}

/// The problem of a random trace: flavours, account, loads.
fn problem() -> impl Strategy<Value = (Segments, Account, Vec<Load>)> {
    let flavours = proptest::collection::vec((0.01..0.5_f64, 0.05..0.95_f64), 1..6);
    let loads = proptest::collection::vec((0.0..50.0_f64, 0.0..900.0_f64), 1..60);
    (flavours, loads, 0.0..0.3_f64, 0.0..40.0_f64, 0.0..1.0_f64).prop_map(
        |(flavours, loads, target_error, capacity, filled)| {
            let points: Vec<_> = core::iter::once((0.0, 1.0)).chain(flavours).collect();
            let loads = loads
                .into_iter()
                .map(|(requests, intensity)| Load { ledger: requests, emissions: requests * intensity });
            let account = Account { target_error, capacity, credit: capacity * filled };
            (segments(&points), account, loads.collect())
        },
    )
}

/// What errors emit, and the least credit on the way.
fn serve(segments: &Segments, account: Account, loads: &[Load], errors: &[f64]) -> (f64, f64) {
    let (mut credit, mut least, mut emitted) = (account.credit, f64::INFINITY, 0.0);
    for (load, error) in loads.iter().zip(errors) {
        credit = (credit + load.ledger * (account.target_error - error)).min(account.capacity);
        least = least.min(credit);
        emitted += load.emissions * segments.energy(error - segments.least_error());
    }
    (emitted, least)
}

proptest! {
    #[test]
    fn hindsight_is_feasible_and_no_other_errors_do_better(
        (segments, account, loads) in problem(),
        others in proptest::collection::vec(0.0..1.0_f64, 60),
    ) {
        let best = hindsight(&segments, account, &loads);
        let (emitted, least) = serve(&segments, account, &loads, &best.errors);
        let scale = 1e-9 * (1.0 + loads.iter().map(|load| load.emissions).sum::<f64>());
        prop_assert!(least >= -1e-7, "{least}");
        prop_assert!((emitted - best.emissions).abs() <= scale, "{emitted} {}", best.emissions);
        // Any other errors, made feasible by spending no more than there is.
        let mut credit = account.credit;
        let other: Vec<f64> = loads.iter().zip(&others).map(|(load, wish)| {
            let most = segments.most_error() - segments.least_error();
            let income = load.ledger * (account.target_error - segments.least_error());
            let affordable = if load.ledger > 0.0 { (credit + income).max(0.0) / load.ledger } else { 0.0 };
            let spent = (wish * most).min(affordable);
            credit = (credit + income - load.ledger * spent).min(account.capacity);
            segments.least_error() + spent
        }).collect();
        prop_assert!(serve(&segments, account, &loads, &other).0 >= best.emissions - scale);
        // Without a ledger in the way, and with its initial credit, nothing is worse.
        let free = hindsight_global(&segments, account.target_error, &loads);
        let broke = hindsight(&segments, Account { credit: 0.0, ..account }, &loads);
        prop_assert!(free.emissions <= broke.emissions + scale);
    }

    #[test]
    fn a_plan_begins_as_the_optimum_does((segments, account, loads) in problem()) {
        let mut planner = Planner::default();
        let best = hindsight(&segments, account, &loads);
        for _ in 0..2 {
            // The second time with used buffers.
            let plan = planner.plan(&segments, account, &loads, &[], &[]);
            prop_assert!((plan.error - best.errors[0]).abs() < 1e-9, "{} {}", plan.error, best.errors[0]);
            prop_assert_eq!(plan.price, best.prices[0]);
        }
    }

    #[test]
    fn more_credit_is_never_dearer_and_never_saves_more(
        (segments, account, loads) in problem(), more in 0.0..10.0_f64,
    ) {
        let mut planner = Planner::default();
        let poor = planner.plan(&segments, account, &loads, &[], &[]);
        let rich = Account { credit: account.credit + more, ..account };
        let rich = planner.plan(&segments, rich, &loads, &[], &[]);
        prop_assert!(rich.price <= poor.price);
        prop_assert!(rich.error >= poor.error - 1e-12);
    }

    #[test]
    fn floors_hold_back_and_terminal_bids_too((segments, account, loads) in problem(), part in 0.0..1.0_f64) {
        let mut planner = Planner::default();
        let free = planner.plan(&segments, account, &loads, &[], &[]);
        let floors = vec![account.capacity * part; loads.len() + 1];
        let held = planner.plan(&segments, account, &loads, &floors, &[]);
        prop_assert!(held.error <= free.error + 1e-12, "{} {}", held.error, free.error);
        let bid = Bid { price: 1e9, quantity: account.capacity * part, slot: Bid::TERMINAL };
        let saved = planner.plan(&segments, account, &loads, &[], &[bid]);
        prop_assert!(saved.error <= free.error + 1e-12);
    }

    #[test]
    fn no_horizon_makes_receding_horizon_publish_more_than_the_guard_allows(
        slots in proptest::collection::vec((0.0..4000.0_f64, 0.0..900.0_f64, 0.0..1e5_f64), 0..50),
        credit in -100.0..100.0_f64, capacity in 0.0..100.0_f64, most_requests in 1.0..1e4_f64,
        target_error in 0.0..0.2_f64,
    ) {
        let slots: Vec<Ahead> =
            slots.into_iter().map(|(seconds, intensity, requests)| Ahead { seconds, intensity, requests }).collect();
        let menu = builtin_menu();
        let horizon = Horizon { slots: &slots, floors: &[], is_last: false, credit, capacity, most_requests, elapsed_seconds: 60.0 };
        let mut policy = RecedingHorizon::default();
        let mut decision = Decision::default();
        for _ in 0..3 {
            policy.decide(&Situation { target_error, horizon: Some(horizon), ..situation(&menu) }, &mut decision);
            let error = 1.0 - decision.avg_precision;
            if error > target_error + 1e-12 {
                prop_assert!(most_requests * (error - target_error) <= credit * (1.0 + 1e-9), "{error} {credit}");
            }
            if credit <= 0.0 {
                prop_assert!(error < 1e-12, "{error}");
            }
            prop_assert!((decision.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(decision.diagnostics.iter().all(|(_, value)| value.is_finite()));
        }
    }
}

#[test]
fn softening_keeps_the_ends_and_the_order() {
    let plain = segments(&[(0.0, 1.0), (0.1, 0.5), (0.3, 0.2)]);
    let soft = plain.softened(3, 0.03);
    assert_eq!(soft.list().len(), 6);
    assert!(soft.list().is_sorted_by(|one, two| one.saving >= two.saving));
    for spent in [0.0, 0.1, 0.3] {
        assert!((plain.energy(spent) - soft.energy(spent)).abs() < 1e-12);
    }
}

#[test]
fn flavours_on_one_line_make_one_segment_and_none_is_dominated() {
    let menu = builtin_menu();
    assert_eq!(Segments::new(menu.hull()).list().len(), 1);
    assert_eq!(menu.dominated().count(), 0);
}

#[test]
fn dominated_flavours_are_named() {
    let dominated = |list: &[(&str, f64, f64)]| {
        menu(list).dominated().map(|entry| entry.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(dominated(&[("best", 1.0, 1.0), ("middle", 0.9, 0.9), ("cheap", 0.7, 0.1)]), ["middle"]);
    assert_eq!(
        dominated(&[("best", 1.0, 1.0), ("good", 0.9, 0.2), ("worse and dearer", 0.7, 0.4)]),
        ["worse and dearer"]
    );
}

#[test]
fn in_the_last_horizon_nothing_is_kept_for_later() {
    let menu = builtin_menu();
    let mut policy = RecedingHorizon::default();
    let mut decision = Decision::default();
    let mut error = |intensity: f64, is_last: bool| {
        let slots = [Ahead { seconds: 1800.0, intensity, requests: 1000.0 }];
        let horizon = Horizon {
            slots: &slots,
            floors: &[],
            is_last,
            credit: 250.0,
            capacity: 2400.0,
            most_requests: 50.0,
            elapsed_seconds: 60.0,
        };
        policy.decide(&Situation { horizon: Some(horizon), ..situation(&menu) }, &mut decision);
        1.0 - decision.avg_precision
    };
    // What credit is worth is seen on a dirty grid; a clean slot is not worth it, unless it is the last.
    assert!((error(400.0, false) - 0.3).abs() < 1e-9);
    assert!(error(100.0, false) < 1e-9);
    assert!((error(100.0, true) - 0.3).abs() < 1e-9);
}

#[test]
fn reasons_say_what_decided() {
    let menu = builtin_menu();
    let slots = [
        Ahead { seconds: 1800.0, intensity: 300.0, requests: 1000.0 },
        Ahead { seconds: 1800.0, intensity: 100.0, requests: 1000.0 },
    ];
    let horizon = Horizon {
        slots: &slots,
        floors: &[],
        is_last: false,
        credit: 500.0,
        capacity: 2400.0,
        most_requests: 50.0,
        elapsed_seconds: 60.0,
    };
    let say = |horizon: Option<Horizon<'_>>, target_error: f64| {
        let mut decision = Decision::default();
        RecedingHorizon::default()
            .decide(&Situation { horizon, target_error, ..situation(&menu) }, &mut decision);
        let Reason::Planned { bound, .. } = decision.reason else { panic!("{:?}", decision.reason) };
        (bound, decision.reason.to_string())
    };
    let (bound, sentence) = say(Some(horizon), 0.05);
    assert_eq!(bound, Bound::Plan);
    insta::assert_snapshot!(sentence, @"the plan serves this slot with a mean error of 0.3; credit saves 200 relative g per unit of error elsewhere");
    let (bound, sentence) = say(Some(Horizon { credit: 5.0, most_requests: 5e3, ..horizon }), 0.05);
    assert_eq!(bound, Bound::Guard);
    insta::assert_snapshot!(sentence, @"a mean error of 0.051: more could break the error budget before the next evaluation; credit saves 600.6 relative g per unit of error elsewhere");
    assert_eq!(say(Some(Horizon { credit: 0.0, ..horizon }), 0.05).0, Bound::Nothing);
    assert_eq!(say(Some(Horizon { credit: -1.0, ..horizon }), 0.05).0, Bound::Debt);
    assert_eq!(say(Some(Horizon { slots: &[], ..horizon }), 0.05).0, Bound::NoForecast);
    let alone = decide("receding-horizon", &situation(&menu)).reason.to_string();
    insta::assert_snapshot!(alone, @"no error budget is kept: a mean error of 0.05, as credit comes in");
}
