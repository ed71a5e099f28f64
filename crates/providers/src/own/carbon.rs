//! The carbon intensity to come, from what was and what the provider says.

use jiff::SignedDuration;
use models::{Forecast, Slot, Timestamp, ranges};
use serde::{Deserialize, Serialize};

use super::grid::{self, Grid};
use super::leads::Leads;
use super::regression::Regression;
use super::skill::Skill;
use super::told::Told;

/// Most slots of one estimate, whatever the horizon.
pub const MAX_ESTIMATES: usize = models::forecast::MAX_SLOTS;

/// One slot to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// First instant of the slot.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// Expected mean carbon intensity, gCO2eq/kWh, finite, in [0, 10 000].
    pub intensity: f64,
    /// How much of it is the provider's word: 1 all, 0 none.
    pub provider_weight: f64,
}

#[derive(Debug, Clone, Default)]
pub struct CarbonLearner {
    state: Option<State>,
}

#[derive(Debug, Clone)]
struct State {
    grid: Grid,
    leads: Leads,
    own: Regression,
    told: Told,
    skill: Skill,
    /// Own values from the newest known slot on; worked out when asked for.
    ahead: Vec<f64>,
    /// Whether the newest origin has been asked for its values.
    asked: bool,
    error: f64,
    delay: i64,
    fresh: bool,
    partial: Option<Partial>,
}

/// A slot of the grid known in part.
#[derive(Debug, Clone, Copy)]
struct Partial {
    index: i64,
    until: i64,
    sum: f64,
    seconds: f64,
}

impl CarbonLearner {
    pub fn observe_actual(&mut self, slot: &Slot) {
        if self.state.is_none() {
            self.state = Grid::of_slot(slot).map(State::new);
        }
        if let Some(state) = &mut self.state {
            state.observe(slot);
        }
    }

    pub fn observe_vintage(&mut self, forecast: &Forecast, now: Timestamp) {
        if self.state.is_none() {
            let slots = forecast.slots();
            self.state = Grid::of_slot(&slots[slots.len() / 2]).map(State::new);
        }
        if let Some(state) = &mut self.state {
            state.hear(forecast, grid::second(now));
        }
    }

    pub fn blend(
        &mut self,
        provider: Option<&Forecast>,
        now: Timestamp,
        horizon: SignedDuration,
        out: &mut Vec<Estimate>,
    ) {
        out.clear();
        if self.state.is_none()
            && let Some(provider) = provider
        {
            let slots = provider.slots();
            self.state = Grid::of_slot(&slots[slots.len() / 2]).map(State::new);
        }
        if let Some(state) = &mut self.state {
            state.blend(provider, grid::second(now), grid::seconds_of(horizon), out);
        }
    }
}

impl State {
    fn new(grid: Grid) -> Self {
        let leads = Leads::new(grid);
        Self {
            grid,
            own: Regression::new(grid, &leads),
            told: Told::default(),
            skill: Skill::new(grid, &leads),
            leads,
            ahead: Vec::new(),
            asked: true,
            error: 0.0,
            delay: 0,
            fresh: false,
            partial: None,
        }
    }

    fn observe(&mut self, slot: &Slot) {
        let (from, to) = grid::span(slot);
        if from >= to || to - from > 86_400 {
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

    fn collect(&mut self, index: i64, low: i64, high: i64, grams: f64) {
        let step = self.grid.step();
        let mut partial = match self.partial {
            Some(partial) if partial.index == index => partial,
            Some(partial) if partial.index > index => return,
            earlier => {
                if let Some(earlier) = earlier.filter(|earlier| earlier.seconds * 2.0 >= step as f64) {
                    self.settle(earlier.index, earlier.sum / earlier.seconds);
                }
                Partial { index, until: low, sum: 0.0, seconds: 0.0 }
            }
        };
        let low = low.max(partial.until);
        if low < high {
            let seconds = (high - low) as f64;
            partial.sum += grams * seconds;
            partial.seconds += seconds;
            partial.until = high;
        }
        self.partial = Some(partial);
        if partial.until == (index + 1) * step && partial.seconds * 2.0 >= step as f64 {
            self.partial = None;
            self.settle(index, partial.sum / partial.seconds);
        }
    }

    fn settle(&mut self, index: i64, actual: f64) {
        if self.own.knows(index) {
            return;
        }
        self.ask();
        if self.own.is_known() && index > self.own.last {
            self.skill.skip(self.own.last + 1, index);
            self.skill.learn(index, actual);
        }
        let gap = if self.own.is_known() { index - self.own.last - 1 } else { 0 };
        if self.own.learn(index, actual) {
            self.ahead.clear();
            self.asked = false;
            self.fresh = true;
            let told = self.told.at(index);
            let scale = self.skill.trust(1).scale;
            let error = if told.is_nan() { 0.0 } else { actual - scale * told };
            self.skill.note_error(index, error, gap);
        }
    }

    fn ask(&mut self) {
        if self.asked || self.told.values.is_empty() {
            return;
        }
        self.asked = true;
        self.own.tell(self.leads.farthest() as usize, &mut self.ahead);
        let Self { own, told, skill, ahead, .. } = self;
        skill.ask(own.last, ahead, |index| told.at(index));
    }

    fn hear(&mut self, forecast: &Forecast, now: i64) {
        let index = self.grid.index(now);
        if self.own.is_known() && now > (self.own.last + 1) * self.grid.step() + self.grid.step() / 4 {
            self.ask();
        }
        self.told.learn(self.grid, forecast, index);
    }

    fn blend(&mut self, provider: Option<&Forecast>, now: i64, horizon: i64, out: &mut Vec<Estimate>) {
        let first = self.grid.index(now);
        let end = now.saturating_add(horizon);
        let step = self.grid.step();
        let count = ((end - first * step + step - 1) / step).clamp(0, MAX_ESTIMATES as i64);
        let known = self.own.is_known();
        if self.fresh {
            self.fresh = false;
            self.delay = (first - 1 - self.own.last).clamp(0, self.leads.farthest());
        }
        let stale = if known { first - self.own.last } else { 1 };
        if known {
            let reach = (stale + count).clamp(1, 2 * MAX_ESTIMATES as i64) as usize;
            self.own.tell(reach, &mut self.ahead);
        }
        let Self { grid, ahead, skill, delay, own: regression, .. } = self;
        let own = |index: i64| -> Option<f64> {
            known.then(|| ahead[(index - first + stale - 1).clamp(0, ahead.len() as i64 - 1) as usize])
        };
        let mut push = |index: i64, provider: Option<f64>| {
            let lead = index - first + 1 + *delay;
            let (intensity, weight) = match (own(index), provider) {
                (Some(own), Some(provider)) => {
                    let trust = skill.trust(lead);
                    (own + trust.weight * (trust.scale * provider - own) + skill.error_features(regression.last, (index - regression.last).max(1)).iter().zip(&trust.nowcast).map(|(e, n)| e * n).sum::<f64>(), trust.weight)
                }
                (Some(own), None) => (own, 0.0),
                (None, Some(provider)) => (provider, 1.0),
                (None, None) => return,
            };
            out.push(Estimate {
                from: grid.start(index),
                to: grid.start(index + 1),
                intensity: intensity.clamp(ranges::INTENSITY.low, ranges::INTENSITY.high),
                provider_weight: weight,
            });
        };
        let mut next = first;
        let mut last = None;
        if let Some(provider) = provider {
            grid.resample(provider, first, |index, grams| {
                while next < index.min(first + count) {
                    push(next, if known { None } else { last.or(Some(grams)) });
                    next += 1;
                }
                if next < first + count {
                    push(next, Some(grams));
                    next += 1;
                    last = Some(grams);
                }
                next < first + count
            });
        }
        while next < first + count && known {
            push(next, None);
            next += 1;
        }
    }
}
