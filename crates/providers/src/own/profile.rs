//! What a day usually looks like.

/// Weight of a new day once several were seen: a memory of about ten days, long enough to average weather
/// out and short enough to follow the seasons.
const NEW_DAY: f64 = 0.1;
/// Days in which the usual spread forgets by e.
const SPREAD_DAYS: f64 = 7.0;
/// How far from what is usual a value is believed: this many times the usual spread ..
const WILD: f64 = 6.0;
/// .. and this share of the usual value, and a gramme.
const WILD_SHARE: f64 = 0.25;

/// Mean value by slot of day.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    /// Mean by slot of day, then days seen by slot of day; empty before the first value.
    pub(super) cells: Vec<f64>,
    /// Mean of the last day: what is said of a slot of day never seen.
    pub(super) level: f64,
    /// Values behind `level`, at most a day of them.
    pub(super) seen: f64,
    /// Mean absolute deviation from what is usual.
    pub(super) spread: f64,
}

impl Profile {
    /// Whether any value was seen.
    pub(super) fn is_known(&self) -> bool {
        self.seen > 0.0
    }

    /// Whether a day is known, so that every slot of day has something usual.
    pub(super) fn knows_a_day(&self) -> bool {
        self.seen > 0.0 && self.seen * 2.0 >= self.cells.len() as f64
    }

    /// What is usual at a slot of day.
    pub(super) fn at(&self, of_day: usize) -> f64 {
        let per_day = self.cells.len() / 2;
        if per_day > 0 && self.cells[per_day + of_day] > 0.0 { self.cells[of_day] } else { self.level }
    }

    /// The nearest value that can be believed: archives hold glitches, and one of them would be remembered
    /// for days. A change that stays is believed step by step.
    pub(super) fn plausible(&self, of_day: usize, value: f64) -> f64 {
        if !self.knows_a_day() {
            return value;
        }
        let usual = self.at(of_day);
        let wild = WILD * self.spread + WILD_SHARE * usual.abs() + 1.0;
        value.clamp(usual - wild, usual + wild)
    }

    pub(super) fn learn(&mut self, per_day: usize, of_day: usize, value: f64) {
        if self.cells.is_empty() {
            self.cells = vec![0.0; 2 * per_day];
        }
        if self.is_known() {
            let slots = SPREAD_DAYS * per_day as f64;
            self.spread += ((value - self.at(of_day)).abs() - self.spread) / slots.min(self.seen + 1.0);
        }
        let days = (self.cells[per_day + of_day] + 1.0).min(1.0 / NEW_DAY);
        self.cells[per_day + of_day] = days;
        self.cells[of_day] += (value - self.cells[of_day]) / days;
        self.seen = (self.seen + 1.0).min(per_day as f64);
        self.level += (value - self.level) / self.seen;
    }
}
