//! What a schedule's cluster asks for stands above what a PUT asks for.

use models::{CarbonTarget, Setting};
use serde_json::{Value, json};

use crate::world::{World, overrides};
use engine::{EngineOptions, Spread, TargetCheck};

impl World {
    fn cluster(&mut self, body: Value) -> engine::Accepted {
        self.engine.configure_in_cluster(&self.id, overrides(body), self.now).unwrap()
    }

    fn entry(&self, key: &str) -> (Value, String) {
        let (config, _) = self.engine.config(&self.id).unwrap();
        (config[key]["value"].clone(), config[key]["source"].as_str().unwrap().to_owned())
    }
}

#[test]
fn whichever_comes_first_the_cluster_wins_and_nothing_of_a_put_is_lost() {
    let (put, cluster) =
        (json!({"targetError": 0.3, "creditMax": 2}), json!({"targetError": 0.1, "validFor": 30}));
    let mut put_first = World::new();
    put_first.put(put.clone());
    put_first.cluster(cluster.clone());
    let mut cluster_first = World::new();
    cluster_first.cluster(cluster);
    cluster_first.put(put);
    for world in [&put_first, &cluster_first] {
        assert_eq!(world.entry("targetError"), (json!(0.1), "crd".into()));
        assert_eq!(world.entry("validFor"), (json!(30), "crd".into()));
        assert_eq!(world.entry("creditMax"), (json!(2), "put".into()));
        assert_eq!(world.engine.number(&world.id, Setting::ValidFor), Some(30.0));
    }
    // What the cluster asks for no more is the PUT's again.
    put_first.cluster(json!({}));
    assert_eq!(put_first.entry("targetError"), (json!(0.3), "put".into()));
}

#[test]
fn a_put_is_told_what_it_cannot_have() {
    let mut world = World::new();
    let flavours = json!([{"precision": 1.0}, {"precision": 0.9}]);
    world.cluster(json!({"targetError": 0.1, "policy": "p100", "flavours": flavours}));
    let accepted = world.put(
        json!({"targetError": 0.1, "policy": "random", "creditMax": 1, "flavours": [{"precision": 0.5}]}),
    );
    let said: Vec<&str> =
        accepted.warnings.iter().filter_map(|warning| Some(warning.split_once(" is what")?.0)).collect();
    assert_eq!(said, ["flavours", "policy"]);
    assert_eq!(world.entry("policy"), (json!("p100"), "crd".into()));
    assert_eq!(world.entry("flavours").1, "discovered");
    // Only that changed what the cluster leaves open.
    assert!(accepted.changed);
    assert!(!world.put(json!({"creditMax": 1, "targetError": 0.4})).changed);
}

#[test]
fn without_discovered_flavours_those_of_the_put_are_in_force_then_the_defaults() {
    let mut world = World::new();
    world.put(json!({"flavours": [{"precision": 0.9}]}));
    world.cluster(json!({"flavours": [{"precision": 0.8}]}));
    assert_eq!(world.entry("flavours").1, "discovered");
    world.cluster(json!({}));
    assert_eq!(world.entry("flavours").1, "put");
    assert_eq!(world.entry("flavours").0[0]["name"], "precision-90");
    world.engine.reset(&world.id, world.now).unwrap();
    assert_eq!(world.entry("flavours").1, "default");
}

#[test]
fn the_ledger_lives_on_across_what_the_cluster_asks_for() {
    let mut world = World::new();
    world.cluster(json!({"targetError": 0.2}));
    let before = world.engine.board().view(&world.id).unwrap().published().unwrap().schedule.credits.balance;
    assert!(before > 0.0);
    assert!(world.cluster(json!({"targetError": 0.1})).changed);
    let after = world.engine.board().view(&world.id).unwrap().published().unwrap().schedule.credits.balance;
    assert!(after >= 0.0 && after.is_finite());
    assert!(!world.cluster(json!({"targetError": 0.1})).changed);
}

#[test]
fn whoever_leaves_is_freed_or_put_back_to_the_defaults() {
    let mut world = World::new();
    world.put(json!({"creditMax": 2}));
    world.cluster(json!({"targetError": 0.1}));
    assert!(world.engine.is_in_cluster(&world.id));
    assert_eq!(world.engine.in_cluster().collect::<Vec<_>>(), [&world.id]);
    world.engine.leave_cluster(&world.id, true, world.now).unwrap();
    assert_eq!(
        (world.entry("targetError").1, world.entry("creditMax").1),
        ("default".into(), "default".into())
    );
    assert!(!world.engine.is_in_cluster(&world.id));
    world.cluster(json!({}));
    world.engine.leave_cluster(&world.id, false, world.now).unwrap();
    assert!(world.engine.is_empty() && world.engine.board().is_empty());
    // Nobody is missed twice.
    world.engine.leave_cluster(&world.id, false, world.now).unwrap();
}

/// One target exists.
struct OnlyNational;

impl TargetCheck for OnlyNational {
    fn check(&self, target: &CarbonTarget) -> Result<(), String> {
        if target.as_str() == "national" { Ok(()) } else { Err(format!("no provider has `{target}`")) }
    }
}

#[test]
fn the_target_that_is_followed_is_the_one_in_force_whoever_asked_last() {
    let targets = std::sync::Arc::new(OnlyNational);
    let mut world = World::with(EngineOptions { spread: Spread::None, targets, ..EngineOptions::default() });
    let warned = |accepted: &engine::Accepted| {
        accepted.warnings.iter().any(|warning| warning.contains("no provider has"))
    };
    assert!(warned(&world.cluster(json!({"carbonTarget": "moon"}))));
    // The PUT asks for one that exists, and does not get it: what is in force does not.
    assert!(warned(&world.put(json!({"carbonTarget": "national"}))));
    assert!(!warned(&world.cluster(json!({"carbonTarget": "national"}))));
    // And the other way round.
    assert!(!warned(&world.put(json!({"carbonTarget": "moon"}))));
    assert!(warned(&world.cluster(json!({}))));
    assert_eq!(world.engine.target(&world.id).unwrap().as_str(), "national");
}
