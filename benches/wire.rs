//! What do reading and writing JSON cost: a PUT, a post, a provider's answer, a schedule?
//!
//! Each reading stands beside serde_json's of the same text into a `Value`, which checks nothing.
#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::hint::black_box;
use std::sync::Arc;

use benches::{Question, forecast, overrides, print, start, value};
use engine::{Engine, EngineOptions};
use models::{CarbonTarget, Feedback, Overrides, ScheduleId};
use policies::Registry;
use serde_json::{Map, Value, json};

fn main() {
    let question = Question::ask("What do reading and writing JSON cost?");
    let put = json!({"policy": "receding-horizon", "targetError": 0.05, "validFor": 60, "flavours": [
        {"name": "large", "precision": 1.0, "energyWh": 2.9}, {"name": "medium", "precision": 0.94, "energyWh": 1.1},
        {"name": "small", "precision": 0.8, "energyWh": 0.4}]});
    reading(&question, "a PUT of three flavours", &put, |body| {
        drop(black_box(Overrides::from_json(body)).unwrap());
    });
    let post = json!({"window_seconds": 30, "source": "router-1", "sequence": 17, "windowEnd": "2023-11-14T22:00:00Z",
        "flavour_counts": {"large": 900, "medium": 80, "small": 20}, "flavour_precision": {"small": 0.78}});
    reading(&question, "a numbered post", &post, |body| drop(black_box(Feedback::from_json(body)).unwrap()));
    for count in [3, 10] {
        let id = ScheduleId::new("bench", "schedule").unwrap();
        let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
        engine.configure(&id, overrides("receding-horizon", count, 60.0), start()).unwrap();
        let known = Arc::new(forecast(start(), 96));
        engine.observe_forecast(&CarbonTarget::from("national"), Arc::clone(&known), start()).unwrap();
        engine.tick(engine.next_due().unwrap());
        let published = engine.published(&id).unwrap();
        let slots = known.published_slots(start());
        let what = format!("writing a schedule of {count} flavours");
        let ours = question.measure(&what, || drop(black_box(published.schedule.document(slots.clone()))));
        let document = value(&published.document.to_bytes());
        let general = question.measure("(the same from serde_json::Value, its slots anew)", || {
            drop(black_box(serde_json::to_vec(&document)).unwrap());
        });
        print(&format!("  -> {:.2} of writing it from a Value\n\n", ours / general));
    }
}

fn reading(question: &Question, what: &str, body: &Value, read: impl Fn(&Map<String, Value>)) {
    let text = body.to_string();
    let parse = || serde_json::from_str::<Map<String, Value>>(black_box(&text)).unwrap();
    let ours = question.measure(&format!("reading {what}"), || read(&parse()));
    let general = question.measure("(into a serde_json::Value, unchecked)", || drop(black_box(parse())));
    print(&format!("  -> {:.2} of reading it unchecked\n\n", ours / general));
}
