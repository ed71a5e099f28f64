//! What is learned of a carbon intensity, on series whose law is known.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};
use providers::own::{CarbonLearner, Estimate};

const HALF_HOUR: i64 = 1_800;
const DAY: i64 = 48;

/// The instant of a half-hour since some Thursday's midnight.
fn at(index: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + index * HALF_HOUR).unwrap()
}

fn slot(index: i64, grams: f64) -> Slot {
    Slot::new(at(index), at(index + 1), CarbonIntensity::new(grams).unwrap())
}

fn vintage(now: i64, ahead: i64, says: impl Fn(i64) -> f64) -> Forecast {
    let slots = (now..now + ahead).map(|index| slot(index, says(index))).collect();
    Forecast::new("test", Some(at(now)), at(now), slots).unwrap()
}

fn blend(learner: &mut CarbonLearner, provider: Option<&Forecast>, now: i64, slots: i64) -> Vec<Estimate> {
    let mut out = Vec::new();
    learner.blend(provider, at(now), SignedDuration::from_secs(slots * HALF_HOUR), &mut out);
    out
}

/// A day with a morning and an evening.
fn usual(index: i64) -> f64 {
    let angle = index.rem_euclid(DAY) as f64 / DAY as f64 * core::f64::consts::TAU;
    200.0 + 60.0 * angle.sin() + 30.0 * (2.0 * angle).cos()
}

/// Noise in [-1, 1), the same for the same index.
fn noise(index: i64, stream: u64) -> f64 {
    let mut bits = index.cast_unsigned().wrapping_add(stream << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for shift in [30, 27, 31] {
        bits = (bits ^ (bits >> shift)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A deviation that fades by a twentieth each half-hour and is kicked at random.
fn weather(length: i64) -> Vec<f64> {
    let mut state = 0.0;
    let mut walk = Vec::new();
    for index in 0..length {
        state = 0.95 * state + 12.0 * noise(index, 1);
        walk.push(state);
    }
    walk
}

fn truth(weather: &[f64], index: i64) -> f64 {
    usual(index) + weather[usize::try_from(index).unwrap()]
}

/// Mean absolute errors of the blend at a lead (1: the slot that begins now) over the last days, and the
/// mean weight of the provider.
fn run(
    days: i64,
    leads: [usize; 3],
    says: impl Fn(i64, i64) -> Option<f64>,
    what_is: impl Fn(i64) -> f64,
) -> [(f64, f64); 3] {
    let mut learner = CarbonLearner::default();
    let mut results = [(0.0, 0.0); 3];
    let measured = 10 * DAY;
    for now in 0..days * DAY {
        let provider = says(now, now).map(|_| vintage(now, 2 * DAY, |index| says(now, index).unwrap()));
        if let Some(provider) = &provider {
            learner.observe_vintage(provider, at(now));
        }
        if now >= days * DAY - measured {
            let out = blend(&mut learner, provider.as_ref(), now, 2 * DAY);
            for (result, lead) in results.iter_mut().zip(leads) {
                let estimate = out[lead - 1];
                result.0 += (estimate.intensity - what_is(now + i64::try_from(lead).unwrap() - 1)).abs()
                    / measured as f64;
                result.1 += estimate.provider_weight / measured as f64;
            }
        }
        learner.observe_actual(&slot(now, what_is(now)));
    }
    results
}

#[test]
fn a_pure_daily_profile_is_learned() {
    for (days, tolerance) in [(12, 1.0), (40, 0.2), (150, 1e-3)] {
        for (error, weight) in run(days, [1, 20, 96], |_, _| None, usual) {
            assert!(error < tolerance, "{error} after {days} days");
            assert_eq!(weight, 0.0);
        }
    }
}

#[test]
fn fading_weather_is_foreseen_as_well_as_can_be() {
    let weather = weather(130 * DAY);
    let what_is = |index: i64| truth(&weather, index);
    let [first, sixth, far] = run(120, [1, 6, 96], |_, _| None, what_is);
    // One kick is uniform in +-12, mean 6; six of them fading have a standard deviation of 15, mean 12; in
    // the far end nothing is known but the spread of the weather itself, 22 g, mean 18.
    for ((error, _), best) in [(first, 6.0), (sixth, 12.3), (far, 17.7)] {
        assert!((0.85 * best..1.2 * best).contains(&error), "{error} where {best} is the best");
    }
}

#[test]
fn a_biased_provider_is_corrected() {
    let weather = weather(70 * DAY);
    let what_is = |index: i64| truth(&weather, index);
    for bias in [1.2, 0.8] {
        for (error, weight) in run(60, [1, 20, 96], |_, index| Some(bias * what_is(index)), what_is) {
            assert!(error < 4.0, "{error} of 40 is left of a bias of {bias}");
            assert!(weight > 0.8, "{weight}");
        }
    }
}

#[test]
fn a_perfect_provider_is_believed() {
    let weather = weather(70 * DAY);
    let what_is = |index: i64| truth(&weather, index);
    for (error, weight) in run(40, [1, 20, 96], |_, index| Some(what_is(index)), what_is) {
        assert!(error < 0.3 && weight > 0.98, "{error}, {weight}");
    }
}

#[test]
fn a_provider_that_guesses_is_not() {
    let weather = weather(70 * DAY);
    let what_is = |index: i64| truth(&weather, index);
    let own = run(60, [1, 20, 96], |_, _| None, what_is);
    let guess = |now: i64, index: i64| Some(200.0 + 150.0 * noise(now * 1_000 + index, 2));
    for ((error, weight), (own, _)) in run(60, [1, 20, 96], guess, what_is).into_iter().zip(own) {
        assert!(error < 1.1 * own, "{error} with, {own} without");
        assert!(weight < 0.1, "{weight}");
    }
}

#[test]
fn the_error_of_the_current_value_is_added_to_the_next() {
    // The provider knows tomorrow's weather, but is wrong by an offset that changes every ten days.
    let weather = weather(70 * DAY);
    let what_is = |index: i64| truth(&weather, index);
    let offset = |index: i64| if (index / (10 * DAY)) % 2 == 0 { 40.0 } else { -40.0 };
    let results = run(65, [1, 4, 8], |now, index| Some(what_is(index) + offset(now)), what_is);
    for (error, _) in results {
        assert!(error < 8.0, "{error} of 40 is left");
    }
}

#[test]
fn what_came_during_a_slot_does_not_count_as_known_before_it() {
    // In the middle of every slot the provider learns what the slot is; before, it guesses.
    let weather = weather(70 * DAY);
    let what_is = |index: i64| truth(&weather, index);
    let mut learner = CarbonLearner::default();
    let mut provider = None;
    for now in 0..60 * DAY {
        let guess = vintage(now, DAY, |index| 200.0 + 150.0 * noise(now * 1_000 + index, 3));
        learner.observe_vintage(&guess, at(now));
        let insight = vintage(now, DAY, |index| {
            if index == now { what_is(now) } else { guess.at(at(index)).unwrap().forecast.get() }
        });
        learner.observe_vintage(&insight, at(now) + SignedDuration::from_mins(15));
        learner.observe_actual(&slot(now, what_is(now)));
        provider = Some(guess);
    }
    let out = blend(&mut learner, provider.as_ref(), 60 * DAY - 1, 4);
    assert!(out[0].provider_weight < 0.1, "{:?}", out[0]);
}

#[test]
fn a_dead_provider_leaves_the_own_forecast() {
    let weather = weather(40 * DAY);
    let (mut with, mut without) = (CarbonLearner::default(), CarbonLearner::default());
    let last = 20 * DAY;
    let mut provider = None;
    for now in 0..30 * DAY {
        if now <= last {
            let newest = vintage(now, DAY, |index| truth(&weather, index));
            with.observe_vintage(&newest, at(now));
            provider = Some(newest);
        }
        for learner in [&mut with, &mut without] {
            learner.observe_actual(&slot(now, truth(&weather, now)));
        }
    }
    let own = blend(&mut without, None, 30 * DAY, DAY);
    assert_eq!(own.len(), 48);
    assert!(own.iter().all(|estimate| estimate.provider_weight == 0.0));
    assert_eq!(blend(&mut with, provider.as_ref(), 30 * DAY, DAY), own);
    assert_eq!(blend(&mut with, None, 30 * DAY, DAY), own);
}

#[test]
fn beyond_its_reach_the_provider_has_no_say() {
    let mut learner = CarbonLearner::default();
    for now in 0..5 * DAY {
        learner.observe_actual(&slot(now, usual(now)));
    }
    let now = 5 * DAY;
    let out = blend(&mut learner, Some(&vintage(now, 10, usual)), now, 20);
    assert_eq!(out.len(), 20);
    assert!(out[..10].iter().all(|estimate| estimate.provider_weight > 0.5));
    assert!(out[10..].iter().all(|estimate| estimate.provider_weight == 0.0));
}

#[test]
fn before_any_actual_value_the_provider_speaks_alone() {
    let gappy =
        Forecast::new("test", None, at(0), vec![slot(2, 100.0), slot(3, 120.0), slot(6, 90.0)]).unwrap();
    let mut learner = CarbonLearner::default();
    let out = blend(&mut learner, Some(&gappy), 0, 20);
    let grams: Vec<f64> = out.iter().map(|estimate| estimate.intensity).collect();
    assert_eq!(grams, [100.0, 100.0, 100.0, 120.0, 120.0, 120.0, 90.0]);
    assert!(out.iter().all(|estimate| estimate.provider_weight == 1.0));
    assert!(!learner.is_known());
}

#[test]
fn nothing_known_is_nothing_said() {
    let mut learner = CarbonLearner::default();
    let mut out = vec![Estimate { from: at(0), to: at(1), intensity: 1.0, provider_weight: 0.0 }];
    learner.blend(None, at(0), SignedDuration::from_hours(48), &mut out);
    assert_eq!(out, []);
    learner.observe_actual(&slot(0, 150.0));
    learner.blend(None, at(1), SignedDuration::from_hours(48), &mut out);
    assert_eq!(out.len(), 96);
    assert!(out.iter().all(|estimate| estimate.intensity == 150.0));
    learner.blend(None, at(1), SignedDuration::from_hours(-1), &mut out);
    assert_eq!(out, []);
}

#[test]
fn estimates_begin_with_the_current_slot_and_leave_no_gap() {
    let mut learner = CarbonLearner::default();
    learner.observe_actual(&slot(0, 150.0));
    assert_eq!(learner.step(), Some(SignedDuration::from_mins(30)));
    for (minutes, horizon, first, count) in [(30, 60, 1, 2), (45, 60, 1, 3), (59, 1, 1, 1), (60, 1, 2, 1)] {
        let mut out = Vec::new();
        let now = at(0) + SignedDuration::from_mins(minutes);
        learner.blend(None, now, SignedDuration::from_mins(horizon), &mut out);
        let slots: Vec<_> = out.iter().map(|estimate| (estimate.from, estimate.to)).collect();
        let expected: Vec<_> = (first..first + count).map(|index| (at(index), at(index + 1))).collect();
        assert_eq!(slots, expected, "{horizon} min from minute {minutes}");
    }
}

#[test]
fn a_slot_counts_once() {
    let mut once = CarbonLearner::default();
    let mut again = CarbonLearner::default();
    for index in 0..5 * DAY {
        once.observe_actual(&slot(index, usual(index)));
        again.observe_actual(&slot(index, usual(index)));
        again.observe_actual(&slot(index, usual(index)));
        again.observe_actual(&slot((index - 7).max(0), 999.0));
    }
    assert_eq!(serde_json::to_string(&once).unwrap(), serde_json::to_string(&again).unwrap());
}

#[test]
fn late_values_fill_what_was_missing() {
    let mut late = CarbonLearner::default();
    for index in 0..20 * DAY {
        // Every fifth value comes six slots late.
        if index % 5 != 0 {
            late.observe_actual(&slot(index, usual(index)));
        }
        if index >= 6 && (index - 6) % 5 == 0 {
            late.observe_actual(&slot(index - 6, usual(index - 6)));
        }
    }
    for (index, estimate) in (20 * DAY..).zip(blend(&mut late, None, 20 * DAY, DAY)) {
        assert!((estimate.intensity - usual(index)).abs() < 2.0, "{estimate:?}");
    }
}

#[test]
fn a_hole_in_the_actual_values_is_survived() {
    let mut learner = CarbonLearner::default();
    for index in (0..10 * DAY).chain(13 * DAY..14 * DAY).chain(60 * DAY..61 * DAY) {
        learner.observe_actual(&slot(index, usual(index)));
        let provider = vintage(index + 1, 2 * DAY, usual);
        learner.observe_vintage(&provider, at(index + 1));
    }
    for (index, estimate) in (61 * DAY..).zip(blend(&mut learner, None, 61 * DAY, DAY)) {
        assert!((estimate.intensity - usual(index)).abs() < 2.0, "{estimate:?}");
    }
    // Long after the last one there is still what is usual.
    for (index, estimate) in (400 * DAY..).zip(blend(&mut learner, None, 400 * DAY, DAY)) {
        assert!((estimate.intensity - usual(index)).abs() < 2.0, "{estimate:?}");
    }
}

#[test]
fn a_value_from_a_future_that_was_none_is_outlived() {
    let mut learner = CarbonLearner::default();
    for index in 0..20 * DAY {
        if index == 3 * DAY {
            learner.observe_actual(&slot(5_000 * DAY, 10_000.0));
        }
        learner.observe_actual(&slot(index, usual(index)));
        learner.observe_vintage(&vintage(index + 1, DAY, usual), at(index + 1));
    }
    for (index, estimate) in (20 * DAY..).zip(blend(&mut learner, None, 20 * DAY, DAY)) {
        assert!((estimate.intensity - usual(index)).abs() < 5.0, "{estimate:?}");
    }
}

#[test]
fn what_was_worked_out_for_another_time_is_not_used() {
    // Two days, then a day of values from long before: the learner goes back to them. What it told of the
    // days after the first two must not be taken for what it said then.
    let mut kept = CarbonLearner::default();
    let mut stored = CarbonLearner::default();
    for index in (20 * DAY..22 * DAY).chain(0..3 * DAY) {
        for learner in [&mut kept, &mut stored] {
            learner.observe_vintage(&vintage(index, DAY, usual), at(index));
            learner.observe_actual(&slot(index, usual(index) + 9.0 * noise(index, 4)));
        }
        stored = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
        let provider = vintage(index + 1, DAY, usual);
        let [kept, stored] =
            [&mut kept, &mut stored].map(|learner| blend(learner, Some(&provider), index + 1, DAY));
        assert_eq!(kept, stored, "after {index}");
    }
    assert_eq!(serde_json::to_string(&kept).unwrap(), serde_json::to_string(&stored).unwrap());
}

#[test]
fn slots_of_other_lengths_are_resampled() {
    let grams = |index: i64| 100.0 + (index % 7) as f64;
    let minutes = |minute: i64| at(0) + SignedDuration::from_mins(minute);
    let piece = |from: i64, to: i64, grams: f64| {
        Slot::new(minutes(from), minutes(to), CarbonIntensity::new(grams).unwrap())
    };
    let said = |learner: &CarbonLearner| {
        blend(&mut learner.clone(), None, 2 * DAY, 4).iter().map(|e| e.intensity).collect::<Vec<_>>()
    };
    let mut whole = CarbonLearner::default();
    let mut pieces = CarbonLearner::default();
    let mut lossy = CarbonLearner::default();
    for index in 0..2 * DAY {
        whole.observe_actual(&slot(index, grams(index)));
    }
    for learner in [&mut pieces, &mut lossy] {
        learner.observe_actual(&slot(0, grams(0)));
    }
    for index in 1..2 * DAY {
        let start = index * 30;
        for (from, to, offset) in [(0, 5, 3.0), (5, 20, -1.0), (20, 30, 0.0)] {
            pieces.observe_actual(&piece(start + from, start + to, grams(index) + offset));
            pieces.observe_actual(&piece(start + from, start + to, 0.0));
        }
        lossy.observe_actual(&piece(start, start + 20, grams(index)));
    }
    lossy.observe_actual(&piece(2 * 1_440, 2 * 1_440 + 1, 0.0));
    assert_eq!(said(&pieces), said(&whole));
    assert_eq!(said(&lossy), said(&whole));

    let mut hours = CarbonLearner::default();
    let mut halves = CarbonLearner::default();
    for learner in [&mut hours, &mut halves] {
        learner.observe_actual(&slot(0, 50.0));
        learner.observe_actual(&slot(1, 50.0));
    }
    for hour in 1..DAY {
        hours.observe_actual(&piece(hour * 60, hour * 60 + 60, grams(hour)));
        halves.observe_actual(&slot(2 * hour, grams(hour)));
        halves.observe_actual(&slot(2 * hour + 1, grams(hour)));
    }
    assert_eq!(said(&hours), said(&halves));
}

#[test]
fn the_first_slot_sets_the_grid() {
    for (from, to, minutes) in [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z", Some(5)),
        ("2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z", Some(15)),
        ("2026-01-01T00:30:00Z", "2026-01-01T01:00:00Z", Some(30)),
        ("2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z", Some(30)),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", Some(60)),
        ("2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z", Some(60)),
        ("2026-01-01T00:07:00Z", "2026-01-01T00:30:00Z", None),
        ("1969-12-31T23:30:00Z", "1970-01-01T00:00:00Z", Some(30)),
    ] {
        let grams = CarbonIntensity::new(100.0).unwrap();
        let mut learner = CarbonLearner::default();
        learner.observe_actual(&Slot::new(from.parse().unwrap(), to.parse().unwrap(), grams));
        assert_eq!(learner.step(), minutes.map(SignedDuration::from_mins), "{from} to {to}");
    }
}

#[test]
fn a_state_that_is_none_is_refused() {
    let mut learner = CarbonLearner::default();
    for index in 0..5 * DAY {
        learner.observe_vintage(&vintage(index, DAY, usual), at(index));
        learner.observe_actual(&slot(index, usual(index)));
    }
    let sound = serde_json::to_value(&learner).unwrap();
    assert!(serde_json::from_value::<CarbonLearner>(sound.clone()).is_ok());
    let fields: Vec<String> = sound["state"].as_object().unwrap().keys().cloned().collect();
    for field in fields {
        let mut wrong = sound.clone();
        wrong["state"][&field] = match &wrong["state"][&field] {
            serde_json::Value::String(text) => format!("{}AAAAAAAA+H8", &text[..text.len() / 32 * 32]).into(),
            serde_json::Value::Object(_) => serde_json::json!({ "end": 0, "values": "AAAAAAAA8D8" }),
            serde_json::Value::Number(_) => serde_json::json!(-1),
            _ => continue,
        };
        let restored = serde_json::from_value::<CarbonLearner>(wrong);
        match field.as_str() {
            // Held within their bounds rather than refused.
            "delay" | "past" => assert!(restored.is_ok(), "{field}"),
            _ => assert!(restored.is_err(), "{field}"),
        }
    }
}
