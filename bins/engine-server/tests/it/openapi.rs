//! The description of the API is what the server does: every path, every example, every answer.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates::put_file;
use crate::contract::{Contract, Operation, unlike};
use crate::eventually;
use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream, uk};

/// Examples that no request gets from outside at will; their text is made by the code that answers so.
const BY_ACCIDENT: [&str; 2] = ["restoring", "unknown-outcome"];

const API: &str = include_str!("../../../../docs/api.md");

/// Half-hours as the UK API tells them: two that are over and measured, and those to come.
fn half_hours() -> Value {
    let step = SignedDuration::from_mins(30);
    let second = Timestamp::now().as_second();
    let first = Timestamp::from_second(second - second.rem_euclid(1_800)).unwrap() - step - step;
    let slot = |(index, grams): (i32, f64)| (first + step * index, first + step * (index + 1), grams);
    let mut told = uk(&[80.0, 95.0, 250.0, 300.0, 120.5, 100.0]
        .map(f64::from)
        .into_iter()
        .enumerate()
        .map(|(index, grams)| slot((i32::try_from(index).unwrap(), grams)))
        .collect::<Vec<_>>());
    for index in 0..2 {
        told["data"][index]["intensity"]["actual"] = json!(80.0);
    }
    told
}

/// A server as the examples tell of it, and one that wants tokens.
struct Stage {
    server: Server,
    guarded: Server,
    _folder: TempDir,
    _upstream: Upstream,
}

impl Stage {
    fn new() -> Self {
        let upstream = Upstream::start(|_| Reply::Json(half_hours()));
        let server = Launch::new().upstream(&upstream).env("MAX_SCHEDULES", "4").start();
        server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 250.0);
        let folder = tempfile::tempdir().unwrap();
        let tokens = put_file(folder.path(), "tokens", "read reads-0123456789abcdef\n");
        let guarded =
            Launch::new().env("CARBON_PROVIDER", "static:250").arg("--tokens").arg(tokens.to_str().unwrap());
        Self { server, guarded: guarded.start(), _folder: folder, _upstream: upstream }
    }

    /// One schedule that is planned for and has served, and one that is paused.
    fn set(&self, contract: &Contract) {
        let example = |id: &str, name: &str| {
            contract.operation(id).json["requestBody"]["content"]["application/json"]["examples"][name]["value"].clone()
        };
        self.server.delete("/config/default/default");
        self.server.delete("/config/shop/search");
        self.server.configure("shop/search", &example("putConfiguration", "planned"));
        self.server.configure("shop/paused", &json!({"flavours": [{"precision": 1, "enabled": false}]}));
        let counted = self.server.post("/feedback/shop/search", &example("postFeedback", "counts"));
        assert_eq!(counted.status, 200, "{counted:?}");
    }

    /// So that what was served is told.
    fn evaluate(&self) {
        let config = |valid_for| json!({"policy": "receding-horizon", "validFor": valid_for, "components": {"router": {"minReplicas": 1, "maxReplicas": 15}}});
        self.server.configure("shop/search", &config(61));
        self.server.schedule_when("shop/search", |schedule| schedule.get("savings").is_some());
    }
}

#[test]
fn the_committed_copy_is_what_the_code_makes() {
    let made = Launch::bare().arg("openapi").run();
    assert_eq!((made.status.code(), made.stderr.as_slice()), (Some(0), [].as_slice()));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let committed = fs::read(&path).unwrap_or_default();
    assert!(
        committed == made.stdout,
        "docs/openapi.json is not what the code makes. To mend it, at the top of the repository:\n  cargo run -p engine-server -- openapi > docs/openapi.json"
    );
    let text = String::from_utf8(made.stdout).unwrap();
    // Neither paths of one machine nor links that lead somewhere in Rust's own documentation alone.
    let folders = ["home", "root", "Users"].map(|folder| format!("/{folder}/"));
    for word in
        folders.iter().map(String::as_str).chain([env!("CARGO_MANIFEST_DIR"), "::", "[`", "localhost"])
    {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn every_field_of_a_schedule_is_told_to_people_too() {
    let contract = Contract::read();
    let (_, section) = API.split_once("\n## Reading a schedule\n").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let told: BTreeSet<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    for (schema, above) in [("Schedule", ""), ("ForecastReport", "forecast.")] {
        let fields = &contract.document["components"]["schemas"][schema]["properties"];
        for field in fields.as_object().unwrap().keys() {
            // A row of `forecast.source` and `zone` tells of `forecast.zone`, one of `policy.name` of `policy`.
            let (whole, inner) = (format!("{above}{field}"), format!("{above}{field}."));
            let is_it = |word: &&str| *word == field || *word == whole || word.starts_with(inner.as_str());
            let is_told = told.iter().any(is_it);
            assert!(is_told, "docs/api.md, the table of Reading a schedule, has no row of `{whole}`");
        }
    }
}

#[test]
fn it_is_served_once_made_and_answered_again_only_where_it_changed() {
    let server = Server::start();
    let printed = Launch::bare().arg("openapi").run().stdout;
    let first = server.get("/openapi.json");
    assert_eq!((first.status, first.field("content-type")), (200, "application/json"));
    assert!(first.body == printed, "what is served is what is printed");
    assert_eq!(first.field("cache-control"), "no-cache");
    let tag = first.field("etag");
    assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let again = server.client.send_with("GET", "/openapi.json", &[("If-None-Match", tag)], "");
    assert_eq!((again.status, again.field("etag"), again.body.len()), (304, tag, 0));
    assert_eq!(
        server.client.send_with("GET", "/openapi.json", &[("If-None-Match", "\"x\"")], "").status,
        200
    );
    let head = server.client.send("HEAD", "/openapi.json", None);
    assert_eq!((head.status, head.field("etag"), head.body.len()), (200, tag, 0));
    // Another process says the same.
    assert_eq!(Server::start().get("/openapi.json").field("etag"), tag);
}

#[test]
fn every_route_is_described_with_every_method_and_nothing_else_is() {
    let contract = Contract::read();
    let operations = contract.operations();
    let described: BTreeSet<&str> = operations.iter().map(|operation| operation.path.as_str()).collect();
    let routes = include_str!("../../src/http/mod.rs").split('"').skip(1).step_by(2);
    let registered: BTreeSet<&str> = routes.filter(|word| word.starts_with('/')).collect();
    assert_eq!(
        registered, described,
        "the words in quotes that begin with a slash in http/mod.rs, and the paths"
    );

    let server = Server::start();
    for path in described {
        let mut methods: Vec<&str> = operations
            .iter()
            .filter(|operation| operation.path == path)
            .map(|one| one.method.as_str())
            .collect();
        let operation = operations.iter().find(|operation| operation.path == path).unwrap();
        let request = |method: &str| contract.request(operation, &json!({"method": method}), None);
        let options = request("OPTIONS").send(&server.client);
        let mut allowed: Vec<&str> = options.field("allow").split(", ").collect();
        methods.sort_unstable();
        allowed.sort_unstable();
        assert_eq!(allowed, methods, "{path}");
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE", "PATCH", "TRACE", "QUERY"] {
            let answer = request(method).send(&server.client);
            let described = methods.contains(&method);
            assert_eq!(answer.status != 405, described, "{method} {path}: {answer:?}");
            let complaint = if described {
                let same = operations.iter().find(|one| one.path == path && one.method == method).unwrap();
                contract.complaint(same, &answer)
            } else {
                let other = contract.resolve(&operation.item["x-other-methods"]);
                contract.complaint_about(other, &answer, method)
            };
            assert_eq!(complaint, None, "{method} {path}: {answer:?}");
        }
    }
    let nowhere = server.get("/nowhere");
    let other = contract.resolve(&contract.document["paths"]["x-other-paths"]);
    assert_eq!((nowhere.status, contract.complaint_about(other, &nowhere, "GET")), (404, None));
}

/// The examples of one answer, with the request that gets each.
fn examples(answer: &Value) -> Vec<(&str, &Value, &Value)> {
    let contents = answer["content"].as_object().into_iter().flat_map(|content| content.values());
    let examples = contents.flat_map(|content| {
        let examples = content["examples"].as_object().into_iter().flatten();
        examples.map(|(name, example)| (name.as_str(), example, &content["schema"]))
    });
    examples.collect()
}

/// Asks for one example, and compares.
fn try_example(
    contract: &Contract,
    stage: &Stage,
    operation: &Operation,
    status: u16,
    (name, example): (&str, &Value),
) {
    let id = operation.json["operationId"].as_str().unwrap();
    let at = format!("{id}, {status}, example {name}");
    stage.set(contract);
    if id == "getSchedule" && status == 200 {
        stage.evaluate();
    }
    let bodies = operation.json["requestBody"]["content"]["application/json"]["examples"].as_object();
    let body = bodies.and_then(|bodies| bodies.get(name).or_else(|| bodies.values().next()));
    let request = contract.request(operation, &example["x-request"], body.map(|body| &body["value"]));
    if status == 429 {
        // Filled to the last place.
        for number in 0..2 {
            stage.server.put(&format!("/config/full/s{number}"), &json!({}));
        }
    }
    let server = if matches!(status, 401 | 403) { &stage.guarded } else { &stage.server };
    let mut answer = request.send(&server.client);
    if status == 429 {
        for number in 0..2 {
            stage.server.delete(&format!("/config/full/s{number}"));
        }
    }
    if operation.path.contains("{target}") && status == 200 {
        // It is kept a moment after it is in force.
        let kept =
            || Some(request.send(&stage.server.client)).filter(|answer| answer.text().lines().count() > 1);
        answer = eventually("it is kept", kept);
    }
    assert_eq!(answer.status, status, "{at}: {request:?} {answer:?}");
    let complaint = if example["x-request"].get("method").is_some() {
        None
    } else {
        contract.complaint(operation, &answer)
    };
    assert_eq!(complaint, None, "{at}: {answer:?}");
    let difference = if answer.field("content-type").contains("json") {
        unlike(&example["value"], &answer.json(), "")
    } else {
        let (told, real) = (example["value"].as_str().unwrap(), answer.text());
        let first = |text: &str| json!(text.lines().take(2).collect::<Vec<_>>());
        unlike(&first(told), &first(real), "")
    };
    assert_eq!(difference, None, "{at}: {answer:?}");
}

#[test]
fn every_example_is_what_happens() {
    let (contract, stage) = (Contract::read(), Stage::new());
    let mut tried = BTreeSet::new();
    for operation in contract.operations() {
        let id = operation.json["operationId"].as_str().unwrap();
        let bodies = operation.json["requestBody"]["content"]["application/json"]["examples"].as_object();
        for (name, body) in bodies.into_iter().flatten() {
            let refusal = contract.refusal(&operation, &body["value"]);
            assert_eq!(refusal, None, "{id}, the body {name}");
            let answers = contract.answers(&operation);
            let good = answers.iter().filter(|(status, _)| (200..300).contains(*status));
            let answered = good.flat_map(|(_, answer)| examples(answer)).any(|(other, ..)| other == name);
            assert!(answered, "{id}: no answer to the example {name}");
        }
        for (status, answer) in contract.answers(&operation) {
            for (name, example, schema) in examples(answer) {
                let bad = contract.bad_example(schema, &example["value"]);
                assert_eq!(bad, None, "{id}, {status}, example {name}");
                tried.insert(name.to_owned());
                if BY_ACCIDENT.contains(&name) {
                    continue;
                }
                try_example(&contract, &stage, &operation, status, (name, example));
            }
        }
    }
    assert!(tried.len() > 25, "{tried:?}");
    // That of another method belongs to every path.
    let other = &contract.document["components"]["responses"]["MethodNotAllowed"];
    for (name, example, _) in examples(other) {
        try_example(&contract, &stage, &contract.operation("getSchedule"), 405, (name, example));
    }
}

#[test]
fn what_a_busy_server_answers_is_described() {
    let (contract, stage) = (Contract::read(), Stage::new());
    let server = &stage.server;
    let check = |id: &str, method: &str, path: &str, body: Option<&Value>, status: u16| {
        let answer = server.client.send(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(contract.complaint(&contract.operation(id), &answer), None, "{method} {path}: {answer:?}");
        answer
    };
    let flavours = json!([
        {"name": "a", "precision": 1, "energyWh": 2.9, "annotations": {"x": [1, {"y": null}]}},
        {"name": "b", "precision": 0.8, "energyWh": 0.7}, {"name": "off", "precision": 0.5, "enabled": false},
    ]);
    let policies =
        contract.document["components"]["schemas"]["SchedulerSettings"]["properties"]["policy"]["enum"]
            .clone();
    let policies: Vec<&str> = policies.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(policies.len() > 8, "{policies:?}");
    for policy in policies {
        for target in ["national", "region:13", "zone:NOWHERE"] {
            let put = json!({"policy": policy, "flavours": flavours, "carbonTarget": target, "calibrate": true, "evaluator": "x",
                             "components": {"router": {"maxReplicas": 15}, "other": {}}});
            check("putConfiguration", "PUT", "/config/t/lively", Some(&put), 202);
            check("getSchedule", "GET", "/schedule/t/lively", None, 200);
            check("getConfiguration", "GET", "/config/t/lively", None, 200);
            let post = json!({"source": policy, "sequence": 1, "flavour_counts": {"a": 900, "b": 200}, "more": 1,
                              "flavour_precision": {"a": 0.99}, "flavour_energy_wh": {"b": 0.8}});
            check("postFeedback", "POST", "/feedback/t/lively", Some(&post), 200);
            check("postFeedback", "POST", "/feedback/t/lively", Some(&post), 200);
            let set = json!({"flavourWeights": {"a": 1}, "reason": "why not"});
            check("setOverride", "POST", "/schedule/t/lively/manual", Some(&set), 202);
            let schedule = check("getSchedule", "GET", "/schedule/t/lively", None, 200);
            assert_eq!(schedule.json()["manual"]["reason"], "why not");
            check("setOverride", "POST", "/schedule/t/lively/manual", Some(&schedule.json()), 202);
            check("endOverride", "DELETE", "/schedule/t/lively/manual", None, 200);
            let schedule = check("getSchedule", "GET", "/schedule/t/lively", None, 200);
            let etag = [("If-None-Match", schedule.field("etag"))];
            let seen = server.client.send_with("GET", "/schedule/t/lively", &etag, "");
            if seen.status == 304 {
                assert_eq!(contract.complaint(&contract.operation("getSchedule"), &seen), None, "{seen:?}");
            }
            check("listSchedules", "GET", "/schedules?limit=1", None, 200);
            check("listForecasts", "GET", "/forecasts", None, 200);
        }
        check("deleteConfiguration", "DELETE", "/config/t/lively", None, 200);
    }
    check("getDefaultSchedule", "GET", "/schedule", None, 200);
    check("getVintages", "GET", "/forecasts/national/vintages?signal=average", None, 200);
    check("getActuals", "GET", "/forecasts/national/actuals?from=2026-01-01T00:00:00Z", None, 200);
    check("getActuals", "GET", "/forecasts/national/actuals?from=2", None, 422);
    // An empty value is as good as none, where that is said.
    check("getVintages", "GET", "/forecasts/national/vintages?from=&to=&signal=", None, 200);
    check("listSchedules", "GET", "/schedules?continue=", None, 200);
    check("listForecasts", "GET", "/forecasts?continue=", None, 200);
    check("putConfiguration", "PUT", "/config/t/lively", Some(&json!([])), 400);
    check("getConfiguration", "GET", "/config/t/nobody", None, 404);
    check("getSchedule", "GET", "/schedule/t/nobody", None, 404);
    check("getReadiness", "GET", "/readyz", None, 200);
}

#[test]
fn without_forecasts_the_answers_are_described_too() {
    let (contract, server) = (Contract::read(), Server::without_forecasts());
    let failed = |answer: &Value| answer["items"][0].get("lastError").is_some();
    eventually("a refresh failed", || failed(&server.get("/forecasts").json()).then_some(()));
    for (id, path) in [
        ("getDefaultSchedule", "/schedule"),
        ("listForecasts", "/forecasts"),
        ("getVintages", "/forecasts/national/vintages"),
        ("listSchedules", "/schedules"),
    ] {
        let answer = server.get(path);
        assert_eq!(contract.complaint(&contract.operation(id), &answer), None, "{path}: {answer:?}");
    }
}

#[test]
fn a_field_that_is_not_described_is_found() {
    let contract = Contract::read();
    let operation = contract.operation("getSchedule");
    let answers = contract.answers(&operation);
    let schema = &answers[&200]["content"]["application/json"]["schema"];
    let example = answers[&200]["content"]["application/json"]["examples"]["planned"]["value"].clone();
    assert_eq!(contract.bad_example(schema, &example), None);
    for place in [
        "",
        "/credits",
        "/forecast",
        "/forecast/schedule/0",
        "/flavours/0",
        "/strategies/0",
        "/budget/meanError",
        "/savings/24h",
        "/plan",
    ] {
        let mut more = example.clone();
        more.pointer_mut(place).unwrap()["more"] = json!(1);
        assert!(contract.bad_example(schema, &more).is_some(), "one more at {place}");
        let mut less = example.clone();
        let members = less.pointer_mut(place).unwrap().as_object_mut().unwrap();
        for key in members.keys().cloned().collect::<Vec<_>>() {
            members.insert(key, Value::Null);
        }
        assert!(contract.bad_example(schema, &less).is_some(), "null at {place}");
    }
    let mut measured = example.clone();
    measured["strategies"][0]["measuredPrecision"] = json!(0.9);
    assert!(contract.bad_example(schema, &measured).is_some(), "the seed's readers never asked");
}
