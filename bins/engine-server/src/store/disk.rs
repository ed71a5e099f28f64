//! What lasts, in one file: bases, and every record after them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format` | number of this layout |
//! | `bases` | number | before which record it stands, when it was made, whether it is whole |
//! | `parts` | number of the base, place of the first | some parts of that base, compressed by LZ4 |
//! | `records` | number | what came in |
//! | `outcomes` | number | what that record published |
//!
//! Numbers of records go up by one. Values are MessagePack with fields by name. The file is checked in full whenever
//! it is opened.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use engine::Part;
use engine::journal::{BaseParts, Changes, Input, Kept, Outcome, Record, Store, StoreError};
use jiff::SignedDuration;
use models::Timestamp;
use redb::backends::FileBackend;
use redb::{
    Builder, CommitError, Database, DatabaseError, ReadTransaction, ReadableDatabase as _,
    ReadableTable as _, StorageBackend, StorageError, TableDefinition, TableError, TransactionError,
    WriteTransaction,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cautious::Cautious;

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
/// Rows that are unpacked before they are wanted.
const ROWS_AHEAD: usize = 4;
/// Bases that are kept for a replay lie this far apart.
const BASES_APART: SignedDuration = SignedDuration::from_hours(12);
/// And these where no replay can go on from the one before: something was not written down in between.
const GAPS_APART: SignedDuration = SignedDuration::from_mins(10);
/// Or with this part of what may be kept between them, so that to forget one is not to forget all.
const BASES_IN_BYTES: u64 = 8;

/// How much is kept beyond what a restart needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// How far back a replay can begin.
    pub(crate) reach: SignedDuration,
    /// Most bytes of bases and records that only a replay needs.
    pub(crate) bytes: u64,
}

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

/// What is to be known of a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    /// Number of the first record after it: several may stand before the same one.
    before: u64,
    at: Timestamp,
    is_whole: bool,
    /// Bytes of its parts.
    parts: u64,
    /// Bytes of the records between it and the next one; measured at every open for the newest.
    records: u64,
    /// Whether something was acted upon without being written down before the next one.
    #[serde(default)]
    has_gap: bool,
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
            let mut bases = begin(&write)?;
            if let Some(until) = until {
                let mut records = write.open_table(RECORDS).map_err(of_table)?;
                records.retain_in(until.., |_, _| false).map_err(of_storage)?;
                let mut outcomes = write.open_table(OUTCOMES).map_err(of_table)?;
                outcomes.retain_in(until.., |_, _| false).map_err(of_storage)?;
            }
            if let Some((_, newest)) = bases.last_mut() {
                newest.records = bytes_after(&write, newest.before)?;
            }
            write.commit().map_err(of_commit)?;
            let garbage = garbage(&database, &bases)?;
            file.release().map_err(io)?;
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
        let mut bytes = 0;
        {
            let mut table = write.open_table(RECORDS).map_err(of_table)?;
            for (number, record) in &changes.records {
                let packed = pack(record)?;
                bytes += packed.len() as u64;
                table.insert(number, packed.as_slice()).map_err(of_storage)?;
            }
        }
        if !changes.outcomes.is_empty() {
            let mut table = write.open_table(OUTCOMES).map_err(of_table)?;
            for (number, outcomes) in &changes.outcomes {
                let packed = pack(outcomes)?;
                bytes += packed.len() as u64;
                table.insert(number, packed.as_slice()).map_err(of_storage)?;
            }
        }
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
                if let Err(problem) = rows(&read, *base, *before, &put) {
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

    /// Bytes of the records since the newest base.
    pub(crate) fn behind(&self) -> u64 {
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

/// Rows that were read together.
enum Row {
    Parts(Vec<Part>),
    Records(Vec<(u64, Option<Vec<Outcome>>, Record)>),
}

/// Reads a base and the records from `before` on, row by row.
fn rows(
    read: &ReadTransaction,
    base: u64,
    before: u64,
    put: &dyn Fn(Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let parts = read.open_table(PARTS).map_err(of_table)?;
    for row in parts.range((base, 0)..=(base, u64::MAX)).map_err(of_storage)? {
        let (_, packed) = row.map_err(of_storage)?;
        put(Row::Parts(unpack(&inflate(packed.value())?, "a part of the state")?))?;
    }
    let records = read.open_table(RECORDS).map_err(of_table)?;
    let outcomes = read.open_table(OUTCOMES).map_err(of_table)?;
    let mut together = Vec::new();
    for row in records.range(before..).map_err(of_storage)? {
        let (number, packed) = row.map_err(of_storage)?;
        let number = number.value();
        let published = outcomes.get(number).map_err(of_storage)?;
        let published =
            published.map(|packed| unpack(packed.value(), "what a record published")).transpose()?;
        together.push((number, published, unpack(packed.value(), "a record")?));
        if together.len() == PARTS_IN_ROW {
            put(Row::Records(std::mem::take(&mut together)))?;
        }
    }
    put(Row::Records(together))
}

impl Retention {
    /// Takes out the bases that nobody needs: not the newest, and too old, too close to the one before, or too
    /// much. Answers which.
    fn retire(self, bases: &mut Vec<(u64, Base)>) -> Vec<u64> {
        let Some((newest, at)) = bases.last().map(|(number, base)| (*number, base.at)) else {
            return Vec::new();
        };
        let reach = self.reach.saturating_add(BASES_APART);
        let mut retired = Vec::new();
        let mut kept: Vec<(u64, Base)> = Vec::with_capacity(bases.len());
        for (number, base) in bases.drain(..) {
            let apart = |previous: &Base| base.at.duration_since(previous.at).abs();
            // What follows a gap can be replayed from here alone: rather do without what came before.
            if let Some((given_up, previous)) =
                kept.pop_if(|(_, previous)| previous.has_gap && apart(previous) < GAPS_APART)
            {
                retired.push(given_up);
                if let Some((_, earlier)) = kept.last_mut() {
                    earlier.has_gap = true;
                    earlier.records += previous.records;
                }
            }
            let is_close = kept.last().is_some_and(|(_, previous)| {
                !previous.has_gap
                    && apart(previous) < BASES_APART
                    && previous.records < self.bytes / BASES_IN_BYTES
            });
            let is_old = at.duration_since(base.at) > reach;
            if number == newest || !(is_close || is_old) {
                kept.push((number, base));
                continue;
            }
            retired.push(number);
            // Its records stay, as what follows the one before it.
            if let Some((_, previous)) = kept.last_mut() {
                previous.records += base.records;
                previous.has_gap |= base.has_gap;
            }
        }
        let bytes =
            |kept: &[(u64, Base)]| kept.iter().map(|(_, base)| base.parts + base.records).sum::<u64>();
        while kept.len() > 1 && bytes(&kept) > self.bytes {
            retired.push(kept.remove(0).0);
        }
        *bases = kept;
        retired
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

/// Damage can make the library stumble: that is damage too.
fn guarded<T>(act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(StoreError::Damaged("it cannot be read at all".into())))
}

/// Makes the tables where there are none, checks the layout's number, and answers the whole bases.
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
        let (number, packed) = row.map_err(of_storage)?;
        let base = unpack::<Base>(packed.value(), "a base")?;
        // Whoever wrote one that is not whole is gone.
        if base.is_whole {
            bases.push((number.value(), base));
        }
    }
    Ok(bases)
}

/// Bytes of the records from that number on, and of what they published.
fn bytes_after(write: &WriteTransaction, from: u64) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for table in [RECORDS, OUTCOMES] {
        let table = write.open_table(table).map_err(of_table)?;
        for row in table.range(from..).map_err(of_storage)? {
            bytes += row.map_err(of_storage)?.1.value().len() as u64;
        }
    }
    Ok(bytes)
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
    let wrong =
        |problem: String| StoreError::Damaged(format!("a row of parts cannot be unpacked: {problem}"));
    let (size, rest) =
        lz4_flex::block::uncompressed_size(packed).map_err(|error| wrong(error.to_string()))?;
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
        // A file that is no store of this library, or is cut off.
        StorageError::Io(error)
            if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            StoreError::Damaged(error.to_string())
        }
        other => io(other),
    }
}

fn of_transaction(error: TransactionError) -> StoreError {
    match error {
        TransactionError::Storage(error) => of_storage(error),
        other => io(other),
    }
}

fn of_commit(error: CommitError) -> StoreError {
    match error {
        CommitError::Storage(error) => of_storage(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bases by the minute they were begun in, and whether a gap follows: those that are kept.
    fn kept(bases: &[(i64, bool)]) -> Vec<i64> {
        let minute = |at: i64| Timestamp::from_second(at * 60).unwrap();
        let base = |(at, has_gap): (i64, bool)| Base {
            before: 0,
            at: minute(at),
            is_whole: true,
            parts: 1,
            records: 1,
            has_gap,
        };
        let mut bases: Vec<(u64, Base)> = (0..).zip(bases.iter().copied().map(base)).collect();
        let retention = Retention { reach: SignedDuration::from_hours(72), bytes: 1_000 };
        let all: Vec<u64> = bases.iter().map(|(number, _)| *number).collect();
        let mut retired = retention.retire(&mut bases);
        retired.extend(bases.iter().map(|(number, _)| *number));
        retired.sort_unstable();
        assert_eq!(retired, all, "none is forgotten without being retired");
        bases.iter().map(|(_, base)| base.at.as_second() / 60).collect()
    }

    #[test]
    fn bases_are_kept_half_a_day_apart_and_after_every_gap() {
        assert_eq!(kept(&[(0, false), (60, false), (120, false)]), [0, 120]);
        assert_eq!(kept(&[(0, false), (720, false), (800, false)]), [0, 720, 800]);
        // A replay from the first one ends at the gap: the one after it stays.
        assert_eq!(kept(&[(0, true), (60, false), (120, false)]), [0, 60, 120]);
        // The gap is after one that is not kept: from the first one a replay ends there all the same.
        assert_eq!(kept(&[(0, false), (60, true), (120, false), (180, false)]), [0, 120, 180]);
        // Gap upon gap: the later one wins, since nothing could be replayed from there otherwise.
        assert_eq!(kept(&[(0, false), (60, true), (65, true), (70, false), (80, false)]), [0, 70, 80]);
        assert_eq!(kept(&[(0, true), (5, true), (9, false), (100, false)]), [9, 100]);
        // Too old.
        assert_eq!(kept(&[(0, true), (10, false), (6_000, false)]), [6_000]);
    }
}
