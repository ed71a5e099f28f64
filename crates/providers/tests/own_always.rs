//! What must hold of both learners whatever they are told.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};
use proptest::prelude::*;
use providers::own::{CarbonLearner, DemandLearner, Estimate};

/// Something that happens to a carbon learner.
#[derive(Debug, Clone)]
enum Event {
    Actual(Slot),
    Vintage(Forecast, Timestamp),
    Blend(Option<Forecast>, Timestamp, SignedDuration),
}

/// Minutes around some midnight; now and then anywhere at all.
fn instant() -> impl Strategy<Value = Timestamp> {
    let near = (-20_000_i64..20_000).prop_map(|minute| minute * 60 + 1_767_225_600);
    let far = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    let odd = -1_000_000_i64..1_000_000;
    prop_oneof![20 => near, 1 => far, 1 => odd].prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn grams() -> impl Strategy<Value = CarbonIntensity> {
    prop_oneof![8 => 0.0..600.0, 1 => Just(0.0), 1 => Just(10_000.0)]
        .prop_map(|grams| CarbonIntensity::new(grams).unwrap())
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn slot() -> impl Strategy<Value = Slot> {
    let length = prop_oneof![10 => Just(1_800), 4 => Just(3_600), 2 => Just(300), 1 => 0_i64..100_000];
    (instant(), length, grams(), any::<bool>()).prop_map(|(from, seconds, grams, aligned)| {
        let second = from.as_second();
        let from = if aligned { later(from, -second.rem_euclid(1_800)) } else { from };
        Slot::new(from, later(from, seconds), grams)
    })
}

fn forecast() -> impl Strategy<Value = Forecast> {
    let regular =
        (instant(), prop::collection::vec(grams(), 1..200), prop_oneof![Just(300), Just(1_800), Just(3_600)])
            .prop_map(|(from, values, step)| {
                let from = later(from, -from.as_second().rem_euclid(step));
                let begins = (0..).map(|index| later(from, index * step));
                begins.zip(values).map(|(from, grams)| Slot::new(from, later(from, step), grams)).collect()
            });
    let irregular = prop::collection::vec(slot(), 1..20);
    prop_oneof![4 => regular, 1 => irregular].prop_filter_map("no slot", |slots: Vec<Slot>| {
        Forecast::new("any", None, Timestamp::UNIX_EPOCH, slots).ok()
    })
}

fn event() -> impl Strategy<Value = Event> {
    let horizon = prop_oneof![6 => 0_i64..400_000, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    prop_oneof![
        6 => slot().prop_map(Event::Actual),
        1 => (instant(), prop::collection::vec(grams(), 1..120)).prop_map(|(from, _)| {
            Event::Actual(Slot::new(from, later(from, 1_800), CarbonIntensity::new(200.0).unwrap()))
        }),
        2 => (forecast(), instant()).prop_map(|(forecast, now)| Event::Vintage(forecast, now)),
        2 => (prop::option::of(forecast()), instant(), horizon)
            .prop_map(|(provider, now, seconds)| Event::Blend(provider, now, SignedDuration::from_secs(seconds))),
    ]
}

/// Runs of slots in order, as they come, between anything else.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let run = (instant(), prop::collection::vec(grams(), 1..150)).prop_map(|(from, values)| {
        let from = later(from, -from.as_second().rem_euclid(1_800));
        let begins = (0..).map(|index| later(from, index * 1_800));
        let slots = begins.zip(values).map(|(from, grams)| Slot::new(from, later(from, 1_800), grams));
        let told = slots.flat_map(|slot| {
            let ahead = Forecast::new(
                "run",
                None,
                slot.from,
                vec![slot, Slot { from: slot.to, to: later(slot.to, 3_600), ..slot }],
            );
            ahead.ok().map(|ahead| Event::Vintage(ahead, slot.from)).into_iter().chain([Event::Actual(slot)])
        });
        told.collect::<Vec<_>>()
    });
    let any = prop::collection::vec(event(), 1..10);
    prop::collection::vec(prop_oneof![any, run], 1..6).prop_map(|runs| runs.concat())
}

fn happen(learner: &mut CarbonLearner, event: &Event) -> Vec<Estimate> {
    let mut out = Vec::new();
    match event {
        Event::Actual(slot) => learner.observe_actual(slot),
        Event::Vintage(forecast, now) => learner.observe_vintage(forecast, *now),
        Event::Blend(provider, now, horizon) => learner.blend(provider.as_ref(), *now, *horizon, &mut out),
    }
    out
}

fn restored<T: serde::Serialize + serde::de::DeserializeOwned>(learner: &T) -> T {
    serde_json::from_str(&serde_json::to_string(learner).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn carbon_estimates_are_possible_and_without_gaps(events in events()) {
        let mut learner = CarbonLearner::default();
        for event in &events {
            let out = happen(&mut learner, event);
            prop_assert!(out.len() <= models::forecast::MAX_SLOTS);
            for estimate in &out {
                prop_assert!((0.0..=10_000.0).contains(&estimate.intensity), "{estimate:?}");
                prop_assert!((0.0..=1.0).contains(&estimate.provider_weight), "{estimate:?}");
            }
            for pair in out.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
            if let (Some(first), Event::Blend(_, now, _)) = (out.first(), event) {
                prop_assert!(first.from <= *now && *now <= first.to, "{first:?} at {now}");
            }
        }
    }

    #[test]
    fn a_restored_carbon_learner_goes_on_as_if_nothing_had_happened(events in events(), cut in any::<prop::sample::Index>()) {
        let mut learner = CarbonLearner::default();
        let mut twin = CarbonLearner::default();
        let mut left = cut.index(events.len());
        for event in &events {
            if left == 0 {
                twin = restored(&twin);
            }
            left = left.wrapping_sub(1);
            prop_assert_eq!(happen(&mut learner, event), happen(&mut twin, event));
        }
        let (learner, twin) = (serde_json::to_value(&learner).unwrap(), serde_json::to_value(&twin).unwrap());
        for (field, value) in learner["state"].as_object().into_iter().flatten() {
            prop_assert_eq!(value, &twin["state"][field], "{}", field);
        }
    }

    #[test]
    fn looking_changes_nothing(events in events()) {
        // What is learned does not depend on who asked when: only the delay of values is seen in passing.
        let mut asked = CarbonLearner::default();
        let mut left_alone = CarbonLearner::default();
        for event in &events {
            happen(&mut asked, event);
            if !matches!(event, Event::Blend(..)) {
                happen(&mut left_alone, event);
            } else if left_alone.step().is_none() && asked.step().is_some() {
                // The first vintage anyone shows sets the grid.
                return Ok(());
            }
        }
        let own = |learner: &mut CarbonLearner| {
            let mut out = Vec::new();
            let now = Timestamp::from_second(1_767_225_600).unwrap();
            learner.blend(None, now, SignedDuration::from_hours(48), &mut out);
            out
        };
        prop_assert_eq!(own(&mut asked), own(&mut left_alone));
    }

    #[test]
    fn demand_is_finite_and_never_negative(
        reports in prop::collection::vec(
            (instant(), prop_oneof![Just(30.0), Just(60.0), 0.0..90_000.0, Just(1e-300)], prop_oneof![0.0..1e6, Just(1e15), Just(0.0)]),
            1..200,
        ),
        asked in prop::collection::vec((instant(), 0_i64..1_000_000, instant()), 1..10),
        cut in 0_usize..200,
    ) {
        let mut learner = DemandLearner::default();
        let mut twin = DemandLearner::default();
        for (index, (end, seconds, requests)) in reports.iter().enumerate() {
            if index == cut {
                twin = restored(&twin);
            }
            learner.observe(*end, *seconds, *requests);
            twin.observe(*end, *seconds, *requests);
        }
        for (from, seconds, now) in asked {
            let expected = learner.expect(from, later(from, seconds), now);
            prop_assert!(expected.is_finite() && expected >= 0.0, "{expected}");
            prop_assert_eq!(expected.to_bits(), twin.expect(from, later(from, seconds), now).to_bits());
            let rate = learner.rate(now);
            prop_assert!(rate.is_none_or(|rate| rate.is_finite() && rate >= 0.0), "{rate:?}");
            prop_assert_eq!(rate.is_some(), learner.is_known());
        }
        prop_assert_eq!(learner, twin);
    }
}
