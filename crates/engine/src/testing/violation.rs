//! What was found that must not be.

use core::fmt::Display;

use super::Invariant;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {situation}: {found}; expected {expected}")]
#[non_exhaustive]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Where: a few words, and the seed where there is one.
    pub situation: String,
    /// What was found.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl Violation {
    pub(super) fn new(
        invariant: Invariant,
        situation: &(impl Display + ?Sized),
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { invariant, situation: situation.to_string(), found: found.into(), expected: expected.into() }
    }
}
