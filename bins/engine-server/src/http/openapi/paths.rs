//! Every path with its methods: what may be asked, and all that can be answered.

use actix_web::http::StatusCode;
use models::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::answers::{
    Accepted, Health, OverrideEnded, OverrideSet, Pending, Removed, ScheduleItem, ScheduleList,
};
use super::super::page::LONGEST_PAGE;
use super::super::problem::Problem;
use super::document::{problem, reference};
use super::examples::{
    effective, example, forecasts, older, planned, schedule, told, wrong_body, wrong_name, wrong_query,
};

/// What a PUT is told that says too little of energy.
const GUESSED: &str = "energy per request is taken to be proportional to precision: expected energyWh, or carbonIntensity above 0, for every enabled flavour";
/// Why a schedule is pending.
const PAUSED: &str = "every flavour is disabled: enable at least one of precision-100";

/// One method of one path.
struct Operation {
    method: &'static str,
    tag: &'static str,
    id: &'static str,
    summary: &'static str,
    about: &'static str,
    /// Components that are its parameters, beside those of its path.
    parameters: &'static [&'static str],
    body: Option<Value>,
    /// Status and answer.
    answers: Vec<(u16, Value)>,
    /// What is wrong with what was understood.
    invalid: Vec<(&'static str, Value)>,
}

impl Operation {
    fn new(method: &'static str, tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let (about, parameters, body, answers, invalid) = ("", [].as_slice(), None, Vec::new(), Vec::new());
        Self { method, tag, id, summary, about, parameters, body, answers, invalid }
    }

    fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    fn with(mut self, parameters: &'static [&'static str]) -> Self {
        self.parameters = parameters;
        self
    }

    /// It takes a body of `schema`.
    fn body(mut self, schema: &str, examples: Vec<(&'static str, Value)>) -> Self {
        let content = content("application/json", &reference("schemas", schema), examples);
        self.body = Some(json!({"required": true, "content": content}));
        for (status, name) in
            [(400, "Malformed"), (408, "Timeout"), (413, "TooLarge"), (415, "UnsupportedMediaType")]
        {
            self.answers.push((status, reference("responses", name)));
        }
        self
    }

    fn answers(mut self, status: u16, answer: Value) -> Self {
        self.answers.push((status, answer));
        self
    }

    fn refuses(mut self, examples: Vec<(&'static str, Value)>) -> Self {
        self.invalid.extend(examples);
        self
    }

    fn unknown_schedule(self) -> Self {
        self.answers(404, reference("responses", "UnknownSchedule"))
    }

    fn to_json(&self) -> Value {
        let mut answers: Map<String, Value> =
            self.answers.iter().map(|(status, answer)| (status.to_string(), answer.clone())).collect();
        let mut answer = |status: &str, name: &str| {
            answers.entry(status).or_insert_with(|| reference("responses", name));
        };
        answer("431", "HeadTooLarge");
        if self.tag != "probes" {
            answer("401", "Unauthorized");
            answer("503", "Unavailable");
        }
        if matches!(self.method, "put" | "post" | "delete") {
            answer("403", "Forbidden");
        }
        if !self.invalid.is_empty() {
            let about = "Understood, but invalid: every bad field is named, and nothing is done";
            answers.insert("422".into(), problem(about, &[], self.invalid.clone()));
        }
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [self.tag],
            "responses": answers,
        });
        if !self.about.is_empty() {
            operation["description"] = json!(self.about);
        }
        if !self.parameters.is_empty() {
            operation["parameters"] =
                self.parameters.iter().map(|name| reference("parameters", name)).collect();
        }
        if let Some(body) = &self.body {
            operation["requestBody"] = body.clone();
        }
        if self.tag == "probes" {
            operation["security"] = json!([]);
        }
        operation
    }

    /// The same by another method that brings no document.
    fn alike(method: &'static str, of: &Value, id: &str, summary: &str, answers: Value) -> (String, Value) {
        let mut operation = of.clone();
        operation["operationId"] = json!(id);
        operation["summary"] = json!(summary);
        operation["responses"] = answers;
        (method.to_owned(), operation)
    }
}

fn content(media: &str, schema: &Value, examples: Vec<(&'static str, Value)>) -> Value {
    let examples: Map<String, Value> =
        examples.into_iter().map(|(name, example)| (name.to_owned(), example)).collect();
    json!({media: {"schema": schema, "examples": examples}})
}

/// A good answer, in JSON of `schema`.
fn document(about: &str, schema: &str, examples: Vec<(&'static str, Value)>) -> Value {
    json!({"description": about, "content": content("application/json", &reference("schemas", schema), examples)})
}

/// The same with header fields.
fn with_headers(mut answer: Value, headers: &[(&str, &str)]) -> Value {
    let headers = headers.iter().map(|(field, name)| ((*field).to_owned(), reference("headers", name)));
    answer["headers"] = Value::Object(headers.collect());
    answer
}

fn uncached(answer: Value) -> Value {
    with_headers(answer, &[("Cache-Control", "CacheControl")])
}

fn tagged(answer: Value) -> Value {
    with_headers(answer, &[("Cache-Control", "CacheControl"), ("ETag", "ETag")])
}

fn as_is(name: &'static str, value: &impl Serialize) -> Vec<(&'static str, Value)> {
    vec![(name, example(value, Value::Null))]
}

/// A path, HEAD and OPTIONS among its methods.
fn path(parameters: &[&str], operations: &[Operation]) -> Value {
    let mut item = Map::new();
    if !parameters.is_empty() {
        let parameters: Vec<Value> = parameters.iter().map(|name| reference("parameters", name)).collect();
        item.insert("parameters".into(), parameters.into());
    }
    for operation in operations {
        let named = parameters.contains(&"Name");
        let mut json = operation.to_json();
        if named {
            add_wrong_name(&mut json);
        }
        if operation.method == "get" {
            item.extend([head(operation, &json)]);
        }
        item.insert(operation.method.into(), json);
    }
    if let Some((operation, json)) =
        operations.first().and_then(|first| Some((first, item.get(first.method)?)))
    {
        let options = options(operation, json);
        item.extend([options]);
    }
    item.insert("x-other-methods".into(), reference("responses", "MethodNotAllowed"));
    Value::Object(item)
}

/// Whatever takes the name of a schedule refuses one that cannot be.
fn add_wrong_name(operation: &mut Value) {
    let invalid = operation["responses"].get("422").cloned();
    let mut invalid =
        invalid.unwrap_or_else(|| problem("Understood, but invalid: every bad field is named", &[], vec![]));
    invalid["content"]["application/problem+json"]["examples"]["wrong-name"] = wrong_name();
    operation["responses"]["422"] = invalid;
}

fn capitalised(id: &str) -> String {
    id.chars().take(1).flat_map(char::to_uppercase).chain(id.chars().skip(1)).collect()
}

/// HEAD answers as GET does, without the documents.
fn head(get: &Operation, json: &Value) -> (String, Value) {
    let about = "As GET, without its document";
    let answers = json["responses"].as_object().into_iter().flatten().map(|(status, answer)| {
        let headers = answer.get("headers").cloned();
        let mut bare = json!({"description": about});
        if let Some(headers) = headers {
            bare["headers"] = headers;
        }
        (status.clone(), bare)
    });
    let id = format!("head{}", capitalised(get.id));
    let summary = format!("{}: the header fields alone", get.summary);
    Operation::alike("head", json, &id, &summary, Value::Object(answers.collect()))
}

/// OPTIONS answers with what can be asked, whether or not there is such a schedule.
fn options(first: &Operation, json: &Value) -> (String, Value) {
    let mut answers = json!({
        "200": reference("responses", "Allowed"),
        "431": reference("responses", "HeadTooLarge"),
    });
    if first.tag != "probes" {
        answers["401"] = reference("responses", "Unauthorized");
        answers["503"] = reference("responses", "Unavailable");
    }
    let id = format!("options{}", capitalised(first.id));
    let (method, mut operation) = Operation::alike("options", json, &id, "What can be asked here", answers);
    if let Some(operation) = operation.as_object_mut() {
        for key in ["parameters", "requestBody", "description"] {
            operation.remove(key);
        }
    }
    (method, operation)
}

/// Every path there is.
pub(super) fn paths() -> Value {
    let named: &[&str] = &["Namespace", "Name"];
    json!({
        "/healthz": path(&[], &[healthz()]),
        "/livez": path(&[], &[livez()]),
        "/readyz": path(&[], &[readyz()]),
        "/openapi.json": path(&[], &[openapi()]),
        "/schedule": path(&[], &[get_schedule("getDefaultSchedule", "The latest schedule of the default name")]),
        "/schedule/{namespace}/{name}": path(named, &[get_named_schedule()]),
        "/schedules": path(&[], &[list_schedules()]),
        "/forecasts": path(&[], &[list_forecasts()]),
        "/forecasts/{target}/vintages": path(&["Target"], &[vintages()]),
        "/forecasts/{target}/actuals": path(&["Target"], &[actuals()]),
        "/config/{namespace}/{name}": path(named, &[get_config(), put_config(), delete_config()]),
        "/schedule/{namespace}/{name}/manual": path(named, &[
            post_override("setOverride", "Publish weights for a while").unknown_schedule(),
            delete_override("endOverride", "End an override early").unknown_schedule(),
        ]),
        "/setschedule": path(&[], &[
            post_override("setDefaultOverride", "Publish weights for a while under the default name"),
            delete_override("endDefaultOverride", "End an override of the default name early"),
        ]),
        "/feedback/{namespace}/{name}": path(named, &[post_feedback()]),
        "x-other-paths": reference("responses", "UnknownPath"),
    })
}

fn healthz() -> Operation {
    Operation::new("get", "probes", "getHealth", "Whether the process answers")
        .about("`starting` until the first evaluations are out, then `ready`; `stopping` once a stop was asked for.")
        .answers(200, document("It does", "Health", as_is("ready", &Health::of("ready"))))
}

fn livez() -> Operation {
    Operation::new(
        "get",
        "probes",
        "getLiveness",
        "Whether the process does what it is there for; otherwise a restart helps",
    )
    .answers(200, document("It does", "Health", as_is("alive", &Health::of("alive"))))
    .answers(503, reference("responses", "Unavailable"))
}

fn readyz() -> Operation {
    Operation::new("get", "probes", "getReadiness", "Whether requests are to be sent here")
        .about("`degraded`, with `detail`, where less is done than there should be.")
        .answers(200, document("They are", "Health", as_is("ready", &Health::of("ready"))))
        .answers(503, reference("responses", "Unavailable"))
}

fn openapi() -> Operation {
    let document = json!({
        "description": "OpenAPI 3.1",
        "content": {"application/json": {"schema": {"type": "object", "required": ["openapi"]}}},
    });
    Operation::new("get", "description", "getDescription", "This document")
        .with(&["IfNoneMatch"])
        .answers(200, tagged(document))
        .answers(304, reference("responses", "NotModified"))
}

fn get_schedule(id: &'static str, summary: &'static str) -> Operation {
    Operation::new("get", "schedules", id, summary)
        .about("After an accepted PUT the next GET, also by another connection, has the new configuration in force.")
        .with(&["IfNoneMatch"])
        .answers(200, tagged(document("The schedule in force", "Schedule", Vec::new())))
        .answers(202, uncached(document("Every flavour is disabled: nothing can be evaluated", "Pending", Vec::new())))
        .answers(304, reference("responses", "NotModified"))
}

fn get_named_schedule() -> Operation {
    let mut operation = get_schedule("getSchedule", "The latest schedule").unknown_schedule();
    let pending = Pending { reason: PAUSED, status: "pending" };
    for (status, answer) in &mut operation.answers {
        let examples = match status {
            200 => json!({"planned": example(&schedule(), Value::Null)}),
            202 => json!({"paused": example(&pending, json!({"path": {"name": "paused"}}))}),
            _ => continue,
        };
        answer["content"]["application/json"]["examples"] = examples;
    }
    operation
}

fn list_schedules() -> Operation {
    let item = |name, weights: &Value| ScheduleItem {
        namespace: "shop",
        name,
        policy: Some("receding-horizon".into()),
        valid_until: Some(made_at()),
        weights: weights.as_object().cloned().unwrap_or_default(),
        pending: None,
    };
    let paused = ScheduleItem {
        policy: None,
        valid_until: None,
        pending: Some(PAUSED),
        ..item("paused", &Value::Null)
    };
    let last = ScheduleList {
        after: None,
        items: vec![item("search", &json!({"large": 67, "medium": 33, "small": 0}))],
    };
    let first = ScheduleList {
        after: Some("shop/paused".into()),
        items: vec![
            ScheduleItem {
                policy: Some("credit-greedy".into()),
                namespace: "default",
                ..item("default", &json!({"precision-100": 90, "precision-70": 5, "precision-85": 5}))
            },
            paused,
        ],
    };
    Operation::new("get", "schedules", "listSchedules", "Schedules, page by page, in order of their names")
        .with(&["Limit", "AfterSchedule"])
        .answers(
            200,
            document(
                "A page",
                "ScheduleList",
                vec![
                    ("first-page", example(&first, json!({"query": {"limit": 2}}))),
                    ("last-page", example(&last, json!({"query": {"limit": 2, "continue": "shop/paused"}}))),
                ],
            ),
        )
        .refuses(vec![
            ("wrong-limit", wrong_limit(&json!({"limit": 0}))),
            (
                "wrong-continue",
                wrong_query(
                    &json!({"continue": "nowhere"}),
                    "/continue",
                    "expected the `continue` of an earlier answer",
                ),
            ),
        ])
}

fn list_forecasts() -> Operation {
    Operation::new(
        "get",
        "forecasts",
        "listForecasts",
        "What is known of each carbon target, and how the providers do",
    )
    .with(&["Limit", "AfterTarget"])
    .answers(200, uncached(document("A page", "ForecastList", as_is("known", &forecasts()))))
    .refuses(vec![("wrong-limit", wrong_limit(&json!({"limit": "many"})))])
}

/// A page of no length that a page has.
fn wrong_limit(query: &Value) -> Value {
    wrong_query(query, "/limit", &format!("expected a whole number from 1 to {LONGEST_PAGE}"))
}

fn export(id: &'static str, summary: &'static str, about: &'static str, rows: &str) -> Operation {
    let table = json!({
        "description": "The rows, in pieces",
        "content": content("text/csv", &json!({"type": "string"}), as_is("average", &rows)),
    });
    let detail = "no forecast of carbon target `nowhere` is kept: expected one of those received: `national`";
    let unknown = Problem::new(StatusCode::NOT_FOUND, detail);
    let unknown = example(&unknown.body(), json!({"path": {"target": "nowhere"}}));
    Operation::new("get", "forecasts", id, summary)
        .about(about)
        .with(&["From", "To", "Signal"])
        .answers(200, uncached(table))
        .answers(404, problem("Nothing is kept of this target", &[], vec![("unknown-target", unknown)]))
        .refuses(vec![
            (
                "wrong-instant",
                wrong_query(
                    &json!({"from": "now"}),
                    "/from",
                    "`now`: expected an RFC 3339 instant such as 2026-01-05T00:00:00Z",
                ),
            ),
            (
                "wrong-signal",
                wrong_query(&json!({"signal": "both"}), "/signal", "`both`: expected average or marginal"),
            ),
        ])
}

fn vintages() -> Operation {
    export(
        "getVintages",
        "What was forecast when",
        "By the instant of issue, with the forecast that was in force at `from`; gCO2eq/kWh.",
        "issued_at,target_start,forecast_average\n2026-11-23T15:00:02.117Z,2026-11-23T15:00:00Z,250\n",
    )
}

fn actuals() -> Operation {
    export(
        "getActuals",
        "What was measured",
        "By the instant of the slot; gCO2eq/kWh.",
        "timestamp,actual_average\n2026-11-23T14:30:00Z,80\n",
    )
}

fn get_config() -> Operation {
    Operation::new(
        "get",
        "configuration",
        "getConfiguration",
        "The effective configuration, each value with where it came from",
    )
    .answers(200, document("What is in force", "Effective", as_is("planned", &effective())))
    .unknown_schedule()
}

fn put_config() -> Operation {
    let accepted = |ignored: &[&str], warnings: &[&str]| {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Accepted { ignored: owned(ignored), status: "accepted", warnings: owned(warnings) }
    };
    Operation::new("put", "configuration", "putConfiguration", "Put a configuration in force")
        .about("The whole desired configuration; the schedule is made if need be. One equal to what is in force changes nothing.")
        .body("Configuration", vec![
            ("planned", told("Three flavours under the planner", &planned())),
            ("older-words", told("The origin's words, numbers in strings, a key nobody knows", &older())),
        ])
        .answers(202, document("It is in force", "Accepted", vec![
            ("planned", example(&accepted(&[], &[]), Value::Null)),
            ("older-words", example(&accepted(&["scheduler/evaluator"], &[GUESSED]), Value::Null)),
        ]))
        .answers(429, reference("responses", "TooManySchedules"))
        .refuses(vec![("out-of-range", wrong_body(&json!({"targetError": 1.5, "creditMax": "much"}),
            &[
                ("/creditMax", "`much` is not an upper credit bound: expected a number >= 0"),
                ("/targetError", "1.5 is not a target error: expected a number in [0, 1)"),
            ],
        ))])
}

fn delete_config() -> Operation {
    Operation::new(
        "delete",
        "configuration",
        "deleteConfiguration",
        "Free a schedule, or reset the default one",
    )
    .about("Ledger, budget and what was learned are forgotten with it.")
    .answers(
        200,
        document(
            "It is done",
            "Removed",
            vec![
                ("deleted", example(&Removed { status: "deleted" }, Value::Null)),
                (
                    "reset",
                    example(
                        &Removed { status: "reset" },
                        json!({"path": {"namespace": "default", "name": "default"}}),
                    ),
                ),
            ],
        ),
    )
    .unknown_schedule()
}

fn post_override(id: &'static str, summary: &'static str) -> Operation {
    let is_default = id == "setDefaultOverride";
    let (good, half) = if is_default { ("precision-100", "precision-70") } else { ("large", "small") };
    let set = |ignored: &[&str]| OverrideSet {
        ignored: ignored.iter().map(|key| (*key).to_owned()).collect(),
        status: "schedule set",
        until: made_at(),
    };
    let weights = json!({"flavourWeights": {good: 3, half: 1}, "ttlSeconds": 300, "reason": "incident 42"});
    let posted_back = json!({
        "flavours": [{"name": good, "weight": 90, "precision": 100}, {"name": half, "weight": "10"}],
        "validUntil": "2026-11-23T15:17:06Z",
    });
    let known = if is_default { "precision-100, precision-85, precision-70" } else { "large, medium, small" };
    let unknown = format!("`huge` is not a flavour here: expected one of {known}");
    Operation::new("post", "overrides", id, summary)
        .about("From the next GET on, whatever the policy says, for ttlSeconds; then the policy rules again. A PUT leaves it in force, unless it removes or disables a flavour of it.")
        .body("Override", vec![
            ("weights", told("Weights in any scale", &weights)),
            ("posted-back", told("A part of a schedule, posted back", &posted_back)),
        ])
        .answers(202, document("It is in force", "OverrideSet", vec![
            ("weights", example(&set(&[]), Value::Null)),
            ("posted-back", example(&set(&["flavours/0/precision", "validUntil"]), Value::Null)),
        ]))
        .refuses(vec![
            ("nothing-served", wrong_body(&json!({"flavourWeights": {good: 0}}), &[("/flavourWeights", "every weight is 0: expected at least one above 0")])),
            ("unknown-flavour", wrong_body(&json!({"flavourWeights": {"huge": 1}}), &[("/flavourWeights/huge", &unknown)])),
        ])
}

fn delete_override(id: &'static str, summary: &'static str) -> Operation {
    Operation::new("delete", "overrides", id, summary).answers(
        200,
        document(
            "The policy rules",
            "OverrideEnded",
            as_is("none", &OverrideEnded { status: "no override in force" }),
        ),
    )
}

fn post_feedback() -> Operation {
    let counts = json!({"large": 15000, "medium": 2700, "small": 1800});
    Operation::new("post", "feedback", "postFeedback", "Say what a router served within a window")
        .about("Posts of several routers add up. One with `source` and `sequence` counts once, however often it is sent.")
        .body("FeedbackPost", vec![
            ("counts", told("Requests by flavour", &json!({"window_seconds": 30, "total_requests": 19500, "flavour_counts": counts}))),
            ("measured", told("Numbered, with what was measured", &json!({
                "source": "router-7d9f/2026-11-23T09:00:00Z", "sequence": 1, "flavour_counts": counts,
                "flavour_precision": {"large": 0.993, "small": 78.5}, "flavour_energy_wh": {"large": 2.9},
                "pod": "router-7d9f",
            }))),
            ("nothing", told("A window without requests", &json!({"flavour_counts": {}}))),
        ])
        .answers(200, document("It is counted", "Counted", vec![
            ("counts", example(&json!({"credit_balance": 0.2, "credit_velocity": 0.1, "realized_precision": 0.973_23, "total_requests": 19500}), Value::Null)),
            ("measured", example(&json!({"credit_balance": 0.2, "credit_velocity": 0.1, "ignored": ["pod"], "realized_precision": 0.966_46, "total_requests": 19500}), Value::Null)),
            ("nothing", example(&json!({"credit_balance": 0.2, "credit_velocity": 0.1, "realized_precision": null, "total_requests": 0}), Value::Null)),
        ]))
        .refuses(vec![("wrong-sum", wrong_body(&json!({"flavour_counts": {"large": 1}, "total_requests": 2}),
            &[("/total_requests", "2 is not the sum of flavour_counts, 1")],
        ))])
        .unknown_schedule()
}

/// An instant for examples.
fn made_at() -> Timestamp {
    Timestamp::from_second(1_795_446_000).unwrap_or_default()
}
