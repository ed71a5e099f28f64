//! What does a year of half-hours cost, evaluated once a half-hour?

#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::sync::Arc;

use benches::{Question, forecast, overrides, start};
use engine::{Engine, EngineOptions, Spread};
use jiff::SignedDuration;
use models::{CarbonTarget, Feedback, ScheduleId};
use policies::Registry;

const HALF_HOURS: u32 = 17_520;

fn main() {
    let question =
        Question::ask("What does a simulated year cost: 17 520 half-hours, each evaluated and fed back?");
    let id = ScheduleId::new("bench", "year").unwrap();
    let target = CarbonTarget::from("national");
    let half_hour = SignedDuration::from_mins(30);
    for name in Registry::builtin().names() {
        question.measure(&format!("a year of {name}"), || {
            let options = EngineOptions {
                spread: Spread::None,
                slot_lead: SignedDuration::ZERO,
                ..EngineOptions::default()
            };
            let mut engine = Engine::new(options, Registry::builtin());
            let mut now = start();
            engine.configure(&id, overrides(name, 3, 2250.0), now).unwrap();
            for index in 0..HALF_HOURS {
                // A new two-day forecast twice a day.
                if index % 24 == 0 {
                    engine.observe_forecast(&target, Arc::new(forecast(now, 96)), now);
                }
                engine.tick(now);
                now += half_hour;
                let published = engine.published(&id).unwrap();
                let shares = published.schedule.flavours.iter();
                let counts =
                    shares.map(|share| (share.name.to_string(), u64::from(share.weight) * 10)).collect();
                let feedback =
                    Feedback { window_seconds: 1800.0, window_end: Some(now), counts, ..Feedback::default() };
                engine.feedback(&id, &feedback, now).unwrap();
            }
        });
    }
}
