//! Ridge regression, small and online: sums with forgetting, solved by Cholesky.

/// Sums of one regression on `K` features: the lower triangle of x x', then x y, then the weight of all.
/// They live in a slice of [`len`] floats, so that many share one allocation.
pub(super) const fn len(features: usize) -> usize {
    features * (features + 1) / 2 + features + 1
}

/// Takes a sample, fading everything before it by `fade`.
pub(super) fn learn<const K: usize>(sums: &mut [f64], features: &[f64; K], target: f64, weight: f64, fade: f64) {
    let mut at = 0;
    for row in 0..K {
        let factor = weight * features[row];
        for (sum, other) in sums[at..=at + row].iter_mut().zip(features) {
            *sum = fade * *sum + factor * other;
        }
        at += row + 1;
    }
    for (sum, feature) in sums[at..at + K].iter_mut().zip(features) {
        *sum = fade * *sum + weight * feature * target;
    }
    sums[at + K] = fade * sums[at + K] + weight;
}

/// The weights that fit best, each drawn to its prior as if by `strength` samples. Those that no sample
/// tells about are their priors.
pub(super) fn solve<const K: usize>(sums: &[f64], prior: &[f64; K], strength: &[f64; K]) -> [f64; K] {
    let triangle = K * (K + 1) / 2;
    let seen = sums[triangle + K];
    if seen <= 0.0 {
        return *prior;
    }
    let mut factor = [[0.0; K]; K];
    let mut weights = [0.0; K];
    let mut at = 0;
    for row in 0..K {
        let own = sums[at + row];
        // Its own scale, or where it has none one that fixes the weight to its prior.
        let pull = if own > 0.0 { own * strength[row] / seen } else { 1.0 };
        for column in 0..=row {
            let mut sum = sums[at + column] + if column == row { pull } else { 0.0 };
            for inner in 0..column {
                sum -= factor[row][inner] * factor[column][inner];
            }
            if column == row {
                // Rounding may take what is left of a nearly dependent feature below nothing.
                factor[row][row] = sum.max(1e-9 * (own + pull)).sqrt();
            } else {
                factor[row][column] = sum / factor[column][column];
            }
        }
        let mut sum = sums[triangle + row] + pull * prior[row];
        for inner in 0..row {
            sum -= factor[row][inner] * weights[inner];
        }
        weights[row] = sum / factor[row][row];
        at += row + 1;
    }
    for row in (0..K).rev() {
        let mut sum = weights[row];
        for below in row + 1..K {
            sum -= factor[below][row] * weights[below];
        }
        weights[row] = sum / factor[row][row];
    }
    if weights.iter().all(|weight| weight.is_finite()) { weights } else { *prior }
}
