//! The slots everything is learned on: one step, aligned to UTC.

use jiff::SignedDuration;
use models::{Forecast, Slot, Timestamp};

use super::ring::place_count;

/// Steps a grid may have, in seconds, longest first. Each divides an hour, so a day has the same slots
/// every day.
const STEPS: [i64; 6] = [3_600, 1_800, 1_200, 900, 600, 300];
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Seconds of an hour.
const HOUR: i64 = 3_600;

/// Slots of one length, numbered from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    step: i64,
}

impl Grid {
    /// The grid of `step` seconds, if there is one.
    pub(super) fn of_step(step: i64) -> Option<Self> {
        STEPS.contains(&step).then_some(Self { step })
    }

    /// The coarsest grid on which `slot` begins and ends; `None` where it lies on none.
    pub(super) fn of_slot(slot: &Slot) -> Option<Self> {
        let (from, to) = span(slot);
        let fits = |step: &i64| from < to && from.rem_euclid(*step) == 0 && to.rem_euclid(*step) == 0;
        STEPS.into_iter().find(fits).map(|step| Self { step })
    }

    /// Length of a slot in seconds.
    pub(super) fn step(self) -> i64 {
        self.step
    }

    /// Slots of a day.
    pub(super) fn per_day(self) -> i64 {
        DAY / self.step
    }

    /// Slots of `minutes`, at least one.
    pub(super) fn slots_in(self, minutes: i64) -> i64 {
        (minutes * 60 / self.step).max(1)
    }

    /// Slots of an hour.
    pub(super) fn per_hour(self) -> i64 {
        HOUR / self.step
    }

    /// The slot that contains an instant, in seconds since 1970.
    pub(super) fn index(self, second: i64) -> i64 {
        second.div_euclid(self.step)
    }

    /// First instant of a slot, held inside the years that timestamps know.
    pub(super) fn start(self, index: i64) -> Timestamp {
        instant(index.saturating_mul(self.step))
    }

    /// Slot of day, in `0..per_day`.
    pub(super) fn of_day(self, index: i64) -> usize {
        place_count(index.rem_euclid(self.per_day()))
    }

    /// Whether a slot lies on a Saturday or Sunday, UTC.
    pub(super) fn is_weekend(self, index: i64) -> bool {
        // 1970 began on a Thursday.
        (index.div_euclid(self.per_day()) + 3).rem_euclid(7) >= 5
    }

    /// Slot of day and [`Self::is_weekend`] of one slot after the other.
    pub(super) fn days_from(self, index: i64) -> impl Iterator<Item = (usize, bool)> {
        let per_day = self.per_day();
        let (mut of_day, mut day_start) = (index.rem_euclid(per_day), index - index.rem_euclid(per_day));
        let mut weekend = self.is_weekend(index);
        core::iter::from_fn(move || {
            let said = (place_count(of_day), weekend);
            of_day += 1;
            if of_day == per_day {
                of_day = 0;
                day_start += per_day;
                weekend = self.is_weekend(day_start);
            }
            Some(said)
        })
    }

    /// Tells the means of `forecast` over the slots from `first` on, in order of time, until `take` wants
    /// no more; slots it says nothing about are left out.
    pub(super) fn resample(self, forecast: &Forecast, first: i64, mut take: impl FnMut(i64, f64) -> bool) {
        let mut open: Option<(i64, f64, f64)> = None;
        let mut expected = (first * self.step, first);
        for slot in forecast.from_instant(self.start(first)) {
            let (from, to) = span(slot);
            if from >= to {
                continue;
            }
            let grams = slot.forecast.get();
            if open.is_none() && from == expected.0 && to == from + self.step {
                if !take(expected.1, grams) {
                    return;
                }
                expected = (to, expected.1 + 1);
                continue;
            }
            for index in self.index(from).max(first)..=self.index(to - 1) {
                let begin = index * self.step;
                let overlap = (to.min(begin + self.step) - from.max(begin)) as f64;
                match &mut open {
                    Some((at, sum, seconds)) if *at == index => {
                        *sum += grams * overlap;
                        *seconds += overlap;
                    }
                    _ => {
                        if let Some((at, sum, seconds)) = open.replace((index, grams * overlap, overlap))
                            && !take(at, sum / seconds)
                        {
                            return;
                        }
                    }
                }
            }
            if let Some((at, sum, seconds)) = open.take_if(|(at, ..)| (*at + 1) * self.step == to) {
                if !take(at, sum / seconds) {
                    return;
                }
                expected = (to, at + 1);
            }
        }
        if let Some((at, sum, seconds)) = open {
            take(at, sum / seconds);
        }
    }
}

/// Whole seconds since 1970 at or before `at`.
pub(super) fn second(at: Timestamp) -> i64 {
    let second = at.as_second();
    if at.subsec_nanosecond() < 0 { second - 1 } else { second }
}

/// The instant of a second since 1970, held inside the years that timestamps know.
pub(super) fn instant(second: i64) -> Timestamp {
    let end = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(second).unwrap_or(end)
}

/// A slot in whole seconds.
pub(super) fn span(slot: &Slot) -> (i64, i64) {
    (second(slot.from), second(slot.to))
}

/// Seconds of a duration, none if negative.
pub(super) fn seconds_of(duration: SignedDuration) -> i64 {
    duration.as_secs().max(0)
}
