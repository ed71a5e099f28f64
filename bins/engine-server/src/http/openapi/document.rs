//! The document as a whole: what it is about, schemas, parameters, headers, and the answers many requests share.

use models::body::MAX_DEPTH;
use models::{Config, Feedback, Manual, Overrides, Schedule, Signal, schema};
use policies::Registry;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::super::answers::{
    Accepted, Counted, Effective, Health, OverrideEnded, OverrideSet, Pending, Removed, ScheduleList,
};
use super::super::forecasts::ForecastList;
use super::super::page::{LONGEST_PAGE, PAGE};
use super::super::problem::{Body, Problem};
use super::examples::{self, example, refused};
use super::paths;

const ABOUT: &str = "What share of traffic each flavour of a service gets, so that emissions fall while the grid is \
dirty and the mean error stays within budget.

Every error of a handler is `application/problem+json`. Any path may be asked with another method: that is 405 with \
`Allow`, or for OPTIONS 200 with `Allow`. What fails below the HTTP parser (a garbage request line, a head that is far too \
large or comes too slowly) is answered with a bare 400, 431 or 408. Documents may get further fields: leave alone what \
you do not know. A value that is not known is left out, never `null`, unless a schema says otherwise.

`GET /metrics`, in the Prometheus text format, is served on a port of its own and is not described here.";

/// All of it.
pub(super) fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Carbon-aware decision engine",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/", "description": "The server that answers this document"}],
        "security": [{}, {"bearer": []}],
        "tags": [
            {"name": "schedules", "description": "What is decided"},
            {"name": "configuration", "description": "What is wanted"},
            {"name": "overrides", "description": "Weights of one's own, for a while"},
            {"name": "feedback", "description": "What was served"},
            {"name": "forecasts", "description": "Carbon intensity, as known and as it was"},
            {"name": "probes", "description": "How the process does; no token is needed"},
            {"name": "description", "description": "This document"},
        ],
        "paths": paths::paths(),
        "components": {
            "schemas": schemas(),
            "parameters": parameters(),
            "headers": headers(),
            "responses": responses(),
            "securitySchemes": {"bearer": {
                "type": "http", "scheme": "bearer",
                "description": "A token from the server's file, where it has one. Without such a file anybody reads, and writes come from loopback unless the operator decided otherwise.",
            }},
        },
    })
}

/// A reference to `name` among the components of a kind.
pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn schemas() -> Map<String, Value> {
    let mut all = of(
        SchemaSettings::draft2020_12().for_deserialize(),
        &[add::<Overrides>, add::<Feedback>, add::<Manual>],
    );
    let registry = Registry::builtin();
    let policies: Vec<_> = registry.names().map(Some).chain([None]).collect();
    if let Some(policy) =
        all.get_mut("SchedulerSettings").and_then(|schema| schema.pointer_mut("/properties/policy"))
    {
        policy["enum"] = json!(policies);
    }
    let mut written = of(
        SchemaSettings::draft2020_12().for_serialize(),
        &[
            add::<Schedule>,
            add::<ScheduleList<'_>>,
            add::<Pending<'_>>,
            add::<Accepted>,
            add::<Effective<'_>>,
            add::<Config>,
            add::<Removed>,
            add::<OverrideSet>,
            add::<OverrideEnded>,
            add::<Counted>,
            add::<ForecastList>,
            add::<Health>,
            add::<Body<'_>>,
        ],
    );
    written.values_mut().for_each(never_null);
    all.append(&mut written);
    all
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

fn of(mut settings: SchemaSettings, types: &[fn(&mut SchemaGenerator)]) -> Map<String, Value> {
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    for add in types {
        add(&mut generator);
    }
    generator.take_definitions(true)
}

/// What may be left out is left out where it is not known: it is not `null`.
fn never_null(schema: &mut Value) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = |key: &str| required.as_array().is_some_and(|names| names.iter().any(|name| name == key));
    for (key, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if required(key) {
            continue;
        }
        if let Some(types) = property.get_mut("type").filter(|types| types.is_array()) {
            let one = types.as_array().into_iter().flatten().find(|kind| *kind != "null").cloned();
            *types = one.unwrap_or_default();
        }
        let alternatives = property.get("anyOf").and_then(Value::as_array);
        let one = alternatives
            .and_then(|all| all.iter().find(|one| one.get("type") != Some(&json!("null"))))
            .cloned();
        if let (Some(Value::Object(one)), Some(property)) = (one, property.as_object_mut()) {
            property.remove("anyOf");
            property.extend(one);
        }
    }
}

fn parameters() -> Value {
    let page = |about: &str, last: &str| {
        json!({
            "name": "continue", "in": "query", "required": false, "allowEmptyValue": true, "description": about,
            "schema": {"type": "string"}, "example": last,
        })
    };
    let instant = |name: &str, about: &str, example: &str| {
        json!({
            "name": name, "in": "query", "required": false, "allowEmptyValue": true, "description": about,
            "schema": {"type": "string", "format": "date-time"}, "example": example,
        })
    };
    json!({
        "Namespace": {
            "name": "namespace", "in": "path", "required": true, "description": "A DNS label (RFC 1123)",
            "schema": schema::namespace(), "example": "shop",
        },
        "Name": {
            "name": "name", "in": "path", "required": true, "description": "A DNS subdomain (RFC 1123)",
            "schema": schema::name(), "example": "search",
        },
        "Target": {
            "name": "target", "in": "path", "required": true,
            "description": "A carbon target, as configured",
            "schema": {"type": "string", "minLength": 1}, "example": "national",
        },
        "Limit": {
            "name": "limit", "in": "query", "required": false, "description": "Most items of a page",
            "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE}, "example": 2,
        },
        "AfterSchedule": page("`continue` of the page before", "shop/paused"),
        "AfterTarget": page("`continue` of the page before", "national"),
        "From": instant("from", "First instant, below `to`", "2026-01-05T00:00:00Z"),
        "To": instant("to", "First instant after it", "2126-01-05T00:00:00Z"),
        "Signal": {
            "name": "signal", "in": "query", "required": false, "allowEmptyValue": true,
            "description": "The one received last where nobody says",
            "schema": {"type": "string", "enum": Signal::ALL}, "example": "average",
        },
        "IfNoneMatch": {
            "name": "If-None-Match", "in": "header", "required": false,
            "description": "Entity tags of earlier answers: the answer is 304 while one of them is in force",
            "schema": {"type": "string"}, "example": "\"1d-7\"",
        },
    })
}

fn headers() -> Value {
    let text = |about: &str, example: &str| json!({"description": about, "required": true, "schema": {"type": "string"}, "example": example});
    json!({
        "ETag": text("Names this version of the document", "\"1d-7\""),
        "CacheControl": text("Ask again before it is used again", "no-cache"),
        "Allow": text("What can be asked here", "GET, HEAD, OPTIONS"),
        "WWWAuthenticate": text("How to say who asks (RFC 6750)", "Bearer"),
        "RetryAfter": {
            "description": "Seconds to wait before asking again", "required": true,
            "schema": {"type": "integer", "minimum": 0}, "example": 1,
        },
    })
}

/// An answer with a problem in it.
pub(super) fn problem(about: &str, headers: &[(&str, &str)], examples: Vec<(&'static str, Value)>) -> Value {
    let headers: Map<String, Value> =
        headers.iter().map(|(field, name)| ((*field).to_owned(), reference("headers", name))).collect();
    let examples: Map<String, Value> =
        examples.into_iter().map(|(name, example)| (name.to_owned(), example)).collect();
    let mut answer = json!({
        "description": about,
        "content": {"application/problem+json": {"schema": reference("schemas", "Problem"), "examples": examples}},
    });
    if !headers.is_empty() {
        answer["headers"] = Value::Object(headers);
    }
    answer
}

/// A write that is not for whoever asks.
fn forbidden() -> Value {
    let about = "A token whose role does not do, or without tokens a write from elsewhere than loopback";
    let mut answer = problem(about, &[("WWW-Authenticate", "WWWAuthenticate")], examples::forbidden());
    let field = &mut answer["headers"]["WWW-Authenticate"];
    *field = json!({"description": "Where a token was not enough (RFC 6750)", "schema": {"type": "string"}});
    answer
}

/// Answers that many requests can get.
fn responses() -> Value {
    let retry = [("Retry-After", "RetryAfter")];
    json!({
        "NotModified": {
            "description": "Nothing newer than what If-None-Match names",
            "headers": {"ETag": reference("headers", "ETag"), "Cache-Control": reference("headers", "CacheControl")},
        },
        "Allowed": {
            "description": "What can be asked here",
            "headers": {"Allow": reference("headers", "Allow")},
        },
        "Malformed": problem(&format!("Not JSON, not an object, or nested deeper than {MAX_DEPTH}"), &[], vec![
            ("no-object", example(&Problem::malformed("payload must be an object").body(), json!({"body": []}))),
        ]),
        "Unauthorized": problem(
            "No token, or one that is not known",
            &[("WWW-Authenticate", "WWWAuthenticate")],
            examples::unauthorized(),
        ),
        "Forbidden": forbidden(),
        "UnknownSchedule": problem("No such schedule", &[], vec![
            ("unknown-schedule", examples::unknown_schedule()),
        ]),
        "UnknownPath": problem("Nothing is served at this path", &[], vec![]),
        "MethodNotAllowed": problem("Another method", &[("Allow", "Allow")], vec![
            ("another-method", example(&Problem::not_allowed("PATCH", "GET, HEAD").body(), json!({"method": "PATCH"}))),
        ]),
        "Timeout": problem("The body is not here whole in time; the connection is closed", &[], vec![]),
        "HeadTooLarge": problem("The first line and the header fields are too large; the connection is closed", &[], vec![]),
        "TooLarge": problem("The body is too large", &[], vec![
            ("too-large", examples::too_large()),
        ]),
        "UnsupportedMediaType": problem("A body without a JSON content type: `application/json`, or any `application/*+json`", &[], vec![
            ("no-json", examples::unsupported()),
        ]),
        "TooManySchedules": problem("As many schedules as there may be", &retry, vec![
            ("one-too-many", examples::too_many()),
        ]),
        "Unavailable": problem("Not ready yet or no more, too much under way, or what was asked cannot be kept now and was not done", &retry, refused()),
    })
}
