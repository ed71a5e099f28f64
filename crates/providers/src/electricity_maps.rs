//! Electricity Maps, version 3 of its API: flow-traced average intensity of some hundred zones.
//!
//! Formats: <https://app.electricitymaps.com/docs>. A key; gCO2eq/kWh, average, hours unless the plan has
//! finer ones.

use jiff::SignedDuration;
use models::json::excerpt;
use models::{Accounting, CarbonTarget, Timestamp};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::points;
use crate::reading::{self, grams};
use crate::secret::Secret;
use crate::uk::trimmed;

/// The public service.
pub const ELECTRICITY_MAPS_BASE_URL: &str = "https://api.electricitymaps.com/v3";
/// The header field that takes the key; trial plans name another one in their portal.
pub const ELECTRICITY_MAPS_HEADER: &str = "auth-token";

const NAME: &str = "electricity-maps";
const EXPECTED: &str =
    "a zone such as `zone:DE` or `US-CAL-CISO`, or a place as `latitude,longitude` such as `52.5,13.4`";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Forecasts of Electricity Maps, published as `electricity-maps`.
///
/// Targets: a zone, with or without `zone:` before it, in any case; or `latitude,longitude` in degrees. The
/// fallback to the zone of whoever asks is switched off, and an answer for another zone than the one asked
/// for is refused.
///
/// A slot ends where the next begins, after one step at the latest: a `null` or missing value is a gap. The
/// step is the answer's `temporalGranularity`, else the commonest distance between its times, else an hour.
/// `updatedAt` is when the forecast was made. The free plan has no forecast: that is HTTP 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectricityMaps {
    base: String,
    header: String,
    key: Secret,
    accounting: Accounting,
    horizon: Option<Horizon>,
    granularity: Option<Granularity>,
}

/// How far ahead is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon(&'static str);

impl Horizon {
    /// `6`, `24`, `48` or `72` hours: others the service does not have.
    pub fn parse(hours: &str) -> Option<Self> {
        ["6", "24", "48", "72"].into_iter().find(|known| *known == hours.trim()).map(Self)
    }
}

/// How long a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// An hour.
    Hour,
    /// A quarter of an hour.
    QuarterHour,
    /// Five minutes.
    FiveMinutes,
}

impl Granularity {
    const ALL: [Self; 3] = [Self::Hour, Self::QuarterHour, Self::FiveMinutes];

    /// `hourly`, `15_minutes` or `5_minutes`, as the service calls them.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|granularity| granularity.as_str() == word.trim())
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::QuarterHour => "15_minutes",
            Self::FiveMinutes => "5_minutes",
        }
    }

    const fn step(self) -> SignedDuration {
        match self {
            Self::Hour => HOUR,
            Self::QuarterHour => SignedDuration::from_mins(15),
            Self::FiveMinutes => SignedDuration::from_mins(5),
        }
    }
}

impl ElectricityMaps {
    /// The public service, by this key; life-cycle emissions.
    pub fn new(key: Secret) -> Self {
        Self {
            base: ELECTRICITY_MAPS_BASE_URL.to_owned(),
            header: ELECTRICITY_MAPS_HEADER.to_owned(),
            key,
            accounting: Accounting::LifeCycle,
            horizon: None,
            granularity: None,
        }
    }

    /// The service below `base_url`, an absolute http or https URL that ends in the API's version.
    #[must_use]
    pub fn at(self, base_url: &str) -> Self {
        Self { base: trimmed(base_url), ..self }
    }

    /// The key goes into this header field.
    #[must_use]
    pub fn with_header(self, name: impl Into<String>) -> Self {
        Self { header: name.into(), ..self }
    }

    /// Which emissions are asked for: life-cycle, direct, or what the service thinks best (unknown).
    #[must_use]
    pub fn with_accounting(self, accounting: Accounting) -> Self {
        Self { accounting, ..self }
    }

    /// Asks this far ahead; else as far as the service thinks best, which is in every plan that has forecasts.
    #[must_use]
    pub fn with_horizon(self, horizon: Horizon) -> Self {
        Self { horizon: Some(horizon), ..self }
    }

    /// Asks for slots of this length; else of the one that the service thinks best.
    #[must_use]
    pub fn with_granularity(self, granularity: Granularity) -> Self {
        Self { granularity: Some(granularity), ..self }
    }
}

impl Adapter for ElectricityMaps {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        let place = match place(target)? {
            Place::Zone(zone) => format!("zone={zone}"),
            Place::Point(latitude, longitude) => format!("lat={latitude}&lon={longitude}"),
        };
        let factors = match self.accounting {
            Accounting::LifeCycle => "&emissionFactorType=lifecycle",
            Accounting::Direct => "&emissionFactorType=direct",
            Accounting::Unknown => "",
        };
        let horizon = self.horizon.map(|Horizon(hours)| format!("&horizonHours={hours}")).unwrap_or_default();
        let slots = self.granularity.map(|slots| format!("&temporalGranularity={}", slots.as_str()));
        let slots = slots.unwrap_or_default();
        let url = format!(
            "{}/carbon-intensity/forecast?{place}&disableCallerLookup=true{factors}{horizon}{slots}",
            self.base
        );
        Ok(Plan::Ask(Request::json(url).with(self.header.clone(), self.key.expose())))
    }

    fn parse(&self, target: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let broken = |problem| reading::not_the_format(NAME, problem);
        let place = place(target).map_err(|refused| broken(refused.to_string()))?;
        let document = reading::document(NAME, body)?;
        let zone = document.get("zone").and_then(serde_json::Value::as_str);
        if let (Place::Zone(asked), Some(zone)) = (&place, zone)
            && !zone.eq_ignore_ascii_case(asked)
        {
            return Err(broken(format!(
                "/zone: `{}`: expected the zone asked for, `{asked}`",
                excerpt(zone)
            )));
        }
        let list = reading::list(&document, "forecast").map_err(broken)?;
        let (points, first_problem) =
            points::read(list, "/forecast", "datetime", |item| grams(item, "carbonIntensity"));
        let granularity = document.get("temporalGranularity").and_then(serde_json::Value::as_str);
        let step = granularity.and_then(Granularity::parse).map(Granularity::step);
        let slots = points::slots(points, step, HOUR);
        let issued = reading::issued(&document, "updatedAt");
        let forecast =
            reading::forecast(NAME, issued, now, slots, first_problem)?.with_accounting(self.accounting);
        Ok(match zone {
            Some(zone) => forecast.with_zone(excerpt(zone)),
            None => forecast,
        }
        .into())
    }
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// Upper-case letters, digits and hyphens.
    Zone(String),
    /// Latitude and longitude, degrees.
    Point(f64, f64),
}

fn place(target: &CarbonTarget) -> Result<Place, NotUnderstood> {
    let text = target.as_str().trim();
    let zone = match text.split_once(':') {
        Some((word, zone)) if word.eq_ignore_ascii_case("zone") => Some(zone.trim()),
        Some(_) => None,
        None => Some(text),
    };
    let point = || {
        let (latitude, longitude) = text.split_once(',')?;
        let degrees =
            |text: &str, most: f64| text.trim().parse().ok().filter(|degrees: &f64| degrees.abs() <= most);
        Some(Place::Point(degrees(latitude, 90.0)?, degrees(longitude, 180.0)?))
    };
    let zone = zone.filter(|zone| is_zone(zone)).map(|zone| Place::Zone(zone.to_ascii_uppercase()));
    zone.or_else(point).ok_or_else(|| NotUnderstood {
        target: excerpt(target.as_str()),
        provider: NAME.to_owned(),
        expected: EXPECTED.into(),
    })
}

/// `DE`, `AUS-NSW`, `US-CAL-CISO`: a country of two or three letters, and parts of it. So `national` is none.
fn is_zone(text: &str) -> bool {
    let mut parts = text.split('-');
    let country = parts.next().unwrap_or_default();
    (2..=3).contains(&country.len())
        && country.bytes().all(|byte| byte.is_ascii_alphabetic())
        && text.len() <= LONGEST_ZONE
        && parts.all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Most bytes of a zone's name.
const LONGEST_ZONE: usize = 32;
