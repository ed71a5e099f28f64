//! At which carbon intensity the last two days are priced, by five minutes.
//!
//! Slots of every market begin on a multiple of five minutes. A cell has the actual value of its slot, once
//! somebody told it, else what the provider's newest forecast said of it while it lasted; what came later is
//! no word about it. What neither knows stays unknown: it is never 0.

use std::collections::VecDeque;

use models::{Forecast, Slot, Timestamp};
use serde::{Deserialize, Serialize};

/// Length of a cell, seconds.
const CELL: i64 = 300;
/// Cells of a half-hour.
const PER_HALF_HOUR: i64 = 6;
/// Cells kept: two days, so that what was served in the last one is priced even where nothing is evaluated
/// for most of another.
const KEPT: i64 = 576;
/// How many cells ahead of the running one an actual value is taken: an hour, the longest of usual slots.
const AHEAD: i64 = 12;
/// Cells that instants can reach, either way from 1970, with room to spare.
const FARTHEST: u64 = 1 << 40;
/// Most cells there are: all of these.
const MAX_CELLS: usize = 588;

/// The half-hour that `at` is in, counted from 1970.
pub(crate) fn half_hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(CELL * PER_HALF_HOUR)
}

/// The first instant of a half-hour.
pub(crate) fn half_hour_begins(half_hour: i64) -> Timestamp {
    Timestamp::from_second(half_hour.saturating_mul(CELL * PER_HALF_HOUR)).unwrap_or(Timestamp::MAX)
}

/// The prices of one carbon target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prices {
    /// Number of the first cell, counted from 1970.
    first: i64,
    cells: VecDeque<Cell>,
    /// The cell that was running when they were last brought up to date: its price may change with the next
    /// forecast.
    running: Option<i64>,
    /// Counts actual values that changed a price.
    corrections: u64,
}

/// gCO2eq/kWh of five minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum Cell {
    #[default]
    Unknown,
    Believed(f64),
    Actual(f64),
}

impl Prices {
    /// Whether these can be a target's: of times that there are, and not too many.
    pub(crate) fn is_sound(&self) -> bool {
        let exists = |cell: i64| cell.unsigned_abs() < FARTHEST;
        self.cells.len() <= MAX_CELLS && exists(self.first) && self.running.is_none_or(exists)
    }

    /// Brings the prices up to date: `forecast` is what was known from the last call until `now`.
    pub(crate) fn note(&mut self, forecast: Option<&Forecast>, now: Timestamp) {
        let current = now.as_second().div_euclid(CELL);
        if self.running.is_some_and(|running| running - current > KEPT) {
            // A clock that was set back that far was wrong: what it knew is of no time that anybody asks for.
            *self = Self { corrections: self.corrections, ..Self::default() };
        }
        let from = self.running.unwrap_or(current).max(current - KEPT + 1);
        for number in from..=current {
            let known = forecast.and_then(|forecast| forecast.at(middle(number)));
            if let Some(cell) = self.cell(number)
                && let Some(slot) = known
                && !matches!(cell, Cell::Actual(_))
            {
                *cell = Cell::Believed(slot.forecast.get());
            }
        }
        // A clock that was set back a little changes nothing of what is noted.
        self.running = self.running.max(Some(current));
    }

    /// Takes in what the intensity of a slot really was; the last word counts.
    pub(crate) fn correct(&mut self, slot: &Slot) {
        let Some(running) = self.running else { return };
        let actual = Cell::Actual(slot.forecast.get());
        let first = slot.from.as_second().div_euclid(CELL).max(running - KEPT + 1);
        let last = slot.to.as_second().div_euclid(CELL).min(running + AHEAD);
        let mut changed = false;
        for number in first..=last {
            let at = middle(number);
            if slot.from <= at
                && at < slot.to
                && let Some(cell) = self.cell(number)
            {
                changed |= *cell != actual;
                *cell = actual;
            }
        }
        self.corrections += u64::from(changed);
    }

    /// Counts what changed prices of half-hours that are over.
    pub(crate) fn corrections(&self) -> u64 {
        self.corrections
    }

    /// The price of a half-hour: the mean of what is known of it.
    pub(crate) fn of(&self, half_hour: i64) -> Option<f64> {
        let from = half_hour.saturating_mul(PER_HALF_HOUR);
        let known = (from..from.saturating_add(PER_HALF_HOUR)).filter_map(|number| {
            let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
            match self.cells.get(index)? {
                Cell::Unknown => None,
                Cell::Believed(grams) | Cell::Actual(grams) => Some(*grams),
            }
        });
        // As a distance from the first one: the mean of one value is that value, to the bit.
        let mut first = None;
        let (mut distance, mut count) = (0.0, 0.0);
        for grams in known {
            distance += grams - *first.get_or_insert(grams);
            count += 1.0;
        }
        first.map(|first| first + distance / count)
    }

    /// The cell of that number, made if need be; none where it is too old.
    fn cell(&mut self, number: i64) -> Option<&mut Cell> {
        let last = self.first.saturating_add(i64::try_from(self.cells.len()).unwrap_or(i64::MAX));
        if self.cells.is_empty() || number.saturating_sub(last) > KEPT {
            self.cells.clear();
            self.first = number;
        }
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        // One more than are kept for as long as the oldest takes to go.
        self.cells.reserve_exact((MAX_CELLS + 1).saturating_sub(self.cells.len()));
        while self.cells.len() <= index {
            self.cells.push_back(Cell::Unknown);
        }
        let beyond = self.cells.len().saturating_sub(MAX_CELLS);
        self.cells.drain(..beyond);
        self.first += i64::try_from(beyond).unwrap_or(0);
        self.cells.get_mut(index - beyond)
    }
}

/// The instant that says which slot a cell is of.
fn middle(cell: i64) -> Timestamp {
    Timestamp::from_second(cell.saturating_mul(CELL) + CELL / 2).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::CarbonIntensity;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn slot(from: i64, to: i64, grams: f64) -> Slot {
        Slot::new(at(from), at(to), CarbonIntensity::new(grams).unwrap())
    }

    fn forecast(slots: &[(i64, i64, f64)]) -> Forecast {
        let slots = slots.iter().map(|(from, to, grams)| slot(*from, *to, *grams)).collect();
        Forecast::new("test", None, at(0), slots).unwrap()
    }

    #[test]
    fn a_half_hour_is_priced_by_what_was_said_while_it_lasted() {
        let mut prices = Prices::default();
        let first = forecast(&[(0, 1800, 100.1), (1800, 3600, 200.0)]);
        prices.note(Some(&first), at(10));
        assert_eq!(prices.of(0), Some(100.1), "what has not passed of it is as what has");
        // The newest word about what is not over yet; what is over stays.
        prices.note(Some(&first), at(1810));
        prices.note(Some(&forecast(&[(0, 1800, 1.0), (1800, 3600, 300.0)])), at(2110));
        assert_eq!((prices.of(0), prices.of(1)), (Some(100.1), Some(300.0)));
        prices.note(None, at(3600));
        assert_eq!((prices.of(0), prices.of(1), prices.of(2)), (Some(100.1), Some(300.0), None));
    }

    #[test]
    fn short_slots_are_averaged_and_holes_are_no_zeros() {
        let mut prices = Prices::default();
        let slots: Vec<_> = (0..6)
            .filter(|index| *index != 2)
            .map(|index| (index * 300, index * 300 + 300, index as f64))
            .collect();
        prices.note(None, at(0));
        prices.note(Some(&forecast(&slots)), at(1799));
        assert_eq!(prices.of(0), Some((1.0 + 3.0 + 4.0 + 5.0) / 5.0));
        assert_eq!((prices.of(-1), prices.of(1)), (None, None));
    }

    #[test]
    fn an_actual_value_wins_whenever_it_comes_and_the_last_one_counts() {
        let mut prices = Prices::default();
        let believed = forecast(&[(0, 7200, 100.0)]);
        prices.correct(&slot(0, 1800, 50.0));
        assert_eq!(prices.of(0), None, "nobody follows it yet");
        prices.note(Some(&believed), at(0));
        prices.correct(&slot(0, 3600, 50.0));
        prices.note(Some(&believed), at(5400));
        assert_eq!([0, 1, 2].map(|half| prices.of(half)), [Some(50.0), Some(50.0), Some(100.0)]);
        prices.correct(&slot(1800, 3600, 60.0));
        assert_eq!((prices.of(1), prices.corrections()), (Some(60.0), 2));
        prices.correct(&slot(1800, 3600, 60.0));
        assert_eq!(prices.corrections(), 2, "nothing new");
    }

    #[test]
    fn two_days_are_kept_whatever_the_clock_and_the_slots_do() {
        let mut prices = Prices::default();
        let believed = forecast(&[(0, 400_000, 100.0)]);
        for now in [0, 300_000, 172_800, 299_000, 300_300] {
            prices.note(Some(&believed), at(now));
            prices.correct(&slot(-90_000, 4_000_000_000, 7.0));
            assert!(prices.cells.len() <= MAX_CELLS, "{}", prices.cells.len());
        }
        let half_hours = (0..=300_300 / 1800).filter(|half| prices.of(*half).is_some()).count();
        assert_eq!(half_hours, 96);
        // Back by more than that: a new beginning.
        prices.note(Some(&believed), at(100));
        assert_eq!((prices.of(0), prices.of(166)), (Some(100.0), None));
        prices.note(Some(&believed), at(4_000_000_000));
        assert!(prices.cells.len() <= MAX_CELLS && prices.of(166).is_none());
    }
}
