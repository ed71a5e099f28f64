//! Forecasts as they were issued, one vintage after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use models::json::excerpt;
use models::{CarbonIntensity, Forecast, Signal, Slot, Timestamp};

use super::carbon::{Format, intensity, noted_instant};
use super::error::TraceError;
use super::meaning::Meaning;
use super::notes::{NoteKind, Notes};
use super::series::median;
use super::sgip;
use super::table::{Table, normal, without_mark};

/// Slot length where no vintage has two slots to infer it from.
const LONE_SLOT: SignedDuration = SignedDuration::from_hours(1);

const EXPECTED: &str =
    "`issued_at,target_start,forecast` in gCO2eq/kWh, or the SGIP Signal's `time,moer,f1,..`";

/// Every vintage of a forecast, oldest first. What was issued later than now is never shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Vintages {
    issues: Vec<Arc<Forecast>>,
    signal: Option<Signal>,
    step: SignedDuration,
    notes: Notes,
}

impl Vintages {
    /// Reads CSV `issued_at,target_start,forecast`, or what the SGIP Signal's CSV says was forecast; `file` is its
    /// name for messages.
    ///
    /// # Errors
    ///
    /// [`TraceError`]: another header, or no usable row.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, TraceError> {
        let mut notes = Notes::new(file);
        let mut table = Table::open(without_mark(bytes));
        let unrecognised = |table: &Table<'_>, what: &str| TraceError::Unrecognised {
            file: file.to_owned(),
            line: 1,
            found: format!("the header `{}` {what}", excerpt(&table.header().join(","))),
            expected: EXPECTED,
        };
        let (meaning, rows, step) = if let Some(columns) = sgip::Columns::of(&table) {
            let rows = sgip_rows(&mut table, &columns, &mut notes);
            (Format::SgipCsv.meaning(), rows, sgip::STEP)
        } else {
            let columns = Columns::of(&table)
                .ok_or_else(|| unrecognised(&table, "is not that of forecast vintages"))?;
            let header = table.header().get(columns.forecast).map(|header| normal(header));
            let meaning = Meaning::default().with_header(&header.unwrap_or_default());
            let meaning = meaning.map_err(|what| unrecognised(&table, what))?;
            let rows = rows(&mut table, &columns, &mut notes);
            let step = step(&rows);
            (meaning, rows, step)
        };
        let mut issues = Vec::with_capacity(rows.len());
        for (issued_at, targets) in &rows {
            name_gaps(*issued_at, targets, step, &mut notes);
            let slots = targets.iter().map(|(from, (_, grams))| {
                Slot::new(*from, from.checked_add(step).unwrap_or(Timestamp::MAX), *grams)
            });
            let forecast = Forecast::new("vintages", Some(*issued_at), *issued_at, slots.collect());
            issues.extend(forecast.ok().map(|forecast| {
                let signal = meaning.signal.unwrap_or_default();
                Arc::new(forecast.with_signal(signal).with_accounting(meaning.accounting))
            }));
        }
        notes.settle();
        if issues.is_empty() {
            return Err(TraceError::no_usable_row(&notes));
        }
        Ok(Self { issues, signal: meaning.signal, step, notes })
    }

    /// Vintages made by the caller, in any order; one that does not say when it was issued counts as
    /// issued when it was received. `None` of none.
    pub fn new(name: &str, mut issues: Vec<Arc<Forecast>>) -> Option<Self> {
        issues.sort_by_key(|forecast| issued_at(forecast));
        let first = issues.first()?;
        let (signal, slot) = (Some(first.signal), first.slots().first()?);
        let step = slot.to.duration_since(slot.from);
        Some(Self { issues, signal, step, notes: Notes::new(name) })
    }

    /// The newest vintage that had been issued by `now`.
    pub fn as_of(&self, now: Timestamp) -> Option<&Arc<Forecast>> {
        let issued = self.issues.partition_point(|forecast| issued_at(forecast) <= now);
        self.issues.get(issued.checked_sub(1)?)
    }

    /// Every vintage, oldest first: at least one.
    pub fn issues(&self) -> &[Arc<Forecast>] {
        &self.issues
    }

    /// Which power plants they are about, where the format says so, or the word `average` or `marginal` in the
    /// column's header.
    pub fn signal(&self) -> Option<Signal> {
        self.signal
    }

    /// The usual slot length.
    pub fn step(&self) -> SignedDuration {
        self.step
    }

    /// What was remarkable about the file.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }
}

/// When a vintage could be known.
fn issued_at(forecast: &Forecast) -> Timestamp {
    forecast.issued_at.unwrap_or(forecast.retrieved_at)
}

struct Columns {
    issued: usize,
    target: usize,
    forecast: usize,
}

impl Columns {
    fn of(table: &Table<'_>) -> Option<Self> {
        Some(Self {
            issued: table.column(|header| header.starts_with("issued"))?,
            target: table.column(|header| header.starts_with("target"))?,
            forecast: table.column(|header| header.contains("forecast"))?,
        })
    }
}

/// Values by issue and target, each with its line.
type Issues = BTreeMap<Timestamp, BTreeMap<Timestamp, (u64, CarbonIntensity)>>;

fn rows(table: &mut Table<'_>, columns: &Columns, notes: &mut Notes) -> Issues {
    let mut issues = Issues::new();
    let mut newest = None;
    while let Some(line) = table.advance() {
        let Some(issued) = noted_instant(&table.field(columns.issued), line, false, notes) else {
            continue;
        };
        let Some(target) = noted_instant(&table.field(columns.target), line, false, notes) else {
            continue;
        };
        let said = intensity(&table.field(columns.forecast));
        let Some(grams) = noted_grams(said, issued, target, line, notes) else { continue };
        note_disorder(&mut newest, (issued, target), line, notes);
        insert(&mut issues, issued, target, (line, grams), notes);
    }
    issues
}

/// Each row is an issue. What it came to in the meantime is no part of it.
fn sgip_rows(table: &mut Table<'_>, columns: &sgip::Columns, notes: &mut Notes) -> Issues {
    let mut issues = Issues::new();
    let mut newest = None;
    while let Some(line) = table.advance() {
        let Some(issued) = noted_instant(&table.field(columns.time), line, false, notes) else {
            continue;
        };
        note_disorder(&mut newest, (issued, issued), line, notes);
        for (column, target) in columns.targets(issued) {
            let said = sgip::kilograms(&table.field(column));
            if let Some(grams) = noted_grams(said, issued, target, line, notes) {
                insert(&mut issues, issued, target, (line, grams), notes);
            }
        }
    }
    issues
}

/// A value, or a note.
fn noted_grams(
    said: Result<Option<CarbonIntensity>, String>,
    issued: Timestamp,
    target: Timestamp,
    line: u64,
    notes: &mut Notes,
) -> Option<CarbonIntensity> {
    match said {
        Ok(Some(grams)) => return Some(grams),
        Ok(None) => {
            let text = format_args!("no forecast for {target} as issued at {issued}: left as a gap");
            notes.push(NoteKind::MissingValue, line, text);
        }
        Err(problem) => notes.push(NoteKind::BadRow, line, format_args!("{problem}; row left out")),
    }
    None
}

fn note_disorder(
    newest: &mut Option<(Timestamp, Timestamp)>,
    row: (Timestamp, Timestamp),
    line: u64,
    notes: &mut Notes,
) {
    if newest.is_some_and(|newest| row < newest) {
        let (issued, target) = row;
        let text = format_args!("{target} as issued at {issued} stands after a later one: sorted in");
        notes.push(NoteKind::Disorder, line, text);
    }
    *newest = (*newest).max(Some(row));
}

fn insert(
    issues: &mut Issues,
    issued: Timestamp,
    target: Timestamp,
    value: (u64, CarbonIntensity),
    notes: &mut Notes,
) {
    let line = value.0;
    if let Some((earlier, _)) = issues.entry(issued).or_default().insert(target, value) {
        let text =
            format_args!("{target} as issued at {issued} stood in line {earlier} already: this one counts");
        notes.push(NoteKind::Duplicate, line, text);
    }
}

fn step(issues: &Issues) -> SignedDuration {
    let steps = issues.values().flat_map(|targets| {
        let later = targets.keys().skip(1);
        targets.keys().zip(later).map(|(from, next)| next.duration_since(*from))
    });
    median(steps.collect()).unwrap_or(LONE_SLOT)
}

fn name_gaps(
    issued: Timestamp,
    targets: &BTreeMap<Timestamp, (u64, CarbonIntensity)>,
    step: SignedDuration,
    notes: &mut Notes,
) {
    for (from, (next, (line, _))) in targets.keys().zip(targets.iter().skip(1)) {
        let distance = next.duration_since(*from);
        if distance > step {
            let missing = (distance.as_nanos() / step.as_nanos().max(1) - 1).max(1);
            let words = if missing == 1 { "slot is" } else { "slots are" };
            let text = format_args!("{missing} {words} missing before {next} as issued at {issued}");
            notes.push(NoteKind::Gap, *line, text);
        }
    }
}
