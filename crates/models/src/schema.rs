//! JSON Schemas (2020-12) of what this crate reads and writes, made from the tables that parse it.
//!
//! What is written derives its schema from its own type. Bodies are read by hand: theirs are built here from
//! [`SETTINGS`], [`ranges`] and the limits of [`crate::config`]. They refuse nothing that is read. What they
//! accept may still be refused: for the range of a number in a string, for the length of a text in bytes, for
//! what two members say together (a sum, an order, names that have to differ).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::config::{
    Component, Config, DEFAULT_CALIBRATE, DEFAULT_CARBON_TARGET, DEFAULT_POLICY, MAX_COMPONENTS, MAX_WORD,
    Overrides, Source, json_number,
};
use crate::feedback::{DEFAULT_WINDOW, Feedback, MAX_COUNTED, MAX_SOURCE};
use crate::flavour::{Flavour, MAX_FLAVOUR_NAME, MAX_FLAVOURS};
use crate::forecast::MAX_CARBON_TARGET;
use crate::id::{MAX_NAME, MAX_NAMESPACE};
use crate::manual::{MAX_REASON, Manual};
use crate::ranges::{self, Range};
use crate::settings::{SETTINGS, SettingSpec};

/// A string that holds a number, spaces around it allowed.
const NUMBER_IN_TEXT: &str = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$";
/// A string that holds a truth value, in any case, spaces around it allowed.
const TRUTH_IN_TEXT: &str = r"^\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])\s*$";
/// One letter that is no control character.
const LETTER: &str = r"[^\u0000-\u001f\u007f-\u009f]";

/// A DNS label (RFC 1123) of any length.
const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// A named schema, or one that stands where it is used.
macro_rules! schema {
    ($type:ty, $name:literal, $inline:literal, $make:path) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                $inline
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                $make(generator)
            }
        }
    };
}

/// An instant, RFC 3339, UTC.
pub struct Instant;
/// A share in whole percent.
pub struct Percent;
/// A share per mille.
pub struct PerMille;

schema!(Instant, "Instant", true, instant);

fn instant(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}
schema!(Percent, "Percent", true, percent);

fn percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 0, "maximum": 100})
}
schema!(PerMille, "PerMille", true, per_mille);

fn per_mille(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "minimum": 0, "maximum": 1000})
}

/// A number of `range`, as it is written.
pub(crate) fn number(range: &Range) -> Schema {
    let mut schema = json_schema!({"type": "number"});
    bound(&mut schema, range);
    schema
}

/// A namespace, as [`crate::ScheduleId`] takes it.
pub fn namespace() -> Schema {
    json_schema!({"type": "string", "maxLength": MAX_NAMESPACE, "pattern": format!("^{LABEL}$")})
}

/// The name of a schedule within its namespace, as [`crate::ScheduleId`] takes it.
pub fn name() -> Schema {
    json_schema!({"type": "string", "maxLength": MAX_NAME, "pattern": format!(r"^{LABEL}(\.{LABEL})*$")})
}

fn bound(schema: &mut Schema, range: &Range) {
    if range.low > f64::MIN {
        let key = if range.low_included { "minimum" } else { "exclusiveMinimum" };
        schema.insert(key.into(), json_number(range.low));
    }
    if range.high < f64::MAX {
        let key = if range.high_included { "maximum" } else { "exclusiveMaximum" };
        schema.insert(key.into(), json_number(range.high));
    }
}

/// A number of `range` as it is read: a number, a string that holds one, or `null`, as good as absent.
fn loose(range: &Range, about: &str) -> Schema {
    let mut schema = json_schema!({
        "type": ["number", "string", "null"],
        "pattern": NUMBER_IN_TEXT,
        "description": format!("{about}{}{range}", if about.is_empty() { "" } else { ": " }),
    });
    bound(&mut schema, range);
    schema
}

/// The same for a whole number.
fn loose_whole(range: &Range, about: &str) -> Schema {
    let mut schema = loose(range, about);
    schema.insert("type".into(), json!(["integer", "string", "null"]));
    schema
}

/// The same where it has to be there.
fn required(mut schema: Schema) -> Schema {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
    }
    schema
}

fn text(longest: usize, about: &str) -> Schema {
    json_schema!({
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": longest,
        "pattern": format!("^{LETTER}*$"),
        "description": format!("{about}: 1 to {longest} bytes without control characters"),
    })
}

fn truth(about: &str) -> Schema {
    json_schema!({"type": ["boolean", "string", "null"], "pattern": TRUTH_IN_TEXT, "description": about})
}

fn with_default(mut schema: Schema, default: Value) -> Schema {
    schema.insert("default".into(), default);
    schema
}

/// That the members of an object called `key` is there, and not `null`.
fn stands(key: &str) -> Value {
    json!({"required": [key], "properties": {key: {"not": {"type": "null"}}}})
}

/// The scheduler's keys in the body of a PUT.
struct SchedulerSettings;
/// A flavour in the body of a PUT.
struct FlavourEntry;
/// A component in the body of a PUT.
struct ComponentEntry;

schema!(SchedulerSettings, "SchedulerSettings", false, scheduler_settings);

fn scheduler_settings(_: &mut SchemaGenerator) -> Schema {
    let setting = |spec: &SettingSpec| {
        let schema = with_default(loose(spec.range, spec.about), json_number(spec.default));
        (String::from(spec.key), Value::from(schema))
    };
    let mut properties: Map<String, Value> = SETTINGS.iter().map(setting).collect();
    for (key, schema, default) in [
        ("policy", text(MAX_WORD, "Name of the policy"), json!(DEFAULT_POLICY)),
        ("carbonTarget", text(MAX_CARBON_TARGET, "Which forecast to follow"), json!(DEFAULT_CARBON_TARGET)),
        (
            "calibrate",
            truth("Whether decisions follow the precision and energy that feedback measured"),
            json!(DEFAULT_CALIBRATE),
        ),
    ] {
        properties.insert(key.into(), with_default(schema, default).into());
    }
    json_schema!({
        "type": "object",
        "description": "The scheduler's keys. What is absent falls back to the process's environment, then to the default. Unknown keys are ignored, and named in the answer.",
        "properties": properties,
    })
}

schema!(FlavourEntry, "FlavourEntry", false, flavour_entry);

fn flavour_entry(_: &mut SchemaGenerator) -> Schema {
    let energy = |about| loose(&ranges::FLAVOUR_CARBON, about);
    let mut older = energy("Read where carbonIntensity is absent");
    older.insert("deprecated".into(), json!(true));
    json_schema!({
        "type": "object",
        "description": "A runnable variant of the service. Unknown keys are ignored, and named in the answer.",
        "properties": {
            "name": text(MAX_FLAVOUR_NAME, "Unique among the flavours; `precision-NN`, the percentage, where absent"),
            "precision": required(loose(&ranges::WIRE_PRECISION, "How good its answers are")),
            "carbonIntensity": energy("Relative energy per request"),
            "carbon_intensity": {"description": "The older spelling of carbonIntensity, beside which it is not read", "deprecated": true},
            "energyWh": loose(&ranges::ENERGY_WH, "Energy per request"),
            "enabled": with_default(truth("Whether it may receive traffic"), json!(true)),
            "annotations": {"type": ["object", "null"], "description": "Carried, never read"},
        },
        "required": ["precision"],
        "anyOf": [{"properties": {"carbon_intensity": older}}, stands("carbonIntensity")],
    })
}

schema!(ComponentEntry, "ComponentEntry", false, component_entry);

fn component_entry(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "A scaled part of the service. Unknown keys are ignored, and named in the answer.",
        "properties": {
            "minReplicas": with_default(loose_whole(&ranges::REPLICAS, "Fewest replicas"), json!(0)),
            "maxReplicas": loose_whole(&ranges::REPLICAS, "Most replicas, at least minReplicas; without it there is no ceiling"),
        },
    })
}

schema!(Overrides, "Configuration", false, configuration);

fn configuration(generator: &mut SchemaGenerator) -> Schema {
    let settings = generator.subschema_for::<SchedulerSettings>();
    let flavour = generator.subschema_for::<FlavourEntry>();
    let component = generator.subschema_for::<ComponentEntry>();
    let flavours = |about: &str| {
        json!({
            "type": ["array", "null"], "items": flavour, "minItems": 1, "maxItems": MAX_FLAVOURS,
            "description": format!("{about}. Kept as it is where the key is absent"),
        })
    };
    json_schema!({
        "type": "object",
        "description": "The whole desired configuration. The scheduler's keys stand flat, or under `scheduler`: then the flat ones are not read. Numbers may be strings that hold numbers, `null` is absent, unknown keys are ignored and named in the answer.",
        "properties": {
            "scheduler": {"anyOf": [settings, {"type": "null"}]},
            "flavours": flavours("The flavours, in order, names unique"),
            "strategies": flavours("The older word for `flavours`; where both stand they are the same"),
            "components": {
                "type": ["object", "null"],
                "description": "Scaled parts of the service, by name",
                "maxProperties": MAX_COMPONENTS,
                "patternProperties": {format!("^{LETTER}{{1,{MAX_WORD}}}$"): {"anyOf": [component, {"type": "null"}]}},
                "additionalProperties": {"type": "null"},
            },
        },
        "anyOf": [settings, {"required": ["scheduler"], "properties": {"scheduler": settings}}],
    })
}

schema!(Feedback, "FeedbackPost", false, feedback_post);

fn feedback_post(_: &mut SchemaGenerator) -> Schema {
    let by_flavour = |member: Schema, about: &str| {
        json_schema!({
            "type": ["object", "null"], "description": about,
            "maxProperties": MAX_COUNTED, "additionalProperties": member,
        })
    };
    let requests = || loose_whole(&ranges::REQUESTS, "");
    json_schema!({
        "type": "object",
        "description": "What a router served within a window. Unknown keys are ignored, and named in the answer.",
        "properties": {
            "window_seconds": with_default(loose(&ranges::FEEDBACK_WINDOW, "Length of the window"), json_number(DEFAULT_WINDOW)),
            "windowEnd": {
                "type": ["string", "null"], "format": "date-time", "minLength": 1, "maxLength": 64,
                "description": "First instant after the window; receipt where absent",
            },
            "total_requests": loose_whole(&ranges::REQUESTS, "The sum of flavour_counts, to be checked"),
            "flavour_counts": required(by_flavour(requests(), "Requests by flavour")),
            "flavour_precision": by_flavour(
                loose(&ranges::WIRE_PRECISION, ""),
                "Mean precision that those requests had in fact; each flavour is in flavour_counts",
            ),
            "flavour_energy_wh": by_flavour(
                loose(&ranges::ENERGY_WH, ""),
                "Mean energy that those requests took in fact, Wh per request; each flavour is in flavour_counts",
            ),
            "source": text(MAX_SOURCE, "Whose post it is"),
            "sequence": loose_whole(&ranges::SEQUENCE, "Which of the source's posts for this schedule, counted up by one: a repeat counts once"),
        },
        "required": ["flavour_counts"],
        "anyOf": [{"properties": {"sequence": {"type": "null"}}}, stands("source")],
    })
}

schema!(Manual, "Override", false, manual_override);

fn manual_override(_: &mut SchemaGenerator) -> Schema {
    let map = |about: &str| {
        json!({
            "type": "object", "description": about, "maxProperties": MAX_FLAVOURS,
            "additionalProperties": loose(&ranges::MANUAL_WEIGHT, ""),
            "not": {"additionalProperties": {"enum": [0, null]}},
        })
    };
    let list = |name: &str, about: &str| {
        let members = [
            (name, required(text(MAX_FLAVOUR_NAME, "Name of the flavour"))),
            ("weight", required(loose(&ranges::MANUAL_WEIGHT, "Its weight"))),
        ];
        let members: Map<String, Value> =
            members.into_iter().map(|(key, schema)| (key.into(), schema.into())).collect();
        json!({
            "type": "array", "description": about, "minItems": 1, "maxItems": MAX_FLAVOURS,
            "items": {"type": "object", "properties": members, "required": [name, "weight"]},
            "contains": {"properties": {"weight": {"not": {"const": 0}}}},
        })
    };
    let shapes = [
        ("flavourWeights", map("Weight by flavour, in any scale, not all 0")),
        ("weightsPerMille", map("The same, as a schedule has it; read where flavourWeights is absent")),
        (
            "flavours",
            list("name", "Flavours with weights, as a schedule has them; read where those before are absent"),
        ),
        ("strategies", list("name", "The same; read where those before are absent")),
        ("flavourRules", list("flavourName", "The same; read where those before are absent")),
    ];
    let read = shapes.iter().enumerate().map(|(at, (key, shape))| {
        let earlier = shapes.iter().take(at).map(|(key, _)| (String::from(*key), json!({"type": "null"})));
        let mut properties: Map<String, Value> = earlier.collect();
        properties.insert(String::from(*key), shape.clone());
        json!({"required": [key], "properties": properties})
    });
    let read: Vec<Value> = read.collect();
    json_schema!({
        "type": "object",
        "description": "Weights that hold for a while, whatever the policy says: flavourWeights, or another of a schedule's weight lists. So a whole schedule can be posted back. Keys that have no part in it are named in the answer.",
        "properties": {
            "ttlSeconds": loose(&ranges::MANUAL_TTL, "How long it holds; the schedule's validFor where absent"),
            "validFor": loose(&ranges::MANUAL_TTL, "The same; ttlSeconds goes first"),
            "reason": text(MAX_REASON, "Why, in the words of whoever sets it"),
        },
        "anyOf": read,
    })
}

schema!(Config, "EffectiveConfiguration", false, effective_configuration);

fn effective_configuration(generator: &mut SchemaGenerator) -> Schema {
    let source = generator.subschema_for::<Source>();
    let flavour = generator.subschema_for::<Flavour>();
    let component = generator.subschema_for::<Component>();
    let sourced = |about: &str, value: Value| {
        json!({
            "type": "object", "description": about,
            "properties": {"value": value, "source": source}, "required": ["source", "value"],
        })
    };
    let mut properties: Map<String, Value> = SETTINGS
        .iter()
        .map(|spec| (String::from(spec.key), sourced(spec.about, number(spec.range).into())))
        .collect();
    for (key, about, value) in [
        ("policy", "Name of the policy", json!({"type": "string"})),
        ("carbonTarget", "Which forecast to follow", json!({"type": "string"})),
        ("calibrate", "Whether decisions follow what feedback measured", json!({"type": "boolean"})),
        (
            "flavours",
            "The flavours",
            json!({"type": "array", "items": flavour, "minItems": 1, "maxItems": MAX_FLAVOURS}),
        ),
        (
            "components",
            "The scaled components, by name",
            json!({"type": "object", "additionalProperties": component, "maxProperties": MAX_COMPONENTS}),
        ),
    ] {
        properties.insert(key.into(), sourced(about, value));
    }
    let required: Vec<String> = properties.keys().cloned().collect();
    json_schema!({
        "type": "object",
        "description": "What is in force, each value with where it came from.",
        "properties": properties,
        "required": required,
    })
}
