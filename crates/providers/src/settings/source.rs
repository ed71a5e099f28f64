//! Where forecasts come from, as the operator says it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use models::{CarbonIntensity, CarbonTarget, Signal, Timestamp, json, ranges};

use crate::trace::TraceAdapter;
use crate::{Adapter, Fixed, NotUnderstood};

/// One name of `--carbon-provider`.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The UK Carbon Intensity API.
    Uk,
    /// Electricity Maps.
    ElectricityMaps,
    /// WattTime.
    WattTime,
    /// A Carbon Aware SDK WebApi.
    CarbonAwareSdk,
    /// The ConfigMap of the carbon-intensity exporter.
    ConfigMap,
    /// A PromQL expression.
    Prometheus,
    /// One value, always.
    Static(CarbonIntensity),
    /// A recorded trace, repeated so that it covers now.
    Trace(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("uk-carbon-intensity", _) => Ok(Self::Uk),
            ("electricity-maps", _) => Ok(Self::ElectricityMaps),
            ("watttime", _) => Ok(Self::WattTime),
            ("carbon-aware-sdk", _) => Ok(Self::CarbonAwareSdk),
            ("configmap", _) => Ok(Self::ConfigMap),
            ("prometheus", _) => Ok(Self::Prometheus),
            (_, Some(("static", grams))) => {
                let grams = json::number_text(grams, &ranges::INTENSITY)?;
                CarbonIntensity::new(grams).map(Self::Static).map_err(|refused| refused.to_string())
            }
            (_, Some(("trace", file))) if !file.is_empty() => Ok(Self::Trace(file.into())),
            _ => Err(format!(
                "`{}` is not a carbon provider: expected uk-carbon-intensity, electricity-maps, watttime, \
                 carbon-aware-sdk, configmap, prometheus, static:GRAMS (gCO2eq/kWh) or trace:FILE, or several of \
                 them with commas between",
                json::excerpt(text)
            )),
        }
    }
}

/// The providers to ask, in order, each with its settings.
#[derive(Debug)]
pub struct ProviderChain(Vec<Member>);

/// One provider, or what comes of one name.
#[derive(Debug)]
pub(super) enum Member {
    /// It can be asked.
    Ready(Arc<dyn Adapter>),
    /// One value, of the signal of the others.
    Static(CarbonIntensity),
    /// A file to be read at the start.
    Trace(PathBuf),
}

impl ProviderChain {
    /// A chain of these members.
    ///
    /// # Errors
    ///
    /// Two members whose signals differ.
    pub(super) fn new(members: Vec<Member>) -> Result<Self, String> {
        let mut signals = members.iter().filter_map(Member::signal);
        let first = signals.next();
        if let Some((name, signal)) = first
            && let Some((other, differs)) = signals.find(|(_, other)| *other != signal)
        {
            return Err(format!(
                "{name} tells {signal} carbon intensity and {other} {differs}: expected providers of one signal, \
                 since a series never mixes the two"
            ));
        }
        Ok(Self(members))
    }

    /// Whether `target` exists at the first provider: the default one has to, since nothing could stand in
    /// for it.
    ///
    /// # Errors
    ///
    /// [`NotUnderstood`], which says what would be right; the only way to fail.
    pub fn check(&self, target: &CarbonTarget) -> Result<(), NotUnderstood> {
        match self.0.first() {
            Some(Member::Ready(adapter)) => adapter.plan(target, Timestamp::UNIX_EPOCH).map(drop),
            Some(Member::Static(_) | Member::Trace(_)) | None => Ok(()),
        }
    }

    /// What all of them tell.
    pub fn signal(&self) -> Signal {
        self.0.iter().find_map(Member::signal).map_or(Signal::Average, |(_, signal)| signal)
    }

    /// The providers to ask, in order; `trace` reads the recordings among them.
    ///
    /// # Errors
    ///
    /// Those of `trace`.
    pub fn adapters<E>(
        &self,
        trace: impl Fn(&Path) -> Result<TraceAdapter, E>,
    ) -> Result<Vec<Arc<dyn Adapter>>, E> {
        let signal = self.signal();
        let adapter = |member: &Member| -> Result<Arc<dyn Adapter>, E> {
            Ok(match member {
                Member::Ready(adapter) => Arc::clone(adapter),
                Member::Static(intensity) => Arc::new(Fixed::new(*intensity).with_signal(signal)),
                Member::Trace(path) => Arc::new(trace(path)?),
            })
        };
        self.0.iter().map(adapter).collect()
    }
}

impl Member {
    /// Its name and what it tells; a constant goes with anything.
    fn signal(&self) -> Option<(&str, Signal)> {
        match self {
            Self::Ready(adapter) => Some((adapter.name(), adapter.signal())),
            Self::Static(_) => None,
            Self::Trace(_) => Some(("trace", Signal::Average)),
        }
    }
}
