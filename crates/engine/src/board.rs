//! What readers see: the newest whole value of every schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use models::schedule::{Document, Schedule};
use models::{Forecast, ScheduleId, Timestamp};
use serde::{Deserialize, Serialize};

/// One schedule as published: complete, immutable, already serialised.
#[derive(Debug)]
#[non_exhaustive]
pub struct Published {
    /// The decision.
    pub schedule: Schedule,
    /// The decision as readers get it.
    pub document: Document,
    /// Counts publications of this engine: what an entity tag is made of.
    pub sequence: u64,
    /// The forecast it was made with.
    pub forecast: Option<Arc<Forecast>>,
    /// What has been counted so far.
    pub totals: Totals,
}

/// Counts over a schedule's life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Totals {
    /// Evaluations.
    pub evaluations: u64,
    /// Sum of the exact shares published under the policy in force, by flavour of the schedule.
    pub choices: Vec<f64>,
    /// Requests that feedback reported.
    pub requests: u64,
    /// Their mean error, in [0, 1].
    pub mean_error: Option<f64>,
    /// Requests per second, smoothed.
    pub demand: Option<f64>,
    /// What those requests emitted; none before anything was reported.
    pub emissions: Option<Emissions>,
}

/// Emissions over a schedule's life, as counters: none of them ever falls. Where an actual intensity turns
/// out to be less than was forecast, they wait until what is served reaches them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Emissions {
    /// Whether these are no grams, but intensity times requests, one at the best flavour being 1.
    pub relative: bool,
    /// What was emitted.
    pub emitted: f64,
    /// What would have been at the best flavour.
    pub at_best: f64,
    /// What would have been at the constant mix of the target error.
    pub at_constant_mix: f64,
}

/// What there is to see of a schedule.
#[derive(Debug, Clone)]
pub enum View {
    /// A schedule.
    Schedule(Arc<Published>),
    /// Nothing can be evaluated; the reason.
    Pending(Arc<str>),
}

impl View {
    /// The schedule, if there is one.
    pub fn published(&self) -> Option<&Arc<Published>> {
        match self {
            Self::Schedule(published) => Some(published),
            Self::Pending(_) => None,
        }
    }

    /// First instant at which the view is out of date.
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.published().map(|published| published.schedule.valid_until)
    }
}

/// A port: where complete decisions go. Publishers make no choices.
pub trait Publisher: Send + Sync {
    /// A schedule has a new view.
    fn publish(&self, id: &ScheduleId, view: &View);
    /// A schedule is gone.
    fn withdraw(&self, id: &ScheduleId);
}

/// The newest view of every schedule, for readers on any thread. Reading takes a shared lock for the
/// length of a look-up and clones an `Arc`; the writer takes the exclusive lock only where a schedule
/// comes or goes.
#[derive(Debug, Default)]
pub struct Board {
    cells: RwLock<Cells>,
}

/// Views are found by a hash of the name: comparing numbers that lie side by side is what stays fast among a
/// hundred thousand, where each look at a name waits for memory.
#[derive(Debug, Default)]
struct Cells {
    views: BTreeMap<(u64, ScheduleId), ArcSwap<View>>,
    in_order: BTreeSet<ScheduleId>,
}

impl Cells {
    fn key(id: &ScheduleId) -> (u64, ScheduleId) {
        (id.spread().to_bits(), id.clone())
    }

    fn get(&self, id: &ScheduleId) -> Option<&ArcSwap<View>> {
        self.views.get(&Self::key(id))
    }
}

impl Board {
    /// The newest view of a schedule.
    pub fn view(&self, id: &ScheduleId) -> Option<Arc<View>> {
        self.read().get(id).map(ArcSwap::load_full)
    }

    /// How many schedules there are.
    pub fn len(&self) -> usize {
        self.read().in_order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.read().in_order.is_empty()
    }

    /// Up to `limit` schedules in order of their names, after `after`.
    pub fn page(&self, after: Option<&ScheduleId>, limit: usize) -> Vec<(ScheduleId, Arc<View>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let cells = self.read();
        let page = cells.in_order.range::<ScheduleId, _>((from, Bound::Unbounded)).take(limit);
        page.filter_map(|id| Some((id.clone(), cells.get(id)?.load_full()))).collect()
    }

    // A panic elsewhere leaves whole values here: the lock's poison says nothing.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Cells> {
        self.cells.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher for Board {
    fn publish(&self, id: &ScheduleId, view: &View) {
        if let Some(cell) = self.read().get(id) {
            cell.store(Arc::new(view.clone()));
            return;
        }
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        cells.views.insert(Cells::key(id), ArcSwap::from_pointee(view.clone()));
        cells.in_order.insert(id.clone());
    }

    fn withdraw(&self, id: &ScheduleId) {
        let mut cells = self.cells.write().unwrap_or_else(PoisonError::into_inner);
        cells.views.remove(&Cells::key(id));
        cells.in_order.remove(id);
    }
}
