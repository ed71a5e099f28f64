//! The leads that are learned, and how those between them are made of them.

use super::grid::Grid;

/// Leads that are learned, in minutes: close together where errors grow fast. The first stands for one
/// slot, and a grid leaves out those that are shorter than its step.
const MINUTES: [i64; 23] = [
    0, 30, 60, 120, 180, 240, 300, 360, 480, 600, 720, 900, 1_080, 1_260, 1_440, 1_680, 1_920, 2_160, 2_520,
    2_880, 3_600, 4_320, 5_760,
];

/// Learned leads of a grid, in slots: 1 is the slot after the newest known one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leads {
    slots: Vec<i64>,
}

impl Leads {
    pub(super) fn new(grid: Grid) -> Self {
        let mut slots: Vec<i64> = MINUTES.into_iter().map(|minutes| grid.slots_in(minutes)).collect();
        slots.dedup();
        Self { slots }
    }

    /// How many are learned: at least two.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A learned lead.
    pub(super) fn slots(&self, knot: usize) -> i64 {
        self.slots[knot]
    }

    /// Every learned lead, shortest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = i64> {
        self.slots.iter().copied()
    }

    /// The longest of them: four days.
    pub(super) fn farthest(&self) -> i64 {
        self.slots[self.slots.len() - 1]
    }

    /// All of them together.
    pub(super) fn total(&self) -> i64 {
        self.iter().sum()
    }

    /// Goes through leads that never decrease.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { slots: &self.slots, knot: 0 }
    }
}

/// A place among the learned leads.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    slots: &'a [i64],
    knot: usize,
}

impl Cursor<'_> {
    /// The learned leads on both sides of `lead`, and the weight of the second, in [0, 1).
    pub(super) fn at(&mut self, lead: i64) -> (usize, usize, f64) {
        while self.knot + 1 < self.slots.len() && self.slots[self.knot + 1] <= lead {
            self.knot += 1;
        }
        let next = (self.knot + 1).min(self.slots.len() - 1);
        let (low, high) = (self.slots[self.knot], self.slots[next]);
        let share = if high > low { (lead.max(low) - low) as f64 / (high - low) as f64 } else { 0.0 };
        (self.knot, next, share)
    }
}
