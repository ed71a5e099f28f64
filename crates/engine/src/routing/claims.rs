//! Who owns which of a few things, one owner at a time.

use super::sync::{AtomicU64, Ordering};

/// A bit for each thing that somebody owns; at most 64.
#[derive(Debug)]
pub(super) struct Claims(pub(super) AtomicU64);

impl Claims {
    /// The first of `count` things that nobody owns, which is the caller's from now on.
    pub(super) fn claim(&self, count: usize) -> Option<usize> {
        let free = |owned: u64| owned.trailing_ones() as usize;
        let next = |owned: u64| (free(owned) < count).then(|| owned | (owned + 1));
        // What the last owner did to it is seen by this one.
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, next).ok().map(free)
    }

    /// It is nobody's any more.
    pub(super) fn give_up(&self, thing: usize) {
        self.0.fetch_and(!(1 << thing), Ordering::Release);
    }
}
