//! What is learned of a demand, on patterns whose law is known.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use jiff::SignedDuration;
use models::Timestamp;
use providers::own::DemandLearner;

/// Seconds after a Monday's midnight.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_571_200 + seconds).unwrap()
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Requests per second: busy by day, half of it on weekends.
fn weekly(second: i64) -> f64 {
    let by_day = if (8 * HOUR..20 * HOUR).contains(&second.rem_euclid(DAY)) { 100.0 } else { 20.0 };
    if second.div_euclid(DAY).rem_euclid(7) >= 5 { by_day / 2.0 } else { by_day }
}

/// Tells `[from, to)` in windows of `window` seconds.
fn tell(learner: &mut DemandLearner, from: i64, to: i64, window: i64, rate: impl Fn(i64) -> f64) {
    for begin in (from..to).step_by(usize::try_from(window).unwrap()) {
        learner.observe(at(begin + window), window as f64, rate(begin) * window as f64);
    }
}

fn assert_near(found: f64, expected: f64, share: f64) {
    assert!((found - expected).abs() <= share * expected, "{found} is not {expected} within {share}");
}

#[test]
fn before_the_first_report_nothing_is_expected() {
    let learner = DemandLearner::default();
    assert!(!learner.is_known());
    assert_eq!(learner.rate(at(0)), None);
    assert_eq!(learner.expect(at(0), at(60), at(0)), 0.0);
}

#[test]
fn the_first_reports_are_taken_to_go_on() {
    let mut learner = DemandLearner::default();
    learner.observe(at(30), 30.0, 600.0);
    assert!(learner.is_known());
    assert_near(learner.rate(at(30)).unwrap(), 20.0, 1e-6);
    assert_near(learner.expect(at(30), at(30 + DAY), at(30)), 20.0 * DAY as f64, 1e-6);
    learner.observe(at(60), 30.0, 1_200.0);
    assert_near(learner.rate(at(60)).unwrap(), 30.0, 1e-6);
}

#[test]
fn an_hour_of_great_news_is_not_expected_again() {
    let mut learner = DemandLearner::default();
    let news = 16 * DAY + 18 * HOUR;
    let told = |second: i64| {
        if (news..news + HOUR).contains(&second) { 40.0 * weekly(second) } else { weekly(second) }
    };
    tell(&mut learner, 0, 23 * DAY, 600, told);
    let again = news + 7 * DAY;
    let found = learner.expect(at(again), at(again + HOUR), at(23 * DAY));
    let usual = weekly(again) * HOUR as f64;
    assert!((usual..2.0 * usual).contains(&found), "{found} for {usual}");
}

#[test]
fn a_new_size_is_believed_however_small_the_old_one_was() {
    for before in [0.5, 0.1, 1e-3, 1e-6, 0.0] {
        let mut learner = DemandLearner::default();
        let grown = |second: i64| if second < 21 * DAY { before * weekly(second) } else { weekly(second) };
        tell(&mut learner, 0, 35 * DAY, 600, grown);
        let week = learner.expect(at(35 * DAY), at(42 * DAY), at(35 * DAY));
        let told: f64 = (0..7 * 24).map(|hour| weekly(hour * HOUR) * HOUR as f64).sum();
        assert!((0.6 * told..1.1 * told).contains(&week), "from {before}: {week} for {told}");
    }
}

#[test]
fn a_week_is_learned_whatever_the_windows() {
    for window in [30, 60, 600, 1_800, HOUR, 4 * HOUR] {
        let mut learner = DemandLearner::default();
        tell(&mut learner, 0, 21 * DAY, window, weekly);
        for hour in [2, 10, 30, 5 * 24 + 10, 6 * 24 + 3] {
            let from = 21 * DAY + hour * HOUR;
            let found = learner.expect(at(from), at(from + HOUR), at(21 * DAY));
            // Of a quiet Sunday something lingers: the other days were seen beside it.
            assert_near(found, weekly(from) * HOUR as f64, 0.12);
        }
    }
}

#[test]
fn one_stretch_after_the_other_is_expected_like_each_of_them() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, 9 * DAY + 5 * HOUR, 600, weekly);
    // Half as much again since: both levels have something to fade.
    tell(&mut learner, 9 * DAY + 5 * HOUR, 9 * DAY + 9 * HOUR, 600, |second| 1.5 * weekly(second));
    let now = 9 * DAY + 9 * HOUR + 77;
    let ahead = |from: i64, to: i64| learner.expect(at(from), at(to), at(now));
    let mut asked = learner.ahead(at(now));
    for length in [300, 1_800, HOUR, DAY] {
        // Back to the beginning each time, and on for a week.
        for from in (now..now + 7 * DAY).step_by(usize::try_from(length).unwrap()) {
            assert_near(asked.expect(at(from), at(from + length)), ahead(from, from + length), 1e-12);
        }
    }
    let sum: f64 = (0..7 * 48).map(|slot| ahead(now + slot * 1_800, now + (slot + 1) * 1_800)).sum();
    assert_near(ahead(now, now + 7 * DAY), sum, 1e-3);
}

#[test]
fn the_second_day_is_expected_like_the_first() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, DAY, 60, weekly);
    for hour in [3, 12, 22] {
        let from = DAY + hour * HOUR;
        assert_near(learner.expect(at(from), at(from + HOUR), at(DAY)), weekly(from) * HOUR as f64, 0.1);
    }
}

#[test]
fn a_surge_is_expected_to_stay_for_a_while() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, 14 * DAY, 60, weekly);
    let now = 14 * DAY + HOUR;
    tell(&mut learner, 14 * DAY, now, 60, |second| 3.0 * weekly(second));
    let times = |hours: i64| {
        let from = now + hours * HOUR;
        learner.expect(at(from), at(from + 60), at(now)) / (60.0 * weekly(from))
    };
    assert_near(learner.rate(at(now)).unwrap(), 60.0, 0.1);
    assert!(times(1) > 2.0, "{}", times(1));
    assert!(times(5) < times(1) && times(14) < times(5), "{} {} {}", times(1), times(5), times(14));
    assert_near(times(160), 1.0, 0.1);
}

#[test]
fn traffic_where_there_never_was_any_is_seen() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, 10 * DAY, 60, |_| 0.0);
    assert_eq!(learner.rate(at(10 * DAY)), Some(0.0));
    let now = 10 * DAY + HOUR;
    tell(&mut learner, 10 * DAY, now, 60, |_| 50.0);
    assert_near(learner.rate(at(now)).unwrap(), 50.0, 0.15);
}

#[test]
fn reports_of_several_routers_add_up() {
    let (mut one, mut two) = (DemandLearner::default(), DemandLearner::default());
    for end in (60..=3 * DAY).step_by(60) {
        one.observe(at(end), 60.0, 60.0 * weekly(end - 60));
        two.observe(at(end), 60.0, 20.0 * weekly(end - 60));
        two.observe(at(end), 60.0, 40.0 * weekly(end - 60));
    }
    for hour in [0, 7, 30] {
        let from = 3 * DAY + hour * HOUR;
        let [one, two] = [&one, &two].map(|learner| learner.expect(at(from), at(from + HOUR), at(3 * DAY)));
        assert_near(two, one, 1e-9);
    }
}

#[test]
fn idle_routers_report_nothing() {
    // A minute of traffic, then four of silence.
    let mut learner = DemandLearner::default();
    for end in (60..=2 * DAY).step_by(300) {
        learner.observe(at(end), 60.0, 600.0);
    }
    assert_near(learner.expect(at(2 * DAY), at(3 * DAY), at(2 * DAY)), 2.0 * DAY as f64, 0.05);
}

#[test]
fn a_pause_of_days_teaches_nothing() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, 7 * DAY, 60, |_| 10.0);
    assert_near(learner.rate(at(9 * DAY)).unwrap(), 10.0, 1e-6);
    tell(&mut learner, 9 * DAY, 9 * DAY + 60, 60, |_| 10.0);
    assert_near(learner.expect(at(9 * DAY + 60), at(10 * DAY), at(9 * DAY + 60)), 10.0 * 86_340.0, 1e-3);
}

#[test]
fn a_late_report_counts_where_it_belongs() {
    let (mut prompt, mut late) = (DemandLearner::default(), DemandLearner::default());
    let mut held = None;
    for end in (60..=2 * DAY).step_by(60) {
        prompt.observe(at(end), 60.0, 600.0);
        // Every second report comes after the next one.
        match held.take() {
            None => held = Some(end),
            Some(earlier) => {
                late.observe(at(end), 60.0, 600.0);
                late.observe(at(earlier), 60.0, 600.0);
            }
        }
    }
    let [prompt, late] =
        [&prompt, &late].map(|learner| learner.expect(at(2 * DAY), at(3 * DAY), at(2 * DAY)));
    assert_near(late, prompt, 1e-3);
}

#[test]
fn what_cannot_be_is_left_out() {
    let mut learner = DemandLearner::default();
    let now = at(60);
    for (seconds, requests) in
        [(0.0, 1.0), (-1.0, 1.0), (f64::NAN, 1.0), (86_401.0, 1.0), (60.0, -1.0), (60.0, f64::INFINITY)]
    {
        learner.observe(now, seconds, requests);
        assert_eq!(learner, DemandLearner::default(), "{seconds} s, {requests}");
    }
}

#[test]
fn a_span_that_is_none_holds_nothing() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, DAY, 60, weekly);
    assert_eq!(learner.expect(at(DAY), at(DAY), at(DAY)), 0.0);
    assert_eq!(learner.expect(at(DAY + 60), at(DAY), at(DAY)), 0.0);
    assert!(learner.expect(at(DAY), Timestamp::MAX, at(DAY)).is_finite());
}

#[test]
fn expectations_add_up() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, 9 * DAY, 300, weekly);
    let now = at(9 * DAY);
    let whole = learner.expect(now, now + SignedDuration::from_hours(48), now);
    let halves = (0..96).map(|index| {
        let from = now + SignedDuration::from_mins(30 * index);
        learner.expect(from, from + SignedDuration::from_mins(30), now)
    });
    assert_near(halves.sum(), whole, 1e-9);
}

#[test]
fn a_state_that_is_none_is_refused() {
    let mut learner = DemandLearner::default();
    tell(&mut learner, 0, 2 * DAY, 60, weekly);
    let sound = serde_json::to_value(&learner).unwrap();
    assert_eq!(serde_json::from_value::<DemandLearner>(sound.clone()).unwrap(), learner);
    for (path, value) in [
        ("/state/until", serde_json::json!("AAAAAAAA+H8")),
        ("/state/weekly/day", serde_json::json!("AAAAAAAA8D8")),
        ("/state/weekly/level", serde_json::json!("")),
        ("/state/weekly/open/0/seconds", serde_json::json!("AAAAAAAA8L8")),
        ("/state/fast/usual", serde_json::json!("AAAAAAAA8L8")),
        ("/state/slow/requests", serde_json::json!("AAAAAAAA8H8")),
    ] {
        let mut wrong = sound.clone();
        *wrong.pointer_mut(path).unwrap() = value;
        assert!(serde_json::from_value::<DemandLearner>(wrong).is_err(), "{path}");
    }
}
