//! The credit ledger itself.

use jiff::SignedDuration;
use models::Timestamp;

use crate::bounds::Bounds;
use crate::history::History;
use crate::posting::{Posting, PostingId, TooLate};
use crate::snapshot::{CreditSnapshot, RestoreError};

/// Credit of one schedule: dimensionless, one posting per evaluation interval.
///
/// A posting is `target_error - error`; the balance starts at 0 and is clamped into its bounds after every
/// change. Posting is O(1) amortised. Figures are clamped into [0, 1], and one that is not a number counts
/// as what mints no credit (an error as 1, a target as 0), so the balance is always finite.
#[derive(Debug, Clone, PartialEq)]
pub struct CreditLedger {
    bounds: Bounds,
    window: SignedDuration,
    balance: f64,
    /// The balance before the newest posting, as later settlements of older ones have moved it: what a
    /// cut of that posting starts from again. Handing back what a bound never took would mint credit.
    before: f64,
    history: History,
}

impl CreditLedger {
    /// An empty ledger: balance 0. A window that is not above 0 makes the velocity 0 always.
    pub fn new(bounds: Bounds, window: SignedDuration) -> Self {
        Self {
            bounds,
            window: window.max(SignedDuration::ZERO),
            balance: 0.0,
            before: 0.0,
            history: History::new(),
        }
    }

    /// Posts one interval that begins at `now`, provisionally and in full.
    ///
    /// `target_error` and `error`, the allowed and the planned mean error of the interval, are in [0, 1].
    pub fn post(&mut self, now: Timestamp, target_error: f64, error: f64) -> PostingId {
        let posting = Posting::new(now, target_error, error);
        self.before = self.balance;
        self.balance = self.bounds.clamp(self.before + posting.delta());
        self.history.push(posting, self.window)
    }

    /// Says that an interval was cut short: of its planned length only `fraction`, in [0, 1], went by.
    ///
    /// The posting becomes that fraction of the full one, whatever it was scaled to before; the newest one
    /// is posted again from the balance it was posted to, so that no number of cuts mints credit at a bound.
    /// Returns the change of the balance.
    ///
    /// # Errors
    ///
    /// [`TooLate`] if the posting is not among the last [`crate::MAX_OPEN`]; nothing is changed then.
    pub fn scale(&mut self, id: PostingId, fraction: f64) -> Result<f64, TooLate> {
        let change = self.history.replace(id, |posting| posting.scaled(fraction))?;
        let Some(delta) = self.history.newest(id) else { return Ok(self.add(id, change)) };
        let balance = self.balance;
        self.balance = self.bounds.clamp(self.before + delta);
        Ok(self.balance - balance)
    }

    /// Says what mean error, in [0, 1], was served in an interval. Returns the change of the balance.
    ///
    /// The posting's error is replaced, so this can be repeated as more routers report, and settling with
    /// the planned error changes nothing.
    ///
    /// # Errors
    ///
    /// [`TooLate`] if the posting is not among the last [`crate::MAX_OPEN`]; nothing is changed then.
    pub fn settle(&mut self, id: PostingId, error: f64) -> Result<f64, TooLate> {
        let change = self.history.replace(id, |posting| posting.settled(error))?;
        Ok(self.add(id, change))
    }

    /// Puts new bounds and a new window in force. The balance is clamped into the bounds; postings live on.
    pub fn reconfigure(&mut self, bounds: Bounds, window: SignedDuration) {
        self.bounds = bounds;
        self.window = window.max(SignedDuration::ZERO);
        self.balance = bounds.clamp(self.balance);
        self.before = bounds.clamp(self.before);
        self.history.expire(self.window);
    }

    /// Credit banked, within [`CreditLedger::bounds`].
    pub fn balance(&self) -> f64 {
        self.balance
    }

    /// Mean posting over those in `(now - window, now]`, in [-1, 1]; 0 where there is none.
    ///
    /// Exact for up to [`crate::MAX_EXACT`] postings. Beyond that the oldest share [`crate::MAX_BUCKETS`]
    /// buckets, each of which leaves the window as its newest posting does.
    pub fn velocity(&self, now: Timestamp) -> f64 {
        self.history.mean(now, self.window)
    }

    /// How far the balance may go.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The window of the velocity.
    pub fn window(&self) -> SignedDuration {
        self.window
    }

    /// A copy that can be questioned, stored, and brought back by [`CreditLedger::restore`].
    pub fn snapshot(&self) -> CreditSnapshot {
        CreditSnapshot {
            bounds: self.bounds,
            window: self.window,
            balance: self.balance,
            before: self.before,
            history: self.history.clone(),
        }
    }

    /// The ledger a snapshot was taken of: it behaves the same to the last bit.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if no ledger can have had that snapshot, e.g. because its store was edited.
    pub fn restore(snapshot: CreditSnapshot) -> Result<Self, RestoreError> {
        let CreditSnapshot { bounds, window, balance, before, history } = snapshot;
        for balance in [balance, before] {
            if bounds.clamp(balance) != balance {
                return Err(RestoreError::Balance { balance, min: bounds.min(), max: bounds.max() });
            }
        }
        if window < SignedDuration::ZERO {
            return Err(RestoreError::Window(window));
        }
        let history = history.restored().ok_or(RestoreError::History)?;
        Ok(Self { bounds, window, balance, before, history })
    }

    /// Adds a change of the posting `id`, then clamps. Returns the change of the balance.
    fn add(&mut self, id: PostingId, change: f64) -> f64 {
        let balance = self.balance;
        self.balance = self.bounds.clamp(balance + change);
        let moved = self.balance - balance;
        if self.history.newest(id).is_none() {
            self.before = self.bounds.clamp(self.before + moved);
        }
        moved
    }
}
