//! Counters of served requests, asked of Prometheus: what to ask, and how to read the answer.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use models::feedback::MAX_COUNTED;
use models::json::{excerpt, kind};
use models::{ScheduleId, Timestamp, ranges};
use serde_json::Value;

use crate::adapter::{BadAnswer, Request};
use crate::reading;
use crate::uk::trimmed;

const NAME: &str = "prometheus";
/// Longest query, in bytes: it has to fit a URL.
pub const MAX_QUERY: usize = 2_048;
/// Longest name of a label, in bytes.
const MAX_LABEL: usize = 63;
/// The label that names the flavour where nobody names another.
pub const DEFAULT_LABEL: &str = "flavour";
/// The routers' own counters. They carry no label that names the schedule.
pub const DEFAULT_QUERY: &str = "sum by ({label}) (increase(router_http_requests_total\
                                 {namespace=\"{namespace}\",status=\"200\",qtype=\"queue\"}[{window}s]))";

/// A query for the requests served per flavour within a window, an instant vector of Prometheus.
///
/// In its text `{namespace}` and `{schedule}` stand for the schedule's, `{window}` for the length of the
/// window in whole seconds, `{label}` for the name of the label that names the flavour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterQuery {
    text: String,
    label: String,
}

/// A text that is no such query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadQuery {
    /// It does not say where the window's length goes, so that it would count the same requests each time.
    #[error(
        "expected a PromQL query with {{window}} (seconds) in it, as in increase(requests_total[{{window}}s])"
    )]
    NoWindow,
    /// It is empty, too long or spans lines.
    #[error("expected a PromQL query of 1 to {MAX_QUERY} bytes without control characters")]
    NoLine,
    /// The label is none.
    #[error("expected a label's name: 1 to {MAX_LABEL} letters, digits and _, no digit first")]
    NoLabel,
}

impl CounterQuery {
    /// The query `text`, whose series name the flavour in `label`.
    ///
    /// # Errors
    ///
    /// [`BadQuery`], which says what would be right.
    pub fn new(text: &str, label: &str) -> Result<Self, BadQuery> {
        if text.is_empty() || text.len() > MAX_QUERY || text.chars().any(char::is_control) {
            return Err(BadQuery::NoLine);
        }
        if !text.contains("{window}") {
            return Err(BadQuery::NoWindow);
        }
        check_label(label)?;
        Ok(Self { text: text.replace("{label}", label), label: label.to_owned() })
    }

    /// What of the query depends on the schedule. Two schedules with the same scope are told the same
    /// requests, so that neither can be told them.
    pub fn scope(&self, id: &ScheduleId) -> String {
        // Names are DNS names: nothing in them to escape.
        self.text.replace("{namespace}", id.namespace()).replace("{schedule}", id.name())
    }

    /// What to ask for the requests of a schedule within the `window` seconds before `end`.
    pub fn request(&self, base_url: &str, id: &ScheduleId, window: u32, end: Timestamp) -> Request {
        let query = self.scope(id).replace("{window}", &window.to_string());
        let mut url = trimmed(base_url);
        url.push_str("/api/v1/query?query=");
        encode(&query, &mut url);
        // Writing to a string cannot fail.
        let _ = write!(url, "&time={}", end.as_second());
        Request::json(url)
    }

    /// The requests by flavour, in the order of the names; empty where there was no series at all. What the
    /// series of one flavour say adds up, and is rounded half to even: `increase` extrapolates, so that it
    /// knows fractions of a request. A series without the label counts for the flavour without a name.
    ///
    /// # Errors
    ///
    /// [`BadAnswer`], naming what was wrong: nothing of it is to be counted then.
    pub fn parse(&self, body: &[u8]) -> Result<Vec<(String, u64)>, BadAnswer> {
        let document = reading::document(NAME, body)?;
        let broken = |problem| BadAnswer::NotTheFormat { provider: NAME.to_owned(), problem };
        let data = document.get("data").ok_or_else(|| broken("/data: missing".to_owned()))?;
        let result = vector(data).map_err(broken)?;
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for (index, series) in result.iter().enumerate() {
            let at = |problem| broken(format!("/data/result/{index}: {problem}"));
            let flavour = series.get("metric").and_then(|metric| metric.get(&self.label)?.as_str());
            *sums.entry(flavour.unwrap_or_default()).or_default() += increase(series).map_err(at)?;
            if sums.len() > MAX_COUNTED {
                return Err(broken(format!("more than {MAX_COUNTED} flavours: expected fewer")));
            }
        }
        let counts = sums.into_iter().map(|(flavour, sum)| {
            let whole = ranges::REQUESTS.check(libm::rint(sum)).map_err(|refused| refused.to_string())?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, in 0..=2^53")]
            let whole = whole as u64;
            Ok((flavour.to_owned(), whole))
        });
        counts.collect::<Result<_, String>>().map_err(broken)
    }
}

impl Default for CounterQuery {
    fn default() -> Self {
        let text = DEFAULT_QUERY.replace("{label}", DEFAULT_LABEL);
        Self { text, label: DEFAULT_LABEL.to_owned() }
    }
}

fn check_label(label: &str) -> Result<(), BadQuery> {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let sound = label.len() <= MAX_LABEL
        && label.bytes().next().is_some_and(letter)
        && label.bytes().all(|byte| letter(byte) || byte.is_ascii_digit());
    if sound { Ok(()) } else { Err(BadQuery::NoLabel) }
}

/// The series of an instant vector.
fn vector(data: &Value) -> Result<&[Value], String> {
    match data.get("resultType").and_then(Value::as_str) {
        Some("vector") => {}
        Some(other) => {
            let other = excerpt(other);
            return Err(format!("/data/resultType: `{other}` stands here: expected vector"));
        }
        None => return Err("/data/resultType: missing: expected vector".to_owned()),
    }
    match data.get("result") {
        Some(Value::Array(result)) => Ok(result),
        Some(other) => Err(format!("/data/result: {} stands here: expected a list", kind(other))),
        None => Err("/data/result: missing: expected a list of series".to_owned()),
    }
}

/// The value of a series: `[instant, "number"]`.
fn increase(series: &Value) -> Result<f64, String> {
    let value = series.get("value").and_then(|pair| pair.get(1)).and_then(Value::as_str);
    let text = value.ok_or("no sample: expected value: [instant, \"number\"]")?;
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| format!("`{}` is not a count of requests: expected a number >= 0", excerpt(text)))
}

/// Percent-encodes all but what is never reserved.
fn encode(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}
