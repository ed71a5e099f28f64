//! One posting: the credit that one evaluation interval earns or spends.

use core::fmt;

use models::Timestamp;
use serde::{Deserialize, Serialize};

use crate::exact;

/// Which posting of a ledger; later postings have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PostingId(pub(crate) u64);

impl fmt::Display for PostingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A posting that can be changed no longer, or that this ledger never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("posting {id} cannot be changed: expected one of {}", Open(*.open))]
pub struct TooLate {
    /// The posting asked for.
    pub id: PostingId,
    /// The oldest and the newest posting that can be changed; none in an empty ledger.
    pub open: Option<(PostingId, PostingId)>,
}

struct Open(Option<(PostingId, PostingId)>);

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((oldest, newest)) => write!(f, "the latest ones, {oldest} to {newest}"),
            None => f.write_str("the latest ones, but nothing was posted yet"),
        }
    }
}

/// A posting that can still be scaled and settled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Posting {
    pub(crate) at: Timestamp,
    #[serde(with = "exact")]
    target_error: f64,
    #[serde(with = "exact")]
    error: f64,
    #[serde(with = "exact")]
    fraction: f64,
}

impl Posting {
    /// A posting in full.
    pub(crate) fn new(at: Timestamp, target_error: f64, error: f64) -> Self {
        Self { at, target_error: unit_or(target_error, 0.0), error: unit_or(error, 1.0), fraction: 1.0 }
    }

    /// The same posting for an interval cut short.
    pub(crate) fn scaled(mut self, fraction: f64) -> Self {
        self.fraction = unit_or(fraction, 0.0);
        self
    }

    /// The same posting with the error that was served.
    pub(crate) fn settled(mut self, error: f64) -> Self {
        self.error = unit_or(error, 1.0);
        self
    }

    /// Credit earned, in [-1, 1]; negative where it is spent.
    pub(crate) fn delta(&self) -> f64 {
        self.fraction * (self.target_error - self.error)
    }

    /// Whether every figure is in [0, 1], as [`Posting::new`] makes them.
    pub(crate) fn is_sound(&self) -> bool {
        [self.target_error, self.error, self.fraction].iter().all(|figure| (0.0..=1.0).contains(figure))
    }
}

/// `figure` within [0, 1]. What is not a number becomes the value that mints no credit.
fn unit_or(figure: f64, cautious: f64) -> f64 {
    if figure.is_nan() { cautious } else { figure.clamp(0.0, 1.0) }
}
