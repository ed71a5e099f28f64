//! Served requests, polled from a Prometheus that is on loopback.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream};
use crate::{eventually, lines};

/// Requests a second, as the stub has them.
const RATE: u64 = 10;

/// A question as Prometheus gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    query: String,
    window: u64,
    end: u64,
}

fn asked(path: &str) -> Asked {
    let (query, end) = path.strip_prefix("/api/v1/query?query=").unwrap().split_once("&time=").unwrap();
    let mut decoded = Vec::new();
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        let digits = (byte == b'%').then(|| [bytes.next().unwrap(), bytes.next().unwrap()]);
        let digits = digits.map(|digits| String::from_utf8(digits.into()).unwrap());
        decoded.push(digits.map_or(byte, |digits| u8::from_str_radix(&digits, 16).unwrap()));
    }
    let query = String::from_utf8(decoded).unwrap();
    let window = query.split_once('[').unwrap().1.split_once("s]").unwrap().0;
    Asked { window: window.parse().unwrap(), end: end.parse().unwrap(), query }
}

/// An instant vector, one series a flavour.
fn counts(flavours: &[(&str, &str)]) -> Reply {
    let series =
        |(flavour, value): &(&str, &str)| json!({"metric": {"flavour": flavour}, "value": [1, value]});
    let result: Vec<Value> = flavours.iter().map(series).collect();
    Reply::Json(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
}

/// What was counted of a window at [`RATE`], all of one flavour.
fn steady(asked: &Asked) -> Reply {
    counts(&[("precision-70", &(asked.window * RATE).to_string())])
}

fn launch(prometheus: &Upstream) -> Launch {
    let launch = Launch::new().env("CARBON_PROVIDER", "static:250");
    launch.env("PROMETHEUS_URL", &prometheus.url()).env("METRICS_POLL_INTERVAL_SEC", "1")
}

fn configure(server: &Server, id: &str) {
    server.configure(id, &json!({"validFor": 1, "creditMin": -10, "policy": "p100"}));
}

/// A sample of the server's metrics, 0 where there is none.
fn sample(server: &Server, series: &str) -> u64 {
    let text = server.metrics.send("GET", "/metrics", None);
    let line = text.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

fn requests(server: &Server, id: &str) -> u64 {
    let (namespace, name) = id.split_once('/').unwrap();
    sample(server, &format!("schedule_requests_total{{namespace=\"{namespace}\",schedule=\"{name}\"}}"))
}

fn polls(server: &Server, outcome: &str) -> u64 {
    sample(server, &format!("feedback_polls_total{{outcome=\"{outcome}\"}}"))
}

fn warnings(server: &Server, id: &str) -> String {
    lines(&server.schedule(id)["warnings"])
}

/// The questions about one namespace so far.
fn about(prometheus: &Upstream, namespace: &str) -> Vec<Asked> {
    let asked = prometheus.asked().iter().map(|path| asked(path)).collect::<Vec<_>>().into_iter();
    asked.filter(|asked| asked.query.contains(&format!("namespace=\"{namespace}\""))).collect()
}

#[test]
fn every_second_is_asked_for_and_counted_once() {
    let prometheus = Upstream::start(|path| steady(&asked(path)));
    let server = launch(&prometheus).start();
    configure(&server, "t/fed");
    eventually("four polls", || (about(&prometheus, "t").len() >= 4).then_some(()));
    let windows = about(&prometheus, "t");
    insta::assert_snapshot!(windows[0].query.replace(&format!("[{}s]", windows[0].window), "[..]"), @r#"sum by (flavour) (increase(router_http_requests_total{namespace="t",status="200",qtype="queue"}[..]))"#);
    for pair in windows.windows(2) {
        assert_eq!(pair[0].end, pair[1].end - pair[1].window, "{windows:?}");
    }
    // What is published was counted up to some poll, and is the sum of the windows until then.
    let sums: Vec<u64> = windows
        .iter()
        .scan(0, |sum, asked| {
            *sum += asked.window * RATE;
            Some(*sum)
        })
        .collect();
    let counted =
        eventually("it is published", || Some(requests(&server, "t/fed")).filter(|sum| *sum >= sums[2]));
    let all: Vec<u64> = about(&prometheus, "t")
        .iter()
        .scan(0, |sum, asked| {
            *sum += asked.window * RATE;
            Some(*sum)
        })
        .collect();
    assert!(all.contains(&counted), "{counted} {all:?}");
    let schedule = server.schedule("t/fed");
    assert_eq!(schedule["budget"]["accounting"], "requests");
    assert!((schedule["budget"]["meanError"]["sinceStart"].as_f64().unwrap() - 0.3).abs() < 1e-6);
    assert_eq!(warnings(&server, "t/fed"), "");
    assert!(polls(&server, "ok") >= 4);
}

#[test]
fn failures_lose_nothing_and_are_said_once() {
    // Each kind of failure in turn, then the truth.
    let turn = Arc::new(Mutex::new(0));
    let prometheus = Upstream::start(move |path| {
        if !path.contains("%22t%22") {
            return counts(&[]);
        }
        let mut turn = turn.lock().unwrap();
        *turn += 1;
        match *turn {
            1 => Reply::Status(503, "busy"),
            2 => Reply::Status(200, "<html>Sign in</html>"),
            3 => counts(&[("precision-70", "5"), ("precision-100", "NaN")]),
            _ => steady(&asked(path)),
        }
    });
    let server = launch(&prometheus).start();
    configure(&server, "t/fed");
    eventually("the first failure is said", || {
        warnings(&server, "t/fed").contains("could not be polled").then_some(())
    });
    let counted = eventually("it is counted", || Some(requests(&server, "t/fed")).filter(|sum| *sum > 0));
    let windows = about(&prometheus, "t");
    let begin = |asked: &Asked| asked.end - asked.window;
    assert!(windows[..4].iter().all(|asked| begin(asked) == begin(&windows[0])), "{windows:?}");
    let sums = windows[3..].iter().map(|asked| (asked.end - begin(&windows[0])) * RATE);
    assert!(sums.clone().any(|sum| sum == counted), "{counted} {windows:?}");
    assert_eq!((polls(&server, "server_error"), polls(&server, "bad_answer")), (1, 2));
    assert_eq!(server.log().matches("no counts of served requests").count(), 1, "{}", server.log());
    eventually("it is forgiven", || warnings(&server, "t/fed").is_empty().then_some(()));
}

#[test]
fn a_prometheus_that_never_answers_holds_nobody() {
    let prometheus = Upstream::start(|_| Reply::Silence);
    let mut server = launch(&prometheus).start();
    for index in 0..8 {
        configure(&server, &format!("n{index}/fed"));
    }
    // Every thread hangs.
    eventually("all are asked", || (prometheus.asked().len() >= 4).then_some(()));
    for index in 0..8 {
        server.configure(&format!("n{index}/fed"), &json!({"validFor": 2}));
        assert_eq!(server.get(&format!("/schedule/n{index}/fed")).status, 200);
    }
    server.terminate();
    assert!(server.ended().success());
}

#[test]
fn flavours_of_others_are_named_and_not_counted() {
    let prometheus = Upstream::start(|path| match asked(path) {
        asked if asked.query.contains("\"t\"") => {
            counts(&[("precision-70", "100.5"), ("precision-30", "7"), ("", "2")])
        }
        _ => counts(&[]),
    });
    let server = launch(&prometheus).start();
    configure(&server, "t/fed");
    configure(&server, "default/default");
    let said = eventually("they are named", || {
        Some(warnings(&server, "t/fed")).filter(|said| said.contains("precision-30"))
    });
    insta::assert_snapshot!(said, @"requests were polled and not counted, of flavours that are not this schedule's: one without a name, `precision-30`");
    let counted =
        eventually("the others are counted", || Some(requests(&server, "t/fed")).filter(|sum| *sum > 0));
    assert_eq!(counted % 100, 0, "a half is rounded to even: {counted}");
    let left_out = sample(&server, "feedback_unknown_flavour_requests_total");
    assert!(left_out >= 9 && left_out.is_multiple_of(9), "{left_out}");
    assert!(polls(&server, "empty") >= 1, "nobody serves the default schedule");
    eventually("it is said", || {
        warnings(&server, "default/default").contains("finds no series").then_some(())
    });
}

#[test]
fn what_routers_post_wins() {
    let (open, asking) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (gate, seen) = (Arc::clone(&open), Arc::clone(&asking));
    // The first question about it is answered only after a router has posted.
    let prometheus = Upstream::start(move |path| {
        if path.contains("%22t%22") {
            seen.store(true, Ordering::Release);
            eventually("the router has posted", || gate.load(Ordering::Acquire).then_some(()));
        }
        steady(&asked(path))
    });
    let server = launch(&prometheus).start();
    configure(&server, "t/fed");
    eventually("it is asked", || asking.load(Ordering::Acquire).then_some(()));
    let post = json!({"window_seconds": 1, "flavour_counts": {"precision-100": 7}});
    assert_eq!(server.post("/feedback/t/fed", &post).json().get("duplicate"), None);
    open.store(true, Ordering::Release);
    eventually("it is refused, and not asked again", || (polls(&server, "posted") >= 3).then_some(()));
    assert_eq!(about(&prometheus, "t").len(), 1);
    let said = eventually("it is said", || {
        Some(warnings(&server, "t/fed")).filter(|said| said.contains("not polled"))
    });
    insta::assert_snapshot!(said, @"not polled: a router posted to /feedback within the last hour, and what is posted and what is polled is never added up");
    assert_eq!(requests(&server, "t/fed"), 7);
}

#[test]
fn what_was_polled_is_not_posted_again() {
    let prometheus = Upstream::start(|path| steady(&asked(path)));
    let server = launch(&prometheus).start();
    configure(&server, "t/fed");
    eventually("it is polled", || (requests(&server, "t/fed") > 0).then_some(()));
    let post = json!({"window_seconds": 3600, "flavour_counts": {"precision-100": 7}});
    assert_eq!(server.post("/feedback/t/fed", &post).json()["duplicate"], true);
}

#[test]
fn schedules_that_are_told_the_same_requests_are_not_polled() {
    let prometheus = Upstream::start(|path| steady(&asked(path)));
    let server = launch(&prometheus).start();
    configure(&server, "t/one");
    configure(&server, "t/two");
    // The default schedule, which nobody asked for, stands in nobody's way.
    configure(&server, "default/mine");
    for id in ["t/one", "t/two"] {
        eventually("it is said", || warnings(&server, id).contains("none is counted twice").then_some(()));
    }
    eventually("another is polled", || (requests(&server, "default/mine") > 0).then_some(()));
    assert_eq!((requests(&server, "t/one"), requests(&server, "t/two")), (0, 0));
    // Once one is left, it is told what is served from then on.
    assert_eq!(server.delete("/config/t/two").status, 200);
    eventually("it is polled", || (requests(&server, "t/one") > 0).then_some(()));
    eventually("nothing is to be said", || warnings(&server, "t/one").is_empty().then_some(()));
}

#[test]
fn a_query_that_names_the_schedule_tells_them_apart() {
    let prometheus = Upstream::start(|path| {
        let asked = asked(path);
        let rate = u64::from(asked.query.contains("\"one\"")) + 1;
        let value = (asked.window * rate).to_string();
        Reply::Json(json!({"status": "success", "data": {"resultType": "vector", "result":
            [{"metric": {"variant": "precision-70"}, "value": [1, value]}]}}))
    });
    let query =
        r#"sum by ({label}) (increase(served_total{namespace="{namespace}",app="{schedule}"}[{window}s]))"#;
    let launch = launch(&prometheus).env("METRICS_QUERY", query).env("METRICS_FLAVOUR_LABEL", "variant");
    let server = launch.start();
    configure(&server, "t/one");
    configure(&server, "t/two");
    for id in ["t/one", "t/two"] {
        eventually("it is polled", || (requests(&server, id) > 0).then_some(()));
        assert_eq!(warnings(&server, id), "");
    }
    let mut by_query: BTreeMap<String, usize> = BTreeMap::new();
    for asked in about(&prometheus, "t") {
        let (query, _) = asked.query.split_once('[').unwrap();
        *by_query.entry(query.to_owned()).or_default() += 1;
    }
    let queries: Vec<&str> = by_query.keys().map(String::as_str).collect();
    assert_eq!(
        queries,
        ["one", "two"]
            .map(|name| format!(r#"sum by (variant) (increase(served_total{{namespace="t",app="{name}"}}"#))
    );
}

#[test]
fn a_schedule_that_goes_while_it_is_asked_about_is_dropped_without_a_word() {
    let (open, asking) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (gate, seen) = (Arc::clone(&open), Arc::clone(&asking));
    let prometheus = Upstream::start(move |path| {
        if path.contains("%22t%22") {
            seen.store(true, Ordering::Release);
            eventually("it is gone", || gate.load(Ordering::Acquire).then_some(()));
        }
        counts(&[])
    });
    let server = launch(&prometheus).start();
    configure(&server, "t/fed");
    eventually("it is asked about", || asking.load(Ordering::Acquire).then_some(()));
    assert_eq!(server.delete("/config/t/fed").status, 200);
    open.store(true, Ordering::Release);
    let empty = polls(&server, "empty");
    eventually("others go on", || (polls(&server, "empty") >= empty + 2).then_some(()));
    assert_eq!(about(&prometheus, "t").len(), 1);
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

#[test]
fn a_prometheus_for_carbon_alone_is_not_polled() {
    let prometheus = Upstream::start(|path| {
        if path.contains("intensity") {
            let value = json!([jiff::Timestamp::now().as_second(), "123"]);
            Reply::Json(json!({"status": "success", "data": {"resultType": "scalar", "result": value}}))
        } else {
            counts(&[])
        }
    });
    let launch =
        Launch::new().env("CARBON_PROVIDER", "prometheus").env("CARBON_PROMETHEUS_QUERY", "intensity");
    let launch = launch.env("PROMETHEUS_URL", &prometheus.url()).env("CARBON_API_CACHE_TTL", "1");
    let server = launch.env("METRICS_POLL_INTERVAL_SEC", "0").start();
    configure(&server, "t/carbon");
    let schedule = server.schedule_when("t/carbon", |schedule| schedule["forecast"]["now"] == 123.0);
    assert_eq!(lines(&schedule["warnings"]), "");
    // Two refreshes later every schedule would have been polled.
    eventually("it is asked again", || (prometheus.count("intensity") >= 3).then_some(()));
    assert_eq!(prometheus.count("router"), 0);
    assert_eq!(warnings(&server, "t/carbon"), "");
}
