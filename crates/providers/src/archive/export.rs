//! The archive as the CSV that the simulator replays, page by page.

use std::fmt::Write as _;

use models::{CarbonTarget, Signal, Slot, Timestamp};

use super::Archive;

/// First line of vintages that do not say their signal, as those recorded earlier.
pub const VINTAGES_HEADER: &str = "issued_at,target_start,forecast\n";
/// First line of measured values that do not say their signal, as those recorded earlier.
pub const ACTUALS_HEADER: &str = "timestamp,actual\n";

/// First line of exported vintages: it says the signal, so that a replay never mixes the two.
pub const fn vintages_header(signal: Signal) -> &'static str {
    match signal {
        Signal::Average => "issued_at,target_start,forecast_average\n",
        Signal::Marginal => "issued_at,target_start,forecast_marginal\n",
    }
}

/// First line of exported measured values: it says the signal.
pub const fn actuals_header(signal: Signal) -> &'static str {
    match signal {
        Signal::Average => "timestamp,actual_average\n",
        Signal::Marginal => "timestamp,actual_marginal\n",
    }
}
/// A page ends with the vintage, or the value, that makes it this long.
pub const PAGE_BYTES: usize = 256 << 10;

/// What is to be exported, `[from, to)`: vintages by when they became known, measured values by their first
/// instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First instant; the vintage in force then is part of it.
    pub from: Option<Timestamp>,
    /// First instant after it.
    pub to: Option<Timestamp>,
}

/// A part of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Rows, without a header.
    pub text: String,
    /// After what to go on; `None` at the end.
    pub next: Option<Timestamp>,
}

impl Archive {
    /// Vintages known after `after`, as rows of [`vintages_header`]: `issued_at` is since when each could be
    /// known. Never more than [`PAGE_BYTES`] and one vintage.
    pub fn vintages_csv(
        &self,
        target: &CarbonTarget,
        signal: Signal,
        span: Span,
        after: Option<Timestamp>,
    ) -> Page {
        let mut page = Page { text: String::new(), next: None };
        let Some(series) = self.series(target, signal) else { return page };
        let first = match (after, span.from) {
            (Some(after), _) => series.known_by(after),
            (None, Some(from)) => series.known_by(from).saturating_sub(1),
            (None, None) => 0,
        };
        let wanted = series.vintages().iter().skip(first);
        let mut slots = first.checked_sub(1).map(|before| series.slots_of(before)).unwrap_or_default();
        let mut last = None;
        for vintage in wanted.take_while(|vintage| span.to.is_none_or(|to| vintage.known < to)) {
            if page.text.len() >= PAGE_BYTES {
                page.next = last;
                break;
            }
            vintage.change().apply(&mut slots, vintage.known);
            let said = slots.iter().map(|(from, (to, grams))| Slot::new(*from, *to, *grams));
            vintage_rows(vintage.known, said, &mut page.text);
            last = Some(vintage.known);
        }
        page
    }

    /// Measured values of slots that begin after `after`, as rows of [`actuals_header`]. Never more than
    /// [`PAGE_BYTES`] and one value.
    pub fn actuals_csv(
        &self,
        target: &CarbonTarget,
        signal: Signal,
        span: Span,
        after: Option<Timestamp>,
    ) -> Page {
        let mut page = Page { text: String::new(), next: None };
        let inside = |slot: &Slot| {
            span.from.is_none_or(|from| slot.from >= from)
                && span.to.is_none_or(|to| slot.from < to)
                && after.is_none_or(|after| slot.from > after)
        };
        let mut last = None;
        for slot in self.actuals(target, signal).filter(inside) {
            if page.text.len() >= PAGE_BYTES {
                page.next = last;
                break;
            }
            actual_row(&slot, &mut page.text);
            last = Some(slot.from);
        }
        page
    }
}

/// One vintage as rows of [`vintages_header`]: what it says of slots that are not over when it is known.
pub fn vintage_rows(known: Timestamp, slots: impl IntoIterator<Item = Slot>, text: &mut String) {
    for slot in slots.into_iter().filter(|slot| slot.to > known) {
        // Writing to a string cannot fail; a float is printed so that it is read back to the same bits.
        let _ = writeln!(text, "{known},{},{}", slot.from, slot.forecast.get());
    }
}

/// One measured value as a row of [`actuals_header`].
pub fn actual_row(slot: &Slot, text: &mut String) {
    let _ = writeln!(text, "{},{}", slot.from, slot.forecast.get());
}
