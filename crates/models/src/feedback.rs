//! What was served: the body of a feedback post.

use alloc::string::String;
use alloc::vec::Vec;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::json;
use crate::problem::{Problems, pointer};
use crate::ranges;
use crate::units::Precision;

/// Most flavours counted in one post: every flavour in force and a generation of retired ones.
pub const MAX_COUNTED: usize = 256;
/// Longest name of a source, in bytes: a pod's name and what tells its starts apart.
pub const MAX_SOURCE: usize = 128;
/// Length of the window where a post does not say, in seconds: the origin's router's default.
pub const DEFAULT_WINDOW: f64 = 30.0;

/// Requests served per flavour within one window.
///
/// Written down it is the body of a post, and is checked like one when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Map<String, Value>", try_from = "Map<String, Value>")]
pub struct Feedback {
    /// Length of the window, seconds, in (0, 86 400].
    pub window_seconds: f64,
    /// First instant after the window; receipt where absent.
    pub window_end: Option<Timestamp>,
    /// Requests by flavour, in the order of the names.
    pub counts: Vec<(String, u64)>,
    /// Mean precision that those requests had in fact, by flavour; what is configured where absent.
    pub precision: Vec<(String, Precision)>,
    /// Mean energy that those requests took in fact, Wh per request, by flavour; >= 0.
    pub energy_wh: Vec<(String, f64)>,
    /// Who says so; nobody in particular where absent.
    pub sender: Option<Sender>,
}

/// Who posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// A name that no other router has, and that this one does not take again when it starts to count anew;
    /// 1 to [`MAX_SOURCE`] bytes.
    pub source: String,
    /// Which of the source's posts this is, counted upwards one by one, below 2^53: of several posts with the
    /// same number one is counted. Without it every post is.
    pub sequence: Option<u64>,
}

impl Default for Feedback {
    /// Nothing served, within [`DEFAULT_WINDOW`], by nobody in particular.
    fn default() -> Self {
        Self {
            window_seconds: DEFAULT_WINDOW,
            window_end: None,
            counts: Vec::new(),
            precision: Vec::new(),
            energy_wh: Vec::new(),
            sender: None,
        }
    }
}

impl Feedback {
    /// Requests over all flavours. Each count is below 2^53 and there are at most [`MAX_COUNTED`].
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The precision that the requests of a flavour had, where this says.
    pub fn precision_of(&self, flavour: &str) -> Option<Precision> {
        said(&self.precision, flavour)
    }

    /// The energy that the requests of a flavour took, Wh per request, where this says.
    pub fn energy_wh_of(&self, flavour: &str) -> Option<f64> {
        said(&self.energy_wh, flavour)
    }

    /// The body of a post, and the keys nobody here knows.
    ///
    /// # Errors
    ///
    /// [`Problems`] with every bad field at once; nothing is to be counted then.
    pub fn from_json(body: &Map<String, Value>) -> Result<(Self, Vec<String>), Problems> {
        let mut problems = Problems::new();
        let mut ignored = Vec::new();
        let mut feedback = Self::default();
        let (mut total, mut source, mut sequence) = (None, None, None);
        for (key, value) in json::present(body) {
            let at = pointer("", key);
            match key.as_str() {
                "window_seconds" => {
                    let window = problems.note(&at, json::number(value, &ranges::FEEDBACK_WINDOW));
                    feedback.window_seconds = window.unwrap_or(DEFAULT_WINDOW);
                }
                "windowEnd" => feedback.window_end = problems.note(&at, instant(value)),
                "total_requests" => {
                    total = problems.note(&at, json::whole_number(value, &ranges::REQUESTS));
                }
                "flavour_counts" => {
                    let count = |value: &Value| json::whole_number(value, &ranges::REQUESTS);
                    feedback.counts = by_flavour(value, &at, &mut problems, count);
                }
                "flavour_precision" => {
                    feedback.precision = by_flavour(value, &at, &mut problems, precision);
                }
                "flavour_energy_wh" => {
                    let energy = |value: &Value| json::number(value, &ranges::ENERGY_WH);
                    feedback.energy_wh = by_flavour(value, &at, &mut problems, energy);
                }
                "source" => source = problems.note(&at, json::text(value, "source", MAX_SOURCE)),
                "sequence" => {
                    sequence = problems.note(&at, json::whole_number(value, &ranges::SEQUENCE));
                }
                _ => ignored.push(json::ignored_name("", key)),
            }
        }
        if absent(body, "flavour_counts") {
            problems.push("/flavour_counts", "missing: expected an object of requests by flavour");
        }
        let measured = feedback.precision.iter().map(|(name, _)| ("/flavour_precision", name));
        for (at, name) in
            measured.chain(feedback.energy_wh.iter().map(|(name, _)| ("/flavour_energy_wh", name)))
        {
            // A mean without the requests it is the mean of says nothing. A count that is no number is named.
            let counts = body.get("flavour_counts").and_then(Value::as_object);
            if counts.is_some_and(|counts| absent(counts, name)) {
                problems.push(
                    pointer(at, name),
                    format_args!(
                        "no requests of `{}`: expected a flavour of flavour_counts",
                        json::excerpt(name)
                    ),
                );
            }
        }
        if !absent(body, "sequence") && absent(body, "source") {
            // Two routers that number their posts alike would pass for one that repeats itself.
            problems
                .push("/source", "missing: a sequence is counted per source, whose name is expected here");
        }
        feedback.sender = source.map(|source| Sender { source: source.into(), sequence });
        if let Some(total) = total.filter(|_| problems.is_empty()) {
            let sum = feedback.total();
            if total != sum {
                problems
                    .push("/total_requests", format_args!("{total} is not the sum of flavour_counts, {sum}"));
            }
        }
        problems.or((feedback, ignored))
    }

    /// The body of a post that says the same.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("window_seconds".into(), json!(self.window_seconds));
        if let Some(end) = self.window_end {
            body.insert("windowEnd".into(), json!(end));
        }
        body.insert("flavour_counts".into(), members(&self.counts));
        if !self.precision.is_empty() {
            body.insert("flavour_precision".into(), members(&self.precision));
        }
        if !self.energy_wh.is_empty() {
            body.insert("flavour_energy_wh".into(), members(&self.energy_wh));
        }
        if let Some(sender) = &self.sender {
            body.insert("source".into(), json!(sender.source));
            if let Some(sequence) = sender.sequence {
                body.insert("sequence".into(), json!(sequence));
            }
        }
        body
    }
}

impl From<Feedback> for Map<String, Value> {
    fn from(feedback: Feedback) -> Self {
        feedback.to_json()
    }
}

impl TryFrom<Map<String, Value>> for Feedback {
    type Error = Problems;

    fn try_from(body: Map<String, Value>) -> Result<Self, Problems> {
        Self::from_json(&body).map(|(feedback, _)| feedback)
    }
}

fn members<T: Serialize>(by_flavour: &[(String, T)]) -> Value {
    Value::Object(by_flavour.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
}

fn absent(body: &Map<String, Value>, key: &str) -> bool {
    body.get(key).is_none_or(Value::is_null)
}

fn instant(value: &Value) -> Result<Timestamp, String> {
    let text = json::text(value, "instant", 64)?;
    text.parse().map_err(|_| {
        alloc::format!(
            "`{}` is not an instant: expected RFC 3339, e.g. 2026-11-23T15:17:06Z",
            json::excerpt(text)
        )
    })
}

fn precision(value: &Value) -> Result<Precision, String> {
    let number = json::number(value, &ranges::WIRE_PRECISION)?;
    Precision::from_wire(number).map_err(|refused| alloc::format!("{refused}"))
}

/// What `read` makes of every member of an object by flavour.
fn by_flavour<T>(
    value: &Value,
    at: &str,
    problems: &mut Problems,
    read: impl Fn(&Value) -> Result<T, String>,
) -> Vec<(String, T)> {
    let Some(object) = json::object(value, at, problems) else {
        return Vec::new();
    };
    if object.len() > MAX_COUNTED {
        problems.push(at, format_args!("{} flavours: expected at most {MAX_COUNTED}", object.len()));
        return Vec::new();
    }
    let read = json::present(object).filter_map(|(name, value)| {
        let value = problems.note(&pointer(at, name), read(value))?;
        Some((name.clone(), value))
    });
    read.collect()
}

fn said<T: Copy>(by_flavour: &[(String, T)], flavour: &str) -> Option<T> {
    by_flavour.iter().find(|(name, _)| name == flavour).map(|(_, value)| *value)
}
