//! What could have been had in the last day: the optimum in hindsight for what was served.
//!
//! It begins with the error budget's balance of then, may bank what the budget banks, go as deep as was
//! really gone, and leaves at the end what was left: the same requests, the same error spent, at the best of
//! times. So it says how well the times were chosen, and nothing for what is still banked.

use models::savings::HindsightReport;
use policies::planner::{self, Load, Segments};

use super::account::{Account, DAY, HalfHour, Sums};
use super::tariff::Tariff;
use crate::prices::half_hour_begins;

/// Fewest half-hours that say anything.
const FEWEST: usize = 2;
/// Length of a half-hour, seconds.
const HALF_HOUR: u32 = 1_800;
/// Part of the constant mix's emissions that there must be to gain before a share of it means anything.
const NOTHING_TO_GAIN: f64 = 1e-3;
/// Errors this close to the target leave nothing to bank or to spend.
const SAME: f64 = 1e-6;

/// What the error budget allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Terms {
    pub(super) target_error: f64,
    pub(super) capacity: f64,
    /// How low the balance may be spent, <= 0.
    pub(super) floor: f64,
}

impl Account {
    /// The optimum for the half-hours before `until` that are priced without a hole, at most a day of them
    /// and none before `from`; none where that is less than an hour.
    pub(super) fn in_hindsight(
        &self,
        (from, until): (i64, i64),
        terms: Terms,
        tariff: &Tariff,
        segments: &Segments,
    ) -> Option<HindsightReport> {
        let from = from.max(until - DAY);
        let index = |number: i64| usize::try_from((number - self.first).max(0)).unwrap_or(usize::MAX);
        let span = self.half_hours.iter().take(index(until)).skip(index(from)).rev();
        let count = span.take_while(|half_hour| is_whole(half_hour)).count();
        if count < FEWEST {
            return None;
        }
        let over = index(until).min(self.half_hours.len());
        let span = || self.half_hours.range(over - count..over);
        let mut served = Sums::default();
        span().for_each(|half_hour| served.add(half_hour.sums(self.unit)));
        let loads: Vec<Load> = span().map(load).collect();
        let spent = errors(&loads, span(), terms, segments);
        let energy = loads.iter().zip(&spent).map(|(load, error)| {
            load.emissions * tariff.scaled(segments.energy(error - segments.least_error()))
        });
        let optimum = energy.sum::<f64>() * self.unit.factor();
        let possible = served.at_constant_mix - optimum;
        let gain = (served.at_constant_mix - served.emitted) / possible;
        let is_finite = optimum.is_finite() && served.emitted > 0.0;
        is_finite.then(|| HindsightReport {
            until: half_hour_begins(self.first.saturating_add(i64::try_from(over).unwrap_or(i64::MAX))),
            span_seconds: u32::try_from(count).unwrap_or(0) * HALF_HOUR,
            emitted: served.emitted,
            optimum,
            regret: served.emitted - optimum,
            gain_captured: (possible > NOTHING_TO_GAIN * served.at_constant_mix).then_some(gain),
        })
    }
}

/// Whether all that was served is priced.
fn is_whole(half_hour: &HalfHour) -> bool {
    half_hour.unpriced == 0 && (half_hour.requests == 0 || half_hour.price.is_some())
}

fn load(half_hour: &HalfHour) -> Load {
    let requests = half_hour.requests as f64;
    Load { ledger: requests, emissions: requests * half_hour.price.unwrap_or(0.0) }
}

/// The optimum's mean error of each half-hour.
fn errors<'a>(
    loads: &[Load],
    mut span: impl Iterator<Item = &'a HalfHour>,
    terms: Terms,
    segments: &Segments,
) -> Vec<f64> {
    let target_error = terms.target_error;
    // What the budget held from half-hour to half-hour with what was served.
    let begun = span.by_ref().next();
    let mut balance = begun.map_or(0.0, |first| first.balance).min(terms.capacity);
    let (credit, mut deepest) = (balance, balance.min(terms.floor));
    for half_hour in begun.into_iter().chain(span) {
        let requests = half_hour.served.requests() as f64;
        let error = half_hour.served.mean_error().unwrap_or(0.0);
        balance = (balance + requests * (target_error - error)).min(terms.capacity);
        deepest = deepest.min(balance);
    }
    let account =
        planner::Account { target_error, capacity: terms.capacity - deepest, credit: credit - deepest };
    let mut loads = loads.to_vec();
    loads.extend(reserve(&loads, balance - deepest, target_error, segments));
    planner::hindsight(segments, account, &loads).errors
}

/// A last load that bids more than any other for the credit that was left, on top of its own income.
fn reserve(loads: &[Load], credit: f64, target_error: f64, segments: &Segments) -> Option<Load> {
    let (dearest, cheapest) = (segments.list().first()?.saving, segments.list().last()?.saving);
    let room = segments.most_error() - target_error;
    if credit <= 0.0 || room <= SAME {
        return None;
    }
    let requests = credit / room;
    let prices = loads.iter().filter(|load| load.ledger > 0.0).map(|load| load.emissions / load.ledger);
    let price = 2.0 * prices.fold(1.0, f64::max) * (dearest / cheapest);
    Some(Load { ledger: requests, emissions: requests * price })
}
