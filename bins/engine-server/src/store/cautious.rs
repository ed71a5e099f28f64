//! Looking before writing: what an opening would change is held back until all there is was found sound, so
//! that a damaged file stays as it was found.

use std::io::{Error, ErrorKind};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::{BackendError, StorageBackend};

/// A file whose changes are held back at first. Clones are the same file.
#[derive(Debug, Clone)]
pub(super) struct Cautious(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    backend: Box<dyn StorageBackend>,
    /// Nothing is held back any more.
    is_released: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// In their order, with the syncs between them: the order in which a crash may cut them off.
    changes: Vec<Change>,
    /// They were not all let through: nothing that builds upon them may be.
    has_failed: bool,
}

#[derive(Debug)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
    Sync,
}

impl Cautious {
    pub(super) fn new(backend: Box<dyn StorageBackend>) -> Self {
        let (is_released, held) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { backend, is_released, held }))
    }

    /// Lets through what was held back, and what is to come.
    ///
    /// # Errors
    ///
    /// The file's own; then nothing more is let through.
    pub(super) fn release(&self) -> Result<(), Error> {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Until all of it is through.
        held.has_failed = true;
        for change in held.changes.drain(..) {
            match change {
                Change::Length(length) => self.0.backend.set_len(length)?,
                Change::Bytes(at, bytes) => self.0.backend.write(at, &bytes)?,
                Change::Sync => self.0.backend.sync_data()?,
            }
        }
        self.0.is_released.store(true, Ordering::Release);
        Ok(())
    }

    /// The file itself, or else what is held back.
    fn either<T>(
        &self,
        through: impl FnOnce(&dyn StorageBackend) -> Result<T, Error>,
        hold: impl FnOnce(&dyn StorageBackend, &mut Vec<Change>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.0.is_released.load(Ordering::Acquire) {
            return through(&*self.0.backend);
        }
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.has_failed {
            return Err(Error::other("what was to be written before could not be"));
        }
        hold(&*self.0.backend, &mut held.changes)
    }
}

fn length(backend: &dyn StorageBackend, changes: &[Change]) -> Result<u64, Error> {
    let last = changes.iter().rev().find_map(|change| match change {
        Change::Length(length) => Some(*length),
        _ => None,
    });
    last.map_or_else(|| backend.len(), Ok)
}

/// The part of `out`, which stands at `offset`, that lies in `[from, to)`.
fn overlap(out: &mut [u8], offset: u64, from: u64, to: u64) -> &mut [u8] {
    let place = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
    let (from, to) = (place(from), place(to));
    out.get_mut(from..to).unwrap_or_default()
}

/// Reads what the file would hold with the changes.
fn read(backend: &dyn StorageBackend, changes: &[Change], offset: u64, out: &mut [u8]) -> Result<(), Error> {
    let end = offset.saturating_add(out.len() as u64);
    if end > length(backend, changes)? {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    out.fill(0);
    let there = overlap(out, offset, offset, backend.len()?);
    if !there.is_empty() {
        backend.read(offset, there)?;
    }
    for change in changes {
        match change {
            Change::Length(length) => overlap(out, offset, *length, u64::MAX).fill(0),
            Change::Bytes(at, bytes) => {
                let covered = overlap(out, offset, *at, at.saturating_add(bytes.len() as u64));
                let skipped = usize::try_from(offset.saturating_sub(*at)).unwrap_or(usize::MAX);
                for (byte, new) in covered.iter_mut().zip(bytes.iter().skip(skipped)) {
                    *byte = *new;
                }
            }
            Change::Sync => {}
        }
    }
    Ok(())
}

impl StorageBackend for Cautious {
    fn len(&self) -> Result<u64, Error> {
        self.either(StorageBackend::len, |backend, changes| length(backend, changes))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        // One of them is called.
        let out = std::cell::RefCell::new(out);
        self.either(
            |backend| backend.read(offset, &mut out.borrow_mut()),
            |backend, changes| read(backend, changes, offset, &mut out.borrow_mut()),
        )
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.either(
            |backend| backend.set_len(len),
            |_, changes| {
                changes.push(Change::Length(len));
                Ok(())
            },
        )
    }

    fn sync_data(&self) -> Result<(), Error> {
        self.either(StorageBackend::sync_data, |_, changes| {
            changes.push(Change::Sync);
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.either(
            |backend| backend.write(offset, data),
            |_, changes| {
                changes.push(Change::Bytes(offset, data.to_vec()));
                Ok(())
            },
        )
    }

    fn close(&self) -> Result<(), Error> {
        self.0.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.backend.query_lock_range(start, end)
    }
}
