//! Which lane a thread has.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::claims::Claims;
use super::lanes::{COMMON, OWN};
use super::sync::AtomicU64;

/// This thread has not asked yet.
const UNKNOWN: usize = usize::MAX;

static CLAIMS: Claims = Claims(AtomicU64::new(0));

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static OWNED: Owned = Owned(CLAIMS.claim(OWN));
}

/// The lane of this thread, the same of every schedule: one of its own below [`OWN`], for as long as it lives, or,
/// where that many threads have one, one of those after it.
#[inline]
pub(super) fn lane() -> usize {
    let lane = LANE.get();
    if lane == UNKNOWN { first_time() } else { lane }
}

#[cold]
#[inline(never)]
fn first_time() -> usize {
    // A thread that is ending, its claim given up already, shares.
    let lane = OWNED.try_with(|owned| owned.0).ok().flatten().unwrap_or_else(shared);
    LANE.set(lane);
    lane
}

fn shared() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    OWN + NEXT.fetch_add(1, Ordering::Relaxed) % COMMON
}

/// A lane that no other thread has, if any was free.
struct Owned(Option<usize>);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(own) = self.0 {
            LANE.set(shared());
            CLAIMS.give_up(own);
        }
    }
}
