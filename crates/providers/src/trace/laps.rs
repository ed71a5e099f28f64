//! Running a recording round and round, so that time of day, and of the week, stay what they were.

use jiff::SignedDuration;
use models::Timestamp;

const DAY: i64 = 24 * 60 * 60;
const WEEK: i64 = 7 * DAY;

/// A span of recorded time that repeats for ever, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laps {
    start: Timestamp,
    period: SignedDuration,
}

impl Laps {
    /// As many whole weeks as fit between `start` and `end`; where there is not even one, whole days;
    /// `None` where not even a day fits. A part that does not fill the last week (or day) is not used.
    pub fn between(start: Timestamp, end: Timestamp) -> Option<Self> {
        let span = end.duration_since(start).as_secs();
        let unit = if span >= WEEK { WEEK } else { DAY };
        let period = SignedDuration::from_secs(span / unit * unit);
        (period > SignedDuration::ZERO).then_some(Self { start, period })
    }

    /// First instant of the repeating span.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Length of one lap: whole weeks, or whole days below a week.
    pub fn period(&self) -> SignedDuration {
        self.period
    }

    /// How long after its recording `at` lies: a multiple of the period, negative for times before it.
    pub fn shift(&self, at: Timestamp) -> SignedDuration {
        let laps = at.duration_since(self.start).as_nanos().div_euclid(self.period.as_nanos());
        // The laps between two instants of jiff's range fit; seconds are exact, as the period is whole days.
        let laps = i64::try_from(laps).unwrap_or(0);
        SignedDuration::from_secs(self.period.as_secs().saturating_mul(laps))
    }

    /// The recorded instant that stands for `at`, in `[start, start + period)`.
    pub fn recorded(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(self.shift(at)).unwrap_or(self.start)
    }
}
