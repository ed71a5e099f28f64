//! The carbon intensity to come, from what was and what the provider says.

use jiff::SignedDuration;
use models::forecast::MAX_SLOTS;
use models::{Forecast, Slot, Timestamp, ranges};
use serde::{Deserialize, Serialize};

use super::grid::{self, Grid};
use super::leads::Leads;
use super::regression::Regression;
use super::ring::{place_count, slot_count};
use super::skill::{Skill, Voice};
use super::stored::Stored;
use super::told::Told;

/// Longest slot of an actual value, in seconds: a day.
const LONGEST_SLOT: i64 = 86_400;
/// Most slots of one answer, whatever the horizon.
const MAX_ESTIMATES: usize = MAX_SLOTS;
/// A vintage that comes in this part of a slot counts as known at its beginning: the first quarter.
const PROMPT: i64 = 4;

/// One slot to come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// First instant of the slot.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// Expected mean carbon intensity, gCO2eq/kWh, finite, in [0, 10 000].
    pub intensity: f64,
    /// How much of it is the provider's word, in [0, 1]: 1 all of it, 0 none.
    pub provider_weight: f64,
}

/// What one carbon target has shown so far, and what may be expected of it: one per target, not per
/// schedule.
///
/// The first slot it is told about sets its grid: the longest of 5, 10, 15, 20, 30 and 60 minutes on
/// whose steps (from midnight UTC) that slot begins and ends. Slots of other lengths are resampled.
///
/// It takes next to no memory when new, and about 65 kB on half-hours once it has seen a week (50 kB on
/// hours, 230 kB on five minutes). Serialises to its state and back, bit for bit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CarbonLearner {
    state: Option<Box<State>>,
}

impl CarbonLearner {
    /// Takes the actual intensity of a slot that is over, as soon as it is known.
    ///
    /// A slot counts once: what comes again, with whatever value, is left out. Slots may come late and out
    /// of order, as far as some days back; fits are made to what comes in order. A slot longer than a day
    /// is left out.
    pub fn observe_actual(&mut self, slot: &Slot) {
        if self.state.is_none() {
            self.state = State::for_slot(slot);
        }
        if let Some(state) = &mut self.state {
            state.observe(slot);
        }
    }

    /// Takes a vintage as it arrived, so that it can be compared with what will be.
    ///
    /// Only what it says about slots that are not over at `now` is taken.
    pub fn observe_vintage(&mut self, forecast: &Forecast, now: Timestamp) {
        if let Some(state) = self.known_or_for(forecast) {
            state.hear(forecast, grid::second(now));
        }
    }

    /// The best estimate for the slots from the one that contains `now`, as far as they begin before
    /// `now + horizon` (and [`MAX_SLOTS`] of them at most), one after the other without a gap.
    ///
    /// `provider` should be the newest vintage, which [`Self::observe_vintage`] has seen. Each slot blends
    /// it with the own forecast by what was learned at that lead; slots it says nothing about are the own
    /// forecast alone. Before any actual value is known the provider speaks alone: a gap repeats its
    /// neighbour, and the answer ends where it ends. `out` is overwritten; it stays empty only where
    /// nothing at all is known.
    pub fn blend(
        &mut self,
        provider: Option<&Forecast>,
        now: Timestamp,
        horizon: SignedDuration,
        out: &mut Vec<Estimate>,
    ) {
        out.clear();
        let state = match provider {
            Some(provider) => self.known_or_for(provider),
            None => self.state.as_deref_mut(),
        };
        if let Some(state) = state {
            state.blend(provider, grid::second(now), grid::seconds_of(horizon), out);
        }
    }

    /// Whether anything can be said without a provider.
    pub fn is_known(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.own.newest().is_some())
    }

    /// Length of the slots it learns and tells, once it is known.
    pub fn step(&self) -> Option<SignedDuration> {
        self.state.as_ref().map(|state| SignedDuration::from_secs(state.grid.step()))
    }

    fn known_or_for(&mut self, forecast: &Forecast) -> Option<&mut State> {
        if self.state.is_none() {
            // The first slot may be cut at the present, the last at the end of a day.
            let slots = forecast.slots();
            self.state = slots.get(slots.len() / 2).and_then(State::for_slot);
        }
        self.state.as_deref_mut()
    }
}

/// All of it, once the grid is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(super) struct State {
    pub(super) grid: Grid,
    pub(super) leads: Leads,
    pub(super) own: Regression,
    pub(super) told: Told,
    pub(super) skill: Skill,
    /// Whether the newest origin was asked already for what it says.
    pub(super) asked: bool,
    /// Slots between the newest known and the present when its value came.
    pub(super) delay: i64,
    /// Whether `delay` is still that of an earlier value.
    pub(super) fresh: bool,
    /// Values in a row that lay before everything kept.
    pub(super) past: i64,
    pub(super) partial: Option<Partial>,
    /// Own values from the newest known slot on: worked out when asked for.
    pub(super) ahead: Vec<f64>,
    /// The provider's values and its errors of the last day, while they are worked on.
    pub(super) heard: Vec<f64>,
    pub(super) errors: Vec<f64>,
}

/// A slot of the grid that is known in part.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Partial {
    pub(super) index: i64,
    /// Second up to which it is known.
    until: i64,
    /// Gramme-seconds, and the seconds they were summed over.
    #[serde(with = "super::packed::one")]
    pub(super) sum: f64,
    pub(super) seconds: i64,
}

impl Partial {
    /// Whether it can be one: asked of what was stored.
    pub(super) fn is_sound(&self) -> bool {
        let (index, until) = (self.index.unsigned_abs(), self.until.unsigned_abs());
        self.sum.is_finite()
            && index < 1 << 40
            && until < 1 << 50
            && (0..=LONGEST_SLOT).contains(&self.seconds)
    }
}

impl State {
    fn for_slot(slot: &Slot) -> Option<Box<Self>> {
        Grid::of_slot(slot).map(|grid| Box::new(Self::new(grid)))
    }

    pub(super) fn new(grid: Grid) -> Self {
        let leads = Leads::new(grid);
        Self {
            grid,
            own: Regression::new(grid, &leads),
            told: Told::default(),
            skill: Skill::new(grid, &leads),
            leads,
            asked: true,
            delay: 0,
            fresh: false,
            past: 0,
            partial: None,
            ahead: Vec::new(),
            heard: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn observe(&mut self, slot: &Slot) {
        let (from, to) = grid::span(slot);
        if from >= to || to - from > LONGEST_SLOT {
            return;
        }
        let step = self.grid.step();
        let grams = slot.forecast.get();
        for index in self.grid.index(from)..=self.grid.index(to - 1) {
            let begin = index * step;
            let (low, high) = (from.max(begin), to.min(begin + step));
            if high - low == step {
                self.partial = self.partial.filter(|partial| partial.index != index);
                self.settle(index, grams);
            } else {
                self.collect(index, low, high, grams);
            }
        }
    }

    /// Takes `[low, high)` of the slot `index`. It counts when its end is known, or when a later slot
    /// begins, if at least half of it is known by then.
    fn collect(&mut self, index: i64, low: i64, high: i64, grams: f64) {
        let step = self.grid.step();
        let earlier = self.partial.take();
        let mut partial = Partial { index, until: low, sum: 0.0, seconds: 0 };
        if let Some(earlier) = earlier {
            if earlier.index > index {
                self.partial = Some(earlier);
                return;
            }
            if earlier.index == index {
                partial = earlier;
            } else {
                self.settle_partial(earlier);
            }
        }
        let low = low.max(partial.until);
        if low < high {
            partial.sum += grams * (high - low) as f64;
            partial.seconds += high - low;
            partial.until = high;
        }
        if partial.until == (index + 1) * step {
            self.settle_partial(partial);
        } else {
            self.partial = Some(partial);
        }
    }

    fn settle_partial(&mut self, partial: Partial) {
        if partial.seconds * 2 >= self.grid.step() {
            self.settle(partial.index, partial.sum / partial.seconds as f64);
        }
    }

    /// Takes the actual value of a slot of the grid.
    fn settle(&mut self, index: i64, actual: f64) {
        if self.own.is_past(index) {
            self.past += 1;
            if self.past < self.grid.per_day() {
                return;
            }
            // A day of values says that the newest one known came from a future that was none.
            self.own.move_to(index);
            self.skill.move_to(index);
            self.ahead.clear();
            self.asked = true;
        }
        self.past = 0;
        if !self.own.lacks(index) {
            return;
        }
        let actual = self.own.plausible(index, actual);
        let newest = self.own.newest();
        let is_newest = newest.is_none_or(|newest| index > newest);
        if is_newest {
            self.ask();
            if let Some(newest) = newest {
                self.skill.skip(newest + 1, index);
            }
            self.skill.learn(index, actual);
        }
        self.own.learn(index, actual);
        self.skill.note(index, actual, self.told.at(index));
        self.ahead.clear();
        if is_newest {
            self.asked = false;
            self.fresh = true;
        }
    }

    /// Notes, once for each newest slot, what own forecast and provider say about what follows.
    fn ask(&mut self) {
        let Some(newest) = self.own.newest().filter(|_| !self.asked && !self.told.is_empty()) else { return };
        self.asked = true;
        self.skill.ask(newest, self.own.tell_leads(newest), |index| self.told.at(index));
    }

    fn hear(&mut self, forecast: &Forecast, now: i64) {
        if let Some(newest) = self.own.newest() {
            let prompt = (newest + 1) * self.grid.step() + self.grid.step() / PROMPT;
            if now > prompt {
                self.ask();
            }
        }
        self.told.learn(self.grid, forecast, self.grid.index(now));
    }

    fn blend(&mut self, provider: Option<&Forecast>, now: i64, horizon: i64, out: &mut Vec<Estimate>) {
        let step = self.grid.step();
        let first = self.grid.index(now);
        let end = now.saturating_add(horizon).saturating_add(step - 1);
        let count = (self.grid.index(end) - first).clamp(0, slot_count(MAX_ESTIMATES));
        self.listen(provider, first, count);
        let Some(newest) = self.own.newest() else {
            self.repeat(first, out);
            return;
        };
        if self.fresh {
            self.fresh = false;
            self.delay = (first - 1 - newest).clamp(0, self.leads.farthest());
        }
        let reach = (first + count - 1 - newest).clamp(1, slot_count(MAX_ESTIMATES));
        self.own.tell(place_count(reach), &mut self.ahead);
        let mut voices = [Voice::default(); 32];
        for (voice, spoken) in voices.iter_mut().zip(self.skill.voices(newest)) {
            *voice = spoken;
        }
        let maturity = self.own.maturity();
        let mut cursor = self.leads.cursor();
        let mut from = self.grid.start(first);
        self.skill.last_day_into(newest, &mut self.errors);
        let since = place_count((first - newest - 1).max(0)) % self.errors.len();
        let days_before = self.errors.iter().cycle().skip(since);
        for ((index, heard), day_before) in (first..).zip(&self.heard).zip(days_before) {
            let own = match self.ahead.get(place_count((index - newest).max(1) - 1)) {
                Some(own) => *own,
                None => self.own.usual(index),
            };
            let (intensity, provider_weight) = if heard.is_nan() {
                (own, 0.0)
            } else {
                let (knot, next, share) = cursor.at(index - first + 1 + self.delay);
                let voice = voices[knot].mix(&voices[next], share);
                voice.said(own, *heard, *day_before, maturity)
            };
            let to = self.grid.start(index + 1);
            out.push(Estimate { from, to, intensity: possible(intensity), provider_weight });
            from = to;
        }
    }

    /// Puts the provider's values into `heard`, NaN where it says nothing.
    fn listen(&mut self, provider: Option<&Forecast>, first: i64, count: i64) {
        let heard = &mut self.heard;
        heard.clear();
        heard.resize(place_count(count), f64::NAN);
        if let Some(provider) = provider {
            self.grid.resample(provider, first, |index, grams| {
                let slot = heard.get_mut(place_count(index - first));
                slot.map(|slot| *slot = grams).is_some()
            });
        }
    }

    /// The provider alone.
    fn repeat(&self, first: i64, out: &mut Vec<Estimate>) {
        let Some(mut last) = self.heard.iter().copied().find(|grams| !grams.is_nan()) else { return };
        let reach = self.heard.iter().rposition(|grams| !grams.is_nan()).unwrap_or(0);
        for (index, heard) in (first..).zip(&self.heard[..=reach]) {
            last = if heard.is_nan() { last } else { *heard };
            out.push(Estimate {
                from: self.grid.start(index),
                to: self.grid.start(index + 1),
                intensity: possible(last),
                provider_weight: 1.0,
            });
        }
    }
}

/// The nearest intensity there can be.
fn possible(grams: f64) -> f64 {
    let range = ranges::INTENSITY;
    if grams.is_nan() { range.low } else { grams.clamp(range.low, range.high) }
}
