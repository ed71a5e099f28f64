//! One schedule's state: configuration, ledger, policy, what was served, the override in force.

use std::sync::Arc;

use jiff::SignedDuration;
use ledger::{
    Before, Bounds, BudgetSettings, CreditLedger, ErrorBudget, PPM, Report, ServedAt, error_ppm, target_ppm,
};
use models::problem::pointer;
use models::{CarbonTarget, Config, Feedback, FlavourSet, Manual, Precision, Problems, Setting, Timestamp};
use policies::throttle::ThrottleSettings;
use policies::{Menu, Policy};
use providers::DemandEstimator;
use providers::own::DemandLearner;

use crate::answers::WantedForecast;
use crate::board::Totals;
use crate::cadence::Cadence;
use crate::evaluate::menu_warnings;
use crate::horizon::{CreditTrail, Expected};
use crate::intervals::{Intervals, Served};
use crate::layers::Layers;
use crate::measured::Measured;
use crate::reports::{Polling, Reports};
use crate::retired::Retired;
use crate::savings::Savings;
use crate::sources::Sources;
use crate::time::{earlier, later, seconds};

/// What a configuration comes to, checked and ready to be put in force.
pub(crate) struct Setup {
    pub(crate) layers: Layers,
    pub(crate) config: Config,
    pub(crate) menu: Option<Menu>,
    pub(crate) policy: Box<dyn Policy>,
    pub(crate) bounds: Bounds,
    pub(crate) target: CarbonTarget,
    pub(crate) cadence: Cadence,
    pub(crate) warnings: Vec<Arc<str>>,
    /// What is to be known of the flavours.
    pub(crate) menu_warnings: Vec<Arc<str>>,
}

/// A manual override in force.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Override {
    pub(crate) manual: Manual,
    pub(crate) until: Timestamp,
    /// Shares by flavour, in the order of the configuration.
    pub(crate) shares: Vec<f64>,
}

pub(crate) struct Session {
    pub(crate) layers: Layers,
    pub(crate) config: Config,
    pub(crate) generation: u64,
    pub(crate) warnings: Vec<Arc<str>>,
    pub(crate) menu_warnings: Vec<Arc<str>>,
    /// What whoever polls has to say.
    pub(crate) notes: Vec<Arc<str>>,
    pub(crate) target: CarbonTarget,
    pub(crate) cadence: Cadence,
    pub(crate) menu: Option<Menu>,
    pub(crate) policy: Box<dyn Policy>,
    pub(crate) ledger: CreditLedger,
    pub(crate) budget: ErrorBudget,
    /// What the budget held over the last day.
    pub(crate) trail: CreditTrail,
    pub(crate) intervals: Intervals,
    pub(crate) manual: Option<Override>,
    pub(crate) totals: Totals,
    /// When the next evaluation is queued.
    pub(crate) due: Option<Timestamp>,
    pub(crate) retired: Retired,
    pub(crate) served: Served,
    /// What that emitted.
    pub(crate) savings: Savings,
    /// Which numbered posts were counted.
    pub(crate) sources: Sources,
    /// Up to when what was served is accounted for.
    pub(crate) reports: Reports,
    /// How good the answers of each flavour were, and what they cost.
    pub(crate) measured: Measured,
    /// The flavours as decisions see them: as configured, or as measured where that is asked for.
    pub(crate) believed: FlavourSet,
    /// Whether something was measured since decisions last looked.
    pub(crate) measured_anew: bool,
    /// How much is asked for now.
    pub(crate) demand: DemandEstimator,
    /// How much is asked for when.
    pub(crate) learner: DemandLearner,
    pub(crate) expected: Expected,
    /// When it was last evaluated.
    pub(crate) evaluated_at: Option<Timestamp>,
}

impl Session {
    pub(crate) fn new(setup: Setup) -> Self {
        let window = seconds(setup.config.number(Setting::CreditWindow));
        let choices = vec![0.0; setup.config.flavours().len()];
        Self {
            savings: Savings::new(&setup.config, setup.menu.as_ref()),
            ledger: CreditLedger::new(setup.bounds, window),
            budget: ErrorBudget::new(budget_settings(&setup.config)),
            trail: CreditTrail::default(),
            layers: setup.layers,
            believed: setup.config.flavours().clone(),
            config: setup.config,
            generation: 1,
            warnings: setup.warnings,
            menu_warnings: setup.menu_warnings,
            notes: Vec::new(),
            target: setup.target,
            cadence: setup.cadence,
            menu: setup.menu,
            policy: setup.policy,
            intervals: Intervals::default(),
            manual: None,
            totals: Totals { choices, ..Totals::default() },
            due: None,
            retired: Retired::default(),
            served: Served::default(),
            sources: Sources::default(),
            reports: Reports::default(),
            measured: Measured::default(),
            measured_anew: false,
            demand: DemandEstimator::default(),
            learner: DemandLearner::default(),
            expected: Expected::default(),
            evaluated_at: None,
        }
    }

    /// Puts another configuration in force. Ledger, demand and counts live on; an override survives
    /// unless it names a flavour that is gone. Answers whether it was ended.
    pub(crate) fn reconfigure(&mut self, setup: Setup, now: Timestamp) -> bool {
        // What the old bounds saw is counted within the old bounds, and not again within the new ones.
        self.end_interval(now);
        let (before, after) = (self.config.flavours().clone(), setup.config.flavours().clone());
        self.retired.replace(&self.believed, &after, now);
        self.measured.keep(&before, &after);
        let mut savings = std::mem::take(&mut self.savings);
        savings.reconfigure(self, &setup, now);
        self.savings = savings;
        self.ledger.reconfigure(setup.bounds, seconds(setup.config.number(Setting::CreditWindow)));
        self.budget.reconfigure(budget_settings(&setup.config));
        let same_policy = self.config.policy() == setup.config.policy();
        // Counters are per policy and flavour: what goes on under the same name goes on counting.
        let counted = |name: &str| {
            let position = before.iter().position(|flavour| &*flavour.name == name);
            position.and_then(|position| self.totals.choices.get(position).copied())
        };
        self.totals.choices = after
            .iter()
            .map(|flavour| if same_policy { counted(&flavour.name).unwrap_or(0.0) } else { 0.0 })
            .collect();
        if !same_policy {
            self.policy = setup.policy;
        }
        let ended = match &mut self.manual {
            None => false,
            Some(overriding) => match overriding.manual.shares(&after) {
                Ok(shares) => {
                    overriding.shares = shares;
                    false
                }
                Err(_) => true,
            },
        };
        if ended {
            self.manual = None;
        }
        self.layers = setup.layers;
        self.config = setup.config;
        self.generation += 1;
        self.warnings = setup.warnings;
        self.menu_warnings = setup.menu_warnings;
        self.target = setup.target;
        self.cadence = setup.cadence;
        self.menu = setup.menu;
        self.believed = after;
        self.measured_anew = true;
        self.believe();
        ended
    }

    /// Goes on in a new process, whose defaults may be others. What a running override names is looked at only
    /// where the configuration really changed.
    pub(crate) fn restart(&mut self, setup: Setup, now: Timestamp) {
        if !self.config.same_values(&setup.config) || self.target != setup.target {
            self.reconfigure(setup, now);
            return;
        }
        self.layers = setup.layers;
        self.config = setup.config;
        self.warnings = setup.warnings;
        self.cadence = setup.cadence;
    }

    /// Lets decisions see what was measured since they last looked, where that is asked for.
    pub(crate) fn believe(&mut self) {
        if !std::mem::take(&mut self.measured_anew) || !self.config.calibrate() {
            return;
        }
        let believed = self.measured.believed(self.config.flavours());
        if believed != self.believed {
            self.menu = Menu::new(&believed);
            self.menu_warnings = menu_warnings(self.menu.as_ref(), self.policy.looks_ahead());
            self.savings.charge(&self.config, self.menu.as_ref());
            self.believed = believed;
        }
    }

    /// Which forecast it follows, and what it asks of it.
    pub(crate) fn wanted(&self) -> (CarbonTarget, WantedForecast) {
        let ttl = seconds(self.config.number(Setting::CarbonCacheTtl));
        let timeout = seconds(self.config.number(Setting::CarbonTimeout));
        (self.target.clone(), WantedForecast { ttl, timeout })
    }

    /// All there is to say of the configuration.
    pub(crate) fn said(&self) -> impl Iterator<Item = &Arc<str>> {
        self.warnings.iter().chain(&self.menu_warnings)
    }

    /// The running interval ends here. One that was cut short counts for the part that passed, so that
    /// frequent evaluations mint no credit.
    pub(crate) fn end_interval(&mut self, now: Timestamp) {
        if let Some((posting, part)) = self.intervals.running(now) {
            let _ = self.ledger.scale(posting, part);
        }
        self.intervals.end(now);
        self.budget.end(now);
    }

    /// Sets an override from `now` on. Answers when it ends.
    ///
    /// # Errors
    ///
    /// [`Problems`]: a weight for a flavour that is unknown or disabled.
    pub(crate) fn set_manual(&mut self, manual: Manual, now: Timestamp) -> Result<Timestamp, Problems> {
        let shares = manual.shares(self.config.flavours())?;
        let ttl = manual.ttl_seconds.map_or(self.cadence.valid_for, seconds);
        let until = later(now, ttl);
        self.manual = Some(Override { manual, until, shares });
        Ok(until)
    }

    /// Counts what was served, unless it was counted before. Answers what this post says was served, and
    /// whether it is such a repeat.
    ///
    /// # Errors
    ///
    /// [`Problems`] with every flavour that was never known, a window that ends in the future, one that is out
    /// of order and does not say when it ended, and a source of which it cannot be said whether it repeats
    /// itself; nothing is counted then, and the post's number
    /// is as good as before.
    pub(crate) fn record(&mut self, feedback: &Feedback, now: Timestamp) -> Result<(Served, bool), Problems> {
        let end = feedback.window_end.unwrap_or(now);
        let window = (earlier(end, seconds(feedback.window_seconds)), end);
        let sender = feedback.sender.as_ref();
        // First of all: a repeat is one for ever, also of what would be refused by now.
        let mut repeat = sender.is_some_and(|sender| self.sources.has(sender));
        if !repeat {
            let mut problems = Problems::new();
            if end > later(now, CLOCK_SKEW) {
                problems.push(
                    "/windowEnd",
                    format_args!("{end} is in the future: expected an instant up to now, {now}"),
                );
            }
            for (name, _) in feedback.counts.iter().filter(|(name, _)| self.error_of(name, now).is_none()) {
                problems.push(pointer("/flavour_counts", name), self.unknown_flavour(name));
            }
            if let Some(sender) = sender {
                self.sources.check(sender, feedback.window_end, now, &mut problems);
            }
            problems.or(())?;
        }
        let mut before = Before::Told;
        if !repeat {
            let untold = self.reports.take_untold();
            // Counted too, only not by way of a post; what of its window was not is missing from now on.
            repeat = self.reports.polled_beyond(window.0);
            let news = !self.reports.polled_until(window.1);
            self.reports.untold(repeat && (untold || news));
            before = before_it(untold);
            if news {
                self.reports.post(!repeat, now);
            }
        }
        if let Some(sender) = sender {
            self.sources.count(sender, window, now);
        }
        let (served, booked) = self.errors(feedback, now);
        if !repeat {
            self.count_savings(feedback, window, now);
            self.book(window, (window.0, before), served, &booked, now);
            for (name, requests) in &feedback.counts {
                self.measure(name, *requests, feedback);
            }
        }
        Ok((served, repeat))
    }

    /// Counts what a poll found in the counters of routers, flavours that are not known here left out.
    /// Answers those, or nothing where something of the window is accounted for already.
    pub(crate) fn record_poll(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        counts: &[(String, u64)],
        now: Timestamp,
    ) -> Option<Vec<(String, u64)>> {
        let skipped = match self.reports.polling(now) {
            Polling::Wanted { from: free } if free <= from && from < to && to <= now => {
                from.duration_since(free)
            }
            Polling::Wanted { .. } | Polling::Posted { .. } => return None,
        };
        let (known, unknown): (Vec<_>, Vec<_>) =
            counts.iter().cloned().partition(|(name, _)| self.error_of(name, now).is_some());
        let feedback = Feedback {
            window_seconds: to.duration_since(from).as_secs_f64(),
            counts: known,
            ..Feedback::default()
        };
        let (served, booked) = self.errors(&feedback, now);
        // Requests of flavours nobody knows may have cost all that was held back for them: of such a window
        // nothing is settled but what is known.
        let settled = if unknown.is_empty() { from } else { to };
        let untold = self.reports.take_untold();
        let missing = untold || !unknown.is_empty() || skipped >= WHOLE_SECOND;
        self.count_savings(&feedback, (from, to), now);
        self.book((from, to), (settled, before_it(missing)), served, &booked, now);
        self.reports.poll(to);
        Some(unknown)
    }

    /// What a post comes to: the error of its requests as it was measured, else as it is believed to be.
    fn errors(&self, feedback: &Feedback, now: Timestamp) -> (Served, Vec<ServedAt>) {
        let mut served = Served::default();
        let mut booked: Vec<ServedAt> = Vec::with_capacity(feedback.counts.len());
        for (name, requests) in &feedback.counts {
            let measured = feedback.precision_of(name).map(Precision::error);
            if let Some(error) = self.error_of(name, now).map(|known| measured.unwrap_or(known)) {
                served.add(*requests, error);
                booked.push(ServedAt { requests: *requests, error });
            }
        }
        (served, booked)
    }

    fn book(
        &mut self,
        window: (Timestamp, Timestamp),
        (settled_from, before): (Timestamp, Before),
        served: Served,
        booked: &[ServedAt],
        now: Timestamp,
    ) {
        let length = window.1.duration_since(window.0).as_secs_f64();
        let counted = self.intervals.count(window, served);
        if let Some((posting, Some(error))) = counted {
            // Too late for the ledger is not an error of whoever reports: the budget below has it.
            let _ = self.ledger.settle(posting, error);
        }
        let end = window.1.min(now);
        if let Some(oldest) = self.intervals.oldest() {
            self.sources.forget_until(oldest);
        }
        self.budget.report(&Report {
            interval: counted.map(|(posting, _)| posting),
            from: settled_from,
            to: end,
            before,
            awaited: &self.sources.missing(),
            served: booked,
        });
        self.learner.observe(end, length, served.requests() as f64);
        self.served.merge(served);
        self.demand.observe(end, length, served.requests() as f64);
        self.totals.requests = self.served.requests();
        self.totals.mean_error = self.served.mean_error();
        self.totals.demand = self.demand.rate(now);
    }

    /// Takes in what a post measured of a flavour in force; one that is gone is not chosen again.
    fn measure(&mut self, name: &str, requests: u64, feedback: &Feedback) {
        let (precision, energy_wh) = (feedback.precision_of(name), feedback.energy_wh_of(name));
        if self.config.flavours().named(name).is_some() {
            self.measured_anew |= self.measured.observe(name, requests, precision, energy_wh);
        }
    }

    /// By how many ppm a request of a flavour in force errs more than the target allows.
    pub(crate) fn cost(&self, flavour: &str) -> u32 {
        let error = self.believed.named(flavour).map_or(PPM, |known| error_ppm(known.precision.error()));
        error.saturating_sub(target_ppm(self.config.number(Setting::TargetError)))
    }

    fn error_of(&self, name: &str, now: Timestamp) -> Option<f64> {
        let current = self.believed.named(name).map(|flavour| flavour.precision.error());
        current.or_else(|| self.retired.error_of(name, now))
    }

    fn unknown_flavour(&self, name: &str) -> String {
        let known: Vec<&str> = self.config.flavours().iter().map(|flavour| &*flavour.name).collect();
        format!(
            "`{}` was not a flavour here within the last 24 h: expected {}",
            models::json::excerpt(name),
            known.join(", ")
        )
    }

    /// Where throttling begins, is complete, and how far it may go.
    pub(crate) fn throttle_settings(&self) -> ThrottleSettings {
        ThrottleSettings {
            min: self.config.number(Setting::ThrottleMin),
            floor: self.config.number(Setting::ThrottleIntensityFloor),
            ceiling: self.config.number(Setting::ThrottleIntensityCeiling),
        }
    }
}

fn budget_settings(config: &Config) -> BudgetSettings {
    BudgetSettings {
        window: seconds(config.number(Setting::BudgetWindow)),
        overdraft: config.number(Setting::BudgetOverdraft),
    }
}

/// What there is to say of the reports before one, where something is `missing` that nobody will tell.
fn before_it(missing: bool) -> Before {
    if missing { Before::Missing } else { Before::Told }
}

/// Windows of polls are whole seconds: less than one that is left out between two is none.
const WHOLE_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// How far a router's clock may run ahead of ours.
pub(crate) const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
