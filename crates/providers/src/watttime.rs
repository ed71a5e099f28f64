//! WattTime, version 3 of its API: marginal intensity of the grid's regions.
//!
//! Formats: <https://docs.watttime.org>. A login; pounds of CO2 per MWh, marginal, five minutes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use models::json::{excerpt, kind};
use models::{Accounting, CarbonIntensity, CarbonTarget, Signal, Timestamp};
use serde_json::{Map, Value};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::half_hour::later;
use crate::login::{Login, Token};
use crate::points;
use crate::reading;
use crate::secret::Secret;
use crate::uk::trimmed;

/// The public service.
pub(crate) const WATTTIME_BASE_URL: &str = "https://api.watttime.org";
/// Grams per kWh that a pound per MWh is.
pub(crate) const GRAMS_PER_POUND: f64 = 0.453_592_37;

const NAME: &str = "watttime";
const EXPECTED: &str = "a region such as `region:CAISO_NORTH`, or its name alone in capitals";
const UNITS: &str = "lbs_co2_per_mwh";
const SIGNAL_TYPE: &str = "co2_moer";
/// The service forgets a token after half an hour.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(25);
const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);
/// Most bytes of a region's name.
const LONGEST_REGION: usize = 64;

/// Forecasts of WattTime, published as `watttime`: what one more kilowatt-hour causes, for 72 h.
///
/// Targets: `region:CAISO_NORTH`, the region in any case; or its name alone, in capitals. A number, as the UK
/// has them, is none. Values are pounds of CO2 per MWh and become gCO2eq/kWh; an answer in other units, of
/// another signal or for another region is refused. A `null`, missing or negative value is a gap. The step is
/// the answer's `data_point_period_seconds`; `generated_at` is when the forecast was made.
///
/// The token of a login is kept for 25 min.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WattTime {
    base: String,
    /// User name and password, as HTTP Basic has them.
    credentials: Secret,
}

impl WattTime {
    /// The public service, by this account.
    pub fn new(user: &str, password: &Secret) -> Self {
        let coded = STANDARD.encode(format!("{user}:{}", password.expose()));
        Self { base: WATTTIME_BASE_URL.to_owned(), credentials: Secret::new(&format!("Basic {coded}")) }
    }

    /// The service below `base_url`, an absolute http or https URL without the API's version.
    #[must_use]
    pub fn at(self, base_url: &str) -> Self {
        Self { base: trimmed(base_url), ..self }
    }
}

impl Login for WattTime {
    fn request(&self) -> Request {
        Request::json(format!("{}/login", self.base)).with("Authorization", self.credentials.expose())
    }

    fn token(&self, body: &[u8], now: Timestamp) -> Result<Token, BadAnswer> {
        // Nothing of the body is repeated: it may hold a token.
        let answer: Option<Value> = serde_json::from_slice(body.trim_ascii()).ok();
        let token = answer.as_ref().and_then(|answer| answer.get("token")).and_then(Value::as_str);
        let token = token.map(Secret::new).filter(|token| !token.expose().is_empty());
        let secret = token.ok_or_else(|| {
            reading::not_the_format(
                NAME,
                "the login's answer has no `token`: expected a string there".to_owned(),
            )
        })?;
        Ok(Token { secret, good_until: later(now, TOKEN_LIFETIME) })
    }

    fn admitted(&self, request: Request, token: &Token) -> Request {
        request.with("Authorization", format!("Bearer {}", token.secret.expose()))
    }
}

impl Adapter for WattTime {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        let region = region(target)?;
        let url =
            format!("{}/v3/forecast?region={region}&signal_type={SIGNAL_TYPE}&horizon_hours=72", self.base);
        Ok(Plan::Ask(Request::json(url)))
    }

    fn parse(&self, target: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let broken = |problem| reading::not_the_format(NAME, problem);
        let region = region(target).map_err(|refused| broken(refused.to_string()))?;
        let document = reading::document(NAME, body)?;
        let meta = document
            .get("meta")
            .ok_or_else(|| broken(format!("/meta: missing: expected an object with `units` of {UNITS}")))?;
        let meta = reading::object(meta, "/meta").map_err(broken)?;
        check_quantity(meta).map_err(broken)?;
        check(meta, "region", &region, false).map_err(broken)?;
        let list = reading::list(&document, "data").map_err(broken)?;
        let (points, first_problem) = points::read(list, "/data", "point_time", |item| {
            pounds(item.get("value")).map_err(|problem| format!("value: {problem}"))
        });
        let period = meta.get("data_point_period_seconds").and_then(Value::as_i64);
        let slots = points::slots(points, period.map(SignedDuration::from_secs), FIVE_MINUTES);
        let issued = reading::issued(meta, "generated_at");
        let forecast = reading::forecast(NAME, issued, now, slots, first_problem)?;
        Ok(forecast
            .with_signal(Signal::Marginal)
            .with_accounting(Accounting::Direct)
            .with_zone(region)
            .into())
    }

    fn signal(&self) -> Signal {
        Signal::Marginal
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self)
    }
}

/// Whether `meta` says that values are marginal, in pounds per MWh.
pub(crate) fn check_quantity(meta: &Map<String, Value>) -> Result<(), String> {
    check(meta, "units", UNITS, true)?;
    check(meta, "signal_type", SIGNAL_TYPE, false)
}

/// Whether `meta` says what was asked for.
fn check(meta: &Map<String, Value>, key: &str, expected: &str, needed: bool) -> Result<(), String> {
    match meta.get(key) {
        Some(Value::String(said)) if said.eq_ignore_ascii_case(expected) => Ok(()),
        Some(Value::String(said)) => Err(format!("/meta/{key}: `{}`: expected `{expected}`", excerpt(said))),
        None | Some(Value::Null) if !needed => Ok(()),
        None => Err(format!("/meta/{key}: missing: expected `{expected}`")),
        Some(other) => Err(format!("/meta/{key}: {} stands here: expected `{expected}`", kind(other))),
    }
}

/// An intensity in pounds per MWh.
pub(crate) fn pounds(value: Option<&Value>) -> Result<Option<CarbonIntensity>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let pounds = match value {
                Value::Number(number) => number.as_f64(),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            };
            let expected = "expected a number of pounds of CO2 per MWh";
            let pounds =
                pounds.ok_or_else(|| format!("`{}` stands here: {expected}", excerpt(&value.to_string())))?;
            CarbonIntensity::new(pounds * GRAMS_PER_POUND).map(Some).map_err(|refused| refused.to_string())
        }
    }
}

fn region(target: &CarbonTarget) -> Result<String, NotUnderstood> {
    let text = target.as_str().trim();
    let name = match text.split_once(':') {
        Some((word, name)) if word.eq_ignore_ascii_case("region") => Some(name.trim().to_ascii_uppercase()),
        Some(_) => None,
        None => Some(text.to_owned()),
    };
    let is_region = |name: &String| {
        let letters =
            name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        (2..=LONGEST_REGION).contains(&name.len())
            && letters
            && name.starts_with(|first: char| first.is_ascii_uppercase())
    };
    name.filter(is_region).ok_or_else(|| NotUnderstood {
        target: excerpt(target.as_str()),
        provider: NAME.to_owned(),
        expected: EXPECTED.into(),
    })
}
