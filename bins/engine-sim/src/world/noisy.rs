//! A forecast made of the truth and an error like that of a national grid's operator.
//!
//! An issue stands for every slot of the trace (or every 30 min, where slots are shorter) and reaches 48 h.
//! It says `truth x (1 + error)`, the error being
//!
//! - an error at once, of 7 % on average, that no revision takes away: what the operator's own value for the
//!   current slot is off by; from slot to slot it is alike by 0.74 in half an hour;
//! - minus the news that is still to come before the target. Every issue brings news, alike for neighbouring
//!   targets (e-folding in 8 h) and independent of what other issues bring. It is so large that the variance
//!   of the whole error grows evenly from 7 % at 1 h (and below) to 22 % at 48 h.
//!
//! So issues are revised, not redrawn: two successive ones err nearly alike for the same target, and the
//! error shrinks as the target comes near. Percentages are mean absolute ones, of a nearly normal error. The
//! two likenesses are those measured in the United Kingdom's operator's archive: of its last revisions of
//! 2023, and of its 48 h forecasts of a week of March 2023.

use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};
use providers::trace::Vintages;

use super::CarbonSlot;
use super::forecasts::HORIZON;
use crate::noise::{Noise, Stream};

/// Mean absolute error up to the lead where it begins to grow.
const AT_ONCE: f64 = 0.07;
/// That lead, hours.
const GROWS_FROM: f64 = 1.0;
/// Mean absolute error at the horizon.
const AT_HORIZON: f64 = 0.22;
/// The horizon, hours.
const GROWS_TO: f64 = 48.0;
/// Hours in which the likeness of errors at once falls to 1/e: 0.74 in half an hour.
const AT_ONCE_ALIKE: f64 = 1.66;
/// Hours in which the likeness of news for neighbouring targets falls to 1/e.
const NEWS_ALIKE: f64 = 8.0;
/// Issues stand no closer than this.
const RENEWAL: SignedDuration = SignedDuration::from_mins(30);
/// A forecast never says less than this part of the truth.
const LEAST: f64 = 0.05;

/// Standard deviation of the relative error at a lead, hours. Mean absolute errors of a normal law are
/// sqrt(2/pi) of it.
fn deviation(lead: f64) -> f64 {
    let grown = ((lead - GROWS_FROM) / (GROWS_TO - GROWS_FROM)).clamp(0.0, 1.0);
    let squared = AT_ONCE * AT_ONCE + (AT_HORIZON * AT_HORIZON - AT_ONCE * AT_ONCE) * grown;
    (squared * std::f64::consts::FRAC_PI_2).sqrt()
}

/// Every issue over the trace. None of an empty trace.
pub(super) fn vintages(slots: &[CarbonSlot], step: SignedDuration, seed: u64) -> Option<Vintages> {
    let hours = step.as_secs_f64() / 3600.0;
    let alike = |span: f64| libm::exp(-hours / span);
    let at_once = Noise::new(seed, Stream::AtOnce).alike(slots.len(), deviation(0.0), alike(AT_ONCE_ALIKE));
    let mut noise = Noise::new(seed, Stream::News);
    let mut to_come = vec![0.0; slots.len()];
    let mut issues = Vec::new();
    let mut later: Option<(usize, usize)> = None;
    // From the last issue to the first, gathering the news that each earlier issue did not have.
    for first in standing(slots).into_iter().rev() {
        let issued = slots[first].from;
        if let Some((later, end)) = later {
            let news = noise.alike(end - later, 1.0, alike(NEWS_ALIKE));
            let targets = to_come[later..end].iter_mut().zip(news).zip(&slots[later..end]);
            for ((gathered, news), target) in targets {
                let had = deviation(lead(target, issued));
                let has = deviation(lead(target, slots[later].from));
                *gathered += news * (had * had - has * has).max(0.0).sqrt();
            }
        }
        let end = slots.partition_point(|slot| slot.from.duration_since(issued) < HORIZON);
        later = Some((first, end));
        let targets = first..end;
        let told = targets.filter_map(|target| {
            let slot = &slots[target];
            let part = (1.0 + at_once[target] - to_come[target]).max(LEAST);
            let value = CarbonIntensity::new(slot.intensity * part).ok()?;
            Some(Slot::new(slot.from, slot.to, value))
        });
        issues.extend(Forecast::new("noisy", Some(issued), issued, told.collect()).ok().map(Arc::new));
    }
    Vintages::new("noisy", issues)
}

/// Hours from an issue to the beginning of a slot.
fn lead(target: &CarbonSlot, issued: Timestamp) -> f64 {
    target.from.duration_since(issued).as_secs_f64() / 3600.0
}

/// The slots at whose beginnings an issue stands.
fn standing(slots: &[CarbonSlot]) -> Vec<usize> {
    let mut standing: Vec<usize> = Vec::new();
    for (index, slot) in slots.iter().enumerate() {
        let fresh = standing.last().is_some_and(|last| slot.from.duration_since(slots[*last].from) < RENEWAL);
        if !fresh {
            standing.push(index);
        }
    }
    standing
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid that swings, in steps of so many minutes, over so many days.
    fn grid(minutes: i64, days: i64) -> (Vec<CarbonSlot>, SignedDuration) {
        let step = SignedDuration::from_mins(minutes);
        let at = |index: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(index * minutes);
        let slot = |index: i64| CarbonSlot {
            from: at(index),
            to: at(index + 1),
            intensity: 200.0 + 90.0 * libm::sin(index as f64 / 7.0),
        };
        ((0..days * 1440 / minutes).map(slot).collect(), step)
    }

    /// Relative errors by issue and lead in slots.
    fn errors(slots: &[CarbonSlot], vintages: &Vintages) -> Vec<Vec<f64>> {
        let truth = |slot: &Slot| slots[slots.partition_point(|own| own.from < slot.from)].intensity;
        let of = |issue: &Arc<Forecast>| {
            issue.slots().iter().map(|slot| slot.forecast.get() / truth(slot) - 1.0).collect()
        };
        vintages.issues().iter().map(of).collect()
    }

    #[test]
    fn errors_grow_with_lead_as_stated() {
        for (minutes, days) in [(60, 120), (30, 60)] {
            let (slots, step) = grid(minutes, days);
            let per_hour = usize::try_from(60 / minutes).unwrap();
            let all: Vec<Vec<f64>> =
                (0..3).flat_map(|seed| errors(&slots, &vintages(&slots, step, seed).unwrap())).collect();
            let mean = |lead: usize| {
                let of: Vec<f64> = all.iter().filter_map(|issue| issue.get(lead)).map(|e| e.abs()).collect();
                of.iter().sum::<f64>() / of.len() as f64
            };
            for (hours, stated) in [(0, 0.07), (1, 0.07), (12, 0.1237), (24, 0.162), (47, 0.218)] {
                let found = mean(hours * per_hour);
                assert!(
                    (found / stated - 1.0).abs() < 0.12,
                    "{minutes} min, {hours} h: {found} for {stated}"
                );
            }
        }
    }

    #[test]
    fn an_issue_is_revised_not_redrawn() {
        let (slots, step) = grid(30, 40);
        let all = errors(&slots, &vintages(&slots, step, 5).unwrap());
        // The same target, 24 h ahead, seen by two issues in a row and by two a day apart.
        let alike = |apart: usize| {
            let pairs = all.windows(apart + 1).filter_map(|issues| {
                Some((*issues[0].get(48)?, *issues[apart].get(48_usize.checked_sub(apart)?)?))
            });
            let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
            for (before, after) in pairs {
                both += before * after;
                one += before * before;
                other += after * after;
            }
            both / (one * other).sqrt()
        };
        assert!(alike(1) > 0.97, "{}", alike(1));
        assert!(alike(48) < 0.75, "{}", alike(48));
    }

    #[test]
    fn an_issue_stands_at_its_first_slot_and_reaches_48_hours() {
        for minutes in [5, 30, 60] {
            let (slots, step) = grid(minutes, 4);
            let vintages = vintages(&slots, step, 1).unwrap();
            let spacing = minutes.max(30);
            let count = |count: usize| i64::try_from(count).unwrap();
            assert_eq!(count(vintages.issues().len()), 4 * 1440 / spacing);
            for issue in vintages.issues() {
                let first = issue.slots().first().unwrap();
                assert_eq!(issue.issued_at, Some(first.from));
                assert_eq!(vintages.as_of(first.from).unwrap().issued_at, issue.issued_at);
                assert!(issue.slots().last().unwrap().from.duration_since(first.from) < HORIZON);
            }
            assert_eq!(count(vintages.issues()[0].slots().len()), 48 * 60 / minutes);
        }
    }

    #[test]
    fn a_seed_gives_the_same_forecasts() {
        let (slots, step) = grid(60, 5);
        assert_eq!(vintages(&slots, step, 3), vintages(&slots, step, 3));
        assert_ne!(vintages(&slots, step, 3), vintages(&slots, step, 4));
        assert_eq!(vintages(&[], step, 3), None);
    }
}
