//! A store of one's own: one file that only grows, a line for each commit. An engine is kept in it, "crashes", and
//! comes back.
//!
//! `cargo run -p engine --example own_store`; `cargo test -p engine --example own_store` tries it.
//!
//! What it does not do: it forgets nothing (a file of a week is as long as the week was), and nothing of another
//! process is kept out. `fsync` is as good as the disk's word.

#![expect(clippy::disallowed_methods, reason = "an example is a world of its own: it has a file")]

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::journal::{BaseParts, Outcomes};
use engine::journal::{Changes, Input, Kept, Record, Store, StoreError, recover};
use engine::{AnyTarget, Engine, EngineOptions, Part, StoredOptions, TargetCheck};
use jiff::SignedDuration;
use models::{Overrides, ScheduleId, Timestamp};
use policies::Registry;
use serde::{Deserialize, Serialize};

/// One file. Each line is `CHECKSUM JSON`, and one commit, or a healing.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    file: File,
    /// Length of what was committed: what lies beyond is of a commit that failed.
    length: u64,
    failed: bool,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Commit {
        records: Vec<(u64, Record)>,
        base: Option<Base>,
    },
    /// Records from this number on do not count any more.
    Healed(u64),
}

/// Some parts of a base.
#[derive(Debug, Serialize, Deserialize)]
struct Base {
    before: u64,
    first: u64,
    parts: Vec<Part>,
    is_last: bool,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        let mut store = Self { path: path.into(), file, length: 0, failed: false };
        store.cut()?;
        Ok(store)
    }

    /// The same, as another process opens it.
    fn reopened(self) -> Result<Self, StoreError> {
        let Self { path, file, .. } = self;
        drop(file);
        Self::open(&path)
    }

    /// Everything that was committed, and nothing beyond: a line that is torn was never acknowledged.
    fn read(&mut self) -> Result<(Vec<Line>, u64), StoreError> {
        let mut text = Vec::new();
        self.file.seek(SeekFrom::Start(0)).map_err(io)?;
        self.file.read_to_end(&mut text).map_err(io)?;
        let (mut lines, mut length) = (Vec::new(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let Some(json) = checked(line) else { break };
            lines.push(serde_json::from_slice(json).map_err(|error| StoreError::Damaged(error.to_string()))?);
            length += line.len() as u64;
        }
        // One bad line is a commit that was torn. Good ones after it are something else.
        let rest = text.get(usize::try_from(length).unwrap_or(usize::MAX)..).unwrap_or_default();
        if rest.split_inclusive(|byte| *byte == b'\n').skip(1).any(|line| checked(line).is_some()) {
            return Err(StoreError::Damaged(format!("byte {length} does not begin a whole line")));
        }
        Ok((lines, length))
    }

    /// Cuts off what was never acknowledged.
    fn cut(&mut self) -> Result<(), StoreError> {
        (_, self.length) = self.read()?;
        self.file.set_len(self.length).map_err(io)?;
        self.file.sync_all().map_err(io)?;
        self.failed = false;
        Ok(())
    }

    fn append(&mut self, line: &Line) -> Result<(), StoreError> {
        let json = serde_json::to_string(line).map_err(|error| StoreError::Io(error.to_string()))?;
        self.file.seek(SeekFrom::Start(self.length)).map_err(io)?;
        let text = format!("{:08x} {json}\n", checksum(json.as_bytes()));
        self.file.write_all(text.as_bytes()).map_err(io)?;
        self.file.sync_all().map_err(io)?;
        self.length += text.len() as u64;
        Ok(())
    }
}

impl Store for Lines {
    // One line, so all or none; on the disk before anything is said.
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Io("it failed before and is not healed yet".into()));
        }
        let base = changes.base.as_ref().map(|BaseParts { before, first, parts, is_last, .. }| Base {
            before: *before,
            first: *first,
            parts: parts.clone(),
            is_last: *is_last,
        });
        // What was published is for a replay that compares it: this store leaves that out.
        let written = self.append(&Line::Commit { records: changes.records.clone(), base });
        self.failed = written.is_err();
        written
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        self.failed = true;
        self.cut()?;
        // Whether the commit that failed is there nobody knows: from here on it is not.
        let healed = self.append(&Line::Healed(from));
        self.failed = healed.is_err();
        healed
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut whole: Option<(u64, Vec<Part>)> = None;
        let mut begun: Option<(u64, Vec<Part>)> = None;
        let mut all: Vec<(u64, Record)> = Vec::new();
        for line in self.read()?.0 {
            match line {
                Line::Healed(from) => all.retain(|(number, _)| *number < from),
                Line::Commit { records, base } => {
                    all.extend(records);
                    let Some(Base { before, first, parts, is_last }) = base else { continue };
                    if first == 0 {
                        begun = Some((before, Vec::new()));
                    }
                    if let Some((_, all)) = &mut begun {
                        all.extend(parts);
                    }
                    if is_last {
                        whole = begun.take().or(whole);
                    }
                }
            }
        }
        let Some((before, parts)) = whole else { return Ok(()) };
        parts.into_iter().try_for_each(|part| take(Kept::Part(before, part)))?;
        let after = all.into_iter().filter(|(number, _)| *number >= before);
        after.into_iter().try_for_each(|(number, record)| take(Kept::Record(number, Box::new(record))))
    }
}

/// The JSON of a line that is whole.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = line.strip_suffix(b"\n")?.split_at_checked(8)?;
    let json = rest.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == checksum(json)).then_some(json)
}

/// FNV-1a: enough to notice a torn line. Where disks flip bits, take a CRC.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn io(error: std::io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}

/// Keeps an input, then acts upon it: never the other way round.
fn act(engine: &mut Engine, store: &mut Lines, next: &mut u64, record: &Record) -> Result<(), StoreError> {
    store.commit(&Changes { records: vec![(*next, record.clone())], ..Changes::default() })?;
    *next += 1;
    engine.apply(record);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state");
    let mut now: Timestamp = "2026-11-23T15:00:00Z".parse()?;
    let mut out = std::io::stdout().lock();

    let options = EngineOptions::default();
    let mut engine = Engine::new(options.clone(), Registry::builtin());
    let mut store = Lines::open(&path)?;
    let mut next = 0;
    // A base of the empty engine: what follows are records. Another one now and then keeps a start short.
    engine.begin_base();
    let parts = engine.base_parts(usize::MAX);
    let base = BaseParts { before: next, at: now, first: 0, parts, is_last: true };
    store.commit(&Changes { base: Some(base), ..Changes::default() })?;

    let id = ScheduleId::new("shop", "search")?;
    let put = Input::Configure { id: id.clone(), overrides: Overrides::default(), refused: None };
    act(&mut engine, &mut store, &mut next, &Record { at: now, input: put })?;
    for _ in 0..20 {
        now = engine.next_due().ok_or("there is a schedule")?;
        act(&mut engine, &mut store, &mut next, &Record { at: now, input: Input::Tick })?;
    }

    // The process dies amid a commit: half a line is left of it.
    OpenOptions::new().append(true).open(&path)?.write_all(b"0badc0de {\"Commit\":{\"rec")?;
    let mut store = store.reopened()?;

    let targets: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
    let recovered = recover(&mut store, &Registry::builtin(), &targets, &mut |_, _| ())?;
    let recovered = recovered.ok_or("there was a base")?;
    writeln!(out, "{} parts and {} records came back", recovered.parts, recovered.records)?;

    // Both go on: the one that lived, and the one that came back. They publish the same bytes.
    let outcomes = [Arc::new(Outcomes::default()), Arc::new(Outcomes::default())];
    let engines = [engine, recovered.engine].into_iter().zip(&outcomes);
    let mut engines: Vec<_> =
        engines.map(|(engine, outcomes)| engine.with_publisher(Arc::clone(outcomes) as _)).collect();
    let options = Box::new(StoredOptions::from(&options));
    let start = Input::Start { options, refused: std::collections::BTreeMap::new() };
    for input in [start, Input::Tick, Input::Tick] {
        now += SignedDuration::from_secs(60);
        let record = Record { at: now, input };
        for engine in &mut engines {
            engine.apply(&record);
        }
    }
    let [lived, came_back] = outcomes.map(|outcomes| outcomes.take());
    writeln!(out, "{} views each, the same: {}", lived.len(), lived == came_back)?;
    if lived == came_back { Ok(()) } else { Err("they went on differently".into()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_keeps_what_every_store_keeps() {
        let folder = tempfile::tempdir().unwrap();
        let mut count = 0;
        let new = || {
            count += 1;
            Lines::open(&folder.path().join(count.to_string()))
        };
        engine::testing::store(new, Lines::reopened).unwrap();
    }

    #[test]
    fn it_runs() {
        main().unwrap();
    }

    #[test]
    fn a_line_that_is_damaged_amid_others_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut store = Lines::open(&path).unwrap();
        for _ in 0..3 {
            store.heal(0).unwrap();
        }
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Lines::open(&path), Err(StoreError::Damaged(_))));
    }
}
