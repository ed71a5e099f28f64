//! What is stored of a learner.

use serde::{Deserialize, Serialize};

use super::carbon::{Partial, State};
use super::grid::Grid;
use super::packed;
use super::ring::Ring;

/// The state of a learner as it is written down: rings with their ends, everything else as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored {
    step_seconds: i64,
    #[serde(with = "packed")]
    profile: Vec<f64>,
    #[serde(with = "packed")]
    level: Vec<f64>,
    deviations: StoredRing,
    deviation_means: StoredRing,
    #[serde(with = "packed")]
    sums: Vec<f64>,
    #[serde(with = "packed")]
    weights: Vec<f64>,
    turn: usize,
    told: StoredRing,
    #[serde(with = "packed")]
    skill_sums: Vec<f64>,
    #[serde(with = "packed")]
    trust: Vec<f64>,
    #[serde(with = "packed")]
    pending: Vec<f64>,
    errors: StoredRing,
    error_means: StoredRing,
    #[serde(with = "packed::one")]
    skill_seen: f64,
    skill_turn: usize,
    asked: bool,
    delay: i64,
    fresh: bool,
    past: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial: Option<Partial>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredRing {
    end: i64,
    #[serde(with = "packed")]
    values: Vec<f64>,
}

/// A stored learner that none can be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the state of a carbon learner: {part} {expected}")]
pub(super) struct BadState {
    part: &'static str,
    expected: &'static str,
}

/// Slots that timestamps can reach, either way from 1970, with room to spare.
const FARTHEST_SLOT: i64 = 1 << 40;

impl From<State> for Stored {
    fn from(state: State) -> Self {
        let State { grid, own, told, skill, asked, delay, fresh, past, partial, .. } = state;
        Self {
            step_seconds: grid.step(),
            trust: skill.packed_trust(),
            profile: own.profile.cells,
            level: vec![own.profile.level, own.profile.seen, own.profile.spread],
            deviations: own.deviations.into(),
            deviation_means: own.means.into(),
            sums: own.sums,
            weights: own.weights,
            turn: own.turn,
            told: told.values.into(),
            skill_sums: skill.sums,
            pending: skill.pending,
            errors: skill.errors.into(),
            error_means: skill.means.into(),
            skill_seen: skill.seen,
            skill_turn: skill.turn,
            asked,
            delay,
            fresh,
            past,
            partial,
        }
    }
}

impl TryFrom<Stored> for State {
    type Error = BadState;

    fn try_from(stored: Stored) -> Result<Self, BadState> {
        let wrong = |part, expected| Err(BadState { part, expected });
        let Some(grid) = Grid::of_step(stored.step_seconds) else {
            return wrong("stepSeconds", "should be 300, 600, 900, 1200, 1800 or 3600");
        };
        let mut state = Self::new(grid);
        let numbers = [&stored.profile, &stored.level, &stored.sums, &stored.weights, &stored.skill_sums];
        if !numbers.into_iter().flatten().chain([&stored.skill_seen]).all(|number| number.is_finite()) {
            return wrong("a number", "should be finite");
        }
        let own = &mut state.own;
        own.profile.cells = stored.profile;
        let &[level, seen, spread] = stored.level.as_slice() else {
            return wrong("level", "should be a mean, a count and a spread");
        };
        (own.profile.level, own.profile.seen, own.profile.spread) = (level, seen, spread.max(0.0));
        (own.sums, own.weights, own.turn) = (stored.sums, stored.weights, stored.turn);
        (own.deviations, own.means) = (stored.deviations.into(), stored.deviation_means.into());
        if !own.is_whole() {
            return wrong("profile, deviations, sums or weights", "should have a length that fits the step");
        }
        state.told.values = stored.told.into();
        let skill = &mut state.skill;
        (skill.sums, skill.seen, skill.turn) = (stored.skill_sums, stored.skill_seen, stored.skill_turn);
        (skill.errors, skill.means) = (stored.errors.into(), stored.error_means.into());
        skill.pending = stored.pending;
        if !(skill.unpack_trust(&stored.trust) && skill.is_whole() && state.told.is_whole(grid)) {
            return wrong("told, trust, errors or pending", "should have a length that fits the step");
        }
        state.asked = stored.asked;
        state.delay = stored.delay.clamp(0, state.leads.farthest());
        state.fresh = stored.fresh;
        state.past = stored.past.clamp(0, grid.per_day());
        state.partial = stored.partial.filter(Partial::is_sound);
        Ok(state)
    }
}

impl From<Ring> for StoredRing {
    fn from(ring: Ring) -> Self {
        Self { end: ring.end, values: ring.values }
    }
}

impl From<StoredRing> for Ring {
    fn from(stored: StoredRing) -> Self {
        Self { values: stored.values, end: stored.end.clamp(-FARTHEST_SLOT, FARTHEST_SLOT) }
    }
}
