//! Manual overrides: what they take, and how long they hold.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::{Server, bare_flavours};
use crate::{eventually, instant};

fn set(server: &Server, id: &str, body: &Value) -> Answer {
    server.post(&format!("/schedule/{id}/manual"), body)
}

#[test]
fn each_of_the_schedules_weight_lists_is_taken_and_scaled_to_100() {
    let server = Server::start();
    server.configure("t/man", &bare_flavours());
    for body in [
        json!({"flavourWeights": {"precision-100": 3, "precision-70": 1}}),
        json!({"flavourWeights": {"precision-100": "0.3", "precision-70": 0.1, "precision-85": null}, "zeta": [1]}),
        json!({"weightsPerMille": {"precision-100": 750, "precision-85": 0, "precision-70": 250}}),
        json!({"flavours": [{"name": "precision-70", "weight": 25}, {"name": "precision-100", "weight": 75}]}),
        json!({"strategies": [{"name": "precision-100", "precision": 100, "weight": 6}, {"name": "precision-70", "weight": 2}]}),
        json!({"flavourRules": [{"flavourName": "precision-100", "weight": 0.75}, {"flavourName": "precision-70", "weight": 0.25}]}),
    ] {
        // Something else before it, so that nothing is left over.
        assert_eq!(set(&server, "t/man", &json!({"flavourWeights": {"precision-85": 1}})).status, 202);
        assert_eq!(server.schedule("t/man")["flavourWeights"]["precision-85"], 100);
        assert_eq!(set(&server, "t/man", &body).status, 202, "{body}");
        let schedule = server.schedule("t/man");
        assert_eq!(
            schedule["flavourWeights"],
            json!({"precision-100": 75, "precision-85": 0, "precision-70": 25}),
            "{body}"
        );
        assert_eq!(schedule["flavours"][0]["weight"], 75);
        assert_eq!(schedule["avgPrecision"], 0.925);
    }
    // A schedule as it was read can be posted back.
    let read = server.schedule("t/man");
    let answer = set(&server, "t/man", &read);
    assert_eq!(answer.status, 202);
    let ignored = answer.json()["ignored"].clone();
    for key in ["validUntil", "credits", "flavours", "manual"] {
        assert!(ignored.as_array().unwrap().contains(&json!(key)), "{key}: {ignored}");
    }
    assert!(!ignored.as_array().unwrap().contains(&json!("flavourWeights")), "{ignored}");
    assert_eq!(server.schedule("t/man")["flavourWeights"], read["flavourWeights"]);
    set(
        &server,
        "t/man",
        &json!({"flavourWeights": {"precision-100": 1, "precision-85": 1, "precision-70": 1}}),
    );
    assert_eq!(
        server.schedule("t/man")["flavourWeights"],
        json!({"precision-100": 34, "precision-85": 33, "precision-70": 33})
    );
}

#[test]
fn the_answer_and_the_schedule_say_until_when_and_why() {
    let server = Server::start();
    server.configure("t/man", &json!({"validFor": 600}));
    let before = Timestamp::now();
    let answer =
        set(&server, "t/man", &json!({"flavourWeights": {"precision-70": 1}, "reason": "incident 42"}));
    let after = Timestamp::now();
    assert_eq!(answer.status, 202, "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["status"], &body["ignored"]), (&json!("schedule set"), &json!([])));
    let default = server.post("/setschedule", &json!({"flavourWeights": {"precision-70": 1}, "ttl": 5}));
    assert_eq!((default.status, &default.json()["ignored"]), (202, &json!(["ttl"])));
    // One window, from the receipt on; the server's clock is cut to the millisecond.
    let until = instant(&body["until"]);
    let window = SignedDuration::from_secs(600);
    assert!(
        until >= before + window - SignedDuration::from_millis(1) && until <= after + window,
        "{before} {until}"
    );
    let schedule = server.schedule("t/man");
    assert_eq!(schedule["manual"], json!({"until": body["until"], "reason": "incident 42"}));
    assert_eq!(
        schedule["reason"],
        format!("manual override until {}: incident 42", body["until"].as_str().unwrap())
    );
    assert!(instant(&schedule["validUntil"]) >= until);

    for (key, seconds) in [("ttlSeconds", 86_400), ("validFor", 30)] {
        let before = Timestamp::now();
        let answer =
            set(&server, "t/man", &json!({"flavourWeights": {"precision-70": 1}, key: seconds})).json();
        let length = instant(&answer["until"]).duration_since(before).as_secs_f64();
        assert!((length - f64::from(seconds)).abs() < 5.0, "{key} {length}");
        assert!(server.schedule("t/man")["manual"].get("reason").is_none());
    }
}

#[test]
fn it_holds_for_exactly_one_window_and_then_the_policy_rules_without_a_request() {
    let server = Server::start();
    server.configure("t/man", &json!({"policy": "p100", "validFor": 3600}));
    let answer = set(&server, "t/man", &json!({"flavourWeights": {"precision-70": 1}, "ttlSeconds": 1}));
    let until = instant(&answer.json()["until"]);
    // The metrics port looks at what the engine has done by itself.
    eventually("the override is over", || {
        let text = server.metrics.send("GET", "/metrics", None);
        text.text().contains("schedule_manual_override{namespace=\"t\",schedule=\"man\"} 0").then_some(())
    });
    let schedule = server.schedule("t/man");
    assert!(schedule.get("manual").is_none(), "{schedule}");
    assert!(instant(&schedule["evaluatedAt"]) >= until, "{until} {schedule}");
    assert_eq!(
        schedule["flavourWeights"],
        json!({"precision-100": 100, "precision-85": 0, "precision-70": 0})
    );
    assert_eq!(schedule["generation"], 1);
}

#[test]
fn it_survives_evaluations_and_puts_but_not_the_loss_of_its_flavour() {
    let server = Server::start();
    let flavours = |names: &[&str]| -> Value {
        names.iter().map(|name| json!({"name": name, "precision": 0.9})).collect()
    };
    server.configure("t/man", &json!({"validFor": 1, "flavours": flavours(&["a", "b", "c"])}));
    set(&server, "t/man", &json!({"flavourWeights": {"b": 1}, "ttlSeconds": 3600}));
    let manual = server.schedule("t/man")["manual"].clone();
    let first = server.schedule("t/man")["evaluatedAt"].clone();
    let held = |schedule: &Value| schedule["manual"] == manual && schedule["flavourWeights"]["b"] == 100;
    // Evaluations go on: the ledger is posted, validity is renewed.
    let later = server.schedule_when("t/man", |schedule| schedule["evaluatedAt"] != first);
    assert!(held(&later), "{later}");
    for put in [
        json!({"validFor": 60, "policy": "precision-tier"}),
        json!({"validFor": 60, "flavours": flavours(&["d", "b", "a"])}),
    ] {
        let answer = server.configure("t/man", &put);
        assert_eq!(
            answer["warnings"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|warning| warning.as_str().unwrap().contains("override"))
                .count(),
            0
        );
        assert!(held(&server.schedule("t/man")), "{put}");
    }
    server.put("/config/t/man", &json!({"targetError": 5})).assert_problem(422);
    assert!(held(&server.schedule("t/man")));
    let answer = server.configure("t/man", &json!({"validFor": 60, "flavours": flavours(&["d", "a"])}));
    assert!(
        answer["warnings"]
            .as_array()
            .unwrap()
            .contains(&json!("the manual override was ended: it names a flavour that is gone")),
        "{answer}"
    );
    let schedule = server.schedule("t/man");
    assert!(schedule.get("manual").is_none() && schedule["flavourWeights"].get("b").is_none(), "{schedule}");
}

#[test]
fn delete_ends_it_early() {
    let server = Server::start();
    server.configure("t/man", &json!({"policy": "p100"}));
    let end = |path: &str| {
        let answer = server.delete(path);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(end("/schedule/t/man/manual"), "no override in force");
    set(&server, "t/man", &json!({"flavourWeights": {"precision-70": 1}, "ttlSeconds": 3600}));
    assert_eq!(end("/schedule/t/man/manual"), "override ended");
    let schedule = server.schedule("t/man");
    assert!(
        schedule.get("manual").is_none() && schedule["flavourWeights"]["precision-100"] == 100,
        "{schedule}"
    );
    assert_eq!(end("/schedule/t/man/manual"), "no override in force");
}

#[test]
fn setschedule_is_the_default_schedules() {
    let server = Server::start();
    let answer =
        server.post("/setschedule", &json!({"flavourWeights": {"precision-85": 1}, "ttlSeconds": 3600}));
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("schedule set")));
    for path in ["/schedule", "/schedule/default/default"] {
        assert_eq!(server.get(path).json()["flavourWeights"]["precision-85"], 100, "{path}");
    }
    server.post("/setschedule", &json!({"hello": "world"})).assert_problem(422);
    assert_eq!(server.delete("/setschedule").json(), json!({"status": "override ended"}));
    assert!(server.get("/schedule").json().get("manual").is_none());
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let server = Server::without_forecasts();
    server.configure(
        "t/man",
        &json!({"flavours": [{"precision": 1}, {"precision": 0.5}, {"precision": 0.3, "enabled": false}]}),
    );
    set(&server, "t/man", &json!({"flavourWeights": {"precision-50": 1}, "ttlSeconds": 3600}));
    let before = server.get("/schedule/t/man");
    let ok = json!({"precision-100": 1});
    for (body, pointers) in [
        (json!({}), vec!["/flavourWeights"]),
        (json!({"flavourWeights": null}), vec!["/flavourWeights"]),
        (json!({"flavourWeights": {}}), vec!["/flavourWeights"]),
        (json!({"flavourWeights": []}), vec!["/flavourWeights"]),
        (json!({"flavourWeights": {"precision-100": 0, "precision-50": 0}}), vec!["/flavourWeights"]),
        (
            json!({"flavourWeights": {"precision-100": -1, "precision-50": "NaN"}}),
            vec!["/flavourWeights/precision-100", "/flavourWeights/precision-50"],
        ),
        (json!({"flavourWeights": {"precision-100": 1e300}}), vec!["/flavourWeights/precision-100"]),
        (
            json!({"flavourWeights": {"precision-100": 1, "precision-85": 0, "a/b~": 1}}),
            vec!["/flavourWeights/a~1b~0", "/flavourWeights/precision-85"],
        ),
        (json!({"flavourWeights": {"precision-30": 1}}), vec!["/flavourWeights/precision-30"]),
        (json!({"flavours": [{"name": "precision-100"}]}), vec!["/flavours/0/weight"]),
        (
            json!({"flavourRules": [{"flavourName": "precision-100", "weight": true}, 5]}),
            vec!["/flavourRules/0/weight", "/flavourRules/1"],
        ),
        (json!({"flavourWeights": ok, "ttlSeconds": 0}), vec!["/ttlSeconds"]),
        (json!({"flavourWeights": ok, "ttlSeconds": 86_401}), vec!["/ttlSeconds"]),
        (
            json!({"flavourWeights": ok, "ttlSeconds": "soon", "validFor": -1}),
            vec!["/validFor", "/ttlSeconds"],
        ),
        (json!({"flavourWeights": ok, "reason": 5}), vec!["/reason"]),
    ] {
        let answer = set(&server, "t/man", &body);
        answer.assert_problem(422);
        assert_eq!(answer.pointers(), pointers, "{body}");
        assert_eq!(server.get("/schedule/t/man").text(), before.text(), "{body}");
    }
    let unknown = set(&server, "t/man", &json!({"flavourWeights": {"precision-30": 1, "x": 1}}));
    insta::assert_snapshot!(unknown.problems(), @r"
    /flavourWeights/precision-30: `precision-30` is disabled: expected an enabled flavour
    /flavourWeights/x: `x` is not a flavour here: expected one of precision-100, precision-50
    ");
    // A disabled flavour may stand there, as long as it gets nothing.
    assert_eq!(
        set(&server, "t/man", &json!({"flavourWeights": {"precision-100": 1, "precision-30": 0}})).status,
        202
    );
}

#[test]
fn an_unknown_schedule_cannot_be_overridden() {
    let server = Server::start();
    for answer in [
        set(&server, "no/such", &json!({"flavourWeights": {"precision-100": 1}})),
        server.delete("/schedule/no/such/manual"),
    ] {
        answer.assert_problem(404);
        assert_eq!(answer.json()["error"], "unknown schedule no/such");
    }
    server.get("/schedule/no/such").assert_problem(404);
}

#[test]
fn what_it_serves_is_posted_to_the_ledger() {
    let server = Server::without_forecasts();
    server.configure("t/man", &json!({"validFor": 1, "creditMin": -100, "policy": "p100"}));
    set(&server, "t/man", &json!({"flavourWeights": {"precision-70": 1}, "ttlSeconds": 3600}));
    // Three windows at an error of 0.3 against a target of 0.05.
    let schedule =
        server.schedule_when("t/man", |schedule| schedule["credits"]["balance"].as_f64().unwrap() < -0.6);
    assert!(schedule["manual"].is_object());
}
