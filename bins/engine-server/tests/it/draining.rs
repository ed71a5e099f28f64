//! A stop that nobody notices: `/readyz` says so first, everything is served until readers went elsewhere, and
//! nothing that was acknowledged is lost.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::client::{Client, read_answer};
use crate::documented::assert_each_row_names_a_test;
use crate::server::{Launch, Server};
use crate::{PATIENCE, eventually};

/// Longer than any test.
const LONG: &str = "600";

fn draining(seconds: &str) -> Launch {
    Launch::new().env("CARBON_PROVIDER", "static:250").env("DRAIN_SECONDS", seconds)
}

/// Waits until a stop shows.
fn unready(server: &Server) {
    eventually("a stop shows", || (server.get("/readyz").status == 503).then_some(()));
}

#[test]
fn until_readers_went_elsewhere_everything_is_served() {
    let mut server = draining(LONG).env("SCHEDULE_VALID_FOR", "1").start();
    let before = server.schedule("default/default");
    let mut kept = server.client.connect();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    kept.read_exact(&mut [0; 12]).unwrap();
    server.terminate();
    unready(&server);
    let ready = server.get("/readyz");
    ready.assert_problem(503);
    assert_eq!(ready.json()["detail"], "not ready: the process is stopping");
    assert_eq!(ready.field("retry-after"), "1");
    assert_eq!(server.get("/livez").json()["status"], "alive");
    assert_eq!(server.get("/healthz").json()["status"], "stopping");
    // Whoever keeps a connection is told that this was the last answer on it, and it is.
    kept.write_all(b"GET /schedule HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    let mut rest = String::new();
    kept.read_to_string(&mut rest).unwrap();
    let last = rest.split("HTTP/1.1 ").last().unwrap();
    assert!(last.starts_with("200 OK") && last.to_ascii_lowercase().contains("connection: close"), "{last}");
    // New connections are taken, writes too, and evaluations go on.
    server.configure("t/late", &json!({"targetError": 0.1}));
    server.schedule_when("default/default", |now| now["evaluatedAt"] != before["evaluatedAt"]);
    assert_eq!(server.metrics.send("GET", "/metrics", None).status, 200);
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
    let log = server.log();
    assert!(log.contains("stopping: /readyz says so, everything is still served"), "{log}");
}

#[test]
fn a_second_signal_ends_the_wait_and_a_terminal_does_not_wait_at_all() {
    for signals in [["TERM", "INT"], ["TERM", "TERM"]] {
        let mut server = draining(LONG).start();
        server.signal(signals[0]);
        unready(&server);
        server.signal(signals[1]);
        assert_eq!(server.ended().code(), Some(0), "{signals:?}");
    }
    let mut server = draining(LONG).start();
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn whoever_is_refused_is_told_to_go_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "write 0123456789abcdef\n").unwrap();
    let server = draining(LONG).env("TOKENS", file.to_str().unwrap()).start();
    let to = server.client.address;
    let mut kept = None;
    let refused = request("GET", "/schedule", "");
    assert_eq!((ask(&mut kept, to, &refused).unwrap(), kept.is_some()), (401, true));
    server.signal("TERM");
    unready(&server);
    assert_eq!((ask(&mut kept, to, &refused).unwrap(), kept.is_some()), (401, false));
}

#[test]
fn who_asks_for_no_wait_gets_none() {
    for seconds in ["0", "1"] {
        let mut server = draining(seconds).start();
        server.terminate();
        assert_eq!(server.ended().code(), Some(0));
        assert_eq!(server.log().contains("everything is still served"), seconds != "0");
    }
}

/// A request on a connection that is kept as long as the server wants it.
fn ask(kept: &mut Option<BufReader<TcpStream>>, to: SocketAddr, request: &[u8]) -> std::io::Result<u16> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(to)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            BufReader::new(stream)
        }
    };
    connection.get_mut().write_all(request)?;
    let (mut line, mut length, mut closes) = (String::new(), 0, false);
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line)?;
        let field = line.to_ascii_lowercase();
        closes |= field.starts_with("connection: close");
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length])?;
    if !closes {
        *kept = Some(connection);
    }
    Ok(status)
}

fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// What one client was told, and what it asked for.
#[derive(Debug, Default)]
struct Told {
    /// Number of the last PUT and of the last post that were acknowledged.
    acknowledged: u64,
    /// The last that was sent.
    sent: u64,
    /// What went wrong with a request that was sent.
    failure: Option<String>,
}

/// PUTs, feedback and GETs of schedule `t/c{index}`, one after the other, as long as `goes_on` says.
fn load(index: u64, to: SocketAddr, keeps: bool, answered: &AtomicU64, goes_on: impl Fn() -> bool) -> Told {
    let (mut told, mut kept) = (Told::default(), None);
    while goes_on() {
        told.sent += 1;
        let number = told.sent;
        let put = format!(r#"{{"validFor": {}}}"#, 3_600 + number);
        let post = format!(
            r#"{{"source": "c", "sequence": {number}, "window_seconds": 1, "windowEnd": "{}", "flavour_counts": {{"precision-70": 1}}}}"#,
            jiff::Timestamp::now()
        );
        for (request, expected) in [
            (request("PUT", &format!("/config/t/c{index}"), &put), 202),
            (request("POST", &format!("/feedback/t/c{index}"), &post), 200),
            (request("GET", &format!("/schedule/t/c{index}"), ""), 200),
        ] {
            match ask(&mut kept, to, &request) {
                Ok(status) if status == expected => {}
                Ok(status) => {
                    told.failure = Some(format!("{status} to {}", String::from_utf8_lossy(&request)));
                }
                Err(error) => told.failure = Some(error.to_string()),
            }
            if told.failure.is_some() {
                return told;
            }
            answered.fetch_add(1, Ordering::Relaxed);
            if !keeps {
                kept = None;
            }
        }
        told.acknowledged = number;
    }
    told
}

/// Clients of both kinds load the server, which is asked to stop under way.
fn stop_under_load(server: &mut Server, follows: bool) -> Vec<Told> {
    let (is_ready, answered) = (AtomicBool::new(true), AtomicU64::new(0));
    let to = server.client.address;
    let told = std::thread::scope(|threads| {
        let (is_ready, answered) = (&is_ready, &answered);
        let goes_on = move || !follows || is_ready.load(Ordering::Acquire);
        let clients: Vec<_> = (0..6)
            .map(|index| threads.spawn(move || load(index, to, index % 2 == 0, answered, goes_on)))
            .collect();
        if follows {
            // As a load balancer does.
            threads.spawn(move || {
                let probe = Client::new(to);
                while probe.try_send("GET", "/readyz", None).is_ok_and(|answer| answer.status == 200) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                is_ready.store(false, Ordering::Release);
            });
        }
        eventually("there is load", || (answered.load(Ordering::Relaxed) > 300).then_some(()));
        server.terminate();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(server.ended().code(), Some(0));
    told
}

#[test]
fn whoever_follows_readyz_misses_no_answer_and_finds_no_closed_door() {
    let mut server = draining("2").start();
    for told in stop_under_load(&mut server, true) {
        assert_eq!(told.failure, None);
        assert_eq!(told.acknowledged, told.sent);
    }
}

#[test]
fn what_was_acknowledged_under_a_stop_is_there_after_it() {
    // With and without a wait, also for those who send until the door is closed.
    for drain in ["0", "1"] {
        let folder = tempfile::tempdir().unwrap();
        let keeping = |folder: &Path| draining(drain).arg("--state-dir").arg(folder.to_str().unwrap());
        let start = || {
            let server = keeping(folder.path()).start();
            eventually("it is ready", || (server.get("/readyz").status == 200).then_some(()));
            server
        };
        let mut server = start();
        let all = stop_under_load(&mut server, false);
        let server = start();
        for (index, told) in all.iter().enumerate() {
            let config = server.get(&format!("/config/t/c{index}")).json();
            let put = config["config"]["validFor"]["value"].as_u64().unwrap() - 3_600;
            let schedule =
                server.schedule_when(&format!("t/c{index}"), |now| now["budget"]["servedRequests"].is_u64());
            let posted = schedule["budget"]["servedRequests"].as_u64().unwrap();
            // What was not answered may have been done.
            let possible = told.acknowledged..=told.sent;
            assert!(possible.contains(&put) && possible.contains(&posted), "{put}, {posted}: {told:?}");
            assert!(told.acknowledged > 0);
        }
    }
}

#[test]
fn a_stop_while_state_is_being_read_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let mut server = draining(LONG).arg("--state-dir").arg(folder.path().to_str().unwrap()).start();
        // Whether it is ready by then or not, the second signal ends it; two that come before it looks are one.
        eventually("it is gone", || {
            server.terminate();
            server.client.try_send("GET", "/livez", None).is_err().then_some(())
        });
        assert_eq!(server.ended().code(), Some(0));
    }
}

#[test]
fn one_answer_ends_a_connection_that_asks_for_several() {
    let mut server = draining(LONG).start();
    server.terminate();
    unready(&server);
    let mut stream = server.client.connect();
    let one = "GET /schedule HTTP/1.1\r\nHost: t\r\n\r\n";
    stream.write_all([one, one, one].concat().as_bytes()).unwrap();
    assert_eq!(read_answer(stream).status, 200);
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
}

/// Each row of the table of probes names a test that is there.
#[test]
fn every_answer_of_a_probe_that_is_documented_is_tested() {
    let operations = include_str!("../../../../docs/operations.md");
    let tests = [
        include_str!("draining.rs"),
        include_str!("lasting.rs"),
        include_str!("reading.rs"),
        include_str!("../../src/life.rs"),
        include_str!("../../src/turn.rs"),
    ];
    let (_, section) = operations.split_once("\n| while | `/healthz` | `/livez` | `/readyz` |").unwrap();
    let rows: Vec<_> = section.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 6, "{rows:?}");
    assert_each_row_names_a_test(&rows, &tests);
}
