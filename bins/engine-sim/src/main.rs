//! `engine-sim`: replays carbon traces through the decision engine under virtual time.
//!
//! ```text
//!   traces ──> World ──┐
//!   options ─> Plan ───┴──> study: one Engine per policy, virtual time ──> report: text, CSV, JSON, HTML
//! ```
//!
//! Thin: arguments become a [`world::World`] and a [`plan::Plan`]; [`study`] runs the engine over them
//! once per policy; [`report`] writes what came of it.
//!
//! What this program does not do: it knows no policy and keeps no ledger of its own. What it shows is what the engine
//! would have published.

mod account;
mod args;
mod budget;
mod explain;
mod feedback;
mod fetch;
mod guarantee;
mod hindsight;
mod noise;
mod plan;
mod progress;
mod recording;
mod replay;
mod report;
mod run;
mod scenario;
mod serve;
mod study;
mod sweep;
mod world;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command, StudyArgs};
use crate::plan::{Keep, Knobs, Plan};
use crate::progress::Progress;
use crate::report::Report;
use crate::study::Study;
use crate::world::World;

/// Something that was read is bad, or could not be read or written.
const BAD_INPUT: u8 = 1;
/// A policy broke the budget it promises to keep, or a replay came to something else. (2 is a wrong command line.)
const DEFECT: u8 = 3;

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Fine,
    /// A policy broke the budget it promises to keep.
    BrokenPromise,
    /// Something else is published in a replay than was.
    Different,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        None => teach(),
        Some(Command::Run(args)) => simulate("run", &[args.policy], &args.study),
        Some(Command::Compare(args)) => simulate("compare", &args.policies(), &args.study),
        Some(Command::Sweep(args)) => sweep::run(&args),
        Some(Command::Fetch(args)) => fetch::run(&args),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
    };
    match outcome {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::BrokenPromise | Ending::Different) => ExitCode::from(DEFECT),
        // Whoever reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is gone too, the exit code is all that is left to say it.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// Without a command: the whole help.
fn teach() -> anyhow::Result<Ending> {
    let help = Cli::command().render_long_help();
    writeln!(io::stdout(), "{help}").context("cannot write the help")?;
    Ok(Ending::Fine)
}

fn simulate(command: &'static str, policies: &[String], args: &StudyArgs) -> anyhow::Result<Ending> {
    let world = World::load(&args.world, args.engine.seed)?;
    let knobs = Knobs { target_error: args.target_error, budget_window: args.budget_window };
    let keep = Keep { intervals: args.timeseries.is_some(), recording: args.report.is_some() };
    let plan = Plan::new(knobs, &args.engine, &world, keep);
    let progress = Progress::evaluations(plan.evaluations(&world) * policies.len() as u64);
    let study = Study::run(&world, &plan, policies, &progress)?;
    progress.finish();
    let report = Report { command, world: &world, plan: &plan, study: &study };
    report.say_notes(&mut io::stderr().lock()).context("cannot write notes to standard error")?;
    if let Some(path) = &args.timeseries {
        report.write_timeseries(path)?;
    }
    if let Some(path) = &args.report {
        report.write_page(path)?;
    }
    report
        .write(args.format, args.color, &mut io::stdout().lock())
        .context("cannot write to standard output")?;
    Ok(if study.broken().next().is_some() { Ending::BrokenPromise } else { Ending::Fine })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    io_errors.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
