//! The results file: read back, repaired, appended to row by row.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};

use super::row::{FIGURES, KEY, Key, Row};

/// A results file, open for more.
pub(super) struct Results {
    name: String,
    file: Mutex<File>,
    notes: Vec<String>,
}

impl Results {
    /// Opens a file (or begins one) and reads the rows it has. A last line that was torn, by a full disk or
    /// a killed process, is cut off: its simulation is run again.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or holds something else than results.
    pub(super) fn open(path: &Path) -> anyhow::Result<(Self, Vec<Row>)> {
        let name = path.display().to_string();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("{name}: cannot be opened"))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).with_context(|| format!("{name}: cannot be read"))?;
        let header = line(header())?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (text, torn) = text.split_at(whole);
        let begun = !text.is_empty();
        if begun && !text.starts_with(&header) || !begun && !header.starts_with(torn) {
            bail!(
                "{name}: does not begin with the header of a sweep's results: expected such a file, or none yet"
            );
        }
        let mut notes = Vec::new();
        let cannot_write = || format!("{name}: cannot be written");
        if !torn.is_empty() {
            file.set_len(whole as u64).with_context(cannot_write)?;
            file.seek(SeekFrom::End(0)).with_context(cannot_write)?;
            if begun {
                notes.push(format!("{name}: its last line was torn: cut off, to be run again"));
            }
        }
        if !begun {
            file.write_all(&header).with_context(cannot_write)?;
        }
        let rows = rows(text, &name)?;
        Ok((Self { name, file: Mutex::new(file), notes }, rows))
    }

    /// What was odd about the file.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Appends a row, whole or not at all.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn append(&self, row: &Row) -> anyhow::Result<()> {
        let line = line(row.fields())?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).with_context(|| format!("{}: cannot be written", self.name))
    }
}

fn header() -> impl Iterator<Item = &'static str> {
    KEY.into_iter().chain(FIGURES)
}

fn line<'a>(fields: impl Iterator<Item = &'a str>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().context("a row cannot be written to memory")
}

fn rows(text: &[u8], name: &str) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text);
    let mut rows = Vec::new();
    for record in reader.records() {
        // The library's word for a row of another length names its line.
        let record = record.with_context(|| format!("{name}: not a row of a sweep's results"))?;
        let fields: Vec<String> = record.iter().map(Into::into).collect();
        let (key, figures) = fields.split_at(KEY.len().min(fields.len()));
        rows.push(Row { key: Key(key.to_vec()), figures: figures.to_vec() });
    }
    Ok(rows)
}
