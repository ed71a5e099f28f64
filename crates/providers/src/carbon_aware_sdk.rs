//! The WebApi of the Green Software Foundation's Carbon Aware SDK, which stands before other providers.
//!
//! Formats: <https://carbon-aware-sdk.greensoftware.foundation/docs/tutorial-basics/carbon-aware-webapi>. No
//! key of its own; gCO2eq/kWh, average or marginal by the source behind it.

use models::json::{excerpt, kind};
use models::{CarbonTarget, Signal, Timestamp};
use serde_json::{Map, Value};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::emissions;
use crate::reading;
use crate::uk::trimmed;

const NAME: &str = "carbon-aware-sdk";
const EXPECTED: &str =
    "a location of the service such as `location:northeurope`, or its name alone (`national` is none)";
/// Most bytes of a location's name.
const LONGEST_LOCATION: usize = 64;

/// Forecasts of a Carbon Aware SDK WebApi, published as `carbon-aware-sdk`.
///
/// Targets: `location:northeurope`, or the name alone; letters, digits, `-`, `_` and `.`. Whether a location
/// exists only the service knows. `national` is none, so that the UK's default is not asked for by mistake.
///
/// `forecastData` is read; `optimalDataPoint` and `optimalDataPoints` are not. No window is asked for, since
/// that would smear the values into a rolling mean. The location inside a row is the grid's zone, not the
/// one asked for. A `duration` is minutes or a span such as `01:00:00`. HTTP 204 and an empty list are "no
/// data". `generatedAt` is when the forecast was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarbonAwareSdk {
    base: String,
    signal: Signal,
}

impl CarbonAwareSdk {
    /// The service below `base_url`, an absolute http or https URL; what it answers is of `signal`: average
    /// for Electricity Maps behind it, marginal for WattTime.
    pub fn new(base_url: &str, signal: Signal) -> Self {
        Self { base: trimmed(base_url), signal }
    }
}

impl Adapter for CarbonAwareSdk {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        let location = location(target)?;
        let url = format!("{}/emissions/forecasts/current?location={location}", self.base);
        Ok(Plan::Ask(Request::json(url)))
    }

    fn parse(&self, target: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let broken = |problem| reading::not_the_format(NAME, problem);
        let location = location(target).map_err(|refused| broken(refused.to_string()))?;
        if body.trim_ascii().is_empty() {
            // What is left of 204 No Content.
            return Err(BadAnswer::Empty { provider: NAME.to_owned() });
        }
        let document = reading::json(NAME, body)?;
        let (forecast, at) = match &document {
            Value::Array(list) if list.is_empty() => {
                return Err(BadAnswer::Empty { provider: NAME.to_owned() });
            }
            Value::Array(list) => of_location(list, location).map_err(broken)?,
            Value::Object(object) if !object.contains_key("forecastData") => return Err(refusal(object)),
            Value::Object(object) => (object, String::new()),
            other => return Err(broken(format!("{} stands at the top: expected a list", kind(other)))),
        };
        let data = match forecast.get("forecastData") {
            Some(Value::Array(list)) => list.as_slice(),
            None | Some(Value::Null) => &[],
            Some(other) => {
                return Err(broken(format!(
                    "{at}/forecastData: {} stands here: expected a list",
                    kind(other)
                )));
            }
        };
        let rows = emissions::rows(data, &format!("{at}/forecastData"));
        let issued = reading::issued(forecast, "generatedAt");
        Ok(rows.forecast(NAME, issued, now, self.signal)?.into())
    }

    fn signal(&self) -> Signal {
        self.signal
    }
}

/// The forecast of `location` in a list and the JSON pointer to it; of a sole one whatever it calls itself,
/// since the request named the location.
fn of_location<'d>(list: &'d [Value], location: &str) -> Result<(&'d Map<String, Value>, String), String> {
    let is_it = |item: &Value| {
        item.get("location").and_then(Value::as_str).is_some_and(|said| said.eq_ignore_ascii_case(location))
    };
    let index = match list {
        [_] => Some(0),
        several => several.iter().position(is_it),
    };
    let index = index.ok_or_else(|| format!("none of its {} forecasts is for {location}", list.len()))?;
    let at = format!("/{index}");
    Ok((reading::object(&list[index], &at)?, at))
}

/// An object that is no forecast: the service's problem details, mostly.
fn refusal(object: &Map<String, Value>) -> BadAnswer {
    let word = |key| object.get(key).and_then(Value::as_str).map(excerpt);
    match (word("title"), word("detail")) {
        (None, None) => reading::not_the_format(
            NAME,
            "an object without `forecastData` stands at the top: expected a list of forecasts".to_owned(),
        ),
        (title, detail) => {
            let words: Vec<_> = title.into_iter().chain(detail).collect();
            BadAnswer::Refused { provider: NAME.to_owned(), message: words.join(": ") }
        }
    }
}

fn location(target: &CarbonTarget) -> Result<&str, NotUnderstood> {
    let text = target.as_str().trim();
    let name = match text.split_once(':') {
        Some((word, name)) if word.eq_ignore_ascii_case("location") => Some(name.trim()),
        Some(_) => None,
        None => Some(text).filter(|name| !name.eq_ignore_ascii_case("national")),
    };
    let plain = |name: &&str| {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (1..=LONGEST_LOCATION).contains(&name.len()) && name.bytes().all(harmless)
    };
    name.filter(plain).ok_or_else(|| NotUnderstood {
        target: excerpt(target.as_str()),
        provider: NAME.to_owned(),
        expected: EXPECTED.into(),
    })
}
