//! A disk that does what disks do: it forgets what was not synced, tears it, runs full, and fails.

use std::io::{Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::disk::Open;

/// What is on it. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Medium(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    /// What survives a power cut.
    durable: Vec<u8>,
    /// What is read: all that was written.
    written: Vec<u8>,
    /// What was written since the last sync.
    unsynced: Vec<Unsynced>,
    /// Goes wrong after so many changes, and from then on until it is mended.
    fault: Option<(u64, Fault)>,
    /// Counts power cuts: whoever had it open before one has nothing any more.
    cuts: u64,
}

#[derive(Debug, Clone)]
enum Unsynced {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It takes no more bytes than it has.
    Full,
    /// Writes fail.
    Writes,
    /// Syncs fail; what they were to sync may be durable or not.
    Syncs,
}

/// A disk that does not answer until this is dropped.
pub(super) struct Hung<'a>(#[expect(dead_code, reason = "held, not looked at")] MutexGuard<'a, Contents>);

/// A disk that is open.
#[derive(Debug)]
struct Handle {
    medium: Medium,
    cuts: u64,
}

impl Medium {
    /// One that holds these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let contents = Contents { durable: bytes.to_vec(), written: bytes.to_vec(), ..Contents::default() };
        Self(Arc::new(Mutex::new(contents)))
    }

    /// What is read from it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.with(|contents| contents.written.clone())
    }

    /// Opens it as a store's file.
    pub(super) fn opener(&self) -> Open {
        let medium = self.clone();
        Box::new(move || {
            let cuts = medium.with(|contents| contents.cuts);
            Ok(Box::new(Handle { medium: medium.clone(), cuts }))
        })
    }

    /// From so many changes on it is faulty.
    pub(super) fn fail_after(&self, changes: u64, fault: Fault) {
        self.with(|contents| contents.fault = Some((changes, fault)));
    }

    /// It is as good as new, but for what it holds.
    pub(super) fn mend(&self) {
        self.with(|contents| contents.fault = None);
    }

    /// The power is cut. Of what was not synced each change is there, or is not, or is there in part, as the
    /// dice have it.
    pub(super) fn cut_power(&self, mut dice: impl FnMut(usize) -> usize) {
        self.with(|contents| {
            for change in std::mem::take(&mut contents.unsynced) {
                match (change, dice(3)) {
                    (_, 0) => {}
                    (Unsynced::Bytes(at, bytes), 1) => {
                        let from = dice(bytes.len().max(1));
                        let to = from + dice(bytes.len() - from + 1);
                        if to > from {
                            Unsynced::Bytes(at + from, bytes[from..to].to_vec()).apply(&mut contents.durable);
                        }
                    }
                    (change, _) => change.apply(&mut contents.durable),
                }
            }
            contents.written = contents.durable.clone();
            contents.fault = None;
            contents.cuts += 1;
        });
    }

    /// It does not answer, as long as what this gives is held.
    pub(super) fn hang(&self) -> Hung<'_> {
        Hung(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Contents) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Unsynced {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Length(length) => to.resize(*length, 0),
            Self::Bytes(at, bytes) => {
                // A write may last where the growth before it did not: then the file has grown all the same.
                to.resize(to.len().max(at + bytes.len()), 0);
                to[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Contents {
    /// Which fault a change meets.
    fn fault(&mut self) -> Option<Fault> {
        let (left, fault) = self.fault.as_mut()?;
        *left = left.saturating_sub(1);
        (*left == 0).then_some(*fault)
    }

    fn change(&mut self, change: Unsynced) {
        change.apply(&mut self.written);
        self.unsynced.push(change);
    }
}

impl Handle {
    fn with<T>(&self, act: impl FnOnce(&mut Contents) -> std::io::Result<T>) -> std::io::Result<T> {
        self.medium.with(|contents| {
            if contents.cuts == self.cuts { act(contents) } else { Err(Error::other("the power was cut")) }
        })
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> std::io::Result<u64> {
        self.with(|contents| Ok(contents.written.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.with(|contents| {
            let from = usize::try_from(offset).unwrap();
            let bytes = from.checked_add(out.len()).and_then(|to| contents.written.get(from..to));
            out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.with(|contents| {
            let length = usize::try_from(len).unwrap();
            match contents.fault() {
                Some(Fault::Writes) => Err(Error::other("a write failed")),
                Some(Fault::Full) if length > contents.written.len() => Err(ErrorKind::StorageFull.into()),
                _ => {
                    contents.change(Unsynced::Length(length));
                    Ok(())
                }
            }
        })
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.with(|contents| {
            if contents.fault() == Some(Fault::Syncs) {
                return Err(Error::other("a sync failed"));
            }
            for change in std::mem::take(&mut contents.unsynced) {
                change.apply(&mut contents.durable);
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.with(|contents| {
            let at = usize::try_from(offset).unwrap();
            match contents.fault() {
                // Space that a file seems to have may not be there.
                Some(Fault::Writes | Fault::Full) => Err(ErrorKind::StorageFull.into()),
                _ => {
                    contents.change(Unsynced::Bytes(at, data.to_vec()));
                    Ok(())
                }
            }
        })
    }
}
