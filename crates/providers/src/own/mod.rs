//! Own forecasts: what can be said about the future from what was seen so far.

mod carbon;
mod demand;
mod grid;
mod leads;
mod packed;
mod profile;
mod regression;
mod ridge;
mod ring;
mod skill;
mod stored;
mod told;

pub use carbon::{CarbonLearner, Estimate};
pub use demand::DemandLearner;
