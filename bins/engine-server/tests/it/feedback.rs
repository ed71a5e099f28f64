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

/// A router's post, numbered.
fn numbered(source: &str, sequence: &Value) -> Value {
    json!({"source": source, "sequence": sequence, "flavour_counts": {"precision-70": 100}})
}

/// The same with the instant its window ended, as one that comes out of order has to say.
fn late(source: &str, sequence: u64) -> Value {
    let mut post = numbered(source, &json!(sequence));
    post["windowEnd"] = json!(Timestamp::now().to_string());
    post
}

#[test]
fn a_repeat_is_answered_like_the_first_and_counts_nothing() {
    let server = fresh();
    let unnumbered = feed(&server, &json!({"flavour_counts": {"precision-100": 100}})).json();
    assert_close(&unnumbered["credit_balance"], 0.05);
    let first = feed(&server, &numbered("router-a", &json!(5)));
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.json();
    assert_close(&first["credit_balance"], 0.05 - 0.15);
    assert_eq!(first.as_object().unwrap().len(), 4, "the router's shape alone: {first}");
    // However it is written.
    for sequence in [json!(5), json!("5"), json!(5.0)] {
        let again = feed(&server, &numbered("router-a", &sequence));
        assert_eq!(again.status, 200, "{again:?}");
        let mut again = again.json();
        assert_eq!(again["duplicate"], true);
        again.as_object_mut().unwrap().remove("duplicate");
        for (key, value) in first.as_object().unwrap() {
            if key != "credit_velocity" {
                assert_eq!(again[key], *value, "{key}");
            }
        }
        assert_eq!(again.as_object().unwrap().len(), 4);
    }
    // Another number, an earlier one, and another source are new; so is what has no number.
    let mut served = 200.0;
    for post in [
        numbered("router-a", &json!(6)),
        late("router-a", 0),
        numbered("router-b", &json!(5)),
        numbered("router-a", &Value::Null),
        numbered("router-a", &Value::Null),
    ] {
        let answer = feed(&server, &post).json();
        served += 100.0;
        assert_eq!(answer.as_object().unwrap().len(), 4, "{post}: {answer}");
        assert_close(&answer["credit_balance"], 0.05 - 0.3 * (served - 100.0) / served);
    }
    // What is older than the 128 numbers below the newest is as good as counted.
    assert_eq!(feed(&server, &numbered("router-a", &json!(200))).json().get("duplicate"), None);
    assert_eq!(feed(&server, &numbered("router-a", &json!(71))).json()["duplicate"], true);
    // One that is out of order is not about the present.
    let refused = feed(&server, &numbered("router-a", &json!(72)));
    refused.assert_problem(422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/windowEnd");
    assert_eq!(feed(&server, &late("router-a", 72)).json().get("duplicate"), None);
}

#[test]
fn a_post_that_several_send_at_once_counts_once() {
    let server = fresh();
    let client = &server.client;
    let counted: usize = std::thread::scope(|threads| {
        let senders = [(); 4].map(|()| {
            threads.spawn(|| {
                let answers = (0..50).map(|sequence| {
                    let body = numbered("router-a", &json!(sequence));
                    client.send("POST", "/feedback/t/fed", Some(&body))
                });
                answers
                    .filter(|answer| answer.status == 200 && answer.json().get("duplicate").is_none())
                    .count()
            })
        });
        senders.map(|sender| sender.join().unwrap()).iter().sum()
    });
    assert_eq!(counted, 50);
    let last = feed(&server, &json!({"flavour_counts": {"precision-100": 5_000}})).json();
    assert_close(&last["credit_balance"], 0.05 - 0.3 / 2.0);
}

#[test]
fn what_was_counted_outlives_a_put_and_a_refused_post_keeps_its_number() {
    let server = fresh();
    let refused =
        json!({"source": "router-a", "sequence": 1, "flavour_counts": {"precision-70": 100, "nope": 1}});
    feed(&server, &refused).assert_problem(422);
    let wrong_sum = json!({"source": "router-a", "sequence": 1, "total_requests": 1, "flavour_counts": {}});
    feed(&server, &wrong_sum).assert_problem(422);
    let duplicate = |server: &Server| {
        let answer = feed(server, &numbered("router-a", &json!(1)));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json().get("duplicate").is_some()
    };
    assert!(!duplicate(&server));
    server.configure("t/fed", &json!({"validFor": 80_000, "creditMin": -9, "policy": "random"}));
    assert!(duplicate(&server));
    assert_eq!(server.delete("/config/t/fed").status, 200);
    server.configure("t/fed", &json!({}));
    assert!(!duplicate(&server), "what is configured anew counts anew");
}

#[test]
fn as_many_sources_as_are_told_apart() {
    let server = fresh();
    for source in 0..256 {
        assert_eq!(feed(&server, &numbered(&format!("router-{source}"), &json!(1))).status, 200);
    }
    let refused = feed(&server, &numbered("one-more", &json!(1)));
    refused.assert_problem(422);
    insta::assert_snapshot!(refused.problems(), @"/source: `one-more` is one too many: 256 others posted within the last hour; expected one of them (a name is for each start of a router, not for each post)");
    assert_eq!(feed(&server, &numbered("router-0", &json!(2))).json().get("duplicate"), None);
    assert_eq!(feed(&server, &numbered("one-more", &Value::Null)).status, 200, "a label needs no place");
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
        (json!({"flavour_counts": counts, "sequence": 1}), vec!["/source"]),
        (json!({"flavour_counts": counts, "source": "", "sequence": -1}), vec!["/sequence", "/source"]),
        (json!({"flavour_counts": counts, "source": "x".repeat(129)}), vec!["/source"]),
        (json!({"flavour_counts": counts, "source": "a", "sequence": 0.5}), vec!["/sequence"]),
        (json!({"flavour_counts": counts, "source": "a", "sequence": 1_u64 << 53}), vec!["/sequence"]),
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
    let seen = |series: &str, rest: &str| {
        eventually(series, || {
            let text = server.metrics.send("GET", "/metrics", None);
            let labels = r#"namespace="t",schedule="fed""#;
            text.text().contains(&format!("{series}{{{labels}{rest}")).then_some(())
        });
    };
    seen("schedule_requests_total", "} 400\n");
    for window in ["sinceStart", "1h", "24h", "7d"] {
        seen("schedule_realised_error", &format!(",window=\"{window}\"}} 0.225\n"));
    }
    seen("schedule_error_budget_balance", ",accounting=\"requests\"} -70\n");
    seen("schedule_error_budget_capacity", ",accounting=\"requests\"} ");
    // Nobody knows what the grid is: nothing is priced, and none of it is called 0 g.
    seen("schedule_unpriced_requests", "} 400\n");
    seen("schedule_demand_requests_per_second", "} ");
    // Counts live on across a PUT.
    server.configure("t/fed", &json!({"validFor": 2, "creditMin": -9, "policy": "random"}));
    seen("schedule_requests_total", "} 400\n");
    seen("schedule_demand_requests_per_second", "} ");
}

#[test]
fn what_was_measured_is_booked_published_and_believed_where_asked_for() {
    let server = Server::without_forecasts();
    let body = json!({"validFor": 1, "creditMin": -10, "policy": "p100", "calibrate": true});
    server.configure("t/fed", &body);
    let wrong = json!({"flavour_counts": {"precision-100": 5}, "flavour_energy_wh": {"precision-100": -1},
        "flavour_precision": {"precision-100": 101, "precision-70": 0.5}});
    let refused = feed(&server, &wrong);
    refused.assert_problem(422);
    insta::assert_snapshot!(refused.problems(), @r"
    /flavour_energy_wh/precision-100: -1 is not an energy per request: expected a number of Wh >= 0
    /flavour_precision/precision-100: 101 is not a precision (a fraction up to 1, a percentage above): expected a number in (0, 100]
    /flavour_precision/precision-70: no requests of `precision-70`: expected a flavour of flavour_counts
    ");
    let post = json!({"flavour_counts": {"precision-100": 2000}, "flavour_precision": {"precision-100": 80},
        "flavour_energy_wh": {"precision-100": 2.5}});
    assert_close(&feed(&server, &post).json()["realized_precision"], 0.8);
    let best = |schedule: &Value| schedule["flavours"][0].clone();
    let shown = server.schedule_when("t/fed", |shown| best(shown)["measuredRequests"] == 2000);
    assert_eq!((&best(&shown)["precision"], &best(&shown)["measuredPrecision"]), (&json!(100), &json!(0.8)));
    assert_eq!(best(&shown)["measuredEnergyWh"], 2.5);
    // The best flavour is another one by now.
    assert_eq!(shown["flavourWeights"]["precision-85"], 100);
    server.configure("t/fed", &json!({"validFor": 1, "creditMin": -10, "policy": "p100"}));
    assert_eq!(server.schedule("t/fed")["flavourWeights"]["precision-100"], 100);
}
