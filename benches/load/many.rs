//! What does it take to keep very many schedules?

use std::path::PathBuf;
use std::time::{Duration, Instant};

use benches::{Server, ask, print, wrk};

use crate::{SECONDS, Turns, shown, turns};

/// How long the server is left alone with its evaluations: a whole validity.
const ALONE: Duration = Duration::from_mins(1);

/// `count` schedules under the defaults: memory, processor time at rest, GETs beside one schedule's, a scrape.
pub(crate) fn measure(path: &PathBuf, count: usize) {
    print(&format!("\n{count} schedules under the default policy, valid for 60 s\n\n"));
    let one = Server::engine(path, &[]);
    one.configure("bench/s0", "{}");
    let many = Server::engine(path, &["--max-schedules", &(count + 1).to_string()]);
    // As many PUTs as it takes: the client counts through the schedules, from the first one on each time.
    let last = format!("/schedule/bench/s{}", count - 1);
    let mut seconds = SECONDS;
    while !many.ask("GET", &last, "").starts_with("HTTP/1.1 200") {
        let puts = wrk::run(&many.address, "put", count, 16, seconds);
        assert!(puts.errors == 0.0, "{} PUTs were refused", puts.errors);
        seconds *= 2;
    }
    let (before, began) = (many.processor_seconds(), Instant::now());
    std::thread::sleep(ALONE);
    let cores = (many.processor_seconds() - before) / began.elapsed().as_secs_f64();
    print(&format!("  left alone       {cores:>8.3} of a core, {:.0} MiB resident\n", many.resident_mib()));
    let Turns { one: single, other: spread, throughput, .. } = turns(
        || wrk::run(&one.address, "get", 1, 16, SECONDS),
        || wrk::run(&many.address, "get", count, 16, SECONDS),
    );
    print(&format!("  GET, 16 clients  one schedule {}\n", shown(single)));
    print(&format!("                   all of them  {}\n", shown(spread)));
    print(&format!("                   ratio        {throughput:>10.2}\n"));
    let metrics = many.metrics.as_ref().unwrap();
    for _ in 0..3 {
        let began = Instant::now();
        let text = ask(metrics, "GET", "/metrics", "");
        let (took, size) = (began.elapsed().as_secs_f64(), text.len() as f64 / f64::from(1 << 20));
        print(&format!("  /metrics         {took:>8.2} s, {size:.1} MiB, {} lines\n", text.lines().count()));
    }
    print(&format!("  after all that   {:>8.0} MiB resident\n", many.resident_mib()));
}
