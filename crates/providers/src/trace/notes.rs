//! What was remarkable about a file: counted by kind, the first few of each kind listed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Notes listed per kind; the rest is only counted.
pub const LISTED_PER_KIND: u64 = 5;

/// What kind of thing was remarked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NoteKind {
    /// A row that could not be read; left out.
    BadRow,
    /// A row with an instant but no value; left out.
    MissingValue,
    /// A row for a slot that an earlier line has too; the later one counts.
    Duplicate,
    /// A row that stands after a later one; sorted in.
    Disorder,
    /// Slots missing between two rows; left missing.
    Gap,
    /// An instant without an offset; read as UTC.
    AssumedUtc,
    /// A file of forecasts without actual values; the forecast is taken for what happened.
    ForecastAsActual,
}

impl NoteKind {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRow => ("bad row", "bad rows"),
            Self::MissingValue => ("row without a value", "rows without a value"),
            Self::Duplicate => ("duplicate", "duplicates"),
            Self::Disorder => ("row out of order", "rows out of order"),
            Self::Gap => ("gap", "gaps"),
            Self::AssumedUtc => ("instant without an offset", "instants without an offset"),
            Self::ForecastAsActual => ("stand-in", "stand-ins"),
        }
    }
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What kind of thing.
    pub kind: NoteKind,
    /// Line in the file, from 1.
    pub line: u64,
    /// What stood there, and what became of it.
    pub text: String,
}

/// All remarks about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notes {
    file: Arc<str>,
    counts: BTreeMap<NoteKind, u64>,
    listed: Vec<Note>,
}

impl Notes {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.into(), counts: BTreeMap::new(), listed: Vec::new() }
    }

    /// The file, as it was named by the caller.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The first [`LISTED_PER_KIND`] of each kind, in the order of the lines.
    pub fn listed(&self) -> impl Iterator<Item = &Note> {
        self.listed.iter()
    }

    /// How many there are of each kind, listed or not.
    pub fn counts(&self) -> impl Iterator<Item = (NoteKind, u64)> {
        self.counts.iter().map(|(kind, count)| (*kind, *count))
    }

    /// How many there are of one kind.
    pub fn count(&self, kind: NoteKind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Whether nothing was remarkable.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// `file:line: text`.
    pub fn located(&self, note: &Note) -> String {
        format!("{}:{}: {}", self.file, note.line, note.text)
    }

    /// Every listed note with its place, and one line for what is only counted.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.listed().map(|note| self.located(note)).collect();
        for (kind, count) in self.counts() {
            if let Some(more @ 1..) = count.checked_sub(LISTED_PER_KIND) {
                let (one, many) = kind.words();
                let words = if more == 1 { one } else { many };
                lines.push(format!("{}: and {more} more {words}, {count} in all", self.file));
            }
        }
        lines
    }

    pub(super) fn push(&mut self, kind: NoteKind, line: u64, text: impl fmt::Display) {
        let count = self.counts.entry(kind).or_insert(0);
        *count += 1;
        if *count <= LISTED_PER_KIND {
            self.listed.push(Note { kind, line, text: text.to_string() });
        }
    }

    /// Puts the list in the order of the file: gaps and duplicates are found later than bad rows.
    pub(super) fn settle(&mut self) {
        self.listed.sort_by_key(|note| (note.line, note.kind));
    }
}
