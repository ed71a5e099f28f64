//! What upstream answers: forecasts of every adapter, a login, counted requests.
#![no_main]

use std::sync::LazyLock;

use jiff::SignedDuration;
use libfuzzer_sys::fuzz_target;
use models::{CarbonTarget, Signal, Timestamp};
use providers::{
    Adapter, CarbonAwareSdk, ConfigMap, CounterQuery, ElectricityMaps, LegacyForecast, Prometheus, Secret,
    UkCarbonIntensity, WattTime, counters,
};

type Asked = (Box<dyn Adapter>, CarbonTarget);

static ADAPTERS: LazyLock<Vec<Asked>> = LazyLock::new(|| {
    let url = "http://carbon.example";
    let asked = |adapter: Box<dyn Adapter>, target: &str| (adapter, CarbonTarget::from(target));
    vec![
        asked(Box::<UkCarbonIntensity>::default(), "national"),
        asked(Box::<UkCarbonIntensity>::default(), "region:3"),
        asked(Box::<UkCarbonIntensity>::default(), "postcode:RG10"),
        asked(Box::new(ElectricityMaps::new(Secret::new("key"))), "zone:DE"),
        asked(Box::new(WattTime::new("name", &Secret::new("word"))), "region:CAISO_NORTH"),
        asked(Box::new(CarbonAwareSdk::new(url, Signal::Average)), "location:eastus"),
        asked(Box::new(ConfigMap::new(url, Signal::Average)), "national"),
        asked(Box::new(Prometheus::new(url, "carbon")), "national"),
        asked(Box::new(LegacyForecast::new(url)), "national"),
    ]
});
static COUNTERS: LazyLock<CounterQuery> = LazyLock::new(|| {
    CounterQuery::new(counters::DEFAULT_QUERY, counters::DEFAULT_LABEL).expect("the built-in query")
});
/// Within the fixtures.
const RECEIPTS: [&str; 3] = ["2018-01-20T12:10:00Z", "2023-01-31T17:20:00Z", "2026-01-05T12:10:00Z"];

fuzz_target!(|bytes: &[u8]| {
    for (adapter, target) in &*ADAPTERS {
        for receipt in RECEIPTS {
            let now: Timestamp = receipt.parse().expect("an instant");
            let Ok(answer) = adapter.parse(target, bytes, now) else { continue };
            let slots = answer.forecast.slots();
            assert!(!slots.is_empty());
            assert!(slots.iter().chain(&answer.actuals).all(|slot| slot.from < slot.to));
            assert!(slots.windows(2).all(|pair| pair[0].to <= pair[1].from));
            assert!(answer.actuals.iter().all(|slot| slot.to <= now));
            let mut filled = answer.forecast.clone();
            filled.fill_gaps(SignedDuration::from_hours(1));
            let _ = filled.published_slots(now);
        }
        if let Some(login) = adapter.login() {
            let _ = login.token(bytes, Timestamp::UNIX_EPOCH);
        }
    }
    let _ = COUNTERS.parse(bytes);
});
