//! Flavours: the runnable variants of a service, each with a precision and an energy figure.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::json;
use crate::problem::{Problems, pointer};
use crate::ranges;
use crate::units::Precision;

/// Most flavours of one schedule.
pub const MAX_FLAVOURS: usize = 64;
/// Longest name of a flavour, in bytes.
pub const MAX_FLAVOUR_NAME: usize = 253;

/// A runnable variant of a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Flavour {
    /// Unique within a schedule.
    pub name: Arc<str>,
    /// How good its answers are.
    pub precision: Precision,
    /// Relative energy per request, >= 0; absent where nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carbon_intensity: Option<f64>,
    /// Energy per request in Wh, >= 0; absent where nobody measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<f64>,
    /// Whether it may receive traffic.
    pub enabled: bool,
    /// Whatever its owner attached; carried, never read.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Value>,
}

impl Flavour {
    /// An enabled flavour named after its precision, with no energy figure.
    pub fn new(precision: Precision) -> Self {
        Self {
            name: default_name(precision),
            precision,
            carbon_intensity: None,
            energy_wh: None,
            enabled: true,
            annotations: Map::new(),
        }
    }

    /// The same flavour under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// The same flavour with relative energy per request.
    #[must_use]
    pub fn with_carbon_intensity(mut self, carbon_intensity: f64) -> Self {
        self.carbon_intensity = Some(carbon_intensity);
        self
    }
}

/// `precision-NN`, percent rounded half to even.
fn default_name(precision: Precision) -> Arc<str> {
    format!("precision-{}", precision.percent()).into()
}

/// The flavours of one schedule: 1 to [`MAX_FLAVOURS`], names unique. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlavourSet(#[serde(deserialize_with = "checked")] Arc<[Flavour]>);

impl FlavourSet {
    /// A set of flavours, in the order given.
    ///
    /// # Errors
    ///
    /// [`Problems`]: too few, too many, a name used twice, a figure out of range.
    pub fn new(flavours: Vec<Flavour>) -> Result<Self, Problems> {
        Self::checked(flavours, "")
    }

    fn checked(flavours: Vec<Flavour>, at: &str) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if flavours.is_empty() || flavours.len() > MAX_FLAVOURS {
            problems.push(at, format_args!("{} flavours: expected 1 to {MAX_FLAVOURS}", flavours.len()));
            return Err(problems);
        }
        for (index, flavour) in flavours.iter().enumerate() {
            let place = pointer(at, index);
            if let Some(earlier) = flavours[..index].iter().position(|other| other.name == flavour.name) {
                problems.push(
                    pointer(&place, "name"),
                    format_args!(
                        "`{}` is the name of flavour {earlier} too: expected names that differ (a missing name is precision-NN)",
                        flavour.name
                    ),
                );
            }
            for (key, value, range) in [
                ("carbonIntensity", flavour.carbon_intensity, &ranges::FLAVOUR_CARBON),
                ("energyWh", flavour.energy_wh, &ranges::ENERGY_WH),
            ] {
                if let Some(value) = value {
                    problems.note(&pointer(&place, key), range.check(value));
                }
            }
        }
        problems.or(Self(flavours.into()))
    }

    /// A set from the wire, `value` standing at the pointer `at`. Unknown keys go to `ignored`.
    ///
    /// # Errors
    ///
    /// [`Problems`] with every bad field.
    pub fn from_json(value: &Value, at: &str, ignored: &mut Vec<String>) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let Some(items) = json::list(value, at, &mut problems) else {
            return Err(problems);
        };
        if items.is_empty() || items.len() > MAX_FLAVOURS {
            problems.push(at, format_args!("{} flavours: expected 1 to {MAX_FLAVOURS}", items.len()));
            return Err(problems);
        }
        let flavours: Vec<Flavour> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| flavour(item, &pointer(at, index), ignored, &mut problems))
            .collect();
        problems.or(())?;
        Self::checked(flavours, at)
    }

    /// The origin's defaults: precision 1.0, 0.85 and 0.7 with relative energy 1.0, 0.7 and 0.4.
    pub fn builtin() -> Self {
        let flavours = [(1.0, 1.0), (0.85, 0.7), (0.7, 0.4)].into_iter().filter_map(|(precision, carbon)| {
            Some(Flavour::new(Precision::new(precision).ok()?).with_carbon_intensity(carbon))
        });
        Self(flavours.collect())
    }

    /// The flavour of that name.
    pub fn named(&self, name: &str) -> Option<&Flavour> {
        self.iter().find(|flavour| &*flavour.name == name)
    }

    /// The flavours that may receive traffic, in order.
    pub fn enabled(&self) -> impl Iterator<Item = &Flavour> {
        self.iter().filter(|flavour| flavour.enabled)
    }
}

/// What was written down is checked like what comes over the wire.
fn checked<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Flavour]>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    FlavourSet::from_json(&value, "", &mut Vec::new()).map(|set| set.0).map_err(D::Error::custom)
}

impl Deref for FlavourSet {
    type Target = [Flavour];

    fn deref(&self) -> &[Flavour] {
        &self.0
    }
}

fn flavour(value: &Value, at: &str, ignored: &mut Vec<String>, problems: &mut Problems) -> Option<Flavour> {
    let object = json::object(value, at, problems)?;
    let before = problems.iter().count();
    let mut precision = None;
    let mut flavour = Flavour::new(Precision::BEST);
    let mut name = None;
    let stands = |key: &str| object.get(key).is_some_and(|value| !value.is_null());
    for (key, value) in json::present(object) {
        let place = pointer(at, key);
        match key.as_str() {
            "name" => name = problems.note(&place, json::text(value, "flavour name", MAX_FLAVOUR_NAME)),
            "precision" => {
                let number = problems.note(&place, json::number(value, &ranges::WIRE_PRECISION));
                precision = number.and_then(|number| problems.note(&place, Precision::from_wire(number)));
            }
            // The environment's older spelling; beside the other one it is not read, as in the origin.
            "carbon_intensity" if stands("carbonIntensity") => ignored.push(json::ignored_name(at, key)),
            "carbonIntensity" | "carbon_intensity" => {
                flavour.carbon_intensity =
                    problems.note(&place, json::number(value, &ranges::FLAVOUR_CARBON));
            }
            "energyWh" => flavour.energy_wh = problems.note(&place, json::number(value, &ranges::ENERGY_WH)),
            "enabled" => {
                flavour.enabled = problems.note(&place, json::boolean(value)).unwrap_or(true);
            }
            "annotations" => {
                flavour.annotations = json::object(value, &place, problems).cloned().unwrap_or_default();
            }
            _ => ignored.push(json::ignored_name(at, key)),
        }
    }
    if !stands("precision") {
        problems.push(
            pointer(at, "precision"),
            format_args!("missing: expected {}, e.g. 0.85", ranges::WIRE_PRECISION),
        );
    }
    flavour.precision = precision?;
    flavour.name = name.map_or_else(|| default_name(flavour.precision), Into::into);
    (problems.iter().count() == before).then_some(flavour)
}
