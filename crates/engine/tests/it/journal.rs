//! What was written down makes the same engine again, to the last byte it publishes.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::journal::{Answer, BaseParts, Changes, Input, Memory, Outcomes, Record, Store as _, recover};
use engine::{AnyTarget, Engine, EngineOptions, Part, Spread, StoredOptions, TargetCheck};
use models::{
    CarbonIntensity, CarbonTarget, Feedback, Forecast, Manual, Overrides, ScheduleId, Slot, Timestamp,
};
use policies::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{START, at, overrides, secs};

/// Something that can happen to an engine.
#[derive(Debug, Clone)]
enum Event {
    Put(usize, Value),
    InCluster(usize, Value),
    LeaveCluster(usize, bool),
    Remove(usize),
    Reset(usize),
    Manual(usize, [u32; 3], f64),
    EndManual(usize),
    Feedback {
        schedule: usize,
        counts: [u32; 3],
        window: f64,
        late: i64,
        numbered: Option<(u8, u8)>,
        measured: bool,
    },
    Poll(usize, u32),
    Note(usize),
    Forecast {
        target: usize,
        grams: Vec<f64>,
        actual: Option<f64>,
    },
    Pass(i64),
    ClockSet(i64),
    Restart(f64),
}

const TARGETS: [&str; 3] = ["national", "13", "nowhere"];
const NAMES: [&str; 3] = ["precision-100", "precision-85", "precision-70"];

fn id(index: usize) -> ScheduleId {
    ScheduleId::new("shop", ["search", "assist", "zoom"][index]).unwrap()
}

fn put() -> impl Strategy<Value = Value> {
    let policies =
        ["credit-greedy", "forecast-aware", "random", "receding-horizon", "receding-horizon", "p100"];
    let policy = proptest::sample::select(policies.to_vec());
    let middle = proptest::sample::select(vec![0.85, 0.9]);
    (policy, 0.0..0.3_f64, 1.0..900.0_f64, 0..3_usize, any::<[bool; 3]>(), middle).prop_map(
        |(policy, target, valid_for, carbon, [calibrate, energy, enabled], middle)| {
            let mut flavours = json!([{"name": NAMES[0], "precision": 1.0, "energyWh": 2.9, "enabled": enabled},
                {"name": NAMES[1], "precision": middle, "energyWh": 1.1},
                {"name": NAMES[2], "precision": 0.7, "annotations": {"any": [1, null]}}]);
            if energy {
                flavours[2]["energyWh"] = json!(0.4);
            }
            json!({"policy": policy, "targetError": target, "validFor": valid_for, "flavours": flavours,
                "carbonTarget": TARGETS[carbon], "calibrate": calibrate, "budgetWindow": 86_400})
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let schedule = || 0..3_usize;
    let feedback = (
        schedule(),
        any::<[u16; 3]>(),
        0.1..3600.0_f64,
        0..4000_i64,
        any::<Option<(bool, u8)>>(),
        any::<bool>(),
    );
    prop_oneof![
        4 => (schedule(), put()).prop_map(|(schedule, body)| Event::Put(schedule, body)),
        2 => (schedule(), put(), any::<bool>()).prop_map(|(schedule, mut body, discovered)| {
            if !discovered {
                body.as_object_mut().unwrap().remove("flavours");
            }
            Event::InCluster(schedule, body)
        }),
        1 => (schedule(), any::<bool>()).prop_map(|(schedule, stay)| Event::LeaveCluster(schedule, stay)),
        1 => schedule().prop_map(Event::Remove),
        1 => schedule().prop_map(Event::Reset),
        1 => (schedule(), any::<[u8; 3]>(), 1.0..5000.0_f64)
            .prop_map(|(schedule, weights, ttl)| Event::Manual(schedule, weights.map(u32::from), ttl)),
        1 => schedule().prop_map(Event::EndManual),
        6 => feedback.prop_map(|(schedule, counts, window, late, numbered, measured)| Event::Feedback {
            schedule, counts: counts.map(u32::from), window, late, measured,
            numbered: numbered.map(|(source, number)| (u8::from(source), number % 16)),
        }),
        1 => (schedule(), 0..5000_u32).prop_map(|(schedule, count)| Event::Poll(schedule, count)),
        1 => schedule().prop_map(Event::Note),
        3 => (0..2_usize, proptest::collection::vec(0.0..1000.0_f64, 1..12), any::<Option<u16>>())
            .prop_map(|(target, grams, actual)| Event::Forecast { target, grams, actual: actual.map(f64::from) }),
        8 => (0..8000_i64).prop_map(Event::Pass),
        1 => (-4000..4000_i64).prop_map(Event::ClockSet),
        1 => (0.0..0.2_f64).prop_map(Event::Restart),
    ]
}

/// One target exists under no provider.
struct Known;

impl TargetCheck for Known {
    fn check(&self, target: &CarbonTarget) -> Result<(), String> {
        if target.as_str() == TARGETS[2] { Err(format!("no provider has `{target}`")) } else { Ok(()) }
    }
}

/// An engine, and a store that hears everything first.
struct Live {
    engine: Engine,
    store: Memory,
    outcomes: Arc<Outcomes>,
    next: u64,
    now: Timestamp,
    parts: u64,
    /// Number of the first record after the base that is being written.
    base: Option<u64>,
}

impl Live {
    fn new(seed: u64) -> Self {
        let options = EngineOptions {
            seed,
            spread: Spread::ByName,
            targets: Arc::new(Known),
            ..EngineOptions::default()
        };
        let outcomes = Arc::new(Outcomes::default());
        let engine = Engine::new(options, Registry::builtin()).with_publisher(Arc::clone(&outcomes) as _);
        let mut live = Self {
            engine,
            store: Memory::default(),
            outcomes,
            next: 0,
            now: at(START),
            parts: 0,
            base: None,
        };
        live.begin_base();
        while live.base.is_some() {
            live.base_parts(1);
        }
        live
    }

    fn begin_base(&mut self) {
        self.engine.begin_base();
        (self.base, self.parts) = (Some(self.next), 0);
    }

    fn base_parts(&mut self, most: usize) {
        let Some(before) = self.base else { return };
        let parts: Vec<Part> = self.engine.base_parts(most).iter().map(through_formats).collect();
        let (first, is_last) = (self.parts, parts.is_empty());
        self.parts += parts.len() as u64;
        let base = Some(BaseParts { before, at: self.now, first, parts, is_last });
        self.store.commit(&Changes { base, ..Changes::default() }).unwrap();
        if is_last {
            self.base = None;
        }
    }

    fn take(&mut self, input: Input) -> Answer {
        let record = through_record(&Record { at: self.now, input });
        let records = vec![(self.next, record.clone())];
        self.store.commit(&Changes { records, ..Changes::default() }).unwrap();
        let answer = self.engine.apply(&record);
        let outcomes = vec![(self.next, self.outcomes.take())];
        self.store.commit(&Changes { outcomes, ..Changes::default() }).unwrap();
        self.next += 1;
        answer
    }

    fn happen(&mut self, event: &Event) {
        match event.clone() {
            Event::Put(schedule, body) => {
                let overrides = overrides(body);
                let refused = self.engine.options().refused(&overrides);
                self.take(Input::Configure { id: id(schedule), overrides, refused });
            }
            Event::InCluster(schedule, body) => {
                let wanted = overrides(body);
                let refused = self.engine.options().refused(&wanted);
                self.take(Input::ConfigureInCluster { id: id(schedule), wanted, refused });
            }
            Event::LeaveCluster(schedule, stay) => {
                drop(self.take(Input::LeaveCluster { id: id(schedule), stay }));
            }
            Event::Remove(schedule) => drop(self.take(Input::Remove { id: id(schedule) })),
            Event::Reset(schedule) => drop(self.take(Input::Reset { id: id(schedule) })),
            Event::Manual(schedule, weights, ttl) => {
                let weights: Value =
                    NAMES.iter().zip(weights).map(|(name, weight)| (*name, weight)).collect();
                let body = json!({"ttlSeconds": ttl, "reason": "a test", "flavourWeights": weights});
                if let Ok(manual) = Manual::from_json(body.as_object().unwrap()) {
                    self.take(Input::SetManual { id: id(schedule), manual });
                }
            }
            Event::EndManual(schedule) => drop(self.take(Input::ClearManual { id: id(schedule) })),
            Event::Feedback { schedule, counts, window, late, numbered, measured } => {
                let counts: Value = NAMES.iter().zip(counts).map(|(name, count)| (*name, count)).collect();
                let mut body = json!({"window_seconds": window, "flavour_counts": counts,
                    "windowEnd": self.now - secs(late)});
                if let Some((source, number)) = numbered {
                    body["source"] = json!(format!("router-{source}"));
                    body["sequence"] = json!(number);
                }
                if measured {
                    body["flavour_precision"] = json!({NAMES[0]: 0.993, NAMES[1]: 0.81});
                    body["flavour_energy_wh"] = json!({NAMES[0]: 3.1});
                }
                let feedback = Feedback::from_json(body.as_object().unwrap()).unwrap().0;
                self.take(Input::Feedback { id: id(schedule), feedback });
            }
            Event::Poll(schedule, count) => {
                let (from, to) = (self.now - secs(30), self.now);
                let counts = vec![(NAMES[1].to_owned(), u64::from(count)), ("else".to_owned(), 7)];
                self.take(Input::Poll { id: id(schedule), from, to, counts });
            }
            Event::Note(schedule) => {
                drop(self.take(Input::Note { id: id(schedule), notes: vec!["a word".into()] }));
            }
            Event::Forecast { target, grams, actual } => self.forecast(TARGETS[target], &grams, actual),
            Event::Pass(seconds) => self.pass(seconds),
            Event::ClockSet(seconds) => {
                self.now += secs(seconds);
                self.take(Input::Tick);
            }
            Event::Restart(target_error) => {
                let mut defaults = Overrides::default();
                defaults.set_number(models::Setting::TargetError, target_error).unwrap();
                let options = EngineOptions { seed: 7, defaults, ..EngineOptions::default() };
                let refused = BTreeMap::from([(TARGETS[1].into(), "gone since".to_owned())]);
                self.take(Input::Start { options: Box::new(StoredOptions::from(&options)), refused });
            }
        }
    }

    fn forecast(&mut self, target: &str, grams: &[f64], actual: Option<f64>) {
        let half_hour = self.now.as_second().div_euclid(1800);
        let slot = |index: i64, grams: f64| {
            let from = |index| Timestamp::from_second((half_hour + index) * 1800).unwrap();
            Slot::new(from(index), from(index + 1), CarbonIntensity::new(grams % 1000.0).unwrap())
        };
        let slots = grams.iter().zip(0..).map(|(grams, index)| slot(index, *grams)).collect();
        let forecast = Arc::new(Forecast::new("test", Some(self.now), self.now, slots).unwrap());
        let actuals = actual.map(|grams| slot(-1, grams)).into_iter().collect();
        self.take(Input::Forecast { target: target.into(), forecast, actuals, is_current: grams.len() != 1 });
    }

    fn pass(&mut self, seconds: i64) {
        let until = self.now + secs(seconds);
        // Far apart, so that a case stays short: what is late is evaluated once.
        while let Some(due) = self.engine.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due) + secs(97);
            self.take(Input::Tick);
        }
        self.now = until.max(self.now);
        self.take(Input::Tick);
    }
}

/// A part as it comes back from a store, by way of either format.
fn through_formats(part: &Part) -> Part {
    let text = serde_json::to_string(part).unwrap();
    let packed = rmp_serde::to_vec_named(&serde_json::from_str::<Part>(&text).unwrap()).unwrap();
    assert_eq!(packed, rmp_serde::to_vec_named(part).unwrap(), "JSON lost something");
    rmp_serde::from_slice(&packed).unwrap()
}

fn through_record(record: &Record) -> Record {
    let packed = rmp_serde::to_vec_named(record).unwrap();
    let read: Record = rmp_serde::from_slice(&packed).unwrap();
    serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap()
}

/// Everything that was written down, acted upon again: the outcomes from the base on.
fn replayed(store: &Memory) -> (Engine, Vec<(u64, Vec<engine::journal::Outcome>)>) {
    let mut engine: Option<Engine> = None;
    let outcomes = Arc::new(Outcomes::default());
    let mut found = Vec::new();
    let mut store = store.clone();
    store
        .load(&mut |kept| {
            match (kept, &mut engine) {
                (engine::journal::Kept::Part(_, Part::Engine(state)), _) => {
                    let restored = Engine::restore(&state, Registry::builtin(), Arc::new(AnyTarget));
                    engine = Some(restored.with_publisher(Arc::clone(&outcomes) as _));
                }
                (engine::journal::Kept::Part(_, part), Some(engine)) => engine.restore_part(part)?,
                (engine::journal::Kept::Record(number, record), Some(engine)) => {
                    engine.apply(&record);
                    found.push((number, outcomes.take()));
                }
                _ => unreachable!("an engine comes first"),
            }
            Ok(())
        })
        .unwrap();
    (engine.unwrap(), found)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]
    #[test]
    fn what_was_written_down_replays_to_the_byte(
        seed in any::<u64>(),
        events in proptest::collection::vec(event(), 1..60),
        bases in proptest::collection::btree_map(0..60_usize, 1..4_usize, 0..4),
    ) {
        let mut live = Live::new(seed);
        let mut pace = 1;
        for (index, event) in events.iter().enumerate() {
            if let Some(slice) = bases.get(&index) {
                live.begin_base();
                pace = *slice;
            }
            // The base is handed out while things happen.
            live.base_parts(pace);
            live.happen(event);
        }
        let (engine, found) = replayed(&live.store);
        let first = found.first().map_or(u64::MAX, |(number, _)| *number);
        let expected: Vec<_> = live.store.outcomes.iter().filter(|(number, _)| *number >= first).cloned().collect();
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(found, expected);
        }
        prop_assert_eq!(found.len(), expected.len());
        for index in 0..3 {
            prop_assert_eq!(engine.config(&id(index)), live.engine.config(&id(index)));
        }
        prop_assert_eq!(engine.next_due(), live.engine.next_due());
        // What recovery makes goes on as the one before it.
        let targets: Arc<dyn TargetCheck> = Arc::new(Known);
        let recovered = recover(&mut live.store, &Registry::builtin(), &targets, &mut |_, _| ()).unwrap().unwrap();
        prop_assert_eq!(recovered.next, live.next);
        let outcomes = Arc::new(Outcomes::default());
        let mut engine = recovered.engine.with_publisher(Arc::clone(&outcomes) as _);
        live.outcomes.take();
        for _ in 0..20 {
            live.now += secs(333);
            let tick = Record { at: live.now, input: Input::Tick };
            prop_assert_eq!(engine.apply(&tick), live.engine.apply(&tick));
            prop_assert_eq!(outcomes.take(), live.outcomes.take());
        }
    }
}

/// A state that was tampered with is refused or taken up; nothing panics, whatever happens afterwards.
#[test]
fn a_state_that_cannot_be_is_refused() {
    let mut live = Live::new(1);
    live.happen(&Event::Put(0, json!({"policy": "receding-horizon"})));
    live.forecast("national", &[100.0, 200.0, 300.0], Some(90.0));
    live.pass(8000);
    live.engine.begin_base();
    let parts = live.engine.base_parts(100);
    let Some(Part::Schedule(..)) = parts.last() else { panic!("a schedule comes last") };
    let whole = serde_json::to_value(parts.last().unwrap()).unwrap();
    let mut refused = 0;
    for (pointer, value) in [
        ("/Schedule/1/totals/choices", json!([0.0])),
        ("/Schedule/1/overrides", json!({"policy": "no-such"})),
        ("/Schedule/1/overrides", json!({"targetError": 7})),
        ("/Schedule/1/notes", json!(vec!["a"; 100])),
        ("/Schedule/1/expected/slots", json!(vec![1.0; 100_000])),
        ("/Schedule/1/trail", json!(vec![("2026-01-01T00:00:00Z", 1.0); 1000])),
        ("/Schedule/1/believed", json!([])),
        ("/Schedule/0", json!(["Not A Namespace", "x"])),
    ] {
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is there")) = value;
        let part = serde_json::from_value::<Part>(changed);
        let Part::Engine(state) = &parts[0] else { panic!("the engine comes first") };
        let mut engine = Engine::restore(state, Registry::builtin(), Arc::new(AnyTarget));
        let outcome = part.map_err(|error| error.to_string());
        let outcome = outcome.and_then(|part| engine.restore_part(part).map_err(|bad| bad.to_string()));
        assert!(outcome.is_err(), "{pointer}");
        refused += 1;
    }
    assert_eq!(refused, 8);
}

#[test]
fn a_restart_puts_new_defaults_in_force_and_keeps_what_was_asked_for() {
    let mut live = Live::new(3);
    live.happen(&Event::Put(0, json!({"policy": "p100"})));
    live.happen(&Event::Put(1, json!({"targetError": 0.3, "carbonTarget": "13"})));
    live.happen(&Event::Restart(0.2));
    live.take(Input::Tick);
    let target = |index: usize| live.engine.config(&id(index)).unwrap().0["targetError"]["value"].clone();
    assert_eq!((target(0), target(1)), (json!(0.2), json!(0.3)));
    let warnings = live.engine.published(&id(1)).unwrap().schedule.warnings.clone();
    assert!(warnings.iter().any(|warning| warning.contains("gone since")), "{warnings:?}");
    let (engine, _) = replayed(&live.store);
    assert_eq!(engine.published(&id(1)).unwrap().document, live.engine.published(&id(1)).unwrap().document);
}

/// Unused in a replay, where what was refused is written down.
#[test]
fn a_refused_target_is_written_down_with_the_input() {
    let mut live = Live::new(4);
    live.happen(&Event::Put(0, json!({"carbonTarget": TARGETS[2]})));
    let (engine, _) = replayed(&live.store);
    let warnings = engine.published(&id(0)).unwrap().schedule.warnings.clone();
    assert!(warnings.iter().any(|warning| warning.contains("no provider has `nowhere`")), "{warnings:?}");
}
