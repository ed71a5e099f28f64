//! Reading schedules.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use engine::{Published, UnknownSchedule, View};
use models::{Problems, ScheduleId};
use serde_json::json;

use super::answers::{Pending, ScheduleItem, ScheduleList};
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::schedule_id;
use crate::state::State;

/// GET `/schedule`.
pub(crate) async fn get_default(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    answer(&request, &state, &state.default_id)
}

/// GET `/schedule/{namespace}/{name}`.
pub(crate) async fn get(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    answer(&request, &state, &schedule_id(&path)?)
}

fn answer(request: &HttpRequest, state: &State, id: &ScheduleId) -> Result<HttpResponse, Problem> {
    let view = state.board.view(id).ok_or_else(|| UnknownSchedule(id.clone()))?;
    match &*view {
        View::Pending(reason) => Ok(HttpResponse::Accepted()
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .json(Pending { reason, status: "pending" })),
        View::Schedule(published) => Ok(document(request, state, published)),
    }
}

fn document(request: &HttpRequest, state: &State, published: &Published) -> HttpResponse {
    let tag = format!("\"{:x}-{:x}\"", state.instance, published.sequence);
    let seen = request.headers().get_all(header::IF_NONE_MATCH).any(|value| matches(value, &tag));
    let mut response = HttpResponse::build(if seen { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.insert_header((header::ETAG, tag)).insert_header((header::CACHE_CONTROL, "no-cache"));
    if seen {
        return response.finish();
    }
    response.content_type("application/json").body(published.document.to_bytes())
}

/// Whether an `If-None-Match` field names `tag`; the comparison is weak (RFC 9110, 13.1.2).
pub(super) fn matches(value: &header::HeaderValue, tag: &str) -> bool {
    let Ok(value) = value.to_str() else { return false };
    value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// GET `/schedules?limit=&continue=`, in order of the names.
pub(crate) async fn list(
    query: web::Query<PageQuery>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    let mut problems = Problems::new();
    let Page { limit, after } = query.page(&mut problems, |after| {
        let (namespace, name) = after.split_once('/')?;
        ScheduleId::new(namespace, name).ok()
    });
    problems.or(()).map_err(Problem::invalid)?;
    let page = state.board.page(after.as_ref(), limit + 1);
    let items = page.iter().take(limit).map(|(id, view)| item(id, view)).collect();
    let more = page.len() > limit;
    let next = page.get(limit.saturating_sub(1)).filter(|_| more).map(|(id, _)| id.to_string());
    Ok(HttpResponse::Ok().json(ScheduleList { after: next, items }))
}

fn item<'a>(id: &'a ScheduleId, view: &'a View) -> ScheduleItem<'a> {
    let schedule = view.published().map(|published| &published.schedule);
    let shares = schedule.into_iter().flat_map(|schedule| &schedule.flavours).filter(|share| share.enabled);
    ScheduleItem {
        namespace: id.namespace(),
        name: id.name(),
        policy: schedule.map(|schedule| Arc::clone(&schedule.policy)),
        valid_until: schedule.map(|schedule| schedule.valid_until),
        weights: shares.map(|share| (share.name.to_string(), json!(share.weight))).collect(),
        pending: match view {
            View::Pending(reason) => Some(reason),
            View::Schedule(_) => None,
        },
    }
}
