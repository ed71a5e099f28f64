//! What was typed.

mod fetch;
mod replay;
mod sweep;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use models::{Setting, Timestamp};

pub(crate) use fetch::{FetchArgs, ProviderArgs};
pub(crate) use replay::{ExplainArgs, ReplayArgs};
pub(crate) use sweep::{Shard, SweepArgs};
#[cfg(test)]
pub(crate) use values::budget_window;
pub(crate) use values::{End, FactorsArg, ForecastMode, Reports, aims, once};

/// Replay carbon traces through the decision engine under virtual time.
///
/// The engine publishes, for each slot of a carbon trace, which share of the traffic every flavour of
/// a service gets; the simulator serves that traffic, reports it back as routers do, and adds up
/// what was emitted, how far answers fell short, and what a policy saves. Nothing waits: a year of
/// half-hours is a moment.
///
/// Without files it runs a built-in scenario (three generated weeks of half-hours), so the first
/// thing to try is:
///
///   engine-sim compare
#[derive(Debug, Parser)]
#[command(name = "engine-sim", version, max_term_width = 100, after_long_help = TEACHING, verbatim_doc_comment)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const TEACHING: &str = "\
Files (each may be gzipped; the format is seen from the content):
  carbon    CSV `timestamp,actual[,forecast]`, Electricity Maps' yearly CSV, the SGIP Signal's CSV
            `time,moer,f1,..`, JSON of the UK Carbon Intensity API (the nation or one region), the
            Carbon Aware SDK, Energy-Charts or WattTime; average or marginal, not both
  forecast  CSV `issued_at,target_start,forecast`, or the SGIP Signal's; no vintage is shown before
            it was issued
  demand    CSV `timestamp,requests`; brought to the carbon slots, repeated by time of week
  flavours  JSON list `[{\"name\",\"precision\",\"energyWh\"}]`, or families of them (--family)

What the engine is told of the grid (--forecast-mode); but for none it is also told what each slot
came to:
  auto        vintages where there are, else the trace's forecast column, else perfect
  perfect     what will happen, for the next 48 h
  column      the forecast recorded beside each slot of the trace
  vintages    those of --forecast (or of the scenario), each from when it was issued
  noisy:SEED  the truth with an error of 7 % at 1 h to 22 % at 48 h, revised with every slot
  self        no forecast: the engine has its own alone
  none        nothing at all

How what was served is reported (--feedback): ok; late:N, N evaluations late; lost:P, each post
lost with probability P; overtaken:P, by halves of an interval, the first of them an evaluation late
with probability P; split, by three routers in mixed order; duplicated, each post twice, the second
time at once or an interval late, numbered so that it counts once; none. What a table says was
served is what was served, whatever was reported.

Examples:
  engine-sim compare
  engine-sim compare --carbon gb_2023.csv.gz --demand load.csv --flavours models.json
  engine-sim compare --policies credit-greedy,constant-mix --target-error 0.02 --format json
  engine-sim compare --forecast-mode noisy:1 --budget-window 24h --daily-aim off --evaluate-every 60
  engine-sim sweep --grid carbon=gb.csv.gz --grid carbon=de.csv,forecast=de_96h.csv \\
    --forecast-modes perfect,self --budget-windows 24h,7d --out results.csv
  engine-sim fetch --provider uk-carbon-intensity --target national --out gb --every 30m --for 7d
  engine-sim run --policy precision-tier --from 2026-01-12 --to 2026-01-13 --timeseries day.csv
  engine-sim replay journal.jsonl
  engine-sim explain journal.jsonl --schedule shop/search --from 2026-01-13 --to 2026-01-14

Where things go: the report to standard output; notes (every gap, duplicate and bad row by file
and line, and what was assumed) and a progress bar to standard error.

Exit codes:
  0  done
  1  an input is bad, or something could not be read or written
  2  the command line is wrong
  3  done, and a policy that promises to keep the error budget broke it: a defect, please report it;
     of replay and explain: something else is published than was then";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one policy
    #[command(after_long_help = TEACHING)]
    Run(RunArgs),
    /// Run several policies over the same world and compare them
    #[command(after_long_help = TEACHING)]
    Compare(CompareArgs),
    /// Run many simulations side by side into a CSV file that can be resumed and merged
    #[command(after_long_help = TEACHING)]
    Sweep(SweepArgs),
    /// Record what a carbon provider forecasts and measures, to be replayed with --forecast
    #[command(after_long_help = fetch::TEACHING)]
    Fetch(FetchArgs),
    /// Replay what a server wrote down, and compare what is published with what was published then
    #[command(after_long_help = replay::TEACHING)]
    Replay(ReplayArgs),
    /// Replay what a server wrote down, and show one schedule's decisions and what they were made of
    #[command(after_long_help = replay::TEACHING)]
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The policy to run
    #[arg(long, value_name = "NAME", default_value = models::config::DEFAULT_POLICY, value_parser = values::policy)]
    pub(crate) policy: String,
    #[command(flatten)]
    pub(crate) study: StudyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The policies to compare, in this order [default: every built-in one]
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = values::policy)]
    policies: Vec<String>,
    #[command(flatten)]
    pub(crate) study: StudyArgs,
}

impl CompareArgs {
    /// The policies asked for, each once; every built-in one where none was.
    pub(crate) fn policies(&self) -> Vec<String> {
        if self.policies.is_empty() { values::every_policy() } else { once(&self.policies) }
    }
}

/// What both commands share.
#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    #[command(flatten)]
    pub(crate) world: WorldArgs,

    /// Allowed mean error, in [0, 1)
    #[arg(long, value_name = "X", help_heading = "Engine", value_parser = values::target_error, default_value_t = Setting::TargetError.spec().default)]
    pub(crate) target_error: f64,
    /// Window of the error budget: seconds, or 30m, 24h, 7d [default: 48h]
    #[arg(long, value_name = "SPAN", help_heading = "Engine", value_parser = values::budget_window)]
    pub(crate) budget_window: Option<f64>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Form of the report
    #[arg(long, help_heading = "Output", value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Also write one CSV row per evaluation interval and policy to this file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) timeseries: Option<PathBuf>,
    /// Also write a page to look at to this file, whole in itself: charts of every policy, the table
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,
    /// Colour in tables; auto is for terminals, and respects NO_COLOR
    #[arg(long, value_name = "WHEN", help_heading = "Output", value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// How the engine is set up, besides what a sweep varies.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct EngineArgs {
    /// Overdraft of the error budget, in budgets of one window
    #[arg(long, value_name = "X", value_parser = values::budget_overdraft, default_value_t = Setting::BudgetOverdraft.spec().default)]
    pub(crate) budget_overdraft: f64,
    /// Multiple of the target error aimed at in any 24 h, or off
    #[arg(long, value_name = "X", value_parser = values::daily_aim, default_value_t = Setting::BudgetDailyAim.spec().default)]
    pub(crate) daily_aim: f64,
    /// Lower bound of the credit ledger
    #[arg(long, value_name = "X", value_parser = values::credit_min, default_value_t = Setting::CreditMin.spec().default, allow_hyphen_values = true)]
    pub(crate) credit_min: f64,
    /// Upper bound of the credit ledger
    #[arg(long, value_name = "X", value_parser = values::credit_max, default_value_t = Setting::CreditMax.spec().default)]
    pub(crate) credit_max: f64,
    /// Smoothing window of the credit velocity
    #[arg(long, value_name = "SECONDS", value_parser = values::credit_window, default_value_t = Setting::CreditWindow.spec().default)]
    pub(crate) credit_window: f64,
    /// Time between evaluations [default: one slot of the carbon trace]
    #[arg(long, value_name = "SECONDS", value_parser = values::evaluate_every)]
    pub(crate) evaluate_every: Option<SignedDuration>,
    /// How the engine comes to know what was served: ok, late:N, lost:P, overtaken:P, split, duplicated or none
    #[arg(long, value_name = "FAULT", value_parser = values::reports, default_value_t = Reports::Prompt)]
    pub(crate) feedback: Reports,
    /// Whether the engine knows when the simulated time ends, as hindsight does: credit that is left then
    /// is worth nothing
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = End::Known)]
    pub(crate) end: End,
    /// Seed of the built-in scenario, of policies that draw lots and of posts lost, mixed and repeated
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What the world is made of.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "World")]
pub(crate) struct WorldArgs {
    /// Carbon trace [default: the built-in scenario]
    #[arg(long, value_name = "FILE")]
    pub(crate) carbon: Option<PathBuf>,
    /// Forecast vintages for the carbon trace
    #[arg(long, value_name = "FILE", requires = "carbon")]
    pub(crate) forecast: Option<PathBuf>,
    /// What the engine is told of the grid: auto, perfect, column, vintages, noisy:SEED, self or none
    #[arg(long, value_name = "MODE", value_parser = values::forecast_mode, default_value_t = ForecastMode::Auto)]
    pub(crate) forecast_mode: ForecastMode,
    /// Emission factors to read where the trace carries both
    #[arg(long, value_name = "KIND", value_enum, default_value_t = FactorsArg::Lifecycle)]
    pub(crate) factors: FactorsArg,
    /// Demand trace [default: that of the scenario; 1000 requests an hour beside --carbon]
    #[arg(long, value_name = "FILE")]
    pub(crate) demand: Option<PathBuf>,
    /// Flavours [default: precision 1.0, 0.85 and 0.7 with relative energy 1.0, 0.7 and 0.4]
    #[arg(long, value_name = "FILE")]
    pub(crate) flavours: Option<PathBuf>,
    /// Family of the flavour file
    #[arg(long, value_name = "NAME", requires = "flavours")]
    pub(crate) family: Option<String>,
    /// First instant to simulate, RFC 3339 or a date [default: all of the trace]
    #[arg(long, value_name = "INSTANT", value_parser = values::moment)]
    pub(crate) from: Option<Timestamp>,
    /// First instant not to simulate any more
    #[arg(long, value_name = "INSTANT", value_parser = values::moment)]
    pub(crate) to: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs: everything, once
    Json,
    /// For spreadsheets: one row per policy
    Csv,
}

/// Form of what has no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    /// For people
    Text,
    /// For programs: everything, once
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}
