//! The value axis: round numbers around what is shown.

/// From `low` to `high`, with round numbers in between.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Distance of the round numbers.
    pub(super) step: f64,
}

impl Scale {
    /// Round numbers around the values, in about four steps.
    pub(super) fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self { low: 0.0, high: 1.0, step: 0.5 };
        }
        let span = if high - low > 1e-12 { high - low } else { high.abs().max(1e-6) };
        let step = round_up(span / 4.0);
        let (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        Self { low, high: if high > low { high } else { low + step }, step }
    }

    /// The same, with 0 in it.
    pub(super) fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        Self::around(std::iter::once(0.0).chain(values))
    }

    /// Where a value stands: 0 at the bottom, 1 at the top.
    pub(super) fn part(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The round numbers, lowest first.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let value = |index: i32| {
            let value = self.low + f64::from(index) * self.step;
            if value.abs() < self.step * 1e-6 { 0.0 } else { value }
        };
        (0..=20).map(value).take_while(|value| *value <= self.high + 1e-6 * self.step).collect()
    }
}

/// The next of 1, 2, 5, 10, ..
fn round_up(value: f64) -> f64 {
    let magnitude = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.into_iter().find(|step| value <= step * magnitude * 1.000_001).unwrap_or(10.0) * magnitude
}
