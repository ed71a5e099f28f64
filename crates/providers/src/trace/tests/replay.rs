use models::{Accounting, CarbonTarget, Forecast, Signal};

use super::{at, carbon};
use crate::adapter::{Adapter, Plan};
use crate::trace::{Laps, TraceAdapter};

fn told(adapter: &TraceAdapter, now: &str) -> Forecast {
    match adapter.plan(&CarbonTarget::from("anything"), at(now)) {
        Ok(Plan::Known(forecast)) => forecast,
        other => panic!("{other:?}"),
    }
}

/// Hourly slots whose intensity is the number of hours since the start; slot 5 is missing.
fn hours(count: usize) -> String {
    let mut file = String::from("timestamp,actual,forecast\n");
    for hour in (0..count).filter(|hour| *hour != 5) {
        let from =
            at("2026-01-05T00:00:00Z") + jiff::SignedDuration::from_hours(i64::try_from(hour).unwrap());
        file.extend([format!("{from},{},{}\n", hour + 1000, hour)]);
    }
    file
}

fn grams(forecast: &Forecast) -> Vec<f64> {
    forecast.slots().iter().map(|slot| slot.forecast.get()).collect()
}

#[test]
fn as_recorded_tells_the_next_48_hours_of_the_recording() {
    let adapter = TraceAdapter::as_recorded(&carbon(&hours(100)));
    let forecast = told(&adapter, "2026-01-05T03:30:00Z");
    assert_eq!(forecast.slots().len(), 48, "49 slots touch the 48 h, one is missing");
    assert_eq!(grams(&forecast)[..3], [3.0, 4.0, 6.0]);
    assert_eq!(grams(&told(&adapter, "2030-01-01T00:00:00Z")), [99.0], "long after: what was last known");
    assert!(told(&adapter, "2020-01-01T00:00:00Z").at(at("2020-01-01T00:00:00Z")).is_none());
}

#[test]
fn looped_keeps_time_of_week_and_goes_on_after_the_end() {
    let adapter = TraceAdapter::looped(&carbon(&hours(200))).unwrap();
    // 2026-11-23 is a Monday, as 2026-01-05 is: 46 weeks later.
    let forecast = told(&adapter, "2026-11-23T01:15:00Z");
    assert_eq!(forecast.at(at("2026-11-23T01:15:00Z")).unwrap().forecast.get(), 1.0);
    assert_eq!(forecast.slots()[0].from, at("2026-11-23T01:00:00Z"));
    assert!(forecast.at(at("2026-11-23T05:30:00Z")).is_none(), "a gap stays a gap");
    // Across the end of the one whole week in the recording.
    let forecast = told(&adapter, "2026-11-29T22:00:00Z");
    assert_eq!(grams(&forecast)[..4], [166.0, 167.0, 0.0, 1.0]);
    assert_eq!(forecast.slots()[2].from, at("2026-11-30T00:00:00Z"));
    // Before the recording too.
    assert_eq!(grams(&told(&adapter, "2020-01-06T10:00:00Z"))[0], 10.0);
}

#[test]
fn below_a_week_days_repeat_and_below_a_day_nothing_does() {
    let adapter = TraceAdapter::looped(&carbon(&hours(30))).unwrap();
    assert_eq!(grams(&told(&adapter, "2026-02-10T23:00:00Z"))[..3], [23.0, 0.0, 1.0]);
    let refused = TraceAdapter::looped(&carbon(&hours(3))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the trace covers 2026-01-05T00:00:00Z to 2026-01-05T03:00:00Z: expected at least a day of it to repeat"
    );
}

#[test]
fn a_lap_is_a_whole_number_of_weeks() {
    let laps = Laps::between(at("2026-01-01T00:00:00Z"), at("2026-01-20T00:00:00Z")).unwrap();
    assert_eq!(laps.period().as_hours(), 14 * 24);
    assert_eq!(laps.recorded(at("2026-01-15T00:00:00Z")), at("2026-01-01T00:00:00Z"));
    assert_eq!(laps.recorded(at("2025-12-31T23:59:59Z")), at("2026-01-14T23:59:59Z"));
}

#[test]
fn what_a_recording_is_of_is_told_with_it() {
    for (file, signal, accounting) in [
        ("timestamp,actual", Signal::Average, Accounting::Unknown),
        ("timestamp,actual_marginal_direct", Signal::Marginal, Accounting::Direct),
        ("time,moer,f1", Signal::Marginal, Accounting::Direct),
        ("Datetime (UTC),Carbon Intensity (LCA)", Signal::Average, Accounting::LifeCycle),
    ] {
        let adapter = TraceAdapter::as_recorded(&carbon(&format!("{file}\n2026-01-05T00:00:00Z,0.5,0.5\n")));
        let forecast = told(&adapter, "2026-01-05T00:00:00Z");
        assert_eq!(
            (adapter.signal(), forecast.signal, forecast.accounting),
            (signal, signal, accounting),
            "{file}"
        );
    }
}
