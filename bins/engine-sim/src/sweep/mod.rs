//! Many simulations side by side, each a row of a CSV file that can be resumed and merged.

mod results;
mod row;
mod summary;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use rayon::prelude::*;

use crate::Ending;
use crate::args::{Shard, SweepArgs, WorldArgs};
use crate::plan::{Keep, Knobs, Plan};
use crate::progress::Progress;
use crate::report::wants_color;
use crate::study::Study;
use crate::world::World;
use results::Results;
use row::{Key, Row};

/// What is still to be run in one world.
struct Job {
    world: WorldArgs,
    cells: Vec<Cell>,
}

/// Policies under one set of knobs.
struct Cell {
    knobs: Knobs,
    runs: Vec<(String, Key)>,
}

/// Runs what is not there yet, then sums up all of it.
///
/// # Errors
///
/// An input or the results file that cannot be read or used; what was done by then is kept.
pub(crate) fn run(args: &SweepArgs) -> anyhow::Result<Ending> {
    let asked = plan(args)?;
    let (results, mut rows) = Results::open(&args.out)?;
    let mut said = io::stderr().lock();
    for note in results.notes() {
        writeln!(said, "note: {note}").context("cannot write notes to standard error")?;
    }
    let wanted: BTreeSet<Key> = asked
        .iter()
        .flat_map(Job::runs)
        .map(|(_, key)| key.clone())
        .filter(|key| in_shard(args.shard, key))
        .collect();
    rows.retain(|row| wanted.contains(&row.key));
    let done: BTreeSet<&Key> = rows.iter().map(|row| &row.key).collect();
    let jobs: Vec<Job> = asked
        .into_iter()
        .filter_map(|job| job.only(|key| wanted.contains(key) && !done.contains(key)))
        .collect();
    let left: usize = jobs.iter().map(|job| job.runs().count()).sum();
    writeln!(said, "note: {} of {} simulations were done before", wanted.len() - left, wanted.len())
        .context("cannot write notes to standard error")?;
    drop(said);
    let progress = Progress::simulations(left as u64);
    let outcomes: Vec<anyhow::Result<Vec<Row>>> =
        jobs.par_iter().map(|job| work(job, args, &results, &progress)).collect();
    progress.finish();
    for outcome in outcomes {
        rows.extend(outcome?);
    }
    rows.sort_by(|one, two| one.key.cmp(&two.key));
    summary::write(&rows, wants_color(args.color), &mut io::stdout().lock())
        .context("cannot write to standard output")?;
    Ok(if rows.iter().any(Row::is_broken) { Ending::BrokenPromise } else { Ending::Fine })
}

/// Every simulation asked for, by world.
fn plan(args: &SweepArgs) -> anyhow::Result<Vec<Job>> {
    let mut seen = BTreeSet::new();
    let mut jobs = Vec::new();
    for world in args.worlds() {
        let mut cells = Vec::new();
        for (target_error, budget_window) in args.knobs() {
            let knobs = Knobs { target_error, budget_window: Some(budget_window) };
            let mut runs = Vec::new();
            for policy in args.policies() {
                let key = Key::new(&world, knobs, &args.engine, &policy);
                if !seen.insert(key.clone()) {
                    bail!(
                        "{}: another grid has files of the same names: rows could not be told apart",
                        world.carbon.as_deref().unwrap_or(Path::new("")).display()
                    );
                }
                runs.push((policy, key));
            }
            cells.push(Cell { knobs, runs });
        }
        jobs.push(Job { world, cells });
    }
    Ok(jobs)
}

fn in_shard(shard: Option<Shard>, key: &Key) -> bool {
    shard.is_none_or(|shard| key.hash() % shard.count == shard.index)
}

/// Runs one world's simulations. Every row is in the file before the next one is begun.
fn work(job: &Job, args: &SweepArgs, results: &Results, progress: &Progress) -> anyhow::Result<Vec<Row>> {
    let world = World::load(&job.world, args.engine.seed)?;
    let rows: Vec<anyhow::Result<Vec<Row>>> = job
        .cells
        .par_iter()
        .map(|cell| {
            let plan = Plan::new(cell.knobs, &args.engine, &world, Keep::default());
            let policies: Vec<String> = cell.runs.iter().map(|(policy, _)| policy.clone()).collect();
            let study = Study::run(&world, &plan, &policies, &Progress::hidden())?;
            let mut rows = Vec::new();
            for ((_, key), outcome) in cell.runs.iter().zip(&study.outcomes) {
                let row = Row::new(key.clone(), &world, &study, outcome);
                results.append(&row)?;
                progress.step();
                rows.push(row);
            }
            Ok(rows)
        })
        .collect();
    let mut all = Vec::new();
    for some in rows {
        all.extend(some?);
    }
    Ok(all)
}

impl Job {
    fn runs(&self) -> impl Iterator<Item = &(String, Key)> {
        self.cells.iter().flat_map(|cell| &cell.runs)
    }

    /// What of it is still to be run; none where nothing is.
    fn only(mut self, wanted: impl Fn(&Key) -> bool) -> Option<Self> {
        for cell in &mut self.cells {
            cell.runs.retain(|(_, key)| wanted(key));
        }
        self.cells.retain(|cell| !cell.runs.is_empty());
        (!self.cells.is_empty()).then_some(self)
    }
}
