//! Reading request bodies: a JSON object of bounded size and depth, or a clear refusal.

use std::fmt::Display;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};
use futures_util::{Stream, StreamExt};
use models::Problems;
use models::body::BadBody;
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::connections::Progress;
use crate::limit_args::{Limits, refused};

/// The body of `request` as a JSON object.
///
/// # Errors
///
/// 415 without a JSON content type; 413 and 408 at the [`Limits`] of bytes and of time; 400 for what is not JSON, not an object, or nested too deep; 422 for a number no
/// machine can hold.
pub(crate) async fn json_object(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Map<String, Value>, Problem> {
    let body = bytes(request, payload).await?;
    if body.is_empty() {
        return Err(Problem::malformed("the body is empty: expected a JSON object"));
    }
    if !is_json(request) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body has no JSON content type: expected Content-Type: application/json",
        ));
    }
    parse(&body)
}

/// The body of `request`, whatever it is.
///
/// # Errors
///
/// 413 and 408 at the [`Limits`] of bytes and of time; 400 where it does not arrive whole.
pub(crate) async fn bytes(request: &HttpRequest, payload: web::Payload) -> Result<Vec<u8>, Problem> {
    let (most, patience) = Limits::of_a_body(request);
    announced(request.headers(), most)?;
    let body = within(patience, read(payload, most)).await?;
    // What follows may take its time too.
    if let Some(progress) = Progress::of(request) {
        progress.note();
    }
    Ok(body)
}

/// Judges the length that a head says its body has, where it says one.
///
/// # Errors
///
/// 413 above `most` bytes.
pub(super) fn announced(fields: &HeaderMap, most: usize) -> Result<(), Problem> {
    let length =
        fields.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) { Err(too_large(most)) } else { Ok(()) }
}

/// What `reading` finds, unless it takes longer than `deadline`.
async fn within(
    deadline: Duration,
    reading: impl Future<Output = Result<Vec<u8>, Problem>>,
) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(deadline, reading).await.unwrap_or_else(|_| {
        refused("request_timeout");
        let seconds = deadline.as_secs();
        let detail = format!("the body did not arrive in time: expected all of it within {seconds} s");
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
    })
}

async fn read<E: Display>(
    mut payload: impl Stream<Item = Result<web::Bytes, E>> + Unpin,
    most: usize,
) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|broken| Problem::malformed(format!("the body did not arrive whole: {broken}")))?;
        if body.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large(most: usize) -> Problem {
    refused("body_bytes");
    let detail = format!("the body is larger than {most} bytes: expected a smaller one");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// `application/json`, or any type with the suffix `+json`; parameters do not matter.
fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// A JSON object from bytes.
fn parse(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    models::body::object(body).map_err(|bad| match bad {
        BadBody::Number(_) => Problem::invalid(Problems::one("", bad)),
        bad => Problem::malformed(bad.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;
    use actix_web::error::PayloadError;
    use actix_web::http::ConnectionType;
    use futures_util::stream;
    use proptest::prelude::*;

    fn status(body: &[u8]) -> u16 {
        parse(body).map_or_else(|problem| problem.status_code().as_u16(), |_| 200)
    }

    #[test]
    fn only_objects_of_bounded_depth_pass() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        for (body, expected) in [
            ("{}".to_owned(), 200),
            ("\u{feff}{\"a\":1}".to_owned(), 200),
            ("{\"a\":\"[[[[\\\"{{{\"}".to_owned(), 200),
            (nested(64), 200),
            (nested(65), 400),
            ("[".repeat(100_000), 400),
            ("[]".to_owned(), 400),
            ("null".to_owned(), 400),
            ("{not json".to_owned(), 400),
            ("{} x".to_owned(), 400),
            ("{\"a\":NaN}".to_owned(), 400),
            ("{\"a\":1e400}".to_owned(), 422),
        ] {
            assert_eq!(status(body.as_bytes()), expected, "{}", &body[..body.len().min(60)]);
        }
    }

    #[actix_web::test]
    async fn a_body_that_stalls_is_408_and_the_connection_ends() {
        let start = || stream::iter([Ok::<_, PayloadError>(web::Bytes::from_static(b"{\"policy\":"))]);
        // What is here already is never too late.
        assert_eq!(within(Duration::ZERO, read(start(), 100)).await.unwrap(), b"{\"policy\":");
        let stalled = within(Duration::ZERO, read(start().chain(stream::pending()), 100)).await.unwrap_err();
        let answer = stalled.error_response();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(answer.head().connection_type(), ConnectionType::Close);
        assert_eq!(answer.headers().get(header::CONTENT_TYPE).unwrap(), "application/problem+json");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&body);
        }
    }
}
