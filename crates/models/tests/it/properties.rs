//! What must hold for every input.

use models::flavour::MAX_FLAVOURS;
use models::ranges::Range;
use models::weights::apportion;
use models::{
    Accounting, CarbonIntensity, CarbonTarget, Component, Feedback, Flavour, FlavourSet, Forecast, Index,
    Manual, Overrides, Precision, Problems, SETTINGS, ScheduleId, Signal, Slot, Timestamp, json,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// A number of `range`, its ends more often than chance would have it.
fn inside(range: &'static Range) -> impl Strategy<Value = f64> {
    let near = range.low.max(-1e6)..=range.high.min(1e6);
    prop_oneof![near, Just(range.low), Just(range.high)]
        .prop_filter("in range", |value| range.contains(*value))
}

/// Any JSON, its keys often the ones that are looked for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0..1.0).prop_map(Value::from),
        prop_oneof!["\\PC{0,8}", "-?[0-9]{1,3}(\\.[0-9]{1,3})?", "[a-z]{1,3}"].prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any_key(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    const KEYS: [&str; 30] = [
        "scheduler",
        "strategies",
        "flavours",
        "components",
        "policy",
        "carbonTarget",
        "calibrate",
        "flavour_precision",
        "flavour_energy_wh",
        "name",
        "precision",
        "carbonIntensity",
        "carbon_intensity",
        "energyWh",
        "enabled",
        "annotations",
        "minReplicas",
        "maxReplicas",
        "flavourWeights",
        "flavourRules",
        "flavourName",
        "weight",
        "ttlSeconds",
        "reason",
        "flavour_counts",
        "total_requests",
        "window_seconds",
        "windowEnd",
        "source",
        "sequence",
    ];
    let known = KEYS.into_iter().chain(SETTINGS.iter().map(|spec| spec.key)).collect::<Vec<_>>();
    prop_oneof![4 => prop::sample::select(known).prop_map(String::from), 1 => any::<String>()]
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    btree_map(any_key(), any_json(), 0..8).prop_map(|map| map.into_iter().collect())
}

/// Each problem stands at something in the body, or says what is missing there.
fn told_about(body: &Map<String, Value>, problems: &Problems) -> Result<(), TestCaseError> {
    let document = Value::Object(body.clone());
    prop_assert!(!problems.is_empty());
    for problem in problems {
        let parent = problem.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        prop_assert!(document.pointer(parent).is_some(), "{} points nowhere", problem.pointer);
        prop_assert!(!problem.problem.is_empty());
    }
    Ok(())
}

fn word() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,12}"
}

fn flavour() -> impl Strategy<Value = Flavour> {
    let figures =
        (option::of(inside(&models::ranges::FLAVOUR_CARBON)), option::of(inside(&models::ranges::ENERGY_WH)));
    let annotations = btree_map(any::<String>(), any_json(), 0..3);
    (inside(&models::ranges::PRECISION), figures, any::<bool>(), annotations).prop_map(
        |(precision, figures, enabled, notes)| {
            let mut flavour = Flavour::new(Precision::new(precision).unwrap_or(Precision::BEST));
            (flavour.carbon_intensity, flavour.energy_wh) = figures;
            flavour.enabled = enabled;
            flavour.annotations = notes.into_iter().collect();
            flavour
        },
    )
}

fn flavours() -> impl Strategy<Value = FlavourSet> {
    btree_map(word(), flavour(), 1..8).prop_filter_map("names differ", |map| {
        FlavourSet::new(map.into_iter().map(|(name, flavour)| flavour.named(&name)).collect()).ok()
    })
}

fn components() -> impl Strategy<Value = Vec<Component>> {
    btree_map(word(), (0_u32..=1000, option::of(0_u32..=1_000_000)), 0..4).prop_map(|map| {
        let component = |(name, (min_replicas, more)): (String, (u32, Option<u32>))| Component {
            name: name.into(),
            min_replicas,
            max_replicas: more.map(|more| min_replicas + more),
        };
        map.into_iter().map(component).collect()
    })
}

fn overrides() -> impl Strategy<Value = Overrides> {
    let numbers: Vec<_> = SETTINGS.iter().map(|spec| option::of(inside(spec.range))).collect();
    let words = (option::of(word()), option::of(word()), option::of(any::<bool>()));
    (numbers, words, option::of(flavours()), option::of(components())).prop_map(
        |(numbers, (policy, target, calibrate), flavours, components)| {
            let mut overrides = Overrides::default();
            overrides.calibrate = calibrate;
            overrides.policy = policy.map(Into::into);
            overrides.carbon_target = target.map(CarbonTarget::from);
            overrides.flavours = flavours;
            overrides.components = components.map(Into::into);
            for (spec, number) in SETTINGS.iter().zip(numbers) {
                let set = number.map_or(Ok(()), |number| overrides.set_number(spec.setting, number));
                assert!(set.is_ok(), "{} is inside its own range", spec.key);
            }
            overrides
        },
    )
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_second() + 1..Timestamp::MAX.as_second(), 0_i32..1_000_000_000)
        .prop_filter_map("an instant", |(second, nanosecond)| Timestamp::new(second, nanosecond).ok())
}

fn forecast() -> impl Strategy<Value = Forecast> {
    let slot =
        (instant(), instant(), inside(&models::ranges::INTENSITY), prop::sample::select(Index::ALL.to_vec()));
    let slots = vec(slot, 1..20).prop_map(|slots| {
        let slot = |(from, to, grams, index)| {
            Some(Slot { from, to, forecast: CarbonIntensity::new(grams).ok()?, index })
        };
        slots.into_iter().filter_map(slot).collect::<Vec<_>>()
    });
    let signal = prop::sample::select(Signal::ALL.to_vec());
    let accounting = prop::sample::select(Accounting::ALL.to_vec());
    let about = (signal, accounting, option::of(any::<String>()));
    (any::<String>(), option::of(instant()), instant(), slots, about).prop_filter_map(
        "some slot",
        |(source, issued, retrieved, slots, (signal, accounting, zone))| {
            let forecast = Forecast::new(source, issued, retrieved, slots).ok()?;
            let forecast = forecast.with_signal(signal).with_accounting(accounting);
            Some(match zone {
                Some(zone) => forecast.with_zone(zone),
                None => forecast,
            })
        },
    )
}

proptest! {
    #[test]
    fn weights_sum_and_stay_within_one_of_the_exact_share(
        shares in vec(
            prop_oneof![4 => 0.0..1.0, 2 => any::<f64>(), 1 => Just(0.0), 1 => Just(f64::MAX), 1 => Just(f64::NAN),
                1 => Just(f64::INFINITY), 1 => Just(5e-324), 1 => Just(-1.0), 1 => Just(1.0)],
            1..=MAX_FLAVOURS,
        ),
        total in prop::sample::select(vec![100_u32, 1000]),
    ) {
        let mut weights = vec![7; 3];
        apportion(&shares, total, &mut weights);
        prop_assert_eq!(weights.len(), shares.len());
        prop_assert_eq!(weights.iter().sum::<u32>(), total);
        let sane: Vec<f64> = shares.iter().map(|share| if share.is_finite() { share.max(0.0) } else { 0.0 }).collect();
        let largest = sane.iter().copied().fold(0.0, f64::max);
        if largest == 0.0 {
            prop_assert_eq!(weights[0], total, "where all are zero the first takes all");
            return Ok(());
        }
        // Relative to the largest nothing overflows.
        let sum: f64 = sane.iter().map(|share| share / largest).sum();
        for (share, weight) in sane.iter().zip(&weights) {
            let exact = share / largest / sum * f64::from(total);
            prop_assert!((f64::from(*weight) - exact).abs() < 1.0 + 1e-9, "{weight} for {exact}");
        }
    }

    #[test]
    fn no_body_panics_a_parser_and_what_is_taken_is_in_range(body in any_object()) {
        match Overrides::from_json(&body) {
            Ok(parsed) => {
                for spec in &SETTINGS {
                    prop_assert!(parsed.overrides.number(spec.setting).is_none_or(|number| spec.range.contains(number)));
                }
            }
            Err(problems) => told_about(&body, &problems)?,
        }
        match Feedback::from_json(&body) {
            Ok((feedback, _)) => prop_assert!(feedback.window_seconds > 0.0 && feedback.total() < u64::MAX),
            Err(problems) => told_about(&body, &problems)?,
        }
        match Manual::from_json(&body) {
            Ok(manual) => {
                prop_assert!(manual.weights.iter().any(|(_, weight)| *weight > 0.0));
                prop_assert!(manual.shares(&FlavourSet::builtin()).is_err(), "nobody named a built-in flavour");
            }
            Err(problems) => told_about(&body, &problems)?,
        }
    }

    #[test]
    fn no_value_panics_the_other_parsers(value in any_json(), text in any::<String>()) {
        let mut ignored = Vec::new();
        if let Ok(set) = FlavourSet::from_json(&value, "", &mut ignored) {
            prop_assert!((1..=MAX_FLAVOURS).contains(&set.len()));
        }
        if let Ok(forecast) = serde_json::from_value::<Forecast>(value) {
            prop_assert!(!forecast.slots().is_empty());
        }
        if let Ok(id) = ScheduleId::new(&text, &text) {
            prop_assert_eq!(id.namespace(), &text);
        }
        prop_assert!(json::excerpt(&text).len() <= 80 * 10 + 2);
    }

    #[test]
    fn a_string_that_holds_a_number_is_that_number(
        spec in prop::sample::select(SETTINGS.to_vec()),
        number in prop_oneof![any::<f64>().prop_filter("finite", |number| number.is_finite()), -2.0..2.0, 0.0..100_000.0],
    ) {
        for text in [format!("{number:e}"), format!("{number:?}")] {
            let read = |json: String| Overrides::from_json(&crate::body(&json));
            let as_number = read(format!("{{\"{}\": {text}}}", spec.key));
            let as_text = read(format!("{{\"{}\": \" {text} \"}}", spec.key));
            prop_assert_eq!(as_number, as_text);
        }
    }

    #[test]
    fn overrides_are_printed_and_read_back(overrides in overrides()) {
        let text = serde_json::to_string(&overrides.to_json()).unwrap();
        let parsed = Overrides::from_json(&crate::body(&text)).unwrap();
        prop_assert_eq!(&parsed.overrides, &overrides);
        prop_assert!(parsed.ignored.is_empty());
        // Nested under `scheduler`, but for the lists, it says the same.
        let mut nested = overrides.to_json();
        let lists: Map<String, Value> =
            ["flavours", "components"].into_iter().filter_map(|key| Some((key.into(), nested.remove(key)?))).collect();
        let mut outer = lists;
        outer.insert("scheduler".into(), Value::Object(nested));
        prop_assert_eq!(Overrides::from_json(&outer).unwrap().overrides, overrides);
    }

    #[test]
    fn forecasts_are_printed_and_read_back(forecast in forecast()) {
        let text = serde_json::to_string(&forecast).unwrap();
        prop_assert_eq!(serde_json::from_str::<Forecast>(&text).unwrap(), forecast);
    }

    #[test]
    fn a_forecasts_slots_never_overlap_and_are_found(forecast in forecast(), at in instant()) {
        for pair in forecast.slots().windows(2) {
            prop_assert!(pair[0].from < pair[0].to && pair[0].to <= pair[1].from);
        }
        if let Some(slot) = forecast.at(at) {
            prop_assert!(slot.from <= at && at < slot.to);
            prop_assert_eq!(forecast.last_known(at), slot);
        }
        prop_assert!(forecast.after(at).is_none_or(|slot| slot.from > at));
        let published: Vec<Slot> = serde_json::from_slice(&forecast.published_slots(at)).unwrap();
        prop_assert!(published.iter().all(|slot| slot.to > at));
    }

    #[test]
    fn names_are_printed_and_read_back(namespace in "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", name in "[a-z0-9]{1,5}(\\.[a-z0-9]{1,5}){0,3}") {
        let id = ScheduleId::new(&namespace, &name).unwrap();
        let text = serde_json::to_string(&id).unwrap();
        prop_assert_eq!(serde_json::from_str::<ScheduleId>(&text).unwrap(), id.clone());
        let shown = id.to_string();
        let (one, two) = shown.split_once('/').unwrap();
        prop_assert_eq!(ScheduleId::new(one, two).unwrap(), id);
    }
}

#[test]
fn words_for_bands_are_printed_and_read_back() {
    for index in Index::ALL {
        assert_eq!(Index::parse(index.as_str()), Some(index));
        assert_eq!(serde_json::to_value(index).unwrap(), index.as_str());
        assert_eq!(serde_json::from_value::<Index>(index.as_str().into()).unwrap(), index);
    }
    assert_eq!(Index::parse("Low"), None);
}

#[test]
fn names_and_forecasts_that_break_their_rules_are_not_read_back() {
    assert!(serde_json::from_str::<ScheduleId>(r#"["a b", "c"]"#).is_err());
    let empty = r#"{"source": "x", "retrievedAt": "2026-01-01T00:00:00Z", "slots": []}"#;
    assert!(serde_json::from_str::<Forecast>(empty).unwrap_err().to_string().contains("no usable slot"));
    assert!(serde_json::from_str::<CarbonIntensity>("-1").is_err());
    assert!(serde_json::from_str::<Precision>("1.5").is_err());
}
