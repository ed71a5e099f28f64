//! Reading the JSON of the UK Carbon Intensity API: slots, and where in the answer they stand.
//!
//! What cannot be read is a gap, never zero, and never a reason to lose the rest of the answer.

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use models::json::{excerpt, kind, number};
use models::{CarbonIntensity, Forecast, Index, Slot, Timestamp, ranges};
use serde_json::{Map, Value};

use crate::adapter::BadAnswer;
use crate::half_hour::{self, HALF_HOUR};
use crate::uk::Place;

/// A slot that lasts longer is a mistake, not a forecast.
const LONGEST_SLOT: SignedDuration = SignedDuration::from_hours(24);

/// The answer as an object, unless it is none or says that something went wrong.
pub(crate) fn document(provider: &str, body: &[u8]) -> Result<Map<String, Value>, BadAnswer> {
    let broken = |problem: String| BadAnswer::NotTheFormat { provider: provider.to_owned(), problem };
    let body = body.trim_ascii();
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii();
    if body.is_empty() {
        return Err(broken("it is empty".to_owned()));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        // Four bytes a character at most: enough for the excerpt, without copying megabytes of it.
        let start = String::from_utf8_lossy(&body[..body.len().min(400)]);
        broken(format!("{error}; it begins `{}`", excerpt(&start)))
    })?;
    let Value::Object(document) = value else {
        return Err(broken(format!("{} stands at the top: expected an object", kind(&value))));
    };
    match document.get("error") {
        None | Some(Value::Null) => Ok(document),
        Some(error) => Err(BadAnswer::Refused { provider: provider.to_owned(), message: said(error) }),
    }
}

/// The forecast under `data`, for `place`.
pub(crate) fn forecast(
    provider: &str,
    document: &Map<String, Value>,
    place: &Place,
    now: Timestamp,
) -> Result<Forecast, BadAnswer> {
    let broken = |problem| BadAnswer::NotTheFormat { provider: provider.to_owned(), problem };
    let (list, at) = series(document, place).map_err(broken)?;
    let mut slots = Vec::with_capacity(list.len());
    let mut first_problem = None;
    for (index, value) in list.iter().enumerate() {
        match slot(value, &format!("{at}/{index}")) {
            Ok(found) => slots.extend(found),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    // Without a single slot the first problem is the answer to "why"; with one, the rest are gaps.
    Forecast::new(provider, None, now, slots).map_err(|_| match first_problem {
        Some(problem) => broken(problem),
        None => BadAnswer::Empty { provider: provider.to_owned() },
    })
}

/// The list of slots and the JSON pointer to it: national answers have it under `data`, regional ones one
/// level deeper, in an object (as served) or a list of such objects (as documented).
fn series<'d>(document: &'d Map<String, Value>, place: &Place) -> Result<(&'d [Value], String), String> {
    match (document.get("data"), place) {
        (Some(Value::Array(slots)), Place::National) => Ok((slots, "/data".to_owned())),
        (Some(Value::Array(items)), _) => regional(items, place),
        (Some(Value::Object(region)), Place::Region(_) | Place::Postcode(_)) => {
            Ok((inner(region, "/data")?, "/data/data".to_owned()))
        }
        (Some(other), _) => Err(format!("/data: {} stands here: expected a list", kind(other))),
        (None, _) => Err("/data: missing: expected the slots there".to_owned()),
    }
}

/// The slots of `place` in a list of regions; of a sole region whatever it calls itself, since the request
/// named the place. Slots without a region around them are taken as they are, for the same reason.
fn regional<'d>(items: &'d [Value], place: &Place) -> Result<(&'d [Value], String), String> {
    let regions: Vec<_> = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((index, item.as_object().filter(|item| item.contains_key("data"))?)))
        .collect();
    let found = match regions.as_slice() {
        [] => return Ok((items, "/data".to_owned())),
        [sole] => Some(sole),
        several => several.iter().find(|(_, region)| is_of(region, place)),
    };
    let Some((index, region)) = found else {
        return Err(format!("/data: none of its {} regions is {place}", regions.len()));
    };
    let at = format!("/data/{index}");
    Ok((inner(region, &at)?, format!("{at}/data")))
}

fn inner<'d>(region: &'d Map<String, Value>, at: &str) -> Result<&'d [Value], String> {
    match region.get("data") {
        Some(Value::Array(slots)) => Ok(slots),
        Some(other) => Err(format!("{at}/data: {} stands here: expected a list", kind(other))),
        None => Err(format!("{at}/data: missing: expected the slots there")),
    }
}

fn is_of(region: &Map<String, Value>, place: &Place) -> bool {
    match (place, region.get("regionid"), region.get("postcode")) {
        (Place::Region(id), Some(Value::Number(said)), _) => said.as_u64() == Some(u64::from(*id)),
        (Place::Region(id), Some(Value::String(said)), _) => said.parse() == Ok(*id),
        (Place::Postcode(outward), _, Some(Value::String(said))) => said.eq_ignore_ascii_case(outward),
        _ => false,
    }
}

/// One slot; `None` where it has no intensity.
fn slot(value: &Value, at: &str) -> Result<Option<Slot>, String> {
    let Value::Object(slot) = value else {
        return Err(format!("{at}: {} stands here: expected an object", kind(value)));
    };
    let from = time(slot.get("from"), &format!("{at}/from"))?;
    let to = match slot.get("to") {
        None | Some(Value::Null) => half_hour::later(from, HALF_HOUR),
        to => time(to, &format!("{at}/to"))?,
    };
    let length = to.duration_since(from);
    if length <= SignedDuration::ZERO || length > LONGEST_SLOT {
        return Err(format!("{at}: it lasts from {from} to {to}: expected more than nothing, at most a day"));
    }
    let intensity = match slot.get("intensity") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(intensity)) => intensity,
        Some(other) => {
            return Err(format!("{at}/intensity: {} stands here: expected an object", kind(other)));
        }
    };
    // A slot that has begun may carry what was measured and no forecast any more.
    let forecast = match (grams(intensity, "forecast"), grams(intensity, "actual")) {
        (Ok(Some(grams)), _) | (_, Ok(Some(grams))) => grams,
        (Err(problem), _) | (_, Err(problem)) => return Err(format!("{at}/intensity/{problem}")),
        (Ok(None), Ok(None)) => return Ok(None),
    };
    let word = intensity.get("index").and_then(Value::as_str);
    let index = word.and_then(Index::parse).unwrap_or_else(|| Index::of(forecast));
    Ok(Some(Slot { from, to, forecast, index }))
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

/// A time with or without seconds; without an offset it is UTC, as all of this API is.
fn time(value: Option<&Value>, at: &str) -> Result<Timestamp, String> {
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
