//! Forecasts: what is asked upstream, how often, and what happens when nothing good comes back.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream, hours, uk};
use crate::{eventually, instant, lines};

fn now_is(grams: f64) -> impl Fn(&Value) -> bool {
    move |schedule| schedule["forecast"]["now"] == grams
}

/// The regional form: `data` is an object with the slots inside.
fn regional(grams: f64) -> Reply {
    let slots = hours(&[grams, grams])["data"].clone();
    Reply::Json(json!({"data": {"regionid": 13, "shortname": "London", "postcode": "OX1", "data": slots}}))
}

/// 100 nationally, 200 by region, 300 by postcode.
fn by_place(path: &str) -> Reply {
    match path {
        path if path.ends_with("/regionid/13") => regional(200.0),
        path if path.ends_with("/postcode/OX1") => regional(300.0),
        path if path.starts_with("/intensity/") => Reply::Json(hours(&[100.0, 100.0])),
        _ => Reply::Status(404, "not here"),
    }
}

#[test]
fn each_schedule_follows_its_own_target() {
    let upstream = Upstream::start(by_place);
    let server = Launch::new().upstream(&upstream).env("CARBON_API_TARGET", "region:13").start();
    for (id, body, grams) in [
        ("t/national", json!({"carbonTarget": "national"}), 100.0),
        ("t/postcode", json!({"carbonTarget": "postcode:OX1"}), 300.0),
        ("t/default", json!({}), 200.0),
        ("default/default", json!({}), 200.0),
    ] {
        server.configure(id, &body);
        let schedule = server.schedule_when(id, now_is(grams));
        assert_eq!(schedule["warnings"], json!([]), "{id}");
    }
    // A change of target changes the forecast.
    server.configure("t/national", &json!({"carbonTarget": "postcode:OX1"}));
    server.schedule_when("t/national", now_is(300.0));
    // As the UK API has them: the half-hour, 48 hours ahead.
    for (part, tail) in [("regionid/13", "Z/fw48h/regionid/13"), ("postcode/OX1", "Z/fw48h/postcode/OX1")] {
        let asked = upstream.asked();
        let path = asked.iter().find(|path| path.contains(part)).unwrap();
        assert!(path.starts_with("/regional/intensity/20") && path.ends_with(tail), "{path}");
    }
    assert!(
        upstream.asked().iter().any(|path| path.starts_with("/intensity/20") && path.ends_with("Z/fw48h"))
    );
}

#[test]
fn one_call_serves_however_many_schedules() {
    let upstream = Upstream::start(by_place);
    let server = Launch::new().upstream(&upstream).start();
    server.schedule_when("default/default", now_is(100.0));
    for index in 0..50 {
        server.configure(&format!("t/s{index}"), &json!({"carbonTarget": "region:13"}));
    }
    for index in 0..50 {
        server.schedule_when(&format!("t/s{index}"), now_is(200.0));
    }
    assert_eq!((upstream.count("/regionid/13"), upstream.asked().len()), (1, 2));
    // One that comes later finds it at once.
    server.configure("t/late", &json!({"carbonTarget": "region:13"}));
    assert_eq!(server.schedule("t/late")["forecast"]["now"], 200.0);
    assert_eq!(upstream.asked().len(), 2);
}

#[test]
fn a_forecast_is_renewed_after_its_lifetime_and_answered_when_it_is_new() {
    let upstream = Upstream::start(|_| Reply::Json(hours(&[100.0, 100.0])));
    let server = Launch::new().upstream(&upstream).env("CARBON_API_CACHE_TTL", "1").start();
    let first = server.schedule_when("default/default", now_is(100.0));
    upstream.set(|_| Reply::Json(hours(&[110.0, 110.0])));
    // Long before the schedule's own renewal.
    let second = server.schedule_when("default/default", now_is(110.0));
    assert!(instant(&second["evaluatedAt"]) < instant(&first["validUntil"]));
    assert!(instant(&second["forecast"]["retrievedAt"]) > instant(&first["forecast"]["retrievedAt"]));
    eventually("it is asked for again", || (upstream.asked().len() >= 3).then_some(()));
}

#[test]
fn a_lifetime_is_honoured_per_schedule_and_a_target_nobody_wants_is_forgotten() {
    let upstream = Upstream::start(by_place);
    let server = Launch::new().upstream(&upstream).start();
    server.configure("t/often", &json!({"carbonTarget": "region:13", "carbonCacheTTL": 1}));
    eventually("it is asked for again", || (upstream.count("/regionid/13") >= 3).then_some(()));
    assert_eq!(upstream.count("/intensity/") - upstream.count("/regional/"), 1);
    let aged = || {
        let scrape = server.metrics.send("GET", "/metrics", None);
        scrape.text().contains(r#"carbon_forecast_age_seconds{target="region:13"}"#)
    };
    assert!(aged());
    server.delete("/config/t/often");
    eventually("its age is gone", || (!aged()).then_some(()));
}

#[test]
fn an_api_without_the_uk_paths_is_asked_for_its_forecast() {
    for body in [
        json!({"current": 123, "next": 123}),
        json!({"intensity_now": "123", "intensity_next": 123.0}),
        hours(&[123.0, 123.0]),
    ] {
        let answer = body.clone();
        let upstream = Upstream::start(move |path| match path {
            "/base/forecast" => Reply::Json(answer.clone()),
            _ => Reply::Status(404, "<html>not here</html>"),
        });
        let server = Launch::new().env("CARBON_API_URL", &format!("{}/base/", upstream.url())).start();
        let schedule = server.schedule_when("default/default", now_is(123.0));
        assert_eq!(schedule["forecast"]["source"], "legacy-forecast", "{body}");
        // At the end of a half-hour its second slot is decided for already, and there is no next one.
        assert_eq!(server.get("/forecasts").json()["items"][0]["forecast"]["slots"], 2, "{body}");
        let asked = upstream.asked();
        assert!(asked[0].starts_with("/base/intensity/") && asked[1] == "/base/forecast", "{asked:?}");
    }
}

#[test]
fn the_last_good_forecast_is_kept_and_marked_when_it_ends() {
    let end = Timestamp::from_second(Timestamp::now().as_second() + 5).unwrap();
    let start = end - SignedDuration::from_mins(30);
    let upstream = Upstream::start(move |_| Reply::Json(uk(&[(start, end, 350.0)])));
    let server = Launch::new()
        .upstream(&upstream)
        .env("CARBON_API_CACHE_TTL", "1")
        .env("SCHEDULE_VALID_FOR", "2")
        .start();
    let good = server.schedule_when("default/default", now_is(350.0));
    upstream.set(|_| Reply::Status(503, "down"));
    let asked = upstream.asked().len();
    eventually("it failed", || (upstream.asked().len() > asked + 1).then_some(()));
    // Down, and yet known.
    let kept = server.schedule("default/default");
    if instant(&kept["evaluatedAt"]) < end - SignedDuration::from_secs(2) {
        assert_eq!((&kept["forecast"]["now"], &kept["warnings"]), (&json!(350.0), &json!([])));
    }
    let stale = server.schedule_when("default/default", |schedule| schedule["forecast"]["stale"] == true);
    assert_eq!(
        lines(&stale["warnings"]),
        format!("the carbon forecast for `national` ended at {end}: throttled by its last value\n")
    );
    assert!(
        stale["forecast"].get("now").is_none()
            && stale["forecast"]["retrievedAt"] == good["forecast"]["retrievedAt"]
    );
    // 350 is the throttle's ceiling.
    assert_eq!(stale["processing"]["intensityRatio"], 0.0);
    upstream.set(|_| Reply::Json(hours(&[100.0, 100.0])));
    let again = server.schedule_when("default/default", now_is(100.0));
    assert_eq!(again["warnings"], json!([]));
}

#[test]
fn nobody_waits_for_a_provider_that_says_nothing() {
    let upstream = Upstream::start(|path| {
        if path.contains("regionid") { Reply::Silence } else { Reply::Json(hours(&[100.0, 100.0])) }
    });
    let server = Launch::new().upstream(&upstream).start();
    server.schedule_when("default/default", now_is(100.0));
    server.configure("t/silent", &json!({"carbonTarget": "region:13", "carbonTimeout": 3600, "validFor": 1}));
    eventually("it was asked for", || (upstream.count("regionid/13") == 1).then_some(()));
    let first = server.schedule("t/silent");
    server.schedule_when("t/silent", |schedule| schedule["evaluatedAt"] != first["evaluatedAt"]);
    server.configure("t/other", &json!({}));
    assert_eq!(server.schedule("t/other")["forecast"]["now"], 100.0);
    assert_eq!(upstream.count("regionid/13"), 1);
}

#[test]
fn a_timeout_is_honoured() {
    let upstream = Upstream::start(|_| Reply::Silence);
    let server = Launch::new().upstream(&upstream).env("CARBON_API_TIMEOUT", "0.2").start();
    // Both providers of the chain share it, and then it is tried again.
    eventually("it is asked for again", || (upstream.count("fw48h") >= 2).then_some(()));
    assert!(server.log().contains("no fresh forecast"), "{}", server.log());
}

#[test]
fn a_target_nobody_has_is_accepted_with_a_warning() {
    let upstream = Upstream::start(by_place);
    let server = Launch::new().upstream(&upstream).start();
    for target in ["300", "region:99", "postcode:", "mars"] {
        let answer = server.configure("t/lost", &json!({"carbonTarget": target}));
        let warnings = lines(&answer["warnings"]);
        assert!(
            warnings.starts_with(&format!("carbonTarget `{target}` is not one of uk-carbon-intensity")),
            "{warnings}"
        );
        assert!(warnings.ends_with("; following `national` instead\n"), "{warnings}");
        let schedule = server.schedule_when("t/lost", now_is(100.0));
        assert_eq!(schedule["warnings"], answer["warnings"]);
        assert_eq!(server.get("/config/t/lost").json()["config"]["carbonTarget"]["value"], target);
    }
}

#[test]
fn a_schedule_never_outlives_its_slot_and_the_next_is_made_before_it_begins() {
    let end = Timestamp::from_second(Timestamp::now().as_second() + 6).unwrap();
    let (start, late) = (end - SignedDuration::from_mins(30), end + SignedDuration::from_hours(1));
    let upstream = Upstream::start(move |_| Reply::Json(uk(&[(start, end, 100.0), (end, late, 200.0)])));
    let server = Launch::new().upstream(&upstream).start();
    server.configure("t/slot", &json!({"validFor": 3600}));
    let first = server.schedule_when("t/slot", now_is(100.0));
    assert_eq!((instant(&first["validUntil"]), &first["forecast"]["next"]), (end, &json!(200.0)));
    let second = server.schedule_when("t/slot", now_is(200.0));
    assert!(instant(&second["evaluatedAt"]) <= end, "{end} {second}");
    assert!(instant(&second["validUntil"]) > end && instant(&second["validUntil"]) <= late);
    assert!(second["forecast"].get("next").is_none());
}

#[test]
fn a_trace_replays_around_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.csv");
    let rows = (0..24).map(|hour| format!("2020-01-01T{hour:02}:00:00Z,180\n"));
    std::fs::write(&path, format!("timestamp,actual\n{}", rows.collect::<String>())).unwrap();
    let server = Launch::new().env("CARBON_PROVIDER", &format!("trace:{}", path.display())).start();
    let schedule = server.schedule_when("default/default", now_is(180.0));
    assert_eq!(schedule["forecast"]["source"], "trace");
    let fixed = Server::start().schedule_when("default/default", now_is(250.0));
    assert_eq!(fixed["forecast"]["source"], "static");
}

#[test]
fn a_trace_tells_its_own_signal_and_a_chain_has_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moer.csv");
    let rows = (0..24).map(|hour| format!("2020-01-01 {hour:02}:00:00+00:00,0.18,0.2\n"));
    std::fs::write(&path, format!("time,moer,f1\n{}", rows.collect::<String>())).unwrap();
    let trace = format!("trace:{}", path.display());
    let server = Launch::new().env("CARBON_PROVIDER", &trace).start();
    let forecast = &server.schedule_when("default/default", now_is(180.0))["forecast"];
    assert_eq!((&forecast["signal"], &forecast["accounting"]), (&json!("marginal"), &json!("direct")));
    let chain = format!("uk-carbon-intensity,{trace}");
    let mixed = Launch::bare().arg("--check").env("CARBON_PROVIDER", &chain).run();
    assert_eq!(mixed.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&mixed.stderr),
        "engine-server: uk-carbon-intensity tells average carbon intensity and trace marginal: expected providers \
         of one signal, since a series never mixes the two\n"
    );
}
