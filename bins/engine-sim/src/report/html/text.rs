//! Words and numbers as they stand on the page.

use models::Timestamp;

/// Text for element content and attribute values alike.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // No parser allows the other control characters.
            control if control.is_control() && !matches!(control, '\n' | '\t') => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A number with that many decimals, its thousands apart and a true minus.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = String::new();
    // No reader should have to tell -0 from 0.
    if value < 0.0 && digits.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
        text.push('\u{2212}');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(fraction);
    text
}

/// A part of one in percent; sign and number stay on one line.
pub(super) fn percent(part: f64) -> String {
    format!("{}\u{a0}%", number(100.0 * part, 2))
}

/// A part of one in percent, without decimals.
pub(super) fn whole_percent(part: f64) -> String {
    format!("{}\u{a0}%", number(100.0 * part, 0))
}

/// As many decimals as `step` needs to be told from the next one.
pub(super) fn decimals(step: f64) -> usize {
    (0..9)
        .find(|places| step * 10_f64.powi(*places) >= 0.999)
        .map_or(9, |places| usize::try_from(places).unwrap_or(0))
}

/// Three significant digits, without an exponent.
pub(super) fn significant(value: f64) -> String {
    let magnitude = value.abs();
    let places = (0..9).find(|places| magnitude * 10_f64.powi(*places) >= 99.95).unwrap_or(9);
    if magnitude < 1e-9 { "0".to_owned() } else { number(value, usize::try_from(places.min(6)).unwrap_or(0)) }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant as it is written here: UTC.
pub(super) struct Moment(jiff::civil::DateTime);

impl Moment {
    pub(super) fn of_second(second: i64) -> Self {
        let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        Self(jiff::tz::Offset::UTC.to_datetime(at))
    }

    /// `Jan`.
    pub(super) fn month(&self) -> &'static str {
        MONTHS[usize::from(self.0.month().unsigned_abs().clamp(1, 12)) - 1]
    }

    /// `2026`.
    pub(super) fn year(&self) -> String {
        self.0.year().to_string()
    }

    /// `5 Jan`.
    pub(super) fn day(&self) -> String {
        format!("{} {}", self.0.day(), self.month())
    }

    /// `5 Jan 2026`.
    pub(super) fn date(&self) -> String {
        format!("{} {}", self.day(), self.0.year())
    }

    /// `18:30`.
    pub(super) fn clock(&self) -> String {
        format!("{:02}:{:02}", self.0.hour(), self.0.minute())
    }

    /// `2026-01-05`, for tables.
    pub(super) fn iso(&self) -> String {
        self.0.date().to_string()
    }

    /// Where ticks go.
    pub(super) fn day_and_month(&self) -> (i8, i8) {
        (self.0.day(), self.0.month())
    }

    pub(super) fn hour(&self) -> i8 {
        self.0.hour()
    }

    pub(super) fn is_monday(&self) -> bool {
        self.0.weekday() == jiff::civil::Weekday::Monday
    }
}

/// `48 h`, `30 min`, `3 days`, `90 s`.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        86_400 => "1 day".to_owned(),
        seconds if seconds > 0 && seconds % 86_400 == 0 => format!("{} days", seconds / 86_400),
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
