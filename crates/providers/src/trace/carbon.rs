//! A recorded carbon intensity, with the forecast recorded beside it where there was one.

use std::fmt;

use jiff::SignedDuration;
use models::json::excerpt;
use models::{CarbonIntensity, Timestamp};

use super::error::TraceError;
use super::instant::{AssumedUtc, instant};
use super::json;
use super::notes::{NoteKind, Notes};
use super::series::{Placed, Row, assemble};
use super::table::{Table, without_mark};

/// One slot `[from, to)` of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSlot {
    /// First instant of the slot.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// What the intensity was, gCO2eq/kWh.
    pub actual: CarbonIntensity,
    /// What had been forecast for it, gCO2eq/kWh, where the file says so.
    pub forecast: Option<CarbonIntensity>,
}

/// What a file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `timestamp,actual[,forecast]`, also under other archives' names.
    PlainCsv,
    /// Electricity Maps' yearly archive.
    ElectricityMapsCsv,
    /// An answer of the UK Carbon Intensity API.
    UkApiJson,
    /// A data file of the Carbon Aware SDK.
    CarbonAwareSdkJson,
    /// An answer of the Energy-Charts API.
    EnergyChartsJson,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainCsv => "CSV",
            Self::ElectricityMapsCsv => "Electricity Maps CSV",
            Self::UkApiJson => "UK Carbon Intensity API JSON",
            Self::CarbonAwareSdkJson => "Carbon Aware SDK JSON",
            Self::EnergyChartsJson => "Energy-Charts JSON",
        })
    }
}

/// Which emission factors to read where a file carries both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Factors {
    /// With building, fuel supply and disposal: what most published figures mean.
    #[default]
    Lifecycle,
    /// What leaves the chimney.
    Direct,
}

/// A recorded carbon intensity: slots in order of time that never overlap; what is missing is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct CarbonTrace {
    format: Format,
    slots: Vec<TraceSlot>,
    step: SignedDuration,
    notes: Notes,
}

/// What a row says, as it was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    pub(super) actual: Option<CarbonIntensity>,
    pub(super) forecast: Option<CarbonIntensity>,
    /// Whether it was remarked upon already and has no value to be missed.
    pub(super) noted: bool,
}

impl CarbonTrace {
    /// Reads a trace; `file` is its name for messages. CSV or JSON is seen from the content.
    ///
    /// A file in which most slots have a forecast and no actual value (an answer for the next 48 h, or a
    /// regional one) is a trace of that forecast, and a note says so.
    ///
    /// # Errors
    ///
    /// [`TraceError`]: not a format known here, or no usable row.
    pub fn read(file: &str, bytes: &[u8], factors: Factors) -> Result<Self, TraceError> {
        let bytes = without_mark(bytes);
        let mut notes = Notes::new(file);
        let (format, rows) = match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => json::rows(bytes, &mut notes)?,
            _ => csv_rows(bytes, factors, &mut notes)?,
        };
        let (placed, step) = assemble(rows, &mut notes);
        let slots = settle(&placed, &mut notes);
        notes.settle();
        if slots.is_empty() {
            return Err(TraceError::no_usable_row(&notes));
        }
        Ok(Self { format, slots, step, notes })
    }

    /// What the file looked like.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The slots: at least one.
    pub fn slots(&self) -> &[TraceSlot] {
        &self.slots
    }

    /// The usual slot length: the median distance of neighbours.
    pub fn step(&self) -> SignedDuration {
        self.step
    }

    /// Whether any slot has a forecast recorded beside it.
    pub fn has_forecast(&self) -> bool {
        self.slots.iter().any(|slot| slot.forecast.is_some())
    }

    /// What was remarkable about the file.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }
}

/// Takes the actual values, or, where the file is one of forecasts, those.
fn settle(placed: &[Placed<Reading>], notes: &mut Notes) -> Vec<TraceSlot> {
    let with = |wanted: fn(&Reading) -> bool| placed.iter().filter(|slot| wanted(&slot.value)).count();
    let actuals = with(|reading| reading.actual.is_some());
    let forecasts = with(|reading| reading.forecast.is_some());
    let of_forecasts = forecasts > 0 && actuals * 2 < forecasts;
    if let Some(first) = placed.first().filter(|_| of_forecasts) {
        notes.push(
            NoteKind::ForecastAsActual,
            first.line,
            format_args!(
                "{actuals} of {} slots have an actual value: the forecast is taken for it",
                placed.len()
            ),
        );
    }
    let mut slots = Vec::with_capacity(placed.len());
    for Placed { line, from, to, value } in placed.iter().copied() {
        let actual = if of_forecasts { value.forecast } else { value.actual };
        match actual {
            Some(actual) => {
                let forecast = value.forecast.filter(|_| !of_forecasts);
                slots.push(TraceSlot { from, to, actual, forecast });
            }
            None if value.noted => {}
            None => {
                notes.push(NoteKind::MissingValue, line, format_args!("no value for {from}: left as a gap"));
            }
        }
    }
    slots
}

/// Which columns hold what.
struct Columns {
    format: Format,
    time: usize,
    actual: usize,
    forecast: Option<usize>,
    /// Whether the header says that instants are UTC.
    utc: bool,
}

const EXPECTED: &str = "`timestamp,actual[,forecast]`, Electricity Maps' yearly CSV, or JSON of the UK Carbon \
                        Intensity API, the Carbon Aware SDK or the Energy-Charts API";

impl Columns {
    fn of(table: &Table<'_>, factors: Factors, file: &str) -> Result<Self, TraceError> {
        let unrecognised = |what: &str| TraceError::Unrecognised {
            file: file.to_owned(),
            line: 1,
            found: format!("the header `{}` {what}", excerpt(&table.header().join(","))),
            expected: EXPECTED,
        };
        if table.column(|header| header.starts_with("issued")).is_some() {
            return Err(unrecognised("is that of forecast vintages"));
        }
        let time = time_column(table).ok_or_else(|| unrecognised("has no column of instants"))?;
        let utc = table.header().get(time).is_some_and(|header| header.to_lowercase().contains("utc"));
        let forecast = table.column(|header| header.contains("forecast"));
        let actual = table.column(|header| header.contains("actual") && !header.contains("forecast"));
        if let Some(actual) = actual {
            return Ok(Self { format: Format::PlainCsv, time, actual, forecast, utc });
        }
        let intensity = |header: &str| header.contains("carbon intensity") && !header.contains("forecast");
        let lifecycle = |header: &str| {
            intensity(header) && ["lca", "life cycle", "lifecycle"].iter().any(|word| header.contains(word))
        };
        let direct = |header: &str| intensity(header) && header.contains("direct");
        let wanted = match factors {
            Factors::Lifecycle => table.column(lifecycle),
            Factors::Direct => table.column(direct),
        };
        if let Some(actual) = wanted {
            return Ok(Self { format: Format::ElectricityMapsCsv, time, actual, forecast: None, utc });
        }
        if table.column(lifecycle).is_some() || table.column(direct).is_some() {
            return Err(unrecognised(match factors {
                Factors::Lifecycle => "has direct emission factors only",
                Factors::Direct => "has life-cycle emission factors only",
            }));
        }
        match table.column(intensity) {
            Some(actual) => Ok(Self { format: Format::PlainCsv, time, actual, forecast, utc }),
            None => Err(unrecognised("has no column of actual intensities")),
        }
    }
}

/// The column of instants, under the names archives give it.
pub(super) fn time_column(table: &Table<'_>) -> Option<usize> {
    table.column(|header| header.contains("timestamp")).or_else(|| {
        table.column(|header| header == "from" || header.contains("time") || header.contains("date"))
    })
}

fn csv_rows(
    bytes: &[u8],
    factors: Factors,
    notes: &mut Notes,
) -> Result<(Format, Vec<Row<Reading>>), TraceError> {
    let mut table = Table::open(bytes);
    let columns = Columns::of(&table, factors, notes.file())?;
    let mut rows = Vec::new();
    while let Some(line) = table.advance() {
        let Some(from) = noted_instant(&table.field(columns.time), line, columns.utc, notes) else {
            continue;
        };
        let forecast = columns.forecast.map_or(Ok(None), |column| intensity(&table.field(column)));
        let value = match (intensity(&table.field(columns.actual)), forecast) {
            (Ok(actual), Ok(forecast)) => Reading { actual, forecast, noted: false },
            (Err(problem), _) | (_, Err(problem)) => {
                notes.push(NoteKind::BadRow, line, format_args!("{problem}; left as a gap"));
                Reading { noted: true, ..Reading::default() }
            }
        };
        rows.push(Row { line, from, to: None, value });
    }
    Ok((columns.format, rows))
}

/// An instant, or a note.
pub(super) fn noted_instant(
    text: &str,
    line: u64,
    said_to_be_utc: bool,
    notes: &mut Notes,
) -> Option<Timestamp> {
    match instant(text) {
        Ok((at, AssumedUtc(assumed))) => {
            if assumed && !said_to_be_utc {
                notes.push(
                    NoteKind::AssumedUtc,
                    line,
                    format_args!("`{}` has no offset: read as UTC", excerpt(text)),
                );
            }
            Some(at)
        }
        Err(problem) => {
            notes.push(NoteKind::BadRow, line, format_args!("{problem}; row left out"));
            None
        }
    }
}

/// An intensity; `None` for the ways archives write that there is none.
pub(super) fn intensity(text: &str) -> Result<Option<CarbonIntensity>, String> {
    if absent(text) {
        return Ok(None);
    }
    let grams = models::json::number_text(text, &models::ranges::INTENSITY)?;
    CarbonIntensity::new(grams).map(Some).map_err(|refused| refused.to_string())
}

/// Whether a field says that there is no value.
pub(super) fn absent(text: &str) -> bool {
    ["", "-", "na", "n/a", "nan", "none", "null"].iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}
