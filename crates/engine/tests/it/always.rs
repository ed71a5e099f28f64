//! What must hold whatever happens, in whatever order.

use crate::world::{START, World, at, forecast, overrides, secs};
use engine::{Emissions, EngineOptions, Spread};
use models::{CarbonTarget, Feedback, Manual};
use policies::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Something that can happen to an engine with one schedule.
#[derive(Debug, Clone)]
enum Event {
    Put(Value),
    Forecast(Vec<f64>),
    Feedback { counts: [u32; 3], window: f64, late: i64 },
    Manual { weights: [u32; 3], ttl: f64 },
    EndManual,
    Pass(i64),
    ClockSet(i64),
}

/// Every policy whose weights are its shares, rounded. Those of one that looks ahead may be further from them: the
/// guard of the budget moves weight to the best flavour.
fn policy() -> impl Strategy<Value = String> {
    let registry = Registry::builtin();
    let is_guarded = |name: &str| registry.create(name, 0).unwrap().policy.looks_ahead();
    let names: Vec<String> = registry.names().filter(|name| !is_guarded(name)).map(Into::into).collect();
    proptest::sample::select(names)
}

fn put() -> impl Strategy<Value = Value> {
    (policy(), 0.0..0.9_f64, -2.0..0.0_f64, 0.0..2.0_f64, 1.0..7200.0_f64).prop_map(
        |(policy, target, min, max, valid_for)| {
            json!({"policy": policy, "targetError": target, "creditMin": min, "creditMax": max,
                "validFor": valid_for, "components": {"router": {"maxReplicas": 9}}})
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => put().prop_map(Event::Put),
        2 => proptest::collection::vec(0.0..1000.0_f64, 1..100).prop_map(Event::Forecast),
        3 => (any::<[u16; 3]>(), 0.1..3600.0_f64, 0..4000_i64)
            .prop_map(|(counts, window, late)| Event::Feedback { counts: counts.map(u32::from), window, late }),
        1 => (any::<[u8; 3]>(), 1.0..5000.0_f64)
            .prop_map(|(weights, ttl)| Event::Manual { weights: weights.map(u32::from), ttl }),
        1 => Just(Event::EndManual),
        5 => (0..4000_i64).prop_map(Event::Pass),
        1 => (-4000..4000_i64).prop_map(Event::ClockSet),
    ]
}

fn apply(world: &mut World, event: &Event) {
    match event {
        Event::Put(body) => drop(world.put(body.clone())),
        Event::Forecast(grams) => {
            world
                .engine
                .observe_forecast(&CarbonTarget::from("national"), forecast(grams), world.now)
                .unwrap();
        }
        Event::Feedback { counts: [best, middle, worst], window, late } => {
            let counts = [("precision-100", best), ("precision-85", middle), ("precision-70", worst)];
            let counts = counts.map(|(name, count)| (name.to_owned(), u64::from(*count)));
            let end = world.now - secs(*late);
            let feedback = Feedback {
                window_seconds: *window,
                window_end: Some(end),
                counts: counts.into(),
                ..Feedback::default()
            };
            world.engine.feedback(&world.id, &feedback, world.now).unwrap();
        }
        Event::Manual { weights: [best, middle, worst], ttl } => {
            let body = json!({"ttlSeconds": ttl, "flavourWeights":
                {"precision-100": best, "precision-85": middle, "precision-70": worst}});
            if let Ok(manual) = Manual::from_json(body.as_object().unwrap()) {
                world.engine.set_manual(&world.id, manual, world.now).unwrap();
            }
        }
        Event::EndManual => drop(world.engine.clear_manual(&world.id, world.now)),
        Event::Pass(seconds) => world.pass(secs(*seconds)),
        Event::ClockSet(seconds) => {
            world.now += secs(*seconds);
            world.engine.tick(world.now);
        }
    }
}

fn check(world: &World) -> Result<(), TestCaseError> {
    let published = world.published();
    let schedule = &published.schedule;
    prop_assert_eq!(schedule.flavours.iter().map(|share| u32::from(share.weight)).sum::<u32>(), 100);
    prop_assert_eq!(schedule.flavours.iter().map(|share| u32::from(share.per_mille)).sum::<u32>(), 1000);
    for share in &schedule.flavours {
        prop_assert!((f64::from(share.weight) - share.share * 100.0).abs() < 1.0 + 1e-9, "{:?}", share);
    }
    let credits = schedule.credits;
    prop_assert!(credits.min <= credits.balance && credits.balance <= credits.max, "{:?}", credits);
    prop_assert!(credits.velocity.is_finite());
    prop_assert!((0.0..=1.0).contains(&schedule.processing.throttle));
    prop_assert!(schedule.valid_until > schedule.evaluated_at);
    prop_assert!(schedule.valid_until.subsec_nanosecond() == 0 || schedule.manual.is_some());
    let due = world.engine.next_due().unwrap();
    prop_assert!(due <= schedule.valid_until, "{} {}", due, schedule.valid_until);
    let json: Value = serde_json::from_slice(&published.document.to_bytes()).unwrap();
    prop_assert!(json["diagnostics"].as_object().unwrap().values().all(Value::is_f64));
    prop_assert_eq!(&json["flavours"], &json["strategies"]);
    Ok(())
}

/// Counters never fall, requests are neither lost nor counted twice, and nobody beats the best mix there is.
fn check_savings(world: &World, before: &mut Option<Emissions>) -> Result<(), TestCaseError> {
    let published = world.published();
    let Some(savings) = published.schedule.savings else { return Ok(()) };
    let counted = published.totals.emissions.unwrap();
    if let Some(before) = before.replace(counted) {
        prop_assert!(counted.emitted >= before.emitted, "{:?} {:?}", before, counted);
        prop_assert!(counted.at_best >= before.at_best && counted.at_constant_mix >= before.at_constant_mix);
    }
    let all = savings.since_start;
    prop_assert!(all.priced_requests + all.unpriced_requests <= published.totals.requests);
    prop_assert!(savings.day.priced_requests <= all.priced_requests);
    for emitted in [all, savings.day] {
        prop_assert!(emitted.emitted >= 0.0 && emitted.emitted.is_finite());
        prop_assert!(emitted.avoided_vs_best >= -1e-9 * emitted.emitted, "{:?}", emitted);
    }
    if let Some(found) = savings.hindsight {
        prop_assert!(found.optimum.is_finite() && found.optimum >= 0.0);
        prop_assert!((3600..=86_400).contains(&found.span_seconds) && found.span_seconds % 1800 == 0);
        prop_assert!(found.until <= world.now, "{} {}", found.until, world.now);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_history_leaves_a_whole_schedule(events in proptest::collection::vec(event(), 1..40)) {
        let mut world = World::new();
        world.put(json!({}));
        let mut counted = None;
        for event in &events {
            apply(&mut world, event);
            check(&world)?;
            check_savings(&world, &mut counted)?;
        }
    }

    #[test]
    fn same_inputs_same_bytes_out(events in proptest::collection::vec(event(), 1..25), seed in any::<u64>()) {
        let run = || {
            let options = EngineOptions { seed, spread: Spread::ByName, ..EngineOptions::default() };
            let mut world = World::with(options);
            world.put(json!({"policy": "random"}));
            let mut documents = Vec::new();
            for event in &events {
                apply(&mut world, event);
                documents.push(world.published().document.to_bytes());
            }
            documents
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_put_twice_is_a_put_once(events in proptest::collection::vec(event(), 0..10), body in put()) {
        let mut world = World::new();
        world.put(json!({}));
        for event in &events {
            apply(&mut world, event);
        }
        world.put(body.clone());
        let once = world.published();
        prop_assert!(!world.put(body).changed);
        prop_assert_eq!(once.document.to_bytes(), world.published().document.to_bytes());
        prop_assert_eq!(once.sequence, world.published().sequence);
    }
}

#[test]
fn a_bad_configuration_leaves_everything_as_it_was() {
    let mut world = World::new();
    world.put(json!({"targetError": 0.1}));
    let before = world.published();
    assert!(
        world
            .engine
            .configure(&world.id, overrides(json!({"policy": "no-such", "creditMax": 3})), world.now)
            .is_err()
    );
    assert_eq!(before.sequence, world.published().sequence);
    assert_eq!(world.engine.config(&world.id).unwrap().0["creditMax"]["value"], 0.5);
    assert_eq!(world.now, at(START));
}
