//! Whole requests at random: methods, paths, header fields in any order, bodies. Every answer is HTTP, none says that the
//! server failed, and where the connection goes on, the next request is understood.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::{assert_well, exchange, statuses};
use crate::server::Server;

const METHODS: [&str; 10] =
    ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "X"];
const PATHS: [&str; 18] = [
    "/",
    "/healthz",
    "/livez",
    "/readyz",
    "/schedule",
    "/schedule/t/a",
    "/schedule/t/a/manual",
    "/setschedule",
    "/config/t/a",
    "/config/t/a",
    "/config/t/b",
    "/feedback/t/a",
    "/schedules",
    "/schedules?limit=2&continue=t/a",
    "/forecasts",
    "/forecasts/national/vintages",
    "/forecasts/national/actuals?from=2026-01-01T00:00:00Z",
    "*",
];
const FIELDS: [&str; 22] = [
    "Host: t",
    "Content-Type: application/json",
    "Content-Type: text/plain",
    "content-type: application/x+json;a=b",
    "Content-Length: 0",
    "Content-Length: 2",
    "Content-Length: 1048577",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: upgrade",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "If-None-Match: *",
    "If-None-Match: \"a\", W/\"b\"",
    "Authorization: Bearer x",
    "Authorization:",
    "Accept-Encoding: gzip",
    "Range: bytes=0-1",
    "X-Forwarded-For: 127.0.0.1",
    "Cookie: \u{e9}",
];
const BODIES: [&str; 8] = [
    "{}",
    r#"{"policy":"forecast-aware","targetError":0.1,"validFor":"60","creditMin":-1}"#,
    r#"{"strategies":[{"precision":1},{"precision":0.85,"enabled":false},{"precision":70,"energyWh":0.2}]}"#,
    r#"{"scheduler":{"policy":"receding-horizon","carbonTimeout":1},"components":{"router":{"minReplicas":1}}}"#,
    r#"{"flavour_counts":{"precision-100":5,"precision-70":1},"window_seconds":30,"source":"r","sequence":3}"#,
    r#"{"flavourWeights":{"precision-100":1},"ttlSeconds":30,"reason":"why"}"#,
    r#"{"flavours":[{"name":"a","precision":1e-300},{"name":"","precision":-0.0}],"budgetWindow":1e308}"#,
    r#"[[[{"a":null}]]]"#,
];

/// What is done to bytes.
fn damage(bytes: &[u8], edits: &[(Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, kind, byte) in edits {
        let place = place.index(bytes.len() + 1).min(bytes.len().saturating_sub(1));
        match kind % 4 {
            0 => bytes.insert(place, *byte),
            1 if !bytes.is_empty() => bytes[place] = *byte,
            2 if !bytes.is_empty() => drop(bytes.remove(place)),
            _ => bytes.extend_from_within(place..),
        }
    }
    bytes
}

fn edits(most: usize) -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    prop::collection::vec(any::<(Index, u8, u8)>(), 0..=most)
}

/// A whole request, and whether it is framed as it should be.
#[derive(Clone)]
struct Asked {
    bytes: Vec<u8>,
    is_framed: bool,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.bytes))
    }
}

prop_compose! {
    fn requests()(
        method in select(&METHODS[..]),
        path in prop_oneof![
            4 => select(&PATHS[..]).prop_map(str::to_owned),
            1 => "/(schedule|config|feedback|forecasts)/[ -~]{0,20}/[a-z%0-9./?&=é]{0,30}",
        ],
        fields in prop::collection::vec(select(&FIELDS[..]), 0..6),
        place in any::<Index>(),
        body in select(&BODIES[..]),
        body_edits in edits(4),
        chunked in any::<bool>(),
        is_framed in prop::bool::weighted(0.7),
        head_edits in prop_oneof![3 => Just(Vec::new()), 1 => edits(3)],
    ) -> Asked {
        let body = damage(body.as_bytes(), &body_edits);
        let about_body = |field: &str| {
            let field = field.to_ascii_lowercase();
            ["content-length", "transfer-encoding", "host"].iter().any(|name| field.starts_with(name))
        };
        let mut fields: Vec<String> =
            fields.iter().filter(|field| !(is_framed && about_body(field))).map(|&field| field.to_owned()).collect();
        let mut sent = body.clone();
        if is_framed {
            let framing = if chunked {
                sent = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
                if body.is_empty() {
                    sent = b"0\r\n\r\n".to_vec();
                }
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", body.len())
            };
            for field in [framing, "Host: t".to_owned()] {
                fields.insert(place.index(fields.len() + 1), field);
            }
        }
        let head = format!("{method} {path} HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"));
        let head = damage(head.as_bytes(), &head_edits);
        let is_framed = is_framed && head_edits.is_empty();
        Asked { bytes: [head, sent].concat(), is_framed }
    }
}

/// As on a connection that goes on.
const NEXT: &[u8] = b"GET /livez HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";

/// What came back to `requests` and [`NEXT`] on one connection.
fn ask(server: &Server, requests: &[Asked]) -> Vec<u8> {
    let mut bytes: Vec<u8> = requests.iter().flat_map(|request| request.bytes.clone()).collect();
    bytes.extend_from_slice(NEXT);
    exchange(server, &bytes)
}

/// Whether what follows a request on its connection has to be answered too.
fn goes_on(request: &Asked) -> bool {
    let head = request.bytes.to_ascii_lowercase();
    let says = |what: &[u8]| head.windows(what.len()).any(|window| window == what);
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let is_target = words.len() == 3
        && words[1].iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-%?&=*:".contains(byte));
    request.is_framed
        && is_target
        && !["close", "connect ", "upgrade"].iter().any(|what| says(what.as_bytes()))
}

fn check(requests: &[Asked], answers: &[u8]) -> Result<(), TestCaseError> {
    let shown = String::from_utf8_lossy(answers);
    prop_assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{shown}");
    // No body here says `HTTP/1.1 `, so that what does is a head. Answers to HEAD have a length and no body.
    let heads: Vec<&str> = shown.split("HTTP/1.1 ").skip(1).collect();
    prop_assert!(heads.iter().all(|head| !head.starts_with('5')), "{shown}");
    let finals: Vec<&&str> = heads.iter().filter(|head| !head.starts_with("100 ")).collect();
    let is_framed = requests.iter().all(|request| request.is_framed);
    prop_assert!(!is_framed || finals.len() <= requests.len() + 1, "{shown} to {requests:?}");
    if requests.iter().all(goes_on) {
        // Every one is answered, or an answer says that nothing more will be.
        let says_close = |head: &&str| head.to_ascii_lowercase().contains("connection: close");
        let is_closed = finals.iter().take(requests.len()).any(|head| says_close(head));
        prop_assert!(finals.len() == requests.len() + 1 || is_closed, "{shown} to {requests:?}");
        prop_assert!(is_closed || shown.ends_with(r#"{"status":"alive"}"#), "{shown} to {requests:?}");
    }
    Ok(())
}

#[test]
fn no_request_makes_the_server_fail() {
    // One for all cases: what one request leaves behind, the next one finds.
    let server = Server::start();
    server.configure("t/a", &json!({}));
    let config =
        ProptestConfig { max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() };
    let config = ProptestConfig { cases: config.cases.max(600), ..config };
    let mut runner = TestRunner::new(config);
    let outcome = runner
        .run(&prop::collection::vec(requests(), 1..4), |requests| check(&requests, &ask(&server, &requests)));
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    assert_well(&server);
}

#[test]
fn every_byte_at_the_places_that_matter() {
    let server = Server::start();
    for byte in 0..=u8::MAX {
        for place in [0, 4, 5, 14, 24, 30] {
            let mut request = b"GET /schedule HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".to_vec();
            request[place] = byte;
            let found = statuses(&exchange(&server, &request));
            assert!(found.iter().all(|status| *status < 500), "{}", String::from_utf8_lossy(&request));
        }
    }
    assert_well(&server);
}
