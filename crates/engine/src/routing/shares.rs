//! Which flavour is next, so that what was served follows the weights closely, whatever they change to.
//!
//! Every flavour is owed its share of every request, in thousandths, and pays a whole request when it is
//! picked. What is owed lives on when weights change.
//!
//! # Bound
//!
//! Among `m` flavours, picking one that is owed at most `r` requests less than the most owed one, of those
//! whose weight is not 0, no flavour is ever owed, nor in advance by, more than `(1 + r) (m - 1) / 2` requests:
//! `(m - 1) / 2` without randomness (`r` = 0), `m - 1` with it (`r` = 1).
//!
//! *Proof.* Let `g(k) = (1 + r) k (m - k) / 2`, and `D(k) = g(k) - g(k - 1)`, so that `D(k) = 1 + r + D(k + 1)`.
//! What any `k` flavours are owed together never exceeds `g(k)`: it holds at the start, where all are owed
//! nothing, and for `k = m`, for what is owed sums to 0. Take one step: shares `w` are added, then `e` pays 1.
//! Let `K` be `k` flavours, `S` those of them whose weight is not 0, `j` how many these are.
//!
//! - If `e` is in `K`, at most 1 was added to them, and 1 was paid.
//! - If `S` is empty, nothing was added to them.
//! - Otherwise let `x` be what `e` was owed when it was picked, and `c = 1 + D(k + 1)`. If `x >= c`: `K` with `e`
//!   are owed at most `g(k + 1) + 1` then, so `K` at most `g(k + 1) + 1 - c = g(k)`. If `x < c`: each of `S` is owed
//!   less than `c + r = D(k)`, so `K` less than `g(k - j) + j D(k)`, which is at most `g(k)` because `D` falls.
//!
//! So one flavour is owed at most `g(1)`, and, as all sum to 0, at least `-g(m - 1) = -g(1)`. Nothing was said about
//! how weights change, and none of weight 0 is picked to pay what it is owed.
//!
//! The first lane begins with nothing owed, every other one somewhere in the cycle, as if it had picked before. What it picks since differs from the weights by
//! what is owed now less what was owed then: by `m - 1` requests without randomness, `3 (m - 1) / 2` with it.

use models::flavour::MAX_FLAVOURS;

use super::lanes::MAX_NAMES;
use super::sync::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Thousandths in a request.
pub(super) const WHOLE: i64 = 1_000;

/// One flavour as it is picked, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Share(u64);

/// Serves in place of one that could not be had.
const INSTEAD: u64 = 1 << 20;
/// Ten bits: a name, a position, a weight.
const TEN: u64 = 0x3ff;

const _: () = assert!(MAX_FLAVOURS < 1 << 10 && WHOLE < 1 << 10, "a flavour is told in ten bits");
const _: () = assert!(MAX_NAMES < 1 << 10, "a name is told in ten bits");

impl Share {
    /// What no flavour is: no weight is that large.
    pub(super) const NOBODY: Self = Self(u64::MAX);

    /// `id` says which name, of all that the handle ever knew; `position`, where the flavour stands among the
    /// schedule's; `weight`, its thousandths of traffic, [`WHOLE`] over all of them; `cost`, what a request of it costs
    /// beyond the target, in ppm, 0 where nothing is checked.
    pub(super) fn new(id: u16, position: u16, weight: u16, cost: u32) -> Self {
        let ten = |number: u16| u64::from(number) & TEN;
        Self(
            ten(id) << 54
                | ten(position) << 44
                | ten(weight.min(1_000)) << 24
                | u64::from(cost.min(1_000_000)),
        )
    }

    pub(super) fn packed(self) -> u64 {
        self.0
    }

    pub(super) fn unpacked(word: u64) -> Self {
        Self(word)
    }

    /// The same, in another one's place: it costs nothing.
    pub(super) fn instead(self) -> Self {
        Self((self.0 - self.cost()) | INSTEAD)
    }

    pub(super) fn id(self) -> usize {
        (self.0 >> 54) as usize
    }

    pub(super) fn position(self) -> usize {
        (self.0 >> 44 & TEN) as usize
    }

    #[inline]
    pub(super) fn weight(self) -> u64 {
        self.0 >> 24 & TEN
    }

    #[inline]
    pub(super) fn cost(self) -> u64 {
        self.0 & (INSTEAD - 1)
    }

    pub(super) fn is_instead(self) -> bool {
        self.0 & INSTEAD > 0
    }
}

/// A flavour and what it is owed, as one thread keeps it. Whoever writes is alone, so nothing here is ordered.
#[derive(Debug, Default)]
pub(super) struct Cell {
    owed: AtomicI64,
    share: AtomicU64,
}

impl Cell {
    #[inline]
    pub(super) fn share(&self) -> Share {
        Share(self.share.load(Relaxed))
    }

    pub(super) fn set(&self, share: Share, owed: i64) {
        self.share.store(share.0, Relaxed);
        self.owe(owed);
    }

    #[inline]
    pub(super) fn owed(&self) -> i64 {
        self.owed.load(Relaxed)
    }

    #[inline]
    fn owe(&self, thousandths: i64) {
        self.owed.store(thousandths, Relaxed);
    }

    /// Owes it its share of one more request. Answers what it is owed by now.
    #[inline]
    fn accrue(&self) -> i64 {
        let owed = self.owed() + self.share().weight().cast_signed();
        self.owe(owed);
        owed
    }
}

/// Books one request and answers which of the flavours is to serve it: the one that is owed most. Every weight is
/// above 0, and there is one at least.
#[inline]
pub(super) fn next(cells: &[Cell]) -> Option<&Cell> {
    let (first, others) = cells.split_first()?;
    if others.is_empty() {
        // What it is owed, it pays.
        return Some(first);
    }
    let (mut chosen, mut most) = (first, first.accrue());
    for cell in others {
        let owed = cell.accrue();
        (chosen, most) = if owed > most { (cell, owed) } else { (chosen, most) };
    }
    chosen.owe(most - WHOLE);
    Some(chosen)
}

/// How many requests a lane is ahead of the first one when it begins: the fractions of the golden ratio's multiples
/// lie as far apart as so many points can, whatever their number.
pub(super) fn phase(lane: u64) -> u64 {
    lane.wrapping_mul(618_034) % 1_000_000 * WHOLE.unsigned_abs() / 1_000_000
}

/// As [`next`], but one that is owed at most a request less than the one that is owed most, by chance in proportion
/// to the weights.
pub(super) fn by_chance(cells: &[Cell], random: u64) -> Option<&Cell> {
    let most = cells.iter().map(Cell::accrue).max()?;
    let weight = |cell: &Cell| if most - cell.owed() <= WHOLE { cell.share().weight() } else { 0 };
    let chosen = cells.get(at(cells.iter().map(weight), random))?;
    chosen.owe(chosen.owed() - WHOLE);
    Some(chosen)
}

/// Which of the flavours, the most precise first, the owner of a key is served by: as precise as before or more,
/// where the weights of more precise ones rose.
pub(super) fn of_key(cells: &[Cell], hash: u64) -> Option<&Cell> {
    cells.get(at(cells.iter().map(|cell| cell.share().weight()), hash))
}

/// Which weight `random` falls on, its whole range spread over all of them.
fn at(weights: impl Iterator<Item = u64> + Clone, random: u64) -> usize {
    let all: u64 = weights.clone().sum();
    let mut point = u64::try_from((u128::from(random) * u128::from(all)) >> 64).unwrap_or(0);
    let mut last = 0;
    for (index, weight) in weights.enumerate() {
        if weight == 0 {
            continue;
        }
        if point < weight {
            return index;
        }
        point -= weight;
        last = index;
    }
    last
}
