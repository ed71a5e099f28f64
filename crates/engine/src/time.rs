//! Arithmetic on instants that saturates instead of failing.

use jiff::SignedDuration;
use models::Timestamp;

/// `at` plus `span`, or the last instant there is.
pub(crate) fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// `at` minus `span`, or the first instant there is.
pub(crate) fn earlier(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// A span of `seconds`, to the millisecond. Settings are finite and at most 30 days.
pub(crate) fn seconds(seconds: f64) -> SignedDuration {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and settings stay far below")]
    let milliseconds = (seconds * 1000.0).round() as i64;
    SignedDuration::from_millis(milliseconds)
}

/// The middle of `[from, to)`.
pub(crate) fn middle((from, to): (Timestamp, Timestamp)) -> Timestamp {
    later(from, to.duration_since(from) / 2)
}

/// The part of `planned` that `elapsed` is, in [0, 1].
pub(crate) fn part(elapsed: SignedDuration, planned: SignedDuration) -> f64 {
    if planned <= SignedDuration::ZERO {
        return 1.0;
    }
    (elapsed.as_secs_f64() / planned.as_secs_f64()).clamp(0.0, 1.0)
}

/// The first whole second not before `at`.
pub(crate) fn whole_second_after(at: Timestamp) -> Timestamp {
    if at.subsec_nanosecond() == 0 {
        return at;
    }
    let down = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if down >= at { down } else { later(down, SignedDuration::from_secs(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_whole_ones_kept() {
        for (at, expected) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("2026-01-01T00:00:00.001Z", "2026-01-01T00:00:01Z"),
            ("1969-12-31T23:59:58.5Z", "1969-12-31T23:59:59Z"),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(whole_second_after(at).to_string(), expected);
        }
    }

    #[test]
    fn the_ends_of_time_are_ends() {
        assert_eq!(later(Timestamp::MAX, seconds(60.0)), Timestamp::MAX);
        assert_eq!(earlier(Timestamp::MIN, seconds(60.0)), Timestamp::MIN);
        assert_eq!(part(seconds(30.0), seconds(0.0)), 1.0);
        assert_eq!(part(seconds(30.0), seconds(60.0)), 0.5);
    }
}
