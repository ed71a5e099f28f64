//! PUT /config: what it answers, what it changes, and what lives on.

use models::flavour::MAX_FLAVOURS;
use policies::Registry;
use serde_json::{Value, json};

use crate::server::{Launch, Server, bare_flavours};
use crate::upstream::{Reply, Upstream, hours};
use crate::{eventually, instant, lines};

#[test]
fn the_answer_names_what_was_ignored_and_what_to_know() {
    let server = Server::start();
    let answer = server.put("/config/t/plain", &json!({}));
    assert_eq!((answer.status, answer.text()), (202, r#"{"ignored":[],"status":"accepted","warnings":[]}"#));
    let answer = server.configure("t/said", &json!({
        "evaluator": "router", "Policy": "p100", "a/b": null, "c/d": 1, "discoveryInterval": 30,
        "flavours": [{"precision": 1, "carbonIntensity": 1, "colour": "red"}], "components": {"r": {"max": 4}},
    }));
    insta::assert_snapshot!(lines(&answer["ignored"]), @r"
    Policy
    c~1d
    evaluator
    flavours/0/colour
    components/r/max
    ");
    insta::assert_snapshot!(lines(&answer["warnings"]), @"discoveryInterval is kept but inactive: flavours are discovered only in Kubernetes");
    // The schedule says the same.
    let schedule = server.schedule("t/said");
    for warning in answer["warnings"].as_array().unwrap() {
        assert!(schedule["warnings"].as_array().unwrap().contains(warning), "{warning}");
    }
}

#[test]
fn a_policy_that_stands_for_another_is_served_under_its_name_with_a_warning() {
    let server = Server::start();
    let answer = server.configure("t/alias", &json!({"policy": "forecast-aware-global"}));
    assert!(lines(&answer["warnings"]).contains("forecast-aware-global is served by "), "{answer}");
    assert_eq!(server.schedule("t/alias")["policy"]["name"], "forecast-aware-global");
}

#[test]
fn every_bad_field_is_named_and_nothing_is_applied() {
    let server = Server::without_forecasts();
    let wrong = json!({
        "policy": "nope", "targetError": 1, "creditMin": 0.1, "validFor": "soon", "carbonTarget": 5,
        "flavours": [{"precision": 0}, {"name": ""}, 7], "components": {"r": {"minReplicas": 3, "maxReplicas": 2}},
    });
    let answer = server.put("/config/t/new", &wrong);
    answer.assert_problem(422);
    // Which policies there are is a test of its own.
    let problems = answer.problems();
    let (problems, policy) = problems.split_once("/policy: ").unwrap();
    assert!(policy.starts_with("`nope` is not a policy"), "{policy}");
    insta::assert_snapshot!(problems, @r"
    /carbonTarget: a number is not a carbon target: expected a string
    /creditMin: 0.1 is not a lower credit bound: expected a number <= 0
    /targetError: 1 is not a target error: expected a number in [0, 1)
    /validFor: `soon` is not a validity: expected a number of seconds in [1, 86400]
    /flavours/0/precision: 0 is not a precision (a fraction up to 1, a percentage above): expected a number in (0, 100]
    /flavours/1/name: `` is not a flavour name: expected 1 to 253 bytes without control characters
    /flavours/1/precision: missing: expected a number in (0, 100], e.g. 0.85
    /flavours/2: a number stands here: expected an object
    /components/r/maxReplicas: 2 is below minReplicas 3: expected min <= max
    ");
    assert_eq!(answer.json()["error"], answer.json()["detail"]);
    server.get("/schedule/t/new").assert_problem(404);
    server.get("/config/t/new").assert_problem(404);

    server.configure("t/old", &json!({"targetError": 0.2}));
    let before = (server.schedule("t/old"), server.get("/config/t/old").json());
    server.put("/config/t/old", &json!({"targetError": 0.3, "policy": "nope"})).assert_problem(422);
    assert_eq!((server.schedule("t/old"), server.get("/config/t/old").json()), before);
}

#[test]
fn a_put_of_what_is_in_force_changes_nothing() {
    let server = Server::without_forecasts();
    let body =
        json!({"targetError": 0.1, "validFor": 3600, "flavours": [{"precision": 1}, {"precision": 0.5}]});
    server.configure("t/same", &body);
    let first = server.get("/schedule/t/same");
    // Other words for the same.
    for same in [
        body,
        json!({"targetError": "0.10", "validFor": 3600.0, "strategies": [{"precision": 100}, {"precision": 50}]}),
        json!({"scheduler": {"targetError": 0.1, "validFor": 3600}, "evaluator": "x"}),
        json!({"targetError": 0.1, "validFor": 3600, "policy": "credit-greedy", "creditMax": 0.5}),
    ] {
        server.configure("t/same", &same);
        let again = server.get("/schedule/t/same");
        assert_eq!((again.field("etag"), again.text()), (first.field("etag"), first.text()), "{same}");
    }
    assert_eq!(server.get("/config/t/same").json()["config"]["policy"]["source"], "put");
    server.configure("t/same", &json!({"targetError": 0.1, "validFor": 3601}));
    assert_eq!(server.schedule("t/same")["generation"], 2);
}

#[test]
fn the_flavour_list_is_kept_unless_it_is_given_and_all_else_falls_back() {
    let server = Server::start();
    let names = |server: &Server| -> Vec<String> {
        crate::weights(&server.schedule("t/keep")).into_iter().map(|(name, _)| name).collect()
    };
    server.configure("t/keep", &json!({"targetError": 0.2, "components": {"r": {"maxReplicas": 4}}, "flavours": [{"name": "a", "precision": 1}, {"name": "b", "precision": 0.5}]}));
    for kept in [json!({}), json!({"flavours": null, "strategies": null}), json!({"policy": "p100"})] {
        server.configure("t/keep", &kept);
        assert_eq!(names(&server), ["a", "b"], "{kept}");
        let config = &server.get("/config/t/keep").json()["config"];
        assert_eq!(
            (&config["targetError"]["source"], &config["components"]["value"]),
            (&json!("default"), &json!({}))
        );
    }
    server.configure("t/keep", &json!({"strategies": [{"name": "c", "precision": 0.9}]}));
    assert_eq!(names(&server), ["c"]);
    for wrong in [
        json!([]),
        json!({}),
        json!([{"precision": 0.85}, {"precision": 0.851}]),
        Value::Array(vec![json!({"precision": 1}); MAX_FLAVOURS + 1]),
    ] {
        server.put("/config/t/keep", &json!({"strategies": wrong})).assert_problem(422);
        assert_eq!(names(&server), ["c"]);
    }
    let most = (0..MAX_FLAVOURS).map(|index| json!({"name": format!("f{index}"), "precision": 0.9}));
    let most: Vec<_> = most.collect();
    server.configure("t/keep", &json!({"flavours": most, "policy": "round-robin"}));
    assert_eq!(names(&server).len(), MAX_FLAVOURS);
    // Both lists: the same twice, or not at all.
    server.configure("t/keep", &json!({"flavours": [{"precision": 1}], "strategies": [{"precision": 1}]}));
    server
        .put("/config/t/keep", &json!({"flavours": [{"precision": 1}], "strategies": [{"precision": 0.9}]}))
        .assert_problem(422);
}

#[test]
fn precision_is_a_fraction_or_a_percentage_and_names_a_flavour() {
    let server = Server::start();
    server.configure("t/names", &json!({"flavours": [
        {"precision": 1.0}, {"precision": "85"}, {"precision": 0.125}, {"precision": 0.145}, {"precision": 1.5}, {"name": "mine", "precision": 30},
    ]}));
    let schedule = server.schedule("t/names");
    let flavours: Vec<_> = schedule["flavours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["name"].as_str().unwrap(), f["precision"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        flavours,
        [
            ("precision-100", 100),
            ("precision-85", 85),
            ("precision-12", 12),
            ("precision-14", 14),
            ("precision-2", 2),
            ("mine", 30)
        ]
    );
}

#[test]
fn nested_keys_are_read_alone_but_for_the_lists() {
    let server = Server::start();
    let answer = server.configure(
        "t/nested",
        &json!({
            "policy": "forecast-aware", "creditMax": 0.9, "scheduler": {"policy": "precision-tier"},
            "flavours": [{"precision": 0.5}], "components": {"r": {"maxReplicas": 4}},
        }),
    );
    assert_eq!(answer["ignored"], json!(["creditMax", "policy"]));
    let schedule = server.schedule("t/nested");
    assert_eq!(
        (&schedule["policy"]["name"], &schedule["credits"]["max"]),
        (&json!("precision-tier"), &json!(0.5))
    );
    assert_eq!(schedule["flavourWeights"], json!({"precision-50": 100}));
    assert!(schedule["processing"]["ceilings"]["r"].is_u64());
    let inside = server
        .configure("t/inside", &json!({"scheduler": {"flavours": [{"precision": 0.5}], "components": {}}}));
    assert_eq!(inside["ignored"], json!(["scheduler/components", "scheduler/flavours"]));
    let null = server.configure("t/null", &json!({"policy": "p100", "scheduler": null}));
    assert_eq!(
        (&null["ignored"], &server.schedule("t/null")["policy"]["name"]),
        (&json!([]), &json!("p100"))
    );
    server.put("/config/t/word", &json!({"scheduler": "x"})).assert_problem(422);
}

#[test]
fn ranges_are_those_of_the_contract() {
    let server = Server::without_forecasts();
    for (key, good, bad) in [
        (
            "targetError",
            vec![json!(0), json!(0.999), json!(" 0.05 ")],
            vec![json!(1), json!(-0.1), json!("nan"), json!(true), json!([1])],
        ),
        (
            "creditMin",
            vec![json!(0), json!("-5e-1"), json!(-1e308)],
            vec![json!(0.1), json!("-inf"), json!({})],
        ),
        (
            "creditMax",
            vec![json!(0), json!(1e308)],
            vec![json!(-0.1), json!("Infinity"), json!("1_0.5"), json!("")],
        ),
        ("creditWindow", vec![json!(1), json!(2_592_000)], vec![json!(0), json!(2_592_001)]),
        ("budgetWindow", vec![json!(3600), json!(2_592_000)], vec![json!(3599), json!(2_592_001)]),
        ("budgetOverdraft", vec![json!(0), json!(1)], vec![json!(-0.1), json!(1.1)]),
        ("budgetDailyAim", vec![json!(1), json!(100)], vec![json!(0.9)]),
        ("policy", vec![json!("p100"), json!("random")], vec![json!("P100"), json!(""), json!(5)]),
        ("validFor", vec![json!(1), json!(86_400), json!("7.9")], vec![json!(0), json!(86_401), json!(1e10)]),
        ("discoveryInterval", vec![json!(1), json!(86_400)], vec![json!(0), json!(-3)]),
        (
            "carbonTarget",
            vec![json!("region:13"), json!("postcode:OX1"), json!("300")],
            vec![json!(5), json!({"a": 1}), json!("")],
        ),
        ("carbonTimeout", vec![json!(0.1), json!(5000)], vec![json!(0), json!(-3)]),
        ("carbonCacheTTL", vec![json!(1), json!(300)], vec![json!(0), json!("x")]),
        ("throttleMin", vec![json!(0), json!(1)], vec![json!(-0.1), json!(1.1)]),
        ("throttleIntensityFloor", vec![json!(0), json!(1e6)], vec![json!(-1)]),
        ("throttleIntensityCeiling", vec![json!(0), json!(1e6)], vec![json!(-1)]),
    ] {
        for value in good {
            assert_eq!(server.put("/config/t/range", &json!({ key: value })).status, 202, "{key} {value}");
            assert_eq!(server.get("/config/t/range").json()["config"][key]["source"], "put", "{key} {value}");
        }
        for value in bad {
            let answer = server.put("/config/t/range", &json!({ key: value }));
            answer.assert_problem(422);
            assert_eq!(answer.pointers(), [format!("/{key}")], "{value}");
        }
    }
    for (field, bad) in [
        ("precision", json!(101)),
        ("carbonIntensity", json!(-3)),
        ("energyWh", json!("inf")),
        ("enabled", json!(0)),
        ("name", json!(5)),
    ] {
        let answer = server
            .put("/config/t/range", &json!({"flavours": [{"precision": 1}, {"precision": 0.5, field: bad}]}));
        answer.assert_problem(422);
        assert_eq!(answer.pointers(), [format!("/flavours/1/{field}")]);
    }
    for (component, pointer) in [
        (json!({"maxReplicas": -1}), "/maxReplicas"),
        (json!({"minReplicas": 1.5}), "/minReplicas"),
        (json!(5), ""),
    ] {
        let answer = server.put("/config/t/range", &json!({"components": {"r": component}}));
        assert_eq!(answer.pointers(), [format!("/components/r{pointer}")]);
    }
}

#[test]
fn an_unknown_policy_is_refused_with_the_known_ones() {
    let answer = Server::without_forecasts().put("/config/t/policy", &json!({"policy": "carbon-first"}));
    answer.assert_problem(422);
    let problem = answer.problems();
    let known = problem.strip_prefix("/policy: `carbon-first` is not a policy: expected one of ").unwrap();
    let known: Vec<_> = known.trim_end().split(", ").collect();
    assert_eq!(known, Registry::builtin().names().collect::<Vec<_>>());
}

#[test]
fn every_policy_publishes_whole_weights() {
    let (server, registry) = (Server::start(), Registry::builtin());
    for policy in registry.names() {
        server.configure("t/policy", &json!({"policy": policy, "targetError": 0.1, "flavours": (1..=7).map(|n| json!({"name": format!("f{n}"), "precision": 0.1 * f64::from(n) + 0.3})).collect::<Vec<_>>()}));
        let schedule = server.schedule("t/policy");
        assert_eq!(schedule["policy"]["name"], policy);
        assert_eq!(
            crate::weights(&schedule).iter().map(|(_, weight)| weight).sum::<u64>(),
            100,
            "{schedule}"
        );
        if policy == "round-robin" {
            assert!(
                crate::weights(&schedule).iter().all(|(_, weight)| [14, 15].contains(weight)),
                "{schedule}"
            );
        }
    }
}

#[test]
fn the_ledger_lives_on_and_is_clamped_into_new_bounds() {
    let server = Server::without_forecasts();
    let balance = || server.schedule("t/ledger")["credits"]["balance"].as_f64().unwrap();
    server.configure("t/ledger", &json!({"targetError": 0.9, "creditMax": 100, "validFor": 1}));
    let earned = eventually("credit is earned", || Some(balance()).filter(|balance| *balance > 2.0));
    // Another generation, another policy, another flavour list: the balance goes on, and does not jump.
    server.configure(
        "t/ledger",
        &json!({"targetError": 0.9, "creditMax": 100, "validFor": 3600, "policy": "p100"}),
    );
    let kept = balance();
    assert!(kept > 1.1 && kept < earned + 2.0, "{earned} {kept}");
    server.configure("t/ledger", &json!({"targetError": 0.9, "creditMax": 1, "validFor": 3600}));
    assert_eq!(balance(), 1.0);
    server.configure(
        "t/ledger",
        &json!({"targetError": 0, "creditMax": 100, "validFor": 3600, "policy": "p100"}),
    );
    assert!((0.1..=1.0).contains(&balance()), "{}", balance());
}

#[test]
fn frequent_puts_mint_no_credit() {
    let server = Server::without_forecasts();
    for round in 0..100 {
        server.configure("t/mint", &json!({"targetError": 0.05, "validFor": 3600 + round}));
    }
    let schedule = server.schedule("t/mint");
    let balance = schedule["credits"]["balance"].as_f64().unwrap();
    assert!((0.05..0.06).contains(&balance), "{schedule}");
}

#[test]
fn a_schedule_is_valid_for_as_long_as_it_was_told() {
    let upstream = Upstream::start(|_| Reply::Json(hours(&[250.0, 250.0])));
    let server = Launch::new().upstream(&upstream).env("SCHEDULE_VALID_FOR", "600").start();
    server.configure("t/valid", &json!({"validFor": 90}));
    for (id, seconds) in [("t/valid", 90), ("default/default", 600)] {
        let schedule = server.schedule_when(id, |schedule| schedule["forecast"]["now"] == 250.0);
        let valid = instant(&schedule["validUntil"]).duration_since(instant(&schedule["evaluatedAt"]));
        assert!(
            (seconds * 1000..seconds * 1000 + 1000).contains(&i64::try_from(valid.as_millis()).unwrap()),
            "{schedule}"
        );
        assert_eq!(instant(&schedule["validUntil"]).subsec_nanosecond(), 0);
    }
}

#[test]
fn components_get_throttled_ceilings() {
    let server = Server::start();
    server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 250.0);
    server.configure("t/ceilings", &json!({
        "throttleIntensityFloor": 150, "throttleIntensityCeiling": "350",
        "components": {"router": {"minReplicas": 1, "maxReplicas": 15}, "min": {"minReplicas": 9, "maxReplicas": 10}, "free": {"minReplicas": 2}, "none": {"maxReplicas": 0}},
    }));
    let processing = &server.schedule("t/ceilings")["processing"];
    assert_eq!(processing["intensityRatio"], 0.5);
    assert_eq!(processing["throttle"], 0.5);
    // 7.5 is rounded half to even.
    assert_eq!(processing["ceilings"], json!({"router": 8, "min": 9, "none": 0}));
    server.configure(
        "t/ceilings",
        &json!({"throttleIntensityFloor": 400, "throttleIntensityCeiling": 350, "throttleMin": 0.6}),
    );
    let processing = &server.schedule("t/ceilings")["processing"];
    assert_eq!((&processing["intensityRatio"], &processing["throttle"]), (&json!(1.0), &json!(0.6)));
}

#[test]
fn there_is_a_most_schedules() {
    let server = Launch::new().env("CARBON_PROVIDER", "static:250").env("MAX_SCHEDULES", "2").start();
    server.configure("t/one", &bare_flavours());
    let answer = server.put("/config/t/two", &bare_flavours());
    answer.assert_problem(429);
    assert_eq!(answer.field("retry-after"), "60");
    assert!(answer.json()["error"].as_str().unwrap().starts_with("2 schedules are configured already"));
    server.configure("t/one", &json!({"policy": "p100"}));
    assert_eq!(server.delete("/config/t/one").status, 200);
    server.configure("t/two", &bare_flavours());
}
