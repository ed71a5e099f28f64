//! What was emitted, and what was avoided: the figures a user is asked to prove.

#![expect(clippy::needless_pass_by_value, reason = "bodies are written where they are used")]

use std::sync::Arc;

use engine::{Emissions, EngineOptions, Polled};
use jiff::SignedDuration;
use models::savings::{Emitted, SavingsReport};
use models::{CarbonIntensity, CarbonTarget, FlavourSet, Forecast, Slot, Timestamp};
use policies::Menu;
use policies::planner::{self, Load};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{START, World, at, secs};

/// Three flavours of an LLM, in Wh, on no line.
const WH: [f64; 3] = [2.9, 0.41, 0.1];
const PRECISION: [f64; 3] = [1.0, 0.9, 0.7];
const NAMES: [&str; 3] = ["large", "medium", "small"];

fn flavours() -> Value {
    let flavour =
        |index: usize| json!({"name": NAMES[index], "precision": PRECISION[index], "energyWh": WH[index]});
    json!([flavour(0), flavour(1), flavour(2)])
}

fn put(more: Value) -> Value {
    let mut body = json!({"flavours": flavours(), "policy": "constant-mix"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn llm() -> World {
    let mut world = World::new();
    world.put(put(json!({})));
    world
}

fn savings(world: &World) -> SavingsReport {
    world.published().schedule.savings.unwrap()
}

fn emissions(world: &World) -> Emissions {
    world.published().totals.emissions.unwrap()
}

fn counts(counts: [u64; 3]) -> Value {
    json!({"large": counts[0], "medium": counts[1], "small": counts[2]})
}

/// Half a minute that ended so many seconds after the start.
fn post(world: &mut World, served: [u64; 3], end: i64) {
    let end = (at(START) + secs(end)).to_string();
    world.feedback(json!({"flavour_counts": counts(served), "windowEnd": end}));
}

/// Evaluates at once, so that what was reported is seen.
fn look(world: &mut World) -> SavingsReport {
    world.manual(json!({"flavourWeights": {"large": 1}, "ttlSeconds": 1}));
    world.engine.clear_manual(&world.id, world.now).unwrap();
    savings(world)
}

fn close(one: f64, two: f64) -> bool {
    (one - two).abs() <= 1e-9 * one.abs().max(two.abs()).max(1.0)
}

#[track_caller]
fn assert_close(one: f64, two: f64) {
    assert!(close(one, two), "{one} is not {two}");
}

/// Grams by the definition: emitted, at the best flavour, at the constant mix of 5 % (half large, half
/// medium).
fn grams(served: [u64; 3], intensity: f64) -> [f64; 3] {
    let requests = served.iter().sum::<u64>() as f64;
    let energy: f64 = served.iter().zip(WH).map(|(count, wh)| *count as f64 * wh).sum();
    let mix = WH[0] / 2.0 + WH[1] / 2.0;
    [energy, requests * WH[0], requests * mix].map(|energy| energy * intensity / 1000.0)
}

#[track_caller]
fn assert_is(found: Emitted, requests: u64, expected: [f64; 3]) {
    assert_eq!(found.priced_requests, requests);
    assert_close(found.emitted, expected[0]);
    assert_close(found.avoided_vs_best, expected[1] - expected[0]);
    assert_close(found.avoided_vs_constant_mix, expected[2] - expected[0]);
}

#[test]
fn nothing_is_said_before_anything_was_reported() {
    let mut world = llm();
    world.observe(&[200.0; 4]);
    world.pass(secs(600));
    assert_eq!(world.published().schedule.savings, None);
    assert!(world.json().get("savings").is_none());
    assert_eq!(world.published().totals.emissions, None);
}

#[test]
fn grams_are_energy_times_the_intensity_of_the_half_hour() {
    let mut world = llm();
    world.observe(&[200.0, 500.0]);
    world.pass(secs(900));
    post(&mut world, [10, 20, 30], 600);
    world.pass(secs(1800));
    post(&mut world, [1, 2, 4], 2400);
    // The middle of a window says which half-hour it is of.
    post(&mut world, [5, 0, 0], 1810);
    post(&mut world, [0, 0, 7], 1820);
    world.pass(secs(60));
    let found = savings(&world);
    let parts = [grams([15, 20, 30], 200.0), grams([1, 2, 11], 500.0)];
    let expected = [0, 1, 2].map(|index| parts[0][index] + parts[1][index]);
    assert_is(found.since_start, 79, expected);
    assert_is(found.day, 79, expected);
    assert_eq!((found.unit, found.relative, found.hindsight), ("gCO2eq", false, None));
    assert_eq!(found.since, at("2026-11-23T15:09:30Z"));
    let counted = emissions(&world);
    assert_close(counted.emitted, expected[0]);
    assert_close(counted.at_best, expected[1]);
    assert_close(counted.at_constant_mix, expected[2]);
    let document = world.json()["savings"].clone();
    assert_eq!(document["24h"]["pricedRequests"], 79);
    assert_eq!(document["sinceStart"]["unpricedRequests"], 0);
    assert_close(document["sinceStart"]["emitted"].as_f64().unwrap(), expected[0]);
    assert!(document.get("relative").is_none() && document.get("hindsight").is_none());
}

#[test]
fn a_poll_that_catches_up_is_priced_by_the_half_hours_it_is_about() {
    let mut world = llm();
    world.observe(&[200.0, 500.0, 100.0, 300.0]);
    let begun = world.now;
    world.pass(secs(6_300));
    let counts = [("large".to_owned(), 7), ("small".to_owned(), 3_500)];
    let now = world.now;
    let polled = world.engine.poll(&world.id, (begun, now), &counts, now);
    assert_eq!(polled, Ok(Polled::Counted { unknown: vec![] }));
    world.pass(secs(60));
    // Three half-hours, and half of one; by whole requests that add up.
    let parts = [
        grams([2, 0, 1_000], 200.0),
        grams([2, 0, 1_000], 500.0),
        grams([2, 0, 1_000], 100.0),
        grams([1, 0, 500], 300.0),
    ];
    let expected = [0, 1, 2].map(|index| parts.iter().map(|part| part[index]).sum());
    assert_is(savings(&world).since_start, 3_507, expected);
}

#[test]
fn without_energies_in_wh_nothing_is_called_grams() {
    let mut world = World::new();
    world.put(json!({"policy": "p100"}));
    world.observe(&[200.0; 4]);
    world.pass(secs(60));
    world.feedback(json!({"flavour_counts": {"precision-100": 10, "precision-70": 10}}));
    world.pass(secs(60));
    let found = savings(&world);
    assert_eq!((found.unit, found.relative), ("relative g", true));
    assert_eq!(world.json()["savings"]["relative"], true);
    assert_close(found.since_start.emitted, 200.0 * (10.0 + 4.0));
    assert_close(found.since_start.avoided_vs_best, 200.0 * 6.0);
    // A sixth at 0.4: 0.9 for each.
    assert_close(found.since_start.avoided_vs_constant_mix, 200.0 * (20.0 * 0.9 - 14.0));
    assert!(emissions(&world).relative);
}

#[test]
fn what_the_grid_was_is_unknown_is_counted_apart_and_an_actual_value_prices_it() {
    let mut world = llm();
    post(&mut world, [10, 0, 0], 0);
    world.pass(secs(60));
    let unknown = Emitted { unpriced_requests: 10, ..Emitted::default() };
    assert_eq!(savings(&world).since_start, unknown);
    world.pass(secs(3600));
    world.observe(&[200.0; 4]);
    world.pass(secs(60));
    assert_eq!(savings(&world).since_start, unknown, "a forecast is no word about what was before it");
    let slot = |grams| Slot::new(at("2026-11-23T14:30:00Z"), at(START), CarbonIntensity::new(grams).unwrap());
    world.engine.observe_actual(&CarbonTarget::from("national"), &slot(300.0));
    assert_is(look(&mut world).since_start, 0, [0.0; 3]);
    let slot = Slot::new(at(START), at("2026-11-23T15:30:00Z"), CarbonIntensity::new(300.0).unwrap());
    post(&mut world, [1, 0, 0], 15);
    world.engine.observe_actual(&CarbonTarget::from("national"), &slot);
    let found = look(&mut world).since_start;
    assert_eq!(found.unpriced_requests, 10, "served in the last seconds before the slot");
    assert_is(found, 1, grams([1, 0, 0], 300.0));
}

#[test]
fn an_actual_value_takes_the_place_of_the_forecast_and_no_counter_falls() {
    let mut world = llm();
    world.observe(&[200.0, 400.0]);
    world.pass(secs(600));
    post(&mut world, [100, 0, 0], 600);
    world.pass(secs(1800));
    assert_close(savings(&world).since_start.emitted, grams([100, 0, 0], 200.0)[0]);
    let slot = Slot::new(at(START), at("2026-11-23T15:30:00Z"), CarbonIntensity::new(150.0).unwrap());
    world.engine.observe_actual(&CarbonTarget::from("national"), &slot);
    assert_is(look(&mut world).since_start, 100, grams([100, 0, 0], 150.0));
    assert_close(emissions(&world).emitted, grams([100, 0, 0], 200.0)[0]);
    post(&mut world, [100, 0, 0], 2400);
    let found = look(&mut world).since_start.emitted;
    assert_close(found, grams([100, 0, 0], 150.0)[0] + grams([100, 0, 0], 400.0)[0]);
    assert_eq!(emissions(&world).emitted, found);
}

#[test]
fn flavours_that_left_keep_their_energy_and_one_without_is_unpriced() {
    let mut world = llm();
    world.observe(&[100.0; 96]);
    let small = json!({"name": "small", "precision": 0.7, "enabled": false});
    let two = json!([flavours()[0], small]);
    world.put(json!({"flavours": two, "policy": "p100"}));
    post(&mut world, [0, 10, 3], 30);
    let found = look(&mut world);
    assert_eq!((found.unit, found.since_start.unpriced_requests), ("gCO2eq", 3));
    assert_close(found.since_start.emitted, 10.0 * WH[1] / 10.0);
    assert_close(found.since_start.avoided_vs_best, 10.0 * (WH[0] - WH[1]) / 10.0);
    // With one flavour the constant mix is that one.
    assert_eq!(found.since_start.avoided_vs_best, found.since_start.avoided_vs_constant_mix);
}

#[test]
fn an_override_is_served_traffic_as_well() {
    let mut world = llm();
    world.observe(&[100.0; 96]);
    world.manual(json!({"flavourWeights": {"small": 1}, "ttlSeconds": 3600}));
    world.pass(secs(300));
    post(&mut world, [0, 0, 50], 300);
    world.pass(secs(300));
    assert!(world.published().schedule.manual.is_some());
    assert_is(savings(&world).since_start, 50, grams([0, 0, 50], 100.0));
}

#[test]
fn another_unit_is_another_account_and_the_first_one_goes_on_where_it_stopped() {
    let mut world = llm();
    world.observe(&[100.0; 96]);
    post(&mut world, [10, 0, 0], 20);
    let wh = look(&mut world).since_start;
    world.put(json!({"flavours": [{"name": "large", "precision": 1, "carbonIntensity": 2.0},
        {"name": "small", "precision": 0.7, "carbonIntensity": 1.0}], "policy": "p100"}));
    assert_eq!(world.published().schedule.savings, None);
    assert_eq!(world.published().totals.emissions, None);
    post(&mut world, [0, 0, 4], 20);
    // What is still reported of a flavour that says no energy of this kind is not mixed in.
    world.feedback(json!({"flavour_counts": {"medium": 9}}));
    let found = look(&mut world);
    assert_eq!((found.unit, found.since_start.priced_requests), ("relative g", 4));
    assert_eq!(found.since_start.unpriced_requests, 9);
    assert_close(found.since_start.emitted, 4.0 * 0.5 * 100.0);
    assert!(emissions(&world).relative);
    world.put(put(json!({})));
    assert_eq!(savings(&world).since_start, wh);
    post(&mut world, [0, 0, 1], 20);
    assert_is(look(&mut world).since_start, 11, grams([10, 0, 1], 100.0));
}

#[test]
fn the_last_day_forgets_and_the_whole_does_not() {
    let mut world = llm();
    world.observe(&[100.0; 200]);
    post(&mut world, [10, 0, 0], 30);
    world.pass(SignedDuration::from_hours(24) + secs(60));
    assert_is(savings(&world).day, 10, grams([10, 0, 0], 100.0));
    world.pass(SignedDuration::from_mins(30));
    assert_eq!(savings(&world).day, Emitted::default());
    assert_is(savings(&world).since_start, 10, grams([10, 0, 0], 100.0));
    // So late, nobody knows any more what the grid was.
    post(&mut world, [10, 0, 0], 30);
    let found = look(&mut world).since_start;
    assert_eq!((found.priced_requests, found.unpriced_requests), (10, 10));
}

#[test]
fn a_half_hour_that_is_first_heard_of_late_has_its_own_price() {
    let mut world = llm();
    world.observe(&[100.0, 200.0, 300.0, 400.0]);
    world.pass(secs(6000));
    post(&mut world, [1, 0, 0], 6000);
    world.pass(secs(600));
    // In either of these nothing was counted yet, and each was over before the account began.
    post(&mut world, [1, 0, 0], 4000);
    post(&mut world, [1, 0, 0], 600);
    let expected = [400.0, 300.0, 100.0].map(|intensity| grams([1, 0, 0], intensity)[0]);
    assert_close(look(&mut world).since_start.emitted, expected.iter().sum());
}

#[test]
fn an_engine_without_documents_keeps_no_savings() {
    let mut world = World::with(EngineOptions { documents: false, ..EngineOptions::default() });
    world.put(put(json!({})));
    world.observe(&[100.0; 96]);
    post(&mut world, [10, 0, 0], 20);
    world.pass(secs(7200));
    assert_eq!(world.published().schedule.savings, None);
}

/// A day with two dirty thirds and a clean one, and requests that come in waves.
fn day() -> Vec<(f64, u64)> {
    let slot = |index: u64| {
        let intensity = if index % 24 < 8 { 100.0 } else { 300.0 + 5.0 * (index % 24) as f64 };
        (intensity, 1000 + 200 * (index % 7))
    };
    (0..48).map(slot).collect()
}

fn menu() -> Menu {
    Menu::new(&FlavourSet::from_json(&flavours(), "", &mut Vec::new()).unwrap()).unwrap()
}

/// Serves what `flavours` says of each half-hour, reported every minute.
fn serve(world: &mut World, slots: &[(f64, u64)], flavours: impl Fn(usize, u64) -> [u64; 3]) {
    for (index, (_, requests)) in slots.iter().enumerate() {
        for _ in 0..30 {
            world.pass(secs(60));
            let served = flavours(index, *requests);
            world.feedback(json!({"window_seconds": 60, "flavour_counts": counts(served)}));
        }
    }
}

#[test]
fn a_day_is_compared_with_the_optimum_that_is_found_by_itself() {
    let slots = day();
    let mut world = llm();
    let mut intensities: Vec<f64> = slots.iter().map(|(intensity, _)| *intensity).collect();
    intensities.extend([100.0; 8]);
    world.observe(&intensities);
    // Half and half: exactly the target, so nothing is banked and nothing is left.
    serve(&mut world, &slots, |_, requests| [requests / 2, requests / 2, 0]);
    world.pass(secs(360));
    let found = savings(&world);
    let served =
        slots.iter().map(|(intensity, requests)| grams([15 * requests, 15 * requests, 0], *intensity));
    let emitted: f64 = served.map(|grams| grams[0]).sum();
    assert_close(found.since_start.emitted, emitted);
    assert!(found.since_start.avoided_vs_constant_mix.abs() < 1e-9 * emitted);

    let capacity = world.published().schedule.budget.unwrap().capacity;
    let loads: Vec<Load> = slots
        .iter()
        .map(|(intensity, requests)| {
            let requests = (30 * requests) as f64;
            Load { ledger: requests, emissions: requests * intensity }
        })
        .collect();
    let account = planner::Account { target_error: 0.05, capacity, credit: 0.0 };
    let optimum = planner::hindsight(menu().segments(), account, &loads).emissions / 1000.0;
    let hindsight = found.hindsight.unwrap();
    assert_eq!(hindsight.until, at(START) + SignedDuration::from_hours(24));
    assert_eq!(hindsight.span_seconds, 86_400);
    assert_close(hindsight.emitted, emitted);
    assert!((hindsight.optimum - optimum).abs() < 1e-6 * optimum, "{} {optimum}", hindsight.optimum);
    assert_eq!(hindsight.regret, hindsight.emitted - hindsight.optimum);
    assert!(hindsight.regret > 0.05 * emitted, "there was much to gain: {hindsight:?}");
    assert!(hindsight.gain_captured.unwrap().abs() < 1e-6, "{hindsight:?}");
}

#[test]
fn whoever_serves_the_optimum_has_no_regret() {
    // 5 % in the mean: nothing in the clean half-hours, as much as there is in the dirty ones.
    let slots: Vec<(f64, u64)> =
        (0..48).map(|index| (if index % 2 == 0 { 100.0 } else { 400.0 }, 100)).collect();
    let mut world = llm();
    world.observe(&slots.iter().map(|(intensity, _)| *intensity).chain([100.0; 8]).collect::<Vec<_>>());
    serve(
        &mut world,
        &slots,
        |index, requests| {
            if index % 2 == 0 { [requests, 0, 0] } else { [0, requests, 0] }
        },
    );
    world.pass(secs(360));
    let hindsight = savings(&world).hindsight.unwrap();
    assert!(hindsight.regret.abs() < 1e-6 * hindsight.emitted, "{hindsight:?}");
    assert!((hindsight.gain_captured.unwrap() - 1.0).abs() < 1e-6, "{hindsight:?}");
    assert!(savings(&world).day.avoided_vs_constant_mix > 0.0);
}

#[test]
fn hindsight_waits_for_an_hour_and_starts_anew_with_another_target() {
    let mut world = llm();
    world.observe(&[100.0; 96]);
    serve(&mut world, &[(100.0, 100); 1], |_, requests| [requests, 0, 0]);
    world.pass(secs(360));
    assert_eq!(savings(&world).hindsight, None);
    world.pass(secs(1440));
    serve(&mut world, &[(100.0, 100); 1], |_, requests| [requests, 0, 0]);
    assert_eq!(savings(&world).hindsight.map(|found| found.span_seconds), Some(3600));
    world.put(put(json!({"targetError": 0.04})));
    assert_eq!(savings(&world).hindsight, None);
    world.pass(secs(360));
    assert_eq!(savings(&world).hindsight, None);
    // The next whole half-hours count again.
    world.pass(secs(5400));
    assert_eq!(savings(&world).hindsight, None, "nothing was served");
    serve(&mut world, &[(100.0, 100); 2], |_, requests| [requests, 0, 0]);
    world.pass(secs(360));
    let found = savings(&world).hindsight.unwrap();
    assert_eq!(
        (found.span_seconds, found.gain_captured),
        (7200, None),
        "one grid, nothing to gain: {found:?}"
    );
}

#[test]
fn what_is_banked_is_no_regret_and_what_goes_to_waste_is() {
    let slots = day();
    let hindsight = |window: u32| {
        let mut world = World::new();
        world.put(put(json!({"policy": "p100", "budgetWindow": window})));
        world.observe(&slots.iter().map(|(intensity, _)| *intensity).chain([100.0; 8]).collect::<Vec<_>>());
        serve(&mut world, &slots, |_, requests| [requests, 0, 0]);
        world.pass(secs(360));
        let found = savings(&world);
        assert!(found.day.avoided_vs_constant_mix < 0.0 && found.day.avoided_vs_best == 0.0);
        found.hindsight.unwrap()
    };
    let banked = hindsight(172_800);
    assert!(banked.regret.abs() < 1e-6 * banked.emitted, "{banked:?}");
    assert_eq!(banked.gain_captured, None, "the constant mix emitted less than whoever has to leave so much");
    let wasted = hindsight(3600);
    assert!(wasted.regret > 0.1 * wasted.emitted, "{wasted:?}");
    assert!(wasted.gain_captured.unwrap() < 0.0, "{wasted:?}");
}

#[test]
fn neither_a_put_nor_a_post_waits_for_hindsight() {
    let mut world = llm();
    world.observe(&[100.0; 96]);
    serve(&mut world, &[(100.0, 100); 2], |_, requests| [requests, 0, 0]);
    world.now += secs(360);
    post(&mut world, [1, 0, 0], 3900);
    world.put(put(json!({"validFor": 30})));
    assert_eq!(savings(&world).hindsight, None);
    world.pass(secs(60));
    assert_eq!(savings(&world).hindsight.map(|found| found.span_seconds), Some(3600));
}

/// Minutes in which every flavour serves a third and is measured.
fn measure(world: &mut World, minutes: usize, requests: u64, precision: [f64; 3], energy: [f64; 3]) {
    let by_name = |values: [f64; 3]| json!({NAMES[0]: values[0], NAMES[1]: values[1], NAMES[2]: values[2]});
    for _ in 0..minutes {
        world.pass(secs(60));
        world.feedback(json!({"window_seconds": 60, "flavour_counts": counts([requests; 3]),
            "flavour_precision": by_name(precision), "flavour_energy_wh": by_name(energy)}));
    }
}

#[test]
fn what_is_measured_otherwise_than_configured_makes_no_regret_negative() {
    let mut world = World::new();
    world.put(put(json!({"calibrate": true})));
    let _ = known_day(&mut world);
    // Three hours as configured; nothing of that is believed to be different.
    serve(&mut world, &day()[..6], |_, requests| [requests / 2, requests / 4, requests / 4]);
    world.pass(secs(360));
    let configured = savings(&world).hindsight.unwrap();
    assert!(configured.regret > 0.0, "{configured:?}");
    // Then the large one costs four times as much, and the small one errs less, than was thought.
    let mut reports = Vec::new();
    for _ in 0..12 {
        measure(&mut world, 30, 300, [0.99, 0.88, 0.8], [11.6, 0.5, 0.2]);
        reports.push(savings(&world).hindsight.unwrap());
    }
    assert!(reports.iter().all(|found| found.regret >= -1e-9 * found.emitted), "{reports:?}");
    // The half-hours before are reckoned as if that had been known.
    assert!(reports[1].emitted > 2.0 * configured.emitted, "{reports:?}");
    let last = reports[11];
    assert!(last.regret > 0.01 * last.emitted && last.span_seconds >= 8 * 3600, "{last:?}");
    // Of the sums nothing is reckoned anew.
    assert!(savings(&world).day.emitted < last.emitted);
}

#[test]
fn hindsight_is_shown_in_the_unit_it_was_reckoned_in() {
    let relative = json!([{"name": "large", "precision": 1}, {"name": "medium", "precision": 0.9},
        {"name": "small", "precision": 0.7}]);
    let mut world = World::new();
    let body = |more: Value| {
        let mut body = json!({"flavours": relative, "policy": "constant-mix", "calibrate": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    world.put(body(json!({})));
    let _ = known_day(&mut world);
    serve(&mut world, &day()[..3], |_, requests| [requests / 2, requests / 2, 0]);
    world.pass(secs(360));
    let found = savings(&world);
    assert!(found.relative && found.hindsight.is_some(), "{found:?}");
    // Every energy is measured: grams from now on, of which there is no hour yet.
    measure(&mut world, 3, 600, PRECISION, WH);
    world.pass(secs(60));
    let found = savings(&world);
    assert_eq!((found.unit, found.hindsight), ("gCO2eq", None));
    measure(&mut world, 90, 600, PRECISION, WH);
    world.pass(secs(360));
    let hindsight = savings(&world).hindsight.unwrap();
    assert!(hindsight.regret >= -1e-9 * hindsight.emitted, "{hindsight:?}");
    assert!(hindsight.emitted <= savings(&world).day.emitted, "grams of grams: {hindsight:?}");
    // A PUT that changes nothing of it leaves it.
    world.put(body(json!({"validFor": 30})));
    assert_eq!(savings(&world).hindsight, Some(hindsight));
    // Without what was measured it is relative again, and never grams under another name.
    world.put(body(json!({"calibrate": false})));
    world.pass(secs(60));
    assert_eq!(savings(&world).hindsight, None, "{:?}", savings(&world));
}

#[test]
fn what_no_optimum_could_have_served_is_not_compared() {
    let mut world = llm();
    let _ = known_day(&mut world);
    serve(&mut world, &day()[..1], |_, requests| [requests, 0, 0]);
    world.put(json!({"flavours": [flavours()[0], flavours()[1]], "policy": "p100"}));
    // A router that did not hear of it.
    serve(&mut world, &day()[1..5], |_, requests| [requests, 0, requests]);
    world.pass(secs(360));
    let found = savings(&world);
    assert_eq!((found.since_start.unpriced_requests, found.hindsight), (0, None));
    serve(&mut world, &day()[5..8], |_, requests| [requests, 0, 0]);
    world.pass(secs(360));
    assert_eq!(savings(&world).hindsight.map(|found| found.span_seconds), Some(5400));
}

/// A post as a router makes it: what, and when its window ended, in seconds from the start.
fn posts() -> impl Strategy<Value = Vec<([u64; 3], i64)>> {
    proptest::collection::vec(
        (any::<[u16; 3]>().prop_map(|counts| counts.map(u64::from)), 30..80_000_i64),
        1..30,
    )
}

fn known_day(world: &mut World) -> impl Fn(Timestamp) -> f64 + use<> {
    let intensity = |half_hour: i64| 50.0 + 37.0 * (half_hour % 11) as f64;
    let slots: Vec<Slot> = (0..96)
        .map(|index| {
            let from = at(START) + secs(1800 * index);
            Slot::new(from, from + secs(1800), CarbonIntensity::new(intensity(index)).unwrap())
        })
        .collect();
    let forecast = Arc::new(Forecast::new("test", None, at(START), slots).unwrap());
    world.engine.observe_forecast(&CarbonTarget::from("national"), forecast, world.now).unwrap();
    move |middle| intensity(middle.duration_since(at(START)).as_secs().div_euclid(1800))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sums_are_as_defined_in_any_order_and_however_they_are_split(posts in posts(), seed in any::<prop::sample::Index>()) {
        let (mut one, mut two) = (World::new(), World::new());
        for world in [&mut one, &mut two] {
            world.put(put(json!({"validFor": 3600})));
        }
        let intensity = known_day(&mut one);
        let _ = known_day(&mut two);
        for world in [&mut one, &mut two] {
            world.pass(secs(80_000));
        }
        let (mut expected, mut requests) = ([0.0; 3], 0);
        for (served, end) in &posts {
            post(&mut one, *served, *end);
            let parts = grams(*served, intensity(at(START) + secs(*end) - secs(15)));
            expected = [0, 1, 2].map(|index| expected[index] + parts[index]);
            requests += served.iter().sum::<u64>();
        }
        // Rotated, backwards, flavour by flavour, with evaluations in between.
        let turn = seed.index(posts.len());
        for (served, end) in posts[turn..].iter().chain(&posts[..turn]).rev() {
            for index in [2, 0, 1] {
                let mut part = [0; 3];
                part[index] = served[index];
                post(&mut two, part, *end);
            }
            look(&mut two);
        }
        let (one, two) = (look(&mut one), look(&mut two));
        prop_assert_eq!(one, two);
        prop_assert_eq!(one.since_start.priced_requests, requests);
        prop_assert!(close(one.since_start.emitted, expected[0]));
        prop_assert!(close(one.since_start.avoided_vs_best, expected[1] - expected[0]));
        prop_assert!(close(one.since_start.avoided_vs_constant_mix, expected[2] - expected[0]));
    }

    /// What was served is one of the ways to serve it: the optimum emits no more, whatever was served, owed
    /// or banked.
    #[test]
    fn nobody_beats_hindsight(
        served in proptest::collection::vec((0..400_u64, 0..400_u64, 0..60_u64), 4..52),
        overdraft in 0.0..1.0_f64,
        window in 3600.0..172_800.0_f64,
    ) {
        let mut world = World::new();
        world.put(put(json!({"budgetOverdraft": overdraft, "budgetWindow": window})));
        let _ = known_day(&mut world);
        for (large, medium, small) in &served {
            world.pass(secs(1795));
            let window_end = world.now.to_string();
            world.feedback(json!({"window_seconds": 1790, "windowEnd": window_end,
                "flavour_counts": counts([*large, *medium, *small])}));
            world.pass(secs(5));
        }
        world.pass(secs(360));
        if let Some(found) = savings(&world).hindsight {
            prop_assert!(found.regret >= -1e-6 * found.emitted, "{:?}", found);
            prop_assert!(found.optimum >= 0.0 && found.span_seconds <= 86_400);
        }
    }

    /// Nor where what was served is measured to be otherwise than it was thought, believed or not, whatever
    /// each post says.
    #[test]
    fn nobody_beats_hindsight_by_being_measured(
        served in proptest::collection::vec(
            ([0..2_000_u64, 0..2_000, 0..2_000], [0.3..=1.0_f64, 0.3..=1.0, 0.3..=1.0], [0.01..9.0_f64, 0.01..9.0, 0.01..9.0]),
            4..24,
        ),
        calibrate: bool,
        in_wh: bool,
        overdraft in 0.0..1.0_f64,
    ) {
        // Another unit begins another account, of which nothing is said before a post.
        let hindsight = |world: &World| world.published().schedule.savings.and_then(|savings| savings.hindsight);
        let mut world = World::new();
        let mut body = put(json!({"budgetOverdraft": overdraft, "calibrate": calibrate}));
        if !in_wh {
            for flavour in body["flavours"].as_array_mut().unwrap() {
                flavour.as_object_mut().unwrap().remove("energyWh");
            }
        }
        world.put(body);
        let _ = known_day(&mut world);
        for (requests, precision, energy) in &served {
            world.pass(secs(1795));
            let window_end = world.now.to_string();
            let by_name = |values: &[f64; 3]| json!({NAMES[0]: values[0], NAMES[1]: values[1], NAMES[2]: values[2]});
            world.feedback(json!({"window_seconds": 1790, "windowEnd": window_end,
                "flavour_counts": counts(*requests), "flavour_precision": by_name(precision),
                "flavour_energy_wh": by_name(energy)}));
            world.pass(secs(5));
            if let Some(found) = hindsight(&world) {
                prop_assert!(found.regret >= -1e-6 * found.emitted, "{:?}", found);
            }
        }
        world.pass(secs(360));
        if let Some(found) = hindsight(&world) {
            prop_assert!(found.regret >= -1e-6 * found.emitted, "{:?}", found);
        }
    }
}
