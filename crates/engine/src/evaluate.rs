//! One turn of the loop: from what is known to a complete decision.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use models::schedule::{Credits, FlavourShare, ForecastReport, ManualReport, Processing, Schedule};
use models::weights::apportion;
use models::{CarbonTarget, Forecast, Setting, Timestamp};
use policies::throttle::throttle;
use policies::{Decision, Situation};

use crate::cadence::Outlook;
use crate::session::Session;
use crate::time::whole_second_after;

/// Buffers that evaluations share.
#[derive(Default)]
pub(crate) struct Scratch {
    decision: Decision,
    /// Exact shares by flavour, in the order of the configuration; disabled ones have none.
    shares: Vec<f64>,
    percent: Vec<u32>,
    per_mille: Vec<u32>,
}

impl Session {
    /// Evaluates at `now` and queues the next evaluation. Nothing where every flavour is disabled.
    pub(crate) fn evaluate(
        &mut self,
        now: Timestamp,
        forecast: Option<&Arc<Forecast>>,
        scratch: &mut Scratch,
    ) -> Option<Schedule> {
        let menu = self.menu.as_ref()?;
        if self.manual.as_ref().is_some_and(|overriding| overriding.until <= now) {
            self.manual = None;
        }
        // The last interval ends here. One that was cut short counts for the part that passed, so that
        // frequent evaluations mint no credit.
        if let Some((posting, elapsed)) = self.intervals.running(now) {
            let _ = self.ledger.scale(posting, self.cadence.part_of_interval(elapsed));
        }

        let outlook = forecast.map_or(NOTHING_KNOWN, |forecast| self.cadence.outlook(forecast, now));
        let situation = Situation {
            menu,
            target_error: self.config.target_error(),
            balance: self.ledger.balance(),
            bounds: self.ledger.bounds(),
            now: outlook.now.map(|slot| slot.forecast.get()),
            next: outlook.next.map(|slot| slot.forecast.get()),
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
        let flavours = self.shares(scratch);
        let avg_precision = mean_precision(&flavours);

        // What was published is what is posted: whole-percent weights, not the plan behind them.
        let posting = self.ledger.post(now, situation.target_error, 1.0 - avg_precision);
        self.intervals.begin(now, posting);
        self.totals.evaluations += 1;
        for (total, share) in self.totals.choices.iter_mut().zip(&scratch.shares) {
            *total += share;
        }

        let boundary = outlook.boundary;
        let until = self.manual.as_ref().map(|overriding| overriding.until);
        let next = self.cadence.next_due(now, boundary);
        self.due = Some(until.map_or(next, |until| next.min(until)));
        Some(Schedule {
            flavours,
            valid_until: until.map_or_else(|| self.cadence.valid_until(now, boundary), whole_second_after),
            credits: self.credits(now, scratch.decision.allowance.filter(|_| until.is_none())),
            policy: self.policy_name(),
            diagnostics: self.diagnostics(&scratch.decision, situation.balance, avg_precision),
            avg_precision,
            processing: self.processing(forecast, &outlook, now),
            forecast: report(forecast, &outlook),
            reason: self.reason(&scratch.decision),
            warnings: self.warnings_now(forecast, &outlook),
            manual: self.manual.as_ref().map(|overriding| ManualReport {
                until: overriding.until,
                reason: overriding.manual.reason.clone(),
            }),
            evaluated_at: now,
            generation: self.generation,
        })
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
        let throttle =
            throttle(&self.throttle_settings(), self.ledger.balance(), self.ledger.bounds(), current, next);
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

    fn warnings_now(&self, forecast: Option<&Arc<Forecast>>, outlook: &Outlook) -> Vec<Arc<str>> {
        let mut warnings = self.warnings.clone();
        match forecast {
            None => warnings.push(no_forecast(&self.target)),
            Some(forecast) if is_stale(outlook) => warnings.push(stale(&self.target, forecast)),
            Some(_) => {}
        }
        warnings
    }

    /// Why nothing can be evaluated.
    pub(crate) fn pending_reason(&self) -> Arc<str> {
        let names: Vec<&str> = self.config.flavours().iter().map(|flavour| &*flavour.name).collect();
        format!("every flavour is disabled: enable at least one of {}", names.join(", ")).into()
    }
}

const NOTHING_KNOWN: Outlook = Outlook { now: None, next: None, boundary: None };

/// Mean precision of whole-percent weights.
fn mean_precision(flavours: &[FlavourShare]) -> f64 {
    let weighted = flavours.iter().map(|share| f64::from(share.weight) * share.precision.get());
    weighted.sum::<f64>() / 100.0
}

fn is_stale(outlook: &Outlook) -> bool {
    outlook.now.is_none() && outlook.next.is_none()
}

fn report(forecast: Option<&Arc<Forecast>>, outlook: &Outlook) -> ForecastReport {
    ForecastReport {
        now: outlook.now.map(|slot| slot.forecast.get()),
        next: outlook.next.map(|slot| slot.forecast.get()),
        index: outlook.now.map(|slot| slot.index),
        source: forecast.map(|forecast| Arc::clone(&forecast.source)),
        issued_at: forecast.and_then(|forecast| forecast.issued_at),
        retrieved_at: forecast.map(|forecast| forecast.retrieved_at),
        stale: forecast.is_some() && is_stale(outlook),
    }
}

fn no_forecast(target: &CarbonTarget) -> Arc<str> {
    format!("no carbon forecast for `{target}` has arrived yet: decided without one").into()
}

fn stale(target: &CarbonTarget, forecast: &Forecast) -> Arc<str> {
    let ended = forecast.slots().last().map_or(Timestamp::MIN, |slot| slot.to);
    format!("the carbon forecast for `{target}` ended at {ended}: throttled by its last value").into()
}

/// Settings that are kept but that nothing here acts on yet; asking for them is worth a word.
pub(crate) fn inactive(asked: impl Fn(Setting) -> bool) -> Vec<Arc<str>> {
    let mut warnings: Vec<Arc<str>> = Vec::new();
    if asked(Setting::DiscoveryInterval) {
        warnings.push(
            "discoveryInterval is kept but inactive: flavours are discovered only in Kubernetes".into(),
        );
    }
    for setting in [Setting::BudgetWindow, Setting::BudgetOverdraft, Setting::BudgetDailyAim] {
        if asked(setting) {
            let key = setting.spec().key;
            warnings
                .push(format!("{key} is kept but inactive: no policy here keeps an error budget yet").into());
        }
    }
    warnings
}
