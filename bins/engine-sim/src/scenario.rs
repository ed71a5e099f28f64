//! The built-in scenario: a grid, its forecasts and a service's traffic, generated from a seed.
//!
//! Three weeks of half-hours from Monday 2026-01-05, so that the simulator answers on any machine.
//! Nothing here is measured; shapes and sizes are those of a north-European grid in winter:
//!
//! - **Intensity**, gCO2eq/kWh: 215, plus an evening peak (+60 at 18:30) and a morning one (+25 at
//!   08:00), minus solar at noon (-50) and a quiet night (-20); 8 % less at weekends; plus wind that comes
//!   and goes over 30 h (a first-order autoregression of standard deviation 55) and a little noise; never
//!   below 25.
//! - **Forecasts**, issued every 3 h for the next 48 h. A forecast is the truth, minus all the news still
//!   to come before its target, plus an error that is there even at once. News comes with every issue and
//!   moves neighbouring targets alike; so forecasts are revised from issue to issue, and their error grows
//!   with lead as the square root of the number of issues to come: about 5 g at once, 35 g at 48 h.
//! - **Demand**: quiet nights, a working day around 14:00 and an evening around 20:00, a fifth less at
//!   weekends, 4 % of noise; some 30,000 requests a day.
//!
//! Noise is a sum of uniform draws and curves come from `libm`, so a seed gives the same bits everywhere.

use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};
use providers::trace::Vintages;

use crate::noise::{Noise, Stream};
use crate::world::CarbonSlot;

/// Monday 2026-01-05T00:00:00Z.
const START_SECOND: i64 = 1_767_571_200;
const SLOTS_PER_DAY: usize = 48;
const SLOTS: usize = 21 * SLOTS_PER_DAY;
/// Slots between issues of the forecast.
const ISSUE_EVERY: usize = 6;
/// Slots a forecast reaches.
const HORIZON: usize = 96;

/// Standard deviation of the wind, gCO2eq/kWh.
const WIND: f64 = 55.0;
/// How much of the wind is left after half an hour: e-folding in 30 h.
const WIND_STAYS: f64 = 0.983_471;
/// Standard deviation of what one issue brings, gCO2eq/kWh.
const NEWS: f64 = 11.0;
/// How alike news is for neighbouring targets.
const NEWS_ALIKE: f64 = 0.97;
/// Standard deviation of the error at once, gCO2eq/kWh.
const NOWCAST: f64 = 6.0;
/// How alike errors at once are for neighbouring targets.
const NOWCAST_ALIKE: f64 = 0.8;

/// The generated world.
pub(crate) struct Scenario {
    /// What it is, in words.
    pub(crate) name: String,
    pub(crate) slots: Vec<CarbonSlot>,
    /// Requests per slot; whole numbers.
    pub(crate) requests: Vec<f64>,
    pub(crate) vintages: Option<Vintages>,
}

impl Scenario {
    /// Slot length.
    pub(crate) const STEP: SignedDuration = SignedDuration::from_mins(30);

    /// The scenario of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let slots = truth(&mut Noise::new(seed, Stream::Carbon));
        let vintages = forecasts(&slots, &mut Noise::new(seed, Stream::Forecasts));
        let requests = demand(&mut Noise::new(seed, Stream::Demand));
        Self { name: format!("built-in scenario, seed {seed}"), slots, requests, vintages }
    }
}

fn truth(noise: &mut Noise) -> Vec<CarbonSlot> {
    let mut wind = WIND * noise.normal();
    let slot = |index: usize| {
        let Clock { hour, weekend } = Clock::at(index);
        let day = 215.0 + bump(hour, 18.5, 2.2, 60.0) + bump(hour, 8.0, 1.8, 25.0)
            - bump(hour, 13.0, 2.5, 50.0)
            - bump(hour, 3.5, 3.0, 20.0);
        wind = WIND_STAYS * wind + (1.0 - WIND_STAYS * WIND_STAYS).sqrt() * WIND * noise.normal();
        let intensity = day * if weekend { 0.92 } else { 1.0 } + wind + 4.0 * noise.normal();
        CarbonSlot { from: instant(index), to: instant(index + 1), intensity: tenths(intensity.max(25.0)) }
    };
    (0..SLOTS).map(slot).collect()
}

/// Goes from the last issue to the first, gathering the news that each earlier issue did not have.
fn forecasts(slots: &[CarbonSlot], noise: &mut Noise) -> Option<Vintages> {
    let at_once: Vec<f64> = noise.alike(slots.len(), NOWCAST, NOWCAST_ALIKE);
    let mut news_to_come = vec![0.0; slots.len()];
    let mut issues = Vec::new();
    for first in (0..slots.len()).step_by(ISSUE_EVERY).rev() {
        let end = slots.len().min(first + HORIZON);
        let targets = slots[first..end].iter().zip(&at_once[first..end]).zip(&news_to_come[first..end]);
        let told = targets.filter_map(|((slot, at_once), news)| {
            let value = tenths((slot.intensity + at_once - news).max(10.0));
            Some(Slot::new(slot.from, slot.to, CarbonIntensity::new(value).ok()?))
        });
        let issued = instant(first);
        issues.extend(Forecast::new("scenario", Some(issued), issued, told.collect()).ok().map(Arc::new));
        let news = noise.alike(end - first, NEWS, NEWS_ALIKE);
        for (gathered, news) in news_to_come[first..end].iter_mut().zip(news) {
            *gathered += news;
        }
    }
    Vintages::new("built-in scenario", issues)
}

fn demand(noise: &mut Noise) -> Vec<f64> {
    let slot = |index: usize| {
        let Clock { hour, weekend } = Clock::at(index);
        let an_hour = 350.0 + bump(hour, 14.0, 3.5, 1500.0) + bump(hour, 20.0, 1.8, 1100.0);
        let part = if weekend { 0.8 } else { 1.0 };
        (an_hour / 2.0 * part * (1.0 + 0.04 * noise.normal())).round().max(0.0)
    };
    (0..SLOTS).map(slot).collect()
}

/// Where a slot lies in day and week.
struct Clock {
    hour: f64,
    weekend: bool,
}

impl Clock {
    fn at(index: usize) -> Self {
        Self {
            hour: (index % SLOTS_PER_DAY) as f64 * 24.0 / SLOTS_PER_DAY as f64,
            weekend: index / SLOTS_PER_DAY % 7 >= 5,
        }
    }
}

/// A hill of that height around an hour of the day, going round midnight.
fn bump(hour: f64, middle: f64, width: f64, height: f64) -> f64 {
    let away = (hour - middle).abs();
    let away = away.min(24.0 - away) / width;
    height * libm::exp(-0.5 * away * away)
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn instant(index: usize) -> Timestamp {
    let after = i64::try_from(index).unwrap_or(0) * Scenario::STEP.as_secs();
    Timestamp::from_second(START_SECOND + after).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_is_what_its_description_says() {
        let scenario = Scenario::new(1);
        assert_eq!(scenario.slots[0].from.to_string(), "2026-01-05T00:00:00Z");
        assert_eq!(scenario.slots.len(), scenario.requests.len());
        let mean = scenario.slots.iter().map(|slot| slot.intensity).sum::<f64>() / SLOTS as f64;
        assert!((150.0..300.0).contains(&mean), "{mean}");
        let a_day = scenario.requests.iter().sum::<f64>() / 21.0;
        assert!((20_000.0..40_000.0).contains(&a_day), "{a_day}");
    }

    #[test]
    fn the_forecast_errs_more_the_further_it_looks() {
        let error_at = |lead: usize| {
            let (mut sum, mut count) = (0.0, 0.0);
            for seed in 0..8 {
                let scenario = Scenario::new(seed);
                for issue in scenario.vintages.unwrap().issues() {
                    let Some(target) = issue.slots().get(lead) else {
                        continue;
                    };
                    let actual = scenario.slots.iter().find(|slot| slot.from == target.from).unwrap();
                    sum += (target.forecast.get() - actual.intensity).abs();
                    count += 1.0;
                }
            }
            sum / count
        };
        let errors: Vec<f64> = [0, 8, 24, 48, 95].into_iter().map(error_at).collect();
        assert!(errors.windows(2).all(|pair| pair[0] < pair[1]), "{errors:?}");
        assert!((3.0..8.0).contains(&errors[0]) && (28.0..45.0).contains(&errors[4]), "{errors:?}");
    }

    #[test]
    fn seeds_differ_and_repeat() {
        let intensities =
            |seed| Scenario::new(seed).slots.iter().map(|slot| slot.intensity).collect::<Vec<_>>();
        assert_eq!(intensities(3), intensities(3));
        assert_ne!(intensities(3), intensities(4));
    }
}
