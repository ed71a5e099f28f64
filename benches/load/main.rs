//! How does the server bend under load, and under attack?
//!
//! `cargo build --release -p engine-server && cargo bench --bench load -- [get] [many[=SCHEDULES]] [storm] [faults]`
//! runs the server on loopback and asks it with [`wrk`](https://github.com/wg/wrk), which has to be installed. Client
//! and servers share the machine's cores, so what counts are the ratios, each of one run: rounds of one side and of
//! the other take turns, and the medians are compared. Without a word all four are asked.

#![expect(clippy::unwrap_used, reason = "a bench may stop where something is wrong")]

mod bare;
mod faults;
mod many;
mod storm;

use std::path::PathBuf;
use std::process::Command;

use benches::wrk::{self, Figures};
use benches::{Server, print};

/// Rounds of each side.
const ROUNDS: usize = 5;
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
    let answer = engine.ask("GET", "/schedule", "");
    let document = std::env::temp_dir().join(format!("engine-bench-{}.json", std::process::id()));
    std::fs::write(&document, answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let own = std::env::current_exe().unwrap();
    let bare = Server::start(Command::new(own).arg(format!("bare={}", document.display())));
    for (path, argument) in [("/schedule", 0), ("/schedule/{namespace}/{name}", 1)] {
        print(&format!("\nGET {path} beside a bare actix handler that answers the same bytes\n\n"));
        print(
            "  connections |  bare: 1/s   p50 ms   p99 ms |  ours: 1/s   p50 ms   p99 ms | throughput  p99\n",
        );
        for connections in [1, 16, 64] {
            let (bare, ours) = turns(
                || wrk::run(&bare.address, "get", argument, connections, SECONDS),
                || wrk::run(&engine.address, "get", argument, connections, SECONDS),
            );
            print(&format!(
                "  {connections:>11} | {} | {} | {:>10.2} {:>4.2}\n",
                shown(bare),
                shown(ours),
                ours.rate / bare.rate,
                ours.p99 / bare.p99
            ));
        }
    }
    std::fs::remove_file(&document).unwrap();
}

/// Two sides in turn; the median round of each.
fn turns(mut one: impl FnMut() -> Figures, mut other: impl FnMut() -> Figures) -> (Figures, Figures) {
    let (ones, others): (Vec<_>, Vec<_>) = (0..ROUNDS).map(|_| (one(), other())).unzip();
    (median(&ones), median(&others))
}

/// The median of each figure, and all errors.
fn median(rounds: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figures {
        rate: of(|round| round.rate),
        p50: of(|round| round.p50),
        p99: of(|round| round.p99),
        errors: rounds.iter().map(|round| round.errors).sum(),
    }
}

fn shown(Figures { rate, p50, p99, errors }: Figures) -> String {
    let errors = if errors > 0.0 { format!(" ({errors} errors)") } else { String::new() };
    format!("{rate:>10.0} {p50:>8.2} {p99:>8.2}{errors}")
}
