//! The guard: how much error may be published so that no demand breaks the budget.

use super::amount::{PPM, amount, at_most, target_ppm};

/// The most error that may be published before the next evaluation, in [0, 1].
///
/// With `n_up` the most requests (seconds, under [`super::Accounting::Time`]) that may come until then, and
/// `spendable` the credit above the floor ([`super::ErrorBudget::spendable`]), that is
/// `target_error + spendable / n_up`: then `n (error - target_error) <= spendable` for every `n <= n_up`.
/// Where nothing is left to spend it is `least_error`, the error of the best flavour, which is also the
/// least answer there is.
///
/// The answer is in whole parts per million, rounded down, and `n_up` is rounded up to a whole number of at
/// least 1, so that the inequality holds in what is booked, not only nearly. A spendable credit that is not
/// finite counts as none, and an `n_up` that is not finite as more than can be afforded.
pub fn guarded_error(target_error: f64, spendable: f64, n_up: f64, least_error: f64) -> f64 {
    let least = if least_error.is_nan() { 0.0 } else { least_error.clamp(0.0, 1.0) };
    let spendable = if spendable.is_finite() { amount(spendable) } else { 0 };
    if spendable <= 0 {
        return least;
    }
    let beyond = spendable / i128::from(at_most(n_up).max(1));
    let beyond = u32::try_from(beyond).unwrap_or(PPM);
    let allowed = target_ppm(target_error).saturating_add(beyond).min(PPM);
    (f64::from(allowed) / f64::from(PPM)).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_spent_is_spread_over_all_that_may_come() {
        for (target, spendable, n_up, least, error) in [
            (0.05, 10.0, 100.0, 0.0, 0.15),
            (0.05, 10.0, 1000.0, 0.0, 0.06),
            // Rounded down to whole ppm; requests up to whole ones, at least one.
            (0.05, 1.0, 3.0, 0.0, 0.383_333),
            (0.05, 1.0, 3.5, 0.0, 0.3),
            (0.05, 0.3, 0.0, 0.0, 0.35),
            (0.05, 0.3, -7.0, 0.0, 0.35),
            (0.05, 1e-6, 2.0, 0.0, 0.05),
            // Never more than everything.
            (0.05, 10.0, 1.0, 0.0, 1.0),
            (0.05, 1e300, 1.0, 0.0, 1.0),
            // Nothing to spend, or a debt: only the best flavour.
            (0.05, 0.0, 100.0, 0.0, 0.0),
            (0.05, -1e-6, 100.0, 0.02, 0.02),
            (0.05, -1e300, 100.0, 0.02, 0.02),
            // No answer is below what the best flavour errs by.
            (0.05, 1.0, 100.0, 0.2, 0.2),
            // Not a number: as careful as can be.
            (f64::NAN, 10.0, 100.0, 0.0, 0.1),
            (0.05, f64::NAN, 100.0, 0.01, 0.01),
            (0.05, f64::INFINITY, 100.0, 0.01, 0.01),
            (0.05, 10.0, f64::NAN, 0.0, 0.05),
            (0.05, 10.0, f64::INFINITY, 0.0, 0.05),
            (0.05, 0.0, 1.0, f64::NAN, 0.0),
        ] {
            let got = guarded_error(target, spendable, n_up, least);
            assert_eq!(got, error, "{target}, {spendable}, {n_up}, {least}");
        }
    }
}
