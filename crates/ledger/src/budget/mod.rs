//! The error budget: how much error a schedule may still serve, request by request.
//!
//! The types are [`ErrorBudget`] and [`guarded_error`]; what they promise together is said at the former.

mod account;
mod amount;
mod guard;
mod intervals;
mod realised;
mod snapshot;
mod state;

use jiff::SignedDuration;
use models::Timestamp;
use serde::{Deserialize, Serialize};

use crate::exact;
use crate::posting::PostingId;
use account::Account;
use realised::Realised;
use state::State;

pub use amount::{PPM, error_ppm, target_ppm};
pub use guard::guarded_error;
pub use realised::Span;
pub use snapshot::{BudgetError, BudgetSnapshot};

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accounting {
    /// Requests, as feedback reports them.
    Requests,
    /// Seconds, every one alike, at the planned error: as long as there is no feedback at all.
    Time,
}

/// How much is banked, and how far a balance may be overdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BudgetSettings {
    /// Credit of so much expected traffic is banked at most.
    pub window: SignedDuration,
    /// How far below 0 the balance may be spent, in units of one window's budget, in [0, 1]; what is not
    /// a number counts as 0.
    #[serde(with = "exact")]
    pub overdraft: f64,
}

impl Default for BudgetSettings {
    /// Two days, and no overdraft.
    fn default() -> Self {
        Self { window: SignedDuration::from_hours(48), overdraft: 0.0 }
    }
}

/// Requests that were served at the same error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServedAt {
    /// How many.
    pub requests: u64,
    /// The error of each, in [0, 1]; what is not a number counts as 1.
    pub error: f64,
}

/// What is known of the reports that came before one, by whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// All were told, or nobody can say: windows that were not reported on had no requests.
    Told,
    /// Some are missing, and nobody can say which: whatever was not reported on may be among them.
    Missing,
}

/// What one reporter says was served in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report<'a> {
    /// The interval the window belongs to; none where that is not known.
    pub interval: Option<PostingId>,
    /// When the window began.
    pub from: Timestamp,
    /// When it ended; not in the future.
    pub to: Timestamp,
    /// What is known of the reports before this one.
    pub before: Before,
    /// The spans of time, from and to, that reports may be about which are known to be missing and may still
    /// come: all that are open, by whoever's numbers, now that this report is there.
    pub awaited: &'a [(Timestamp, Timestamp)],
    /// What was served in it.
    pub served: &'a [ServedAt],
}

/// The error budget of one schedule, in requests x error.
///
/// Serving `n` requests at error `e` changes the balance by `n (target - e)`, with the target in force in
/// the interval they were served in. The balance starts at 0, is capped at the capacity
/// `C = target x requests expected in one window`, and is never clamped from below: a debt is repaid before
/// anything else can be spent. Only feedback books income; a plan that nobody reported about yet can lower
/// what may be spent, never raise it.
///
/// # Guarantee
///
/// *Premises*: in every interval the published error is at most [`guarded_error`] for the requests that may
/// come, `n_up`; the least error is at most the target; feedback about an interval is booked before the next
/// one is published; whoever serves keeps to what is published, in each report's mean.
///
/// *Then*, with `overdraft` the deepest floor and `surprise` the largest `(n - n_up) (e - target)` of one
/// interval, over all that was served up to any moment
///
/// > served error <= target x served requests + overdraft + surprise,
///
/// and between any two moments
///
/// > served error <= target x served requests + C + overdraft + surprise,
///
/// `C` the capacity at the first of the two.
///
/// *Proof*. Let `x = balance - floor`. Where an interval errs by more than the target, `x > 0` and
/// `n (e - target) <= x` for every `n <= n_up`, so the balance stays at or above the floor; arrivals beyond
/// `n_up` take it below by the surprise at most. Where `x <= 0`, after a surprise or because the floor rose,
/// only the least error is published, and the balance does not fall. Capping takes no balance below a floor
/// it was above, for `C >= 0 >= floor`. So the balance never is below `-(overdraft + surprise)`. Capping
/// only takes credit away, so the sum of all bookings is at least the balance, which is the first claim; and
/// the sum of the bookings between two moments is at least the difference of the balances, of which the
/// first is at most `C`: the second.
/// Nothing was said about forecasts. Requests and amounts are whole numbers here, errors are rounded up and
/// targets down to parts per million: the claims hold as they stand, with nothing added for rounding.
///
/// # Feedback that is late
///
/// [`ErrorBudget::begin`] holds back what an interval may cost beyond the target until it is booked, so the
/// first claim holds as well where reports come in the order of time but any number of intervals late, and
/// where they stop. What is held back for requests that never came is released by the first report that
/// reaches the end of their interval. Of several reporters, the first to reach it speaks for all.
///
/// # Feedback that is lost
///
/// A report that follows on missing ones ([`Before::Missing`]) releases its own interval only. What is held
/// back for others that ended stays so until their own report comes. Where it is known what the missing ones
/// may be about ([`Report::awaited`]), what is held back there stays so until they have come, and is released
/// then as if they had come in time: nothing that is told is missing any more. What has not been released
/// once an interval is forgotten is taken for spent. So a lost report costs what might have been spent, never
/// more than `n_up` requests, and the first claim holds with the surprises of all intervals that nobody
/// reported on.
///
/// # Order
///
/// Booked sums do not depend on the order of reports, and neither does the balance, unless it is capped on
/// the way: credit that did not fit is gone, whatever is spent next. No order makes a balance larger than
/// their sum does, and the guarantee holds in each. What one report says is booked at once, in no order.
///
/// # Time
///
/// As long as there is no feedback at all, seconds are counted in place of requests, at the planned error,
/// and what is promised is the mean over time only. The first report ever starts over from a balance of 0,
/// counting requests; what a schedule that is in use by then still costs is a surprise. Time itself never
/// runs backwards: an interval that begins before the previous one lasted no time. One that lasted longer than a
/// window, as nobody was there to end it, counts as one window: a debt is repaid in time, however long that was.
///
/// # Size
///
/// Booking is O(1). A budget takes a few hundred bytes at first, and at most 2.5 kB: 32 intervals, and
/// realised means by 12 buckets of 5 minutes, 24 of an hour, 28 of 6 hours.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorBudget {
    state: State,
}

impl ErrorBudget {
    /// An empty budget: balance 0, nothing expected, and [`Accounting::Time`] until the first feedback.
    pub fn new(settings: BudgetSettings) -> Self {
        Self { state: State::new(settings.checked()) }
    }

    /// Puts new settings in force. The floor follows at once, the capacity with the next
    /// [`ErrorBudget::expect`]; the balance stays.
    pub fn reconfigure(&mut self, settings: BudgetSettings) {
        self.state.settings = settings.checked();
    }

    /// Says what target, in [0, 1], is in force and how many requests (seconds, under
    /// [`Accounting::Time`]) are expected in one window, at least 0.
    ///
    /// Their product, rounded down, is the capacity. It caps the balance, adds no credit and lifts no debt.
    /// Until this was called in an accounting, the capacity is what was earned in it so far. A number of
    /// requests that is not finite says nothing: the capacity stays as it is.
    pub fn expect(&mut self, target_error: f64, in_window: f64) {
        let target = target_ppm(target_error);
        self.state.target = Some(target);
        self.state.account.expect(target, in_window);
    }

    /// Begins an interval and ends the previous one ([`ErrorBudget::end`]).
    ///
    /// An error of `planned_error` was published, against a target of `target_error`, both in [0, 1], and at
    /// most `expected` requests (seconds, under [`Accounting::Time`]) may come before the next evaluation.
    /// What they may cost beyond the target is held back at once. An `expected` that is not finite has no
    /// limit: nothing can be spent then until a report reaches the interval's end.
    pub fn begin(
        &mut self,
        id: PostingId,
        now: Timestamp,
        target_error: f64,
        planned_error: f64,
        expected: f64,
    ) {
        self.end(now);
        let state = &mut self.state;
        let (target, planned) = (target_ppm(target_error), error_ppm(planned_error));
        state.target = Some(target);
        let missing = state.intervals.begin(id, target, planned, amount::at_most(expected));
        state.account.book(0, missing);
    }

    /// Ends the running interval, if there is one: to be called ahead of [`ErrorBudget::spendable`] where
    /// the next interval is about to begin, as what was held back for requests that did not come is free
    /// then if feedback has reached `now`.
    ///
    /// Under [`Accounting::Time`] the interval is booked, for the seconds it really lasted but for no more than
    /// one window.
    pub fn end(&mut self, now: Timestamp) {
        let state = &mut self.state;
        let Some(ended) = state.intervals.end(now) else {
            return;
        };
        if state.accounting == Accounting::Time {
            // Nobody evaluated for longer: what was served meanwhile, if anything, is in no window by now.
            let window = u64::try_from(state.settings.window.as_millis()).unwrap_or(0);
            let milliseconds = ended.milliseconds.min(window);
            let amount = |ppm: u32| i128::from(milliseconds) * i128::from(ppm);
            // Milliseconds to seconds: income rounds down, cost up.
            state.account.book(amount(ended.target) / 1_000, (amount(ended.planned) + 999) / 1_000);
            state.realised.count(now.as_second(), milliseconds, ended.planned);
            state.intervals.release_all();
        }
    }

    /// Books what one report says was served.
    ///
    /// The target is the one that was in force in its interval. Where it is not known, as the window
    /// belongs to no interval or to one of more than [`crate::MAX_OPEN`] intervals ago, the least stands in
    /// of those remembered, the one in force, and those forgotten before a report reached their end. What
    /// was held back for the interval is released as far as it is booked now, and all of it for intervals
    /// that ended by [`Report::to`]; where reports before it are missing, for those that its own window
    /// covers; and where some are awaited, for those that none of them can be about.
    ///
    /// The first report ever, also one of nothing served, switches to [`Accounting::Requests`] from a
    /// balance of 0.
    pub fn report(&mut self, report: &Report<'_>) {
        let state = &mut self.state;
        if state.accounting == Accounting::Time {
            state.accounting = Accounting::Requests;
            state.account = Account::default();
            state.realised = Realised::default();
            state.intervals.release_all();
        }
        let target = report.interval.and_then(|id| state.intervals.target(id)).unwrap_or_else(|| {
            let known = state.intervals.least_target().into_iter().chain(state.target);
            known.min().unwrap_or(0)
        });
        let (mut requests, mut spent) = (0_u64, 0_i128);
        for served in report.served {
            let error = error_ppm(served.error);
            requests = requests.saturating_add(served.requests);
            spent = spent.saturating_add(i128::from(served.requests) * i128::from(error));
            state.realised.count(report.to.as_second(), served.requests, error);
        }
        let earned = i128::from(requests) * i128::from(target);
        let missing = state.intervals.release(report, requests, spent.saturating_sub(earned));
        state.account.book(earned, spent.saturating_add(missing));
    }

    /// [`ErrorBudget::report`] of what was `served` in the interval `id`, in a window that ended at `at`,
    /// where nothing is known to be missing.
    pub fn serve(&mut self, id: Option<PostingId>, at: Timestamp, served: &[ServedAt]) {
        self.report(&Report { interval: id, from: at, to: at, before: Before::Told, awaited: &[], served });
    }

    /// What is counted.
    pub fn accounting(&self) -> Accounting {
        self.state.accounting
    }

    /// What is in force.
    pub fn settings(&self) -> BudgetSettings {
        self.state.settings
    }

    /// The most that is banked, at least 0.
    pub fn capacity(&self) -> f64 {
        self.state.capacity()
    }

    /// What is banked, at most [`ErrorBudget::capacity`]; below 0 it is overdrawn.
    pub fn balance(&self) -> f64 {
        self.state.balance()
    }

    /// How low the balance may be spent: the overdraft, taken of the capacity, below 0.
    pub fn floor(&self) -> f64 {
        self.state.floor()
    }

    /// What is held back of the balance for intervals that are not booked yet, at least 0.
    pub fn held(&self) -> f64 {
        self.state.held()
    }

    /// The balance above the floor, what is held back included, exactly: in whole ppm x requests. Below 0 it is a
    /// debt; an amount beyond `i64` is one of its ends.
    pub fn above_floor_ppm(&self) -> i64 {
        let above = self.state.above_floor();
        i64::try_from(above).unwrap_or(if above < 0 { i64::MIN } else { i64::MAX })
    }

    /// Credit that may be spent now: the balance above the floor, less what is held back. Below 0 it is a
    /// debt.
    pub fn spendable(&self) -> f64 {
        self.state.spendable()
    }

    /// Requests served; 0 under [`Accounting::Time`].
    pub fn served_requests(&self) -> u64 {
        self.state.served_requests()
    }

    /// The sum of their errors; 0 under [`Accounting::Time`].
    pub fn served_error(&self) -> f64 {
        self.state.served_error()
    }

    /// Mean error per request over a span that ends at `now`, in [0, 1]; none where nothing was served.
    ///
    /// Under [`Accounting::Time`] it is the planned error per second, of the intervals that ended.
    pub fn mean_error(&self, over: Span, now: Timestamp) -> Option<f64> {
        self.state.mean_error(over, now)
    }

    /// A copy that can be questioned, stored, and brought back by [`ErrorBudget::restore`].
    pub fn snapshot(&self) -> BudgetSnapshot {
        BudgetSnapshot(self.state.clone())
    }

    /// The budget a snapshot was taken of: it behaves the same to the last bit.
    ///
    /// # Errors
    ///
    /// [`BudgetError`] if no budget can have had that snapshot, e.g. because its store was edited.
    pub fn restore(snapshot: BudgetSnapshot) -> Result<Self, BudgetError> {
        let BudgetSnapshot(state) = snapshot;
        state.check()?;
        Ok(Self { state })
    }
}

impl BudgetSettings {
    /// The same within what settings can be.
    fn checked(self) -> Self {
        let overdraft = if self.overdraft.is_nan() { 0.0 } else { self.overdraft.clamp(0.0, 1.0) };
        Self { window: self.window.max(SignedDuration::ZERO), overdraft }
    }
}
