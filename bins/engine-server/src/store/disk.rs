//! What lasts, in one file: bases, and every record after them ([the layout](super::layout)). The file is checked
//! in full whenever it is opened.

use std::fs::{self, File};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use engine::journal::{BaseParts, Changes, Input, Kept, Outcome, Store, StoreError};
use models::Timestamp;
use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, WriteTransaction};

use super::Keep;
use super::cautious::Cautious;
use super::errors::{guarded, io, of_commit, of_database, of_storage, of_table, of_transaction};
use super::layout::{BASES, COMMITS, PARTS, PUBLISHED, begin, migrate};
use super::retention::{Base, Retention};
use super::rows::{self, PARTS_IN_ROW, Row, pack, write_published, write_records};

/// Pages kept in memory: what is served comes from elsewhere.
const CACHE: usize = 32 << 20;
/// Most rows that one commit forgets, so that none takes long.
const FORGOTTEN_AT_ONCE: usize = 1_024;
/// Rows that are unpacked before they are wanted.
const ROWS_AHEAD: usize = 4;

/// Opens the file, or what stands for it in a test.
pub(crate) type Open = Box<dyn Fn() -> Result<Box<dyn StorageBackend>, StoreError> + Send>;

/// The file.
pub(crate) struct Disk {
    open: Open,
    /// None after a failure: what was read from then on would be of no use.
    database: Option<Database>,
    retention: Retention,
    /// The bases there are by their numbers, oldest first; the last one may be unfinished.
    bases: Vec<(u64, Base)>,
    /// Bases of which parts may be left.
    garbage: Vec<u64>,
}

impl Disk {
    /// The store in that file; made where there is none.
    pub(crate) fn at(path: &Path, retention: Retention) -> Result<Self, StoreError> {
        if !path.exists() {
            make(path)?;
        }
        let path = path.to_owned();
        let open = move || {
            let file = File::options().read(true).write(true).open(&path).map_err(io)?;
            if file.metadata().map_err(io)?.len() == 0 {
                // The library would begin a new one in it.
                return Err(StoreError::Damaged("the file is empty".into()));
            }
            Ok(Box::new(FileBackend::new(file).map_err(of_database)?) as Box<dyn StorageBackend>)
        };
        Self::open(Box::new(open), retention)
    }

    /// The store that `open` opens.
    pub(crate) fn open(open: Open, retention: Retention) -> Result<Self, StoreError> {
        let mut disk = Self { open, database: None, retention, bases: Vec::new(), garbage: Vec::new() };
        disk.reopen(None)?;
        Ok(disk)
    }

    /// Opens the file anew, checks all of it, and reads which bases there are. Records from number `until` on
    /// are forgotten.
    fn reopen(&mut self, until: Option<u64>) -> Result<(), StoreError> {
        self.database = None;
        let (database, bases, garbage) = guarded(|| {
            let mut builder = Builder::new();
            // Without the check single flipped bits are read back as if nothing were wrong.
            builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
            let file = Cautious::new((self.open)()?);
            let database = builder.create_with_backend(file.clone()).map_err(of_database)?;
            let write = database.begin_write().map_err(of_transaction)?;
            let mut found = begin(&write)?;
            if let Some(until) = until {
                let mut commits = write.open_table(COMMITS).map_err(of_table)?;
                commits.retain_in((until, PUBLISHED).., |_, _| false).map_err(of_storage)?;
                rows::shorten(&mut commits, until)?;
            }
            write.commit().map_err(of_commit)?;
            let garbage = garbage(&database, &found.bases)?;
            file.release().map_err(io)?;
            migrate(&database, &found)?;
            if let Some((_, newest)) = found.bases.last_mut() {
                newest.records = bytes_after(&database, newest.before)?;
            }
            let bases = found.bases;
            Ok((database, bases, garbage))
        })?;
        (self.database, self.bases, self.garbage) = (Some(database), bases, garbage);
        Ok(())
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Io("it failed before and is not healed yet".into()))
    }

    fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let write = self.database()?.begin_write().map_err(of_transaction)?;
        let (mut bases, mut garbage) = (self.bases.clone(), self.garbage.clone());
        if let Some(BaseParts { before, at, first: 0, .. }) = &changes.base {
            let given_up = bases.extract_if(.., |(_, base)| !base.is_whole).map(|(number, _)| number);
            garbage.extend(given_up);
            let numbers = bases.iter().map(|(number, _)| *number).chain(garbage.iter().copied());
            let number = numbers.max().map_or(0, |number| number.saturating_add(1));
            bases.push((
                number,
                Base { before: *before, at: *at, is_whole: false, parts: 0, records: 0, has_gap: false },
            ));
        }
        let bytes = {
            let mut commits = write.open_table(COMMITS).map_err(of_table)?;
            let first = changes.records.first().map(|(first, _)| *first);
            write_records(&mut commits, &changes.records)?
                + write_published(&mut commits, first, &changes.outcomes)?
        };
        // They follow the newest whole base, and the unfinished one.
        let following = bases.iter().rposition(|(_, base)| base.is_whole).unwrap_or(0);
        let has_gap = changes.records.iter().any(|(_, record)| matches!(record.input, Input::Unrecorded));
        for (_, base) in bases.iter_mut().skip(following) {
            base.records += bytes;
            base.has_gap |= has_gap;
        }
        if let Some(BaseParts { first, parts, is_last, .. }) = &changes.base {
            let Some((number, base)) = bases.last_mut().filter(|(_, base)| !base.is_whole) else {
                return Err(StoreError::Io("parts of a base that was not begun".into()));
            };
            let mut table = write.open_table(PARTS).map_err(of_table)?;
            for (place, row) in (*first..).step_by(PARTS_IN_ROW).zip(parts.chunks(PARTS_IN_ROW)) {
                let packed = lz4_flex::compress_prepend_size(&pack(&row)?);
                base.parts += packed.len() as u64;
                table.insert((*number, place), packed.as_slice()).map_err(of_storage)?;
            }
            if *is_last {
                base.is_whole = true;
                if let [.., (_, previous), (_, newest)] = bases.as_mut_slice() {
                    previous.records = previous.records.saturating_sub(newest.records);
                }
                garbage.extend(self.retention.retire(&mut bases));
            }
        }
        if changes.base.is_some() || has_gap {
            let mut table = write.open_table(BASES).map_err(of_table)?;
            table.retain(|_, _| false).map_err(of_storage)?;
            for (number, base) in &bases {
                table.insert(number, pack(base)?.as_slice()).map_err(of_storage)?;
            }
        }
        forget(&write, &mut garbage, &bases)?;
        write.commit().map_err(of_commit)?;
        (self.bases, self.garbage) = (bases, garbage);
        Ok(())
    }

    /// Hands out a base and what follows: the newest whole one, or the newest that was made by `at`; of what
    /// follows also what was published.
    pub(crate) fn read(
        &self,
        at: Option<Timestamp>,
        take: &mut dyn FnMut(Kept) -> Result<(), StoreError>,
        published: &mut dyn FnMut(u64, Vec<Outcome>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some((base, Base { before, .. })) = self.chosen(at) else { return Ok(()) };
        let read = self.database()?.begin_read().map_err(of_transaction)?;
        let (sender, receiver) = sync_channel(ROWS_AHEAD);
        // Reading and unpacking take about as long as what is done with it: each in a thread of its own.
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let sender = sender;
                let put = |row| sender.send(Ok(row)).map_err(|_| StoreError::Io("nobody listens".into()));
                if let Err(problem) = rows::read(&read, *base, *before, &put) {
                    // Whoever stopped listening has an error of its own.
                    let _ = sender.send(Err(problem));
                }
            });
            for row in &receiver {
                match row? {
                    Row::Parts(parts) => {
                        parts.into_iter().try_for_each(|part| take(Kept::Part(*before, part)))?;
                    }
                    Row::Records(records) => {
                        for (number, outcomes, record) in records {
                            if let Some(outcomes) = outcomes {
                                published(number, outcomes)?;
                            }
                            take(Kept::Record(number, Box::new(record)))?;
                        }
                    }
                }
            }
            Ok(())
        })
    }

    /// When the base was begun that [`Disk::read`] hands out.
    pub(crate) fn begins(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        self.chosen(at).map(|(_, base)| base.at)
    }

    /// The newest whole base, or the newest that was made by `at`; the oldest where none is as old.
    fn chosen(&self, at: Option<Timestamp>) -> Option<&(u64, Base)> {
        let whole = || self.bases.iter().filter(|(_, base)| base.is_whole);
        match at {
            None => whole().next_back(),
            Some(at) => whole().rfind(|(_, base)| base.at <= at).or_else(|| whole().next()),
        }
    }

    /// The first instant that a replay can begin with.
    pub(crate) fn replay_from(&self) -> Option<Timestamp> {
        self.bases.iter().find(|(_, base)| base.is_whole).map(|(_, base)| base.at)
    }
}

impl Keep for Disk {
    fn behind(&self) -> u64 {
        self.bases.iter().rfind(|(_, base)| base.is_whole).map_or(0, |(_, base)| base.records)
    }
}

impl Store for Disk {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let written = guarded(|| self.write(changes));
        if written.is_err() {
            self.database = None;
        }
        written
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        self.reopen(Some(from))
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.read(None, take, &mut |_, _| Ok(()))
    }
}

/// Makes an empty store under another name first: half of one is never found under its own.
fn make(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(io)?;
    // Two processes may begin at once.
    folder.lock().map_err(io)?;
    if path.exists() {
        return Ok(());
    }
    let new = path.with_extension("new");
    if new.exists() {
        fs::remove_file(&new).map_err(io)?;
    }
    let made = guarded(|| {
        let database = Builder::new().create(&new).map_err(of_database)?;
        let write = database.begin_write().map_err(of_transaction)?;
        begin(&write)?;
        write.commit().map_err(of_commit)
    });
    if let Err(problem) = made {
        let _ = fs::remove_file(&new);
        return Err(problem);
    }
    fs::rename(&new, path).map_err(io)?;
    folder.sync_all().map_err(io)
}

/// Bytes of the records from that number on, and of what they published.
fn bytes_after(database: &Database, from: u64) -> Result<u64, StoreError> {
    let read = database.begin_read().map_err(of_transaction)?;
    let commits = read.open_table(COMMITS).map_err(of_table)?;
    let rows = commits.range((from, PUBLISHED)..).map_err(of_storage)?;
    rows.map(|row| Ok(row.map_err(of_storage)?.1.value().len() as u64)).sum()
}

/// Bases of which parts are left although nobody knows them any more.
fn garbage(database: &Database, bases: &[(u64, Base)]) -> Result<Vec<u64>, StoreError> {
    let read = database.begin_read().map_err(of_transaction)?;
    let parts = read.open_table(PARTS).map_err(of_table)?;
    let (mut garbage, mut from) = (Vec::new(), 0);
    while let Some(row) = parts.range((from, 0)..).map_err(of_storage)?.next() {
        let (number, _) = row.map_err(of_storage)?.0.value();
        if bases.iter().all(|(known, _)| *known != number) {
            garbage.push(number);
        }
        let Some(next) = number.checked_add(1) else { break };
        from = next;
    }
    Ok(garbage)
}

/// Forgets some of what nobody needs: parts of retired bases, and records before the oldest whole one.
fn forget(write: &WriteTransaction, garbage: &mut Vec<u64>, bases: &[(u64, Base)]) -> Result<(), StoreError> {
    let mut room = FORGOTTEN_AT_ONCE;
    if let Some(retired) = garbage.last().copied() {
        let mut parts = write.open_table(PARTS).map_err(of_table)?;
        let rows =
            parts.extract_from_if((retired, 0)..=(retired, u64::MAX), |_, _| true).map_err(of_storage)?;
        let mut removed = 0;
        for row in rows.take(room) {
            row.map_err(of_storage)?;
            removed += 1;
        }
        if removed < room {
            garbage.pop();
        }
        room -= removed;
    }
    let oldest = bases.iter().map(|(_, base)| base).find(|base| base.is_whole).filter(|_| room > 0);
    let Some(Base { before: oldest, .. }) = oldest else { return Ok(()) };
    let mut commits = write.open_table(COMMITS).map_err(of_table)?;
    let first = commits.first().map_err(of_storage)?.map(|(key, _)| key.value());
    if first.is_none_or(|first| first >= (*oldest, PUBLISHED)) {
        return Ok(());
    }
    for row in commits.extract_from_if(..(*oldest, PUBLISHED), |_, _| true).map_err(of_storage)?.take(room) {
        row.map_err(of_storage)?;
    }
    Ok(())
}
