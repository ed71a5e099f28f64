//! Noise from a seed: the same bits on every platform.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

/// Streams of one seed: drawing more from one does not disturb another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Carbon = 1,
    Forecasts = 2,
    Demand = 3,
    /// Errors that a noisy forecast has even at once.
    AtOnce = 4,
    /// What each issue of a noisy forecast brings.
    News = 5,
    /// Which posts are lost or repeated late, and in which order they arrive.
    Reports = 6,
}

/// A stream of draws.
#[derive(Debug, Clone)]
pub(crate) struct Noise(Pcg64);

impl Noise {
    pub(crate) fn new(seed: u64, stream: Stream) -> Self {
        Self(Pcg64::new(u128::from(seed), stream as u128))
    }

    /// In [0, 1), every value alike.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, mean 0, standard deviation 1, never beyond 6: twelve uniform draws.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// Normal values of that deviation, each like the one before it.
    pub(crate) fn alike(&mut self, count: usize, deviation: f64, alike: f64) -> Vec<f64> {
        let mut value = deviation * self.normal();
        let next = |_| {
            value = alike * value + (1.0 - alike * alike).sqrt() * deviation * self.normal();
            value
        };
        (0..count).map(next).collect()
    }
}
