//! What was served in a long window, spread over the half-hours it was served in.

use models::Timestamp;

use super::account::DAY;
use crate::prices::{half_hour_begins, half_hour_of};
use crate::time::middle;

/// Longest window that counts as a whole, in milliseconds: half an hour.
const WHOLE: i128 = 1_800_000;

/// A part of a window, within one half-hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// First instant of it.
    pub(super) from: Timestamp,
    /// What says which half-hour it belongs to.
    pub(super) middle: Timestamp,
    /// Milliseconds of the window before it, up to its end, and in all.
    begins: i128,
    ends: i128,
    all: i128,
}

/// The parts of a window. One of up to half an hour has one, which belongs where its middle is. What is more
/// than two days before its end is one part.
pub(super) fn parts(window: (Timestamp, Timestamp)) -> impl Iterator<Item = Part> {
    let (from, to) = window;
    let since = move |at: Timestamp| i128::from(at.as_millisecond()) - i128::from(from.as_millisecond());
    let all = since(to);
    let (first, last) = if all > WHOLE {
        (half_hour_of(from).max(half_hour_of(to) - 2 * DAY), half_hour_of(to))
    } else {
        (0, 0)
    };
    (first..=last).filter_map(move |number| {
        let begins = if number == first { from } else { half_hour_begins(number) };
        let ends = if number == last { to } else { half_hour_begins(number + 1) };
        let part = Part {
            from: begins,
            middle: middle((begins, ends)),
            begins: since(begins),
            ends: since(ends),
            all,
        };
        // A window may end where a half-hour begins.
        (begins < ends || first == last).then_some(part)
    })
}

impl Part {
    /// Its share of `count`: those of all parts add up to it.
    pub(super) fn of(&self, count: u64) -> u64 {
        if self.all <= 0 {
            return count;
        }
        let until = |at: i128| i128::from(count) * at / self.all;
        u64::try_from(until(self.ends) - until(self.begins)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{earlier, seconds};
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The half-hours of a window, and how many of `count` requests each has.
    fn spread(from: i64, to: i64, count: u64) -> Vec<(i64, u64)> {
        parts((at(from), at(to))).map(|part| (half_hour_of(part.middle), part.of(count))).collect()
    }

    #[test]
    fn a_long_window_is_spread_by_time_and_a_short_one_is_not() {
        assert_eq!(spread(1_790, 1_830, 7), [(1, 7)]);
        assert_eq!(spread(1_000, 2_800, 7), [(1, 7)]);
        assert_eq!(spread(60, 60, 7), [(0, 7)]);
        assert_eq!(spread(900, 3_600, 300), [(0, 100), (1, 200)]);
        assert_eq!(spread(900, 4_500, 2), [(0, 0), (1, 1), (2, 1)]);
        assert_eq!(spread(0, 7_200, 3), [(0, 0), (1, 1), (2, 1), (3, 1)]);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_follow_one_another(
            end in 0..4_000_000_000_i64,
            length in prop_oneof![0.0..10_000.0_f64, 0.0..4e9_f64],
            count in prop_oneof![0..100_u64, 0..=1_u64 << 53],
        ) {
            let window = (earlier(at(end), seconds(length)), at(end));
            let parts: Vec<Part> = parts(window).collect();
            prop_assert!((1..=98).contains(&parts.len()), "{}", parts.len());
            prop_assert_eq!(parts.iter().map(|part| part.of(count)).sum::<u64>(), count);
            prop_assert_eq!(parts[0].from, window.0);
            for (part, next) in parts.iter().zip(&parts[1..]) {
                prop_assert!(part.middle < next.from && next.from <= next.middle);
                prop_assert_eq!(half_hour_of(next.from), half_hour_of(next.middle));
            }
        }
    }
}
