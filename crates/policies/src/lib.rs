//! Policies: what share of the traffic each flavour gets.
//!
//! A [`Policy`] looks at a [`Situation`] (the enabled flavours as a [`Menu`], the allowed error, the credit
//! banked, the carbon intensity now and next) and writes a [`Decision`]: shares that sum to 1, the mean
//! precision they plan, and the [`Reason`]. The [`Registry`] makes policies by name, and takes those of a
//! service that embeds the engine. [`throttle`] says how much of the processing capacity may run.
//!
//! ```text
//!   flavours ──> Menu ─────────┐
//!   ledger, budget ────────────┤
//!   forecast ──> now, next ────┼──> Situation ──> Policy::decide ──> Decision   shares, Reason, plan
//!            └─> horizon ──────┘      (what a policy that looks ahead plans over)
//! ```
//!
//! ```
//! use ledger::Bounds;
//! use models::FlavourSet;
//! use policies::{Decision, Menu, Registry, Situation};
//!
//! let menu = Menu::new(&FlavourSet::builtin()).unwrap();
//! let situation = Situation {
//!     menu: &menu,
//!     target_error: 0.05,
//!     balance: 0.2,
//!     bounds: Bounds::new(-0.5, 0.5)?,
//!     now: Some(250.0),
//!     next: Some(300.0),
//!     horizon: None,
//! };
//! let mut policy = Registry::builtin().create("credit-greedy", 0)?.policy;
//! let mut decision = Decision::default();
//! policy.decide(&situation, &mut decision);
//!
//! assert_eq!(decision.shares[0], 0.6);
//! assert_eq!(decision.reason.to_string(), "spending 40 % of the credit: 0.2 of 0.5 banked");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! What this crate does not do: it posts no credit (that is `ledger`'s), rounds no weights (that is
//! [`models::weights`]'), keeps no schedules, and reads no clock, environment or random device; randomness
//! is a seed handed in. It needs `alloc` but no standard library.

#![no_std]

extern crate alloc;

mod constant_mix;
mod credit_greedy;
mod decision;
mod forecast_aware;
pub mod hull;
mod menu;
mod p100;
pub mod planner;
mod policy;
mod precision_tier;
mod random;
mod reason;
mod receding_horizon;
mod registry;
mod round_robin;
mod situation;
pub mod throttle;

pub use constant_mix::ConstantMix;
pub use decision::{Decision, PlanReport};
pub use hull::Hull;
pub use menu::{EnergyBasis, Entry, Menu};
pub use p100::P100;
pub use policy::Policy;
pub use reason::{Bound, Credit, PriceUnit, Reason, Trend};
pub use receding_horizon::RecedingHorizon;
pub use registry::{Created, RegisterError, Registry, UnknownPolicy};
pub use situation::{Ahead, Horizon, Situation};
pub use throttle::{Throttle, ThrottleSettings};
