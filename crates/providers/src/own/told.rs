//! What the provider said last about each slot before it was over.

use models::Forecast;

use super::grid::Grid;
use super::ring::Ring;

/// Days ahead that are kept, as far as leads are learned.
const AHEAD_DAYS: i64 = 4;
/// Days behind that are kept: actual values may come late.
const BEHIND_DAYS: i64 = 2;

/// The newest word on each slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) values: Ring,
}

impl Told {
    /// Takes a vintage that came in slot `now`: what it says about slots that are not over.
    pub(super) fn learn(&mut self, grid: Grid, forecast: &Forecast, now: i64) {
        let length = Self::length(grid);
        let end = now + AHEAD_DAYS * grid.per_day();
        if self.values.end > end + length {
            // What is known lies in a future that was none.
            self.values.clear(length, now);
        }
        grid.resample(forecast, now, |index, grams| {
            if index < end {
                self.values.set(length, index, grams);
            }
            index < end
        });
    }

    /// Whether it has the length it should have: asked of what was stored.
    pub(super) fn is_whole(&self, grid: Grid) -> bool {
        self.values.is_whole(Self::length(grid))
    }

    fn length(grid: Grid) -> i64 {
        (AHEAD_DAYS + BEHIND_DAYS) * grid.per_day()
    }

    /// Whether nothing was ever told.
    pub(super) fn is_empty(&self) -> bool {
        self.values.values.is_empty()
    }

    /// The last word about a slot, or NaN.
    pub(super) fn at(&self, index: i64) -> f64 {
        self.values.at(index)
    }
}
