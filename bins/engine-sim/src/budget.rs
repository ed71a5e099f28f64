//! The error budget as it truly stood: kept from what was served, whatever was reported of it.

/// What a budget is kept by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Terms {
    /// Allowed mean error, in [0, 1).
    pub(crate) target: f64,
    /// Most credit it banks: the target times the requests of one window, at the mean demand.
    pub(crate) capacity: f64,
    /// Credit that may be owed, >= 0.
    pub(crate) overdraft: f64,
    /// What the target allows on a mean day, requests x error.
    pub(crate) a_day: f64,
}

/// The budget over time, from an empty one.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    terms: Terms,
    balance: f64,
    /// Errors beyond what the target allowed, since the beginning; below 0 where there were less.
    beyond: f64,
    worst: f64,
}

impl Budget {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, balance: 0.0, beyond: 0.0, worst: 0.0 }
    }

    /// So many requests were served with that sum of errors.
    pub(crate) fn served(&mut self, requests: f64, error: f64) {
        let beyond = error - self.terms.target * requests;
        self.balance = (self.balance - beyond).min(self.terms.capacity);
        self.beyond += beyond;
        self.worst = self.worst.max(self.beyond);
    }

    /// Balance and capacity, requests x error.
    pub(crate) fn standing(&self) -> (f64, f64) {
        (self.balance, self.terms.capacity)
    }

    /// The most that was ever spent beyond what the target allowed by then, in mean days of budget; none
    /// where the target allows nothing.
    pub(crate) fn worst_overspend(&self) -> Option<f64> {
        (self.terms.a_day > 0.0).then(|| self.worst / self.terms.a_day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_is_capped_and_debt_is_not() {
        let mut budget = Budget::new(Terms { target: 0.05, capacity: 10.0, overdraft: 0.0, a_day: 5.0 });
        budget.served(1000.0, 0.0);
        assert_eq!(budget.standing(), (10.0, 10.0));
        assert_eq!(budget.worst_overspend(), Some(0.0));
        budget.served(100.0, 25.0);
        assert_eq!(budget.standing(), (-10.0, 10.0));
        // 1100 requests allowed 55, and 25 were spent: what the cap took away was never spent.
        assert_eq!(budget.worst_overspend(), Some(0.0));
        budget.served(100.0, 45.0);
        assert_eq!(budget.worst_overspend(), Some(2.0));
        budget.served(1000.0, 0.0);
        assert_eq!((budget.standing().0, budget.worst_overspend()), (0.0, Some(2.0)));
    }
}
