//! What always holds, whatever is posted in whatever order.

use jiff::SignedDuration;
use ledger::{Bounds, CreditLedger, PostingId};
use models::Timestamp;
use proptest::prelude::*;

/// Something that happens to a ledger.
#[derive(Debug, Clone)]
enum Event {
    /// Seconds to wait (also backwards), target error, error.
    Post(i64, f64, f64),
    /// How many postings ago, fraction.
    Scale(usize, f64),
    /// How many postings ago, error.
    Settle(usize, f64),
    /// Bounds and window in seconds.
    Reconfigure(f64, f64, i64),
}

fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..1.0_f64, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

fn bound() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.0..2.0_f64, 1 => Just(0.0), 1 => Just(f64::MAX), 1 => 0.0..1e-300]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (-5..60_i64, figure(), figure()).prop_map(|(wait, target, error)| Event::Post(wait, target, error)),
        2 => (0..40_usize, figure()).prop_map(|(ago, fraction)| Event::Scale(ago, fraction)),
        2 => (0..40_usize, figure()).prop_map(|(ago, error)| Event::Settle(ago, error)),
        1 => (bound(), bound(), -5..4_000_i64).prop_map(|(min, max, window)| Event::Reconfigure(-min, max, window)),
    ]
}

#[expect(clippy::unwrap_used, reason = "the generators keep to what bounds may be")]
fn bounds(min: f64, max: f64) -> Bounds {
    Bounds::new(min, max).unwrap()
}

/// A ledger, what was posted to it, and the time.
struct World {
    ledger: CreditLedger,
    posted: Vec<PostingId>,
    now: Timestamp,
}

impl World {
    fn new(window: i64) -> Self {
        let ledger = CreditLedger::new(bounds(-0.5, 0.5), SignedDuration::from_secs(window));
        Self { ledger, posted: Vec::new(), now: Timestamp::UNIX_EPOCH }
    }

    /// Lets it happen; what it answered, as bits.
    fn apply(&mut self, event: &Event) -> Option<u64> {
        let ago = |ago: usize| self.posted.len().checked_sub(ago + 1).map(|index| self.posted[index]);
        match *event {
            Event::Post(wait, target, error) => {
                self.now += SignedDuration::from_secs(wait);
                self.posted.push(self.ledger.post(self.now, target, error));
                None
            }
            Event::Scale(back, fraction) => {
                ago(back).and_then(|id| self.ledger.scale(id, fraction).ok()).map(f64::to_bits)
            }
            Event::Settle(back, error) => {
                ago(back).and_then(|id| self.ledger.settle(id, error).ok()).map(f64::to_bits)
            }
            Event::Reconfigure(min, max, window) => {
                self.ledger.reconfigure(bounds(min, max), SignedDuration::from_secs(window));
                None
            }
        }
    }
}

proptest! {
    #[test]
    fn the_balance_is_within_bounds_after_any_sequence(events in prop::collection::vec(event(), 0..200)) {
        let mut world = World::new(300);
        for event in &events {
            let before = world.ledger.balance();
            let answer = world.apply(event);
            let (balance, bounds) = (world.ledger.balance(), world.ledger.bounds());
            prop_assert!(bounds.min() <= balance && balance <= bounds.max(), "{balance} after {event:?}");
            if let Some(change) = answer {
                prop_assert_eq!(f64::from_bits(change), balance - before);
            }
            let velocity = world.ledger.velocity(world.now);
            prop_assert!((-1.0..=1.0).contains(&velocity), "{velocity} after {event:?}");
            prop_assert_eq!(velocity.to_bits(), world.ledger.snapshot().velocity_at(world.now).to_bits());
        }
    }

    #[test]
    fn a_ledger_from_storage_behaves_the_same_to_the_last_bit(
        before in prop::collection::vec(event(), 0..100),
        after in prop::collection::vec(event(), 0..50),
    ) {
        let mut world = World::new(300);
        for event in &before {
            world.apply(event);
        }
        let stored = serde_json::to_string(&world.ledger.snapshot()).unwrap();
        let restored = CreditLedger::restore(serde_json::from_str(&stored).unwrap());
        prop_assert_eq!(restored.as_ref(), Ok(&world.ledger));
        let mut other = World { ledger: restored.unwrap(), posted: world.posted.clone(), now: world.now };
        for event in &after {
            prop_assert_eq!(world.apply(event), other.apply(event));
            prop_assert_eq!(world.ledger.balance().to_bits(), other.ledger.balance().to_bits());
            let velocities = (world.ledger.velocity(world.now), other.ledger.velocity(other.now));
            prop_assert_eq!(velocities.0.to_bits(), velocities.1.to_bits());
        }
    }

    #[test]
    fn settling_as_planned_changes_nothing(
        events in prop::collection::vec(event(), 0..60),
        target in figure(),
        error in figure(),
        fraction in figure(),
    ) {
        let mut world = World::new(300);
        for event in &events {
            world.apply(event);
        }
        let posting = world.ledger.post(world.now, target, error);
        world.ledger.scale(posting, fraction).unwrap();
        let before = world.ledger.clone();
        prop_assert_eq!(world.ledger.settle(posting, error), Ok(0.0));
        prop_assert_eq!(world.ledger, before);
    }

    #[test]
    fn the_velocity_is_the_mean_of_the_window(
        postings in prop::collection::vec((0..9_i64, 0.0..1.0_f64, 0.0..1.0_f64), 1..1_024),
        window in 1..4_000_i64,
        later in 0..100_i64,
    ) {
        let mut ledger = CreditLedger::new(bounds(-0.5, 0.5), SignedDuration::from_secs(window));
        let mut second = 0;
        let mut posted = Vec::new();
        for (wait, target, error) in postings {
            second += wait;
            ledger.post(Timestamp::from_second(second).unwrap(), target, error);
            posted.push((second, target - error));
        }
        let now = second + later;
        let inside = posted.iter().filter(|(second, _)| now - window < *second);
        let deltas: Vec<f64> = inside.map(|(_, delta)| *delta).collect();
        let naive = if deltas.is_empty() { 0.0 } else { deltas.iter().sum::<f64>() / deltas.len() as f64 };
        let velocity = ledger.velocity(Timestamp::from_second(now).unwrap());
        prop_assert!((velocity - naive).abs() < 1e-12, "{velocity} is not {naive}");
    }
}
