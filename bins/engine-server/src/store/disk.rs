//! What lasts, in one file: bases, and every record after them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format` | number of this layout |
//! | `bases` | number of the first record after it | when it was made, whether it is whole |
//! | `parts` | base, place of the first | some parts of that base, compressed by LZ4 |
//! | `records` | number | what came in |
//! | `outcomes` | number | what that record published |
//!
//! Numbers go up by one from record to record. Values are MessagePack with fields by name. The file is checked in full whenever it is opened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use engine::Part;
use engine::journal::{BaseParts, Changes, Kept, Outcome, Record, Store, StoreError};
use jiff::SignedDuration;
use models::Timestamp;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError,
    TableDefinition, TableError, WriteTransaction,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The layout that this version writes.
const FORMAT: u64 = 1;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const BASES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bases");
const PARTS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("parts");
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
const OUTCOMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outcomes");
/// Pages kept in memory: what is served comes from elsewhere.
const CACHE: usize = 32 << 20;
/// Most rows that one commit forgets, so that none takes long.
const FORGOTTEN_AT_ONCE: usize = 4_096;
/// Parts in one row: what they have in common is written once.
const PARTS_IN_ROW: usize = 256;
/// Most bytes that a row is unpacked to: far more than so many parts have.
const MAX_ROW: usize = 256 << 20;
/// Bases that are kept for a replay lie this far apart.
const BASES_APART: SignedDuration = SignedDuration::from_hours(12);

/// How much is kept beyond what a restart needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How far back a replay can begin.
    pub(crate) reach: SignedDuration,
    /// Most bytes of bases and records that only a replay needs.
    pub(crate) bytes: u64,
}

/// Opens the file, or what stands for it in a test.
pub(crate) type Open = Box<dyn Fn(&Builder) -> Result<Database, DatabaseError> + Send>;

/// The file.
pub(crate) struct Disk {
    open: Open,
    /// None after a failure: what was read from then on would be of no use.
    database: Option<Database>,
    retention: Retention,
    /// The bases there are, oldest first.
    bases: Vec<(u64, Base)>,
    /// Bytes of the base that is being written, and of the records after the newest base.
    writing: u64,
    behind: u64,
    /// Bases of which parts may be left.
    garbage: Vec<u64>,
}

/// What is to be known of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    at: Timestamp,
    is_whole: bool,
    /// Bytes of its parts, and of the records between it and the next one.
    bytes: u64,
}

impl Disk {
    /// The store in that file; made where there is none.
    pub(crate) fn at(path: &Path, retention: Retention) -> Result<Self, StoreError> {
        let is_new = !path.exists();
        let file = path.to_owned();
        let disk = Self::open(Box::new(move |builder| builder.create(&file)), retention)?;
        if is_new && let Some(folder) = path.parent() {
            // The file's name is to last, too.
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        }
        Ok(disk)
    }

    /// The store that `open` opens.
    pub(crate) fn open(open: Open, retention: Retention) -> Result<Self, StoreError> {
        let mut disk = Self {
            open,
            database: None,
            retention,
            bases: Vec::new(),
            writing: 0,
            behind: 0,
            garbage: Vec::new(),
        };
        disk.reopen()?;
        Ok(disk)
    }

    /// Opens the file anew, checks all of it, and reads which bases there are.
    fn reopen(&mut self) -> Result<(), StoreError> {
        self.database = None;
        let open = || {
            let mut builder = Builder::new();
            builder.set_cache_size(CACHE);
            let mut database = (self.open)(&builder).map_err(of_database)?;
            // Without it single flipped bits are read back as if nothing were wrong.
            if !database.check_integrity().map_err(of_database)? {
                tracing::info!(target: "engine_server::store", "the last stop was no clean one: repaired");
            }
            Ok(database)
        };
        // Damage can make the library stumble; that is damage too.
        let database = catch_unwind(AssertUnwindSafe(open))
            .unwrap_or_else(|_| Err(StoreError::Damaged("it cannot be read at all".into())))?;
        let write = database.begin_write().map_err(io)?;
        self.bases = catch_unwind(AssertUnwindSafe(|| begin(&write)))
            .unwrap_or_else(|_| Err(StoreError::Damaged("its tables cannot be read".into())))?;
        write.commit().map_err(io)?;
        self.garbage = garbage(&database, &self.bases)?;
        self.database = Some(database);
        Ok(())
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Io("it failed before and is not healed yet".into()))
    }

    fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let write = self.database()?.begin_write().map_err(io)?;
        let (mut bases, mut writing, mut behind) = (self.bases.clone(), self.writing, self.behind);
        let mut garbage = self.garbage.clone();
        {
            let mut table = write.open_table(RECORDS).map_err(of_table)?;
            for (number, record) in &changes.records {
                let packed = pack(record)?;
                behind += packed.len() as u64;
                table.insert(number, packed.as_slice()).map_err(of_storage)?;
            }
        }
        if !changes.outcomes.is_empty() {
            let mut table = write.open_table(OUTCOMES).map_err(of_table)?;
            for (number, outcomes) in &changes.outcomes {
                let packed = pack(outcomes)?;
                behind += packed.len() as u64;
                table.insert(number, packed.as_slice()).map_err(of_storage)?;
            }
        }
        if let Some(BaseParts { before, at, first, parts, is_last }) = &changes.base {
            if *first == 0 {
                writing = 0;
                let given_up = bases.extract_if(.., |(_, base)| !base.is_whole).map(|(before, _)| before);
                garbage.extend(given_up.filter(|given_up| given_up != before));
                bases.push((*before, Base { at: *at, is_whole: false, bytes: 0 }));
                // What an earlier attempt with the same number left.
                let mut table = write.open_table(PARTS).map_err(of_table)?;
                table.retain_in((*before, 0)..=(*before, u64::MAX), |_, _| false).map_err(of_storage)?;
            }
            let mut table = write.open_table(PARTS).map_err(of_table)?;
            for (place, row) in (*first..).step_by(PARTS_IN_ROW).zip(parts.chunks(PARTS_IN_ROW)) {
                let packed = lz4_flex::compress_prepend_size(&pack(&row)?);
                writing += packed.len() as u64;
                table.insert((*before, place), packed.as_slice()).map_err(of_storage)?;
            }
            if *is_last {
                if let [.., (_, previous), (_, newest)] = bases.as_mut_slice() {
                    previous.bytes += behind;
                    newest.bytes = writing;
                } else if let Some((_, newest)) = bases.last_mut() {
                    newest.bytes = writing;
                }
                behind = 0;
                if let Some((_, newest)) = bases.last_mut() {
                    newest.is_whole = true;
                }
                garbage.extend(self.retention.retire(&mut bases));
            }
            let mut table = write.open_table(BASES).map_err(of_table)?;
            table.retain(|_, _| false).map_err(of_storage)?;
            for (before, base) in &bases {
                table.insert(before, pack(base)?.as_slice()).map_err(of_storage)?;
            }
        }
        forget(&write, &mut garbage, &bases)?;
        write.commit().map_err(io)?;
        (self.bases, self.writing, self.behind, self.garbage) = (bases, writing, behind, garbage);
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
        let whole = || self.bases.iter().filter(|(_, base)| base.is_whole);
        let chosen = match at {
            None => whole().next_back(),
            Some(at) => whole().rfind(|(_, base)| base.at <= at).or_else(|| whole().next()),
        };
        let Some((before, _)) = chosen else { return Ok(()) };
        let read = self.database()?.begin_read().map_err(io)?;
        let parts = read.open_table(PARTS).map_err(of_table)?;
        for row in parts.range((*before, 0)..=(*before, u64::MAX)).map_err(of_storage)? {
            let (_, packed) = row.map_err(of_storage)?;
            for part in unpack::<Vec<Part>>(&inflate(packed.value())?, "a part of the state")? {
                take(Kept::Part(*before, part))?;
            }
        }
        let records = read.open_table(RECORDS).map_err(of_table)?;
        let outcomes = read.open_table(OUTCOMES).map_err(of_table)?;
        for row in records.range(*before..).map_err(of_storage)? {
            let (number, packed) = row.map_err(of_storage)?;
            let number = number.value();
            if let Some(packed) = outcomes.get(number).map_err(of_storage)? {
                published(number, unpack(packed.value(), "what a record published")?)?;
            }
            take(Kept::Record(number, Box::new(unpack::<Record>(packed.value(), "a record")?)))?;
        }
        Ok(())
    }

    /// The first instant that a replay can begin with.
    pub(crate) fn replay_from(&self) -> Option<Timestamp> {
        self.bases.iter().find(|(_, base)| base.is_whole).map(|(_, base)| base.at)
    }

    /// Bytes of the records since the newest base.
    pub(crate) fn behind(&self) -> u64 {
        self.behind
    }
}

impl Store for Disk {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let written = self.write(changes);
        if written.is_err() {
            self.database = None;
        }
        written
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        self.reopen()?;
        let healed = (|| {
            let write = self.database()?.begin_write().map_err(io)?;
            let mut records = write.open_table(RECORDS).map_err(of_table)?;
            records.retain_in(from.., |_, _| false).map_err(of_storage)?;
            drop(records);
            let mut outcomes = write.open_table(OUTCOMES).map_err(of_table)?;
            outcomes.retain_in(from.., |_, _| false).map_err(of_storage)?;
            drop(outcomes);
            write.commit().map_err(io)
        })();
        if healed.is_err() {
            self.database = None;
        }
        healed
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.read(None, take, &mut |_, _| Ok(()))
    }
}

impl Retention {
    /// Takes out the bases that nobody needs: not the newest, and too old, too close to the one before, or too
    /// much. Answers which.
    fn retire(self, bases: &mut Vec<(u64, Base)>) -> Vec<u64> {
        let Some((newest, at)) = bases.last().map(|(before, base)| (*before, base.at)) else {
            return Vec::new();
        };
        let mut retired = Vec::new();
        let mut previous: Option<Timestamp> = None;
        bases.retain(|(before, base)| {
            let is_close =
                previous.is_some_and(|previous| base.at.duration_since(previous).abs() < BASES_APART);
            let is_old = at.duration_since(base.at) > self.reach + BASES_APART;
            let stays = *before == newest || !(is_close || is_old);
            if stays {
                previous = Some(base.at);
            } else {
                retired.push(*before);
            }
            stays
        });
        while bases.len() > 1 && bases.iter().map(|(_, base)| base.bytes).sum::<u64>() > self.bytes {
            retired.push(bases.remove(0).0);
        }
        retired
    }
}

/// Makes the tables where there are none, checks the layout's number, and answers the bases.
fn begin(write: &WriteTransaction) -> Result<Vec<(u64, Base)>, StoreError> {
    let mut meta = write.open_table(META).map_err(of_table)?;
    let found = meta.get("format").map_err(of_storage)?.map(|found| found.value());
    match found {
        Some(FORMAT) => {}
        Some(found) => return Err(StoreError::Version { found, expected: "1" }),
        None => drop(meta.insert("format", FORMAT).map_err(of_storage)?),
    }
    write.open_table(RECORDS).map_err(of_table)?;
    write.open_table(OUTCOMES).map_err(of_table)?;
    write.open_table(PARTS).map_err(of_table)?;
    let table = write.open_table(BASES).map_err(of_table)?;
    let mut bases = Vec::new();
    for row in table.iter().map_err(of_storage)? {
        let (before, packed) = row.map_err(of_storage)?;
        bases.push((before.value(), unpack::<Base>(packed.value(), "a base")?));
    }
    Ok(bases)
}

/// Bases of which parts are left although nobody knows them any more.
fn garbage(database: &Database, bases: &[(u64, Base)]) -> Result<Vec<u64>, StoreError> {
    let read = database.begin_read().map_err(io)?;
    let parts = read.open_table(PARTS).map_err(of_table)?;
    let (mut garbage, mut from) = (Vec::new(), 0);
    while let Some(row) = parts.range((from, 0)..).map_err(of_storage)?.next() {
        let before = row.map_err(of_storage)?.0.value().0;
        if bases.iter().all(|(known, _)| *known != before) {
            garbage.push(before);
        }
        let Some(next) = before.checked_add(1) else { break };
        from = next;
    }
    Ok(garbage)
}

/// Forgets some of what nobody needs: parts of retired bases, and records before the oldest base.
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
    let Some((oldest, _)) = bases.first().filter(|_| room > 0) else { return Ok(()) };
    let mut records = write.open_table(RECORDS).map_err(of_table)?;
    let first = records.first().map_err(of_storage)?.map(|(number, _)| number.value());
    if first.is_none_or(|first| first >= *oldest) {
        return Ok(());
    }
    for row in records.extract_from_if(..*oldest, |_, _| true).map_err(of_storage)?.take(room) {
        row.map_err(of_storage)?;
    }
    let mut outcomes = write.open_table(OUTCOMES).map_err(of_table)?;
    for row in outcomes.extract_from_if(..*oldest, |_, _| true).map_err(of_storage)?.take(room) {
        row.map_err(of_storage)?;
    }
    Ok(())
}

fn pack(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(value).map_err(|error| StoreError::Io(format!("cannot be written down: {error}")))
}

/// What a compressed row was.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let wrong = |problem: String| StoreError::Damaged(format!("a row of parts cannot be unpacked: {problem}"));
    let (size, rest) = lz4_flex::block::uncompressed_size(packed).map_err(|error| wrong(error.to_string()))?;
    if size > MAX_ROW {
        return Err(wrong(format!("it says that it holds {size} bytes, expected at most {MAX_ROW}")));
    }
    lz4_flex::decompress(rest, size).map_err(|error| wrong(error.to_string()))
}

fn unpack<T: DeserializeOwned>(packed: &[u8], what: &str) -> Result<T, StoreError> {
    rmp_serde::from_slice(packed)
        .map_err(|error| StoreError::Damaged(format!("{what} cannot be read: {error}")))
}

fn io(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}

fn of_storage(error: StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(problem) => StoreError::Damaged(problem),
        other => io(other),
    }
}

fn of_table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => of_storage(error),
        TableError::TableDoesNotExist(table) => StoreError::Damaged(format!("there is no table {table}")),
        other => StoreError::Damaged(other.to_string()),
    }
}

fn of_database(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
        DatabaseError::UpgradeRequired(found) => {
            StoreError::Version { found: found.into(), expected: "a file of redb 4" }
        }
        DatabaseError::Storage(error) => of_storage(error),
        other => StoreError::Damaged(other.to_string()),
    }
}
