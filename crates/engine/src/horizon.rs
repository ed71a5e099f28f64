//! What a planning policy looks at: the slots ahead, the budget, and what may come before the next turn.

use jiff::SignedDuration;
use ledger::{Accounting, ErrorBudget};
use models::Timestamp;
use policies::{Ahead, Horizon};
use providers::own::{DemandAhead, DemandLearner, Estimate};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use crate::forecasts::MAX_ESTIMATES;
use crate::time::{earlier, later};

/// How much more than expected (or than was seen last) is reckoned with before the next evaluation.
const SURGE: f64 = 1.5;
/// Pause between two looks at the account for the daily aim.
const SAMPLE_EVERY: SignedDuration = SignedDuration::from_mins(30);
/// More notes than a day and a look before and after it have.
const MAX_NOTES: usize = 64;
/// The daily aim is about this span.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Buffers of one look ahead; evaluations share them.
#[derive(Debug, Default)]
pub(crate) struct HorizonBuffers {
    slots: Vec<Ahead>,
    floors: Vec<f64>,
}

/// Expected requests, slot by slot and over the budget's window. Made anew now and then: what is expected
/// of tomorrow does not change within minutes, and asking costs more than a plan does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expected {
    made: Option<(Timestamp, Accounting)>,
    /// Requests (or seconds) expected per second, a slow average: capacity that comes and goes with every
    /// lull takes banked credit away.
    rate: f64,
    /// Seconds that the average knows of, up to its memory.
    seen: f64,
    slots_made: Option<Timestamp>,
    /// Requests (or seconds) per estimate.
    slots: Vec<f64>,
}

/// The rhythm of demand.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Time constant of what is expected in a window, seconds; a young average moves faster.
const WINDOW_MEMORY: f64 = 2.0 * 86_400.0;
/// How old expectations may be.
const EXPECTED_FOR: SignedDuration = SignedDuration::from_mins(10);

impl Expected {
    /// Whether these can be a schedule's: finite, and not too many.
    pub(crate) fn is_sound(&self) -> bool {
        self.slots.len() <= MAX_ESTIMATES
            && self.slots.iter().chain([&self.rate, &self.seen]).all(|n| n.is_finite())
    }

    /// Brings what is expected on average up to date.
    pub(crate) fn refresh(&mut self, now: Timestamp, accounting: Accounting, demand: &DemandLearner) {
        let fresh = self.made.is_some_and(|(made, of)| {
            of == accounting && made <= now && now < later(made, EXPECTED_FOR) && self.rate > 0.0
        });
        if !fresh {
            let since =
                self.made.filter(|(_, of)| *of == accounting).map(|(made, _)| now.duration_since(made));
            if since.is_none() {
                self.seen = 0.0;
            }
            self.made = Some((now, accounting));
            self.slots_made = None;
            // Over whole weeks, so that a window of a day does not shrink before each weekend.
            let expected =
                load(accounting, &mut demand.ahead(now), now, later(now, WEEK)) / WEEK.as_secs_f64();
            let seconds = since.map_or(0.0, |since| since.as_secs_f64()).clamp(0.0, WINDOW_MEMORY);
            self.seen = (self.seen + seconds).min(WINDOW_MEMORY);
            let share = if self.seen > 0.0 { (seconds / self.seen).min(1.0) } else { 1.0 };
            self.rate += (expected - self.rate) * share;
        }
    }

    /// Requests (or seconds) to be expected in any `window`.
    pub(crate) fn within(&self, window: SignedDuration) -> f64 {
        self.rate * window.as_secs_f64()
    }

    /// Brings what is expected of each estimate up to date.
    fn refresh_slots(
        &mut self,
        now: Timestamp,
        accounting: Accounting,
        demand: &DemandLearner,
        ahead: &[Estimate],
    ) {
        let first = ahead.first().map(|estimate| estimate.from);
        if self.slots_made.is_none() || self.slots_made != first || self.slots.len() != ahead.len() {
            self.slots_made = first;
            self.slots.clear();
            let mut demand = demand.ahead(now);
            self.slots.extend(ahead.iter().map(|slot| load(accounting, &mut demand, slot.from, slot.to)));
        }
    }
}

/// Requests (or seconds, while nobody reports any) to be expected in `[from, to)`.
fn load(accounting: Accounting, demand: &mut DemandAhead<'_>, from: Timestamp, to: Timestamp) -> f64 {
    match accounting {
        Accounting::Time => to.duration_since(from).as_secs_f64().max(0.0),
        Accounting::Requests => demand.expect(from, to),
    }
}

/// What an account held over the last day, for the daily aim: each note with the instant at which it is a day
/// old.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CreditTrail(VecDeque<(Timestamp, f64)>);

impl CreditTrail {
    /// Whether this can be a schedule's: not too long.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.len() <= MAX_NOTES
    }

    /// Notes what could be spent at `now`.
    pub(crate) fn note(&mut self, now: Timestamp, credit: f64) {
        let tomorrow = later(now, DAY);
        let is_fresh = |at: Timestamp| later(at, SAMPLE_EVERY) > tomorrow && at <= tomorrow;
        if self.0.back().is_some_and(|(at, _)| is_fresh(*at)) {
            return;
        }
        let oldest = earlier(now, SAMPLE_EVERY);
        while self.0.front().is_some_and(|(at, _)| *at < oldest) {
            self.0.pop_front();
        }
        // Only a clock that was set back leaves notes of a time that is still to come.
        while self.0.back().is_some_and(|(at, _)| *at > tomorrow) {
            self.0.pop_back();
        }
        self.0.push_back((tomorrow, credit));
    }

    /// What could be spent a day before an instant: the newest note not after that, or the oldest there is.
    /// To be asked for one instant after the other, none before the one before it.
    fn day_before(&self) -> impl FnMut(Timestamp) -> Option<f64> {
        let mut credit = self.0.front().map(|(_, credit)| *credit);
        let mut notes = self.0.iter().peekable();
        move |at| {
            while let Some((_, noted)) = notes.next_if(|(day_old, _)| *day_old <= at) {
                credit = Some(*noted);
            }
            credit
        }
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
    /// When the service ends, where that is known.
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) estimates: &'a [Estimate],
    pub(crate) budget: &'a ErrorBudget,
    pub(crate) demand: &'a DemandLearner,
    pub(crate) trail: &'a CreditTrail,
    /// Requests per second in the newest interval that was reported.
    pub(crate) last_rate: f64,
    pub(crate) target_error: f64,
    /// Error of the best mix there is.
    pub(crate) least_error: f64,
    pub(crate) daily_aim: f64,
}

impl View<'_> {
    /// The most that is to be reckoned with before the next evaluation.
    pub(crate) fn most_load(&self) -> f64 {
        let seconds = self.next_due.duration_since(self.now).as_secs_f64().max(0.0);
        let mut demand = self.demand.ahead(self.now);
        let expected = load(self.budget.accounting(), &mut demand, self.now, self.next_due);
        let seen = match self.budget.accounting() {
            Accounting::Time => 0.0,
            Accounting::Requests => self.last_rate * seconds,
        };
        SURGE * expected.max(seen).max(1.0)
    }

    /// The look ahead; `most_load` is [`Self::most_load`], which is asked for once.
    pub(crate) fn horizon<'b>(
        &self,
        most_load: f64,
        expected: &mut Expected,
        buffers: &'b mut HorizonBuffers,
    ) -> Horizon<'b> {
        expected.refresh_slots(self.now, self.budget.accounting(), self.demand, self.estimates);
        buffers.slots.clear();
        // An end that has passed was none.
        let end = self.ends_at.filter(|end| *end > self.instant).unwrap_or(Timestamp::MAX);
        let ahead =
            self.estimates.iter().zip(&expected.slots).take_while(|(estimate, _)| estimate.from < end);
        for (estimate, requests) in ahead.filter(|(estimate, _)| estimate.to > self.instant) {
            let whole = estimate.to.duration_since(estimate.from).as_secs_f64();
            let (mut seconds, mut requests) = (whole, *requests);
            if estimate.from < self.instant || estimate.to > end {
                let (from, to) = (estimate.from.max(self.instant), estimate.to.min(end));
                seconds = to.duration_since(from).as_secs_f64();
                requests *= seconds / whole.max(1e-3);
            }
            buffers.slots.push(Ahead { seconds, intensity: estimate.intensity, requests });
        }
        self.floors(buffers);
        Horizon {
            slots: &buffers.slots,
            floors: &buffers.floors,
            is_last: self.estimates.last().is_some_and(|last| last.to >= end),
            credit: self.budget.spendable(),
            capacity: self.budget.capacity() - self.budget.floor(),
            most_requests: most_load,
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
        let (mut seconds, mut requests) = (0.0, 0.0);
        for slot in &buffers.slots {
            seconds += slot.seconds;
            requests += slot.requests;
            if seconds >= DAY.as_secs_f64() {
                break;
            }
        }
        let day = self.target_error * requests * (DAY.as_secs_f64() / f64::max(seconds, 1.0));
        let slack = (self.daily_aim - 1.0) * day;
        let capacity = self.budget.capacity() - self.budget.floor();
        if slack >= capacity {
            // The account cannot fall that far: nothing to hold.
            return;
        }
        let mut reachable = self.budget.spendable();
        buffers.floors.push(0.0);
        // What is held from now on is not known yet: more than a day ahead nothing is to be kept.
        let last = later(self.now, DAY);
        let mut held_before = self.trail.day_before();
        let ahead = self.estimates.iter().filter(|estimate| estimate.to > self.instant);
        for (estimate, slot) in ahead.zip(&buffers.slots).take_while(|(estimate, _)| estimate.to <= last) {
            reachable += (self.target_error - self.least_error) * slot.requests;
            let floor = held_before(estimate.to).map_or(0.0, |held| held - slack);
            buffers.floors.push(floor.min(reachable).min(capacity).max(0.0));
        }
        buffers.floors.resize(buffers.slots.len() + 1, 0.0);
    }
}
