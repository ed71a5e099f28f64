//! The lines of an export, one by one: gzip undone, each with its number.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use engine::journal::Line;
use flate2::bufread::MultiGzDecoder;

use crate::progress::Progress;
use crate::world::file::shown;

/// Longest line, in bytes: what was forecast for every carbon target is one.
const LONGEST: u64 = 1 << 30;
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What stands for standard input.
const STDIN: &str = "-";

/// An export that is being read.
pub(crate) struct Lines {
    name: String,
    input: Box<dyn BufRead>,
    text: Vec<u8>,
    number: usize,
}

impl Lines {
    /// Opens an export; `-` is standard input.
    ///
    /// # Errors
    ///
    /// The file cannot be opened or read.
    pub(crate) fn open(path: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let is_stdin = path.as_os_str() == STDIN;
        let name = if is_stdin { "standard input".to_owned() } else { shown(path) };
        let raw: Box<dyn Read> = if is_stdin {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).with_context(|| format!("{name}: cannot be opened"))?;
            progress.expect(file.metadata().map_or(0, |metadata| metadata.len()));
            Box::new(file)
        };
        let mut raw = BufReader::new(progress.reading(raw));
        let first = raw.fill_buf().with_context(|| format!("{name}: cannot be read"))?;
        let input: Box<dyn BufRead> = if first.starts_with(GZIP) {
            Box::new(BufReader::new(MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        Ok(Self { name, input, text: Vec::new(), number: 0 })
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Number of the line that was read last, counted from 1.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no line of an export.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Line>> {
        let (name, number) = (&self.name, self.number + 1);
        self.text.clear();
        let read = (&mut self.input).take(LONGEST + 1).read_until(b'\n', &mut self.text);
        let read = read.with_context(|| format!("{name}: line {number} cannot be read"))?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 > LONGEST {
            bail!("{name}: line {number} is longer than {LONGEST} bytes");
        }
        let Ok(text) = std::str::from_utf8(&self.text) else { bail!("{name}: line {number} is no text") };
        let line = Line::from_text(text, number).with_context(|| name.clone())?;
        self.number = number;
        Ok(Some(line))
    }
}
