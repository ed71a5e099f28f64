//! What does it cost that an acknowledged PUT or feedback outlasts a power failure?
//!
//! `cargo build --release -p engine-server && cargo bench --bench durable -- [folder]` runs the server twice, without
//! and with `--state-dir` in a new folder below `folder` (the system's for temporary files, if it is on a disk), and
//! asks it over loopback with [`wrk`](https://github.com/wg/wrk), which has to be installed: 1, 16 and 64 clients,
//! each with one request under way. Client and server share the machine's cores. What the disk itself does is
//! measured before: appends of 4 KiB, each made durable.

#![expect(clippy::unwrap_used, reason = "a bench may stop where something is wrong")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use benches::wrk::{self, Figures};
use benches::{Server, print};

/// How long each combination is measured; each twice, of which the better one counts.
const SECONDS: u32 = 3;
const ROUNDS: usize = 2;
/// As many schedules as there are clients at most.
const SCHEDULES: usize = 64;
/// What the origin's service did with 64 clients, PUTs a second, in memory.
const ORIGIN: f64 = 1_629.0;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
    let Some(server) = Server::path() else {
        return print("durable: no server to run; cargo build --release -p engine-server\n");
    };
    if !wrk::is_installed() {
        return print("durable: the client `wrk` is not installed; on Debian: apt-get install wrk\n");
    }
    let folder = given.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("engine-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rate = fsyncs(&folder.join("fsync"));
    print(&format!("disk: {rate:.0} appends of 4 KiB a second, each made durable\n\n"));
    print("                       in memory            |  durable              |\n");
    print("          clients      1/s   p50 ms  p99 ms |     1/s  p50 ms  p99 ms | durable/memory\n");
    let mut best = 0.0;
    for (name, script) in [("PUT", "put"), ("Feedback", "post")] {
        for clients in [1, 16, 64] {
            let state = folder.join(format!("{script}-{clients}"));
            let memory = measure(&server, &[], script, clients);
            let durable = measure(&server, &["--state-dir", state.to_str().unwrap()], script, clients);
            print(&format!(
                "{name:<10}{clients:>6} {:>10.0} {:>8.2} {:>7.2} | {:>7.0} {:>7.2} {:>7.2} | {:>8.2}\n",
                memory.rate,
                memory.p50,
                memory.p99,
                durable.rate,
                durable.p50,
                durable.p99,
                durable.rate / memory.rate
            ));
            if script == "put" && clients == 64 {
                best = durable.rate;
            }
        }
    }
    print(&format!(
        "\ndurable PUTs of 64 clients: {:.1} times the origin's {ORIGIN:.0} a second, which are in memory\n",
        best / ORIGIN
    ));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Durable appends a second.
fn fsyncs(path: &Path) -> f64 {
    let mut file = File::create(path).unwrap();
    let (started, mut count) = (Instant::now(), 0_u32);
    while started.elapsed().as_secs_f64() < 1.0 {
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

/// Asks a server with these arguments by that script.
fn measure(server: &PathBuf, arguments: &[&str], script: &str, clients: u32) -> Figures {
    let server = Server::engine(server, arguments);
    for index in 0..SCHEDULES {
        server.configure(&format!("bench/s{index}"), "{}");
    }
    let rounds = (0..ROUNDS).map(|_| wrk::run(&server.address, script, SCHEDULES, clients, SECONDS));
    let best = rounds.max_by(|one, other| one.rate.total_cmp(&other.rate)).unwrap();
    assert!(best.errors == 0.0, "{} errors", best.errors);
    best
}
