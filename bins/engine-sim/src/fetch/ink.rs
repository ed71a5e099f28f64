//! A CSV file that is only ever appended to, and never left with half a line.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, bail};

/// Most bytes of a file that is gone on with: as many as are read back for a simulation.
const MOST_BYTES: u64 = 1 << 30;

/// A file, open for more.
pub(super) struct Ink {
    pub(super) name: String,
    file: File,
    length: u64,
}

impl Ink {
    /// Opens a file (or begins one, with the first of `headers`) and reads what it has, header included. Where the last line is torn, by
    /// a full disk or a killed process, it is cut off, and with it all that `begun` says belongs to it; that
    /// is then noted.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, is another's, or holds something else.
    pub(super) fn open(
        path: &Path,
        headers: [&str; 2],
        begun: impl Fn(&[u8], &[u8]) -> usize,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<(Self, Vec<u8>)> {
        let name = path.display().to_string();
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = opened.with_context(|| format!("{name}: cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{name}: another process records into it: expected a folder of its own")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{name}: cannot be locked"));
            }
        }
        let mut bytes = Vec::new();
        (&file)
            .take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("{name}: cannot be read"))?;
        if bytes.len() as u64 > MOST_BYTES {
            bail!("{name}: longer than {MOST_BYTES} bytes: begin a new folder");
        }
        let mut whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (lines, torn) = bytes.split_at(whole);
        let is_begun = |header: &&str| {
            lines.starts_with(header.as_bytes()) || lines.is_empty() && header.as_bytes().starts_with(torn)
        };
        let Some(header) = headers.into_iter().find(is_begun) else {
            let [header, other] = headers.map(str::trim_end);
            bail!("{name}: does not begin with `{header}` or `{other}`: expected such a file, or none yet");
        };
        if !torn.is_empty() {
            if !lines.is_empty() {
                whole = begun(lines, torn).max(header.len());
                notes.push(format!("{name}: its last line was torn: cut off, with what belonged to it"));
            }
            file.set_len(whole as u64).with_context(|| format!("{name}: cannot be written"))?;
        }
        bytes.truncate(whole);
        file.seek(SeekFrom::End(0)).with_context(|| format!("{name}: cannot be read"))?;
        let mut ink = Self { name, file, length: whole as u64 };
        if bytes.is_empty() {
            let [header, _] = headers;
            ink.append(header)?;
            bytes.extend(header.bytes());
        }
        Ok((ink, bytes))
    }

    /// Appends whole lines, all of them or none, and waits until they are on the disk.
    ///
    /// # Errors
    ///
    /// The file cannot be written; it is then as it was.
    pub(super) fn append(&mut self, lines: &str) -> anyhow::Result<()> {
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Where not even that is possible, the next start cuts off the torn line.
            let _ = self.file.set_len(self.length);
        }
        written.with_context(|| format!("{}: cannot be written", self.name))?;
        self.length += lines.len() as u64;
        Ok(())
    }
}
