//! One decision: what was published, and the numbers behind it.

use std::borrow::Cow;
use std::sync::Arc;

use engine::{Engine, Holdings, Published, View};
use models::schedule::{BudgetReport, ManualReport};
use models::{ScheduleId, Timestamp};
use serde::{Serialize, Serializer};

/// What was published of a schedule at an instant.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Decision {
    pub(crate) at: Timestamp,
    /// Number of the record that it was made by.
    pub(crate) record: u64,
    /// Why; or why nothing could be decided.
    pub(crate) reason: String,
    #[serde(flatten)]
    pub(crate) made: Option<Made>,
}

/// A decision that could be made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Made {
    pub(crate) policy: Arc<str>,
    pub(crate) generation: u64,
    pub(crate) valid_until: Timestamp,
    pub(crate) weights: Pairs<Arc<str>, u8>,
    /// Mean error of the published weights.
    pub(crate) error: f64,
    pub(crate) target_error: f64,
    /// Mean error that the plan wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) planned_error: Option<f64>,
    /// Most that the guard let it be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guard_error: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shadow_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price_unit: Option<&'static str>,
    pub(crate) forecast: Seen,
    pub(crate) credit_balance: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<Budget>,
    /// Requests per second, smoothed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) demand: Option<f64>,
    pub(crate) throttle: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manual: Option<ManualReport>,
    pub(crate) warnings: Vec<Arc<str>>,
    pub(crate) diagnostics: Pairs<Cow<'static, str>, f64>,
}

/// What the forecast said.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    /// gCO2eq/kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) now: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stand_in_for: Option<Arc<str>>,
    /// Seconds since it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age_seconds: Option<f64>,
    pub(crate) stale: bool,
}

/// The error budget right after the decision.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Budget {
    pub(crate) accounting: &'static str,
    pub(crate) capacity: f64,
    pub(crate) balance: f64,
    /// Held back for what was not reported yet.
    pub(crate) held: f64,
    pub(crate) spendable: f64,
}

/// Pairs that are a map, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pairs<K, V>(pub(crate) Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for Pairs<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Decision {
    /// What `engine` has just published.
    pub(crate) fn of(at: Timestamp, record: u64, id: &ScheduleId, view: &View, engine: &Engine) -> Self {
        match view {
            View::Pending(reason) => Self { at, record, reason: reason.to_string(), made: None },
            View::Schedule(published) => Self {
                at,
                record,
                reason: published.schedule.reason.clone(),
                made: Some(Made::of(published, engine.holdings(id))),
            },
        }
    }
}

impl Made {
    fn of(published: &Published, holdings: Option<Holdings>) -> Self {
        let schedule = &published.schedule;
        let noted = |name: &str| {
            let found = schedule.diagnostics.iter().find(|(noted, _)| noted == name);
            found.map(|(_, value)| *value)
        };
        let budget = |report: &BudgetReport| {
            let holdings = holdings?;
            Some(Budget {
                accounting: report.accounting,
                capacity: report.capacity,
                balance: report.balance,
                held: holdings.held,
                spendable: holdings.spendable,
            })
        };
        Self {
            policy: Arc::clone(&schedule.policy),
            generation: schedule.generation,
            valid_until: schedule.valid_until,
            weights: Pairs(
                schedule.flavours.iter().map(|share| (Arc::clone(&share.name), share.weight)).collect(),
            ),
            error: 1.0 - schedule.avg_precision,
            target_error: schedule.credits.target,
            planned_error: schedule.plan.map(|plan| plan.planned_error),
            guard_error: noted("guard_error"),
            shadow_price: schedule.plan.and_then(|plan| plan.shadow_price),
            price_unit: schedule.plan.map(|plan| plan.price_unit),
            forecast: Seen {
                now: schedule.forecast.now,
                next: schedule.forecast.next,
                source: schedule.forecast.source.clone(),
                stand_in_for: schedule.forecast.stand_in_for.clone(),
                age_seconds: schedule.forecast.age_seconds,
                stale: schedule.forecast.stale,
            },
            credit_balance: schedule.credits.balance,
            budget: schedule.budget.as_ref().and_then(budget),
            demand: published.totals.demand,
            throttle: schedule.processing.throttle,
            manual: schedule.manual.clone(),
            warnings: schedule.warnings.clone(),
            diagnostics: Pairs(schedule.diagnostics.clone()),
        }
    }
}
