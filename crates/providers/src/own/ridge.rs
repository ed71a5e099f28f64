//! Ridge regression, small and online: sums with forgetting, solved by Cholesky.

/// Floats behind one regression: the lower triangle of `x x'`, then `x y`, then the weight of all samples.
/// They live in a slice, so that many regressions share one allocation.
pub(super) const fn len(features: usize) -> usize {
    features * (features + 1) / 2 + features + 1
}

/// Takes a sample of some weight and fades everything before it.
pub(super) fn learn<const K: usize>(
    sums: &mut [f64],
    features: &[f64; K],
    target: f64,
    weight: f64,
    fade: f64,
) {
    let (triangle, rest) = sums.split_at_mut(K * (K + 1) / 2);
    let mut at = 0;
    for row in 0..K {
        let factor = weight * features[row];
        for (sum, other) in triangle[at..=at + row].iter_mut().zip(features) {
            *sum = fade * *sum + factor * other;
        }
        at += row + 1;
    }
    let factor = weight * target;
    for (sum, feature) in rest[..K].iter_mut().zip(features) {
        *sum = fade * *sum + factor * feature;
    }
    rest[K] = fade * rest[K] + weight;
}

/// Mean squares of the features.
pub(super) fn mean_squares<const K: usize>(sums: &[f64]) -> [f64; K] {
    let seen = sums[K * (K + 1) / 2 + K];
    core::array::from_fn(|row| if seen > 0.0 { sums[row * (row + 3) / 2] / seen } else { 0.0 })
}

/// The coefficients that fit best, each drawn to its prior: `pull` is added to the feature's sum of
/// squares, as if that much of it had said so. One that no sample tells about is its prior.
pub(super) fn solve<const K: usize>(sums: &[f64], prior: &[f64; K], pull: &[f64; K]) -> [f64; K] {
    let (triangle, rest) = sums.split_at(K * (K + 1) / 2);
    let seen = rest[K];
    if seen <= 0.0 {
        return *prior;
    }
    let mut factor = [[0.0; K]; K];
    let mut inverse = [0.0; K];
    let mut solved = [0.0; K];
    let mut at = 0;
    for row in 0..K {
        let own = triangle[at + row];
        // Where no sample tells about a feature, anything fixes it to its prior.
        let pull = if own > 0.0 { pull[row] } else { 1.0 };
        for column in 0..row {
            let mut sum = triangle[at + column];
            for (one, other) in factor[row][..column].iter().zip(&factor[column][..column]) {
                sum -= one * other;
            }
            factor[row][column] = sum * inverse[column];
        }
        let left = factor[row][..row].iter().fold(own + pull, |left, entry| left - entry * entry);
        // Rounding may take what is left of a nearly dependent feature below nothing.
        inverse[row] = 1.0 / left.max(1e-9 * (own + pull)).sqrt();
        let known = rest[row] + pull * prior[row];
        let sum =
            factor[row][..row].iter().zip(&solved).fold(known, |sum, (entry, solved)| sum - entry * solved);
        solved[row] = sum * inverse[row];
        at += row + 1;
    }
    for row in (0..K).rev() {
        let mut sum = solved[row];
        for below in row + 1..K {
            sum -= factor[below][row] * solved[below];
        }
        solved[row] = sum * inverse[row];
    }
    if solved.iter().all(|value| value.is_finite()) { solved } else { *prior }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: usize = 3;

    fn samples(count: u32) -> Vec<[f64; K]> {
        (0..count).map(|i| [1.0, f64::from(i % 7), f64::from(i % 5) - 2.0]).collect()
    }

    #[test]
    fn a_linear_law_is_found() {
        let mut sums = [0.0; len(K)];
        for x in samples(200) {
            learn(&mut sums, &x, 3.0 - 0.5 * x[1] + 2.0 * x[2], 1.0, 0.999);
        }
        let solved = solve(&sums, &[0.0; K], &[1e-6; K]);
        for (found, wanted) in solved.into_iter().zip([3.0, -0.5, 2.0]) {
            assert!((found - wanted).abs() < 1e-5, "{solved:?}");
        }
    }

    #[test]
    fn without_evidence_there_is_the_prior() {
        let prior = [0.8, 0.1, -0.3];
        let mut sums = [0.0; len(K)];
        assert_eq!(solve(&sums, &prior, &[5.0; K]), prior);
        for _ in 0..9 {
            learn(&mut sums, &[0.0; K], 1.0, 1.0, 0.9);
        }
        assert_eq!(solve(&sums, &prior, &[5.0; K]), prior);
    }

    #[test]
    fn a_strong_prior_holds_one_coefficient_and_frees_the_rest() {
        let mut sums = [0.0; len(K)];
        for x in samples(200) {
            learn(&mut sums, &x, 4.0 * x[1] + 2.0 * x[2], 1.0, 1.0);
        }
        let solved = solve(&sums, &[0.0, 1.0, 0.0], &[1e-6, 1e9, 1e-6]);
        assert!((solved[1] - 1.0).abs() < 1e-3, "{solved:?}");
        assert!((solved[2] - 2.0).abs() < 0.2, "{solved:?}");
    }

    #[test]
    fn dependent_features_stay_finite() {
        let mut sums = [0.0; len(K)];
        for i in 0..500_u32 {
            let x = f64::from(i % 11) * 1e4;
            learn(&mut sums, &[x, x, x], 3.0 * x, 1.0, 0.99);
        }
        let solved = solve(&sums, &[0.0; K], &[1e-6; K]);
        assert!((solved.iter().sum::<f64>() - 3.0).abs() < 1e-3, "{solved:?}");
    }
}
