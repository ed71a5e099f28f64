//! Requests per slot of the carbon trace.

use std::path::Path;

use models::Timestamp;
use providers::trace::DemandTrace;

use super::{CarbonSlot, file};
use crate::scenario::Scenario;

/// Requests an hour where nobody says how many there are.
const CONSTANT_PER_HOUR: f64 = 1000.0;

/// Requests expected in each slot; fractions are carried on when they are served.
pub(crate) struct Demand {
    /// What it is, in words.
    pub(crate) name: String,
    /// One entry per slot of the carbon trace, not negative.
    pub(crate) requests: Vec<f64>,
}

impl Demand {
    /// As many requests in every hour, so that results weigh every hour alike.
    pub(super) fn constant(slots: &[CarbonSlot]) -> Self {
        Self {
            name: format!("constant, {CONSTANT_PER_HOUR} requests an hour"),
            requests: slots.iter().map(|slot| CONSTANT_PER_HOUR * slot.seconds() / 3600.0).collect(),
        }
    }

    /// The scenario's own, for the slots that are left of it.
    pub(super) fn of_scenario(scenario: &Scenario, slots: &[CarbonSlot]) -> Self {
        let first =
            slots.first().map_or(0, |slot| scenario.slots.partition_point(|own| own.from < slot.from));
        let requests = scenario.requests.iter().skip(first).take(slots.len());
        Self { name: scenario.name.clone(), requests: requests.copied().collect() }
    }

    /// A demand trace brought to the slots of the carbon trace.
    ///
    /// Where it does not cover them it is repeated in whole weeks, so that every slot gets the demand of
    /// a recorded one at the same time of the week; below a week in whole days; below a day its mean is
    /// taken. A hole of the recording gets the mean rate of what is recorded of that slot, or of all.
    pub(super) fn read(path: &Path, slots: &[CarbonSlot], notes: &mut Vec<String>) -> anyhow::Result<Self> {
        let name = file::name(path);
        let trace = DemandTrace::read(&file::shown(path), &file::bytes(path)?)?;
        notes.extend(trace.notes().lines());
        let (start, end) = trace.span();
        let covered = slots.iter().all(|slot| slot.from >= start && slot.to <= end);
        let source = Recorded { trace: &trace, covered };
        let mut holes = 0_u64;
        let requests = slots.iter().map(|slot| {
            let (requests, known) = source.between(slot.from, slot.to);
            let length = slot.seconds();
            if known <= 0.0 {
                holes += 1;
                return trace.mean_rate() * length;
            }
            requests * length / known
        });
        let requests = requests.collect();
        let step = trace.step();
        if !covered {
            notes.push(match trace.laps() {
                Some(laps) => format!(
                    "demand: {name} ({start} to {end}, steps of {} s) is brought to the carbon trace's slots and repeated every {} days, keeping {}",
                    step.as_secs(),
                    laps.period().as_hours() / 24,
                    if laps.period().as_hours() >= 7 * 24 { "time of week" } else { "time of day" },
                ),
                None => format!("demand: {name} is shorter than a day: its mean rate is taken throughout"),
            });
        } else if slots.iter().any(|slot| slot.to.duration_since(slot.from) != step) {
            notes.push(format!(
                "demand: {name} is brought from steps of {} s to the carbon trace's slots",
                step.as_secs()
            ));
        }
        if holes > 0 && source.has_rhythm() {
            notes.push(format!("demand: {name} has nothing for {holes} slots: its mean rate is taken there"));
        }
        Ok(Self { name, requests })
    }

    /// Requests over all slots.
    pub(crate) fn total(&self) -> f64 {
        self.requests.iter().sum()
    }
}

struct Recorded<'a> {
    trace: &'a DemandTrace,
    /// Whether the recording covers everything asked for, at its own time.
    covered: bool,
}

impl Recorded<'_> {
    /// Whether it is more than a mean.
    fn has_rhythm(&self) -> bool {
        self.covered || self.trace.laps().is_some()
    }

    /// Requests in `[from, to)`, and how many seconds of it are recorded.
    fn between(&self, from: Timestamp, to: Timestamp) -> (f64, f64) {
        if self.covered {
            return self.trace.within(from, to);
        }
        let Some(laps) = self.trace.laps() else {
            return (0.0, 0.0);
        };
        let (mut requests, mut known, mut at) = (0.0, 0.0, from);
        while at < to {
            let recorded = laps.recorded(at);
            let lap_end = laps.start().checked_add(laps.period()).unwrap_or(Timestamp::MAX);
            let left = to.duration_since(at).min(lap_end.duration_since(recorded));
            let (some, seconds) = self.trace.within(recorded, recorded.checked_add(left).unwrap_or(lap_end));
            requests += some;
            known += seconds;
            at = at.checked_add(left).unwrap_or(to);
        }
        (requests, known)
    }
}
