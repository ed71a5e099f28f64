//! An API server that fails takes nobody's schedules away.

use std::time::Duration;

use serde_json::json;

use super::api::Faults;
use super::{World, holds, metric, ready};
use crate::{eventually, instant};

const SCHEDULES: &str = "scheduling.carbonrouter.io/v1alpha1/trafficschedules";

#[test]
fn while_it_is_down_schedules_are_served_and_made_and_afterwards_the_status_catches_up() {
    let mut world = World::fake();
    for name in ["search", "gone"] {
        world.create_schedule(name, &json!({"scheduler": {"validFor": 2}}));
    }
    let server = world.server();
    let id = world.id("search");
    world.status_when("search", |status| holds(status, "Ready", "Scheduled"));
    world.api_mut().go_down();
    let (namespace, written) = (world.namespace.clone(), world.api().writes().len());
    world.api().take(SCHEDULES, &namespace, "gone");
    let before = instant(&server.schedule(&id)["validUntil"]);
    for times in 1..=3 {
        server.schedule_when(&id, |schedule| {
            instant(&schedule["validUntil"]) >= before + Duration::from_secs(times)
        });
    }
    let readiness = server.get("/readyz");
    assert_eq!(readiness.status, 200);
    eventually("it is said", || {
        server.get("/readyz").text().contains("the cluster cannot be read").then_some(())
    });
    // What others ask for is done all the same.
    server.configure("elsewhere/put", &json!({}));
    assert_eq!(world.api().writes().len(), written);
    let down_until = instant(&server.schedule(&id)["validUntil"]);
    world.api_mut().come_back();
    world.status_when("search", |status| instant(&status["validUntil"]) >= down_until);
    eventually("what went meanwhile is freed", || {
        (server.get(&format!("/schedule/{}", world.id("gone"))).status == 404).then_some(())
    });
    eventually("all is well", || (!server.get("/readyz").text().contains("degraded")).then_some(()));
    assert!(metric(&server, "kubernetes_status_writes_total{outcome=\"unavailable\"}") >= 1.0);
}

#[test]
fn a_server_that_starts_first_finds_the_cluster_later() {
    let mut world = World::fake();
    world.create_schedule("search", &json!({"scheduler": {"targetError": "0.1"}}));
    world.api_mut().go_down();
    let server = world.launch().start();
    // It serves what there is without a cluster.
    server.configure("elsewhere/put", &json!({}));
    assert_eq!(server.get("/healthz").status, 200);
    world.api_mut().come_back();
    world.status_when("search", |status| status["creditTarget"] == "0.1");
}

#[test]
fn watches_that_end_all_the_time_and_a_past_that_is_forgotten_miss_nothing() {
    let world = World::fake();
    world.api().set(Faults { watches_end: Some(Duration::from_millis(100)), ..Faults::default() });
    let server = world.server();
    for round in 0..5 {
        let name = format!("s{round}");
        world.create_schedule(&name, &json!({"scheduler": {"validFor": 3600}}));
        world.status_when(&name, |status| holds(status, "Ready", "Scheduled"));
        world.create_deployment(&name, &json!({"carbonstat.precision": (50 + round).to_string()}));
        world.api().compact();
        eventually("the flavour is found", || {
            let weights = server.schedule(&world.id(&name))["flavourWeights"].clone();
            (weights.as_object().unwrap().len() == round + 1).then_some(())
        });
        if round > 0 {
            let before = format!("s{}", round - 1);
            world.delete("TrafficSchedule", &before);
            world.api().compact();
            eventually("the one before is freed", || {
                (server.get(&format!("/schedule/{}", world.id(&before))).status == 404).then_some(())
            });
        }
    }
}

#[test]
fn a_slow_one_makes_nobody_wait_but_the_statuses() {
    let world = World::fake();
    for number in 0..20 {
        world.create_schedule(&format!("s{number}"), &json!({"scheduler": {"validFor": 3600}}));
    }
    let server = world.server();
    world.api().set(Faults { delay: Duration::from_millis(400), ..Faults::default() });
    server.configure(&world.id("s1"), &json!({"creditMax": 2}));
    server.schedule_when(&world.id("s1"), |schedule| schedule["credits"]["max"] == 2.0);
    world.status_when("s1", |status| status["creditMax"] == "2");
}

#[test]
fn a_deployment_that_no_watch_tells_of_is_found_by_looking() {
    // A watch that has died unseen is simulated by one that does not select what the list does: there is none here,
    // so what is shown is that the lists go on, as often as the schedule asks for.
    let world = World::fake();
    world.create_schedule("search", &json!({"scheduler": {"discoveryInterval": 1}}));
    let server = ready(world.launch());
    let reads = || metric(&server, "kubernetes_requests_total{verb=\"read\"}");
    let before = reads();
    eventually("Deployments were listed again, twice", || (reads() >= before + 2.0).then_some(()));
}
