//! The lower convex hull of (error, energy): the cheapest energy per request at each mean error.

use alloc::vec::Vec;

/// How far above the chord of its neighbours a point may lie and still be on the hull, in units of the
/// greatest energy: flavours on one line, as the origin's defaults are, all belong to it.
const TOLERANCE: f64 = 1e-12;

/// A lower convex hull, from the least error to the greatest.
///
/// Points above it are dominated: a mixture of two others errs as much and needs less energy. The hull does
/// not stop where energy begins to rise again: it says what spending an error costs, not whether to.
#[derive(Debug, Clone, PartialEq)]
pub struct Hull {
    vertices: Vec<Vertex>,
}

/// A point on the hull.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vertex {
    /// Its place in the list that the hull was made of.
    pub point: usize,
    /// Its error, in [0, 1].
    pub error: f64,
    /// Its energy per request, in the unit of the list.
    pub energy: f64,
}

/// The cheapest mixture of a mean error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Mean error of the mixture: what was asked for, as far as the hull reaches.
    pub error: f64,
    /// The two points around that error, the lesser error first, each with its share; shares are in
    /// [0, 1] and sum to 1. At an end of the hull both are the same point.
    pub parts: [(usize, f64); 2],
}

impl Hull {
    /// The hull of points `(error, energy)`, in any order; one that is not finite is left out. None without
    /// any point.
    pub fn new(points: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let points = points.into_iter().enumerate();
        let mut sorted: Vec<Vertex> = points
            .filter(|(_, (error, energy))| error.is_finite() && energy.is_finite())
            .map(|(point, (error, energy))| Vertex { point, error, energy })
            .collect();
        sorted.sort_by(|one, two| one.error.total_cmp(&two.error).then(one.energy.total_cmp(&two.energy)));
        // Of equal errors the cheapest stands first.
        sorted.dedup_by(|later, kept| later.error == kept.error);
        let scale = sorted.iter().map(|vertex| vertex.energy.abs()).fold(f64::MIN_POSITIVE, f64::max);
        let mut strict: Vec<Vertex> = Vec::with_capacity(sorted.len());
        for vertex in &sorted {
            while let [.., left, middle] = strict[..]
                && middle.energy / scale >= chord(&left, vertex, middle.error) / scale
            {
                strict.pop();
            }
            strict.push(*vertex);
        }
        let strict = Self { vertices: strict };
        sorted.retain(|vertex| {
            strict
                .energy(vertex.error)
                .is_some_and(|cheapest| (vertex.energy - cheapest) / scale <= TOLERANCE)
        });
        (!sorted.is_empty()).then_some(Self { vertices: sorted })
    }

    /// The points on the hull, by rising error; never empty.
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// Whether a point of the list is on the hull.
    pub fn contains(&self, point: usize) -> bool {
        self.vertices.iter().any(|vertex| vertex.point == point)
    }

    /// The cheapest mixture of a mean error; an error outside of the hull counts as its nearest end, and
    /// one that is not a number as the least.
    pub fn mix(&self, error: f64) -> Mix {
        let above = self.vertices.partition_point(|vertex| vertex.error <= error);
        let left = self.vertices[above.saturating_sub(1)];
        let right = self.vertices[above.min(self.vertices.len() - 1)];
        let span = right.error - left.error;
        let share = if span > 0.0 && error > left.error { (error - left.error) / span } else { 0.0 };
        Mix {
            error: error.max(left.error).min(right.error),
            parts: [(left.point, 1.0 - share), (right.point, share)],
        }
    }

    /// The least energy at a mean error; none outside of the hull.
    pub fn energy(&self, error: f64) -> Option<f64> {
        let above = self.vertices.partition_point(|vertex| vertex.error < error);
        let right = self.vertices.get(above)?;
        if right.error == error {
            return Some(right.energy);
        }
        let left = self.vertices.get(above.checked_sub(1)?)?;
        Some(chord(left, right, error))
    }
}

/// Energy at `error` on the line through two points of different errors. A weighted mean, so it is finite
/// wherever the points are.
fn chord(left: &Vertex, right: &Vertex, error: f64) -> f64 {
    let share = (error - left.error) / (right.error - left.error);
    left.energy * (1.0 - share) + right.energy * share
}
