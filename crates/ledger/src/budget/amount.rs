//! Error in whole parts per million (ppm), and sums of it in whole ppm x requests.
//!
//! Rounded against the schedule: errors up, targets down. Nothing else rounds, so sums are exact and the
//! order in which they were made does not show.

/// Parts per million in one: what the error budget counts error in.
pub const PPM: u32 = 1_000_000;
/// A figure this close to a whole ppm, in ppm, is that ppm: `1.0 - 0.85` is no more than 0.15.
const NOISE: f64 = 1e-9;
/// No amount of credit is larger, in ppm x requests: 2^40 such amounts still fit an `i128`.
pub(super) const MOST: i128 = 1 << 86;

/// An error in [0, 1] in ppm as the error budget books it, rounded up; what is not a number is the worst there is.
pub fn error_ppm(error: f64) -> u32 {
    let exact = if error.is_nan() { 1.0 } else { error.clamp(0.0, 1.0) } * f64::from(PPM);
    let whole = truncated(exact);
    if exact - f64::from(whole) > NOISE { whole + 1 } else { whole }
}

/// A target error in [0, 1] in ppm as the error budget books it, rounded down; what is not a number allows nothing.
pub fn target_ppm(target: f64) -> u32 {
    let exact = if target.is_nan() { 0.0 } else { target.clamp(0.0, 1.0) } * f64::from(PPM);
    truncated(exact + NOISE)
}

/// A whole number of requests (or seconds) that is at least `bound`; what is not finite has no bound.
pub(super) fn at_most(bound: f64) -> u64 {
    if !bound.is_finite() {
        return u64::MAX;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as meant")]
    let whole = bound as u64;
    if bound > whole as f64 { whole.saturating_add(1) } else { whole }
}

/// `ppm` of a finite `count`, rounded down, at least 0.
pub(super) fn share_of(count: f64, ppm: u32) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as meant")]
    let share = (count * f64::from(ppm)) as i128;
    share.clamp(0, MOST)
}

/// An amount in requests x error.
pub(super) fn plain(amount: i128) -> f64 {
    amount as f64 / f64::from(PPM)
}

/// The amount that [`plain`] made `number` of; a little less where that lost digits.
pub(super) fn amount(number: f64) -> i128 {
    let exact = number * f64::from(PPM);
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as meant")]
    let nearest = (exact + if exact < 0.0 { -0.5 } else { 0.5 }) as i128;
    let nearest = nearest.clamp(-MOST, MOST);
    nearest - (nearest.abs() >> 50)
}

fn truncated(ppm: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=PPM; `as` saturates")]
    let whole = ppm as u32;
    whole.min(PPM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_round_up_and_targets_down() {
        for (figure, error, target) in [
            (0.0, 0, 0),
            (1.0, PPM, PPM),
            (0.05, 50_000, 50_000),
            (1e-9, 1, 0),
            (1.0 / 3.0, 333_334, 333_333),
            (0.123_456_000_1, 123_457, 123_456),
            (0.999_999_9, PPM, 999_999),
            (-0.3, 0, 0),
            (7.0, PPM, PPM),
            (f64::INFINITY, PPM, PPM),
            (f64::NEG_INFINITY, 0, 0),
            (f64::NAN, PPM, 0),
        ] {
            assert_eq!((error_ppm(figure), target_ppm(figure)), (error, target), "{figure}");
        }
    }

    #[test]
    fn a_whole_ppm_stays_what_it_is_however_it_was_computed() {
        for ppm in 0..=PPM {
            let figure = f64::from(ppm) / f64::from(PPM);
            let complement = 1.0 - f64::from(PPM - ppm) / f64::from(PPM);
            for figure in [figure, complement] {
                assert_eq!((error_ppm(figure), target_ppm(figure)), (ppm, ppm), "{figure}");
            }
        }
    }

    #[test]
    fn an_amount_comes_back_from_a_float_and_is_never_more() {
        for value in [0, 1, -1, 299_999, 1_234_567, -987_654_321, (1 << 49) + 12_345] {
            assert_eq!(amount(plain(value)), value);
        }
        for value in [(1 << 60) + 1, (1 << 80) + 12_345, MOST, -MOST] {
            assert!(amount(plain(value)) <= value, "{value}");
        }
    }

    #[test]
    fn bounds_of_counts_are_whole_and_never_too_low() {
        for (bound, whole) in [
            (0.0, 0),
            (-3.0, 0),
            (0.2, 1),
            (48.0, 48),
            (48.1, 49),
            (1e30, u64::MAX),
            (f64::NAN, u64::MAX),
            (f64::INFINITY, u64::MAX),
        ] {
            assert_eq!(at_most(bound), whole, "{bound}");
        }
    }
}
