//! Drivers that somebody else turns: a thread, a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine::journal::{Answer, Input};
use engine::routing::{Driver, Handle, TaskDriver, ThreadDriver};
use engine::{Engine, EngineOptions};
use models::{Overrides, ScheduleId, Timestamp};
use policies::Registry;

const START: i64 = 1_763_910_000;

fn driver() -> Driver {
    Driver::new(Engine::new(EngineOptions::default(), Registry::builtin()))
}

fn id() -> ScheduleId {
    ScheduleId::new("shop", "search").unwrap()
}

/// A clock that stands until it is set.
fn standing() -> (Arc<AtomicI64>, impl Fn() -> Timestamp + Send + Sync + 'static) {
    let seconds = Arc::new(AtomicI64::new(START));
    let read = Arc::clone(&seconds);
    (seconds, move || Timestamp::from_second(read.load(Ordering::Relaxed)).unwrap())
}

/// A clock of which every look costs a minute: something is always due.
fn hasty() -> impl Fn() -> Timestamp + Send + Sync + 'static {
    let seconds = AtomicI64::new(START);
    move || Timestamp::from_second(seconds.fetch_add(60, Ordering::Relaxed)).unwrap()
}

fn configured() -> Input {
    Input::Configure { id: id(), overrides: Overrides::default(), refused: None }
}

fn evaluations(handle: &Handle) -> u64 {
    handle.schedule().map_or(0, |published| published.totals.evaluations)
}

fn requests(handle: &Handle) -> u64 {
    handle.schedule().map_or(0, |published| published.totals.requests)
}

fn serve(handle: &Handle, count: u64) {
    (0..count).for_each(|_| handle.pick().unwrap().record());
}

#[test]
fn a_thread_evaluates_what_is_due_and_books_what_was_served() {
    let turned = ThreadDriver::start(driver(), hasty()).unwrap();
    let handle = turned.handle(&id());
    assert!(matches!(turned.apply(configured()), Ok(Answer::Configured(Ok(_)))));
    serve(&handle, 10);
    while evaluations(&handle) < 5 || requests(&handle) < 10 {
        std::thread::yield_now();
    }
    assert_eq!((requests(&handle), turned.with(Driver::unbooked)), (10, 0));
    assert!(turned.is_turning());
}

#[test]
fn a_thread_sleeps_until_something_is_due_or_changes_and_ends_at_once() {
    let (seconds, clock) = standing();
    let turned = ThreadDriver::start(driver(), clock).unwrap();
    let handle = turned.handle(&id());
    turned.update(|engine, now| engine.configure(&id(), Overrides::default(), now)).unwrap();
    serve(&handle, 7);
    seconds.fetch_add(3_600, Ordering::Relaxed);
    // It sleeps by the clock there was; whoever wants it to look says so.
    turned.settle();
    assert_eq!((evaluations(&handle), requests(&handle)), (2, 7));
    let pick = handle.pick().unwrap();
    drop(turned);
    // Handles go on by the weights they have.
    pick.record();
    assert!(handle.pick().is_some());
}

#[test]
fn a_task_evaluates_what_is_due_and_books_what_was_served() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let turned = TaskDriver::start(runtime.handle(), driver(), hasty());
    let handle = turned.handle(&id());
    assert!(matches!(turned.apply(configured()), Ok(Answer::Configured(Ok(_)))));
    serve(&handle, 10);
    runtime.block_on(async {
        while evaluations(&handle) < 5 || requests(&handle) < 10 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!((requests(&handle), turned.with(Driver::unbooked)), (10, 0));
    assert!(turned.is_turning());
}

#[test]
fn a_task_is_told_of_changes_and_ends_with_its_driver() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (seconds, clock) = standing();
    let turned = TaskDriver::start(runtime.handle(), driver(), clock);
    let handle = turned.handle(&id());
    turned.update(|engine, now| engine.configure(&id(), Overrides::default(), now)).unwrap();
    serve(&handle, 7);
    seconds.fetch_add(3_600, Ordering::Relaxed);
    turned.update(|_, _| ());
    runtime.block_on(async {
        while requests(&handle) < 7 || evaluations(&handle) < 2 {
            tokio::task::yield_now().await;
        }
    });
    turned.settle();
    drop(turned);
    assert!(handle.pick().is_some());
}
