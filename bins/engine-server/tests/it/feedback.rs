//! POST /feedback: what routers served.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::eventually;
use crate::server::Server;

/// A schedule whose one evaluation published the best flavour only, and posted 0.05.
fn fresh() -> Server {
    let server = Server::without_forecasts();
    server.configure("t/fed", &json!({"validFor": 86_400, "creditMin": -10}));
    assert_eq!(server.schedule("t/fed")["credits"]["balance"], 0.05);
    server
}

fn feed(server: &Server, body: &Value) -> Answer {
    server.post("/feedback/t/fed", body)
}

#[track_caller]
fn assert_close(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn the_routers_shape_is_counted_and_settles_the_ledger() {
    let server = fresh();
    let body = json!({"window_seconds": 30, "total_requests": 19_500, "flavour_counts": {"precision-100": 15_000, "precision-85": 2_700, "precision-70": 1_800}});
    let answer = feed(&server, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let report = answer.json();
    // Served: 0.15 x 2700 + 0.3 x 1800 of 19500. What was planned, 0.05, is replaced.
    let error = (0.15 * 2_700.0 + 0.3 * 1_800.0) / 19_500.0;
    assert_close(&report["realized_precision"], 1.0 - error);
    assert_close(&report["credit_balance"], 0.05 - error);
    assert_close(&report["credit_velocity"], 0.05 - error);
    assert_eq!(report["total_requests"], 19_500);
    assert_eq!(report.as_object().unwrap().len(), 4);
}

#[test]
fn posts_of_several_routers_add_up() {
    let server = fresh();
    let first =
        feed(&server, &json!({"source": "router-a", "sequence": 1, "flavour_counts": {"precision-70": 100}}))
            .json();
    assert_close(&first["credit_balance"], 0.05 - 0.3);
    assert_close(&first["realized_precision"], 0.7);
    let second = feed(
        &server,
        &json!({"source": "router-b", "sequence": 1, "flavour_counts": {"precision-100": 100}}),
    )
    .json();
    assert_close(&second["credit_balance"], 0.05 - 0.15);
    assert_close(&second["realized_precision"], 1.0);
    assert_eq!(second["total_requests"], 100);
    // An empty window is a window, too.
    let empty = feed(&server, &json!({"total_requests": 0, "flavour_counts": {}}));
    assert_eq!(empty.status, 200);
    assert_eq!(empty.json()["realized_precision"], Value::Null);
    assert_close(&empty.json()["credit_balance"], 0.05 - 0.15);
    // Many at once lose nothing.
    let client = &server.client;
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..50 {
                    let body = json!({"flavour_counts": {"precision-70": 1}});
                    assert_eq!(client.send("POST", "/feedback/t/fed", Some(&body)).status, 200);
                }
            });
        }
    });
    let last = feed(&server, &json!({"flavour_counts": {}})).json();
    assert_close(&last["credit_balance"], 0.05 - 0.3 * 300.0 / 400.0);
}

#[test]
fn flavours_that_were_removed_go_on_counting() {
    let server = fresh();
    server.configure(
        "t/fed",
        &json!({"validFor": 86_400, "creditMin": -10, "flavours": [{"name": "new", "precision": 1}]}),
    );
    let answer = feed(&server, &json!({"flavour_counts": {"precision-70": 100, "new": 100}}));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_close(&answer.json()["realized_precision"], 0.85);
    let never = feed(&server, &json!({"flavour_counts": {"precision-30": 1, "new": 1}}));
    never.assert_problem(422);
    insta::assert_snapshot!(never.problems(), @"/flavour_counts/precision-30: `precision-30` was not a flavour here within the last 24 h: expected new");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_counted() {
    let server = fresh();
    let counts = json!({"precision-100": 5, "precision-70": 5});
    let ahead = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    for (body, pointers) in [
        (json!({}), vec!["/flavour_counts"]),
        (json!({"total_requests": 5}), vec!["/flavour_counts"]),
        (json!({"flavour_counts": [1]}), vec!["/flavour_counts"]),
        (json!({"flavour_counts": {"precision-100": 5, "nope": 1}}), vec!["/flavour_counts/nope"]),
        (
            json!({"flavour_counts": {"precision-100": -1, "precision-70": 5}}),
            vec!["/flavour_counts/precision-100"],
        ),
        (
            json!({"flavour_counts": {"precision-100": 1.5, "precision-70": "x"}}),
            vec!["/flavour_counts/precision-100", "/flavour_counts/precision-70"],
        ),
        (json!({"flavour_counts": {"precision-100": true}}), vec!["/flavour_counts/precision-100"]),
        (json!({"flavour_counts": counts, "total_requests": 11}), vec!["/total_requests"]),
        (json!({"flavour_counts": counts, "total_requests": -10}), vec!["/total_requests"]),
        (json!({"flavour_counts": counts, "window_seconds": 0}), vec!["/window_seconds"]),
        (json!({"flavour_counts": counts, "window_seconds": -30}), vec!["/window_seconds"]),
        (json!({"flavour_counts": counts, "window_seconds": "nan"}), vec!["/window_seconds"]),
        (json!({"flavour_counts": counts, "window_seconds": 86_401}), vec!["/window_seconds"]),
        (json!({"flavour_counts": counts, "windowEnd": "yesterday"}), vec!["/windowEnd"]),
        (json!({"flavour_counts": counts, "windowEnd": ahead}), vec!["/windowEnd"]),
        (json!({"flavour_counts": {"precision-100": 1e300}}), vec!["/flavour_counts/precision-100"]),
    ] {
        let answer = feed(&server, &body);
        answer.assert_problem(422);
        assert_eq!(answer.pointers(), pointers, "{body}");
    }
    let answer = feed(&server, &json!({"flavour_counts": {}})).json();
    assert_close(&answer["credit_balance"], 0.05);
    // Numbers as strings, the window's own end, and both at once.
    let end = Timestamp::now().to_string();
    let answer = feed(
        &server,
        &json!({"window_seconds": "30", "total_requests": "10", "windowEnd": end, "flavour_counts": {"precision-100": "5", "precision-70": 5.0}}),
    );
    assert_eq!((answer.status, &answer.json()["total_requests"]), (200, &json!(10)), "{answer:?}");
}

#[test]
fn an_unknown_schedule_gets_404_whatever_the_counts() {
    let server = Server::start();
    for body in [json!({"flavour_counts": {"precision-100": 5}}), json!({"flavour_counts": {"x": -1}})] {
        let answer = server.post("/feedback/no/such", &body);
        answer.assert_problem(404);
        assert_eq!(answer.json()["error"], "unknown schedule no/such");
    }
}

#[test]
fn what_was_served_shows_in_metrics_and_in_the_next_schedule() {
    let server = Server::without_forecasts();
    server.configure("t/fed", &json!({"validFor": 1, "creditMin": -10, "policy": "p100"}));
    let body =
        json!({"window_seconds": 0.001, "flavour_counts": {"precision-70": 300, "precision-100": 100}});
    assert_eq!(feed(&server, &body).status, 200);
    let seen = |series: &str, value: &str| {
        eventually(series, || {
            let text = server.metrics.send("GET", "/metrics", None);
            text.text()
                .contains(&format!("{series}{{namespace=\"t\",schedule=\"fed\"}} {value}"))
                .then_some(())
        });
    };
    seen("schedule_requests_total", "400\n");
    seen("schedule_realised_error", "0.225\n");
    seen("schedule_demand_requests_per_second", "");
    // Counts live on across a PUT.
    server.configure("t/fed", &json!({"validFor": 2, "creditMin": -9, "policy": "random"}));
    seen("schedule_requests_total", "400\n");
    seen("schedule_demand_requests_per_second", "");
}
