//! Quantities as types. Each is finite by construction and inside its range of [`crate::ranges`].

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::ranges::{self, OutOfRange};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $range:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// The quantity, if `value` is inside its range.
            ///
            /// # Errors
            ///
            /// [`OutOfRange`], the only way to fail.
            pub fn new(value: f64) -> Result<Self, OutOfRange> {
                $range.check(value).map(Self)
            }

            /// The plain number.
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> alloc::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                crate::schema::number(&$range)
            }
        }

        impl TryFrom<f64> for $name {
            type Error = OutOfRange;

            fn try_from(value: f64) -> Result<Self, OutOfRange> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(quantity: $name) -> f64 {
                quantity.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

quantity! {
    /// How good an answer is: a fraction in (0, 1] of the best possible one.
    Precision, ranges::PRECISION
}
quantity! {
    /// Carbon intensity of the grid in gCO2eq/kWh, in [0, 10 000].
    CarbonIntensity, ranges::INTENSITY
}

impl Precision {
    /// The best answer there is.
    pub const BEST: Self = Self(1.0);

    /// Precision as the wire writes it: up to 1 a fraction, above 1 up to 100 a percentage.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] outside (0, 100].
    pub fn from_wire(value: f64) -> Result<Self, OutOfRange> {
        let value = ranges::WIRE_PRECISION.check(value)?;
        Self::new(if value > 1.0 { value / 100.0 } else { value })
    }

    /// Whole percent, half to even: what names and integer readers carry.
    pub fn percent(self) -> u8 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=100 by range")]
        let percent = libm::rint(self.0 * 100.0) as u8;
        percent
    }

    /// `1 - precision`, in [0, 1).
    pub fn error(self) -> f64 {
        (1.0 - self.0).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_precision_is_a_fraction_or_a_percentage() {
        assert_eq!(Precision::from_wire(0.85).unwrap().get(), 0.85);
        assert_eq!(Precision::from_wire(85.0).unwrap().get(), 0.85);
        assert_eq!(Precision::from_wire(1.0).unwrap(), Precision::BEST);
        assert_eq!(Precision::from_wire(1.5).unwrap().get(), 0.015);
        for wrong in [0.0, -0.5, 100.5, f64::NAN, f64::INFINITY] {
            assert!(Precision::from_wire(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn percent_rounds_half_to_even_on_the_binary_value() {
        // As the origin names flavours: 0.125 -> 12, 0.135 -> 14 (13.5 exactly), 0.145 -> 14.
        for (precision, percent) in
            [(0.125, 12), (0.135, 14), (0.145, 14), (0.005, 0), (0.025, 2), (1.0, 100)]
        {
            assert_eq!(Precision::new(precision).unwrap().percent(), percent, "{precision}");
        }
    }
}
