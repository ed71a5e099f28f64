//! Many posts at once, over connections that stay open: each is counted, and once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::client::Client;
use crate::eventually;
use crate::server::Server;

const CONNECTIONS: u64 = 4;
const POSTS: u64 = 2_000;
/// Posts under way on one connection.
const AHEAD: u64 = 16;

/// Posts numbers 0 to [`POSTS`] on one connection, every tenth twice. Answers how many were repeats.
fn posts(client: &Client, source: u64) -> u64 {
    let mut stream = client.connect();
    stream.set_nodelay(true).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let numbers =
        (0..POSTS).flat_map(|number| [number; 2].into_iter().take(1 + usize::from(number % 10 == 0)));
    let numbers: Vec<u64> = numbers.collect();
    let mut repeats = 0;
    for some in numbers.chunks(usize::try_from(AHEAD).unwrap()) {
        let requests: String = some.iter().map(|number| request(source, *number)).collect();
        stream.write_all(requests.as_bytes()).unwrap();
        for _ in some {
            repeats += u64::from(answer(&mut answers)["duplicate"] == true);
        }
    }
    repeats
}

fn request(source: u64, number: u64) -> String {
    let body = json!({"source": format!("router-{source}"), "sequence": number, "window_seconds": 1,
        "flavour_counts": {"precision-100": number % 7, "precision-70": 1}});
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST /feedback/t/fed HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The next answer on a connection.
fn answer(answers: &mut BufReader<TcpStream>) -> Value {
    let (mut line, mut length) = (String::new(), 0);
    answers.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    while line != "\r\n" {
        line.clear();
        answers.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    answers.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn every_post_of_many_is_counted_once() {
    let server = Server::without_forecasts();
    server.configure("t/fed", &json!({"validFor": 1, "creditMin": -10, "policy": "p100"}));
    let client = &server.client;
    let repeats: u64 = std::thread::scope(|threads| {
        let senders: Vec<_> =
            (0..CONNECTIONS).map(|source| threads.spawn(move || posts(client, source))).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    assert_eq!(repeats, CONNECTIONS * POSTS / 10);
    let served = CONNECTIONS * (0..POSTS).map(|number| number % 7 + 1).sum::<u64>();
    let total = eventually("all of it is published", || {
        let budget = &server.schedule("t/fed")["budget"];
        Some(budget.clone()).filter(|budget| budget["servedRequests"] == served)
    });
    let error = 0.3 * (CONNECTIONS * POSTS) as f64;
    assert!((total["servedError"].as_f64().unwrap() - error).abs() < 1e-6, "{total}");
}
