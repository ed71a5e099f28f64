//! The half-hours that the UK's electricity market settles in, and its API speaks in.

use jiff::SignedDuration;
use models::Timestamp;

/// Length of one slot.
pub(crate) const HALF_HOUR: SignedDuration = SignedDuration::from_mins(30);

/// The half-hour that `at` lies in, by its first instant.
pub(crate) fn start(at: Timestamp) -> Timestamp {
    let seconds = at.as_second();
    // `as_second` truncates towards zero, so before 1970 a fraction must count as the second below.
    let whole = if at.subsec_nanosecond() < 0 { seconds - 1 } else { seconds };
    let floored = whole - whole.rem_euclid(HALF_HOUR.as_secs());
    Timestamp::from_second(floored).unwrap_or(Timestamp::MIN)
}

/// `at` plus `duration`, held inside the years that timestamps know.
pub(crate) fn later(at: Timestamp, duration: SignedDuration) -> Timestamp {
    let end = if duration.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(duration).unwrap_or(end)
}

/// `at` less `duration`, likewise.
pub(crate) fn earlier(at: Timestamp, duration: SignedDuration) -> Timestamp {
    duration.checked_neg().map_or(Timestamp::MIN, |back| later(at, back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_at_or_before() {
        for (at, expected) in [
            ("2018-01-20T12:00:00Z", "2018-01-20T12:00:00Z"),
            ("2018-01-20T12:29:59.999Z", "2018-01-20T12:00:00Z"),
            ("2018-01-20T12:30:00Z", "2018-01-20T12:30:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:30:00Z"),
            ("1969-12-31T23:30:00Z", "1969-12-31T23:30:00Z"),
            ("1969-12-31T23:29:59.999Z", "1969-12-31T23:00:00Z"),
        ] {
            assert_eq!(start(at.parse().unwrap()), expected.parse().unwrap(), "{at}");
        }
        assert!(start(Timestamp::MIN) <= start(Timestamp::MAX));
    }
}
