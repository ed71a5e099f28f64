//! What was known when: the archive against a plain list of everything that was received.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Signal, Slot, Timestamp};
use proptest::prelude::*;
use providers::archive::{
    ACTUALS_HEADER, Archive, Bounds, MAX_ARCHIVE_BYTES, MAX_TARGETS, PAGE_BYTES, Recorded, Span,
    VINTAGES_HEADER,
};
use providers::trace::{CarbonTrace, Factors, Vintages};

const HALF_HOUR: i64 = 1_800;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + minute * 60).unwrap()
}

fn grams(value: f64) -> CarbonIntensity {
    CarbonIntensity::new(value).unwrap()
}

fn target() -> CarbonTarget {
    CarbonTarget::from("national")
}

/// Half-hours from half-hour number `first` on; `None` is a gap.
fn slots(first: i64, values: &[Option<f64>]) -> Vec<Slot> {
    let slot = |(index, value): (i64, &Option<f64>)| {
        let from = at((first + index) * HALF_HOUR / 60);
        value.map(|value| Slot::new(from, from + SignedDuration::from_secs(HALF_HOUR), grams(value)))
    };
    (0..).zip(values).filter_map(slot).collect()
}

fn forecast(retrieved: Timestamp, slots: Vec<Slot>) -> Forecast {
    Forecast::new("somebody", None, retrieved, slots).unwrap()
}

/// Everything that was received, and nothing clever.
#[derive(Default)]
struct Received(Vec<(Timestamp, Forecast)>);

impl Received {
    fn record(&mut self, forecast: &Forecast, received: Timestamp) {
        let known = received.max(forecast.retrieved_at).max(forecast.issued_at.unwrap_or(received));
        if forecast.slots().iter().any(|slot| slot.to > known) {
            self.0.push((known, forecast.clone()));
        }
    }

    /// The slots not over at `at` of the newest known by then; of two at one instant the later told.
    fn as_of(&self, at: Timestamp) -> Vec<Slot> {
        let known = self.0.iter().filter(|(known, _)| *known <= at);
        let newest = known.max_by_key(|(known, _)| *known);
        let slots = newest.map(|(_, forecast)| forecast.slots().to_vec()).unwrap_or_default();
        slots.into_iter().filter(|slot| slot.to > at).collect()
    }
}

fn told(archive: &Archive, at: Timestamp) -> Vec<Slot> {
    let forecast = archive.as_of(&target(), Signal::Average, at);
    forecast.map(|forecast| forecast.slots().to_vec()).unwrap_or_default()
}

fn csv(archive: &Archive, span: Span) -> String {
    let (mut text, mut after) = (VINTAGES_HEADER.to_owned(), None);
    loop {
        let page = archive.vintages_csv(&target(), Signal::Average, span, after);
        text.push_str(&page.text);
        after = page.next;
        if after.is_none() {
            return text;
        }
    }
}

/// A revision of what was said before: some values change, some slots vanish, or none.
fn values() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![6 => Just(Some(100.0)), 2 => (0.0..10_000.0_f64).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        3 => Just(vec![Some(100.0); 24]),
        3 => prop::collection::vec(value, 1..24),
        1 => (0.0..1_000.0_f64, 1_usize..24).prop_map(|(value, count)| vec![Some(value); count]),
    ]
}

/// Minutes since the last receipt, what is said, from which half-hour on relative to now, minutes ago that
/// it was issued.
type Receipt = (i64, Vec<Option<f64>>, i64, Option<i64>);

fn receipts() -> impl Strategy<Value = Vec<Receipt>> {
    let issued = prop::option::of(-5_i64..60);
    prop::collection::vec((1_i64..90, values(), -4_i64..3, issued), 1..80)
}

fn play(receipts: &[Receipt], mut each: impl FnMut(Forecast, Timestamp)) -> i64 {
    let mut now = 0;
    for (pause, values, offset, issued) in receipts {
        now += pause;
        let slots = slots(now / 30 + offset, values);
        if let Ok(forecast) = Forecast::new("somebody", issued.map(|ago| at(now - ago)), at(now), slots) {
            each(forecast, at(now));
        }
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn as_of_is_what_was_received_by_then(receipts in receipts()) {
        let (mut archive, mut plain) = (Archive::default(), Received::default());
        let end = play(&receipts, |forecast, received| {
            archive.record(&target(), &forecast, received);
            plain.record(&forecast, received);
        });
        let restored: Archive = serde_json::from_str(&serde_json::to_string(&archive).unwrap()).unwrap();
        prop_assert_eq!(&restored, &archive);
        for minute in -1..end + 40 {
            prop_assert_eq!(told(&archive, at(minute)), plain.as_of(at(minute)), "at {}", minute);
        }
    }

    #[test]
    fn what_is_exported_is_read_back_to_the_same_answers(receipts in receipts()) {
        let mut archive = Archive::default();
        let end = play(&receipts, |forecast, received| {
            archive.record(&target(), &forecast, received);
        });
        let Ok(vintages) = Vintages::read("vintages.csv", csv(&archive, Span::default()).as_bytes()) else {
            prop_assert_eq!(archive.kept(), 0);
            return Ok(());
        };
        if vintages.step() != SignedDuration::from_secs(HALF_HOUR) {
            // The form has no ends: a file with next to no neighbours has another usual length.
            return Ok(());
        }
        for minute in 0..end + 40 {
            let read = vintages.as_of(at(minute)).map(|forecast| forecast.slots().to_vec());
            let ahead = read.into_iter().flatten().filter(|slot| slot.to > at(minute));
            prop_assert_eq!(ahead.collect::<Vec<_>>(), told(&archive, at(minute)), "at {}", minute);
        }
    }

    #[test]
    fn bounds_hold_after_every_record_and_what_is_within_them_is_whole(
        receipts in receipts(),
        vintages in 0_usize..40,
        hours in 0_i64..30,
        bytes in prop_oneof![0_usize..20_000, Just(MAX_ARCHIVE_BYTES)],
    ) {
        let age = SignedDuration::from_hours(hours);
        let bounds = Bounds { vintages, age, target_bytes: bytes, bytes };
        let (mut archive, mut plain) = (Archive::new(bounds), Received::default());
        let mut now = at(0);
        play(&receipts, |forecast, received| {
            archive.record(&target(), &forecast, received);
            archive.record_actuals(&target(), Signal::Average, forecast.slots(), received);
            plain.record(&forecast, received);
            now = received;
            assert!(archive.bytes() <= bytes && archive.kept() <= vintages, "{archive:?}");
            // What is in force at the edge of what is kept may be older; the next one is not.
            let second = archive.known_since(&target(), Signal::Average).nth(1);
            assert!(second.is_none_or(|second| second > received - age), "{second:?} at {received}");
        });
        let oldest = archive.known_since(&target(), Signal::Average).next();
        if let Some(oldest) = oldest.map(|oldest| oldest.max(now - age)) {
            let mut instant = oldest;
            while instant <= now {
                prop_assert_eq!(told(&archive, instant), plain.as_of(instant), "at {}", instant);
                instant += SignedDuration::from_mins(1);
            }
        }
    }

    #[test]
    fn a_clock_that_jumps_makes_nothing_known_early(
        receipts in prop::collection::vec(
            (prop_oneof![8 => -3_000_i64..3_000, 1 => -9_000_000..9_000_000_i64], values(), -4_i64..3),
            1..60,
        ),
        vintages in 1_usize..30,
        asked in prop::collection::vec(-4_000_i64..4_000, 1..40),
    ) {
        let mut archive = Archive::new(Bounds { vintages, ..Bounds::default() });
        let mut plain = Received::default();
        for (minute, values, offset) in &receipts {
            let slots = slots(minute.div_euclid(30) + offset, values);
            let Ok(forecast) = Forecast::new("somebody", None, at(*minute), slots) else { continue };
            archive.record(&target(), &forecast, at(*minute));
            plain.record(&forecast, at(*minute));
            let known: Vec<_> = archive.known_since(&target(), Signal::Average).collect();
            prop_assert!(known.is_sorted() && known.len() <= vintages, "{:?}", known);
        }
        for minute in asked {
            let told = told(&archive, at(minute));
            let known = plain.0.iter().filter(|(known, _)| *known <= at(minute));
            let possible = known.map(|(_, forecast)| {
                forecast.slots().iter().filter(|slot| slot.to > at(minute)).copied().collect::<Vec<_>>()
            });
            let mut possible = possible.into_iter();
            prop_assert!(told.is_empty() || possible.any(|received| received == told), "{:?} at {}", told, minute);
        }
    }

    #[test]
    fn whatever_was_stored_is_restored_without_a_panic(
        receipts in receipts(),
        cut in any::<prop::sample::Index>(),
        with in "[0-9\\-\\[\\]{}\":,a-z]{1,6}",
    ) {
        let mut archive = Archive::default();
        play(&receipts, |forecast, received| {
            archive.record(&target(), &forecast, received);
        });
        let mut text = serde_json::to_string(&archive).unwrap();
        let place = cut.index(text.len());
        text.replace_range(place..(place + with.len()).min(text.len()), &with);
        if let Ok(mut odd) = serde_json::from_str::<Archive>(&text) {
            for minute in 0..200 {
                odd.as_of(&target(), Signal::Average, at(minute * 10));
            }
            odd.record(&target(), &forecast(at(7), slots(0, &[Some(1.0), Some(2.0)])), at(7));
            csv(&odd, Span::default());
        }
    }
}

#[test]
fn a_vintage_that_says_nothing_new_is_not_stored_again() {
    let mut archive = Archive::default();
    let mut record = |minute: i64, first: i64, values: &[f64]| {
        let values: Vec<_> = values.iter().copied().map(Some).collect();
        archive.record(&target(), &forecast(at(minute), slots(first, &values)), at(minute))
    };
    assert_eq!(record(0, 0, &[1.0, 2.0, 3.0]), Recorded::New);
    assert_eq!(record(5, 0, &[1.0, 2.0, 3.0]), Recorded::Unchanged);
    // The first is over; what is left is as it was.
    assert_eq!(record(31, 1, &[2.0, 3.0]), Recorded::Unchanged);
    assert_eq!(record(32, 1, &[2.0, 3.5]), Recorded::New);
    assert_eq!(record(33, 1, &[2.0, 3.5, 4.0]), Recorded::New);
    assert_eq!(record(34, 1, &[2.0, 3.5]), Recorded::New, "a slot that vanished is news");
    assert_eq!(record(200, 1, &[2.0, 3.5]), Recorded::NothingAhead);
    assert_eq!(archive.kept(), 4);
    assert_eq!(
        csv(&archive, Span { from: Some(at(33)), to: Some(at(34)) }),
        "issued_at,target_start,forecast\n\
         2026-01-01T00:33:00Z,2026-01-01T00:30:00Z,2\n\
         2026-01-01T00:33:00Z,2026-01-01T01:00:00Z,3.5\n\
         2026-01-01T00:33:00Z,2026-01-01T01:30:00Z,4\n"
    );
    // What was in force at `from` is needed to replay from there.
    assert!(
        csv(&archive, Span { from: Some(at(20)), to: Some(at(21)) })
            .contains("T00:00:00Z,2026-01-01T00:00:00Z,1\n")
    );
}

#[test]
fn sixty_days_of_revisions_take_what_the_bounds_say() {
    let mut archive = Archive::default();
    for half_hour in 0..100 * 48_i64 {
        let values: Vec<_> = (0..96).map(|slot| Some(((half_hour * 7 + slot) % 300) as f64 / 10.0)).collect();
        let now = at(half_hour * 30 + 1);
        archive.record(&target(), &forecast(now, slots(half_hour, &values)), now);
    }
    // 60 days of them, each revised whole.
    assert_eq!(archive.kept(), 60 * 48 + 1);
    assert!(archive.bytes() < 3_500_000, "{}", archive.bytes());
    let text = csv(&archive, Span::default());
    assert!(text.len() > 10 * PAGE_BYTES, "several pages: {}", text.len());
    let vintages = Vintages::read("vintages.csv", text.as_bytes()).unwrap();
    assert!(vintages.notes().is_empty(), "{:?}", vintages.notes().lines());
    assert_eq!(vintages.issues().len(), archive.kept());
}

#[test]
fn signals_are_kept_apart_under_one_target() {
    let mut archive = Archive::default();
    let average = forecast(at(0), slots(0, &[Some(100.0), Some(110.0)]));
    let marginal = forecast(at(5), slots(0, &[Some(500.0), Some(510.0)])).with_signal(Signal::Marginal);
    archive.record(&target(), &average, at(0));
    archive.record(&target(), &marginal, at(5));
    assert_eq!(archive.signal(&target()), Some(Signal::Marginal));
    for (signal, value) in [(Signal::Average, 100.0), (Signal::Marginal, 500.0)] {
        let known = archive.as_of(&target(), signal, at(10)).unwrap();
        assert_eq!((known.signal, known.slots()[0].forecast.get()), (signal, value));
        let text = archive.vintages_csv(&target(), signal, Span::default(), None).text;
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}

#[test]
fn the_last_measured_value_wins_and_none_is_taken_before_its_slot_is_over() {
    let mut archive = Archive::default();
    let mut measure = |values: &[Option<f64>], minute: i64| {
        archive.record_actuals(&target(), Signal::Average, &slots(0, values), at(minute))
    };
    assert_eq!(measure(&[Some(1.0), Some(2.0), Some(3.0)], 60), 2);
    assert_eq!(measure(&[Some(1.0), Some(2.5), Some(3.0)], 90), 2);
    let text = archive.actuals_csv(&target(), Signal::Average, Span::default(), None).text;
    let trace =
        CarbonTrace::read("actuals.csv", format!("{ACTUALS_HEADER}{text}").as_bytes(), Factors::default());
    let trace = trace.unwrap();
    assert!(trace.notes().is_empty());
    assert_eq!(trace.slots().iter().map(|slot| slot.actual.get()).collect::<Vec<_>>(), [1.0, 2.5, 3.0]);
    let later = Span { from: Some(at(30)), to: Some(at(60)) };
    assert_eq!(
        archive.actuals_csv(&target(), Signal::Average, later, None).text,
        "2026-01-01T00:30:00Z,2.5\n"
    );
}

#[test]
fn a_target_too_many_makes_the_idlest_go() {
    let mut archive = Archive::default();
    for index in (0..).take(MAX_TARGETS + 1) {
        let now = at(index);
        let target = CarbonTarget::from(format!("zone:{index}"));
        archive.record(&target, &forecast(now, slots(index / 30, &[Some(1.0), Some(2.0)])), now);
    }
    assert_eq!(archive.targets().count(), MAX_TARGETS);
    assert_eq!(archive.signal(&CarbonTarget::from("zone:0")), None);
    assert!(archive.signal(&CarbonTarget::from("zone:1")).is_some());
}

#[test]
fn an_issue_later_than_the_receipt_is_not_known_before_it() {
    let mut archive = Archive::default();
    let slots = slots(0, &[Some(1.0), Some(2.0)]);
    let ahead = Forecast::new("ahead", Some(at(10)), at(0), slots).unwrap();
    archive.record(&target(), &ahead, at(1));
    assert_eq!(archive.as_of(&target(), Signal::Average, at(9)), None);
    let known = archive.as_of(&target(), Signal::Average, at(10)).unwrap();
    assert_eq!((known.issued_at, known.retrieved_at, &*known.source), (Some(at(10)), at(0), "ahead"));
}
