//! The engine inside a service: every request asks, in process, which flavour is to serve it.
//!
//! ```text
//!   requests                                        whoever turns the crank
//!   ────────                                        ───────────────────────
//!   Handle::pick ──> Pick ──> Pick::record          Driver::tick(now)
//!        │                        │                     │  books what was recorded    ──> Engine::feedback
//!        │  weights  ┌────────────v───────────┐ counts  │  evaluates what is due      ──> Engine::tick
//!        └───────────┤ lanes, one a thread    ├────────>│  publishes weights, credit
//!                    └────────────────────────┘<────────┘
//! ```
//!
//! A [`Driver`] owns an [`Engine`](crate::Engine) and hands out a [`Handle`] for each schedule. Handles are for any thread
//! and any runtime; [`Handle::pick`] and [`Pick::record`] together cost six tenths of what the check of a rate limiter does, with three
//! flavours in traffic, and a third more than that check with ten.
//! Turn the driver yourself, or let a thread (`ThreadDriver`, feature `thread`) or a tokio task (`TaskDriver`, feature
//! `tokio`) do it.
//!
//! ```
//! use engine::routing::Driver;
//! use engine::{Engine, EngineOptions};
//! use models::{Overrides, ScheduleId, Timestamp};
//! use policies::Registry;
//!
//! let now: Timestamp = "2026-11-23T15:00:00Z".parse()?;
//! let mut driver = Driver::new(Engine::new(EngineOptions::default(), Registry::builtin()));
//! let id = ScheduleId::new("shop", "search")?;
//! let handle = driver.handle(&id, now);
//! assert!(handle.pick().is_none(), "there is no schedule yet");
//! driver.update(now, |engine, now| engine.configure(&id, Overrides::default(), now))?;
//!
//! // For each request, on any thread:
//! let pick = handle.pick().expect("it is configured");
//! assert_eq!(pick.flavour(), "precision-100");
//! pick.record();
//!
//! // Whenever `next_due` says; what was recorded shows in the schedule that is evaluated next:
//! while handle.schedule().is_some_and(|published| published.totals.requests == 0) {
//!     let now = driver.next_due().expect("it is evaluated again");
//!     driver.tick(now);
//! }
//! assert_eq!(handle.schedule().unwrap().totals.requests, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What this module does not do: it serves nothing, queues nothing, and knows no clock. A pick is a suggestion; what
//! counts is what is recorded.

mod claims;
mod driver;
mod handle;
mod lanes;
mod shares;
mod sync;
#[cfg(feature = "tokio")]
mod task;
#[cfg(test)]
mod tests;
#[cfg(feature = "thread")]
mod thread;
mod threads;
#[cfg(any(feature = "thread", feature = "tokio"))]
mod turning;

pub use driver::Driver;
pub use handle::{Handle, Key, OwnedPick, Pick, UnknownFlavour};
pub use lanes::MAX_NAMES;
#[cfg(feature = "tokio")]
pub use task::TaskDriver;
#[cfg(feature = "thread")]
pub use thread::ThreadDriver;
#[cfg(any(feature = "thread", feature = "tokio"))]
pub use turning::Turned;
