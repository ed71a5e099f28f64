//! What the lanes are built of. The model in `tests/model` puts loom's in its place, to try the interleavings.

use arc_swap::ArcSwap;
use spin::mutex::{SpinMutex, SpinMutexGuard};

pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

/// A right that one thread has at a time, and none waits for.
#[derive(Debug, Default)]
pub(super) struct Right(SpinMutex<()>);

impl Right {
    /// The right, if nobody has it at this moment.
    pub(super) fn try_take(&self) -> Option<SpinMutexGuard<'_, ()>> {
        self.0.try_lock()
    }
}

/// A value that is replaced as a whole.
#[derive(Debug, Default)]
pub(super) struct Newest<T>(ArcSwap<T>);

impl<T> Newest<T> {
    pub(super) fn load(&self) -> Arc<T> {
        self.0.load_full()
    }

    pub(super) fn store(&self, value: Arc<T>) {
        self.0.store(value);
    }
}

/// Lets others go on.
pub(super) fn pause() {
    std::thread::yield_now();
}
