//! What a schedule saved: emitted, avoided, and what could have been had.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Emissions of what was served, beside what the same requests would have emitted otherwise.
///
/// All of it is in one `unit`: grams where every enabled flavour says `energyWh`, otherwise
/// relative to the best flavour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SavingsReport {
    /// `gCO2eq`, or `relative g`: the intensity of the grid times requests, one at the best flavour being 1.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["gCO2eq", "relative g"])))]
    pub unit: &'static str,
    /// Whether these are no grams; left out where they are.
    #[serde(skip_serializing_if = "is_not")]
    pub relative: bool,
    /// When the first window began that is counted here.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Instant"))]
    pub since: Timestamp,
    /// All of it.
    pub since_start: Emitted,
    /// The last 48 half-hours and the one running.
    #[serde(rename = "24h")]
    pub day: Emitted,
    /// What could have been had within the last day, once that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hindsight: Option<HindsightReport>,
}

/// What requests emitted, and what was avoided.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Emitted {
    /// Requests that are counted in the sums below.
    pub priced_requests: u64,
    /// Requests that are not: the intensity of the grid was not known, or the energy of their flavour is not.
    pub unpriced_requests: u64,
    /// What they emitted.
    pub emitted: f64,
    /// What they would have emitted at the best flavour, less what they did.
    pub avoided_vs_best: f64,
    /// What they would have emitted at the constant mix of the target error, less what they did.
    pub avoided_vs_constant_mix: f64,
}

/// The optimum in hindsight for what was served in the last day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HindsightReport {
    /// First instant after the span.
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Instant"))]
    pub until: Timestamp,
    /// Length of the span, seconds: whole half-hours, an hour to a day.
    pub span_seconds: u32,
    /// What was emitted in the span.
    pub emitted: f64,
    /// The least that could have been.
    pub optimum: f64,
    /// Emitted beyond it.
    pub regret: f64,
    /// Share of what could be gained over the constant mix; left out where that is next to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain_captured: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_not(flag: &bool) -> bool {
    !flag
}
