//! receding-horizon: plan the whole horizon, publish its first step, plan again.

use alloc::vec::Vec;

use crate::planner::{Account, Bid, Load, Planner};
use crate::reason::Bound;
use crate::{Decision, EnergyBasis, Horizon, PlanReport, Policy, PriceUnit, Reason, Situation};

/// Spends the error budget where the forecast says it saves most, and never more than the guard allows.
///
/// The plan is exact for the forecast it is given ([`crate::planner`]); what is published is its first step,
/// held below the error at which even the most demand to be reckoned with before the next evaluation leaves
/// the budget at or above its floor. No forecast can break that: forecasts choose when credit is spent, the
/// guard how much of it there is.
#[derive(Debug, Clone, Default)]
pub struct RecedingHorizon {
    planner: Planner,
    loads: Vec<Load>,
    terminal: Vec<Bid>,
    price: SlowPrice,
}

/// How many bids there are for credit left at the end of the horizon.
const TERMINAL_BIDS: u32 = 8;
/// How far the price of credit is lifted where nothing is banked, and lowered where no more can be.
const TERMINAL_SPREAD: f64 = 0.5;
/// Time constant of the slow average of prices, seconds: 60 days.
const PRICE_MEMORY: f64 = 60.0 * 86_400.0;

impl Policy for RecedingHorizon {
    fn name(&self) -> &'static str {
        "receding-horizon"
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn memory(&self) -> Vec<u64> {
        [self.price.average.to_bits(), self.price.seen.to_bits()].into()
    }

    fn recall(&mut self, memory: &[u64]) {
        if let &[average, seen] = memory {
            let price = SlowPrice { average: f64::from_bits(average), seen: f64::from_bits(seen) };
            let is_sound = price.average.is_finite() && (0.0..=PRICE_MEMORY).contains(&price.seen);
            if is_sound {
                self.price = price;
            }
        }
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu);
        let segments = situation.menu.segments();
        let (least, most) = (segments.least_error(), segments.most_error());
        let target = situation.target_error;
        let unit = match situation.menu.energy_basis() {
            EnergyBasis::WattHours => PriceUnit::Grams,
            EnergyBasis::Relative | EnergyBasis::Precision => PriceUnit::Relative,
        };
        let Some(horizon) = &situation.horizon else {
            // Nobody keeps a budget for this schedule: its income is all there is to spend.
            Self::publish(situation, target.clamp(least, most), decision);
            decision.reason = Reason::Planned {
                bound: Bound::NoHorizon,
                error: target.clamp(least, most),
                price: None,
                unit,
            };
            return;
        };
        let (planned, price) = self.plan(situation, horizon);
        let guarded = ledger::guarded_error(target, horizon.credit, horizon.most_requests, least);
        let (error, bound) = if least > target {
            (least, Bound::Degraded)
        } else if horizon.credit <= 0.0 {
            (least, if horizon.credit < 0.0 { Bound::Debt } else { Bound::Nothing })
        } else if guarded < planned {
            (guarded, Bound::Guard)
        } else if horizon.slots.is_empty() {
            (planned, Bound::NoForecast)
        } else {
            (planned, Bound::Plan)
        };
        Self::publish(situation, error, decision);
        decision.most_error = Some(guarded.max(error));
        let shown = price.filter(|price| price.is_finite()).map(|price| price * grams(unit));
        if let Some(shown) = shown {
            decision.note("shadow_price", shown);
        }
        decision.note("planned_error", planned);
        decision.note("guard_error", guarded);
        decision.note("budget_credit", horizon.credit);
        decision.note("most_requests", horizon.most_requests);
        decision.note("avg_precision", decision.avg_precision);
        decision.plan = Some(PlanReport {
            horizon_seconds: horizon.seconds(),
            slots: horizon.slots.len(),
            planned_error: planned,
            shadow_price: shown,
            unit,
        });
        decision.reason = Reason::Planned { bound, error, price: shown, unit };
    }
}

impl RecedingHorizon {
    /// The first step of the plan and the price it stopped at; without any slot the income is spent as it
    /// comes.
    fn plan(&mut self, situation: &Situation<'_>, horizon: &Horizon<'_>) -> (f64, Option<f64>) {
        let segments = situation.menu.segments();
        let target = situation.target_error;
        if horizon.slots.is_empty() {
            return (target.clamp(segments.least_error(), segments.most_error()), None);
        }
        self.loads.clear();
        self.loads.extend(
            horizon
                .slots
                .iter()
                .map(|slot| Load { ledger: slot.requests, emissions: slot.requests * slot.intensity }),
        );
        self.terminal.clear();
        if let Some(price) = self.price.average().filter(|_| !horizon.is_last) {
            let quantity = horizon.capacity / f64::from(TERMINAL_BIDS);
            self.terminal.extend((0..TERMINAL_BIDS).map(|index| {
                // The dearest bids come first: they are for the first credit that is left.
                let filled = f64::from(index) / f64::from(TERMINAL_BIDS - 1);
                Bid { price: price * terminal_lift(filled), quantity, slot: Bid::TERMINAL }
            }));
        }
        let account = Account { target_error: target, capacity: horizon.capacity, credit: horizon.credit };
        let soft = situation.menu.soft_segments();
        let plan =
            self.planner.plan_softly(segments, soft, account, &self.loads, horizon.floors, &self.terminal);
        let filled = if horizon.capacity > 0.0 { horizon.credit / horizon.capacity } else { 0.5 };
        self.price.observe(plan.price / terminal_lift(filled), horizon.elapsed_seconds);
        (plan.error, Some(plan.price))
    }

    /// Shares of the two flavours around `error` on the hull.
    fn publish(situation: &Situation<'_>, error: f64, decision: &mut Decision) {
        for (entry, share) in situation.menu.hull().mix(error).parts {
            decision.shares[entry] += share;
        }
        decision.finish(situation.menu);
    }
}

/// From intensity x energy to grams: Wh are a thousandth of kWh. Relative energies have no grams.
fn grams(unit: PriceUnit) -> f64 {
    match unit {
        PriceUnit::Grams => 1e-3,
        PriceUnit::Relative => 1.0,
    }
}

/// How much dearer than on average credit is where `filled`, in [0, 1], of what can be banked is banked.
///
/// Little around the middle and much at both ends: what is banked there is a buffer, and as long as it is
/// neither used up nor about to overflow, one price for all times is the best there is.
///
/// The terminal bids lift the price by this, so a price that was seen is divided by it before it is averaged:
/// an account that begins empty would otherwise drive its own average up, and save for weeks.
fn terminal_lift(filled: f64) -> f64 {
    let short = 1.0 - 2.0 * filled.clamp(0.0, 1.0);
    1.0 + TERMINAL_SPREAD * short * short.abs()
}

/// A slow average of the price of credit: what credit is worth beyond the horizon.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct SlowPrice {
    average: f64,
    /// Seconds seen, up to the memory: young averages move faster.
    seen: f64,
}

impl SlowPrice {
    fn average(&self) -> Option<f64> {
        (self.seen > 0.0 && self.average > 0.0).then_some(self.average)
    }

    /// Counts a price that stood for `seconds`. A price of debt says nothing about what credit will be worth.
    fn observe(&mut self, price: f64, seconds: f64) {
        if !price.is_finite() || !seconds.is_finite() || seconds < 0.0 {
            return;
        }
        let seconds = seconds.max(1.0);
        self.seen = (self.seen + seconds).min(PRICE_MEMORY);
        self.average += (price - self.average) * (seconds / self.seen).min(1.0);
    }
}
