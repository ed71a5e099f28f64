//! `engine-server state`: looking after what lasts, while no server has it.

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
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match to {
        "-" => Box::new(io::stdout().lock()),
        file => {
            let created = File::options().write(true).create_new(true).open(file);
            Box::new(created.with_context(|| format!("{file} cannot be made: expected a name that is free"))?)
        }
    });
    let written = |error: io::Error| StoreError::Io(format!("the export cannot be written: {error}"));
    let out = std::cell::RefCell::new(&mut out);
    let put = |line: &Line| writeln!(out.borrow_mut(), "{}", line.to_text()?).map_err(written);
    put(&Line::header(now()))
        .and_then(|()| {
            disk.read(
                from,
                &mut |kept| {
                    put(&match kept {
                        Kept::Part(before, part) => Line::Part(before, Box::new(part)),
                        Kept::Record(number, record) => Line::Record(number, record),
                    })
                },
                &mut |number, outcomes| put(&Line::Published(number, outcomes)),
            )
        })
        .map_err(|problem| advice(path, &problem))?;
    out.into_inner().flush()?;
    Ok(())
}

fn import(folder: &Path, from: &str) -> anyhow::Result<()> {
    let path = folder.join(FILE);
    if path.exists() {
        bail!("there is a state in {} already: expected a folder without one", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let input: Box<dyn BufRead> = match from {
        "-" => Box::new(io::stdin().lock()),
        file => Box::new(BufReader::new(File::open(file).with_context(|| format!("{file} cannot be read"))?)),
    };
    // Under its name only once all of it is there.
    let part = folder.join(format!("{FILE}.part"));
    if part.exists() {
        fs::remove_file(&part)?;
    }
    let result = write_lines(&part, input);
    let (schedules, records) = match result {
        Ok(counts) => counts,
        Err(problem) => {
            let _ = fs::remove_file(&part);
            return Err(problem.context(format!("nothing was imported from {from}")));
        }
    };
    fs::rename(&part, &path)?;
    File::open(folder).and_then(|folder| folder.sync_all())?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {schedules} schedules and {records} records since", path.display())?;
    Ok(())
}

/// Writes an export into a new file, and tries whether an engine comes of it.
fn write_lines(path: &Path, input: Box<dyn BufRead>) -> anyhow::Result<(usize, u64)> {
    let mut disk = Disk::at(path, ALL)?;
    let (mut parts, mut first, mut base): (Vec<Part>, u64, Option<u64>) = (Vec::new(), 0, None);
    let mut changes = Changes::default();
    let at = now();
    for (number, line) in (1..).zip(input.lines()) {
        match Line::from_text(&line?, number)? {
            Line::CarbonAwareEngineState { .. } => {}
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
            Line::Record(number, record) => changes.records.push((number, *record)),
        }
        if changes.records.len() >= ROWS {
            disk.commit(&std::mem::take(&mut changes))?;
        }
    }
    let Some(before) = base else { bail!("there is no state in it: expected the parts of a base") };
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
