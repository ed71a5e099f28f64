//! What is typed or stands in a path: names, numbers, instants, zones, carbon targets, queries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use models::{CarbonTarget, SETTINGS, ScheduleId, Timestamp, json};
use providers::{
    Adapter as _, CounterQuery, ElectricityMaps, Secret, UkCarbonIntensity, WattTime, Zone, trace,
};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (one, two) = text.split_once('/').unwrap_or((&text, &text));
    if let Ok(id) = ScheduleId::new(one, two) {
        assert_eq!(id.to_string(), format!("{one}/{two}"));
    }
    for spec in &SETTINGS {
        if let Ok(number) = json::number_text(&text, spec.range) {
            assert!(spec.range.contains(number));
        }
    }
    let _ = (json::excerpt(&text), trace::instant(&text), text.parse::<Timestamp>(), Zone::new(&text));
    let target = CarbonTarget::from(&*text);
    let now = Timestamp::UNIX_EPOCH;
    let _ = UkCarbonIntensity::default().plan(&target, now);
    let _ = ElectricityMaps::new(Secret::new("key")).plan(&target, now);
    let _ = WattTime::new("name", &Secret::new("word")).plan(&target, now);
    if let Ok(query) = CounterQuery::new(one, two)
        && let Ok(id) = ScheduleId::new("a", "b")
    {
        let _ = query.request("http://prometheus.example", &id, 60, now);
    }
});
