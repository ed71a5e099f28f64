//! What the benches share: a stopwatch that prints ratios, and worlds to measure in.
//!
//! Machines are noisy, so a bench never asserts a time. It prints the median of many batches beside a
//! yardstick measured in the same run: reading the clock once, which everybody has a feeling for.
//!
//! What this crate does not do: it proves nothing. Behaviour is tested elsewhere.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "constants in range; a bench may stop where one is not"
)]

mod server;
pub mod wrk;

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::routing::{Driver, Handle};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{
    CarbonIntensity, CarbonTarget, Flavour, FlavourSet, Forecast, Overrides, Precision, ScheduleId, Slot,
    Timestamp,
};
use policies::Registry;
use serde_json::{Value, json};

pub use server::{Server, ask};

/// How long one measurement runs.
const BUDGET: Duration = Duration::from_millis(400);
/// About how long one batch runs: long against the clock's own grain.
const BATCH: Duration = Duration::from_micros(200);

/// A table of measurements under one question.
pub struct Question {
    yardstick: f64,
}

impl Question {
    /// Prints the question and measures the yardstick.
    pub fn ask(question: &str) -> Self {
        let yardstick = nanoseconds(|| {
            black_box(Instant::now());
        });
        print(&format!(
            "\n{question}\n  yardstick: reading the clock once takes {}\n\n  {:<52} {:>12} {:>16}\n",
            shown(yardstick),
            "",
            "median",
            "clock readings"
        ));
        Self { yardstick }
    }

    /// Measures one call of `work` and prints its row. Answers its median in nanoseconds.
    pub fn measure(&self, what: &str, work: impl FnMut()) -> f64 {
        self.measure_each(what, 1, work)
    }

    /// Measures a call of `work` that does `each` things, and prints the row of one of them.
    pub fn measure_each(&self, what: &str, each: u32, work: impl FnMut()) -> f64 {
        let median = nanoseconds(work) / f64::from(each);
        print(&format!("  {what:<52} {:>12} {:>15.1}x\n", shown(median), median / self.yardstick));
        median
    }
}

/// The median time of one call, in nanoseconds.
fn nanoseconds(mut work: impl FnMut()) -> f64 {
    let mut calls = 1_u32;
    let mut time = |calls: u32| {
        let started = Instant::now();
        for _ in 0..calls {
            work();
        }
        started.elapsed()
    };
    while time(calls) < BATCH && calls < 1 << 24 {
        calls *= 2;
    }
    let started = Instant::now();
    let mut batches = Vec::new();
    while started.elapsed() < BUDGET || batches.len() < 3 {
        batches.push(time(calls).as_secs_f64() * 1e9 / f64::from(calls));
    }
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}

/// Prints to stdout; whoever closed it does not want to know.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn shown(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.2} us", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// The instant every bench begins at.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000 - 1_700_000_000 % 1_800).unwrap()
}

/// `count` flavours from precision 1 down to 0.7, energy falling with them.
pub fn flavours(count: u32) -> FlavourSet {
    let flavour = |index: u32| {
        let step = f64::from(index) / f64::from(count.max(2) - 1);
        let precision = Precision::new(1.0 - 0.3 * step).unwrap();
        Flavour::new(precision).named(&format!("flavour-{index}")).with_carbon_intensity(1.0 - 0.6 * step)
    };
    FlavourSet::new((0..count).map(flavour).collect()).unwrap()
}

/// A configuration with `count` flavours.
pub fn overrides(policy: &str, count: u32, valid_for: f64) -> Overrides {
    let body = json!({"policy": policy, "validFor": valid_for, "flavours": flavours(count)});
    Overrides::from_json(body.as_object().unwrap()).unwrap().overrides
}

/// A handle of a schedule with so many flavours under a policy: `constant-mix` serves by two of them, as plans do,
/// `round-robin` by all.
pub fn routed(policy: &str, count: u32, is_checked: bool) -> Handle {
    let id = ScheduleId::new("bench", "schedule").unwrap();
    let engine = Engine::new(EngineOptions::default(), Registry::builtin());
    let mut driver = Driver::new(engine);
    if is_checked {
        driver = driver.checking_credit();
    }
    let mut now = start();
    let handle = driver.handle(&id, now);
    driver.update(now, |engine, now| {
        engine.configure(&id, overrides(policy, count, 60.0), now).unwrap();
        engine.observe_forecast(&CarbonTarget::from("national"), Arc::new(forecast(now, 96)), now).unwrap();
    });
    // Credit for a while, where it is checked.
    for _ in 0..1_000 {
        handle.record("flavour-0", u32::MAX, None).unwrap();
    }
    now = driver.next_due().unwrap();
    driver.tick(now);
    handle
}

/// `count` half-hours from `from`, a daily wave.
pub fn forecast(from: Timestamp, count: u32) -> Forecast {
    let slots = (0..count).map(|index| {
        let begins = from + SignedDuration::from_mins(30 * i64::from(index));
        let ends = begins + SignedDuration::from_mins(30);
        let grams = (200.0 + 80.0 * (f64::from(index) / 48.0 * std::f64::consts::TAU).sin()).round();
        Slot::new(begins, ends, CarbonIntensity::new(grams).unwrap())
    });
    Forecast::new("bench", None, from, slots.collect()).unwrap()
}

/// JSON of a document, for comparison with a general writer.
pub fn value(document: &[u8]) -> Value {
    serde_json::from_slice(document).unwrap()
}
