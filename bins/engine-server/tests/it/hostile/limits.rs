//! Each limit that has a flag: what is at it passes, what is beyond it gets the error the document says.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use super::{assert_well, get, metrics, rest, statuses};
use crate::client::read_answer;
use crate::eventually;
use crate::server::{Launch, Server};

fn limited(flags: &[&str]) -> Server {
    flags
        .iter()
        .fold(Launch::new().env("CARBON_PROVIDER", "static:250"), |launch, flag| launch.arg(flag))
        .start()
}

/// How many requests were refused at a limit.
fn refused(server: &Server, limit: &str) -> u64 {
    let metrics = metrics(server);
    let series = format!("http_requests_refused_total{{limit=\"{limit}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
}

#[test]
fn a_body_may_be_as_large_as_the_flag_says() {
    let server = limited(&["--max-body-bytes=2000"]);
    let padded = |length: usize| format!(r#"{{"pad":"{}"}}"#, "x".repeat(length - 10));
    let put = |length| {
        let head =
            format!("PUT /config/t/a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {length}");
        server.client.raw(&head, padded(length).as_bytes())
    };
    assert_eq!(put(2_000).status, 202);
    let answer = put(2_001);
    answer.assert_problem(413);
    assert_eq!(answer.json()["detail"], "the body is larger than 2000 bytes: expected a smaller one");
    assert_eq!(refused(&server, "body_bytes"), 1);
}

#[test]
fn a_head_may_be_as_large_as_the_flag_says_on_both_ports() {
    let server = limited(&["--max-head-bytes=2000"]);
    for port in [&server.client, &server.metrics] {
        for target in ["/livez", "/nowhere", "/livez?q=0123456789", "http://t:80/livez"] {
            let head = |padding: usize| format!("GET {target} HTTP/1.1\r\nX: {}", "x".repeat(padding));
            let bare = head(0).len() + "\r\nHost: test\r\nConnection: close\r\n\r\n".len();
            assert_ne!(port.raw(&head(2_000 - bare), b"").status, 431, "{target}");
            let answer = port.raw(&head(2_001 - bare), b"");
            answer.assert_problem(431);
            assert_eq!(answer.json()["detail"], "the head is larger than 2000 bytes: expected a smaller one");
        }
    }
    assert_eq!(refused(&server, "head_bytes"), 8);
}

#[test]
fn a_schedule_has_as_many_flavours_and_as_long_names_as_the_flags_say() {
    let server = limited(&["--max-flavours=3", "--max-label-length=13"]);
    let flavours = |count: usize| -> Vec<_> {
        (0..count).map(|n| json!({"name": format!("flavour-{n}"), "precision": 1})).collect()
    };
    for list in ["flavours", "strategies"] {
        server.configure("t/a", &json!({list: flavours(3)}));
        let many = server.put("/config/t/a", &json!({list: flavours(4)}));
        many.assert_problem(422);
        assert_eq!(many.problems(), format!("/{list}: 4 flavours: this server takes at most 3\n"));
        let long = server.put(
            "/config/t/a",
            &json!({list: [{"precision": 1}, {"name": "flavour-123456", "precision": 1}]}),
        );
        long.assert_problem(422);
        assert_eq!(
            long.problems(),
            format!("/{list}/1/name: `flavour-123456` is 14 bytes long: this server takes at most 13\n")
        );
    }
    let component = server.put("/config/t/a", &json!({"components": {"a-router-or-two": {}}}));
    assert_eq!(component.pointers(), ["/components/a-router-or-two"]);
    assert_eq!(refused(&server, "flavours"), 2);
    assert_eq!(refused(&server, "label_length"), 3);
}

#[test]
fn beyond_so_many_schedules_a_put_is_429() {
    let server = limited(&["--max-schedules=2"]);
    server.configure("t/second", &json!({}));
    let third = server.put("/config/t/third", &json!({}));
    third.assert_problem(429);
    assert!(!third.field("retry-after").is_empty());
    assert_eq!(refused(&server, "schedules"), 1);
    server.configure("t/second", &json!({"targetError": 0.1}));
}

/// A PUT whose body the server waits for.
fn in_flight(server: &Server) -> TcpStream {
    let mut stream = server.client.connect();
    stream
        .write_all(b"PUT /config/t/late HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    // This comes when the request is under way.
    let mut going_on = [0; 25];
    stream.read_exact(&mut going_on).unwrap();
    stream
}

#[test]
fn beyond_so_many_requests_in_flight_others_are_503_and_what_needs_no_wait_is_served() {
    let server = limited(&["--max-requests-in-flight=3"]);
    let mut waiting: Vec<TcpStream> = (0..3).map(|_| in_flight(&server)).collect();
    for (method, path) in [
        ("PUT", "/config/t/more"),
        ("POST", "/feedback/default/default"),
        ("DELETE", "/setschedule"),
        ("GET", "/schedules"),
        ("GET", "/forecasts"),
    ] {
        let answer = server.client.send(method, path, (method != "GET").then_some(&json!({})));
        answer.assert_problem(503);
        assert_eq!(answer.field("retry-after"), "1", "{method} {path}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer.json()["detail"].as_str().unwrap(), @"3 requests are under way already (--max-requests-in-flight): try again later");
        }
    }
    for path in ["/schedule", "/schedule/default/default", "/healthz", "/livez", "/readyz"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    assert_eq!(refused(&server, "requests_in_flight"), 5);
    let mut first = waiting.remove(0);
    first.write_all(b"{}").unwrap();
    let mut status = [0; 12];
    first.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 202");
    // Its place is free, and so is that of one who leaves.
    server.configure("t/more", &json!({}));
    drop(waiting);
    eventually("all places are free", || {
        let taken: Vec<_> = (0..3).map(|_| server.client.connect()).collect();
        drop(taken);
        (get(&server.client, "/schedules").status == 200).then_some(())
    });
    assert_well(&server);
}

#[test]
fn beyond_so_many_scrapes_another_is_503() {
    let server = limited(&["--max-scrapes-in-flight=1"]);
    let flavours: Vec<_> =
        (0..64).map(|n| json!({"name": format!("{}-{n}", "n".repeat(200)), "precision": 0.9})).collect();
    for number in 0..120 {
        server.configure(&format!("t/s{number}"), &json!({"flavours": flavours}));
    }
    // A scrape whose reader does not read: it is larger than what the system keeps.
    let mut silent = server.metrics.connect();
    silent.write_all(b"GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(silent.peek(&mut [0]).unwrap(), 1);
    let answer = get(&server.metrics, "/metrics");
    answer.assert_problem(503);
    assert_eq!(answer.field("retry-after"), "1");
    insta::assert_snapshot!(answer.json()["detail"].as_str().unwrap(), @"1 scrapes are under way already (--max-scrapes-in-flight): try again later");
    assert!(read_answer(silent).body.ends_with(b"0\r\n\r\n"));
    assert!(metrics(&server).contains("http_requests_refused_total{limit=\"scrapes_in_flight\"} 1\n"));
}

#[test]
fn beyond_so_many_connections_others_wait_until_one_ends() {
    let server = limited(&["--max-connections=4", "--workers=2", "--keep-alive-seconds=60"]);
    let get = b"GET /schedule HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let mut held: Vec<TcpStream> = (0..4).map(|_| in_flight(&server)).collect();
    let flood: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = server.client.connect();
            stream.write_all(get).unwrap();
            stream
        })
        .collect();
    // Those who were first are served, while the others wait.
    for stream in &mut held {
        stream.write_all(b"{}").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 202");
    }
    let metrics = metrics(&server);
    assert!(metrics.contains("http_connections_open{port=\"api\"} 4"), "{metrics}");
    for stream in &flood {
        stream.set_nonblocking(true).unwrap();
        assert!(stream.peek(&mut [0]).is_err());
        stream.set_nonblocking(false).unwrap();
    }
    drop(held);
    for stream in flood {
        assert_eq!(statuses(&rest(stream)), [200]);
    }
    assert_well(&server);
}

#[test]
fn where_files_are_few_connections_are_as_many_as_they_allow() {
    let server = Launch::with_files(360).env("CARBON_PROVIDER", "static:250").arg("--workers=2").start();
    let said = "at most 40 connections, not 16384: this process may open 360 files";
    assert!(server.log().contains(said), "{}", server.log());
    let get = b"GET /schedule HTTP/1.1\r\nHost: t\r\n\r\n";
    let flood: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = server.client.connect();
            stream.write_all(get).unwrap();
            stream
        })
        .collect();
    eventually("as many as can be are open", || {
        metrics(&server).contains("http_connections_open{port=\"api\"} 40\n").then_some(())
    });
    for mut stream in flood {
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    }
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert_well(&server);
}
