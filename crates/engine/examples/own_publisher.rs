//! A publisher of one's own: every schedule's weights as Prometheus text, for whoever asks for it.
//!
//! `cargo run -p engine --example own_publisher`; `cargo test -p engine --example own_publisher` tries it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use engine::{Engine, EngineOptions, Publisher, View};
use models::{Overrides, ScheduleId, Timestamp};
use policies::Registry;

/// The newest weights of every schedule.
#[derive(Debug, Default)]
struct Weights(Mutex<BTreeMap<ScheduleId, String>>);

impl Weights {
    /// All of it, as a scrape has it.
    fn text(&self) -> String {
        let schedules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = schedules.values().map(String::as_str);
        ["# TYPE flavour_weight_percent gauge\n"].into_iter().chain(series).collect()
    }

    #[cfg(test)]
    fn series(&self, id: &ScheduleId) -> Option<String> {
        self.0.lock().unwrap().get(id).cloned()
    }
}

/// The series of one schedule. A view is whole: nothing is to be decided here.
fn series(id: &ScheduleId, view: &View) -> String {
    let mut text = String::new();
    // Where every flavour is disabled there is no schedule, and so there are no series.
    let Some(published) = view.published() else { return text };
    for share in &published.schedule.flavours {
        // Names of schedules and flavours hold nothing that would have to be escaped but these.
        let flavour = share.name.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            r#"flavour_weight_percent{{schedule="{id}",flavour="{flavour}"}} {}"#,
            share.weight
        );
    }
    text
}

// Called on the thread that turns the engine: keep it short, and hand on what takes longer.
impl Publisher for Weights {
    fn publish(&self, id: &ScheduleId, view: &View) {
        let series = series(id, view);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), series);
    }

    fn withdraw(&self, id: &ScheduleId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let weights = Arc::new(Weights::default());
    let engine = Engine::new(EngineOptions::default(), Registry::builtin());
    let mut engine = engine.with_publisher(Arc::clone(&weights) as Arc<dyn Publisher>);

    let now: Timestamp = "2026-11-23T15:00:00Z".parse()?;
    for name in ["assist", "search"] {
        engine.configure(&ScheduleId::new("shop", name)?, Overrides::default(), now)?;
    }
    let mut out = std::io::stdout().lock();
    write!(out, "{}", weights.text())?;
    engine.remove(&ScheduleId::new("shop", "assist")?)?;
    writeln!(out, "\nwithout assist:\n{}", weights.text())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_the_newest_view_of_each_schedule() {
        let weights = Arc::new(Weights::default());
        let publisher = Arc::clone(&weights) as Arc<dyn Publisher>;
        let expected = |id: &ScheduleId, view: Option<&View>| view.map(|view| series(id, view));
        engine::testing::publisher(&publisher, |id| weights.series(id), expected).unwrap();
    }

    #[test]
    fn it_runs() {
        main().unwrap();
    }
}
