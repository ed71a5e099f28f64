//! A server's journal without the server: what came in and what was published, as an export has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::journal::{
    Answer, BaseParts, Changes, Input, Line, Memory, Outcome, Outcomes, Record, Store as _, recover,
};
use engine::{AnyTarget, Engine, EngineOptions, Part, Spread, StoredOptions, TargetCheck};
use jiff::SignedDuration;
use models::{CarbonIntensity, Feedback, Forecast, Manual, Overrides, ScheduleId, Setting, Slot, Timestamp};
use policies::Registry;
use serde_json::{Value, json};

/// A Monday.
pub(crate) const START: &str = "2026-11-23T00:00:00Z";

/// An engine whose inputs are kept, and that can be restarted.
pub(crate) struct Server {
    engine: Engine,
    store: Memory,
    outcomes: Arc<Outcomes>,
    pub(crate) now: Timestamp,
    bases: Vec<(u64, Vec<Part>)>,
    /// Whether a base is being written.
    is_basing: bool,
    /// Every record, with what it published where that was written down.
    pub(crate) records: Vec<(Record, Option<Vec<Outcome>>)>,
}

pub(crate) fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Plans are made anew every five minutes, so that a week stays short.
fn options(defaults: Overrides) -> EngineOptions {
    let max_planned_interval = secs(300);
    EngineOptions {
        seed: 9,
        spread: Spread::ByName,
        defaults,
        max_planned_interval,
        ..EngineOptions::default()
    }
}

pub(crate) fn id(name: &str) -> ScheduleId {
    ScheduleId::new("shop", name).unwrap()
}

impl Server {
    pub(crate) fn new() -> Self {
        let options = options(Overrides::default());
        let mut server = Self {
            engine: Engine::new(options.clone(), Registry::builtin()),
            store: Memory::default(),
            outcomes: Arc::default(),
            now: START.parse().unwrap(),
            bases: Vec::new(),
            is_basing: false,
            records: Vec::new(),
        };
        server.base();
        server.begin(&options);
        server
    }

    fn begin(&mut self, options: &EngineOptions) {
        self.outcomes = Arc::default();
        let engine =
            std::mem::replace(&mut self.engine, Engine::new(EngineOptions::default(), Registry::builtin()));
        self.engine = engine.with_publisher(Arc::clone(&self.outcomes) as _);
        let options = Box::new(StoredOptions::from(options));
        self.take(Input::Start { options, refused: BTreeMap::new() });
    }

    /// A whole base.
    fn base(&mut self) {
        self.begin_base();
        while self.is_basing {
            self.base_part();
        }
    }

    pub(crate) fn begin_base(&mut self) {
        self.engine.begin_base();
        self.bases.push((self.records.len() as u64, Vec::new()));
        self.is_basing = true;
    }

    /// A part of the base that is being written, if one is.
    fn base_part(&mut self) {
        if !self.is_basing {
            return;
        }
        let made = self.engine.base_parts(1);
        let (before, parts) = self.bases.last_mut().unwrap();
        let (before, first) = (*before, parts.len() as u64);
        parts.extend(made.iter().cloned());
        self.is_basing = !made.is_empty();
        let base = Some(BaseParts { before, at: self.now, first, parts: made, is_last: !self.is_basing });
        self.store.commit(&Changes { base, ..Changes::default() }).unwrap();
    }

    /// The process is killed and started again with other defaults; the last `lost` records had no time to
    /// write down what they published.
    pub(crate) fn restart(&mut self, target_error: f64, lost: usize) {
        let from = self.records.len() - lost;
        self.records[from..].iter_mut().for_each(|(_, outcomes)| *outcomes = None);
        self.is_basing = false;
        let targets: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
        let recovered = recover(&mut self.store, &Registry::builtin(), &targets, &mut |_, _| ());
        let recovered = recovered.unwrap().unwrap();
        assert_eq!(recovered.next, self.records.len() as u64);
        self.engine = recovered.engine;
        self.base();
        let mut defaults = Overrides::default();
        defaults.set_number(Setting::TargetError, target_error).unwrap();
        self.begin(&options(defaults));
    }

    pub(crate) fn take(&mut self, input: Input) -> Answer {
        let record = Record { at: self.now, input };
        let records = vec![(self.records.len() as u64, record.clone())];
        self.store.commit(&Changes { records, ..Changes::default() }).unwrap();
        let answer = self.engine.apply(&record);
        let outcomes = Some(self.outcomes.take()).filter(|outcomes| !outcomes.is_empty());
        self.records.push((record, outcomes));
        self.base_part();
        answer
    }

    /// Something happens that is not written down.
    pub(crate) fn unrecorded(&mut self, input: Input) {
        self.engine.apply(&Record { at: self.now, input });
        self.outcomes.take();
        self.take(Input::Unrecorded);
    }

    /// The same, and a base is begun before that is written down.
    pub(crate) fn unrecorded_and_based(&mut self, input: Input) {
        self.engine.apply(&Record { at: self.now, input });
        self.outcomes.take();
        self.begin_base();
        self.take(Input::Unrecorded);
    }

    /// Time passes; what falls due is evaluated.
    pub(crate) fn pass(&mut self, seconds: i64) {
        let until = self.now + secs(seconds);
        while let Some(due) = self.engine.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.take(Input::Tick);
        }
        self.now = until;
    }

    pub(crate) fn put(&mut self, name: &str, body: &Value) {
        let overrides = Overrides::from_json(body.as_object().unwrap()).unwrap().overrides;
        let answer = self.take(Input::Configure { id: id(name), overrides, refused: None });
        assert!(matches!(answer, Answer::Configured(Ok(_))), "{answer:?}");
    }

    pub(crate) fn manual(&mut self, name: &str, body: &Value) {
        let manual = Manual::from_json(body.as_object().unwrap()).unwrap();
        self.take(Input::SetManual { id: id(name), manual });
    }

    pub(crate) fn feedback(&mut self, name: &str, body: &Value) {
        let (feedback, _) = Feedback::from_json(body.as_object().unwrap()).unwrap();
        self.take(Input::Feedback { id: id(name), feedback });
    }

    /// A forecast of half-hours for a day, of which `grams` says each, by its number since 1970.
    pub(crate) fn forecast(&mut self, target: &str, age: i64, grams: impl Fn(i64) -> f64) {
        let first = self.now.as_second().div_euclid(1800);
        let slot = |number: i64| {
            let at = |number: i64| Timestamp::from_second(number * 1800).unwrap();
            Slot::new(at(number), at(number + 1), CarbonIntensity::new(grams(number)).unwrap())
        };
        let slots = (first..first + 48).map(slot).collect();
        let forecast = Forecast::new("test", Some(self.now - secs(age)), self.now, slots).unwrap();
        let actuals = vec![slot(first - 1)];
        self.take(Input::Forecast {
            target: target.into(),
            forecast: Arc::new(forecast),
            actuals,
            is_current: true,
        });
    }

    /// The lines of an export that begins with that base.
    pub(crate) fn export(&self, base: usize) -> Vec<String> {
        let (before, parts) = &self.bases[base];
        let first = usize::try_from(*before).unwrap();
        let mut lines = vec![Line::header(self.now, None)];
        lines.extend(parts.iter().map(|part| Line::Part(*before, Box::new(part.clone()))));
        for (number, (record, outcomes)) in (*before..).zip(&self.records[first..]) {
            lines.extend(outcomes.clone().map(|outcomes| Line::Published(number, outcomes)));
            lines.push(Line::Record(number, Box::new(record.clone())));
        }
        let records = (self.records.len() - first) as u64;
        lines.push(Line::End { parts: parts.len() as u64, records });
        lines.iter().map(|line| line.to_text().unwrap()).collect()
    }

    /// How often anything was published from that base on, and how many of them were written down.
    pub(crate) fn published(&self, base: usize) -> usize {
        let first = usize::try_from(self.bases[base].0).unwrap();
        self.records[first..].iter().filter_map(|(_, outcomes)| outcomes.as_ref()).map(Vec::len).sum()
    }
}

/// A grid with a clean noon: gCO2eq/kWh of a half-hour.
pub(crate) fn grid(half_hour: i64) -> f64 {
    let phase = half_hour as f64 * std::f64::consts::TAU / 48.0;
    (250.0 + 120.0 * phase.cos() + 20.0 * (phase * 3.1).sin()).round()
}

/// An hour and a half of two schedules, in which a bit of everything happens.
pub(crate) fn story() -> Server {
    let mut server = Server::new();
    server.put(
        "search",
        &json!({"policy": "receding-horizon", "validFor": 600, "flavours": [
            {"name": "large", "precision": 1, "energyWh": 3}, {"name": "small", "precision": 0.85, "energyWh": 1}]}),
    );
    server.put("assist", &json!({"policy": "credit-greedy", "validFor": 600}));
    server.forecast("national", 240, grid);
    let mut number = 0;
    let mut post = |server: &mut Server, late: i64| {
        number += 1;
        let end = server.now - secs(late);
        server.feedback(
            "search",
            &json!({"flavour_counts": {"large": 900, "small": 100}, "window_seconds": 300, "windowEnd": end,
                "source": "router-1", "sequence": number}),
        );
    };
    for step in 0..18 {
        server.pass(300);
        match step {
            4 => post(&mut server, 0),
            5 => server.manual(
                "search",
                &json!({"flavourWeights": {"large": 1}, "ttlSeconds": 900, "reason": "incident 7"}),
            ),
            6 => server.forecast("national", 60, |half_hour| grid(half_hour) + 15.0),
            9 => server
                .put("search", &json!({"policy": "receding-horizon", "validFor": 600, "targetError": 0.1})),
            10 => server.restart(0.1, 1),
            12 => post(&mut server, 640),
            _ => post(&mut server, 2),
        }
    }
    server
}
