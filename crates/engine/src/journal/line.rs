//! What a store holds, a line of JSON each: to be moved, looked at, and replayed.

use models::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Outcome, Record, StoreError};
use crate::stored::Part;

/// Number of this format.
pub const LINES_VERSION: u64 = 1;

/// One line of an export. [`Line::header`] comes first, then the parts of a base, then records, each after what it
/// published, and [`Line::End`] last.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Line {
    /// What this is.
    CarbonAwareEngineState {
        /// [`LINES_VERSION`].
        version: u64,
        /// When it was written.
        exported_at: Timestamp,
        /// When the base was begun that follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        based_at: Option<Timestamp>,
    },
    /// A part of the base that stands before the record of this number.
    Part(u64, Box<Part>),
    /// What a record published, by its number.
    Published(u64, Vec<Outcome>),
    /// A record, with its number.
    Record(u64, Box<Record>),
    /// The last line: without it the export was cut off, and is no copy of anything.
    End {
        /// Parts of the base.
        parts: u64,
        /// Records after it.
        records: u64,
    },
}

impl Line {
    /// The first line; the base that follows was begun at `based_at`.
    pub fn header(exported_at: Timestamp, based_at: Option<Timestamp>) -> Self {
        Self::CarbonAwareEngineState { version: LINES_VERSION, exported_at, based_at }
    }

    /// The line as text, without its end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]: it holds a number that JSON has no word for.
    pub fn to_text(&self) -> Result<String, StoreError> {
        let written = |error| StoreError::Io(format!("a line cannot be written as JSON: {error}"));
        let text = serde_json::to_string(self).map_err(written)?;
        // What is not finite is written as null, and would not come back.
        serde_json::from_str::<Self>(&text).map_err(written)?;
        Ok(text)
    }

    /// The line that stands at `number`, counted from 1.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: it is no line of an export, or of one in another version.
    pub fn from_text(text: &str, number: usize) -> Result<Self, StoreError> {
        let line: Self = serde_json::from_str(text).map_err(|error| {
            // Each line is a document of its own: its first line is this one.
            let error = error.to_string().replace(" at line 1 column ", " at column ");
            StoreError::Damaged(format!("line {number} is not one of `engine-server state export`: {error}"))
        })?;
        match &line {
            Self::CarbonAwareEngineState { version, .. } if *version != LINES_VERSION => {
                Err(StoreError::Version { found: *version, expected: "1" })
            }
            Self::CarbonAwareEngineState { .. } if number != 1 => {
                Err(StoreError::Damaged(format!("line {number} is another export's first one")))
            }
            line if number == 1 && !matches!(line, Self::CarbonAwareEngineState { .. }) => Err(StoreError::Damaged(
                "line 1 does not say what this is: expected the first line of `engine-server state export`".into(),
            )),
            _ => Ok(line),
        }
    }
}
