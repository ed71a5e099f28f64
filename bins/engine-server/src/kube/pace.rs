//! How fast may be written, and how long is waited after what went wrong.

use std::time::{Duration, Instant};

/// Shortest pause after a failure.
const SHORTEST: Duration = Duration::from_millis(500);
/// Longest one.
const LONGEST: Duration = Duration::from_secs(30);

/// At most so many in a second, and as many at once.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, tokens: per_second, at: now }
    }

    /// Takes one, or says how long until there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * self.per_second).min(self.per_second);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }
}

/// The pause after the failure of that number, counted from 1: twice as long each time, and scattered by `chance`,
/// in [0, 1), so that not everybody comes back at once.
pub(super) fn pause(failures: u32, chance: f64) -> Duration {
    let doubled = SHORTEST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(LONGEST).mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_lets_through_what_it_says_over_any_second() {
        let begin = Instant::now();
        let mut pace = Pace::new(10, begin);
        let mut taken = 0;
        for millisecond in 0..3_000 {
            if pace.take(begin + Duration::from_millis(millisecond)).is_ok() {
                taken += 1;
            }
        }
        // Those that may come at once, and ten in each second.
        assert!((38..=40).contains(&taken), "{taken}");
        let end = begin + Duration::from_secs(3);
        while pace.take(end).is_ok() {}
        let wait = pace.take(end).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_scattered() {
        let full = |failures| pause(failures, 1.0);
        assert_eq!([1, 2, 3].map(full), [500, 1_000, 2_000].map(Duration::from_millis));
        for failures in [7, 8, 31, 32, 33, u32::MAX] {
            assert_eq!(full(failures), LONGEST, "{failures}");
            assert_eq!(pause(failures, 0.0), LONGEST / 2);
        }
    }
}
