//! What feedback measured of each flavour: how good its answers were, and what they cost.
//!
//! Both are means over requests, with a memory of about [`MEMORY`] of them: what is older fades. A mean stands
//! in for what is configured only where that is asked for, and only once it rests on [`BELIEVED_FROM`]
//! requests: a few lucky ones must not be spent.

use std::collections::BTreeMap;

use models::schedule::Measure;
use models::{Flavour, FlavourSet, Precision};
use serde::{Deserialize, Serialize};

/// Requests that a mean remembers: with each one, those before it fade by a part of so many.
pub const MEMORY: u64 = 100_000;
/// Requests that a mean has to rest on before it is believed.
pub const BELIEVED_FROM: u64 = 1_000;

/// The flavours of one schedule of which something was measured, at most [`models::flavour::MAX_FLAVOURS`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured(BTreeMap<Box<str>, Means>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Means {
    /// Requests that came with a precision or an energy.
    requests: u64,
    precision: Option<Mean>,
    energy_wh: Option<Mean>,
}

/// A mean over requests that forgets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Mean {
    #[serde(with = "text")]
    value: f64,
    /// Requests it rests on, all of them.
    requests: u64,
}

impl Measured {
    /// Takes in the mean `precision` and `energy_wh` of some requests of a flavour. Answers whether that says
    /// anything.
    pub(crate) fn observe(
        &mut self,
        flavour: &str,
        requests: u64,
        precision: Option<Precision>,
        energy_wh: Option<f64>,
    ) -> bool {
        if requests == 0 || (precision.is_none() && energy_wh.is_none()) {
            return false;
        }
        if !self.0.contains_key(flavour) {
            self.0.insert(flavour.into(), Means::default());
        }
        if let Some(means) = self.0.get_mut(flavour) {
            means.requests = means.requests.saturating_add(requests);
            Mean::add(&mut means.precision, requests, precision.map(Precision::get));
            Mean::add(&mut means.energy_wh, requests, energy_wh);
        }
        true
    }

    /// Forgets every flavour but those that are configured `after` as they were `before`: one whose precision
    /// or energy is another now is taken for another model under the same name.
    pub(crate) fn keep(&mut self, before: &FlavourSet, after: &FlavourSet) {
        let figures = |flavours: &FlavourSet, name: &str| {
            flavours.named(name).map(|flavour| (flavour.precision, flavour.energy_wh))
        };
        self.0.retain(|name, _| {
            let after = figures(after, name);
            after.is_some() && after == figures(before, name)
        });
    }

    /// What was measured of a flavour, believed or not.
    pub(crate) fn of(&self, flavour: &str) -> Option<Measure> {
        let means = self.0.get(flavour)?;
        Some(Measure {
            precision: means.precision.and_then(|mean| Precision::new(mean.value).ok()),
            energy_wh: means.energy_wh.map(|mean| mean.value),
            requests: means.requests,
        })
    }

    /// The precision of a flavour, where it rests on enough requests.
    pub(crate) fn believed_precision(&self, flavour: &str) -> Option<Precision> {
        let believed = self.0.get(flavour)?.precision.filter(Mean::is_believed)?;
        Precision::new(believed.value).ok()
    }

    /// The same flavours, with what is believed in the place of what is configured.
    pub(crate) fn believed(&self, configured: &FlavourSet) -> FlavourSet {
        let believed = configured.iter().map(|flavour| {
            let energy_wh = self.0.get(&*flavour.name).and_then(|means| means.energy_wh);
            Flavour {
                precision: self.believed_precision(&flavour.name).unwrap_or(flavour.precision),
                energy_wh: energy_wh.filter(Mean::is_believed).map(|mean| mean.value).or(flavour.energy_wh),
                ..flavour.clone()
            }
        });
        // Names are those that were configured, and means are within the range of what they are made of.
        FlavourSet::new(believed.collect()).unwrap_or_else(|_| configured.clone())
    }
}

impl Mean {
    fn add(mean: &mut Option<Self>, requests: u64, value: Option<f64>) {
        let Some(value) = value else { return };
        let before = mean.unwrap_or(Self { value, requests: 0 });
        let remembered = before.requests.min(MEMORY).saturating_add(requests);
        // At least its share of all that is remembered; alone, where it is more than that.
        let share = (requests as f64 / remembered.min(MEMORY) as f64).min(1.0);
        let moved = before.value * (1.0 - share) + value * share;
        *mean = Some(Self {
            // A rounding must not take a mean out of what it is the mean of.
            value: moved.clamp(before.value.min(value), before.value.max(value)),
            requests: before.requests.saturating_add(requests),
        });
    }

    fn is_believed(&self) -> bool {
        self.requests >= BELIEVED_FROM
    }
}

/// A number as text: one in JSON may lose its last bit on the way in.
mod text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{text}` is not a mean: expected a number >= 0 as text, e.g. \"0.85\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn precision(value: f64) -> Option<Precision> {
        Precision::new(value).ok()
    }

    #[test]
    fn a_mean_is_by_requests_and_fades() {
        let mut measured = Measured::default();
        assert!(!measured.observe("a", 0, precision(0.5), Some(1.0)));
        assert!(!measured.observe("a", 5, None, None));
        assert_eq!(measured.of("a"), None);
        measured.observe("a", 300, precision(0.9), None);
        measured.observe("a", 100, precision(0.5), Some(2.0));
        let of = measured.of("a").unwrap();
        assert!((of.precision.unwrap().get() - 0.8).abs() < 1e-12);
        assert_eq!((of.energy_wh, of.requests), (Some(2.0), 400));
        // Once there is more than it remembers, a thousandth of it moves it by a thousandth.
        measured.observe("a", 10 * MEMORY, precision(0.8), None);
        assert_eq!(measured.of("a").unwrap().precision, precision(0.8));
        measured.observe("a", MEMORY / 1_000, precision(0.3), None);
        assert!((measured.of("a").unwrap().precision.unwrap().get() - 0.7995).abs() < 1e-12);
    }

    #[test]
    fn each_mean_is_believed_by_its_own_requests() {
        let configured = FlavourSet::builtin();
        let mut measured = Measured::default();
        measured.observe("precision-85", BELIEVED_FROM - 1, precision(0.6), Some(3.0));
        assert_eq!(measured.believed(&configured), configured);
        measured.observe("precision-85", 1, precision(0.6), None);
        let believed = measured.believed(&configured);
        assert_eq!((believed[1].precision.get(), believed[1].energy_wh), (0.6, None));
        assert_eq!(&*believed[1].name, "precision-85");
        measured.observe("precision-85", 1, None, Some(3.0));
        assert_eq!(measured.believed(&configured)[1].energy_wh, Some(3.0));
        assert_eq!(measured.believed(&configured)[0], configured[0]);
        let gone = FlavourSet::new(vec![configured[0].clone()]).unwrap();
        measured.keep(&configured, &gone);
        assert_eq!(measured, Measured::default());
    }

    proptest! {
        #[test]
        fn a_mean_stays_within_what_it_is_made_of_and_is_stored_to_the_bit(
            posts in prop::collection::vec(
                (prop_oneof![1..2_000_u64, 1..=1_u64 << 53], 1e-9..=1.0_f64, 0.0..1e6_f64),
                1..60,
            ),
        ) {
            let mut measured = Measured::default();
            let (mut low, mut high, mut requests) = (f64::MAX, f64::MIN, 0_u64);
            for (count, value, energy) in posts {
                measured.observe("a", count, precision(value), Some(energy));
                (low, high, requests) = (low.min(value), high.max(value), requests.saturating_add(count));
                let of = measured.of("a").unwrap();
                let mean = of.precision.unwrap().get();
                prop_assert!((low..=high).contains(&mean), "{mean} not in {low}..={high}");
                prop_assert!(of.energy_wh.unwrap().is_finite());
                prop_assert_eq!(of.requests, requests);
                prop_assert_eq!(measured.believed_precision("a").is_some(), requests >= BELIEVED_FROM);
            }
            let stored = serde_json::to_string(&measured).unwrap();
            prop_assert_eq!(serde_json::from_str::<Measured>(&stored).unwrap(), measured);
        }

        /// However often requests are reported in however small pieces, the newest count for no more than
        /// their share of what is remembered.
        #[test]
        fn the_memory_is_bounded(pieces in 1..50_u64) {
            let mut measured = Measured::default();
            measured.observe("a", 1 << 40, precision(1.0), None);
            for _ in 0..pieces {
                measured.observe("a", 1_000, precision(0.5), None);
            }
            let share = 1.0 - (1.0 - 0.01_f64).powi(i32::try_from(pieces).unwrap());
            let mean = measured.of("a").unwrap().precision.unwrap().get();
            prop_assert!((mean - (1.0 - 0.5 * share)).abs() < 1e-9, "{mean}");
        }
    }
}
