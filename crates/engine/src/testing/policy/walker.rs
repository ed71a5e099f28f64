//! A policy on its way through situations.

use std::fmt::Display;

use policies::{Decision, Policy};

use super::super::attempt::attempt;
use super::super::situations::Case;
use super::super::{Invariant, Violation};
use super::Make;

/// A policy on its way through a course, and what is said of it where it panics.
pub(super) struct Walker {
    policy: Box<dyn Policy>,
    pub(super) looks_ahead: bool,
}

impl Walker {
    pub(super) fn new(make: &Make, seed: u64, at: &dyn Display) -> Result<Self, Violation> {
        let policy = never_panics(at, || make(seed))?;
        let looks_ahead = never_panics(at, || policy.looks_ahead())?;
        Ok(Self { policy, looks_ahead })
    }

    pub(super) fn decide(
        &mut self,
        case: &Case,
        mut decision: Decision,
        at: &dyn Display,
    ) -> Result<Decision, Violation> {
        let situation = case.situation(self.looks_ahead);
        never_panics(at, || {
            self.policy.decide(&situation, &mut decision);
            decision
        })
    }

    pub(super) fn memory(&self, at: &dyn Display) -> Result<Vec<u64>, Violation> {
        never_panics(at, || self.policy.memory())
    }

    pub(super) fn recall(&mut self, memory: &[u64], at: &dyn Display) -> Result<(), Violation> {
        never_panics(at, || self.policy.recall(memory))
    }

    /// What it decides in these cases, one after the other.
    pub(super) fn decide_all(
        &mut self,
        cases: &[Case],
        at: &dyn Display,
    ) -> Result<Vec<Decision>, Violation> {
        cases.iter().map(|case| self.decide(case, Decision::default(), at)).collect()
    }
}

pub(super) fn never_panics<T>(at: &dyn Display, act: impl FnOnce() -> T) -> Result<T, Violation> {
    attempt(act).map_err(|panic| Violation::new(Invariant::PolicyNeverPanics, at, panic, "a decision"))
}
