//! What the engine is told of the grid, and when.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};
use providers::trace::Vintages;

use super::carbon::Source;
use super::{CarbonSlot, file, noisy};
use crate::args::ForecastMode;

/// How far a forecast made from the trace itself reaches at least.
pub(super) const HORIZON: SignedDuration = SignedDuration::from_hours(48);
/// How often one is made.
const RENEWAL: SignedDuration = SignedDuration::from_hours(24);

/// Forecasts by when they could be known.
pub(crate) struct Feed {
    /// What it is, in words.
    pub(crate) name: String,
    /// Which of the modes it is; never `auto`.
    pub(crate) mode: ForecastMode,
    vintages: Option<Vintages>,
    /// How good it is, where there is one and it is not perfect.
    pub(crate) skill: Option<Skill>,
}

/// How far the engine's `now` was off at the beginning of each slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Skill {
    /// Mean absolute error, gCO2eq/kWh.
    pub(crate) mean_error: f64,
    /// The same as a part of the mean intensity.
    pub(crate) relative: f64,
}

/// Reads forecast vintages; what is odd about them goes to `notes`.
pub(super) fn read(path: &Path, notes: &mut Vec<String>) -> anyhow::Result<Vintages> {
    let vintages = Vintages::read(&file::shown(path), &file::bytes(path)?)?;
    notes.extend(vintages.notes().lines());
    Ok(vintages)
}

impl Feed {
    pub(super) fn new(source: &Source, mode: ForecastMode, notes: &mut Vec<String>) -> anyhow::Result<Self> {
        let mode = match mode {
            ForecastMode::Auto if source.vintages.is_some() => ForecastMode::Vintages,
            ForecastMode::Auto if !source.column.is_empty() => ForecastMode::Column,
            ForecastMode::Auto => ForecastMode::Perfect,
            chosen => chosen,
        };
        match mode {
            ForecastMode::None => Ok(Self::without("none", mode)),
            ForecastMode::OwnOnly => Ok(Self::without("none from a provider: the engine's own alone", mode)),
            ForecastMode::Noisy(seed) => {
                let vintages = noisy::vintages(&source.slots, source.step, seed)
                    .with_context(|| format!("{}: no slot to forecast", source.name))?;
                let name = format!("the truth with errors of 7 % at 1 h to 22 % at 48 h, seed {seed}");
                Ok(Self::measured(name, mode, vintages, source, notes))
            }
            ForecastMode::Perfect | ForecastMode::Auto => {
                notes.push("forecast: perfect (from the trace itself)".into());
                let slots = source.slots.iter().map(|slot| (slot, CarbonIntensity::new(slot.intensity).ok()));
                let vintages = told_ahead("perfect", slots);
                Ok(Self { vintages, ..Self::without("perfect (from the trace itself)", mode) })
            }
            ForecastMode::Column => {
                let name = "recorded beside each slot of the trace";
                let slots = source.slots.iter().zip(source.column.iter().copied());
                let vintages = told_ahead("column", slots).with_context(|| {
                    format!("{}: no forecast column for --forecast-mode column", source.name)
                })?;
                Ok(Self::measured(name.into(), mode, vintages, source, notes))
            }
            ForecastMode::Vintages => {
                let vintages = source.vintages.clone().with_context(|| {
                    "--forecast-mode vintages: no vintages to read: give --forecast FILE (or leave out --carbon)"
                })?;
                let (count, file) = (vintages.issues().len(), file::name(Path::new(vintages.notes().file())));
                let name = format!("{count} vintages as issued, {file}");
                Ok(Self::measured(name, mode, vintages, source, notes))
            }
        }
    }

    /// The newest forecast that could be known at `now`.
    pub(crate) fn as_of(&self, now: Timestamp) -> Option<&Arc<Forecast>> {
        self.vintages.as_ref()?.as_of(now)
    }

    /// Whether the engine is told what a finished slot came to.
    pub(crate) fn tells_actuals(&self) -> bool {
        self.mode != ForecastMode::None
    }

    fn without(name: &str, mode: ForecastMode) -> Self {
        Self { name: name.to_owned(), mode, vintages: None, skill: None }
    }

    fn measured(
        name: String,
        mode: ForecastMode,
        vintages: Vintages,
        source: &Source,
        notes: &mut Vec<String>,
    ) -> Self {
        let said = |slot: &CarbonSlot| {
            let forecast = vintages.as_of(slot.from)?.at(slot.from)?;
            Some((forecast.forecast.get() - slot.intensity, slot.intensity))
        };
        let errors: Vec<(f64, f64)> = source.slots.iter().filter_map(said).collect();
        let without = source.slots.len() - errors.len();
        if without > 0 {
            notes.push(format!(
                "forecast: none for {without} of {} slots at their beginning: decided without, or by what is known of the next",
                source.slots.len()
            ));
        }
        let (off, truth) = errors
            .iter()
            .fold((0.0, 0.0), |(off, truth), (error, actual)| (off + error.abs(), truth + actual));
        let skill = (!errors.is_empty() && truth > 0.0)
            .then(|| Skill { mean_error: off / errors.len() as f64, relative: off / truth });
        Self { name, mode, vintages: Some(vintages), skill }
    }
}

/// Forecasts made of one series of values: one a day, each reaching at least [`HORIZON`] until the next.
/// The values never change from one to the next, so making them more often would say nothing new.
fn told_ahead<'a>(
    source: &str,
    slots: impl Iterator<Item = (&'a CarbonSlot, Option<CarbonIntensity>)>,
) -> Option<Vintages> {
    let slots = slots.filter_map(|(slot, value)| Some(Slot::new(slot.from, slot.to, value?)));
    let slots: Vec<Slot> = slots.collect();
    let mut issues = Vec::new();
    let mut at = slots.first()?.from;
    let last = slots.last()?.from;
    while at <= last {
        let until = at.checked_add(RENEWAL + HORIZON).unwrap_or(Timestamp::MAX);
        let first = slots.partition_point(|slot| slot.to <= at);
        let end = slots.partition_point(|slot| slot.from < until);
        let told = slots.get(first..end).unwrap_or_default().to_vec();
        issues.extend(Forecast::new(source, None, at, told).ok().map(Arc::new));
        at = at.checked_add(RENEWAL).unwrap_or(Timestamp::MAX);
    }
    Vintages::new(source, issues)
}
