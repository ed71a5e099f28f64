//! When to evaluate next, and how long what is published holds.
//!
//! Next evaluation = the earliest of 0.8 x `validFor`, shortly before the current forecast slot ends,
//! and (elsewhere) the arrival of a new forecast. A schedule made in the last moments of a slot is made
//! for the slot about to begin, and valid into it, so no reader ever holds an expired one.

use jiff::SignedDuration;
use models::{Forecast, Slot, Timestamp};

use crate::time::{earlier, later, seconds, whole_second_after};

/// Part of the validity after which a schedule is renewed.
const RENEW_AFTER: f64 = 0.8;
/// How far different schedules' renewals are spread, as a part of the renewal interval.
const RENEWAL_SPREAD: f64 = 0.1;
/// Part of the slot lead over which different schedules are spread.
const LEAD_SPREAD: f64 = 0.75;
/// Never again sooner than this: slots of a second must not make a busy loop.
const SHORTEST: SignedDuration = SignedDuration::from_millis(200);

/// One schedule's rhythm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cadence {
    /// Validity of a schedule.
    pub(crate) valid_for: SignedDuration,
    /// Longest interval, where the policy needs a short one.
    pub(crate) longest: Option<SignedDuration>,
    /// How long before a slot's end the next slot is decided for.
    pub(crate) slot_lead: SignedDuration,
    /// This schedule's place in [0, 1) among all others; 0 for all where nothing is to be spread.
    pub(crate) spread: f64,
}

/// What a schedule is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outlook {
    /// The slot decided for.
    pub(crate) now: Option<Slot>,
    /// The slot after it.
    pub(crate) next: Option<Slot>,
    /// The instant decided for: now, or the beginning of the slot about to begin.
    pub(crate) instant: Timestamp,
    /// First instant at which another slot (or none) is current.
    pub(crate) boundary: Option<Timestamp>,
}

impl Cadence {
    /// Length of an interval that nothing cuts short.
    pub(crate) fn planned(&self) -> SignedDuration {
        let renewal = self.valid_for.as_secs_f64() * RENEW_AFTER;
        let longest = self.longest.map_or(renewal, |longest| renewal.min(longest.as_secs_f64()));
        seconds(longest * (1.0 - RENEWAL_SPREAD * self.spread)).max(SHORTEST)
    }

    /// What `forecast` says to an evaluation at `now`: in the last moments of a slot, of the next one.
    pub(crate) fn outlook(&self, forecast: &Forecast, now: Timestamp) -> Outlook {
        let ahead = forecast.from_instant(later(now, self.slot_lead));
        // In a gap, or before the first slot, the present goes on until the next slot begins.
        let instant = match (forecast.at(now), ahead.first()) {
            (Some(current), _) if current.to > later(now, self.slot_lead) => now,
            (Some(current), _) => current.to,
            (None, Some(coming)) if coming.from <= later(now, self.slot_lead) => coming.from,
            (None, _) => now,
        };
        let current = forecast.at(instant).copied();
        let next = forecast.after(instant).copied();
        let boundary = current.map(|slot| slot.to).or_else(|| next.map(|slot| slot.from));
        Outlook { now: current, next, instant, boundary }
    }

    /// When to evaluate after an evaluation at `now` with this boundary ahead.
    pub(crate) fn next_due(&self, now: Timestamp, boundary: Option<Timestamp>) -> Timestamp {
        let renewal = later(now, self.planned());
        let Some(boundary) = boundary else { return renewal };
        let lead = self.slot_lead.as_secs_f64() * (1.0 - LEAD_SPREAD * self.spread);
        renewal.min(earlier(boundary, seconds(lead))).max(later(now, SHORTEST))
    }

    /// How long what is decided at `now` may be used: never past the slot it was made for.
    pub(crate) fn valid_until(&self, now: Timestamp, boundary: Option<Timestamp>) -> Timestamp {
        // Where the policy needs short intervals, nobody may go on using an old schedule for long either.
        let longest = self.longest.map(|longest| seconds(longest.as_secs_f64() / RENEW_AFTER));
        let valid_for = longest.map_or(self.valid_for, |longest| longest.min(self.valid_for));
        let full = whole_second_after(later(now, valid_for));
        boundary.map_or(full, |boundary| full.min(whole_second_after(boundary)))
    }

    /// How much later than `now` this schedule answers to a new forecast.
    pub(crate) fn reaction(&self) -> SignedDuration {
        let widest = (self.valid_for.as_secs_f64() * RENEWAL_SPREAD).min(2.0);
        seconds(widest * self.spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::CarbonIntensity;

    fn at(clock: &str) -> Timestamp {
        format!("2026-01-01T{clock}Z").parse().unwrap()
    }

    fn forecast() -> Forecast {
        let slot =
            |from: &str, to: &str, grams| Slot::new(at(from), at(to), CarbonIntensity::new(grams).unwrap());
        let slots = vec![
            slot("00:00:00", "00:30:00", 100.0),
            slot("00:30:00", "01:00:00", 200.0),
            slot("02:00:00", "02:30:00", 300.0),
        ];
        Forecast::new("test", None, at("00:00:00"), slots).unwrap()
    }

    fn cadence(valid_for: i64) -> Cadence {
        Cadence {
            valid_for: SignedDuration::from_secs(valid_for),
            longest: None,
            slot_lead: SignedDuration::from_secs(2),
            spread: 0.0,
        }
    }

    #[test]
    fn the_slot_about_to_begin_is_decided_for() {
        let grams = |slot: Option<Slot>| slot.map(|slot| slot.forecast.get());
        for (now, current, next, valid_until, due) in [
            ("00:00:00", Some(100.0), Some(200.0), "00:01:00", "00:00:48"),
            ("00:29:30", Some(100.0), Some(200.0), "00:30:00", "00:29:58"),
            ("00:29:58", Some(200.0), None, "00:30:58", "00:30:46"),
            ("00:59:58", None, Some(300.0), "01:00:58", "01:00:46"),
            ("01:59:30", None, Some(300.0), "02:00:00", "01:59:58"),
            ("01:59:58", Some(300.0), None, "02:00:58", "02:00:46"),
            ("02:29:58", None, None, "02:30:58", "02:30:46"),
        ] {
            let outlook = cadence(60).outlook(&forecast(), at(now));
            assert_eq!((grams(outlook.now), grams(outlook.next)), (current, next), "{now}");
            assert_eq!(cadence(60).valid_until(at(now), outlook.boundary), at(valid_until), "{now}");
            assert_eq!(cadence(60).next_due(at(now), outlook.boundary), at(due), "{now}");
        }
    }

    #[test]
    fn what_is_published_is_renewed_before_it_expires() {
        for valid_for in [1, 2, 5, 60, 3600, 86_400] {
            for spread in [0.0, 0.3, 0.999] {
                let cadence = Cadence { spread, ..cadence(valid_for) };
                let mut now = at("00:00:00.123");
                for _ in 0..2000 {
                    let outlook = cadence.outlook(&forecast(), now);
                    let due = cadence.next_due(now, outlook.boundary);
                    assert!(due > now, "{now} {due}");
                    assert!(
                        due <= cadence.valid_until(now, outlook.boundary),
                        "{valid_for} s, {spread}: {now}"
                    );
                    now = due;
                }
            }
        }
    }

    #[test]
    fn slots_of_a_second_make_no_busy_loop() {
        let slots = (0..60).map(|second| {
            let from = later(at("00:00:00"), SignedDuration::from_secs(second));
            Slot::new(from, later(from, SignedDuration::from_secs(1)), CarbonIntensity::new(1.0).unwrap())
        });
        let forecast = Forecast::new("test", None, at("00:00:00"), slots.collect()).unwrap();
        let outlook = cadence(60).outlook(&forecast, at("00:00:30"));
        assert!(cadence(60).next_due(at("00:00:30"), outlook.boundary) >= later(at("00:00:30"), SHORTEST));
    }
}
