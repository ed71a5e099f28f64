//! What always holds, whatever the flavours, the credit and the forecast.

mod common;

use common::{decide, situation};
use ledger::Bounds;
use models::flavour::MAX_FLAVOURS;
use models::{Flavour, FlavourSet, Precision, weights};
use policies::throttle::{ThrottleSettings, throttle};
use policies::{Decision, Hull, Menu, Registry, Situation};
use proptest::prelude::*;

/// Any number, ordinary ones more often.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![6 => -1.0..1.0_f64, 2 => 0.0..1_000.0_f64, 2 => any::<f64>(), 1 => Just(f64::NAN)]
}

/// A carbon or energy figure: any that is finite and not below 0.
fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.0..2.0_f64, 1 => Just(0.0), 1 => Just(f64::MAX), 1 => 0.0..1e-300]
}

#[expect(clippy::unwrap_used, reason = "in (0, 1]")]
fn precision() -> impl Strategy<Value = Precision> {
    let steps = (1..=20_u8).prop_map(|twentieth| f64::from(twentieth) / 20.0);
    prop_oneof![steps, 1e-9..=1.0_f64, Just(f64::MIN_POSITIVE)]
        .prop_map(|value| Precision::new(value).unwrap())
}

fn flavour() -> impl Strategy<Value = Flavour> {
    (precision(), prop::option::weighted(0.9, figure()), prop::option::weighted(0.3, figure()), any::<u8>())
        .prop_map(|(precision, carbon_intensity, energy_wh, roll)| {
            let mut flavour = Flavour::new(precision);
            flavour.carbon_intensity = carbon_intensity;
            flavour.energy_wh = energy_wh;
            flavour.enabled = roll >= 25;
            flavour
        })
}

/// A menu of as many flavours as there may be.
#[expect(clippy::unwrap_used, reason = "the names differ, and the first flavour is enabled")]
fn menu() -> impl Strategy<Value = Menu> {
    let few = prop::collection::vec(flavour(), 1..6);
    let many = prop::collection::vec(flavour(), 1..=MAX_FLAVOURS);
    prop_oneof![4 => few, 1 => many].prop_map(|mut flavours| {
        flavours[0].enabled = true;
        let named =
            flavours.into_iter().enumerate().map(|(index, flavour)| flavour.named(&format!("f{index}")));
        Menu::new(&FlavourSet::new(named.collect()).unwrap()).unwrap()
    })
}

#[expect(clippy::unwrap_used, reason = "min <= 0 <= max, both finite")]
fn bounds() -> impl Strategy<Value = Bounds> {
    (figure(), figure()).prop_map(|(min, max)| Bounds::new(-min, max).unwrap())
}

proptest! {
    #[test]
    fn every_decision_can_be_published(
        menu in menu(),
        bounds in bounds(),
        seed in any::<u64>(),
        inputs in prop::collection::vec(
            (number(), number(), prop::option::of(number()), prop::option::of(number())),
            1..5,
        ),
    ) {
        let registry = Registry::builtin();
        for name in registry.names() {
            let mut policy = registry.create(name, seed).unwrap().policy;
            let mut decision = Decision::default();
            for (target_error, balance, now, next) in &inputs {
                let (target_error, balance, now, next) = (*target_error, *balance, *now, *next);
                policy.decide(&Situation { menu: &menu, target_error, balance, bounds, now, next, horizon: None }, &mut decision);
                let shares = &decision.shares;
                prop_assert_eq!(shares.len(), menu.entries().len());
                prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{}: {:?}", name, shares);
                let total: f64 = shares.iter().sum();
                prop_assert!((total - 1.0).abs() < 1e-12, "{name}: {total}");
                let (best, worst) = (menu.baseline().precision, menu.entries().last().unwrap().precision);
                let slack = 1e-12;
                prop_assert!((worst - slack..=best + slack).contains(&decision.avg_precision), "{}", name);
                prop_assert!(decision.diagnostics.iter().all(|(_, value)| value.is_finite()), "{}", name);
                prop_assert!(decision.allowance.is_none_or(|allowance| (0.0..=1.0).contains(&allowance)));
                prop_assert!(!decision.reason.to_string().is_empty());
                let mut whole = Vec::new();
                weights::apportion(shares, 100, &mut whole);
                prop_assert_eq!(whole.iter().sum::<u32>(), 100);
                for (share, weight) in shares.iter().zip(&whole) {
                    let off = (f64::from(*weight) - 100.0 * share).abs();
                    prop_assert!(off < 1.0 + 1e-9, "{name}: {share} became {weight}");
                }
            }
        }
    }

    #[test]
    fn more_credit_never_raises_the_planned_precision(
        menu in menu(),
        bounds in bounds(),
        one in number(),
        two in number(),
    ) {
        prop_assume!(!one.is_nan() && !two.is_nan());
        for policy in ["credit-greedy", "precision-tier"] {
            let planned = |balance| {
                decide(policy, &Situation { balance, bounds, ..situation(&menu) }).avg_precision
            };
            let (less, more) = (planned(one.min(two)), planned(one.max(two)));
            prop_assert!(more <= less + 1e-12, "{policy}: {less} with less credit, {more} with more");
        }
    }

    #[test]
    fn the_same_seed_decides_the_same(menu in menu(), seed in any::<u64>(), balance in number()) {
        let registry = Registry::builtin();
        for name in registry.names() {
            let decisions = || {
                let mut policy = registry.create(name, seed).unwrap().policy;
                let mut decision = Decision::default();
                [(); 3].map(|()| {
                    policy.decide(&Situation { balance, ..situation(&menu) }, &mut decision);
                    decision.clone().shares
                })
            };
            prop_assert_eq!(decisions(), decisions());
        }
    }

    #[test]
    fn constant_mix_is_the_cheapest_that_spends_the_target(
        points in prop::collection::vec((0.01..=1.0_f64, 0.01..2.0_f64), 1..8),
        target_error in 0.0..1.0_f64,
    ) {
        let flavours = points.iter().enumerate().map(|(index, (precision, carbon))| {
            Flavour::new(Precision::new(*precision).unwrap()).named(&format!("f{index}")).with_carbon_intensity(*carbon)
        });
        let menu = Menu::new(&FlavourSet::new(flavours.collect()).unwrap()).unwrap();
        let entries = menu.entries();
        let decision = decide("constant-mix", &Situation { target_error, ..situation(&menu) });
        let error = target_error.max(entries[0].error).min(entries[entries.len() - 1].error);
        prop_assert!((1.0 - decision.avg_precision - error).abs() < 1e-9);
        let energy: f64 = decision.shares.iter().zip(entries).map(|(share, entry)| share * entry.energy).sum();
        for one in entries {
            for two in entries.iter().filter(|two| one.error <= error && error <= two.error) {
                let span = two.error - one.error;
                let share = if span > 0.0 { (error - one.error) / span } else { 0.0 };
                let mixed = one.energy * (1.0 - share) + two.energy * share;
                prop_assert!(energy <= mixed + 1e-9, "{} and {} need {mixed}, not {energy}", one.name, two.name);
            }
        }
    }

    #[test]
    fn no_point_is_below_its_hull(points in prop::collection::vec((0.0..1.0_f64, 0.0..2.0_f64), 1..20)) {
        let hull = Hull::new(points.iter().copied()).unwrap();
        for (index, (error, energy)) in points.iter().enumerate() {
            let cheapest = hull.energy(*error).unwrap();
            prop_assert!(cheapest <= energy + 1e-9);
            if hull.contains(index) {
                prop_assert!(cheapest >= energy - 1e-9);
            }
        }
        let errors: Vec<f64> = hull.vertices().iter().map(|vertex| vertex.error).collect();
        prop_assert!(errors.is_sorted_by(|one, two| one < two));
        let slopes: Vec<f64> = hull
            .vertices()
            .windows(2)
            .map(|pair| (pair[1].energy - pair[0].energy) / (pair[1].error - pair[0].error))
            .collect();
        prop_assert!(slopes.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6 * (1.0 + pair[1].abs())), "{slopes:?}");
    }

    #[test]
    fn a_throttle_is_a_share_and_a_ceiling_within_its_component(
        settings in (number(), number(), number()),
        balance in number(),
        bounds in bounds(),
        now in prop::option::of(number()),
        next in prop::option::of(number()),
        replicas in (0..100_u32, 0..=2_147_483_647_u32),
    ) {
        let settings = ThrottleSettings { min: settings.0, floor: settings.1, ceiling: settings.2 };
        let throttle = throttle(&settings, balance, bounds, now, next);
        for ratio in [throttle.throttle, throttle.credits_ratio, throttle.intensity_ratio] {
            prop_assert!((0.0..=1.0).contains(&ratio), "{throttle:?}");
        }
        let (min, max) = (replicas.0.min(replicas.1), replicas.0.max(replicas.1));
        prop_assert!((min..=max).contains(&throttle.ceiling(min, max)));
    }
}
