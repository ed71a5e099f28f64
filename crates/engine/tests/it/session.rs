//! One schedule's life, through the engine's door.

use crate::world::{World, at, overrides, secs};
use engine::{ConfigureError, EngineOptions, RequestError, Spread, TargetCheck, View};
use models::{CarbonTarget, Feedback, Manual, ScheduleId};
use serde_json::json;
use std::sync::Arc;

#[test]
fn an_accepted_configuration_is_in_force_at_once() {
    let mut world = World::new();
    assert!(world.put(json!({"flavours": [{"precision": 1}, {"precision": 0.5}]})).changed);
    let names: Vec<_> = world.published().schedule.flavours.iter().map(|f| f.name.to_string()).collect();
    assert_eq!(names, ["precision-100", "precision-50"]);
    assert_eq!(world.weights(), [100, 0]);
}

#[test]
fn a_configuration_equal_to_what_is_in_force_changes_nothing() {
    let mut world = World::new();
    world.put(json!({"targetError": 0.1}));
    let before = world.published();
    world.now += secs(7);
    let again = world.put(json!({"targetError": "0.1", "creditMin": -0.5}));
    assert!(!again.changed && again.generation == 1);
    assert_eq!(world.published().sequence, before.sequence);
    // Where a value comes from is said all the same.
    assert_eq!(
        world.engine.config(&world.id).unwrap().0["creditMin"],
        json!({"value": -0.5, "source": "put"})
    );
}

#[test]
fn what_a_put_leaves_out_falls_back_but_the_flavours_stay() {
    let mut world = World::new();
    world.put(json!({"targetError": 0.1, "flavours": [{"precision": 0.9}]}));
    world.put(json!({"policy": "p100"}));
    let config = world.engine.config(&world.id).unwrap().0;
    assert_eq!(config["targetError"], json!({"value": 0.05, "source": "default"}));
    assert_eq!(config["flavours"]["source"], "put");
    assert_eq!(config["flavours"]["value"][0]["name"], "precision-90");
}

#[test]
fn the_ledger_lives_on_and_is_clamped_into_new_bounds() {
    let mut world = World::new();
    world.put(json!({"policy": "p100"}));
    world.pass(secs(600));
    assert_eq!(world.balance(), 0.5);
    world.put(json!({"policy": "p100", "creditMax": 0.2}));
    assert_eq!(world.balance(), 0.2);
}

#[test]
fn an_interval_cut_short_by_a_put_is_counted_as_it_was_planned() {
    // A second of a planned ten has passed when the PUT comes: neither its bounds nor its validity change that.
    let mut world = World::new();
    world.put(json!({"policy": "p100", "targetError": 0.5, "creditMax": 100, "validFor": 12.5}));
    world.pass(secs(101));
    let earned = world.balance() - 0.5 + 0.05;
    world.put(json!({"policy": "p100", "targetError": 0.5, "creditMax": 50, "validFor": 86_400}));
    assert!((world.balance() - (earned + 0.5)).abs() < 1e-9, "{} {earned}", world.balance());
    world.pass(secs(1));
    world.put(json!({"policy": "p100", "targetError": 0, "creditMax": 1, "validFor": 1}));
    assert_eq!(world.balance(), 1.0);
}

#[test]
fn frequent_puts_mint_no_credit() {
    let mut calm = World::new();
    calm.put(json!({"policy": "p100", "creditMax": 100}));
    let mut nervous = World::new();
    nervous.put(json!({"policy": "p100", "creditMax": 100}));
    for index in 0..4_800 {
        nervous.pass(secs(1));
        nervous.put(json!({"policy": "p100", "creditMax": 100, "throttleMin": f64::from(index % 2) / 10.0}));
    }
    calm.pass(secs(4_800));
    // Both have the newest interval posted in full; before it, the same time has passed.
    assert!((calm.balance() - nervous.balance()).abs() < 0.051, "{} {}", calm.balance(), nervous.balance());
}

#[test]
fn an_unknown_policy_and_one_schedule_too_many_are_refused() {
    let mut world = World::with(EngineOptions { max_schedules: 1, ..EngineOptions::default() });
    world.put(json!({}));
    let refused = world.engine.configure(&world.id, overrides(json!({"policy": "nope"})), world.now);
    let Err(ConfigureError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    assert_eq!(problems.iter().next().unwrap().pointer, "/policy");
    assert_eq!(&*world.published().schedule.policy, "credit-greedy");

    let other = ScheduleId::new("shop", "other").unwrap();
    let refused = world.engine.configure(&other, overrides(json!({})), world.now);
    assert_eq!(refused, Err(ConfigureError::TooManySchedules { limit: 1 }));
    assert!(world.engine.published(&other).is_none());
    world.engine.remove(&world.id).unwrap();
    assert!(world.engine.configure(&other, overrides(json!({})), world.now).is_ok());
}

#[test]
fn nothing_can_be_evaluated_where_every_flavour_is_disabled() {
    let mut world = World::new();
    world.put(json!({"flavours": [{"precision": 1, "enabled": false}]}));
    let view = world.engine.board().view(&world.id).unwrap();
    let View::Pending(reason) = &*view else { panic!("{view:?}") };
    assert_eq!(&**reason, "every flavour is disabled: enable at least one of precision-100");
    assert_eq!(world.engine.next_due(), None);
    world.put(json!({"flavours": [{"precision": 1}]}));
    assert_eq!(world.weights(), [100]);
}

#[test]
fn an_override_holds_for_one_window_and_then_the_policy_rules() {
    let mut world = World::new();
    world.put(json!({"validFor": 60}));
    let until = world
        .manual(json!({"flavourWeights": {"precision-70": 1, "precision-85": 3}, "reason": "load test"}));
    assert_eq!(until, world.now + secs(60));
    assert_eq!(world.weights(), [0, 75, 25]);
    let shown = world.json();
    assert_eq!(shown["manual"], json!({"until": "2026-11-23T15:01:00Z", "reason": "load test"}));
    assert_eq!(shown["validUntil"], "2026-11-23T15:01:00Z");
    assert_eq!(shown["reason"], "manual override until 2026-11-23T15:01:00Z: load test");
    world.pass(secs(59));
    assert_eq!(world.weights(), [0, 75, 25]);
    world.pass(secs(1));
    assert_eq!(world.published().schedule.manual, None);
    assert_eq!(world.weights()[0], 100);
}

#[test]
fn traffic_under_an_override_is_posted() {
    let mut world = World::new();
    world.put(json!({}));
    world.manual(json!({"flavourWeights": {"precision-70": 1}, "ttlSeconds": 600}));
    world.pass(secs(590));
    assert_eq!(world.balance(), -0.5);
    assert!(world.engine.clear_manual(&world.id, world.now).unwrap());
    assert!(!world.engine.clear_manual(&world.id, world.now).unwrap());
    assert_eq!(world.weights(), [100, 0, 0]);
}

#[test]
fn an_override_survives_a_put_unless_its_flavour_goes() {
    let mut world = World::new();
    world.put(json!({}));
    world.manual(json!({"flavours": [{"name": "precision-70", "weight": 100}], "ttlSeconds": 600}));
    world.put(json!({"targetError": 0.2}));
    assert_eq!(world.weights(), [0, 0, 100]);
    let accepted = world.put(json!({"flavours": [{"precision": 1}, {"precision": 0.5}]}));
    assert_eq!(
        accepted.warnings.last().unwrap(),
        "the manual override was ended: it names a flavour that is gone"
    );
    assert_eq!(world.weights(), [100, 0]);
}

#[test]
fn an_override_of_unknown_or_disabled_flavours_is_refused() {
    let mut world = World::new();
    world.put(json!({"flavours": [{"precision": 1}, {"precision": 0.5, "enabled": false}]}));
    let body = json!({"flavourWeights": {"precision-50": 1, "ghost": 2}});
    let manual = Manual::from_json(body.as_object().unwrap()).unwrap();
    let Err(RequestError::Invalid(problems)) = world.engine.set_manual(&world.id, manual, world.now) else {
        panic!()
    };
    let pointers: Vec<_> = problems.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/flavourWeights/ghost", "/flavourWeights/precision-50"]);
    assert_eq!(world.published().schedule.manual, None);
}

#[test]
fn feedback_settles_the_interval_it_belongs_to() {
    let mut world = World::new();
    world.put(json!({"policy": "p100"}));
    assert!((world.balance() - 0.05).abs() < 1e-12);
    world.now += secs(30);
    let first = world
        .feedback(json!({"flavour_counts": {"precision-100": 50, "precision-70": 50}, "window_seconds": 30}));
    assert!((first.realized_precision.unwrap() - 0.85).abs() < 1e-9);
    assert!((first.credit_balance - -0.1).abs() < 1e-9, "{first:?}");
    // Another router's post adds up with the first one.
    let second = world.feedback(json!({"flavour_counts": {"precision-100": 200}, "window_seconds": 30}));
    assert!((second.credit_balance - 0.0).abs() < 1e-9, "{second:?}");
    assert_eq!(second.total_requests, 200);
}

#[test]
fn feedback_for_a_flavour_that_went_counts_for_a_day() {
    let mut world = World::new();
    world.put(json!({"policy": "p100"}));
    world.put(json!({"policy": "p100", "flavours": [{"precision": 0.9}]}));
    let post = json!({"flavour_counts": {"precision-70": 10}});
    world.now += secs(86_399);
    assert!((world.feedback(post.clone()).realized_precision.unwrap() - 0.7).abs() < 1e-9);
    world.now += secs(1);
    let feedback = Feedback::from_json(post.as_object().unwrap()).unwrap().0;
    let Err(RequestError::Invalid(problems)) = world.engine.feedback(&world.id, &feedback, world.now) else {
        panic!()
    };
    assert_eq!(
        problems.to_string(),
        "/flavour_counts/precision-70: `precision-70` was not a flavour here within the last 24 h: expected precision-90"
    );
}

#[test]
fn feedback_from_the_future_or_for_nobody_is_refused() {
    let mut world = World::new();
    let feedback = Feedback { window_end: Some(world.now + secs(61)), ..Feedback::default() };
    let unknown = world.engine.feedback(&world.id, &feedback, world.now);
    assert_eq!(unknown.unwrap_err().to_string(), "unknown schedule shop/search");
    world.put(json!({}));
    let refused = world.engine.feedback(&world.id, &feedback, world.now).unwrap_err();
    assert!(
        refused.to_string().starts_with("/windowEnd: 2026-11-23T15:01:01Z is in the future"),
        "{refused}"
    );
}

struct OnlyNational;

impl TargetCheck for OnlyNational {
    fn check(&self, target: &CarbonTarget) -> Result<(), String> {
        if target.as_str() == "national" {
            Ok(())
        } else {
            Err(format!("carbonTarget `{target}` is unknown"))
        }
    }
}

#[test]
fn a_target_no_provider_has_is_replaced_and_said() {
    let mut world =
        World::with(EngineOptions { targets: Arc::new(OnlyNational), ..EngineOptions::default() });
    let accepted = world.put(json!({"carbonTarget": "300"}));
    assert_eq!(accepted.warnings, ["carbonTarget `300` is unknown; following `national` instead"]);
    assert_eq!(world.engine.wanted().keys().map(CarbonTarget::as_str).collect::<Vec<_>>(), ["national"]);
}

#[test]
fn reset_gives_a_fresh_ledger_and_the_defaults() {
    let mut world = World::new();
    world.put(json!({"policy": "p100"}));
    world.pass(secs(600));
    world.engine.reset(&world.id, world.now).unwrap();
    let schedule = &world.published().schedule;
    assert_eq!(
        (&*schedule.policy, schedule.credits.balance, schedule.generation),
        ("credit-greedy", 0.05, 2)
    );
}

#[test]
fn a_gone_schedule_is_due_no_more() {
    let mut world = World::new();
    world.put(json!({}));
    world.engine.remove(&world.id).unwrap();
    assert_eq!(world.engine.next_due(), None);
    assert!(world.engine.board().is_empty() && world.engine.wanted().is_empty());
    assert!(world.engine.remove(&world.id).is_err());
    assert_eq!(world.engine.tick(at("2026-11-24T00:00:00Z")).evaluated, 0);
}

#[test]
fn schedules_are_spread_and_none_is_ever_stale() {
    let mut world = World::with(EngineOptions { spread: Spread::ByName, ..EngineOptions::default() });
    for index in 0..500 {
        let id = ScheduleId::new("load", &format!("s{index}")).unwrap();
        world.engine.configure(&id, overrides(json!({})), world.now).unwrap();
    }
    let mut instants = std::collections::BTreeSet::new();
    for _ in 0..3_000 {
        let due = world.engine.next_due().unwrap();
        world.now = world.now.max(due);
        world.engine.tick(world.now);
        instants.insert(world.now);
        for (id, view) in world.engine.board().page(None, usize::MAX) {
            assert!(view.valid_until().unwrap() >= world.now, "{id} at {}", world.now);
        }
        if world.now > at("2026-11-23T15:04:00Z") {
            break;
        }
    }
    assert!(instants.len() > 1_500, "{}", instants.len());
}

#[test]
fn a_pause_without_flavours_earns_nothing() {
    let mut world = World::new();
    let enabled = |enabled: bool| json!({"policy": "p100", "validFor": 5, "flavours": [{"precision": 1, "enabled": enabled}]});
    world.put(enabled(true));
    world.now += secs(1);
    world.put(enabled(false));
    world.now += secs(6);
    world.put(enabled(true));
    // A quarter of the first interval of four seconds, and the new one in full.
    assert!((world.balance() - (0.05 / 4.0 + 0.05)).abs() < 1e-9, "{}", world.balance());
}

#[test]
fn overrides_set_and_ended_in_one_instant_mint_no_credit() {
    let mut world = World::new();
    world.put(
        json!({"policy": "p100", "creditMin": -0.01, "flavours": [{"precision": 1}, {"precision": 0.4}]}),
    );
    for _ in 0..40 {
        world.manual(json!({"flavourWeights": {"precision-40": 1}}));
        world.engine.clear_manual(&world.id, world.now).unwrap();
    }
    assert!(world.balance() <= 0.05 + 1e-9, "{}", world.balance());
}

#[test]
fn feedback_about_a_time_before_the_schedule_settles_nothing() {
    let mut world = World::new();
    world.put(json!({"policy": "p100"}));
    world.now += secs(30);
    let ancient = json!({"flavour_counts": {"precision-70": 1000}, "windowEnd": "1900-01-01T00:00:00Z"});
    assert!((world.feedback(ancient).credit_balance - 0.05).abs() < 1e-9);
}
