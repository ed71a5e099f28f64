//! How far the provider is to be trusted, by lead.

use super::grid::Grid;
use super::leads::{Leads, Spot};
use super::ridge;

/// Provider minus own, and the last error of the provider's current value.
const FEATURES: usize = 5;
const ERROR_DAYS: i64 = 6;
const SUMS: usize = ridge::len(FEATURES) + 5;
const AGE_SHARE: f64 = 0.15;
const ROBUST: f64 = 2.0;
const RIDGE: usize = ridge::len(FEATURES);
/// After this many days a sample counts half.
const HALF_LIFE_DAYS: f64 = 30.0;
/// Weight of the provider before anything is known about it.
const PRIOR_WEIGHT: f64 = 0.8;
/// Share of the last error of the current value that is added to the next one, before anything is known.
const PRIOR_NOWCAST: f64 = 0.7;
/// Hours in which that share fades by e.
const NOWCAST_FADING_HOURS: f64 = 6.0;
/// How many days of samples the prior counts for.
const PRIOR_DAYS: f64 = 1.0;
/// Bounds of the correction of a provider's scale.
const SCALES: (f64, f64) = (0.25, 4.0);

/// What is made of the provider at one lead: `own + weight (scale x provider - own) + nowcast x error`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trust {
    pub(super) weight: f64,
    pub(super) nowcast: [f64; FEATURES - 1],
    pub(super) scale: f64,
}

impl Trust {
    pub(super) const LEN: usize = 3;

    fn between(self, next: Self, share: f64) -> Self {
        let mix = |low: f64, high: f64| low + (high - low) * share;
        Self {
            weight: mix(self.weight, next.weight),
            nowcast: core::array::from_fn(|i| mix(self.nowcast[i], next.nowcast[i])),
            scale: mix(self.scale, next.scale),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Skill {
    grid: Grid,
    leads: Leads,
    /// By lead: sums of the regression, then of actual and told values.
    pub(super) sums: Vec<f64>,
    /// By lead, one after the other, and by slot modulo the lead: own and provider.
    pub(super) pending: Vec<f64>,
    /// By origin modulo the farthest lead: the error of the current value there.
    pub(super) errors: Vec<f64>,
    trust: Vec<Trust>,
    fade: f64,
}

impl Skill {
    pub(super) fn new(grid: Grid, leads: &Leads) -> Self {
        let fade = libm::exp2(-1.0 / (HALF_LIFE_DAYS * grid.per_day() as f64));
        let mut skill = Self {
            grid,
            leads: leads.clone(),
            sums: vec![0.0; leads.len() * SUMS],
            pending: Vec::new(),
            errors: Vec::new(),
            trust: vec![Trust::default(); leads.len()],
            fade,
        };
        for knot in 0..leads.len() {
            skill.solve(knot);
        }
        skill
    }

    pub(super) fn trust(&self, lead: i64) -> Trust {
        let Spot { knot, next, share } = self.leads.spot(lead);
        self.trust[knot].between(self.trust[next], share)
    }

    fn pending_place(&self, knot: usize, target: i64) -> usize {
        let before: i64 = (0..knot).map(|knot| self.leads.slots(knot)).sum();
        2 * (before + target.rem_euclid(self.leads.slots(knot))) as usize
    }

    /// What own forecast and provider say now, to be compared with what will be.
    pub(super) fn ask(&mut self, origin: i64, own: &[f64], told: impl Fn(i64) -> f64) {
        if self.pending.is_empty() {
            let all: i64 = (0..self.leads.len()).map(|knot| self.leads.slots(knot)).sum();
            self.pending = vec![f64::NAN; 2 * all as usize];
        }
        for knot in 0..self.leads.len() {
            let lead = self.leads.slots(knot);
            let place = self.pending_place(knot, origin + lead);
            self.pending[place] = own[lead as usize - 1];
            self.pending[place + 1] = told(origin + lead);
        }
    }

    pub(super) fn note_error(&mut self, index: i64, error: f64, gap: i64) {
        let len = ERROR_DAYS * self.grid.per_day();
        if self.errors.is_empty() { self.errors = vec![0.0; len as usize]; }
        for missing in index - gap.min(len)..index { self.errors[missing.rem_euclid(len) as usize] = 0.0; }
        self.errors[index.rem_euclid(len) as usize] = error;
    }

    pub(super) fn error_features(&self, origin: i64, lead: i64) -> [f64; FEATURES - 1] {
        if self.errors.is_empty() { return [0.0; FEATURES - 1]; }
        let len = self.errors.len() as i64;
        let at = |i: i64| self.errors[i.rem_euclid(len) as usize];
        let day = self.grid.per_day();
        let hour = self.grid.per_hour();
        let target = origin + lead;
        let before = target - day * ((lead - 1) / day + 1);
        let mean = (0..24).map(|h| at(origin - h * hour)).sum::<f64>() / 24.0;
        [at(origin), at(origin - hour), at(before), mean]
    }

    /// Nothing was asked at these slots, and nothing will be known of them.
    pub(super) fn skip(&mut self, from: i64, to: i64) {
        if self.pending.is_empty() {
            return;
        }
        for knot in 0..self.leads.len() {
            for index in from.max(to - self.leads.slots(knot))..to {
                let place = self.pending_place(knot, index);
                self.pending[place] = f64::NAN;
            }
        }
    }

    /// What was.
    pub(super) fn learn(&mut self, index: i64, actual: f64) {
        if self.pending.is_empty() {
            return;
        }
        for knot in 0..self.leads.len() {
            let place = self.pending_place(knot, index);
            let (own, told) = (self.pending[place], self.pending[place + 1]);
            self.pending[place] = f64::NAN;
            if own.is_nan() || told.is_nan() {
                continue;
            }
            let origin = index - self.leads.slots(knot);
            let errors = self.error_features(origin, index - origin);
            let scale = self.trust[knot].scale;
            let trust = &self.trust[knot];
            let miss = actual - own - trust.weight * (scale * told - own) - errors.iter().zip(&trust.nowcast).map(|(e, n)| e * n).sum::<f64>();
            let usual_miss = self.sums[knot * SUMS + RIDGE + 2] / self.sums[knot * SUMS + RIDGE + 3].max(1e-9);
            let robust = if usual_miss > 0.0 { (ROBUST * usual_miss / (miss.abs() + 1e-9)).min(1.0) } else { 1.0 };
            let age = self.sums[knot * SUMS + RIDGE + 4];
            let half_life = (age * AGE_SHARE).clamp(2.0 * self.grid.per_day() as f64, HALF_LIFE_DAYS * self.grid.per_day() as f64);
            let fade = libm::exp2(-1.0 / half_life);
            let sums = &mut self.sums[knot * SUMS..(knot + 1) * SUMS];
            ridge::learn(&mut sums[..RIDGE], &[scale * told - own, errors[0], errors[1], errors[2], errors[3]], actual - own, robust, fade);
            sums[RIDGE] = fade * sums[RIDGE] + actual;
            sums[RIDGE + 2] = fade * sums[RIDGE + 2] + miss.abs();
            sums[RIDGE + 4] += 1.0;
            sums[RIDGE + 3] = fade * sums[RIDGE + 3] + 1.0;
            sums[RIDGE + 1] = fade * sums[RIDGE + 1] + told;
            self.solve(knot);
        }
    }

    /// Works out what is made of the sums of one lead.
    pub(super) fn solve(&mut self, knot: usize) {
        let sums = &self.sums[knot * SUMS..(knot + 1) * SUMS];
        let hours = self.leads.slots(knot) as f64 / self.grid.per_hour() as f64;
        let nowcast = PRIOR_NOWCAST * libm::exp(-(hours - 1.0).max(0.0) / NOWCAST_FADING_HOURS);
        let strength = PRIOR_DAYS * self.grid.per_day() as f64;
        let prior = [PRIOR_WEIGHT, PRIOR_WEIGHT * nowcast, 0.0, 0.0, 0.0];
        let mut strengths = [strength; FEATURES];
        let mut solved = ridge::solve(&sums[..RIDGE], &prior, &strengths);
        if !(0.0..=1.0).contains(&solved[0]) {
            let mut prior = prior;
            prior[0] = solved[0].clamp(0.0, 1.0);
            strengths[0] = 1e9;
            solved = ridge::solve(&sums[..RIDGE], &prior, &strengths);
        }
        let [weight, nowcast @ ..] = solved;
        let seen = sums[RIDGE + 3];
        let drawn = if seen > 0.0 { strength * sums[RIDGE] / seen } else { 1.0 };
        let scale = ((sums[RIDGE] + drawn) / (sums[RIDGE + 1] + drawn)).clamp(SCALES.0, SCALES.1);
        let scale = if scale.is_finite() { scale } else { 1.0 };
        self.trust[knot] = Trust { weight: weight.clamp(0.0, 1.0), nowcast: nowcast.map(|n: f64| n.clamp(-2.0, 2.0)), scale };
    }
}
