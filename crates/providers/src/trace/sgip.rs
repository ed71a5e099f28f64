//! Marginal intensities of California with what was forecast of them, as WattTime makes them for the SGIP
//! Signal: `time,moer,f1,..,f36`, in kilograms per kWh.
//!
//! `moer` is what the five minutes from `time` came to. `f1` was forecast at `time` for five minutes later, `f2`
//! for ten, and so on. A table of `moer` alone is not this one: WattTime's own are in pounds per MWh.

use jiff::SignedDuration;
use models::json::excerpt;
use models::{CarbonIntensity, Timestamp};

use super::carbon::absent;
use super::table::{Table, normal};

/// Distance of rows, and of what a row forecasts.
pub(super) const STEP: SignedDuration = SignedDuration::from_mins(5);
const GRAMS_PER_KILOGRAM: f64 = 1_000.0;

/// Which columns hold what.
pub(super) struct Columns {
    pub(super) time: usize,
    pub(super) moer: usize,
    /// How many columns of forecasts follow.
    ahead: usize,
}

impl Columns {
    /// `None` where the header is another one.
    pub(super) fn of(table: &Table<'_>) -> Option<Self> {
        let time = table.column(|header| header == "time")?;
        let moer = table.column(|header| header == "moer")?;
        let follow = table.header().iter().skip(moer + 1).zip(1..);
        let ahead = follow.take_while(|(header, place)| normal(header) == format!("f{place}")).count();
        (ahead > 0).then_some(Self { time, moer, ahead })
    }

    /// The columns of forecasts, each with the instant that a row of `issued` speaks of there.
    pub(super) fn targets(&self, issued: Timestamp) -> impl Iterator<Item = (usize, Timestamp)> + use<> {
        let instants = (0..self.ahead).scan(issued, |at, _| {
            *at = at.checked_add(STEP).ok()?;
            Some(*at)
        });
        (self.moer + 1..).zip(instants)
    }
}

/// An intensity in kilograms per kWh; `None` where the field says that there is none.
pub(super) fn kilograms(text: &str) -> Result<Option<CarbonIntensity>, String> {
    if absent(text) {
        return Ok(None);
    }
    let grams = text.trim().parse().map(|kilograms: f64| kilograms * GRAMS_PER_KILOGRAM).ok();
    match grams.map(CarbonIntensity::new) {
        Some(Ok(grams)) => Ok(Some(grams)),
        _ => Err(format!(
            "`{}` is not a carbon intensity: expected a number of kgCO2eq/kWh in [0, 10]",
            excerpt(text)
        )),
    }
}
