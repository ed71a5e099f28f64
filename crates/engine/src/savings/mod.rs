//! What a schedule saved: emissions of what was served, beside those of the best flavour, of the constant
//! mix, and of the optimum in hindsight.

mod account;
mod regret;
mod spread;
mod tariff;

use jiff::SignedDuration;
use models::savings::{HindsightReport, SavingsReport};
use models::{Config, Feedback, Timestamp};
use policies::Menu;
use serde::{Deserialize, Serialize};

use crate::board::Emissions;
use crate::prices::{Prices, half_hour_of};
use crate::session::{Session, Setup};
use crate::time::earlier;
use account::{Account, Post};
use regret::{Figure, Terms};
use tariff::{Tariff, Unit};

/// How long after its end a half-hour is taken as reported: the last windows' posts come after it.
const REPORTED_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// The accounts of one schedule: one in each unit it ever was in, so that grams and others never mix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Savings {
    /// By the configuration in force; by the last one that had an enabled flavour where it has none.
    tariff: Option<Tariff>,
    grams: Option<Box<Account>>,
    relative: Option<Box<Account>>,
    /// Half-hours before it were served under another configuration.
    comparable_from: i64,
    /// The half-hour before which hindsight was looked at last.
    looked_back: Option<i64>,
    /// In the unit it was reckoned in, and shown with that one alone.
    hindsight: Option<(Unit, HindsightReport)>,
}

impl Savings {
    pub(crate) fn new(config: &Config, menu: Option<&Menu>) -> Self {
        let mut savings = Self { comparable_from: i64::MIN, ..Self::default() };
        savings.charge(config, menu);
        savings
    }

    /// Whether these can be a schedule's.
    pub(crate) fn is_sound(&self) -> bool {
        self.grams.iter().chain(&self.relative).all(|account| account.is_sound())
    }

    /// Energies are those of `menu` from now on.
    pub(crate) fn charge(&mut self, config: &Config, menu: Option<&Menu>) {
        if let Some(menu) = menu {
            self.tariff = Some(Tariff::new(menu, config.target_error()));
        }
    }

    /// Another configuration is put in force.
    pub(crate) fn reconfigure(&mut self, before: &Session, setup: &Setup, now: Timestamp) {
        self.charge(&setup.config, setup.menu.as_ref());
        let current = half_hour_of(now);
        if before.target != setup.target {
            for account in self.grams.iter_mut().chain(&mut self.relative) {
                account.follows_from = current;
            }
        }
        let same_target = before.config.target_error() == setup.config.target_error();
        if !same_target || tariff::differ(before.config.flavours(), setup.config.flavours()) {
            self.comparable_from = current + 1;
            self.hindsight = None;
        }
    }

    fn current(&mut self) -> Option<&mut Account> {
        match self.tariff?.unit() {
            Unit::Grams => self.grams.as_deref_mut(),
            Unit::Relative => self.relative.as_deref_mut(),
        }
    }
}

impl Session {
    /// Counts what a report says was served, at the energies in force: in the half-hour that contains the
    /// window's middle, or spread by time over those of a window that is longer. To be called ahead of the budget's booking.
    pub(crate) fn count_savings(
        &mut self,
        feedback: &Feedback,
        window: (Timestamp, Timestamp),
        now: Timestamp,
    ) {
        let Some(tariff) = self.savings.tariff else { return };
        let flavours = self.config.flavours();
        let balance = match self.budget.accounting() {
            // Requests begin with nothing banked.
            ledger::Accounting::Time => 0.0,
            ledger::Accounting::Requests => self.budget.balance(),
        };
        let account = match tariff.unit() {
            Unit::Grams => &mut self.savings.grams,
            Unit::Relative => &mut self.savings.relative,
        };
        let account = account.get_or_insert_with(|| Box::new(Account::new(tariff.unit(), window.0)));
        let others = (tariff.best, tariff.constant_mix);
        for part in spread::parts(window) {
            let mut post = Post { by_flavour: vec![0; flavours.len()], ..Post::default() };
            for (name, count) in &feedback.counts {
                let count = part.of(*count);
                let flavour = self.believed.named(name).or_else(|| self.retired.named(name, now));
                match flavour.and_then(|flavour| tariff.energy(flavour)) {
                    Some(energy) => {
                        post.requests = post.requests.saturating_add(count);
                        post.energy.add(count, energy);
                        let place =
                            flavours.iter().position(|flavour| flavour.enabled && &*flavour.name == name);
                        let sum = place.and_then(|place| post.by_flavour.get_mut(place));
                        let sum = sum.unwrap_or(&mut post.others);
                        *sum = sum.saturating_add(count);
                    }
                    None => post.unpriced = post.unpriced.saturating_add(count),
                }
            }
            account.count(post, others, (part.from, part.middle, now), balance);
        }
    }

    /// Prices what was served, for counters and for whoever reads the schedule; nothing before anybody
    /// reported anything.
    pub(crate) fn savings(&mut self, prices: &Prices, now: Timestamp) -> Option<SavingsReport> {
        self.totals.emissions = None;
        let hindsight = self.savings.hindsight;
        let balance = self.budget.balance();
        let account = self.savings.current()?;
        account.update(prices, now, balance);
        let (since, since_start, day) = account.report(now);
        let hindsight = hindsight.filter(|(unit, _)| *unit == account.unit).map(|(_, report)| report);
        let relative = account.unit == Unit::Relative;
        let (emitted, at_best, at_constant_mix) = account.most();
        let unit = account.unit.as_str();
        self.totals.emissions = Some(Emissions { relative, emitted, at_best, at_constant_mix });
        Some(SavingsReport { unit, relative, since, since_start, day, hindsight })
    }

    /// Compares the last day with the optimum in hindsight, once a half-hour.
    pub(crate) fn look_back(&mut self, prices: &Prices, now: Timestamp) {
        let until = half_hour_of(earlier(now, REPORTED_AFTER));
        if self.savings.looked_back == Some(until) {
            return;
        }
        self.savings.looked_back = Some(until);
        let (Some(menu), Some(tariff)) = (&self.menu, self.savings.tariff) else { return };
        let terms = Terms {
            target_error: self.config.target_error(),
            capacity: self.budget.capacity(),
            floor: self.budget.floor(),
        };
        // A clock that was set back does not put off what is compared.
        let from = self.savings.comparable_from.min(half_hour_of(now) + 1);
        let balance = self.budget.balance();
        let figures = Figure::of(&self.believed, &tariff);
        self.savings.hindsight = self.savings.current().and_then(|account| {
            account.update(prices, now, balance);
            let report = account.in_hindsight((from, until), terms, (&figures, &tariff), menu.segments());
            report.map(|report| (account.unit, report))
        });
    }
}
