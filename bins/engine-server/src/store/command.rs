//! `engine-server state`: looking after what lasts, while no server has it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command};
use engine::journal::{BaseParts, Changes, Input, Kept, Line, Store as _, StoreError, recover};
use engine::{AnyTarget, Part, TargetCheck};
use jiff::SignedDuration;
use models::Timestamp;
use policies::Registry;
use serde::Serialize;

use super::restore::advice;
use super::{Disk, FILE, Retention};
use crate::args::text;
use crate::state::now;

/// Rows that are written at once.
const ROWS: usize = 1_024;
/// Nothing is forgotten here.
const ALL: Retention = Retention { reach: SignedDuration::MAX, bytes: u64::MAX };

/// The commands.
pub(crate) fn command() -> Command {
    let folder = || {
        text("state-dir", "STATE_DIR", "FOLDER", "The folder that the server keeps its state in")
            .required(true)
    };
    let file = |help: &'static str| Arg::new("file").value_name("FILE").default_value("-").help(help);
    Command::new("state")
        .about("Check, export and import what --state-dir keeps, while no server uses it")
        .subcommand_required(true)
        .subcommand(
            Command::new("check")
                .about("Read all of it, and say whether a server could start with it")
                .arg(folder())
                .arg(Arg::new("format").long("format").value_name("FORMAT").default_value("text").value_parser(["text", "json"]).help("text for a terminal, json for a program")),
        )
        .subcommand(
            Command::new("export")
                .about("Write a base and all that came in after it as lines of JSON: a copy to keep, and what engine-sim replays")
                .arg(folder())
                .arg(Arg::new("from").long("from").value_name("TIME").help("Begin with the last base before this instant, e.g. 2026-11-23T15:00:00Z [default: the newest]"))
                .arg(file("Where to [default: standard output]").hide_default_value(true)),
        )
        .subcommand(
            Command::new("import")
                .about("Make a state of an export, in a folder that has none")
                .arg(folder())
                .arg(file("Where from [default: standard input]").hide_default_value(true)),
        )
}

/// Does what was asked for.
///
/// # Errors
///
/// What is wrong, and what would be right.
pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let Some((name, matches)) = matches.subcommand() else { bail!("expected check, export or import") };
    let folder = matches.get_one::<String>("state-dir").map(PathBuf::from).unwrap_or_default();
    let path = folder.join(FILE);
    match name {
        "check" => check(&path, matches.get_one::<String>("format").is_some_and(|format| format == "json")),
        "export" => {
            let from = matches.get_one::<String>("from").map(|from| {
                from.parse::<Timestamp>().map_err(|_| {
                    anyhow::anyhow!("--from {from}: expected an instant such as 2026-11-23T15:00:00Z")
                })
            });
            export(&path, from.transpose()?, matches.get_one::<String>("file").map_or("-", String::as_str))
        }
        _ => import(&folder, matches.get_one::<String>("file").map_or("-", String::as_str)),
    }
}

/// What a check finds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    path: String,
    bytes: u64,
    schedules: usize,
    carbon_targets: usize,
    /// Acted upon since the newest base.
    records: u64,
    /// The first instant that a replay can begin with.
    replay_from: Option<Timestamp>,
    last_record_at: Option<Timestamp>,
}

fn check(path: &Path, as_json: bool) -> anyhow::Result<()> {
    let mut disk = existing(path)?;
    let mut found = Found {
        path: path.display().to_string(),
        bytes: fs::metadata(path).map_or(0, |metadata| metadata.len()),
        schedules: 0,
        carbon_targets: 0,
        records: 0,
        replay_from: disk.replay_from(),
        last_record_at: None,
    };
    let targets: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
    let mut known = BTreeSet::new();
    let recovered = recover(&mut disk, &Registry::builtin(), &targets, &mut |kept, _| match kept {
        Kept::Record(_, record) => {
            found.last_record_at = Some(record.at);
            if let Input::Forecast { target, .. } = record.input {
                known.insert(target);
            }
        }
        Kept::Part(_, Part::Target(target, _)) => drop(known.insert(target)),
        Kept::Part(..) => {}
    });
    found.carbon_targets = known.len();
    let recovered = recovered.map_err(|problem| advice(path, &problem))?;
    if let Some(recovered) = recovered {
        (found.schedules, found.records) = (recovered.engine.len(), recovered.records);
    }
    let mut out = io::stdout().lock();
    if as_json {
        serde_json::to_writer(&mut out, &found)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{}: sound, {} bytes", found.path, found.bytes)?;
    writeln!(out, "  {} schedules, {} carbon targets", found.schedules, found.carbon_targets)?;
    writeln!(out, "  {} records since the newest base", found.records)?;
    if let Some(from) = found.replay_from {
        writeln!(out, "  a replay can begin at {from}")?;
    }
    if let Some(at) = found.last_record_at {
        writeln!(out, "  the last record is of {at}")?;
    }
    Ok(())
}

fn export(path: &Path, from: Option<Timestamp>, to: &str) -> anyhow::Result<()> {
    let disk = existing(path)?;
    let Some(begins) = disk.begins(from) else {
        bail!("there is nothing in {} yet: expected one that a server was started with", path.display());
    };
    if let Some(from) = from.filter(|from| begins > *from) {
        writeln!(
            io::stderr(),
            "engine-server: nothing from before {begins} is kept: the export begins then, not at {from}"
        )?;
    }
    if to == "-" {
        return write_export(&disk, from, path, io::stdout().lock());
    }
    let created = File::options().write(true).create_new(true).open(to);
    let file = created.with_context(|| format!("{to} cannot be made: expected a name that is free"))?;
    let written = write_export(&disk, from, path, &file).and_then(|()| Ok(file.sync_all()?));
    if written.is_err() {
        // Half of a copy is none.
        let _ = fs::remove_file(to);
    }
    written
}

fn write_export(disk: &Disk, from: Option<Timestamp>, path: &Path, to: impl Write) -> anyhow::Result<()> {
    let out = RefCell::new(BufWriter::new(to));
    let failed = RefCell::new(None);
    let put = |line: &Line| {
        let text = line.to_text()?;
        writeln!(out.borrow_mut(), "{text}").map_err(|error| {
            let told = StoreError::Io(error.to_string());
            *failed.borrow_mut() = Some(error);
            told
        })
    };
    let (mut parts, mut records) = (0, 0);
    let written = put(&Line::header(now(), disk.begins(from)))
        .and_then(|()| {
            disk.read(
                from,
                &mut |kept| {
                    put(&match kept {
                        Kept::Part(before, part) => {
                            parts += 1;
                            Line::Part(before, Box::new(part))
                        }
                        Kept::Record(number, record) => {
                            records += 1;
                            Line::Record(number, record)
                        }
                    })
                },
                &mut |number, outcomes| put(&Line::Published(number, outcomes)),
            )
        })
        .and_then(|()| put(&Line::End { parts, records }));
    match (written, failed.take()) {
        (_, Some(error)) => Err(error).context("the export cannot be written"),
        (Err(problem), None) => Err(advice(path, &problem)),
        (Ok(()), None) => out.into_inner().flush().context("the export cannot be written"),
    }
}

fn import(folder: &Path, from: &str) -> anyhow::Result<()> {
    let path = folder.join(FILE);
    expect_none(&path)?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let input: Box<dyn BufRead> = match from {
        "-" => Box::new(io::stdin().lock()),
        file => Box::new(BufReader::new(File::open(file).with_context(|| format!("{file} cannot be read"))?)),
    };
    // Under its name only once all of it is there, and never another import's.
    let part = folder.join(format!("{FILE}.{}.part", std::process::id()));
    let moved = write_lines(&part, input).and_then(|counts| {
        let lock = File::open(folder)?;
        lock.lock()?;
        // A server may have begun here meanwhile.
        expect_none(&path)?;
        fs::rename(&part, &path)?;
        lock.sync_all()?;
        Ok(counts)
    });
    let (schedules, records) = moved.map_err(|problem| {
        let _ = fs::remove_file(&part);
        problem.context(format!("nothing was imported from {from}"))
    })?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {schedules} schedules and {records} records since", path.display())?;
    Ok(())
}

/// Nothing that is there is ever written over.
fn expect_none(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("there is a state in {} already: expected a folder without one", path.display());
    }
    Ok(())
}

/// Writes an export into a new file, and tries whether an engine comes of it.
fn write_lines(path: &Path, input: Box<dyn BufRead>) -> anyhow::Result<(usize, u64)> {
    let mut disk = Disk::at(path, ALL)?;
    let (mut parts, mut first, mut base): (Vec<Part>, u64, Option<u64>) = (Vec::new(), 0, None);
    let mut changes = Changes::default();
    let mut at = now();
    let (mut records, mut end) = (0_u64, None);
    for (number, line) in (1..).zip(input.lines()) {
        let line = Line::from_text(&line?, number)?;
        if end.is_some() {
            bail!("line {number} follows the last one: expected one export");
        }
        match line {
            Line::CarbonAwareEngineState { based_at, .. } => at = based_at.unwrap_or(at),
            Line::Part(before, part) => {
                if base.is_some_and(|base| base != before) {
                    bail!("line {number} is a part of another base");
                }
                base = Some(before);
                parts.push(*part);
                if parts.len() >= ROWS {
                    let written = std::mem::take(&mut parts);
                    let count = written.len() as u64;
                    let base = Some(BaseParts { before, at, first, parts: written, is_last: false });
                    disk.commit(&Changes { base, ..Changes::default() })?;
                    first += count;
                }
            }
            Line::Published(number, outcomes) => changes.outcomes.push((number, outcomes)),
            Line::Record(number, record) => {
                records += 1;
                changes.records.push((number, *record));
            }
            Line::End { parts, records } => end = Some((parts, records)),
        }
        if changes.records.len() >= ROWS {
            disk.commit(&std::mem::take(&mut changes))?;
        }
    }
    let Some(before) = base else { bail!("there is no state in it: expected the parts of a base") };
    let found = (first + parts.len() as u64, records);
    match end {
        Some(end) if end == found => {}
        Some((parts, records)) => bail!(
            "lines are missing: it has {} parts and {} records, its last line says {parts} and {records}",
            found.0,
            found.1
        ),
        None => bail!("it was cut off: expected the last line of `engine-server state export`"),
    }
    changes.base = Some(BaseParts { before, at, first, parts, is_last: true });
    disk.commit(&changes)?;
    let targets: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
    let recovered = recover(&mut disk, &Registry::builtin(), &targets, &mut |_, _| ())?;
    let Some(recovered) = recovered else { bail!("there is no engine in it") };
    Ok((recovered.engine.len(), recovered.records))
}

/// The store in a file that is there.
fn existing(path: &Path) -> anyhow::Result<Disk> {
    if !path.exists() {
        bail!("there is no state in {}: expected the folder that a server was started with", path.display());
    }
    Disk::at(path, ALL).map_err(|problem| advice(path, &problem))
}
