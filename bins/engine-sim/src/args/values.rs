//! Values of flags: what may be typed, and what would be right where it is not.

use std::fmt;

use clap::ValueEnum;
use jiff::SignedDuration;
use models::{Setting, Timestamp, json};
use policies::Registry;
use providers::trace::{Factors, instant};

/// Which forecast the engine is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ForecastMode {
    /// Vintages where there are, else the trace's forecast column, else perfect.
    #[default]
    Auto,
    /// What will happen, for the next 48 h.
    Perfect,
    /// The forecast recorded beside each slot of the trace.
    Column,
    /// Vintages from a file (or of the scenario), each from when it was issued.
    Vintages,
    /// The truth with an error that grows with lead, revised from issue to issue, drawn from this seed.
    Noisy(u64),
    /// No provider at all: only what every finished slot came to.
    OwnOnly,
    /// Nothing, not even that.
    None,
}

/// How what was served comes to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Reports {
    /// One post at the end of every interval.
    #[default]
    Prompt,
    /// Every post that many evaluations late, with the true end of its window.
    Late(u32),
    /// Every post lost with this probability.
    Lost(f64),
    /// Two posts an interval, and with this probability the first of them an evaluation late.
    Overtaken(f64),
    /// Three routers serve a part each and post in mixed order.
    Split,
    /// Every post twice, the second time at once or an interval late.
    Duplicated,
    /// Never.
    None,
}

/// Most evaluations a post can be late.
const LATEST: u32 = 10_000;
/// A daily aim so far off that it never binds: what `off` means.
const NO_AIM: f64 = 1e9;

impl fmt::Display for ForecastMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Perfect => f.write_str("perfect"),
            Self::Column => f.write_str("column"),
            Self::Vintages => f.write_str("vintages"),
            Self::Noisy(seed) => write!(f, "noisy:{seed}"),
            Self::OwnOnly => f.write_str("self"),
            Self::None => f.write_str("none"),
        }
    }
}

impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => f.write_str("ok"),
            Self::Late(evaluations) => write!(f, "late:{evaluations}"),
            Self::Lost(probability) => write!(f, "lost:{probability}"),
            Self::Overtaken(probability) => write!(f, "overtaken:{probability}"),
            Self::Split => f.write_str("split"),
            Self::Duplicated => f.write_str("duplicated"),
            Self::None => f.write_str("none"),
        }
    }
}

pub(super) fn forecast_mode(text: &str) -> Result<ForecastMode, String> {
    let wrong =
        || "expected auto, perfect, column, vintages, noisy:SEED (e.g. noisy:1), self or none".to_owned();
    match text.trim().split_once(':') {
        Some(("noisy", seed)) => seed.parse().map(ForecastMode::Noisy).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
        None => match text.trim() {
            "auto" => Ok(ForecastMode::Auto),
            "perfect" => Ok(ForecastMode::Perfect),
            "column" => Ok(ForecastMode::Column),
            "vintages" => Ok(ForecastMode::Vintages),
            "self" => Ok(ForecastMode::OwnOnly),
            "none" => Ok(ForecastMode::None),
            _ => Err(wrong()),
        },
    }
}

pub(super) fn reports(text: &str) -> Result<Reports, String> {
    let wrong = || {
        format!(
            "expected ok, late:N (N evaluations, 1 to {LATEST}), lost:P or overtaken:P (P in [0, 1]), split, \
             duplicated or none"
        )
    };
    let part = |text: &str| text.parse().ok().filter(|part| (0.0..=1.0).contains(part)).ok_or_else(wrong);
    match text.trim().split_once(':') {
        Some(("late", late)) => match late.parse() {
            Ok(late) if (1..=LATEST).contains(&late) => Ok(Reports::Late(late)),
            _ => Err(wrong()),
        },
        Some(("lost", lost)) => part(lost).map(Reports::Lost),
        Some(("overtaken", overtaken)) => part(overtaken).map(Reports::Overtaken),
        Some(_) => Err(wrong()),
        None => match text.trim() {
            "ok" => Ok(Reports::Prompt),
            "split" => Ok(Reports::Split),
            "none" => Ok(Reports::None),
            "duplicated" => Ok(Reports::Duplicated),
            _ => Err(wrong()),
        },
    }
}

/// A span: `90`, `90s`, `30m`, `24h`, `7d`; in seconds.
pub(super) fn span(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3600.0),
        Some((at, 'd')) => (&text[..at], 86_400.0),
        _ => (text, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| "expected a span of seconds, or one as 30m, 24h or 7d")?;
    Ok(number * unit)
}

pub(crate) fn budget_window(text: &str) -> Result<f64, String> {
    Setting::BudgetWindow.spec().range.check(span(text)?).map_err(|refused| refused.to_string())
}

pub(super) fn budget_overdraft(text: &str) -> Result<f64, String> {
    number(Setting::BudgetOverdraft, text)
}

pub(super) fn daily_aim(text: &str) -> Result<f64, String> {
    if text.trim() == "off" {
        return Ok(NO_AIM);
    }
    number(Setting::BudgetDailyAim, text).map_err(|problem| format!("{problem}, or off"))
}

/// Whether this is the aim that never binds.
pub(crate) fn aims(daily_aim: f64) -> bool {
    daily_aim < NO_AIM
}

/// Whether the engine knows when the simulated time ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum End {
    /// It does, as hindsight does
    Known,
    /// It does not: what is banked at the end was saved for nothing
    Open,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known => "known",
            Self::Open => "open",
        })
    }
}

/// Which emission factors to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FactorsArg {
    /// With building, fuel supply and disposal
    Lifecycle,
    /// What leaves the chimney
    Direct,
}

impl From<FactorsArg> for Factors {
    fn from(factors: FactorsArg) -> Self {
        match factors {
            FactorsArg::Lifecycle => Self::Lifecycle,
            FactorsArg::Direct => Self::Direct,
        }
    }
}

fn number(setting: Setting, text: &str) -> Result<f64, String> {
    json::number_text(text, setting.spec().range)
}

pub(super) fn target_error(text: &str) -> Result<f64, String> {
    number(Setting::TargetError, text)
}

pub(super) fn credit_min(text: &str) -> Result<f64, String> {
    number(Setting::CreditMin, text)
}

pub(super) fn credit_max(text: &str) -> Result<f64, String> {
    number(Setting::CreditMax, text)
}

pub(super) fn credit_window(text: &str) -> Result<f64, String> {
    number(Setting::CreditWindow, text)
}

pub(super) fn evaluate_every(text: &str) -> Result<SignedDuration, String> {
    let longest = crate::plan::LONGEST_INTERVAL.as_secs();
    let wrong = || format!("expected a whole number of seconds in [1, {longest}]");
    let seconds: i64 = text.trim().parse().map_err(|_| wrong())?;
    if (1..=longest).contains(&seconds) { Ok(SignedDuration::from_secs(seconds)) } else { Err(wrong()) }
}

pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    instant(text).map(|(at, _)| at)
}

pub(super) fn policy(text: &str) -> Result<String, String> {
    let name = text.trim();
    Registry::builtin().create(name, 0).map(|_| name.to_owned()).map_err(|unknown| unknown.to_string())
}

/// Every built-in policy once, under its own name.
pub(crate) fn every_policy() -> Vec<String> {
    let registry = Registry::builtin();
    let aliases: Vec<&str> = registry.aliases().map(|(name, _)| name).collect();
    registry.names().filter(|name| !aliases.contains(name)).map(Into::into).collect()
}

/// Each value once, in the order of its first mention.
pub(crate) fn once<T: Clone + PartialEq>(values: &[T]) -> Vec<T> {
    let mut once: Vec<T> = Vec::new();
    for value in values {
        if !once.contains(value) {
            once.push(value.clone());
        }
    }
    once
}
