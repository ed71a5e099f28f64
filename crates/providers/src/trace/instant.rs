//! Instants as archives write them.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use models::Timestamp;
use models::json::excerpt;

/// First year a trace may speak of: electricity has no archive before it.
const FIRST_YEAR: i16 = 1900;
/// Last year a trace may speak of.
const LAST_YEAR: i16 = 2199;

/// An instant: RFC 3339 with or without seconds (`2026-01-01T00:30Z`), with a space for the `T`, without
/// an offset (then UTC, and the second value says so), or a date alone (its midnight, UTC).
///
/// # Errors
///
/// A sentence that says what stood there and what would be right.
pub fn instant(text: &str) -> Result<(Timestamp, AssumedUtc), String> {
    let trimmed = text.trim();
    let (at, assumed) = if let Ok(at) = trimmed.parse::<Timestamp>() {
        (Some(at), AssumedUtc(false))
    } else {
        let civil = trimmed.parse::<DateTime>().ok();
        (civil.and_then(|civil| Offset::UTC.to_timestamp(civil).ok()), AssumedUtc(true))
    };
    let in_range = |at: &Timestamp| (FIRST_YEAR..=LAST_YEAR).contains(&Offset::UTC.to_datetime(*at).year());
    match at.filter(in_range) {
        Some(at) => Ok((at, assumed)),
        None => Err(format!(
            "`{}` is not an instant: expected RFC 3339 in the years {FIRST_YEAR} to {LAST_YEAR}, e.g. 2026-01-01T00:30:00Z",
            excerpt(text)
        )),
    }
}

/// Whether an instant had no offset and was read as UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssumedUtc(pub bool);
