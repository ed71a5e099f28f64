//! Some simulated hours: what comes in, of a seed alone.

use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonIntensity, Feedback, Forecast, Manual, Overrides, ScheduleId, Slot, Timestamp};
use policies::Registry;
use serde_json::{Map, Value, json};

use super::dice::Dice;
use crate::engine::Engine;
use crate::journal::{Input, Record};
use crate::options::EngineOptions;

/// 2026-11-23T15:00:00Z.
const START: Timestamp = Timestamp::constant(1_795_446_000, 0);
const HALF_HOUR: SignedDuration = SignedDuration::from_mins(30);
/// Half-hours of a history.
const HALF_HOURS: u32 = 12;
/// From one report of what was served to the next.
const REPORT_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// Evaluations further apart than this are not waited for: as a busy process, that comes late.
const LATE: SignedDuration = SignedDuration::from_secs(1);
/// What the two schedules are called.
const NAMES: [&str; 2] = ["search", "assist"];

/// What came in, in order.
#[derive(Debug)]
pub(super) struct History {
    pub(super) records: Vec<Record>,
}

/// What an engine is made with to live through a history.
pub(super) fn options(seed: u64) -> EngineOptions {
    EngineOptions { seed, ..EngineOptions::default() }
}

impl History {
    /// Two schedules under a policy, of which `registry` knows: forecasts that are good, empty, zero, huge and missing;
    /// reports; flavours that are disabled, one by one and all; overrides; one that goes and comes back.
    pub(super) fn of(registry: &Registry, policy: &str, seed: u64) -> Self {
        let engine = Engine::new(options(seed), registry.clone());
        let mut scribe =
            Scribe { engine, now: START, dice: Dice::new(seed), records: Vec::new(), reports: 0 };
        for which in NAMES {
            scribe.configure(which, policy, &flavours());
        }
        for half_hour in 0..HALF_HOURS {
            match half_hour {
                2 => scribe.set_manual(NAMES[1]),
                3 => scribe.take(Input::ClearManual { id: id(NAMES[1]) }),
                4 => scribe.configure(NAMES[0], policy, &json!([{"name": "only", "precision": 0.9}])),
                5 => scribe.configure(NAMES[0], policy, &many_flavours()),
                6 => scribe.configure(NAMES[1], policy, &all_disabled()),
                7 => scribe.take(Input::Remove { id: id(NAMES[0]) }),
                8 => {
                    for which in NAMES {
                        scribe.configure(which, policy, &flavours());
                    }
                }
                9 => scribe.take(Input::Reset { id: id(NAMES[1]) }),
                _ => {}
            }
            scribe.half_hour(half_hour);
        }
        Self { records: scribe.records }
    }

    /// Its first records.
    pub(super) fn until(&self, count: usize) -> &[Record] {
        self.records.get(..count).unwrap_or(&self.records)
    }
}

/// Writes down what it does to an engine.
struct Scribe {
    engine: Engine,
    now: Timestamp,
    dice: Dice,
    records: Vec<Record>,
    reports: u64,
}

impl Scribe {
    fn take(&mut self, input: Input) {
        let record = Record { at: self.now, input };
        self.engine.apply(&record);
        self.records.push(record);
    }

    fn configure(&mut self, which: &str, policy: &str, flavours: &Value) {
        let target = self.dice.within(0.0, 0.2);
        let body = json!({"policy": policy, "targetError": target, "validFor": 120.0, "flavours": flavours,
            "components": {"router": {"maxReplicas": 9}}});
        self.take(Input::Configure { id: id(which), overrides: overrides(&body), refused: None });
    }

    fn set_manual(&mut self, which: &str) {
        let body =
            json!({"flavourWeights": {"large": 2, "small": 1}, "ttlSeconds": 900.0, "reason": "a trial"});
        self.take(Input::SetManual { id: id(which), manual: manual(&body) });
    }

    fn half_hour(&mut self, number: u32) {
        // Now and then nobody has a forecast, or one that is over soon.
        if number % 4 != 3 {
            self.forecast(number);
        }
        let until = self.now + HALF_HOUR;
        while self.now < until {
            self.pass(REPORT_EVERY);
            for which in NAMES {
                self.report(which);
            }
        }
    }

    fn forecast(&mut self, number: u32) {
        let count = if number % 4 == 2 { 1 } else { 24 + self.dice.below(80) };
        let mut from = START + HALF_HOUR * i32::try_from(number).unwrap_or(0);
        let mut slots = Vec::new();
        for slot in 0..count {
            let grams = match number % 6 {
                0 if slot == 0 => 0.0,
                1 => 0.0,
                4 if slot == 0 => 10_000.0,
                _ => self.dice.within(20.0, 600.0),
            };
            let to = from + HALF_HOUR;
            slots.extend(CarbonIntensity::new(grams).ok().map(|grams| Slot::new(from, to, grams)));
            from = to;
        }
        let targets: Vec<_> = self.engine.wanted().into_keys().collect();
        for target in targets {
            if let Ok(forecast) = Forecast::new("a trial", Some(self.now), self.now, slots.clone()) {
                let forecast = Arc::new(forecast);
                self.take(Input::Forecast { target, forecast, actuals: Vec::new(), is_current: true });
            }
        }
    }

    /// Lets time pass: whatever is due is evaluated, a second late at times.
    fn pass(&mut self, span: SignedDuration) {
        let until = self.now + span;
        while let Some(due) = self.engine.next_due().filter(|due| *due <= until) {
            let late = if self.dice.once_in(4) { LATE } else { SignedDuration::ZERO };
            self.now = self.now.max(due + late);
            self.take(Input::Tick);
        }
        self.now = self.now.max(until);
    }

    fn report(&mut self, which: &str) {
        let Some(published) = self.engine.published(&id(which)).filter(|_| !self.dice.once_in(5)) else {
            return;
        };
        // More and less than was to be expected, and nothing at times.
        let most = [0, 40, 400, 9_000][self.dice.below(4) as usize];
        let requests = self.dice.below(most + 1);
        let weights = published.schedule.flavours.iter();
        let counts = weights.map(|share| (share.name.to_string(), json!(requests * u32::from(share.weight))));
        self.reports += 1;
        let body = json!({"window_seconds": REPORT_EVERY.as_secs_f64(), "windowEnd": self.now,
            "source": "router", "sequence": self.reports, "flavour_counts": counts.collect::<Map<_, _>>()});
        self.take(Input::Feedback { id: id(which), feedback: feedback(&body) });
    }
}

/// Three flavours, the worst of them disabled.
fn flavours() -> Value {
    json!([
        {"name": "large", "precision": 1.0, "energyWh": 2.9},
        {"name": "medium", "precision": 0.93, "energyWh": 1.2},
        {"name": "small", "precision": 0.8, "energyWh": 0.4},
        {"name": "broken", "precision": 0.5, "energyWh": 0.1, "enabled": false},
    ])
}

/// As many as a good number of services have, the first of them disabled; the best errs more than is allowed at times.
fn many_flavours() -> Value {
    let flavour = |index: u32| {
        let precision = 0.97 - 0.05 * f64::from(index);
        json!({"name": format!("f{index}"), "precision": precision, "enabled": index > 0})
    };
    (0..12).map(flavour).collect()
}

fn all_disabled() -> Value {
    json!([{"name": "large", "precision": 1.0, "enabled": false}])
}

#[expect(clippy::expect_used, reason = "both names are constants that every trial of the kit goes by")]
fn id(name: &str) -> ScheduleId {
    ScheduleId::new("trial", name).expect("a name of a schedule")
}

fn object(body: &Value) -> Map<String, Value> {
    body.as_object().cloned().unwrap_or_default()
}

#[expect(clippy::expect_used, reason = "written above, and within its ranges")]
fn overrides(body: &Value) -> Overrides {
    Overrides::from_json(&object(body)).expect("a configuration").overrides
}

#[expect(clippy::expect_used, reason = "written above, and within its ranges")]
fn manual(body: &Value) -> Manual {
    Manual::from_json(&object(body)).expect("an override")
}

#[expect(clippy::expect_used, reason = "written above, and within its ranges")]
fn feedback(body: &Value) -> Feedback {
    Feedback::from_json(&object(body)).expect("a report").0
}
