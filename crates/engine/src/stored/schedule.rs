//! One schedule, written down.

use std::sync::Arc;

use ledger::{BudgetSnapshot, CreditLedger, CreditSnapshot, ErrorBudget};
use models::{CarbonTarget, FlavourSet, Manual, Overrides, ScheduleId, Timestamp};
use policies::Menu;
use providers::DemandEstimator;
use providers::own::DemandLearner;
use serde::{Deserialize, Serialize};

use super::BadState;
use crate::board::Totals;
use crate::evaluate::menu_warnings;
use crate::horizon::{CreditTrail, Expected};
use crate::intervals::{Intervals, Served};
use crate::layers::{Layer, Layers};
use crate::measured::Measured;
use crate::reports::Reports;
use crate::retired::Retired;
use crate::savings::Savings;
use crate::session::{Override, Session, Setup};
use crate::sources::Sources;

/// All there is to know of one schedule: configuration, ledgers, what was served, what was learned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleState {
    overrides: Overrides,
    /// Why the target of those is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Arc<str>>,
    /// What the schedule's cluster asks for, where it has an object there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<Layer>,
    generation: u64,
    /// Of the configuration; what is to be said of the menu follows from it.
    warnings: Vec<Arc<str>>,
    notes: Vec<Arc<str>>,
    pub(crate) target: CarbonTarget,
    policy: Vec<u64>,
    ledger: CreditSnapshot,
    budget: BudgetSnapshot,
    trail: CreditTrail,
    intervals: Intervals,
    manual: Option<(Manual, Timestamp)>,
    totals: Totals,
    due: Option<Timestamp>,
    retired: Retired,
    served: Served,
    savings: Savings,
    sources: Sources,
    reports: Reports,
    measured: Measured,
    believed: FlavourSet,
    measured_anew: bool,
    demand: DemandEstimator,
    learner: DemandLearner,
    expected: Expected,
    evaluated_at: Option<Timestamp>,
}

impl ScheduleState {
    /// What was asked of it.
    pub(crate) fn layers(&self) -> Layers {
        let put = Layer { overrides: self.overrides.clone(), refused: self.refused.clone() };
        Layers { put, cluster: self.cluster.clone() }
    }
}

impl Session {
    /// What this is, to be written down.
    pub(crate) fn save(&self) -> ScheduleState {
        ScheduleState {
            overrides: self.layers.put.overrides.clone(),
            refused: self.layers.put.refused.clone(),
            cluster: self.layers.cluster.clone(),
            generation: self.generation,
            warnings: self.warnings.clone(),
            notes: self.notes.clone(),
            target: self.target.clone(),
            policy: self.policy.memory(),
            ledger: self.ledger.snapshot(),
            budget: self.budget.snapshot(),
            trail: self.trail.clone(),
            intervals: self.intervals.clone(),
            manual: self.manual.as_ref().map(|overriding| (overriding.manual.clone(), overriding.until)),
            totals: self.totals.clone(),
            due: self.due,
            retired: self.retired.clone(),
            served: self.served,
            savings: self.savings.clone(),
            sources: self.sources.clone(),
            reports: self.reports,
            measured: self.measured.clone(),
            believed: self.believed.clone(),
            measured_anew: self.measured_anew,
            demand: self.demand.clone(),
            learner: self.learner.clone(),
            expected: self.expected.clone(),
            evaluated_at: self.evaluated_at,
        }
    }

    /// The session of that name that was written down; `setup` is what its configuration comes to.
    pub(crate) fn restore(id: &ScheduleId, state: ScheduleState, setup: Setup) -> Result<Self, BadState> {
        let bad = |problem: &str| BadState::new(id, problem);
        let flavours = setup.config.flavours();
        let names =
            |set: &FlavourSet| set.iter().map(|flavour| Arc::clone(&flavour.name)).collect::<Vec<_>>();
        if names(&state.believed) != names(flavours) || state.totals.choices.len() != flavours.len() {
            return Err(bad("its flavours are not those of its configuration"));
        }
        let is_sound = state.intervals.is_sound()
            && state.retired.is_sound()
            && state.trail.is_sound()
            && state.expected.is_sound()
            && state.savings.is_sound()
            && state.sources.is_sound()
            && state.notes.len() <= crate::engine::MAX_NOTES;
        if !is_sound {
            return Err(bad("more is remembered than there can be, or out of order"));
        }
        let ledger = CreditLedger::restore(state.ledger).map_err(|problem| BadState::new(id, &problem))?;
        let budget = ErrorBudget::restore(state.budget).map_err(|problem| BadState::new(id, &problem))?;
        let manual = match state.manual {
            None => None,
            Some((manual, until)) => {
                let shares = manual.shares(flavours).map_err(|problem| BadState::new(id, &problem))?;
                Some(Override { manual, until, shares })
            }
        };
        let mut policy = setup.policy;
        policy.recall(&state.policy);
        let menu = Menu::new(&state.believed);
        Ok(Self {
            layers: setup.layers,
            config: setup.config,
            generation: state.generation,
            warnings: state.warnings,
            menu_warnings: menu_warnings(menu.as_ref(), policy.looks_ahead()),
            notes: state.notes,
            target: state.target,
            cadence: setup.cadence,
            menu,
            policy,
            ledger,
            budget,
            trail: state.trail,
            intervals: state.intervals,
            manual,
            totals: state.totals,
            due: state.due,
            retired: state.retired,
            served: state.served,
            savings: state.savings,
            sources: state.sources,
            reports: state.reports,
            measured: state.measured,
            believed: state.believed,
            measured_anew: state.measured_anew,
            demand: state.demand,
            learner: state.learner,
            expected: state.expected,
            evaluated_at: state.evaluated_at,
        })
    }
}
