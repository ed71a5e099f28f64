//! GET and DELETE /config: what is in force, where it came from, and being rid of it.

use serde_json::{Value, json};

use crate::eventually;
use crate::server::{Launch, Server, bare_flavours};

fn config(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/config/{id}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn every_value_says_where_it_came_from() {
    let server = Launch::new()
        .env("CARBON_PROVIDER", "static:250")
        .env("TARGET_ERROR", "0.2")
        .env("CREDIT_MAX", "2")
        .env("SCHEDULER_STRATEGIES", r#"[{"precision": 90, "carbon_intensity": 0.3}]"#)
        .start();
    server.configure(
        "t/sources",
        &json!({"creditMax": 3, "validFor": "7.5", "components": {"r": {"maxReplicas": 2}}}),
    );
    let document = config(&server, "t/sources");
    assert_eq!(
        (&document["namespace"], &document["name"], &document["generation"]),
        (&json!("t"), &json!("sources"), &json!(1))
    );
    let said = |key: &str| {
        (
            document["config"][key]["value"].clone(),
            document["config"][key]["source"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(said("creditMax"), (json!(3), "put".into()));
    assert_eq!(said("validFor"), (json!(7.5), "put".into()));
    assert_eq!(said("targetError"), (json!(0.2), "env".into()));
    assert_eq!(said("creditMin"), (json!(-0.5), "default".into()));
    assert_eq!(
        said("flavours"),
        (
            json!([{"name": "precision-90", "precision": 0.9, "carbonIntensity": 0.3, "enabled": true}]),
            "env".into()
        )
    );
    assert_eq!(said("components"), (json!({"r": {"minReplicas": 0, "maxReplicas": 2}}), "put".into()));
    assert_eq!(said("policy"), (json!("credit-greedy"), "default".into()));
    let keys: Vec<_> = document["config"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "budgetDailyAim",
            "budgetOverdraft",
            "budgetWindow",
            "calibrate",
            "carbonCacheTTL",
            "carbonTarget",
            "carbonTimeout",
            "components",
            "creditMax",
            "creditMin",
            "creditWindow",
            "discoveryInterval",
            "flavours",
            "policy",
            "targetError",
            "throttleIntensityCeiling",
            "throttleIntensityFloor",
            "throttleMin",
            "validFor",
        ]
    );
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let server = Server::without_forecasts();
    let document = config(&server, "default/default");
    for (key, value) in [
        ("targetError", json!(0.05)),
        ("creditMin", json!(-0.5)),
        ("creditMax", json!(0.5)),
        ("creditWindow", json!(300)),
        ("budgetWindow", json!(172_800)),
        ("budgetOverdraft", json!(0)),
        ("budgetDailyAim", json!(2)),
        ("policy", json!("credit-greedy")),
        ("validFor", json!(60)),
        ("discoveryInterval", json!(60)),
        ("carbonTarget", json!("national")),
        ("carbonTimeout", json!(2)),
        ("carbonCacheTTL", json!(300)),
        ("throttleMin", json!(0.2)),
        ("throttleIntensityFloor", json!(150)),
        ("throttleIntensityCeiling", json!(350)),
        ("components", json!({})),
        (
            "flavours",
            json!([
                {"name": "precision-100", "precision": 1.0, "carbonIntensity": 1.0, "enabled": true},
                {"name": "precision-85", "precision": 0.85, "carbonIntensity": 0.7, "enabled": true},
                {"name": "precision-70", "precision": 0.7, "carbonIntensity": 0.4, "enabled": true},
            ]),
        ),
    ] {
        assert_eq!(document["config"][key], json!({"value": value, "source": "default"}), "{key}");
    }
}

#[test]
fn every_variable_is_a_default() {
    let variables = [
        ("TARGET_ERROR", "targetError", json!(0.1)),
        ("CREDIT_MIN", "creditMin", json!(-2)),
        ("CREDIT_MAX", "creditMax", json!(3)),
        ("CREDIT_WINDOW", "creditWindow", json!(100)),
        ("BUDGET_WINDOW", "budgetWindow", json!(3600)),
        ("BUDGET_OVERDRAFT", "budgetOverdraft", json!(0.5)),
        ("BUDGET_DAILY_AIM", "budgetDailyAim", json!(3)),
        ("SCHEDULER_POLICY", "policy", json!("p100")),
        ("SCHEDULE_VALID_FOR", "validFor", json!(30)),
        ("STRATEGY_DISCOVERY_INTERVAL", "discoveryInterval", json!(10)),
        ("CARBON_API_TARGET", "carbonTarget", json!("region:13")),
        ("CARBON_API_TIMEOUT", "carbonTimeout", json!(1)),
        ("CARBON_API_CACHE_TTL", "carbonCacheTTL", json!(10)),
        ("THROTTLE_MIN", "throttleMin", json!(0.5)),
        ("THROTTLE_INTENSITY_FLOOR", "throttleIntensityFloor", json!(1)),
        ("THROTTLE_INTENSITY_CEILING", "throttleIntensityCeiling", json!(2)),
    ];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (mut by_env, mut by_flag) = (Launch::new(), Launch::new());
    for (variable, _, value) in &variables {
        by_env = by_env.env(variable, &text(value));
        // The flag wins over the variable.
        let flag = variable.to_ascii_lowercase().replace('_', "-");
        by_flag = by_flag.env(variable, "nonsense").arg(&format!("--{flag}={}", text(value)));
    }
    for server in [by_env, by_flag].map(|launch| launch.env("CARBON_PROVIDER", "static:250").start()) {
        let document = config(&server, "default/default");
        for (variable, key, value) in &variables {
            assert_eq!(document["config"][key], json!({"value": value, "source": "env"}), "{variable}");
        }
    }
}

#[test]
fn a_deleted_schedule_is_gone_and_its_ledger_with_it() {
    let server = Server::without_forecasts();
    let body = json!({"targetError": 0.9, "creditMax": 100, "validFor": 1});
    server.configure("t/gone", &body);
    let balance = |server: &Server| server.schedule("t/gone")["credits"]["balance"].as_f64().unwrap();
    eventually("credit is earned", || (balance(&server) > 1.5).then_some(()));
    let answer = server.delete("/config/t/gone");
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "deleted"})));
    for path in ["/schedule/t/gone", "/config/t/gone"] {
        server.get(path).assert_problem(404);
    }
    let again = server.delete("/config/t/gone");
    again.assert_problem(404);
    assert_eq!(again.json()["error"], "unknown schedule t/gone");
    assert_eq!(server.get("/schedules").json()["items"].as_array().unwrap().len(), 1);
    server.configure("t/gone", &body);
    assert_eq!((balance(&server), &server.schedule("t/gone")["generation"]), (0.9, &json!(1)));
}

#[test]
fn deleting_the_default_schedule_resets_it() {
    let server = Launch::new().env("CARBON_API_URL", "http://127.0.0.1:1").env("TARGET_ERROR", "0.1").start();
    server.configure("default/default", &json!({"targetError": 0.9, "creditMax": 100, "validFor": 1, "flavours": [{"name": "x", "precision": 1}]}));
    eventually("credit is earned", || {
        (server.schedule("default/default")["credits"]["balance"].as_f64()? > 1.5).then_some(())
    });
    let manual = server.post("/setschedule", &json!({"flavourWeights": {"x": 1}, "ttlSeconds": 3600}));
    assert_eq!(manual.status, 202);
    let answer = server.delete("/config/default/default");
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "reset"})));
    let schedule = server.get("/schedule").json();
    assert_eq!(schedule["credits"]["balance"], 0.1);
    assert_eq!(
        schedule["flavourWeights"],
        json!({"precision-100": 100, "precision-85": 0, "precision-70": 0})
    );
    assert!(schedule.get("manual").is_none());
    assert_eq!(schedule["generation"], 3);
    let document = config(&server, "default/default");
    assert_eq!(document["config"]["targetError"], json!({"value": 0.1, "source": "env"}));
    assert_eq!(document["config"]["flavours"]["source"], "default");
    server.configure("default/default", &bare_flavours());
}
