//! How many requests a second are being served, from what routers report.

use jiff::SignedDuration;
use models::{Timestamp, ranges};
use serde::{Deserialize, Serialize};

use crate::half_hour::later;

/// After this long a report counts half.
pub const DEFAULT_HALF_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// After this many half-lives without a report the demand is not known any more.
pub const MEMORY_IN_HALF_LIVES: i32 = 8;

/// Shortest report window, in seconds: a shorter one is taken as this.
const MIN_WINDOW: f64 = 1e-3;
/// Bounds of the half-life.
const HALF_LIVES: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(1), SignedDuration::from_hours(24 * 30));

/// Exponential smoothing of a rate over reports with windows of any length.
///
/// The estimate is a quotient: requests over covered time, both weighted by `2^(-age / half-life)`. So a
/// window counts by its length, and windows of several routers that cover the same time add up. A pause
/// between windows of at most one half-life is time without requests (idle routers report nothing); of a
/// longer one the rest is unknown and counts for nothing. Reports may come late and in any order.
///
/// Serialises to its state and back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct DemandEstimator {
    half_life: SignedDuration,
    state: Option<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct State {
    /// Beginning of the earliest window.
    since: Timestamp,
    /// End of the latest one: the weights below are as of here.
    until: Timestamp,
    /// Requests, weighted.
    requests: f64,
    /// Covered seconds, weighted.
    seconds: f64,
}

/// What is stored of an estimator.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    half_life_seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// A stored estimator that none can be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the state of a demand estimator: expected a half-life from 1 s to 30 d, weighted requests >= 0 and seconds > 0"
)]
pub struct BadDemandState;

impl DemandEstimator {
    /// Nothing known yet; `half_life` is held within 1 s and 30 d.
    pub fn new(half_life: SignedDuration) -> Self {
        Self { half_life: half_life.clamp(HALF_LIVES.0, HALF_LIVES.1), state: None }
    }

    /// Takes a report: `requests` were served in the `seconds` before `window_end`.
    ///
    /// A report that cannot be one (a window that is not in (0, 86 400] s, a count that is negative, either
    /// not finite) is left out. `window_end` must not lie ahead of the present, or what comes after it is
    /// taken for old.
    pub fn observe(&mut self, window_end: Timestamp, seconds: f64, requests: f64) {
        let possible = ranges::FEEDBACK_WINDOW.contains(seconds) && ranges::REQUESTS.contains(requests);
        if !possible {
            return;
        }
        let seconds = seconds.max(MIN_WINDOW);
        let from = SignedDuration::try_from_secs_f64(seconds)
            .map_or(window_end, |window| later(window_end, -window));
        if from >= window_end {
            return;
        }
        let mut state = self.state.unwrap_or(State { since: from, until: from, requests: 0.0, seconds: 0.0 });
        self.cover(&mut state, from, window_end);
        let age = seconds_between(window_end, state.until);
        state.requests += requests * self.mean_weight(seconds) * self.weight(age);
        self.state = Some(state);
    }

    /// Requests per second, >= 0: as of the latest window, for nothing newer is known.
    ///
    /// `None` before the first report and when the latest is [`MEMORY_IN_HALF_LIVES`] old.
    pub fn rate(&self, now: Timestamp) -> Option<f64> {
        let state = self.state.as_ref()?;
        let forgotten = later(state.until, self.half_life * MEMORY_IN_HALF_LIVES);
        let rate = state.requests / state.seconds;
        (now < forgotten && rate.is_finite()).then_some(rate)
    }

    /// The half-life it was made with.
    pub fn half_life(&self) -> SignedDuration {
        self.half_life
    }

    /// Grows the covered time by `[from, to)`, at either end.
    fn cover(&self, state: &mut State, from: Timestamp, to: Timestamp) {
        if to > state.until {
            let known = state.until.max(later(from, -self.half_life));
            let fading = self.weight(seconds_between(state.until, to));
            state.requests *= fading;
            state.seconds = state.seconds * fading + self.stretch(known, to, to);
            state.until = to;
        }
        if from < state.since {
            let pause = to.max(later(state.since, -self.half_life));
            state.seconds += self.stretch(from, to.min(state.since), state.until);
            state.seconds += self.stretch(pause, state.since, state.until);
            state.since = from;
        }
    }

    /// Weighted seconds of `[from, to)` as of `at`: the integral of [`Self::weight`] over it.
    fn stretch(&self, from: Timestamp, to: Timestamp, at: Timestamp) -> f64 {
        let seconds = seconds_between(from, to).max(0.0);
        seconds * self.mean_weight(seconds) * self.weight(seconds_between(to, at))
    }

    /// Weight of an instant `age` seconds ago.
    fn weight(&self, age: f64) -> f64 {
        libm::exp2(-age.max(0.0) / self.half_life.as_secs_f64())
    }

    /// Mean weight over the last `seconds`.
    fn mean_weight(&self, seconds: f64) -> f64 {
        let exponent = core::f64::consts::LN_2 * seconds / self.half_life.as_secs_f64();
        if exponent > 0.0 { -libm::expm1(-exponent) / exponent } else { 1.0 }
    }
}

impl Default for DemandEstimator {
    fn default() -> Self {
        Self::new(DEFAULT_HALF_LIFE)
    }
}

impl From<DemandEstimator> for Stored {
    fn from(estimator: DemandEstimator) -> Self {
        Self { half_life_seconds: estimator.half_life.as_secs_f64(), state: estimator.state }
    }
}

impl TryFrom<Stored> for DemandEstimator {
    type Error = BadDemandState;

    fn try_from(stored: Stored) -> Result<Self, BadDemandState> {
        let half_life =
            SignedDuration::try_from_secs_f64(stored.half_life_seconds).map_err(|_| BadDemandState)?;
        let sound = |state: State| {
            let weights = state.requests.is_finite() && state.requests >= 0.0 && state.seconds.is_finite();
            weights && state.seconds > 0.0 && state.since <= state.until
        };
        let whole = (HALF_LIVES.0..=HALF_LIVES.1).contains(&half_life) && stored.state.is_none_or(sound);
        if whole { Ok(Self { half_life, state: stored.state }) } else { Err(BadDemandState) }
    }
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
