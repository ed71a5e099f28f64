//! What stands in one row: some parts of a base, or what one commit took with it.

use std::collections::VecDeque;

use engine::Part;
use engine::journal::{Outcome, Record, StoreError};
use redb::{Range, ReadTransaction, ReadableTable, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::errors::{of_storage, of_table};
use super::layout::{COMMITS, PARTS, PUBLISHED, RECORDS};

/// Parts in one row: what they have in common is written once.
pub(super) const PARTS_IN_ROW: usize = 256;
/// Most bytes that a row is unpacked to: far more than so many parts have.
const MAX_ROW: usize = 256 << 20;

/// Rows that were read together.
pub(super) enum Row {
    Parts(Vec<Part>),
    Records(Vec<(u64, Option<Vec<Outcome>>, Record)>),
}

/// Reads a base and the records from `before` on, row by row.
pub(super) fn read(
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
    let commits = read.open_table(COMMITS).map_err(of_table)?;
    let mut published = Published::since(&commits, before)?;
    let mut together = Vec::new();
    for row in commits.range((before, PUBLISHED)..).map_err(of_storage)? {
        let (key, packed) = row.map_err(of_storage)?;
        let (first, RECORDS) = key.value() else { continue };
        let records: Vec<Record> = unpack(packed.value(), "a commit's records")?;
        for (number, record) in (first..).zip(records) {
            together.push((number, published.of(number)?, record));
        }
        if together.len() >= PARTS_IN_ROW {
            put(Row::Records(std::mem::take(&mut together)))?;
        }
    }
    put(Row::Records(together))
}

/// What was published, by the numbers of the records, upwards.
struct Published<'a> {
    rows: Range<'a, (u64, u8), &'static [u8]>,
    row: VecDeque<(u64, Vec<Outcome>)>,
}

impl<'a> Published<'a> {
    /// From the record `before` on.
    fn since(
        commits: &'a impl ReadableTable<(u64, u8), &'static [u8]>,
        before: u64,
    ) -> Result<Self, StoreError> {
        let rows = commits.range((before, PUBLISHED)..).map_err(of_storage)?;
        Ok(Self { rows, row: VecDeque::new() })
    }

    /// What the record of that number published; to be asked upwards.
    fn of(&mut self, number: u64) -> Result<Option<Vec<Outcome>>, StoreError> {
        loop {
            match self.row.front() {
                Some((found, _)) if *found < number => drop(self.row.pop_front()),
                Some((found, _)) if *found > number => return Ok(None),
                Some(_) => return Ok(self.row.pop_front().map(|(_, outcomes)| outcomes)),
                None => {
                    let Some(row) = self.rows.next() else { return Ok(None) };
                    let (key, packed) = row.map_err(of_storage)?;
                    if key.value().1 == PUBLISHED {
                        self.row = unpack(packed.value(), "what was published")?;
                    }
                }
            }
        }
    }
}

type Commits<'a> = Table<'a, (u64, u8), &'static [u8]>;

/// Writes down records that came in together. Answers the bytes.
pub(super) fn write_records(commits: &mut Commits<'_>, records: &[(u64, Record)]) -> Result<u64, StoreError> {
    let Some((first, _)) = records.first() else { return Ok(0) };
    let packed = pack(&records.iter().map(|(_, record)| record).collect::<Vec<_>>())?;
    commits.insert((*first, RECORDS), packed.as_slice()).map_err(of_storage)?;
    Ok(packed.len() as u64)
}

/// Writes down what records of earlier commits published, beside those that begin with number `beside`. Answers
/// the bytes.
pub(super) fn write_published(
    commits: &mut Commits<'_>,
    beside: Option<u64>,
    published: &[(u64, Vec<Outcome>)],
) -> Result<u64, StoreError> {
    let Some((last, _)) = published.last() else { return Ok(0) };
    let key = (beside.unwrap_or(last.saturating_add(1)), PUBLISHED);
    let known =
        commits.get(key).map_err(of_storage)?.map(|packed| unpack(packed.value(), "what was published"));
    let packed = match known.transpose()? {
        None => pack(&published)?,
        Some(mut all) => {
            let all: &mut Vec<(u64, Vec<Outcome>)> = &mut all;
            all.extend_from_slice(published);
            pack(all)?
        }
    };
    commits.insert(key, packed.as_slice()).map_err(of_storage)?;
    Ok(packed.len() as u64)
}

/// Forgets the records from number `until` on of the last commit that began before, where it has any.
pub(super) fn shorten(commits: &mut Commits<'_>, until: u64) -> Result<(), StoreError> {
    let mut last: Option<(u64, Vec<Record>)> = None;
    for row in commits.range(..(until, PUBLISHED)).map_err(of_storage)?.rev() {
        let (key, packed) = row.map_err(of_storage)?;
        if let (first, RECORDS) = key.value() {
            last = Some((first, unpack(packed.value(), "a commit's records")?));
            break;
        }
    }
    let Some((first, mut records)) = last else { return Ok(()) };
    let kept = usize::try_from(until - first).unwrap_or(usize::MAX);
    if records.len() > kept {
        records.truncate(kept);
        commits.insert((first, RECORDS), pack(&records)?.as_slice()).map_err(of_storage)?;
    }
    Ok(())
}

pub(crate) fn pack(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(value).map_err(|error| StoreError::Io(format!("cannot be written down: {error}")))
}

/// What a compressed row was.
pub(crate) fn inflate(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let wrong =
        |problem: String| StoreError::Damaged(format!("a row of parts cannot be unpacked: {problem}"));
    let (size, rest) =
        lz4_flex::block::uncompressed_size(packed).map_err(|error| wrong(error.to_string()))?;
    if size > MAX_ROW {
        return Err(wrong(format!("it says that it holds {size} bytes, expected at most {MAX_ROW}")));
    }
    lz4_flex::decompress(rest, size).map_err(|error| wrong(error.to_string()))
}

pub(crate) fn unpack<T: DeserializeOwned>(packed: &[u8], what: &str) -> Result<T, StoreError> {
    rmp_serde::from_slice(packed)
        .map_err(|error| StoreError::Damaged(format!("{what} cannot be read: {error}")))
}
