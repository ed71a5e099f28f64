//! Recorded demand: requests per slot.

use jiff::SignedDuration;
use models::json::excerpt;
use models::{Timestamp, ranges};

use super::carbon::{absent, noted_instant, time_column};
use super::error::TraceError;
use super::laps::Laps;
use super::notes::{NoteKind, Notes};
use super::series::{Placed, Row, assemble};
use super::table::{Table, without_mark};

/// One slot `[from, to)` of demand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DemandSlot {
    /// First instant of the slot.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// Requests in the slot, not negative; archives that scale hold fractions.
    pub requests: f64,
}

/// A recorded demand: slots in order of time that never overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct DemandTrace {
    slots: Vec<DemandSlot>,
    step: SignedDuration,
    notes: Notes,
}

const EXPECTED: &str = "`timestamp,requests`";

impl DemandTrace {
    /// Reads CSV `timestamp,requests`; `file` is its name for messages.
    ///
    /// # Errors
    ///
    /// [`TraceError`]: another header, or no usable row.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, TraceError> {
        let mut notes = Notes::new(file);
        let mut table = Table::open(without_mark(bytes));
        let requests = table.column(|header| header.contains("requests"));
        let (Some(time), Some(requests)) = (time_column(&table), requests) else {
            return Err(TraceError::Unrecognised {
                file: file.to_owned(),
                line: 1,
                found: format!("the header `{}` is not that of demand", excerpt(&table.header().join(","))),
                expected: EXPECTED,
            });
        };
        let mut rows = Vec::new();
        while let Some(line) = table.advance() {
            let Some(from) = noted_instant(&table.field(time), line, false, &mut notes) else {
                continue;
            };
            let field = table.field(requests);
            let value = match models::json::number_text(&field, &ranges::REQUESTS) {
                Ok(requests) => Some(requests),
                Err(_) if absent(&field) => {
                    let text = format_args!("no value for {from}: left as a gap");
                    notes.push(NoteKind::MissingValue, line, text);
                    None
                }
                Err(problem) => {
                    notes.push(NoteKind::BadRow, line, format_args!("{problem}; left as a gap"));
                    None
                }
            };
            rows.push(Row { line, from, to: None, value });
        }
        let (placed, step) = assemble(rows, &mut notes);
        let slot = |&Placed { from, to, value, .. }: &Placed<Option<f64>>| {
            value.map(|requests| DemandSlot { from, to, requests })
        };
        let slots: Vec<DemandSlot> = placed.iter().filter_map(slot).collect();
        notes.settle();
        if slots.is_empty() {
            return Err(TraceError::no_usable_row(&notes));
        }
        Ok(Self { slots, step, notes })
    }

    /// The slots: at least one.
    pub fn slots(&self) -> &[DemandSlot] {
        &self.slots
    }

    /// The usual slot length.
    pub fn step(&self) -> SignedDuration {
        self.step
    }

    /// What was remarkable about the file.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// First instant of the first slot and first instant after the last.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let first = self.slots.first().map_or(Timestamp::MIN, |slot| slot.from);
        (first, self.slots.last().map_or(first, |slot| slot.to))
    }

    /// The trace running round and round in whole weeks (whole days below a week), so that time of week
    /// stays what it was; `None` below a day.
    pub fn laps(&self) -> Option<Laps> {
        let (start, end) = self.span();
        Laps::between(start, end)
    }

    /// Requests recorded in `[from, to)`, spread evenly within each slot, and the seconds of it that the
    /// trace covers.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> (f64, f64) {
        let first = self.slots.partition_point(|slot| slot.to <= from);
        let overlapping = self.slots[first..].iter().take_while(|slot| slot.from < to);
        overlapping.fold((0.0, 0.0), |(requests, seconds), slot| {
            let overlap = slot.to.min(to).duration_since(slot.from.max(from)).as_secs_f64();
            let length = slot.to.duration_since(slot.from).as_secs_f64();
            (requests + slot.requests * overlap / length, seconds + overlap)
        })
    }

    /// Requests per second over all that is recorded.
    pub fn mean_rate(&self) -> f64 {
        let requests: f64 = self.slots.iter().map(|slot| slot.requests).sum();
        let seconds: f64 =
            self.slots.iter().map(|slot| slot.to.duration_since(slot.from).as_secs_f64()).sum();
        if seconds > 0.0 { requests / seconds } else { 0.0 }
    }
}
