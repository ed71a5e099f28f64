//! The port: what every policy has to offer.

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

    /// Decides, overwriting all of `decision`; [`Decision::begin`] and [`Decision::finish`] help with that.
    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision);
}
