//! The truth, and what was recorded beside it.

use std::path::Path;

use anyhow::bail;
use jiff::SignedDuration;
use models::{CarbonIntensity, Signal, Timestamp};
use providers::trace::{CarbonTrace, Factors, Vintages};

use super::{CarbonSlot, file};
use crate::scenario::Scenario;

/// Carbon as it was read, before a forecast mode is chosen.
pub(super) struct Source {
    pub(super) name: String,
    /// Average or marginal, where the file says so.
    pub(super) signal: Option<Signal>,
    pub(super) slots: Vec<CarbonSlot>,
    pub(super) step: SignedDuration,
    /// What was forecast for each slot, where that was recorded: empty, or one entry per slot.
    pub(super) column: Vec<Option<CarbonIntensity>>,
    pub(super) vintages: Option<Vintages>,
}

impl Source {
    /// Reads a trace; what is odd about it goes to `notes`.
    pub(super) fn read(path: &Path, factors: Factors, notes: &mut Vec<String>) -> anyhow::Result<Self> {
        let trace = CarbonTrace::read(&file::shown(path), &file::bytes(path)?, factors)?;
        notes.extend(trace.notes().lines());
        let slots = trace.slots().iter();
        let column =
            if trace.has_forecast() { slots.clone().map(|slot| slot.forecast).collect() } else { Vec::new() };
        Ok(Self {
            name: file::name(path),
            signal: trace.signal(),
            slots: slots
                .map(|slot| CarbonSlot { from: slot.from, to: slot.to, intensity: slot.actual.get() })
                .collect(),
            step: trace.step(),
            column,
            vintages: None,
        })
    }

    pub(super) fn of_scenario(scenario: &Scenario) -> Self {
        Self {
            name: scenario.name.clone(),
            signal: None,
            slots: scenario.slots.clone(),
            step: Scenario::STEP,
            column: Vec::new(),
            vintages: scenario.vintages.clone(),
        }
    }

    /// Takes vintages for what was forecast of it.
    ///
    /// # Errors
    ///
    /// They are of the other signal.
    pub(super) fn told_by(&mut self, vintages: Vintages, notes: &mut Vec<String>) -> anyhow::Result<()> {
        let (own, file) = (&self.name, file::name(Path::new(vintages.notes().file())));
        let silent = |one: &str, other: &str, signal| {
            format!("{one} does not say whether it is average or marginal; {other} is {signal}")
        };
        match (self.signal, vintages.signal()) {
            (Some(signal), Some(other)) if signal != other => bail!(
                "{file}: forecasts of {other} carbon intensity, and {own} is {signal}: expected both of one signal"
            ),
            (Some(signal), None) => notes.push(silent(&file, own, signal)),
            (None, Some(signal)) => notes.push(silent(own, &file, signal)),
            (None, None) => notes.push(format!(
                "neither {own} nor {file} says whether it is average or marginal: they are taken to be of one signal"
            )),
            (Some(_), Some(_)) => {}
        }
        self.vintages = Some(vintages);
        Ok(())
    }

    /// Leaves only the slots that lie in `[from, to)` whole.
    pub(super) fn cut(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) -> anyhow::Result<()> {
        let whole = self.span();
        let inside = |slot: &CarbonSlot| {
            from.is_none_or(|from| slot.from >= from) && to.is_none_or(|to| slot.to <= to)
        };
        if !self.column.is_empty() {
            let kept = self.slots.iter().zip(&self.column).filter(|(slot, _)| inside(slot));
            self.column = kept.map(|(_, forecast)| *forecast).collect();
        }
        self.slots.retain(inside);
        if self.slots.is_empty() {
            bail!(
                "{}: no slot between --from and --to: the trace covers {} to {}",
                self.name,
                whole.0,
                whole.1
            );
        }
        Ok(())
    }

    fn span(&self) -> (Timestamp, Timestamp) {
        let first = self.slots.first().map_or(Timestamp::UNIX_EPOCH, |slot| slot.from);
        (first, self.slots.last().map_or(first, |slot| slot.to))
    }
}
