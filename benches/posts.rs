//! How many feedback posts a second does a running server count?
//!
//! `cargo bench --bench posts -- 127.0.0.1:8080 [connections] [posts ahead] [seconds]`, against an `engine-server` that
//! is running there. Client and server share the machine's cores.

#![expect(clippy::unwrap_used, reason = "a bench may stop where something is wrong")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn main() {
    // Cargo hands its own flag down.
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
    let Some(address) = given.first() else {
        benches::print("posts: no server to ask; cargo bench --bench posts -- 127.0.0.1:8080\n");
        return;
    };
    let number =
        |index: usize, default| given.get(index).map_or(default, |text| text.parse::<u64>().unwrap());
    let (connections, ahead, seconds) = (number(1, 8), number(2, 1), number(3, 5));
    let start = std::process::id();
    let started = Instant::now();
    let posted: u64 = std::thread::scope(|threads| {
        let end = started + Duration::from_secs(seconds);
        let post = |index| threads.spawn(move || post(address, &format!("{start}/{index}"), ahead, end));
        let senders: Vec<_> = (0..connections).map(post).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    let each = started.elapsed().as_secs_f64();
    let rate = posted as f64 / each;
    benches::print(&format!(
        "{posted} posts answered in {each:.2} s, {connections} connections, {ahead} ahead: {rate:.0} posts/s\n"
    ));
}

/// Posts until `end`, each post numbered, `ahead` of them under way. Answers how many were answered.
fn post(address: &str, source: &str, ahead: u64, end: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut posted, mut requests, mut answers) = (0, Vec::new(), vec![0; 64 * 1024]);
    while Instant::now() < end {
        requests.clear();
        for number in posted..posted + ahead {
            let body = format!(
                "{{\"source\":\"{source}\",\"sequence\":{number},\"window_seconds\":1,\"total_requests\":100,\
                 \"flavour_counts\":{{\"precision-100\":80,\"precision-85\":15,\"precision-70\":5}}}}"
            );
            let length = body.len();
            write!(
                requests,
                "POST /feedback/default/default HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        }
        stream.write_all(&requests).unwrap();
        let mut left = ahead;
        let mut held = 0;
        while left > 0 {
            let read = stream.read(&mut answers[held..]).unwrap();
            assert!(read > 0, "the server closed");
            // A status line may come in two pieces: its beginning is held back.
            let seen = &answers[..held + read];
            let whole = seen.windows(STATUS.len()).filter(|window| window == &STATUS).count() as u64;
            left = left.checked_sub(whole).unwrap();
            let keep = seen.len().min(STATUS.len() - 1);
            let from = seen.len() - keep;
            answers.copy_within(from..from + keep, 0);
            held = keep;
        }
        posted += ahead;
    }
    posted
}

const STATUS: &[u8] = b"HTTP/1.1 200 ";
