//! Reading schedules.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Bytes;
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

/// Bytes of the longest entity tag: two numbers of 64 bits.
const LONGEST_TAG: usize = 2 * 16 + 3;

// Most of what is ever asked is answered here: what is constant is not made anew for each answer.
fn document(request: &HttpRequest, state: &State, published: &Arc<Published>) -> HttpResponse {
    let mut tag = String::with_capacity(LONGEST_TAG);
    // A string takes whatever there is room for.
    let _ = write!(tag, "\"{:x}-{:x}\"", state.instance, published.sequence);
    let seen = request.headers().get_all(header::IF_NONE_MATCH).any(|value| matches(value, &tag));
    let mut response = HttpResponse::build(if seen { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.insert_header((header::ETAG, tag));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    if seen {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.body(Document { published: Arc::clone(published), sent: 0 })
}

/// A document on its way: handed on in the pieces it is kept in, none of which is copied for it.
struct Document {
    published: Arc<Published>,
    /// Pieces that were handed on.
    sent: usize,
}

impl MessageBody for Document {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.published.document.size() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.sent == self.published.document.parts().len() {
            return Poll::Ready(None);
        }
        let piece = Piece { published: Arc::clone(&self.published), index: self.sent };
        self.sent += 1;
        Poll::Ready(Some(Ok(Bytes::from_owner(piece))))
    }
}

/// One piece of a document, which it keeps alive.
struct Piece {
    published: Arc<Published>,
    index: usize,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.published.document.parts().get(self.index).copied().unwrap_or_default()
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
