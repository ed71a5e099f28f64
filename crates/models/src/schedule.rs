//! The published schedule: one value, every reader's shape.
//!
//! The seed's readers look at `strategies` and `flavourRules`, the newest ones at `flavours`; all three
//! are written, in one order. `forecast` comes last and ends with its slots, which many schedules share:
//! a [`Document`] holds them once.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use jiff::Timestamp;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};

use crate::forecast::{Gap, Index};
use crate::savings::SavingsReport;
#[cfg(feature = "schema")]
use crate::schema::{Instant, PerMille, Percent};
use crate::signal::{Accounting, Signal};
use crate::units::Precision;

/// One flavour in a published schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct FlavourShare {
    /// Its name.
    pub name: Arc<str>,
    /// How good its answers are.
    pub precision: Precision,
    /// Share of traffic in whole percent; all enabled ones sum to 100.
    pub weight: u8,
    /// Share of traffic per mille; all enabled ones sum to 1000.
    pub per_mille: u16,
    /// Exact share of traffic, in [0, 1].
    pub share: f64,
    /// Relative energy per request, where known.
    pub carbon_intensity: Option<f64>,
    /// Whether it may receive traffic.
    pub enabled: bool,
    /// What feedback measured of it, where it did.
    pub measured: Option<Measure>,
}

/// What feedback measured of one flavour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// Mean precision, where any was reported.
    pub precision: Option<Precision>,
    /// Mean energy, Wh per request, where any was reported.
    pub energy_wh: Option<f64>,
    /// Requests that came with one of the two.
    pub requests: u64,
}

/// The credit ledger after this evaluation's posting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Credits {
    /// Balance, in [min, max].
    pub balance: f64,
    /// Mean change per evaluation over the credit window.
    pub velocity: f64,
    /// Target error in force.
    pub target: f64,
    /// Lower bound.
    pub min: f64,
    /// Upper bound.
    pub max: f64,
    /// Share of the credit the policy was willing to spend, where it has such a notion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowance: Option<f64>,
}

/// How far processing is throttled, and what that leaves of the components.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Processing {
    /// In [throttleMin, 1]; 1 is unthrottled.
    pub throttle: f64,
    /// Where the balance stands between its bounds, in [0, 1].
    pub credits_ratio: f64,
    /// Where the intensity stands between ceiling (0) and floor (1).
    pub intensity_ratio: f64,
    /// Most replicas per component, as throttled.
    #[serde(serialize_with = "pairs")]
    #[cfg_attr(feature = "schema", schemars(with = "alloc::collections::BTreeMap<String, u32>"))]
    pub ceilings: Vec<(Arc<str>, u32)>,
}

/// What the forecast said when this schedule was made.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForecastReport {
    /// Intensity of the slot the schedule was made for, gCO2eq/kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<f64>,
    /// Intensity of the slot after it, gCO2eq/kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<f64>,
    /// Band of `now`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// Which provider it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
    /// The provider that was preferred and gave none, where `source` stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stand_in_for: Option<Arc<str>>,
    /// The grid zone it is about, in the provider's words, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Arc<str>>,
    /// What it is of: average or marginal intensity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Which emissions are counted in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounting: Option<Accounting>,
    /// When the provider made it, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Instant>"))]
    pub issued_at: Option<Timestamp>,
    /// When it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Instant>"))]
    pub retrieved_at: Option<Timestamp>,
    /// Seconds from then to this evaluation, at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Seconds that at least half of its slots last, where any length is that common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_seconds: Option<f64>,
    /// Stretches between its slots that it says nothing of, in order of time; of many the first.
    #[serde(skip_serializing_if = "is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::forecast::MAX_SHOWN_GAPS)))]
    pub gaps: Arc<[Gap]>,
    /// How many of its slots nobody forecast: they are drawn from one neighbour to the other.
    #[serde(skip_serializing_if = "is_zero")]
    pub filled_slots: usize,
    /// Whether it no longer covers the present: `now` is unknown and throttling uses the last known.
    #[serde(skip_serializing_if = "is_not")]
    pub stale: bool,
    /// Which forecast a plan used for what, in order of time; empty without a plan.
    #[serde(skip_serializing_if = "is_empty")]
    pub used_for: Arc<[UsedFor]>,
}

/// A stretch of a plan's horizon and the forecast that served it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsedFor {
    /// Its first instant.
    #[cfg_attr(feature = "schema", schemars(with = "Instant"))]
    pub from: Timestamp,
    /// First instant after it.
    #[cfg_attr(feature = "schema", schemars(with = "Instant"))]
    pub to: Timestamp,
    /// The provider's name, `own`, or `blend` of both.
    pub source: Arc<str>,
}

/// The error budget when this schedule was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BudgetReport {
    /// What it counts: `requests`, or `time` as long as nobody reports what was served.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["requests", "time"])))]
    pub accounting: &'static str,
    /// Its window, seconds.
    pub window_seconds: f64,
    /// Most credit it banks, requests x error (seconds x error under `time`).
    pub capacity: f64,
    /// Its balance, in the same unit; below 0 it is owed.
    pub balance: f64,
    /// Requests reported as served since the start.
    pub served_requests: u64,
    /// Their errors, added up.
    pub served_error: f64,
    /// Their mean error over several spans.
    pub mean_error: MeanErrors,
}

/// Mean error of served requests, in [0, 1]; what is not known yet is left out.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MeanErrors {
    /// Since the start.
    #[serde(rename = "sinceStart", skip_serializing_if = "Option::is_none")]
    pub since_start: Option<f64>,
    /// Over the last hour.
    #[serde(rename = "1h", skip_serializing_if = "Option::is_none")]
    pub hour: Option<f64>,
    /// Over the last day.
    #[serde(rename = "24h", skip_serializing_if = "Option::is_none")]
    pub day: Option<f64>,
    /// Over the last week.
    #[serde(rename = "7d", skip_serializing_if = "Option::is_none")]
    pub week: Option<f64>,
}

/// The plan a schedule is the first step of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// How far it reaches, seconds.
    pub horizon_seconds: f64,
    /// Slots it has.
    pub slots: usize,
    /// Mean error it wants for the current slot, in [0, 1].
    pub planned_error: f64,
    /// Shadow price of credit per request x error; left out in debt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_price: Option<f64>,
    /// What the price is in: `g`, or `relative g` where not every flavour says `energyWh`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["g", "relative g"])))]
    pub price_unit: &'static str,
}

/// A manual override in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManualReport {
    /// First instant at which the policy rules again.
    #[cfg_attr(feature = "schema", schemars(with = "Instant"))]
    pub until: Timestamp,
    /// Why, in the words of whoever set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
}

/// A complete decision, as published.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Every flavour, enabled or not, in the order of the configuration.
    pub flavours: Vec<FlavourShare>,
    /// First instant at which readers should have a newer one; whole seconds.
    pub valid_until: Timestamp,
    /// The credit ledger.
    pub credits: Credits,
    /// Name of the policy that decided.
    pub policy: Arc<str>,
    /// Numbers behind the decision; finite.
    pub diagnostics: Vec<(Cow<'static, str>, f64)>,
    /// Mean precision of the published whole-percent weights.
    pub avg_precision: f64,
    /// Throttle and replica ceilings.
    pub processing: Processing,
    /// The error budget.
    pub budget: Option<BudgetReport>,
    /// What was emitted and avoided so far, once anybody reported what was served.
    pub savings: Option<SavingsReport>,
    /// The plan behind it, under a policy that plans.
    pub plan: Option<PlanReport>,
    /// What the forecast said.
    pub forecast: ForecastReport,
    /// Why, in a sentence.
    pub reason: String,
    /// What a user should know.
    pub warnings: Vec<Arc<str>>,
    /// The override in force, if there is one.
    pub manual: Option<ManualReport>,
    /// When it was decided.
    pub evaluated_at: Timestamp,
    /// Counts configurations: a changed PUT adds one.
    pub generation: u64,
}

/// How a schedule ends that was written without its slots.
const NO_SLOTS: &[u8] = b"[]}}";
/// What closes the schedule after its slots.
const TAIL: &[u8] = b"}}";

impl Schedule {
    /// The schedule as readers get it, around the shared slots of its forecast
    /// ([`crate::Forecast::published_slots`]).
    pub fn document(&self, slots: Bytes) -> Document {
        // Writing finite numbers, strings and maps with string keys into memory cannot fail.
        let mut head = serde_json::to_vec(self).unwrap_or_default();
        debug_assert!(head.ends_with(NO_SLOTS), "the slots come last");
        head.truncate(head.len().saturating_sub(NO_SLOTS.len()));
        // Documents are kept by the hundred thousand: without what the text was given to grow.
        Document { head: head.into_boxed_slice().into(), slots }
    }
}

/// A serialised schedule. The slots of its forecast are shared with every schedule of the same carbon
/// target, so that ten thousand schedules do not hold ten thousand copies of 48 hours. By default it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    head: Bytes,
    slots: Bytes,
}

impl Default for Document {
    fn default() -> Self {
        Self { head: Bytes::from_static(br#"{"forecast":{"schedule":"#), slots: Bytes::from_static(b"[]") }
    }
}

impl Document {
    /// The document in the pieces it is stored in; together they are the JSON.
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.head, &self.slots, TAIL]
    }

    /// The same pieces to be kept: none of them is copied for it.
    pub fn pieces(&self) -> [Bytes; 3] {
        [self.head.clone(), self.slots.clone(), Bytes::from_static(TAIL)]
    }

    /// Length in bytes.
    pub fn size(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }

    /// The JSON in one piece.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By name and all of them, so that no field is decided and then not written.
        let Self {
            flavours: _, // in five shapes, each made of all of it
            valid_until,
            credits,
            policy,
            diagnostics,
            avg_precision,
            processing,
            budget,
            savings,
            plan,
            forecast,
            reason,
            warnings,
            manual,
            evaluated_at,
            generation,
        } = self;
        Wire {
            flavour_weights: Weights(self, |share| u16::from(share.weight)),
            weights_per_mille: Weights(self, |share| share.per_mille),
            flavour_rules: Each(self, |share| share.enabled.then(|| Rule::of(share))),
            strategies: Each(self, |share| Some(Strategy::of(share))),
            flavours: Each(self, |share| Some(Share::of(share))),
            valid_until: *valid_until,
            credits,
            policy: PolicyName { name: policy },
            diagnostics: Pairs(diagnostics),
            avg_precision: *avg_precision,
            processing,
            budget: budget.as_ref(),
            savings: savings.as_ref(),
            plan: plan.as_ref(),
            reason,
            warnings,
            manual: manual.as_ref(),
            evaluated_at: *evaluated_at,
            generation: *generation,
            forecast: Told { report: forecast, schedule: [] },
        }
        .serialize(serializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Schedule {
    fn schema_name() -> Cow<'static, str> {
        Wire::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Wire::json_schema(generator)
    }
}

/// A complete decision, as published. What is not known is left out, never `null`.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Schedule"))]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    /// Percent of traffic by flavour: every enabled one, also those of weight 0; the sum is 100.
    #[cfg_attr(feature = "schema", schemars(with = "alloc::collections::BTreeMap<String, Percent>"))]
    flavour_weights: Weights<'a>,
    /// The same in 1/1000; the sum is 1000.
    #[cfg_attr(feature = "schema", schemars(with = "alloc::collections::BTreeMap<String, PerMille>"))]
    weights_per_mille: Weights<'a>,
    /// The enabled flavours, in the order of the configuration.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Rule<'a>>"))]
    flavour_rules: Each<'a, Rule<'a>>,
    /// Every flavour, enabled or not, in the order of the configuration: the older word for `flavours`.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Strategy<'a>>"))]
    strategies: Each<'a, Strategy<'a>>,
    /// Every flavour, enabled or not, in the order of the configuration, with what feedback measured of it.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Share<'a>>"))]
    flavours: Each<'a, Share<'a>>,
    /// When a newer schedule is out; whole seconds, UTC.
    #[cfg_attr(feature = "schema", schemars(with = "Instant"))]
    valid_until: Timestamp,
    /// The credit ledger after this evaluation's posting.
    credits: &'a Credits,
    /// The policy that decided.
    policy: PolicyName<'a>,
    /// Numbers behind the decision; which ones depends on the policy.
    #[cfg_attr(feature = "schema", schemars(with = "alloc::collections::BTreeMap<String, f64>"))]
    diagnostics: Pairs<'a, Cow<'static, str>, f64>,
    /// Mean precision of the published whole-percent weights.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    avg_precision: f64,
    /// Throttle and replica ceilings.
    processing: &'a Processing,
    /// The error budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<&'a BudgetReport>,
    /// What was emitted and avoided so far, once anybody reported what was served.
    #[serde(skip_serializing_if = "Option::is_none")]
    savings: Option<&'a SavingsReport>,
    /// The plan behind it, under a policy that plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a PlanReport>,
    /// Why, in a sentence.
    reason: &'a str,
    /// What a user should know.
    warnings: &'a [Arc<str>],
    /// The override in force, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    manual: Option<&'a ManualReport>,
    /// When it was decided.
    #[cfg_attr(feature = "schema", schemars(with = "Instant"))]
    evaluated_at: Timestamp,
    /// Counts configurations of this schedule: a changed PUT adds one.
    generation: u64,
    // Last, as it ends with the slots.
    /// What the forecast said when this schedule was made.
    forecast: Told<'a>,
}

/// What the forecast said when a schedule was made.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "ForecastReport"))]
struct Told<'a> {
    #[serde(flatten)]
    report: &'a ForecastReport,
    // Last, and empty: a document puts the shared slots here.
    /// The provider's slots from this one on.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::Slot>", length(max = crate::forecast::MAX_PUBLISHED_SLOTS)))]
    schedule: [(); 0],
}

/// A policy by name.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct PolicyName<'a> {
    /// Its name, as it was asked for, also where it stands for another.
    name: &'a str,
}

/// An enabled flavour and its weight.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "FlavourRule"))]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    /// Its name.
    flavour_name: &'a str,
    /// How good its answers are, in whole percent.
    #[cfg_attr(feature = "schema", schemars(with = "Percent"))]
    precision: u8,
    /// Percent of traffic.
    #[cfg_attr(feature = "schema", schemars(with = "Percent"))]
    weight: u8,
}

impl<'a> Rule<'a> {
    fn of(share: &'a FlavourShare) -> Self {
        Self { flavour_name: &share.name, precision: share.precision.percent(), weight: share.weight }
    }
}

/// A flavour and its weight.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Strategy<'a> {
    /// Its name.
    name: &'a str,
    /// How good its answers are, in whole percent.
    #[cfg_attr(feature = "schema", schemars(with = "Percent"))]
    precision: u8,
    /// Percent of traffic; 0 where it is disabled.
    #[cfg_attr(feature = "schema", schemars(with = "Percent"))]
    weight: u8,
    /// Relative energy per request; 0 where nobody said.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    carbon_intensity: f64,
    /// Whether it may receive traffic.
    enabled: bool,
}

impl<'a> Strategy<'a> {
    fn of(share: &'a FlavourShare) -> Self {
        Self {
            name: &share.name,
            precision: share.precision.percent(),
            weight: share.weight,
            // As the origin writes it where nobody said.
            carbon_intensity: share.carbon_intensity.unwrap_or(0.0),
            enabled: share.enabled,
        }
    }
}

/// A flavour, its weight, and what feedback measured of it. The seed's readers never asked for that.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "FlavourShare"))]
#[serde(rename_all = "camelCase")]
struct Share<'a> {
    #[serde(flatten)]
    strategy: Strategy<'a>,
    /// Mean precision measured, a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured_precision: Option<Precision>,
    /// Mean energy measured, Wh per request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    measured_energy_wh: Option<f64>,
    /// Requests that came with one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured_requests: Option<u64>,
}

impl<'a> Share<'a> {
    fn of(share: &'a FlavourShare) -> Self {
        Self {
            strategy: Strategy::of(share),
            measured_precision: share.measured.and_then(|measured| measured.precision),
            measured_energy_wh: share.measured.and_then(|measured| measured.energy_wh),
            measured_requests: share.measured.map(|measured| measured.requests),
        }
    }
}

/// A list of what is said of each flavour of which anything is.
struct Each<'a, T>(&'a Schedule, fn(&'a FlavourShare) -> Option<T>);

impl<T: Serialize> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for item in self.0.flavours.iter().filter_map(self.1) {
            list.serialize_element(&item)?;
        }
        list.end()
    }
}

struct Weights<'a>(&'a Schedule, fn(&FlavourShare) -> u16);

impl Serialize for Weights<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for share in self.0.flavours.iter().filter(|share| share.enabled) {
            map.serialize_entry(&share.name, &self.1(share))?;
        }
        map.end()
    }
}

struct Pairs<'a, K, V>(&'a [(K, V)]);

impl<K: Serialize, V: Serialize> Serialize for Pairs<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

fn pairs<K: Serialize, V: Serialize, S: Serializer>(
    pairs: &[(K, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Pairs(pairs).serialize(serializer)
}

fn is_empty<T>(list: &[T]) -> bool {
    list.is_empty()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_not(flag: &bool) -> bool {
    !flag
}
