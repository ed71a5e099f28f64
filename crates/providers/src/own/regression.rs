//! The own forecast: what is usual at that time of day, and how a deviation from it fades.

use super::grid::Grid;
use super::leads::{Leads, Spot};
use super::profile::Profile;
use super::ridge;

/// What a deviation is explained by.
const FEATURES: usize = 13;
/// Floats behind one lead.
const SUMS: usize = ridge::len(FEATURES);
/// After this many days a sample counts half.
const HALF_LIFE_DAYS: f64 = 120.0;
/// How many days of samples the prior counts for.
const PRIOR_DAYS: f64 = 0.3;
/// Leads solved anew with each value: all of them within a quarter of a day or so.
const SOLVED_PER_VALUE: usize = 4;
/// Hours in which, before anything is learned, a deviation is taken to fade by e.
const PRIOR_FADING_HOURS: f64 = 12.0;
/// Minutes of deviations that are kept: those that the farthest lead is learned on, and a day before them.
const KEPT_DAYS: i64 = 6;

/// Learns from actual values in order and tells what may come.
#[derive(Debug, Clone)]
pub(super) struct Regression {
    grid: Grid,
    leads: Leads,
    pub(super) profile: Profile,
    /// Deviations from the profile as of then, by slot modulo its length; NaN where unknown.
    pub(super) deviations: Vec<f64>,
    /// The newest slot known.
    pub(super) last: i64,
    /// Sums by lead, for as many leads as history reaches.
    pub(super) sums: Vec<f64>,
    /// Weights by lead.
    pub(super) weights: Vec<f64>,
    /// The lead whose turn it is to be solved.
    pub(super) turn: usize,
    fade: f64,
}

impl Regression {
    pub(super) fn new(grid: Grid, leads: &Leads) -> Self {
        let per_day = grid.per_day();
        Self {
            grid,
            leads: leads.clone(),
            profile: Profile::default(),
            deviations: Vec::new(),
            last: i64::MIN,
            sums: Vec::new(),
            weights: Vec::new(),
            turn: 0,
            fade: libm::exp2(-1.0 / (HALF_LIFE_DAYS * per_day as f64)),
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.profile.is_known()
    }

    fn place(&self, index: i64) -> usize {
        let kept = KEPT_DAYS * self.grid.per_day();
        index.rem_euclid(kept) as usize
    }

    fn deviation(&self, index: i64) -> f64 {
        if index > self.last || self.last - index >= KEPT_DAYS * self.grid.per_day() {
            return f64::NAN;
        }
        self.deviations[self.place(index)]
    }

    /// Whether the slot's value is known, or too old to matter.
    pub(super) fn knows(&self, index: i64) -> bool {
        self.is_known()
            && index <= self.last
            && (self.last - index >= KEPT_DAYS * self.grid.per_day() || !self.deviation(index).is_nan())
    }

    /// The actual value of a slot. True if it is the newest now.
    pub(super) fn learn(&mut self, index: i64, value: f64) -> bool {
        let of_day = self.grid.of_day(index);
        if !self.is_known() {
            let per_day = self.grid.per_day() as usize;
            self.profile = Profile::with_slots(per_day);
            self.deviations = vec![f64::NAN; per_day * KEPT_DAYS as usize];
            self.last = index - 1;
            self.profile.learn(of_day, value);
            self.last = index;
            let place = self.place(index);
            self.deviations[place] = 0.0;
            return true;
        }
        if self.knows(index) {
            return false;
        }
        let deviation = value - self.profile.at(of_day);
        let newest = index > self.last;
        if newest {
            let kept = self.deviations.len() as i64;
            for missing in (self.last + 1).max(index - kept)..index {
                let place = self.place(missing);
                self.deviations[place] = f64::NAN;
            }
            self.last = index;
            let place = self.place(index);
            self.deviations[place] = deviation;
            self.fit(index, deviation);
        } else {
            let place = self.place(index);
            self.deviations[place] = deviation;
        }
        self.profile.learn(of_day, value);
        newest
    }

    fn fit(&mut self, index: i64, deviation: f64) {
        for knot in 0..self.leads.len() {
            let lead = self.leads.slots(knot);
            let origin = index - lead;
            if self.deviation(origin).is_nan() {
                continue;
            }
            if self.sums.len() == knot * SUMS {
                self.sums.resize((knot + 1) * SUMS, 0.0);
                let prior = self.prior(knot);
                self.weights.extend_from_slice(&prior);
            }
            if self.sums.len() < (knot + 1) * SUMS {
                break;
            }
            let mut features = self.common(origin);
            self.particular(origin, lead, &mut features);
            let sums = &mut self.sums[knot * SUMS..(knot + 1) * SUMS];
            ridge::learn(sums, &features, deviation, 1.0, self.fade);
        }
        let known = self.sums.len() / SUMS;
        for _ in 0..SOLVED_PER_VALUE.min(known) {
            let knot = self.turn % known;
            let sums = &self.sums[knot * SUMS..(knot + 1) * SUMS];
            let strength = PRIOR_DAYS * self.grid.per_day() as f64;
            let solved = ridge::solve(sums, &self.prior(knot), &[strength; FEATURES]);
            self.weights[knot * FEATURES..(knot + 1) * FEATURES].copy_from_slice(&solved);
            self.turn = (knot + 1) % known;
        }
    }

    fn prior(&self, knot: usize) -> [f64; FEATURES] {
        let mut prior = [0.0; FEATURES];
        let hours = self.leads.slots(knot) as f64 / self.grid.per_hour() as f64;
        prior[0] = libm::exp(-hours / PRIOR_FADING_HOURS);
        prior
    }

    /// What does not depend on the lead.
    fn common(&self, origin: i64) -> [f64; FEATURES] {
        let hour = self.grid.per_hour();
        let known = |index: i64| {
            let deviation = self.deviation(index);
            if deviation.is_nan() { 0.0 } else { deviation }
        };
        let mean = |hours: i64| {
            let mut sum = 0.0;
            for h in 0..hours {
                sum += known(origin - h * hour);
            }
            sum / hours as f64
        };
        let now = known(origin);
        let mut features = [0.0; FEATURES];
        features[0] = now;
        features[1] = known(origin - hour);
        features[2] = known(origin - 2 * hour);
        features[3] = known(origin - 3 * hour);
        features[4] = known(origin - 6 * hour);
        features[5] = known(origin - 12 * hour);
        features[6] = known(origin - 24 * hour);
        features[7] = mean(24);
        let angle = self.grid.of_day(origin) as f64 / self.grid.per_day() as f64 * core::f64::consts::TAU;
        features[8] = now * libm::cos(angle);
        features[9] = now * libm::sin(angle);
        features[10] = 1.0;
        features
    }

    /// What does.
    fn particular(&self, origin: i64, lead: i64, features: &mut [f64; FEATURES]) {
        let day = self.grid.per_day();
        let target = origin + lead;
        let before = target - day * ((lead - 1) / day + 1);
        let deviation = self.deviation(before);
        features[11] = if deviation.is_nan() { 0.0 } else { deviation };
        let weekday = (target.div_euclid(day) + 3).rem_euclid(7);
        features[12] = if weekday >= 5 { 1.0 } else { 0.0 };
    }

    /// Values of the slots after the newest known one, nearest first.
    pub(super) fn tell(&self, count: usize, out: &mut Vec<f64>) {
        let known = self.sums.len() / SUMS;
        let mut features = self.common(self.last);
        for lead in (out.len() as i64 + 1)..=count as i64 {
            let usual = self.profile.at(self.grid.of_day(self.last + lead));
            self.particular(self.last, lead, &mut features);
            let Spot { knot, next, share } = self.leads.spot(lead);
            let at = |knot: usize| -> f64 {
                if knot < known {
                    let weights = &self.weights[knot * FEATURES..(knot + 1) * FEATURES];
                    weights.iter().zip(&features).map(|(weight, feature)| weight * feature).sum()
                } else {
                    self.prior(knot)[0] * features[0]
                }
            };
            let deviation = at(knot) * (1.0 - share) + if share > 0.0 { at(next) * share } else { 0.0 };
            let beyond = self.leads.beyond(lead);
            out.push(usual + deviation * beyond);
        }
    }
}
