//! What forecasts do to schedules.

use crate::world::{START, World, at, forecast, secs};
use engine::{EngineOptions, MAX_EVALUATIONS_PER_TICK, MixedSignals};
use models::{CarbonTarget, Forecast, ScheduleId, Signal};
use serde_json::json;
use std::sync::Arc;

#[test]
fn a_new_forecast_is_answered_and_the_same_one_is_not() {
    let mut world = World::new();
    world.put(json!({}));
    assert_eq!(world.json()["forecast"], json!({"schedule": []}));
    assert_eq!(
        world.json()["warnings"],
        json!(["no carbon forecast for `national` has arrived yet: decided without one"])
    );
    world.now += secs(5);
    world.observe(&[250.0, 300.0]);
    assert_eq!(world.engine.next_due(), Some(world.now));
    world.engine.tick(world.now);
    let shown = world.json();
    assert_eq!(shown["forecast"]["now"], 250.0);
    assert_eq!(shown["forecast"]["next"], 300.0);
    assert_eq!(shown["forecast"]["schedule"].as_array().unwrap().len(), 2);
    assert_eq!(shown["warnings"], json!([]));
    let due = world.engine.next_due();
    world.observe(&[250.0, 300.0]);
    assert_eq!(world.engine.next_due(), due);
    world.observe(&[250.0, 301.0]);
    assert_eq!(world.engine.next_due(), Some(world.now));
}

#[test]
fn a_schedule_is_never_valid_past_its_slot_and_the_next_one_is_ready_before_it_begins() {
    let mut world = World::new();
    world.put(json!({"validFor": 600}));
    world.observe(&[250.0, 300.0, 200.0]);
    world.pass(secs(1_795));
    assert_eq!(world.json()["validUntil"], "2026-11-23T15:30:00Z");
    assert_eq!(world.json()["forecast"]["now"], 250.0);
    world.pass(secs(3));
    assert_eq!(world.now, at("2026-11-23T15:29:58Z"));
    assert_eq!(world.json()["forecast"]["now"], 300.0);
    assert_eq!(world.json()["validUntil"], "2026-11-23T15:39:58Z");
}

#[test]
fn past_its_end_a_forecast_throttles_by_its_last_value() {
    let mut world = World::new();
    world.put(json!({"components": {"router": {"maxReplicas": 10}}}));
    world.observe(&[250.0, 350.0]);
    world.pass(secs(7_200));
    let shown = world.json();
    assert_eq!(shown["forecast"].get("now"), None);
    assert_eq!(shown["forecast"]["stale"], true);
    assert_eq!(shown["processing"]["intensityRatio"], 0.0);
    assert_eq!(shown["processing"]["ceilings"]["router"], 2);
    assert_eq!(
        shown["warnings"],
        json!([
            "the carbon forecast for `national` ended at 2026-11-23T16:00:00Z: throttled by its last value"
        ])
    );
}

#[test]
fn a_schedule_says_how_old_and_how_whole_its_forecast_is() {
    let mut world = World::new();
    world.put(json!({}));
    world.observe(&[250.0; 4]);
    world.pass(secs(100));
    let shown = world.json()["forecast"].clone();
    let age =
        at(shown["retrievedAt"].as_str().unwrap()).duration_until(world.published().schedule.evaluated_at);
    assert!(age > secs(0));
    assert_eq!((&shown["ageSeconds"], &shown["slotSeconds"]), (&json!(age.as_secs_f64()), &json!(1800.0)));
    for absent in ["gaps", "filledSlots", "standInFor"] {
        assert!(shown.get(absent).is_none(), "{absent} in {shown}");
    }

    // Half-hours, of which one is filled and four are not known.
    let whole = forecast(&[100.0, 0.0, 300.0, 0.0, 0.0, 0.0, 0.0, 200.0]);
    let slots = whole.slots().iter().copied().filter(|slot| slot.forecast.get() > 0.0).collect();
    let mut holed = Forecast::new("static", None, at(START), slots).unwrap().standing_in_for("test");
    holed.fill_gaps(secs(3_600));
    world.engine.observe_forecast(&CarbonTarget::from("national"), Arc::new(holed), world.now).unwrap();
    world.engine.tick(world.now);
    let shown = world.json()["forecast"].clone();
    assert_eq!((&shown["source"], &shown["standInFor"]), (&json!("static"), &json!("test")));
    assert_eq!(shown["filledSlots"], 1);
    assert_eq!(shown["gaps"], json!([{"from": "2026-11-23T16:30:00Z", "to": "2026-11-23T18:30:00Z"}]));

    // The provider that is preferred says the same, and said all of it: no evaluation for that, but from the
    // next one on it is so.
    let due = world.engine.next_due();
    let slots = world.published().forecast.as_ref().unwrap().slots().to_vec();
    let same = Arc::new(Forecast::new("test", None, world.now, slots).unwrap());
    world.engine.observe_forecast(&CarbonTarget::from("national"), same, world.now).unwrap();
    assert_eq!(world.engine.next_due(), due);
    world.pass(secs(60));
    let now = world.json()["forecast"].clone();
    assert_eq!((&now["source"], &now["gaps"]), (&json!("test"), &shown["gaps"]));
    assert!(now.get("standInFor").is_none() && now.get("filledSlots").is_none(), "{now}");
}

#[test]
fn schedules_of_one_target_share_their_slots() {
    let mut world = World::new();
    let ids: Vec<_> = (0..3).map(|index| ScheduleId::new("load", &format!("s{index}")).unwrap()).collect();
    for id in &ids {
        world.engine.configure(id, crate::world::overrides(json!({})), world.now).unwrap();
    }
    world.observe(&[100.0; 96]);
    world.engine.tick(world.now);
    let slots = |id: &ScheduleId| world.engine.published(id).unwrap().document.parts()[1].as_ptr();
    assert!(ids.iter().all(|id| slots(id) == slots(&ids[0])));
}

#[test]
fn without_documents_the_decisions_are_the_same() {
    let decide = |documents| {
        let mut world = World::with(EngineOptions { documents, ..EngineOptions::default() });
        world.put(json!({"policy": "receding-horizon"}));
        world.observe(&[300.0, 100.0, 400.0, 200.0]);
        world.pass(secs(3_000));
        world
    };
    let (with, without) = (decide(true), decide(false));
    assert_eq!(with.published().schedule, without.published().schedule);
    assert_eq!(without.json(), json!({"forecast": {"schedule": []}}));
}

#[test]
fn each_target_has_its_own_forecast_and_is_forgotten_with_its_last_schedule() {
    let mut world = World::new();
    world.put(json!({"carbonTarget": "region:13", "carbonCacheTTL": 60, "carbonTimeout": 5}));
    let other = ScheduleId::new("shop", "other").unwrap();
    let body = crate::world::overrides(
        json!({"carbonTarget": "region:13", "carbonCacheTTL": 600, "carbonTimeout": 1}),
    );
    world.engine.configure(&other, body, world.now).unwrap();
    let region = CarbonTarget::from("region:13");
    let wanted = world.engine.wanted();
    assert_eq!((wanted[&region].ttl, wanted[&region].timeout), (secs(60), secs(5)));
    world.observe(&[500.0]);
    assert_eq!(world.engine.next_due(), Some(at(START) + secs(48)), "nobody follows the national one");
    world.engine.observe_forecast(&region, forecast(&[120.0, 130.0]), world.now).unwrap();
    assert_eq!(world.engine.tick(world.now).evaluated, 2);
    assert_eq!(world.json()["forecast"]["now"], 120.0);
    world.put(json!({}));
    world.engine.remove(&other).unwrap();
    world.put(json!({"carbonTarget": "region:13"}));
    assert_eq!(world.json()["forecast"], json!({"schedule": []}));
}

#[test]
fn average_and_marginal_forecasts_of_one_target_are_never_mixed() {
    let marginal = |grams: &[f64]| Arc::new(Forecast::clone(&forecast(grams)).with_signal(Signal::Marginal));
    let national = CarbonTarget::from("national");
    // One that plans, so that something is learned, too.
    let body = json!({"policy": "receding-horizon"});
    let (mut world, mut undisturbed) = (World::new(), World::new());
    for world in [&mut world, &mut undisturbed] {
        world.put(body.clone());
        world.observe(&[250.0, 300.0]);
        world.engine.tick(world.now);
    }
    let refused = world.engine.observe_forecast(&national, marginal(&[900.0, 10.0]), world.now).unwrap_err();
    let expected = MixedSignals {
        target: national.clone(),
        provider: "test".into(),
        expected: Signal::Average,
        given: Signal::Marginal,
    };
    assert_eq!(refused, expected);
    assert_eq!(
        refused.to_string(),
        "the forecast of `national` by test is of marginal carbon intensity, but what is known of this target \
         is average: expected average there, or the marginal forecast under a carbon target of its own"
    );
    for world in [&mut world, &mut undisturbed] {
        world.pass(secs(3_000));
        world.observe(&[250.0, 300.0, 280.0]);
        world.engine.tick(world.now);
    }
    assert_eq!(world.published().schedule, undisturbed.published().schedule, "nothing was learned from it");

    // Once nobody follows the target any more, what was known of it is forgotten, its signal too.
    world.put(json!({"carbonTarget": "region:1"}));
    world.put(body);
    world.engine.observe_forecast(&national, marginal(&[90.0, 10.0]), world.now).unwrap();
    assert!(world.engine.observe_forecast(&national, forecast(&[250.0]), world.now).is_err());
}

#[test]
fn a_tick_is_bounded_and_says_that_more_is_due() {
    let mut world = World::new();
    let count = MAX_EVALUATIONS_PER_TICK * 2 + 10;
    for index in 0..count {
        let id = ScheduleId::new("load", &format!("s{index}")).unwrap();
        world.engine.configure(&id, crate::world::overrides(json!({})), world.now).unwrap();
    }
    world.now += secs(48);
    let mut evaluated = Vec::new();
    loop {
        let tick = world.engine.tick(world.now);
        evaluated.push(tick.evaluated);
        if tick.next_due.unwrap() > world.now {
            break;
        }
    }
    assert_eq!(evaluated, [MAX_EVALUATIONS_PER_TICK, MAX_EVALUATIONS_PER_TICK, 10]);
}

#[test]
fn a_clock_set_back_stops_nothing() {
    let mut world = World::new();
    world.put(json!({}));
    world.pass(secs(120));
    world.now = at("2026-11-23T12:00:00Z");
    assert_eq!(world.engine.tick(world.now).evaluated, 1);
    assert_eq!(world.json()["validUntil"], "2026-11-23T12:01:00Z");
    world.pass(secs(60));
    assert_eq!(world.json()["evaluatedAt"], "2026-11-23T12:00:48Z");
}

#[test]
fn a_publisher_sees_every_view_and_every_end() {
    use engine::{Engine, EngineOptions, Publisher, View};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);
    impl Publisher for Seen {
        fn publish(&self, id: &ScheduleId, view: &View) {
            let sequence = view.published().map_or(0, |published| published.sequence);
            self.0.lock().unwrap().push(format!("{id} {sequence}"));
        }
        fn withdraw(&self, id: &ScheduleId) {
            self.0.lock().unwrap().push(format!("{id} gone"));
        }
    }

    let seen = Arc::new(Seen::default());
    let mut world = World::new();
    world.engine =
        Engine::new(EngineOptions::default(), policies::Registry::builtin()).with_publisher(seen.clone());
    world.put(json!({}));
    world.put(json!({"targetError": 0.1}));
    world.engine.remove(&world.id).unwrap();
    assert_eq!(*seen.0.lock().unwrap(), ["shop/search 1", "shop/search 2", "shop/search gone"]);
}
