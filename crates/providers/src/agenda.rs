//! When each target is to be looked at, and what for.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use models::{CarbonTarget, Timestamp};

use crate::half_hour::later;

/// How many of each kind are looked at for one whose provider may be asked.
const LOOKED_AT: usize = 32;

/// The instants of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// From when on a forecast of anybody is wanted, of the preferred provider rather.
    pub(crate) due: Timestamp,
    /// From when on the preferred provider is waited for no longer.
    pub(crate) overdue: Timestamp,
    /// From when on those preferred to the one that stands in are to be asked again, where one does.
    pub(crate) retry: Option<Timestamp>,
}

/// Every target that is not in flight. Each kind is a queue: whoever has waited longest comes first.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    due: BTreeSet<(Timestamp, CarbonTarget)>,
    overdue: BTreeSet<(Timestamp, CarbonTarget)>,
    retries: BTreeSet<(Timestamp, CarbonTarget)>,
}

impl Agenda {
    pub(crate) fn insert(&mut self, target: &CarbonTarget, times: Times) {
        self.due.insert((times.due, target.clone()));
        self.overdue.insert((times.overdue, target.clone()));
        if let Some(retry) = times.retry {
            self.retries.insert((retry, target.clone()));
        }
    }

    pub(crate) fn remove(&mut self, target: &CarbonTarget, times: Times) {
        self.due.remove(&(times.due, target.clone()));
        self.overdue.remove(&(times.overdue, target.clone()));
        if let Some(retry) = times.retry {
            self.retries.remove(&(retry, target.clone()));
        }
    }

    /// Those that may wait for a preferred provider, and whether it is a retry: in one queue, as they are after
    /// the same calls.
    pub(crate) fn waiting(&self, now: Timestamp) -> Vec<(&CarbonTarget, bool)> {
        let mut waiting: Vec<_> = looked_at(&self.due, now)
            .map(|entry| (entry, false))
            .chain(looked_at(&self.retries, now).map(|entry| (entry, true)))
            .collect();
        waiting.sort();
        waiting.into_iter().map(|((_, target), retry)| (target, retry)).collect()
    }

    /// Those that have waited long enough.
    pub(crate) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &CarbonTarget> {
        looked_at(&self.overdue, now).map(|(_, target)| target)
    }

    /// The first instant there is.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.queues().into_iter().filter_map(|queue| queue.first()).map(|(at, _)| *at).min()
    }

    /// The first instant after `now`.
    pub(crate) fn first_after(&self, now: Timestamp) -> Option<Timestamp> {
        let after = later(now, SignedDuration::from_nanos(1));
        let from = (after, CarbonTarget::from(""));
        self.queues().into_iter().filter_map(|queue| queue.range(&from..).next()).map(|(at, _)| *at).min()
    }

    fn queues(&self) -> [&BTreeSet<(Timestamp, CarbonTarget)>; 3] {
        [&self.due, &self.overdue, &self.retries]
    }
}

fn looked_at(
    queue: &BTreeSet<(Timestamp, CarbonTarget)>,
    now: Timestamp,
) -> impl Iterator<Item = &(Timestamp, CarbonTarget)> {
    queue.iter().take_while(move |(at, _)| *at <= now).take(LOOKED_AT)
}
