//! The leads that are learned, and how those between them are made of them.

use super::grid::Grid;

/// Leads that are learned, in minutes: close together where errors grow fast. The first stands for one
/// slot, and a grid leaves out those that are shorter than its step.
const MINUTES: [i64; 23] = [
    0, 30, 60, 120, 180, 240, 300, 360, 480, 600, 720, 900, 1_080, 1_260, 1_440, 1_680, 1_920, 2_160, 2_520,
    2_880, 3_600, 4_320, 5_760,
];

/// Learned leads of a grid.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leads {
    slots: Vec<i64>,
}

/// A lead as a mean of two learned ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) knot: usize,
    pub(super) next: usize,
    /// Weight of `next`, in [0, 1).
    pub(super) share: f64,
}

impl Leads {
    pub(super) fn new(grid: Grid) -> Self {
        let mut slots: Vec<i64> = MINUTES.into_iter().map(|minutes| grid.slots_in(minutes)).collect();
        slots.dedup();
        Self { slots }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slots(&self, knot: usize) -> i64 {
        self.slots[knot]
    }

    pub(super) fn farthest(&self) -> i64 {
        self.slots[self.slots.len() - 1]
    }

    pub(super) fn spot(&self, lead: i64) -> Spot {
        let next = self.slots.partition_point(|slots| *slots <= lead);
        let knot = next.saturating_sub(1);
        if next == 0 || next == self.slots.len() {
            return Spot { knot, next: knot, share: 0.0 };
        }
        let (low, high) = (self.slots[knot], self.slots[next]);
        Spot { knot, next, share: (lead - low) as f64 / (high - low) as f64 }
    }

    /// What is left of a deviation beyond the farthest lead.
    pub(super) fn beyond(&self, lead: i64) -> f64 {
        let farthest = self.farthest();
        if lead <= farthest { 1.0 } else { farthest as f64 / lead as f64 }
    }
}
