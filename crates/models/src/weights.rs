//! Exact shares into whole-number weights.

use alloc::vec::Vec;

/// Divides `total` among `shares` by largest remainder (Hamilton's method).
///
/// `weights` is overwritten with one whole number per share; they sum to `total` exactly, and each
/// differs from its exact share by less than one. Ties go to the earlier share. Shares need not sum to
/// one; a share that is negative or not finite counts as zero; where all are zero the first takes all.
///
/// ```
/// let mut weights = Vec::new();
/// models::weights::apportion(&[1.0; 7], 100, &mut weights);
/// assert_eq!(weights, [15, 15, 14, 14, 14, 14, 14]);
/// ```
pub fn apportion(shares: &[f64], total: u32, weights: &mut Vec<u32>) {
    weights.clear();
    // Shares beside which the sum could overflow are scaled down first.
    let largest = shares.iter().copied().map(sane).fold(0.0, f64::max);
    let scale = if largest > 1e300 { 1e-10 } else { 1.0 };
    let sum: f64 = shares.iter().map(|share| sane(*share) * scale).sum();
    if sum <= 0.0 {
        weights.extend((0..shares.len()).map(|index| if index == 0 { total } else { 0 }));
        return;
    }
    let exact = |share: f64| sane(share) * scale / sum * f64::from(total);
    weights.extend(shares.iter().map(|share| whole(exact(*share))));
    let given: u32 = weights.iter().sum();
    // Fewer units are left than there are shares, so each gets at most one more. The list is short
    // (it has the flavours): looking for the largest remainder anew beats sorting.
    for _ in given..total {
        let mut best: Option<(usize, f64)> = None;
        for (index, (share, weight)) in shares.iter().zip(weights.iter()).enumerate() {
            let remainder = exact(*share) - f64::from(*weight);
            if best.is_none_or(|(_, largest)| remainder > largest) {
                best = Some((index, remainder));
            }
        }
        if let Some((index, _)) = best {
            weights[index] += 1;
        }
    }
}

fn sane(share: f64) -> f64 {
    if share.is_finite() { share.max(0.0) } else { 0.0 }
}

fn whole(exact: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in 0..=total; `as` saturates"
    )]
    let whole = exact as u32;
    whole
}
