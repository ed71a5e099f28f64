//! A nightly batch: 240,000 questions between 22:00 and 06:00, answered by three models in chunks.
//!
//! The batch ends for good at its deadline, and is told so (`EngineOptions::ends_at`): credit is worth nothing after the
//! last item, so it is spent before. Nothing is picked item by item: a chunk is split as the schedule says, and counted at
//! once (`Handle::record`). Time is virtual; a batch of yours passes the clock's.
//!
//! `cargo run -p engine --example batch_job`

use std::error::Error;
use std::io;
use std::sync::Arc;

use engine::routing::{Driver, Handle};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Overrides, ScheduleId, Slot, Timestamp};
use policies::Registry;

/// Three sizes of Flan-T5 answering questions (SQuAD): F1 relative to the best, and Wh per answer as measured by Luccioni,
/// Jernite and Strubell, "Power Hungry Processing" (2023), <https://github.com/sashavor/co2_inference>.
const MODELS: &str = r#"{
    "policy": "receding-horizon", "targetError": 0.01,
    "flavours": [
        {"name": "flan-t5-xxl",   "precision": 1.0,    "energyWh": 0.1909},
        {"name": "flan-t5-large", "precision": 0.9927, "energyWh": 0.04132},
        {"name": "flan-t5-base",  "precision": 0.9726, "energyWh": 0.02137}
    ]
}"#;
const START: &str = "2026-11-23T22:00:00Z";
/// What the grid emits in each half-hour until noon, gCO2eq/kWh: the wind drops after two, the morning is dirty.
const GRID: [f64; 28] = [
    160.0, 118.0, 97.0, 93.0, 98.0, 112.0, 141.0, 180.0, 212.0, 225.0, 231.0, 236.0, 240.0, 247.0, 255.0,
    262.0, 270.0, 281.0, 290.0, 296.0, 292.0, 283.0, 270.0, 255.0, 243.0, 230.0, 221.0, 215.0,
];
/// A chunk each minute, so that the last one ends at the deadline.
const CHUNK: u32 = 500;
const CHUNKS: u32 = 480;

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout())
}

pub(crate) fn run(out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    let start: Timestamp = START.parse()?;
    let deadline = start + SignedDuration::from_mins(CHUNKS.into());
    writeln!(out, "The batch is told when it ends:\n")?;
    night(out, EngineOptions { ends_at: Some(deadline), ..EngineOptions::default() })?;
    writeln!(out, "\nThe same batch, not told:\n")?;
    night(out, EngineOptions::default())
}

fn night(out: &mut impl io::Write, options: EngineOptions) -> Result<(), Box<dyn Error>> {
    let mut now: Timestamp = START.parse()?;
    let mut driver = Driver::new(Engine::new(options, Registry::builtin()));
    let id = ScheduleId::new("nightly", "questions")?;
    let wanted = Overrides::from_json(&serde_json::from_str(MODELS)?)?.overrides;
    driver.update(now, |engine, now| engine.configure(&id, wanted, now))?;
    let forecast = forecast(now)?;
    driver
        .update(now, |engine, now| engine.observe_forecast(&CarbonTarget::from("national"), forecast, now))?;
    let handle = driver.handle(&id, now);

    writeln!(out, "  until   g/kWh      xxl    large     base   mean error")?;
    let mut served = [0_u32; 3];
    for chunk in 1..=CHUNKS {
        for (sum, items) in served.iter_mut().zip(serve(&handle)?) {
            *sum += items;
        }
        now += SignedDuration::from_mins(1);
        driver.tick(now);
        if chunk.is_multiple_of(60) {
            let published = handle.schedule().ok_or("there is a schedule")?;
            let grams = GRID.get((chunk / 30 - 1) as usize).copied().unwrap_or_default();
            let mean = published.totals.mean_error.unwrap_or_default();
            let [xxl, large, base] = std::mem::take(&mut served);
            let hour = now.strftime("%H:%M");
            writeln!(out, "  {hour}   {grams:5.0} {xxl:8} {large:8} {base:8}       {mean:.4}")?;
        }
    }
    let published = handle.schedule().ok_or("there is a schedule")?;
    let savings = published.schedule.savings.ok_or("something was served")?.since_start;
    let mix = savings.emitted + savings.avoided_vs_constant_mix;
    let best = savings.emitted + savings.avoided_vs_best;
    writeln!(
        out,
        "  {} items, {:.0} g CO2eq; by a constant mix {mix:.0} g, all by xxl {best:.0} g",
        published.totals.requests, savings.emitted,
    )?;
    Ok(())
}

/// Has one chunk served, and says by whom it was.
fn serve(handle: &Handle) -> Result<[u32; 3], Box<dyn Error>> {
    let published = handle.schedule().ok_or("there is a schedule")?;
    let mut left = CHUNK;
    let mut served = [0; 3];
    // From the least precise model up: what whole items leave over is the best one's.
    for (share, served) in published.schedule.flavours.iter().zip(&mut served).rev() {
        let is_best = share.precision.error() == 0.0;
        let items = if is_best { left } else { CHUNK * u32::from(share.per_mille) / 1_000 };
        left -= items;
        *served = items;
        // Here the model answers `items` questions. Where their precision was measured, its mean is told, too.
        handle.record(&share.name, items, None)?;
    }
    Ok(served)
}

fn forecast(now: Timestamp) -> Result<Arc<Forecast>, Box<dyn Error>> {
    let (mut from, mut slots) = (now, Vec::new());
    for grams in GRID {
        let to = from + SignedDuration::from_mins(30);
        slots.push(Slot::new(from, to, CarbonIntensity::new(grams)?));
        from = to;
    }
    Ok(Arc::new(Forecast::new("my-grid", None, now, slots)?))
}
