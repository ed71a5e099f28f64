//! The server from outside: the real binary over HTTP on loopback, with a carbon API that is on loopback
//! too. Every file is one part of what the server promises; `server`, `client`, `contract` and `upstream` are the tools.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is the finding, also where a tool of many tests makes it"
)]

mod certificates;
mod client;
mod contract;
mod documented;
mod server;
mod upstream;

mod access;
mod bodies;
mod cluster;
mod configuring;
mod crash;
mod deployed;
mod described;
mod document;
mod draining;
mod effective;
mod faults;
mod feedback;
mod forecast_list;
mod forecasts;
mod formats;
mod help;
mod hostile;
mod lasting;
mod load;
mod logs;
mod manual;
mod metrics;
mod names;
mod openapi;
mod polling;
mod promql;
mod providers;
mod reading;
mod replay;
mod savings;
mod secrets;
mod starting;
mod stopping;
mod tls;
mod tokens;
mod vintages;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Looks until there is something to see.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} until {what}"))
}

/// Looks until there is something to see, or the time is over.
pub(crate) fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An instant in a document.
#[track_caller]
pub(crate) fn instant(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no instant: {value}"))
}

/// The names in `flavourWeights` with their weights.
pub(crate) fn weights(schedule: &Value) -> Vec<(String, u64)> {
    let weights = schedule["flavourWeights"].as_object().unwrap().iter();
    weights.map(|(name, weight)| (name.clone(), weight.as_u64().unwrap())).collect()
}

/// A list of sentences, one a line.
pub(crate) fn lines(list: &Value) -> String {
    let lines = list.as_array().unwrap().iter().map(|line| [line.as_str().unwrap(), "\n"].concat());
    lines.collect()
}
