//! The intervals that feedback may still be about: the target in force in each, and what is held back.

use alloc::collections::VecDeque;

use models::Timestamp;
use serde::{Deserialize, Serialize};

use super::amount::PPM;
use super::{Before, Report};
use crate::exact;
use crate::history::MAX_OPEN;
use crate::posting::PostingId;

/// No instant is further from 1970, in milliseconds.
const FARTHEST: i64 = 1 << 49;

/// The last [`MAX_OPEN`] intervals, oldest first. At most 1 kB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Intervals {
    remembered: VecDeque<Interval>,
    /// Whether the last of them has not ended.
    running: bool,
    /// The latest instant an interval began or ended, milliseconds since 1970: time goes forward here.
    latest: i64,
    /// How far feedback reached since the running interval began, likewise.
    reached: i64,
    /// What is still held back for intervals that were forgotten before anybody reported about them.
    #[serde(with = "exact")]
    unreported: i128,
    /// The least target of those.
    unreported_target: Option<u32>,
    /// When the last of the forgotten ones ended.
    forgotten_until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Interval {
    id: PostingId,
    start: i64,
    target: u32,
    planned: u32,
    /// Requests (or seconds) that may still be reported.
    left: u64,
    /// Whether its report is known to be missing: nothing but that report releases what is held back.
    #[serde(default)]
    missing: bool,
    /// Whether a report that may be about it is known to be missing, and may still come.
    #[serde(default)]
    awaited: bool,
    /// Whether a report has reached its end: but for what is missing, all is told.
    #[serde(default)]
    reached: bool,
}

/// What an interval was once it has ended.
pub(super) struct Ended {
    pub(super) target: u32,
    pub(super) planned: u32,
    pub(super) milliseconds: u64,
}

impl Intervals {
    pub(super) fn new() -> Self {
        Self {
            remembered: VecDeque::new(),
            running: false,
            latest: -FARTHEST,
            reached: -FARTHEST,
            unreported: 0,
            unreported_target: None,
            forgotten_until: -FARTHEST,
        }
    }

    /// Ends the running interval. Where feedback has reached that end, nothing more is held back for it.
    pub(super) fn end(&mut self, now: Timestamp) -> Option<Ended> {
        self.latest = self.latest.max(now.as_millisecond());
        let last = self.remembered.back_mut().filter(|_| self.running)?;
        self.running = false;
        last.reached |= self.reached >= self.latest;
        last.settle();
        let milliseconds = u64::try_from(self.latest.saturating_sub(last.start)).unwrap_or(0);
        Some(Ended { target: last.target, planned: last.planned, milliseconds })
    }

    /// Begins an interval, after [`Intervals::end`], in which at most `left` may come. Answers what was held
    /// back for one that is forgotten now and whose report is missing still: it counts as spent.
    pub(super) fn begin(&mut self, id: PostingId, target: u32, planned: u32, left: u64) -> i128 {
        let mut spent = 0;
        if self.remembered.len() == MAX_OPEN
            && let Some(forgotten) = self.remembered.pop_front()
        {
            if forgotten.missing || forgotten.awaited {
                spent = forgotten.held();
            } else {
                self.unreported = self.unreported.saturating_add(forgotten.held());
            }
            let least = self.unreported_target.map_or(forgotten.target, |least| least.min(forgotten.target));
            self.unreported_target = Some(least);
            self.forgotten_until = self.remembered.front().map_or(self.latest, |next| next.start);
        }
        self.remembered.push_back(Interval {
            id,
            start: self.latest,
            target,
            planned,
            left,
            missing: false,
            awaited: false,
            reached: false,
        });
        self.running = true;
        self.reached = -FARTHEST;
        spent
    }

    /// The target in force in an interval; none if it is forgotten.
    pub(super) fn target(&self, id: PostingId) -> Option<u32> {
        self.remembered.iter().rev().find(|interval| interval.id == id).map(|interval| interval.target)
    }

    /// The least target of the intervals a report may be about.
    pub(super) fn least_target(&self) -> Option<u32> {
        self.remembered.iter().map(|interval| interval.target).chain(self.unreported_target).min()
    }

    /// Releases what was held back, now that the `requests` of a report, with `excess` error beyond the
    /// target, are booked: for their interval as far as they go, and for those that ended by its own end
    /// altogether, as reports come in the order of time. Answers what counts as spent from now on.
    ///
    /// Where reports before this one are missing, what ended by then and is not all in its window may have
    /// been in theirs: it is released by its own report only. What reports that are awaited may be about is
    /// released once they are awaited no more.
    pub(super) fn release(&mut self, report: &Report<'_>, requests: u64, excess: i128) -> i128 {
        let (from, at) = (report.from.as_millisecond(), report.to.as_millisecond());
        let missing = report.before == Before::Missing;
        match self.remembered.iter_mut().rev().find(|interval| Some(interval.id) == report.interval) {
            // A part of a window that reaches further back was served in another interval.
            Some(interval) if from < interval.start => {}
            Some(interval) => interval.left = interval.left.saturating_sub(requests),
            None => self.unreported = self.unreported.saturating_sub(excess.max(0)).max(0),
        }
        self.reached = self.reached.max(at);
        let awaited = |start: i64, end: i64| {
            let mut spans = report.awaited.iter();
            spans.any(|(from, to)| start < to.as_millisecond() && from.as_millisecond() < end)
        };
        let mut spent = 0;
        if at >= self.forgotten_until {
            let told = !missing && !awaited(-FARTHEST, self.forgotten_until);
            spent = if told { 0 } else { self.unreported };
            self.unreported = 0;
            self.unreported_target = None;
        }
        // Each ends where the next one begins; the last one where `latest` is, unless it is running.
        let mut end = if self.running { i64::MAX } else { self.latest };
        for interval in self.remembered.iter_mut().rev() {
            // The report says all there is to say up to its end.
            let whole = Some(interval.id) == report.interval && from <= interval.start;
            interval.missing |= missing && !whole && interval.start < at;
            interval.awaited = awaited(interval.start, end);
            if end <= at {
                interval.reached = true;
                if whole {
                    (interval.left, interval.missing) = (0, false);
                }
            }
            interval.settle();
            end = interval.start;
        }
        spent
    }

    /// Holds nothing back any more.
    pub(super) fn release_all(&mut self) {
        self.unreported = 0;
        for interval in &mut self.remembered {
            (interval.left, interval.missing, interval.awaited) = (0, false, false);
        }
    }

    /// What is held back in all, in ppm x requests, at least 0.
    pub(super) fn held(&self) -> i128 {
        let held = self.remembered.iter().map(Interval::held);
        held.fold(self.unreported, i128::saturating_add)
    }

    /// Whether it can have been made here.
    pub(super) fn is_sound(&self) -> bool {
        let instants = [self.latest, self.reached, self.forgotten_until];
        let starts = self.remembered.iter().map(|interval| interval.start);
        self.remembered.len() <= MAX_OPEN
            && (!self.running || !self.remembered.is_empty())
            && self.unreported >= 0
            && instants.into_iter().chain(starts.clone()).all(|at| (-FARTHEST..=FARTHEST).contains(&at))
            && starts.chain([self.latest]).is_sorted()
            && self.remembered.iter().all(|interval| interval.target <= PPM && interval.planned <= PPM)
            && self.unreported_target.is_none_or(|target| target <= PPM)
    }
}

impl Interval {
    /// Holds nothing back any more, if all is told.
    fn settle(&mut self) {
        if self.reached && !self.missing && !self.awaited {
            self.left = 0;
        }
    }

    /// What may still be spent in it beyond the target.
    fn held(&self) -> i128 {
        i128::from(self.left) * i128::from(self.planned.saturating_sub(self.target))
    }
}
