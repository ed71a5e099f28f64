//! One turn of the loop: from what is known to a complete decision.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::SignedDuration;
use ledger::{Accounting, Bounds, Span};
use models::schedule::{
    BudgetReport, Credits, FlavourShare, ForecastReport, ManualReport, MeanErrors, PlanReport, Processing,
    Schedule, UsedFor,
};
use models::weights::apportion;
use models::{CarbonTarget, FlavourSet, Forecast, Setting, Timestamp};
use policies::throttle::throttle;
use policies::{Decision, Menu, Situation};

use crate::cadence::Outlook;
use crate::forecasts::{Known, Shape};
use crate::horizon::{HorizonBuffers, View};
use crate::session::Session;
use crate::time::{seconds, whole_second_after};

/// Buffers that evaluations share.
#[derive(Default)]
pub(crate) struct Scratch {
    decision: Decision,
    horizon: HorizonBuffers,
    /// Exact shares by flavour, in the order of the configuration; disabled ones have none.
    shares: Vec<f64>,
    percent: Vec<u32>,
    per_mille: Vec<u32>,
}

impl Session {
    /// Evaluates at `now` and queues the next evaluation. Nothing where every flavour is disabled; nothing is
    /// planned beyond `ends_at`, where the service is known to end.
    pub(crate) fn evaluate(
        &mut self,
        now: Timestamp,
        forecast: Option<&Arc<Forecast>>,
        known: &mut Known,
        ends_at: Option<Timestamp>,
        scratch: &mut Scratch,
    ) -> Option<Schedule> {
        self.end_interval(now);
        self.believe();
        self.menu.as_ref()?;
        self.reports.begin(now);
        if self.manual.as_ref().is_some_and(|overriding| overriding.until <= now) {
            self.manual = None;
        }

        let outlook = forecast.map_or(nothing_known(now), |forecast| self.cadence.outlook(forecast, now));
        let until = self.manual.as_ref().map(|overriding| overriding.until);
        let next = self.cadence.next_due(now, outlook.boundary);
        let next = until.map_or(next, |until| next.min(until));
        let target_error = self.config.target_error();
        self.expect(now, target_error);

        let menu = self.menu.as_ref()?;
        let shape = known.shape();
        let ahead = self.policy.looks_ahead().then(|| known.estimates(outlook.instant));
        let used_for = ahead.map_or_else(|| Arc::from([]), |(_, used_for)| Arc::clone(used_for));
        let view = View {
            now,
            instant: outlook.instant,
            next_due: next,
            last: self.evaluated_at,
            ends_at,
            estimates: ahead.map_or(&[], |(estimates, _)| estimates),
            budget: &self.budget,
            demand: &self.learner,
            trail: &self.trail,
            last_rate: self.intervals.last_rate(),
            target_error,
            least_error: menu.segments().least_error(),
            daily_aim: self.config.number(Setting::BudgetDailyAim),
        };
        let most_load = view.most_load();
        let has_own = !view.estimates.is_empty();
        let situation = Situation {
            menu,
            target_error,
            balance: self.ledger.balance(),
            bounds: self.ledger.bounds(),
            now: outlook.now.map(|slot| slot.forecast.get()),
            next: outlook.next.map(|slot| slot.forecast.get()),
            horizon: self
                .policy
                .looks_ahead()
                .then(|| view.horizon(most_load, &mut self.expected, &mut scratch.horizon)),
        };
        let decision = &mut scratch.decision;
        self.policy.decide(&situation, decision);
        scratch.shares.clear();
        if let Some(overriding) = &self.manual {
            scratch.shares.extend(&overriding.shares);
        } else {
            scratch.shares.resize(self.config.flavours().len(), 0.0);
            for (entry, share) in menu.entries().iter().zip(&decision.shares) {
                scratch.shares[entry.position] = *share;
            }
        }
        apportion(&scratch.shares, 100, &mut scratch.percent);
        apportion(&scratch.shares, 1000, &mut scratch.per_mille);
        if let Some(most) = decision.most_error.filter(|_| self.manual.is_none()) {
            hold_below(most, menu, &mut scratch.percent);
            hold_below(most, menu, &mut scratch.per_mille);
        }
        let balance_before = situation.balance;
        let flavours = self.shares(scratch);
        let avg_precision = mean_precision(&flavours, &self.believed);

        // What was published is what is posted: whole-percent weights, not the plan behind them.
        let posting = self.ledger.post(now, target_error, 1.0 - avg_precision);
        self.budget.begin(posting, now, target_error, 1.0 - avg_precision, most_load);
        self.trail.note(now, self.budget.spendable());
        self.intervals.begin(now, self.cadence.planned(), posting);
        self.evaluated_at = Some(now);
        self.totals.evaluations += 1;
        if self.manual.is_none() {
            for (total, share) in self.totals.choices.iter_mut().zip(&scratch.shares) {
                *total += share;
            }
        }

        self.due = Some(next);
        let boundary = outlook.boundary;
        Some(Schedule {
            flavours,
            valid_until: until.map_or_else(|| self.cadence.valid_until(now, boundary), whole_second_after),
            credits: self.credits(now, scratch.decision.allowance.filter(|_| until.is_none())),
            policy: self.policy_name(),
            diagnostics: self.diagnostics(&scratch.decision, balance_before, avg_precision),
            avg_precision,
            processing: self.processing(forecast, &outlook, now),
            budget: Some(self.budget_report(now)),
            savings: None,
            plan: scratch.decision.plan.filter(|_| until.is_none()).map(plan_report),
            forecast: report(forecast, shape, &outlook, now, used_for),
            reason: self.reason(&scratch.decision),
            warnings: self.warnings_now(forecast, &outlook, has_own),
            manual: self.manual.as_ref().map(|overriding| ManualReport {
                until: overriding.until,
                reason: overriding.manual.reason.clone(),
            }),
            evaluated_at: now,
            generation: self.generation,
        })
    }

    /// Tells the budget what its window is expected to bring.
    fn expect(&mut self, now: Timestamp, target_error: f64) {
        let window = seconds(self.config.number(Setting::BudgetWindow));
        self.expected.refresh(now, self.budget.accounting(), &self.learner);
        self.budget.expect(target_error, self.expected.within(window));
    }

    fn budget_report(&self, now: Timestamp) -> BudgetReport {
        let budget = &self.budget;
        BudgetReport {
            accounting: match budget.accounting() {
                Accounting::Time => "time",
                Accounting::Requests => "requests",
            },
            window_seconds: self.config.number(Setting::BudgetWindow),
            capacity: budget.capacity(),
            balance: budget.balance(),
            served_requests: budget.served_requests(),
            served_error: budget.served_error(),
            mean_error: MeanErrors {
                since_start: budget.mean_error(Span::SinceStart, now),
                hour: budget.mean_error(Span::Hour, now),
                day: budget.mean_error(Span::Day, now),
                week: budget.mean_error(Span::Week, now),
            },
        }
    }

    fn shares(&self, scratch: &Scratch) -> Vec<FlavourShare> {
        let weights = scratch.shares.iter().zip(&scratch.percent).zip(&scratch.per_mille);
        let flavours = self.config.flavours().iter().zip(weights);
        let shares = flavours.map(|(flavour, ((share, percent), per_mille))| FlavourShare {
            name: Arc::clone(&flavour.name),
            precision: flavour.precision,
            weight: u8::try_from(*percent).unwrap_or(100),
            per_mille: u16::try_from(*per_mille).unwrap_or(1000),
            share: *share,
            carbon_intensity: flavour.carbon_intensity,
            enabled: flavour.enabled,
            measured: self.measured.of(&flavour.name),
        });
        shares.collect()
    }

    fn credits(&self, now: Timestamp, allowance: Option<f64>) -> Credits {
        let bounds = self.ledger.bounds();
        Credits {
            balance: self.ledger.balance(),
            velocity: self.ledger.velocity(now),
            target: self.config.target_error(),
            min: bounds.min(),
            max: bounds.max(),
            allowance,
        }
    }

    fn policy_name(&self) -> Arc<str> {
        Arc::clone(self.config.policy())
    }

    fn diagnostics(
        &self,
        decision: &Decision,
        balance: f64,
        avg_precision: f64,
    ) -> Vec<(Cow<'static, str>, f64)> {
        if self.manual.is_some() {
            return vec![("credit_balance".into(), balance), ("avg_precision".into(), avg_precision)];
        }
        // A policy of an embedding service may hand in anything; JSON has no word for it.
        decision.diagnostics.iter().filter(|(_, value)| value.is_finite()).cloned().collect()
    }

    fn processing(&self, forecast: Option<&Arc<Forecast>>, outlook: &Outlook, now: Timestamp) -> Processing {
        let mut current = outlook.now.map(|slot| slot.forecast.get());
        let next = outlook.next.map(|slot| slot.forecast.get());
        if current.is_none() && next.is_none() {
            // Past its end a forecast still says more than nothing: its last value goes on.
            current = forecast.map(|forecast| forecast.last_known(now).forecast.get());
        }
        let (balance, bounds) = self.throttling_account();
        let throttle = throttle(&self.throttle_settings(), balance, bounds, current, next);
        let ceilings = self.config.components().iter().filter_map(|component| {
            let ceiling = throttle.ceiling(component.min_replicas, component.max_replicas?);
            Some((Arc::clone(&component.name), ceiling))
        });
        Processing {
            throttle: throttle.throttle,
            credits_ratio: throttle.credits_ratio,
            intensity_ratio: throttle.intensity_ratio,
            ceilings: ceilings.collect(),
        }
    }

    /// The account whose state throttles processing: the one the policy spends from. A plan runs the small
    /// credit ledger down to its bound whenever it does its work; throttling by that would undo it.
    fn throttling_account(&self) -> (f64, Bounds) {
        if self.policy.looks_ahead()
            && let Ok(bounds) = Bounds::new(self.budget.floor(), self.budget.capacity())
        {
            return (self.budget.balance(), bounds);
        }
        (self.ledger.balance(), self.ledger.bounds())
    }

    fn reason(&self, decision: &Decision) -> String {
        let mut sentence = String::with_capacity(96);
        // Writing to a string cannot fail.
        let _ = match &self.manual {
            None => write!(sentence, "{}", decision.reason),
            Some(overriding) => match &overriding.manual.reason {
                None => write!(sentence, "manual override until {}", overriding.until),
                Some(reason) => write!(sentence, "manual override until {}: {reason}", overriding.until),
            },
        };
        sentence
    }

    fn warnings_now(
        &self,
        forecast: Option<&Arc<Forecast>>,
        outlook: &Outlook,
        has_own: bool,
    ) -> Vec<Arc<str>> {
        let mut warnings: Vec<Arc<str>> = self.said().cloned().collect();
        match forecast {
            None => warnings.push(no_forecast(&self.target, has_own)),
            Some(forecast) if is_stale(outlook) => warnings.push(stale(&self.target, forecast, has_own)),
            Some(_) => {}
        }
        if self.policy.looks_ahead() && self.budget.accounting() == Accounting::Time {
            warnings.push(NO_FEEDBACK.into());
        }
        warnings.extend(self.best_errs_too_much());
        warnings.extend(self.notes.iter().cloned());
        warnings
    }

    /// The second premise of the budget's guarantee, as far as it was measured.
    fn best_errs_too_much(&self) -> Option<Arc<str>> {
        let best = self.menu.as_ref()?.baseline();
        let error = self.measured.believed_precision(&best.name)?.error();
        let (target, calibrate) = (self.config.target_error(), self.config.calibrate());
        let remedy = if calibrate { "" } else { " (set calibrate, so that decisions know it)" };
        (error > target).then(|| {
            format!(
                "degraded: as measured, even the best flavour {} errs by {error:.4}, more than the target \
                 {target}{remedy}",
                best.name
            )
            .into()
        })
    }

    /// Why nothing can be evaluated.
    pub(crate) fn pending_reason(&self) -> Arc<str> {
        let names: Vec<&str> = self.config.flavours().iter().map(|flavour| &*flavour.name).collect();
        format!("every flavour is disabled: enable at least one of {}", names.join(", ")).into()
    }
}

fn nothing_known(now: Timestamp) -> Outlook {
    Outlook { now: None, next: None, instant: now, boundary: None }
}

/// Moves whole units of weight to the most precise flavour until the mean error is at most `most`.
fn hold_below(most: f64, menu: &Menu, weights: &mut [u32]) {
    let entries = menu.entries();
    let total: u32 = weights.iter().sum();
    let allowed = most * f64::from(total) + ROUNDING * f64::from(total);
    let weighted = entries.iter().map(|entry| entry.error * f64::from(weights[entry.position]));
    let mut error: f64 = weighted.sum();
    let baseline = menu.baseline();
    for entry in entries.iter().skip(1).rev() {
        let step = entry.error - baseline.error;
        while error > allowed && step > 0.0 && weights[entry.position] > 0 {
            weights[entry.position] -= 1;
            weights[baseline.position] += 1;
            error -= step;
        }
    }
}

/// What is said as long as nobody reports what was served.
const NO_FEEDBACK: &str = "no feedback: the error budget counts time, every second alike, and promises the mean \
                           over time only; post what was served to /feedback";
/// Errors closer than this are one.
const ROUNDING: f64 = 1e-12;

/// What an operator should know of the flavours that policies choose from.
pub(crate) fn menu_warnings(menu: Option<&Menu>, looks_ahead: bool) -> Vec<Arc<str>> {
    let Some(menu) = menu else { return Vec::new() };
    let mut warnings: Vec<Arc<str>> = menu.warnings().map(Into::into).collect();
    if looks_ahead {
        warnings.extend(menu.dominated().map(|entry| dominated(&entry.name)));
    }
    warnings
}

/// What is said of a flavour no plan uses.
fn dominated(name: &str) -> Arc<str> {
    format!("flavour {name} is dominated: others err as little for less energy, so no plan uses it").into()
}

fn plan_report(plan: policies::PlanReport) -> PlanReport {
    PlanReport {
        horizon_seconds: plan.horizon_seconds,
        slots: plan.slots,
        planned_error: plan.planned_error,
        shadow_price: plan.shadow_price,
        price_unit: plan.unit.as_str(),
    }
}

/// Mean precision of whole-percent weights, each flavour as good as it is believed to be.
fn mean_precision(flavours: &[FlavourShare], believed: &FlavourSet) -> f64 {
    let weighted = flavours.iter().zip(believed.iter());
    let weighted = weighted.map(|(share, flavour)| f64::from(share.weight) * flavour.precision.get());
    weighted.sum::<f64>() / 100.0
}

fn is_stale(outlook: &Outlook) -> bool {
    outlook.now.is_none() && outlook.next.is_none()
}

fn report(
    forecast: Option<&Arc<Forecast>>,
    shape: Shape,
    outlook: &Outlook,
    now: Timestamp,
    used_for: Arc<[UsedFor]>,
) -> ForecastReport {
    let Some(forecast) = forecast else {
        return ForecastReport { used_for, ..ForecastReport::default() };
    };
    let age = now.duration_since(forecast.retrieved_at).max(SignedDuration::ZERO);
    ForecastReport {
        now: outlook.now.map(|slot| slot.forecast.get()),
        next: outlook.next.map(|slot| slot.forecast.get()),
        index: outlook.now.map(|slot| slot.index),
        source: Some(Arc::clone(&forecast.source)),
        stand_in_for: forecast.stand_in_for.clone(),
        zone: forecast.zone.clone(),
        signal: Some(forecast.signal),
        accounting: Some(forecast.accounting),
        issued_at: forecast.issued_at,
        retrieved_at: Some(forecast.retrieved_at),
        age_seconds: Some(age.as_secs_f64()),
        slot_seconds: shape.slot_seconds,
        gaps: shape.gaps,
        filled_slots: forecast.filled_slots(),
        stale: is_stale(outlook),
        used_for,
    }
}

fn no_forecast(target: &CarbonTarget, has_own: bool) -> Arc<str> {
    let how = if has_own { "planned on the own forecast" } else { "decided without one" };
    format!("no carbon forecast for `{target}` has arrived yet: {how}").into()
}

fn stale(target: &CarbonTarget, forecast: &Forecast, has_own: bool) -> Arc<str> {
    let ended = forecast.slots().last().map_or(Timestamp::MIN, |slot| slot.to);
    let planned = if has_own { ", planned on the own forecast" } else { "" };
    format!("the carbon forecast for `{target}` ended at {ended}: throttled by its last value{planned}")
        .into()
}

/// Settings that are kept but that nothing here acts on yet; asking for them is worth a word.
pub(crate) fn inactive(asked: impl Fn(Setting) -> bool) -> Vec<Arc<str>> {
    let mut warnings: Vec<Arc<str>> = Vec::new();
    if asked(Setting::DiscoveryInterval) {
        warnings.push(
            "discoveryInterval is kept but inactive: flavours are discovered only in Kubernetes".into(),
        );
    }
    warnings
}
