//! What was served: the body of a feedback post.

use alloc::string::String;
use alloc::vec::Vec;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::json;
use crate::problem::{Problems, pointer};
use crate::ranges;

/// Most flavours counted in one post: every flavour in force and a generation of retired ones.
pub const MAX_COUNTED: usize = 256;
/// Longest name of a source, in bytes: a pod's name and what tells its starts apart.
pub const MAX_SOURCE: usize = 128;
/// Length of the window where a post does not say, in seconds: the origin's router's default.
pub const DEFAULT_WINDOW: f64 = 30.0;

/// Requests served per flavour within one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// Length of the window, seconds, in (0, 86 400].
    pub window_seconds: f64,
    /// First instant after the window; receipt where absent.
    pub window_end: Option<Timestamp>,
    /// Requests by flavour, in the order of the names.
    pub counts: Vec<(String, u64)>,
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
        Self { window_seconds: DEFAULT_WINDOW, window_end: None, counts: Vec::new(), sender: None }
    }
}

impl Feedback {
    /// Requests over all flavours. Each count is below 2^53 and there are at most [`MAX_COUNTED`].
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
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
                "flavour_counts" => feedback.counts = counts(value, &at, &mut problems),
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

fn counts(value: &Value, at: &str, problems: &mut Problems) -> Vec<(String, u64)> {
    let Some(object) = json::object(value, at, problems) else {
        return Vec::new();
    };
    if object.len() > MAX_COUNTED {
        problems.push(at, format_args!("{} flavours: expected at most {MAX_COUNTED}", object.len()));
        return Vec::new();
    }
    let counted = json::present(object).filter_map(|(name, value)| {
        let count = problems.note(&pointer(at, name), json::whole_number(value, &ranges::REQUESTS))?;
        Some((name.clone(), count))
    });
    counted.collect()
}
