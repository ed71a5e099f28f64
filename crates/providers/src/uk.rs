//! The UK Carbon Intensity API of the National Energy System Operator: national, by region, by postcode.
//!
//! Formats: <https://carbon-intensity.github.io/api-definitions/>. No key; gCO2eq/kWh, average, half-hours
//! in UTC, 48 h ahead.

use core::fmt;

use jiff::SignedDuration;
use models::json::excerpt;
use models::{CarbonTarget, Timestamp};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::{half_hour, neso, reading};

/// The public service.
const UK_BASE_URL: &str = "https://api.carbonintensity.org.uk";

const NAME: &str = "uk-carbon-intensity";
/// How far back is asked: measured values come about half an hour after their slot, at times later.
const MEASURED: SignedDuration = SignedDuration::from_hours(2);
const EXPECTED: &str =
    "`national`, `region:1` to `region:17`, or `postcode:` with the outward part, as in `postcode:OX1`";

/// Forecasts of the UK Carbon Intensity API, published as `uk-carbon-intensity`.
///
/// Targets, in any case: `national`, or `zone:GB` as other providers call it; `region:N` with N in 1..=17 (13 is London); `postcode:OX1`. Of a full
/// postcode (`postcode:OX1 2JD`, `postcode:ox12jd`) the outward part is asked for, since the service
/// answers nothing to a full one.
///
/// Where a slot has no `forecast` but an `actual`, the measured value stands in; with neither, or with a
/// value outside [0, 10 000] gCO2eq/kWh, the slot is a gap. The provider's index word is kept where it is
/// one of the five. Regional answers are read with `data` as an object (as served) and as a list (as
/// documented). The service does not say when it made a forecast, so `issued_at` stays empty.
///
/// Nationally it is asked from two hours back: what was measured of slots that are over is handed on as
/// actual values, unless it is marked as an estimate. Regions have no measured values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UkCarbonIntensity {
    base: String,
}

impl UkCarbonIntensity {
    /// The service below `base_url`, an absolute http or https URL. The public one is the default.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self { base: trimmed(&base_url.into()) }
    }
}

impl Default for UkCarbonIntensity {
    fn default() -> Self {
        Self::new(UK_BASE_URL)
    }
}

impl Adapter for UkCarbonIntensity {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, now: Timestamp) -> Result<Plan, NotUnderstood> {
        let place = place(target)?;
        let base = &self.base;
        // Only the national list tells what was measured.
        let back = if place == Place::National { MEASURED } else { SignedDuration::ZERO };
        let from = half_hour::start(half_hour::later(now, -back)).strftime("%Y-%m-%dT%H:%MZ");
        let url = match place {
            Place::National => format!("{base}/intensity/{from}/fw48h"),
            Place::Region(id) => format!("{base}/regional/intensity/{from}/fw48h/regionid/{id}"),
            Place::Postcode(outward) => format!("{base}/regional/intensity/{from}/fw48h/postcode/{outward}"),
        };
        Ok(Plan::Ask(Request::json(url)))
    }

    fn parse(&self, target: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let place = place(target).map_err(|refused| reading::not_the_format(NAME, refused.to_string()))?;
        let answer = neso::answer(NAME, &reading::document(NAME, body)?, &place, now)?;
        Ok(Answer { forecast: answer.forecast.with_zone(place.to_string()), ..answer })
    }
}

/// Where in Great Britain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    National,
    /// 1..=17.
    Region(u8),
    /// Outward part, two to four upper-case letters and digits.
    Postcode(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::National => f.write_str("national"),
            Self::Region(id) => write!(f, "region:{id}"),
            Self::Postcode(outward) => write!(f, "postcode:{outward}"),
        }
    }
}

/// A base URL without the slashes at its end, so that paths can follow.
pub(crate) fn trimmed(base: &str) -> String {
    base.trim().trim_end_matches('/').to_owned()
}

fn place(target: &CarbonTarget) -> Result<Place, NotUnderstood> {
    let refused = || NotUnderstood {
        target: excerpt(target.as_str()),
        provider: NAME.to_owned(),
        expected: EXPECTED.into(),
    };
    let text = target.as_str().trim().to_ascii_lowercase();
    let place = match text.split_once(':') {
        None if text == "national" || text == "gb" => Some(Place::National),
        Some(("zone", zone)) if zone.trim() == "gb" => Some(Place::National),
        Some(("region", id)) => id.trim().parse().ok().filter(|id| (1..=17).contains(id)).map(Place::Region),
        Some(("postcode", code)) => outward(code).map(Place::Postcode),
        _ => None,
    };
    place.ok_or_else(refused)
}

/// The outward part of a postcode: of `ox1`, `ox1 2jd`, `ox12jd` it is `OX1`.
///
/// The inward part is always a digit and two letters, so it can be told from the end.
fn outward(code: &str) -> Option<String> {
    let code = code.trim().to_ascii_uppercase();
    let outward = match code.split_once(char::is_whitespace) {
        Some((outward, inward)) => is_inward(inward.trim()).then_some(outward)?,
        None if code.len() <= 4 => &code,
        None => {
            let (outward, inward) = code.split_at_checked(code.len() - 3)?;
            is_inward(inward).then_some(outward)?
        }
    };
    let letters_and_digits = outward.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let plausible = outward.starts_with(|first: char| first.is_ascii_alphabetic())
        && outward.contains(|any: char| any.is_ascii_digit());
    ((2..=4).contains(&outward.len()) && letters_and_digits && plausible).then(|| outward.to_owned())
}

fn is_inward(text: &str) -> bool {
    matches!(text.as_bytes(), [digit, first, second]
        if digit.is_ascii_digit() && first.is_ascii_alphabetic() && second.is_ascii_alphabetic())
}
