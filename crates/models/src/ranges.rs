//! The one table of ranges: what every number on the wire may be, in which unit.
//!
//! Checks, error messages and test generators all read it, so they cannot disagree.

use core::fmt;

/// One quantity: its name, its unit and the values it may take. Finite always.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// What the number is, as a reader would say it.
    pub quantity: &'static str,
    /// Unit, empty where the number has none.
    pub unit: &'static str,
    /// Smallest value.
    pub low: f64,
    /// Whether `low` itself is allowed.
    pub low_included: bool,
    /// Largest value.
    pub high: f64,
    /// Whether `high` itself is allowed.
    pub high_included: bool,
}

/// A number outside its [`Range`], or not a number at all.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{} is not {}: expected {range}", Shown(*value), A(range.quantity))]
pub struct OutOfRange {
    /// What was given.
    pub value: f64,
    /// What would have been right.
    pub range: &'static Range,
}

impl Range {
    const fn new(quantity: &'static str, unit: &'static str, low: f64, high: f64) -> Self {
        Self { quantity, unit, low, low_included: true, high, high_included: true }
    }

    const fn above(mut self) -> Self {
        self.low_included = false;
        self
    }

    const fn below(mut self) -> Self {
        self.high_included = false;
        self
    }

    /// Whether `value` is finite and inside.
    pub fn contains(&self, value: f64) -> bool {
        let above = if self.low_included { value >= self.low } else { value > self.low };
        let below = if self.high_included { value <= self.high } else { value < self.high };
        value.is_finite() && above && below
    }

    /// `value` itself, if it is inside.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`], the only way to fail.
    pub fn check(&'static self, value: f64) -> Result<f64, OutOfRange> {
        if self.contains(value) { Ok(value) } else { Err(OutOfRange { value, range: self }) }
    }
}

impl fmt::Display for Range {
    /// `a number in [0, 1)`, `a number of seconds in [1, 86400]`, `a number >= 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")?;
        if !self.unit.is_empty() {
            write!(f, " of {}", self.unit)?;
        }
        let bounded = (self.low > f64::MIN, self.high < f64::MAX);
        match bounded {
            (true, true) => {
                let open = if self.low_included { '[' } else { '(' };
                let close = if self.high_included { ']' } else { ')' };
                write!(f, " in {open}{}, {}{close}", self.low, self.high)
            }
            (true, false) => write!(f, " {} {}", if self.low_included { ">=" } else { ">" }, self.low),
            (false, true) => write!(f, " {} {}", if self.high_included { "<=" } else { "<" }, self.high),
            (false, false) => f.write_str(" that is finite"),
        }
    }
}

/// A number as a reader would write it: `1.5`, `1000000`, but `1e300` rather than 301 digits.
pub(crate) struct Shown(pub(crate) f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if self.0.is_finite() && magnitude != 0.0 && !(1e-6..1e16).contains(&magnitude) {
            write!(f, "{:e}", self.0)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// A noun with its article: `a precision`, `an upper credit bound`.
pub(crate) struct A<'a>(pub(crate) &'a str);

impl fmt::Display for A<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let article = if self.0.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        write!(f, "{article} {}", self.0)
    }
}

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// Precision as a fraction of the best possible answer.
pub static PRECISION: Range = Range::new("precision", "", 0.0, 1.0).above();
/// Precision as the wire gives it: a fraction up to 1, a percentage above.
pub static WIRE_PRECISION: Range =
    Range::new("precision (a fraction up to 1, a percentage above)", "", 0.0, 100.0).above();
/// Allowed mean error.
pub static TARGET_ERROR: Range = Range::new("target error", "", 0.0, 1.0).below();
/// Carbon intensity of the grid, gCO2eq/kWh. The bound is ten times the dirtiest fuel.
pub static INTENSITY: Range = Range::new("carbon intensity", "gCO2eq/kWh", 0.0, 10_000.0);
/// A flavour's own carbon figure, relative energy per request.
pub static FLAVOUR_CARBON: Range = Range::new("flavour carbon intensity", "", 0.0, f64::MAX);
/// Energy of one request.
pub static ENERGY_WH: Range = Range::new("energy per request", "Wh", 0.0, f64::MAX);
/// Lower bound of the credit ledger.
pub static CREDIT_MIN: Range = Range::new("lower credit bound", "", f64::MIN, 0.0);
/// Upper bound of the credit ledger.
pub static CREDIT_MAX: Range = Range::new("upper credit bound", "", 0.0, f64::MAX);
/// Smoothing window of the credit velocity.
pub static CREDIT_WINDOW: Range = Range::new("credit window", "seconds", 1.0, 30.0 * DAY);
/// Window over which the error budget banks credit.
pub static BUDGET_WINDOW: Range = Range::new("budget window", "seconds", HOUR, 30.0 * DAY);
/// Overdraft in units of one window's budget.
pub static BUDGET_OVERDRAFT: Range = Range::new("budget overdraft", "", 0.0, 1.0);
/// Multiple of the target error aimed at in any 24 h.
pub static BUDGET_DAILY_AIM: Range = Range::new("daily aim", "", 1.0, f64::MAX);
/// How long a schedule is valid.
pub static VALID_FOR: Range = Range::new("validity", "seconds", 1.0, DAY);
/// Pause between flavour discoveries.
pub static DISCOVERY_INTERVAL: Range = Range::new("discovery interval", "seconds", 1.0, DAY);
/// Patience with a carbon provider.
pub static CARBON_TIMEOUT: Range = Range::new("carbon timeout", "seconds", 0.0, DAY).above();
/// Life of a fetched forecast.
pub static CARBON_CACHE_TTL: Range = Range::new("carbon cache lifetime", "seconds", 1.0, DAY);
/// Smallest processing throttle.
pub static THROTTLE_MIN: Range = Range::new("smallest throttle", "", 0.0, 1.0);
/// Intensity at which throttling begins or is complete.
pub static THROTTLE_INTENSITY: Range = Range::new("throttle intensity", "gCO2eq/kWh", 0.0, f64::MAX);
/// Replicas of a component.
pub static REPLICAS: Range = Range::new("replica count", "replicas", 0.0, 2_147_483_647.0);
/// Length of a feedback window.
pub static FEEDBACK_WINDOW: Range = Range::new("feedback window", "seconds", 0.0, DAY).above();
/// Requests counted in one feedback post.
pub static REQUESTS: Range = Range::new("request count", "requests", 0.0, 9_007_199_254_740_992.0);
/// Number of a feedback post. The next whole number after the bound is one that a float cannot tell from
/// others, and two posts with one number are one post.
pub static SEQUENCE: Range = Range::new("sequence number", "", 0.0, 9_007_199_254_740_991.0);
/// Pause between polls of served requests.
pub static POLL_INTERVAL: Range = Range::new("poll interval", "seconds", 1.0, HOUR);
/// One weight of a manual override.
pub static MANUAL_WEIGHT: Range = Range::new("weight", "", 0.0, 1e15);
/// Life of a manual override.
pub static MANUAL_TTL: Range = Range::new("override lifetime", "seconds", 1.0, DAY);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn bounds_are_kept_and_said() {
        assert!(PRECISION.check(0.0).is_err());
        assert_eq!(PRECISION.check(1.0), Ok(1.0));
        assert!(TARGET_ERROR.check(1.0).is_err());
        assert!(CREDIT_MAX.check(f64::INFINITY).is_err());
        assert!(CREDIT_MIN.check(f64::NAN).is_err());
        let said: alloc::vec::Vec<_> =
            [&PRECISION, &VALID_FOR, &CREDIT_MIN, &CREDIT_MAX].iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["a number in (0, 1]", "a number of seconds in [1, 86400]", "a number <= 0", "a number >= 0"]
        );
        let refused = TARGET_ERROR.check(1.5).unwrap_err().to_string();
        assert_eq!(refused, "1.5 is not a target error: expected a number in [0, 1)");
    }
}
