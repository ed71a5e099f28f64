//! What was emitted, in one unit: the last day by the half-hour, and all that was before it.

use std::collections::VecDeque;

use models::Timestamp;
use models::flavour::MAX_FLAVOURS;
use models::savings::Emitted;
use serde::{Deserialize, Serialize};

use super::tariff::{Energy, Unit};
use crate::prices::{Prices, half_hour_of};

/// Half-hours that are over and still counted by themselves: a day.
pub(super) const DAY: i64 = 48;
/// Most half-hours kept: evaluations are at most 0.8 days apart, and close what is older than a day.
const MAX_HALF_HOURS: i64 = 2 * DAY;

/// Half-hours that instants can reach, either way from 1970, with room to spare.
const FARTHEST: u64 = 1 << 40;

/// The sums of one schedule in one unit.
///
/// What is reported is added to its half-hour as requests and energies, whole numbers, so that neither
/// lateness nor the order of posts matters. An evaluation prices the half-hours; one that is a day old is
/// closed at the price it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(super) unit: Unit,
    since: Timestamp,
    closed: Sums,
    /// Number of the first half-hour, counted from 1970.
    pub(super) first: i64,
    pub(super) half_hours: VecDeque<HalfHour>,
    /// The sums of the half-hours up to this one, as long as nothing changes there.
    settled: Option<(i64, Sums)>,
    /// Half-hours before it have the price they shall have, but for actual values.
    priced_to: i64,
    /// Half-hours before it were priced by a carbon target that is no longer followed.
    pub(super) follows_from: i64,
    corrections: u64,
    /// The greatest sums there were: what a counter shows.
    most: Sums,
}

/// What was served within half an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct HalfHour {
    /// Requests whose energy is known.
    pub(super) requests: u64,
    energy: Energy,
    at_best: Energy,
    at_constant_mix: Energy,
    /// Requests whose energy is not.
    pub(super) unpriced: u64,
    /// Requests whose energy is known, by flavour in the order of the configuration: what is compared with an
    /// optimum is, like that, reckoned by the figures of today.
    pub(super) by_flavour: Vec<u64>,
    /// Those of them at a flavour that may not be chosen: no optimum can have served them.
    pub(super) others: u64,
    /// gCO2eq/kWh, once known.
    pub(super) price: Option<f64>,
    /// The error budget's balance when it began.
    pub(super) balance: f64,
}

/// Sums over half-hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    requests: u64,
    unpriced: u64,
    emitted: f64,
    at_best: f64,
    at_constant_mix: f64,
}

/// One post, flavour by flavour.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Post {
    pub(super) requests: u64,
    pub(super) energy: Energy,
    pub(super) unpriced: u64,
    pub(super) by_flavour: Vec<u64>,
    pub(super) others: u64,
}

impl HalfHour {
    fn new(balance: f64) -> Self {
        Self {
            requests: 0,
            energy: Energy::default(),
            at_best: Energy::default(),
            at_constant_mix: Energy::default(),
            unpriced: 0,
            by_flavour: Vec::new(),
            others: 0,
            price: None,
            balance,
        }
    }

    /// What it comes to at its price.
    fn sums(&self, unit: Unit) -> Sums {
        let Some(price) = self.price else {
            return Sums { unpriced: self.unpriced.saturating_add(self.requests), ..Sums::default() };
        };
        let emitted = |energy: Energy| energy.get() * (price * unit.factor());
        Sums {
            requests: self.requests,
            unpriced: self.unpriced,
            emitted: emitted(self.energy),
            at_best: emitted(self.at_best),
            at_constant_mix: emitted(self.at_constant_mix),
        }
    }
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.emitted += other.emitted;
        self.at_best += other.at_best;
        self.at_constant_mix += other.at_constant_mix;
    }

    fn report(&self) -> Emitted {
        Emitted {
            priced_requests: self.requests,
            unpriced_requests: self.unpriced,
            emitted: self.emitted,
            avoided_vs_best: self.at_best - self.emitted,
            avoided_vs_constant_mix: self.at_constant_mix - self.emitted,
        }
    }
}

impl Account {
    /// Whether this can be a schedule's: of a time that there is, and not too long.
    pub(super) fn is_sound(&self) -> bool {
        let is_sound = |half_hour: &HalfHour| half_hour.by_flavour.len() <= MAX_FLAVOURS;
        let length = i64::try_from(self.half_hours.len()).unwrap_or(i64::MAX);
        length <= MAX_HALF_HOURS
            && self.first.unsigned_abs() < FARTHEST
            && self.half_hours.iter().all(is_sound)
    }

    /// An empty account that began at `since`.
    pub(super) fn new(unit: Unit, since: Timestamp) -> Self {
        Self {
            unit,
            since,
            closed: Sums::default(),
            first: 0,
            half_hours: VecDeque::new(),
            settled: None,
            priced_to: i64::MIN,
            follows_from: i64::MIN,
            corrections: 0,
            most: Sums::default(),
        }
    }

    /// Counts a post about a window that began at `from` and had its middle at `middle`. `balance` is the
    /// error budget's, without it; `at_best` and `at_constant_mix` are energies of one request.
    pub(super) fn count(
        &mut self,
        post: Post,
        (at_best, at_constant_mix): (Energy, Energy),
        (from, middle, now): (Timestamp, Timestamp, Timestamp),
        balance: f64,
    ) {
        self.since = self.since.min(from);
        let (number, current) = (half_hour_of(middle), half_hour_of(now));
        let Some(half_hour) = self.half_hour(number, current, balance) else {
            // Older than a day: what it would be priced at is not kept that long.
            let unpriced = post.requests.saturating_add(post.unpriced);
            self.closed.unpriced = self.closed.unpriced.saturating_add(unpriced);
            return;
        };
        half_hour.requests = half_hour.requests.saturating_add(post.requests);
        half_hour.energy.merge(post.energy);
        half_hour.at_best.add(post.requests, at_best);
        half_hour.at_constant_mix.add(post.requests, at_constant_mix);
        half_hour.unpriced = half_hour.unpriced.saturating_add(post.unpriced);
        half_hour.others = half_hour.others.saturating_add(post.others);
        if half_hour.by_flavour.len() < post.by_flavour.len() {
            half_hour.by_flavour.resize(post.by_flavour.len(), 0);
        }
        for (sum, requests) in half_hour.by_flavour.iter_mut().zip(post.by_flavour) {
            *sum = sum.saturating_add(requests);
        }
        if self.settled.is_some_and(|(until, _)| number < until) {
            self.settled = None;
        }
    }

    /// Brings prices and sums up to date at `now`.
    pub(super) fn update(&mut self, prices: &Prices, now: Timestamp, balance: f64) {
        let current = half_hour_of(now);
        let _ = self.half_hour(current, current, balance);
        let corrected = self.corrections != prices.corrections();
        self.corrections = prices.corrections();
        // Not even a clock that was set back stops what runs from being priced.
        let follows_from = self.follows_from.min(current);
        let from = if corrected { follows_from } else { follows_from.max(self.priced_to) };
        for (number, half_hour) in (self.first..).zip(&mut self.half_hours) {
            // One that only a late post was about has none yet.
            if number >= from || (half_hour.price.is_none() && number >= follows_from) {
                // A price that is no longer kept goes on.
                half_hour.price = prices.of(number).or(half_hour.price);
            }
        }
        if corrected {
            self.settled = None;
        }
        // What runs may change with the next forecast; what ended just now, with the last look at it.
        self.priced_to = current;
        self.close(current - DAY);
        let day = self.day(current);
        let mut all = self.closed;
        all.add(day);
        let most = &mut self.most;
        most.emitted = most.emitted.max(all.emitted);
        most.at_best = most.at_best.max(all.at_best);
        most.at_constant_mix = most.at_constant_mix.max(all.at_constant_mix);
    }

    /// The sums of the half-hours kept. Those that are over change seldom, so their part is remembered.
    fn day(&mut self, current: i64) -> Sums {
        let until = current - 1;
        if self.settled.is_none_or(|(settled, _)| settled != until) {
            let mut sums = Sums::default();
            for (_, half_hour) in (self.first..until).zip(&self.half_hours) {
                sums.add(half_hour.sums(self.unit));
            }
            self.settled = Some((until, sums));
        }
        let mut sums = self.settled.map_or(Sums::default(), |(_, sums)| sums);
        let over = usize::try_from((until - self.first).max(0)).unwrap_or(usize::MAX);
        for half_hour in self.half_hours.iter().skip(over) {
            sums.add(half_hour.sums(self.unit));
        }
        sums
    }

    /// When it began; all of it; the last day.
    pub(super) fn report(&mut self, now: Timestamp) -> (Timestamp, Emitted, Emitted) {
        let day = self.day(half_hour_of(now));
        let mut all = self.closed;
        all.add(day);
        (self.since, all.report(), day.report())
    }

    /// What counters show: emitted, at the best flavour, at the constant mix. None of them ever falls: where
    /// an actual value turns out to be less than was forecast, they wait.
    pub(super) fn most(&self) -> (f64, f64, f64) {
        (self.most.emitted, self.most.at_best, self.most.at_constant_mix)
    }

    /// Half-hours before `number` keep the price they have.
    fn close(&mut self, number: i64) {
        while self.first < number
            && let Some(oldest) = self.half_hours.pop_front()
        {
            self.first += 1;
            self.closed.add(oldest.sums(self.unit));
            self.settled = None;
        }
    }

    /// The half-hour of that number, made if need be; none where it is over for a day at `current`.
    fn half_hour(&mut self, number: i64, current: i64, balance: f64) -> Option<&mut HalfHour> {
        if number < current - DAY {
            return None;
        }
        self.close(number - MAX_HALF_HOURS + 1);
        if self.first - number >= MAX_HALF_HOURS {
            // A clock that was set back that far.
            self.close(i64::MAX);
        }
        if self.half_hours.is_empty() {
            self.half_hours.reserve_exact(usize::try_from(DAY + 2).unwrap_or_default());
            self.first = number;
        }
        // What comes late may belong before the first one.
        while number < self.first {
            self.half_hours.push_front(HalfHour::new(balance));
            self.first -= 1;
            self.settled = None;
        }
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        while self.half_hours.len() <= index {
            self.half_hours.push_back(HalfHour::new(balance));
        }
        self.half_hours.get_mut(index)
    }
}
