//! What was asked of one schedule, and by whom.

use std::sync::Arc;

use models::{CarbonTarget, Config, Overrides};
use serde::{Deserialize, Serialize};

/// One layer of a schedule's configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) overrides: Overrides,
    /// Why its carbon target is not one, where no provider has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<Arc<str>>,
}

/// The layers above the defaults of the process.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Layers {
    pub(crate) put: Layer,
    /// What its cluster asks for, as long as the schedule has an object there: above the PUT.
    pub(crate) cluster: Option<Layer>,
}

impl Layer {
    pub(crate) fn new(overrides: Overrides, refused: Option<&str>) -> Self {
        Self { overrides, refused: refused.map(Into::into) }
    }
}

impl Layers {
    /// What is in force, over the defaults.
    pub(crate) fn config(&self, defaults: &Overrides) -> Config {
        match &self.cluster {
            None => Config::resolve(defaults, &self.put.overrides),
            Some(cluster) => Config::of_layers(defaults, &self.put.overrides, &cluster.overrides),
        }
    }

    /// Every target that one of these asks for, or that is followed for want of a word.
    pub(crate) fn targets<'a>(&'a self, defaults: &'a Overrides) -> impl Iterator<Item = CarbonTarget> + 'a {
        let layers = [Some(&self.put), self.cluster.as_ref()].into_iter().flatten();
        layers.map(|layer| Config::resolve(defaults, &layer.overrides).carbon_target().clone())
    }

    /// Whether the carbon target in force is one.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(crate) fn check_target(&self) -> Result<(), String> {
        let by = self.cluster.as_ref().filter(|cluster| cluster.overrides.carbon_target.is_some());
        by.unwrap_or(&self.put).refused.as_deref().map_or(Ok(()), |refused| Err(refused.into()))
    }

    /// Takes note of which targets are none, by what is known now.
    pub(crate) fn refuse(&mut self, defaults: &Overrides, why: impl Fn(&CarbonTarget) -> Option<String>) {
        for layer in [Some(&mut self.put), self.cluster.as_mut()].into_iter().flatten() {
            let target = Config::resolve(defaults, &layer.overrides).carbon_target().clone();
            layer.refused = why(&target).map(Into::into);
        }
    }
}
