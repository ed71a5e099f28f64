//! What posting, scaling, settling and reconfiguring do, case by case.

use jiff::SignedDuration;
use ledger::{Bounds, CreditLedger, MAX_BUCKETS, MAX_EXACT, MAX_OPEN, PostingId};
use models::Timestamp;

const TARGET: f64 = 0.05;

#[expect(clippy::unwrap_used, reason = "each case keeps to what bounds may be")]
fn bounds(min: f64, max: f64) -> Bounds {
    Bounds::new(min, max).unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + seconds(second)
}

fn ledger(window: i64) -> CreditLedger {
    CreditLedger::new(bounds(-0.5, 0.5), seconds(window))
}

#[track_caller]
fn close(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-12, "{got} is not {want}");
}

#[test]
fn a_posting_is_what_was_allowed_less_what_is_planned() {
    for (target, error, balance) in [
        (0.05, 0.0, 0.05),
        (0.05, 0.05, 0.0),
        (0.05, 0.15, -0.1),
        // A precision above 1 is not better than the best.
        (0.05, -0.2, 0.05),
        // Clamped into the bounds.
        (0.9, 0.0, 0.5),
        (0.0, 0.9, -0.5),
        // What is not a number mints no credit.
        (0.05, f64::NAN, -0.5),
        (0.05, f64::INFINITY, -0.5),
        (0.05, f64::NEG_INFINITY, 0.05),
        (f64::NAN, 0.1, -0.1),
        (f64::INFINITY, 0.75, 0.25),
        (f64::NEG_INFINITY, 0.1, -0.1),
    ] {
        let mut ledger = ledger(300);
        ledger.post(at(0), target, error);
        assert!(
            (ledger.balance() - balance).abs() < 1e-12,
            "target {target}, error {error}: {}",
            ledger.balance()
        );
    }
}

#[test]
fn the_balance_is_clamped_after_every_posting() {
    let mut ledger = CreditLedger::new(bounds(-0.1, 0.07), seconds(300));
    for (second, error, balance) in
        [(0, 0.0, 0.05), (1, 0.0, 0.07), (2, 0.0, 0.07), (3, 0.1, 0.02), (4, 0.9, -0.1), (5, 0.0, -0.05)]
    {
        ledger.post(at(second), TARGET, error);
        close(ledger.balance(), balance);
    }
    // The velocity is of the postings, not of the clamped changes.
    close(ledger.velocity(at(5)), (4.0 * 0.05 - 0.05 - 0.85) / 6.0);
}

#[test]
fn an_interval_cut_short_counts_for_what_went_by() {
    let mut ledger = ledger(300);
    let posting = ledger.post(at(0), TARGET, 0.01);
    close(ledger.scale(posting, 0.25).unwrap(), -0.03);
    close(ledger.balance(), 0.01);
    close(ledger.velocity(at(1)), 0.01);
    // Of the full interval, whatever it was scaled to before.
    close(ledger.scale(posting, 0.5).unwrap(), 0.01);
    close(ledger.balance(), 0.02);
    for (fraction, balance) in [(0.0, 0.0), (-1.0, 0.0), (f64::NAN, 0.0), (1.0, 0.04), (7.0, 0.04)] {
        ledger.scale(posting, fraction).unwrap();
        close(ledger.balance(), balance);
    }
}

#[test]
fn frequent_reconfiguration_mints_no_credit() {
    // One interval, planned as 48 s, cut short every second: the credit of one interval in all.
    let mut ledger = ledger(300);
    for second in 0..48 {
        let posting = ledger.post(at(second), TARGET, 0.0);
        ledger.scale(posting, 1.0 / 48.0).unwrap();
    }
    close(ledger.balance(), TARGET);
}

#[test]
fn settling_replaces_what_was_planned_as_often_as_it_is_known_better() {
    let mut ledger = ledger(300);
    let posting = ledger.post(at(0), TARGET, 0.0);
    for (error, balance) in [(0.04, 0.01), (0.02, 0.03), (0.15, -0.1), (0.05, 0.0), (0.0, 0.05)] {
        ledger.settle(posting, error).unwrap();
        close(ledger.balance(), balance);
    }
    close(ledger.velocity(at(0)), TARGET);
    // Scaled and settled are independent of each other's order.
    ledger.scale(posting, 0.5).unwrap();
    ledger.settle(posting, 0.01).unwrap();
    close(ledger.velocity(at(0)), 0.02);
}

#[test]
fn late_feedback_settles_the_last_postings_whatever_the_window() {
    let mut ledger = ledger(1);
    let count = u64::try_from(MAX_OPEN).unwrap() + 1;
    let postings: Vec<PostingId> = (0..count).map(|_| ledger.post(at(0), 0.0, 0.0)).collect();
    let hours_later = ledger.post(at(9_000), 0.0, 0.0);
    let before = ledger.clone();
    for (index, posting) in postings.iter().enumerate() {
        let settled = ledger.settle(*posting, 0.01);
        if index < 2 {
            let refused = settled.unwrap_err();
            assert_eq!(refused.id, *posting);
            assert_eq!(refused.open, Some((postings[2], hours_later)));
            assert_eq!(refused, ledger.scale(*posting, 0.0).unwrap_err());
            assert_eq!(ledger, before, "a refusal changes nothing");
        } else {
            close(settled.unwrap(), -0.01);
        }
    }
    // Settled, they change the balance; out of the window, they do not change the velocity.
    close(ledger.balance(), -0.01 * 31.0);
    assert_eq!(ledger.velocity(at(9_000)), 0.0);
    ledger.settle(hours_later, 0.02).unwrap();
    close(ledger.velocity(at(9_000)), -0.02);
}

#[test]
fn a_refusal_says_what_would_be_right() {
    let mut ledger = ledger(300);
    let mut other = ledger.clone();
    let strange = (0..3).map(|second| other.post(at(second), TARGET, 0.0)).last().unwrap();
    let refused = ledger.settle(strange, 0.0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "posting 2 cannot be changed: expected one of the latest ones, but nothing was posted yet"
    );
    ledger.post(at(0), TARGET, 0.0);
    ledger.post(at(1), TARGET, 0.0);
    assert_eq!(
        ledger.settle(strange, 0.0).unwrap_err().to_string(),
        "posting 2 cannot be changed: expected one of the latest ones, 0 to 1"
    );
}

#[test]
fn the_window_is_open_at_its_beginning_and_closed_at_its_end() {
    let mut ledger = ledger(10);
    ledger.post(at(0), 0.1, 0.0);
    ledger.post(at(5), 0.3, 0.0);
    let instant = |text: &str| -> Timestamp { text.parse().unwrap() };
    for (now, velocity) in [
        (at(5), 0.2),
        (instant("1970-01-01T00:00:09.999999999Z"), 0.2),
        (at(10), 0.3),
        (instant("1970-01-01T00:00:14.999999999Z"), 0.3),
        (at(15), 0.0),
        (Timestamp::MAX, 0.0),
        // Time does not run backwards: these are second 5.
        (at(4), 0.2),
        (Timestamp::MIN, 0.2),
    ] {
        close(ledger.velocity(now), velocity);
        close(ledger.snapshot().velocity_at(now), velocity);
    }
    // Posting at second 10 lets go of the same posting.
    ledger.post(at(10), 0.5, 0.0);
    close(ledger.velocity(at(10)), 0.4);
    assert_eq!(ledger.snapshot().postings_at(at(10)), 2);
}

#[test]
fn a_posting_from_the_past_counts_as_one_of_now() {
    let mut ledger = ledger(10);
    ledger.post(at(100), 0.1, 0.0);
    ledger.post(at(20), 0.3, 0.0);
    assert_eq!(ledger.snapshot().latest_posting(), Some(at(100)));
    close(ledger.velocity(at(109)), 0.2);
    assert_eq!(ledger.velocity(at(110)), 0.0);
}

#[test]
fn an_empty_ledger_and_an_empty_window_stand_still() {
    let empty = ledger(300);
    assert_eq!((empty.balance(), empty.velocity(at(0)), empty.snapshot().latest_posting()), (0.0, 0.0, None));
    for window in [0, -5] {
        let mut ledger = ledger(window);
        assert_eq!(ledger.window(), SignedDuration::ZERO);
        let posting = ledger.post(at(0), 0.1, 0.0);
        assert_eq!(ledger.velocity(at(0)), 0.0);
        close(ledger.settle(posting, 0.1).unwrap(), -0.1);
    }
}

/// The postings of a ledger as it would be stored: buckets, exact, open.
#[expect(clippy::unwrap_used, reason = "the test is of what is stored")]
fn sizes(ledger: &CreditLedger) -> [usize; 3] {
    let stored = serde_json::to_value(ledger.snapshot()).unwrap();
    ["buckets", "exact", "open"].map(|list| stored["history"][list].as_array().unwrap().len())
}

#[test]
fn beyond_the_exact_postings_older_ones_share_buckets() {
    let window = 10_000;
    let mut ledger = ledger(window);
    let error = |second: i64| if second % 7 == 0 { 0.2 } else { 0.01 };
    let naive = |now: i64, oldest: i64| {
        let deltas: Vec<f64> = (oldest.max(0)..=now).map(|second| TARGET - error(second)).collect();
        deltas.iter().sum::<f64>() / deltas.len() as f64
    };
    let posted_exactly = i64::try_from(MAX_EXACT).unwrap();
    for second in 0..posted_exactly {
        ledger.post(at(second), TARGET, error(second));
    }
    assert_eq!(sizes(&ledger), [0, MAX_EXACT - MAX_OPEN, MAX_OPEN]);
    for second in posted_exactly..window {
        ledger.post(at(second), TARGET, error(second));
    }
    // A bucket keeps all of its postings until the newest leaves: nothing has left, so the mean is exact.
    let [buckets, exact, open] = sizes(&ledger);
    assert!((MAX_BUCKETS / 2..=MAX_BUCKETS).contains(&buckets), "{buckets} buckets");
    assert_eq!(exact + open, MAX_EXACT);
    close(ledger.velocity(at(window - 1)), naive(window - 1, 0));

    // From here on up to one bucket, 40 s of 10,000, stays longer than it would one by one.
    for second in window..3 * window {
        ledger.post(at(second), TARGET, error(second));
        if second % 997 == 0 {
            let exactly = naive(second, second - window + 1);
            assert!((ledger.velocity(at(second)) - exactly).abs() < 1e-3 * TARGET, "second {second}");
            let counted = ledger.snapshot().postings_at(at(second));
            assert!((10_000..10_040).contains(&counted), "second {second}: {counted}");
        }
    }
    let [buckets, ..] = sizes(&ledger);
    assert!(buckets <= MAX_BUCKETS, "{buckets} buckets");
    // And all leave in the end.
    assert_eq!(ledger.velocity(at(4 * window)), 0.0);
    ledger.post(at(4 * window), TARGET, 0.0);
    assert_eq!(sizes(&ledger), [0, 0, MAX_OPEN]);
    assert_eq!(ledger.velocity(at(4 * window)), TARGET);
}

#[test]
fn a_window_that_grows_keeps_buckets_within_their_number() {
    let mut ledger = ledger(2_000);
    for second in 0..40_000 {
        ledger.post(at(second), TARGET, 0.0);
        if second == 3_000 {
            ledger.reconfigure(bounds(-0.5, 0.5), seconds(1_000_000));
        }
    }
    assert!(sizes(&ledger)[0] <= MAX_BUCKETS);
    close(ledger.velocity(at(39_999)), TARGET);
    // Nothing has left since the window grew.
    let kept = ledger.snapshot().postings_at(at(39_999));
    assert!((38_998..=39_010).contains(&kept), "{kept}");
}

#[test]
fn reconfiguring_clamps_the_balance_and_keeps_the_history() {
    let mut ledger = ledger(300);
    let posting = ledger.post(at(0), 0.4, 0.0);
    ledger.post(at(200), 0.0, 0.1);
    close(ledger.balance(), 0.3);
    ledger.reconfigure(bounds(-0.2, 0.25), seconds(600));
    close(ledger.balance(), 0.25);
    close(ledger.velocity(at(400)), 0.15);
    // The old posting can still be settled, within the new bounds.
    ledger.settle(posting, 0.9).unwrap();
    close(ledger.balance(), -0.2);
    // A shorter window lets go of it, and it does not come back.
    ledger.reconfigure(bounds(-0.2, 0.25), seconds(100));
    close(ledger.velocity(at(200)), -0.1);
    ledger.reconfigure(bounds(-1.0, 1.0), seconds(600));
    close(ledger.velocity(at(200)), -0.1);
    close(ledger.settle(posting, 0.4).unwrap(), 0.5);
}

#[test]
fn a_snapshot_can_be_questioned() {
    let mut ledger = ledger(300);
    ledger.post(at(0), 0.2, 0.0);
    let snapshot = ledger.snapshot();
    ledger.post(at(1), 0.2, 0.0);
    close(snapshot.balance(), 0.2);
    close(snapshot.headroom(), 0.3);
    close(snapshot.spendable(), 0.7);
    close(snapshot.velocity_at(at(299)), 0.2);
    assert_eq!(snapshot.velocity_at(at(300)), 0.0);
    assert_eq!((snapshot.postings_at(at(0)), snapshot.latest_posting()), (1, Some(at(0))));
    assert_eq!((snapshot.bounds(), snapshot.window()), (bounds(-0.5, 0.5), seconds(300)));
}

#[test]
fn a_snapshot_is_stored_as_text_that_loses_nothing() {
    let mut ledger = ledger(300);
    ledger.post(at(0), 0.1, 0.3);
    let stored = serde_json::to_string(&ledger.snapshot()).unwrap();
    assert_eq!(
        stored,
        concat!(
            r#"{"bounds":{"min":"-0.5","max":"0.5"},"window":"PT5M","balance":"-0.19999999999999998","before":"0","#,
            r#""history":{"buckets":[],"exact":[],"#,
            r#""open":[{"at":"1970-01-01T00:00:00Z","target_error":"0.1","error":"0.3","fraction":"1"}],"#,
            r#""expired":0,"next_id":1,"latest":"1970-01-01T00:00:00Z"}}"#
        )
    );
    assert_eq!(CreditLedger::restore(serde_json::from_str(&stored).unwrap()), Ok(ledger));
    let empty = CreditLedger::new(bounds(0.0, 0.0), SignedDuration::ZERO);
    let stored = serde_json::to_string(&empty.snapshot()).unwrap();
    assert_eq!(CreditLedger::restore(serde_json::from_str(&stored).unwrap()), Ok(empty));
}

#[test]
fn an_edited_snapshot_is_refused_and_never_panics() {
    let mut ledger = ledger(1_000_000);
    for second in 0..2_000 {
        ledger.post(at(second), TARGET, 0.0);
    }
    let stored = serde_json::to_value(ledger.snapshot()).unwrap();
    for (pointer, value, message) in [
        ("/balance", "0.7", "the stored balance 0.7 is outside of its bounds [-0.5, 0.5]"),
        ("/balance", "NaN", "the stored balance NaN is outside of its bounds [-0.5, 0.5]"),
        ("/window", "-PT5M", "the stored window -PT5M is negative: expected at least 0 seconds"),
        ("/bounds/min", "0.2", "[0.2, 0.5] are no credit bounds: expected min <= 0 <= max, both finite"),
        ("/balance", "much", "`much` is not a number: expected one as text, e.g. \"0.05\""),
        ("/history/expired", "33", HISTORY),
        ("/history/next_id", "31", HISTORY),
        ("/history/next_id", "18446744073709551615", HISTORY),
        ("/history/open/3/error", "1.5", HISTORY),
        ("/history/open/3/fraction", "NaN", HISTORY),
        ("/history/exact/7/delta", "-inf", HISTORY),
        ("/history/exact/7/at", "2026-01-01T00:00:00Z", HISTORY),
        ("/history/latest", "1969-01-01T00:00:00Z", HISTORY),
        ("/history/buckets/0/newest", "2026-01-01T00:00:00Z", HISTORY),
        ("/history/buckets/0/total/count", "0", HISTORY),
        ("/history/buckets/0/total/count", "18446744073709551615", HISTORY),
        ("/history/buckets/0/total/sum", "170141183460469231731687303715884105727", HISTORY),
    ] {
        let mut edited = stored.clone();
        let place = edited.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        *place = if place.is_number() { serde_json::from_str(value).unwrap() } else { value.into() };
        let refused = match serde_json::from_value(edited) {
            Err(unreadable) => unreadable.to_string(),
            Ok(snapshot) => {
                let snapshot: ledger::CreditSnapshot = snapshot;
                // Questions are answered whatever the store says.
                assert!(!snapshot.velocity_at(at(2_000)).is_nan() || value == "NaN", "{pointer}");
                CreditLedger::restore(snapshot).unwrap_err().to_string()
            }
        };
        assert_eq!(refused, message, "{pointer}: {value}");
    }
}

const HISTORY: &str =
    "the stored postings are not those of a ledger: expected them in order of time, each figure in [0, 1]";

#[test]
fn cuts_at_a_bound_hand_back_nothing_that_was_never_taken() {
    // A posting of -0.55 meets a lower bound 0.01 away; cut to nothing, it leaves the balance where it was.
    let mut ledger = CreditLedger::new(Bounds::new(-0.01, 0.5).unwrap(), SignedDuration::from_secs(300));
    for minute in 0..40 {
        let posting = ledger.post(at(minute * 60), 0.05, 0.6);
        assert_eq!(ledger.balance(), -0.01);
        ledger.scale(posting, 0.0).unwrap();
        assert!(ledger.balance() <= 0.0, "{}", ledger.balance());
    }
    // What an older posting is settled to moves what a later cut starts from.
    let old = ledger.post(at(3000), 0.05, 0.0);
    let new = ledger.post(at(3060), 0.05, 0.0);
    ledger.settle(old, 0.02).unwrap();
    ledger.scale(new, 0.0).unwrap();
    close(ledger.balance(), 0.03);
}
