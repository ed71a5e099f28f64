//! `engine-sim replay`: what a server wrote down, acted upon again and compared with what it published then.
//!
//! ```text
//! Lines ──> Journal ──step──> Check ──> report
//!             └ engine          └ the first difference
//! ```

mod check;
mod decision;
mod journal;
mod lines;
mod report;
mod words;

use std::collections::BTreeMap;
use std::io;

use anyhow::Context;
use models::{ScheduleId, Timestamp};

pub(crate) use check::Check;
pub(crate) use decision::{Decision, Made, Pairs};
pub(crate) use journal::{Journal, Step};
pub(crate) use words::{came_to, lateness, of as in_words, received, requests};

use crate::Ending;
use crate::args::ReplayArgs;
use crate::progress::Progress;
use crate::replay::check::{Difference, Told};
use crate::report::wants_color;

/// Records that are shown on either side of a difference.
const AROUND: usize = 6;
/// Records that are read on after a difference, to show what followed.
const READ_ON: usize = 2_048;

/// What was replayed.
struct Replayed {
    exported_at: Timestamp,
    /// Number of the first record, and instants of the first and the last.
    first: u64,
    span: Option<(Timestamp, Timestamp)>,
    records: BTreeMap<&'static str, u64>,
    /// How often each schedule was published, those of the base included.
    schedules: BTreeMap<ScheduleId, u64>,
    compared: u64,
    alone: u64,
    unrecorded: Option<(Timestamp, u64)>,
    difference: Option<(Box<Difference>, Vec<Told>)>,
}

/// Replays an export.
///
/// # Errors
///
/// The export cannot be read, or nothing can be written.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<Ending> {
    let progress = Progress::bytes();
    let mut journal = Journal::open(&args.file, &progress)?;
    let replayed = replay(&mut journal);
    progress.finish();
    let replayed = replayed?;
    report::write(&replayed, journal.name(), args.format, wants_color(args.color), &mut io::stdout().lock())
        .context("cannot write to standard output")?;
    Ok(if replayed.difference.is_some() { Ending::Different } else { Ending::Fine })
}

fn replay(journal: &mut Journal) -> anyhow::Result<Replayed> {
    let mut check = Check::new(journal.first);
    let mut replayed = Replayed {
        exported_at: journal.exported_at,
        first: journal.first,
        span: None,
        records: BTreeMap::new(),
        schedules: journal.engine.schedules().map(|id| (id.clone(), 0)).collect(),
        compared: 0,
        alone: 0,
        unrecorded: None,
        difference: None,
    };
    while let Some(step) = journal.step()? {
        let at = step.record.at;
        replayed.span = Some((replayed.span.map_or(at, |(from, _)| from), at));
        *replayed.records.entry(step.record.input.kind()).or_default() += 1;
        for (id, _) in &step.views {
            *replayed.schedules.entry(id.clone()).or_default() += 1;
        }
        if let Some(difference) = check.look(&step, &journal.engine) {
            let after = after(journal, &difference);
            replayed.difference = Some((difference, after));
            break;
        }
    }
    (replayed.compared, replayed.alone, replayed.unrecorded) =
        (check.compared, check.alone, check.unrecorded);
    Ok(replayed)
}

/// Some of what came in after a difference, as far as it can be read.
fn after(journal: &mut Journal, difference: &Difference) -> Vec<Told> {
    let mut after = Vec::new();
    for _ in 0..READ_ON {
        let Ok(Some(step)) = journal.step() else { break };
        let told = Told::of(&step);
        if told.concerns(&difference.id, difference.target.as_ref()) && !told.join(&mut after) {
            break;
        }
    }
    after
}
