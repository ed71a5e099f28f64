//! The truth, and what was recorded beside it.

use std::path::Path;

use anyhow::bail;
use jiff::SignedDuration;
use models::{CarbonIntensity, Timestamp};
use providers::trace::{CarbonTrace, Factors, Vintages};

use super::{CarbonSlot, file};
use crate::scenario::Scenario;

/// Carbon as it was read, before a forecast mode is chosen.
pub(super) struct Source {
    pub(super) name: String,
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
            slots: scenario.slots.clone(),
            step: Scenario::STEP,
            column: Vec::new(),
            vintages: scenario.vintages.clone(),
        }
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
