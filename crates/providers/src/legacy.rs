//! The `/forecast` endpoint of earlier installations: two numbers, for now and for next.

use models::{CarbonIntensity, CarbonTarget, Forecast, Slot, Timestamp};
use serde_json::{Map, Value};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::half_hour::{self, HALF_HOUR};
use crate::neso;
use crate::reading;
use crate::uk::{Place, trimmed};
use crate::zone::{self, Zone};

const NAME: &str = "legacy-forecast";
/// The members that hold the intensity of this half-hour and of the next.
const MEMBERS: [[&str; 2]; 2] = [["current", "next"], ["intensity_now", "intensity_next"]];

/// Forecasts of a service that answers `{"current": .., "next": ..}` or
/// `{"intensity_now": .., "intensity_next": ..}`, published as `legacy-forecast`.
///
/// The values, gCO2eq/kWh in [0, 10 000], are numbers or strings that hold numbers; null, missing or out of
/// range is a gap. They become the half-hour that holds the receipt and the one after it. Every target is
/// understood, since the endpoint takes none, unless it is [said](Self::with_zone) which grid it knows. The UK Carbon Intensity API's national list is read too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyForecast {
    base: String,
    zone: Option<Zone>,
}

impl LegacyForecast {
    /// The service whose endpoint is `{base_url}/forecast`; an absolute http or https URL.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self { base: trimmed(&base_url.into()), zone: None }
    }

    /// It knows this grid: other targets are refused.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone: Some(zone), ..self }
    }
}

impl Adapter for LegacyForecast {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        zone::check(self.zone.as_ref(), target, NAME)?;
        let url = format!("{}/forecast", self.base);
        Ok(Plan::Ask(Request::json(url)))
    }

    fn parse(&self, _: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let document = reading::document(NAME, body)?;
        if document.contains_key("data") {
            return neso::answer(NAME, &document, &Place::National, now);
        }
        Ok(two_slots(&document, now)?.into())
    }

    fn knows_one_grid(&self) -> bool {
        true
    }
}

fn two_slots(document: &Map<String, Value>, now: Timestamp) -> Result<Forecast, BadAnswer> {
    let present = |members: &&[&str; 2]| members.iter().any(|member| document.contains_key(*member));
    let Some(members) = MEMBERS.iter().find(present) else {
        let problem =
            "it has neither `current` and `next`, nor `intensity_now` and `intensity_next`, nor `data`";
        return Err(reading::not_the_format(NAME, problem.to_owned()));
    };
    let start = half_hour::start(now);
    let middle = half_hour::later(start, HALF_HOUR);
    let bounds = [(start, middle), (middle, half_hour::later(middle, HALF_HOUR))];
    let read = members.map(|member| reading::grams(document, member));
    let slot = |(&(from, to), grams): (&(Timestamp, Timestamp), &Result<Option<CarbonIntensity>, String>)| {
        grams.as_ref().ok().copied().flatten().map(|grams| Slot::new(from, to, grams))
    };
    let slots = bounds.iter().zip(&read).filter_map(slot).collect();
    let first_problem = read.into_iter().find_map(Result::err).map(|problem| format!("/{problem}"));
    reading::forecast(NAME, None, now, slots, first_problem)
}
