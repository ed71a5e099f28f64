//! Reading the JSON of the UK Carbon Intensity API: slots, and where in the answer they stand.

use models::json::kind;
use models::{Index, Slot, Timestamp};
use serde_json::{Map, Value};

use crate::adapter::{Answer, BadAnswer};
use crate::half_hour::{self, HALF_HOUR};
use crate::reading::{self, grams, time};
use crate::uk::Place;

/// The answer under `data`, for `place`: every slot with a forecast, and what was measured of those that are
/// over.
pub(crate) fn answer(
    provider: &str,
    document: &Map<String, Value>,
    place: &Place,
    now: Timestamp,
) -> Result<Answer, BadAnswer> {
    let (list, at) = series(document, place).map_err(|problem| reading::not_the_format(provider, problem))?;
    let (told, first_problem) = reading::each(list, &at, slot);
    let slots = told.iter().filter_map(|told| told.forecast).collect();
    let actuals = told.iter().filter_map(|told| told.actual).filter(|slot| slot.to <= now).collect();
    let forecast = reading::forecast(provider, None, now, slots, first_problem)?;
    Ok(Answer { forecast, actuals })
}

/// What is said of one stretch of time.
struct Told {
    forecast: Option<Slot>,
    /// What was measured, also while it is going on.
    actual: Option<Slot>,
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

/// One slot, with neither where it has no intensity.
fn slot(value: &Value, at: &str) -> Result<Told, String> {
    let slot = reading::object(value, at)?;
    let from = time(slot.get("from"), &format!("{at}/from"))?;
    let to = match slot.get("to") {
        None | Some(Value::Null) => half_hour::later(from, HALF_HOUR),
        to => time(to, &format!("{at}/to"))?,
    };
    let (from, to) = reading::stretch(from, to, at)?;
    let intensity = match slot.get("intensity") {
        None | Some(Value::Null) => return Ok(Told { forecast: None, actual: None }),
        Some(Value::Object(intensity)) => intensity,
        Some(other) => {
            return Err(format!("{at}/intensity: {} stands here: expected an object", kind(other)));
        }
    };
    let (forecast, measured) = (grams(intensity, "forecast"), grams(intensity, "actual"));
    // A slot that has begun may carry what was measured and no forecast any more.
    let stands_for_it = match (&forecast, &measured) {
        (Ok(Some(grams)), _) | (_, Ok(Some(grams))) => Some(*grams),
        (Err(problem), _) | (_, Err(problem)) => return Err(format!("{at}/intensity/{problem}")),
        (Ok(None), Ok(None)) => None,
    };
    let word = intensity.get("index").and_then(Value::as_str).and_then(Index::parse);
    let indexed = |forecast| Slot { from, to, forecast, index: word.unwrap_or_else(|| Index::of(forecast)) };
    let estimated = intensity.get("isEstimated").or(slot.get("isEstimated")) == Some(&Value::Bool(true));
    Ok(Told {
        forecast: stands_for_it.map(indexed),
        actual: measured.ok().flatten().filter(|_| !estimated).map(|grams| Slot::new(from, to, grams)),
    })
}
