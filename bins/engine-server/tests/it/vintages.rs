//! What was forecast when, kept and exported as the simulator replays it.

use jiff::{SignedDuration, Timestamp};
use models::Signal;
use providers::trace::{CarbonTrace, Factors, Vintages};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::eventually;
use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream};

const VINTAGES: &str = "/forecasts/national/vintages";

/// Half-hours as the UK API tells them: two that are over and measured, and those to come.
fn told(measured: f64, ahead: &[f64]) -> Value {
    let step = SignedDuration::from_mins(30);
    let second = Timestamp::now().as_second();
    let mut from = Timestamp::from_second(second - second.rem_euclid(1_800)).unwrap() - step - step;
    let mut slot = |forecast: f64, actual: Option<f64>| {
        let to = from + step;
        let slot = json!({"from": from, "to": to,
            "intensity": {"forecast": forecast, "actual": actual, "index": "moderate"}});
        from = to;
        slot
    };
    let mut slots = vec![slot(90.0, Some(measured)), slot(95.0, Some(measured + 1.5))];
    slots.extend(ahead.iter().map(|grams| slot(*grams, None)));
    json!({ "data": slots })
}

fn vintages(answer: &Answer) -> Vintages {
    assert_eq!(answer.status, 200, "{answer:?}");
    Vintages::read("vintages.csv", &answer.body).unwrap()
}

fn start(upstream: &Upstream) -> Server {
    Launch::new().upstream(upstream).env("CARBON_API_CACHE_TTL", "1").start()
}

/// The export, as soon as it holds so many vintages.
fn vintages_when(server: &Server, count: usize) -> Vintages {
    eventually("they are kept", || {
        let answer = server.get(VINTAGES);
        let read = (answer.status == 200).then(|| vintages(&answer));
        read.filter(|read| read.issues().len() == count)
    })
}

#[test]
fn what_was_received_is_exported_as_it_is_replayed() {
    let upstream = Upstream::start(|_| Reply::Json(told(80.0, &[100.0, 110.0, 120.0])));
    let before = Timestamp::now();
    let server = start(&upstream);
    let first = vintages_when(&server, 1);
    let asked = upstream.asked().len();
    eventually("it says the same again", || (upstream.asked().len() >= asked + 2).then_some(()));
    vintages_when(&server, 1);
    upstream.set(|_| Reply::Json(told(81.0, &[100.0, 115.5, 120.0])));
    let both = vintages_when(&server, 2);
    let grams = |index: usize| {
        let slots = both.issues()[index].slots().iter();
        slots.map(|slot| slot.forecast.get()).collect::<Vec<_>>()
    };
    // Of the first vintage only what was not over.
    assert_eq!(
        (grams(0).as_slice(), grams(1).as_slice()),
        (&[100.0, 110.0, 120.0][..], &[100.0, 115.5, 120.0][..])
    );
    let known = |index: usize| both.issues()[index].issued_at.unwrap();
    // Never before the receipt.
    assert!(known(0) >= before && known(0) < known(1), "{} {}", known(0), known(1));
    assert_eq!(first.issues()[0].slots(), both.issues()[0].slots());
    assert_eq!(
        both.as_of(known(1) - SignedDuration::from_millis(1)).unwrap().slots(),
        both.issues()[0].slots()
    );

    let actuals = server.get("/forecasts/national/actuals");
    assert_eq!(
        (actuals.status, actuals.field("content-type")),
        (200, "text/csv; charset=utf-8; header=present")
    );
    let trace = CarbonTrace::read("actuals.csv", &actuals.body, Factors::default()).unwrap();
    let measured: Vec<_> = trace.slots().iter().map(|slot| slot.actual.get()).collect();
    assert_eq!(measured, [81.0, 82.5], "the last word counts");

    let metrics = server.metrics.send("GET", "/metrics", None);
    let text = metrics.text();
    for sample in ["carbon_vintages_recorded_total 2", "carbon_vintages_kept 2"] {
        assert!(text.lines().any(|line| line == sample), "{sample}: {text}");
    }
    assert!(text.contains("carbon_vintages_bytes "), "{text}");
    assert!(text.contains("route=\"/forecasts/{target}/vintages\""), "{text}");
}

#[test]
fn a_span_begins_with_what_was_in_force() {
    let upstream = Upstream::start(|_| Reply::Json(told(80.0, &[100.0, 110.0])));
    let server = start(&upstream);
    vintages_when(&server, 1);
    upstream.set(|_| Reply::Json(told(80.0, &[200.0, 210.0])));
    let both = vintages_when(&server, 2);
    let second = both.issues()[1].issued_at.unwrap();
    let read = |query: &str| vintages(&server.get(&format!("{VINTAGES}?{query}")));
    assert_eq!(read(&format!("from={second}")).issues(), &both.issues()[1..]);
    assert_eq!(read(&format!("from={}", second - SignedDuration::from_millis(1))).issues(), both.issues());
    assert_eq!(read(&format!("to={second}&signal=average")).issues(), &both.issues()[..1]);
    // Nothing of the kind: a header and no row.
    let none = server.get(&format!("{VINTAGES}?signal=marginal"));
    assert_eq!((none.status, none.text()), (200, "issued_at,target_start,forecast_marginal\n"));
    // What a file is of it says itself: replays never mix the two.
    assert_eq!(both.signal(), Some(Signal::Average));
}

#[test]
fn targets_are_told_as_they_are_configured() {
    let upstream = Upstream::start(|path| {
        if path.contains("regionid/13") {
            let mut slots = told(70.0, &[300.0, 310.0])["data"].clone();
            for slot in slots.as_array_mut().unwrap() {
                slot["intensity"]["actual"] = Value::Null;
            }
            Reply::Json(json!({"data": {"regionid": 13, "data": slots}}))
        } else {
            Reply::Json(told(80.0, &[100.0, 110.0]))
        }
    });
    let server = start(&upstream);
    server.configure("t/london", &json!({"carbonTarget": "region:13"}));
    for path in ["/forecasts/region:13/vintages", "/forecasts/region%3A13/vintages"] {
        let answer =
            eventually("it is kept", || Some(server.get(path)).filter(|answer| answer.status == 200));
        assert_eq!(vintages(&answer).issues()[0].slots()[0].forecast.get(), 300.0);
    }
    // A region has no measured values: no row, but a target that is known.
    assert_eq!(server.get("/forecasts/region:13/actuals").text(), "timestamp,actual_average\n");
    for unknown in
        ["/forecasts/zone%3ADE/vintages", "/forecasts/zone%3ADE/actuals", "/forecasts/a%2Fb/vintages"]
    {
        let answer = server.get(unknown);
        answer.assert_problem(404);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with("`national`, `region:13`"), "{detail}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_said() {
    let server = Server::start();
    eventually("it is kept", || (server.get(VINTAGES).status == 200).then_some(()));
    let answer = server.get(&format!("{VINTAGES}?from=yesterday&to=1&signal=both"));
    answer.assert_problem(422);
    assert_eq!(answer.pointers(), ["/from", "/to", "/signal"]);
    let answer = server.get(&format!("{VINTAGES}?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"));
    answer.assert_problem(422);
    assert_eq!(answer.pointers(), ["/to"]);
    for method in ["POST", "PUT", "DELETE"] {
        server.client.send(method, VINTAGES, None).assert_problem(405);
    }
    let head = server.client.send("HEAD", VINTAGES, None);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-type"), "text/csv; charset=utf-8; header=present");
    // The connection goes on with the next answer: no body came with the one to HEAD.
    let raw = server.client.raw(&format!("HEAD {VINTAGES} HTTP/1.1"), b"");
    assert!(raw.status == 200 && raw.body.is_empty(), "{raw:?}");
    // What GET sends in pieces has no length to tell.
    assert_eq!(raw.field("content-length"), "", "{raw:?}");
    server.client.send("HEAD", "/forecasts/zone:DE/actuals", None);
}

#[test]
fn nothing_is_kept_where_there_is_no_room() {
    let server = Launch::new().env("CARBON_PROVIDER", "static:250").env("VINTAGES_MIB", "0").start();
    server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 250.0);
    let answer = server.get(VINTAGES);
    answer.assert_problem(404);
    assert!(answer.json()["detail"].as_str().unwrap().ends_with("none yet"), "{answer:?}");
}

#[test]
fn bounds_that_are_none_stop_the_start() {
    for (variable, value, expected) in [
        ("VINTAGES_DAYS", "0", "VINTAGES_DAYS=0: expected a whole number of days in [1, 366]"),
        ("VINTAGES_DAYS", "367", "VINTAGES_DAYS=367: expected a whole number of days in [1, 366]"),
        ("VINTAGES_MIB", "-1", "VINTAGES_MIB=-1: expected a whole number of MiB in [0, 65535]"),
    ] {
        let output = Launch::new().env(variable, value).arg("--check").run();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_long_export_comes_whole() {
    // Each vintage is most of a page.
    let long = |grams: f64| {
        let ahead: Vec<_> = (0..4_000_u32).map(|slot| grams + f64::from(slot) / 7.0).collect();
        Reply::Json(told(80.0, &ahead))
    };
    let upstream = Upstream::start(move |_| long(100.0));
    let server = start(&upstream);
    vintages_when(&server, 1);
    upstream.set(move |_| long(200.0));
    vintages_when(&server, 2);
    upstream.set(move |_| long(300.0));
    let all = vintages_when(&server, 3);
    for (issue, grams) in all.issues().iter().zip([100.0, 200.0, 300.0]) {
        let told = issue.slots().iter().map(|slot| slot.forecast.get());
        let expected = (0..4_000_u32).map(|slot| grams + f64::from(slot) / 7.0);
        assert!(told.eq(expected), "to the last bit");
    }
    assert!(all.notes().is_empty(), "{:?}", all.notes().lines());
}
