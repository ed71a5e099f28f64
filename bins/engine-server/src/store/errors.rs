//! What the library's errors mean: the disk refused, or what is stored is not what was stored.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::journal::StoreError;
use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

/// Damage can make the library stumble: that is damage too.
pub(super) fn guarded<T>(act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| Err(StoreError::Damaged("it cannot be read at all".into())))
}

pub(super) fn io(error: impl std::fmt::Display) -> StoreError {
    StoreError::Io(error.to_string())
}

pub(super) fn of_storage(error: StorageError) -> StoreError {
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

pub(super) fn of_transaction(error: TransactionError) -> StoreError {
    match error {
        TransactionError::Storage(error) => of_storage(error),
        other => io(other),
    }
}

pub(super) fn of_commit(error: CommitError) -> StoreError {
    match error {
        CommitError::Storage(error) => of_storage(error),
        other => io(other),
    }
}

pub(super) fn of_table(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => of_storage(error),
        TableError::TableDoesNotExist(table) => StoreError::Damaged(format!("there is no table {table}")),
        other => StoreError::Damaged(other.to_string()),
    }
}

pub(super) fn of_database(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
        DatabaseError::UpgradeRequired(found) => {
            StoreError::Version { found: found.into(), expected: "a file of redb 4" }
        }
        DatabaseError::Storage(error) => of_storage(error),
        other => StoreError::Damaged(other.to_string()),
    }
}
