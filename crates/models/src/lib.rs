//! The vocabulary of the carbon-aware decision engine.
//!
//! Units and ranges, flavours, forecasts of carbon intensity, configuration, what was served, and the
//! published [`Schedule`]: everything that more than one room of the project speaks of, and the shapes it
//! has on the wire. Parsing here is total: any bytes give a value or a list of [`Problems`] that names
//! every bad field by JSON pointer, and nothing of a bad document is applied.
//!
//! ```text
//!   bytes ──> Map ──> Overrides::from_json ──> Overrides + warnings, or Problems by JSON pointer
//!                     Feedback::from_json           │
//!                     Manual::from_json             v
//!                                      defaults ──> Config  (every value, and where it came from)
//!
//!   Slot + Slot + ..  ──> Forecast          Schedule ──> Document (JSON, its slots shared)
//! ```
//!
//! ```
//! use models::{Config, Overrides, Setting};
//! use serde_json::json;
//!
//! let body = json!({"targetError": "0.1", "strategies": [{"precision": 1}, {"precision": 85}]});
//! let parsed = Overrides::from_json(body.as_object().unwrap())?;
//! let config = Config::resolve(&Overrides::default(), &parsed.overrides);
//! assert_eq!(config.number(Setting::TargetError), 0.1);
//! assert_eq!(&*config.flavours()[1].name, "precision-85");
//!
//! let wrong = json!({"targetError": 1.5, "creditMax": -1});
//! let problems = Overrides::from_json(wrong.as_object().unwrap()).unwrap_err();
//! assert_eq!(problems.iter().map(|p| p.pointer.as_str()).collect::<Vec<_>>(), ["/creditMax", "/targetError"]);
//! # Ok::<(), models::Problems>(())
//! ```
//!
//! What this crate does not do: it decides nothing, keeps no state, and reads no clock, environment or
//! network. It needs `alloc` but no standard library.

#![no_std]

extern crate alloc;

pub mod body;
pub mod config;
pub mod feedback;
pub mod flavour;
pub mod forecast;
pub mod hash;
pub mod id;
pub mod json;
pub mod manual;
pub mod problem;
pub mod ranges;
pub mod savings;
pub mod schedule;
#[cfg(feature = "schema")]
pub mod schema;
pub mod settings;
pub mod signal;
pub mod units;
pub mod weights;

pub use config::{Component, Config, Overrides, ParsedOverrides, Source};
pub use feedback::Feedback;
pub use flavour::{Flavour, FlavourSet};
pub use forecast::{CarbonTarget, Forecast, Gap, Index, Slot};
pub use id::ScheduleId;
pub use jiff::Timestamp;
pub use manual::Manual;
pub use problem::{FieldProblem, Problems};
pub use savings::SavingsReport;
pub use schedule::{Document, Schedule};
pub use settings::{SETTINGS, Setting};
pub use signal::{Accounting, Signal};
pub use units::{CarbonIntensity, Precision};
