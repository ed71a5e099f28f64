//! What the provider said last about each slot before it was over.

use models::Forecast;

use super::grid::Grid;

/// Days ahead that are kept.
const AHEAD_DAYS: i64 = 4;
/// Days behind that are kept: actual values may come late.
const BEHIND_DAYS: i64 = 2;

/// The newest word on each slot, by slot modulo the length; NaN where there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) values: Vec<f64>,
    /// The first slot beyond those that `values` is about.
    pub(super) end: i64,
}

impl Told {
    pub(super) fn len_for(grid: Grid) -> usize {
        ((AHEAD_DAYS + BEHIND_DAYS) * grid.per_day()) as usize
    }

    /// Takes a vintage: what it says about slots that are not over.
    pub(super) fn learn(&mut self, grid: Grid, forecast: &Forecast, now: i64) {
        let len = Self::len_for(grid) as i64;
        let end = now + AHEAD_DAYS * grid.per_day();
        if self.values.is_empty() {
            self.values = vec![f64::NAN; len as usize];
            self.end = end;
        }
        for index in self.end.max(end - len)..end {
            self.values[index.rem_euclid(len) as usize] = f64::NAN;
        }
        self.end = self.end.max(end);
        let low = now.max(self.end - len);
        grid.resample(forecast, low, |index, grams| {
            if index < end {
                self.values[index.rem_euclid(len) as usize] = grams;
            }
            index < end
        });
    }

    pub(super) fn at(&self, index: i64) -> f64 {
        let len = self.values.len() as i64;
        if index >= self.end || index < self.end - len {
            return f64::NAN;
        }
        self.values[index.rem_euclid(len) as usize]
    }
}
