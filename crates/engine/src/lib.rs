//! The decision engine: told the time, the forecasts and what was served, it answers with schedules.
//!
//! An [`Engine`] keeps a session per schedule: configuration, credit ledger, policy, override. Whoever
//! owns it turns the crank with [`Engine::tick`] and tells it what happens; readers on any thread look at
//! its [`Board`], where every value is whole, immutable and already serialised.
//!
//! ```text
//!   configure, feedback, observe_forecast ──┐                    ┌──> Board      readers on any thread
//!                                           v                    ├──> Publisher  whoever is to be told
//!   tick(now) ──────────────────────────> Engine ── Published ───┤
//!                                           │                    └──> routing    a pick for each request
//!                                           └── Record ──────────────> journal   what came in, to replay
//! ```
//!
//! A service that routes its own requests starts with [`routing`]: a handle per schedule that picks a flavour for each
//! request. One that only wants schedules talks to the [`Engine`] itself:
//!
//! ```
//! use std::sync::Arc;
//! use engine::{Engine, EngineOptions};
//! use models::{CarbonIntensity, CarbonTarget, Forecast, Overrides, ScheduleId, Slot, Timestamp};
//! use policies::Registry;
//!
//! let now: Timestamp = "2026-11-23T15:00:00Z".parse()?;
//! let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
//! let id = ScheduleId::new("shop", "search")?;
//! engine.configure(&id, Overrides::default(), now)?;
//!
//! let slot = Slot::new(now, "2026-11-23T15:30:00Z".parse()?, CarbonIntensity::new(250.0)?);
//! let forecast = Forecast::new("example", None, now, vec![slot])?;
//! engine.observe_forecast(&CarbonTarget::from("national"), Arc::new(forecast), now)?;
//!
//! let soon = engine.next_due().unwrap();
//! let tick = engine.tick(soon);
//! assert_eq!(tick.evaluated, 1);
//! let published = engine.published(&id).unwrap();
//! assert_eq!(published.schedule.forecast.now, Some(250.0));
//! assert_eq!(published.schedule.flavours.iter().map(|f| u32::from(f.weight)).sum::<u32>(), 100);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What this crate does not do: it reads no clock, opens no socket, starts no thread and sleeps never.
//! Refreshing forecasts is the provider side's job (`providers`); speaking HTTP is the server's.

mod answers;
mod base;
mod board;
mod cadence;
mod cluster;
mod engine;
mod error;
mod evaluate;
mod forecasts;
mod gaps;
mod halves;
mod horizon;
mod intervals;
pub mod journal;
mod layers;
mod measured;
mod options;
mod prices;
mod reports;
mod retired;
pub mod routing;
mod savings;
mod session;
mod sources;
mod stored;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use answers::{Accepted, FeedbackReport, Holdings, Polled, Tick, WantedForecast};
pub use board::{Board, Emissions, Published, Publisher, Totals, View};
pub use engine::{Engine, MAX_CARBON_TARGETS, MAX_EVALUATIONS_PER_TICK, MAX_NOTES};
pub use error::{ConfigureError, MixedSignals, RequestError, UnknownSchedule};
pub use measured::{BELIEVED_FROM, MEMORY};
pub use options::{AnyTarget, EngineOptions, Spread, TargetCheck};
pub use reports::{POSTS_WIN, Polling};
pub use sources::MAX_SOURCES;
pub use stored::{BadState, EngineState, Part, ScheduleState, StoredOptions, TargetState};
