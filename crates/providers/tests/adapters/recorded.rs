//! Values that were recorded elsewhere, in the shape of each provider's answer. Where `TRACES_DIR` names no
//! folder with them, nothing is tested.

use jiff::SignedDuration;
use models::{Forecast, Signal};
use providers::trace::{CarbonTrace, Factors};
use providers::{Adapter, CarbonAwareSdk, ConfigMap, ElectricityMaps, Secret, WattTime};
use serde_json::{Value, json};

use crate::parse;

#[expect(clippy::disallowed_methods, reason = "a test may be told where recorded data lie, and read them")]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn recorded(file: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("TRACES_DIR");
    let bytes =
        folder.and_then(|folder| std::fs::read(std::path::Path::new(&folder).join("raw").join(file)).ok());
    if bytes.is_none() {
        println!("skipped: TRACES_DIR names no folder with {file}");
    }
    bytes
}

/// Reads the answer and compares it with what was recorded, slot by slot.
fn compare(
    adapter: &dyn Adapter,
    target: &str,
    answer: &Value,
    slots: &[(String, f64)],
    step: i64,
) -> Forecast {
    let forecast = parse(adapter, target, &answer.to_string()).unwrap();
    let read: Vec<_> =
        forecast.slots().iter().map(|slot| (slot.from.to_string(), slot.forecast.get())).collect();
    assert_eq!(read.len(), slots.len());
    for ((from, grams), (begins, recorded)) in read.iter().zip(slots) {
        assert!(from == begins && (grams - recorded).abs() < 1e-9, "{from} {grams}: {begins} {recorded}");
    }
    assert_eq!(forecast.step(), Some(SignedDuration::from_mins(step)));
    forecast
}

#[test]
fn a_day_of_the_sdk_is_read_as_rows() {
    let Some(bytes) = recorded("carbon_aware_sdk_json/de_2024-03-24.json") else { return };
    let day: Value = serde_json::from_slice(&bytes).unwrap();
    let emissions = day["Emissions"].as_array().unwrap();
    let row = |row: &Value| json!({"location": "DE", "timestamp": row["Time"], "duration": row["Duration"], "value": row["Rating"]});
    let rows: Vec<_> = emissions.iter().map(row).collect();
    let expected: Vec<_> = emissions
        .iter()
        .map(|row| {
            let from: models::Timestamp = row["Time"].as_str().unwrap().parse().unwrap();
            (from.to_string(), row["Rating"].as_f64().unwrap())
        })
        .collect();
    let sdk = CarbonAwareSdk::new("http://sdk.example", Signal::Average);
    let answer = json!([{"location": "germanywestcentral", "forecastData": rows}]);
    let forecast = compare(&sdk, "germanywestcentral", &answer, &expected, 15);
    assert_eq!((forecast.zone.as_deref(), forecast.gaps().count()), (Some("DE"), 0));
    let map = ConfigMap::new("http://cluster.example", Signal::Average);
    compare(&map, "national", &Value::Array(rows), &expected, 15);
}

#[test]
fn a_week_of_electricity_maps_is_read_as_points() {
    let Some(bytes) = recorded("electricitymaps_csv/GB_2023_hourly_head.csv") else { return };
    let trace = CarbonTrace::read("GB.csv", &bytes, Factors::default()).unwrap();
    let grams: Vec<_> = trace.slots().iter().map(|slot| (slot.from.to_string(), slot.actual.get())).collect();
    assert!(grams.len() > 1);
    let point = |(from, grams): &(String, f64)| json!({"carbonIntensity": grams, "datetime": from});
    let answer = json!({"zone": "GB", "forecast": grams.iter().map(point).collect::<Vec<_>>()});
    compare(&ElectricityMaps::new(Secret::new("key")), "GB", &answer, &grams, 60);
    // The same hours in pounds.
    let pounds = |(from, grams): &(String, f64)| json!({"point_time": from, "value": grams / 0.453_592_37});
    let answer = json!({"data": grams.iter().map(pounds).collect::<Vec<_>>(),
        "meta": {"units": "lbs_co2_per_mwh", "data_point_period_seconds": 3_600}});
    compare(&WattTime::new("ada", &Secret::new("pa55word")), "GB", &answer, &grams, 60);
}
