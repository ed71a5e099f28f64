//! Budgets that are stored, and budgets nobody would want to store.

use jiff::SignedDuration;
use ledger::{
    Bounds, BudgetError, BudgetSettings, BudgetSnapshot, CreditLedger, ErrorBudget, PostingId, ServedAt, Span,
};
use models::Timestamp;
use proptest::prelude::*;

/// Something that happens to a budget.
#[derive(Debug, Clone)]
enum Event {
    Reconfigure(i64, f64),
    Expect(f64, f64),
    /// Seconds to wait (also backwards), target error, planned error, expected.
    Begin(i64, f64, f64, f64),
    End(i64),
    /// How many intervals ago, how many seconds ago its window ended, requests, error.
    Serve(usize, i64, u64, f64),
}

fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..1.0_f64, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

fn count() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..1e5_f64, 1 => any::<f64>(), 1 => Just(f64::INFINITY)]
}

fn event() -> impl Strategy<Value = Event> {
    let requests = prop_oneof![9 => 0..10_000_u64, 1 => any::<u64>()];
    let wait = prop_oneof![9 => -5..600_i64, 1 => -5..900_000_i64];
    prop_oneof![
        1 => (-5..900_000_i64, figure()).prop_map(|(window, overdraft)| Event::Reconfigure(window, overdraft)),
        3 => (figure(), count()).prop_map(|(target, in_window)| Event::Expect(target, in_window)),
        6 => (wait, figure(), figure(), count())
            .prop_map(|(wait, target, planned, expected)| Event::Begin(wait, target, planned, expected)),
        1 => (-5..60_i64).prop_map(Event::End),
        6 => (0..40_usize, -90..9_000_i64, requests, figure())
            .prop_map(|(ago, since, requests, error)| Event::Serve(ago, since, requests, error)),
    ]
}

#[derive(Clone)]
struct World {
    budget: ErrorBudget,
    credits: CreditLedger,
    begun: Vec<PostingId>,
    now: Timestamp,
}

impl World {
    #[expect(clippy::unwrap_used, reason = "an empty ledger is within these bounds")]
    fn new() -> Self {
        Self {
            budget: ErrorBudget::new(BudgetSettings::default()),
            credits: CreditLedger::new(Bounds::new(-0.5, 0.5).unwrap(), SignedDuration::from_secs(300)),
            begun: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn apply(&mut self, event: &Event) {
        let budget = &mut self.budget;
        match *event {
            Event::Reconfigure(window, overdraft) => {
                budget.reconfigure(BudgetSettings { window: SignedDuration::from_secs(window), overdraft });
            }
            Event::Expect(target, in_window) => budget.expect(target, in_window),
            Event::Begin(wait, target, planned, expected) => {
                self.now += SignedDuration::from_secs(wait);
                let id = self.credits.post(self.now, target, planned);
                self.begun.push(id);
                budget.begin(id, self.now, target, planned, expected);
            }
            Event::End(wait) => {
                self.now += SignedDuration::from_secs(wait);
                budget.end(self.now);
            }
            Event::Serve(ago, since, requests, error) => {
                let id = self.begun.len().checked_sub(ago + 1).map(|index| self.begun[index]);
                let at = self.now - SignedDuration::from_secs(since);
                budget.serve(id, at, &[ServedAt { requests, error }]);
            }
        }
    }

    /// All that can be asked, as bits.
    fn answers(&self) -> Vec<u64> {
        let budget = &self.budget;
        let figures =
            [budget.capacity(), budget.balance(), budget.floor(), budget.held(), budget.spendable()];
        let spans = [Span::SinceStart, Span::Hour, Span::Day, Span::Week];
        let means = spans.map(|span| budget.mean_error(span, self.now).unwrap_or(-1.0));
        let mut bits: Vec<u64> = figures.into_iter().chain(means).map(f64::to_bits).collect();
        bits.extend([budget.served_requests(), budget.served_error().to_bits()]);
        bits
    }
}

#[expect(clippy::unwrap_used, reason = "a snapshot is plain data")]
fn stored(budget: &ErrorBudget) -> String {
    serde_json::to_string(&budget.snapshot()).unwrap()
}

proptest! {
    #[test]
    fn whatever_happens_the_answers_are_finite_and_in_range(
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut world = World::new();
        for event in &events {
            world.apply(event);
            let budget = &world.budget;
            for figure in [budget.capacity(), budget.balance(), budget.spendable(), budget.served_error()] {
                prop_assert!(figure.is_finite(), "{figure} after {event:?}");
            }
            prop_assert!(budget.balance() <= budget.capacity() && budget.floor() <= 0.0);
            prop_assert!(-budget.floor() <= budget.capacity() && budget.held() >= 0.0);
            let above = budget.balance() - budget.floor();
            prop_assert!(budget.spendable() <= above + 1e-6 + 1e-12 * above.abs(), "{event:?}");
            for span in [Span::SinceStart, Span::Hour, Span::Day, Span::Week] {
                let mean = budget.mean_error(span, world.now);
                prop_assert!(mean.is_none_or(|mean| (0.0..=1.0).contains(&mean)), "{mean:?} over {span:?}");
            }
        }
    }

    #[test]
    fn a_budget_from_storage_behaves_the_same_to_the_last_bit(
        before in prop::collection::vec(event(), 0..100),
        after in prop::collection::vec(event(), 0..50),
    ) {
        let mut world = World::new();
        for event in &before {
            world.apply(event);
        }
        let restored = ErrorBudget::restore(serde_json::from_str(&stored(&world.budget)).unwrap());
        prop_assert_eq!(restored.as_ref(), Ok(&world.budget));
        let mut other = World { budget: restored.unwrap(), ..world.clone() };
        for event in &after {
            world.apply(event);
            other.apply(event);
            prop_assert_eq!(world.answers(), other.answers());
        }
    }

    /// Plans and their ends mint nothing once there is feedback.
    #[test]
    fn only_feedback_books_income(events in prop::collection::vec(event(), 0..100)) {
        let mut world = World::new();
        world.budget.serve(None, world.now, &[]);
        for event in &events {
            let before = world.budget.balance();
            world.apply(event);
            if !matches!(event, Event::Serve(..)) {
                prop_assert!(world.budget.balance() <= before, "{event:?}");
            }
        }
    }
}

/// A budget with something of everything.
fn budget() -> ErrorBudget {
    let mut world = World::new();
    for event in [
        Event::Expect(0.05, 172_800.0),
        Event::Begin(0, 0.05, 0.15, 150.0),
        Event::Serve(0, 30, 100, 0.1),
        Event::Expect(0.05, 20_000.0),
        Event::Begin(60, 0.05, 0.15, 150.0),
        Event::Serve(0, 0, 20, 0.0),
        Event::Begin(60, 0.05, 0.0, 150.0),
    ] {
        world.apply(&event);
    }
    world.budget
}

#[test]
fn a_snapshot_answers_as_the_budget_does() {
    let budget = budget();
    let snapshot = budget.snapshot();
    assert_eq!(snapshot.accounting(), budget.accounting());
    assert_eq!(snapshot.settings(), budget.settings());
    assert_eq!((snapshot.capacity(), snapshot.balance()), (1_000.0, -4.0));
    assert_eq!((snapshot.floor(), snapshot.held()), (budget.floor(), budget.held()));
    assert_eq!(snapshot.spendable(), budget.spendable());
    assert_eq!((snapshot.served_requests(), snapshot.served_error()), (120, 10.0));
    let now = Timestamp::UNIX_EPOCH;
    assert_eq!(snapshot.mean_error(Span::Day, now), budget.mean_error(Span::Day, now));
}

#[test]
fn an_edited_store_is_refused_with_what_is_wrong() {
    let stored = stored(&budget());
    assert!(ErrorBudget::restore(serde_json::from_str(&stored).unwrap()).is_ok());
    let restore = |from: &str, to: &str| {
        assert!(stored.contains(from), "`{from}` is not in {stored}");
        let snapshot: BudgetSnapshot = serde_json::from_str(&stored.replacen(from, to, 1)).unwrap();
        // It can be asked before anybody has checked it.
        assert!(snapshot.spendable().is_finite() && snapshot.floor().is_finite());
        let _ = snapshot.mean_error(Span::Week, Timestamp::MAX);
        ErrorBudget::restore(snapshot)
    };
    assert!(matches!(restore("\"overdraft\":\"0\"", "\"overdraft\":\"7\""), Err(BudgetError::Settings(_))));
    assert!(matches!(restore("\"overdraft\":\"0\"", "\"overdraft\":\"NaN\""), Err(BudgetError::Settings(_))));
    let balance = restore("\"balance\":\"-4000000\"", "\"balance\":\"9000000000\"").unwrap_err();
    assert_eq!(
        balance.to_string(),
        "the stored balance 9000 and capacity 1000 are not those of a budget: expected the capacity at \
         least 0, the balance at most that"
    );
    let most = i128::MAX.to_string();
    for capacity in ["-1", &most] {
        let to = format!("\"capacity\":\"{capacity}\"");
        assert!(matches!(restore("\"capacity\":\"1000000000\"", &to), Err(BudgetError::Balance { .. })));
    }
    for (from, to) in [
        ("\"planned\":150000", "\"planned\":1000001"),
        ("\"target\":50000", "\"target\":1000001"),
        ("\"start\":60000", "\"start\":900000"),
        ("\"latest\":120000", "\"latest\":9223372036854775807"),
        ("\"unreported\":\"0\"", "\"unreported\":\"-1\""),
    ] {
        assert_eq!(restore(from, to), Err(BudgetError::Intervals), "{to}");
    }
    for (from, to) in [
        ("\"weight\":\"120\"", "\"weight\":\"9\""),
        ("\"weight\":100", "\"weight\":9"),
        ("\"weight\":100", "\"weight\":18446744073709551615"),
        ("\"newest\":0", "\"newest\":9223372036854775807"),
    ] {
        assert_eq!(restore(from, to), Err(BudgetError::Realised), "{to}");
    }
}

/// Ten thousand schedules keep one each.
#[test]
fn a_budget_is_small() {
    let mut world = World::new();
    assert!(size_of::<ErrorBudget>() <= 400, "{} bytes", size_of::<ErrorBudget>());
    assert!(stored(&world.budget).len() < 1_000);
    for _ in 0..5_000 {
        world.apply(&Event::Begin(600, 0.05, 0.01, 600.0));
        world.apply(&Event::Serve(0, 0, 1_000, 0.01));
    }
    let stored = stored(&world.budget);
    assert_eq!(stored.matches("\"start\"").count(), 32);
    assert_eq!(stored.matches("\"weight\"").count(), 1 + 12 + 24 + 28);
}
