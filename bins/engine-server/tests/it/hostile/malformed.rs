//! What is no HTTP, or nearly none.

use std::io::Write as _;

use super::{assert_well, exchange, rest, statuses};
use crate::server::Server;

/// The first status that comes back; 0 where the server just closes.
fn status(server: &Server, bytes: &[u8]) -> u16 {
    statuses(&exchange(server, bytes)).first().copied().unwrap_or(0)
}

fn put(fields: &str, body: &str) -> Vec<u8> {
    format!("PUT /config/t/a HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n{fields}\r\n\r\n{body}")
        .into_bytes()
}

#[test]
fn request_lines_of_every_kind() {
    let server = Server::start();
    let mut odd = Vec::new();
    let (long, longer) = ("x".repeat(30_000), "x".repeat(60_000));
    for (line, expected) in [
        ("GET /schedule HTTP/1.1", 200),
        ("GET http://elsewhere.example/schedule HTTP/1.1", 200),
        ("GET http://user:word@elsewhere.example:1/schedule?a#b HTTP/1.1", 200),
        ("GET * HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("CONNECT elsewhere.example:443 HTTP/1.1", 404),
        ("CONNECT /schedule HTTP/1.1", 405),
        ("GET schedule HTTP/1.1", 404),
        ("GET //schedule HTTP/1.1", 404),
        ("GET /./schedule HTTP/1.1", 404),
        ("GET /schedule/../config/a/b HTTP/1.1", 404),
        ("GET /schedule/%2e%2e/%2e%2e HTTP/1.1", 422),
        ("GET /schedule/a%2Fb/c HTTP/1.1", 422),
        ("GET /schedule/%00/%ff HTTP/1.1", 422),
        ("GET /schedule/%zz/%e2%82 HTTP/1.1", 422),
        ("GET /schedule/%u0041/% HTTP/1.1", 422),
        ("GET /schedules?limit=%00&continue=%ff HTTP/1.1", 422),
        ("GET /schedules?limit=99999999999999999999999 HTTP/1.1", 422),
        ("GET /schedules?limit=1&limit=2 HTTP/1.1", 422),
        (&format!("GET /{long} HTTP/1.1"), 404),
        (&format!("GET /schedule/{long}/a HTTP/1.1"), 422),
        (&format!("GET /schedule/{longer}/a HTTP/1.1"), 431),
        (&format!("GET /schedule/{longer}/{longer} HTTP/1.1"), 400),
        (&format!("GET /schedules?continue={long} HTTP/1.1"), 422),
        (&format!("{long} /schedule HTTP/1.1"), 405),
        ("get /schedule HTTP/1.1", 405),
        ("GET /schedule HTTP/1.0", 200),
        ("GET /schedule HTTP/0.9", 400),
        ("GET /schedule HTTP/2.0", 400),
        ("GET /schedule HTTP/11", 400),
        ("GET /schedule http/1.1", 400),
        ("GET /schedule", 400),
        ("GET", 400),
        ("GET /sche dule HTTP/1.1", 400),
        ("GET  /schedule HTTP/1.1", 400),
        ("G\0T /schedule HTTP/1.1", 400),
        ("GET /\u{e9} HTTP/1.1", 400),
        ("PRI * HTTP/2.0", 400),
    ] {
        let found = status(&server, format!("{line}\r\nHost: t\r\n\r\n").as_bytes());
        if found != expected {
            odd.push((line.chars().take(100).collect::<String>(), found, expected));
        }
    }
    assert!(odd.is_empty(), "{odd:#?}");
    assert_well(&server);
}

#[test]
fn header_fields_of_every_kind() {
    let server = Server::start();
    let mut odd = Vec::new();
    let many = |count: usize| "a: b\r\n".repeat(count);
    for (fields, expected) in [
        ("Host: t\r\n", 200),
        ("", 400),
        ("Host: t\r\nHost: t\r\n", 400),
        ("Host: t\r\nX: a\0b\r\n", 400),
        ("Host: t\r\nX: a\rb\r\n", 400),
        ("Host: t\r\nX: a\r\n folded\r\n", 400),
        ("Host: t\r\nno colon\r\n", 400),
        ("Host: t\r\n: no name\r\n", 400),
        ("Host: t\r\nX : a\r\n", 400),
        ("Host: t\r\nX\u{e9}: a\r\n", 400),
        ("Host: t\r\nX: \u{e9}\r\n", 200),
        ("Host: t\r\nIf-None-Match: \u{e9}\u{ff}\r\nIf-None-Match: \"\"\r\n", 200),
        ("Host: t\r\nContent-Type: ,;=\r\nAccept: \u{7}\r\n", 400),
        ("Host: t\r\nExpect: 100-continue\r\n", 100),
        ("Host: t\r\nExpect: miracles\r\n", 200),
        ("Host: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n", 200),
        (
            "Host: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            200,
        ),
        ("Host: t\r\nConnection: close, close, keep-alive\r\n", 200),
        (&format!("Host: t\r\n{}", many(95)), 200),
        (&format!("Host: t\r\n{}", many(96)), 431),
        (&format!("Host: t\r\n{}", many(10_000)), 431),
        (&format!("Host: t\r\nX: {}\r\n", "x".repeat(32_000)), 200),
        (&format!("Host: t\r\nX: {}\r\n", "x".repeat(100_000)), 431),
        (&format!("Host: t\r\nX: {}\r\n", "x".repeat(1 << 20)), 431),
        (&format!("Host: t\r\n{}: x\r\n", "x".repeat(1 << 20)), 431),
    ] {
        let found = status(&server, format!("GET /schedule HTTP/1.1\r\n{fields}\r\n").as_bytes());
        if found != expected {
            odd.push((fields.chars().take(100).collect::<String>(), found, expected));
        }
    }
    assert!(odd.is_empty(), "{odd:#?}");
    assert_well(&server);
}

#[test]
fn no_two_readers_of_a_length_could_disagree() {
    let server = Server::start();
    let mut odd = Vec::new();
    for (fields, body, expected) in [
        ("Content-Length: 2", "{}", 202),
        ("Content-Length: +2", "{}", 400),
        ("Content-Length: -2", "{}", 400),
        ("Content-Length: 0x2", "{}", 400),
        ("Content-Length: 2, 2", "{}", 400),
        ("Content-Length: 2\r\nContent-Length: 2", "{}", 400),
        ("Content-Length: 2\r\nContent-Length: 3", "{}", 400),
        ("Content-Length: 99999999999999999999", "{}", 400),
        ("Content-Length: 18446744073709551615", "{}", 413),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 2", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked, chunked", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: gzip, chunked", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked, identity", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: identity\r\nContent-Length: 2", "{}", 400),
        ("Transfer-Encoding: xchunked", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding : chunked", "2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n", 202),
        ("Transfer-Encoding: chunked", "2;name=value;x=\"y\"\r\n{}\r\n0\r\n\r\n", 202),
        ("Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n", 202),
        ("Transfer-Encoding: chunked", "02\r\n{}\r\n00\r\n\r\n", 202),
        ("Transfer-Encoding: chunked", "-2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "0x2\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "1\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "3\r\n{}\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "2\n{}\n0\n\n", 400),
        ("Transfer-Encoding: chunked", "\r\n", 400),
        ("Transfer-Encoding: chunked", "fffffffffffffffff\r\n{}", 400),
        ("Transfer-Encoding: chunked", "ffffffffffffffff\r\n{}", 400),
        ("Transfer-Encoding: chunked", "7fffffff\r\n{}", 400),
        ("Transfer-Encoding: chunked", &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(1 << 20)), 202),
        ("Transfer-Encoding: chunked", &format!("{}2\r\n{{}}\r\n0\r\n\r\n", "0".repeat(1 << 20)), 202),
        ("Transfer-Encoding: chunked", &format!("2\r\n{{}}\r\n0\r\n{}\r\n", "a: b\r\n".repeat(100_000)), 202),
    ] {
        let found = statuses(&exchange(&server, &put(fields, body)));
        let shown: String = body.chars().take(60).collect();
        if found.first() != Some(&expected) {
            odd.push((fields, shown.clone(), found.clone(), expected));
        }
        // What a client smuggles into a body is never an answer of its own.
        assert!(found.iter().skip(1).all(|status| *status == 400), "{fields}: {shown:?}: {found:?}");
    }
    assert!(odd.is_empty(), "{odd:#?}");
    assert_well(&server);
}

#[test]
fn what_follows_an_ambiguous_request_is_not_served() {
    let server = Server::start();
    for fields in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Content-Length: 2\r\nContent-Length: 40",
        "Transfer-Encoding: chunked, identity",
    ] {
        let smuggled = "0\r\n\r\nDELETE /config/t/victim HTTP/1.1\r\nHost: t\r\n\r\n";
        server.configure("t/victim", &serde_json::json!({}));
        assert_eq!(statuses(&exchange(&server, &put(fields, smuggled))), [400], "{fields}");
        assert_eq!(server.get("/config/t/victim").status, 200, "{fields}");
    }
    assert_well(&server);
}

#[test]
fn other_protocols_are_turned_away() {
    let server = Server::start();
    let hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\r\n\r\n";
    for bytes in [
        &hello[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n\r\n",
        b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00\r\n\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /schedule HTTP/1.1\r\nHost: t\r\n\r\n",
        &[0; 4096],
        &vec![b'\n'; 200_000],
        &vec![0xff; 200_000],
    ] {
        let found = statuses(&exchange(&server, bytes));
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert!(found.is_empty() || found == [400] || found == [431], "{shown:?}: {found:?}");
    }
    assert_well(&server);
}

#[test]
fn a_client_may_leave_at_any_byte() {
    let server = Server::start();
    let whole = put("Content-Length: 21", r#"{"policy": "unknown"}"#);
    for length in 0..whole.len() {
        let mut stream = server.client.connect();
        stream.write_all(&whole[..length]).unwrap();
        // Half of them wait for what is said to that, the others are gone.
        if length % 2 == 0 {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let found = statuses(&rest(stream));
            assert!(found.iter().all(|status| *status == 400), "{length}: {found:?}");
        }
    }
    assert_eq!(server.get("/schedule/t/a").status, 404);
    assert_well(&server);
}
