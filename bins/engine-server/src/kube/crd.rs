//! `TrafficSchedule`, as the API server has it: what the custom resource definition is made of.
//!
//! Objects are never decoded into [`TrafficScheduleSpec`]: whatever a cluster holds is looked at as JSON
//! ([`super::spec`]), so that one bad object is one problem and not the end of a list.

use std::collections::BTreeMap;

use anyhow::Context as _;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Desired state: what the engine is to keep to. Every field is optional; what is absent comes from a PUT, then
/// from the process's defaults.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "scheduling.carbonrouter.io",
    version = "v1alpha1",
    kind = "TrafficSchedule",
    doc = "Shares of traffic for the flavours of one service, so that emissions fall while the mean error stays within its budget.",
    namespaced,
    status = "TrafficScheduleStatus",
    printcolumn = r#"{"name": "Policy", "type": "string", "jsonPath": ".status.activePolicy"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Degraded", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Degraded\")].status"}"#,
    printcolumn = r#"{"name": "Credit", "type": "string", "jsonPath": ".status.creditBalance"}"#,
    printcolumn = r#"{"name": "Valid until", "type": "date", "jsonPath": ".status.validUntil", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrafficScheduleSpec {
    /// The scheduler's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheduler: Option<SchedulerSpec>,
    /// The router; its replica bounds become a component of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    router: Option<ComponentSpec>,
    /// The consumer; its replica bounds become a component of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consumer: Option<ComponentSpec>,
    /// The flavours' Deployments; their replica bounds become a component of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<TargetSpec>,
}

/// Settings of the scheduler. Fractions are strings that hold a number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct SchedulerSpec {
    /// Allowed mean error, in [0, 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    target_error: Option<String>,
    /// Lower bound of the credit ledger, at most 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_min: Option<String>,
    /// Upper bound of the credit ledger, at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_max: Option<String>,
    /// Smoothing window of the credit velocity, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_window: Option<i32>,
    /// Window of the error budget, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_window: Option<i32>,
    /// Overdraft of the error budget, in budgets of one window, in [0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_overdraft: Option<String>,
    /// Multiple of the target error aimed at in any 24 h, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_daily_aim: Option<String>,
    /// Policy that spends the credit, e.g. `credit-greedy` or `receding-horizon`.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// How long a schedule is valid, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_for: Option<i32>,
    /// Pause between flavour discoveries, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery_interval: Option<i32>,
    /// Which carbon forecast to follow, e.g. `national` or `region:13`.
    #[serde(skip_serializing_if = "Option::is_none")]
    carbon_target: Option<String>,
    /// Patience with the carbon provider, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    carbon_timeout: Option<i32>,
    /// Life of a fetched forecast, in seconds.
    #[serde(rename = "carbonCacheTTL", skip_serializing_if = "Option::is_none")]
    carbon_cache_ttl: Option<i32>,
    /// Smallest processing throttle, in [0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle_min: Option<String>,
    /// Carbon intensity up to which nothing is throttled, in gCO2eq/kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle_intensity_floor: Option<String>,
    /// Carbon intensity from which throttling is complete, in gCO2eq/kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    throttle_intensity_ceiling: Option<String>,
    /// Whether decisions follow the precision and energy that feedback measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    calibrate: Option<bool>,
    /// Who routes: `router` (the default) or `consumer`. Carried into the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluator: Option<String>,
}

/// A scaled component of the data plane.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct ComponentSpec {
    /// How it is scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    autoscaling: Option<AutoscalingSpec>,
    /// Compute resources of its containers; whoever deploys it reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    resources: Option<serde_json::Map<String, Value>>,
    /// Whether it logs more; whoever deploys it reads this.
    #[serde(skip_serializing_if = "Option::is_none")]
    debug: Option<bool>,
}

/// The flavours' Deployments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct TargetSpec {
    /// How they are scaled.
    #[serde(skip_serializing_if = "Option::is_none")]
    autoscaling: Option<AutoscalingSpec>,
}

/// Bounds of autoscaling.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct AutoscalingSpec {
    /// Fewest replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_replica_count: Option<i32>,
    /// Most replicas, before any throttle.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_replica_count: Option<i32>,
    /// Seconds before scaling down; whoever scales reads this.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown_period: Option<i32>,
    /// Percent of processor use that is aimed at; whoever scales reads this.
    #[serde(rename = "cpuUtilization", skip_serializing_if = "Option::is_none")]
    cpu_utilization: Option<i32>,
}

/// Observed state: the schedule in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrafficScheduleStatus {
    /// Share of traffic of each precision, the least precise first.
    #[serde(default)]
    pub(crate) flavours: Vec<FlavourDecision>,
    /// The same as `flavours`, for readers that know them by this name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) strategies: Vec<FlavourDecision>,
    /// The same with the flavours' names, for readers that route by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) flavour_rules: Vec<FlavourRule>,
    /// The policy that decided.
    pub(crate) active_policy: String,
    /// First instant at which the schedule is out of date.
    #[schemars(schema_with = "instant")]
    pub(crate) valid_until: String,
    /// Balance of the credit ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credit_balance: Option<String>,
    /// Mean change of the balance per evaluation, over the credit window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credit_velocity: Option<String>,
    /// Target error in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credit_target: Option<String>,
    /// Lower bound of the credit ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credit_min: Option<String>,
    /// Upper bound of the credit ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credit_max: Option<String>,
    /// Processing throttle, in [0, 1]; 1 is unthrottled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) processing_throttle: Option<String>,
    /// Most replicas per component, as throttled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) effective_replica_ceilings: BTreeMap<String, i32>,
    /// Band of the carbon intensity now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) carbon_index: Option<String>,
    /// Carbon intensity of the current slot, in gCO2eq/kWh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) carbon_forecast_now: Option<String>,
    /// Carbon intensity of the slot after it, in gCO2eq/kWh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) carbon_forecast_next: Option<String>,
    /// The slots that come next; the API has more of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forecast_schedule: Vec<ForecastSlot>,
    /// Numbers behind the decision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) diagnostics: BTreeMap<String, String>,
    /// Who routes: `router` or `consumer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) routing_evaluator: Option<String>,
    /// Generation of the object that was looked at last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
    /// `Ready`: a schedule is in force. `Degraded`: something of what was asked for is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub(crate) conditions: Vec<Condition>,
}

/// Share of traffic of one precision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FlavourDecision {
    /// Precision in whole percent.
    pub(crate) precision: i32,
    /// Share of traffic in whole percent.
    pub(crate) weight: i32,
    /// Relative energy per request, as its label has it; 0 where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) emissions: Option<String>,
}

/// Share of traffic of one flavour, by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FlavourRule {
    /// Name of the flavour.
    pub(crate) flavour_name: String,
    /// Precision in whole percent.
    pub(crate) precision: i32,
    /// Share of traffic in whole percent.
    pub(crate) weight: i32,
}

/// One slot of the carbon forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ForecastSlot {
    /// First instant of the slot.
    pub(crate) from: String,
    /// First instant after it.
    pub(crate) to: String,
    /// Carbon intensity, in gCO2eq/kWh.
    pub(crate) forecast: String,
    /// Its band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<String>,
}

/// A condition, as Kubernetes has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    /// `Ready` or `Degraded`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// One word for why.
    pub(crate) reason: String,
    /// A sentence for why.
    pub(crate) message: String,
    /// When `status` changed last.
    #[schemars(schema_with = "instant")]
    pub(crate) last_transition_time: String,
    /// Generation of the object that this was found of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) observed_generation: Option<i64>,
}

fn instant(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// Whatever other readers understand: kept as it is.
fn any_object(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Each type of condition is somebody's: an apply by one manager leaves the others' alone.
fn conditions(generator: &mut schemars::SchemaGenerator) -> Schema {
    let items = Condition::json_schema(generator);
    json_schema!({
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

const HEAD: &str = "# Made by `engine-server crd`: change bins/engine-server/src/kube/crd.rs instead.\n";

/// The definition, to be applied to a cluster.
pub(crate) fn yaml() -> anyhow::Result<String> {
    let yaml = serde_saphyr::to_string(&definition()?).context("the definition cannot be written")?;
    Ok(format!("{HEAD}{yaml}"))
}

/// The same as JSON.
pub(crate) fn json() -> anyhow::Result<String> {
    let json = serde_json::to_string_pretty(&definition()?).context("the definition cannot be written")?;
    Ok(json + "\n")
}

fn definition() -> anyhow::Result<Value> {
    let mut definition =
        serde_json::to_value(TrafficSchedule::crd()).context("the definition cannot be written")?;
    // An object that asks for nothing need not say so.
    if let Some(schema) = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        schema.as_object_mut().map(|schema| schema.remove("required"));
    }
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use models::SETTINGS;

    use super::*;

    /// An API server drops what the definition does not know, and tells nobody.
    #[test]
    fn the_scheduler_has_every_setting() {
        let definition = definition().unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let fields = &schema["properties"]["spec"]["properties"]["scheduler"]["properties"];
        let words = ["policy", "carbonTarget", "calibrate"];
        for key in SETTINGS.iter().map(|spec| spec.key).chain(words) {
            assert!(fields.get(key).is_some(), "SchedulerSpec lacks {key}");
        }
    }
}
