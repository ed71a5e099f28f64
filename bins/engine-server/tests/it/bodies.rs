//! Status codes, and bodies of every kind.

use std::io::Write as _;

use models::body::MAX_DEPTH;
use serde_json::json;

use crate::client::{Answer, read_answer};
use crate::server::Server;

const JSON: &str = "Content-Type: application/json";

/// A PUT of `body` with these header fields, byte for byte.
fn put(server: &Server, fields: &str, body: &[u8]) -> Answer {
    let fields = if fields.is_empty() { String::new() } else { format!("\r\n{fields}") };
    server.client.raw(&format!("PUT /config/t/body HTTP/1.1\r\nContent-Length: {}{fields}", body.len()), body)
}

#[test]
fn bodies_are_json_objects_or_are_refused_with_a_reason() {
    let server = Server::start();
    let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let list = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        (JSON, b"{}".to_vec(), 202),
        (JSON, b" \r\n{\"policy\": \"p100\"}\t".to_vec(), 202),
        (JSON, b"\xef\xbb\xbf{\"policy\":\"p100\"}".to_vec(), 202),
        (JSON, br#"{"policy":"nope","policy":"p100"}"#.to_vec(), 202),
        (JSON, nested(MAX_DEPTH).into_bytes(), 202),
        (JSON, list(MAX_DEPTH).into_bytes(), 202),
        (
            JSON,
            br#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}"#.to_vec(),
            202,
        ),
        (JSON, nested(MAX_DEPTH + 1).into_bytes(), 400),
        (JSON, list(MAX_DEPTH + 1).into_bytes(), 400),
        (JSON, "[".repeat(100_000).into_bytes(), 400),
        (JSON, nested(100_000).into_bytes(), 400),
        (JSON, b"".to_vec(), 400),
        ("", b"".to_vec(), 400),
        (JSON, b"{not json".to_vec(), 400),
        (JSON, b"{\"policy\":\"\xff\"}".to_vec(), 400),
        (JSON, b"\xff\xfe{\0}\0".to_vec(), 400),
        (JSON, b"{\"policy\":\"p100\"} x".to_vec(), 400),
        (JSON, b"{\"policy\":\"p100\"/*c*/}".to_vec(), 400),
        (JSON, b"{\"targetError\":NaN}".to_vec(), 400),
        (JSON, b"{\"targetError\":Infinity}".to_vec(), 400),
        (JSON, b"null".to_vec(), 400),
        (JSON, b"[]".to_vec(), 400),
        (JSON, b"[1]".to_vec(), 400),
        (JSON, b"\"\"".to_vec(), 400),
        (JSON, b"0".to_vec(), 400),
        (JSON, b"false".to_vec(), 400),
        (JSON, b"{\"targetError\":1e400}".to_vec(), 422),
        (JSON, b"{\"unknown\":[-1e400]}".to_vec(), 422),
        (JSON, b"{\"targetError\":123456789012345678901234567890}".to_vec(), 422),
    ];
    for (fields, body, status) in cases {
        let answer = put(&server, fields, &body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        if status != 202 {
            answer.assert_problem(status);
        }
    }
}

#[test]
fn only_json_content_types_will_do() {
    let server = Server::start();
    for (kind, status) in [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("APPLICATION/JSON", 202),
        ("application/merge-patch+json", 202),
        ("application/problem+json;x=y", 202),
        ("text/plain", 415),
        ("text/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/x-ndjson", 415),
        ("application/jsonp", 415),
        ("json", 415),
        ("", 415),
    ] {
        assert_eq!(put(&server, &format!("Content-Type: {kind}"), b"{}").status, status, "{kind}");
    }
    let missing = put(&server, "", b"{}");
    missing.assert_problem(415);
    insta::assert_snapshot!(missing.text(), @r#"{"type":"about:blank","title":"Unsupported Media Type","status":415,"detail":"the body has no JSON content type: expected Content-Type: application/json","error":"the body has no JSON content type: expected Content-Type: application/json"}"#);
    // The same for every body.
    for path in ["/schedule/default/default/manual", "/setschedule", "/feedback/default/default"] {
        let answer = server
            .client
            .raw(&format!("POST {path} HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2"), b"{}");
        answer.assert_problem(415);
    }
}

/// `{"pad":"xx.."}` of exactly so many bytes.
fn padded(length: usize) -> Vec<u8> {
    let frame = br#"{"pad":""}"#.len();
    format!(r#"{{"pad":"{}"}}"#, "x".repeat(length - frame)).into_bytes()
}

/// The same in chunks of at most `piece` bytes.
fn chunked(body: &[u8], piece: usize) -> Vec<u8> {
    let mut chunks = Vec::new();
    for chunk in body.chunks(piece) {
        chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunks.extend([chunk, b"\r\n"].concat());
    }
    chunks.extend(b"0\r\n\r\n");
    chunks
}

#[test]
fn a_body_is_at_most_a_mebibyte() {
    const MEBIBYTE: usize = 1 << 20;
    let server = Server::start();
    assert_eq!(put(&server, JSON, &padded(MEBIBYTE)).status, 202);
    put(&server, JSON, &padded(MEBIBYTE + 1)).assert_problem(413);
    let in_chunks = |length: usize| {
        let head = format!("PUT /config/t/body HTTP/1.1\r\n{JSON}\r\nTransfer-Encoding: chunked");
        server.client.raw(&head, &chunked(&padded(length), 7_777))
    };
    assert_eq!(in_chunks(40).status, 202);
    assert_eq!(in_chunks(MEBIBYTE).status, 202);
    in_chunks(MEBIBYTE + 1).assert_problem(413);
    // Announced is enough: nothing of it need be sent.
    let head = format!("PUT /config/t/body HTTP/1.1\r\n{JSON}\r\nContent-Length: 2000000000000");
    let answer = server.client.raw(&head, b"{");
    answer.assert_problem(413);
    insta::assert_snapshot!(answer.text(), @r#"{"type":"about:blank","title":"Payload Too Large","status":413,"detail":"the body is larger than 1048576 bytes: expected a smaller one","error":"the body is larger than 1048576 bytes: expected a smaller one"}"#);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_body_that_does_not_arrive_whole_is_refused_and_nothing_is_applied() {
    let server = Server::start();
    server.configure("t/body", &json!({"policy": "p100"}));
    let cut = |head: &str, body: &[u8]| {
        let mut stream = server.client.connect();
        write!(
            stream,
            "PUT /config/t/body HTTP/1.1\r\nHost: t\r\n{JSON}\r\nConnection: close\r\n{head}\r\n\r\n"
        )
        .unwrap();
        stream.write_all(body).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        read_answer(stream)
    };
    cut("Content-Length: 50", br#"{"policy":"random"}"#).assert_problem(400);
    cut("Transfer-Encoding: chunked", b"ZZ\r\n{}\r\n0\r\n\r\n").assert_problem(400);
    cut("Transfer-Encoding: chunked", b"13\r\n{\"policy\":\"random\"}\r\n").assert_problem(400);
    assert_eq!(server.schedule("t/body")["policy"]["name"], "p100");
}

#[test]
fn another_method_is_405_and_allow_names_the_right_ones() {
    let server = Server::start();
    for (path, allow) in [
        ("/healthz", "GET, HEAD"),
        ("/livez", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/schedule", "GET, HEAD"),
        ("/schedules", "GET, HEAD"),
        ("/schedule/a/b", "GET, HEAD"),
        ("/config/a/b", "GET, HEAD, PUT, DELETE"),
        ("/schedule/a/b/manual", "POST, DELETE"),
        ("/setschedule", "POST, DELETE"),
        ("/feedback/a/b", "POST"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "FOO"] {
            let answer =
                server.client.raw(&format!("{method} {path} HTTP/1.1\r\n{JSON}\r\nContent-Length: 2"), b"{}");
            if allow.split(", ").any(|allowed| allowed == method) {
                assert_ne!(answer.status, 405, "{method} {path}");
                continue;
            }
            assert_eq!((answer.status, answer.field("allow")), (405, allow), "{method} {path}");
            if method != "HEAD" {
                answer.assert_problem(405);
            }
        }
        let options = server.client.raw(&format!("OPTIONS {path} HTTP/1.1"), b"");
        assert_eq!(
            (options.status, options.field("allow")),
            (200, format!("{allow}, OPTIONS").as_str()),
            "{path}"
        );
    }
    insta::assert_snapshot!(server.delete("/schedule/a/b").text(), @r#"{"type":"about:blank","title":"Method Not Allowed","status":405,"detail":"DELETE is not allowed here: expected GET, HEAD","error":"DELETE is not allowed here: expected GET, HEAD"}"#);
}

#[test]
fn what_is_not_http_is_refused_and_the_next_one_is_served() {
    let server = Server::start();
    for bytes in [
        &b"GARBAGE\r\n\r\n"[..],
        b"GET /schedule HTTP/9.9\r\nHost: t\r\n\r\n",
        b"GET /schedule HTTP/1.1\r\nno colon\r\n\r\n",
        b"PUT /config/a/b HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n{}",
        b"PUT /config/a/b HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"GET /\xff HTTP/1.1\r\nHost: t\r\n\r\n",
        &[b"GET /schedule HTTP/1.1\r\nHost: t\r\nX: ", "x".repeat(200_000).as_bytes(), b"\r\n\r\n"].concat(),
    ] {
        let mut stream = server.client.connect();
        let _ = stream.write_all(bytes);
        let answer = read_answer(stream);
        assert!(
            [400, 431].contains(&answer.status),
            "{}: {answer:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
        );
        assert_eq!(server.get("/schedule").status, 200);
    }
}
