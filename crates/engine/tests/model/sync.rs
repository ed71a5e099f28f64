//! What `src/routing/sync.rs` is made of, by loom.

use loom::sync::{Mutex, MutexGuard};

pub(super) use loom::sync::Arc;
pub(super) use loom::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

#[derive(Debug, Default)]
pub(super) struct Right(Mutex<()>);

impl Right {
    pub(super) fn try_take(&self) -> Option<MutexGuard<'_, ()>> {
        self.0.try_lock().ok()
    }
}

#[derive(Debug)]
pub(super) struct Newest<T>(Mutex<Arc<T>>);

impl<T: Default> Default for Newest<T> {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(T::default())))
    }
}

impl<T> Newest<T> {
    pub(super) fn load(&self) -> Arc<T> {
        Arc::clone(&self.0.lock().unwrap())
    }

    pub(super) fn store(&self, value: Arc<T>) {
        *self.0.lock().unwrap() = value;
    }
}

pub(super) fn pause() {
    loom::thread::yield_now();
}
