//! What the error budget books, holds back and answers, case by case.

use jiff::SignedDuration;
use ledger::{
    Before, Bounds, BudgetSettings, CreditLedger, ErrorBudget, PostingId, Report, ServedAt, Span,
    guarded_error,
};
use models::Timestamp;

const TARGET: f64 = 0.05;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

#[expect(clippy::unwrap_used, reason = "an empty ledger is within these bounds")]
fn postings(count: usize) -> Vec<PostingId> {
    let mut ledger = CreditLedger::new(Bounds::new(-0.5, 0.5).unwrap(), SignedDuration::from_secs(300));
    (0..count).map(|_| ledger.post(at(0), TARGET, 0.0)).collect()
}

fn settings(overdraft: f64) -> BudgetSettings {
    BudgetSettings { overdraft, ..BudgetSettings::default() }
}

fn served(requests: u64, error: f64) -> [ServedAt; 1] {
    [ServedAt { requests, error }]
}

/// A budget with feedback that expects 20,000 requests a window: its capacity is 1,000.
fn budget(overdraft: f64) -> ErrorBudget {
    let mut budget = ErrorBudget::new(settings(overdraft));
    budget.serve(None, at(0), &[]);
    budget.expect(TARGET, 20_000.0);
    budget
}

/// The same, with this much banked.
fn banked(overdraft: f64, balance: u64) -> ErrorBudget {
    let mut budget = budget(overdraft);
    budget.serve(None, at(0), &served(20 * balance, 0.0));
    assert_eq!(budget.balance(), balance as f64);
    budget
}

#[test]
fn serving_changes_the_balance_by_requests_times_what_is_left_of_the_target() {
    for (requests, error, balance) in [
        (100, 0.0, 5.0),
        (100, 0.05, 0.0),
        (100, 0.3, -25.0),
        (0, 0.3, 0.0),
        (1, 1.0, -0.95),
        // Capped at the capacity, never clamped from below.
        (1_000_000, 0.0, 1_000.0),
        (1_000_000, 1.0, -950_000.0),
        // Errors round up to whole ppm; `1 - 0.85` is not more than 0.15.
        (1_000_000, 0.049_999_5, 0.0),
        (100, 1.0 - 0.85, -10.0),
        // What is not a number is as bad as can be.
        (100, f64::NAN, -95.0),
        (100, f64::INFINITY, -95.0),
        (100, -7.0, 5.0),
    ] {
        let mut budget = budget(0.0);
        budget.serve(None, at(30), &served(requests, error));
        assert_eq!(budget.balance(), balance, "{requests} at {error}");
        assert_eq!(budget.served_requests(), requests);
    }
}

#[test]
fn what_was_served_is_counted_exactly() {
    let mut budget = budget(0.0);
    assert_eq!(budget.mean_error(Span::SinceStart, at(0)), None);
    for _ in 0..100_000 {
        budget.serve(
            None,
            at(0),
            &[ServedAt { requests: 7, error: 0.1 }, ServedAt { requests: 3, error: 1.0 - 0.7 }],
        );
    }
    assert_eq!(budget.served_requests(), 1_000_000);
    assert_eq!(budget.served_error(), 160_000.0);
    assert_eq!(budget.mean_error(Span::SinceStart, at(0)), Some(0.16));
    assert_eq!(budget.balance(), -110_000.0);
}

#[test]
fn the_target_in_force_for_the_requests_counts() {
    let ids = postings(40);
    let mut budget = budget(0.0);
    budget.begin(ids[0], at(0), 0.10, 0.0, 100.0);
    budget.begin(ids[1], at(60), 0.02, 0.0, 100.0);
    budget.expect(0.05, 20_000.0);
    for (id, booked) in [
        (Some(ids[0]), 10.0),
        (Some(ids[1]), 2.0),
        // Unknown: the least of those remembered and the one in force.
        (None, 2.0),
        (Some(ids[39]), 2.0),
    ] {
        let before = budget.balance();
        budget.serve(id, at(60), &served(100, 0.0));
        assert!((budget.balance() - before - booked).abs() < 1e-9, "{id:?}: {}", budget.balance() - before);
    }
    // The one in force is less than any remembered.
    budget.expect(0.01, 200_000.0);
    let before = budget.balance();
    budget.serve(None, at(60), &served(100, 0.0));
    assert!((budget.balance() - before - 1.0).abs() < 1e-9);
    // Both are forgotten after 32 more, but nobody reported up to their ends yet, 60 s and 120 s.
    for (second, id) in (120..).step_by(60).zip(&ids[2..34]) {
        budget.begin(*id, at(second), 0.04, 0.0, 100.0);
    }
    for (id, end, booked) in [(ids[0], 60, 2.0), (ids[1], 120, 2.0), (ids[0], 60, 4.0), (ids[2], 180, 4.0)] {
        let before = budget.balance();
        budget.serve(Some(id), at(end), &served(100, 0.0));
        assert!((budget.balance() - before - booked).abs() < 1e-9, "{id}");
    }
}

#[test]
fn without_any_target_there_is_no_income() {
    let mut budget = ErrorBudget::new(settings(0.0));
    budget.serve(None, at(0), &served(100, 0.0));
    assert_eq!((budget.balance(), budget.capacity()), (0.0, 0.0));
    budget.serve(None, at(0), &served(100, 0.5));
    assert_eq!(budget.balance(), -50.0);
}

#[test]
fn the_capacity_is_the_target_times_what_is_expected_in_a_window() {
    let mut budget = banked(0.0, 800);
    for (target, in_window, capacity, balance) in [
        (0.05, 20_000.0, 1_000.0, 800.0),
        // Less: what does not fit is gone.
        (0.05, 10_000.0, 500.0, 500.0),
        // More: nothing is added.
        (0.05, 40_000.0, 2_000.0, 500.0),
        (0.1, 40_000.0, 4_000.0, 500.0),
        // Not a number says nothing.
        (0.1, f64::NAN, 4_000.0, 500.0),
        (0.1, f64::INFINITY, 4_000.0, 500.0),
        (0.01, 40_000.0, 400.0, 400.0),
        (0.01, -3.0, 0.0, 0.0),
        (0.05, 20_000.0, 1_000.0, 0.0),
    ] {
        budget.expect(target, in_window);
        assert_eq!((budget.capacity(), budget.balance()), (capacity, balance), "{target} x {in_window}");
    }
    // Expecting never lifts a debt.
    budget.serve(None, at(0), &served(100, 0.25));
    assert_eq!(budget.balance(), -20.0);
    for in_window in [0.0, 1e300, 20_000.0] {
        budget.expect(TARGET, in_window);
        assert_eq!(budget.balance(), -20.0);
    }
}

#[test]
fn the_floor_is_the_overdraft_in_units_of_one_windows_budget() {
    for (overdraft, floor) in
        [(0.0, 0.0), (0.25, -250.0), (1.0, -1_000.0), (7.0, -1_000.0), (-1.0, 0.0), (f64::NAN, 0.0)]
    {
        let mut budget = budget(overdraft);
        assert_eq!((budget.floor(), budget.spendable()), (floor, -floor), "{overdraft}");
        budget.serve(None, at(0), &served(200, 0.0));
        assert_eq!(budget.spendable(), 10.0 - floor);
    }
    let mut budget = banked(0.0, 10);
    budget.reconfigure(settings(0.5));
    assert_eq!((budget.floor(), budget.balance(), budget.spendable()), (-500.0, 10.0, 510.0));
    // A floor that rises above the balance makes a debt.
    budget.serve(None, at(0), &served(400, 1.0));
    budget.reconfigure(settings(0.1));
    assert_eq!((budget.floor(), budget.balance(), budget.spendable()), (-100.0, -370.0, -270.0));
}

#[test]
fn a_debt_is_repaid_before_anything_is_spent() {
    let mut budget = budget(0.0);
    budget.serve(None, at(0), &served(100, 0.15));
    for repaid in [-5.0, 0.0, 5.0] {
        assert_eq!(guarded_error(TARGET, budget.spendable(), 100.0, 0.0), 0.0);
        budget.serve(None, at(0), &served(100, 0.0));
        assert_eq!(budget.spendable(), repaid);
    }
    assert_eq!(guarded_error(TARGET, budget.spendable(), 100.0, 0.0), 0.1);
}

#[test]
fn a_plan_lowers_what_can_be_spent_and_never_raises_it() {
    let ids = postings(3);
    for (planned, held) in [(0.0, 0.0), (0.05, 0.0), (0.15, 10.0), (f64::NAN, 95.0)] {
        let mut budget = banked(0.0, 200);
        budget.begin(ids[0], at(0), TARGET, planned, 100.0);
        assert_eq!((budget.balance(), budget.held()), (200.0, held), "{planned}");
        assert_eq!(budget.spendable(), 200.0 - held);
    }
}

#[test]
fn what_is_held_back_is_released_as_far_as_it_is_booked() {
    let ids = postings(3);
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 150.0);
    assert_eq!((budget.held(), budget.spendable()), (15.0, 185.0));
    // As planned: what can be spent does not change, it is booked now.
    budget.serve(Some(ids[0]), at(30), &served(100, 0.15));
    assert_eq!((budget.balance(), budget.held(), budget.spendable()), (190.0, 5.0, 185.0));
    // The interval ends, and feedback has not got there: more may come.
    budget.begin(ids[1], at(60), TARGET, 0.25, 100.0);
    assert_eq!(budget.held(), 25.0);
    // Now it has.
    budget.serve(Some(ids[0]), at(60), &served(20, 0.15));
    assert_eq!((budget.balance(), budget.held()), (188.0, 20.0));
    // More than expected: nothing is left to hold back, and nothing else is released.
    budget.serve(Some(ids[1]), at(90), &served(200, 0.25));
    assert_eq!((budget.balance(), budget.held()), (148.0, 0.0));
}

#[test]
fn what_never_came_is_free_once_feedback_reaches_the_end() {
    let ids = postings(3);
    // Feedback reached the end before it was one.
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 150.0);
    budget.serve(Some(ids[0]), at(60), &served(100, 0.15));
    assert_eq!(budget.held(), 5.0);
    budget.end(at(60));
    assert_eq!((budget.balance(), budget.spendable()), (190.0, 190.0));
    // Ending twice, or beginning after it, changes nothing.
    budget.end(at(61));
    budget.begin(ids[1], at(61), TARGET, 0.0, 100.0);
    assert_eq!(budget.spendable(), 190.0);

    // Nobody was served in the first interval, so nobody reported; what is said of the second one is news
    // of the first.
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 150.0);
    budget.begin(ids[1], at(60), TARGET, 0.05, 150.0);
    assert_eq!(budget.held(), 15.0);
    budget.serve(Some(ids[1]), at(90), &served(1, 0.05));
    assert_eq!((budget.held(), budget.spendable()), (0.0, 200.0));
}

/// A report of the window from `from` to `to`, whose sender's last one is missing.
fn after_a_gap(id: PostingId, from: i64, to: i64, served: &[ServedAt]) -> Report<'_> {
    Report { interval: Some(id), from: at(from), to: at(to), before: Before::Missing, awaited: &[], served }
}

#[test]
fn what_nobody_told_of_is_held_back_where_a_report_is_missing() {
    let ids = postings(40);
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 150.0);
    budget.begin(ids[1], at(60), TARGET, 0.15, 150.0);
    budget.end(at(120));
    // The first minute's report is missing; what is said of the second one is all of it.
    budget.report(&after_a_gap(ids[1], 60, 120, &served(100, 0.15)));
    assert_eq!((budget.balance(), budget.held()), (190.0, 15.0));
    // That nothing is missing since then does not bring it back.
    budget.begin(ids[2], at(120), TARGET, TARGET, 150.0);
    budget.serve(Some(ids[2]), at(180), &served(100, TARGET));
    assert_eq!((budget.balance(), budget.held()), (190.0, 15.0));

    // It comes late: what it says counts, and the rest is free.
    let mut late = budget.clone();
    let minute = served(50, 0.15);
    let told = Report { before: Before::Told, ..after_a_gap(ids[0], 0, 60, &minute) };
    late.report(&told);
    assert_eq!((late.balance(), late.held()), (185.0, 0.0));
    // It never comes: once its interval is forgotten it is taken for spent.
    for (second, id) in (180..).step_by(60).zip(&ids[3..]) {
        budget.begin(*id, at(second), TARGET, TARGET, 150.0);
    }
    assert_eq!((budget.balance(), budget.held()), (175.0, 0.0));
}

#[test]
fn a_part_of_an_interval_does_not_speak_for_the_one_that_is_missing() {
    let ids = postings(2);
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 150.0);
    // Of three twenties the first is missing; the third comes as if nothing were.
    budget.report(&after_a_gap(ids[0], 20, 40, &served(50, 0.15)));
    budget.end(at(60));
    budget.serve(Some(ids[0]), at(60), &served(50, 0.15));
    assert_eq!((budget.balance(), budget.held()), (190.0, 5.0));
}

#[test]
fn what_was_awaited_is_released_once_it_came_and_not_before() {
    let ids = postings(40);
    let report = |budget: &mut ErrorBudget, id, (from, to), awaited: &[(i64, i64)], served: &[ServedAt]| {
        let awaited: Vec<_> = awaited.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        let told = Report { before: Before::Told, ..after_a_gap(id, from, to, served) };
        budget.report(&Report { awaited: &awaited, ..told });
    };
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 150.0);
    budget.begin(ids[1], at(60), TARGET, 0.15, 150.0);
    // Windows of forty seconds; the one from 20 to 60 and the one from 60 to 100 are missing.
    report(&mut budget, ids[1], (100, 120), &[(20, 120)], &served(30, 0.15));
    budget.begin(ids[2], at(120), TARGET, TARGET, 150.0);
    report(&mut budget, ids[2], (120, 180), &[(20, 120)], &served(100, TARGET));
    assert_eq!((budget.balance(), budget.held()), (197.0, 15.0 + 12.0));
    // The second one came: what is held back for the first minute stays.
    let mut late = budget.clone();
    report(&mut late, ids[1], (60, 100), &[(20, 60)], &served(50, 0.15));
    assert_eq!((late.balance(), late.held()), (192.0, 15.0));
    report(&mut late, ids[0], (20, 60), &[], &served(50, 0.15));
    assert_eq!((late.balance(), late.held()), (187.0, 0.0));
    // None comes: once its intervals are forgotten, all of it is taken for spent.
    for (second, id) in (180..).step_by(60).zip(&ids[3..37]) {
        budget.begin(*id, at(second), TARGET, TARGET, 150.0);
    }
    assert_eq!((budget.balance(), budget.held()), (170.0, 0.0));
}

#[test]
fn an_interval_that_runs_is_awaited_beyond_its_end() {
    let ids = postings(2);
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 150.0);
    let half = served(50, 0.15);
    let awaited = [(at(0), at(60))];
    let told = Report { before: Before::Told, ..after_a_gap(ids[0], 30, 60, &half) };
    budget.report(&Report { awaited: &awaited, ..told });
    // Feedback has reached its end, but for the half that is missing.
    budget.begin(ids[1], at(60), TARGET, TARGET, 150.0);
    assert_eq!((budget.balance(), budget.held()), (195.0, 10.0));
    budget.report(&Report { from: at(0), to: at(30), ..told });
    assert_eq!((budget.balance(), budget.held()), (190.0, 0.0));
}

#[test]
fn a_window_that_reaches_back_releases_nothing_of_the_interval_it_ends_in() {
    let ids = postings(3);
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, TARGET, 1_200.0);
    budget.begin(ids[1], at(60), TARGET, 0.1, 1_200.0);
    // Most of it is of the minute before; all that may still come is held back.
    let minute = served(780, TARGET);
    let report = Report { before: Before::Told, ..after_a_gap(ids[1], 41, 80, &minute) };
    budget.report(&report);
    assert_eq!((budget.balance(), budget.held()), (200.0, 60.0));
    budget.serve(Some(ids[1]), at(120), &served(800, 0.1));
    budget.begin(ids[2], at(120), TARGET, TARGET, 1.0);
    assert_eq!((budget.balance(), budget.held()), (160.0, 0.0));
}

#[test]
fn what_was_forgotten_unreported_is_taken_for_spent_where_a_report_is_missing() {
    let ids = postings(40);
    let mut budget = banked(0.0, 800);
    for (second, id) in (0..).step_by(60).zip(&ids) {
        budget.begin(*id, at(second), TARGET, 0.15, 100.0);
    }
    assert_eq!((budget.balance(), budget.held()), (800.0, 400.0));
    // Eight are forgotten, and the next 31 may be among what is missing too.
    budget.report(&after_a_gap(ids[39], 2_340, 2_400, &served(100, 0.15)));
    assert_eq!((budget.balance(), budget.held()), (710.0, 310.0));
}

#[test]
fn a_clock_ahead_says_nothing_of_the_interval_after() {
    let ids = postings(3);
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, 100.0);
    budget.serve(Some(ids[0]), at(150), &served(100, 0.15));
    budget.begin(ids[1], at(60), TARGET, 0.15, 100.0);
    budget.end(at(120));
    assert_eq!((budget.balance(), budget.held()), (190.0, 10.0));
    // What is running when somebody reports is not over.
    budget.begin(ids[2], at(120), TARGET, 0.25, 100.0);
    budget.serve(Some(ids[1]), at(150), &served(100, 0.15));
    assert_eq!((budget.balance(), budget.held()), (180.0, 20.0));
}

#[test]
fn intervals_forgotten_before_anybody_reported_are_held_back_still() {
    let ids = postings(40);
    let mut budget = banked(0.0, 800);
    for (second, id) in (0..).step_by(60).zip(&ids) {
        budget.begin(*id, at(second), TARGET, 0.15, 100.0);
    }
    assert_eq!((budget.held(), budget.spendable()), (400.0, 400.0));
    // What is booked is released, here as elsewhere.
    budget.serve(Some(ids[0]), at(60), &served(100, 0.15));
    assert_eq!((budget.balance(), budget.held(), budget.spendable()), (790.0, 390.0, 400.0));
    // Eight are forgotten; a report that gets to their end speaks for all of them.
    budget.serve(Some(ids[7]), at(480), &served(100, 0.15));
    assert_eq!((budget.balance(), budget.held()), (780.0, 320.0));
}

#[test]
fn no_end_of_what_may_come_holds_everything_until_it_is_known() {
    let ids = postings(2);
    let mut budget = banked(0.0, 200);
    budget.begin(ids[0], at(0), TARGET, 0.15, f64::NAN);
    assert!(budget.spendable() < -1e12, "{}", budget.spendable());
    budget.serve(Some(ids[0]), at(60), &served(100, 0.15));
    budget.end(at(60));
    assert_eq!(budget.spendable(), 190.0);
}

#[test]
fn reports_add_up_in_any_order_and_capping_never_adds() {
    let reports = [(300, 0.0), (1_000, 0.3), (20_000, 0.01), (500, 0.15), (40_000, 0.0)];
    let book = |order: [usize; 5], in_window: f64| {
        let mut budget = ErrorBudget::new(settings(0.0));
        budget.serve(None, at(0), &[]);
        budget.expect(TARGET, in_window);
        for index in order {
            let (requests, error) = reports[index];
            budget.serve(None, at(0), &served(requests, error));
        }
        budget
    };
    let (forth, back) = ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]);
    // Nothing is capped: the same to the last bit.
    assert_eq!(book(forth, 1e9), book(back, 1e9));
    // Capped on the way: what was served is the same, and no balance is above the sum.
    let (first, second) = (book(forth, 12_000.0), book(back, 12_000.0));
    assert_eq!(first.served_error().to_bits(), second.served_error().to_bits());
    assert_eq!((first.balance(), second.balance()), (600.0, 365.0));
    assert!(first.balance() <= book(forth, 1e9).balance());
    // One report is booked at once, whatever the order of its flavours.
    let mut budget = banked(0.0, 1_000);
    budget.serve(
        None,
        at(0),
        &[ServedAt { requests: 1_000, error: 0.0 }, ServedAt { requests: 1_000, error: 0.1 }],
    );
    assert_eq!(budget.balance(), 1_000.0);
}

#[test]
fn nothing_overflows() {
    let ids = postings(100);
    let most = served(u64::MAX, 1.0);
    let mut budget = ErrorBudget::new(settings(1.0));
    budget.expect(1.0, 1e300);
    for (second, id) in (0..).zip(&ids) {
        budget.begin(*id, at(second), 0.0, 1.0, 1e300);
    }
    for (id, now) in [(Some(ids[99]), Timestamp::MAX), (None, Timestamp::MIN), (Some(ids[0]), at(0))] {
        budget.serve(id, now, &most);
        budget.serve(id, now, &[most[0]; 64]);
        budget.expect(1.0, 1e300);
        budget.begin(ids[0], now, 1.0, 0.0, f64::INFINITY);
    }
    assert_eq!(budget.served_requests(), u64::MAX);
    assert_eq!(budget.mean_error(Span::SinceStart, Timestamp::MAX), Some(1.0));
    for span in [Span::Hour, Span::Day, Span::Week] {
        assert_eq!(budget.mean_error(span, Timestamp::MAX), Some(1.0));
    }
    assert!(budget.balance().is_finite() && budget.balance() < 0.0);
    assert!(budget.spendable().is_finite() && budget.floor() < 0.0);
}

#[test]
fn recent_means_are_of_their_span() {
    let hour = 3_600;
    let mut budget = budget(0.0);
    for (second, error) in [(0, 0.3), (10 * 24 * hour, 0.2), (10 * 24 * hour + 2 * hour, 0.1)] {
        budget.serve(None, at(second), &served(100, error));
    }
    let start = 10 * 24 * hour + 2 * hour;
    for (second, means) in [
        (start, [Some(0.1), Some(0.15), Some(0.15)]),
        // An instant before the latest one counts as that one.
        (0, [Some(0.1), Some(0.15), Some(0.15)]),
        (start + 3_299, [Some(0.1), Some(0.15), Some(0.15)]),
        (start + hour, [None, Some(0.15), Some(0.15)]),
        (start + 22 * hour, [None, Some(0.1), Some(0.15)]),
        (start + 24 * hour, [None, None, Some(0.15)]),
        (start + 6 * 24 * hour, [None, None, Some(0.15)]),
        (start + 7 * 24 * hour, [None, None, None]),
    ] {
        for (span, mean) in [Span::Hour, Span::Day, Span::Week].into_iter().zip(means) {
            let got = budget.mean_error(span, at(second));
            let same = got.zip(mean).map_or(got == mean, |(got, mean)| (got - mean).abs() < 1e-12);
            assert!(same, "{span:?} at {second}: {got:?}, not {mean:?}");
        }
        let since = budget.mean_error(Span::SinceStart, at(second)).unwrap();
        assert!((since - 0.2).abs() < 1e-12);
    }
    // Late reports count where they belong, if that is still kept.
    budget.serve(None, at(start - 1_800), &served(300, 0.0));
    budget.serve(None, at(start - 3 * hour), &served(300, 0.0));
    let mean = |span| budget.mean_error(span, at(start)).unwrap();
    assert!((mean(Span::Hour) - 0.025).abs() < 1e-12);
    assert!((mean(Span::Day) - 30.0 / 800.0).abs() < 1e-12);
}
