//! What is known of one carbon target, written down.

use std::sync::Arc;

use models::schedule::UsedFor;
use models::{CarbonTarget, Forecast, Timestamp};
use providers::own::{CarbonLearner, Estimate};
use serde::{Deserialize, Serialize};

use super::BadState;
use crate::forecasts::{Known, MAX_ESTIMATES};
use crate::prices::Prices;

/// All there is to know of one carbon target: the newest forecast, prices, what was learned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetState {
    told: Option<Arc<Forecast>>,
    prices: Prices,
    learner: Option<Box<CarbonLearner>>,
    has_actuals: bool,
    /// Made for all schedules at one instant: made anew at another they would be others.
    estimates: Vec<Estimate>,
    used_for: Vec<UsedFor>,
    estimated_until: Option<Timestamp>,
}

impl Known {
    /// What this is, to be written down.
    pub(crate) fn save(&self) -> TargetState {
        TargetState {
            told: self.latest().cloned(),
            prices: self.prices.clone(),
            learner: self.learner.clone(),
            has_actuals: self.has_actuals,
            estimates: self.estimates.clone(),
            used_for: self.used_for.to_vec(),
            estimated_until: self.estimated_until,
        }
    }

    /// What was written down of a target.
    pub(crate) fn restore(target: &CarbonTarget, state: TargetState) -> Result<Self, BadState> {
        if !state.prices.is_sound() || state.estimates.len() > MAX_ESTIMATES {
            return Err(BadState::new(target, "more is remembered than there can be"));
        }
        let is_sound = |estimate: &Estimate| {
            estimate.from < estimate.to
                && estimate.intensity.is_finite()
                && (0.0..=1.0).contains(&estimate.provider_weight)
        };
        if !state.estimates.iter().all(is_sound) {
            return Err(BadState::new(target, "an estimate is out of range"));
        }
        Ok(Self {
            told: state.told.map(Into::into),
            prices: state.prices,
            learner: state.learner,
            has_actuals: state.has_actuals,
            estimates: state.estimates,
            used_for: state.used_for.into(),
            estimated_until: state.estimated_until,
        })
    }
}
