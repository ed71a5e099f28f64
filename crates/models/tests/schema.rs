//! The schemas of bodies and the parsers of bodies say the same, as far as a schema can say it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the finding")]

use boon::{Compiler, SchemaIndex, Schemas};
use models::config::{MAX_COMPONENTS, MAX_WORD};
use models::feedback::{MAX_COUNTED, MAX_SOURCE};
use models::flavour::MAX_FLAVOURS;
use models::forecast::MAX_CARBON_TARGET;
use models::manual::MAX_REASON;
use models::ranges::{self, Range};
use models::{Feedback, Manual, Overrides, Problems, SETTINGS, ScheduleId};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// A schema that can be asked.
struct Asked {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Asked {
    fn of<T: JsonSchema>() -> Self {
        Self::by(SchemaSettings::draft2020_12(), SchemaGenerator::into_root_schema_for::<T>)
    }

    fn by(settings: SchemaSettings, root: impl FnOnce(SchemaGenerator) -> Schema) -> Self {
        let schema = root(settings.into_generator());
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("urn:asked", schema.into()).unwrap();
        let index = compiler.compile("urn:asked", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn refusal(&self, body: &Value) -> Option<String> {
        self.schemas.validate(body, self.index).err().map(|error| format!("{error:#}"))
    }
}

/// What a schema cannot say: what two members say together, and how long a text is in bytes.
const BEYOND: [&str; 7] = [
    "is the name of flavour",
    "differs from /strategies",
    "expected min <= max",
    "is not the sum of",
    "expected a flavour of flavour_counts",
    "stands twice",
    "is not an instant",
];

/// The schema refuses nothing that is read, and what it accepts is read, unless a text is why not.
fn agree(
    asked: &Asked,
    body: &Value,
    changed: &Value,
    read: &Result<(), Problems>,
) -> Result<(), TestCaseError> {
    match (asked.refusal(body), read) {
        (None, Ok(())) | (Some(_), Err(_)) => Ok(()),
        (Some(refusal), Ok(())) => {
            Err(TestCaseError::fail(format!("read, but refused by the schema: {body}\n{refusal}")))
        }
        (None, Err(problems)) => {
            let beyond = |problem: &str| BEYOND.iter().any(|words| problem.contains(words));
            let said = has_text(changed) || problems.iter().all(|field| beyond(&field.problem));
            prop_assert!(said, "accepted by the schema, but not read: {body}\n{problems}");
            Ok(())
        }
    }
}

/// Whether a string that is a value stands in it.
fn has_text(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(items) => items.iter().any(has_text),
        Value::Object(members) => members.values().any(has_text),
        _ => false,
    }
}

const OTHER_RANGES: [&Range; 8] = [
    &ranges::WIRE_PRECISION,
    &ranges::FLAVOUR_CARBON,
    &ranges::REPLICAS,
    &ranges::FEEDBACK_WINDOW,
    &ranges::REQUESTS,
    &ranges::SEQUENCE,
    &ranges::MANUAL_WEIGHT,
    &ranges::MANUAL_TTL,
];

/// Numbers at and beside every bound there is.
fn number() -> impl Strategy<Value = f64> {
    let ranges = SETTINGS.iter().map(|spec| spec.range).chain(OTHER_RANGES);
    let bounds: Vec<f64> = ranges
        .flat_map(|range| [range.low, range.high])
        .flat_map(|bound| [bound, bound.next_up(), bound.next_down(), bound + 1.0, bound - 1.0, bound / 2.0])
        .filter(|bound| bound.is_finite())
        .collect();
    prop_oneof![select(bounds), -2.0..2.0, any::<i32>().prop_map(f64::from)]
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        number().prop_map(|number| number.to_string()),
        select(vec![
            "", " 1 ", "1.", ".5", "+1", "-", ".", "1e0", "e1", "1 2", "0x1", "inf", "NaN", "infinity"
        ])
        .prop_map(String::from),
        select(vec!["true", " FALSE ", "tru", "yes", "2026-11-23T15:17:06Z", "now"]).prop_map(String::from),
        "[a-zé]{0,3}",
        (select(vec![1_usize, 62, 63, 64, 127, 128, 129, 252, 253, 254, 1023, 1024, 1025]))
            .prop_map(|length| "x".repeat(length)),
        select(vec!["a\u{0}", "\n", "\u{7f}", "\u{9f}b", "\u{a0}", "é\u{301}"]).prop_map(String::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let lists = select(vec![0_usize, 1, 2, 63, 64, 65, 257]);
    leaf.prop_recursive(2, 8, 3, move |inner| {
        let members = (lists.clone(), inner.clone()).prop_map(|(length, value)| {
            Value::Object((0..length).map(|index| (format!("m{index}"), value.clone())).collect())
        });
        let items =
            (lists.clone(), inner.clone()).prop_map(|(length, value)| Value::Array(vec![value; length]));
        prop_oneof![
            members,
            items,
            proptest::collection::btree_map(key(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A key that is looked for somewhere, or any.
fn key() -> impl Strategy<Value = String> {
    const KEYS: [&str; 30] = [
        "scheduler",
        "strategies",
        "flavours",
        "components",
        "policy",
        "carbonTarget",
        "calibrate",
        "name",
        "precision",
        "carbonIntensity",
        "carbon_intensity",
        "energyWh",
        "enabled",
        "annotations",
        "minReplicas",
        "maxReplicas",
        "flavourWeights",
        "weightsPerMille",
        "flavourRules",
        "flavourName",
        "weight",
        "ttlSeconds",
        "reason",
        "flavour_counts",
        "flavour_precision",
        "flavour_energy_wh",
        "total_requests",
        "window_seconds",
        "source",
        "sequence",
    ];
    let known: Vec<&str> = KEYS.into_iter().chain(SETTINGS.iter().map(|spec| spec.key)).collect();
    prop_oneof![9 => select(known).prop_map(String::from), 1 => "[a-z]{0,2}|\u{1}|x{63}|x{64}"]
}

/// Every place in a document that holds a value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| places(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// What is done to one place of a body.
#[derive(Debug, Clone)]
enum Change {
    Replace(Value),
    Remove,
    Add(String, Value),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => value().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        4 => (key(), value()).prop_map(|(key, value)| Change::Add(key, value)),
    ]
}

/// `body` with one place of it changed, and what stands there now.
fn changed(mut body: Value, place: Index, change: Change) -> (Map<String, Value>, Value) {
    let mut all = Vec::new();
    places(&body, "", &mut all);
    let place = place.get(&all).clone();
    let mut now = Value::Null;
    match change {
        Change::Replace(value) if !place.is_empty() => {
            now.clone_from(&value);
            *body.pointer_mut(&place).unwrap() = value;
        }
        Change::Add(key, value) => {
            if let Value::Object(members) = body.pointer_mut(&place).unwrap() {
                now.clone_from(&value);
                members.insert(key, value);
            }
        }
        Change::Remove if !place.is_empty() => {
            let (parent, last) = place.rsplit_once('/').unwrap();
            match body.pointer_mut(parent).unwrap() {
                Value::Object(members) => drop(members.remove(last)),
                Value::Array(items) => drop(items.remove(last.parse().unwrap())),
                other => panic!("{other} has no members"),
            }
        }
        Change::Replace(_) | Change::Remove => {}
    }
    let Value::Object(body) = body else { panic!("a body is an object") };
    (body, now)
}

fn puts() -> Vec<Value> {
    let flavours = json!([
        {"name": "large", "precision": 1, "carbonIntensity": 2.5, "energyWh": "2.9", "annotations": {"a": 1}},
        {"precision": "85", "carbon_intensity": 0.5, "enabled": "true"},
    ]);
    let settings: Map<String, Value> =
        SETTINGS.iter().map(|spec| (spec.key.to_owned(), json!(spec.default))).collect();
    let mut flat = settings.clone();
    flat.insert("policy".into(), json!("p100"));
    flat.insert("calibrate".into(), json!(true));
    flat.insert("flavours".into(), flavours.clone());
    flat.insert("components".into(), json!({"router": {"minReplicas": 1, "maxReplicas": "15"}, "x": null}));
    vec![
        Value::Object(flat),
        json!({"scheduler": settings, "strategies": flavours, "targetError": 7}),
        json!({"scheduler": null, "carbonTarget": "region:13"}),
    ]
}

fn posts() -> Vec<Value> {
    vec![
        json!({"flavour_counts": {"a": 1, "b": "2", "c": null}, "window_seconds": 30, "total_requests": 3,
               "windowEnd": "2026-11-23T15:16:30Z", "source": "router", "sequence": 41,
               "flavour_precision": {"a": 0.9}, "flavour_energy_wh": {"b": 2.9}}),
        json!({"flavour_counts": {}}),
    ]
}

fn overrides() -> Vec<Value> {
    let list = json!([{"name": "a", "weight": 1, "precision": 100}, {"name": "b", "weight": 0}]);
    vec![
        json!({"flavourWeights": {"a": 3, "b": "1", "c": null}, "ttlSeconds": 300, "reason": "incident 42"}),
        json!({"weightsPerMille": {"a": 1000}, "flavours": 1, "validFor": "60"}),
        json!({"flavours": list, "strategies": []}),
        json!({"strategies": list}),
        json!({"flavourRules": [{"flavourName": "a", "weight": 100}]}),
    ]
}

fn read_put(body: &Map<String, Value>) -> Result<(), Problems> {
    Overrides::from_json(body).map(|_| ())
}

fn read_post(body: &Map<String, Value>) -> Result<(), Problems> {
    Feedback::from_json(body).map(|_| ())
}

fn read_override(body: &Map<String, Value>) -> Result<(), Problems> {
    Manual::from_json(body).map(|_| ())
}

type Read = fn(&Map<String, Value>) -> Result<(), Problems>;

fn bodies() -> [(Asked, Read, Vec<Value>); 3] {
    [
        (Asked::of::<Overrides>(), read_put, puts()),
        (Asked::of::<Feedback>(), read_post, posts()),
        (Asked::of::<Manual>(), read_override, overrides()),
    ]
}

#[test]
fn what_is_read_is_accepted_also_with_one_thing_changed() {
    let bodies = bodies();
    for (asked, read, all) in &bodies {
        for body in all {
            read(body.as_object().unwrap()).unwrap();
            assert_eq!(asked.refusal(body), None, "{body}");
        }
    }
    let strategy = (0..bodies.len(), any::<Index>(), any::<Index>(), change());
    let cases = ProptestConfig::default().cases.max(2_000);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((which, base, place, change) in strategy)| {
        let (asked, read, all) = &bodies[which];
        let (body, now) = changed(base.get(all).clone(), place, change);
        agree(asked, &Value::Object(body.clone()), &now, &read(&body))?;
    });
}

#[test]
fn each_bound_of_each_setting_is_the_tables() {
    let asked = Asked::of::<Overrides>();
    for spec in &SETTINGS {
        for bound in [spec.range.low, spec.range.high] {
            for value in
                [bound.next_down(), bound, bound.next_up()].into_iter().filter(|value| value.is_finite())
            {
                let body = json!({spec.key: value});
                assert_eq!(asked.refusal(&body).is_none(), spec.range.contains(value), "{body}");
            }
        }
    }
}

#[test]
fn each_bound_of_each_length_is_the_parsers() {
    let [put, post, manual] = bodies().map(|(asked, read, _)| (asked, read));
    let many = |count: usize, value: Value| -> Value {
        (0..count).map(|index| (format!("m{index}"), value.clone())).collect::<Map<_, _>>().into()
    };
    let listed = |count: usize| -> Value {
        (0..count).map(|index| json!({"name": format!("m{index}"), "precision": 1, "weight": 1})).collect()
    };
    let long = |length: usize| "x".repeat(length);
    let judge = |(asked, read): &(Asked, Read), body: &Value, fits: bool| {
        assert_eq!(asked.refusal(body).is_none(), fits, "the schema of {body}");
        assert_eq!(read(body.as_object().unwrap()).is_ok(), fits, "the parser of {body}");
    };
    let at_most = |of: &(Asked, Read), most: usize, body: &dyn Fn(usize) -> Value| {
        judge(of, &body(most), true);
        judge(of, &body(most + 1), false);
    };
    at_most(&put, MAX_COMPONENTS, &|count| json!({"components": many(count, json!({}))}));
    at_most(&put, MAX_WORD, &|length| json!({"components": {long(length): {}}}));
    at_most(&put, MAX_FLAVOURS, &|count| json!({"flavours": listed(count)}));
    judge(&put, &json!({"strategies": []}), false);
    at_most(&put, MAX_WORD, &|length| json!({"policy": long(length)}));
    at_most(&put, MAX_CARBON_TARGET, &|length| json!({"carbonTarget": long(length)}));
    at_most(&post, MAX_COUNTED, &|count| json!({"flavour_counts": many(count, json!(1))}));
    at_most(&post, MAX_SOURCE, &|length| json!({"flavour_counts": {}, "source": long(length)}));
    at_most(&manual, MAX_FLAVOURS, &|count| json!({"flavourWeights": many(count, json!(1))}));
    at_most(&manual, MAX_FLAVOURS, &|count| json!({"flavours": listed(count)}));
    at_most(&manual, MAX_REASON, &|length| json!({"flavourWeights": {"a": 1}, "reason": long(length)}));
}

#[test]
fn names_are_as_their_schemas_say() {
    let asked = [models::schema::name(), models::schema::namespace()]
        .map(|schema| Asked::by(SchemaSettings::default(), |_| schema));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let part = prop_oneof![3 => "[a-z0-9]{1,3}", 1 => "-|\\.|_|A|é| |\n|/|\\.\\.", 1 => select(vec!["x".repeat(63), "y".repeat(126)])];
    let text = proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat());
    proptest!(config, |(text in text)| {
        let [name, namespace] = asked.each_ref().map(|asked| asked.refusal(&json!(text)).is_none());
        prop_assert_eq!(name, ScheduleId::new("a", &text).is_ok());
        prop_assert_eq!(namespace, ScheduleId::new(&text, "a").is_ok());
    });
}

#[test]
fn what_is_told_of_a_configuration_is_as_its_schema_says() {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let asked = Asked::by(settings, SchemaGenerator::into_root_schema_for::<models::Config>);
    for body in puts() {
        let put = Overrides::from_json(body.as_object().unwrap()).unwrap().overrides;
        let told = Value::Object(models::Config::resolve(&Overrides::default(), &put).to_json());
        assert_eq!(asked.refusal(&told), None, "{told}");
        assert!(asked.refusal(&json!({})).is_some());
    }
}
