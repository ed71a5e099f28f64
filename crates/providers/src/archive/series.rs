//! What was said and measured of one carbon target in one signal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::SignedDuration;
use models::{Accounting, CarbonIntensity, Forecast, Signal, Slot, Timestamp};
use serde::{Deserialize, Serialize};

use super::packed::{Change, Slots};
use super::{Bounds, MAX_ACTUALS, Recorded};
use crate::half_hour::later;

/// Most vintages from a whole one to the next: what has to be read to know one of them.
const WHOLE_EVERY: usize = 32;
/// What is known from later on than this was stamped by a clock that was wrong.
const FAR_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// Bytes of one measured value with its place in the map, nearly.
const ACTUAL_BYTES: usize = 64;

/// The vintages of one target in one signal, and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(super) struct Series {
    signal: Signal,
    /// In order of when they could be known, no two at once; the first is whole.
    vintages: VecDeque<Vintage>,
    /// By first instant, the first instant after it and the value.
    actuals: BTreeMap<Timestamp, (Timestamp, CarbonIntensity)>,
    #[serde(skip)]
    bytes: usize,
}

/// One vintage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Vintage {
    /// From when on it could be known.
    pub(super) known: Timestamp,
    /// When the same was received last.
    confirmed: Timestamp,
    about: Arc<About>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issued_at: Option<Timestamp>,
    retrieved_at: Timestamp,
    change: Change,
}

/// Who says it, and of what. Shared by vintages that follow one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct About {
    source: Arc<str>,
    accounting: Accounting,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Arc<str>>,
}

/// A series as it was written down.
#[derive(Deserialize)]
struct Stored {
    signal: Signal,
    vintages: VecDeque<Vintage>,
    actuals: BTreeMap<Timestamp, (Timestamp, CarbonIntensity)>,
}

impl From<Stored> for Series {
    /// A vintage out of order, and one that what it changes is missing of, are left out.
    fn from(stored: Stored) -> Self {
        let mut series = Self { actuals: stored.actuals, ..Self::new(stored.signal) };
        for vintage in stored.vintages {
            let follows = match series.vintages.back() {
                Some(before) => before.known < vintage.known && before.confirmed <= vintage.known,
                None => vintage.change.is_whole(),
            };
            if !follows || vintage.confirmed < vintage.known {
                break;
            }
            series.vintages.push_back(vintage);
        }
        let vintages: usize = series.vintages.iter().map(Vintage::bytes).sum();
        series.bytes = vintages + series.actuals.len() * ACTUAL_BYTES;
        series
    }
}

impl Series {
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal, vintages: VecDeque::new(), actuals: BTreeMap::new(), bytes: 0 }
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.vintages.is_empty() && self.actuals.is_empty()
    }

    /// When something was received last.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        let measured = self.actuals.last_key_value().map(|(_, (to, _))| *to);
        self.vintages.back().map(|vintage| vintage.confirmed).max(measured)
    }

    pub(super) fn vintages(&self) -> &VecDeque<Vintage> {
        &self.vintages
    }

    pub(super) fn known_since(&self) -> impl Iterator<Item = Timestamp> + use<'_> {
        self.vintages.iter().map(|vintage| vintage.known)
    }

    pub(super) fn actuals(&self) -> impl Iterator<Item = Slot> + use<'_> {
        self.actuals.iter().map(|(from, (to, grams))| Slot::new(*from, *to, *grams))
    }

    pub(super) fn as_of(&self, at: Timestamp) -> Option<Forecast> {
        let index = self.known_by(at).checked_sub(1)?;
        let vintage = self.vintages.get(index)?;
        let slots = self.slots_of(index).into_iter().filter(|(_, (to, _))| *to > at);
        let slots = slots.map(|(from, (to, grams))| Slot::new(from, to, grams)).collect();
        let About { source, accounting, zone } = &*vintage.about;
        let forecast =
            Forecast::new(Arc::clone(source), vintage.issued_at, vintage.retrieved_at, slots).ok()?;
        let forecast = forecast.with_signal(self.signal).with_accounting(*accounting);
        Some(match zone {
            Some(zone) => forecast.with_zone(Arc::clone(zone)),
            None => forecast,
        })
    }

    /// How many vintages were known by `at`.
    pub(super) fn known_by(&self, at: Timestamp) -> usize {
        self.vintages.partition_point(|vintage| vintage.known <= at)
    }

    /// What the vintage at `index` says.
    pub(super) fn slots_of(&self, index: usize) -> Slots {
        let mut slots = Slots::new();
        let since = self.vintages.iter().take(index + 1).rposition(|vintage| vintage.change.is_whole());
        for vintage in self.vintages.iter().take(index + 1).skip(since.unwrap_or(0)) {
            vintage.change.apply(&mut slots, vintage.known);
        }
        slots
    }

    pub(super) fn record(&mut self, forecast: &Forecast, received: Timestamp) -> Recorded {
        let received = received.max(forecast.retrieved_at);
        let known = forecast.issued_at.map_or(received, |issued| issued.max(received));
        let ahead = forecast.slots().iter().filter(|slot| slot.to > known);
        let slots: Slots = ahead.map(|slot| (slot.from, (slot.to, slot.forecast))).collect();
        if slots.is_empty() {
            return Recorded::NothingAhead;
        }
        // The vintage in force at `known`, were it not for this one.
        let at = self.known_by(known);
        let before = at.checked_sub(1).map(|index| self.slots_of(index));
        let about = self.about(at, forecast);
        if let Some(in_force) = at.checked_sub(1).and_then(|index| self.vintages.get_mut(index))
            && let Some(before) = &before
            && Arc::ptr_eq(&in_force.about, &about)
            && before.iter().filter(|(_, (to, _))| *to > known).eq(&slots)
        {
            in_force.confirmed = in_force.confirmed.max(known);
            return Recorded::Unchanged;
        }
        let new = Vintage {
            known,
            confirmed: known,
            about,
            issued_at: forecast.issued_at,
            retrieved_at: forecast.retrieved_at,
            change: Change::whole(&slots),
        };
        if at == self.vintages.len() {
            self.append(new, before, &slots);
        } else {
            self.insert(at, new, before);
        }
        Recorded::New
    }

    /// Who says it: shared with the vintage in force, where that says the same.
    fn about(&self, at: usize, forecast: &Forecast) -> Arc<About> {
        let about = About {
            source: Arc::clone(&forecast.source),
            accounting: forecast.accounting,
            zone: forecast.zone.clone(),
        };
        let before = at.checked_sub(1).and_then(|index| self.vintages.get(index));
        match before.filter(|before| *before.about == about) {
            Some(before) => Arc::clone(&before.about),
            None => Arc::new(about),
        }
    }

    /// Time went on: stores what changed, where that is less and a whole one is near.
    fn append(&mut self, mut new: Vintage, before: Option<Slots>, slots: &Slots) {
        let confirmed = self.vintages.back().map(|newest| newest.confirmed);
        if confirmed.is_some_and(|confirmed| confirmed >= new.known) {
            // The clock was set back into a time in which the newest was confirmed.
            return self.insert(self.vintages.len(), new, before);
        }
        let near = self.vintages.iter().rev().take(WHOLE_EVERY - 1).any(|vintage| vintage.change.is_whole());
        if let Some(mut before) = before.filter(|_| near) {
            before.retain(|_, (to, _)| *to > new.known);
            let change = Change::since(&before, slots);
            if change.bytes() < new.change.bytes() {
                new.change = change;
            }
        }
        self.put(self.vintages.len(), new);
    }

    /// The clock was set back: `new` takes its place among what is there, as a whole. What was in force
    /// then, and was received again later, is in force again from its last receipt on.
    fn insert(&mut self, at: usize, new: Vintage, before: Option<Slots>) {
        let next = (at < self.vintages.len()).then(|| self.slots_of(at));
        let mut echo = None;
        if let (Some(in_force), Some(mut slots)) =
            (at.checked_sub(1).and_then(|index| self.vintages.get_mut(index)), before)
        {
            let again = in_force.confirmed;
            slots.retain(|_, (to, _)| *to > again);
            if again > new.known && !slots.is_empty() {
                let change = Change::whole(&slots);
                echo = Some(Vintage { known: again, change, ..in_force.clone() });
            }
            in_force.confirmed = in_force.known;
        }
        if let Some(slots) = next
            && let Some(mut vintage) = self.take(at)
        {
            // What it was stored against is not before it any more.
            vintage.change = Change::whole(&slots);
            // An echo at that very instant is overruled by it.
            echo = echo.filter(|echo| echo.known < vintage.known);
            self.put(at, vintage);
        }
        if let Some(echo) = echo {
            self.put(at, echo);
        }
        let replaced = at
            .checked_sub(1)
            .filter(|index| self.vintages.get(*index).is_some_and(|vintage| vintage.known == new.known));
        match replaced {
            // Two at one instant: the later told counts.
            Some(index) => {
                self.take(index);
                self.put(index, new);
            }
            None => self.put(at, new),
        }
    }

    pub(super) fn record_actuals(&mut self, actuals: &[Slot], received: Timestamp) -> usize {
        let mut new = 0;
        for slot in actuals.iter().filter(|slot| slot.from < slot.to && slot.to <= received) {
            let value = (slot.to, slot.forecast);
            let before = self.actuals.insert(slot.from, value);
            new += usize::from(before != Some(value));
            if before.is_none() {
                self.bytes += ACTUAL_BYTES;
            }
        }
        while self.actuals.len() > MAX_ACTUALS {
            self.let_go_of_actual();
        }
        new
    }

    /// Lets go of what is over, as seen from `now`.
    pub(super) fn keep_within(&mut self, bounds: &Bounds, now: Timestamp) {
        let oldest = later(now, -bounds.age);
        // The vintage that was in force then stays.
        while self.vintages.get(1).is_some_and(|next| next.known <= oldest) {
            self.let_go_of_oldest();
        }
        if self.vintages.back().is_some_and(|newest| newest.confirmed < oldest) {
            self.let_go_of_oldest();
        }
        while self.actuals.first_key_value().is_some_and(|(_, (to, _))| *to <= oldest) {
            self.let_go_of_actual();
        }
        while !self.is_empty() && (self.vintages.len() > bounds.vintages || self.bytes > bounds.target_bytes)
        {
            self.let_go(now);
        }
    }

    /// Lets go of one thing: the oldest vintage, or the newest where a wrong clock put it further from `now`;
    /// measured values when no other vintage is left.
    pub(super) fn let_go(&mut self, now: Timestamp) {
        let (Some(oldest), Some(newest)) = (self.vintages.front(), self.vintages.back()) else {
            return self.let_go_of_actual();
        };
        if self.vintages.len() == 1 && !self.actuals.is_empty() && self.bytes > self.vintages[0].bytes() * 2 {
            return self.let_go_of_actual();
        }
        let ahead = newest.known.duration_since(now);
        if ahead > FAR_AHEAD && ahead > now.duration_since(oldest.known) {
            self.take(self.vintages.len() - 1);
        } else {
            self.let_go_of_oldest();
        }
    }

    /// The second is the first from now on, and whole.
    fn let_go_of_oldest(&mut self) {
        let second =
            self.vintages.get(1).filter(|second| !second.change.is_whole()).map(|_| self.slots_of(1));
        self.take(0);
        if let Some(slots) = second
            && let Some(mut first) = self.take(0)
        {
            first.change = Change::whole(&slots);
            self.put(0, first);
        }
    }

    fn let_go_of_actual(&mut self) {
        if self.actuals.pop_first().is_some() {
            self.bytes = self.bytes.saturating_sub(ACTUAL_BYTES);
        }
    }

    fn put(&mut self, index: usize, vintage: Vintage) {
        self.bytes += vintage.bytes();
        self.vintages.insert(index, vintage);
    }

    fn take(&mut self, index: usize) -> Option<Vintage> {
        let vintage = self.vintages.remove(index)?;
        self.bytes = self.bytes.saturating_sub(vintage.bytes());
        Some(vintage)
    }
}

impl Vintage {
    /// What it changes.
    pub(super) fn change(&self) -> &Change {
        &self.change
    }

    /// Bytes of memory, nearly: of what is shared, too, since it may not be.
    fn bytes(&self) -> usize {
        let about = size_of::<About>()
            + self.about.source.len()
            + self.about.zone.as_ref().map_or(0, |zone| zone.len());
        size_of::<Self>() + about + self.change.bytes()
    }
}
