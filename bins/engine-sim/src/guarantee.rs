//! Whether a policy that promises to keep the error budget kept it, by what was truly served.
//!
//! The promise: over any beginning of the simulation, its end too, what was served errs at most by the target
//! times its requests, plus the overdraft, plus the last surprise as far as it is not repaid. An interval lasts
//! until its feedback is settled; its surprise is what it spends beyond what the guard had allowed for the most
//! requests it reckoned with (and what routers, who serve whole requests, cannot divide). A surprise is repaid
//! by what is served below the target from then on, and altogether once more than the target is published
//! again. One that nobody ever reports is never known of, so never repaid. The promise has premises: the best
//! flavour errs by at most the target.

use std::collections::VecDeque;

use engine::Published;
use models::schedule::Schedule;

use crate::args::Reports;

/// What floating point may be off by, requests x error, and as a part of what was served.
const ROUNDING: f64 = 1e-6;
const RELATIVE: f64 = 1e-9;

/// What became of the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Verdict {
    /// None was made.
    #[default]
    NotPromised,
    Kept,
    Broken,
}

impl Verdict {
    /// As programs read it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NotPromised => "none",
            Self::Kept => "kept",
            Self::Broken => "broken",
        }
    }
}

/// What the guard allowed at an evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Allowed {
    /// Most mean error to be published.
    pub(crate) error: f64,
    /// Most requests it reckoned with.
    pub(crate) requests: f64,
    /// Overdraft, requests x error.
    pub(crate) overdraft: f64,
}

impl Allowed {
    /// Reads it off a schedule; none where its policy keeps no guard. `overdraft` is in budgets.
    pub(crate) fn of(published: &Published, target: f64, overdraft: f64, reports: Reports) -> Option<Self> {
        let schedule = &published.schedule;
        let (error, credit) = (figure(schedule, "guard_error")?, figure(schedule, "budget_credit")?);
        let budget = schedule.budget.as_ref()?;
        // Seconds are no requests: until the first report nothing was reckoned with.
        let in_force = budget.accounting == "requests" || reports == Reports::None;
        let requests = if in_force && error > target { credit / (error - target) } else { 0.0 };
        Some(Self { error, requests, overdraft: overdraft * budget.capacity })
    }
}

fn figure(schedule: &Schedule, name: &str) -> Option<f64> {
    schedule.diagnostics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// Watches one simulation.
#[derive(Debug)]
pub(crate) struct Guarantee {
    target: f64,
    /// Whether the premises hold.
    applies: bool,
    /// Intervals that are open at once: how late feedback is.
    open: usize,
    surprises: VecDeque<f64>,
    /// Surprises of the intervals whose reports were lost.
    unheard: f64,
    /// Surprises that are not repaid.
    unpaid: f64,
    overdraft: f64,
    beyond: f64,
    served: f64,
    verdict: Verdict,
}

impl Guarantee {
    /// `least_error` is that of the best flavour.
    pub(crate) fn new(target: f64, least_error: f64, reports: Reports) -> Self {
        let open = match reports {
            Reports::Prompt | Reports::Split | Reports::Duplicated | Reports::Lost(_) | Reports::None => 1,
            Reports::Overtaken(_) => 2,
            Reports::Late(evaluations) => evaluations as usize + 1,
        };
        Self {
            target,
            applies: least_error <= target,
            open,
            surprises: VecDeque::new(),
            unheard: 0.0,
            unpaid: 0.0,
            overdraft: 0.0,
            beyond: 0.0,
            served: 0.0,
            verdict: Verdict::NotPromised,
        }
    }

    /// An interval was published with the mean error `published`, and served with that sum of errors; whether
    /// it is ever reported.
    pub(crate) fn served(
        &mut self,
        allowed: Option<Allowed>,
        published: f64,
        (requests, error): (f64, f64),
        reported: bool,
    ) {
        let beyond = error - self.target * requests;
        self.beyond += beyond;
        self.served += requests;
        let Some(allowed) = allowed.filter(|_| self.applies) else {
            return;
        };
        if self.verdict == Verdict::NotPromised {
            self.verdict = Verdict::Kept;
        }
        self.overdraft = self.overdraft.max(allowed.overdraft);
        let permitted = requests.min(allowed.requests) * (published - self.target).max(0.0);
        let open = self.open((beyond - permitted).max(0.0), reported);
        // Who may spend owes nothing but what is not known of yet.
        self.unpaid = if permitted > 0.0 { open } else { open.max(self.unpaid + beyond) };
        let bound = self.overdraft + self.unpaid + ROUNDING + RELATIVE * self.served;
        if self.beyond > bound || published > allowed.error.max(self.target) + RELATIVE {
            self.verdict = Verdict::Broken;
        }
    }

    /// The surprises that the ledger cannot know of, with that of one more interval: it counts until its
    /// feedback is settled.
    fn open(&mut self, surprise: f64, reported: bool) -> f64 {
        if reported {
            self.surprises.push_back(surprise);
            if self.surprises.len() > self.open {
                self.surprises.pop_front();
            }
        } else {
            self.unheard += surprise;
        }
        // Added up anew each time: what is left of differences would grow.
        self.surprises.iter().sum::<f64>() + self.unheard
    }

    /// What became of the promise.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: f64 = 0.05;

    fn allowed(error: f64, requests: f64) -> Allowed {
        Allowed { error, requests, overdraft: 0.0 }
    }

    fn guarantee() -> Guarantee {
        Guarantee::new(TARGET, 0.0, Reports::Prompt)
    }

    #[test]
    fn what_was_saved_may_be_spent_and_no_more() {
        let mut watched = guarantee();
        watched.served(Some(allowed(TARGET, 0.0)), 0.0, (100.0, 0.0), true);
        watched.served(Some(allowed(0.1, 100.0)), 0.1, (100.0, 10.0), true);
        assert_eq!(watched.verdict(), Verdict::Kept);
        // Nothing is left, and still more than the target is published.
        watched.served(Some(allowed(0.1, 100.0)), 0.1, (100.0, 10.0), true);
        assert_eq!(watched.verdict(), Verdict::Broken);
    }

    #[test]
    fn arrivals_beyond_the_reckoning_are_a_surprise_once() {
        let mut watched = guarantee();
        watched.served(Some(allowed(TARGET, 0.0)), 0.0, (100.0, 0.0), true);
        watched.served(Some(allowed(0.1, 100.0)), 0.1, (400.0, 40.0), true);
        assert_eq!(watched.verdict(), Verdict::Kept, "300 came unlooked for");
        watched.served(Some(allowed(TARGET, 0.0)), 0.06, (10.0, 0.6), true);
        assert_eq!(watched.verdict(), Verdict::Broken, "in debt nothing above the target is published");
    }

    #[test]
    fn late_feedback_keeps_its_intervals_open() {
        let mut prompt = guarantee();
        let mut late = Guarantee::new(TARGET, 0.0, Reports::Late(3));
        for watched in [&mut prompt, &mut late] {
            watched.served(Some(allowed(TARGET, 0.0)), 0.0, (100.0, 0.0), true);
            for _ in 0..2 {
                // Half of the credit each time, and twice the requests reckoned with, unknown as yet.
                watched.served(Some(allowed(0.1, 50.0)), 0.1, (100.0, 10.0), true);
            }
        }
        assert_eq!((prompt.verdict(), late.verdict()), (Verdict::Broken, Verdict::Kept));
    }

    #[test]
    fn a_surprise_excuses_what_follows_only_until_it_is_repaid() {
        for (requests, verdict) in [(300.0, Verdict::Kept), (100.0, Verdict::Broken)] {
            let mut watched = guarantee();
            watched.served(Some(allowed(0.1, 0.0)), 0.1, (200.0, 20.0), true);
            // Ten are owed.
            watched.served(Some(allowed(TARGET, 0.0)), 0.0, (requests, 0.0), true);
            assert_eq!(watched.verdict(), Verdict::Kept);
            watched.served(Some(allowed(0.1, 100.0)), 0.1, (100.0, 10.0), true);
            assert_eq!(watched.verdict(), verdict, "{requests}");
        }
    }

    #[test]
    fn a_surprise_that_nobody_reported_is_never_repaid() {
        for (reported, verdict) in [(true, Verdict::Broken), (false, Verdict::Kept)] {
            let mut watched = guarantee();
            watched.served(Some(allowed(TARGET, 0.0)), TARGET, (200.0, 20.0), reported);
            watched.served(Some(allowed(TARGET, 0.0)), 0.0, (100.0, 0.0), true);
            watched.served(Some(allowed(0.1, 100.0)), 0.1, (100.0, 10.0), true);
            assert_eq!(watched.verdict(), verdict);
        }
    }

    #[test]
    fn without_a_guard_or_its_premises_nothing_is_promised() {
        let mut watched = guarantee();
        watched.served(None, 0.3, (100.0, 30.0), true);
        assert_eq!(watched.verdict(), Verdict::NotPromised);
        let mut degraded = Guarantee::new(TARGET, 0.1, Reports::Prompt);
        degraded.served(Some(allowed(0.1, 0.0)), 0.1, (100.0, 10.0), true);
        assert_eq!(degraded.verdict(), Verdict::NotPromised);
    }
}
