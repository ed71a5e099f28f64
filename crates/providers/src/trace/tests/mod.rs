//! What is read, what is remarked, and what can never happen.

mod always;
mod formats;
mod refusals;
mod replay;

use super::{CarbonTrace, Factors, Notes};
use models::Timestamp;

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

fn carbon(text: &str) -> CarbonTrace {
    CarbonTrace::read("file", text.as_bytes(), Factors::default()).unwrap()
}

/// `from..to actual forecast` of every slot, as a reader would check them.
fn shape(trace: &CarbonTrace) -> Vec<String> {
    let slots = trace.slots().iter();
    let clock = |at: Timestamp| at.to_string()[5..16].to_owned();
    slots
        .map(|slot| {
            let forecast = slot.forecast.map_or("-".into(), |grams| grams.to_string());
            format!("{}..{} {} {forecast}", clock(slot.from), clock(slot.to), slot.actual)
        })
        .collect()
}

fn noted(notes: &Notes) -> String {
    notes.lines().join("\n")
}
