//! Numbers that look random and are the same on every machine.

use models::hash::mixed;

/// A generator of a seed (SplitMix64): small, and good enough to come upon cases.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(super) fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// In [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.any() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In [`low`, `high`).
    pub(super) fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Below `sides`; 0 where there are none.
    pub(super) fn below(&mut self, sides: u32) -> u32 {
        let rest = self.any().checked_rem(u64::from(sides)).unwrap_or(0);
        u32::try_from(rest).unwrap_or(0)
    }

    /// Once in so many times.
    pub(super) fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }
}
