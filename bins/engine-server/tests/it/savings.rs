//! What was emitted and avoided, in the schedule and in the metrics.

use serde_json::{Value, json};

use crate::eventually;
use crate::server::Server;

/// At 5 % the constant mix is half of each.
fn put(more: &Value) -> Value {
    json!({"policy": "constant-mix", "validFor": 1, "flavours": [
        {"name": "large", "precision": 1, "energyWh": 2.0, "carbonIntensity": 4.0},
        {"name": "small", "precision": 0.9, "energyWh": more, "carbonIntensity": 1.0}]})
}

fn sample(server: &Server, series: &str) -> Option<f64> {
    let text = server.metrics.send("GET", "/metrics", None);
    let line =
        text.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

fn saved(server: &Server) -> Value {
    server.schedule_when("t/saved", |schedule| schedule.get("savings").is_some())["savings"].clone()
}

#[test]
fn grams_are_told_in_the_schedule_and_in_the_metrics() {
    // 250 gCO2eq/kWh, always.
    let server = Server::start();
    server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 250.0);
    server.configure("t/saved", &put(&json!(0.5)));
    assert!(server.schedule("t/saved").get("savings").is_none(), "nothing was reported");
    let id = r#"{namespace="t",schedule="saved""#;
    let series = |name: &str, against: Option<&str>| {
        let label = against.map(|against| format!(r#",against="{against}""#)).unwrap_or_default();
        sample(&server, &format!("{name}{id}{label}}}"))
    };
    assert_eq!(series("schedule_emitted_grams_total", None), None);
    let body = json!({"window_seconds": 0.001, "flavour_counts": {"large": 10, "small": 30}});
    assert_eq!(server.post("/feedback/t/saved", &body).status, 200);

    let savings = saved(&server);
    let expected = json!({"pricedRequests": 40, "unpricedRequests": 0, "emitted": 8.75,
        "avoidedVsBest": 11.25, "avoidedVsConstantMix": 3.75});
    assert_eq!(savings["sinceStart"], expected);
    assert_eq!(savings["24h"], expected);
    assert_eq!(savings["unit"], "gCO2eq");
    assert!(savings.get("relative").is_none() && savings.get("hindsight").is_none(), "{savings}");

    assert_eq!(series("schedule_emitted_grams_total", None), Some(8.75));
    for (against, otherwise) in [("best", 20.0), ("constant-mix", 12.5)] {
        assert_eq!(series("schedule_counterfactual_grams_total", Some(against)), Some(otherwise));
        assert_eq!(series("schedule_avoided_grams", Some(against)), Some(otherwise - 8.75));
    }
    assert_eq!(series("schedule_unpriced_requests", None), Some(0.0));
    assert_eq!(series("schedule_emitted_relative_total", None), None);

    // One flavour without energyWh: from now on these are no grams, and none of the grams is among them.
    server.configure("t/saved", &put(&Value::Null));
    assert_eq!(series("schedule_emitted_grams_total", None), None);
    assert_eq!(server.post("/feedback/t/saved", &body).status, 200);
    let savings = saved(&server);
    assert_eq!((&savings["unit"], &savings["relative"]), (&json!("relative g"), &json!(true)));
    assert_eq!(savings["sinceStart"]["emitted"], 250.0 * (10.0 + 30.0 / 4.0));
    eventually("another name", || {
        series("schedule_emitted_relative_total", None).filter(|seen| *seen == 4375.0)
    });
    assert_eq!(series("schedule_avoided_relative", Some("best")), Some(10_000.0 - 4375.0));
    assert_eq!(series("schedule_avoided_grams", Some("best")), None);

    server.delete("/config/t/saved");
    let text = server.metrics.send("GET", "/metrics", None);
    assert!(!text.text().contains(id), "they go with their schedule");
}
