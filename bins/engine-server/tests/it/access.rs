//! Who may write.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use serde_json::json;

use crate::client::Client;
use crate::server::{Launch, Server};

/// This machine's own address on its network, if it has one. Nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// A server on every address, and a client that reaches it by another one than loopback.
fn from_elsewhere(launch: Launch) -> Option<(Server, Client)> {
    let Some(own) = own_address() else {
        println!("skipped: this machine has no address but loopback; access.rs has the rule itself tested");
        return None;
    };
    let launch = launch.arg("--listen").arg("0.0.0.0:0").arg("--metrics-listen").arg("127.0.0.1:0");
    let server = launch.env("CARBON_PROVIDER", "static:250").start();
    let client = Client::new(SocketAddr::new(own, server.client.address.port()));
    Some((server, client))
}

const WRITES: [(&str, &str); 6] = [
    ("PUT", "/config/default/default"),
    ("DELETE", "/config/default/default"),
    ("POST", "/schedule/default/default/manual"),
    ("DELETE", "/schedule/default/default/manual"),
    ("POST", "/setschedule"),
    ("POST", "/feedback/default/default"),
];

#[test]
fn only_loopback_may_write() {
    let Some((server, elsewhere)) = from_elsewhere(Launch::bare()) else { return };
    let body = json!({"flavourWeights": {"precision-100": 1}, "flavour_counts": {}});
    for (method, path) in WRITES {
        let answer = elsewhere.send(method, path, Some(&body));
        answer.assert_problem(403);
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer.json()["error"].as_str().unwrap(), @"anonymous writes are accepted from loopback only: start the server with --tokens, or with --allow-anonymous-writes to lift this");
        }
    }
    // Reading is free, and loopback writes.
    for path in ["/healthz", "/schedule", "/schedules", "/config/default/default"] {
        assert_eq!(elsewhere.send("GET", path, None).status, 200, "{path}");
    }
    assert_eq!(elsewhere.send("GET", "/schedule", None).json()["generation"], 1);
    let loopback = Client::new(SocketAddr::new([127, 0, 0, 1].into(), server.client.address.port()));
    assert_eq!(loopback.send("PUT", "/config/default/default", Some(&json!({"policy": "p100"}))).status, 202);
}

#[test]
fn an_operator_can_let_everybody_write() {
    for launch in
        [Launch::bare().arg("--allow-anonymous-writes"), Launch::bare().env("ALLOW_ANONYMOUS_WRITES", "TRUE")]
    {
        let Some((_server, elsewhere)) = from_elsewhere(launch) else { return };
        assert_eq!(elsewhere.send("PUT", "/config/t/open", Some(&json!({}))).status, 202);
    }
}
