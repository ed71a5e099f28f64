//! The folder of a recording: what it has, and what is new.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use models::{CarbonTarget, Forecast, Signal, Slot, Timestamp};
use providers::archive::{
    ACTUALS_HEADER, VINTAGES_HEADER, actual_row, actuals_header, vintage_rows, vintages_header,
};
use providers::trace::{CarbonTrace, Factors, Vintages};
use serde::{Deserialize, Serialize};

use super::ink::Ink;

/// Vintages and measured values of one target in one signal.
pub(super) struct Folder {
    path: PathBuf,
    vintages: Ink,
    actuals: Ink,
    /// The newest vintage: when it was known, and the slots it told.
    newest: Option<(Timestamp, Vec<Slot>)>,
    measured: BTreeMap<Timestamp, f64>,
    kept: u64,
    new_vintages: u64,
    new_actuals: u64,
    notes: Vec<String>,
}

/// What a folder is a recording of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct About {
    target: CarbonTarget,
    signal: Signal,
}

impl Folder {
    /// Opens a folder, or makes one.
    ///
    /// # Errors
    ///
    /// A file in it cannot be read or written, or is of something else.
    pub(super) fn open(path: &Path, target: &CarbonTarget, signal: Signal) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("{}: cannot be made", path.display()))?;
        let mut notes = Vec::new();
        let begun = |lines: &[u8], torn: &[u8]| vintage_begin(lines, torn);
        let headers = [vintages_header(signal), VINTAGES_HEADER];
        let (vintages, text) = Ink::open(&path.join("vintages.csv"), headers, begun, &mut notes)?;
        about(&path.join("recording.json"), &About { target: target.clone(), signal })?;
        let (mut newest, mut kept) = (None, 0);
        if has_rows(&text) {
            let read = Vintages::read(&vintages.name, &text)?;
            kept = read.issues().len() as u64;
            newest = read
                .issues()
                .last()
                .map(|last| (last.issued_at.unwrap_or(last.retrieved_at), last.slots().to_vec()));
        }
        let whole = |lines: &[u8], _: &[u8]| lines.len();
        let headers = [actuals_header(signal), ACTUALS_HEADER];
        let (actuals, text) = Ink::open(&path.join("actuals.csv"), headers, whole, &mut notes)?;
        let mut measured = BTreeMap::new();
        if has_rows(&text) {
            let read = CarbonTrace::read(&actuals.name, &text, Factors::default())?;
            measured.extend(read.slots().iter().map(|slot| (slot.from, slot.actual.get())));
        }
        let path = path.to_path_buf();
        Ok(Self { path, vintages, actuals, newest, measured, kept, new_vintages: 0, new_actuals: 0, notes })
    }

    /// Writes down what is new of an answer that was received at `received`. Answers what is odd about it.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub(super) fn take(
        &mut self,
        forecast: &Forecast,
        actuals: &[Slot],
        received: Timestamp,
    ) -> anyhow::Result<Option<String>> {
        let mut rows = String::new();
        for slot in actuals.iter().filter(|slot| slot.to <= received) {
            let value = slot.forecast.get();
            if self.measured.insert(slot.from, value) != Some(value) {
                actual_row(slot, &mut rows);
                self.new_actuals += 1;
            }
        }
        if !rows.is_empty() {
            self.actuals.append(&rows)?;
        }
        let received = received.max(forecast.retrieved_at);
        let known = forecast.issued_at.map_or(received, |issued| issued.max(received));
        if let Some((newest, _)) = self.newest.as_ref().filter(|(newest, _)| *newest >= known) {
            return Ok(Some(format!(
                "a forecast known since {known} is not written: the newest one is known since {newest}, so the \
                 clock was set back"
            )));
        }
        // The form has no ends: a slot is told by its beginning and its value.
        let ahead = |slots: &[Slot]| -> Vec<(Timestamp, f64)> {
            let ahead = slots.iter().filter(|slot| slot.to > known);
            ahead.map(|slot| (slot.from, slot.forecast.get())).collect()
        };
        let says = ahead(forecast.slots());
        if says.is_empty() || self.newest.as_ref().is_some_and(|(_, slots)| ahead(slots) == says) {
            return Ok(None);
        }
        let mut rows = String::new();
        vintage_rows(known, forecast.slots().iter().copied(), &mut rows);
        self.vintages.append(&rows)?;
        self.newest = Some((known, forecast.slots().to_vec()));
        self.kept += 1;
        self.new_vintages += 1;
        Ok(None)
    }

    /// What was odd about the files.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where a file of the folder is.
    pub(super) fn shown(&self, file: &str) -> String {
        self.path.join(file).display().to_string()
    }

    /// Vintages in the file.
    pub(super) fn vintages(&self) -> u64 {
        self.kept
    }

    /// Vintages written since it was opened.
    pub(super) fn new_vintages(&self) -> u64 {
        self.new_vintages
    }

    /// Slots with a measured value in the file.
    pub(super) fn actuals(&self) -> u64 {
        self.measured.len() as u64
    }

    /// Measured values written since it was opened.
    pub(super) fn new_actuals(&self) -> u64 {
        self.new_actuals
    }
}

/// Whether there is a line after the first.
fn has_rows(text: &[u8]) -> bool {
    text.iter().filter(|byte| **byte == b'\n').nth(1).is_some()
}

/// Where the vintage begins whose last row is torn: it was not written whole.
fn vintage_begin(lines: &[u8], torn: &[u8]) -> usize {
    let issue = |line: &[u8]| line.split(|byte| *byte == b',').next().map(<[u8]>::to_vec);
    let last = lines.strip_suffix(b"\n").unwrap_or(lines).rsplit(|byte| *byte == b'\n').next();
    let Some(last) = last.and_then(issue) else { return lines.len() };
    // The first row of a vintage that was torn: those before it are whole.
    let same =
        if torn.contains(&b',') { issue(torn).as_deref() == Some(&last) } else { last.starts_with(torn) };
    if !same {
        return lines.len();
    }
    let mut begin = lines.len();
    for line in lines.strip_suffix(b"\n").unwrap_or(lines).rsplit(|byte| *byte == b'\n') {
        if issue(line).as_deref() != Some(&last) {
            break;
        }
        begin = begin.saturating_sub(line.len() + 1);
    }
    begin
}

/// Writes down what the folder is of, or compares.
fn about(path: &Path, wanted: &About) -> anyhow::Result<()> {
    let name = path.display();
    match fs::read(path) {
        Ok(bytes) => {
            let found: About = serde_json::from_slice(&bytes)
                .with_context(|| format!("{name}: expected `target` and `signal` of the recording"))?;
            if found != *wanted {
                bail!(
                    "{name}: the folder is a recording of `{}`, {}: expected another one for `{}`, {}",
                    found.target,
                    found.signal,
                    wanted.target,
                    wanted.signal
                );
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Whole or not at all: a torn one would stop every start to come.
            let draft = path.with_extension("json.new");
            let text = serde_json::to_vec(wanted)?;
            fs::write(&draft, text)
                .and_then(|()| fs::rename(&draft, path))
                .with_context(|| format!("{name}: cannot be written"))
        }
        Err(error) => Err(error).with_context(|| format!("{name}: cannot be read")),
    }
}
