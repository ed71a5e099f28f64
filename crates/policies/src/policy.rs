//! The port: what every policy has to offer.

use alloc::vec::Vec;

use crate::{Decision, Situation};

/// Chooses the share of traffic of each flavour.
///
/// A policy may keep state between decisions, but no clock: it knows the situation it is given, and gives
/// the same decisions for the same situations in the same order.
///
/// ```
/// use policies::{Decision, Policy, Reason, Situation};
///
/// /// The least precise flavour takes everything.
/// struct Cheapest;
///
/// impl Policy for Cheapest {
///     fn name(&self) -> &str {
///         "cheapest"
///     }
///
///     fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
///         decision.begin(situation.menu);
///         if let Some(last) = decision.shares.last_mut() {
///             *last = 1.0;
///         }
///         decision.finish(situation.menu);
///         decision.reason = Reason::Other("the least precise flavour takes everything".into());
///     }
/// }
/// ```
pub trait Policy: Send + Sync {
    /// The policy's own name. What is published is the name it was asked for by, which may be another.
    fn name(&self) -> &str;

    /// Whether it wants [`Situation::horizon`]; making one costs more than most policies do.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// What it remembers between decisions, in words of its own: none, where it remembers nothing. A policy
    /// made anew that is told them ([`Policy::recall`]) decides as this one goes on to.
    fn memory(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Takes up what [`Policy::memory`] of the same policy once said. Words that it cannot have said leave it
    /// as it is.
    fn recall(&mut self, memory: &[u64]) {
        let _ = memory;
    }

    /// Decides, overwriting all of `decision`; [`Decision::begin`] and [`Decision::finish`] help with that.
    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision);
}
