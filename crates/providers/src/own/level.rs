//! How things are going: what came, over what was usual.

use core::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

/// Requests as usual that a level is diluted with: few requests say little.
const DILUTION: f64 = 4.0;
/// Most that requests and their usual number may be for a level to be read from what was stored.
const MOST: f64 = 1e30;

/// Requests and their usual number, fading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    #[serde(skip)]
    half_life: f64,
    /// [`DILUTION`] as a rate, requests per second.
    #[serde(skip)]
    dilution: f64,
    #[serde(with = "super::packed::one")]
    requests: f64,
    #[serde(with = "super::packed::one")]
    usual: f64,
    /// Logarithm of the ratio of the two, as of the last report.
    #[serde(skip)]
    ratio: f64,
}

impl Level {
    /// As usual; a report counts half after `half_life` seconds.
    pub(super) fn new(half_life: f64) -> Self {
        let mut level = Self { half_life, dilution: 0.0, requests: 0.0, usual: 0.0, ratio: 0.0 };
        level.set_half_life(half_life);
        level
    }

    pub(super) fn set_half_life(&mut self, half_life: f64) {
        self.half_life = half_life;
        self.dilution = DILUTION * LN_2 / half_life;
        self.settle();
    }

    /// Lets `seconds` pass.
    pub(super) fn fade(&mut self, seconds: f64) {
        let factor = libm::exp2(-seconds / self.half_life);
        self.requests *= factor;
        self.usual *= factor;
    }

    /// Counts requests that came over `length` seconds up to `age` seconds ago.
    pub(super) fn add_requests(&mut self, requests: f64, age: f64, length: f64) {
        self.requests += requests * self.mean_weight(age, length);
    }

    /// Counts what would have been usual then.
    pub(super) fn add_usual(&mut self, usual: f64, age: f64, length: f64) {
        self.usual += usual * self.mean_weight(age, length);
    }

    /// Works out the ratio: after anything was counted.
    pub(super) fn settle(&mut self) {
        self.ratio = libm::log((self.requests + DILUTION) / (self.usual + DILUTION));
    }

    /// `rate` at this level, faded to the power `power`, in [0, 1].
    ///
    /// The dilution is a rate too: so where nothing is usual and something comes, that is expected to stay.
    pub(super) fn applied(&self, rate: f64, power: f64) -> f64 {
        ((rate + self.dilution) * libm::exp(power * self.ratio) - self.dilution).max(0.0)
    }

    /// Mean weight of the `length` seconds that ended `age` seconds ago.
    fn mean_weight(&self, age: f64, length: f64) -> f64 {
        let exponent = LN_2 * length / self.half_life;
        let mean = if exponent > 0.0 { -libm::expm1(-exponent) / exponent } else { 1.0 };
        libm::exp2(-age.max(0.0) / self.half_life) * mean
    }

    /// Whether it can be one: asked of what was stored.
    pub(super) fn is_sound(&self) -> bool {
        (0.0..=MOST).contains(&self.requests) && (0.0..=MOST).contains(&self.usual)
    }
}
