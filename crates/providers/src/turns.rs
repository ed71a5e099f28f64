//! One at a time: whoever comes while somebody is at it waits for the outcome instead of doing it again.

use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What one job at a time may do. Apart from whatever lock guards its outcome, so that nobody who reads that
/// waits here.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    taken: Mutex<bool>,
    free: Condvar,
}

/// The right to do it, until dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t>(&'t Turns);

impl Turns {
    /// The next turn; `None` where it was not free within `patience`.
    pub(crate) fn take(&self, patience: Duration) -> Option<Turn<'_>> {
        let waited = self.free.wait_timeout_while(self.taken(), patience, |taken| *taken);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken {
            return None;
        }
        *taken = true;
        Some(Turn(self))
    }

    // Every change is whole: the lock's poison says nothing.
    fn taken(&self) -> MutexGuard<'_, bool> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken() = false;
        // All of them: one whose patience is just over would lose the word for the others.
        self.0.free.notify_all();
    }
}
