//! What the examples print: they are run as an embedder runs them, but for the writer.

#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/axum_service.rs"]
mod axum_service;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/batch_job.rs"]
mod batch_job;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/llm_gateway.rs"]
mod llm_gateway;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/minimal.rs"]
mod minimal;
#[expect(dead_code, reason = "`cargo run` begins there")]
#[path = "../examples/offline_evaluation.rs"]
mod offline_evaluation;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use engine::journal::{BaseParts, Changes, Input, Memory, Record, Store, StoreError, recover};
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
fn minimal() {
    insta::assert_snapshot!(printed(minimal::run).unwrap());
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

/// Writes down all that the driver's engine is, so that another one can go on from there.
fn keep(driver: &mut Driver, store: &mut dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let parts = driver.update(now, |engine| {
        engine.begin_base();
        engine.base_parts(usize::MAX)
    });
    let base = BaseParts { before: 0, at: now, first: 0, parts, is_last: true };
    store.commit(&Changes { base: Some(base), ..Changes::default() })
}

/// The driver that was written down last, or a new one.
fn go_on(store: &mut dyn Store, now: Timestamp) -> Result<Driver, StoreError> {
    let (registry, options) = (Registry::builtin(), EngineOptions::default());
    let any: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
    let Some(found) = recover(store, &registry, &any, &mut |_, _| ())? else {
        return Ok(Driver::new(Engine::new(options, registry)));
    };
    let mut engine = found.engine;
    let input = Input::Start { options: Box::new(StoredOptions::from(&options)), refused: BTreeMap::new() };
    engine.apply(&Record { at: now, input });
    // Every schedule is due.
    engine.tick(now);
    Ok(Driver::new(engine))
}

#[test]
fn a_driver_goes_on_from_what_was_written_down() {
    let now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
    let id = ScheduleId::new("shop", "search").unwrap();
    let mut store = Memory::default();
    let mut driver = go_on(&mut store, now).unwrap().checking_credit();
    driver.update(now, |engine| engine.configure(&id, Overrides::default(), now)).unwrap();
    let handle = driver.handle(&id, now);
    for _ in 0..1_000 {
        handle.pick().unwrap().record();
    }
    let now = now + SignedDuration::from_secs(60);
    keep(&mut driver, &mut store, now).unwrap();
    let credit = handle.credit();
    assert!(credit > 0.0);

    let mut driver = go_on(&mut store, now).unwrap().checking_credit();
    let handle = driver.handle(&id, now);
    assert_eq!(handle.credit(), credit);
    assert_eq!(handle.schedule().unwrap().totals.requests, 1_000);
}
