//! The hull as what spending error saves: segments of falling energy, steepest first.

use alloc::vec::Vec;

use crate::hull::{Hull, Vertex};

/// Slopes this close, in units of the steeper one, are one line: flavours on one line make one segment.
const ONE_LINE: f64 = 1e-9;

/// A stretch of the hull along which more error costs less energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Energy saved per unit of error, > 0, in the unit of the hull.
    pub saving: f64,
    /// Its length in error, > 0.
    pub length: f64,
}

/// The falling part of a hull.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    least_error: f64,
    energy_at_least: f64,
    list: Vec<Segment>,
}

impl Segments {
    /// The falling part of `hull`: beyond the cheapest flavour, error buys nothing.
    pub fn new(hull: &Hull) -> Self {
        let vertices = hull.vertices();
        let mut list: Vec<Segment> = Vec::new();
        for pair in vertices.windows(2) {
            let [left, right] = pair else { continue };
            let Some(segment) = between(left, right) else { continue };
            match list.last_mut() {
                Some(last) if last.saving - segment.saving <= ONE_LINE * last.saving => {
                    let energy = last.saving * last.length + segment.saving * segment.length;
                    last.length += segment.length;
                    last.saving = energy / last.length;
                }
                _ => list.push(segment),
            }
        }
        // A hull is never empty.
        let (least_error, energy_at_least) = vertices.first().map_or((0.0, 0.0), |v| (v.error, v.energy));
        Self { least_error, energy_at_least, list }
    }

    /// The same with every segment split in `parts`, their savings spread evenly by `spread` (a fraction)
    /// around its own: a small change of price then moves the plan a little instead of flipping it from end
    /// to end. The energy at both ends of a segment stays.
    #[must_use]
    pub fn softened(&self, parts: u16, spread: f64) -> Self {
        let parts = parts.max(1);
        let mut list: Vec<Segment> = Vec::with_capacity(self.list.len() * usize::from(parts));
        for segment in &self.list {
            for part in 0..parts {
                // From +1 for the first part to -1 for the last.
                let place = 1.0 - f64::from(2 * part) / f64::from((parts - 1).max(1));
                let lift = if parts > 1 { spread * place } else { 0.0 };
                let length = segment.length / f64::from(parts);
                list.push(Segment { saving: segment.saving * (1.0 + lift), length });
            }
        }
        // Two neighbours of nearly equal slope may have crossed.
        list.sort_by(|one, two| two.saving.total_cmp(&one.saving));
        Self { list, ..*self }
    }

    /// The most error that still saves energy.
    pub fn most_error(&self) -> f64 {
        self.least_error + self.list.iter().map(|segment| segment.length).sum::<f64>()
    }

    /// The least error any mix has.
    pub fn least_error(&self) -> f64 {
        self.least_error
    }

    /// The segments, steepest first.
    pub fn list(&self) -> &[Segment] {
        &self.list
    }

    /// Energy per request at the mean error `least_error() + spent`.
    pub fn energy(&self, spent: f64) -> f64 {
        let mut left = spent;
        let saved = self.list.iter().map(|segment| {
            let here = left.clamp(0.0, segment.length);
            left -= here;
            here * segment.saving
        });
        self.energy_at_least - saved.sum::<f64>()
    }
}

fn between(left: &Vertex, right: &Vertex) -> Option<Segment> {
    let length = right.error - left.error;
    let saving = (left.energy - right.energy) / length;
    (length > 0.0 && saving > 0.0 && saving.is_finite()).then_some(Segment { saving, length })
}
