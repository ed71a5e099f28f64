//! What is decided stands in the statuses, and costs no more writes than it has to.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api::Faults;
use super::{World, holds, metric, ready, shares};
use crate::{eventually, instant};

/// Writes of a status that were taken.
fn statuses(world: &World, name: &str) -> usize {
    let writes = world.api().writes();
    writes.iter().filter(|write| write.is_status && write.key.name == name && write.code == 200).count()
}

#[test]
fn a_status_is_written_once_for_each_time_that_a_schedule_is_valid() {
    let world = World::fake();
    world.create_schedule("search", &json!({"scheduler": {"validFor": 3}}));
    let _server = world.server();
    let mut seen = BTreeSet::new();
    eventually("four schedules were published one after the other", || {
        let status = world.get("TrafficSchedule", "search")["status"].clone();
        let until = status.get("validUntil")?.as_str().unwrap().parse::<Timestamp>().unwrap();
        // Nobody who reads it ever finds one that is over, but for the second that an instant is cut to.
        assert!(until + SignedDuration::from_secs(1) >= Timestamp::now(), "{status}");
        seen.insert(until);
        (seen.len() > 4).then_some(())
    });
    let written = statuses(&world, "search");
    assert!(written <= seen.len() + 1, "{written} writes for {seen:?}");
}

#[test]
fn what_somebody_asks_for_is_written_at_once() {
    let world = World::new();
    world.create_schedule("search", &json!({"scheduler": {"validFor": 3600}}));
    let server = world.server();
    let id = world.id("search");
    world.status_when("search", |status| shares(status).len() == 3);
    server.configure(&id, &json!({"flavours": [{"precision": 1}, {"precision": 0.5}]}));
    world.status_when("search", |status| shares(status).len() == 2);
    let set = server.post(
        &format!("/schedule/{id}/manual"),
        &json!({"flavourWeights": {"precision-50": 1}, "ttlSeconds": 600}),
    );
    assert_eq!(set.status, 202, "{set:?}");
    let status = world.status_when("search", |status| shares(status) == [(50, 100), (100, 0)]);
    let until = instant(&set.json()["until"]);
    // In whole seconds, and it ends no sooner.
    assert!(instant(&status["validUntil"]) < until + SignedDuration::from_secs(1), "{status}");
    assert_eq!(server.delete(&format!("/schedule/{id}/manual")).status, 200);
    world.status_when("search", |status| shares(status) != [(50, 100), (100, 0)]);
    server.configure(&id, &json!({"flavours": [{"precision": 1, "enabled": false}]}));
    let status = world.status_when("search", |status| super::condition(status, "Ready").1 == "Pending");
    assert_eq!(status["flavours"], json!([]));
}

#[test]
fn an_object_whose_spec_stays_is_not_written_again() {
    let world = World::fake();
    world.create_schedule("search", &json!({"scheduler": {"validFor": 3600}}));
    let server = world.server();
    world.status_when("search", |status| holds(status, "Ready", "Scheduled"));
    let before = statuses(&world, "search");
    let generation = server.get(&format!("/config/{}", world.id("search"))).json()["generation"].clone();
    for number in 0..20 {
        world.merge(
            "TrafficSchedule",
            "search",
            &json!({"metadata": {"labels": {"number": number.to_string()}}}),
        );
    }
    // Whoever came later has been served by now.
    world.create_schedule("later", &json!({}));
    world.status_when("later", |status| holds(status, "Ready", "Scheduled"));
    assert_eq!(statuses(&world, "search"), before);
    let after = server.get(&format!("/config/{}", world.id("search"))).json()["generation"].clone();
    assert_eq!(after, generation);
}

#[test]
fn conflicts_and_an_api_server_that_is_busy_are_waited_out() {
    for (faults, outcome) in [
        (Faults { conflicts: 3, ..Faults::default() }, "conflict"),
        (Faults { throttled: 3, ..Faults::default() }, "throttled"),
    ] {
        let world = World::fake();
        world.api().set(faults);
        // The fake turns away whatever comes first: the object is there already.
        let objects = [json!({"metadata": {"name": "search"}, "spec": {}})].into_iter();
        world.api().fill("scheduling.carbonrouter.io/v1alpha1/trafficschedules", &world.namespace, objects);
        let server = world.server();
        world.status_when("search", |status| holds(status, "Ready", "Scheduled"));
        let counted = metric(&server, &format!("kubernetes_status_writes_total{{outcome=\"{outcome}\"}}"));
        assert_eq!(counted, 3.0, "{outcome}");
        let tries = world.api().writes().iter().filter(|write| write.is_status).count();
        assert!(tries >= 4, "{tries}");
    }
}

#[test]
fn a_status_that_is_not_taken_is_said_and_harms_nobody() {
    let world = World::fake();
    let mut definition = super::definition();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["required"] =
        json!(["more"]);
    world.api().define(&definition);
    world.create_schedule("search", &json!({}));
    let server = world.server();
    let said =
        eventually("it is said", || Some(server.log()).filter(|log| log.contains("does not take a status")));
    assert!(said.contains("status.more: Required value") && said.contains("engine-server crd"), "{said}");
    assert_eq!(server.schedule(&world.id("search"))["policy"]["name"], "credit-greedy");
    assert_eq!(metric(&server, "kubernetes_status_writes_total{outcome=\"rejected\"}"), 1.0);
}

#[test]
fn an_older_definition_without_our_fields_is_good_enough() {
    let world = World::fake();
    let mut definition = super::definition();
    let status = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    // The newest origin's own.
    status["required"] = json!(["activePolicy", "flavours", "validUntil"]);
    for unknown in ["conditions", "observedGeneration", "strategies", "flavourRules"] {
        status["properties"].as_object_mut().unwrap().remove(unknown).unwrap();
    }
    world.api().define(&definition);
    world.create_schedule("search", &json!({}));
    world.create_schedule("bad", &json!({"scheduler": {"targetError": "no"}}));
    let _server = ready(world.launch());
    let status = world.status_when("search", |status| shares(status).len() == 3);
    assert_eq!(status["conditions"], Value::Null);
    world.status_when("bad", |status| status["activePolicy"] == "none" && status["flavours"] == json!([]));
}
