//! What requests of one schedule share between threads: shares, counts, and credit that was not spent yet.
//!
//! Every thread has a lane with all it takes to pick and to count. Nobody else writes there, so it writes without an
//! atomic exchange, in its own cache; the driver reads. Threads beyond the number of lanes share some, one of them at
//! a time: whoever finds all of those taken is served by the best flavour, and waits to record. Nobody waits to pick.
//!
//! ```text
//!              lane 0              lane 1       ..        credit
//!   pick   ->  owed, allowance     owed, allowance   <-   taken by picks that may cost
//!   record ->  counts              counts
//!                    ^ a new table: every lane sees        ^ grant: what the budget came to
//!                    |  its number, and copies it
//!                    v totals: the driver adds up
//! ```
//!
//! # Credit
//!
//! What is known to be in the error budget above its floor is, at any moment, `credit`, the allowances of the lanes,
//! and what may be spent by requests that were picked and are not booked yet. So it is taken before a request is
//! served, and what was earned is spent once it is booked, whoever looks when.

use std::sync::OnceLock;

use models::flavour::MAX_FLAVOURS;

use super::shares::{self, Cell, Share};
use super::sync::{Arc, AtomicI64, AtomicU64, Newest, Ordering, Right, fence, pause};
use Ordering::{Acquire, Relaxed, Release};

/// Lanes that one thread has to itself.
pub(super) const OWN: usize = 32;
/// Lanes that the other threads share.
pub(super) const COMMON: usize = 8;
/// Most names of flavours that the handles of one schedule know in their life. Of a schedule that comes to more, only
/// flavours with known names are picked; the best of them serves the others' share.
pub const MAX_NAMES: usize = FEW + STEPS * STEP;
/// So many flavours, and names, need no room elsewhere.
const FEW: usize = 8;
/// Room for further names comes by so many at once, so many times.
const STEP: usize = 64;
const STEPS: usize = 8;
/// A lane takes credit for at most so many requests at once.
const ALLOWANCE: i64 = 64;

/// What is served, as published: one value, replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Which table it is, counted from 1.
    pub(super) number: u64,
    /// Which flavours these are: another number, another list.
    pub(super) list: u64,
    /// The flavours that may serve, the most precise first; empty where there is no schedule.
    pub(super) shares: Vec<Share>,
}

/// What was served since the beginning by one flavour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests whose precision nobody measured.
    pub(super) plain: u64,
    /// Requests whose precision was measured.
    pub(super) measured: u64,
    /// The errors of the latter, ppm.
    pub(super) errors: u64,
}

/// What all lanes counted since the beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    /// By the number of the name.
    pub(super) tallies: Vec<Tally>,
    /// Credit taken for requests that are over, counted above or never served, ppm x requests.
    pub(super) taken: u64,
    /// Requests that went to the best flavour because their own could not be afforded.
    pub(super) redirected: u64,
}

#[derive(Debug)]
pub(super) struct Lanes {
    own: Box<[Lane]>,
    common: Box<[(Right, Lane)]>,
    published: Front,
    credit: Credit,
}

/// What is read by everybody and seldom written.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Front {
    /// Number of the table.
    number: AtomicU64,
    /// Whom to pick where no lane is free: the best flavour.
    best: AtomicU64,
    /// Which list it is, and how many lanes have begun it.
    list: AtomicU64,
    begun: AtomicU64,
    table: Newest<Table>,
}

/// What everybody may take from, alone on its lines of memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Credit(AtomicI64);

/// Some of a kind: the first few in place, further ones elsewhere, `SIZE` at once, once there are more.
#[derive(Debug)]
struct Row<T, const STEPS: usize, const SIZE: usize> {
    few: [T; FEW],
    more: [OnceLock<Box<[T]>>; STEPS],
}

/// What one thread writes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    /// The table it has.
    number: AtomicU64,
    list: AtomicU64,
    /// How many cells have a flavour, and how many of them, the first ones, a weight above 0.
    known: AtomicU64,
    live: AtomicU64,
    /// The best flavour.
    best: AtomicU64,
    /// Credit that was taken and is not spent.
    allowance: AtomicI64,
    /// Odd while what follows is being written.
    edition: AtomicU64,
    taken: AtomicU64,
    redirected: AtomicU64,
    /// All of a list in one place: a long list is in `more` alone.
    cells: Row<Cell, 1, MAX_FLAVOURS>,
    counts: Row<Counts, STEPS, STEP>,
}

#[derive(Debug, Default)]
struct Counts {
    plain: AtomicU64,
    measured: AtomicU64,
    errors: AtomicU64,
}

impl Lanes {
    pub(super) fn new(own: usize, common: usize) -> Self {
        Self {
            own: (0..own).map(|_| Lane::default()).collect(),
            common: (0..common).map(|_| (Right::default(), Lane::default())).collect(),
            published: Front { best: AtomicU64::new(Share::NOBODY.packed()), ..Front::default() },
            credit: Credit::default(),
        }
    }

    /// Whom to serve one request by, as `choose` has it; nobody where there is no schedule. `thread` says which lane
    /// the caller has; one below the number of own lanes no other thread has at the same time.
    #[inline]
    pub(super) fn pick(&self, thread: usize, choose: impl Fn(&[Cell]) -> Option<&Cell>) -> Option<Share> {
        match self.own.get(thread) {
            Some(lane) => self.pick_in(lane, choose),
            None => self.pick_among_many(thread, choose),
        }
    }

    #[cold]
    #[inline(never)]
    fn pick_among_many(&self, thread: usize, choose: impl Fn(&[Cell]) -> Option<&Cell>) -> Option<Share> {
        match self.free(thread) {
            Some((_right, lane)) => self.pick_in(lane, choose),
            None => instead(&self.published.best),
        }
    }

    /// Counts a picked request as served; `error` in ppm where it was measured.
    #[inline]
    pub(super) fn record(&self, thread: usize, picked: Share, error: Option<u32>) {
        self.write(thread, |lane| lane.count(picked.id(), 1, error, picked.cost()));
    }

    /// Counts requests that nobody picked.
    pub(super) fn record_many(&self, thread: usize, id: usize, requests: u32, error: Option<u32>) {
        self.write(thread, |lane| lane.count(id, requests.into(), error, 0));
    }

    /// Forgets a picked request that was not served.
    #[inline]
    pub(super) fn abandon(&self, thread: usize, picked: Share) {
        if picked.cost() > 0 {
            self.write(thread, |lane| add(&lane.taken, picked.cost()));
        }
    }

    /// Has room for so many names. Nobody is to count by a name before.
    pub(super) fn make_room(&self, names: usize) {
        for lane in self.lanes() {
            lane.counts.make_room(names);
        }
    }

    /// Has every pick from now on made by `table`, whose number is another one than before.
    pub(super) fn publish(&self, table: Arc<Table>) {
        for lane in self.lanes() {
            lane.cells.make_room(table.shares.len());
        }
        let (number, best) = (table.number, table.best().packed());
        if self.published.list.load(Relaxed) != table.list {
            self.published.list.store(table.list, Relaxed);
            self.published.begun.store(0, Relaxed);
        }
        self.published.table.store(table);
        self.published.best.store(best, Release);
        self.published.number.store(number, Release);
    }

    /// Adds up what was counted. Waits for a thread that is about to count, not for one that picks.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for lane in self.lanes() {
            let Totals { tallies, taken, redirected } = lane.totals();
            if totals.tallies.len() < tallies.len() {
                totals.tallies.resize(tallies.len(), Tally::default());
            }
            for (sum, tally) in totals.tallies.iter_mut().zip(tallies) {
                sum.plain = sum.plain.wrapping_add(tally.plain);
                sum.measured = sum.measured.wrapping_add(tally.measured);
                sum.errors = sum.errors.wrapping_add(tally.errors);
            }
            totals.taken = totals.taken.wrapping_add(taken);
            totals.redirected = totals.redirected.wrapping_add(redirected);
        }
        totals
    }

    /// Adds to what may be taken, or takes from it, ppm x requests.
    pub(super) fn grant(&self, amount: i64) {
        // Sums of one number need no order: nothing else is concluded from it.
        self.credit.0.fetch_add(amount, Relaxed);
    }

    /// What may be taken, allowances not counted.
    pub(super) fn credit(&self) -> i64 {
        self.credit.0.load(Relaxed)
    }

    #[inline]
    fn pick_in(&self, lane: &Lane, choose: impl Fn(&[Cell]) -> Option<&Cell>) -> Option<Share> {
        if lane.number.load(Relaxed) != self.published.number.load(Acquire) {
            // What it did not spend goes back: what there is now may be less than it once was.
            let allowance = lane.allowance.load(Relaxed);
            lane.allowance.store(0, Relaxed);
            self.grant(allowance);
            lane.take_over(&self.published);
        }
        let share = choose(lane.cells.first(lane.live.load(Relaxed)))?.share();
        if share.cost() == 0 { Some(share) } else { self.check(lane, share) }
    }

    /// A share if it can be afforded, or the best flavour in its place.
    #[inline(never)]
    fn check(&self, lane: &Lane, share: Share) -> Option<Share> {
        if self.afford(lane, share.cost().cast_signed()) {
            return Some(share);
        }
        add(&lane.redirected, 1);
        instead(&lane.best)
    }

    /// Whether a request may cost so much; if so it is taken.
    fn afford(&self, lane: &Lane, cost: i64) -> bool {
        let have = lane.allowance.load(Relaxed);
        let missing = cost - have;
        if missing > 0 {
            // A little more than that, where there is much, so that threads do not meet here for each request.
            let there = self.credit.0.load(Relaxed);
            let wanted = missing.max((there >> 8).min(ALLOWANCE * cost));
            if there < missing {
                return false;
            }
            if self.credit.0.fetch_sub(wanted, Relaxed) < wanted {
                self.credit.0.fetch_add(wanted, Relaxed);
                return false;
            }
            lane.allowance.store(have + wanted - cost, Relaxed);
        } else {
            lane.allowance.store(have - cost, Relaxed);
        }
        true
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.own.iter().chain(self.common.iter().map(|(_, lane)| lane))
    }

    /// A common lane that is free, the thread's usual one if possible.
    fn free(&self, thread: usize) -> Option<(impl Drop + '_, &Lane)> {
        let (before, after) = self.common.split_at(thread % self.common.len().max(1));
        after.iter().chain(before).find_map(|(right, lane)| Some((right.try_take()?, lane)))
    }

    /// Writes to the thread's lane. Waits only where more threads than there are common lanes are inside at a moment.
    #[inline]
    fn write(&self, thread: usize, write: impl FnOnce(&Lane)) {
        match self.own.get(thread) {
            Some(lane) => write(lane),
            None => self.write_among_many(thread, write),
        }
    }

    #[cold]
    #[inline(never)]
    fn write_among_many(&self, thread: usize, write: impl FnOnce(&Lane)) {
        loop {
            if let Some((_right, lane)) = self.free(thread) {
                return write(lane);
            }
            pause();
        }
    }
}

impl Table {
    fn best(&self) -> Share {
        self.shares.first().copied().unwrap_or(Share::NOBODY)
    }
}

impl Lane {
    #[cold]
    #[inline(never)]
    fn take_over(&self, published: &Front) {
        let table = published.table.load();
        // What each is owed stays with it, unless the list is another one: that owes nothing yet.
        let mut owed = [(usize::MAX, 0); MAX_FLAVOURS];
        let is_known = self.list.load(Relaxed) == table.list;
        for (owed, cell) in
            owed.iter_mut().zip(self.cells.first(self.known.load(Relaxed))).filter(|_| is_known)
        {
            *owed = (cell.share().id(), cell.owed());
        }
        let owed = |id: usize| owed.iter().find(|(of, _)| *of == id).map_or(0, |(_, owed)| *owed);
        let live = table.shares.iter().filter(|share| share.weight() > 0);
        let idle = table.shares.iter().filter(|share| share.weight() == 0);
        self.live.store(live.clone().count() as u64, Relaxed);
        self.known.store(table.shares.len() as u64, Relaxed);
        let cells = self.cells.first(table.shares.len() as u64);
        for (cell, share) in cells.iter().zip(live.chain(idle)) {
            cell.set(*share, owed(share.id()));
        }
        if !is_known {
            // Lanes that began alike would all begin with the same flavour: each begins elsewhere in the cycle.
            let live = self.cells.first(self.live.load(Relaxed));
            for _ in 0..shares::phase(published.begun.fetch_add(1, Relaxed)) {
                let _ = shares::next(live);
            }
        }
        self.best.store(table.best().packed(), Relaxed);
        self.list.store(table.list, Relaxed);
        self.number.store(table.number, Relaxed);
    }

    #[inline]
    fn count(&self, id: usize, requests: u64, error: Option<u32>, taken: u64) {
        let Some(counts) = self.counts.get(id) else { return };
        if error.is_none() && taken == 0 {
            add(&counts.plain, requests);
        } else {
            self.count_together(counts, requests, error, taken);
        }
    }

    #[inline(never)]
    fn count_together(&self, counts: &Counts, requests: u64, error: Option<u32>, taken: u64) {
        // Several numbers that belong together: nobody is to see some of them.
        let edition = self.edition.load(Relaxed);
        self.edition.store(edition.wrapping_add(1), Relaxed);
        fence(Release);
        match error {
            None => add(&counts.plain, requests),
            Some(error) => {
                add(&counts.measured, requests);
                add(&counts.errors, u64::from(error) * requests);
            }
        }
        add(&self.taken, taken);
        self.edition.store(edition.wrapping_add(2), Release);
    }

    fn totals(&self) -> Totals {
        loop {
            let before = self.edition.load(Acquire);
            let tallies = self.counts.iter().map(Counts::tally).collect();
            let totals = Totals {
                tallies,
                taken: self.taken.load(Relaxed),
                redirected: self.redirected.load(Relaxed),
            };
            fence(Acquire);
            if before.is_multiple_of(2) && self.edition.load(Relaxed) == before {
                return totals;
            }
            pause();
        }
    }
}

impl Counts {
    fn tally(&self) -> Tally {
        Tally {
            plain: self.plain.load(Relaxed),
            measured: self.measured.load(Relaxed),
            errors: self.errors.load(Relaxed),
        }
    }
}

/// The best flavour, in another one's place.
fn instead(best: &AtomicU64) -> Option<Share> {
    let share = Share::unpacked(best.load(Acquire));
    (share != Share::NOBODY).then(|| share.instead())
}

impl<T: Default, const STEPS: usize, const SIZE: usize> Default for Row<T, STEPS, SIZE> {
    fn default() -> Self {
        Self { few: std::array::from_fn(|_| T::default()), more: [const { OnceLock::new() }; STEPS] }
    }
}

impl<T: Default, const STEPS: usize, const SIZE: usize> Row<T, STEPS, SIZE> {
    /// Room for `wanted` of them.
    fn make_room(&self, wanted: usize) {
        for step in self.more.iter().take(wanted.saturating_sub(FEW).div_ceil(SIZE)) {
            step.get_or_init(|| std::iter::repeat_with(T::default).take(SIZE).collect());
        }
    }
}

impl<T, const STEPS: usize, const SIZE: usize> Row<T, STEPS, SIZE> {
    /// The first `count`, all in one place: those of a long list are not those of a short one.
    #[inline]
    fn first(&self, count: u64) -> &[T] {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.few.get(..count).unwrap_or_else(|| self.many(count))
    }

    #[cold]
    #[inline(never)]
    fn many(&self, count: usize) -> &[T] {
        let step = self.more.first().and_then(OnceLock::get);
        step.and_then(|all| all.get(..count)).unwrap_or(&[])
    }

    /// One of them: the first few are always in place.
    #[inline]
    fn get(&self, index: usize) -> Option<&T> {
        if let Some(one) = self.few.get(index) { Some(one) } else { self.further(index - FEW) }
    }

    #[cold]
    #[inline(never)]
    fn further(&self, index: usize) -> Option<&T> {
        self.more.get(index / SIZE)?.get()?.get(index % SIZE)
    }

    /// Every one that [`Row::get`] has.
    fn iter(&self) -> impl Iterator<Item = &T> {
        self.few.iter().chain(self.more.iter().filter_map(OnceLock::get).flatten())
    }
}

/// Adds to a number that nobody else writes.
#[inline]
fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Relaxed).wrapping_add(more), Relaxed);
}
