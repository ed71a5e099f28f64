//! What could have been had in the last day: the optimum in hindsight for what was served.
//!
//! It begins with the error budget's balance of then, may bank what the budget banks, go as deep as was
//! really gone, and leaves at the end what was left: the same requests, the same error spent, at the best of
//! times. So it says how well the times were chosen, and nothing for what is still banked.
//!
//! What was served and the optimum are reckoned by the same figures, those in force: what a post measured, and
//! what was believed at the time, would make one cheaper than the other could be.

use models::savings::HindsightReport;
use models::{Flavour, FlavourSet};
use policies::planner::{self, Load, Segments};

use super::account::{Account, DAY, HalfHour};
use super::tariff::{Energy, Tariff};
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

/// What a request at one flavour comes to, by the figures in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    error: f64,
    energy: Energy,
}

impl Figure {
    /// Of every flavour, in order. One that says no energy was not counted as one with a known energy.
    pub(super) fn of(flavours: &FlavourSet, tariff: &Tariff) -> Vec<Self> {
        let figure = |flavour: &Flavour| Self {
            error: flavour.precision.error(),
            energy: tariff.energy(flavour).unwrap_or_default(),
        };
        flavours.iter().map(figure).collect()
    }
}

impl Account {
    /// The optimum for the half-hours before `until` that are priced without a hole, at most a day of them
    /// and none before `from`; none where that is less than an hour.
    pub(super) fn in_hindsight(
        &self,
        (from, until): (i64, i64),
        terms: Terms,
        (figures, tariff): (&[Figure], &Tariff),
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
        let (mut emitted, mut at_constant_mix) = (0.0, 0.0);
        for half_hour in span() {
            let price = half_hour.price.unwrap_or(0.0) * self.unit.factor();
            let (mut energy, mut mix) = (Energy::default(), Energy::default());
            for (requests, figure) in half_hour.by_flavour.iter().zip(figures) {
                energy.add(*requests, figure.energy);
            }
            mix.add(half_hour.requests, tariff.constant_mix);
            emitted += energy.get() * price;
            at_constant_mix += mix.get() * price;
        }
        let loads: Vec<Load> = span().map(load).collect();
        let spent = errors(&loads, span(), terms, figures, segments);
        let energy = loads.iter().zip(&spent).map(|(load, error)| {
            load.emissions * tariff.scaled(segments.energy(error - segments.least_error()))
        });
        let optimum = energy.sum::<f64>() * self.unit.factor();
        let possible = at_constant_mix - optimum;
        let gain = (at_constant_mix - emitted) / possible;
        let is_finite = optimum.is_finite() && emitted > 0.0;
        is_finite.then(|| HindsightReport {
            until: half_hour_begins(self.first.saturating_add(i64::try_from(over).unwrap_or(i64::MAX))),
            span_seconds: u32::try_from(count).unwrap_or(0) * HALF_HOUR,
            emitted,
            optimum,
            regret: emitted - optimum,
            gain_captured: (possible > NOTHING_TO_GAIN * at_constant_mix).then_some(gain),
        })
    }
}

/// Whether all that was served is priced, and could be served by the optimum.
fn is_whole(half_hour: &HalfHour) -> bool {
    half_hour.unpriced == 0 && half_hour.others == 0 && (half_hour.requests == 0 || half_hour.price.is_some())
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
    figures: &[Figure],
    segments: &Segments,
) -> Vec<f64> {
    let target_error = terms.target_error;
    // What the budget held from half-hour to half-hour with what was served.
    let begun = span.by_ref().next();
    let mut balance = begun.map_or(0.0, |first| first.balance).min(terms.capacity);
    let (credit, mut deepest) = (balance, balance.min(terms.floor));
    for half_hour in begun.into_iter().chain(span) {
        let banked = half_hour.by_flavour.iter().zip(figures);
        let banked = banked.map(|(requests, figure)| *requests as f64 * (target_error - figure.error));
        balance = (balance + banked.sum::<f64>()).min(terms.capacity);
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
