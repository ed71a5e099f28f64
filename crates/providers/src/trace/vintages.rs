//! Forecasts as they were issued, one vintage after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use models::json::excerpt;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};

use super::carbon::{intensity, noted_instant};
use super::error::TraceError;
use super::notes::{NoteKind, Notes};
use super::series::median;
use super::table::{Table, without_mark};

/// Slot length where no vintage has two slots to infer it from.
const LONE_SLOT: SignedDuration = SignedDuration::from_hours(1);

const EXPECTED: &str = "`issued_at,target_start,forecast`";

/// Every vintage of a forecast, oldest first. What was issued later than now is never shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Vintages {
    issues: Vec<Arc<Forecast>>,
    step: SignedDuration,
    notes: Notes,
}

impl Vintages {
    /// Reads CSV `issued_at,target_start,forecast`; `file` is its name for messages.
    ///
    /// # Errors
    ///
    /// [`TraceError`]: another header, or no usable row.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, TraceError> {
        let mut notes = Notes::new(file);
        let mut table = Table::open(without_mark(bytes));
        let columns = Columns::of(&table).ok_or_else(|| TraceError::Unrecognised {
            file: file.to_owned(),
            line: 1,
            found: format!(
                "the header `{}` is not that of forecast vintages",
                excerpt(&table.header().join(","))
            ),
            expected: EXPECTED,
        })?;
        let rows = rows(&mut table, &columns, &mut notes);
        let step = step(&rows);
        let mut issues = Vec::with_capacity(rows.len());
        for (issued_at, targets) in &rows {
            name_gaps(*issued_at, targets, step, &mut notes);
            let slots = targets.iter().map(|(from, (_, grams))| {
                Slot::new(*from, from.checked_add(step).unwrap_or(Timestamp::MAX), *grams)
            });
            issues.extend(
                Forecast::new("vintages", Some(*issued_at), *issued_at, slots.collect()).ok().map(Arc::new),
            );
        }
        notes.settle();
        if issues.is_empty() {
            return Err(TraceError::no_usable_row(&notes));
        }
        Ok(Self { issues, step, notes })
    }

    /// Vintages made by the caller, in any order; one that does not say when it was issued counts as
    /// issued when it was received. `None` of none.
    pub fn new(name: &str, mut issues: Vec<Arc<Forecast>>) -> Option<Self> {
        issues.sort_by_key(|forecast| issued_at(forecast));
        let slot = issues.first()?.slots().first()?;
        let step = slot.to.duration_since(slot.from);
        Some(Self { issues, step, notes: Notes::new(name) })
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
    let mut newest: Option<(Timestamp, Timestamp)> = None;
    while let Some(line) = table.advance() {
        let Some(issued) = noted_instant(&table.field(columns.issued), line, false, notes) else {
            continue;
        };
        let Some(target) = noted_instant(&table.field(columns.target), line, false, notes) else {
            continue;
        };
        let grams = match intensity(&table.field(columns.forecast)) {
            Ok(Some(grams)) => grams,
            Ok(None) => {
                let text = format_args!("no forecast for {target} as issued at {issued}: left as a gap");
                notes.push(NoteKind::MissingValue, line, text);
                continue;
            }
            Err(problem) => {
                notes.push(NoteKind::BadRow, line, format_args!("{problem}; row left out"));
                continue;
            }
        };
        if newest.is_some_and(|newest| (issued, target) < newest) {
            let text = format_args!("{target} as issued at {issued} stands after a later one: sorted in");
            notes.push(NoteKind::Disorder, line, text);
        }
        newest = newest.max(Some((issued, target)));
        if let Some((earlier, _)) = issues.entry(issued).or_default().insert(target, (line, grams)) {
            let text = format_args!(
                "{target} as issued at {issued} stood in line {earlier} already: this one counts"
            );
            notes.push(NoteKind::Duplicate, line, text);
        }
    }
    issues
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
