//! What the server says of itself, asked: which operations there are, and whether an answer is as it is described.

use std::cell::RefCell;
use std::collections::BTreeMap;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Map, Value, json};

use crate::client::Answer;
use crate::server::Launch;

/// The description of the API.
pub(crate) struct Contract {
    pub(crate) document: Value,
    /// Judges what is taken.
    taken: RefCell<Judge>,
    /// Judges what is told, every object closed: what is not described may not be there.
    told: RefCell<Judge>,
}

/// Whether values are as schemas say.
struct Judge {
    compiler: Compiler,
    schemas: Schemas,
    known: BTreeMap<String, SchemaIndex>,
}

impl Judge {
    fn of(components: &Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource("urn:api", json!({"components": components})).unwrap();
        Self { compiler, schemas: Schemas::new(), known: BTreeMap::new() }
    }

    /// Why a value is not as its schema says.
    fn mismatch(&mut self, schema: &Value, value: &Value) -> Option<String> {
        let text = schema.to_string();
        let index = self.known.get(&text).copied().unwrap_or_else(|| {
            let place = format!("urn:schema:{}", self.known.len());
            let whole = text.replace("\"#/components", "\"urn:api#/components");
            self.compiler.add_resource(&place, serde_json::from_str(&whole).unwrap()).unwrap();
            self.compiler.compile(&place, &mut self.schemas).unwrap()
        });
        self.known.insert(text, index);
        self.schemas.validate(value, index).err().map(|error| format!("{error:#}"))
    }
}

/// One method of one path.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) item: Value,
    pub(crate) json: Value,
}

/// What to ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Contract {
    /// As the program prints it.
    pub(crate) fn read() -> Self {
        let output = Launch::bare().arg("openapi").run();
        assert!(output.status.success(), "{output:?}");
        Self::of(serde_json::from_slice(&output.stdout).unwrap())
    }

    fn of(document: Value) -> Self {
        let mut closed = document["components"].clone();
        closed["schemas"].as_object_mut().unwrap().values_mut().for_each(close);
        let taken = RefCell::new(Judge::of(&document["components"]));
        Self { document, taken, told: RefCell::new(Judge::of(&closed)) }
    }

    /// Every method of every path.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let paths =
            self.document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with('/'));
        let all = paths.flat_map(|(path, item)| {
            let methods = ["get", "head", "options", "put", "post", "delete", "patch", "trace"];
            let there = methods.into_iter().filter_map(|method| Some((method, item.get(method)?)));
            there.map(|(method, json)| Operation {
                path: path.clone(),
                method: method.to_uppercase(),
                item: item.clone(),
                json: json.clone(),
            })
        });
        all.collect()
    }

    /// The operation of that name.
    pub(crate) fn operation(&self, id: &str) -> Operation {
        self.operations().into_iter().find(|operation| operation.json["operationId"] == id).unwrap()
    }

    /// What a reference leads to.
    pub(crate) fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// Its parameters, those of its path too.
    pub(crate) fn parameters<'v>(&'v self, operation: &'v Operation) -> Vec<&'v Value> {
        let of_path = operation.item["parameters"].as_array().into_iter().flatten();
        let own = operation.json["parameters"].as_array().into_iter().flatten();
        of_path.chain(own).map(|parameter| self.resolve(parameter)).collect()
    }

    /// Its answers by status.
    pub(crate) fn answers<'v>(&'v self, operation: &'v Operation) -> BTreeMap<u16, &'v Value> {
        let answers = operation.json["responses"].as_object().unwrap().iter();
        answers.map(|(status, answer)| (status.parse().unwrap(), self.resolve(answer))).collect()
    }

    /// Why a body is none of those that are taken.
    pub(crate) fn refusal(&self, operation: &Operation, body: &Value) -> Option<String> {
        let schema = &operation.json["requestBody"]["content"]["application/json"]["schema"];
        self.taken.borrow_mut().mismatch(schema, body)
    }

    /// Why an answer is not as described.
    pub(crate) fn complaint(&self, operation: &Operation, answer: &Answer) -> Option<String> {
        match self.answers(operation).get(&answer.status) {
            None => Some(format!("{} is not described", answer.status)),
            Some(described) => self.complaint_about(described, answer, &operation.method),
        }
    }

    /// The same of an answer that is described `so`.
    pub(crate) fn complaint_about(&self, so: &Value, answer: &Answer, method: &str) -> Option<String> {
        let headers = so["headers"].as_object();
        let mut required =
            headers.into_iter().flatten().filter(|(_, header)| self.resolve(header)["required"] == true);
        let missing = required.find(|(name, _)| answer.field(&name.to_lowercase()).is_empty());
        if let Some((name, _)) = missing {
            return Some(format!("{name} is described, but not there"));
        }
        for name in ["etag", "retry-after", "allow", "www-authenticate", "deprecation", "link", "location"] {
            let described =
                headers.is_some_and(|headers| headers.keys().any(|key| key.eq_ignore_ascii_case(name)));
            if !described && !answer.field(name).is_empty() && method != "HEAD" {
                return Some(format!("{name} is there, but not described"));
            }
        }
        let content = so["content"].as_object().filter(|_| method != "HEAD");
        let Some((media, content)) = content.and_then(|content| content.iter().next()) else {
            return (!answer.body.is_empty()).then(|| "a body is there, but not described".to_owned());
        };
        let essence = answer.field("content-type").split(';').next().unwrap();
        if essence != media {
            return Some(format!("{media} is described, not {essence}"));
        }
        let value = if media.ends_with("json") { answer.json() } else { json!(answer.text()) };
        self.told.borrow_mut().mismatch(&content["schema"], &value)
    }

    /// Why an example of an answer is not as its schema says.
    pub(crate) fn bad_example(&self, schema: &Value, value: &Value) -> Option<String> {
        self.told.borrow_mut().mismatch(schema, value)
    }

    /// A request by the parameters' own examples, but for what `wanted` says: `path`, `query`, `headers`, `method`,
    /// `body` or `bodyBytes`.
    pub(crate) fn request(&self, operation: &Operation, wanted: &Value, body: Option<&Value>) -> Request {
        let (mut path, mut query) = (operation.path.clone(), Vec::new());
        for parameter in self.parameters(operation) {
            let name = parameter["name"].as_str().unwrap();
            let place = parameter["in"].as_str().unwrap();
            let said = wanted[place].get(name);
            if place == "path" {
                let value = said.unwrap_or(&parameter["example"]).as_str().unwrap().to_owned();
                path = path.replace(&format!("{{{name}}}"), &encoded(&value));
            } else if let Some(value) = said.filter(|_| place == "query") {
                let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                query.push(format!("{name}={}", encoded(&value)));
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let mut fields = BTreeMap::new();
        let body = match (wanted["bodyBytes"].as_u64(), wanted.get("body").or(body)) {
            (Some(length), _) => " ".repeat(usize::try_from(length).unwrap()),
            (None, Some(body)) => body.to_string(),
            (None, None) => String::new(),
        };
        if !body.is_empty() {
            fields.insert("Content-Type".to_owned(), "application/json".to_owned());
        }
        for (name, value) in wanted["headers"].as_object().into_iter().flatten() {
            fields.insert(name.clone(), value.as_str().unwrap().to_owned());
        }
        let method = wanted["method"].as_str().unwrap_or(&operation.method).to_owned();
        Request { method, path, fields: fields.into_iter().collect(), body }
    }
}

impl Request {
    /// Asks `client`.
    pub(crate) fn send(&self, client: &crate::client::Client) -> Answer {
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        client.send_with(&self.method, &self.path, &fields, &self.body)
    }
}

/// Percent-encodes what is not unreserved.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let letters = text
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    letters.collect()
}

/// Lets nothing into an object that is not described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            let is_object =
                members.get("type") == Some(&json!("object")) && members.contains_key("properties");
            if is_object && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".into(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Why `example` does not look like what really came: other keys, another kind of value, another sentence. Figures in
/// numbers and sentences may differ.
pub(crate) fn unlike(example: &Value, real: &Value, at: &str) -> Option<String> {
    match (example, real) {
        (Value::Object(one), Value::Object(two)) => {
            let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            if keys(one) != keys(two) {
                return Some(format!("{at}: {:?} is not {:?}", keys(one), keys(two)));
            }
            one.iter().find_map(|(key, value)| unlike(value, &two[key], &format!("{at}/{key}")))
        }
        (Value::Array(one), Value::Array(two)) => {
            if one.len() != two.len() {
                return Some(format!("{at}: {} items are not {}", one.len(), two.len()));
            }
            let pairs = one.iter().zip(two).enumerate();
            pairs
                .map(|(index, (one, two))| unlike(one, two, &format!("{at}/{index}")))
                .find_map(|found| found)
        }
        (Value::String(one), Value::String(two)) => {
            (without_figures(one) != without_figures(two)).then(|| format!("{at}: `{one}` is not `{two}`"))
        }
        (Value::Number(one), Value::Number(two)) if one.is_f64() == two.is_f64() => None,
        _ => (example != real).then(|| format!("{at}: {example} is not {real}")),
    }
}

fn without_figures(text: &str) -> String {
    let mut letters: Vec<char> =
        text.chars().map(|letter| if letter.is_ascii_digit() { '.' } else { letter }).collect();
    letters.dedup_by(|one, two| *one == '.' && *two == '.');
    letters.into_iter().collect()
}
