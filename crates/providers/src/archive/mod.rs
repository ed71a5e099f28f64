//! What was known when: every forecast received, and every value measured, kept for replays.
//!
//! Most services rewrite or drop what they forecast earlier, so nobody can ask them later what a policy
//! would have known. An [`Archive`] keeps it: per carbon target the vintages in order of when they could be
//! known, each stored as what changed against the one before it, exact to the bit. It is exported as the
//! CSV that [`Vintages::read`](crate::trace::Vintages::read) and
//! [`CarbonTrace::read`](crate::trace::CarbonTrace::read) understand.
//!
//! *Known since* is the receipt, or the issue where a service's clock is ahead of ours: never earlier than
//! either. Of what a vintage says, only slots that are not over by then are kept. Average and marginal
//! intensity are kept apart even under one target.

mod export;
mod packed;
mod series;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Signal, Slot, Timestamp};
use serde::{Deserialize, Serialize};

pub use export::{
    ACTUALS_HEADER, PAGE_BYTES, Page, Span, VINTAGES_HEADER, actual_row, actuals_header, vintage_rows,
    vintages_header,
};
use series::Series;

/// Most carbon targets with vintages: as many as an engine follows.
pub const MAX_TARGETS: usize = 2_048;
/// Most vintages of one target: 60 days of one each five minutes, and some.
pub const MAX_VINTAGES: usize = 20_000;
/// Most measured values of one target: 60 days of five-minute slots, and some.
pub const MAX_ACTUALS: usize = 20_000;
/// How far back is kept.
pub const MAX_AGE: SignedDuration = SignedDuration::from_hours(60 * 24);
/// Most bytes that one target takes: 60 days of the UK's half-hours, each revised whole, take 3 MB.
pub const MAX_TARGET_BYTES: usize = 8 << 20;
/// Most bytes that all targets take.
pub const MAX_ARCHIVE_BYTES: usize = 64 << 20;

/// How much an [`Archive`] keeps. What is over goes, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Vintages of one target.
    pub vintages: usize,
    /// How far back, from the newest receipt of any target.
    pub age: SignedDuration,
    /// Bytes of memory of one target; what is measured counts, too.
    pub target_bytes: usize,
    /// Bytes of memory of all targets; the largest gives way first.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            vintages: MAX_VINTAGES,
            age: MAX_AGE,
            target_bytes: MAX_TARGET_BYTES,
            bytes: MAX_ARCHIVE_BYTES,
        }
    }
}

/// What became of a vintage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is kept.
    New,
    /// It says what the one before it said: that one stands for both.
    Unchanged,
    /// Every slot of it was over when it was received: it is not kept.
    NothingAhead,
}

/// The vintages received and the values measured, by carbon target.
///
/// Told the time and asks nobody: the same calls in the same order give the same archive. Times may run
/// backwards: a vintage takes its place by when it says it was known, and is never told before that. Of a
/// stretch of time that a clock went through twice, either pass may be told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Archive {
    /// Of each target one series a signal; the one recorded last stands last.
    targets: BTreeMap<CarbonTarget, Vec<Series>>,
    #[serde(skip)]
    bounds: Bounds,
    #[serde(skip)]
    bytes: usize,
}

/// An archive as it was written down.
#[derive(Deserialize)]
struct Stored {
    targets: BTreeMap<CarbonTarget, Vec<Series>>,
}

impl From<Stored> for Archive {
    /// What breaks a rule that recording keeps is left out; bounds are kept from the next record on.
    fn from(stored: Stored) -> Self {
        let mut targets = stored.targets;
        for several in targets.values_mut() {
            let mut seen = Vec::new();
            several.retain(|series| {
                let new = !seen.contains(&series.signal());
                seen.push(series.signal());
                new && !series.is_empty()
            });
        }
        targets.retain(|_, several| !several.is_empty());
        let bytes = targets.values().flatten().map(Series::bytes).sum();
        Self { targets, bounds: Bounds::default(), bytes }
    }
}

impl Archive {
    /// Nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The same archive under other bounds, kept from the next record on.
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Keeps a forecast that was received at `received`.
    pub fn record(&mut self, target: &CarbonTarget, forecast: &Forecast, received: Timestamp) -> Recorded {
        let done = self.change(target, forecast.signal, |series| series.record(forecast, received));
        self.keep_bounds(received);
        done
    }

    /// Keeps values that were measured; of one slot the last value told. A slot that is not over by
    /// `received` has none yet. Says how many were new or another.
    pub fn record_actuals(
        &mut self,
        target: &CarbonTarget,
        signal: Signal,
        actuals: &[Slot],
        received: Timestamp,
    ) -> usize {
        if actuals.is_empty() {
            return 0;
        }
        let new = self.change(target, signal, |series| series.record_actuals(actuals, received));
        self.keep_bounds(received);
        new
    }

    /// What was known at `at`: of the newest vintage known by then, the slots that were not over. The
    /// band of each slot is that of its value, not the provider's word.
    pub fn as_of(&self, target: &CarbonTarget, signal: Signal, at: Timestamp) -> Option<Forecast> {
        self.series(target, signal)?.as_of(at)
    }

    /// When each vintage became known, oldest first.
    pub fn known_since(
        &self,
        target: &CarbonTarget,
        signal: Signal,
    ) -> impl Iterator<Item = Timestamp> + use<'_> {
        self.series(target, signal).into_iter().flat_map(Series::known_since)
    }

    /// What was measured, in order of time.
    pub fn actuals(&self, target: &CarbonTarget, signal: Signal) -> impl Iterator<Item = Slot> + use<'_> {
        self.series(target, signal).into_iter().flat_map(Series::actuals)
    }

    /// Every target with something kept.
    pub fn targets(&self) -> impl Iterator<Item = &CarbonTarget> {
        self.targets.keys()
    }

    /// The signal that was recorded last of a target; `None` of one that nothing is kept of.
    pub fn signal(&self, target: &CarbonTarget) -> Option<Signal> {
        self.targets.get(target)?.last().map(Series::signal)
    }

    /// How many vintages are kept, of all targets.
    pub fn kept(&self) -> usize {
        self.targets.values().flatten().map(|series| series.vintages().len()).sum()
    }

    /// Bytes of memory taken, nearly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn series(&self, target: &CarbonTarget, signal: Signal) -> Option<&Series> {
        self.targets.get(target)?.iter().find(|series| series.signal() == signal)
    }

    /// Lets `change` work on a series, which is last of its target from then on.
    fn change<T>(
        &mut self,
        target: &CarbonTarget,
        signal: Signal,
        change: impl FnOnce(&mut Series) -> T,
    ) -> T {
        let several = self.targets.entry(target.clone()).or_default();
        let found = several.iter().position(|series| series.signal() == signal);
        let mut series = found.map_or_else(|| Series::new(signal), |index| several.remove(index));
        let before = series.bytes();
        let done = change(&mut series);
        self.bytes = (self.bytes + series.bytes()).saturating_sub(before);
        several.push(series);
        done
    }

    /// Lets go of what is over.
    fn keep_bounds(&mut self, now: Timestamp) {
        let bounds = self.bounds;
        for series in self.targets.values_mut().flatten() {
            let before = series.bytes();
            series.keep_within(&bounds, now);
            self.bytes = self.bytes.saturating_sub(before - series.bytes().min(before));
        }
        self.forget_empty();
        while self.targets.len() > MAX_TARGETS {
            let idlest =
                self.targets.iter().min_by_key(|(_, several)| several.iter().map(Series::newest).max());
            let Some(target) = idlest.map(|(target, _)| target.clone()) else { break };
            let gone = self.targets.remove(&target).unwrap_or_default();
            self.bytes = self.bytes.saturating_sub(gone.iter().map(Series::bytes).sum());
        }
        while self.bytes > bounds.bytes {
            let all = self.targets.values_mut().flatten();
            let Some(largest) = all.max_by_key(|series| series.bytes()) else { break };
            let before = largest.bytes();
            largest.let_go(now);
            self.bytes = self.bytes.saturating_sub(before - largest.bytes().min(before));
            if largest.is_empty() {
                self.forget_empty();
            }
        }
    }

    fn forget_empty(&mut self) {
        self.targets.retain(|_, several| {
            several.retain(|series| !series.is_empty());
            !several.is_empty()
        });
    }
}
