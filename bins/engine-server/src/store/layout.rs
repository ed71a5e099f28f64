//! The layout of the file, and how one of an earlier version becomes one of this.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format` | number of this layout |
//! | `bases` | number | before which record it stands, when it was made, whether it is whole |
//! | `parts` | number of the base, place of the first | some parts of that base, compressed by LZ4 |
//! | `commits` | number of the first, 1 | the records that came in with one commit |
//! | `commits` | the same number, 0 | what records published, mostly an earlier commit's, with their numbers |
//!
//! Numbers of records go up by one, and a base begins where a commit does. Values are MessagePack with fields by
//! name, so that a field can be added with a default; whatever else changes is another layout.
//!
//! | layout | what was different |
//! |---|---|
//! | 1 | `records` and `outcomes` in place of `commits`: a row for each record |

use std::collections::BTreeSet;

use engine::journal::{Outcome, Record, StoreError};
use redb::{Database, ReadableTable as _, TableDefinition, WriteTransaction};

use super::errors::{of_commit, of_storage, of_table, of_transaction};
use super::retention::Base;
use super::rows::{unpack, write_published, write_records};

/// The layout that this version writes.
const FORMAT: u64 = 2;
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const BASES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bases");
pub(super) const PARTS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("parts");
pub(super) const COMMITS: TableDefinition<'_, (u64, u8), &[u8]> = TableDefinition::new("commits");
/// Which of the two rows of a commit: they are neighbours, as every page more is one more to be synced.
pub(super) const PUBLISHED: u8 = 0;
pub(super) const RECORDS: u8 = 1;

/// Makes one layout the next, where these bases are.
type Migration = fn(&WriteTransaction, &[(u64, Base)]) -> Result<(), StoreError>;

/// From layout 1 to 2, and so on.
const MIGRATIONS: [Migration; 1] = [gather];
const _: () = assert!(MIGRATIONS.len() as u64 + 1 == FORMAT, "every layout has a way to the next one");

/// What a file is found to be.
pub(super) struct Found {
    format: u64,
    /// The whole ones, oldest first.
    pub(super) bases: Vec<(u64, Base)>,
}

/// Makes the tables where there are none, checks the layout's number, and answers what there is.
pub(super) fn begin(write: &WriteTransaction) -> Result<Found, StoreError> {
    let mut meta = write.open_table(META).map_err(of_table)?;
    let found = meta.get("format").map_err(of_storage)?.map(|found| found.value());
    let format = match found {
        Some(found @ 1..=FORMAT) => found,
        Some(found) => return Err(StoreError::Version { found, expected: "1 or 2" }),
        None => {
            meta.insert("format", FORMAT).map_err(of_storage)?;
            FORMAT
        }
    };
    write.open_table(COMMITS).map_err(of_table)?;
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
    Ok(Found { format, bases })
}

/// Makes the layout this version's, all of it or nothing.
pub(super) fn migrate(database: &Database, found: &Found) -> Result<(), StoreError> {
    let done = usize::try_from(found.format.saturating_sub(1)).unwrap_or(usize::MAX);
    let steps = MIGRATIONS.get(done..).unwrap_or_default();
    if steps.is_empty() {
        return Ok(());
    }
    let write = database.begin_write().map_err(of_transaction)?;
    for step in steps {
        step(&write, &found.bases)?;
    }
    write.open_table(META).map_err(of_table)?.insert("format", FORMAT).map_err(of_storage)?;
    write.commit().map_err(of_commit)
}

/// Rows of layout 1 that become one.
const GATHERED: usize = 1_024;

/// From layout 1 to 2: many records in a row.
fn gather(write: &WriteTransaction, bases: &[(u64, Base)]) -> Result<(), StoreError> {
    const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
    const OUTCOMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("outcomes");
    let begins: BTreeSet<u64> = bases.iter().map(|(_, base)| base.before).collect();
    {
        let rows = write.open_table(ROWS).map_err(of_table)?;
        let outcomes = write.open_table(OUTCOMES).map_err(of_table)?;
        let mut commits = write.open_table(COMMITS).map_err(of_table)?;
        let mut records: Vec<(u64, Record)> = Vec::new();
        let mut published: Vec<(u64, Vec<Outcome>)> = Vec::new();
        for row in rows.iter().map_err(of_storage)? {
            let (number, packed) = row.map_err(of_storage)?;
            let number = number.value();
            let follows = records.last().is_none_or(|(last, _)| last.checked_add(1) == Some(number));
            if !follows || begins.contains(&number) || records.len() == GATHERED {
                write_records(&mut commits, &std::mem::take(&mut records))?;
                write_published(&mut commits, None, &std::mem::take(&mut published))?;
            }
            records.push((number, unpack(packed.value(), "a record")?));
            if let Some(packed) = outcomes.get(number).map_err(of_storage)? {
                published.push((number, unpack(packed.value(), "what a record published")?));
            }
        }
        write_records(&mut commits, &records)?;
        write_published(&mut commits, None, &published)?;
    }
    write.delete_table(ROWS).map_err(of_table)?;
    write.delete_table(OUTCOMES).map_err(of_table)?;
    Ok(())
}
