//! The published schedule: one value, every reader's shape.
//!
//! The seed's readers look at `strategies` and `flavourRules`, the newest ones at `flavours`; all three
//! are written, in one order. `forecast` comes last and ends with its slots, which many schedules share:
//! a [`Document`] holds them once.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use jiff::Timestamp;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};

use crate::forecast::{Gap, Index};
use crate::savings::SavingsReport;
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
    pub ceilings: Vec<(Arc<str>, u32)>,
}

/// What the forecast said when this schedule was made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForecastReport {
    /// Intensity of the slot the schedule was made for, gCO2eq/kWh.
    pub now: Option<f64>,
    /// Intensity of the slot after it, gCO2eq/kWh.
    pub next: Option<f64>,
    /// Band of `now`.
    pub index: Option<Index>,
    /// Which provider it came from.
    pub source: Option<Arc<str>>,
    /// The provider that was preferred and gave none, where `source` stands in for it.
    pub stand_in_for: Option<Arc<str>>,
    /// The grid zone it is about, in the provider's words, where it says so.
    pub zone: Option<Arc<str>>,
    /// What it is of: average or marginal intensity.
    pub signal: Option<Signal>,
    /// Which emissions are counted in it.
    pub accounting: Option<Accounting>,
    /// When the provider made it, where it says so.
    pub issued_at: Option<Timestamp>,
    /// When it was received.
    pub retrieved_at: Option<Timestamp>,
    /// Seconds from then to this evaluation, at least 0.
    pub age_seconds: Option<f64>,
    /// Seconds that at least half of its slots last, where any length is that common.
    pub slot_seconds: Option<f64>,
    /// Stretches between its slots that it says nothing of, in order of time, the first
    /// [`crate::forecast::MAX_SHOWN_GAPS`].
    pub gaps: Arc<[Gap]>,
    /// How many of its slots nobody forecast: they are drawn from one neighbour to the other.
    pub filled_slots: usize,
    /// Whether it no longer covers the present: `now` is unknown and throttling uses the last known.
    pub stale: bool,
    /// Which forecast a plan used for what, in order of time; empty without a plan.
    pub used_for: Arc<[UsedFor]>,
}

/// A stretch of a plan's horizon and the forecast that served it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsedFor {
    /// Its first instant.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// The provider's name, `own`, or `blend` of both.
    pub source: Arc<str>,
}

/// The error budget when this schedule was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetReport {
    /// What it counts: `requests`, or `time` as long as nobody reports what was served.
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
    pub price_unit: &'static str,
}

/// A manual override in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ManualReport {
    /// First instant at which the policy rules again.
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
    pub fn document(&self, slots: Arc<[u8]>) -> Document {
        // Writing finite numbers, strings and maps with string keys into memory cannot fail.
        let mut head = serde_json::to_vec(self).unwrap_or_default();
        debug_assert!(head.ends_with(NO_SLOTS), "the slots come last");
        head.truncate(head.len().saturating_sub(NO_SLOTS.len()));
        Document { head: head.into(), slots }
    }
}

/// A serialised schedule. The slots of its forecast are shared with every schedule of the same carbon
/// target, so that ten thousand schedules do not hold ten thousand copies of 48 hours. By default it is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    head: Box<[u8]>,
    slots: Arc<[u8]>,
}

impl Default for Document {
    fn default() -> Self {
        Self { head: br#"{"forecast":{"schedule":"#.as_slice().into(), slots: Arc::from(*b"[]") }
    }
}

impl Document {
    /// The document in the pieces it is stored in; together they are the JSON.
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.head, &self.slots, TAIL]
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
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("flavourWeights", &Weights(self, |share| u16::from(share.weight)))?;
        map.serialize_entry("weightsPerMille", &Weights(self, |share| share.per_mille))?;
        map.serialize_entry("flavourRules", &Rules(self))?;
        map.serialize_entry("strategies", &Shares { schedule: self, measured: false })?;
        map.serialize_entry("flavours", &Shares { schedule: self, measured: true })?;
        map.serialize_entry("validUntil", &self.valid_until)?;
        map.serialize_entry("credits", &self.credits)?;
        map.serialize_entry("policy", &PolicyName { name: &self.policy })?;
        map.serialize_entry("diagnostics", &Pairs(&self.diagnostics))?;
        map.serialize_entry("avgPrecision", &self.avg_precision)?;
        map.serialize_entry("processing", &self.processing)?;
        if let Some(budget) = &self.budget {
            map.serialize_entry("budget", budget)?;
        }
        if let Some(savings) = &self.savings {
            map.serialize_entry("savings", savings)?;
        }
        if let Some(plan) = &self.plan {
            map.serialize_entry("plan", plan)?;
        }
        map.serialize_entry("reason", &self.reason)?;
        map.serialize_entry("warnings", &self.warnings)?;
        if let Some(manual) = &self.manual {
            map.serialize_entry("manual", manual)?;
        }
        map.serialize_entry("evaluatedAt", &self.evaluated_at)?;
        map.serialize_entry("generation", &self.generation)?;
        map.serialize_entry("forecast", &self.forecast)?;
        map.end()
    }
}

impl Serialize for ForecastReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(now) = self.now {
            map.serialize_entry("now", &now)?;
        }
        if let Some(next) = self.next {
            map.serialize_entry("next", &next)?;
        }
        if let Some(index) = self.index {
            map.serialize_entry("index", &index)?;
        }
        if let Some(source) = &self.source {
            map.serialize_entry("source", source)?;
        }
        if let Some(preferred) = &self.stand_in_for {
            map.serialize_entry("standInFor", preferred)?;
        }
        if let Some(zone) = &self.zone {
            map.serialize_entry("zone", zone)?;
        }
        if let Some(signal) = self.signal {
            map.serialize_entry("signal", &signal)?;
        }
        if let Some(accounting) = self.accounting {
            map.serialize_entry("accounting", &accounting)?;
        }
        if let Some(issued_at) = self.issued_at {
            map.serialize_entry("issuedAt", &issued_at)?;
        }
        if let Some(retrieved_at) = self.retrieved_at {
            map.serialize_entry("retrievedAt", &retrieved_at)?;
        }
        if let Some(seconds) = self.age_seconds {
            map.serialize_entry("ageSeconds", &seconds)?;
        }
        if let Some(seconds) = self.slot_seconds {
            map.serialize_entry("slotSeconds", &seconds)?;
        }
        if !self.gaps.is_empty() {
            map.serialize_entry("gaps", &self.gaps)?;
        }
        if self.filled_slots > 0 {
            map.serialize_entry("filledSlots", &self.filled_slots)?;
        }
        if self.stale {
            map.serialize_entry("stale", &true)?;
        }
        if !self.used_for.is_empty() {
            map.serialize_entry("usedFor", &self.used_for)?;
        }
        // Last, and empty: a document puts the shared slots here.
        map.serialize_entry("schedule", &[(); 0])?;
        map.end()
    }
}

#[derive(Serialize)]
struct PolicyName<'a> {
    name: &'a str,
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

struct Rules<'a>(&'a Schedule);

impl Serialize for Rules<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Rule<'a> {
            flavour_name: &'a str,
            precision: u8,
            weight: u8,
        }

        let mut list = serializer.serialize_seq(None)?;
        for share in self.0.flavours.iter().filter(|share| share.enabled) {
            list.serialize_element(&Rule {
                flavour_name: &share.name,
                precision: share.precision.percent(),
                weight: share.weight,
            })?;
        }
        list.end()
    }
}

struct Shares<'a> {
    schedule: &'a Schedule,
    /// Whether it says what was measured: the seed's readers never asked.
    measured: bool,
}

impl Serialize for Shares<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Share<'a> {
            name: &'a str,
            precision: u8,
            weight: u8,
            carbon_intensity: f64,
            enabled: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            measured_precision: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            measured_energy_wh: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            measured_requests: Option<u64>,
        }

        let mut list = serializer.serialize_seq(None)?;
        for share in &self.schedule.flavours {
            let measured = share.measured.filter(|_| self.measured);
            list.serialize_element(&Share {
                name: &share.name,
                precision: share.precision.percent(),
                weight: share.weight,
                // As the origin writes it where nobody said.
                carbon_intensity: share.carbon_intensity.unwrap_or(0.0),
                enabled: share.enabled,
                measured_precision: measured.and_then(|measured| measured.precision).map(Precision::get),
                measured_energy_wh: measured.and_then(|measured| measured.energy_wh),
                measured_requests: measured.map(|measured| measured.requests),
            })?;
        }
        list.end()
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
