//! When a provider is left alone: after failures in a row, and for as long as it asks.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use models::{CarbonTarget, Timestamp};

use crate::half_hour::later;

/// Failures in a row, whatever the target, after which a provider is left alone.
pub const FAILURES_TO_OPEN: u32 = 5;
/// Targets in a row, each another one, that are answered and given nothing, after which that is the provider's
/// matter and no longer theirs.
pub const REFUSALS_TO_OPEN: usize = 5;
/// How long, the first time; doubled each time that the trial after it fails.
pub const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// How long at most.
pub const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// Whoever finds a trial under way comes back after this: it ends soon, one way or the other.
const TRIAL_PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// Targets that a trial was passed on from stand back for so long, if there are others.
const TURN: SignedDuration = SignedDuration::from_secs(6);
/// So many targets a trial is passed on to.
const MOST_TRIALS: usize = 16;
/// Longest `Retry-After` that is waited for: longer ones are taken as this.
pub const LONGEST_RETRY_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Closed: it is asked. Open: it is not, until an instant; then one job tries, and the others wait for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Circuit {
    /// Failures in a row.
    failures: u32,
    /// Targets that were answered and given nothing since somebody was given something.
    refused: BTreeSet<CarbonTarget>,
    /// Pauses since it last answered.
    pauses: u32,
    open_until: Option<Timestamp>,
    /// What it asked for with `Retry-After`, whether it is open or not.
    asked_until: Option<Timestamp>,
    /// When the trial that is under way began.
    trial: Option<Timestamp>,
    /// Targets that tried since it opened and were answered nothing that says how the provider is.
    tried: BTreeSet<CarbonTarget>,
}

/// What one outcome did to a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitChange {
    /// It opened, or stayed open after a trial: the provider is left alone until then.
    Opened {
        /// Until when.
        until: Timestamp,
    },
    /// The provider answers again.
    Closed,
}

/// How a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// The provider is asked.
    Closed,
    /// It is left alone until then, since it failed or asked for it.
    Open {
        /// Until when.
        until: Timestamp,
    },
    /// One job tries whether it answers again, or the next one will.
    Trying,
}

impl Circuit {
    pub(crate) fn state(&self, now: Timestamp) -> CircuitState {
        match self.open_until.max(self.asked_until) {
            Some(until) if now < until => CircuitState::Open { until },
            _ if self.open_until.is_some() => CircuitState::Trying,
            _ => CircuitState::Closed,
        }
    }

    /// Whether a job may ask at `now`. A trial that has not been heard of for `patience` was lost.
    ///
    /// # Errors
    ///
    /// When to come back.
    pub(crate) fn check(
        &self,
        target: &CarbonTarget,
        now: Timestamp,
        patience: SignedDuration,
    ) -> Result<(), Timestamp> {
        match self.state(now) {
            CircuitState::Closed => Ok(()),
            CircuitState::Open { until } => Err(until),
            CircuitState::Trying => {
                if let Some(lost) = self.trial.map(|began| later(began, patience)).filter(|lost| now < *lost)
                {
                    return Err(lost.min(later(now, TRIAL_PAUSE)));
                }
                let turn = self.open_until.map_or(now, |until| later(until, TURN));
                if self.tried.contains(target) && now < turn {
                    return Err(turn);
                }
                Ok(())
            }
        }
    }

    /// The same for a job that does ask; the one that may after a pause is the trial.
    ///
    /// # Errors
    ///
    /// When to come back.
    pub(crate) fn admit(
        &mut self,
        target: &CarbonTarget,
        now: Timestamp,
        patience: SignedDuration,
    ) -> Result<(), Timestamp> {
        self.check(target, now, patience)?;
        if self.state(now) == CircuitState::Trying {
            self.trial = Some(now);
        }
        Ok(())
    }

    /// Whether it is open since nothing came back that it could be taken by: any answer closes it.
    pub(crate) fn is_open_for_failures(&self) -> bool {
        self.open_until.is_some() && self.refused.len() < REFUSALS_TO_OPEN
    }

    /// It answered, with what was asked for or well enough to say why not.
    pub(crate) fn succeed(&mut self) -> Option<CircuitChange> {
        let was_open = self.open_until.is_some();
        *self = Self::default();
        was_open.then_some(CircuitChange::Closed)
    }

    /// The trial of `target` was answered with what may be about it alone. Whether another target tries next;
    /// else, or where there was no trial, it counts as the answer may look.
    pub(crate) fn pass_on(&mut self, target: &CarbonTarget) -> bool {
        self.trial.take().is_some() && self.tried.len() < MOST_TRIALS && self.tried.insert(target.clone())
    }

    /// It answered `target` and gave it nothing: the target's matter, until so many others fare alike that it
    /// is the provider's.
    pub(crate) fn refuse(&mut self, target: &CarbonTarget, now: Timestamp) -> Option<CircuitChange> {
        self.failures = 0;
        if self.refused.len() < REFUSALS_TO_OPEN {
            self.refused.insert(target.clone());
        }
        if self.refused.len() < REFUSALS_TO_OPEN {
            return None;
        }
        self.open(now)
    }

    /// It failed in a way that is not one target's matter; perhaps saying when to come back.
    pub(crate) fn fail(
        &mut self,
        now: Timestamp,
        retry_after: Option<SignedDuration>,
    ) -> Option<CircuitChange> {
        self.failures = self.failures.saturating_add(1);
        let asked = retry_after.map(|wait| later(now, wait.clamp(SignedDuration::ZERO, LONGEST_RETRY_AFTER)));
        self.asked_until = self.asked_until.max(asked);
        if self.failures < FAILURES_TO_OPEN && self.open_until.is_none() {
            self.trial = None;
            return None;
        }
        self.open(now)
    }

    fn open(&mut self, now: Timestamp) -> Option<CircuitChange> {
        self.trial = None;
        // Jobs that were under way when it opened say nothing new.
        if self.open_until.is_some_and(|until| now < until) {
            return None;
        }
        self.tried.clear();
        let pause = FIRST_PAUSE * (1 << self.pauses.min(9));
        self.pauses = self.pauses.saturating_add(1);
        let until = later(now, pause.min(LONGEST_PAUSE)).max(self.asked_until.unwrap_or(Timestamp::MIN));
        self.open_until = Some(until);
        Some(CircuitChange::Opened { until })
    }

    /// A clock that was set back makes nobody wait for the old time.
    pub(crate) fn set_back(&mut self, now: Timestamp) {
        let sound = |until: &Timestamp| *until <= later(now, LONGEST_RETRY_AFTER);
        if self.open_until.is_some_and(|until| !sound(&until)) {
            self.open_until = Some(now);
        }
        self.asked_until = self.asked_until.filter(sound);
        self.trial = self.trial.filter(|began| *began <= now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn any() -> CarbonTarget {
        CarbonTarget::from("national")
    }

    fn failed(times: u32) -> Circuit {
        let mut circuit = Circuit::default();
        for _ in 0..times {
            circuit.fail(at(0), None);
        }
        circuit
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_an_answer() {
        let mut circuit = failed(4);
        assert_eq!(circuit.admit(&any(), at(0), PATIENCE), Ok(()));
        assert_eq!(circuit.succeed(), None, "it was not open");
        let mut circuit = failed(4);
        assert_eq!(circuit.fail(at(1), None), Some(CircuitChange::Opened { until: at(31) }));
        assert_eq!(circuit.admit(&any(), at(30), PATIENCE), Err(at(31)));
        assert_eq!(circuit.fail(at(2), None), None, "one that was under way");
        assert_eq!(circuit.admit(&any(), at(31), PATIENCE), Ok(()));
        assert_eq!(circuit.succeed(), Some(CircuitChange::Closed));
        assert_eq!(circuit.state(at(31)), CircuitState::Closed);
    }

    #[test]
    fn one_tries_while_the_others_wait_and_a_lost_trial_is_taken_over() {
        let mut circuit = failed(5);
        assert_eq!(circuit.admit(&any(), at(30), PATIENCE), Ok(()));
        assert_eq!(circuit.admit(&any(), at(31), PATIENCE), Err(at(33)));
        assert_eq!(circuit.admit(&any(), at(89), PATIENCE), Err(at(90)));
        assert_eq!(circuit.admit(&any(), at(90), PATIENCE), Ok(()), "nobody heard of the trial");
        // Pauses double up to ten minutes.
        let mut now = 90;
        for pause in [60, 120, 240, 480, 600, 600] {
            let until = at(now + pause);
            assert_eq!(circuit.fail(at(now), None), Some(CircuitChange::Opened { until }));
            now += pause;
            assert_eq!(circuit.admit(&any(), at(now), PATIENCE), Ok(()));
        }
    }

    #[test]
    fn what_it_asks_for_is_waited_for_up_to_an_hour() {
        for (asked, waited) in [(-5, 0), (90, 90), (86_400, 3_600)] {
            let mut circuit = Circuit::default();
            assert_eq!(circuit.fail(at(0), Some(SignedDuration::from_secs(asked))), None);
            assert_eq!(
                circuit.admit(&any(), at((waited - 1).max(0)), PATIENCE).is_err(),
                waited > 0,
                "{asked}"
            );
            assert_eq!(circuit.admit(&any(), at(waited), PATIENCE), Ok(()), "{asked}");
        }
    }

    #[test]
    fn a_clock_set_back_makes_nobody_wait_for_the_old_time() {
        let mut circuit = Circuit::default();
        for _ in 0..5 {
            circuit.fail(at(1_000_000), Some(SignedDuration::from_secs(60)));
        }
        circuit.set_back(at(0));
        assert_eq!(circuit.admit(&any(), at(0), PATIENCE), Ok(()), "as a trial");
        assert!(circuit.admit(&any(), at(0), PATIENCE).is_err());
    }
}
