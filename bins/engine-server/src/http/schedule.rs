//! Reading schedules.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::{HttpMessage as _, Request};
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use engine::{Published, UnknownSchedule, View};
use models::{Problems, ScheduleId};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::answers::{Pending, ScheduleItem, ScheduleList};
use super::door::Body;
use super::page::{Page, PageQuery};
use super::problem::Problem;
use crate::state::State;

/// The answer to GET and HEAD of `/schedule` and `/schedule/{namespace}/{name}`; none where something else is asked.
pub(super) fn at_once(state: &State, request: &Request) -> Option<Result<HttpResponse<Body>, Problem>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let id = asked(&state.default_id, request.path())?;
    Some(id.and_then(|id| answer(request, state, &id)))
}

/// The schedule that is asked for at `path`.
fn asked(default: &ScheduleId, path: &str) -> Option<Result<ScheduleId, Problem>> {
    let path = path.strip_prefix("/schedule")?;
    if path.is_empty() {
        return Some(Ok(default.clone()));
    }
    let (namespace, name) = path.strip_prefix('/')?.split_once('/')?;
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        return None;
    }
    let [namespace, name] = [namespace, name].map(|segment| percent_decode_str(segment).decode_utf8_lossy());
    Some(ScheduleId::new(&namespace, &name).map_err(Problem::invalid))
}

fn answer(request: &Request, state: &State, id: &ScheduleId) -> Result<HttpResponse<Body>, Problem> {
    let view = state.board.view(id).ok_or_else(|| UnknownSchedule(id.clone()))?;
    match &*view {
        View::Pending(reason) => {
            let mut response = HttpResponse::Accepted();
            response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
            Ok(response.json(Pending { reason, status: "pending" }).map_into_right_body())
        }
        View::Schedule(published) => Ok(document(request, state, published)),
    }
}

/// Bytes of the longest entity tag: two numbers of 64 bits.
const LONGEST_TAG: usize = 2 * 16 + 3;

// Most of what is ever asked is answered here: what is constant is not made anew for each answer.
fn document(request: &Request, state: &State, published: &Published) -> HttpResponse<Body> {
    let mut tag = String::with_capacity(LONGEST_TAG);
    // A string takes whatever there is room for.
    let _ = write!(tag, "\"{:x}-{:x}\"", state.instance, published.sequence);
    let seen = request.headers().get_all(header::IF_NONE_MATCH).any(|value| matches(value, &tag));
    let mut response = if seen {
        HttpResponse::with_body(StatusCode::NOT_MODIFIED, EitherBody::right(BoxBody::new(())))
    } else {
        HttpResponse::with_body(StatusCode::OK, EitherBody::left(Document::of(published)))
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if !seen {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// A document on its way: handed on in the pieces it is kept in, none of which is copied for it.
pub(crate) struct Document {
    pieces: std::array::IntoIter<Bytes, 3>,
    size: usize,
}

impl Document {
    fn of(published: &Published) -> Self {
        Self { pieces: published.document.pieces().into_iter(), size: published.document.size() }
    }
}

impl MessageBody for Document {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.pieces.next().map(Ok))
    }
}

/// Whether an `If-None-Match` field names `tag`; the comparison is weak (RFC 9110, 13.1.2).
pub(super) fn matches(value: &HeaderValue, tag: &str) -> bool {
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
