//! The published schedule: every reader's shape, and the shared slots inside.

use bytes::Bytes;
use models::schedule::{Credits, FlavourShare, ForecastReport, ManualReport, Measure, Processing};
use models::{
    Accounting, CarbonIntensity, Forecast, Gap, Index, Precision, Schedule, Signal, Slot, Timestamp,
};
use serde_json::{Value, json};

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap_or_else(|error| unreachable!("{instant}: {error}"))
}

fn share(name: &str, precision: f64, weight: u8, carbon: Option<f64>) -> FlavourShare {
    FlavourShare {
        name: name.into(),
        precision: Precision::new(precision).unwrap_or(Precision::BEST),
        weight,
        per_mille: u16::from(weight) * 10,
        share: f64::from(weight) / 100.0,
        carbon_intensity: carbon,
        enabled: true,
        measured: None,
    }
}

/// The quickstart's three flavours after one evaluation, and a fourth that is switched off.
fn schedule() -> Schedule {
    let mut off = share("precision-50", 0.5, 0, None);
    off.enabled = false;
    Schedule {
        flavours: vec![
            share("precision-100", 1.0, 90, Some(1.0)),
            share("precision-85", 0.85, 5, None),
            share("precision-70", 0.7, 5, Some(0.4)),
            off,
        ],
        valid_until: at("2026-11-23T15:17:06Z"),
        credits: Credits {
            balance: 0.0775,
            velocity: 0.03875,
            target: 0.05,
            min: -0.5,
            max: 0.5,
            allowance: Some(0.1),
        },
        policy: "credit-greedy".into(),
        diagnostics: vec![
            ("credit_balance".into(), 0.05),
            ("allowance".into(), 0.1),
            ("avg_precision".into(), 1.0),
        ],
        avg_precision: 0.9775,
        processing: Processing {
            throttle: 0.25,
            credits_ratio: 0.5775,
            intensity_ratio: 0.25,
            ceilings: vec![("router".into(), 8)],
        },
        budget: None,
        savings: None,
        plan: None,
        forecast: ForecastReport {
            now: Some(250.0),
            next: Some(300.0),
            index: Some(Index::High),
            source: Some("uk-carbon-intensity".into()),
            stand_in_for: None,
            zone: Some("GB".into()),
            signal: Some(Signal::Average),
            accounting: Some(Accounting::Unknown),
            issued_at: None,
            retrieved_at: Some(at("2026-11-23T15:16:00Z")),
            age_seconds: Some(6.25),
            slot_seconds: Some(1_800.0),
            gaps: [].into(),
            filled_slots: 0,
            stale: false,
            used_for: [].into(),
        },
        reason: "spends 10 % of the credit".into(),
        warnings: vec!["a \"quoted\" warning".into()],
        manual: None,
        evaluated_at: at("2026-11-23T15:16:06.25Z"),
        generation: 7,
    }
}

fn slots() -> Bytes {
    let slot = |from: &str, to: &str, grams: f64| {
        CarbonIntensity::new(grams).map(|grams| Slot::new(at(from), at(to), grams))
    };
    let slots = [
        slot("2026-11-23T15:00:00Z", "2026-11-23T15:30:00Z", 250.0),
        slot("2026-11-23T15:30:00Z", "2026-11-23T16:00:00Z", 300.0),
    ];
    let forecast =
        Forecast::new("test", None, at("2026-11-23T15:16:00Z"), slots.into_iter().flatten().collect());
    forecast.map(|forecast| forecast.published_slots(at("2026-11-23T15:16:06Z"))).unwrap_or_default()
}

/// One member of the document a line, so that a change shows as one.
fn lines(document: &[u8]) -> String {
    let text = String::from_utf8_lossy(document).into_owned();
    [
        "\"flavourWeights\"",
        "\"weightsPerMille\"",
        "\"flavourRules\"",
        "\"strategies\"",
        "\"flavours\"",
        "\"validUntil\"",
        "\"credits\"",
        "\"policy\"",
        "\"diagnostics\"",
        "\"avgPrecision\"",
        "\"processing\"",
        "\"reason\"",
        "\"warnings\"",
        "\"manual\"",
        "\"evaluatedAt\"",
        "\"generation\"",
        "\"forecast\":{",
        "\"schedule\"",
    ]
    .into_iter()
    .fold(text, |text, key| text.replace(key, &format!("\n{key}")))
}

#[test]
fn every_reader_finds_its_shape() {
    insta::assert_snapshot!(lines(&schedule().document(slots()).to_bytes()), @r#"
    {
    "flavourWeights":{"precision-100":90,"precision-85":5,"precision-70":5},
    "weightsPerMille":{"precision-100":900,"precision-85":50,"precision-70":50},
    "flavourRules":[{"flavourName":"precision-100","precision":100,"weight":90},{"flavourName":"precision-85","precision":85,"weight":5},{"flavourName":"precision-70","precision":70,"weight":5}],
    "strategies":[{"name":"precision-100","precision":100,"weight":90,"carbonIntensity":1.0,"enabled":true},{"name":"precision-85","precision":85,"weight":5,"carbonIntensity":0.0,"enabled":true},{"name":"precision-70","precision":70,"weight":5,"carbonIntensity":0.4,"enabled":true},{"name":"precision-50","precision":50,"weight":0,"carbonIntensity":0.0,"enabled":false}],
    "flavours":[{"name":"precision-100","precision":100,"weight":90,"carbonIntensity":1.0,"enabled":true},{"name":"precision-85","precision":85,"weight":5,"carbonIntensity":0.0,"enabled":true},{"name":"precision-70","precision":70,"weight":5,"carbonIntensity":0.4,"enabled":true},{"name":"precision-50","precision":50,"weight":0,"carbonIntensity":0.0,"enabled":false}],
    "validUntil":"2026-11-23T15:17:06Z",
    "credits":{"balance":0.0775,"velocity":0.03875,"target":0.05,"min":-0.5,"max":0.5,"allowance":0.1},
    "policy":{"name":"credit-greedy"},
    "diagnostics":{"credit_balance":0.05,"allowance":0.1,"avg_precision":1.0},
    "avgPrecision":0.9775,
    "processing":{"throttle":0.25,"creditsRatio":0.5775,"intensityRatio":0.25,"ceilings":{"router":8}},
    "reason":"spends 10 % of the credit",
    "warnings":["a \"quoted\" warning"],
    "evaluatedAt":"2026-11-23T15:16:06.25Z",
    "generation":7,
    "forecast":{"now":250.0,"next":300.0,"index":"high","source":"uk-carbon-intensity","zone":"GB","signal":"average","accounting":"unknown","retrievedAt":"2026-11-23T15:16:00Z","ageSeconds":6.25,"slotSeconds":1800.0,
    "schedule":[{"from":"2026-11-23T15:00:00Z","to":"2026-11-23T15:30:00Z","forecast":250.0,"index":"high"},{"from":"2026-11-23T15:30:00Z","to":"2026-11-23T16:00:00Z","forecast":300.0,"index":"very high"}]}}
    "#);
}

#[test]
fn a_stand_ins_forecast_with_holes_says_so() {
    let mut holed = schedule();
    holed.forecast.source = Some("static".into());
    holed.forecast.stand_in_for = Some("uk-carbon-intensity".into());
    holed.forecast.filled_slots = 3;
    holed.forecast.gaps = [Gap { from: at("2026-11-23T18:00:00Z"), to: at("2026-11-23T20:00:00Z") }].into();
    let document = String::from_utf8(holed.document(slots()).to_bytes()).unwrap();
    let (_, forecast) = document.split_once("\"forecast\":{\"now\"").unwrap();
    let (forecast, _) = forecast.split_once(",\"schedule\"").unwrap();
    insta::assert_snapshot!(forecast, @r#":250.0,"next":300.0,"index":"high","source":"static","standInFor":"uk-carbon-intensity","zone":"GB","signal":"average","accounting":"unknown","retrievedAt":"2026-11-23T15:16:00Z","ageSeconds":6.25,"slotSeconds":1800.0,"gaps":[{"from":"2026-11-23T18:00:00Z","to":"2026-11-23T20:00:00Z"}],"filledSlots":3"#);
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut bare = schedule();
    bare.credits.allowance = None;
    bare.forecast = ForecastReport { stale: true, ..ForecastReport::default() };
    bare.diagnostics.clear();
    bare.processing.ceilings.clear();
    bare.warnings.clear();
    bare.manual = Some(ManualReport { until: at("2026-11-23T15:18:00Z"), reason: None });
    insta::assert_snapshot!(lines(&bare.document(Bytes::from_static(b"[]")).to_bytes()), @r#"
    {
    "flavourWeights":{"precision-100":90,"precision-85":5,"precision-70":5},
    "weightsPerMille":{"precision-100":900,"precision-85":50,"precision-70":50},
    "flavourRules":[{"flavourName":"precision-100","precision":100,"weight":90},{"flavourName":"precision-85","precision":85,"weight":5},{"flavourName":"precision-70","precision":70,"weight":5}],
    "strategies":[{"name":"precision-100","precision":100,"weight":90,"carbonIntensity":1.0,"enabled":true},{"name":"precision-85","precision":85,"weight":5,"carbonIntensity":0.0,"enabled":true},{"name":"precision-70","precision":70,"weight":5,"carbonIntensity":0.4,"enabled":true},{"name":"precision-50","precision":50,"weight":0,"carbonIntensity":0.0,"enabled":false}],
    "flavours":[{"name":"precision-100","precision":100,"weight":90,"carbonIntensity":1.0,"enabled":true},{"name":"precision-85","precision":85,"weight":5,"carbonIntensity":0.0,"enabled":true},{"name":"precision-70","precision":70,"weight":5,"carbonIntensity":0.4,"enabled":true},{"name":"precision-50","precision":50,"weight":0,"carbonIntensity":0.0,"enabled":false}],
    "validUntil":"2026-11-23T15:17:06Z",
    "credits":{"balance":0.0775,"velocity":0.03875,"target":0.05,"min":-0.5,"max":0.5},
    "policy":{"name":"credit-greedy"},
    "diagnostics":{},
    "avgPrecision":0.9775,
    "processing":{"throttle":0.25,"creditsRatio":0.5775,"intensityRatio":0.25,"ceilings":{}},
    "reason":"spends 10 % of the credit",
    "warnings":[],
    "manual":{"until":"2026-11-23T15:18:00Z"},
    "evaluatedAt":"2026-11-23T15:16:06.25Z",
    "generation":7,
    "forecast":{"stale":true,
    "schedule":[]}}
    "#);
}

#[test]
fn a_document_is_the_schedule_with_the_slots_in_their_place() {
    let mut manual = schedule();
    manual.manual = Some(ManualReport {
        until: at("2026-11-23T15:18:00Z"),
        reason: Some("drill \u{2713} \"[]}}\"".into()),
    });
    for (schedule, slots) in
        [(schedule(), slots()), (manual, slots()), (schedule(), Bytes::from_static(b"[]"))]
    {
        let document = schedule.document(slots.clone());
        let mut expected = serde_json::to_value(&schedule).unwrap();
        expected["forecast"]["schedule"] = serde_json::from_slice(&slots).unwrap();
        let written: Value = serde_json::from_slice(&document.to_bytes()).unwrap();
        assert_eq!(written, expected);
        assert_eq!(document.parts().concat(), document.to_bytes());
        assert_eq!(document.size(), document.to_bytes().len());
        let pieces = document.pieces();
        assert_eq!(pieces.concat(), document.to_bytes());
        for shared in [document.parts()[1], &pieces[1]] {
            assert!(std::ptr::eq(shared, &raw const *slots), "the slots are shared, not copied");
        }
    }
}

#[test]
fn integers_are_written_as_integers_and_nothing_is_null() {
    let text = String::from_utf8(schedule().document(slots()).to_bytes()).unwrap();
    assert!(!text.contains("null") && !text.contains("NaN"));
    let value: Value = serde_json::from_str(&text).unwrap();
    for rule in value["flavourRules"].as_array().unwrap() {
        assert!(rule["precision"].is_u64() && rule["weight"].is_u64(), "{rule}");
    }
    assert!(value["processing"]["ceilings"]["router"].is_u64());
    assert!(value["flavourWeights"].as_object().unwrap().values().all(Value::is_u64));
}

#[test]
fn a_disabled_flavour_is_listed_but_weighs_nothing() {
    let value = serde_json::to_value(schedule()).unwrap();
    assert_eq!(value["flavourWeights"], json!({"precision-100": 90, "precision-85": 5, "precision-70": 5}));
    assert_eq!(value["flavourRules"].as_array().unwrap().len(), 3);
    assert_eq!(value["flavours"], value["strategies"]);
    assert_eq!(
        value["flavours"][3],
        json!({"name": "precision-50", "precision": 50, "weight": 0, "carbonIntensity": 0.0, "enabled": false})
    );
}

#[test]
fn what_was_measured_stands_beside_what_is_configured_and_only_where_it_was() {
    let mut schedule = schedule();
    let precision = Some(Precision::new(0.8125).unwrap());
    schedule.flavours[1].measured = Some(Measure { precision, energy_wh: Some(0.5), requests: 1_200 });
    schedule.flavours[2].measured = Some(Measure { precision: None, energy_wh: Some(2.0), requests: 7 });
    let document: Value = serde_json::to_value(&schedule).unwrap();
    let flavours = document["flavours"].as_array().unwrap();
    assert_eq!(flavours[0].get("measuredPrecision"), None);
    assert_eq!(
        flavours[1],
        json!({"name": "precision-85", "precision": 85, "weight": 5, "carbonIntensity": 0.0, "enabled": true,
            "measuredPrecision": 0.8125, "measuredEnergyWh": 0.5, "measuredRequests": 1200})
    );
    assert!(flavours[2]["measuredRequests"].is_u64() && flavours[2].get("measuredPrecision").is_none());
    assert!(!document["strategies"].to_string().contains("measured"));
    assert!(!document.to_string().contains("null"));
}
