//! How far the provider is to be trusted, by lead.

use super::grid::Grid;
use super::leads::Leads;
use super::ridge;
use super::ring::{Ring, place, place_count};

/// Errors of the provider's current value that are added to what it says: the newest, the one an hour
/// before, the one at the same time a day before, and their mean over a day.
const ERRORS: usize = 4;
/// What the actual value's distance from the own forecast is explained by: the provider's distance from
/// it, and those errors.
const FEATURES: usize = 1 + ERRORS;
const RIDGE: usize = ridge::len(FEATURES);
/// Floats behind one lead: the ridge regression; actual values, what was told, misses, and their count.
const SUMS: usize = RIDGE + 4;
/// After this many days a sample counts half ..
const HALF_LIFE_DAYS: f64 = 30.0;
/// .. and before that, after this share of all that was seen: what the own forecast did as a beginner says
/// little about what it does now.
const HALF_LIFE_SHARE: f64 = 0.4;
/// Shortest half-life, in days.
const SHORTEST_HALF_LIFE_DAYS: f64 = 2.0;
/// Weight of the provider before anything is known about it.
const PRIOR_WEIGHT: f64 = 0.8;
/// Share of the last error of the current value that is added to the next one, before anything is known.
const PRIOR_NOWCAST: f64 = 0.7;
/// Hours in which that share fades by e.
const NOWCAST_FADING_HOURS: f64 = 6.0;
/// How many days of samples a scale of 1 counts for, as the prior.
const PRIOR_DAYS: f64 = 1.0;
/// What the other priors count for, in squares of the usual miss per hour of slots: a coefficient is taken
/// to lie within 0.3 of its prior, and misses of some six hours to be one miss.
const PRIOR_PULL: f64 = 50.0;
/// A miss this many times the usual one counts no more than that: single wild values teach little.
const WILD: f64 = 2.0;
/// Bounds of the correction of a provider's scale.
const SCALES: (f64, f64) = (0.25, 4.0);
/// Bound of what is made of one error.
const ERROR_BOUND: f64 = 2.0;
/// Leads solved anew with each value.
const SOLVED_PER_VALUE: usize = 4;
/// Days of errors kept: those of the farthest lead, and a day before them.
const KEPT_DAYS: i64 = 6;
/// Strength of a prior that is no opinion but a fact.
const FIXED: f64 = 1e9;

/// What is made of the provider at one lead:
/// `own + weight x (scale x provider - own) + errors . features`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Trust {
    /// In [0, 1].
    pub(super) weight: f64,
    /// Ratio of actual values to the provider's.
    pub(super) scale: f64,
    errors: [f64; ERRORS],
}

/// [`Trust`] as it is now, the errors worked in as far as they do not depend on the slot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Voice {
    weight: f64,
    scale: f64,
    offset: f64,
    day_before: f64,
}

impl Voice {
    /// What comes of both, and the weight of the provider in it.
    pub(super) fn said(&self, own: f64, provider: f64, day_before: f64, maturity: f64) -> (f64, f64) {
        let weight = 1.0 - maturity * (1.0 - self.weight);
        let scaled = self.scale * provider;
        (own + weight * (scaled - own) + self.offset + self.day_before * day_before, weight)
    }

    pub(super) fn mix(&self, next: &Self, share: f64) -> Self {
        let mix = |low: f64, high: f64| low + (high - low) * share;
        Self {
            weight: mix(self.weight, next.weight),
            scale: mix(self.scale, next.scale),
            offset: mix(self.offset, next.offset),
            day_before: mix(self.day_before, next.day_before),
        }
    }
}

/// Asks both forecasts at every slot what they say at every lead, and compares it with what was.
#[derive(Debug, Clone)]
pub(super) struct Skill {
    grid: Grid,
    leads: Leads,
    /// One lead after the other.
    pub(super) sums: Vec<f64>,
    /// One lead after the other, and by slot modulo the lead: what own forecast and provider said.
    pub(super) pending: Vec<f64>,
    /// Errors of the provider's current value, and their means over a day.
    pub(super) errors: Ring,
    pub(super) means: Ring,
    /// Slots at which there was anything to learn.
    pub(super) seen: f64,
    /// The lead whose turn it is to be solved.
    pub(super) turn: usize,
    trust: Vec<Trust>,
}

impl Skill {
    /// Nothing known.
    pub(super) fn new(grid: Grid, leads: &Leads) -> Self {
        let mut skill = Self {
            grid,
            leads: leads.clone(),
            sums: vec![0.0; leads.len() * SUMS],
            pending: Vec::new(),
            errors: Ring::default(),
            means: Ring::default(),
            seen: 0.0,
            turn: 0,
            trust: vec![Trust::default(); leads.len()],
        };
        for knot in 0..leads.len() {
            skill.solve(knot);
        }
        skill
    }

    /// The same with the errors as of `origin`.
    pub(super) fn voices(&self, origin: i64) -> impl Iterator<Item = Voice> {
        let [newest, hour, _, mean] = self.features(origin, 1);
        self.trust.iter().map(move |trust| Voice {
            weight: trust.weight,
            scale: trust.scale,
            offset: trust.errors[0] * newest + trust.errors[1] * hour + trust.errors[3] * mean,
            day_before: trust.errors[2],
        })
    }

    /// Errors of the provider's current value over the day up to `origin`, oldest first: what
    /// [`Voice::said`] wants at leads 1, 2, .. and over again.
    pub(super) fn last_day_into(&self, origin: i64, out: &mut Vec<f64>) {
        self.errors.last_into(origin, self.grid.per_day(), out);
    }

    fn day_before(&self, origin: i64, lead: i64) -> f64 {
        let day = self.grid.per_day();
        self.errors.or_zero(origin + lead - day * ((lead - 1) / day + 1))
    }

    fn features(&self, origin: i64, lead: i64) -> [f64; ERRORS] {
        [
            self.errors.or_zero(origin),
            self.errors.or_zero(origin - self.grid.per_hour()),
            self.day_before(origin, lead),
            self.means.or_zero(origin),
        ]
    }

    fn pending_place(&self, knot: usize, before: i64, target: i64) -> usize {
        2 * (place_count(before) + place(target, place_count(self.leads.slots(knot))))
    }

    /// Notes what own forecast (lead by lead) and provider say at `origin`.
    pub(super) fn ask(&mut self, origin: i64, own: impl Iterator<Item = f64>, told: impl Fn(i64) -> f64) {
        if self.pending.is_empty() {
            self.pending = vec![f64::NAN; 2 * place_count(self.leads.total())];
        }
        let mut before = 0;
        for (knot, own) in own.enumerate() {
            let lead = self.leads.slots(knot);
            let place = self.pending_place(knot, before, origin + lead);
            self.pending[place] = own;
            self.pending[place + 1] = told(origin + lead);
            before += lead;
        }
    }

    /// Forgets what was said about `[from, to)`, of which nothing will be known.
    pub(super) fn skip(&mut self, from: i64, to: i64) {
        if self.pending.is_empty() {
            return;
        }
        let mut before = 0;
        for knot in 0..self.leads.len() {
            let lead = self.leads.slots(knot);
            for index in from.max(to - lead)..to {
                let place = self.pending_place(knot, before, index);
                self.pending[place] = f64::NAN;
            }
            before += lead;
        }
    }

    /// Compares what was said with what was.
    pub(super) fn learn(&mut self, index: i64, actual: f64) {
        if self.pending.is_empty() {
            return;
        }
        let day = self.grid.per_day() as f64;
        let half_life = (HALF_LIFE_SHARE * self.seen).min(HALF_LIFE_DAYS * day);
        let fade = libm::exp2(-1.0 / half_life.max(SHORTEST_HALF_LIFE_DAYS * day));
        let mut before = 0;
        let mut learned = false;
        for knot in 0..self.leads.len() {
            let lead = self.leads.slots(knot);
            let place = self.pending_place(knot, before, index);
            before += lead;
            let (own, told) = (self.pending[place], self.pending[place + 1]);
            self.pending[place] = f64::NAN;
            if own.is_nan() || told.is_nan() {
                continue;
            }
            learned = true;
            let [newest, hour, day_before, mean] = self.features(index - lead, lead);
            let trust = &self.trust[knot];
            let features = [trust.scale * told - own, newest, hour, day_before, mean];
            let target = actual - own;
            let explained = trust.errors.iter().zip(&features[1..]).map(|(share, error)| share * error);
            let miss = (target - trust.weight * features[0] - explained.sum::<f64>()).abs();
            let sums = &mut self.sums[knot * SUMS..(knot + 1) * SUMS];
            let (regression, [actuals, tolds, misses, count]) = sums.split_at_mut(RIDGE) else { continue };
            let bearable = WILD * *misses / count.max(1.0);
            let weight = if *count > 0.0 && miss > bearable { bearable / miss } else { 1.0 };
            ridge::learn(regression, &features, target, weight, fade);
            for (sum, new) in [(actuals, actual), (tolds, told), (misses, miss), (count, 1.0)] {
                *sum = fade * *sum + new;
            }
        }
        if learned {
            self.seen += 1.0;
        }
        for _ in 0..SOLVED_PER_VALUE {
            self.solve(self.turn);
            self.turn = (self.turn + 1) % self.leads.len();
        }
    }

    /// Notes by how much the provider's last word about a slot missed; NaN where there was none.
    pub(super) fn note(&mut self, index: i64, actual: f64, told: f64) {
        let kept = KEPT_DAYS * self.grid.per_day();
        self.errors.set(kept, index, actual - self.trust[0].scale * told);
        let hour = self.grid.per_hour();
        let mean = (0..24).map(|age| self.errors.or_zero(index - age * hour)).sum::<f64>() / 24.0;
        self.means.set(kept, index, mean);
    }

    /// Goes to another time with what was learned, but without what is open.
    pub(super) fn move_to(&mut self, index: i64) {
        let kept = KEPT_DAYS * self.grid.per_day();
        self.pending.clear();
        self.errors.clear(kept, index);
        self.means.clear(kept, index);
    }

    /// What was worked out, as floats.
    pub(super) fn packed_trust(&self) -> Vec<f64> {
        let packed =
            self.trust.iter().flat_map(|trust| [trust.weight, trust.scale].into_iter().chain(trust.errors));
        packed.collect()
    }

    /// Takes it back. False if it is none.
    pub(super) fn unpack_trust(&mut self, packed: &[f64]) -> bool {
        let (chunks, rest) = packed.as_chunks::<{ 2 + ERRORS }>();
        for (trust, &[weight, scale, ref errors @ ..]) in self.trust.iter_mut().zip(chunks) {
            *trust = Trust { weight, scale, errors: *errors };
        }
        let sound = |trust: &Trust| {
            let errors = trust.errors.iter().all(|share| share.abs() <= ERROR_BOUND);
            errors && (0.0..=1.0).contains(&trust.weight) && (SCALES.0..=SCALES.1).contains(&trust.scale)
        };
        rest.is_empty() && chunks.len() == self.trust.len() && self.trust.iter().all(sound)
    }

    /// Whether everything has the length it should have: asked of what was stored.
    pub(super) fn is_whole(&self) -> bool {
        let kept = KEPT_DAYS * self.grid.per_day();
        let pending = self.pending.len();
        self.sums.len() == self.leads.len() * SUMS
            && (pending == 0 || pending == 2 * place_count(self.leads.total()))
            && self.errors.is_whole(kept)
            && self.means.is_whole(kept)
            && self.turn < self.leads.len()
            && !self.pending.iter().any(|value| value.is_infinite())
    }

    /// Works out what is made of the sums of one lead.
    fn solve(&mut self, knot: usize) {
        let sums = &self.sums[knot * SUMS..(knot + 1) * SUMS];
        let (regression, rest) = sums.split_at(RIDGE);
        let hours = self.leads.slots(knot) as f64 / self.grid.per_hour() as f64;
        let nowcast = PRIOR_NOWCAST * libm::exp(-(hours - 1.0).max(0.0) / NOWCAST_FADING_HOURS);
        let mut prior = [PRIOR_WEIGHT, PRIOR_WEIGHT * nowcast, 0.0, 0.0, 0.0];
        let days = PRIOR_DAYS * self.grid.per_day() as f64;
        let miss = if rest[3] > 0.0 { rest[2] / rest[3] } else { 0.0 };
        let mut pull = [PRIOR_PULL * self.grid.per_hour() as f64 * miss * miss + 1e-9; FEATURES];
        let mut solved = ridge::solve(regression, &prior, &pull);
        if !(0.0..=1.0).contains(&solved[0]) {
            // The errors stand in for what a weight beyond its bounds would have done.
            prior[0] = solved[0].clamp(0.0, 1.0);
            pull[0] = FIXED * ridge::mean_squares::<FEATURES>(regression)[0];
            solved = ridge::solve(regression, &prior, &pull);
        }
        let (actuals, tolds, count) = (rest[0], rest[1], rest[3]);
        let drawn = if count > 0.0 { days * actuals / count } else { 0.0 };
        let scale = (actuals + drawn) / (tolds + drawn);
        let scale = if scale.is_finite() { scale.clamp(SCALES.0, SCALES.1) } else { 1.0 };
        let [weight, errors @ ..] = solved;
        let errors = errors.map(|share| share.clamp(-ERROR_BOUND, ERROR_BOUND));
        self.trust[knot] = Trust { weight: weight.clamp(0.0, 1.0), scale, errors };
    }
}
