//! What every reader of JSON answers needs: the document, its times, its intensities, and where they stand.
//!
//! What cannot be read is a gap, never zero, and never a reason to lose the rest of the answer.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use models::json::{excerpt, kind, number};
use models::{CarbonIntensity, Forecast, Slot, Timestamp, ranges};
use serde_json::{Map, Value};

use crate::adapter::BadAnswer;

/// A slot that lasts longer is a mistake, not a forecast.
pub(crate) const LONGEST_SLOT: SignedDuration = SignedDuration::from_hours(24);

/// The body as JSON.
pub(crate) fn json(provider: &str, body: &[u8]) -> Result<Value, BadAnswer> {
    let broken = |problem: String| not_the_format(provider, problem);
    let body = body.trim_ascii();
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
    if body.is_empty() {
        return Err(broken("it is empty".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| {
        // Four bytes a character at most: enough for the excerpt, without copying megabytes of it.
        let start = String::from_utf8_lossy(&body[..body.len().min(400)]);
        broken(format!("{error}; it begins `{}`", excerpt(&start)))
    })
}

/// The answer as an object, unless it is none or says that something went wrong.
pub(crate) fn document(provider: &str, body: &[u8]) -> Result<Map<String, Value>, BadAnswer> {
    let value = json(provider, body)?;
    let Value::Object(document) = value else {
        let problem = format!("{} stands at the top: expected an object", kind(&value));
        return Err(not_the_format(provider, problem));
    };
    match document.get("error") {
        None | Some(Value::Null) => Ok(document),
        Some(error) => {
            let beside = document.get("message").and_then(Value::as_str);
            let message = match (error.as_str(), beside) {
                (Some(title), Some(more)) => format!("{}: {}", excerpt(title), excerpt(more)),
                _ => said(error),
            };
            Err(BadAnswer::Refused { provider: provider.to_owned(), message })
        }
    }
}

/// A body of another shape.
pub(crate) fn not_the_format(provider: &str, problem: String) -> BadAnswer {
    BadAnswer::NotTheFormat { provider: provider.to_owned(), problem }
}

/// The list under `key`, which stands at the top.
pub(crate) fn list<'d>(document: &'d Map<String, Value>, key: &str) -> Result<&'d [Value], String> {
    match document.get(key) {
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(format!("/{key}: {} stands here: expected a list", kind(other))),
        None => Err(format!("/{key}: missing: expected a list there")),
    }
}

/// The value at `at` as an object.
pub(crate) fn object<'d>(value: &'d Value, at: &str) -> Result<&'d Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{at}: {} stands here: expected an object", kind(value)))
}

/// Reads every item of a list; what cannot be read is left out, and the first of it is the answer to "why"
/// where nothing could be.
pub(crate) fn each<'d, T>(
    items: &'d [Value],
    at: &str,
    mut read: impl FnMut(&'d Value, &str) -> Result<T, String>,
) -> (Vec<T>, Option<String>) {
    let mut found = Vec::with_capacity(items.len());
    let mut first_problem = None;
    for (index, item) in items.iter().enumerate() {
        match read(item, &format!("{at}/{index}")) {
            Ok(one) => found.push(one),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    (found, first_problem)
}

/// A forecast of what was read. Without a single slot the first problem is the answer to "why"; with one,
/// the rest are gaps.
pub(crate) fn forecast(
    provider: &str,
    issued_at: Option<Timestamp>,
    now: Timestamp,
    slots: Vec<Slot>,
    first_problem: Option<String>,
) -> Result<Forecast, BadAnswer> {
    Forecast::new(provider, issued_at, now, slots).map_err(|_| match first_problem {
        Some(problem) => not_the_format(provider, problem),
        None => BadAnswer::Empty { provider: provider.to_owned() },
    })
}

/// The intensity under `key`: a number or a string that holds one, `None` where it is missing or null.
pub(crate) fn grams(object: &Map<String, Value>, key: &str) -> Result<Option<CarbonIntensity>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => number(value, &ranges::INTENSITY)
            .and_then(|grams| CarbonIntensity::new(grams).map_err(|refused| refused.to_string()))
            .map(Some)
            .map_err(|problem| format!("{key}: {problem}")),
    }
}

/// A time with or without seconds; without an offset it is UTC.
pub(crate) fn time(value: Option<&Value>, at: &str) -> Result<Timestamp, String> {
    let text = match value {
        Some(Value::String(text)) => text.trim(),
        Some(other) => {
            return Err(format!(
                "{at}: {} stands here: expected a time such as 2018-01-20T12:00Z",
                kind(other)
            ));
        }
        None => {
            return Err(format!("{at}: missing: expected a time such as 2018-01-20T12:00Z"));
        }
    };
    let utc = || text.parse::<DateTime>().and_then(|civil| TimeZone::UTC.to_timestamp(civil));
    text.parse::<Timestamp>().or_else(|_| utc()).map_err(|_| {
        format!("{at}: `{}` is not a time: expected one such as 2018-01-20T12:00Z", excerpt(text))
    })
}

/// When the forecast was made, where the provider says so in a way that can be read.
pub(crate) fn issued(object: &Map<String, Value>, key: &str) -> Option<Timestamp> {
    time(object.get(key), key).ok()
}

/// `from` to `to`, unless that is no stretch or longer than a day.
pub(crate) fn stretch(from: Timestamp, to: Timestamp, at: &str) -> Result<(Timestamp, Timestamp), String> {
    let length = to.duration_since(from);
    if length <= SignedDuration::ZERO || length > LONGEST_SLOT {
        return Err(format!("{at}: it lasts from {from} to {to}: expected more than nothing, at most a day"));
    }
    Ok((from, to))
}

/// The words of an `error` member: `{"code": .., "message": ..}`, or whatever stands there.
fn said(error: &Value) -> String {
    let word = |key| match error.get(key) {
        Some(Value::String(text)) => Some(excerpt(text)),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    match (word("code"), word("message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(words), None) | (None, Some(words)) => words,
        (None, None) => excerpt(error.as_str().unwrap_or(&error.to_string())),
    }
}

/// When its last slot ends.
pub(crate) fn end(forecast: &Forecast) -> Timestamp {
    forecast.slots().last().map_or(Timestamp::MIN, |slot| slot.to)
}
