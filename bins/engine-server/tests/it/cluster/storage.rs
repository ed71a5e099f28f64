//! What the fake API server holds: objects of every kind, each with its versions and with who applied what.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::schema;

/// How much of the past a watch can begin in, unless it is compacted.
const REMEMBERED: usize = 50_000;

/// A resource of an API group, in a namespace, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// `group/version/resource`; the core group is empty.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Something that happened to an object.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) version: u64,
    pub(crate) kind: &'static str,
    pub(crate) key: Key,
    pub(crate) object: Arc<Value>,
    /// The labels it had before, where it was there: a selector may have chosen it by those.
    pub(crate) before: Option<Arc<Value>>,
}

/// An answer that is no success, as the API has it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) retry_after: u32,
}

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), retry_after: 0 }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": self.code,
            "reason": self.reason, "message": self.message, "details": {"retryAfterSeconds": self.retry_after},
        })
    }

    fn conflict(what: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled: {what}: the object has been modified; please apply your changes to the latest version and try again"
        );
        Self::new(409, "Conflict", message)
    }

    fn not_found(key: &Key) -> Self {
        Self::new(404, "NotFound", format!("{} \"{}\" not found", key.resource, key.name))
    }
}

#[derive(Default)]
struct Stored {
    object: Arc<Value>,
    /// What each manager applied to the status.
    applied: BTreeMap<String, Value>,
}

/// Everything.
pub(crate) struct Storage {
    objects: BTreeMap<Key, Stored>,
    version: u64,
    happened: VecDeque<Happened>,
    /// Watches cannot begin before this version.
    compacted: u64,
    /// Schemas of custom resources, by resource.
    pub(crate) schemas: BTreeMap<String, Value>,
    made: u64,
}

impl Storage {
    pub(crate) fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            version: 1_000,
            happened: VecDeque::new(),
            compacted: 0,
            schemas: BTreeMap::new(),
            made: 0,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn get(&self, key: &Key) -> Result<Arc<Value>, Failure> {
        self.objects.get(key).map(|stored| Arc::clone(&stored.object)).ok_or_else(|| Failure::not_found(key))
    }

    /// Objects of a resource, in a namespace or everywhere, in order.
    pub(crate) fn list(&self, resource: &str, namespace: &str) -> Vec<Arc<Value>> {
        let here = self.objects.iter().filter(|(key, _)| key.resource == resource);
        let here = here.filter(|(key, _)| namespace.is_empty() || key.namespace == namespace);
        here.map(|(_, stored)| Arc::clone(&stored.object)).collect()
    }

    /// What happened after `version`; a failure if that is forgotten.
    pub(crate) fn since(&self, version: u64) -> Result<Vec<Happened>, Failure> {
        if version < self.compacted {
            return Err(Failure::new(
                410,
                "Expired",
                format!("too old resource version: {version} ({})", self.compacted),
            ));
        }
        let from = self.happened.partition_point(|happened| happened.version <= version);
        Ok(self.happened.range(from..).cloned().collect())
    }

    /// Forgets the past.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.version;
        self.happened.clear();
    }

    pub(crate) fn create(&mut self, key: Key, mut object: Value) -> Result<Arc<Value>, Failure> {
        if self.objects.contains_key(&key) {
            return Err(Failure::new(
                409,
                "AlreadyExists",
                format!("{} \"{}\" already exists", key.resource, key.name),
            ));
        }
        check_size(&object)?;
        self.made += 1;
        let uid = format!("00000000-0000-4000-8000-{:012}", self.made);
        let now = Timestamp::now().to_string();
        if self.schemas.contains_key(&key.resource) {
            // A status is written by its own door.
            object.as_object_mut().unwrap().remove("status");
        }
        let meta = object["metadata"].as_object_mut().unwrap();
        meta.insert("name".into(), key.name.as_str().into());
        if !key.namespace.is_empty() {
            meta.insert("namespace".into(), key.namespace.as_str().into());
        }
        meta.insert("uid".into(), uid.into());
        meta.insert("generation".into(), 1.into());
        meta.insert("creationTimestamp".into(), now.into());
        self.admit(&key, &mut object)?;
        Ok(self.put(key, object, "ADDED"))
    }

    /// Replaces or merges; `status` is the door, `managed` the manager of an apply.
    pub(crate) fn change(&mut self, key: &Key, change: Change) -> Result<Arc<Value>, Failure> {
        let Some(stored) = self.objects.get(key) else {
            return match change {
                Change::Apply { patch, is_status: false, .. } => self.create(key.clone(), patch),
                _ => Err(Failure::not_found(key)),
            };
        };
        let before = Arc::clone(&stored.object);
        let mut applied = stored.applied.clone();
        let given = change.given();
        for field in ["resourceVersion", "uid"] {
            let asked = given["metadata"][field].as_str().filter(|asked| !asked.is_empty());
            if asked.is_some_and(|asked| before["metadata"][field] != asked) {
                return Err(Failure::conflict(&format!("{} \"{}\"", key.resource, key.name)));
            }
        }
        let mut after = (*before).clone();
        match change {
            Change::Replace { object, is_status: true } => {
                // Whoever replaces all of it leaves nobody anything.
                applied.clear();
                after["status"] = object["status"].clone();
            }
            Change::Replace { object, is_status: false } => replace_but_status(&mut after, object),
            Change::Merge { patch, is_status: true } => {
                applied.clear();
                let mut status = json!({"status": after["status"]});
                merge(&mut status, &json!({"status": patch["status"]}));
                after["status"] = status["status"].take();
            }
            Change::Apply { patch, manager, is_status: true } => {
                let wanted = patch.get("status").cloned().unwrap_or_default();
                for (other, theirs) in &mut applied {
                    if *other != manager {
                        subtract(theirs, &wanted);
                    }
                }
                applied.insert(manager, wanted);
                after["status"] = applied.values().fold(json!({}), |mut status, part| {
                    overlay(&mut status, part);
                    status
                });
            }
            Change::Merge { mut patch, is_status: false }
            | Change::Apply { mut patch, is_status: false, .. } => {
                patch.as_object_mut().unwrap().remove("status");
                merge(&mut after, &patch);
            }
        }
        self.admit(key, &mut after)?;
        self.objects.get_mut(key).unwrap().applied = applied;
        if after == *before {
            return Ok(before);
        }
        if after["spec"] != before["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
            after["metadata"]["generation"] = generation.into();
        }
        Ok(self.put(key.clone(), after, "MODIFIED"))
    }

    pub(crate) fn delete(&mut self, key: &Key) -> Result<Arc<Value>, Failure> {
        let Stored { object, .. } = self.objects.remove(key).ok_or_else(|| Failure::not_found(key))?;
        self.version += 1;
        let mut last = (*object).clone();
        last["metadata"]["resourceVersion"] = self.version.to_string().into();
        let last = Arc::new(last);
        self.tell("DELETED", key.clone(), Arc::clone(&last), Some(object));
        Ok(last)
    }

    /// What the schema says to it: what is unknown is lost without a word, what is wrong is refused.
    fn admit(&self, key: &Key, object: &mut Value) -> Result<(), Failure> {
        let Some(schema) = self.schemas.get(&key.resource) else { return Ok(()) };
        let wrong = schema::admit(schema, object);
        if wrong.is_empty() {
            return Ok(());
        }
        let message = format!("TrafficSchedule \"{}\" is invalid: {}", key.name, wrong.join(", "));
        Err(Failure::new(422, "Invalid", message))
    }

    fn put(&mut self, key: Key, mut object: Value, kind: &'static str) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        let stored = self.objects.entry(key.clone()).or_default();
        let before = std::mem::replace(&mut stored.object, Arc::clone(&object));
        let before = (kind != "ADDED").then_some(before);
        self.tell(kind, key, Arc::clone(&object), before);
        object
    }

    fn tell(&mut self, kind: &'static str, key: Key, object: Arc<Value>, before: Option<Arc<Value>>) {
        self.happened.push_back(Happened { version: self.version, kind, key, object, before });
        if self.happened.len() > REMEMBERED {
            self.compacted = self.happened.pop_front().unwrap().version;
        }
    }
}

/// A real one keeps no more in an object, and takes no labels with other letters.
fn check_size(object: &Value) -> Result<(), Failure> {
    let values = ["data", "binaryData"].into_iter().filter_map(|field| object[field].as_object());
    let bytes: usize = values.flat_map(Map::values).filter_map(Value::as_str).map(str::len).sum();
    // Binary data is written with four letters for three bytes.
    if bytes > (1 << 20) / 3 * 4 {
        return Err(Failure::new(
            422,
            "Invalid",
            format!("Too long: may not be more than {} bytes", 1 << 20),
        ));
    }
    for label in object["metadata"]["labels"].as_object().into_iter().flat_map(Map::values) {
        let value = label.as_str().unwrap_or_default();
        let is_right = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if value.len() > 63 || !value.chars().all(is_right) {
            return Err(Failure::new(
                422,
                "Invalid",
                format!("{value}: a valid label must consist of alphanumeric characters"),
            ));
        }
    }
    Ok(())
}

/// How an object is changed.
pub(crate) enum Change {
    Replace { object: Value, is_status: bool },
    Merge { patch: Value, is_status: bool },
    Apply { patch: Value, manager: String, is_status: bool },
}

impl Change {
    fn given(&self) -> &Value {
        match self {
            Self::Replace { object, .. } => object,
            Self::Merge { patch, .. } | Self::Apply { patch, .. } => patch,
        }
    }
}

fn replace_but_status(after: &mut Value, mut object: Value) {
    for field in ["uid", "generation", "creationTimestamp", "resourceVersion"] {
        object["metadata"][field] = after["metadata"][field].clone();
    }
    if let Some(status) = after.get("status") {
        object["status"] = status.clone();
    }
    *after = object;
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What one manager applied over what others did: maps field by field, conditions by type, other lists whole.
fn overlay(target: &mut Value, part: &Value) {
    match (target, part) {
        (Value::Object(target), Value::Object(part)) => {
            for (key, value) in part {
                overlay(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(target), Value::Array(part)) if part.iter().all(|one| one.get("type").is_some()) => {
            for one in part {
                target.retain(|other| other["type"] != one["type"]);
                target.push(one.clone());
            }
        }
        (target, part) => *target = part.clone(),
    }
}

/// Takes from one manager what another one applies by force.
fn subtract(theirs: &mut Value, taken: &Value) {
    match (theirs, taken) {
        (Value::Object(theirs), Value::Object(taken)) => {
            for (key, value) in taken {
                let is_map = value.is_object();
                let is_conditions = key == "conditions";
                if let Some(own) = theirs.get_mut(key).filter(|_| is_map || is_conditions) {
                    subtract(own, value);
                } else {
                    theirs.remove(key);
                }
            }
        }
        (Value::Array(theirs), Value::Array(taken)) => {
            theirs.retain(|own| taken.iter().all(|one| one["type"] != own["type"]));
        }
        _ => {}
    }
}
