//! The client of those that ask a server: `wrk`, one thread, for a while.

use std::process::Command;

/// What a run of the client found.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Requests a second.
    pub rate: f64,
    /// Milliseconds.
    pub p50: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Answers that were none, or no success.
    pub errors: f64,
}

/// Whether there is such a client.
pub fn is_installed() -> bool {
    // Without arguments it says how to be used, and fails.
    Command::new("wrk").output().is_ok()
}

/// Runs `script` of the folder `load` with `argument` against `address`.
pub fn run(address: &str, script: &str, argument: usize, connections: u32, seconds: u32) -> Figures {
    let script = format!("{}/load/{script}.lua", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s", &script])
        .args([&format!("http://{address}/"), "--", &argument.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let line = line.unwrap_or_else(|| panic!("wrk printed no figures: {text}"));
    let figures: Vec<f64> = line.split(' ').map(|figure| figure.parse().unwrap()).collect();
    let [requests, errors, micros, p50, p99] = figures[..] else { panic!("not five figures: {line}") };
    Figures { rate: requests / micros * 1e6, p50: p50 / 1e3, p99: p99 / 1e3, errors }
}
