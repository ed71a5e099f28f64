//! What is known of the grid, by carbon target: the provider's newest forecast, its slots as published
//! (serialised once for all), and an own forecast learned from what was seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::SignedDuration;
use models::forecast::{MAX_SHOWN_GAPS, SlotTexts};
use models::schedule::UsedFor;
use models::{CarbonTarget, Forecast, Gap, Slot, Timestamp};
use providers::own::{CarbonLearner, Estimate};

use crate::error::MixedSignals;
use crate::prices::Prices;
use crate::time::earlier;

/// How far ahead is estimated: the two days of a provider's forecast, and half a day of the own one. Further
/// out the own forecast is nearly what is usual, and plans on what is usual save for days that do not come.
pub(crate) const HORIZON: SignedDuration = SignedDuration::from_hours(60);

/// More estimates than there are five minutes within the horizon, one running at each end.
pub(crate) const MAX_ESTIMATES: usize = 60 * 12 + 2;

/// What is known, by target.
#[derive(Debug, Default)]
pub(crate) struct Forecasts(BTreeMap<CarbonTarget, Known>);

/// What is known of one target.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) told: Option<Told>,
    /// What the last days were priced at.
    pub(crate) prices: Prices,
    /// The own forecast; made when a policy that looks ahead first asks.
    pub(crate) learner: Option<Box<CarbonLearner>>,
    /// Whether somebody tells actual values. Until then the provider's word for a slot stands for it.
    pub(crate) has_actuals: bool,
    pub(crate) estimates: Vec<Estimate>,
    pub(crate) used_for: Arc<[UsedFor]>,
    /// When the estimates have to be made anew.
    pub(crate) estimated_until: Option<Timestamp>,
}

/// A provider's newest forecast. Its signal is that of all there were for this target, and of what was
/// learned from them.
#[derive(Debug)]
pub(crate) struct Told {
    forecast: Arc<Forecast>,
    shape: Shape,
    /// Every slot as JSON, once anything of it was to be published.
    texts: Option<SlotTexts>,
    /// The slots as published, when they were made, and when the first of them ends: before and from then on
    /// others are to be published.
    published: Option<(Timestamp, Timestamp, Bytes)>,
}

/// What every schedule says of the slots of one forecast; found once for all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) slot_seconds: Option<f64>,
    /// The first [`MAX_SHOWN_GAPS`].
    pub(crate) gaps: Arc<[Gap]>,
}

impl Shape {
    fn of(forecast: &Forecast) -> Self {
        let slot_seconds = forecast.step().map(|step| step.as_secs_f64());
        Self { slot_seconds, gaps: forecast.gaps().take(MAX_SHOWN_GAPS).collect() }
    }
}

impl Forecasts {
    /// Takes a forecast in. Answers whether it says anything new.
    ///
    /// # Errors
    ///
    /// [`MixedSignals`], where it is of another signal than those before it; nothing is learned from it then.
    pub(crate) fn observe(
        &mut self,
        target: &CarbonTarget,
        forecast: Arc<Forecast>,
        now: Timestamp,
    ) -> Result<bool, MixedSignals> {
        let known = self.0.entry(target.clone()).or_default();
        if let Some(told) = &known.told
            && told.forecast.signal != forecast.signal
        {
            return Err(MixedSignals {
                target: target.clone(),
                provider: Arc::clone(&forecast.source),
                expected: told.forecast.signal,
                given: forecast.signal,
            });
        }
        known.take_over(now);
        if let Some(told) = &mut known.told
            && told.forecast.slots() == forecast.slots()
        {
            told.shape = Shape::of(&forecast);
            told.forecast = forecast;
            return Ok(false);
        }
        known.prices(now);
        if let Some(learner) = &mut known.learner {
            learner.observe_vintage(&forecast, now);
        }
        known.estimated_until = None;
        known.told = Some(forecast.into());
        Ok(true)
    }

    /// Takes in what the intensity of a slot really was.
    pub(crate) fn observe_actual(&mut self, target: &CarbonTarget, slot: &Slot) {
        let known = self.0.entry(target.clone()).or_default();
        known.has_actuals = true;
        known.prices.correct(slot);
        if let Some(learner) = &mut known.learner {
            learner.observe_actual(slot);
        }
        known.estimated_until = None;
    }

    /// Forgets what nobody asks for any more.
    pub(crate) fn forget(&mut self, target: &CarbonTarget) {
        self.0.remove(target);
    }

    /// The newest forecast of `target`.
    pub(crate) fn latest(&self, target: &CarbonTarget) -> Option<&Arc<Forecast>> {
        self.0.get(target).and_then(Known::latest)
    }

    /// What is known of every target, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&CarbonTarget, &Known)> {
        self.0.iter()
    }

    /// Takes up what was known of `target`.
    pub(crate) fn restore(&mut self, target: CarbonTarget, known: Known) {
        self.0.insert(target, known);
    }

    /// What is known of `target`; begins knowing where nothing is.
    pub(crate) fn known(&mut self, target: &CarbonTarget) -> &mut Known {
        self.0.entry(target.clone()).or_default()
    }

    /// The slots of `target` from `now` on, as published. Every schedule evaluated within one slot gets
    /// the same allocation.
    pub(crate) fn published_slots(&mut self, target: &CarbonTarget, now: Timestamp) -> Bytes {
        let Some(told) = self.0.get_mut(target).and_then(|known| known.told.as_mut()) else {
            return Bytes::from_static(b"[]");
        };
        if let Some((since, until, slots)) = &told.published
            && (*since..*until).contains(&now)
        {
            return slots.clone();
        }
        let texts = told.texts.get_or_insert_with(|| SlotTexts::new(&told.forecast));
        let slots = texts.published(&told.forecast, now);
        let until = told.forecast.from_instant(now).first().map_or(Timestamp::MAX, |slot| slot.to);
        told.published = Some((now, until, slots.clone()));
        slots
    }
}

impl From<Arc<Forecast>> for Told {
    fn from(forecast: Arc<Forecast>) -> Self {
        Self { shape: Shape::of(&forecast), forecast, texts: None, published: None }
    }
}

impl Known {
    /// The newest forecast.
    pub(crate) fn latest(&self) -> Option<&Arc<Forecast>> {
        self.told.as_ref().map(|told| &told.forecast)
    }

    /// The shape of the newest forecast.
    pub(crate) fn shape(&self) -> Shape {
        self.told.as_ref().map_or_else(Shape::default, |told| told.shape.clone())
    }

    /// The slots ahead of `now`, best estimates, and which forecast served which stretch of them. Made once
    /// per slot and vintage, for all schedules.
    pub(crate) fn estimates(&mut self, now: Timestamp) -> (&[Estimate], &Arc<[UsedFor]>) {
        let current = self.estimates.first().is_some_and(|first| first.from <= now);
        if self.estimated_until.is_none_or(|until| now >= until) || !current {
            self.take_over(now);
            let provider = self.told.as_ref().map(|told| &*told.forecast);
            let learner = self.learner.get_or_insert_default();
            learner.blend(provider, now, HORIZON, &mut self.estimates);
            self.estimated_until = self.estimates.first().map(|first| first.to);
            self.used_for = used_for(&self.estimates, self.told.as_ref().map(|told| &*told.forecast.source));
        }
        (&self.estimates, &self.used_for)
    }

    /// What the half-hours up to `now` are priced at.
    pub(crate) fn prices(&mut self, now: Timestamp) -> &Prices {
        self.prices.note(self.told.as_ref().map(|told| &*told.forecast), now);
        &self.prices
    }

    /// Where nobody tells actual values, learns from what the newest forecast said of the slots that ended.
    fn take_over(&mut self, now: Timestamp) {
        let (Some(told), Some(learner)) = (&self.told, &mut self.learner) else { return };
        if self.has_actuals {
            return;
        }
        let received = earlier(told.forecast.retrieved_at, LATE);
        for slot in told.forecast.slots().iter().take_while(|slot| slot.to <= now) {
            if slot.from >= received {
                learner.observe_actual(slot);
            }
        }
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            told: None,
            prices: Prices::default(),
            learner: None,
            has_actuals: false,
            estimates: Vec::new(),
            used_for: Arc::from([]),
            estimated_until: None,
        }
    }
}

/// Which forecast served which stretch.
fn used_for(estimates: &[Estimate], provider: Option<&str>) -> Arc<[UsedFor]> {
    let mut stretches: Vec<UsedFor> = Vec::new();
    for estimate in estimates {
        let source = match (estimate.provider_weight, provider) {
            (weight, Some(provider)) if weight >= 1.0 - ALONE => provider,
            (weight, _) if weight <= ALONE => "own",
            _ => "blend",
        };
        let room = stretches.len() < MOST_STRETCHES;
        match stretches.last_mut() {
            Some(last) if *last.source == *source || !room => last.to = estimate.to,
            _ => stretches.push(UsedFor { from: estimate.from, to: estimate.to, source: source.into() }),
        }
    }
    stretches.into()
}

/// Weights this close to one or the other count as one source alone.
const ALONE: f64 = 0.01;
/// Stretches that are published at most.
const MOST_STRETCHES: usize = 8;
/// A forecast's word for a slot that was long over when it was received is not about the present.
const LATE: SignedDuration = SignedDuration::from_hours(1);
