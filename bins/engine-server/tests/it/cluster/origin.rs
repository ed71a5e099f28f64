//! The origin's operator and its router, both versions, beside this engine.

use serde_json::{Value, json};

use super::{World, holds, ready, shares, text};
use crate::eventually;

/// What the newest operator makes of an answer to GET /schedule, and writes in the place of the whole status.
fn operators_status(schedule: &Value) -> Value {
    let number = |value: &Value| value.as_f64().unwrap().to_string();
    let mut flavours: Vec<Value> = schedule["flavours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let emissions = one["carbonIntensity"].as_f64().unwrap_or_default().to_string();
            json!({"precision": one["precision"], "weight": one["weight"], "emissions": emissions})
        })
        .collect();
    flavours.sort_by_key(|one| one["precision"].as_i64());
    let credits = &schedule["credits"];
    let diagnostics: serde_json::Map<_, _> = schedule["diagnostics"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), number(value).into()))
        .collect();
    json!({
        "flavours": flavours, "activePolicy": schedule["policy"]["name"], "validUntil": schedule["validUntil"],
        "creditBalance": number(&credits["balance"]), "creditVelocity": number(&credits["velocity"]),
        "creditTarget": number(&credits["target"]), "creditMin": number(&credits["min"]), "creditMax": number(&credits["max"]),
        "processingThrottle": number(&schedule["processing"]["throttle"]), "diagnostics": diagnostics, "routingEvaluator": "router",
    })
}

/// The routers build their routes of these: by name the older, by precision the newer.
fn routes(status: &Value) -> (Vec<String>, Vec<String>) {
    let older = status["flavourRules"].as_array().into_iter().flatten();
    let older = older.map(|rule| format!("{}={}", text(&rule["flavourName"]), rule["weight"])).collect();
    let newer = shares(status)
        .into_iter()
        .map(|(precision, weight)| format!("precision-{precision}={weight}"))
        .collect();
    (older, newer)
}

#[test]
fn the_operators_requests_and_the_routers_reads_keep_working() {
    let world = World::new();
    world.create_schedule("search", &json!({"scheduler": {"targetError": "0.1"}}));
    let server = ready(world.launch_as("status-only"));
    let id = world.id("search");
    // It looks whether the engine knows the schedule, configures it, and looks again.
    assert_eq!(server.get(&format!("/schedule/{id}")).status, 404);
    server.configure(&id, &json!({
        "targetError": 0.1, "evaluator": "router", "components": {"router": {"minReplicas": 1, "maxReplicas": 15}},
        "flavours": [
            {"name": "precision-100", "precision": 1, "carbonIntensity": 1.2, "enabled": true, "annotations": {"carbonstat.precision": "100"}},
            {"name": "precision-50", "precision": 0.5, "carbonIntensity": 0, "enabled": true},
        ],
    }));
    let schedule = server.schedule(&id);
    let status = world.status_when("search", |status| holds(status, "Ready", "Scheduled"));
    let (older, newer) = routes(&status);
    assert_eq!(older, newer);
    assert_eq!(newer.len(), 2);
    // Both of us write the same words for the same decision: it finds nothing to be changed.
    let wanted = operators_status(&schedule);
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&status[key], value, "{key}");
    }
    // Where it replaces all the same, what is ours alone comes back with the next one.
    let replaced = eventually("it replaces the status", || {
        world.replace_status(world.get("TrafficSchedule", "search"), operators_status(&server.schedule(&id)))
    });
    assert_eq!(replaced["status"]["conditions"], Value::Null);
    server.configure(&id, &json!({"targetError": 0.2, "components": {"router": {"maxReplicas": 15}}}));
    let status = world.status_when("search", |status| holds(status, "Ready", "Scheduled"));
    assert_eq!(status["creditTarget"], "0.2");
    assert!(status["effectiveReplicaCeilings"]["router"].as_i64().is_some_and(|most| most <= 15), "{status}");
}

#[test]
fn the_origins_own_example_is_understood() {
    let world = World::new();
    // Its demo/trafficschedule.yaml.
    world.create_schedule("traffic-schedule", &json!({
        "target": {"autoscaling": {"minReplicaCount": 1, "maxReplicaCount": 12, "cooldownPeriod": 120, "cpuUtilization": 80}},
        "router": {"debug": true, "autoscaling": {"minReplicaCount": 1, "maxReplicaCount": 15, "cooldownPeriod": 60, "cpuUtilization": 80},
            "resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}},
        "consumer": {"autoscaling": {"minReplicaCount": 1, "maxReplicaCount": 12}, "resources": {"limits": {"cpu": "200m"}}},
        "scheduler": {"targetError": "0.15", "creditMin": "-2.0", "creditMax": "2.0", "creditWindow": 10, "policy": "forecast-aware",
            "evaluator": "consumer", "validFor": 5, "discoveryInterval": 30, "carbonTarget": "150", "carbonTimeout": 5000,
            "carbonCacheTTL": 5, "throttleMin": "0.01", "throttleIntensityFloor": "250.0", "throttleIntensityCeiling": "300.0"},
    }));
    let _server = world.server();
    let status = world.status_when("traffic-schedule", |status| holds(status, "Ready", "Scheduled"));
    assert_eq!(status["activePolicy"], "forecast-aware");
    assert_eq!(status["routingEvaluator"], "consumer");
    let components: Vec<_> = status["effectiveReplicaCeilings"].as_object().unwrap().keys().collect();
    assert_eq!(components, ["consumer", "router", "target"]);
    // What others read of the spec is still there.
    let object = world.get("TrafficSchedule", "traffic-schedule");
    assert_eq!(object["spec"]["router"]["resources"]["requests"]["cpu"], "200m");
}
