//! What the demand estimate is, by windows whose answer is known, and what it must never be.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use jiff::SignedDuration;
use models::Timestamp;
use proptest::prelude::*;
use providers::DemandEstimator;
use providers::demand::{DEFAULT_HALF_LIFE, MEMORY_IN_HALF_LIVES};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// The rate after windows of (end, length, requests), in seconds.
fn rate(windows: &[(i64, f64, f64)]) -> f64 {
    let mut estimator = DemandEstimator::new(SignedDuration::from_secs(100));
    for (end, length, requests) in windows {
        estimator.observe(at(*end), *length, *requests);
    }
    estimator.rate(at(windows.iter().map(|window| window.0).max().unwrap())).unwrap()
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[test]
fn a_steady_rate_is_found_whatever_the_windows() {
    assert_close(rate(&[(30, 30.0, 600.0)]), 20.0);
    assert_close(rate(&[(30, 30.0, 600.0), (60, 30.0, 600.0)]), 20.0);
    assert_close(rate(&[(1, 1.0, 20.0), (61, 60.0, 1_200.0), (3_661, 3_600.0, 72_000.0)]), 20.0);
    assert_close(rate(&[(30, 30.0, 0.0)]), 0.0);
}

#[test]
fn after_a_half_life_the_old_rate_counts_half() {
    // A long past at 10/s, then one half-life at 30/s.
    assert_close(rate(&[(0, 86_400.0, 864_000.0), (100, 100.0, 3_000.0)]), 20.0);
    assert_close(rate(&[(0, 86_400.0, 864_000.0), (50, 50.0, 1_500.0), (100, 50.0, 1_500.0)]), 20.0);
}

#[test]
fn windows_of_several_routers_add_up() {
    let both = [(30, 30.0, 600.0), (30, 30.0, 300.0), (60, 30.0, 600.0), (60, 30.0, 300.0)];
    assert_close(rate(&both), 30.0);
    let mut reversed = both;
    reversed.reverse();
    assert_close(rate(&reversed), 30.0);
    // Out of step by half a window, the second router one window behind at the end.
    let skewed: Vec<_> = (1..200).flat_map(|n| [(30 * n, 30.0, 600.0), (30 * n - 15, 30.0, 300.0)]).collect();
    let found = rate(&skewed);
    assert!((found - 30.0).abs() < 2.0, "{found}");
}

#[test]
fn a_late_window_counts_by_its_age() {
    let in_order = rate(&[(30, 30.0, 900.0), (60, 30.0, 300.0), (90, 30.0, 60.0)]);
    for late in [
        [(60, 30.0, 300.0), (30, 30.0, 900.0), (90, 30.0, 60.0)],
        [(90, 30.0, 60.0), (30, 30.0, 900.0), (60, 30.0, 300.0)],
        [(90, 30.0, 60.0), (60, 30.0, 300.0), (30, 30.0, 900.0)],
    ] {
        let found = rate(&late);
        // A window is weighted by the mean of its own weights, so the order shifts the answer by nothing
        // but rounding.
        assert_close(found, in_order);
    }
}

#[test]
fn a_short_pause_is_silence_and_a_long_one_is_unknown() {
    // Silence: 30 s of 20/s in 60 s.
    let paused = rate(&[(30, 30.0, 600.0), (90, 30.0, 600.0)]);
    assert!(paused > 13.0 && paused < 14.5, "{paused}");
    // After a day without a report only half a minute and the half-life before it count.
    let resumed = rate(&[(30, 30.0, 600.0), (86_400, 30.0, 600.0)]);
    let alone = rate(&[(30, 30.0, 600.0)]);
    assert!(resumed > 0.2 * alone && resumed < alone, "{resumed}");
    // The same pause, told from its end.
    let backwards = rate(&[(86_400, 30.0, 600.0), (30, 30.0, 600.0)]);
    assert!((backwards - resumed).abs() < 1e-6, "{backwards} is not {resumed}");
}

#[test]
fn the_demand_is_unknown_before_the_first_report_and_long_after_the_last() {
    let mut estimator = DemandEstimator::default();
    assert_eq!(estimator.rate(at(0)), None);
    estimator.observe(at(0), 30.0, 300.0);
    let memory = DEFAULT_HALF_LIFE * MEMORY_IN_HALF_LIVES;
    assert_close(estimator.rate(at(memory.as_secs() - 1)).unwrap(), 10.0);
    assert_eq!(estimator.rate(at(memory.as_secs())), None);
    assert_close(estimator.rate(at(-5)).unwrap(), 10.0);
}

#[test]
fn what_cannot_be_a_report_is_left_out() {
    let mut estimator = DemandEstimator::default();
    estimator.observe(at(0), 30.0, 300.0);
    let before = estimator.clone();
    for (length, requests) in [
        (0.0, 5.0),
        (-30.0, 5.0),
        (f64::NAN, 5.0),
        (f64::INFINITY, 5.0),
        (1e9, 5.0),
        (30.0, -1.0),
        (30.0, f64::NAN),
        (30.0, f64::INFINITY),
        (30.0, 1e300),
    ] {
        estimator.observe(at(30), length, requests);
        assert_eq!(estimator, before, "{length} s, {requests} requests");
    }
    estimator.observe(Timestamp::MIN, 30.0, 1.0);
    assert_eq!(estimator, before, "a window before the beginning of time");
}

#[test]
fn a_stored_estimator_is_checked() {
    let good = r#"{"halfLifeSeconds":300.0,"state":{"since":"2027-01-15T08:00:00Z","until":"2027-01-15T08:00:30Z","requests":290.0,"seconds":29.0}}"#;
    let estimator: DemandEstimator = serde_json::from_str(good).unwrap();
    assert_eq!(serde_json::to_string(&estimator).unwrap(), good);
    assert_eq!(estimator.half_life(), DEFAULT_HALF_LIFE);
    for (right, wrong) in [
        ("300.0", "0"),
        ("300.0", "-1"),
        ("300.0", "1e300"),
        ("290.0", "-1"),
        ("29.0}", "0}"),
        ("08:00:30", "07:00:00"),
    ] {
        let refused = serde_json::from_str::<DemandEstimator>(&good.replace(right, wrong)).unwrap_err();
        assert!(refused.to_string().starts_with("not the state of a demand estimator"), "{refused}");
    }
}

proptest! {
    #[test]
    fn the_rate_is_finite_and_within_what_was_reported(
        half_life in any::<i64>(),
        windows in prop::collection::vec(
            (any::<i32>(), prop_oneof![0.0..90_000.0, any::<f64>()], prop_oneof![0.0..1e6, any::<f64>()]),
            1..30,
        ),
    ) {
        let mut estimator = DemandEstimator::new(SignedDuration::from_secs(half_life));
        for (end, length, requests) in windows {
            let now = at(i64::from(end));
            estimator.observe(now, length, requests);
            if let Some(rate) = estimator.rate(now) {
                prop_assert!(rate.is_finite() && rate >= 0.0, "{rate}");
            }
            let stored = serde_json::to_string(&estimator).unwrap();
            prop_assert_eq!(&serde_json::from_str::<DemandEstimator>(&stored).unwrap(), &estimator);
        }
    }

    #[test]
    fn windows_end_to_end_give_a_rate_between_the_smallest_and_the_largest(
        windows in prop::collection::vec((1i64..3_600, 0u32..1_000_000), 1..40),
    ) {
        let mut estimator = DemandEstimator::default();
        let (mut low, mut high, mut end) = (f64::MAX, 0.0f64, 0);
        for (length, requests) in windows {
            end += length;
            let seconds = f64::from(u32::try_from(length).unwrap());
            let rate = f64::from(requests) / seconds;
            (low, high) = (low.min(rate), high.max(rate));
            estimator.observe(at(end), seconds, f64::from(requests));
            let found = estimator.rate(at(end)).unwrap();
            prop_assert!(found >= low * (1.0 - 1e-9) && found <= high * (1.0 + 1e-9), "{low} {found} {high}");
        }
    }
}
