//! The postings behind the velocity: the latest ones open, those before them exact, the oldest in buckets.

use alloc::collections::VecDeque;

use jiff::SignedDuration;
use models::Timestamp;
use serde::{Deserialize, Serialize};

use crate::exact;
use crate::posting::{Posting, PostingId, TooLate};

/// How many of the latest postings can still be scaled and settled, whatever the window.
pub const MAX_OPEN: usize = 32;
/// How many postings of the window are kept one by one; older ones share buckets.
pub const MAX_EXACT: usize = 1_024;
/// How many buckets of older postings there are at most.
pub const MAX_BUCKETS: usize = 256;

/// Postings in the order of time. A posting moves from `open` to `exact` to `buckets`, and leaves when it
/// is a window old; an open one stays open, but counts no longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    buckets: VecDeque<Bucket>,
    exact: VecDeque<Entry>,
    open: VecDeque<Posting>,
    /// How many of the open ones are a window old and count no longer.
    expired: usize,
    next_id: u64,
    latest: Timestamp,
    /// Over everything that counts; made anew from the rest when restored.
    #[serde(skip)]
    total: Total,
}

/// A posting that can be changed no longer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Entry {
    at: Timestamp,
    #[serde(with = "exact")]
    delta: f64,
}

/// Postings close in time. It leaves whole, when its newest posting leaves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// From here on the next bucket begins.
    until: Timestamp,
    newest: Timestamp,
    total: Total,
}

/// How many postings there are and what they sum to, in whole [`UNITS`]: taking a posting out gives the
/// very sum that would be there had it never come in, so a running total cannot drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Total {
    count: u64,
    #[serde(with = "exact")]
    sum: i128,
}

/// Units of a [`Total`] in one credit: a power of two, so that deltas from 2^-8 to 1 are exact.
const UNITS: f64 = (1_u64 << UNIT_BITS) as f64;
const UNIT_BITS: u32 = 60;
/// No ledger lives to see more postings, and sums of so many are far from overflowing.
const MOST_POSTINGS: u64 = 1 << 48;

impl History {
    pub(crate) fn new() -> Self {
        Self {
            buckets: VecDeque::new(),
            exact: VecDeque::new(),
            open: VecDeque::new(),
            expired: 0,
            next_id: 0,
            latest: Timestamp::MIN,
            total: Total::default(),
        }
    }

    /// Adds a posting, at `posting.at` or the latest instant seen, whichever is later. O(1) amortised.
    pub(crate) fn push(&mut self, mut posting: Posting, window: SignedDuration) -> PostingId {
        posting.at = posting.at.max(self.latest);
        self.latest = posting.at;
        self.expire(window);
        if self.open.len() == MAX_OPEN {
            self.close_oldest(window);
        }
        self.total.add(posting.delta());
        self.open.push_back(posting);
        let id = PostingId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Replaces an open posting and says by how much its delta changed.
    pub(crate) fn replace(
        &mut self,
        id: PostingId,
        change: impl FnOnce(Posting) -> Posting,
    ) -> Result<f64, TooLate> {
        let index = self.index_of(id)?;
        let old = self.open[index];
        let new = change(old);
        self.open[index] = new;
        if index >= self.expired {
            self.total.remove(old.delta());
            self.total.add(new.delta());
        }
        Ok(new.delta() - old.delta())
    }

    /// What the posting `id` earns, if it is the newest one.
    pub(crate) fn newest(&self, id: PostingId) -> Option<f64> {
        let index = self.index_of(id).ok()?;
        (index + 1 == self.open.len()).then(|| self.open[index].delta())
    }

    /// Mean delta of the postings in `(now - window, now]`; 0 where there is none.
    pub(crate) fn mean(&self, now: Timestamp, window: SignedDuration) -> f64 {
        self.total_at(now, window).mean()
    }

    /// The same, and how many postings those are, from whatever was stored: nothing is taken on trust,
    /// and nothing is precomputed.
    pub(crate) fn recount(&self, now: Timestamp, window: SignedDuration) -> (f64, u64) {
        let cutoff = Cutoff::new(now.max(self.latest), window);
        let mut total = Total::default();
        let buckets = self.buckets.iter().filter(|bucket| !cutoff.excludes(bucket.newest));
        buckets.for_each(|bucket| total.include(bucket.total));
        let exact = self.exact.iter().filter(|entry| !cutoff.excludes(entry.at));
        exact.for_each(|entry| total.include(Total::of(entry.delta)));
        let open = self.counted().filter(|posting| !cutoff.excludes(posting.at));
        open.for_each(|posting| total.include(Total::of(posting.delta())));
        (total.mean(), total.count)
    }

    /// The instant of the latest posting, if there is one.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        (self.next_id > 0).then_some(self.latest)
    }

    /// Lets go of what a new window leaves out. What an earlier one left out does not come back.
    pub(crate) fn expire(&mut self, window: SignedDuration) {
        let cutoff = Cutoff::new(self.latest, window);
        while let Some(bucket) = self.buckets.front().filter(|bucket| cutoff.excludes(bucket.newest)) {
            self.total.subtract(bucket.total);
            self.buckets.pop_front();
        }
        while let Some(entry) = self.exact.front().filter(|entry| cutoff.excludes(entry.at)) {
            self.total.remove(entry.delta);
            self.exact.pop_front();
        }
        while let Some(posting) = self.open.get(self.expired).filter(|posting| cutoff.excludes(posting.at)) {
            self.total.remove(posting.delta());
            self.expired += 1;
        }
    }

    /// The oldest open posting becomes final, to make room for one more.
    fn close_oldest(&mut self, window: SignedDuration) {
        let Some(posting) = self.open.pop_front() else {
            return;
        };
        if self.expired > 0 {
            self.expired -= 1;
            return;
        }
        // The posting to come is one of the exact ones too.
        if self.exact.len() + MAX_OPEN >= MAX_EXACT
            && let Some(oldest) = self.exact.pop_front()
        {
            self.bucket(oldest, window);
        }
        self.exact.push_back(Entry { at: posting.at, delta: posting.delta() });
    }

    fn bucket(&mut self, entry: Entry, window: SignedDuration) {
        if let Some(last) = self.buckets.back_mut().filter(|last| entry.at < last.until) {
            last.newest = entry.at;
            last.total.add(entry.delta);
            return;
        }
        // A window that grew finds buckets narrower than it would make them.
        if self.buckets.len() == MAX_BUCKETS
            && let (Some(first), Some(second)) = (self.buckets.pop_front(), self.buckets.front_mut())
        {
            second.total.include(first.total);
        }
        // So wide that buckets which begin within the window are one fewer than allowed: the first may
        // have begun before it.
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "255")]
        let width = window / (MAX_BUCKETS - 1) as i32;
        let until = entry.at.checked_add(width).unwrap_or(Timestamp::MAX);
        let total = Total::of(entry.delta);
        self.buckets.push_back(Bucket { until, newest: entry.at, total });
    }

    fn index_of(&self, id: PostingId) -> Result<usize, TooLate> {
        let oldest = self.next_id - self.open.len() as u64;
        let ahead = id.0.checked_sub(oldest).and_then(|ahead| usize::try_from(ahead).ok());
        ahead.filter(|index| *index < self.open.len()).ok_or(TooLate {
            id,
            open: (!self.open.is_empty()).then(|| (PostingId(oldest), PostingId(self.next_id - 1))),
        })
    }

    /// The total at an instant at or after the latest posting, less what has left by then.
    fn total_at(&self, now: Timestamp, window: SignedDuration) -> Total {
        let cutoff = Cutoff::new(now.max(self.latest), window);
        let mut total = self.total;
        for bucket in self.buckets.iter().take_while(|bucket| cutoff.excludes(bucket.newest)) {
            total.subtract(bucket.total);
        }
        for entry in self.exact.iter().take_while(|entry| cutoff.excludes(entry.at)) {
            total.remove(entry.delta);
        }
        for posting in self.counted().take_while(|posting| cutoff.excludes(posting.at)) {
            total.remove(posting.delta());
        }
        total
    }

    /// The open postings that still count.
    fn counted(&self) -> impl Iterator<Item = &Posting> {
        self.open.iter().skip(self.expired)
    }

    /// What storage brought back, if it can have been made here: in order of time, within the limits.
    pub(crate) fn restored(mut self) -> Option<Self> {
        let sizes = self.buckets.len() <= MAX_BUCKETS
            && self.open.len() <= MAX_OPEN
            && self.expired <= self.open.len()
            && self.exact.len() + self.open.len() - self.expired <= MAX_EXACT
            && (self.open.len() as u64..=MOST_POSTINGS).contains(&self.next_id);
        let buckets = self.buckets.iter().map(|bucket| bucket.newest);
        let exact = self.exact.iter().map(|entry| entry.at);
        let open = self.open.iter().map(|posting| posting.at);
        let in_order = buckets.chain(exact).chain(open).chain([self.latest]).is_sorted();
        let figures = self.buckets.iter().all(|bucket| bucket.total.is_sound())
            && self.exact.iter().all(|entry| entry.delta.abs() <= 1.0)
            && self.open.iter().all(Posting::is_sound);
        if !(sizes && in_order && figures) {
            return None;
        }
        let mut total = Total::default();
        self.buckets.iter().for_each(|bucket| total.include(bucket.total));
        self.exact.iter().for_each(|entry| total.add(entry.delta));
        self.counted().for_each(|posting| total.add(posting.delta()));
        self.total = total;
        Some(self)
    }
}

/// The end of what `(now - window, now]` leaves out, since the epoch: durations need not be instants, so
/// the difference always exists.
#[derive(Clone, Copy)]
struct Cutoff(SignedDuration);

impl Cutoff {
    fn new(now: Timestamp, window: SignedDuration) -> Self {
        Self(now.as_duration().saturating_sub(window))
    }

    /// Whether an instant at or before `now` has left the window.
    fn excludes(self, at: Timestamp) -> bool {
        at.as_duration() <= self.0
    }
}

impl Total {
    fn of(delta: f64) -> Self {
        Self { count: 1, sum: units(delta) }
    }

    fn add(&mut self, delta: f64) {
        self.count += 1;
        self.sum += units(delta);
    }

    fn remove(&mut self, delta: f64) {
        self.count -= 1;
        self.sum -= units(delta);
    }

    /// Saturates, on figures from an edited store only.
    fn include(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }

    fn subtract(&mut self, other: Self) {
        self.count -= other.count;
        self.sum -= other.sum;
    }

    fn mean(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / UNITS / self.count as f64 }
    }

    /// Whether postings in [-1, 1] can add up to it.
    fn is_sound(self) -> bool {
        (1..=MOST_POSTINGS).contains(&self.count)
            && self.sum.unsigned_abs() <= u128::from(self.count) << UNIT_BITS
    }
}

/// A delta, in [-1, 1], in whole units.
fn units(delta: f64) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 2^60; `as` saturates")]
    let units = (delta * UNITS) as i64;
    i128::from(units)
}
