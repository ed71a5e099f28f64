//! A recorded carbon intensity, with the forecast recorded beside it where there was one.

use std::fmt;

use jiff::SignedDuration;
use models::json::excerpt;
use models::{Accounting, CarbonIntensity, Signal, Timestamp};

use super::error::TraceError;
use super::instant::{AssumedUtc, instant};
use super::json;
use super::meaning::{Meaning, is_direct, is_lifecycle};
use super::notes::{NoteKind, Notes};
use super::series::{Placed, Row, assemble};
use super::sgip;
use super::table::{Table, normal, without_mark};

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
    /// The SGIP Signal's marginal intensities with what was forecast of them.
    SgipCsv,
    /// An answer of the UK Carbon Intensity API.
    UkApiJson,
    /// A data file of the Carbon Aware SDK.
    CarbonAwareSdkJson,
    /// An answer of the Energy-Charts API.
    EnergyChartsJson,
    /// An answer of WattTime's API, measured or forecast.
    WattTimeJson,
}

impl Format {
    /// What it says of every file.
    pub(super) const fn meaning(self) -> Meaning {
        match self {
            Self::ElectricityMapsCsv | Self::UkApiJson | Self::EnergyChartsJson => {
                Meaning::new(Some(Signal::Average), Accounting::Unknown)
            }
            Self::SgipCsv | Self::WattTimeJson => Meaning::new(Some(Signal::Marginal), Accounting::Direct),
            Self::PlainCsv | Self::CarbonAwareSdkJson => Meaning::new(None, Accounting::Unknown),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlainCsv => "CSV",
            Self::ElectricityMapsCsv => "Electricity Maps CSV",
            Self::SgipCsv => "SGIP Signal CSV",
            Self::UkApiJson => "UK Carbon Intensity API JSON",
            Self::CarbonAwareSdkJson => "Carbon Aware SDK JSON",
            Self::EnergyChartsJson => "Energy-Charts JSON",
            Self::WattTimeJson => "WattTime JSON",
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
    meaning: Meaning,
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
        let (format, meaning, rows) = match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => {
                let (format, rows) = json::rows(bytes, &mut notes)?;
                (format, format.meaning(), rows)
            }
            _ => csv_rows(bytes, factors, &mut notes)?,
        };
        let (placed, step) = assemble(rows, &mut notes);
        let slots = settle(&placed, &mut notes);
        notes.settle();
        if slots.is_empty() {
            return Err(TraceError::no_usable_row(&notes));
        }
        Ok(Self { format, meaning, slots, step, notes })
    }

    /// What the file looked like.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Which power plants it is about, where the format says so, or for CSV the word `average` or `marginal` in
    /// the column's header.
    pub fn signal(&self) -> Option<Signal> {
        self.meaning.signal
    }

    /// Which emissions are counted, as far as the file says so.
    pub fn accounting(&self) -> Accounting {
        self.meaning.accounting
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
    meaning: Meaning,
    time: usize,
    actual: usize,
    forecast: Option<usize>,
    /// Whether the header says that instants are UTC.
    utc: bool,
    /// Reads an intensity in the unit of the format.
    read: fn(&str) -> Result<Option<CarbonIntensity>, String>,
}

const EXPECTED: &str = "`timestamp,actual[,forecast]` in gCO2eq/kWh (1 lb/MWh is 0.45359237, 1 kg/kWh is 1000), \
                        Electricity Maps' yearly CSV, the SGIP Signal's `time,moer,f1,..`, or JSON of the UK \
                        Carbon Intensity API, the Carbon Aware SDK, the Energy-Charts API or WattTime";

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
        if let Some(sgip::Columns { time, moer, .. }) = sgip::Columns::of(table) {
            let format = Format::SgipCsv;
            let meaning = format.meaning();
            return Ok(Self {
                format,
                meaning,
                time,
                actual: moer,
                forecast: None,
                utc: false,
                read: sgip::kilograms,
            });
        }
        let time = time_column(table).ok_or_else(|| unrecognised("has no column of instants"))?;
        let utc = table.header().get(time).is_some_and(|header| header.to_lowercase().contains("utc"));
        let columns = |format: Format, actual, forecast: Option<usize>| {
            let named = [Some(actual), forecast].into_iter().flatten();
            let mut headers = named.filter_map(|column: usize| table.header().get(column));
            let meaning =
                headers.try_fold(format.meaning(), |meaning, header| meaning.with_header(&normal(header)));
            let meaning = meaning.map_err(unrecognised)?;
            Ok(Self { format, meaning, time, actual, forecast, utc, read: intensity })
        };
        let forecast = table.column(|header| header.contains("forecast"));
        let actual = table.column(|header| header.contains("actual") && !header.contains("forecast"));
        if let Some(actual) = actual {
            return columns(Format::PlainCsv, actual, forecast);
        }
        let intensity = |header: &str| header.contains("carbon intensity") && !header.contains("forecast");
        let lifecycle = |header: &str| intensity(header) && is_lifecycle(header);
        let direct = |header: &str| intensity(header) && is_direct(header);
        let wanted = match factors {
            Factors::Lifecycle => table.column(lifecycle),
            Factors::Direct => table.column(direct),
        };
        if let Some(actual) = wanted {
            return columns(Format::ElectricityMapsCsv, actual, None);
        }
        if table.column(lifecycle).is_some() || table.column(direct).is_some() {
            return Err(unrecognised(match factors {
                Factors::Lifecycle => "has direct emission factors only",
                Factors::Direct => "has life-cycle emission factors only",
            }));
        }
        match table.column(intensity) {
            Some(actual) => columns(Format::PlainCsv, actual, forecast),
            None => Err(unrecognised("names neither a column of actual intensities nor their unit")),
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
) -> Result<(Format, Meaning, Vec<Row<Reading>>), TraceError> {
    let mut table = Table::open(bytes);
    let columns = Columns::of(&table, factors, notes.file())?;
    let mut rows = Vec::new();
    while let Some(line) = table.advance() {
        let Some(from) = noted_instant(&table.field(columns.time), line, columns.utc, notes) else {
            continue;
        };
        let forecast = columns.forecast.map_or(Ok(None), |column| (columns.read)(&table.field(column)));
        let value = match ((columns.read)(&table.field(columns.actual)), forecast) {
            (Ok(actual), Ok(forecast)) => Reading { actual, forecast, noted: false },
            (Err(problem), _) | (_, Err(problem)) => {
                notes.push(NoteKind::BadRow, line, format_args!("{problem}; left as a gap"));
                Reading { noted: true, ..Reading::default() }
            }
        };
        rows.push(Row { line, from, to: None, value });
    }
    Ok((columns.format, columns.meaning, rows))
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
