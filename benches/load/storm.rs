//! Do evaluations keep their time while PUTs come as fast as they can?

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use benches::{Server, print, wrk};
use jiff::Timestamp;
use serde_json::Value;

use crate::shown;

/// Schedules that are changed again and again.
const CHANGED: usize = 10_000;
/// Schedules that nobody touches: what they publish is to be renewed in time all the same.
const WATCHED: usize = 1_000;
/// Validity of the watched ones, seconds.
const VALID_FOR: u32 = 5;
/// How long the storm lasts: each watched schedule is renewed several times.
const SECONDS: u32 = 20;

/// What a reader finds who looks at the watched schedules one after the other.
#[derive(Default)]
struct Found {
    looks: u64,
    expired: u64,
    /// Milliseconds past its end that an expired one was found.
    latest: i64,
}

pub(crate) fn measure(path: &PathBuf) {
    print(&format!(
        "\n{WATCHED} schedules valid for {VALID_FOR} s while {CHANGED} others are changed as fast as they can be\n\n"
    ));
    let engine = Server::engine(path, &[]);
    for index in 0..WATCHED {
        let body = format!("{{\"validFor\":{VALID_FOR}}}");
        engine.configure(&format!("watched/s{index}"), &body);
    }
    engine.configure("bench/s0", "{}");
    for connections in [16, 64] {
        let is_over = AtomicBool::new(false);
        let (storm, found) = std::thread::scope(|threads| {
            let reader = threads.spawn(|| read(&engine, &is_over));
            let storm = wrk::run(&engine.address, "put", CHANGED, connections, SECONDS);
            is_over.store(true, Ordering::Relaxed);
            (storm, reader.join().unwrap())
        });
        print(&format!("  PUT, {connections:>2} clients  {}\n", shown(storm)));
        print(&format!(
            "  readers          {} looks, {} found a schedule that was over, by {} ms at most\n",
            found.looks, found.expired, found.latest
        ));
    }
}

fn read(engine: &Server, is_over: &AtomicBool) -> Found {
    let mut found = Found::default();
    let mut index = 0;
    while !is_over.load(Ordering::Relaxed) {
        let answer = engine.ask("GET", &format!("/schedule/watched/s{index}"), "");
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let until: Timestamp = body["validUntil"].as_str().unwrap().parse().unwrap();
        let late = Timestamp::now().as_millisecond() - until.as_millisecond();
        found.looks += 1;
        if late > 0 {
            found.expired += 1;
            found.latest = found.latest.max(late);
        }
        index = (index + 1) % WATCHED;
        let pause = Instant::now() + Duration::from_millis(1);
        while Instant::now() < pause {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    found
}
