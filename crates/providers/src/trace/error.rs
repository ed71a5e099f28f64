//! Why a file gives no trace.

use super::notes::Notes;

/// A file from which nothing can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The content is none of the known formats, or another one than was asked for.
    #[error("{file}:{line}: {found}: expected {expected}")]
    Unrecognised {
        /// Which file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What stands there.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The format was right, but no row of it could be used.
    #[error("{file}: no usable row{first}")]
    NoUsableRow {
        /// Which file.
        file: String,
        /// The first thing that was wrong, with its line; empty where there is no row at all.
        first: String,
    },
}

impl TraceError {
    pub(super) fn no_usable_row(notes: &Notes) -> Self {
        let first = notes.listed().next().map_or_else(
            || ": the file holds none".to_owned(),
            |note| format!(", beginning with line {}: {}", note.line, note.text),
        );
        Self::NoUsableRow { file: notes.file().to_owned(), first }
    }
}
