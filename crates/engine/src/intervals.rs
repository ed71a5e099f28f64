//! The recent evaluation intervals of a schedule, and which of them feedback belongs to.
//!
//! An interval is posted once, provisionally. Feedback settles it: the counts of every post that belongs
//! to it add up, as integers, so that the order of posts does not matter. A window belongs to the
//! interval that contains its middle.

use std::collections::VecDeque;

use jiff::SignedDuration;
use ledger::PostingId;
use models::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::{middle, part};

/// As many intervals as the ledger keeps open can still be settled.
const KEPT: usize = 32;
/// Errors are added up in parts per billion.
const PER_ONE: f64 = 1e9;

/// The recent intervals, oldest first; the last one is running.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intervals {
    recent: VecDeque<Interval>,
    /// Whether an older interval has been forgotten.
    forgotten: bool,
    /// When the newest interval ended without another one beginning: nothing could be evaluated.
    ended: Option<Timestamp>,
}

/// From one evaluation to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Interval {
    start: Timestamp,
    /// Its length if nothing cuts it short, as it stood when it began: a PUT may change what follows.
    planned: SignedDuration,
    posting: PostingId,
    served: Served,
}

/// Requests and the sum of their errors, exact whatever the order they were added in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Served {
    requests: u64,
    #[serde(with = "crate::halves")]
    error_ppb: u128,
}

impl Served {
    /// Adds `requests` at `error` each, in [0, 1].
    pub(crate) fn add(&mut self, requests: u64, error: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=1e9 by range")]
        let ppb = (error.clamp(0.0, 1.0) * PER_ONE).round() as u128;
        self.requests = self.requests.saturating_add(requests);
        self.error_ppb = self.error_ppb.saturating_add(u128::from(requests) * ppb);
    }

    /// Adds what another count has.
    pub(crate) fn merge(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.error_ppb = self.error_ppb.saturating_add(other.error_ppb);
    }

    /// Requests counted.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Mean error per request, in [0, 1]; none without requests.
    pub(crate) fn mean_error(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.error_ppb as f64 / PER_ONE / self.requests as f64)
    }
}

impl Intervals {
    /// Whether these can be a schedule's: not too many, in order of time.
    pub(crate) fn is_sound(&self) -> bool {
        let in_order = self.recent.iter().zip(self.recent.iter().skip(1));
        self.recent.len() <= KEPT && in_order.into_iter().all(|(one, two)| one.posting < two.posting)
    }

    /// Begins an interval that was posted as `posting` and is `planned` to last so long.
    pub(crate) fn begin(&mut self, start: Timestamp, planned: SignedDuration, posting: PostingId) {
        self.ended = None;
        if self.recent.len() == KEPT {
            self.recent.pop_front();
            self.forgotten = true;
        }
        self.recent.push_back(Interval { start, planned, posting, served: Served::default() });
    }

    /// The running interval: its posting, and the part of its planned length that has passed at `now`.
    pub(crate) fn running(&self, now: Timestamp) -> Option<(PostingId, f64)> {
        let running = self.recent.back().filter(|_| self.ended.is_none())?;
        Some((running.posting, part(now.duration_since(running.start), running.planned)))
    }

    /// The running interval ends at `now`, and none begins.
    pub(crate) fn end(&mut self, now: Timestamp) {
        self.ended.get_or_insert(now);
    }

    /// When the oldest of them began, where older ones have been forgotten.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        // A clock that was set back leaves them out of order.
        self.recent.iter().map(|interval| interval.start).min().filter(|_| self.forgotten)
    }

    /// Requests per second in the newest interval that was reported on and is over; 0 before there is one.
    pub(crate) fn last_rate(&self) -> f64 {
        let mut over = self.recent.iter().zip(self.recent.iter().skip(1)).rev();
        over.find(|(interval, _)| interval.served.requests > 0).map_or(0.0, |(interval, next)| {
            let seconds = next.start.duration_since(interval.start).as_secs_f64();
            if seconds > 0.0 { interval.served.requests as f64 / seconds } else { 0.0 }
        })
    }

    /// Counts `served` in the interval that contains the middle of `[from, to)`. Answers that interval's
    /// posting and its mean error so far (none where nobody was served), or nothing where no interval that
    /// is remembered contains it.
    pub(crate) fn count(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        served: Served,
    ) -> Option<(PostingId, Option<f64>)> {
        let middle = middle((from, to));
        // The newest that had begun: where a clock was set back they are in no order that could be searched by.
        let index = match self.recent.iter().rposition(|interval| interval.start <= middle) {
            Some(index) => index,
            // Before the first interval of its life a schedule had none: a window that reaches into it, or up to it
            // (both may lie within one tick of a clock), is about it.
            None if !self.forgotten && self.recent.front().is_some_and(|first| first.start <= to) => 0,
            None => return None,
        };
        if index + 1 == self.recent.len() && self.ended.is_some_and(|ended| ended <= middle) {
            return None;
        }
        let interval = self.recent.get_mut(index)?;
        interval.served.merge(served);
        Some((interval.posting, interval.served.mean_error()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{later, seconds};
    use ledger::{Bounds, CreditLedger};

    fn start() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn intervals(count: u32) -> (Intervals, Vec<PostingId>) {
        let mut ledger = CreditLedger::new(Bounds::new(-0.5, 0.5).unwrap(), seconds(300.0));
        let mut intervals = Intervals::default();
        let ids = (0..count).map(|index| {
            let at = later(start(), seconds(f64::from(index) * 60.0));
            let id = ledger.post(at, 0.05, 0.0);
            intervals.begin(at, seconds(60.0), id);
            id
        });
        let ids = ids.collect();
        (intervals, ids)
    }

    /// A window of two seconds around an instant.
    fn around(second: f64) -> (Timestamp, Timestamp) {
        (later(start(), seconds(second - 1.0)), later(start(), seconds(second + 1.0)))
    }

    fn served(requests: u64, error: f64) -> Served {
        let mut served = Served::default();
        served.add(requests, error);
        served
    }

    #[test]
    fn a_window_belongs_to_the_interval_of_its_middle() {
        let (mut intervals, ids) = intervals(3);
        assert_eq!(intervals.count(around(59.0), served(10, 0.3)).unwrap().0, ids[0]);
        assert_eq!(intervals.count(around(60.0), served(10, 0.3)).unwrap().0, ids[1]);
        assert_eq!(intervals.count(around(900.0), served(10, 0.3)).unwrap().0, ids[2]);
        assert_eq!(intervals.count(around(-0.5), served(10, 0.3)).unwrap().0, ids[0]);
        assert_eq!(intervals.count(around(0.0), served(0, 0.0)).unwrap().1, Some(0.3));
        assert_eq!(
            intervals.count(around(-1.0), served(10, 0.3)).unwrap().0,
            ids[0],
            "reported the moment it began"
        );
        assert_eq!(intervals.count(around(-1.001), served(10, 0.3)), None, "before it existed");
    }

    #[test]
    fn posts_of_several_routers_add_up_in_any_order() {
        let posts = [served(3, 0.15), served(1_000_003, 0.3), served(7, 0.0), served(11, 1.0 / 3.0)];
        let count = |order: &[usize]| {
            let (mut intervals, _) = intervals(1);
            order.iter().fold(None, |_, index| intervals.count(around(0.0), posts[*index]))
        };
        assert_eq!(count(&[0, 1, 2, 3]), count(&[3, 1, 0, 2]));
    }

    #[test]
    fn intervals_out_of_order_are_found_however_they_lie_in_memory() {
        for set_back in 1..40 {
            let (mut intervals, _) = intervals(40);
            for (index, interval) in intervals.recent.iter_mut().enumerate().skip(set_back % KEPT) {
                interval.start = later(start(), seconds(index as f64 * 45.0 - 600.0));
            }
            let mut restored = intervals.clone();
            restored.recent.make_contiguous();
            for second in (0..3_000).step_by(30) {
                let window = around(f64::from(second));
                let counted = intervals.count(window, served(1, 0.1));
                assert_eq!(counted, restored.count(window, served(1, 0.1)), "{set_back} {second}");
            }
        }
    }

    #[test]
    fn forgotten_intervals_count_no_more() {
        let (mut intervals, ids) = intervals(40);
        assert_eq!(intervals.count(around(0.0), served(1, 0.1)), None);
        assert_eq!(intervals.count(around(8.0 * 60.0), served(1, 0.1)).unwrap().0, ids[8]);
    }

    #[test]
    fn an_interval_that_ended_neither_runs_nor_counts() {
        let (mut intervals, ids) = intervals(1);
        assert_eq!(intervals.running(around(30.0).0).unwrap().0, ids[0]);
        intervals.end(around(30.0).0);
        assert_eq!(intervals.running(around(60.0).0), None);
        assert_eq!(intervals.count(around(20.0), served(1, 0.1)).unwrap().0, ids[0]);
        assert_eq!(intervals.count(around(40.0), served(1, 0.1)), None);
    }
}
