//! `deploy/`: alerts and dashboard ask for series that a server has, and lead to runbooks that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::certificates::{Authority, put_file};
use crate::client::Client;
use crate::cluster::World;
use crate::eventually;
use crate::promql::{Query, Selector};
use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream, hours};

const ALERTS: &str = include_str!("../../../../deploy/prometheus/alerts.yaml");
const ALERT_TESTS: &str = include_str!("../../../../deploy/prometheus/alerts.test.yaml");
const DASHBOARD: &str = include_str!("../../../../deploy/grafana/dashboard.json");
const RUNBOOKS: &str = include_str!("../../../../docs/runbooks.md");
const API: &str = include_str!("../../../../docs/api.md");

/// What Prometheus adds to every series.
const ADDED: [&str; 2] = ["job", "instance"];

/// One rule: its name, and what else is said, by key.
struct Alert {
    name: String,
    said: BTreeMap<String, String>,
}

/// The rules of the file, which is written one key a line; an expression may go on over more deeply indented lines.
fn alerts() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    let mut key = String::new();
    for line in ALERTS.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let text = line.trim();
        if let Some(name) = text.strip_prefix("- alert: ") {
            alerts.push(Alert { name: name.to_owned(), said: BTreeMap::new() });
            continue;
        }
        let Some(alert) = alerts.last_mut() else { continue };
        match text.split_once(": ") {
            _ if line.starts_with("            ") => {
                let said = alert.said.entry(key.clone()).or_default();
                *said = [said.as_str(), " ", text].concat();
            }
            Some((begun, value)) => {
                begun.clone_into(&mut key);
                alert.said.insert(key.clone(), value.trim_matches(['\'', '|']).to_owned());
            }
            None => {}
        }
    }
    alerts
}

/// Every series there is: by name, the values of each label.
#[derive(Default)]
struct Series(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Series {
    fn add(&mut self, server: &Server) {
        let answer = server.metrics.send("GET", "/metrics", None);
        for line in answer.text().lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let query = Query::read(line.rsplit_once(' ').unwrap().0);
            for selector in query.selectors {
                let labels = self.0.entry(selector.name).or_default();
                for (label, value) in selector.matchers {
                    labels.entry(label).or_default().insert(value);
                }
            }
        }
    }

    /// What a query asks for that is not there.
    fn missing(&self, query: &Query) -> Vec<String> {
        let mut missing = Vec::new();
        for selector in &query.selectors {
            let Some(labels) = self.0.get(&selector.name) else {
                missing.push(selector.name.clone());
                continue;
            };
            for (label, value) in
                selector.matchers.iter().filter(|(label, _)| !ADDED.contains(&label.as_str()))
            {
                let values = labels.get(label).cloned().unwrap_or_default();
                // A variable of the dashboard can be anything.
                let lacks = |value: &str| !values.contains(value) && !value.starts_with('$');
                if values.is_empty() || value.split('|').any(lacks) {
                    missing.push(format!("{}{{{label}=\"{value}\"}} of {values:?}", selector.name));
                }
            }
        }
        let unknown = query.labels.iter().filter(|label| !self.knows(label, &query.selectors));
        missing.extend(unknown.cloned());
        missing
    }

    /// Whether a series of these has that label.
    fn knows(&self, label: &str, of: &[Selector]) -> bool {
        ADDED.contains(&label)
            || of.iter().any(|one| self.0.get(&one.name).is_some_and(|labels| labels.contains_key(label)))
    }
}

/// A carbon API and a Prometheus in one: the first is well, the second has a word for each kind of schedule.
fn well() -> Upstream {
    Upstream::start(|path| match path {
        path if path.contains("/query") && path.contains("polled") => {
            Reply::Json(json!({"status": "success",
            "data": {"resultType": "vector", "result": [{"metric": {"flavour": "a"}, "value": [0, "9"]}]}}))
        }
        path if path.contains("/query") => {
            Reply::Json(json!({"status": "success", "data": {"resultType": "vector", "result": []}}))
        }
        _ => Reply::Json(hours(&[300.0; 60])),
    })
}

/// Two servers to whom everything happens that is asked about.
fn lively() -> Series {
    let upstream = well();
    let folder = tempfile::tempdir().unwrap();
    // Files of 2 MiB at most: at some PUT the disk is full.
    let server = Launch::limited(4_096)
        .upstream(&upstream)
        .env("PROMETHEUS_URL", &upstream.url())
        .env("METRICS_POLL_INTERVAL_SEC", "1")
        .env("METRICS_QUERY", "x{schedule=\"{schedule}\"}[{window}s]")
        .arg("--state-dir")
        .arg(folder.path().to_str().unwrap())
        .start();
    eventually("it is ready", || (server.get("/readyz").status == 200).then_some(()));
    let flavours =
        json!([{"name": "a", "precision": 1, "energyWh": 2}, {"name": "b", "precision": 0.7, "energyWh": 1}]);
    for id in ["t/polled", "t/empty", "t/posted"] {
        let config = json!({"policy": "receding-horizon", "flavours": flavours, "validFor": 1, "components": {"router": {"maxReplicas": 8}}});
        server.configure(id, &config);
    }
    let post = json!({"window_seconds": 1, "flavour_counts": {"a": 9, "b": 1}});
    assert_eq!(server.post("/feedback/t/posted", &post).status, 200);
    let wanted =
        ["ok", "empty", "posted"].map(|outcome| format!("feedback_polls_total{{outcome=\"{outcome}\"}}"));
    let has = |part: &str| server.metrics.send("GET", "/metrics", None).text().contains(part);
    eventually("all kinds of polls", || wanted.iter().all(|part| has(part)).then_some(()));
    eventually("what was served shows", || has("window=\"7d\"").then_some(()));
    eventually("what was emitted shows", || has("schedule_emitted_grams_total{").then_some(()));
    assert_eq!(server.get("/schedule/no/such").status, 404);
    let bulky: Vec<_> =
        (0..60).map(|index| json!({"name": format!("{index:0>60}"), "precision": 0.9})).collect();
    let refused = (0..2_000).find(|number| {
        server.put(&format!("/config/t/s{number}"), &json!({ "flavours": bulky })).status == 503
    });
    assert!(refused.is_some());
    let mut series = Series::default();
    series.add(&server);

    let refusing = Upstream::start(|path| match path {
        path if path.contains("login") => Reply::Status(401, "who?"),
        _ => Reply::Status(500, "down"),
    });
    let server = Launch::new()
        .env("CARBON_PROVIDER", "watttime,static:250")
        .env("WATTTIME_USERNAME", "ada")
        .env("WATTTIME_PASSWORD", "wrong")
        .env("WATTTIME_URL", &refusing.url())
        .env("CARBON_QUOTA", "watttime=1/h+10/d")
        .env("CARBON_API_TARGET", "region:CAISO_NORTH")
        .env("CARBON_API_CACHE_TTL", "1")
        .start();
    let outcomes = |server: &Server, wanted: &[&str]| {
        eventually(&format!("{wanted:?}"), || {
            let answer = server.metrics.send("GET", "/metrics", None);
            let has = |outcome: &&str| answer.text().contains(&format!("outcome=\"{outcome}\""));
            wanted.iter().all(has).then_some(())
        });
    };
    outcomes(&server, &["login", "no_budget", "ok"]);
    series.add(&server);

    let refusing = Upstream::start(|_| Reply::Status(401, "who?"));
    let server = Launch::new()
        .env("CARBON_PROVIDER", "electricity-maps,uk-carbon-intensity,static:250")
        .env("ELECTRICITY_MAPS_TOKEN", "wrong")
        .env("ELECTRICITY_MAPS_URL", &refusing.url())
        .env("CARBON_API_URL", &refusing.url())
        .env("CARBON_API_TARGET", "zone:DE")
        .env("CARBON_API_CACHE_TTL", "1")
        .start();
    outcomes(&server, &["denied", "not_understood", "ok"]);
    // After failures in a row, of whatever target, it is left alone.
    for zone in ["FR", "GB", "ES", "IT", "PL", "SE"] {
        server.configure(
            &format!("t/{}", zone.to_ascii_lowercase()),
            &json!({"carbonTarget": format!("zone:{zone}")}),
        );
    }
    outcomes(&server, &["circuit_open"]);
    series.add(&server);
    series.add(&guarded(folder.path()));

    let world = World::fake();
    world.create_schedule("search", &json!({}));
    let server = world.launch_replica().arg("--kubernetes").start();
    eventually("it is ready", || (server.get("/readyz").status == 200).then_some(()));
    series.add(&server);
    series
}

/// A server that lets nobody in, and takes nothing.
fn guarded(folder: &Path) -> Server {
    let (authority, token) = (Authority::new("authority"), "0123456789abcdef");
    let identity = authority.server(4_000);
    let file = |name: &str, text: &str| put_file(folder, name, text).to_str().unwrap().to_owned();
    let server = Launch::new()
        .env("CARBON_PROVIDER", "static:250")
        .env("TLS_CERT", &file("cert.pem", &identity.certificate))
        .env("TLS_KEY", &file("key.pem", &identity.key))
        .env("TOKENS", &file("tokens", &format!("write {token}\n")))
        .env("MAX_BODY_BYTES", "1024")
        .start();
    let client = Client::https(server.client.address, authority.trusted_by(None));
    assert_eq!(client.send("GET", "/schedule", None).status, 401);
    let authorization = format!("Bearer {token}");
    let fields = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
    let long = json!({"policy": "x".repeat(2_000)}).to_string();
    assert_eq!(client.send_with("PUT", "/config/t/long", &fields, &long).status, 413);
    server
}

/// What the dashboard asks: each query, with what its legend names.
fn asked(dashboard: &Value) -> Vec<(String, String)> {
    let mut asked = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |key: &str| target[key].as_str().unwrap().to_owned();
            asked.push((text("expr"), text("legendFormat")));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        asked.push((
            annotation["expr"].as_str().unwrap().into(),
            annotation["titleFormat"].as_str().unwrap().into(),
        ));
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["definition"].as_str() else { continue };
        let (selector, label) = query
            .strip_prefix("label_values(")
            .unwrap()
            .strip_suffix(')')
            .unwrap()
            .rsplit_once(", ")
            .unwrap();
        asked.push((selector.into(), format!("{{{{{label}}}}}")));
    }
    asked
}

/// What stands between braces in a legend.
fn named(legend: &str) -> Vec<&str> {
    legend.split("{{").skip(1).map(|part| part.split("}}").next().unwrap().trim()).collect()
}

#[test]
fn every_query_and_every_document_names_series_that_exist_and_all_of_them_are_documented() {
    let series = lively();
    assert_queries_are_answered(&series);
    assert_families_are_documented(&series);
}

fn assert_queries_are_answered(series: &Series) {
    let mut missing = Vec::new();
    for alert in alerts() {
        let query = Query::read(&alert.said["expr"]);
        assert!(!query.selectors.is_empty(), "{}", alert.name);
        missing.extend(series.missing(&query).into_iter().map(|what| format!("{}: {what}", alert.name)));
        // What is said names labels that are there, too.
        for text in ["summary", "description"].map(|key| &alert.said[key]) {
            for part in text.split("$labels.").skip(1) {
                let label = part.split([' ', '}']).next().unwrap();
                if !series.knows(label, &query.selectors) {
                    missing.push(format!("{}: $labels.{label}", alert.name));
                }
            }
        }
    }
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    for (expression, legend) in asked(&dashboard) {
        let query = Query::read(&expression);
        assert!(!query.selectors.is_empty(), "{expression}");
        missing.extend(
            series.missing(&query).into_iter().map(|what| format!("dashboard: {what} in {expression}")),
        );
        for label in named(&legend).into_iter().filter(|label| !series.knows(label, &query.selectors)) {
            missing.push(format!("dashboard: {label} in the legend of {expression}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_alert_says_what_to_do_and_where_that_is_told() {
    let alerts = alerts();
    assert!(alerts.len() >= 20, "{}", alerts.len());
    let mut told = BTreeSet::new();
    for Alert { name, said } in &alerts {
        for key in ["expr", "labels", "summary", "description", "runbook_url"] {
            assert!(said.get(key).is_some_and(|text| !text.is_empty()), "{name}: {key}");
        }
        assert!(
            ["critical", "warning", "info"]
                .iter()
                .any(|severity| said["labels"] == format!("{{severity: {severity}}}")),
            "{name}: {}",
            said["labels"]
        );
        let anchor = format!("docs/runbooks.md#runbook-{}", name.to_ascii_lowercase());
        assert_eq!(said["runbook_url"], anchor, "{name}");
        assert!(RUNBOOKS.contains(&format!("\n## Runbook: {name}\n")), "no runbook for {name}");
        assert!(ALERT_TESTS.contains(name.as_str()), "no unit test for {name}");
        assert!(told.insert(name), "{name} twice");
    }
    let runbooks = RUNBOOKS.lines().filter_map(|line| line.strip_prefix("## Runbook: "));
    for runbook in runbooks {
        assert!(told.contains(&runbook.to_owned()), "a runbook for nothing: {runbook}");
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let names: Vec<_> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["datasource", "job", "instance", "namespace", "schedule"]);
    let number = |value: &Value| value.as_u64().unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(number(&panel["id"])), "{title}: its id is another's");
        let place = &panel["gridPos"];
        let (x, y) = (number(&place["x"]), number(&place["y"]));
        let (width, height) = (number(&place["w"]), number(&place["h"]));
        assert!(x + width <= 24 && height > 0, "{title}: {place}");
        for (column, line) in
            (x..x + width).flat_map(|column| (y..y + height).map(move |line| (column, line)))
        {
            assert!(taken.insert((column, line)), "{title} lies over another one");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title}");
        assert!(!panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(), "{title}: its unit");
        let targets = panel["targets"].as_array().unwrap();
        let letters: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert!(!targets.is_empty() && letters.len() == targets.len(), "{title}");
        for source in targets.iter().chain([panel]) {
            assert_eq!(source["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}

/// The families of a table of the document, by the first cell of each row.
fn documented() -> BTreeSet<String> {
    let (_, section) = API.split_once("\n## Metrics\n").unwrap();
    let (tables, _) = section.split_once("\n### Outcomes\n").unwrap();
    let rows = tables.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

fn assert_families_are_documented(series: &Series) {
    let documented = documented();
    let mut seen = BTreeSet::new();
    for name in series.0.keys() {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let family = family.filter(|family| documented.contains(*family)).unwrap_or(name);
        assert!(documented.contains(family), "{family} is not in docs/api.md");
        seen.insert(family.to_owned());
    }
    // What takes hours, or other flavours, to be seen.
    let rare = |name: &&String| {
        name.contains("relative")
            || [
                "schedule_regret_grams",
                "schedule_gain_captured",
                "schedule_hindsight_span_seconds",
                "schedule_shadow_price",
                "security_reloads_total",
                "http_connections_ended_total",
            ]
            .contains(&name.as_str())
    };
    let unseen: Vec<_> = documented.difference(&seen).filter(|name| !rare(name)).collect();
    assert!(unseen.is_empty(), "documented, but not there: {unseen:?}");
}
