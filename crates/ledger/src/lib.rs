//! What a schedule has saved of its allowed error: the credit ledger and the error budget.
//!
//! ```text
//!   each evaluation ──> CreditLedger   dimensionless, some minutes: the origin's credits
//!                   └─> ErrorBudget    request by request, some days: what is promised
//!   each report     ──> both           what was planned becomes what was served
//!                            │
//!                            v
//!                       guarded_error  the most that may be published next
//! ```
//!
//! # The credit ledger
//!
//! [`CreditLedger`] counts evaluation intervals, every one alike. A schedule may err by `target_error` on
//! average. Every evaluation posts the difference between that and the error it plans; what is left is the
//! *balance*, kept within [`Bounds`]. A posting is provisional: once feedback says what was served it is
//! settled, so that each interval counts exactly once. The *velocity* is the mean posting over a sliding
//! window of time.
//!
//! ```
//! use jiff::SignedDuration;
//! use ledger::{Bounds, CreditLedger};
//! use models::Timestamp;
//!
//! let start: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
//! let mut ledger = CreditLedger::new(Bounds::new(-0.5, 0.5)?, SignedDuration::from_secs(300));
//!
//! // Planned: an error of 0.01 where 0.05 is allowed. Credit grows by the difference.
//! let posting = ledger.post(start, 0.05, 0.01);
//! assert!((ledger.balance() - 0.04).abs() < 1e-12);
//!
//! // Served, says the router: 0.03. The posting is replaced, not added to.
//! ledger.settle(posting, 0.03).unwrap();
//! assert!((ledger.balance() - 0.02).abs() < 1e-12);
//! assert!((ledger.velocity(start) - 0.02).abs() < 1e-12);
//!
//! // A copy that can be questioned, stored and brought back.
//! let snapshot = ledger.snapshot();
//! assert!((snapshot.headroom() - 0.48).abs() < 1e-12);
//! assert_eq!(CreditLedger::restore(snapshot)?, ledger);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # The error budget
//!
//! [`ErrorBudget`] counts requests. Serving `n` of them at error `e` changes its balance by
//! `n (target - e)`; credit of one window of traffic is banked at most, and only feedback books income.
//! [`guarded_error`] says how much error may be published until the next evaluation: published errors
//! within it never break the budget, whatever demand does and whatever was forecast. [`ErrorBudget`] states
//! that guarantee, its premises and its proof.
//!
//! ```
//! use ledger::{Bounds, BudgetSettings, CreditLedger, ErrorBudget, ServedAt, guarded_error};
//! use models::Timestamp;
//!
//! let start: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
//! let later: Timestamp = "2026-11-23T15:01:00Z".parse().unwrap();
//! // Intervals go by the ids of their postings.
//! let mut credits = CreditLedger::new(Bounds::new(-0.5, 0.5)?, jiff::SignedDuration::from_secs(300));
//! let mut budget = ErrorBudget::new(BudgetSettings::default());
//! budget.serve(None, start, &[]); // There is feedback: requests are counted.
//!
//! // Nothing is banked yet, so only the best flavour may be published.
//! budget.expect(0.05, 172_800.0);
//! let error = guarded_error(0.05, budget.spendable(), 150.0, 0.0);
//! assert_eq!(error, 0.0);
//! let posting = credits.post(start, 0.05, error);
//! budget.begin(posting, start, 0.05, error, 150.0);
//!
//! // 100 requests without an error where 5 were allowed.
//! budget.serve(Some(posting), later, &[ServedAt { requests: 100, error: 0.0 }]);
//! budget.end(later);
//! assert_eq!(budget.spendable(), 5.0);
//!
//! // If at most 200 come next, an error of 0.075 can be afforded. It is held back at once.
//! let error = guarded_error(0.05, budget.spendable(), 200.0, 0.0);
//! assert_eq!(error, 0.075);
//! let posting = credits.post(later, 0.05, error);
//! budget.begin(posting, later, 0.05, error, 200.0);
//! assert_eq!((budget.balance(), budget.spendable()), (5.0, 0.0));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! What this crate does not do: it chooses no weights, knows no flavours, and reads no clock: `now` is an
//! argument, and an instant before the latest one counts as that one. It needs `alloc` but no standard
//! library.

#![no_std]

extern crate alloc;

mod bounds;
mod budget;
mod credit;
mod exact;
mod history;
mod posting;
mod snapshot;

pub use bounds::{Bounds, BoundsError};
pub use budget::{
    Accounting, Before, BudgetError, BudgetSettings, BudgetSnapshot, ErrorBudget, PPM, Report, ServedAt,
    Span, error_ppm, guarded_error, target_ppm,
};
pub use credit::CreditLedger;
pub use history::{MAX_BUCKETS, MAX_EXACT, MAX_OPEN};
pub use posting::{PostingId, TooLate};
pub use snapshot::{CreditSnapshot, RestoreError};
