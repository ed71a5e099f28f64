//! Where forecasts come from, as the operator says it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use models::{CarbonIntensity, CarbonTarget, Timestamp, json, ranges};
use providers::trace::{CarbonTrace, Factors, TraceAdapter};
use providers::uk::UK_BASE_URL;
use providers::{Adapter, Fixed, LegacyForecast, NotUnderstood, UkCarbonIntensity};

/// `--carbon-provider`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CarbonSource {
    /// The UK Carbon Intensity API.
    Uk,
    /// One value, always.
    Static(CarbonIntensity),
    /// A recorded trace, repeated so that it covers now.
    Trace(PathBuf),
}

impl FromStr for CarbonSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected uk-carbon-intensity, static:GRAMS (gCO2eq/kWh) or trace:FILE";
        match text.split_once(':') {
            None if text == "uk-carbon-intensity" => Ok(Self::Uk),
            Some(("static", grams)) => {
                let grams = json::number_text(grams, &ranges::INTENSITY)?;
                CarbonIntensity::new(grams).map(Self::Static).map_err(|refused| refused.to_string())
            }
            Some(("trace", file)) if !file.is_empty() => Ok(Self::Trace(file.into())),
            _ => Err(format!("`{}` is not a carbon provider: {expected}", json::excerpt(text))),
        }
    }
}

impl CarbonSource {
    /// Whether `target` exists there: the default one has to, since nothing could stand in for it.
    ///
    /// # Errors
    ///
    /// [`NotUnderstood`], which says what would be right; the only way to fail.
    pub(crate) fn check(&self, target: &CarbonTarget) -> Result<(), NotUnderstood> {
        match self {
            Self::Uk => UkCarbonIntensity::default().plan(target, Timestamp::UNIX_EPOCH).map(drop),
            Self::Static(_) | Self::Trace(_) => Ok(()),
        }
    }

    /// The providers to ask, in order. With a URL of the operator's own, what answers there may be the
    /// origin's legacy service too: the UK paths are tried first, then `{url}/forecast`.
    ///
    /// # Errors
    ///
    /// A trace that cannot be read, or that is shorter than a day.
    pub(crate) fn chain(&self, api_url: Option<&str>) -> anyhow::Result<Vec<Arc<dyn Adapter>>> {
        Ok(match self {
            Self::Uk => match api_url {
                None => vec![Arc::new(UkCarbonIntensity::new(UK_BASE_URL))],
                Some(url) => vec![Arc::new(UkCarbonIntensity::new(url)), Arc::new(LegacyForecast::new(url))],
            },
            Self::Static(intensity) => vec![Arc::new(Fixed::new(*intensity))],
            Self::Trace(path) => {
                let shown = path.display().to_string();
                let bytes = std::fs::read(path).with_context(|| format!("cannot read the trace {shown}"))?;
                let trace = CarbonTrace::read(&shown, &bytes, Factors::default())?;
                for note in trace.notes().lines() {
                    tracing::warn!(target: "engine_server::forecasts", "{note}");
                }
                let looped =
                    TraceAdapter::looped(&trace).with_context(|| format!("cannot replay {shown}"))?;
                vec![Arc::new(looped)]
            }
        })
    }
}
