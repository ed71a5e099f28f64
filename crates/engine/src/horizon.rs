//! What a planning policy looks at: the slots ahead, the budget, and what may come before the next turn.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::SignedDuration;
use ledger::{Accounting, ErrorBudget};
use models::Timestamp;
use models::schedule::UsedFor;
use policies::{Ahead, Horizon};
use providers::own::{DemandLearner, Estimate};

use crate::time::{earlier, later};

/// How much more than expected (or than was seen last) is reckoned with before the next evaluation.
const SURGE: f64 = 1.5;
/// Pause between two looks at the account for the daily aim.
const SAMPLE_EVERY: SignedDuration = SignedDuration::from_mins(30);
/// The daily aim is about this span.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Weights that count as one source alone.
const ALONE: f64 = 0.01;

/// Buffers of one look ahead; evaluations share them.
#[derive(Debug, Default)]
pub(crate) struct HorizonBuffers {
    slots: Vec<Ahead>,
    floors: Vec<f64>,
}

/// What an account held over the last day: for the daily aim.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CreditTrail(VecDeque<(Timestamp, f64)>);

impl CreditTrail {
    /// Notes what could be spent at `now`.
    pub(crate) fn note(&mut self, now: Timestamp, credit: f64) {
        if self.0.back().is_some_and(|(at, _)| later(*at, SAMPLE_EVERY) > now && *at <= now) {
            return;
        }
        let oldest = earlier(now, DAY + SAMPLE_EVERY);
        self.0.retain(|(at, _)| *at >= oldest && *at <= now);
        self.0.push_back((now, credit));
    }

    /// What could be spent at `at`: the newest note not after it, or the oldest there is.
    fn at(&self, at: Timestamp) -> Option<f64> {
        let noted = self.0.partition_point(|(noted, _)| *noted <= at);
        self.0.get(noted.saturating_sub(1)).map(|(_, credit)| *credit)
    }
}

/// What a look ahead is made of.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) now: Timestamp,
    /// When the slot that is decided for begins or began.
    pub(crate) instant: Timestamp,
    pub(crate) next_due: Timestamp,
    pub(crate) last: Option<Timestamp>,
    pub(crate) estimates: &'a [Estimate],
    pub(crate) budget: &'a ErrorBudget,
    pub(crate) demand: &'a DemandLearner,
    pub(crate) trail: &'a CreditTrail,
    /// Requests per second in the newest interval that was reported.
    pub(crate) last_rate: f64,
    pub(crate) target_error: f64,
    pub(crate) daily_aim: f64,
}

impl View<'_> {
    /// Requests (or seconds, while nobody reports any) to be expected in `[from, to)`.
    fn load(&self, from: Timestamp, to: Timestamp) -> f64 {
        let seconds = to.duration_since(from).as_secs_f64().max(0.0);
        match self.budget.accounting() {
            Accounting::Time => seconds,
            Accounting::Requests => self.demand.expect(from, to, self.now),
        }
    }

    /// The most that is to be reckoned with before the next evaluation.
    pub(crate) fn most_load(&self) -> f64 {
        let seconds = self.next_due.duration_since(self.now).as_secs_f64().max(0.0);
        let expected = self.load(self.now, self.next_due);
        let seen = match self.budget.accounting() {
            Accounting::Time => 0.0,
            Accounting::Requests => self.last_rate * seconds,
        };
        SURGE * expected.max(seen).max(1.0)
    }

    /// The look ahead.
    pub(crate) fn horizon<'b>(&self, buffers: &'b mut HorizonBuffers) -> Horizon<'b> {
        buffers.slots.clear();
        for estimate in self.estimates.iter().filter(|estimate| estimate.to > self.instant) {
            let from = estimate.from.max(self.instant);
            buffers.slots.push(Ahead {
                seconds: estimate.to.duration_since(from).as_secs_f64(),
                intensity: estimate.intensity,
                requests: self.load(from, estimate.to),
            });
        }
        self.floors(buffers);
        Horizon {
            slots: &buffers.slots,
            floors: &buffers.floors,
            credit: self.budget.spendable(),
            capacity: self.budget.capacity() - self.budget.floor(),
            most_requests: self.most_load(),
            elapsed_seconds: self
                .last
                .map_or(0.0, |last| self.now.duration_since(last).as_secs_f64().max(0.0)),
        }
    }

    /// The daily aim as floors. The error served in the 24 h up to an instant is the target's, plus what
    /// the account fell by: so that it stays within `aim` x the target's, the account must not fall below
    /// what it held a day before less `(aim - 1)` x a day's income. What no saving could reach is no floor.
    fn floors(&self, buffers: &mut HorizonBuffers) {
        buffers.floors.clear();
        let day: f64 = self.target_error * self.load(self.now, later(self.now, DAY));
        let slack = (self.daily_aim - 1.0) * day;
        let capacity = self.budget.capacity() - self.budget.floor();
        if slack >= capacity {
            // The account cannot fall that far: nothing to hold.
            return;
        }
        let mut reachable = self.budget.spendable();
        let mut at = self.instant;
        buffers.floors.push(0.0);
        for index in 0..buffers.slots.len() {
            let slot = buffers.slots[index];
            at = later(at, SignedDuration::from_secs_f64(slot.seconds));
            reachable += self.target_error * slot.requests;
            let held = self.trail.at(earlier(at, DAY)).filter(|_| at <= later(self.now, DAY));
            let floor = held.map_or(0.0, |held| held - slack);
            buffers.floors.push(floor.min(reachable).min(capacity).max(0.0));
        }
    }

    /// Which forecast serves which stretch of the horizon.
    pub(crate) fn used_for(&self, provider: Option<&Arc<str>>) -> Vec<UsedFor> {
        let mut stretches: Vec<UsedFor> = Vec::new();
        for estimate in self.estimates {
            let source: Arc<str> = match (estimate.provider_weight, provider) {
                (weight, Some(provider)) if weight >= 1.0 - ALONE => Arc::clone(provider),
                (weight, _) if weight <= ALONE => "own".into(),
                _ => "blend".into(),
            };
            let room = stretches.len() < MOST_STRETCHES;
            match stretches.last_mut() {
                Some(last) if last.source == source || !room => last.to = estimate.to,
                _ => stretches.push(UsedFor { from: estimate.from, to: estimate.to, source }),
            }
        }
        stretches
    }
}

/// Stretches that are published at most.
const MOST_STRETCHES: usize = 8;
