//! Which bases are kept: the newest, and older ones that a replay can begin with.

use jiff::SignedDuration;
use models::Timestamp;
use serde::{Deserialize, Serialize};

/// Bases that are kept for a replay lie this far apart.
const BASES_APART: SignedDuration = SignedDuration::from_hours(12);
/// And these where no replay can go on from the one before: something was not written down in between.
const GAPS_APART: SignedDuration = SignedDuration::from_mins(10);
/// Or with this part of what may be kept between them, so that to forget one is not to forget all.
const BASES_IN_BYTES: u64 = 8;

/// How much is kept beyond what a restart needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How far back a replay can begin.
    pub(crate) reach: SignedDuration,
    /// Most bytes of bases and records that only a replay needs.
    pub(crate) bytes: u64,
}

/// What is to be known of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    /// Number of the first record after it: several may stand before the same one.
    pub(super) before: u64,
    pub(super) at: Timestamp,
    pub(super) is_whole: bool,
    /// Bytes of its parts.
    pub(super) parts: u64,
    /// Bytes of the records between it and the next one; measured at every open for the newest.
    pub(super) records: u64,
    /// Whether something was acted upon without being written down before the next one.
    #[serde(default)]
    pub(super) has_gap: bool,
}

impl Retention {
    /// Takes out the bases that nobody needs: not the newest, and too old, too close to the one before, or too
    /// much. Answers which.
    pub(super) fn retire(self, bases: &mut Vec<(u64, Base)>) -> Vec<u64> {
        let Some((newest, at)) = bases.last().map(|(number, base)| (*number, base.at)) else {
            return Vec::new();
        };
        let reach = self.reach.saturating_add(BASES_APART);
        let mut retired = Vec::new();
        let mut kept: Vec<(u64, Base)> = Vec::with_capacity(bases.len());
        for (number, base) in bases.drain(..) {
            let apart = |previous: &Base| base.at.duration_since(previous.at).abs();
            // What follows a gap can be replayed from here alone: rather do without what came before.
            if let Some((given_up, previous)) =
                kept.pop_if(|(_, previous)| previous.has_gap && apart(previous) < GAPS_APART)
            {
                retired.push(given_up);
                if let Some((_, earlier)) = kept.last_mut() {
                    earlier.has_gap = true;
                    earlier.records += previous.records;
                }
            }
            let is_close = kept.last().is_some_and(|(_, previous)| {
                !previous.has_gap
                    && apart(previous) < BASES_APART
                    && previous.records < self.bytes / BASES_IN_BYTES
            });
            let is_old = at.duration_since(base.at) > reach;
            if number == newest || !(is_close || is_old) {
                kept.push((number, base));
                continue;
            }
            retired.push(number);
            // Its records stay, as what follows the one before it.
            if let Some((_, previous)) = kept.last_mut() {
                previous.records += base.records;
                previous.has_gap |= base.has_gap;
            }
        }
        let bytes =
            |kept: &[(u64, Base)]| kept.iter().map(|(_, base)| base.parts + base.records).sum::<u64>();
        while kept.len() > 1 && bytes(&kept) > self.bytes {
            retired.push(kept.remove(0).0);
        }
        *bases = kept;
        retired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bases by the minute they were begun in, and whether a gap follows: those that are kept.
    fn kept(bases: &[(i64, bool)]) -> Vec<i64> {
        let minute = |at: i64| Timestamp::from_second(at * 60).unwrap();
        let base = |(at, has_gap): (i64, bool)| Base {
            before: 0,
            at: minute(at),
            is_whole: true,
            parts: 1,
            records: 1,
            has_gap,
        };
        let mut bases: Vec<(u64, Base)> = (0..).zip(bases.iter().copied().map(base)).collect();
        let retention = Retention { reach: SignedDuration::from_hours(72), bytes: 1_000 };
        let all: Vec<u64> = bases.iter().map(|(number, _)| *number).collect();
        let mut retired = retention.retire(&mut bases);
        retired.extend(bases.iter().map(|(number, _)| *number));
        retired.sort_unstable();
        assert_eq!(retired, all, "none is forgotten without being retired");
        bases.iter().map(|(_, base)| base.at.as_second() / 60).collect()
    }

    #[test]
    fn bases_are_kept_half_a_day_apart_and_after_every_gap() {
        assert_eq!(kept(&[(0, false), (60, false), (120, false)]), [0, 120]);
        assert_eq!(kept(&[(0, false), (720, false), (800, false)]), [0, 720, 800]);
        // A replay from the first one ends at the gap: the one after it stays.
        assert_eq!(kept(&[(0, true), (60, false), (120, false)]), [0, 60, 120]);
        // The gap is after one that is not kept: from the first one a replay ends there all the same.
        assert_eq!(kept(&[(0, false), (60, true), (120, false), (180, false)]), [0, 120, 180]);
        // Gap upon gap: the later one wins, since nothing could be replayed from there otherwise.
        assert_eq!(kept(&[(0, false), (60, true), (65, true), (70, false), (80, false)]), [0, 70, 80]);
        assert_eq!(kept(&[(0, true), (5, true), (9, false), (100, false)]), [9, 100]);
        // Too old.
        assert_eq!(kept(&[(0, true), (10, false), (6_000, false)]), [6_000]);
    }
}
