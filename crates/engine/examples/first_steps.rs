//! The engine in a service of its own: a schedule, a forecast, and each request asks which flavour is to serve it.
//!
//! `cargo run -p engine --example first_steps`

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::sync::Arc;

use engine::routing::Driver;
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Overrides, ScheduleId, Slot, Timestamp};
use policies::Registry;

fn main() -> Result<(), Box<dyn Error>> {
    run(&mut io::stdout())
}

pub(crate) fn run(out: &mut impl io::Write) -> Result<(), Box<dyn Error>> {
    // Nothing in the engine reads a clock: here stands yours.
    let mut now: Timestamp = "2026-11-23T15:00:00Z".parse()?;
    let mut driver = Driver::new(Engine::new(EngineOptions::default(), Registry::builtin()));

    // A schedule: what there is to serve with, and how much precision may be given up on average.
    let id = ScheduleId::new("shop", "search")?;
    let wanted = serde_json::from_str(
        r#"{"policy": "receding-horizon", "targetError": 0.05, "flavours": [
            {"name": "large", "precision": 1.0, "energyWh": 2.9}, {"name": "small", "precision": 0.8, "energyWh": 0.7}]}"#,
    )?;
    driver.update(now, |engine, now| engine.configure(&id, Overrides::from_json(&wanted)?.overrides, now))?;

    // A forecast of the grid: an hour that is clean, then one that is dirty.
    let hours = [0, 1, 2].map(|hours| now + SignedDuration::from_hours(hours));
    let mut slots = Vec::new();
    for (hour, grams) in [(0, 120.0), (1, 300.0)] {
        slots.push(Slot::new(hours[hour], hours[hour + 1], CarbonIntensity::new(grams)?));
    }
    let forecast = Arc::new(Forecast::new("my-grid", None, now, slots)?);
    driver.update(now, |engine, now| engine.observe_forecast(&"national".into(), forecast, now))?;

    // A request a second: pick who serves it, record that it was served, turn the crank when it is due.
    let handle = driver.handle(&id, now);
    let mut served = BTreeMap::new();
    while now < hours[2] {
        now += SignedDuration::from_secs(1);
        if driver.next_due().is_some_and(|due| due <= now) {
            driver.tick(now);
        }
        let pick = handle.pick().ok_or("there is a schedule")?;
        *served.entry(pick.flavour()).or_insert(0) += 1; // yours: serve it by this model
        pick.record();
    }
    let published = handle.schedule().ok_or("there is a schedule")?;
    writeln!(out, "{served:?}; {}", published.schedule.reason)?;
    Ok(())
}
