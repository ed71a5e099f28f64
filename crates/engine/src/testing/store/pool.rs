//! What stores are given to keep: records and parts of real engines.

use policies::Registry;

use super::super::history::{History, options};
use crate::engine::Engine;
use crate::journal::Record;
use crate::stored::Part;

/// Records and parts, each with its text.
pub(super) struct Pool {
    records: Vec<(Record, String)>,
    parts: Vec<(Part, String)>,
}

impl Pool {
    pub(super) fn new() -> Self {
        let registry = Registry::builtin();
        let history = History::of(&registry, "receding-horizon", 1);
        let mut engine = Engine::new(options(1), registry);
        let mut parts = Vec::new();
        for (index, record) in history.records.iter().enumerate() {
            engine.apply(record);
            if index % 200 == 100 {
                engine.begin_base();
                parts.extend(engine.base_parts(usize::MAX));
            }
        }
        let parts = parts.into_iter().map(|part| (part.clone(), text(&part)));
        // Ticks are all alike: of the first records, more is something else.
        let records = history.records.into_iter().enumerate();
        let records = records.filter(|(index, record)| record.input.kind() != "tick" || index % 5 == 0);
        let records = records.map(|(_, record)| (record.clone(), text(&record)));
        Self { records: records.collect(), parts: parts.collect() }
    }

    /// The record of that place, and its text; beyond the last it begins again.
    pub(super) fn record(&self, place: u64) -> (Record, String) {
        self.records[around(place, self.records.len())].clone()
    }

    /// The part of that place, likewise.
    pub(super) fn part(&self, place: u64) -> (Part, String) {
        self.parts[around(place, self.parts.len())].clone()
    }
}

/// What is written of something: equal where that is, to the last bit of its numbers.
pub(super) fn text(of: &impl serde::Serialize) -> String {
    serde_json::to_string(of).unwrap_or_else(|error| format!("cannot be written: {error}"))
}

fn around(place: u64, length: usize) -> usize {
    let rest = place.checked_rem(length as u64).unwrap_or(0);
    usize::try_from(rest).unwrap_or(0)
}
