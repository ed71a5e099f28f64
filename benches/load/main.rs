//! How does the server bend under load, and under attack?
//!
//! `cargo build --release -p engine-server && cargo bench --bench load -- [get] [many[=SCHEDULES]] [storm] [faults]`
//! runs the server on loopback and asks it with [`wrk`](https://github.com/wg/wrk), which has to be installed. Client
//! and servers share the machine's cores, so what counts are the ratios, each of one run: rounds of one side and of
//! the other take turns, and what is shown is the median of their ratios. Without a word all four are asked.

#![expect(clippy::unwrap_used, reason = "a bench may stop where something is wrong")]

mod bare;
mod faults;
mod many;
mod storm;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use benches::wrk::{self, Figures};
use benches::{Server, print};

/// Rounds of each side.
const ROUNDS: usize = 9;
/// How long each one is.
const SECONDS: u32 = 3;

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let Some(("bare", document)) = words.first().and_then(|word| word.split_once('=')) {
        bare::serve(std::fs::read(document).unwrap()).unwrap();
        return;
    }
    let Some(engine) = Server::path() else {
        return print("load: no server to run; cargo build --release -p engine-server\n");
    };
    if !wrk::is_installed() {
        return print("load: the client `wrk` is not installed; on Debian: apt-get install wrk\n");
    }
    if words.is_empty() {
        words = ["get", "many", "storm", "faults"].map(str::to_owned).into();
    }
    for word in &words {
        match word.split_once('=').unwrap_or((word, "100000")) {
            ("get", _) => get(&engine),
            ("many", schedules) => many::measure(&engine, schedules.parse().unwrap()),
            ("storm", _) => storm::measure(&engine),
            ("faults", _) => faults::measure(&engine),
            _ => print(&format!("load: {word} is not one of get, many[=SCHEDULES], storm, faults\n")),
        }
    }
}

/// GET /schedule beside a handler of the bare framework that answers the same bytes.
fn get(path: &PathBuf) {
    let engine = Server::engine(path, &[]);
    engine.configure("bench/s0", "{}");
    // What is compared has the size it has for the rest of the run: with its forecast.
    let body = || engine.ask("GET", "/schedule", "").split_once("\r\n\r\n").unwrap().1.to_owned();
    while body().contains("\"schedule\":[]") {
        std::thread::sleep(Duration::from_millis(50));
    }
    let answered = body();
    let document = std::env::temp_dir().join(format!("engine-bench-{}.json", std::process::id()));
    std::fs::write(&document, &answered).unwrap();
    let own = std::env::current_exe().unwrap();
    let bare = Server::start(Command::new(own).arg(format!("bare={}", document.display())));
    for (path, argument) in [("/schedule", 0), ("/schedule/{namespace}/{name}", 1)] {
        print(&format!("\nGET {path} beside a bare actix handler that answers the same bytes\n\n"));
        print(
            "  connections |  bare: 1/s   p50 ms   p99 ms |  ours: 1/s   p50 ms   p99 ms | throughput  p99\n",
        );
        for connections in [1, 16, 64] {
            let Turns { one, other, throughput, p99 } = turns(
                || wrk::run(&bare.address, "get", argument, connections, SECONDS),
                || wrk::run(&engine.address, "get", argument, connections, SECONDS),
            );
            print(&format!(
                "  {connections:>11} | {} | {} | {throughput:>10.2} {p99:>4.2}\n",
                shown(one),
                shown(other)
            ));
        }
    }
    let (bare, ours) = (answered.len(), body().len());
    print(&format!("\n  bytes of a body: {bare} and, after all that, {ours}\n"));
    std::fs::remove_file(&document).unwrap();
}

/// Two sides, each measured several times.
struct Turns {
    one: Figures,
    other: Figures,
    /// The other's throughput over the one's.
    throughput: f64,
    /// The other's p99 over the one's.
    p99: f64,
}

/// Rounds of two sides in turn. Each is compared to the one of the other side that was run next to it: over minutes
/// a machine's speed changes more than the sides differ.
fn turns(mut one: impl FnMut() -> Figures, mut other: impl FnMut() -> Figures) -> Turns {
    let round = |number| {
        if number % 2 == 0 {
            let first = one();
            return (first, other());
        }
        let first = other();
        (one(), first)
    };
    let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
    Turns {
        one: median(rounds.iter().map(|round| &round.0)),
        other: median(rounds.iter().map(|round| &round.1)),
        throughput: middle(rounds.iter().map(|(one, other)| other.rate / one.rate)),
        p99: middle(rounds.iter().map(|(one, other)| other.p99 / one.p99)),
    }
}

/// The median of each figure, and all errors.
fn median<'a>(rounds: impl Iterator<Item = &'a Figures> + Clone) -> Figures {
    Figures {
        rate: middle(rounds.clone().map(|round| round.rate)),
        p50: middle(rounds.clone().map(|round| round.p50)),
        p99: middle(rounds.clone().map(|round| round.p99)),
        errors: rounds.map(|round| round.errors).sum(),
    }
}

/// The median.
fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn shown(Figures { rate, p50, p99, errors }: Figures) -> String {
    let errors = if errors > 0.0 { format!(" ({errors} errors)") } else { String::new() };
    format!("{rate:>10.0} {p50:>8.2} {p99:>8.2}{errors}")
}
