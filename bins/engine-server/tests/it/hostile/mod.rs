//! Clients that mean harm, over plain sockets: whatever they send, others are served, memory stays bounded, nothing
//! panics, and no answer says that the server failed.

mod connections;
mod limits;
mod malformed;
mod random;
mod readers;
mod slow;

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use crate::client::{Answer, Client};
use crate::server::{Launch, Server};

/// Most memory that a server of a few schedules may take, whatever was done to it.
const BOUND: u64 = 160 << 20;

/// A server with short patience.
fn impatient() -> Launch {
    Launch::new()
        .env("CARBON_PROVIDER", "static:250")
        .env("REQUEST_TIMEOUT_SECONDS", "1")
        .env("KEEP_ALIVE_SECONDS", "1")
}

/// Memory that a server has in use, in bytes.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A GET on a connection of its own: one that is kept may have ended meanwhile.
fn get(client: &Client, path: &str) -> Answer {
    client.raw(&format!("GET {path} HTTP/1.1"), b"")
}

/// What `/metrics` says.
fn metrics(server: &Server) -> String {
    let answer = get(&server.metrics, "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// What has to hold after an attack.
#[track_caller]
fn assert_well(server: &Server) {
    assert_eq!(get(&server.client, "/schedule").status, 200);
    assert_eq!(get(&server.client, "/healthz").status, 200);
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    let resident = resident(server);
    assert!(resident < BOUND, "{} MiB resident", resident >> 20);
}

/// Sends `bytes` on a connection of its own, then nothing more; what comes back until the server closes. A server
/// that has said what it thinks need not listen to the rest.
fn exchange(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = server.client.connect();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    rest(stream)
}

/// What comes until the server closes; a reset is an end too.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return answer,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return answer,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
}

/// The statuses of all answers, one after the other; they have to be HTTP to the last byte, but for one that was cut
/// off in its body where the server closed.
#[track_caller]
fn statuses(mut bytes: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            panic!("no head: {shown}");
        };
        let head = std::str::from_utf8(&bytes[..end]).unwrap_or_else(|_| panic!("no text: {shown}"));
        let status = head.strip_prefix("HTTP/1.1 ").or(head.strip_prefix("HTTP/1.0 "));
        let status: u16 = status
            .and_then(|status| status.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("no status: {shown}"));
        bytes = &bytes[end + 4..];
        if status != 100 {
            let fields = head.to_ascii_lowercase();
            let length =
                fields.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let length = if status == 304 { 0 } else { length.unwrap_or(0) };
            assert!(!fields.contains("transfer-encoding"), "not expected here: {shown}");
            bytes = bytes.get(length..).unwrap_or_default();
        }
        statuses.push(status);
    }
    statuses
}
