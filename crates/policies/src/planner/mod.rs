//! The planner: a market in which the slots of the horizon bid for credit.
//!
//! # The problem
//!
//! Choose the mean error `e_t` of each slot so that the least is emitted,
//!
//! ```text
//! minimise    sum over t of  k_t g(e_t)
//! subject to  x_{t+1} = min(C, x_t + a_t (target - e_t)),   x_t >= 0,   x_0 given
//! ```
//!
//! where `g` is the lower convex hull of (error, energy per request), `a_t` what a slot weighs in the
//! ledger (its requests), `k_t` what it weighs in emissions (its requests times its carbon intensity),
//! `x` the credit above the floor and `C` the most that can be banked.
//!
//! # The market
//!
//! A unit of credit spent in slot `t` on hull segment `j` saves `(k_t / a_t) s_j` grams, where `s_j` is the
//! energy that segment saves per unit of error; the segment has room for `a_t de_j` units. That is a bid:
//! a price and a quantity. Going backwards from the last slot, the bids of all later slots form a book,
//! dearest first; it is the value of credit at that moment, slope by slope:
//!
//! ```text
//!  price of a unit ^
//!                  |####                    own bids of slot t are merged into the book of t+1,
//!                  |    ######              the slot's own income serves the dearest of them,
//!                  |          #########     and what lies beyond C at the cheap end is cut:
//!                  |                   ###  nobody can bank that much
//!                  +-----------------------> credit x_t
//! ```
//!
//! At slot 0 the credit at hand goes to the dearest of its own bids and the book's; what its own bids win
//! is `e_0`. The price at which that stops is the *shadow price of credit*, in grams per unit of error: the
//! explanation of the decision. The plan is exact, by sorted merges alone; there is no solver and no
//! iteration (Bellman's recursion on a concave piecewise linear value, kept as its slopes).

mod book;
mod hindsight;
mod plan;
mod segments;

pub use book::Bid;
pub use hindsight::{Hindsight, hindsight, hindsight_global};
pub use plan::{Plan, Planner};
pub use segments::{Segment, Segments};

/// What one slot weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// In the ledger: expected requests (or 1 for a ledger that counts slots), >= 0.
    pub ledger: f64,
    /// In emissions: expected requests times carbon intensity, >= 0.
    pub emissions: f64,
}

/// The account that is planned for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Account {
    /// Allowed mean error, in [0, 1).
    pub target_error: f64,
    /// Most credit above the floor that can be banked, in requests x error, >= 0.
    pub capacity: f64,
    /// Credit above the floor; below 0 it is debt.
    pub credit: f64,
}
