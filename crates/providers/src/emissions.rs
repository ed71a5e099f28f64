//! The rows that the Carbon Aware SDK writes and the ConfigMap exporter hands on:
//! `{"location": .., "timestamp": .., "duration": .., "value": ..}`.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use models::json::{excerpt, kind};
use models::{Forecast, Signal, Slot, Timestamp};
use serde_json::{Map, Value};

use crate::adapter::BadAnswer;
use crate::half_hour::later;
use crate::reading::{self, grams, time};

/// What a list of rows held.
pub(crate) struct Rows<'d> {
    /// Where each slot is, and the slot.
    pub(crate) slots: Vec<(Option<&'d str>, Slot)>,
    /// Why the first row that gave no slot gave none.
    pub(crate) first_problem: Option<String>,
}

impl Rows<'_> {
    /// The places named, in order.
    pub(crate) fn places(&self) -> BTreeSet<&str> {
        self.slots.iter().filter_map(|(place, _)| *place).collect()
    }

    /// The forecast they make; its zone is the only place there is.
    pub(crate) fn forecast(
        self,
        provider: &str,
        issued: Option<Timestamp>,
        now: Timestamp,
        signal: Signal,
    ) -> Result<Forecast, BadAnswer> {
        let places = self.places();
        let zone = places.first().filter(|_| places.len() == 1).map(|place| excerpt(place));
        let slots = self.slots.iter().map(|(_, slot)| *slot).collect();
        let forecast =
            reading::forecast(provider, issued, now, slots, self.first_problem)?.with_signal(signal);
        Ok(match zone {
            Some(zone) => forecast.with_zone(zone),
            None => forecast,
        })
    }
}

/// The rows of a list; one without a value is a gap.
pub(crate) fn rows<'d>(list: &'d [Value], at: &str) -> Rows<'d> {
    let (found, first_problem) = reading::each(list, at, row);
    Rows { slots: found.into_iter().flatten().collect(), first_problem }
}

fn row<'d>(item: &'d Value, at: &str) -> Result<Option<(Option<&'d str>, Slot)>, String> {
    let item = reading::object(item, at)?;
    let Some(grams) = grams(item, "value").map_err(|problem| format!("{at}/{problem}"))? else {
        return Ok(None);
    };
    let from = time(item.get("timestamp"), &format!("{at}/timestamp"))?;
    let (from, to) =
        reading::stretch(from, end(item, from).map_err(|problem| format!("{at}/{problem}"))?, at)?;
    Ok(Some((item.get("location").and_then(Value::as_str), Slot::new(from, to, grams))))
}

/// The end of a row: minutes as a number, or a span of .NET (`01:00:00`, `1.00:00:00`).
fn end(item: &Map<String, Value>, from: Timestamp) -> Result<Timestamp, String> {
    let expected = "expected minutes, or a span such as 01:00:00";
    let length = match item.get("duration") {
        Some(Value::Number(minutes)) => {
            let minutes = minutes.as_f64().filter(|minutes| (0.0..=1_440.0).contains(minutes));
            minutes.and_then(|minutes| SignedDuration::try_from_secs_f64(minutes * 60.0).ok())
        }
        Some(Value::String(text)) => span(text.trim()),
        None | Some(Value::Null) => return Err(format!("duration: missing: {expected}")),
        Some(other) => return Err(format!("duration: {} stands here: {expected}", kind(other))),
    };
    let shown = || excerpt(&item.get("duration").map(ToString::to_string).unwrap_or_default());
    let length = length.ok_or_else(|| format!("duration: `{}` is none: {expected}", shown()))?;
    Ok(later(from, length))
}

/// `[d.]hh:mm:ss[.fraction]`, or minutes.
fn span(text: &str) -> Option<SignedDuration> {
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = match (parts.next()?, parts.next(), parts.next(), parts.next()) {
        (minutes, None, None, None) => ("0", minutes, "0"),
        (hours, Some(minutes), Some(seconds), None) => (hours, minutes, seconds),
        _ => return None,
    };
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    // A fraction of a second is no matter to a slot.
    let seconds = seconds.split_once('.').map_or(seconds, |(whole, _)| whole);
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    let hours = number(days)? * 24 + number(hours)?;
    Some(SignedDuration::from_secs(hours * 3_600 + number(minutes)? * 60 + number(seconds)?))
}
