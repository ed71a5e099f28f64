//! A conformance kit: what must hold for a policy, a store or a publisher of your own, tried.
//!
//! | port | try it with | what is needed |
//! |---|---|---|
//! | [`Policy`](policies::Policy) | [`policy`] | how one is made of a seed |
//! | [`Store`](crate::journal::Store) | [`store`] | an empty one, and how one is opened anew |
//! | the same, on a disk that refuses | [`failing_store`] | how to break it, too |
//! | [`Publisher`](crate::Publisher) | [`publisher`] | what it shows, and what it should |
//!
//! Each answers the first [`Violation`] that it finds: the [`Invariant`], the situation with its seed, what was found and
//! what would be right. Nothing of it panics: a panic of what is tried is a violation, too. The same seeds are tried
//! each time, and no clock and no random device is asked: what failed once fails again.
//!
//! ```
//! use engine::testing::{self, Invariant};
//! use policies::{Decision, Policy, Situation};
//!
//! /// Half for the best flavour, half for the next: a policy of somebody who has two flavours.
//! struct Halves;
//!
//! impl Policy for Halves {
//!     fn name(&self) -> &str {
//!         "halves"
//!     }
//!
//!     fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
//!         decision.begin(situation.menu);
//!         decision.shares[0] = 0.5;
//!         if let Some(second) = decision.shares.get_mut(1) {
//!             *second = 0.5;
//!         }
//!         // `decision.finish(situation.menu)` is missing: with one flavour a half of the traffic is lost.
//!     }
//! }
//!
//! let violation = testing::policy(|_seed| Box::new(Halves)).unwrap_err();
//! assert_eq!(violation.invariant, Invariant::SharesSumToOne);
//! ```
//!
//! It stands behind the feature `testing`, off by default: it belongs into the tests of whoever implements a port, as
//! `engine = { .., features = ["testing"] }` among the `dev-dependencies`, and into no program that is shipped.

mod attempt;
mod dice;
mod history;
mod invariant;
mod policy;
mod publisher;
mod recorder;
mod situations;
mod store;
mod violation;

pub use invariant::Invariant;
pub use policy::policy;
pub use publisher::publisher;
pub use recorder::{Recorder, Seen};
pub use store::{failing_store, store};
pub use violation::Violation;
