//! Realised mean errors: since the start, and over the last hour, day and week.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::amount::PPM;
use crate::exact;

/// What a realised mean is taken over.
///
/// Recent spans are kept in time buckets, and one running counts whole: a mean covers its span less at most
/// one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// Everything since this accounting began.
    SinceStart,
    /// The last hour: 12 buckets of 5 minutes.
    Hour,
    /// The last day: 24 buckets of an hour.
    Day,
    /// The last week: 28 buckets of 6 hours.
    Week,
}

/// How many buckets each of the recent spans has, and how many seconds each of those is long.
const SHAPES: [(usize, i64); 3] = [(12, 300), (24, 3_600), (28, 21_600)];
/// Most requests one bucket counts; its errors then just fit an `u64`.
const MOST_WEIGHT: u64 = u64::MAX / PPM as u64;
/// No instant is further from 1970, in seconds.
const FARTHEST: i64 = 1 << 39;

/// Totals, and a ring of buckets per recent span. About 1 kB once something was served.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Realised {
    #[serde(with = "exact")]
    weight: u128,
    /// In ppm x weight.
    #[serde(with = "exact")]
    error: u128,
    rings: [Ring; 3],
}

/// The buckets of one span, oldest first, up to the newest one ever counted in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Ring {
    newest: i64,
    buckets: VecDeque<Bucket>,
}

/// Requests (or milliseconds), and the sum of their errors in ppm.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Bucket {
    weight: u64,
    error: u64,
}

impl Realised {
    /// Counts `weight` requests (or milliseconds) at `error` ppm each, served up to second `at`.
    pub(super) fn count(&mut self, at: i64, weight: u64, error: u32) {
        if weight == 0 {
            return;
        }
        self.weight = self.weight.saturating_add(weight.into());
        self.error = self.error.saturating_add(u128::from(weight) * u128::from(error));
        for (ring, (length, seconds)) in self.rings.iter_mut().zip(SHAPES) {
            if let Some(bucket) = ring.bucket(at.div_euclid(seconds), length) {
                bucket.count(weight, error);
            }
        }
    }

    /// Everything counted.
    pub(super) fn weight(&self) -> u64 {
        u64::try_from(self.weight).unwrap_or(u64::MAX)
    }

    /// The sum of the errors.
    pub(super) fn error(&self) -> f64 {
        self.error as f64 / f64::from(PPM)
    }

    /// The mean error as of second `now`, in [0, 1]; none where nothing was served.
    pub(super) fn mean(&self, over: Span, now: i64) -> Option<f64> {
        let (weight, error) = match over {
            Span::SinceStart => (self.weight, self.error),
            Span::Hour => self.recent(0, now),
            Span::Day => self.recent(1, now),
            Span::Week => self.recent(2, now),
        };
        (weight > 0).then(|| (error as f64 / f64::from(PPM) / weight as f64).min(1.0))
    }

    fn recent(&self, span: usize, now: i64) -> (u128, u128) {
        let (length, seconds) = SHAPES[span];
        self.rings[span].total(now.div_euclid(seconds), length)
    }

    /// Whether counting can have made it.
    pub(super) fn is_sound(&self) -> bool {
        let rings = self.rings.iter().zip(SHAPES);
        self.error <= self.weight.saturating_mul(PPM.into())
            && rings.into_iter().all(|(ring, (length, _))| ring.is_sound(length))
    }
}

impl Ring {
    /// The bucket numbered `index`; none where it has left the span.
    fn bucket(&mut self, index: i64, length: usize) -> Option<&mut Bucket> {
        if index.saturating_sub(self.newest) >= i64::try_from(length).unwrap_or(i64::MAX) {
            self.buckets.clear();
        }
        if self.buckets.is_empty() {
            self.buckets.reserve_exact(length);
            self.buckets.push_back(Bucket::default());
            self.newest = index;
        }
        while self.newest < index {
            if self.buckets.len() == length {
                self.buckets.pop_front();
            }
            self.buckets.push_back(Bucket::default());
            self.newest += 1;
        }
        // What comes late may belong before the first bucket, or before the span.
        let late = usize::try_from(self.newest - index).unwrap_or(usize::MAX);
        if late >= length {
            return None;
        }
        while self.buckets.len() <= late {
            self.buckets.push_front(Bucket::default());
        }
        let position = self.buckets.len() - 1 - late;
        self.buckets.get_mut(position)
    }

    /// Weight and error of the buckets up to `now`, or up to the newest one where that is later.
    fn total(&self, now: i64, length: usize) -> (u128, u128) {
        let gone = usize::try_from(now.saturating_sub(self.newest)).unwrap_or(0);
        let recent = self.buckets.iter().rev().take(length.saturating_sub(gone));
        recent.fold((0, 0), |(weight, error), bucket| {
            (weight + u128::from(bucket.weight), error + u128::from(bucket.error))
        })
    }

    fn is_sound(&self, length: usize) -> bool {
        (-FARTHEST..=FARTHEST).contains(&self.newest)
            && self.buckets.len() <= length
            && self.buckets.iter().all(Bucket::is_sound)
    }
}

impl Bucket {
    /// Counts as many as still fit.
    fn count(&mut self, weight: u64, error: u32) {
        let weight = weight.min(MOST_WEIGHT - self.weight);
        self.weight += weight;
        self.error += weight * u64::from(error);
    }

    fn is_sound(&self) -> bool {
        self.weight <= MOST_WEIGHT && self.error <= self.weight * u64::from(PPM)
    }
}
