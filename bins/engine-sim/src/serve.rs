//! Whole requests, as routers serve them: fractions are carried on, so that nothing is lost.

/// Slack for sums that fall short of a whole number by rounding alone.
const ROUNDING: f64 = 1e-6;

/// Turns expected requests into whole ones; over any time their sums differ by less than one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrivals {
    carried: f64,
}

impl Arrivals {
    /// The whole requests that arrive where `expected` (not negative) are expected.
    pub(crate) fn take(&mut self, expected: f64) -> u64 {
        let due = self.carried + expected.max(0.0);
        let whole = (due + ROUNDING).floor().max(0.0);
        self.carried = due - whole;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative; saturates"
        )]
        let whole = whole as u64;
        whole
    }
}

/// Divides whole requests among flavours; over any time each flavour's count differs from its exact share
/// by a few requests at most.
#[derive(Debug, Clone, Default)]
pub(crate) struct Split {
    carried: Vec<f64>,
}

impl Split {
    /// Divides `total` by `shares` (not negative, summing to 1) into `counts`, which sum to `total`. A
    /// flavour without a share gets nothing, whatever it is owed.
    pub(crate) fn divide(&mut self, total: u64, shares: &[f64], counts: &mut Vec<u64>) {
        self.carried.resize(shares.len(), 0.0);
        counts.clear();
        for (carried, share) in self.carried.iter_mut().zip(shares) {
            *carried += total as f64 * share;
            let due = if *share > 0.0 { (*carried + ROUNDING).floor().max(0.0) } else { 0.0 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, not negative; saturates"
            )]
            let count = due as u64;
            *carried -= count as f64;
            counts.push(count);
        }
        let mut given: u64 = counts.iter().sum();
        // At most one request per flavour is too few or too many.
        while given < total {
            let owed = self.most_owed(shares);
            counts[owed] += 1;
            self.carried[owed] -= 1.0;
            given += 1;
        }
        while given > total {
            let ahead = self.least_owed(counts);
            counts[ahead] -= 1;
            self.carried[ahead] += 1.0;
            given -= 1;
        }
    }

    /// The flavour with a share that is owed most; the first of equals.
    fn most_owed(&self, shares: &[f64]) -> usize {
        let served = (0..shares.len()).filter(|flavour| shares[*flavour] > 0.0);
        let most = served.rev().max_by(|one, two| self.carried[*one].total_cmp(&self.carried[*two]));
        most.unwrap_or(0)
    }

    /// The flavour with a request to give back that is owed least; the first of equals.
    fn least_owed(&self, counts: &[u64]) -> usize {
        let served = (0..counts.len()).filter(|flavour| counts[*flavour] > 0);
        served.min_by(|one, two| self.carried[*one].total_cmp(&self.carried[*two])).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_arrivals_are_carried_on() {
        let mut arrivals = Arrivals::default();
        let served: u64 = (0..3600).map(|_| arrivals.take(1000.0 / 3600.0)).sum();
        assert_eq!(served, 1000);
        assert_eq!((0..10).map(|_| arrivals.take(0.25)).collect::<Vec<_>>(), [0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn no_request_is_lost_and_no_share_drifts() {
        let mut split = Split::default();
        let mut counts = Vec::new();
        // A fixed, uneven walk through totals and weights, with flavours coming and going.
        let weights =
            [[90.0, 5.0, 5.0, 0.0], [0.0, 0.0, 37.0, 63.0], [100.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 97.0]];
        let (mut served, mut exact, mut total) = ([0_u64; 4], [0.0; 4], 0);
        for step in 0..5_000_u64 {
            let requests = step * 7 % 23;
            let shares = weights[usize::try_from(step % 4).unwrap()].map(|weight| weight / 100.0);
            split.divide(requests, &shares, &mut counts);
            assert_eq!(counts.iter().sum::<u64>(), requests, "step {step}");
            for flavour in 0..4 {
                assert!(shares[flavour] > 0.0 || counts[flavour] == 0, "step {step}");
                served[flavour] += counts[flavour];
                exact[flavour] += requests as f64 * shares[flavour];
                assert!(
                    (served[flavour] as f64 - exact[flavour]).abs() < 4.0,
                    "step {step}, flavour {flavour}"
                );
            }
            total += requests;
        }
        assert_eq!(served.iter().sum::<u64>(), total);
    }

    #[test]
    fn a_single_request_goes_to_whom_it_is_owed() {
        let mut split = Split::default();
        let mut counts = Vec::new();
        let mut served = [0; 2];
        for _ in 0..10 {
            split.divide(1, &[0.7, 0.3], &mut counts);
            served[0] += counts[0];
            served[1] += counts[1];
        }
        assert_eq!(served, [7, 3]);
    }
}
