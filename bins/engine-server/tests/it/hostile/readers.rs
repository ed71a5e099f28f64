//! Clients that ask and do not read, ask much at once, or ask and close their half.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use super::{assert_well, exchange, get, impatient, metrics, resident, statuses};
use crate::client::Answer;
use crate::eventually;
use crate::server::{Launch, Server};

#[test]
fn who_closes_a_half_is_answered_in_full() {
    let server = Server::start();
    for path in ["/schedule", "/schedules", "/forecasts", "/config/default/default"] {
        let answer = exchange(&server, format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes());
        assert_eq!(statuses(&answer), [200], "{path}");
        assert!(answer.ends_with(b"}"), "{path}");
    }
    let body = "PUT /config/t/half HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(statuses(&exchange(&server, body.as_bytes())), [202]);
    assert_well(&server);
}

#[test]
fn a_thousand_requests_in_one_write_are_answered_in_order() {
    let server = Server::start();
    let mut stream = server.client.connect();
    let reader = BufReader::new(stream.try_clone().unwrap());
    let ask = |number: usize| match number % 4 {
        0 => "GET /schedule HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        1 => format!("GET /schedule/t/no-{number} HTTP/1.1\r\nHost: t\r\n\r\n"),
        2 => format!(
            "PUT /config/t/p{} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
            number % 8
        ),
        _ => format!("DELETE /nothing/{number} HTTP/1.1\r\nHost: t\r\n\r\n"),
    };
    let requests: String = (0..1_000).map(ask).collect();
    let sender = std::thread::spawn(move || stream.write_all(requests.as_bytes()).unwrap());
    let mut reader = reader;
    for number in 0..1_000 {
        let answer = next_answer(&mut reader);
        let expected = [200, 404, 202, 404][number % 4];
        assert_eq!(answer.status, expected, "{number}: {answer:?}");
        match number % 4 {
            1 => assert!(answer.text().contains(&format!("no-{number}")), "{answer:?}"),
            3 => assert!(answer.text().contains(&format!("/nothing/{number}")), "{answer:?}"),
            _ => {}
        }
    }
    sender.join().unwrap();
    assert_well(&server);
}

/// The next answer on a connection.
fn next_answer(reader: &mut BufReader<TcpStream>) -> Answer {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let before = bytes.len();
        reader.read_until(b'\n', &mut bytes).unwrap();
        assert!(bytes.len() > before, "{}", String::from_utf8_lossy(&bytes));
    }
    let head = Answer::parse(&bytes).unwrap();
    let mut body = vec![0; head.field("content-length").parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    bytes.extend(body);
    Answer::parse(&bytes).unwrap()
}

/// A server whose list of schedules is large.
fn with_much_to_tell(launch: Launch) -> Server {
    let server = launch.start();
    let name = "n".repeat(200);
    let flavours: Vec<_> =
        (0..40).map(|n| json!({"name": format!("{name}-{n}"), "precision": 0.9})).collect();
    for number in 0..25 {
        server.configure(&format!("t/much-{number}"), &json!({"flavours": flavours}));
    }
    server
}

#[test]
fn who_never_reads_costs_little_and_is_left() {
    const CONNECTIONS: usize = 4;
    let server = with_much_to_tell(impatient().env("REQUEST_TIMEOUT_SECONDS", "5"));
    let answer = get(&server.client, "/schedules?limit=1000");
    assert!(answer.body.len() > 200_000, "{}", answer.body.len());
    let before = resident(&server);
    // 20 MB each: more than a system keeps for a socket, as long as its reader's part does not grow.
    let many = "GET /schedules?limit=1000 HTTP/1.1\r\nHost: t\r\n\r\n".repeat(100);
    let silent: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = server.client.connect();
            nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::RcvBuf, &65_536).unwrap();
            stream.write_all(many.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(get(&server.client, "/schedules?limit=1000").body.len(), answer.body.len());
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < CONNECTIONS as u64 * (8 << 20), "{} MiB more", grown >> 20);
    eventually("all are left", || {
        let metrics = metrics(&server);
        let ended = format!("http_connections_ended_total{{port=\"api\"}} {CONNECTIONS}");
        metrics.contains(&ended).then_some(())
    });
    drop(silent);
    assert_well(&server);
}

#[test]
fn many_requests_that_nobody_reads_the_answers_of_wait_in_little_room() {
    const CONNECTIONS: usize = 10;
    let server = Server::start();
    let before = resident(&server);
    let many = "HEAD /schedule HTTP/1.1\r\nHost:t\r\n\r\n".repeat(4_000);
    let silent: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = server.client.connect();
            stream.set_nonblocking(true).unwrap();
            let mut left = many.as_bytes();
            // As much as the server takes.
            while let Ok(length @ 1..) = stream.write(left) {
                left = &left[length..];
            }
            stream
        })
        .collect();
    for _ in 0..3 {
        assert_eq!(get(&server.client, "/schedule").status, 200);
    }
    let grown = resident(&server).saturating_sub(before);
    // Requests that were understood take a hundred times the bytes they came in.
    assert!(grown < CONNECTIONS as u64 * (5 << 20), "{} MiB more", grown >> 20);
    drop(silent);
    assert_well(&server);
}
