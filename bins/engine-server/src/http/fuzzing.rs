//! Any bytes as a request: its first line a method and a path, then header fields up to an empty line, then its body.
#![expect(clippy::expect_used, reason = "a panic is how a fuzzer is told")]

use std::sync::Arc;

use actix_http::Request;
use actix_service::{Service, ServiceFactory};
use actix_web::App;
use actix_web::body::to_bytes_limited;
use actix_web::dev::AppConfig;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::rt::SystemRunner;
use actix_web::test::TestRequest;
use engine::{Engine, EngineOptions};
use models::ScheduleId;
use policies::Registry;
use providers::Chain;
use providers::archive::Bounds;

use super::Api;
use crate::forecasts::Refresh;
use crate::limit_args::Limits;
use crate::state::State;
use crate::vintages::Vintages;

/// Most of an answer that is looked at: none is larger.
const LONGEST_ANSWER: usize = 1 << 20;

thread_local! {
    static SYSTEM: SystemRunner = actix_web::rt::System::new();
}

/// Has a server that nobody asked before answer it: with no failure of its own, and in JSON where it says so.
///
/// # Panics
///
/// It failed, or said something that is not what it says it is.
pub fn fuzz(bytes: &[u8]) {
    if let Some(request) = request(bytes) {
        SYSTEM.with(|system| system.block_on(answer(request)));
    }
}

fn request(bytes: &[u8]) -> Option<Request> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        Some(line)
    };
    let (method, path) = std::str::from_utf8(line()?).ok()?.split_once(' ')?;
    let path = path.parse::<Uri>().ok()?.to_string();
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let mut request = TestRequest::with_uri(&path).method(method).peer_addr(([127, 0, 0, 1], 1).into());
    while let Some(field) = line().filter(|field| !field.is_empty()) {
        let colon = field.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&field[..colon]).ok()?;
        request =
            request.append_header((name, HeaderValue::from_bytes(field[colon + 1..].trim_ascii()).ok()?));
    }
    Some(request.set_payload(rest.to_vec()).to_request())
}

async fn answer(request: Request) {
    let engine = Engine::new(EngineOptions::default(), Registry::builtin());
    let Ok(id) = ScheduleId::new("default", "default") else { return };
    let state = Arc::new(State::new(engine, Vintages::new(Bounds::default()), id, 1, false, None));
    let refresh = Arc::new(Refresh::new(Chain::default(), 1));
    let api = Api::new(&state, &refresh, &Limits::default(), None);
    let house =
        api.door.before(App::new().configure(|app| api.furnish(app))).new_service(AppConfig::default()).await;
    let house = house.expect("no room refuses to be built");
    let answer = house.call(request).await.expect("there are no errors beyond answers");
    let status = answer.status();
    // Nothing was evaluated yet.
    assert!(!status.is_server_error() || status == 503, "{status}");
    let is_json = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/json" || value == "application/problem+json");
    let body = to_bytes_limited(answer.into_body(), LONGEST_ANSWER).await;
    let body = body.expect("an answer of bounded length").expect("an answer that does not end halfway");
    assert!(!is_json || serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "{body:?}");
}
