//! What a day usually looks like.

/// Weight of a new day, once several were seen: a memory of about ten days, long enough to average weather
/// out and short enough to follow the seasons.
const NEW_DAY: f64 = 0.1;

/// Mean intensity by slot of day, newest days first in weight.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    /// Mean by slot of day; empty before the first value.
    pub(super) mean: Vec<f64>,
    /// Days seen by slot of day, up to where [`NEW_DAY`] takes over.
    pub(super) days: Vec<f64>,
    /// Mean over everything: what is said of a slot of day never seen.
    pub(super) level: f64,
    /// Values behind `level`, up to a day of them.
    pub(super) seen: f64,
}

impl Profile {
    pub(super) fn with_slots(per_day: usize) -> Self {
        Self { mean: vec![0.0; per_day], days: vec![0.0; per_day], level: 0.0, seen: 0.0 }
    }

    pub(super) fn is_known(&self) -> bool {
        self.seen > 0.0
    }

    /// What is usual at a slot of day.
    pub(super) fn at(&self, of_day: usize) -> f64 {
        if self.days[of_day] > 0.0 { self.mean[of_day] } else { self.level }
    }

    pub(super) fn learn(&mut self, of_day: usize, value: f64) {
        let days = (self.days[of_day] + 1.0).min(1.0 / NEW_DAY);
        self.mean[of_day] += (value - self.mean[of_day]) / days;
        self.days[of_day] = days;
        self.seen = (self.seen + 1.0).min(self.mean.len() as f64);
        self.level += (value - self.level) / self.seen;
    }
}
