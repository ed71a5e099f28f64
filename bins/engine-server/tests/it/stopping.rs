//! SIGTERM: what is in flight is answered, then the process ends well.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::client::read_answer;
use crate::eventually;
use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream};

#[test]
fn a_stop_answers_what_is_in_flight_and_takes_nothing_new() {
    let mut server = Server::start();
    let body = br#"{"targetError": 0.1}"#;
    let mut stream = server.client.connect();
    let length = body.len();
    write!(stream, "PUT /config/t/late HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n").unwrap();
    // This comes when the handler asks for the body: the request is in flight.
    let mut going_on = [0; 25];
    stream.read_exact(&mut going_on).unwrap();
    assert_eq!(&going_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body[..5]).unwrap();
    server.terminate();
    eventually("it stops", || {
        server.log().contains("stopping: requests in flight are answered first").then_some(())
    });
    eventually("nothing new is taken", || TcpStream::connect(server.client.address).is_err().then_some(()));
    stream.write_all(&body[5..]).unwrap();
    let answer = read_answer(stream);
    assert_eq!(
        (answer.status, answer.json()),
        (202, json!({"status": "accepted", "ignored": [], "warnings": []}))
    );
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn idle_connections_and_silent_providers_hold_up_no_stop() {
    let upstream = Upstream::start(|_| Reply::Silence);
    let mut server = Launch::new().upstream(&upstream).env("CARBON_API_TIMEOUT", "60").start();
    let mut idle: Vec<TcpStream> = Vec::new();
    for client in [&server.client, &server.client, &server.metrics] {
        let mut stream = client.connect();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        idle.push(stream);
    }
    idle.push(server.client.connect());
    eventually("upstream was asked", || (!upstream.asked().is_empty()).then_some(()));
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_stop_in_the_first_instant_is_a_good_end() {
    for _ in 0..20 {
        let mut server = Server::start();
        server.terminate();
        assert_eq!(server.ended().code(), Some(0));
    }
}
