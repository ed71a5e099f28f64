use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Slot, Timestamp};
use proptest::prelude::*;

use crate::adapter::{Adapter, Plan};
use crate::trace::{CarbonTrace, DemandTrace, Factors, FlavourFile, Laps, TraceAdapter, Vintages};

fn read_all(bytes: &[u8]) {
    for factors in [Factors::Lifecycle, Factors::Direct] {
        if let Ok(trace) = CarbonTrace::read("any", bytes, factors) {
            assert!(!trace.slots().is_empty());
            assert!(trace.slots().iter().all(|slot| slot.from < slot.to));
            assert!(trace.slots().windows(2).all(|pair| pair[0].to <= pair[1].from));
            let _ = TraceAdapter::as_recorded(&trace).plan(&CarbonTarget::from("x"), Timestamp::MAX);
        }
    }
    if let Ok(vintages) = Vintages::read("any", bytes) {
        assert!(!vintages.issues().is_empty());
    }
    if let Ok(demand) = DemandTrace::read("any", bytes) {
        assert!(demand.mean_rate() >= 0.0);
    }
    let _ = FlavourFile::read("any", bytes, None);
}

/// Text that is nearly a trace: the right header, and fields of which most make sense.
fn nearly_a_trace() -> impl Strategy<Value = String> {
    let header = prop::sample::select(vec![
        "timestamp,actual,forecast",
        "issued_at,target_start,forecast",
        "time,moer,f1,f2,f3",
        "timestamp,requests",
        "Datetime (UTC),Carbon Intensity (direct),Carbon Intensity (LCA)",
        "{\"data\":[",
        "{\"meta\":{\"units\":\"lbs_co2_per_mwh\"},\"data\":[",
        "[",
    ]);
    let field = prop_oneof![
        4 => (0_u32..40_000).prop_map(|minutes| {
            (Timestamp::UNIX_EPOCH + SignedDuration::from_mins(i64::from(minutes) * 30)).to_string()
        }),
        4 => (-1.0..12_000.0_f64).prop_map(|value| value.to_string()),
        1 => Just("9999-12-31T23:59:59Z".to_owned()),
        1 => Just("2199-12-31T23:59:59.999Z".to_owned()),
        1 => "\\PC{0,12}",
        1 => Just("{\"from\":\"2026-01-01T00:00Z\",\"to\":\"2026-01-01T00:30Z\",\"intensity\":{\"actual\":5}}".to_owned()),
    ];
    let row = prop::collection::vec(field, 1..4).prop_map(|fields| fields.join(","));
    (header, prop::collection::vec(row, 0..20))
        .prop_map(|(header, rows)| format!("{header}\n{}", rows.join("\n")))
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn no_near_trace_panics(text in nearly_a_trace()) {
        read_all(text.as_bytes());
    }

    #[test]
    fn vintages_never_show_what_was_issued_later(
        minutes in prop::collection::vec((0_i64..10_000, prop::bool::ANY), 1..40),
        now in -10_i64..10_010,
    ) {
        let at = |minute: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let issue = |&(minute, says_when): &(i64, bool)| {
            let grams = CarbonIntensity::new(100.0).unwrap();
            let slot = Slot::new(at(minute), at(minute + 30), grams);
            Arc::new(Forecast::new("made", says_when.then(|| at(minute)), at(minute), vec![slot]).unwrap())
        };
        let vintages = Vintages::new("made", minutes.iter().map(issue).collect()).unwrap();
        let newest = minutes.iter().map(|(minute, _)| *minute).filter(|minute| *minute <= now).max();
        let shown = vintages.as_of(at(now)).map(|forecast| forecast.retrieved_at);
        prop_assert_eq!(shown, newest.map(at), "the newest one issued by now, and nothing later");
    }

    #[test]
    fn a_looped_trace_always_covers_now(hours in 24_usize..400, minute in -5_000_000_i64..5_000_000) {
        let grams = |hour: usize| format!("{},{}\n", Timestamp::UNIX_EPOCH + SignedDuration::from_hours(i64::try_from(hour).unwrap()), hour % 24);
        let file: String = std::iter::once("timestamp,actual\n".to_owned()).chain((0..hours).map(grams)).collect();
        let trace = CarbonTrace::read("made", file.as_bytes(), Factors::default()).unwrap();
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let Ok(Plan::Known(forecast)) = TraceAdapter::looped(&trace).unwrap().plan(&CarbonTarget::from("x"), now) else {
            return Err(TestCaseError::fail("no forecast"));
        };
        #[expect(clippy::cast_precision_loss, reason = "an hour of the day")]
        let hour_of_day = minute.div_euclid(60).rem_euclid(24) as f64;
        prop_assert_eq!(forecast.at(now).map(|slot| slot.forecast.get()), Some(hour_of_day));
        prop_assert!(forecast.slots().windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn a_lap_brings_every_instant_into_the_recording(days in 1_i64..900, minute in -50_000_000_i64..50_000_000) {
        let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(7);
        let laps = Laps::between(start, start + SignedDuration::from_hours(24 * days)).unwrap();
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let recorded = laps.recorded(at);
        prop_assert!(recorded >= start && recorded < start + laps.period());
        prop_assert_eq!(laps.shift(at).as_secs() % if days >= 7 { 604_800 } else { 86_400 }, 0);
    }
}
