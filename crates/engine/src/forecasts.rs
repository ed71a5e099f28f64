//! The newest forecast of each carbon target, and its slots as published, serialised once for all.

use std::collections::BTreeMap;
use std::sync::Arc;

use models::forecast::SlotTexts;
use models::{CarbonTarget, Forecast, Timestamp};

/// What is known, by target.
#[derive(Debug, Default)]
pub(crate) struct Forecasts(BTreeMap<CarbonTarget, Known>);

#[derive(Debug)]
struct Known {
    forecast: Arc<Forecast>,
    texts: SlotTexts,
    /// The slots as published, and when the first of them ends (from then on they are stale).
    published: Option<(Timestamp, Arc<[u8]>)>,
}

impl Forecasts {
    /// Takes a forecast in. Answers whether it says anything new.
    pub(crate) fn observe(&mut self, target: &CarbonTarget, forecast: Arc<Forecast>) -> bool {
        if let Some(known) = self.0.get_mut(target).filter(|known| known.forecast.slots() == forecast.slots())
        {
            known.forecast = forecast;
            return false;
        }
        let texts = SlotTexts::new(&forecast);
        self.0.insert(target.clone(), Known { forecast, texts, published: None });
        true
    }

    /// Forgets what nobody asks for any more.
    pub(crate) fn forget(&mut self, target: &CarbonTarget) {
        self.0.remove(target);
    }

    /// The newest forecast of `target`.
    pub(crate) fn latest(&self, target: &CarbonTarget) -> Option<&Arc<Forecast>> {
        self.0.get(target).map(|known| &known.forecast)
    }

    /// The slots of `target` from `now` on, as published. Every schedule evaluated within one slot gets
    /// the same allocation.
    pub(crate) fn published_slots(&mut self, target: &CarbonTarget, now: Timestamp) -> Arc<[u8]> {
        let Some(known) = self.0.get_mut(target) else {
            return Arc::from(*b"[]");
        };
        if let Some((until, slots)) = &known.published
            && now < *until
        {
            return Arc::clone(slots);
        }
        let slots = known.texts.published(&known.forecast, now);
        let until = known.forecast.from_instant(now).first().map_or(Timestamp::MAX, |slot| slot.to);
        known.published = Some((until, Arc::clone(&slots)));
        slots
    }
}
