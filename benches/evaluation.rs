//! What does a whole evaluation cost, serialisation and publication included?

#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::hint::black_box;
use std::sync::Arc;

use benches::{Question, forecast, overrides, start, value};
use engine::{Engine, EngineOptions};
use models::{CarbonTarget, ScheduleId};
use policies::Registry;

fn main() {
    let question =
        Question::ask("What does a whole evaluation cost: decide, post, serialise, publish, queue the next?");
    let id = ScheduleId::new("bench", "schedule").unwrap();
    for count in [3, 10, 64] {
        let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
        let mut now = start();
        engine.configure(&id, overrides("credit-greedy", count, 60.0), now).unwrap();
        engine.observe_forecast(&CarbonTarget::from("national"), Arc::new(forecast(now, 96)), now).unwrap();
        let median = question.measure(&format!("evaluation, {count} flavours, 96-slot forecast"), || {
            // Round and round within the forecast: time never leaves it.
            now = match engine.next_due() {
                Some(due) if due < start() + jiff::SignedDuration::from_hours(40) => due,
                _ => start(),
            };
            black_box(engine.tick(now));
        });
        let published = engine.published(&id).unwrap();
        let bytes = published.document.to_bytes();
        let copied =
            question.measure(&format!("(copying its {} bytes out, as a GET does)", bytes.len()), || {
                black_box(published.document.to_bytes());
            });
        let document = value(&bytes);
        let general = question.measure("(writing the same document from serde_json::Value)", || {
            black_box(serde_json::to_vec(&document).unwrap());
        });
        benches::print(&format!(
            "  -> an evaluation takes {:.2} of the time that writing its document anew takes; a GET {:.2}\n\n",
            median / general,
            copied / general
        ));
    }
}
