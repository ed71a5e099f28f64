//! random: shares drawn anew for every decision.

use alloc::vec::Vec;

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

use crate::{Decision, Policy, Reason, Situation};

/// One uniform draw per flavour, normalised. The same seed gives the same decisions on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    generator: Pcg32,
    seed: u64,
    /// Numbers drawn so far.
    drawn: u64,
}

/// Which of the generator's streams is drawn from. Any would do; another one changes every decision.
const STREAM: u64 = 0x0a02_bdbf_7bb3_c0a7;

impl Random {
    /// A policy that draws from the stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { generator: Pcg32::new(seed, STREAM), seed, drawn: 0 }
    }

    /// A number in [0, 1) with 53 random bits.
    fn draw(&mut self) -> f64 {
        self.drawn = self.drawn.wrapping_add(1);
        (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Policy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn memory(&self) -> Vec<u64> {
        [self.seed, self.drawn].into()
    }

    fn recall(&mut self, memory: &[u64]) {
        if let &[seed, drawn] = memory {
            *self = Self { drawn, ..Self::new(seed) };
            // Each number is made of two steps of the generator, whose period is a power of two.
            self.generator.advance(drawn.wrapping_mul(2));
        }
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        decision.shares.iter_mut().for_each(|share| *share = self.draw());
        decision.finish(situation.menu);
        decision.reason = Reason::Drawn(decision.shares.len());
    }
}
