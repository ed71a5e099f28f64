//! A recording, taken together into the points of an axis.

use crate::recording::{Recording, Sample};

use super::axis::Axis;

/// What a mean hides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    sum: f64,
    weight: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) last: f64,
}

impl Spread {
    const EMPTY: Self = Self { sum: 0.0, weight: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, last: 0.0 };

    fn add(&mut self, value: f64, weight: f64) {
        if value.is_finite() {
            self.sum += value * weight;
            self.weight += weight;
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            self.last = value;
        }
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// What happened within one point.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) requests: f64,
    pub(super) emissions: f64,
    /// Requests x error.
    pub(super) errors: f64,
    pub(super) intensity: Spread,
    /// Mean error of a slot.
    pub(super) error: Spread,
    pub(super) credit: Spread,
    /// Balance of the error budget, requests x error.
    pub(super) budget: Spread,
    /// The same as a part of its capacity.
    pub(super) budget_part: Spread,
    weights: Vec<f64>,
    weighed: f64,
}

impl Point {
    fn new(flavours: usize) -> Self {
        Self {
            requests: 0.0,
            emissions: 0.0,
            errors: 0.0,
            intensity: Spread::EMPTY,
            error: Spread::EMPTY,
            credit: Spread::EMPTY,
            budget: Spread::EMPTY,
            budget_part: Spread::EMPTY,
            weights: vec![0.0; flavours],
            weighed: 0.0,
        }
    }

    fn add(&mut self, sample: &Sample) {
        let requests = finite(sample.requests).max(0.0);
        self.requests += requests;
        self.emissions += finite(sample.emissions);
        self.errors += requests * finite(sample.error);
        // A slot without requests counts only beside others of its kind.
        let traffic = requests.max(1e-9);
        self.intensity.add(sample.intensity, sample.seconds);
        self.error.add(sample.error, traffic);
        self.credit.add(sample.credit, sample.seconds);
        if let Some((balance, capacity)) = sample.budget {
            self.budget.add(balance, sample.seconds);
            if capacity > 0.0 {
                self.budget_part.add(balance / capacity, sample.seconds);
            }
        }
        for (weight, share) in self.weights.iter_mut().zip(&sample.weights) {
            *weight += finite(*share).max(0.0) * traffic;
        }
        self.weighed += traffic;
    }

    /// Part of the traffic by flavour, summing to 1.
    pub(super) fn shares(&self) -> impl Iterator<Item = f64> {
        let whole: f64 = self.weights.iter().sum();
        self.weights.iter().map(move |weight| if whole > 0.0 { weight / whole } else { 0.0 })
    }
}

/// A recording by points of an axis; where nothing was recorded there is none.
pub(super) fn points(recording: &Recording, axis: &Axis) -> Vec<Option<Point>> {
    let mut points: Vec<Option<Point>> = vec![None; axis.count];
    for sample in &recording.samples {
        if let Some(index) = axis.point(sample.from.as_second()) {
            points[index].get_or_insert_with(|| Point::new(recording.flavours.len())).add(sample);
        }
    }
    points
}

/// Sums over a recording, or a stretch of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) requests: f64,
    pub(super) emissions: f64,
    errors: f64,
}

impl Sums {
    pub(super) fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        samples.into_iter().fold(Self::default(), |sums, sample| {
            let requests = finite(sample.requests).max(0.0);
            Self {
                requests: sums.requests + requests,
                emissions: sums.emissions + finite(sample.emissions),
                errors: sums.errors + requests * finite(sample.error),
            }
        })
    }

    /// Mean error per request; 0 without one.
    pub(super) fn error(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }

    /// The part of `reference`'s emissions that was not emitted.
    pub(super) fn saving(&self, reference: &Self) -> Option<f64> {
        (reference.emissions > 0.0).then(|| 1.0 - self.emissions / reference.emissions)
    }
}

pub(super) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}
