//! Requests that ask, one by one, who is to serve them.

#![expect(clippy::disallowed_methods, reason = "requests come on threads")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use engine::journal::{Answer, Input, Record, StoreError};
use engine::routing::{Driver, Handle, Key, MAX_NAMES, Pick};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use ledger::{error_ppm, target_ppm};
use models::{Manual, Overrides, Precision, ScheduleId, Timestamp};
use policies::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};

fn start() -> Timestamp {
    "2026-11-23T15:00:00Z".parse().unwrap()
}

fn id() -> ScheduleId {
    ScheduleId::new("shop", "search").unwrap()
}

fn driver() -> Driver {
    Driver::new(Engine::new(EngineOptions::default(), Registry::builtin()))
}

fn overrides(body: &Value) -> Overrides {
    Overrides::from_json(body.as_object().unwrap()).unwrap().overrides
}

fn configure(driver: &mut Driver, body: &Value, now: Timestamp) {
    driver.update(now, |engine, now| engine.configure(&id(), overrides(body), now)).unwrap();
}

/// So many flavours, from a precision of 1 downwards, under a policy.
fn flavours(policy: &str, count: u32) -> Value {
    let flavour =
        |index: u32| json!({"name": format!("f{index}"), "precision": 1.0 - 0.01 * f64::from(index)});
    json!({"policy": policy, "targetError": 0.05, "flavours": (0..count).map(flavour).collect::<Vec<_>>()})
}

/// Has weights in percent published by hand.
fn publish(driver: &mut Driver, weights: &[u32], now: Timestamp) {
    let weights: serde_json::Map<_, _> =
        weights.iter().enumerate().map(|(index, weight)| (format!("f{index}"), json!(weight))).collect();
    let body = json!({"flavourWeights": weights});
    let manual = Manual::from_json(body.as_object().unwrap()).unwrap();
    driver.update(now, |engine, now| engine.set_manual(&id(), manual, now)).unwrap();
}

fn name(index: usize) -> String {
    format!("f{index}")
}

/// Every schedule's weights, by flavour, in thousandths.
fn published(handle: &Handle) -> BTreeMap<String, i64> {
    let schedule = handle.schedule().unwrap();
    schedule.schedule.flavours.iter().map(|share| (share.name.to_string(), share.per_mille.into())).collect()
}

#[test]
fn a_handle_is_for_any_thread() {
    fn is_for_any_thread<T: Send + Sync + Clone>() {}
    fn goes_to_another_thread<T: Send>() {}
    is_for_any_thread::<Handle>();
    goes_to_another_thread::<Pick<'static>>();
    goes_to_another_thread::<Driver>();
}

#[test]
fn what_is_picked_and_recorded_is_what_the_schedule_says_and_counts() {
    let mut driver = driver();
    let handle = driver.handle(&id(), start());
    assert!(handle.pick().is_none() && handle.schedule().is_none());
    configure(&mut driver, &flavours("constant-mix", 3), start());
    publish(&mut driver, &[50, 30, 20], start());
    let mut counts = [0_u64; 3];
    for _ in 0..1_000 {
        let pick = handle.pick().unwrap();
        assert_eq!(pick.flavour(), name(pick.position()));
        counts[pick.position()] += 1;
        pick.record();
    }
    assert_eq!(counts, [500, 300, 200]);
    // One that is dropped was not served; what was measured counts as measured; a batch counts at once.
    drop(handle.pick());
    handle.pick().unwrap().record_precision(Precision::new(0.5).unwrap());
    handle.record("f2", 99, None).unwrap();
    let unknown = handle.record("f9", 1, None).unwrap_err();
    insta::assert_snapshot!(unknown, @"`f9` is not a flavour of this schedule: expected one of f0, f1, f2");
    driver.tick(start() + SignedDuration::from_secs(60));
    let schedule = handle.schedule().unwrap();
    assert_eq!(schedule.totals.requests, 1_100);
    let mean = (300.0 * 0.01 + 200.0 * 0.02 + 0.5 + 99.0 * 0.02) / 1_100.0;
    assert!((schedule.totals.mean_error.unwrap() - mean).abs() < 1e-9, "{:?} {mean}", schedule.totals);
    assert_eq!(driver.unbooked(), 0);
}

#[test]
fn an_owner_of_a_key_keeps_a_flavour_while_the_weights_stay() {
    let mut driver = driver();
    let handle = driver.handle(&id(), start());
    configure(&mut driver, &flavours("constant-mix", 3), start());
    publish(&mut driver, &[50, 30, 20], start());
    let of = |key: u64| handle.pick_for(Key::new(key.to_le_bytes())).unwrap().position();
    let before: Vec<usize> = (0..1_000).map(of).collect();
    assert_eq!((0..1_000).map(of).collect::<Vec<_>>(), before);
    // 3 % of traffic moves from the best flavour to the next: about so many keys do, and no other one.
    publish(&mut driver, &[47, 33, 20], start());
    let after: Vec<usize> = (0..1_000).map(of).collect();
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(before, after)| (**before, **after) == (0, 1)), "{moved:?}");
    assert!((10..60).contains(&moved.len()), "{}", moved.len());
}

#[test]
fn a_flavour_that_came_late_is_counted_after_it_is_gone() {
    let mut driver = driver();
    let handle = driver.handle(&id(), start());
    configure(&mut driver, &flavours("p100", 2), start());
    let old = handle.pick().unwrap();
    assert_eq!(old.flavour(), "f0");
    let other = json!({"policy": "p100", "flavours": [{"name": "new", "precision": 1.0}]});
    configure(&mut driver, &other, start());
    assert_eq!(handle.pick().unwrap().flavour(), "new");
    // The name of one that is gone is still good, and so is its record.
    assert_eq!(old.flavour(), "f0");
    old.record();
    driver.tick(start() + SignedDuration::from_secs(60));
    assert_eq!(handle.schedule().unwrap().totals.requests, 1);
    driver.update(start(), |engine, _| engine.remove(&id())).unwrap();
    assert!(handle.pick().is_none());
}

/// Everything a driver does, as a store has it, and whether that store takes more.
type Kept = Arc<Mutex<(Vec<Record>, bool)>>;

fn keeping(driver: Driver) -> (Driver, Kept) {
    let kept = Kept::default();
    let store = Arc::clone(&kept);
    let driver = driver.keeping(move |records| {
        let mut store = store.lock().unwrap();
        if store.1 {
            return Err(StoreError::Io("full".into()));
        }
        store.0.extend_from_slice(records);
        Ok(())
    });
    (driver, kept)
}

#[test]
fn an_engine_comes_back_from_what_a_driver_had_written_down() {
    let (mut driver, kept) = keeping(driver().checking_credit());
    let mut now = start();
    let input =
        Input::Configure { id: id(), overrides: overrides(&flavours("round-robin", 4)), refused: None };
    assert!(matches!(driver.apply(input, now).unwrap(), Answer::Configured(Ok(_))));
    let handle = driver.handle(&id(), now);
    for turn in 0..30_u32 {
        for request in 0..100 + turn {
            let pick = handle.pick().unwrap();
            if request % 3 == 0 { pick.record_precision(Precision::BEST) } else { pick.record() }
        }
        now = driver.next_due().unwrap();
        driver.tick(now);
    }
    let published = driver.engine().published(&id()).unwrap().document.to_bytes();
    let records = std::mem::take(&mut kept.lock().unwrap().0);
    let mut again = Engine::new(EngineOptions::default(), Registry::builtin());
    for record in &records {
        again.apply(record);
    }
    assert_eq!(again.published(&id()).unwrap().document.to_bytes(), published);
    assert_eq!(again.totals(&id()), driver.engine().totals(&id()));
    assert_eq!(again.totals(&id()).unwrap().requests, (100..130).sum::<u64>());
}

#[test]
fn what_cannot_be_written_down_waits_and_counts_once() {
    let (mut driver, kept) = keeping(driver());
    configure(&mut driver, &flavours("p100", 2), start());
    let handle = driver.handle(&id(), start());
    (0..10).for_each(|_| handle.pick().unwrap().record());
    kept.lock().unwrap().1 = true;
    let mut now = start() + SignedDuration::from_secs(60);
    let tick = driver.tick(now);
    assert_eq!((tick.evaluated, tick.next_due), (0, Some(now + SignedDuration::from_secs(1))));
    assert_eq!(driver.engine().totals(&id()).unwrap().requests, 0);
    insta::assert_snapshot!(driver.failure().unwrap(), @"full");
    insta::assert_snapshot!(driver.apply(Input::Remove { id: id() }, now).unwrap_err(), @"full");
    // Requests are served all the same, and all of it is booked once there is room.
    handle.pick().unwrap().record();
    kept.lock().unwrap().1 = false;
    for _ in 0..3 {
        now += SignedDuration::from_secs(1);
        driver.tick(now);
    }
    assert_eq!((driver.engine().totals(&id()).unwrap().requests, driver.failure()), (11, None));
}

/// A rate needs time: what is told twice at one instant is told once, later.
#[test]
fn nothing_is_booked_at_the_very_instant_of_the_last_time() {
    let mut driver = driver();
    configure(&mut driver, &flavours("p100", 2), start());
    let handle = driver.handle(&id(), start());
    handle.record("f0", 100_000, None).unwrap();
    driver.tick(start());
    assert_eq!(driver.engine().totals(&id()).unwrap().requests, 0);
    driver.tick(start() + SignedDuration::from_secs(100));
    let totals = driver.engine().totals(&id()).unwrap();
    assert_eq!((totals.requests, totals.demand.map(f64::round)), (100_000, Some(1_000.0)));
}

/// Whoever counts and goes is counted, also at the instant of the last turn.
#[test]
fn what_a_handle_counted_before_it_went_is_booked() {
    let mut driver = driver();
    configure(&mut driver, &flavours("p100", 2), start());
    let handle = driver.handle(&id(), start());
    handle.record("f0", 100_000, None).unwrap();
    drop(handle);
    driver.tick(start());
    driver.tick(start() + SignedDuration::from_secs(60));
    assert_eq!(driver.engine().totals(&id()).unwrap().requests, 100_000);
    let handle = driver.handle(&id(), start() + SignedDuration::from_secs(60));
    let pick = handle.pick().unwrap().into_owned();
    assert_eq!((pick.flavour(), pick.position(), pick.is_redirected()), ("f0", 0, false));
    pick.record();
    handle.pick().unwrap().into_owned().record_precision(Precision::BEST);
    drop(handle.pick().unwrap().into_owned());
    let engine = driver.into_engine(start() + SignedDuration::from_secs(60));
    assert_eq!(engine.totals(&id()).unwrap().requests, 100_002);
}

/// What a lane kept of the old account is none of the new one's.
#[test]
fn an_account_that_is_put_back_is_not_overdrawn() {
    let mut driver = driver().checking_credit();
    let body = json!({"policy": "round-robin", "targetError": 0.05, "flavours": [
        {"name": "f0", "precision": 1.0}, {"name": "f1", "precision": 0.8}]});
    configure(&mut driver, &body, start());
    let handle = driver.handle(&id(), start());
    handle.record("f0", 3_000, None).unwrap();
    let now = start() + SignedDuration::from_secs(60);
    driver.tick(now);
    assert_eq!(handle.credit(), 150.0);
    let picks = [handle.pick().unwrap(), handle.pick().unwrap()];
    assert!(picks.iter().any(|pick| pick.position() == 1 && !pick.is_redirected()));
    drop(picks);
    driver.update(now, |engine, _| engine.remove(&id())).unwrap();
    configure(&mut driver, &body, now);
    driver.tick(now + SignedDuration::from_secs(10));
    for _ in 0..10 {
        let pick = handle.pick().unwrap();
        assert!(pick.position() == 0, "{pick:?}");
        pick.record();
    }
}

/// What is refused as a whole is booked as far as it can be, and the rest is told.
#[test]
fn what_no_account_takes_is_told() {
    let mut driver = driver();
    configure(&mut driver, &flavours("p100", 1), start());
    let handle = driver.handle(&id(), start());
    let late = handle.pick().unwrap();
    configure(
        &mut driver,
        &json!({"policy": "p100", "flavours": [{"name": "new", "precision": 1.0}]}),
        start(),
    );
    let mut now = start() + SignedDuration::from_hours(25);
    driver.tick(now);
    late.record_precision(Precision::new(0.5).unwrap());
    handle.record("f0", 3, None).unwrap();
    handle.pick().unwrap().record();
    now += SignedDuration::from_secs(60);
    driver.tick(now);
    assert_eq!((driver.engine().totals(&id()).unwrap().requests, driver.unbooked()), (1, 4));
    driver.update(now, |engine, _| engine.remove(&id())).unwrap();
    handle.record("new", 2, None).unwrap();
    driver.tick(now + SignedDuration::from_secs(60));
    assert_eq!(driver.unbooked(), 6);
}

#[test]
fn names_beyond_the_limit_are_served_by_the_best_flavour_that_is_known() {
    let mut driver = driver();
    let handle = driver.handle(&id(), start());
    let rounds = MAX_NAMES / 64;
    for round in 0..=rounds {
        let best = json!({"name": "best", "precision": 1.0});
        let rest = (0..60).map(|index| json!({"name": format!("r{round}-{index}"), "precision": 0.9}));
        let body = json!({"policy": "round-robin", "flavours": std::iter::once(best).chain(rest).collect::<Vec<_>>()});
        configure(&mut driver, &body, start());
    }
    let names: Vec<String> = (0..61).map(|_| handle.pick().unwrap().flavour().to_owned()).collect();
    assert!(names.iter().all(|name| name == "best" || name.starts_with(&format!("r{rounds}-"))), "{names:?}");
    assert!(names.iter().filter(|name| *name == "best").count() > 1);
}

#[test]
fn many_more_threads_than_lanes_lose_nothing() {
    let mut driver = driver();
    let handle = driver.handle(&id(), start());
    configure(&mut driver, &flavours("round-robin", 3), start());
    let together = Barrier::new(100);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                together.wait();
                (0..100).for_each(|_| handle.pick().unwrap().record());
            });
        }
    });
    // Threads that come and go count, too.
    for _ in 0..100 {
        thread::scope(|scope| {
            scope.spawn(|| handle.pick().unwrap().record());
        });
    }
    driver.tick(start() + SignedDuration::from_secs(60));
    assert_eq!(handle.schedule().unwrap().totals.requests, 10_100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// At any moment each flavour has its share but for half a request for each of the others, whatever was
    /// published meanwhile.
    #[test]
    fn what_one_thread_picks_follows_the_weights(
        epochs in prop::collection::vec((prop::collection::vec(0_u32..5, 4), 0_u32..50), 1..20),
    ) {
        let mut driver = driver();
        let handle = driver.handle(&id(), start());
        configure(&mut driver, &flavours("constant-mix", 4), start());
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        for (weights, requests) in epochs {
            if weights.iter().sum::<u32>() > 0 {
                publish(&mut driver, &weights, start());
            }
            let shares = published(&handle);
            for _ in 0..requests {
                for (name, share) in &shares {
                    *wanted.entry(name.clone()).or_default() += share;
                }
                *wanted.entry(handle.pick().unwrap().flavour().to_owned()).or_default() -= 1_000;
                prop_assert!(wanted.values().all(|owed| owed.abs() <= 1_500), "{wanted:?}");
            }
        }
    }

    /// Weights, policy and flavours change under threads that pick and record: nothing is lost, and whoever learns of
    /// a change picks by it.
    #[test]
    fn no_record_is_lost_and_every_change_is_seen(
        changes in prop::collection::vec((0_usize..4, 1_u32..12, 0_u64..40), 1..12),
        is_checked in any::<bool>(),
    ) {
        let mut driver = driver();
        if is_checked {
            driver = driver.checking_credit();
        }
        let handle = driver.handle(&id(), start());
        let mut now = start();
        configure(&mut driver, &flavours("p100", 2), now);
        let (is_over, served) = (AtomicBool::new(false), AtomicU64::new(0));
        // What may be picked by whoever has learned of the last change, a bit a position; 0 while it is changing.
        let allowed = AtomicU64::new(0);
        let result: Result<(), TestCaseError> = thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (handle, is_over, served, allowed) = (handle.clone(), &is_over, &served, &allowed);
                scope.spawn(move || {
                    let mut on_their_way = Vec::new();
                    let mut count = 0_u64;
                    while !is_over.load(Ordering::Acquire) {
                        count += 1;
                        let before = allowed.load(Ordering::Acquire);
                        let pick = match count % 3 {
                            0 => handle.pick_for(Key::new(count.to_le_bytes())),
                            1 => handle.pick_random(count.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ thread),
                            _ => handle.pick(),
                        };
                        let pick = pick.expect("it is configured");
                        let is_seen = before & (1 << pick.position()) > 0 || pick.is_redirected();
                        assert!(is_seen || before == 0 || before != allowed.load(Ordering::Acquire), "{pick:?}");
                        on_their_way.push(pick);
                        if count.is_multiple_of(7) {
                            for pick in on_their_way.drain(..) {
                                served.fetch_add(1, Ordering::Relaxed);
                                if pick.position() == 0 { pick.record() } else { pick.record_precision(Precision::BEST) }
                            }
                        }
                    }
                });
            }
            let mut changed = 0_u64;
            let change = |(kind, count, seconds): (usize, u32, u64)| {
                let before = served.load(Ordering::Relaxed);
                now += SignedDuration::from_secs(i64::try_from(seconds).unwrap());
                allowed.store(0, Ordering::SeqCst);
                match kind {
                    0 => configure(&mut driver, &flavours("round-robin", count), now),
                    1 => configure(&mut driver, &flavours("p100", count), now),
                    2 => publish_only(&mut driver, now),
                    _ => { driver.tick(now); }
                }
                // What is published is what a thread picks that knows of it: this one does.
                let weights = published(&handle);
                for _ in 0..3 {
                    let pick = handle.pick().unwrap();
                    prop_assert!(weights[pick.flavour()] > 0 || pick.is_redirected(), "{pick:?} of {weights:?}");
                }
                let schedule = handle.schedule().unwrap();
                let bits = (0..).zip(&schedule.schedule.flavours).filter(|(_, share)| share.per_mille > 0);
                // Each change has a number, so that two alike are told apart.
                changed += 1;
                let bits: u64 = bits.map(|(position, _)| 1_u64 << position).sum();
                allowed.store(bits | changed << 32, Ordering::Release);
                // The others go on meanwhile.
                while served.load(Ordering::Relaxed) < before + 20 {
                    thread::yield_now();
                }
                Ok(())
            };
            let result = changes.into_iter().try_for_each(change);
            is_over.store(true, Ordering::Release);
            result
        });
        result?;
        driver.tick(now + SignedDuration::from_secs(60));
        let booked = handle.schedule().unwrap().totals.requests;
        prop_assert_eq!((booked, driver.unbooked()), (served.into_inner(), 0));
    }

    /// However picks and records interleave, whatever is on its way, whatever the policy wants: no more error is
    /// served than was allowed for what was served.
    #[test]
    fn checked_picks_never_overdraw(
        policy in prop::sample::select(vec!["round-robin", "random", "constant-mix", "receding-horizon", "credit-greedy"]),
        target in 0.0_f64..0.2,
        acts in prop::collection::vec((0_u32..12, any::<prop::sample::Index>(), 0.0_f64..1.0), 1..600),
    ) {
        let mut driver = driver().checking_credit();
        let handle = driver.handle(&id(), start());
        let mut now = start();
        let body = json!({"policy": policy, "targetError": target, "flavours": [
            {"name": "f0", "precision": 1.0}, {"name": "f1", "precision": 0.9}, {"name": "f2", "precision": 0.6}]});
        configure(&mut driver, &body, now);
        let mut on_their_way: Vec<Pick<'_>> = Vec::new();
        let (mut allowed, mut erred) = (0_u64, 0_u64);
        for (act, which, better) in acts {
            match act {
                0..=5 => on_their_way.push(if act < 3 {
                    handle.pick().unwrap()
                } else if act < 5 {
                    handle.pick_random(better.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap()
                } else {
                    handle.pick_for(Key::new(better.to_le_bytes())).unwrap()
                }),
                6..=9 if !on_their_way.is_empty() => {
                    let pick = on_their_way.swap_remove(which.index(on_their_way.len()));
                    let promised = [1.0, 0.9, 0.6][pick.position()];
                    allowed += u64::from(target_ppm(target));
                    if act < 9 {
                        erred += u64::from(error_ppm(1.0 - promised));
                        pick.record();
                    } else {
                        let precision = Precision::new(promised + (1.0 - promised) * better).unwrap();
                        erred += u64::from(error_ppm(precision.error()));
                        pick.record_precision(precision);
                    }
                }
                10 if !on_their_way.is_empty() => {
                    drop(on_their_way.swap_remove(which.index(on_their_way.len())));
                }
                _ => {
                    now += SignedDuration::from_secs(if better < 0.5 { 7 } else { 61 });
                    driver.tick(now);
                }
            }
            prop_assert!(erred <= allowed, "{erred} of {allowed} ppm");
            let budget = handle.schedule().unwrap().schedule.budget.unwrap();
            prop_assert!(budget.balance >= 0.0, "{budget:?}");
        }
        let schedule = driver.into_engine(now + SignedDuration::from_secs(60));
        drop(on_their_way);
        let budget = schedule.published(&id()).unwrap().schedule.budget.unwrap();
        prop_assert!(budget.served_error <= budget.served_requests as f64 * target + 1e-6);
    }
}

fn publish_only(driver: &mut Driver, now: Timestamp) {
    let first = driver.engine().published(&id()).unwrap().schedule.flavours[0].name.to_string();
    let manual = Manual::from_json(json!({"flavourWeights": {first: 1}}).as_object().unwrap()).unwrap();
    driver.update(now, |engine, now| engine.set_manual(&id(), manual, now)).unwrap();
}

/// What is earned is spent, not only saved: with every pick checked, a policy that spends all it may comes close to
/// its target.
#[test]
fn checked_picks_spend_what_was_earned() {
    let mut driver = driver().checking_credit();
    let handle = driver.handle(&id(), start());
    let mut now = start();
    configure(&mut driver, &flavours("round-robin", 11), now);
    for _ in 0..120 {
        for _ in 0..1_000 {
            handle.pick().unwrap().record();
        }
        now = driver.next_due().unwrap();
        driver.tick(now);
    }
    let budget = handle.schedule().unwrap().schedule.budget.unwrap();
    // Its flavours err by 0.05 in the mean, which is the target.
    let mean = budget.served_error / budget.served_requests as f64;
    assert!((0.045..=0.05).contains(&mean), "{mean}");
    assert!(driver.redirected(&id()) > 0, "the first ones found no credit");
    assert!(handle.credit() >= 0.0);
}
