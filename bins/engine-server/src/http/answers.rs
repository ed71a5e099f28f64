//! The small documents that requests are answered with.

use std::sync::Arc;

use engine::FeedbackReport;
use models::schema::{Instant, Percent};
use models::{Config, ScheduleId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// How the process does.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Health {
    /// What is wrong, where it is degraded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<&'static str>,
    /// One word for it.
    #[schemars(extend("enum" = ["alive", "degraded", "ready", "starting", "stopping"]))]
    pub(crate) status: &'static str,
}

impl Health {
    /// The word alone.
    pub(crate) fn of(status: &'static str) -> Self {
        Self { detail: None, status }
    }
}

/// A schedule that cannot be evaluated, since every flavour is disabled.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Pending<'a> {
    /// Why.
    pub(crate) reason: &'a str,
    #[schemars(extend("const" = "pending"))]
    pub(crate) status: &'static str,
}

/// A configuration that is in force.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Accepted {
    /// Keys that nobody here knows.
    pub(crate) ignored: Vec<String>,
    #[schemars(extend("const" = "accepted"))]
    pub(crate) status: &'static str,
    /// What a user should know.
    pub(crate) warnings: Vec<String>,
}

/// What is in force for a schedule.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Effective<'a> {
    #[schemars(with = "Config")]
    pub(crate) config: Map<String, Value>,
    /// Counts configurations: a change adds one.
    pub(crate) generation: u64,
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
}

impl<'a> Effective<'a> {
    pub(crate) fn of(id: &'a ScheduleId, config: Map<String, Value>, generation: u64) -> Self {
        Self { config, generation, name: id.name(), namespace: id.namespace() }
    }
}

/// What became of a schedule's configuration.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Removed {
    /// The default schedule is reset, any other is deleted.
    #[schemars(extend("enum" = ["deleted", "reset"]))]
    pub(crate) status: &'static str,
}

/// An override that is in force.
#[derive(Serialize, JsonSchema)]
pub(crate) struct OverrideSet {
    /// Keys that had no part in it.
    pub(crate) ignored: Vec<String>,
    #[schemars(extend("const" = "schedule set"))]
    pub(crate) status: &'static str,
    /// First instant at which the policy rules again.
    #[schemars(with = "Instant")]
    pub(crate) until: Timestamp,
}

/// What became of an override.
#[derive(Serialize, JsonSchema)]
pub(crate) struct OverrideEnded {
    #[schemars(extend("enum" = ["no override in force", "override ended"]))]
    pub(crate) status: &'static str,
}

/// A post that was counted.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Counted {
    /// Balance of the credit ledger.
    credit_balance: f64,
    /// Mean change of it within the credit window.
    credit_velocity: f64,
    /// That it was counted before, and nothing was counted now; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    /// Keys that nobody here knows; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
    /// Mean precision of this post; `null` where it counts no request.
    realized_precision: Option<f64>,
    /// Requests of this post.
    total_requests: u64,
}

impl Counted {
    pub(crate) fn of(report: &FeedbackReport, ignored: Vec<String>) -> Self {
        Self {
            credit_balance: report.credit_balance,
            credit_velocity: report.credit_velocity,
            duplicate: report.duplicate.then_some(true),
            ignored,
            realized_precision: report.realized_precision,
            total_requests: report.total_requests,
        }
    }
}

/// A page of schedules, in order of their names.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ScheduleList<'a> {
    /// What the next page is to be asked with; absent on the last one.
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    pub(crate) items: Vec<ScheduleItem<'a>>,
}

/// A schedule in short.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleItem<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// The policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Arc<str>>,
    /// When a newer schedule is out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub(crate) valid_until: Option<Timestamp>,
    /// Percent of traffic by flavour, enabled ones only.
    #[schemars(with = "std::collections::BTreeMap<String, Percent>")]
    pub(crate) weights: Map<String, Value>,
    /// Why it cannot be evaluated, in place of `policy` and `validUntil`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<&'a str>,
}
