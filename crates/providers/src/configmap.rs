//! The ConfigMap that Azure's carbon-intensity exporter keeps in a Kubernetes cluster.
//!
//! Format: <https://github.com/Azure/kubernetes-carbon-intensity-exporter>. gCO2eq/kWh, average or marginal by
//! the source behind the exporter; one location.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use models::json::{excerpt, kind};
use models::{CarbonTarget, Signal, Timestamp};
use serde_json::{Map, Value};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::emissions;
use crate::reading;
use crate::zone::{self, Zone};

const NAME: &str = "configmap";
/// The member that holds the rows, unless the exporter was told another name.
const KEY: &str = "data";

/// Forecasts out of the exporter's ConfigMap, published as `configmap`.
///
/// Two documents are read: the ConfigMap as the Kubernetes API answers it in JSON, with the rows coded in
/// `binaryData` (under `data`, or whatever its only member is called) or plain in `data.data`; and the rows
/// alone, as a mounted ConfigMap has them in its file.
///
/// Every target is understood, since a ConfigMap knows one grid, unless it is [said which](Self::with_zone). Rows of several locations are refused. A row
/// without `value` is a gap: the exporter leaves out a zero and an unknown value alike. What it says went
/// wrong (`message`) counts only where there are no rows, since the old ones stay; and then
/// `lastHeartbeatTime` is not when they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMap {
    url: String,
    signal: Signal,
    zone: Option<Zone>,
}

impl ConfigMap {
    /// The document at `url`: absolute, http or https, or whatever else the [`Fetch`](crate::Fetch) in use
    /// can read, such as `file:///etc/carbon/data`. Its values are of `signal`.
    pub fn new(url: impl Into<String>, signal: Signal) -> Self {
        Self { url: url.into(), signal, zone: None }
    }

    /// It knows this grid: other targets are refused.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone: Some(zone), ..self }
    }
}

impl Adapter for ConfigMap {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        zone::check(self.zone.as_ref(), target, NAME)?;
        Ok(Plan::Ask(Request::json(self.url.clone()).with_secret_query()))
    }

    fn parse(&self, _: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let broken = |problem| reading::not_the_format(NAME, problem);
        match reading::json(NAME, body)? {
            Value::Array(list) => self.answer(&list, None, now),
            Value::Object(map) => {
                let said = |key| map.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
                let message = said("message").map(str::trim).filter(|message| !message.is_empty());
                match (rows(&map), message) {
                    (Ok(list), None) => self.answer(&list, said("lastHeartbeatTime").and_then(go_time), now),
                    (Ok(list), Some(_)) => self.answer(&list, None, now),
                    (Err(_), Some(message)) => {
                        Err(BadAnswer::Refused { provider: NAME.to_owned(), message: excerpt(message) })
                    }
                    (Err(problem), None) => Err(broken(problem)),
                }
            }
            other => Err(broken(format!(
                "{} stands at the top: expected a ConfigMap, or the list in it",
                kind(&other)
            ))),
        }
    }

    fn signal(&self) -> Signal {
        self.signal
    }

    fn knows_one_grid(&self) -> bool {
        true
    }
}

impl ConfigMap {
    fn answer(&self, list: &[Value], issued: Option<Timestamp>, now: Timestamp) -> Result<Answer, BadAnswer> {
        let rows = emissions::rows(list, "");
        let places = rows.places();
        if places.len() > 1 {
            let places: Vec<_> = places.into_iter().take(SHOWN).map(excerpt).collect();
            let problem = format!("it has rows of several locations, {}: expected one", places.join(", "));
            return Err(reading::not_the_format(NAME, problem));
        }
        Ok(rows.forecast(NAME, issued, now, self.signal)?.into())
    }
}

/// Names shown in a message at most.
const SHOWN: usize = 4;

/// The rows in a ConfigMap.
fn rows(map: &Map<String, Value>) -> Result<Vec<Value>, String> {
    let (text, at) = if let Some(Value::Object(binary)) = map.get("binaryData").filter(|it| !it.is_null()) {
        let sole = || binary.iter().next().filter(|_| binary.len() == 1);
        let (key, coded) = binary.get_key_value(KEY).or_else(sole).ok_or_else(|| {
            format!("/binaryData: {} members, none of them `{KEY}`: expected the rows there", binary.len())
        })?;
        let at = format!("/binaryData/{}", excerpt(key));
        let coded =
            coded.as_str().ok_or_else(|| format!("{at}: {} stands here: expected base64", kind(coded)))?;
        // Line breaks are allowed in YAML, from where people paste.
        let coded: String = coded.split_ascii_whitespace().collect();
        (STANDARD.decode(coded).map_err(|wrong| format!("{at}: {wrong}: expected base64"))?, at)
    } else {
        let text = map.get("data").and_then(|data| data.get(KEY)).and_then(Value::as_str);
        let missing = "neither /binaryData nor /data/data: expected the rows in one of them";
        (text.ok_or(missing)?.as_bytes().to_vec(), format!("/data/{KEY}"))
    };
    match reading::json(NAME, &text) {
        Ok(Value::Array(list)) => Ok(list),
        Ok(other) => Err(format!("{at}: {} stands in it: expected a list", kind(&other))),
        Err(BadAnswer::NotTheFormat { problem, .. }) => Err(format!("{at}: {problem}")),
        Err(other) => Err(format!("{at}: {other}")),
    }
}

/// `2023-04-10 15:43:25.123456789 +0000 UTC m=+0.123`, as Go prints an instant.
fn go_time(text: &str) -> Option<Timestamp> {
    let mut parts = text.split_whitespace();
    let instant = [parts.next()?, parts.next()?, parts.next()?].join(" ");
    Timestamp::strptime("%Y-%m-%d %H:%M:%S%.f %z", instant).ok()
}
