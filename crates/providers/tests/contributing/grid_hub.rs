//! A Grid Hub: slots of one grid with the average intensity of each.

use models::{CarbonTarget, Slot, Timestamp};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::reading;
use crate::uk::trimmed;

const NAME: &str = "grid-hub";

/// Forecasts of a Grid Hub, published as `grid-hub`. Every target is understood, since it is told none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GridHub {
    base: String,
}

impl GridHub {
    /// The service below `base_url`, an absolute http or https URL.
    pub fn new(base_url: &str) -> Self {
        Self { base: trimmed(base_url) }
    }
}

impl Adapter for GridHub {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, _: &CarbonTarget, _: Timestamp) -> Result<Plan, NotUnderstood> {
        Ok(Plan::Ask(Request::json(format!("{}/slots", self.base))))
    }

    fn parse(&self, _: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        let document = reading::document(NAME, body)?;
        let list = reading::list(&document, "slots");
        let list = list.map_err(|problem| reading::not_the_format(NAME, problem))?;
        let (slots, first_problem) = reading::each(list, "/slots", |slot, at| {
            let slot = reading::object(slot, at)?;
            let from = reading::time(slot.get("start"), &format!("{at}/start"))?;
            let to = reading::time(slot.get("end"), &format!("{at}/end"))?;
            let (from, to) = reading::stretch(from, to, at)?;
            let grams = reading::grams(slot, "grams").map_err(|problem| format!("{at}/{problem}"))?;
            Ok(grams.map(|grams| Slot::new(from, to, grams)))
        });
        let slots = slots.into_iter().flatten().collect();
        Ok(reading::forecast(NAME, None, now, slots, first_problem)?.into())
    }

    fn knows_one_grid(&self) -> bool {
        true
    }
}
