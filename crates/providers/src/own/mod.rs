//! Own forecasts: what may come, judged by what was.
//!
//! Two learners, both told the time, neither with a clock: [`CarbonLearner`], one per carbon target, and
//! [`DemandLearner`], one per schedule. Same observations in the same order, same forecasts, to the bit;
//! nothing that was not observed yet is ever used.
//!
//! # Carbon
//!
//! The *own forecast* is what is usual at that time of day (a mean that forgets in some ten days), plus
//! what is left of the present deviation from it: one ridge regression for each of 23 leads from one slot
//! to four days, on the deviations of the last 24 h, their mean, the newest one by time of day, the one at
//! the same time a day before the target, and weekends. All of them are sums that a new value is added to
//! and that are solved by Cholesky; leads in between are interpolated.
//!
//! The *blend*: at every slot both forecasts are asked what they say at every lead, and compared with what
//! was when that is known. A second regression per lead learns from it how much of the provider's
//! distance from the own forecast to believe (0.8 to begin with), and how much of the last errors of the
//! provider's current value to add to its next ones (0.7 of the newest to begin with, fading with the
//! lead); a provider's scale is corrected first. Its memory has a half-life of 30 days.
//!
//! ```
//! use jiff::SignedDuration;
//! use models::{CarbonIntensity, Slot, Timestamp};
//! use providers::own::CarbonLearner;
//!
//! let hour = SignedDuration::from_hours(1);
//! let mut now: Timestamp = "2026-01-01T00:00:00Z".parse()?;
//! let mut learner = CarbonLearner::default();
//! for at in 0..72 {
//!     let grams = if at % 24 < 12 { 100.0 } else { 300.0 }; // clean mornings
//!     learner.observe_actual(&Slot::new(now, now + hour, CarbonIntensity::new(grams)?));
//!     now += hour;
//! }
//! let mut ahead = Vec::new();
//! learner.blend(None, now, SignedDuration::from_hours(24), &mut ahead);
//! assert_eq!(ahead.len(), 24);
//! assert!((ahead[5].intensity - 100.0).abs() < 1.0);
//! assert!((ahead[20].intensity - 300.0).abs() < 1.0);
//! assert_eq!(ahead[0].provider_weight, 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Demand
//!
//! What is usual at that half-hour of the week, times how things are going now and today:
//!
//! ```
//! use jiff::SignedDuration;
//! use models::Timestamp;
//! use providers::own::DemandLearner;
//!
//! let minute = SignedDuration::from_mins(1);
//! let mut now: Timestamp = "2026-01-01T00:00:00Z".parse()?;
//! let mut learner = DemandLearner::default();
//! assert_eq!(learner.rate(now), None);
//! for _ in 0..600 {
//!     now += minute;
//!     learner.observe(now, 60.0, 120.0);
//! }
//! let hour_from_now = now + minute * 60;
//! assert!((learner.expect(now, hour_from_now, now) - 7_200.0).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How good they are
//!
//! The example `skill` replays recorded grids, forecast vintages and demand, and prints errors by lead.

mod carbon;
mod demand;
mod grid;
mod leads;
mod level;
mod packed;
mod profile;
mod regression;
mod ridge;
mod ring;
mod skill;
mod stored;
mod told;
mod weekly;

pub use carbon::{CarbonLearner, Estimate};
pub use demand::{DemandAhead, DemandLearner};
