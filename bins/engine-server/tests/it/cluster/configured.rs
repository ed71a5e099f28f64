//! What the cluster asks for is in force.

use serde_json::{Value, json};

use super::{World, condition, holds, ready, shares};
use crate::eventually;
use crate::server::Launch;

fn source(config: &Value, key: &str) -> (Value, String) {
    let entry = &config["config"][key];
    (entry["value"].clone(), entry["source"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_spec_configures_and_a_change_of_it_reconfigures_and_its_end_frees() {
    let world = World::new();
    world.create_schedule("search", &json!({
        "scheduler": {"targetError": "0.1", "policy": "precision-tier", "validFor": 5, "evaluator": "consumer"},
        "router": {"autoscaling": {"minReplicaCount": 1, "maxReplicaCount": 15}},
    }));
    let server = world.server();
    let id = world.id("search");
    // It is there from the first request on.
    let config = server.get(&format!("/config/{id}")).json();
    assert_eq!(source(&config, "targetError"), (json!(0.1), "crd".into()));
    assert_eq!(source(&config, "policy"), (json!("precision-tier"), "crd".into()));
    assert_eq!(source(&config, "components").1, "crd");
    assert_eq!(source(&config, "creditMax").1, "default");
    assert_eq!(source(&config, "flavours").1, "default");
    let status = world.status_when("search", |status| holds(status, "Ready", "Scheduled"));
    assert_eq!((&status["activePolicy"], &status["creditTarget"]), (&json!("precision-tier"), &json!("0.1")));
    assert_eq!(status["routingEvaluator"], "consumer");
    assert_eq!(status["observedGeneration"], 1);
    assert!(status["effectiveReplicaCeilings"]["router"].as_i64().unwrap() <= 15);

    world.merge(
        "TrafficSchedule",
        "search",
        &json!({"spec": {"scheduler": {"targetError": "0.2", "policy": null}}}),
    );
    let status = world.status_when("search", |status| status["observedGeneration"] == 2);
    assert_eq!((&status["activePolicy"], &status["creditTarget"]), (&json!("credit-greedy"), &json!("0.2")));

    world.delete("TrafficSchedule", "search");
    eventually("the schedule is gone", || {
        (server.get(&format!("/schedule/{id}")).status == 404).then_some(())
    });
}

#[test]
fn labelled_deployments_are_the_flavours_and_follow_every_change() {
    let world = World::new();
    world.create_deployment("high", &json!({"carbonstat.precision": "100", "carbonstat.emissions": "1.2"}));
    world.create_deployment("low", &json!({"carbonstat.precision": "0.5", "carbonstat.strategy": "small"}));
    world.create_deployment("other", &json!({"app": "x"}));
    world.create_schedule("search", &json!({}));
    let server = world.server();
    let id = world.id("search");
    let names = || {
        let config = server.get(&format!("/config/{id}")).json();
        let (flavours, source) = source(&config, "flavours");
        let names: Vec<String> =
            flavours.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), source)
    };
    assert_eq!(names(), ("precision-100 small".into(), "discovered".into()));
    // They win over what a PUT lists, and the PUT's answer says so; nothing of it is lost.
    let answer = server.configure(&id, &json!({"flavours": [{"precision": 0.9}], "creditMax": 2}));
    assert!(
        answer["warnings"].to_string().contains("flavours is what the schedule's cluster says"),
        "{answer}"
    );
    assert_eq!(names().1, "discovered");
    world
        .status_when("search", |status| shares(status).iter().map(|(precision, _)| *precision).eq([50, 100]));
    // One that cannot be read is named, and costs nobody else.
    world.create_deployment("broken", &json!({"carbonstat.precision": "best"}));
    let status = world.status_when("search", |status| holds(status, "Degraded", "InvalidFlavours"));
    assert!(
        status["conditions"].to_string().contains("Deployment broken, label carbonstat.precision"),
        "{status}"
    );
    world.merge("Deployment", "broken", &json!({"metadata": {"labels": {"carbonstat.precision": "70"}}}));
    eventually("the third is a flavour", || (names().0 == "precision-100 precision-70 small").then_some(()));
    world.status_when("search", |status| holds_not(status, "Degraded"));
    // A label that is taken away takes the flavour away.
    world.merge("Deployment", "broken", &json!({"metadata": {"labels": {"carbonstat.precision": null}}}));
    eventually("it is none any more", || (names().0 == "precision-100 small").then_some(()));
    for name in ["high", "low"] {
        world.delete("Deployment", name);
    }
    // Without any, those of the PUT are in force again.
    eventually("the PUT's are in force", || (names() == ("precision-90".into(), "put".into())).then_some(()));
}

fn holds_not(status: &Value, kind: &str) -> bool {
    condition(status, kind).0 == "False"
}

#[test]
fn a_bad_spec_is_a_condition_and_an_event_and_the_last_good_one_stays() {
    let world = World::new();
    world.create_schedule("search", &json!({"scheduler": {"targetError": "0.1"}}));
    world.create_schedule("never", &json!({"scheduler": {"policy": "nope"}}));
    let server = world.server();
    let status = world.status_when("never", |status| holds(status, "Degraded", "InvalidSpec"));
    assert_eq!(condition(&status, "Ready"), ("False".into(), "NotConfigured".into()));
    assert_eq!(server.get(&format!("/schedule/{}", world.id("never"))).status, 404);

    world.merge(
        "TrafficSchedule",
        "search",
        &json!({"spec": {"scheduler": {"targetError": "1.5", "creditMin": "1"}}}),
    );
    let status = world.status_when("search", |status| holds(status, "Degraded", "InvalidSpec"));
    assert!(holds(&status, "Ready", "Scheduled"));
    assert_eq!((&status["creditTarget"], &status["observedGeneration"]), (&json!("0.1"), &json!(2)));
    let said = status["conditions"].to_string();
    for field in ["spec.scheduler.targetError", "spec.scheduler.creditMin"] {
        assert!(said.contains(field), "{said}");
    }
    let event = eventually("an Event names the field", || {
        world.list("Event").into_iter().find(|event| event["regarding"]["name"] == "search")
    });
    assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("InvalidSpec")));
    assert!(event["note"].as_str().unwrap().contains("spec.scheduler.targetError"), "{event}");
    // Flavours still follow what runs.
    world.create_deployment("only", &json!({"carbonstat.precision": "0.95"}));
    let status = world.status_when("search", |status| shares(status) == [(95, 100)]);
    assert!(holds(&status, "Degraded", "InvalidSpec"));
    world.merge(
        "TrafficSchedule",
        "search",
        &json!({"spec": {"scheduler": {"targetError": "0.2", "creditMin": null}}}),
    );
    world.status_when("search", |status| status["creditTarget"] == "0.2" && holds_not(status, "Degraded"));
}

#[test]
fn what_both_ask_for_is_the_clusters_and_the_put_is_told() {
    let world = World::new();
    world.create_schedule("search", &json!({"scheduler": {"targetError": "0.1", "validFor": 30}}));
    let server = world.server();
    let id = world.id("search");
    let answer = server.configure(&id, &json!({"targetError": 0.3, "validFor": 30, "creditMax": 1}));
    assert_eq!(
        answer["warnings"],
        json!(["targetError is what the schedule's cluster says, which wins over this PUT"])
    );
    let config = server.get(&format!("/config/{id}")).json();
    assert_eq!(source(&config, "targetError"), (json!(0.1), "crd".into()));
    assert_eq!(source(&config, "creditMax"), (json!(1), "put".into()));
    // What has an object cannot be deleted by the API, only reset.
    assert_eq!(server.delete(&format!("/config/{id}")).json(), json!({"status": "reset"}));
    let config = server.get(&format!("/config/{id}")).json();
    assert_eq!(source(&config, "targetError"), (json!(0.1), "crd".into()));
    assert_eq!(source(&config, "creditMax").1, "default");
}

#[test]
fn what_went_while_nobody_looked_is_freed_at_the_next_start_and_the_rest_goes_on() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let launch = || world.launch().env("STATE_DIR", folder.path().to_str().unwrap());
    for name in ["stays", "goes"] {
        world.create_schedule(name, &json!({"scheduler": {"targetError": "0.1"}}));
    }
    world.create_deployment("high", &json!({"carbonstat.precision": "1"}));
    let balance = {
        let server = ready(launch());
        server.configure("elsewhere/put", &json!({}));
        world.status_when("goes", |status| holds(status, "Ready", "Scheduled"));
        server.schedule(&world.id("stays"))["credits"]["balance"].clone()
    };
    world.delete("TrafficSchedule", "goes");
    let server = ready(launch());
    eventually("it is freed", || {
        (server.get(&format!("/schedule/{}", world.id("goes"))).status == 404).then_some(())
    });
    let after = server.schedule(&world.id("stays"));
    assert!(after["credits"]["balance"].as_f64() >= balance.as_f64(), "{balance} {after}");
    assert_eq!(after["flavours"].as_array().unwrap().len(), 1);
    server.schedule("elsewhere/put");
}

#[test]
fn the_origins_operator_configures_where_only_statuses_are_written() {
    let world = World::new();
    world.create_schedule("search", &json!({"scheduler": {"targetError": "0.1"}}));
    world.create_deployment("high", &json!({"carbonstat.precision": "1"}));
    let server = ready(world.launch_as("status-only"));
    let id = world.id("search");
    let status = world.status_when("search", |status| condition(status, "Ready").0 == "False");
    assert_eq!(condition(&status, "Ready").1, "NotConfigured");
    assert_eq!(server.get(&format!("/schedule/{id}")).status, 404);
    let answer = server.configure(&id, &json!({"targetError": 0.2, "flavours": [{"precision": 0.9}]}));
    assert_eq!(answer["warnings"], json!([]));
    let status = world.status_when("search", |status| holds(status, "Ready", "Scheduled"));
    assert_eq!((&status["creditTarget"], shares(&status)), (&json!("0.2"), vec![(90, 100)]));
}

#[test]
fn without_a_cluster_the_start_says_how_one_is_named() {
    let output = Launch::new().arg("--kubernetes").run();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--kubernetes: no cluster is known: set KUBECONFIG"), "{said}");
    for (flag, value) in [
        ("--kubernetes=some", "some"),
        ("--kubernetes-namespaces=A,b", "A,b"),
        ("--kubernetes-writes-per-second=0", "0"),
    ] {
        let output = Launch::new().arg(flag).run();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(value) && said.contains("expected"), "{said}");
    }
}
