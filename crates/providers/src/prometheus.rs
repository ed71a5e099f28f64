//! Any PromQL expression that gives gCO2eq/kWh: what an own meter or exporter knows of the present.
//!
//! Format: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use jiff::SignedDuration;
use models::json::{excerpt, kind, number_text};
use models::{CarbonIntensity, CarbonTarget, Signal, Timestamp, ranges};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::points::{self, Point};
use crate::reading;
use crate::uk::trimmed;
use crate::zone::{self, Zone};

const NAME: &str = "prometheus";
/// Expressions are evaluated at whole steps of this, so that slots lie on a grid that can be learned on.
const EVALUATED_EACH: i64 = 300;
/// Series named in a message at most.
const SHOWN: usize = 4;

/// The value of a PromQL expression, published as `prometheus`.
///
/// Every target is understood, since the expression is of one grid, unless it is [said which](Self::with_zone). It is evaluated at the last whole
/// five minutes. An instant value, of a vector or a scalar, is one slot from its timestamp on: a present, not
/// a forecast, so the hours ahead are left to what is learned. A range (`intensity[2h]`) is one series of
/// slots, each to the next. More than one series is refused, naming them; NaN and what is out of range is a
/// gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prometheus {
    base: String,
    query: String,
    slot: SignedDuration,
    signal: Signal,
    zone: Option<Zone>,
}

impl Prometheus {
    /// The server below `base_url`, an absolute http or https URL, and the expression. A value holds for half
    /// an hour and is average intensity.
    pub fn new(base_url: &str, query: impl Into<String>) -> Self {
        let slot = SignedDuration::from_mins(30);
        Self { base: trimmed(base_url), query: query.into(), slot, signal: Signal::Average, zone: None }
    }

    /// A value holds for this long; at least a second, at most a day.
    #[must_use]
    pub fn with_slot(self, slot: SignedDuration) -> Self {
        Self { slot: slot.clamp(SignedDuration::from_secs(1), reading::LONGEST_SLOT), ..self }
    }

    /// Its values are of this signal.
    #[must_use]
    pub fn with_signal(self, signal: Signal) -> Self {
        Self { signal, ..self }
    }

    /// It knows this grid: other targets are refused.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone: Some(zone), ..self }
    }
}

impl Adapter for Prometheus {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, now: Timestamp) -> Result<Plan, NotUnderstood> {
        zone::check(self.zone.as_ref(), target, NAME)?;
        let query = utf8_percent_encode(&self.query, NON_ALPHANUMERIC);
        let time = now.as_second() - now.as_second().rem_euclid(EVALUATED_EACH);
        Ok(Plan::Ask(Request::json(format!("{}/api/v1/query?query={query}&time={time}", self.base))))
    }

    fn parse(&self, _: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let broken = |problem| reading::not_the_format(NAME, problem);
        let document = reading::json(NAME, body)?;
        let document = reading::object(&document, "/").map_err(broken)?;
        if document.get("status").and_then(Value::as_str) == Some("error") {
            let words =
                ["errorType", "error"].map(|key| document.get(key).and_then(Value::as_str).map(excerpt));
            let message = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
            return Err(BadAnswer::Refused { provider: NAME.to_owned(), message });
        }
        let data =
            document.get("data").ok_or_else(|| broken("/data: missing: expected an object".to_owned()))?;
        let data = reading::object(data, "/data").map_err(broken)?;
        let (samples, at) = samples(data).map_err(broken)?;
        let mut first_problem = None;
        let mut points = Vec::with_capacity(samples.len());
        for (index, value) in samples.iter().enumerate() {
            let (instant, grams) = sample(value);
            if let Err(problem) = instant.as_ref().map(|_| ()).and(grams.as_ref().map(|_| ())) {
                let at = if samples.len() == 1 { at.clone() } else { format!("{at}/{index}") };
                first_problem.get_or_insert_with(|| format!("{at}: {problem}"));
            }
            // A sample that is no intensity ends the one before it all the same.
            points.extend(instant.ok().map(|at| Point { at, grams: grams.ok() }));
        }
        let slots = points::slots(points, None, self.slot);
        let forecast = reading::forecast(NAME, None, now, slots, first_problem)?;
        Ok(forecast.with_signal(self.signal).into())
    }

    fn signal(&self) -> Signal {
        self.signal
    }

    fn knows_one_grid(&self) -> bool {
        true
    }
}

/// The samples of the only series, and the JSON pointer to them.
fn samples(data: &Map<String, Value>) -> Result<(&[Value], String), String> {
    let result = data.get("result").ok_or("/data/result: missing: expected the samples there")?;
    let shape = data.get("resultType").and_then(Value::as_str);
    if shape == Some("scalar") {
        return Ok((core::slice::from_ref(result), "/data/result".to_owned()));
    }
    let (Some(shape @ ("vector" | "matrix")), Value::Array(series)) = (shape, result) else {
        return Err(format!(
            "/data: `{}` with {} in `result`: expected a vector, a matrix or a scalar",
            excerpt(shape.unwrap_or("no resultType")),
            kind(result)
        ));
    };
    match series.as_slice() {
        [] => Ok((&[], String::new())),
        [sole] if shape == "vector" => {
            let value = sole.get("value").ok_or("/data/result/0/value: missing: expected a sample there")?;
            Ok((core::slice::from_ref(value), "/data/result/0/value".to_owned()))
        }
        [sole] => match sole.get("values") {
            Some(Value::Array(values)) => Ok((values, "/data/result/0/values".to_owned())),
            _ => Err("/data/result/0/values: expected a list of samples".to_owned()),
        },
        several => {
            let shown: Vec<_> = several.iter().take(SHOWN).map(name).collect();
            let more = if several.len() > SHOWN { " .." } else { "" };
            Err(format!(
                "the expression gives {} series, {}{more}: expected one, as by `avg(..)` or a label that tells them apart",
                several.len(),
                shown.join(" ")
            ))
        }
    }
}

/// `{zone="DE"}`, as Prometheus shows a series.
fn name(series: &Value) -> String {
    let labels = series.get("metric").and_then(Value::as_object).into_iter().flatten();
    let labels: Vec<_> = labels
        .take(SHOWN)
        .map(|(label, value)| format!("{}={}", excerpt(label), excerpt(&value.to_string())))
        .collect();
    format!("{{{}}}", labels.join(","))
}

/// The instant and the value of `[seconds, "value"]`.
fn sample(value: &Value) -> (Result<Timestamp, String>, Result<CarbonIntensity, String>) {
    let expected = "expected [seconds, \"value\"]";
    let Some([seconds, Value::String(text)]) = value.as_array().map(Vec::as_slice) else {
        let problem = format!("`{}` is no sample: {expected}", excerpt(&value.to_string()));
        return (Err(problem.clone()), Err(problem));
    };
    let instant = seconds.as_f64().and_then(|seconds| {
        // Prometheus knows milliseconds; a float knows them only nearly.
        let since = SignedDuration::try_from_secs_f64(seconds).ok()?.round(jiff::Unit::Millisecond).ok()?;
        Timestamp::UNIX_EPOCH.checked_add(since).ok()
    });
    let instant =
        instant.ok_or_else(|| format!("`{}` is no time: {expected}", excerpt(&seconds.to_string())));
    let grams = number_text(text, &ranges::INTENSITY)
        .and_then(|grams| CarbonIntensity::new(grams).map_err(|refused| refused.to_string()));
    (instant, grams)
}
