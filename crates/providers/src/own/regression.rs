//! The own forecast: what is usual at that time of day, and how a deviation from it fades.

use super::grid::Grid;
use super::leads::Leads;
use super::profile::Profile;
use super::ridge;
use super::ring::{Ring, place_count, slot_count};

/// Features that do not depend on the lead: deviations of the last day, their mean, the newest by time of
/// day (clouds end at dusk), and a constant.
const COMMON: usize = 13;
/// And two that do: the deviation at the same time a day before, and whether it is a weekend.
const FEATURES: usize = COMMON + 2;
/// Floats behind one lead.
const SUMS: usize = ridge::len(FEATURES);
/// Ages of the deviations among the features, in hours.
const AGES: [i64; 7] = [0, 1, 2, 3, 6, 12, 24];
/// After this many days a sample counts half: how deviations fade hardly changes, only with the fleet of
/// power stations and the season.
const HALF_LIFE_DAYS: f64 = 120.0;
/// How many days of samples the prior counts for.
const PRIOR_DAYS: f64 = 0.3;
/// Hours in which, before anything is learned, a deviation is taken to fade by e.
const PRIOR_FADING_HOURS: f64 = 12.0;
/// Leads solved anew with each value: each of them every few hours, for what it learns shows in weeks.
const SOLVED_PER_VALUE: usize = 2;
/// Days of deviations kept: those of the farthest lead, and a day before them.
const KEPT_DAYS: i64 = 6;
/// How much history makes a full voice beside a provider, in days.
const MATURE_DAYS: f64 = 2.0;

/// Learns from actual values and tells what may come.
#[derive(Debug, Clone)]
pub(super) struct Regression {
    grid: Grid,
    leads: Leads,
    pub(super) profile: Profile,
    /// Deviations from the profile as of then.
    pub(super) deviations: Ring,
    /// Their means over a day.
    pub(super) means: Ring,
    /// Sums of one ridge regression after the other, for as many leads as history reaches.
    pub(super) sums: Vec<f64>,
    /// Their coefficients.
    pub(super) weights: Vec<f64>,
    /// The lead whose turn it is to be solved.
    pub(super) turn: usize,
    /// Harmonics of the day by slot of day.
    harmonics: Vec<[f64; 4]>,
    /// Deviations of the last day, while they are worked on.
    day_before: Vec<f64>,
    fade: f64,
}

/// A lead's coefficients, the features that do not depend on the slot worked in.
#[derive(Debug, Clone, Copy, Default)]
struct Voice {
    common: f64,
    before: f64,
    weekend: f64,
}

impl Voice {
    /// The deviation that is to be expected.
    fn said(&self, before: f64, weekend: f64) -> f64 {
        self.common + self.before * before + self.weekend * weekend
    }
}

impl Regression {
    /// Nothing known.
    pub(super) fn new(grid: Grid, leads: &Leads) -> Self {
        let harmonics = (0..grid.per_day()).map(|slot| {
            let angle = slot as f64 / grid.per_day() as f64 * core::f64::consts::TAU;
            [libm::cos(angle), libm::sin(angle), libm::cos(2.0 * angle), libm::sin(2.0 * angle)]
        });
        Self {
            grid,
            leads: leads.clone(),
            profile: Profile::default(),
            deviations: Ring::default(),
            means: Ring::default(),
            sums: Vec::new(),
            weights: Vec::new(),
            turn: 0,
            harmonics: harmonics.collect(),
            day_before: Vec::new(),
            fade: libm::exp2(-1.0 / (HALF_LIFE_DAYS * grid.per_day() as f64)),
        }
    }

    /// The newest slot known.
    pub(super) fn newest(&self) -> Option<i64> {
        self.profile.is_known().then_some(self.deviations.end - 1)
    }

    /// How far history makes a voice of its own: from 0 to 1.
    pub(super) fn maturity(&self) -> f64 {
        let values = if self.sums.is_empty() { 0.0 } else { self.sums[SUMS - 1] };
        (values / (MATURE_DAYS * self.grid.per_day() as f64)).clamp(0.0, 1.0)
    }

    /// Whether the value of a slot would be news: neither known nor too old to matter.
    pub(super) fn lacks(&self, index: i64) -> bool {
        let newer = self.newest().is_none_or(|newest| index > newest);
        newer || (self.deviations.covers(index) && self.deviations.at(index).is_nan())
    }

    /// Whether a slot lies before everything that is kept.
    pub(super) fn is_past(&self, index: i64) -> bool {
        self.newest().is_some_and(|newest| index <= newest && !self.deviations.covers(index))
    }

    /// Goes to another time with what was learned, but without what was last.
    pub(super) fn move_to(&mut self, index: i64) {
        let kept = KEPT_DAYS * self.grid.per_day();
        self.deviations.clear(kept, index);
        self.means.clear(kept, index);
    }

    /// The nearest value that can be believed of a slot.
    pub(super) fn plausible(&self, index: i64, value: f64) -> f64 {
        self.profile.plausible(self.grid.of_day(index), value)
    }

    /// Takes the actual value of a slot; one that is not newer than the newest is remembered, but nothing
    /// is fitted to it.
    pub(super) fn learn(&mut self, index: i64, value: f64) {
        let of_day = self.grid.of_day(index);
        let known = self.newest();
        let per_day = self.grid.per_day();
        let deviation = if known.is_some() { value - self.profile.at(of_day) } else { 0.0 };
        self.deviations.set(KEPT_DAYS * per_day, index, deviation);
        if known.is_none_or(|newest| index > newest) {
            let hour = self.grid.per_hour();
            let mean = (0..24).map(|age| self.deviations.or_zero(index - age * hour)).sum::<f64>() / 24.0;
            self.means.set(KEPT_DAYS * per_day, index, mean);
            if self.profile.knows_a_day() {
                self.fit(index, deviation);
            }
        }
        let knew_a_day = self.profile.knows_a_day();
        self.profile.learn(place_count(per_day), of_day, value);
        if self.profile.knows_a_day() && !knew_a_day {
            // The first day is what is usual; what it was compared with before says nothing.
            self.deviations.reset();
            self.means.reset();
        }
    }

    /// What is usual in a slot.
    pub(super) fn usual(&self, index: i64) -> f64 {
        self.profile.at(self.grid.of_day(index))
    }

    /// Whether everything has the length it should have: asked of what was stored.
    pub(super) fn is_whole(&self) -> bool {
        let per_day = self.grid.per_day();
        let known = self.sums.len() / SUMS;
        let cells = self.profile.cells.len();
        (cells == 0 || cells == 2 * place_count(per_day))
            && (self.profile.seen <= 0.0 || cells > 0)
            && self.deviations.is_whole(KEPT_DAYS * per_day)
            && self.means.is_whole(KEPT_DAYS * per_day)
            && known <= self.leads.len()
            && self.sums.len() == known * SUMS
            && self.weights.len() == known * FEATURES
            && self.turn < self.leads.len()
    }

    fn fit(&mut self, index: i64, deviation: f64) {
        for knot in 0..self.leads.len() {
            let lead = self.leads.slots(knot);
            let origin = index - lead;
            if self.deviations.at(origin).is_nan() {
                continue;
            }
            while self.sums.len() <= knot * SUMS {
                let prior = self.prior(self.sums.len() / SUMS);
                self.sums.resize(self.sums.len() + SUMS, 0.0);
                self.weights.extend_from_slice(&prior);
            }
            let mut features = [0.0; FEATURES];
            features[..COMMON].copy_from_slice(&self.common(origin));
            features[COMMON..].copy_from_slice(&self.particular(origin, lead));
            let sums = &mut self.sums[knot * SUMS..(knot + 1) * SUMS];
            ridge::learn(sums, &features, deviation, 1.0, self.fade);
        }
        let known = self.sums.len() / SUMS;
        for _ in 0..SOLVED_PER_VALUE.min(known) {
            let knot = self.turn % known;
            let strength = PRIOR_DAYS * self.grid.per_day() as f64;
            let sums = &self.sums[knot * SUMS..(knot + 1) * SUMS];
            let pull = ridge::mean_squares(sums).map(|square: f64| square * strength);
            let solved = ridge::solve(sums, &self.prior(knot), &pull);
            self.weights[knot * FEATURES..(knot + 1) * FEATURES].copy_from_slice(&solved);
            self.turn = (knot + 1) % known;
        }
    }

    fn prior(&self, knot: usize) -> [f64; FEATURES] {
        let hours = self.leads.slots(knot) as f64 / self.grid.per_hour() as f64;
        let mut prior = [0.0; FEATURES];
        prior[0] = libm::exp(-hours / PRIOR_FADING_HOURS);
        prior
    }

    fn common(&self, origin: i64) -> [f64; COMMON] {
        let hour = self.grid.per_hour();
        let mut features = [0.0; COMMON];
        for (feature, age) in features.iter_mut().zip(AGES) {
            *feature = self.deviations.or_zero(origin - age * hour);
        }
        features[7] = self.means.or_zero(origin);
        let newest = features[0];
        for (feature, harmonic) in features[8..12].iter_mut().zip(self.harmonics[self.grid.of_day(origin)]) {
            *feature = newest * harmonic;
        }
        features[12] = 1.0;
        features
    }

    fn particular(&self, origin: i64, lead: i64) -> [f64; FEATURES - COMMON] {
        let day = self.grid.per_day();
        let target = origin + lead;
        let before = target - day * ((lead - 1) / day + 1);
        let weekend = self.grid.is_weekend(target);
        [self.deviations.or_zero(before), if weekend { 1.0 } else { 0.0 }]
    }

    /// What may come at the learned leads after the newest slot, `origin`: what [`Self::tell`] says there.
    pub(super) fn tell_leads(&self, origin: i64) -> impl Iterator<Item = f64> {
        let voices = self.voices(origin);
        self.leads.iter().zip(voices).map(move |(lead, voice)| {
            let [before, weekend] = self.particular(origin, lead);
            self.usual(origin + lead) + voice.said(before, weekend)
        })
    }

    /// What each lead makes of what is known at `origin`.
    fn voices(&self, origin: i64) -> [Voice; 32] {
        let common = self.common(origin);
        let mut voices = [Voice::default(); 32];
        for (knot, voice) in voices.iter_mut().enumerate().take(self.leads.len()) {
            let prior;
            let weights = if let Some(weights) = self.weights.chunks_exact(FEATURES).nth(knot) {
                weights
            } else {
                prior = self.prior(knot);
                &prior
            };
            let (shared, particular) = weights.split_at(COMMON);
            *voice = Voice {
                common: shared.iter().zip(&common).map(|(weight, feature)| weight * feature).sum(),
                before: particular[0],
                weekend: particular[1],
            };
        }
        voices
    }

    /// Appends what may come in the slots after the newest, until `out` holds `count`, nearest first.
    pub(super) fn tell(&mut self, count: usize, out: &mut Vec<f64>) {
        let Some(origin) = self.newest().filter(|_| out.len() < count) else { return };
        let voices = self.voices(origin);
        let mut cursor = self.leads.cursor();
        let farthest = self.leads.farthest();
        let told = out.len();
        self.deviations.last_into(origin, self.grid.per_day(), &mut self.day_before);
        let days_before = self.day_before.iter().cycle().skip(told % self.day_before.len().max(1));
        let slots = self.grid.days_from(origin + 1 + slot_count(told)).zip(days_before);
        for (lead, ((of_day, weekend), before)) in (slot_count(told) + 1..=slot_count(count)).zip(slots) {
            let usual = self.profile.at(of_day);
            let weekend = if weekend { 1.0 } else { 0.0 };
            let (knot, next, share) = cursor.at(lead);
            let said = |voice: &Voice| voice.said(*before, weekend);
            let deviation = said(&voices[knot]) * (1.0 - share) + said(&voices[next]) * share;
            // Beyond what is learned, less and less is left of a deviation.
            let left = if lead > farthest { farthest as f64 / lead as f64 } else { 1.0 };
            out.push(usual + deviation * left);
        }
    }
}
