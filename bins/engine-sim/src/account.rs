//! What a simulation comes to: emissions, errors, the worst day, restlessness.

use jiff::SignedDuration;
use models::Timestamp;
use policies::{EnergyBasis, Menu};

use crate::budget::{Budget, Terms};
use crate::world::CarbonSlot;

/// The span over which the worst mean error is looked for.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// What sums and differences of requests may be off by.
const ROUNDING: f64 = 1e-6;

/// One interval as it was served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval<'a> {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// gCO2eq/kWh.
    pub(crate) intensity: f64,
    /// Requests by flavour, in the order of the flavour set.
    pub(crate) counts: &'a [u64],
}

/// Adds up intervals, in order of time.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Energy per request and error, by flavour of the set; disabled ones serve nothing.
    figures: Vec<Figures>,
    best_energy: f64,
    budget: Budget,
    requests: Vec<f64>,
    emitted: f64,
    emitted_at_best: f64,
    days: Vec<Served>,
    weights: Vec<f64>,
    moved: f64,
    evaluations: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    energy: f64,
    error: f64,
}

/// What one interval adds to a day.
#[derive(Debug, Clone, Copy)]
struct Served {
    from: Timestamp,
    to: Timestamp,
    requests: f64,
    error: f64,
}

/// The sums.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Totals {
    /// Requests by flavour, in the order of the flavour set: whole, but for an optimum in hindsight.
    pub(crate) by_flavour: Vec<f64>,
    /// gCO2eq with energies in Wh; otherwise in a unit of no meaning but its ratios.
    pub(crate) emissions: f64,
    /// The same requests, all served by the best flavour.
    pub(crate) emissions_at_best: f64,
    /// Mean error per request, in [0, 1).
    pub(crate) mean_error: f64,
    /// Largest mean error per request of any 24 h that were simulated without a gap; of everything, where
    /// there are none.
    pub(crate) worst_day_error: f64,
    /// The most that was ever spent beyond the target, in mean days of budget; none where it allows nothing.
    pub(crate) worst_overspend: Option<f64>,
    /// Share of the traffic that an evaluation moves to another flavour, on average.
    pub(crate) churn: f64,
    pub(crate) evaluations: u64,
}

impl Totals {
    pub(crate) fn requests(&self) -> f64 {
        self.by_flavour.iter().sum()
    }
}

/// Grams of one request: Wh x gCO2eq/kWh / 1000.
fn grams(energy: f64, intensity: f64) -> f64 {
    energy * intensity / 1000.0
}

impl Account {
    pub(crate) fn new(menu: &Menu, flavours: usize, terms: Terms) -> Self {
        let mut figures = vec![Figures::default(); flavours];
        for entry in menu.entries() {
            figures[entry.position] = Figures { energy: entry.energy, error: entry.error };
        }
        Self {
            figures,
            best_energy: menu.baseline().energy,
            budget: Budget::new(terms),
            requests: vec![0.0; flavours],
            emitted: 0.0,
            emitted_at_best: 0.0,
            days: Vec::new(),
            weights: Vec::new(),
            moved: 0.0,
            evaluations: 0,
        }
    }

    /// An evaluation published these shares, in the order of the flavour set.
    pub(crate) fn published(&mut self, shares: &[f64]) {
        if self.evaluations > 0 {
            let moved = self.weights.iter().zip(shares).map(|(before, after)| (after - before).abs());
            self.moved += moved.sum::<f64>() / 2.0;
        }
        self.weights.clear();
        self.weights.extend_from_slice(shares);
        self.evaluations += 1;
    }

    /// An interval was served. Answers its emissions and its sum of errors.
    pub(crate) fn served(&mut self, interval: &Interval<'_>) -> (f64, f64) {
        self.count(
            interval.from,
            interval.to,
            interval.intensity,
            interval.counts.iter().map(|count| *count as f64),
        )
    }

    /// So many requests were served in exact shares, as only an optimum in hindsight is.
    pub(crate) fn mixed(&mut self, slot: &CarbonSlot, requests: f64, shares: &[f64]) -> (f64, f64) {
        self.count(slot.from, slot.to, slot.intensity, shares.iter().map(|share| requests * share))
    }

    fn count(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        intensity: f64,
        counts: impl Iterator<Item = f64>,
    ) -> (f64, f64) {
        let (mut emitted, mut error, mut requests) = (0.0, 0.0, 0.0);
        for ((count, figures), total) in counts.zip(&self.figures).zip(&mut self.requests) {
            emitted += count * grams(figures.energy, intensity);
            error += count * figures.error;
            requests += count;
            *total += count;
        }
        self.emitted += emitted;
        self.emitted_at_best += requests * grams(self.best_energy, intensity);
        self.budget.served(requests, error);
        self.days.push(Served { from, to, requests, error });
        (emitted, error)
    }

    /// The error budget as it truly stands.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Errors by flavour of the set; 0 for disabled ones.
    pub(crate) fn errors(&self) -> Vec<f64> {
        self.figures.iter().map(|figures| figures.error).collect()
    }

    /// The sums so far.
    pub(crate) fn totals(self) -> Totals {
        let requests: f64 = self.requests.iter().sum();
        let error: f64 = self.days.iter().map(|served| served.error).sum();
        Totals {
            worst_day_error: worst_day(&self.days),
            worst_overspend: self.budget.worst_overspend(),
            by_flavour: self.requests,
            emissions: self.emitted,
            emissions_at_best: self.emitted_at_best,
            mean_error: ratio(error, requests),
            // The first evaluation moves nothing.
            churn: ratio(self.moved, self.evaluations.saturating_sub(1) as f64),
            evaluations: self.evaluations,
        }
    }
}

/// The largest request-weighted mean error of any window of 24 h without a gap.
fn worst_day(served: &[Served]) -> f64 {
    let (mut worst, mut requests, mut error): (Option<f64>, f64, f64) = (None, 0.0, 0.0);
    let mut oldest = 0;
    // Where the stretch without a gap began that is looked at.
    let mut begun = Timestamp::MAX;
    for (newest, now) in served.iter().enumerate() {
        if newest == 0 || served[newest - 1].to < now.from {
            (begun, oldest, requests, error) = (now.from, newest, 0.0, 0.0);
        }
        requests += now.requests;
        error += now.error;
        let since = now.to.checked_sub(DAY).unwrap_or(Timestamp::MIN);
        while served[oldest].from < since {
            requests -= served[oldest].requests;
            error -= served[oldest].error;
            oldest += 1;
        }
        // Fractions leave a trace of rounding in an empty day.
        if requests > ROUNDING && since >= begun {
            let mean = error / requests;
            worst = Some(worst.map_or(mean, |worst| worst.max(mean)));
        }
    }
    let whole = || {
        let requests = served.iter().map(|served| served.requests).sum();
        ratio(served.iter().map(|served| served.error).sum(), requests)
    };
    // What is left of a difference of sums can be a hair below nothing.
    worst.map_or_else(whole, |worst| worst.max(0.0))
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Whether emissions are grams.
pub(crate) fn in_grams(menu: &Menu) -> bool {
    menu.energy_basis() == EnergyBasis::WattHours
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::FlavourSet;

    fn account() -> Account {
        let flavours = FlavourSet::builtin();
        let terms = Terms { target: 0.05, capacity: 100.0, overdraft: 0.0, a_day: 100.0 };
        Account::new(&Menu::new(&flavours).unwrap(), flavours.len(), terms)
    }

    fn hour(account: &mut Account, index: i64, intensity: f64, counts: &[u64]) -> (f64, f64) {
        let at = |hour: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
        account.served(&Interval { from: at(index), to: at(index + 1), intensity, counts })
    }

    #[test]
    fn emissions_are_energy_times_intensity() {
        let mut account = account();
        assert_eq!(hour(&mut account, 0, 500.0, &[10, 0, 10]), (10.0 * 0.5 + 10.0 * 0.2, 10.0 * (1.0 - 0.7)));
        let totals = account.totals();
        assert_eq!((totals.emissions, totals.emissions_at_best, totals.requests()), (7.0, 10.0, 20.0));
        assert!((totals.mean_error - 0.15).abs() < 1e-12);
    }

    #[test]
    fn the_worst_day_is_any_24_hours_weighted_by_requests() {
        let mut account = account();
        for index in 0..72 {
            // A bad day from hour 30 to 54, busy in its first half.
            let requests = if (30..42).contains(&index) { 300 } else { 100 };
            let counts = if (30..54).contains(&index) { [0, 0, requests] } else { [requests, 0, 0] };
            hour(&mut account, index, 100.0, &counts);
        }
        let totals = account.totals();
        assert!((totals.worst_day_error - 0.3).abs() < 1e-9, "{}", totals.worst_day_error);
        assert!((totals.mean_error - 0.3 * 4800.0 / 9600.0).abs() < 1e-9);
    }

    #[test]
    fn below_a_day_all_of_it_is_the_worst_day() {
        let mut account = account();
        hour(&mut account, 0, 100.0, &[0, 0, 10]);
        hour(&mut account, 1, 100.0, &[30, 0, 0]);
        assert!((account.totals().worst_day_error - 0.075).abs() < 1e-12);
    }

    #[test]
    fn a_day_with_a_gap_is_none() {
        let mut account = account();
        for index in (0..30).chain(40..80) {
            // All that the first hours after the gap serve is bad: no day, and half of one without the gap.
            hour(&mut account, index, 100.0, &if (40..52).contains(&index) { [0, 0, 9] } else { [9, 0, 0] });
        }
        assert!((account.totals().worst_day_error - 0.15).abs() < 1e-9);
    }

    #[test]
    fn churn_is_what_each_evaluation_moves() {
        let mut account = account();
        for shares in [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]] {
            account.published(&shares);
        }
        let totals = account.totals();
        assert_eq!((totals.churn, totals.evaluations), (0.5, 4));
    }
}
