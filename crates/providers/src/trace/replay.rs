//! A trace as a provider: what was recorded, told again.

use jiff::SignedDuration;
use models::{Accounting, CarbonTarget, Forecast, Signal, Slot, Timestamp};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan};

use super::carbon::CarbonTrace;
use super::laps::Laps;

/// How far a replayed forecast reaches.
pub const HORIZON: SignedDuration = SignedDuration::from_hours(48);

/// The provider's name.
const NAME: &str = "trace";

/// Tells the next 48 h of a trace, whatever the target: a trace knows one grid only.
///
/// A slot is told with the forecast recorded for it, or with its actual value where none was. What does not say
/// whether it is average or marginal is told as average.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceAdapter {
    slots: Vec<Slot>,
    laps: Option<Laps>,
    signal: Signal,
    accounting: Accounting,
}

/// A trace that cannot run in laps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the trace covers {from} to {to}: expected at least a day of it to repeat")]
pub struct TooShort {
    /// First instant of the trace.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

impl TraceAdapter {
    /// The trace at its own time. Before and after it the nearest recorded slots are told, which a reader
    /// sees to be no forecast for now.
    pub fn as_recorded(trace: &CarbonTrace) -> Self {
        Self::new(trace, None)
    }

    /// The trace running round and round in whole weeks (whole days below a week), shifted so that it
    /// covers now: a Monday morning is answered with a Monday morning of the trace. The part that does
    /// not fill the last week is left out; seasons drift by a day or so each year.
    ///
    /// # Errors
    ///
    /// [`TooShort`] below a day.
    pub fn looped(trace: &CarbonTrace) -> Result<Self, TooShort> {
        let slots = trace.slots();
        let (from, to) = match (slots.first(), slots.last()) {
            (Some(first), Some(last)) => (first.from, last.to),
            _ => (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH),
        };
        let laps = Laps::between(from, to).ok_or(TooShort { from, to })?;
        Ok(Self::new(trace, Some(laps)))
    }

    fn new(trace: &CarbonTrace, laps: Option<Laps>) -> Self {
        let slots = trace.slots().iter();
        Self {
            slots: slots
                .map(|slot| Slot::new(slot.from, slot.to, slot.forecast.unwrap_or(slot.actual)))
                .collect(),
            laps,
            signal: trace.signal().unwrap_or_default(),
            accounting: trace.accounting(),
        }
    }

    fn ahead(&self, now: Timestamp) -> Vec<Slot> {
        let until = now.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
        let Some(laps) = self.laps else {
            let ahead: Vec<Slot> = self.between(now, until).copied().collect();
            return if ahead.is_empty() { self.nearest(now, SignedDuration::ZERO) } else { ahead };
        };
        let mut ahead = Vec::new();
        let mut at = now;
        while at < until {
            let shift = laps.shift(at);
            let lap_start = laps.start().checked_add(shift).unwrap_or(Timestamp::MAX);
            let lap_end = lap_start.checked_add(laps.period()).unwrap_or(Timestamp::MAX);
            let recorded = laps.recorded(at);
            let left = lap_end.min(until).duration_since(at);
            let recorded_end = recorded.checked_add(left).unwrap_or(Timestamp::MAX);
            ahead.extend(self.between(recorded, recorded_end).map(|slot| {
                let slot = shifted(slot, shift);
                Slot { to: slot.to.min(lap_end), ..slot }
            }));
            if lap_end <= at {
                break;
            }
            at = lap_end;
        }
        if ahead.is_empty() { self.nearest(laps.recorded(now), laps.shift(now)) } else { ahead }
    }

    fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Slot> {
        let first = self.slots.partition_point(|slot| slot.to <= from);
        self.slots[first..].iter().take_while(move |slot| slot.from < until)
    }

    /// What lies nearest to a recorded instant where nothing lies within the horizon ahead of it.
    fn nearest(&self, recorded: Timestamp, shift: SignedDuration) -> Vec<Slot> {
        let next = self.slots.partition_point(|slot| slot.to <= recorded);
        let nearest = self.slots.get(next).or(self.slots.last());
        nearest.map(|slot| shifted(slot, shift)).into_iter().collect()
    }
}

fn shifted(slot: &Slot, shift: SignedDuration) -> Slot {
    let later = |instant: Timestamp| instant.checked_add(shift).unwrap_or(Timestamp::MAX);
    Slot { from: later(slot.from), to: later(slot.to), ..*slot }
}

impl Adapter for TraceAdapter {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, now: Timestamp) -> Result<Plan, NotUnderstood> {
        let forecast = Forecast::new(NAME, None, now, self.ahead(now)).map_err(|_| NotUnderstood {
            target: target.to_string(),
            provider: NAME.into(),
            expected: "a trace with at least one slot".into(),
        })?;
        Ok(Plan::Known(forecast.with_signal(self.signal).with_accounting(self.accounting)))
    }

    fn check(&self, _: &CarbonTarget, _: Timestamp) -> Result<(), NotUnderstood> {
        // A trace has a slot at least, and serves every target.
        Ok(())
    }

    fn signal(&self) -> Signal {
        self.signal
    }

    fn parse(&self, _: &CarbonTarget, _: &[u8], _: Timestamp) -> Result<Answer, BadAnswer> {
        Err(BadAnswer::Empty { provider: NAME.into() })
    }
}
