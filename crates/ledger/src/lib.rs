//! The credit ledger: what a schedule has saved of its allowed error, and how fast it saves or spends.
//!
//! A schedule may err by `target_error` on average. Every evaluation posts the difference between that
//! and the error it plans; what is left is the *balance*, kept within [`Bounds`]. A posting is provisional:
//! once feedback says what was served it is settled, so that each interval counts exactly once. The
//! *velocity* is the mean posting over a sliding window of time.
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
//! What this crate does not do: it chooses no weights, knows no flavours and no requests, and reads no
//! clock: `now` is an argument, and an instant before the latest one counts as that one. It needs `alloc`
//! but no standard library.

#![no_std]

extern crate alloc;

mod bounds;
mod credit;
mod exact;
mod history;
mod posting;
mod snapshot;

pub use bounds::{Bounds, BoundsError};
pub use credit::CreditLedger;
pub use history::{MAX_BUCKETS, MAX_EXACT, MAX_OPEN};
pub use posting::{PostingId, TooLate};
pub use snapshot::{CreditSnapshot, RestoreError};
