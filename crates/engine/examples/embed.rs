//! The engine in a service of its own: it is told the time, a forecast and what was served.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{CarbonIntensity, Feedback, Forecast, Overrides, ScheduleId, Slot, Timestamp};
use policies::Registry;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    // Nothing in the engine reads a clock: this is where yours goes.
    let mut now: Timestamp = "2026-11-23T15:00:00Z".parse()?;
    let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());

    // The body of a PUT, or `Overrides` filled in by hand. It is evaluated at once.
    let body = json!({
        "policy": "receding-horizon", "targetError": 0.05,
        "flavours": [{"name": "large", "precision": 1.0, "energyWh": 2.9},
                     {"name": "small", "precision": 0.8, "energyWh": 0.7}],
    });
    let id = ScheduleId::new("shop", "search")?;
    let wanted = Overrides::from_json(body.as_object().ok_or("not an object")?)?;
    engine.configure(&id, wanted.overrides, now)?;

    // Forecasts are pushed: the engine says which ones somebody follows.
    for target in engine.wanted().into_keys() {
        let (mut from, mut slots) = (now, Vec::new());
        for grams in [300.0, 120.0, 280.0, 90.0] {
            let to = from + SignedDuration::from_mins(30);
            slots.push(Slot::new(from, to, CarbonIntensity::new(grams)?));
            from = to;
        }
        let forecast = Forecast::new("my-grid", None, now, slots)?;
        engine.observe_forecast(&target, Arc::new(forecast), now)?;
    }

    // Readers on any thread look at the board; every value is whole and already serialised.
    let board = Arc::clone(engine.board());

    for _ in 0..100 {
        // Sleep until it is due, then turn the crank.
        let Some(due) = engine.next_due() else { break };
        let lasted = due.duration_since(now);
        now = due;
        // Route by the published weights, and say what was served.
        let view = board.view(&id).ok_or("it was configured above")?;
        let Some(published) = view.published() else { break };
        let weights = published.schedule.flavours.iter();
        let counts = weights.map(|share| (share.name.to_string(), 10 * u64::from(share.weight)));
        let feedback = Feedback {
            window_seconds: lasted.as_secs_f64(),
            window_end: Some(now),
            counts: counts.collect(),
            ..Feedback::default()
        };
        engine.feedback(&id, &feedback, now)?;
        engine.tick(now);
    }

    let published = engine.published(&id).ok_or("there is a schedule")?;
    let (schedule, document) = (&published.schedule, published.document.to_bytes());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{now}: {}, {} bytes of JSON", schedule.reason, document.len())?;
    Ok(())
}
