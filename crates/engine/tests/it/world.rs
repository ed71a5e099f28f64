//! An engine with one schedule, and short ways to speak of it.

#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are used")]

use std::sync::Arc;

use engine::{Engine, EngineOptions, Published, Spread};
use jiff::SignedDuration;
use models::{
    CarbonIntensity, CarbonTarget, Feedback, Forecast, Manual, Overrides, ScheduleId, Slot, Timestamp,
};
use policies::Registry;
use serde_json::Value;

pub(crate) const START: &str = "2026-11-23T15:00:00Z";

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) id: ScheduleId,
}

pub(crate) fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

pub(crate) fn overrides(body: Value) -> Overrides {
    Overrides::from_json(body.as_object().unwrap()).unwrap().overrides
}

/// Half-hours from `START`, one value each.
pub(crate) fn forecast(grams: &[f64]) -> Arc<Forecast> {
    let slot = |index: usize, grams: f64| {
        let from = at(START) + SignedDuration::from_mins(30 * i64::try_from(index).unwrap());
        Slot::new(from, from + SignedDuration::from_mins(30), CarbonIntensity::new(grams).unwrap())
    };
    let slots = grams.iter().enumerate().map(|(index, grams)| slot(index, *grams)).collect();
    Arc::new(Forecast::new("test", None, at(START), slots).unwrap())
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(EngineOptions { spread: Spread::None, ..EngineOptions::default() })
    }

    pub(crate) fn with(options: EngineOptions) -> Self {
        let engine = Engine::new(options, Registry::builtin());
        Self { engine, now: at(START), id: ScheduleId::new("shop", "search").unwrap() }
    }

    pub(crate) fn put(&mut self, body: Value) -> engine::Accepted {
        self.engine.configure(&self.id, overrides(body), self.now).unwrap()
    }

    pub(crate) fn observe(&mut self, grams: &[f64]) {
        self.engine.observe_forecast(&CarbonTarget::from("national"), forecast(grams), self.now).unwrap();
    }

    pub(crate) fn manual(&mut self, body: Value) -> Timestamp {
        let manual = Manual::from_json(body.as_object().unwrap()).unwrap();
        self.engine.set_manual(&self.id, manual, self.now).unwrap()
    }

    pub(crate) fn feedback(&mut self, body: Value) -> engine::FeedbackReport {
        let feedback = Feedback::from_json(body.as_object().unwrap()).unwrap().0;
        self.engine.feedback(&self.id, &feedback, self.now).unwrap()
    }

    /// Lets time pass, evaluating whenever something is due.
    pub(crate) fn pass(&mut self, span: SignedDuration) {
        let until = self.now + span;
        while let Some(due) = self.engine.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.engine.tick(self.now);
        }
        self.now = until;
        self.engine.tick(self.now);
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        self.engine.published(&self.id).unwrap()
    }

    pub(crate) fn weights(&self) -> Vec<u8> {
        self.published().schedule.flavours.iter().map(|share| share.weight).collect()
    }

    pub(crate) fn balance(&self) -> f64 {
        self.published().schedule.credits.balance
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.published().document.to_bytes()).unwrap()
    }
}

pub(crate) fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}
