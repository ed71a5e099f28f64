//! Flavours that a configuration removed: routers may report on them for a while.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::SignedDuration;
use models::{Flavour, FlavourSet, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::time::later;

/// How long a removed flavour still counts.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// Most removed flavours remembered; the oldest go first.
const MOST: usize = 192;

/// The removed flavours, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retired(VecDeque<Removed>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Removed {
    /// As it was configured last, without its annotations.
    #[serde(with = "alone")]
    flavour: Flavour,
    at: Timestamp,
}

impl Retired {
    /// Whether these can be a schedule's: not too many.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.len() <= MOST
    }

    /// Remembers what `before` had and `after` has not.
    pub(crate) fn replace(&mut self, before: &FlavourSet, after: &FlavourSet, now: Timestamp) {
        self.0.retain(|old| later(old.at, REMEMBERED) > now && after.named(&old.flavour.name).is_none());
        for flavour in before.iter().filter(|flavour| after.named(&flavour.name).is_none()) {
            self.0.retain(|old| old.flavour.name != flavour.name);
            let kept = Flavour { name: Arc::clone(&flavour.name), annotations: Map::new(), ..*flavour };
            self.0.push_back(Removed { flavour: kept, at: now });
        }
        while self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    /// The error of a flavour removed within the last 24 h.
    pub(crate) fn error_of(&self, name: &str, now: Timestamp) -> Option<f64> {
        self.named(name, now).map(|flavour| flavour.precision.error())
    }

    /// A flavour removed within the last 24 h.
    pub(crate) fn named(&self, name: &str, now: Timestamp) -> Option<&Flavour> {
        let old = self.0.iter().find(|old| &*old.flavour.name == name)?;
        (later(old.at, REMEMBERED) > now).then_some(&old.flavour)
    }
}

/// A flavour written down as a set of one: what is read is checked like any set.
mod alone {
    use models::{Flavour, FlavourSet};
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(flavour: &Flavour, serializer: S) -> Result<S::Ok, S::Error> {
        [flavour].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Flavour, D::Error> {
        let set = FlavourSet::deserialize(deserializer)?;
        set.first().cloned().ok_or_else(|| D::Error::custom("expected one flavour"))
    }
}
