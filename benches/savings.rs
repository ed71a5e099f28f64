//! What do savings cost: a post, an evaluation after it, and the look back over a day?

#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::hint::black_box;
use std::sync::Arc;

use benches::{Question, forecast, overrides, start};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{CarbonTarget, Feedback, ScheduleId};
use policies::Registry;

/// Half-hours of the forecast: what a forecast holds at most.
const HALF_HOURS: i64 = 4_032;

fn main() {
    let question = Question::ask(
        "What do savings cost, with feedback in each of the last 48 half-hours? (without documents there are none, \
         but for what a post counts)",
    );
    let id = ScheduleId::new("bench", "schedule").unwrap();
    for count in [3, 10, 64] {
        let worlds = [true, false].map(|documents| {
            let options = EngineOptions { documents, ..EngineOptions::default() };
            let mut engine = Engine::new(options, Registry::builtin());
            engine.configure(&id, overrides("constant-mix", count, 3600.0), start()).unwrap();
            let slots = u32::try_from(HALF_HOURS).unwrap();
            let forecast = Arc::new(forecast(start(), slots));
            engine.observe_forecast(&CarbonTarget::from("national"), forecast, start()).unwrap();
            engine
        });
        let counts = (0..count).map(|index| (format!("flavour-{index}"), 1_000)).collect();
        let feedback = Feedback { counts, ..Feedback::default() };
        let half_hour = |half_hour: i64| start() + SignedDuration::from_mins(30 * half_hour + 10);
        for (mut engine, what) in worlds.into_iter().zip(["", ", no documents"]) {
            for index in 0..48 {
                engine.feedback(&id, &feedback, half_hour(index)).unwrap();
                engine.tick(half_hour(index));
            }
            question.measure(&format!("a post, {count} flavours{what}"), || {
                black_box(engine.feedback(&id, &feedback, half_hour(47)).unwrap());
            });
            let mut index = 48;
            question.measure(&format!("a half-hour: post, evaluate, look back{what}"), || {
                let now = half_hour(index);
                black_box(engine.feedback(&id, &feedback, now).unwrap());
                black_box(engine.tick(now));
                index = if index + 1 < HALF_HOURS { index + 1 } else { 0 };
            });
        }
        benches::print("\n");
    }
}
