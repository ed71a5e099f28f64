//! What a sweep is asked for.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use models::{Setting, Timestamp};

use super::values;
use super::{Color, EngineArgs, FactorsArg, ForecastMode, WorldArgs, once};

/// Every combination of what is listed is one world; every policy is run in each.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// A grid: its carbon trace, and its forecast vintages and demand where it has its own
    #[arg(
        long = "grid",
        value_name = "carbon=FILE[,forecast=FILE][,demand=FILE]",
        help_heading = "World",
        required = true
    )]
    grids: Vec<Grid>,
    /// Demand of the grids that have none of their own [default: 1000 requests an hour]
    #[arg(long, value_name = "FILE", help_heading = "World")]
    demand: Option<PathBuf>,
    /// Flavours [default: precision 1.0, 0.85 and 0.7 with relative energy 1.0, 0.7 and 0.4]
    #[arg(long, value_name = "FILE", help_heading = "World")]
    flavours: Option<PathBuf>,
    /// Families of the flavour file; `built-in` is the default of --flavours
    #[arg(
        long,
        value_name = "NAME,..",
        help_heading = "World",
        value_delimiter = ',',
        requires = "flavours"
    )]
    families: Vec<String>,
    /// What the engine is told of the grid
    #[arg(long, value_name = "MODE,..", help_heading = "World", value_delimiter = ',', value_parser = values::forecast_mode, default_value = "auto")]
    forecast_modes: Vec<ForecastMode>,
    /// Emission factors to read where the trace carries both
    #[arg(long, value_name = "KIND", help_heading = "World", value_enum, default_value_t = FactorsArg::Lifecycle)]
    factors: FactorsArg,
    /// First instant to simulate, RFC 3339 or a date [default: all of each trace]
    #[arg(long, value_name = "INSTANT", help_heading = "World", value_parser = values::moment)]
    pub(crate) from: Option<Timestamp>,
    /// First instant not to simulate any more
    #[arg(long, value_name = "INSTANT", help_heading = "World", value_parser = values::moment)]
    pub(crate) to: Option<Timestamp>,

    /// The policies to run [default: receding-horizon]
    #[arg(long, value_name = "NAME,..", help_heading = "Engine", value_delimiter = ',', value_parser = values::policy, default_value = "receding-horizon")]
    policies: Vec<String>,
    /// Allowed mean errors, in [0, 1)
    #[arg(long, value_name = "X,..", help_heading = "Engine", value_delimiter = ',', value_parser = values::target_error, default_values_t = [Setting::TargetError.spec().default])]
    target_errors: Vec<f64>,
    /// Windows of the error budget: seconds, or 30m, 24h, 7d
    #[arg(long, value_name = "SPAN,..", help_heading = "Engine", value_delimiter = ',', value_parser = values::budget_window, default_value = "48h")]
    budget_windows: Vec<f64>,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// CSV file to append results to: rows that it has already are not run again
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// Run only the I-th of N parts, counted from 0; a file of its own for each
    #[arg(long, value_name = "I/N", help_heading = "Output")]
    pub(crate) shard: Option<Shard>,
    /// Colour in tables; auto is for terminals, and respects NO_COLOR
    #[arg(long, value_name = "WHEN", help_heading = "Output", value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// One grid of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) carbon: PathBuf,
    pub(crate) forecast: Option<PathBuf>,
    pub(crate) demand: Option<PathBuf>,
}

/// The part of a sweep that is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

/// The family name under which a sweep asks for the default flavours.
const BUILTIN: &str = "built-in";

impl SweepArgs {
    /// What every world is made of, each once.
    pub(crate) fn worlds(&self) -> Vec<WorldArgs> {
        let flavours = self.flavour_sets();
        let mut worlds = Vec::new();
        for grid in once(&self.grids) {
            for (file, family) in &flavours {
                for forecast_mode in once(&self.forecast_modes) {
                    worlds.push(WorldArgs {
                        carbon: Some(grid.carbon.clone()),
                        forecast: grid.forecast.clone(),
                        forecast_mode,
                        factors: self.factors,
                        demand: grid.demand.clone().or_else(|| self.demand.clone()),
                        flavours: file.clone(),
                        family: family.clone(),
                        from: self.from,
                        to: self.to,
                    });
                }
            }
        }
        worlds
    }

    /// Target errors and budget windows (seconds), each pair once.
    pub(crate) fn knobs(&self) -> Vec<(f64, f64)> {
        let windows = once(&self.budget_windows);
        let targets = once(&self.target_errors).into_iter();
        targets.flat_map(|target| windows.iter().map(move |window| (target, *window))).collect()
    }

    /// The policies, each once.
    pub(crate) fn policies(&self) -> Vec<String> {
        once(&self.policies)
    }

    /// Flavour files with their families.
    fn flavour_sets(&self) -> Vec<(Option<PathBuf>, Option<String>)> {
        if self.families.is_empty() {
            return vec![(self.flavours.clone(), None)];
        }
        let families = once(&self.families).into_iter();
        let set = |family: String| {
            if family == BUILTIN { (None, None) } else { (self.flavours.clone(), Some(family)) }
        };
        families.map(set).collect()
    }
}

impl FromStr for Grid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected carbon=FILE[,forecast=FILE][,demand=FILE]";
        let (mut carbon, mut forecast, mut demand) = (None, None, None);
        for part in text.split(',') {
            let (what, file) = part.split_once('=').ok_or(expected)?;
            let place = match what {
                "carbon" => &mut carbon,
                "forecast" => &mut forecast,
                "demand" => &mut demand,
                _ => return Err(format!("`{what}` is nothing a grid has: {expected}")),
            };
            if file.is_empty() {
                return Err(format!("`{what}` names no file: {expected}"));
            }
            if place.replace(Path::new(file).to_path_buf()).is_some() {
                return Err(format!("`{what}` is given twice: {expected}"));
            }
        }
        Ok(Self { carbon: carbon.ok_or(expected)?, forecast, demand })
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected I/N with I from 0 to N-1, e.g. 0/4".to_owned();
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        match (index.parse(), count.parse()) {
            (Ok(index), Ok(count)) if index < count => Ok(Self { index, count }),
            _ => Err(wrong()),
        }
    }
}
