//! Carbon-intensity forecasts in, and counts of served requests.
//!
//! One file per upstream format, each an [`Adapter`] that says what to ask and reads what came back; around
//! them a [`Refresher`] that knows which target is due, keeps the last good forecast over failures and
//! retries with backoff. All of it is told the time and asks nobody: the one blocking fetch stands behind
//! the feature `http`, and any other [`Fetch`] will do.
//!
//! ```text
//!   Refresher::take_due(now) ──> Job ──> Adapter: which request ──> Fetch (blocks; a binary's thread)
//!        ^                                Adapter: what came back <──┘
//!        └── Refresher::finish(..) <── outcome        └──> News: a Forecast, actuals; kept over failures
//! ```
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use jiff::SignedDuration;
//! use models::{CarbonTarget, Timestamp};
//! use providers::{Fetch, FetchError, Refresher, Request, UkCarbonIntensity, Wanted};
//!
//! /// Stands in for the network (with the feature `http`, that is `providers::http::Client`).
//! struct Recorded;
//!
//! impl Fetch for Recorded {
//!     fn fetch(&self, request: &Request, _timeout: Duration) -> Result<Vec<u8>, FetchError> {
//!         assert_eq!(request.url, "https://api.carbonintensity.org.uk/intensity/2018-01-20T10:00Z/fw48h");
//!         Ok(br#"{"data": [{"from": "2018-01-20T12:00Z", "to": "2018-01-20T12:30Z",
//!                           "intensity": {"forecast": 266, "actual": null, "index": "moderate"}}]}"#
//!             .to_vec())
//!     }
//! }
//!
//! let now: Timestamp = "2018-01-20T12:10:00Z".parse()?;
//! let national = CarbonTarget::from("national");
//! let wanted = Wanted { ttl: SignedDuration::from_mins(5), timeout: SignedDuration::from_secs(2) };
//!
//! let mut refresher = Refresher::new(vec![Arc::new(UkCarbonIntensity::default())], 7);
//! refresher.want(&BTreeMap::from([(national.clone(), wanted)]), now);
//!
//! let job = refresher.take_due(now).expect("a new target is due at once");
//! let outcome = job.run(&Recorded, || now); // blocks: a binary gives it to a thread
//! let news = refresher.finish(&national, outcome, now).expect("a good answer");
//!
//! assert_eq!(news.forecast.at(now).map(|slot| slot.forecast.get()), Some(266.0));
//! assert_eq!(refresher.next_due(), Some("2018-01-20T12:15:00Z".parse()?));
//! # Ok::<(), jiff::Error>(())
//! ```
//!
//! What this crate does not do: it starts no thread, sets no timer, reads no clock and no environment, and
//! without the feature `http` does no I/O. It decides nothing about schedules; a gap in a forecast stays a
//! gap, for the engine to judge.

mod adapter;
mod agenda;
pub mod archive;
mod carbon_aware_sdk;
pub mod chain;
pub mod circuit;
mod configmap;
pub mod counters;
pub mod demand;
mod echo;
pub mod electricity_maps;
mod emissions;
mod fetch;
mod fixed;
mod half_hour;
#[cfg(feature = "http")]
pub mod http;
pub mod job;
mod legacy;
pub mod limits;
mod login;
mod neso;
pub mod own;
mod points;
mod prometheus;
mod reading;
pub mod refresh;
mod secret;
#[cfg(feature = "http")]
pub mod settings;
pub mod trace;
mod turns;
mod uk;
mod watttime;
mod zone;

pub use adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
pub use archive::Archive;
pub use carbon_aware_sdk::CarbonAwareSdk;
pub use chain::{Chain, Link, LinkStatus};
pub use circuit::{CircuitChange, CircuitState};
pub use configmap::ConfigMap;
pub use counters::CounterQuery;
pub use demand::DemandEstimator;
pub use electricity_maps::ElectricityMaps;
pub use fetch::{Fetch, FetchError};
pub use fixed::Fixed;
pub use job::{Asked, Attempt, AttemptError, HeldBy, Job, RefreshError};
pub use legacy::LegacyForecast;
pub use limits::Limits;
pub use login::{Login, Token};
pub use prometheus::Prometheus;
pub use refresh::{News, Refresher, Status, Wanted};
pub use secret::Secret;
pub use uk::UkCarbonIntensity;
pub use watttime::WattTime;
pub use zone::{BadZone, Zone};
