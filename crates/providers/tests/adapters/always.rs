//! What must hold for any bytes and any target: no panic, and nothing becomes an intensity that was not one.

use models::{CarbonTarget, Signal, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use providers::{
    Adapter, CarbonAwareSdk, ConfigMap, ElectricityMaps, Login, Plan, Prometheus, Secret, UkCarbonIntensity,
    WattTime,
};

use crate::now;

fn adapters() -> Vec<(Box<dyn Adapter>, &'static str, Vec<&'static str>)> {
    let key = || Secret::new("k3y-of-mine");
    vec![
        (
            Box::new(UkCarbonIntensity::default()),
            "national",
            vec![include_str!("../../../../fuzz/seeds/answers/uk.json")],
        ),
        (
            Box::new(ElectricityMaps::new(key())),
            "zone:DE",
            vec![include_str!("../../../../fuzz/seeds/answers/electricity_maps_forecast.json")],
        ),
        (
            Box::new(WattTime::new("ada", &key())),
            "CAISO_NORTH",
            vec![include_str!("../../../../fuzz/seeds/answers/watttime_forecast.json")],
        ),
        (
            Box::new(CarbonAwareSdk::new("http://sdk.example", Signal::Marginal)),
            "location:northeurope",
            vec![include_str!("../../../../fuzz/seeds/answers/carbon_aware_sdk_forecast.json")],
        ),
        (
            Box::new(ConfigMap::new("http://cluster.example", Signal::Marginal)),
            "national",
            vec![
                include_str!("../../../../fuzz/seeds/answers/configmap.json"),
                include_str!("../../../../fuzz/seeds/answers/configmap_rows.json"),
            ],
        ),
        (
            Box::new(Prometheus::new("http://prometheus.example", "grid_intensity")),
            "national",
            vec![
                include_str!("../../../../fuzz/seeds/answers/prometheus_vector.json"),
                include_str!("../../../../fuzz/seeds/answers/prometheus_matrix.json"),
            ],
        ),
    ]
}

/// What operators know by a name is tried here, and what is tried here is fuzzed.
#[cfg(feature = "http")]
#[test]
fn every_provider_is_among_these_and_is_fuzzed() {
    let (_, listed) = providers::settings::SPECS[0].help.split_once(": ").unwrap();
    let adapters = adapters();
    for name in listed.split(", ").filter(|name| !name.contains(':')) {
        let is_here = adapters.iter().any(|(adapter, ..)| adapter.name() == name);
        assert!(is_here, "adapters() in {} lacks {name}", file!());
    }
    let fuzzed = include_str!("../../../../fuzz/targets/answers.rs");
    for (adapter, ..) in adapters {
        let shown = format!("{adapter:?}");
        let kind = shown.split(' ').next().unwrap();
        let is_here = [format!("Box::new({kind}::"), format!("Box::<{kind}>::")]
            .iter()
            .any(|made| fuzzed.contains(made));
        assert!(is_here, "fuzz/targets/answers.rs lacks {kind}");
    }
}

fn read(adapter: &dyn Adapter, target: &str, body: &[u8]) {
    match adapter.parse(&CarbonTarget::from(target), body, now()) {
        Ok(answer) => {
            let slots = answer.forecast.slots();
            assert!(!slots.is_empty());
            assert!(slots.iter().all(|slot| slot.from < slot.to));
            assert!(slots.windows(2).all(|pair| pair[0].to <= pair[1].from));
            assert!(answer.actuals.iter().all(|slot| slot.to <= now()));
            assert_eq!(answer.forecast.signal, adapter.signal());
        }
        Err(error) => assert!(error.to_string().len() < 2_000, "{error}"),
    }
}

fn apply(bytes: &mut Vec<u8>, at: Index, edit: &Edit) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    match edit {
        Edit::Set(byte) => bytes[at] = *byte,
        Edit::Cut => bytes.truncate(at),
        Edit::Insert(inserted) => {
            bytes.splice(at..at, inserted.iter().copied());
        }
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Set(u8),
    Cut,
    Insert(Vec<u8>),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => prop_oneof![any::<u8>(), prop::sample::select(b"0123456789-+eE.:,TZ\"{}[]".to_vec())].prop_map(Edit::Set),
        1 => Just(Edit::Cut),
        2 => prop::collection::vec(any::<u8>(), 0..8).prop_map(Edit::Insert),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (adapter, target, _) in adapters() {
            read(adapter.as_ref(), target, &bytes);
        }
    }

    #[test]
    fn bytes_of_a_document_may_change(edits in prop::collection::vec((any::<Index>(), edit()), 1..8)) {
        for (adapter, target, documents) in adapters() {
            for document in documents {
                read(adapter.as_ref(), target, document.as_bytes());
                let mut bytes = document.as_bytes().to_vec();
                for (at, edit) in &edits {
                    apply(&mut bytes, *at, edit);
                }
                read(adapter.as_ref(), target, &bytes);
            }
        }
    }

    #[test]
    fn any_login_answer_is_a_token_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), second in any::<i64>()) {
        let now = Timestamp::from_second(second % Timestamp::MAX.as_second()).unwrap();
        let login = WattTime::new("ada", &Secret::new("pa55word"));
        prop_assert!(login.token(&bytes, now).is_err());
        let good = br#"{"token":"eyJ0b2tlbg"}"#;
        prop_assert!(login.token(good, now).is_ok());
    }

    #[test]
    fn any_target_is_planned_or_refused(target in "\\PC{0,40}", second in any::<i64>()) {
        let now = Timestamp::from_second(second % Timestamp::MAX.as_second()).unwrap();
        for prefix in ["", "zone:", "region:", "location:"] {
            let target = CarbonTarget::from(format!("{prefix}{target}"));
            for (adapter, ..) in adapters() {
                if let Ok(plan) = adapter.plan(&target, now) {
                    let Plan::Ask(request) = plan else { panic!("nothing is known beforehand") };
                    prop_assert!(request.url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", request.url);
                    prop_assert!(!request.url.contains("k3y-of-mine"));
                }
            }
        }
    }
}
