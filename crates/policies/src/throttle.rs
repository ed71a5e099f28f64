//! How much of the processing capacity may run: the scarcer of credit and clean energy.

use ledger::Bounds;

use crate::situation::unit;

/// What throttling is configured to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThrottleSettings {
    /// Smallest throttle, in [0, 1].
    pub min: f64,
    /// Carbon intensity up to which nothing is throttled, gCO2eq/kWh.
    pub floor: f64,
    /// Carbon intensity from which throttling is complete, gCO2eq/kWh; at or below `floor` intensity does
    /// not throttle.
    pub ceiling: f64,
}

/// A throttle and where it comes from. All in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Share of the capacity that may run.
    pub throttle: f64,
    /// Where the balance stands between its bounds.
    pub credits_ratio: f64,
    /// Where the carbon intensity stands between ceiling and floor.
    pub intensity_ratio: f64,
}

/// The throttle after a posting: `balance_after` within `bounds`, the carbon intensity of the slots that are
/// and come in gCO2eq/kWh, where known. Of two the dirtier counts; with neither, intensity does not throttle.
pub fn throttle(
    settings: &ThrottleSettings,
    balance_after: f64,
    bounds: Bounds,
    now: Option<f64>,
    next: Option<f64>,
) -> Throttle {
    let credits_ratio = position(balance_after, bounds.min(), bounds.max());
    let intensity_ratio = intensity_ratio(settings, now, next);
    let least = unit(settings.min);
    Throttle { throttle: credits_ratio.min(intensity_ratio).max(least), credits_ratio, intensity_ratio }
}

impl Throttle {
    /// Most replicas a component between `min` and `max` replicas may run: `max` throttled, half to even.
    pub fn ceiling(&self, min: u32, max: u32) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in 0..=max; `as` saturates"
        )]
        let throttled = libm::rint(f64::from(max) * self.throttle) as u32;
        throttled.min(max).max(min)
    }
}

fn intensity_ratio(settings: &ThrottleSettings, now: Option<f64>, next: Option<f64>) -> f64 {
    let known = [now, next].into_iter().flatten().filter(|intensity| !intensity.is_nan());
    match known.reduce(f64::max) {
        Some(peak) if settings.floor < settings.ceiling => {
            // From the ceiling down, as the origin computes it: the last bits depend on it.
            unit((settings.ceiling - peak) / (settings.ceiling - settings.floor))
        }
        _ => 1.0,
    }
}

/// Where `value` stands between two bounds, in [0, 1]; 1 where they are one.
fn position(value: f64, low: f64, high: f64) -> f64 {
    let span = high - low;
    if span == 0.0 {
        1.0
    } else if span.is_finite() {
        unit((value - low) / span)
    } else {
        // The bounds are so far apart that their distance overflows; that of their halves does not.
        unit((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0))
    }
}
