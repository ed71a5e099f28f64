//! Thousands of connections that do nothing.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use super::{assert_well, get, metrics, rest, statuses};
use crate::eventually;
use crate::server::Launch;

/// As many as the issue asks for, where this process and the server may open so many files.
const WANTED: u64 = 10_000;
/// Files that this process has open beside them.
const OTHERS: u64 = 500;

/// What this process may open.
fn allowed() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(u64::MAX)
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_from_being_served() {
    // Tests run side by side in one process, or each in its own.
    let count = WANTED.min(allowed().saturating_sub(OTHERS) / 2);
    // Patient enough for a machine that has much else to do.
    let launch = Launch::new().env("CARBON_PROVIDER", "static:250").env("KEEP_ALIVE_SECONDS", "600");
    let server = launch.env("REQUEST_TIMEOUT_SECONDS", "600").start();
    let mut idle = Vec::new();
    for number in 0..count {
        match TcpStream::connect(server.client.address) {
            Ok(mut stream) => {
                // Some have said a part of a head, some a whole request.
                if number % 3 == 1 {
                    stream.write_all(b"GET /sch").unwrap();
                } else if number % 3 == 2 {
                    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
                }
                idle.push(stream);
            }
            // Ports of this machine are used up.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => break,
            Err(error) => panic!("connection {number}: {error}"),
        }
        if number % 500 == 0 {
            assert_eq!(get(&server.client, "/schedule").status, 200);
        }
    }
    let open = format!("http_connections_open{{port=\"api\"}} {}\n", idle.len());
    eventually("all are open", || {
        assert_eq!(get(&server.client, "/schedule").status, 200);
        metrics(&server).contains(&open).then_some(())
    });
    let mut stream = idle.pop().unwrap();
    stream.write_all(b"GET /schedule HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(crate::PATIENCE)).unwrap();
    let found = statuses(&rest(stream));
    assert!(!found.is_empty());
    drop(idle);
    eventually("all are gone", || {
        let metrics = metrics(&server);
        metrics.contains("http_connections_open{port=\"api\"} 0\n").then_some(())
    });
    assert_well(&server);
}
