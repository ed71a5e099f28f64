//! Probes, and reading schedules.

use serde_json::json;

use crate::server::{Launch, Server, bare_flavours};
use crate::{eventually, weights};

#[test]
fn probes_answer_from_the_first_request() {
    let server = Server::start();
    for (path, status) in
        [("/healthz", "ready"), ("/livez", "alive"), ("/readyz", "ready"), ("/healthz?x=1", "ready")]
    {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.json()), (200, json!({"status": status})), "{path}");
        assert_eq!(answer.field("content-type"), "application/json");
    }
}

#[test]
fn the_default_schedule_is_there_from_the_first_request() {
    let server = Server::without_forecasts();
    let answer = server.get("/schedule");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), server.schedule("default/default"));
    let config = server.get("/config/default/default").json();
    assert_eq!(config["config"]["flavours"]["source"], "default");
}

#[test]
fn the_default_schedule_has_the_name_of_the_environment() {
    let launch = Launch::new().env("CARBON_PROVIDER", "static:250");
    let launch = launch.env("DEFAULT_SCHEDULE_NAMESPACE", "shop").env("DEFAULT_SCHEDULE_NAME", "search.v2");
    let server = launch.env("SCHEDULER_POLICY", "p100").start();
    assert_eq!(server.get("/schedule").json()["policy"]["name"], "p100");
    assert_eq!(server.get("/schedule/shop/search.v2").status, 200);
    server.get("/schedule/default/default").assert_problem(404);
}

#[test]
fn the_quickstart_works_as_it_stands() {
    let server = Server::start();
    let body = r#"{"strategies": [{"precision": 1.0}, {"precision": 0.85}, {"precision": 0.7}]}"#;
    let path = "/config/default/default";
    let put = server.client.send_with("PUT", path, &[("Content-Type", "application/json")], body);
    assert_eq!(put.status, 202);
    let schedule = server.get("/schedule").json();
    assert_eq!(schedule["generation"], 2);
    assert_eq!(weights(&schedule).iter().map(|(_, weight)| weight).sum::<u64>(), 100);
    // The list replaced the defaults: nobody said a carbonIntensity any more.
    for (flavour, name) in schedule["strategies"].as_array().unwrap().iter().zip([
        "precision-100",
        "precision-85",
        "precision-70",
    ]) {
        assert_eq!((&flavour["name"], &flavour["carbonIntensity"]), (&json!(name), &json!(0.0)));
    }
}

#[test]
fn a_get_in_the_instant_after_a_put_has_it_also_by_another_connection() {
    let server = Server::start();
    for round in 1..=50 {
        let flavours = json!({"flavours": [{"name": "a", "precision": 1}, {"name": format!("b{round}"), "precision": 0.5}]});
        assert_eq!(server.put("/config/t/instant", &flavours).status, 202);
        let other = server.client.raw("GET /schedule/t/instant HTTP/1.1", b"");
        assert_eq!(other.status, 200);
        assert!(other.json()["flavourWeights"][format!("b{round}")].is_u64(), "{other:?}");
        assert_eq!(other.json()["generation"], round);
    }
}

#[test]
fn an_unknown_schedule_is_named() {
    let server = Server::start();
    let answer = server.get("/schedule/no/such");
    answer.assert_problem(404);
    insta::assert_snapshot!(answer.text(), @r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"unknown schedule no/such","error":"unknown schedule no/such"}"#);
    for path in [
        "/",
        "/nothing",
        "/schedule/",
        "/schedule/default",
        "/schedule/default/default/",
        "/schedule//x",
        "/metrics",
        "/healthz/",
    ] {
        server.get(path).assert_problem(404);
    }
}

#[test]
fn readers_that_have_it_get_304() {
    let server = Server::without_forecasts();
    server.configure("t/tag", &json!({"validFor": 86_400}));
    let first = server.get("/schedule/t/tag");
    assert_eq!(first.field("cache-control"), "no-cache");
    let tag = first.field("etag").to_owned();
    assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    assert_eq!(server.get("/schedule/t/tag").field("etag"), tag);

    let with = |method: &str, tags: &str| {
        server.client.send_with(method, "/schedule/t/tag", &[("If-None-Match", tags)], "")
    };
    for tags in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        for method in ["GET", "HEAD"] {
            let answer = with(method, &tags);
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{method} {tags}");
            assert_eq!((answer.field("etag"), answer.field("cache-control")), (tag.as_str(), "no-cache"));
        }
    }
    for tags in ["\"x\"", "x", ""] {
        assert_eq!(with("GET", tags).status, 200, "{tags}");
    }
    server.configure("t/tag", &json!({"validFor": 86_400, "targetError": 0.2}));
    let changed = with("GET", &tag);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.field("etag"), tag);
}

#[test]
fn tags_of_two_starts_never_match() {
    let tags = [(); 2].map(|()| Server::without_forecasts().get("/schedule").field("etag").to_owned());
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::without_forecasts();
    for path in [
        "/healthz",
        "/livez",
        "/readyz",
        "/schedules",
        "/schedule",
        "/schedule/default/default",
        "/config/default/default",
        "/schedule/no/such",
        "/schedule/a%20b/c",
    ] {
        let (get, head) = (server.get(path), server.client.raw(&format!("HEAD {path} HTTP/1.1"), b""));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for field in ["content-type", "content-length", "etag", "cache-control"] {
            assert_eq!(head.field(field), get.field(field), "{path} {field}");
        }
    }
}

#[test]
fn pending_comes_only_where_every_flavour_is_disabled() {
    let server = Server::start();
    let all_off = json!({"flavours": [{"precision": 1, "enabled": false}, {"name": "x", "precision": 0.5, "enabled": false}]});
    server.configure("t/off", &all_off);
    let answer = server.get("/schedule/t/off");
    assert_eq!((answer.status, answer.field("cache-control")), (202, "no-cache"));
    insta::assert_snapshot!(answer.text(), @r#"{"reason":"every flavour is disabled: enable at least one of precision-100, x","status":"pending"}"#);

    // One that was there before is not served on.
    server.configure("t/was-on", &bare_flavours());
    server.configure("t/was-on", &all_off);
    assert_eq!(server.get("/schedule/t/was-on").status, 202);

    server.configure(
        "t/off",
        &json!({"flavours": [{"precision": 1, "enabled": false}, {"name": "x", "precision": 0.5}]}),
    );
    let schedule = server.schedule("t/off");
    assert_eq!(schedule["flavourWeights"], json!({"x": 100}));
    assert_eq!(schedule["flavours"][0]["enabled"], false);
}

#[test]
fn a_schedule_is_renewed_before_it_expires() {
    let server = Server::without_forecasts();
    server.configure("t/short", &json!({"validFor": 1}));
    let mut last = server.schedule("t/short");
    for _ in 0..3 {
        let next = eventually("it is renewed", || {
            Some(server.schedule("t/short")).filter(|next| next["evaluatedAt"] != last["evaluatedAt"])
        });
        assert!(crate::instant(&next["evaluatedAt"]) <= crate::instant(&last["validUntil"]), "{last} {next}");
        assert_eq!(next["generation"], 1);
        last = next;
    }
}

#[test]
fn schedules_are_listed_in_pages() {
    let server = Server::without_forecasts();
    for id in ["b/two", "b/one", "a/three", "c/off"] {
        server.configure(id, &bare_flavours());
    }
    server.configure("c/off", &json!({"flavours": [{"precision": 1, "enabled": false}]}));
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = server.get(&format!("/schedules{query}")).json();
        let items = page["items"].as_array().unwrap().clone();
        assert!(items.len() <= 2);
        seen.extend(items);
        let Some(next) = page.get("continue") else { break };
        query = format!("?limit=2&continue={}", next.as_str().unwrap());
    }
    let names: Vec<_> = seen
        .iter()
        .map(|item| format!("{}/{}", item["namespace"].as_str().unwrap(), item["name"].as_str().unwrap()))
        .collect();
    assert_eq!(names, ["a/three", "b/one", "b/two", "c/off", "default/default"]);
    let (one, schedule) = (&seen[1], server.schedule("b/one"));
    assert_eq!((&one["policy"], &one["validUntil"]), (&schedule["policy"]["name"], &schedule["validUntil"]));
    assert_eq!(one["weights"], schedule["flavourWeights"]);
    assert!(seen[3]["pending"].is_string() && seen[3].get("policy").is_none(), "{}", seen[3]);
    assert_eq!(server.get("/schedules").json()["items"].as_array().unwrap().len(), 5);
    // Whoever is gone meanwhile does not hold up the rest.
    assert_eq!(server.get("/schedules?continue=b%2Fooo").json()["items"][0]["name"], "two");
}

#[test]
fn pages_that_cannot_be_are_refused() {
    let server = Server::without_forecasts();
    for (query, pointers) in [
        ("limit=0", vec!["/limit"]),
        ("limit=1001", vec!["/limit"]),
        ("limit=-1&continue=nonsense", vec!["/limit", "/continue"]),
        ("continue=A/b", vec!["/continue"]),
        ("limit=1&limit=2", vec![]),
    ] {
        let answer = server.get(&format!("/schedules?{query}"));
        answer.assert_problem(422);
        assert_eq!(answer.pointers(), pointers, "{query}");
    }
    assert_eq!(server.get("/schedules?limit=&other=%ff").status, 422);
    assert_eq!(server.get("/schedules?continue=&other=%ff").status, 200);
}
