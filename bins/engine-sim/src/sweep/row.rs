//! One simulation as a row: what it was, then what came of it.

use std::path::Path;

use models::hash::fnv_1a;

use crate::account::in_grams;
use crate::args::{EngineArgs, FactorsArg, WorldArgs, aims};
use crate::plan::Knobs;
use crate::report::{FINE, GRAMS, rounded};
use crate::run::Outcome;
use crate::study::Study;
use crate::world::{World, file_name};

/// Columns that say what a simulation was.
pub(super) const KEY: [&str; 21] = [
    "carbon",
    "forecast_file",
    "demand",
    "factors",
    "from",
    "to",
    "flavours",
    "family",
    "forecast_mode",
    "policy",
    "target_error",
    "budget_window_seconds",
    "budget_overdraft",
    "budget_daily_aim",
    "credit_min",
    "credit_max",
    "credit_window",
    "evaluate_every_seconds",
    "feedback",
    "end",
    "seed",
];

/// Columns that say what came of it.
pub(super) const FIGURES: [&str; 16] = [
    "slots",
    "requests",
    "evaluations",
    "unit",
    "emissions",
    "saving_vs_p100",
    "saving_vs_constant_mix",
    "hindsight_budget_vs_constant_mix",
    "hindsight_average_vs_constant_mix",
    "skill",
    "regret",
    "mean_error",
    "worst_24h_error",
    "worst_overspend_days",
    "budget_promise",
    "weight_churn",
];

/// What a simulation was: [`KEY`]. Files are named, not placed, so that rows of several machines merge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(pub(super) Vec<String>);

/// A row of the results.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) key: Key,
    /// In the order of [`FIGURES`].
    pub(super) figures: Vec<String>,
}

impl Key {
    pub(super) fn new(world: &WorldArgs, knobs: Knobs, engine: &EngineArgs, policy: &str) -> Self {
        let file = |path: &Option<std::path::PathBuf>, without: &str| match path {
            Some(path) => legible(&file_name(Path::new(path))),
            None => without.to_owned(),
        };
        let instant = |at: Option<models::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let factors = match world.factors {
            FactorsArg::Lifecycle => "lifecycle",
            FactorsArg::Direct => "direct",
        };
        let aim = engine.daily_aim;
        Self(vec![
            file(&world.carbon, ""),
            file(&world.forecast, ""),
            file(&world.demand, "constant"),
            factors.to_owned(),
            instant(world.from),
            instant(world.to),
            file(&world.flavours, "built-in"),
            world.family.as_deref().map(legible).unwrap_or_default(),
            world.forecast_mode.to_string(),
            policy.to_owned(),
            knobs.target_error.to_string(),
            knobs.budget_window.map(|window| window.to_string()).unwrap_or_default(),
            engine.budget_overdraft.to_string(),
            if aims(aim) { aim.to_string() } else { "off".to_owned() },
            engine.credit_min.to_string(),
            engine.credit_max.to_string(),
            engine.credit_window.to_string(),
            engine.evaluate_every.map_or_else(|| "slot".to_owned(), |every| every.as_secs().to_string()),
            engine.feedback.to_string(),
            engine.end.to_string(),
            engine.seed.to_string(),
        ])
    }

    /// The same on every machine (FNV-1a): which shard a row belongs to.
    pub(super) fn hash(&self) -> u64 {
        let hash = fnv_1a(0, self.0.iter().flat_map(|part| part.bytes().chain([0x1f])));
        // The low bits of FNV alone are those of the last bytes: fold the high ones in.
        hash ^ (hash >> 32)
    }

    pub(super) fn column(&self, name: &str) -> &str {
        KEY.iter().position(|known| *known == name).and_then(|at| self.0.get(at)).map_or("", String::as_str)
    }
}

impl Row {
    pub(super) fn new(key: Key, world: &World, study: &Study, outcome: &Outcome) -> Self {
        let totals = &outcome.totals;
        let fine = |value: f64| rounded(value, FINE).to_string();
        let known = |value: Option<f64>| value.map(fine).unwrap_or_default();
        let (p100, mix) = (study.p100.totals.emissions, study.constant_mix.totals.emissions);
        let saved = |emissions: f64, of: f64| fine(if of > 0.0 { 1.0 - emissions / of } else { 0.0 });
        let grams = in_grams(&world.flavours.menu);
        let emissions = if grams {
            rounded(totals.emissions, GRAMS).to_string()
        } else {
            fine(if p100 > 0.0 { totals.emissions / p100 } else { 0.0 })
        };
        Self {
            key,
            figures: vec![
                world.slots.len().to_string(),
                totals.requests().round().to_string(),
                totals.evaluations.to_string(),
                if grams { "gCO2eq" } else { "relative to p100" }.to_owned(),
                emissions,
                saved(totals.emissions, p100),
                saved(totals.emissions, mix),
                saved(study.hindsight_budget.totals.emissions, mix),
                saved(study.hindsight_average.totals.emissions, mix),
                known(study.skill(totals)),
                known(study.regret(totals)),
                fine(totals.mean_error),
                fine(totals.worst_day_error),
                known(totals.worst_overspend),
                outcome.verdict.word().to_owned(),
                fine(totals.churn),
            ],
        }
    }

    /// Whether a promise to keep the budget was broken.
    pub(super) fn is_broken(&self) -> bool {
        self.figure("budget_promise") == "broken"
    }

    /// A figure as a number, where there is one.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.figure(name).parse().ok()
    }

    pub(super) fn figure(&self, name: &str) -> &str {
        let place = FIGURES.iter().position(|known| *known == name);
        place.and_then(|at| self.figures.get(at)).map_or("", String::as_str)
    }

    /// All of it, in the order of the header.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.key.0.iter().chain(&self.figures).map(String::as_str)
    }
}

/// A name on one line: rows are lines, and a torn one is known by its missing end.
fn legible(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
