//! GET /metrics: names and labels that dashboards know, and series that go when their subject goes.

use std::collections::BTreeMap;

use serde_json::json;

use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream, hours};
use crate::{eventually, instant};

/// Every sample of a scrape: `name{label="value",..}` as written, with its value.
fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.metrics.send("GET", "/metrics", None);
    assert_eq!(
        (answer.status, answer.field("content-type")),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    let samples = answer.text().lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let samples = samples.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

fn has(server: &Server, part: &str) -> bool {
    scrape(server).keys().any(|series| series.contains(part))
}

#[test]
fn the_series_of_a_schedule_have_the_names_and_labels_of_the_contract() {
    let upstream = Upstream::start(|_| Reply::Json(hours(&[300.0; 60])));
    let server = Launch::new().upstream(&upstream).start();
    server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 300.0);
    server.configure("shop/search", &json!({
        "validFor": 3600, "components": {"router": {"maxReplicas": 8}, "free": {"minReplicas": 1}},
        "flavours": [{"name": "a", "precision": 1}, {"name": "b\"\\", "precision": 0.8}, {"name": "off", "precision": 0.5, "enabled": false}],
    }));
    let schedule = server.schedule("shop/search");
    let id = r#"namespace="shop",schedule="search""#;
    let policy = r#"policy="credit-greedy""#;
    let valid_until = instant(&schedule["validUntil"]).as_second().to_string();
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for (series, value) in [
        (format!(r#"schedule_flavour_weight{{{id},flavour="a"}}"#), "100"),
        (format!(r#"schedule_flavour_weight{{{id},flavour="b\"\\"}}"#), "0"),
        (format!("schedule_valid_until{{{id}}}"), &valid_until),
        (format!("scheduler_credit_balance{{{id},{policy}}}"), "0.05"),
        (format!("scheduler_credit_velocity{{{id},{policy}}}"), "0.05"),
        (format!("scheduler_avg_precision{{{id},{policy}}}"), "1"),
        (format!("scheduler_processing_throttle{{{id},{policy}}}"), "0.25"),
        (format!(r#"scheduler_effective_replica_ceiling{{{id},component="router"}}"#), "2"),
        (format!(r#"scheduler_policy_choice_total{{{id},{policy},strategy="a"}}"#), "1"),
        (format!(r#"scheduler_policy_choice_total{{{id},{policy},strategy="b\"\\"}}"#), "0"),
        (format!("schedule_evaluations_total{{{id}}}"), "1"),
        (format!("schedule_manual_override{{{id}}}"), "0"),
        (format!("schedule_requests_total{{{id}}}"), "0"),
    ] {
        expected.insert(series, value.parse().unwrap());
    }
    for horizon in ["now", "next", "1h", "6h", "12h", "24h", "48h"] {
        expected
            .insert(format!(r#"scheduler_forecast_intensity{{{id},{policy},horizon="{horizon}"}}"#), 300.0);
    }
    let mut seen = scrape(&server);
    seen.retain(|series, _| series.contains(id));
    // What other work adds is no fault; what is promised has to be there.
    for (series, value) in &expected {
        assert_eq!(seen.get(series), Some(value), "{series} in {seen:#?}");
    }
    let horizons = seen.keys().filter(|series| series.starts_with("scheduler_forecast_intensity")).count();
    assert_eq!(horizons, 7);
    assert!(
        !seen.keys().any(|series| series.contains("\"off\"") || series.contains("\"free\"")),
        "{seen:#?}"
    );
}

#[test]
fn choices_add_up_by_their_exact_shares() {
    let server = Server::without_forecasts();
    server.configure("t/choice", &json!({"policy": "round-robin", "validFor": 1, "flavours": [{"name": "a", "precision": 1}, {"name": "b", "precision": 0.9}, {"name": "c", "precision": 0.8}]}));
    let series = |name: &str| {
        format!(
            r#"scheduler_policy_choice_total{{namespace="t",schedule="choice",policy="round-robin",strategy="{name}"}}"#
        )
    };
    let scraped =
        eventually("three evaluations", || Some(scrape(&server)).filter(|seen| seen[&series("a")] > 0.9));
    let evaluations = scraped[r#"schedule_evaluations_total{namespace="t",schedule="choice"}"#];
    for name in ["a", "b", "c"] {
        assert!((scraped[&series(name)] - evaluations / 3.0).abs() < 1e-9, "{name} {scraped:?}");
    }
}

#[test]
fn series_go_with_their_flavour_policy_and_schedule() {
    let server = Server::start();
    let put = |policy: &str, names: &[&str], components: &[&str]| {
        let flavours: Vec<_> = names.iter().map(|name| json!({"name": name, "precision": 0.9})).collect();
        let components: serde_json::Map<_, _> =
            components.iter().map(|name| ((*name).to_owned(), json!({"maxReplicas": 3}))).collect();
        server
            .configure("t/gone", &json!({"policy": policy, "flavours": flavours, "components": components}));
    };
    let id = r#"namespace="t",schedule="gone""#;
    put("p100", &["a", "b"], &["r", "s"]);
    for part in [r#"flavour="b""#, r#"strategy="b""#, r#"policy="p100""#, r#"component="s""#] {
        assert!(
            has(&server, &format!("{id},{part}")) || has(&server, &format!(r#"{id},policy="p100",{part}"#)),
            "{part}"
        );
    }
    put("round-robin", &["a", "c"], &["r"]);
    let seen = scrape(&server);
    let of_it = || seen.keys().filter(|series| series.contains(id));
    for part in ["\"b\"", "p100", "\"s\""] {
        assert!(!of_it().any(|series| series.contains(part)), "{part} {seen:#?}");
    }
    assert!(
        of_it().any(|series| series.contains("\"c\""))
            && of_it().any(|series| series.contains("round-robin"))
    );
    assert_eq!(seen["scheduler_schedules"], 2.0);
    server.delete("/config/t/gone");
    assert!(!has(&server, id));
    assert_eq!(scrape(&server)["scheduler_schedules"], 1.0);
    // One where every flavour is disabled has nothing to show.
    server.configure("t/gone", &json!({"flavours": [{"precision": 1, "enabled": false}]}));
    assert!(!has(&server, id));
}

#[test]
fn an_override_is_exported_too() {
    let server = Server::start();
    server.configure("t/man", &json!({"policy": "p100"}));
    server
        .post("/schedule/t/man/manual", &json!({"flavourWeights": {"precision-85": 1}, "ttlSeconds": 3600}));
    let seen = scrape(&server);
    assert_eq!(
        seen[r#"schedule_flavour_weight{namespace="t",schedule="man",flavour="precision-85"}"#],
        100.0
    );
    assert_eq!(seen[r#"schedule_manual_override{namespace="t",schedule="man"}"#], 1.0);
    assert_eq!(seen[r#"scheduler_avg_precision{namespace="t",schedule="man",policy="p100"}"#], 0.85);
    server.delete("/schedule/t/man/manual");
    assert_eq!(scrape(&server)[r#"schedule_manual_override{namespace="t",schedule="man"}"#], 0.0);
}

#[test]
fn the_process_counts_requests_evaluations_and_provider_calls() {
    let upstream = Upstream::start(|path| match path {
        path if path.contains("regionid") => Reply::Status(200, "<html>"),
        path if path.ends_with("/forecast") => Reply::Status(500, "down"),
        _ => Reply::Json(hours(&[100.0, 100.0])),
    });
    let server = Launch::new().upstream(&upstream).env("SCHEDULE_VALID_FOR", "1").start();
    server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 100.0);
    server.configure("t/lost", &json!({"carbonTarget": "region:13"}));
    server.get("/schedule/no/such");
    server.get("/nowhere");
    let wanted = [
        r#"http_requests_total{route="/config/{namespace}/{name}",method="PUT",code="2xx"}"#,
        r#"http_requests_total{route="/schedule/{namespace}/{name}",method="GET",code="4xx"}"#,
        r#"http_requests_total{route="other",method="GET",code="4xx"}"#,
        r#"http_request_duration_seconds_bucket{route="/schedule/{namespace}/{name}",le="+Inf"}"#,
        r#"carbon_provider_requests_total{provider="uk-carbon-intensity",outcome="ok"}"#,
        r#"carbon_provider_requests_total{provider="uk-carbon-intensity",outcome="bad_answer"}"#,
        r#"carbon_provider_requests_total{provider="legacy-forecast",outcome="server_error"}"#,
        r#"carbon_provider_request_duration_seconds_bucket{provider="uk-carbon-intensity",le="60"}"#,
        r#"carbon_provider_request_duration_seconds_bucket{provider="legacy-forecast",le="+Inf"}"#,
        r#"carbon_forecast_age_seconds{target="national"}"#,
        r#"scheduler_evaluation_duration_seconds_bucket{le="+Inf"}"#,
        "scheduler_evaluations_total",
        "scheduler_schedules",
    ];
    let seen = eventually("all of it was counted", || {
        Some(scrape(&server)).filter(|seen| wanted.iter().all(|series| seen.contains_key(*series)))
    });
    for series in wanted {
        assert!(seen[series] >= if series.contains("age") { 0.0 } else { 1.0 }, "{series} {}", seen[series]);
    }
    // A label set that a client can grow would be a leak.
    assert!(!seen.keys().any(|series| series.contains("nowhere") || series.contains("no/such")));
}

#[test]
fn a_provider_takes_time_only_where_it_is_asked() {
    let upstream = Upstream::start(|_| Reply::Fields(429, "Retry-After: 3600\r\n".into(), "slow down"));
    let server = Launch::new()
        .upstream(&upstream)
        .env("CARBON_PROVIDER", "uk-carbon-intensity,static:250")
        .env("CARBON_API_CACHE_TTL", "1")
        .start();
    let outcome = |provider, outcome| {
        format!("carbon_provider_requests_total{{provider=\"{provider}\",outcome=\"{outcome}\"}}")
    };
    let took =
        |provider| format!("carbon_provider_request_duration_seconds_count{{provider=\"{provider}\"}}");
    let asked = outcome("uk-carbon-intensity", "rate_limited");
    let held = outcome("uk-carbon-intensity", "circuit_open");
    // Once it is left alone it is asked no more, so that both stand still.
    let seen =
        eventually("it is left alone", || Some(scrape(&server)).filter(|seen| seen.contains_key(&held)));
    assert_eq!(seen[&took("uk-carbon-intensity")], seen[&asked]);
    assert!(seen[&outcome("static", "ok")] >= seen[&asked]);
    assert!(!seen.contains_key(&took("static")), "there is nothing to ask");
}

#[test]
fn a_scrape_of_many_is_whole_and_well_formed() {
    let server = Server::start();
    for index in 0..300 {
        server.configure(&format!("t/s{index}"), &json!({}));
    }
    let answer = server.metrics.send("GET", "/metrics", None);
    let text = answer.text();
    assert!(text.ends_with('\n') && text.len() > 100_000, "{}", text.len());
    let seen = scrape(&server);
    let count = |name: &str| seen.keys().filter(|series| series.starts_with(&format!("{name}{{"))).count();
    assert_eq!((count("schedule_valid_until"), count("schedule_flavour_weight")), (301, 903));
    // Each family once: its help, its type, then its samples together.
    let families: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut unique = families.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), families.len(), "{families:?}");
    let mut current = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap();
        } else if !line.starts_with('#') && !line.is_empty() {
            assert!(line.starts_with(current), "{line} under {current}");
        }
    }
}

#[test]
fn the_metrics_port_serves_nothing_else() {
    let server = Server::start();
    assert_eq!(server.metrics.raw("HEAD /metrics HTTP/1.1", b"").body.len(), 0);
    for (method, path, status) in
        [("GET", "/", 404), ("GET", "/schedule", 404), ("POST", "/metrics", 405), ("DELETE", "/metrics", 405)]
    {
        let answer = server.metrics.send(method, path, None);
        answer.assert_problem(status);
        assert_eq!(answer.field("allow"), if status == 405 { "GET, HEAD" } else { "" });
    }
}

#[test]
fn beyond_the_limit_schedules_are_counted_and_have_no_series() {
    let launch = |limit: &str| {
        let launch = Launch::new().env("CARBON_PROVIDER", "static:1").env("METRICS_MAX_SCHEDULES", limit);
        // In order of their names it would be the last one.
        launch.env("DEFAULT_SCHEDULE_NAMESPACE", "zzz").start()
    };
    for (limit, exported, left_out) in [
        ("0", &[][..], 5.0),
        ("1", &["zzz/default"][..], 4.0),
        ("3", &["a/s0", "a/s1", "zzz/default"][..], 2.0),
        ("5", &["a/s0", "a/s1", "b/s0", "b/s1", "zzz/default"][..], 0.0),
        ("6", &["a/s0", "a/s1", "b/s0", "b/s1", "zzz/default"][..], 0.0),
    ] {
        let server = launch(limit);
        for id in ["b/s1", "b/s0", "a/s1", "a/s0"] {
            server.configure(id, &json!({"flavours": [{"precision": 1, "enabled": id != "a/s1"}]}));
        }
        // Also of one that has nothing to show is known whether it would.
        let seen = scrape(&server);
        let label = |series: &str, name: &str| {
            series.split(&format!("{name}=\"")).nth(1)?.split('"').next().map(str::to_owned)
        };
        let ids = seen.keys().filter(|series| series.starts_with("schedule_valid_until"));
        let mut ids: Vec<_> = ids
            .map(|series| [label(series, "namespace").unwrap(), label(series, "schedule").unwrap()].join("/"))
            .collect();
        ids.sort();
        let expected: Vec<_> = exported.iter().filter(|id| **id != "a/s1").collect();
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected, "{limit}");
        assert_eq!(seen["metrics_schedules_left_out"], left_out, "{limit}");
        assert_eq!(
            (seen["scheduler_schedules"], seen["scheduler_schedules_pending"]),
            (5.0, 1.0),
            "{limit}: all of them are counted"
        );
    }
}

#[test]
fn the_process_tells_what_it_is_and_how_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch::new().env("CARBON_PROVIDER", "static:1").env("SCHEDULE_VALID_FOR", "1");
    let server = launch.arg("--state-dir").arg(folder.path().to_str().unwrap()).start();
    let about = |seen: &BTreeMap<String, f64>, name: &str| -> f64 {
        *seen.get(name).unwrap_or_else(|| panic!("{name} in {seen:#?}"))
    };
    let seen = eventually("it evaluates", || {
        let late = "scheduler_evaluation_lateness_seconds_count";
        Some(scrape(&server)).filter(|seen| seen.get(late).is_some_and(|late| *late >= 1.0))
    });
    let version = format!("engine_build_info{{version=\"{}\",revision=\"", env!("CARGO_PKG_VERSION"));
    assert!(seen.iter().any(|(series, value)| series.starts_with(&version) && *value == 1.0), "{seen:#?}");
    let now = jiff::Timestamp::now().as_second() as f64;
    for name in ["process_start_time_seconds", "scheduler_heartbeat_timestamp_seconds"] {
        assert!((now - about(&seen, name)).abs() < 60.0, "{name}");
    }
    for (name, least) in [
        ("process_cpu_seconds_total", 0.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 5.0),
        ("process_max_fds", 5.0),
        ("scheduler_schedules_limit", 100_000.0),
        ("scheduler_evaluations_overdue_seconds", 0.0),
        ("scheduler_schedules_expired", 0.0),
        ("state_file_bytes", 1e3),
        ("state_refused_total", 0.0),
        ("state_records_total", 1.0),
        ("log_lines_total{level=\"info\"}", 0.0),
        ("log_lines_left_out_total{level=\"warning\"}", 0.0),
    ] {
        assert!(about(&seen, name) >= least, "{name} {}", seen[name]);
    }
    assert_eq!(
        about(&seen, "scheduler_evaluation_lateness_seconds_bucket{le=\"+Inf\"}"),
        about(&seen, "scheduler_evaluation_lateness_seconds_count")
    );
    // The loop turns.
    let heartbeat = "scheduler_heartbeat_timestamp_seconds";
    eventually("it turns again", || (scrape(&server)[heartbeat] > seen[heartbeat]).then_some(()));
}
