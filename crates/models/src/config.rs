//! Configuration: what a layer asked for ([`Overrides`]) and what is in force ([`Config`]).
//!
//! Layers are the environment, the PUT of one schedule and what its cluster asks for, in this order over the
//! built-in defaults. A PUT is the whole desired configuration: what it leaves out falls back to the layer below,
//! except the flavour list, which [`Overrides::keep_flavours_of`] carries over.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::flavour::FlavourSet;
use crate::forecast::{CarbonTarget, MAX_CARBON_TARGET};
use crate::json;
use crate::problem::{Problems, pointer};
use crate::ranges;
use crate::settings::{SETTING_COUNT, SETTINGS, Setting};

/// The policy where nobody names one.
pub const DEFAULT_POLICY: &str = "credit-greedy";
/// The carbon target where nobody names one.
pub const DEFAULT_CARBON_TARGET: &str = "national";
/// Whether decisions follow what was measured, where nobody says.
pub const DEFAULT_CALIBRATE: bool = false;
/// Most components of one schedule.
pub const MAX_COMPONENTS: usize = 64;
/// Longest name of a policy or component, in bytes.
pub const MAX_WORD: usize = 63;

/// Where an effective value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The schedule's object in its cluster.
    Crd,
    /// What runs in the schedule's namespace.
    Discovered,
    /// The schedule's own PUT.
    Put,
    /// The process's environment or flags.
    Env,
    /// The built-in default.
    Default,
}

/// A scaled part of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Its name, e.g. `router`.
    #[serde(skip)]
    pub name: Arc<str>,
    /// Fewest replicas.
    pub min_replicas: u32,
    /// Most replicas; without it the component has no ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u32>,
}

/// What one layer asks for; what it leaves out is absent.
///
/// Written down it is the body of a PUT, and is checked like one when it is read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(into = "Map<String, Value>", try_from = "Map<String, Value>")]
pub struct Overrides {
    numbers: [Option<f64>; SETTING_COUNT],
    /// Name of the policy.
    pub policy: Option<Arc<str>>,
    /// Which forecast to follow.
    pub carbon_target: Option<CarbonTarget>,
    /// Whether decisions follow the precision and energy that feedback measured.
    pub calibrate: Option<bool>,
    /// The flavours.
    pub flavours: Option<FlavourSet>,
    /// The scaled components.
    pub components: Option<Arc<[Component]>>,
}

/// A PUT body that was understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParsedOverrides {
    /// What it asks for.
    pub overrides: Overrides,
    /// Keys nobody here knows, e.g. `evaluator`.
    pub ignored: Vec<String>,
}

impl Overrides {
    /// The number this layer asks for, if any.
    pub fn number(&self, setting: Setting) -> Option<f64> {
        self.numbers[setting as usize]
    }

    /// Asks for a number.
    ///
    /// # Errors
    ///
    /// [`crate::ranges::OutOfRange`], the only way to fail; nothing is changed then.
    pub fn set_number(&mut self, setting: Setting, value: f64) -> Result<(), ranges::OutOfRange> {
        self.numbers[setting as usize] = Some(setting.spec().range.check(value)?);
        Ok(())
    }

    /// The body of a PUT: flat, or with the scheduler's keys under `scheduler`.
    ///
    /// # Errors
    ///
    /// [`Problems`] with every bad field at once; nothing is to be applied then.
    pub fn from_json(body: &Map<String, Value>) -> Result<ParsedOverrides, Problems> {
        let mut parsed = ParsedOverrides::default();
        let mut problems = Problems::new();
        let lists = ["strategies", "flavours", "components"];
        let flat =
            json::present(body).filter(|(key, _)| !lists.contains(&key.as_str()) && *key != "scheduler");
        if let Some(nested) = body.get("scheduler").filter(|nested| !nested.is_null()) {
            // The flat keys are not read then, as in the origin; they are named as ignored.
            parsed.ignored.extend(flat.map(|(key, _)| json::ignored_name("", key)));
            if let Some(nested) = json::object(nested, "/scheduler", &mut problems) {
                for (key, value) in json::present(nested) {
                    parsed.scheduler_key("/scheduler", key, value, &mut problems);
                }
            }
        } else {
            for (key, value) in flat {
                parsed.scheduler_key("", key, value, &mut problems);
            }
        }
        parsed.flavour_lists(body, &mut problems);
        if let Some(value) = body.get("components").filter(|value| !value.is_null()) {
            parsed.overrides.components = components(value, &mut parsed.ignored, &mut problems);
        }
        problems.or(parsed)
    }

    /// What this layer asks for, as the body of a PUT that asks for the same.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut body = Map::new();
        for spec in &SETTINGS {
            if let Some(value) = self.number(spec.setting) {
                body.insert(spec.key.into(), json_number(value));
            }
        }
        if let Some(policy) = &self.policy {
            body.insert("policy".into(), json!(policy));
        }
        if let Some(target) = &self.carbon_target {
            body.insert("carbonTarget".into(), json!(target));
        }
        if let Some(calibrate) = self.calibrate {
            body.insert("calibrate".into(), json!(calibrate));
        }
        if let Some(flavours) = &self.flavours {
            body.insert("flavours".into(), json!(flavours));
        }
        if let Some(components) = &self.components {
            body.insert("components".into(), components_json(components));
        }
        body
    }

    /// The keys of this layer that `above` has another value for, in the order of [`Overrides::to_json`].
    pub fn overruled_by(&self, above: &Self) -> Vec<String> {
        let above = above.to_json();
        let mine = self.to_json().into_iter();
        mine.filter(|(key, value)| above.get(key).is_some_and(|other| other != value))
            .map(|(key, _)| key)
            .collect()
    }

    /// Carries the flavour list of an earlier PUT over into one that has no such key.
    pub fn keep_flavours_of(&mut self, earlier: &Self) {
        if self.flavours.is_none() {
            self.flavours.clone_from(&earlier.flavours);
        }
    }
}

impl From<Overrides> for Map<String, Value> {
    fn from(overrides: Overrides) -> Self {
        overrides.to_json()
    }
}

impl TryFrom<Map<String, Value>> for Overrides {
    type Error = Problems;

    fn try_from(body: Map<String, Value>) -> Result<Self, Problems> {
        Self::from_json(&body).map(|parsed| parsed.overrides)
    }
}

impl ParsedOverrides {
    fn scheduler_key(&mut self, base: &str, key: &str, value: &Value, problems: &mut Problems) {
        let at = pointer(base, key);
        if let Some(setting) = Setting::from_key(key) {
            let number = json::number(value, setting.spec().range);
            self.overrides.numbers[setting as usize] = problems.note(&at, number);
            return;
        }
        match key {
            "policy" => {
                let policy = problems.note(&at, json::text(value, "policy", MAX_WORD));
                self.overrides.policy = policy.map(Into::into);
            }
            "carbonTarget" => {
                let target = problems.note(&at, json::text(value, "carbon target", MAX_CARBON_TARGET));
                self.overrides.carbon_target = target.map(Into::into);
            }
            "calibrate" => self.overrides.calibrate = problems.note(&at, json::boolean(value)),
            _ => self.ignored.push(json::ignored_name(base, key)),
        }
    }

    /// `strategies` is the seed's word, `flavours` the newest one's.
    fn flavour_lists(&mut self, body: &Map<String, Value>, problems: &mut Problems) {
        for key in ["strategies", "flavours"] {
            let Some(value) = body.get(key).filter(|value| !value.is_null()) else {
                continue;
            };
            let at = pointer("", key);
            match FlavourSet::from_json(value, &at, &mut self.ignored) {
                Ok(flavours) => match &self.overrides.flavours {
                    Some(other) if *other != flavours => {
                        problems.push(
                            at,
                            "differs from /strategies: expected one of the two lists, or the same twice",
                        );
                    }
                    _ => self.overrides.flavours = Some(flavours),
                },
                Err(wrong) => {
                    for field in &wrong {
                        problems.push(field.pointer.clone(), &field.problem);
                    }
                }
            }
        }
    }
}

fn components(value: &Value, ignored: &mut Vec<String>, problems: &mut Problems) -> Option<Arc<[Component]>> {
    let base = "/components";
    let object = json::object(value, base, problems)?;
    if object.len() > MAX_COMPONENTS {
        problems.push(base, format_args!("{} components: expected at most {MAX_COMPONENTS}", object.len()));
        return None;
    }
    let mut components = Vec::with_capacity(object.len());
    for (name, value) in json::present(object) {
        let at = pointer(base, name);
        if let Err(wrong) = json::text(&Value::String(name.clone()), "component name", MAX_WORD) {
            problems.push(at, wrong);
            continue;
        }
        let Some(fields) = json::object(value, &at, problems) else {
            continue;
        };
        let mut component = Component { name: name.as_str().into(), min_replicas: 0, max_replicas: None };
        for (key, value) in json::present(fields) {
            let field = pointer(&at, key);
            let mut replicas = || {
                let count = problems.note(&field, json::whole_number(value, &ranges::REPLICAS));
                count.and_then(|count| u32::try_from(count).ok())
            };
            match key.as_str() {
                "minReplicas" => component.min_replicas = replicas().unwrap_or(0),
                "maxReplicas" => component.max_replicas = replicas(),
                _ => ignored.push(json::ignored_name(&at, key)),
            }
        }
        match component.max_replicas {
            Some(max) if max < component.min_replicas => problems.push(
                pointer(&at, "maxReplicas"),
                format_args!("{max} is below minReplicas {}: expected min <= max", component.min_replicas),
            ),
            _ => components.push(component),
        }
    }
    Some(components.into())
}

fn components_json(components: &[Component]) -> Value {
    let members = components.iter().map(|component| (String::from(&*component.name), json!(component)));
    Value::Object(members.collect())
}

/// Whole numbers without a fraction: readers of counts and seconds decode integers.
pub(crate) fn json_number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    if libm::trunc(value) == value && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// What is in force for one schedule, each value with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    numbers: [(f64, Source); SETTING_COUNT],
    policy: (Arc<str>, Source),
    carbon_target: (CarbonTarget, Source),
    calibrate: (bool, Source),
    flavours: (FlavourSet, Source),
    components: (Arc<[Component]>, Source),
}

impl Config {
    /// Lays `put` over `env` over the built-in defaults.
    pub fn resolve(env: &Overrides, put: &Overrides) -> Self {
        Self::of_layers(env, put, &Overrides::default())
    }

    /// [`Config::resolve`] under what the schedule's cluster asks for; the flavours of that are the ones that
    /// were discovered.
    pub fn of_layers(env: &Overrides, put: &Overrides, cluster: &Overrides) -> Self {
        let layers = [(cluster, Source::Crd), (put, Source::Put), (env, Source::Env)];
        let (flavours, source) = layered(&layers, |layer| layer.flavours.clone(), FlavourSet::builtin);
        Self {
            numbers: SETTINGS
                .each_ref()
                .map(|spec| layered(&layers, |layer| layer.number(spec.setting), || spec.default)),
            policy: layered(&layers, |layer| layer.policy.clone(), || DEFAULT_POLICY.into()),
            carbon_target: layered(
                &layers,
                |layer| layer.carbon_target.clone(),
                || DEFAULT_CARBON_TARGET.into(),
            ),
            calibrate: layered(&layers, |layer| layer.calibrate, || DEFAULT_CALIBRATE),
            flavours: (flavours, if source == Source::Crd { Source::Discovered } else { source }),
            components: layered(&layers, |layer| layer.components.clone(), || Arc::from([])),
        }
    }

    /// A numeric setting, in its unit.
    pub fn number(&self, setting: Setting) -> f64 {
        self.numbers[setting as usize].0
    }

    /// Allowed mean error, in [0, 1).
    pub fn target_error(&self) -> f64 {
        self.number(Setting::TargetError)
    }

    /// Name of the policy, as it was asked for.
    pub fn policy(&self) -> &Arc<str> {
        &self.policy.0
    }

    /// Which forecast to follow.
    pub fn carbon_target(&self) -> &CarbonTarget {
        &self.carbon_target.0
    }

    /// Whether decisions follow the precision and energy that feedback measured.
    pub fn calibrate(&self) -> bool {
        self.calibrate.0
    }

    /// The flavours, enabled or not.
    pub fn flavours(&self) -> &FlavourSet {
        &self.flavours.0
    }

    /// The scaled components.
    pub fn components(&self) -> &[Component] {
        &self.components.0
    }

    /// Whether the same values are in force, wherever they came from.
    pub fn same_values(&self, other: &Self) -> bool {
        self.numbers.iter().zip(&other.numbers).all(|(one, two)| one.0 == two.0)
            && self.policy.0 == other.policy.0
            && self.carbon_target.0 == other.carbon_target.0
            && self.calibrate.0 == other.calibrate.0
            && self.flavours.0 == other.flavours.0
            && self.components.0 == other.components.0
    }

    /// Every key with its value and its source: the answer to GET /config.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut document = Map::new();
        let mut put = |key: &str, value: Value, source: Source| {
            document.insert(key.into(), json!({"value": value, "source": source}));
        };
        for (spec, (value, source)) in SETTINGS.iter().zip(self.numbers) {
            put(spec.key, json_number(value), source);
        }
        put("policy", json!(self.policy.0), self.policy.1);
        put("carbonTarget", json!(self.carbon_target.0), self.carbon_target.1);
        put("calibrate", json!(self.calibrate.0), self.calibrate.1);
        put("flavours", json!(self.flavours.0), self.flavours.1);
        put("components", components_json(&self.components.0), self.components.1);
        document
    }
}

/// What the first of the layers asks for that asks for any.
fn layered<T>(
    layers: &[(&Overrides, Source)],
    asked: impl Fn(&Overrides) -> Option<T>,
    default: impl FnOnce() -> T,
) -> (T, Source) {
    let first = layers.iter().find_map(|(layer, source)| Some((asked(layer)?, *source)));
    first.unwrap_or_else(|| (default(), Source::Default))
}
