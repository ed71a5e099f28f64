//! The latest values of a series, by slot.

/// Values of the slots `[end - length, end)`, each at its number modulo the length; NaN where unknown.
#[derive(Debug, Clone, Default)]
pub(super) struct Ring {
    pub(super) values: Vec<f64>,
    /// The first slot beyond.
    pub(super) end: i64,
}

impl Ring {
    /// Nothing known; no memory taken before the first value.
    pub(super) fn at(&self, index: i64) -> f64 {
        if self.covers(index) { self.values[place(index, self.values.len())] } else { f64::NAN }
    }

    /// What is known of a slot, or 0.
    pub(super) fn or_zero(&self, index: i64) -> f64 {
        let value = self.at(index);
        if value.is_nan() { 0.0 } else { value }
    }

    /// Replaces `out` by the `count` values up to `newest`, oldest first, 0 where unknown.
    pub(super) fn last_into(&self, newest: i64, count: i64, out: &mut Vec<f64>) {
        out.clear();
        if newest + 1 == self.end && count <= slot_count(self.values.len()) {
            let first = place(newest + 1 - count, self.values.len());
            let wrapped = self.values[first..].iter().chain(&self.values[..first]);
            let known = wrapped.map(|value| if value.is_nan() { 0.0 } else { *value });
            out.extend(known.take(place_count(count)));
        } else {
            out.extend((newest + 1 - count..=newest).map(|index| self.or_zero(index)));
        }
    }

    /// Whether a slot is neither too old nor beyond the end.
    pub(super) fn covers(&self, index: i64) -> bool {
        index < self.end && self.end - index <= slot_count(self.values.len())
    }

    /// Takes a value; the ring moves on to reach it, and one too old is left out.
    pub(super) fn set(&mut self, length: i64, index: i64, value: f64) {
        if self.values.is_empty() {
            self.clear(length, index);
        }
        let length = self.values.len();
        for skipped in self.end.max(index - slot_count(length))..=index {
            self.values[place(skipped, length)] = f64::NAN;
        }
        self.end = self.end.max(index + 1);
        if self.covers(index) {
            self.values[place(index, length)] = value;
        }
    }

    /// Whether it is empty or of this length, and nothing in it is infinite: asked of what was stored.
    pub(super) fn is_whole(&self, length: i64) -> bool {
        let length_fits = self.values.is_empty() || self.values.len() == place_count(length);
        length_fits && !self.values.iter().any(|value| value.is_infinite())
    }

    /// Makes 0 of everything known.
    pub(super) fn reset(&mut self) {
        for value in self.values.iter_mut().filter(|value| !value.is_nan()) {
            *value = 0.0;
        }
    }

    /// Forgets everything and goes to `index`.
    pub(super) fn clear(&mut self, length: i64, index: i64) {
        self.values.clear();
        self.values.resize(place_count(length), f64::NAN);
        self.end = index;
    }
}

/// A length that came from a grid: some thousands at most.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of slots, small")]
pub(super) fn place_count(slots: i64) -> usize {
    slots.max(0) as usize
}

/// A number of places as one of slots.
pub(super) fn slot_count(places: usize) -> i64 {
    i64::try_from(places).unwrap_or(i64::MAX)
}

/// Where a slot lies among `length` places, at least one.
pub(super) fn place(index: i64, length: usize) -> usize {
    place_count(index.rem_euclid(slot_count(length)))
}
