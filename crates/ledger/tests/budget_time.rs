//! Time accounting, as long as there is no feedback, and the switch to requests.

use jiff::SignedDuration;
use ledger::{Accounting, Bounds, BudgetSettings, CreditLedger, ErrorBudget, PostingId, ServedAt, Span};
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

#[test]
fn without_feedback_seconds_are_counted_as_planned() {
    let ids = postings(4);
    let mut budget = ErrorBudget::new(settings(0.0));
    budget.expect(TARGET, 172_800.0);
    assert_eq!((budget.accounting(), budget.capacity()), (Accounting::Time, 8_640.0));
    budget.begin(ids[0], at(0), TARGET, 0.0, 48.0);
    // Nothing is booked before the interval has ended, and then for as long as it lasted.
    assert_eq!(budget.balance(), 0.0);
    budget.begin(ids[1], at(100), TARGET, 0.15, 30.0);
    assert_eq!((budget.balance(), budget.held(), budget.spendable()), (5.0, 3.0, 2.0));
    budget.begin(ids[2], at(120), TARGET, 0.05, 30.0);
    assert_eq!((budget.balance(), budget.spendable()), (3.0, 3.0));
    // Backwards is no time at all.
    budget.begin(ids[3], at(60), TARGET, 0.0, 30.0);
    assert_eq!(budget.balance(), 3.0);
    budget.end(at(140));
    assert_eq!(budget.balance(), 4.0);
    // No interval, no income.
    budget.end(at(900));
    assert_eq!(budget.balance(), 4.0);
    // Requests are not known; the mean is over time.
    assert_eq!((budget.served_requests(), budget.served_error()), (0, 0.0));
    let mean = budget.mean_error(Span::SinceStart, at(140)).unwrap();
    assert!((mean - 20.0 * 0.15 / 140.0).abs() < 1e-9, "{mean}");
}

#[test]
fn an_interval_that_nobody_ended_counts_as_one_window() {
    let ids = postings(2);
    let window = SignedDuration::from_hours(48).as_secs();
    for (error, booked) in [(0.3, -0.25 * 172_800.0), (0.0, 8_640.0)] {
        for lasted in [window, window + 1, 700 * window] {
            let mut budget = ErrorBudget::new(settings(0.0));
            budget.expect(TARGET, 172_800.0);
            budget.begin(ids[0], at(0), TARGET, error, 60.0);
            budget.begin(ids[1], at(lasted), TARGET, 0.0, 60.0);
            assert_eq!(budget.balance(), booked, "{error} for {lasted} s");
            // Later ones count as ever.
            let capped = budget.balance().max(0.0);
            budget.end(at(lasted + 100));
            assert_eq!(budget.balance(), if capped > 0.0 { capped } else { booked + 5.0 });
        }
    }
}

#[test]
fn parts_of_a_second_count_and_are_rounded_against_the_schedule() {
    let ids = postings(1_001);
    let mut budget = ErrorBudget::new(settings(0.0));
    budget.expect(TARGET, 172_800.0);
    let instant = |millisecond| Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millisecond);
    for (millisecond, id) in (0..).zip(&ids) {
        budget.begin(*id, instant(millisecond), TARGET, 0.02, 1.0);
    }
    assert_eq!(budget.balance(), 0.03);
    let (mut income, mut cost) = (budget.clone(), budget);
    income.begin(ids[0], instant(1_000), 0.000_001, 0.0, 1.0);
    income.end(instant(1_001));
    assert_eq!(income.balance(), 0.03);
    cost.begin(ids[0], instant(1_000), 0.0, 0.000_001, 1.0);
    cost.end(instant(1_001));
    assert_eq!(cost.balance(), 0.029_999);
}

#[test]
fn the_first_feedback_switches_to_requests_from_a_balance_of_nothing() {
    let ids = postings(3);
    for error in [0.0, 0.3] {
        let mut budget = ErrorBudget::new(settings(0.5));
        budget.expect(TARGET, 172_800.0);
        budget.begin(ids[0], at(0), TARGET, error, 600.0);
        budget.begin(ids[1], at(600), TARGET, 0.15, 600.0);
        assert!(budget.balance().abs() >= 30.0 && budget.held() > 0.0);
        budget.serve(Some(ids[1]), at(630), &served(100, 0.0));
        assert_eq!(budget.accounting(), Accounting::Requests);
        assert_eq!((budget.balance(), budget.held()), (5.0, 0.0));
        assert_eq!((budget.served_requests(), budget.served_error()), (100, 0.0));
        assert_eq!(budget.mean_error(Span::Hour, at(630)), Some(0.0));
        // What a window brings is not known yet: what was earned so far stands in for it.
        assert_eq!((budget.capacity(), budget.floor()), (5.0, -2.5));
        budget.serve(Some(ids[1]), at(660), &served(100, 0.1));
        assert_eq!((budget.capacity(), budget.balance()), (10.0, 0.0));
        budget.expect(TARGET, 20_000.0);
        assert_eq!((budget.capacity(), budget.balance()), (1_000.0, 0.0));
        // Time counts no longer.
        budget.begin(ids[2], at(6_000), TARGET, 0.0, 600.0);
        budget.end(at(60_000));
        assert_eq!(budget.balance(), 0.0);
    }
}

#[test]
fn a_report_of_nothing_served_is_feedback_too() {
    let ids = postings(1);
    let mut budget = ErrorBudget::new(settings(0.0));
    budget.expect(TARGET, 172_800.0);
    budget.begin(ids[0], at(0), TARGET, 0.0, 600.0);
    budget.serve(Some(ids[0]), at(60), &[]);
    assert_eq!(budget.accounting(), Accounting::Requests);
    budget.end(at(600));
    assert_eq!((budget.balance(), budget.served_requests()), (0.0, 0));
}

#[test]
fn accounting_has_its_word_on_the_wire() {
    for (accounting, word) in [(Accounting::Requests, "\"requests\""), (Accounting::Time, "\"time\"")] {
        assert_eq!(serde_json::to_string(&accounting).unwrap(), word);
    }
}
