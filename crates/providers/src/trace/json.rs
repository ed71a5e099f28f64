//! The JSON shapes of carbon traces: answers of the UK API, of Energy-Charts and of WattTime, the Carbon Aware SDK's
//! data files.

use jiff::SignedDuration;
use models::json::excerpt;
use models::{CarbonIntensity, Timestamp, ranges};
use serde_json::{Map, Value};

use super::carbon::{Format, Reading, noted_instant};
use super::error::TraceError;
use super::notes::{NoteKind, Notes};
use super::series::Row;
use crate::watttime;

const EXPECTED: &str = "an answer of the UK Carbon Intensity API for the nation or one region \
                        (`{\"data\":[{\"from\",\"to\",\"intensity\"}]}`), a Carbon Aware SDK data file \
                        (`{\"Emissions\":[{\"Time\",\"Rating\"}]}`), an answer of the Energy-Charts API \
                        (`{\"unix_seconds\":[..],\"co2eq\":[..]}`) or one of WattTime \
                        (`{\"data\":[{\"point_time\",\"value\"}],\"meta\":{\"units\"}}`)";

/// Reads the rows of any of them.
pub(super) fn rows(bytes: &[u8], notes: &mut Notes) -> Result<(Format, Vec<Row<Reading>>), TraceError> {
    let file = notes.file().to_owned();
    let unrecognised = |line: u64, found: String| TraceError::Unrecognised {
        file: file.clone(),
        line,
        found,
        expected: EXPECTED,
    };
    let root: Value = serde_json::from_slice(bytes)
        .map_err(|error| unrecognised(error.line() as u64, format!("not JSON ({error})")))?;
    if let Some(Value::Array(instants)) = root.get("unix_seconds") {
        let rows = energy_charts(&root, instants, notes).map_err(|found| unrecognised(1, found))?;
        return Ok((Format::EnergyChartsJson, rows));
    }
    let (format, items, depth) = locate(&root).map_err(|found| unrecognised(1, found))?;
    let expected = root.get("meta").is_some_and(|meta| meta.get("generated_at").is_some());
    let lines = object_lines(bytes, depth);
    // The items are the only objects of their depth in the shapes above; in a file where something else
    // lies as deep, a wrong line would mislead more than the first one does.
    let lines = if lines.len() == items.len() { lines } else { Vec::new() };
    let mut rows = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let line = lines.get(index).copied().unwrap_or(1);
        let row = match (item, format) {
            (Value::Object(slot), Format::UkApiJson) => uk_slot(slot, line, notes),
            (Value::Object(point), Format::WattTimeJson) => watttime_point(point, expected, line, notes),
            (Value::Object(slot), _) => sdk_slot(slot, line, notes),
            _ => {
                notes.push(NoteKind::BadRow, line, "not an object; row left out");
                None
            }
        };
        rows.extend(row);
    }
    Ok((format, rows))
}

/// The list of slots, what shape it has, and how many brackets are open inside one of its objects.
fn locate(root: &Value) -> Result<(Format, &[Value], usize), String> {
    let list = match root {
        Value::Array(items) => return Ok((Format::CarbonAwareSdkJson, items, 2)),
        Value::Object(object) => object,
        _ => return Err("neither an object nor a list".into()),
    };
    if let Some(error) = list.get("error") {
        let words = error.get("message").and_then(Value::as_str).unwrap_or_default();
        return Err(format!("an error that the API answered (`{}`)", excerpt(words)));
    }
    if let Some(Value::Array(items)) = member(list, "emissions") {
        return Ok((Format::CarbonAwareSdkJson, items, 3));
    }
    if let Some(Value::Object(meta)) = list.get("meta") {
        watttime::check_quantity(meta)?;
        return match list.get("data") {
            Some(Value::Array(items)) if items.iter().any(|item| item.get("forecast").is_some()) => {
                Err("an answer with one forecast after another".into())
            }
            Some(Value::Array(items)) => Ok((Format::WattTimeJson, items, 3)),
            _ => Err("`meta` without a list `data`".into()),
        };
    }
    match list.get("data") {
        Some(Value::Object(region)) => match region.get("data") {
            Some(Value::Array(items)) => Ok((Format::UkApiJson, items, 4)),
            _ => Err("`data` is an object without a list `data`".into()),
        },
        Some(Value::Array(items)) => match items.as_slice() {
            [Value::Object(region)] if region.contains_key("data") => match region.get("data") {
                Some(Value::Array(items)) => Ok((Format::UkApiJson, items, 5)),
                _ => Err("`data` of the region is not a list".into()),
            },
            [first, ..] if first.get("data").is_some() => {
                Err(format!("an answer for {} regions", items.len()))
            }
            [first, ..] if first.get("regions").is_some() => Err("an answer for all regions".into()),
            _ => Ok((Format::UkApiJson, items, 3)),
        },
        _ => Err("an object with neither `data` nor `Emissions` nor `unix_seconds`".into()),
    }
}

/// Lists side by side: what was, and where that is not known yet, what is expected. A note names the place in
/// the lists; the line is that of the file.
fn energy_charts(root: &Value, instants: &[Value], notes: &mut Notes) -> Result<Vec<Row<Reading>>, String> {
    let list = |key: &str| match root.get(key) {
        Some(Value::Array(values)) if values.len() == instants.len() => Ok(values.as_slice()),
        Some(Value::Array(values)) => {
            Err(format!("`{key}` has {} values for {} `unix_seconds`", values.len(), instants.len()))
        }
        _ => Err(format!("`unix_seconds` without a list `{key}`")),
    };
    let (actuals, forecasts) = (list("co2eq")?, list("co2eq_forecast")?);
    let mut rows = Vec::with_capacity(instants.len());
    for (index, ((at, actual), forecast)) in instants.iter().zip(actuals).zip(forecasts).enumerate() {
        let from = at.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let Some(from) = from else {
            let text = format_args!("unix_seconds[{index}] is not an instant in whole seconds; row left out");
            notes.push(NoteKind::BadRow, 1, text);
            continue;
        };
        rows.extend(row(1, from, None, intensity(Some(actual)), intensity(Some(forecast)), notes));
    }
    Ok(rows)
}

fn uk_slot(slot: &Map<String, Value>, line: u64, notes: &mut Notes) -> Option<Row<Reading>> {
    let from = noted_instant(text_of(slot, "from", line, notes)?, line, false, notes)?;
    let to = noted_instant(text_of(slot, "to", line, notes)?, line, false, notes)?;
    let values = slot.get("intensity");
    let value = |key: &str| intensity(values.and_then(|values| values.get(key)));
    row(line, from, Some(to), value("actual"), value("forecast"), notes)
}

fn sdk_slot(slot: &Map<String, Value>, line: u64, notes: &mut Notes) -> Option<Row<Reading>> {
    let from = noted_instant(text_of(slot, "time", line, notes)?, line, false, notes)?;
    let length = match member(slot, "duration") {
        Some(Value::String(text)) => time_span(text),
        _ => None,
    };
    let to = length.and_then(|length| from.checked_add(length).ok());
    row(line, from, to, intensity(member(slot, "rating")), Ok(None), notes)
}

/// What was measured, or where the answer says when it was made, what was expected. A slot ends after one step.
fn watttime_point(
    point: &Map<String, Value>,
    expected: bool,
    line: u64,
    notes: &mut Notes,
) -> Option<Row<Reading>> {
    let from = noted_instant(text_of(point, "point_time", line, notes)?, line, false, notes)?;
    let value = watttime::pounds(point.get("value"));
    let (actual, forecast) = if expected { (Ok(None), value) } else { (value, Ok(None)) };
    row(line, from, None, actual, forecast, notes)
}

fn row(
    line: u64,
    from: Timestamp,
    to: Option<Timestamp>,
    actual: Result<Option<CarbonIntensity>, String>,
    forecast: Result<Option<CarbonIntensity>, String>,
    notes: &mut Notes,
) -> Option<Row<Reading>> {
    if to.is_some_and(|to| to <= from) {
        notes.push(
            NoteKind::BadRow,
            line,
            format_args!("the slot from {from} ends before it begins; row left out"),
        );
        return None;
    }
    let value = match (actual, forecast) {
        (Ok(actual), Ok(forecast)) => Reading { actual, forecast, noted: false },
        (Err(problem), _) | (_, Err(problem)) => {
            notes.push(NoteKind::BadRow, line, format_args!("{problem}; left as a gap"));
            Reading { noted: true, ..Reading::default() }
        }
    };
    Some(Row { line, from, to, value })
}

/// A text member, or a note.
fn text_of<'v>(slot: &'v Map<String, Value>, key: &str, line: u64, notes: &mut Notes) -> Option<&'v str> {
    let text = member(slot, key).and_then(Value::as_str);
    if text.is_none() {
        notes.push(NoteKind::BadRow, line, format_args!("no `{key}`: expected an instant; row left out"));
    }
    text
}

/// A member by its name in any case: the SDK writes `Time`, its clients `time`.
fn member<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

fn intensity(value: Option<&Value>) -> Result<Option<CarbonIntensity>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => super::carbon::intensity(text),
        Some(value) => {
            let grams = models::json::number(value, &ranges::INTENSITY)?;
            CarbonIntensity::new(grams).map(Some).map_err(|refused| refused.to_string())
        }
    }
}

/// .NET's `hh:mm:ss`, with an optional `d.` before and a fraction after; the fraction is dropped.
fn time_span(text: &str) -> Option<SignedDuration> {
    let (days, clock) = match text.split_once('.') {
        Some((days, clock)) if clock.contains(':') => (days.parse::<i64>().ok()?, clock),
        _ => (0, text),
    };
    let mut parts = clock.split(':').map(|part| part.split('.').next().unwrap_or(part).parse::<i64>().ok());
    let mut seconds = days.checked_mul(86_400)?;
    for unit in [3_600, 60, 1] {
        let part = parts.next()??;
        seconds = seconds.checked_add(part.checked_mul(unit)?)?;
    }
    (seconds > 0).then(|| SignedDuration::from_secs(seconds))
}

/// The line of every object that lies `depth` brackets deep, itself counted, in the order of the file.
/// The text is JSON already, so brackets outside strings are brackets.
fn object_lines(bytes: &[u8], depth: usize) -> Vec<u64> {
    let (mut lines, mut line, mut open) = (Vec::new(), 1_u64, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            b'\n' => line += 1,
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                open += 1;
                if *byte == b'{' && open == depth {
                    lines.push(line);
                }
            }
            b'}' | b']' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    lines
}
