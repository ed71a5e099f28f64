//! `GET /forecasts`: what is known of each target, and how the providers do.

use serde_json::{Value, json};

use crate::server::Launch;
use crate::upstream::{Reply, Upstream, hours};
use crate::{eventually, instant};

fn upstream() -> Upstream {
    Upstream::start(|path| match path {
        path if path.contains("regionid/7") => Reply::Status(404, "no such region"),
        path if path.starts_with("/intensity/") => Reply::Json(hours(&[100.0, 110.0])),
        path if path.contains("/regional/") => {
            Reply::Json(json!({"data": {"regionid": 13, "data": hours(&[200.0])["data"]}}))
        }
        _ => Reply::Status(404, "not here"),
    })
}

#[test]
fn every_target_and_every_provider_says_how_it_is() {
    let upstream = upstream();
    let server = Launch::new().upstream(&upstream).env("CARBON_QUOTA", "uk-carbon-intensity=500/h").start();
    for region in ["region:13", "region:7"] {
        server.configure(&format!("t/{}", region.replace(':', "")), &json!({"carbonTarget": region}));
    }
    let list = || server.get("/forecasts").json();
    let settled = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        items.len() == 3 && items.iter().all(|item| item["forecast"].is_object() || item["failures"] != 0)
    };
    let list = eventually("all were asked for", || Some(list()).filter(settled));
    let targets: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|item| item["target"].clone()).collect();
    assert_eq!(targets, ["national", "region:13", "region:7"]);
    let national = &list["items"][0]["forecast"];
    assert_eq!(
        (&national["source"], &national["signal"]),
        (&json!("uk-carbon-intensity"), &json!("average"))
    );
    assert_eq!(
        (&national["slots"], &national["slotSeconds"], &national["gaps"]),
        (&json!(2), &json!(3600.0), &json!([]))
    );
    assert_eq!((&national["filledSlots"], national.get("standInFor")), (&json!(0), None));
    assert!(national["ageSeconds"].as_f64().is_some_and(|age| (0.0..60.0).contains(&age)), "{national}");
    let failed = &list["items"][2];
    assert!(
        failed["forecast"].is_null() && failed["lastError"].as_str().unwrap().contains("404"),
        "{failed}"
    );
    let uk = &list["providers"][0];
    assert_eq!(
        (&uk["name"], &uk["circuit"], &uk["callsPerSecond"], &uk["callsPerHour"]),
        (&json!("uk-carbon-intensity"), &json!("closed"), &json!(10), &json!(500))
    );
    assert!(uk["calls"].as_u64() >= Some(3), "{uk}");
}

#[test]
fn what_a_forecast_lacks_is_told_wherever_it_is_shown() {
    let upstream = Upstream::start(|path| {
        if !path.contains("/intensity/") {
            return Reply::Status(404, "not here");
        }
        let mut body = hours(&[100.0, 0.0, 200.0, 0.0, 0.0, 300.0]);
        for index in [1, 3, 4] {
            body["data"][index]["intensity"]["forecast"] = Value::Null;
        }
        Reply::Json(body)
    });
    let server = Launch::new().upstream(&upstream).start();
    let schedule = server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 100.0);
    let (shown, listed) = (&schedule["forecast"], &server.get("/forecasts").json()["items"][0]["forecast"]);
    for forecast in [shown, listed] {
        let gaps = forecast["gaps"].as_array().unwrap();
        assert_eq!((gaps.len(), &forecast["filledSlots"]), (1, &json!(1)), "{forecast}");
        let gap = instant(&gaps[0]["from"]).duration_until(instant(&gaps[0]["to"]));
        assert_eq!((gap.as_hours(), &forecast["slotSeconds"]), (2, &json!(3600.0)), "{forecast}");
        assert!(forecast["ageSeconds"].as_f64() >= Some(0.0), "{forecast}");
    }
    assert_eq!(shown["gaps"], listed["gaps"]);
    let metrics = server.metrics.send("GET", "/metrics", None);
    assert!(
        metrics.text().contains("carbon_provider_filled_slots_total{provider=\"uk-carbon-intensity\"} 1\n")
    );
}

#[test]
fn it_is_answered_page_by_page() {
    let upstream = upstream();
    let server = Launch::new().upstream(&upstream).start();
    for region in 10..14 {
        server.configure(&format!("t/r{region}"), &json!({"carbonTarget": format!("region:{region}")}));
    }
    eventually("five targets", || {
        (server.get("/forecasts").json()["items"].as_array().unwrap().len() == 5).then_some(())
    });
    let (mut seen, mut path) = (Vec::new(), "/forecasts?limit=2".to_owned());
    loop {
        let page = server.get(&path).json();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["target"].as_str().unwrap().to_owned()),
        );
        let Some(after) = page["continue"].as_str() else { break };
        path = format!("/forecasts?limit=2&continue={after}");
    }
    assert_eq!(seen, ["national", "region:10", "region:11", "region:12", "region:13"]);
    let refused = server.get("/forecasts?limit=0");
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/limit");
}

#[test]
fn a_provider_that_fails_is_left_alone_and_that_is_said_once() {
    let upstream = Upstream::start(|_| Reply::Status(500, "down"));
    let server = Launch::new().upstream(&upstream).env("CARBON_API_CACHE_TTL", "1").start();
    for region in 1..10 {
        server.configure(&format!("t/r{region}"), &json!({"carbonTarget": format!("region:{region}")}));
    }
    let open =
        |list: &Value| list["providers"].as_array().unwrap().iter().all(|one| one["circuit"] == "open");
    let list = eventually("both are left alone", || Some(server.get("/forecasts").json()).filter(open));
    assert!(list["providers"][0]["openUntil"].is_string(), "{list}");
    let asked = upstream.asked().len();
    assert!((10..=30).contains(&asked), "{asked} requests");
    let log = server.log();
    assert_eq!(log.matches("left alone after failures in a row").count(), 2, "{log}");
    let scrape = server.metrics.send("GET", "/metrics", None);
    assert!(scrape.text().contains("carbon_provider_left_alone{provider=\"uk-carbon-intensity\"} 1"));
    // Nothing is pending for it.
    assert!(server.schedule("t/r1")["flavourWeights"].is_object());
}

#[test]
fn a_quota_that_cannot_be_meant_stops_the_start() {
    for (quota, problem) in [
        ("uk-carbon-intensity=0/h", "is no quota: expected PROVIDER=CALLS/h"),
        ("watttime=5/h", "names `watttime`, which is not asked: expected one of uk-carbon-intensity"),
    ] {
        let output = Launch::new().env("CARBON_QUOTA", quota).run();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(problem), "{said}");
    }
}
