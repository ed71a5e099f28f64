//! What the examples print: they are run as an embedder runs them, but for the writer.

#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/axum_service.rs"]
mod axum_service;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/batch_job.rs"]
mod batch_job;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/first_steps.rs"]
mod first_steps;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/llm_gateway.rs"]
mod llm_gateway;
#[path = "../examples/minimal.rs"]
mod minimal;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/offline_evaluation.rs"]
mod offline_evaluation;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use engine::journal::{BaseParts, Changes, Input, Kept, Memory, Record, Store, StoreError, recover};
use engine::routing::Driver;
use engine::{AnyTarget, Engine, EngineOptions, StoredOptions, TargetCheck};
use jiff::SignedDuration;
use models::{Overrides, ScheduleId, Timestamp};
use policies::Registry;

fn printed(run: impl FnOnce(&mut Vec<u8>) -> Result<(), Box<dyn Error>>) -> Result<String, Box<dyn Error>> {
    let mut out = Vec::new();
    run(&mut out)?;
    Ok(String::from_utf8(out)?)
}

#[test]
fn the_least_there_can_be_runs() {
    minimal::main().unwrap();
}

#[test]
fn minimal() {
    insta::assert_snapshot!(printed(first_steps::run).unwrap());
}

#[test]
fn a_batch_spends_its_credit_by_its_end() {
    insta::assert_snapshot!(printed(batch_job::run).unwrap());
}

#[test]
fn no_surge_overdraws_the_gateways_budget() {
    insta::assert_snapshot!(printed(llm_gateway::run).unwrap());
}

#[test]
fn policies_are_replayed_over_a_trace() {
    let trace = offline_evaluation::generated().unwrap();
    insta::assert_snapshot!(printed(|out| offline_evaluation::run(out, &trace)).unwrap());
}

/// What is served depends on the time of day, and on the threads; that all of it is, does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_answers_over_http_and_ends() {
    let mut out = Vec::new();
    axum_service::demo(&mut out).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("listening on http://127.0.0.1:"), "{out}");
    assert!(out.contains("the plan serves this slot") && out.contains("a demonstration"), "{out}");
    let served = out.lines().filter(|line| line.starts_with("  "));
    let served = served.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap());
    assert_eq!(served.sum::<u32>(), axum_service::DEMO, "{out}");
}

/// A driver that goes on from what is in the store, and has everything it does written down there before it does it.
fn lasting<S: Store + 'static>(store: &Arc<Mutex<S>>, now: Timestamp) -> Result<Driver, StoreError> {
    let (registry, options) = (Registry::builtin(), EngineOptions::default());
    let any: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
    let keeping = Arc::clone(store);
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    let found = recover(&mut *store, &registry, &any, &mut |_, _| ())?;
    let mut next = found.as_ref().map_or(0, |found| found.next);
    let mut engine = found.map_or_else(|| Engine::new(options.clone(), registry), |found| found.engine);
    // A process begins: under these options, every schedule evaluated anew. All of it is the first thing kept.
    let input = Input::Start { options: Box::new(StoredOptions::from(&options)), refused: BTreeMap::new() };
    engine.apply(&Record { at: now, input });
    engine.begin_base();
    let parts = engine.base_parts(usize::MAX);
    let base = BaseParts { before: next, at: now, first: 0, parts, is_last: true };
    store.commit(&Changes { base: Some(base), ..Changes::default() })?;
    let mut is_broken = false;
    Ok(Driver::new(engine).keeping(move |records| {
        let mut store = keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if is_broken {
            store.heal(next)?;
        }
        let numbered: Vec<(u64, Record)> = (next..).zip(records.iter().cloned()).collect();
        let count = numbered.len() as u64;
        let kept = store.commit(&Changes { records: numbered, ..Changes::default() });
        is_broken = kept.is_err();
        next += if is_broken { 0 } else { count };
        kept
    }))
}

#[test]
fn a_driver_goes_on_from_what_was_written_down() {
    let now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
    let id = ScheduleId::new("shop", "search").unwrap();
    let store = Arc::new(Mutex::new(Memory::default()));
    let mut driver = lasting(&store, now).unwrap().checking_credit();
    let input = Input::Configure { id: id.clone(), overrides: Overrides::default(), refused: None };
    driver.apply(input, now).unwrap();
    let handle = driver.handle(&id, now);
    for _ in 0..1_000 {
        handle.pick().unwrap().record();
    }
    let now = now + SignedDuration::from_secs(60);
    driver.tick(now);
    let credit = handle.credit();
    assert!(credit > 0.0);
    // Killed: nothing is told to anybody.
    drop(driver);

    let mut driver = lasting(&store, now).unwrap().checking_credit();
    let handle = driver.handle(&id, now);
    assert_eq!(handle.credit(), credit);
    assert_eq!(driver.engine().totals(&id).unwrap().requests, 1_000);
}

/// A disk that is full for once.
#[derive(Default)]
struct FullOnce {
    memory: Memory,
    commits: u32,
    is_broken: bool,
}

impl Store for FullOnce {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.commits += 1;
        self.is_broken |= self.commits == 4;
        if self.is_broken {
            return Err(StoreError::Io("no space left".into()));
        }
        self.memory.commit(changes)
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        self.is_broken = false;
        self.memory.heal(from)
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.memory.load(take)
    }
}

#[test]
fn a_disk_that_was_full_is_healed_and_nothing_is_missing() {
    let mut now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
    let id = ScheduleId::new("shop", "search").unwrap();
    let store = Arc::new(Mutex::new(FullOnce::default()));
    let mut driver = lasting(&store, now).unwrap();
    let input = Input::Configure { id: id.clone(), overrides: Overrides::default(), refused: None };
    driver.apply(input, now).unwrap();
    let handle = driver.handle(&id, now);
    let mut failures = 0;
    for _ in 0..10 {
        handle.pick().unwrap().record();
        now = driver.next_due().unwrap();
        driver.tick(now);
        failures += u32::from(driver.failure().is_some());
    }
    assert_eq!((failures, driver.engine().totals(&id).unwrap().requests), (1, 10));
    drop(driver);
    let driver = lasting(&store, now).unwrap();
    assert_eq!(driver.engine().totals(&id).unwrap().requests, 10);
}
