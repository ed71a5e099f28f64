//! What is known of each carbon target, and how the providers do.

use actix_web::{HttpResponse, web};
use models::forecast::MAX_SHOWN_GAPS;
use models::schema::Instant;
use models::{Accounting, CarbonTarget, Gap, Problems, Signal, Timestamp};
use providers::{CircuitState, Status};
use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Page, PageQuery};
use super::problem::Problem;
use crate::forecasts::{Provider, Refresh};
use crate::state::now;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TargetItem {
    target: CarbonTarget,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<KnownForecast>,
    /// Who answered last, where the forecast above is a preferred provider's and still good enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    stand_in: Option<String>,
    /// Refreshes that failed since the last that did not.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// Absent while a refresh is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    next_refresh: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KnownForecast {
    source: String,
    /// The provider that was preferred and gave none, where `source` stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stand_in_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    signal: Signal,
    accounting: Accounting,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    issued_at: Option<Timestamp>,
    #[schemars(with = "Instant")]
    retrieved_at: Timestamp,
    age_seconds: f64,
    #[schemars(with = "Instant")]
    from: Timestamp,
    #[schemars(with = "Instant")]
    to: Timestamp,
    slots: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_seconds: Option<f64>,
    gaps: Vec<Gap>,
    filled_slots: usize,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderItem {
    name: String,
    signal: Signal,
    /// `closed`, `open` or `trying`.
    circuit: &'static str,
    /// Until when it is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    open_until: Option<Timestamp>,
    /// When its budget of calls lets it be asked next, where that is not now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    ready_at: Option<Timestamp>,
    calls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_second: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_hour: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_day: Option<u32>,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    last_success: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct ForecastList {
    items: Vec<TargetItem>,
    providers: Vec<ProviderItem>,
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    after: Option<CarbonTarget>,
}

/// GET `/forecasts?limit=&continue=`, in order of the targets.
pub(crate) async fn list(
    query: web::Query<PageQuery>,
    refresh: web::Data<Refresh>,
) -> Result<HttpResponse, Problem> {
    let mut problems = Problems::new();
    let Page { limit, after } = query.page(&mut problems, |after| Some(CarbonTarget::from(after)));
    problems.or(()).map_err(Problem::invalid)?;
    let now = now();
    let (mut page, providers) = (refresh.page(after.as_ref(), limit + 1), refresh.providers(now));
    let more = page.len() > limit;
    page.truncate(limit);
    let after = page.last().filter(|_| more).map(|(target, _)| target.clone());
    let items = page.into_iter().map(|(target, status)| item(target, status, now)).collect();
    let providers = providers.into_iter().map(|provider| provider_item(provider, now)).collect();
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-cache")).json(ForecastList {
        items,
        providers,
        after,
    }))
}

fn item(target: CarbonTarget, status: Status, now: Timestamp) -> TargetItem {
    let age = status.age(now).unwrap_or_default();
    let forecast = status.latest.and_then(|forecast| {
        let (first, last) = (forecast.slots().first()?, forecast.slots().last()?);
        Some(KnownForecast {
            source: forecast.source.to_string(),
            stand_in_for: forecast.stand_in_for.as_deref().map(ToOwned::to_owned),
            zone: forecast.zone.as_deref().map(ToOwned::to_owned),
            signal: forecast.signal,
            accounting: forecast.accounting,
            issued_at: forecast.issued_at,
            retrieved_at: forecast.retrieved_at,
            age_seconds: age.as_secs_f64(),
            from: first.from,
            to: last.to,
            slots: forecast.slots().len(),
            slot_seconds: forecast.step().map(|step| step.as_secs_f64()),
            gaps: forecast.gaps().take(MAX_SHOWN_GAPS).collect(),
            filled_slots: forecast.filled_slots(),
        })
    });
    TargetItem {
        target,
        forecast,
        stand_in: status.stand_in.as_deref().map(ToOwned::to_owned),
        failures: status.failures,
        last_error: status.last_error,
        next_refresh: status.due,
    }
}

fn provider_item(Provider { name, signal, limits, status }: Provider, now: Timestamp) -> ProviderItem {
    let (circuit, open_until) = match status.circuit {
        CircuitState::Closed => ("closed", None),
        CircuitState::Open { until } => ("open", Some(until)),
        CircuitState::Trying => ("trying", None),
    };
    ProviderItem {
        name,
        signal,
        circuit,
        open_until,
        ready_at: Some(status.ready_at).filter(|ready| *ready > now),
        calls: status.calls,
        calls_per_second: limits.per_second,
        calls_per_hour: limits.per_hour,
        calls_per_day: limits.per_day,
        failures: status.failures,
        last_success: status.last_success,
        last_error: status.last_error,
    }
}
