//! How often a provider may be asked: a rate, and budgets of calls per hour and per day.
//!
//! Each limit is a generic cell rate algorithm: one instant of state, exact in any window. A tenth of a budget
//! may be used at once, the rest is paced over its window, so that a budget that is nearly used up means
//! slower refreshes and never hours without any.

use jiff::SignedDuration;
use models::Timestamp;

use crate::half_hour::{earlier, later};

/// Most calls per second that can be asked for.
pub const MAX_CALLS_PER_SECOND: u32 = 1_000;
/// Most calls per hour or per day that can be asked for.
pub const MAX_CALLS: u32 = 100_000_000;

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How often one provider may be asked. None: as often as is wanted. What is out of range is taken as the
/// nearest that is in it. A login is a call, too, but waits for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Calls in any second, evenly spread, in [1, [`MAX_CALLS_PER_SECOND`]].
    pub per_second: Option<u32>,
    /// Calls in any hour, in [1, [`MAX_CALLS`]].
    pub per_hour: Option<u32>,
    /// Calls in any 24 h, in [1, [`MAX_CALLS`]].
    pub per_day: Option<u32>,
}

/// The limits of one provider, and how far they are used.
#[derive(Debug, Clone)]
pub(crate) struct Meter([Option<Limit>; 3]);

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        // Paced too: that many at once would be a burst.
        let rate = limits.per_second.map(|calls| Limit::new(calls.clamp(1, MAX_CALLS_PER_SECOND), 1, SECOND));
        let budget = |calls: Option<u32>, window| {
            let calls = calls?.clamp(1, MAX_CALLS);
            Some(Limit::new(calls, (calls / 10).max(1), window))
        };
        Self([rate, budget(limits.per_hour, HOUR), budget(limits.per_day, DAY)])
    }

    /// When the next call is allowed: `now`, or later.
    pub(crate) fn ready_at(&self, now: Timestamp) -> Timestamp {
        self.limits().fold(now, |ready, limit| ready.max(limit.ready_at()))
    }

    /// Counts a call at `now`, which has to be allowed.
    pub(crate) fn count(&mut self, now: Timestamp) {
        self.0.iter_mut().flatten().for_each(|limit| limit.count(now));
    }

    /// A clock that was set back makes nobody wait for the old time, at the price of a budget that begins
    /// anew.
    pub(crate) fn set_back(&mut self, now: Timestamp) {
        for limit in self.0.iter_mut().flatten() {
            if limit.ready_at() > later(now, limit.window) {
                limit.next = now;
            }
        }
    }

    fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.0.iter().flatten()
    }
}

/// At most so many calls in any window.
#[derive(Debug, Clone)]
struct Limit {
    window: SignedDuration,
    /// Time that one call uses up.
    each: SignedDuration,
    /// How far ahead of the clock calls may have used it up: all but one of those allowed at once.
    tolerance: SignedDuration,
    /// Until when it is used up.
    next: Timestamp,
}

impl Limit {
    /// `calls` in any `window`, of which `at_once` without a pause; 1 <= `at_once` <= `calls`.
    fn new(calls: u32, at_once: u32, window: SignedDuration) -> Self {
        // In a half-open window there are at most at_once - 1 + ceil(window / each): rounding up keeps them.
        let paced = i128::from(calls - at_once + 1);
        let each = (window.as_nanos() + paced - 1) / paced;
        let each = SignedDuration::from_nanos(i64::try_from(each).unwrap_or(i64::MAX));
        let ahead = i32::try_from(at_once - 1).unwrap_or(i32::MAX);
        Self { window, each, tolerance: each.saturating_mul(ahead), next: Timestamp::MIN }
    }

    fn ready_at(&self) -> Timestamp {
        earlier(self.next, self.tolerance)
    }

    fn count(&mut self, now: Timestamp) {
        self.next = later(self.next.max(now), self.each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    /// Every call that is made by somebody who is always eager, within a time.
    fn eager(limits: Limits, until: i64) -> Vec<Timestamp> {
        let (mut meter, mut calls, mut now) = (Meter::new(limits), Vec::new(), at(0));
        loop {
            now = meter.ready_at(now);
            if now >= at(until) {
                return calls;
            }
            meter.count(now);
            calls.push(now);
        }
    }

    fn most_within(calls: &[Timestamp], window: SignedDuration) -> usize {
        let within = |first: usize| calls.partition_point(|call| *call < later(calls[first], window)) - first;
        (0..calls.len()).map(within).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_window_has_more_calls_than_allowed(
            per_second in prop::option::of(1..20_u32),
            per_hour in prop::option::of(1..3_000_u32),
            per_day in prop::option::of(1..20_000_u32),
            pauses in prop::collection::vec(0..4_000_000_i64, 0..200),
        ) {
            let limits = Limits { per_second, per_hour, per_day };
            let mut meter = Meter::new(limits);
            let (mut calls, mut now) = (Vec::new(), at(0));
            // Pauses, and after each of them as many calls as are allowed at once.
            for pause in pauses {
                now = later(now, SignedDuration::from_millis(pause));
                while meter.ready_at(now) == now && calls.len() < 5_000 {
                    meter.count(now);
                    calls.push(now);
                }
            }
            for (allowed, window) in [(per_second, SECOND), (per_hour, HOUR), (per_day, DAY)] {
                let most = most_within(&calls, window);
                prop_assert!(allowed.is_none_or(|allowed| most <= allowed as usize), "{most} in {window:?}");
            }
        }
    }

    #[test]
    fn a_budget_is_used_up_by_whoever_is_eager_and_paced_over_its_window() {
        let calls = eager(Limits { per_second: Some(5), per_hour: Some(100), per_day: None }, 3_600_000);
        assert_eq!(calls.len(), 100);
        // Ten at once, as fast as the rate allows; then none for long.
        assert!(calls[9] < at(2_000) && calls[10] > at(25_000), "{} {}", calls[9], calls[10]);
        let pauses = calls[10..].windows(2).map(|pair| pair[1].duration_since(pair[0]));
        assert!(pauses.max() < Some(SignedDuration::from_secs(41)));
        assert_eq!(eager(Limits { per_day: Some(1), ..Limits::default() }, 86_400_000).len(), 1);
        assert_eq!(eager(Limits { per_second: Some(4), ..Limits::default() }, 10_000).len(), 40);
    }

    #[test]
    fn a_clock_set_back_makes_nobody_wait_for_the_old_time() {
        let mut meter = Meter::new(Limits { per_day: Some(1), ..Limits::default() });
        meter.count(at(1_000_000_000));
        assert!(meter.ready_at(at(0)) > at(1_000_000_000));
        meter.set_back(at(0));
        assert_eq!(meter.ready_at(at(0)), at(0));
    }
}
