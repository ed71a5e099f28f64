//! How far a balance may go in either direction.

use serde::{Deserialize, Serialize};

use crate::exact;

/// Bounds of a balance: `min <= 0 <= max`, both finite, so that an empty ledger is always within them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawBounds", into = "RawBounds")]
pub struct Bounds {
    min: f64,
    max: f64,
}

/// Bounds that an empty ledger would not be within.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("[{min}, {max}] are no credit bounds: expected min <= 0 <= max, both finite")]
pub struct BoundsError {
    /// The lower bound given.
    pub min: f64,
    /// The upper bound given.
    pub max: f64,
}

impl Bounds {
    /// Bounds of a balance, dimensionless.
    ///
    /// # Errors
    ///
    /// [`BoundsError`] unless `min <= 0 <= max` and both are finite; the only way to fail.
    pub fn new(min: f64, max: f64) -> Result<Self, BoundsError> {
        if min.is_finite() && max.is_finite() && min <= 0.0 && max >= 0.0 {
            Ok(Self { min, max })
        } else {
            Err(BoundsError { min, max })
        }
    }

    /// The least a balance can be, at most 0.
    pub fn min(self) -> f64 {
        self.min
    }

    /// The most a balance can be, at least 0.
    pub fn max(self) -> f64 {
        self.max
    }

    /// The nearest number within the bounds; what is not a number counts as `min`.
    #[must_use]
    pub fn clamp(self, balance: f64) -> f64 {
        // Not `f64::clamp`: it hands a NaN through.
        balance.max(self.min).min(self.max)
    }
}

/// Bounds as they are stored, not yet checked.
#[derive(Serialize, Deserialize)]
struct RawBounds {
    #[serde(with = "exact")]
    min: f64,
    #[serde(with = "exact")]
    max: f64,
}

impl TryFrom<RawBounds> for Bounds {
    type Error = BoundsError;

    fn try_from(raw: RawBounds) -> Result<Self, BoundsError> {
        Self::new(raw.min, raw.max)
    }
}

impl From<Bounds> for RawBounds {
    fn from(bounds: Bounds) -> Self {
        Self { min: bounds.min, max: bounds.max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_empty_ledger_is_within_any_bounds() {
        for (min, max) in [(-0.5, 0.5), (0.0, 0.0), (-1e300, 1e300), (-0.5, 0.0), (0.0, 1e-9)] {
            assert_eq!(Bounds::new(min, max).unwrap().clamp(0.0), 0.0, "[{min}, {max}]");
        }
        for (min, max) in [
            (0.2, 0.6),
            (-1.0, -0.2),
            (0.5, -0.5),
            (f64::NAN, 0.5),
            (-0.5, f64::NAN),
            (f64::NEG_INFINITY, 0.5),
            (-0.5, f64::INFINITY),
        ] {
            assert!(Bounds::new(min, max).is_err(), "[{min}, {max}]");
        }
        assert_eq!(
            Bounds::new(0.2, 0.6).unwrap_err().to_string(),
            "[0.2, 0.6] are no credit bounds: expected min <= 0 <= max, both finite"
        );
    }

    #[test]
    fn clamping_is_total() {
        let bounds = Bounds::new(-0.5, 0.25).unwrap();
        for (balance, clamped) in [
            (0.1, 0.1),
            (-0.5, -0.5),
            (-0.6, -0.5),
            (0.3, 0.25),
            (f64::INFINITY, 0.25),
            (f64::NEG_INFINITY, -0.5),
            (f64::NAN, -0.5),
        ] {
            assert_eq!(bounds.clamp(balance), clamped, "{balance}");
        }
    }
}
