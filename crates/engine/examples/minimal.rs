//! As little as there can be. `cargo run -p engine --example minimal`

use engine::routing::Driver;
use engine::{Engine, EngineOptions};
use models::{Overrides, ScheduleId, Timestamp};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now: Timestamp = "2026-11-23T15:00:00Z".parse()?; // your clock
    let mut driver = Driver::new(Engine::new(EngineOptions::default(), policies::Registry::builtin()));
    let id = ScheduleId::new("shop", "search")?;
    driver.update(now, |engine, now| engine.configure(&id, Overrides::default(), now))?;
    let handle = driver.handle(&id, now);

    let pick = handle.pick().ok_or("it is configured")?; // for each request, on any thread
    assert_eq!(pick.flavour(), "precision-100"); // yours: serve it by this model
    pick.record();

    let due = driver.next_due().ok_or("it is evaluated again")?; // sleep until then
    driver.tick(due);
    Ok(())
}
