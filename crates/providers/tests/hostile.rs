//! What must hold for any bytes: no parser panics, and nothing becomes an intensity that was not one.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use models::{CarbonIntensity, CarbonTarget, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use providers::{Adapter, Fixed, LegacyForecast, UkCarbonIntensity};
use serde_json::{Value, json};

/// The intensities of [`documents`]: whatever is read from a damaged one has to be among them.
const INTENSITIES: [f64; 4] = [266.0, 146.5, 87.0, 301.0];

fn documents() -> Vec<Value> {
    let slot = |hour: usize| {
        json!({"from": format!("2018-01-20T{hour:02}:00Z"), "to": format!("2018-01-20T{hour:02}:30Z"),
               "intensity": {"forecast": INTENSITIES[hour % 4], "actual": null, "index": "moderate"},
               "generationmix": [{"fuel": "gas", "perc": 43.6}]})
    };
    let slots: Vec<Value> = (10..16).map(slot).collect();
    let region =
        json!({"regionid": 3, "dnoregion": "Electricity North West", "postcode": "RG10", "data": slots});
    vec![
        json!({"data": slots}),
        json!({"data": region}),
        json!({"data": [region]}),
        json!({"data": [region, {"regionid": 4, "data": slots}]}),
        json!({"current": 266, "next": "146.5"}),
        json!({"intensity_now": 87, "intensity_next": 301}),
        json!({"error": {"code": "400 Bad Request", "message": "string"}}),
    ]
}

fn adapters() -> Vec<(Box<dyn Adapter>, &'static str)> {
    vec![
        (Box::new(UkCarbonIntensity::default()), "national"),
        (Box::new(UkCarbonIntensity::default()), "region:3"),
        (Box::new(UkCarbonIntensity::default()), "postcode:RG10"),
        (Box::new(LegacyForecast::new("http://carbon.example")), "national"),
    ]
}

fn now() -> Timestamp {
    "2018-01-20T12:10:00Z".parse().unwrap()
}

/// Every intensity that any adapter reads from `body`.
fn read(body: &[u8]) -> Vec<f64> {
    let mut found = Vec::new();
    for (adapter, target) in adapters() {
        match adapter.parse(&CarbonTarget::from(target), body, now()) {
            Ok(answer) => {
                assert!(answer.actuals.iter().all(|slot| slot.from < slot.to && slot.to <= now()));
                found.extend(answer.actuals.iter().map(|slot| slot.forecast.get()));
                let slots = answer.forecast.slots();
                assert!(!slots.is_empty());
                assert!(slots.iter().all(|slot| slot.from < slot.to));
                assert!(slots.windows(2).all(|pair| pair[0].to <= pair[1].from));
                found.extend(slots.iter().map(|slot| slot.forecast.get()));
            }
            Err(error) => assert!(error.to_string().len() < 2_000, "{error}"),
        }
    }
    found
}

/// The nodes of a document, counted.
fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(nodes).sum(),
        Value::Object(object) => object.values().map(nodes).sum(),
        _ => 0,
    }
}

/// Puts `damage` where the `place`-th node stood.
fn replace(value: &mut Value, place: &mut usize, damage: &Value) {
    if *place == 0 {
        *value = damage.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        Value::Array(list) => list.iter_mut().for_each(|inner| replace(inner, place, damage)),
        Value::Object(object) => object.values_mut().for_each(|inner| replace(inner, place, damage)),
        _ => {}
    }
}

/// Values that are no intensity, and hold none.
fn damage() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (i64::MIN..0).prop_map(Value::from),
        (10_001..u64::MAX).prop_map(Value::from),
        "[a-z:-]{0,6}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!({"data": []})),
        Just(json!("9999-12-31T23:59Z")),
        Just(json!("-009999-01-01T00:00Z")),
    ]
}

#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        any::<Index>().prop_map(Edit::Cut),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 0..8))
            .prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match edit {
        Edit::Set(at, byte) => bytes[at.index(length)] = *byte,
        Edit::Cut(at) => bytes.truncate(at.index(length)),
        Edit::Insert(at, inserted) => {
            let at = at.index(length);
            bytes.splice(at..at, inserted.iter().copied());
        }
        Edit::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let copy = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.extend(copy);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read(&bytes);
    }

    #[test]
    fn any_text_is_an_answer_or_an_error(text in r#"[\{\}\[\]",:0-9a-zZT.e\\ -]{0,200}"#) {
        read(text.as_bytes());
    }

    #[test]
    fn bytes_of_a_document_may_change(
        which in any::<Index>(),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let documents = documents();
        let mut bytes = which.get(&documents).to_string().into_bytes();
        for edit in &edits {
            apply(&mut bytes, edit);
        }
        read(&bytes);
    }

    #[test]
    fn what_was_damaged_is_a_gap(
        which in any::<Index>(),
        damages in prop::collection::vec((any::<Index>(), damage()), 1..5),
    ) {
        let mut document = which.get(&documents()).clone();
        for (place, damage) in &damages {
            let mut place = place.index(nodes(&document));
            replace(&mut document, &mut place, damage);
        }
        for intensity in read(document.to_string().as_bytes()) {
            prop_assert!(INTENSITIES.contains(&intensity), "{intensity} from {document}");
        }
    }

    #[test]
    fn any_target_is_planned_or_refused(target in "\\PC{0,40}", second in any::<i64>()) {
        let limit = Timestamp::MAX.as_second();
        let now = Timestamp::from_second(second % limit).unwrap();
        for prefix in ["", "region:", "postcode:"] {
            let target = CarbonTarget::from(format!("{prefix}{target}"));
            let plain = |url: &str| url.bytes().all(|byte| byte.is_ascii_graphic());
            if let Ok(plan) = UkCarbonIntensity::default().plan(&target, now) {
                let providers::Plan::Ask(request) = plan else { panic!("nothing is known beforehand") };
                prop_assert!(plain(&request.url), "{}", request.url);
            }
            prop_assert!(LegacyForecast::new("http://carbon.example").plan(&target, now).is_ok());
            prop_assert!(Fixed::new(CarbonIntensity::new(1.0).unwrap()).plan(&target, now).is_ok());
        }
    }
}
