//! Clients that take their time: the server ends what goes on for ever, by its own clock.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{assert_well, get, impatient, metrics, rest, statuses};
use crate::client::read_answer;
use crate::server::Server;
use crate::{eventually, within};

/// Sends `bytes` one by one, over and over, until the server has had enough.
fn trickle(mut stream: TcpStream, first: &[u8], bytes: &[u8]) -> Vec<u16> {
    stream.write_all(first).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let ended = within(crate::PATIENCE, || {
        let next = bytes.iter().find_map(|byte| writer.write_all(&[*byte]).err());
        let closed = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        stream.set_nonblocking(false).unwrap();
        (next.is_some() || closed.is_ok()).then_some(())
    });
    assert!(ended.is_some(), "it goes on and on");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    statuses(&rest(stream))
}

/// How long a connection may be idle here.
const KEPT: Duration = Duration::from_secs(1);
const GET: &[u8] = b"GET /schedule HTTP/1.1\r\nHost: t\r\n\r\n";

#[test]
fn a_head_that_trickles_is_408() {
    let server = impatient().start();
    let stream = server.client.connect();
    let found = trickle(stream, b"GET /schedule HTTP/1.1\r\nHost: t\r\nX: ", b"y");
    assert!(found.is_empty() || found == [408], "{found:?}");
    // Nothing at all is too slow as well.
    let silent = rest(server.client.connect());
    assert!([vec![], vec![408]].contains(&statuses(&silent)));
    assert_well(&server);
}

#[test]
fn a_later_head_that_trickles_ends_the_connection() {
    let server = impatient().start();
    let mut stream = server.client.connect();
    stream.write_all(GET).unwrap();
    let mut start = [0; 15];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    stream.write_all(b"GET /schedule HTTP/1.1\r\nHost: t\r\nX: ").unwrap();
    let mut writer = stream.try_clone().unwrap();
    eventually("the connection ends", || writer.write_all(b"y").err());
    let metrics = metrics(&server);
    assert!(metrics.contains("http_connections_ended_total{port=\"api\"} 1"), "{metrics}");
    assert_well(&server);
}

#[test]
fn an_idle_connection_ends_after_its_time() {
    let server = impatient().start();
    let mut stream = server.client.connect();
    stream.write_all(GET).unwrap();
    assert_eq!(statuses(&rest(stream)), [200]);
    assert_well(&server);
}

#[test]
fn one_that_only_probes_is_kept_on_either_port_for_as_long_as_it_does() {
    let server = impatient().start();
    for (client, path) in
        [(&server.client, "/schedule"), (&server.metrics, "/livez"), (&server.metrics, "/metrics")]
    {
        let mut stream = client.connect();
        let began = Instant::now();
        // A request well before each time that a connection may be idle; all of them take longer than that.
        let mut answered = 0;
        while began.elapsed() < 5 * KEPT {
            stream.write_all(format!("HEAD {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).unwrap();
            let mut start = [0; 15];
            stream.read_exact(&mut start).unwrap_or_else(|ended| panic!("{path}: {ended} after {answered}"));
            assert_eq!(&start, b"HTTP/1.1 200 OK");
            let mut end = [0; 4];
            while &end != b"\r\n\r\n" {
                end.rotate_left(1);
                stream.read_exact(&mut end[3..]).unwrap();
            }
            answered += 1;
            std::thread::sleep(KEPT / 4);
        }
        assert!(answered > 4, "{answered}");
    }
}

#[test]
fn a_body_that_trickles_is_408() {
    let server = impatient().start();
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let head = format!(
            "PUT /config/t/slow HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
        );
        let next: &[u8] = if framing.starts_with('C') { b" " } else { b"1\r\n \r\n" };
        let found = trickle(server.client.connect(), head.as_bytes(), next);
        assert!(found.is_empty() || found == [408], "{framing}: {found:?}");
    }
    // One that stops is answered as every error is.
    let mut stream = server.client.connect();
    let head = "PUT /config/t/slow HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_answer(stream);
    answer.assert_problem(408);
    insta::assert_snapshot!(answer.json()["detail"].as_str().unwrap(), @"the body did not arrive in time: expected all of it within 1 s");
    assert_eq!(get(&server.client, "/schedule/t/slow").status, 404);
    let metrics = metrics(&server);
    assert!(metrics.contains("http_requests_refused_total{limit=\"request_timeout\"}"));
    assert_well(&server);
}

#[test]
fn a_body_that_nobody_asked_for_does_not_keep_a_connection() {
    let server = impatient().start();
    for framing in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let head = format!("GET /schedule HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n");
        let next: &[u8] = if framing.starts_with('C') { b" " } else { b"1\r\n \r\n" };
        let mut stream = server.client.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let mut writer = stream.try_clone().unwrap();
        eventually("the connection ends", || writer.write_all(next).err());
        drop(stream);
    }
    assert_well(&server);
}

#[test]
fn a_hundred_that_trickle_keep_nobody_from_being_served() {
    let server: Server = impatient().start();
    server.configure("t/a", &json!({}));
    let slow: Vec<TcpStream> = (0..100)
        .map(|number| {
            let mut stream = server.client.connect();
            let part = &b"PUT /config/t/a HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"[..];
            stream.write_all(&part[..=number % part.len()]).unwrap();
            stream
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(get(&server.client, "/schedule/t/a").status, 200);
    }
    for stream in slow {
        let found = statuses(&rest(stream));
        assert!(found.is_empty() || found == [408], "{found:?}");
    }
    assert_well(&server);
}
