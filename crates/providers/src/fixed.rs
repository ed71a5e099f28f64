//! A constant: for places without a forecast, and for trying things out.

use models::{CarbonIntensity, CarbonTarget, Forecast, Signal, Slot, Timestamp};

use crate::adapter::{Adapter, Answer, BadAnswer, NotUnderstood, Plan};
use crate::half_hour::{self, HALF_HOUR};

const NAME: &str = "static";
/// Half-hours of 48 h.
const SLOTS: usize = 96;

/// The same carbon intensity for the half-hour that holds `now` and the rest of 48 h, for every target;
/// published as `static`. Nothing is asked for. It is of whatever signal it is said to be of, average unless
/// said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fixed {
    intensity: CarbonIntensity,
    signal: Signal,
}

impl Fixed {
    /// `intensity` always, gCO2eq/kWh.
    pub const fn new(intensity: CarbonIntensity) -> Self {
        Self { intensity, signal: Signal::Average }
    }

    /// The same, as a stand-in for providers of this signal.
    #[must_use]
    pub const fn with_signal(self, signal: Signal) -> Self {
        Self { signal, ..self }
    }

    fn forecast(self, now: Timestamp) -> Result<Forecast, models::forecast::EmptyForecast> {
        let start = half_hour::start(now);
        let starts = core::iter::successors(Some(start), |from| Some(half_hour::later(*from, HALF_HOUR)));
        let slots = starts.map(|from| Slot::new(from, half_hour::later(from, HALF_HOUR), self.intensity));
        let forecast = Forecast::new(NAME, Some(now), now, slots.take(SLOTS).collect())?;
        Ok(forecast.with_signal(self.signal))
    }
}

impl Adapter for Fixed {
    fn name(&self) -> &str {
        NAME
    }

    fn plan(&self, target: &CarbonTarget, now: Timestamp) -> Result<Plan, NotUnderstood> {
        // Empty only where no half-hour is left before the end of time.
        self.forecast(now).map(Plan::Known).map_err(|_| NotUnderstood {
            target: models::json::excerpt(target.as_str()),
            provider: NAME.to_owned(),
            expected: "a time before the last half-hour there is".into(),
        })
    }

    fn check(&self, _: &CarbonTarget, _: Timestamp) -> Result<(), NotUnderstood> {
        Ok(())
    }

    fn parse(&self, _: &CarbonTarget, _: &[u8], now: Timestamp) -> Result<Answer, BadAnswer> {
        self.forecast(now).map(Answer::from).map_err(|_| BadAnswer::Empty { provider: NAME.to_owned() })
    }

    fn signal(&self) -> Signal {
        self.signal
    }
}
