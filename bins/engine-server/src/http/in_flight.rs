//! Requests under way: a bounded number of those that can wait for a client, a disk or a reader. What is answered
//! at once from memory is never refused.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, ResponseError as _};

use super::problem::Problem;
use crate::connections::Progress;
use crate::limit_args::refused;

/// Most of a body that is handed on at once, in bytes: what a reader does not take stays where it is.
const PIECE: usize = 32 * 1024;

/// How many may be under way, and how many are.
#[derive(Clone)]
pub(crate) struct InFlight {
    /// Its name in the metrics.
    name: &'static str,
    /// What it counts, and which flag sets the limit.
    words: (&'static str, &'static str),
    most: usize,
    now: Arc<AtomicUsize>,
}

/// A place among those under way, free again when this is dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl InFlight {
    /// At most `most` requests.
    pub(crate) fn requests(most: usize) -> Self {
        Self::new("requests_in_flight", ("requests", "--max-requests-in-flight"), most)
    }

    /// At most `most` scrapes.
    pub(crate) fn scrapes(most: usize) -> Self {
        Self::new("scrapes_in_flight", ("scrapes", "--max-scrapes-in-flight"), most)
    }

    fn new(name: &'static str, words: (&'static str, &'static str), most: usize) -> Self {
        Self { name, words, most, now: Arc::default() }
    }

    /// One more.
    ///
    /// # Errors
    ///
    /// 503, the only way to fail: there are as many as there may be.
    pub(crate) fn enter(&self) -> Result<Place, Problem> {
        let place = Place(Arc::clone(&self.now));
        if self.now.fetch_add(1, Ordering::Relaxed) < self.most {
            return Ok(place);
        }
        refused(self.name);
        let (most, (what, flag)) = (self.most, self.words);
        let detail = format!("{most} {what} are under way already ({flag}): try again later");
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Around what can wait: under way until its answer is on its way as a whole.
pub(crate) async fn bounded(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(in_flight) = request.app_data::<web::Data<InFlight>>() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    match in_flight.enter() {
        Err(full) => Ok(request.into_response(full.error_response())),
        Ok(place) => {
            let response = next.call(request).await?;
            let progress = Progress::of(response.request()).cloned();
            Ok(response.map_body(|_, body| Pieces::new(body, progress, place).boxed()))
        }
    }
}

/// A body in pieces, with its place among those under way.
pub(crate) struct Pieces<B> {
    body: Pin<Box<B>>,
    /// What the body gave and nobody took yet.
    left: Bytes,
    progress: Option<Progress>,
    _place: Place,
}

impl<B: MessageBody> Pieces<B> {
    pub(crate) fn new(body: B, progress: Option<Progress>, place: Place) -> Self {
        Self { body: Box::pin(body), left: Bytes::new(), progress, _place: place }
    }

    /// The same in answer to `request`.
    pub(crate) fn answering(request: &HttpRequest, body: B, place: Place) -> Self {
        Self::new(body, Progress::of(request).cloned(), place)
    }
}

impl<B: MessageBody> MessageBody for Pieces<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        let this = self.get_mut();
        if let Some(progress) = &this.progress {
            progress.note();
        }
        while this.left.is_empty() {
            match ready!(this.body.as_mut().poll_next(context)) {
                Some(Ok(bytes)) => this.left = bytes,
                end => return Poll::Ready(end),
            }
        }
        let piece = this.left.split_to(this.left.len().min(PIECE));
        Poll::Ready(Some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    #[test]
    fn a_place_is_free_again_when_it_was_left_and_a_refusal_takes_none() {
        let two = InFlight::requests(2);
        let places = [two.enter().unwrap(), two.enter().unwrap()];
        for _ in 0..5 {
            let full = two.enter().map(drop).unwrap_err();
            assert_eq!(full.status_code(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(
                full.to_string(),
                "503 Service Unavailable: 2 requests are under way already (--max-requests-in-flight): try again later"
            );
        }
        drop(places);
        assert!(two.enter().is_ok());
    }

    #[actix_web::test]
    async fn a_body_in_pieces_is_the_same_body() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 10 * PIECE + 7] {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            let few = InFlight::requests(1);
            let body = Pieces::new(bytes.clone(), None, few.enter().unwrap());
            assert_eq!(body.size(), BodySize::Sized(length as u64));
            assert!(few.enter().is_err());
            assert_eq!(to_bytes(body).await.unwrap(), bytes);
            assert!(few.enter().is_ok());
        }
    }
}
