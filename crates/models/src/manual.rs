//! A manual override: weights that hold for one validity window, whatever the policy says.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::flavour::{FlavourSet, MAX_FLAVOUR_NAME, MAX_FLAVOURS};
use crate::json;
use crate::problem::{Problems, pointer};
use crate::ranges;

/// Longest reason, in bytes.
pub const MAX_REASON: usize = 1_024;

/// What somebody wants published for a while.
///
/// Written down it is the body of an override, and is checked like one when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Map<String, Value>", try_from = "Map<String, Value>")]
pub struct Manual {
    /// Weight by flavour, in any scale; a flavour without one gets none.
    pub weights: Vec<(Arc<str>, f64)>,
    /// Where each weight stood in the body, for messages.
    pointers: Vec<String>,
    /// How long it holds, seconds, in [1, 86 400]; the schedule's `validFor` where absent.
    pub ttl_seconds: Option<f64>,
    /// Why, in the words of whoever sets it.
    pub reason: Option<Arc<str>>,
    /// Keys of the body that had no part in this; `flavours/0/precision` is one inside a list.
    pub ignored: Vec<String>,
}

impl Manual {
    /// The body of an override: `flavourWeights`, or one of the schedule's other weight lists; the first of
    /// them that stands is read. A whole schedule may be posted back: [`ignored`](Self::ignored) names the rest.
    ///
    /// # Errors
    ///
    /// [`Problems`] with every bad field at once; nothing is to be applied then.
    pub fn from_json(body: &Map<String, Value>) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let mut manual = Self {
            weights: Vec::new(),
            pointers: Vec::new(),
            ttl_seconds: None,
            reason: None,
            ignored: Vec::new(),
        };
        let stands = |key: &str| body.get(key).filter(|value| !value.is_null());
        let mut read = "flavourWeights";
        if let Some((key, value)) =
            ["flavourWeights", "weightsPerMille"].into_iter().find_map(|key| Some((key, stands(key)?)))
        {
            read = key;
            manual.weight_map(key, value, &mut problems);
        } else if let Some((key, name, value)) =
            [("flavours", "name"), ("strategies", "name"), ("flavourRules", "flavourName")]
                .into_iter()
                .find_map(|(key, name)| Some((key, name, stands(key)?)))
        {
            read = key;
            manual.weight_list(key, name, value, &mut problems);
        } else {
            problems.push(
                "/flavourWeights",
                "missing: expected an object of weights by flavour (or weightsPerMille, or a list flavours, strategies or flavourRules)",
            );
        }
        if problems.is_empty() && manual.weights.iter().all(|(_, weight)| *weight == 0.0) {
            problems.push(pointer("", read), "every weight is 0: expected at least one above 0");
        }
        for key in ["validFor", "ttlSeconds"] {
            if let Some(value) = stands(key) {
                manual.ttl_seconds =
                    problems.note(&pointer("", key), json::number(value, &ranges::MANUAL_TTL));
            }
        }
        if let Some(value) = stands("reason") {
            let reason = problems.note("/reason", json::text(value, "reason", MAX_REASON));
            manual.reason = reason.map(Into::into);
        }
        let used = [read, "validFor", "ttlSeconds", "reason"];
        let rest = json::present(body).filter(|(key, _)| !used.contains(&key.as_str()));
        manual.ignored.extend(rest.map(|(key, _)| json::ignored_name("", key)));
        problems.or(manual)
    }

    /// The body of an override that says the same.
    pub fn to_json(&self) -> Map<String, Value> {
        let weights = self.weights.iter().map(|(name, weight)| (String::from(&**name), json!(weight)));
        let mut body = Map::new();
        body.insert("flavourWeights".into(), Value::Object(weights.collect()));
        if let Some(seconds) = self.ttl_seconds {
            body.insert("ttlSeconds".into(), json!(seconds));
        }
        if let Some(reason) = &self.reason {
            body.insert("reason".into(), json!(reason));
        }
        body
    }

    /// The share of each flavour of `flavours`, in their order, summing to 1.
    ///
    /// # Errors
    ///
    /// [`Problems`]: a weight for a flavour that is unknown, or one above 0 for a disabled one.
    pub fn shares(&self, flavours: &FlavourSet) -> Result<Vec<f64>, Problems> {
        let mut problems = Problems::new();
        for ((name, weight), at) in self.weights.iter().zip(&self.pointers) {
            match flavours.named(name) {
                None => {
                    let known: Vec<&str> = flavours.enabled().map(|flavour| &*flavour.name).collect();
                    let known = known.join(", ");
                    let name = json::excerpt(name);
                    problems.push(
                        at.as_str(),
                        format_args!("`{name}` is not a flavour here: expected one of {known}"),
                    );
                }
                Some(flavour) if !flavour.enabled && *weight > 0.0 => {
                    problems
                        .push(at.as_str(), format_args!("`{name}` is disabled: expected an enabled flavour"));
                }
                Some(_) => {}
            }
        }
        let total: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let weight_of =
            |name: &str| self.weights.iter().find(|(other, _)| &**other == name).map_or(0.0, |w| w.1);
        problems.or(flavours.iter().map(|flavour| weight_of(&flavour.name) / total).collect())
    }

    fn weight_map(&mut self, key: &str, value: &Value, problems: &mut Problems) {
        let base = pointer("", key);
        let Some(object) = json::object(value, &base, problems) else {
            return;
        };
        if object.len() > MAX_FLAVOURS {
            problems.push(base, format_args!("{} weights: expected at most {MAX_FLAVOURS}", object.len()));
            return;
        }
        for (name, value) in json::present(object) {
            self.weight(name, value, pointer(&base, name), problems);
        }
    }

    fn weight_list(&mut self, key: &str, name_key: &str, value: &Value, problems: &mut Problems) {
        let base = pointer("", key);
        let Some(items) = json::list(value, &base, problems) else {
            return;
        };
        if items.len() > MAX_FLAVOURS {
            problems.push(base, format_args!("{} weights: expected at most {MAX_FLAVOURS}", items.len()));
            return;
        }
        for (index, item) in items.iter().enumerate() {
            let at = pointer(&base, index);
            let Some(item) = json::object(item, &at, problems) else {
                continue;
            };
            let name = item.get(name_key).unwrap_or(&Value::Null);
            let name_at = pointer(&at, name_key);
            let Some(name) = problems.note(&name_at, json::text(name, "flavour name", MAX_FLAVOUR_NAME))
            else {
                continue;
            };
            if self.weights.iter().any(|(other, _)| &**other == name) {
                problems.push(name_at, format_args!("`{name}` stands twice: expected each flavour once"));
                continue;
            }
            let rest = json::present(item).filter(|(key, _)| ![name_key, "weight"].contains(&key.as_str()));
            self.ignored.extend(rest.map(|(key, _)| json::ignored_name(&at, key)));
            let weight = item.get("weight").unwrap_or(&Value::Null);
            self.weight(name, weight, pointer(&at, "weight"), problems);
        }
    }

    fn weight(&mut self, name: &str, value: &Value, at: String, problems: &mut Problems) {
        if let Some(weight) = problems.note(&at, json::number(value, &ranges::MANUAL_WEIGHT)) {
            self.weights.push((name.into(), weight));
            self.pointers.push(at);
        }
    }
}

impl From<Manual> for Map<String, Value> {
    fn from(manual: Manual) -> Self {
        manual.to_json()
    }
}

impl TryFrom<Map<String, Value>> for Manual {
    type Error = Problems;

    fn try_from(body: Map<String, Value>) -> Result<Self, Problems> {
        Self::from_json(&body)
    }
}
