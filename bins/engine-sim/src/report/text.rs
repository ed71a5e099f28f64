//! Text of tables: padding, numbers, spans, colour.

use super::rounded;

/// ANSI colours, or none.
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    pub(crate) fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn green(&self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.0 && !text.trim().is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Pads to a width in characters: to the right for names, to the left for numbers.
pub(crate) fn pad(text: &str, width: usize, left: bool) -> String {
    let gap = " ".repeat(width.saturating_sub(text.chars().count()));
    if left { format!("{text}{gap}") } else { format!("{gap}{text}") }
}

/// So many decimals, and never -0.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let places = i32::try_from(decimals).unwrap_or(0);
    format!("{:.decimals$}", rounded(value, places))
}

/// Days of budget: `0.0003 d`, `1.25 d`, `310 d`.
pub(crate) fn overspent(days: f64) -> String {
    match days {
        days if days < 0.000_05 => "0 d".to_owned(),
        days if days < 0.1 => format!("{days:.4} d"),
        days if days < 100.0 => format!("{days:.2} d"),
        days => format!("{days:.0} d"),
    }
}

/// `48 h`, `30 min`, `90 s`.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// The same of days too.
pub(crate) fn whole_span(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "at most 30 days")]
    let whole = seconds as i64;
    if whole > 0 && whole % 86_400 == 0 { format!("{} d", whole / 86_400) } else { span(whole) }
}

/// A whole number with its thousands apart.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Three significant digits, without an exponent.
pub(crate) fn significant(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=9")]
    let decimals = (2.0 - value.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}")
}

/// `4.2 s`, `12 min`, `3.5 h`, `2 d`: about how long.
pub(crate) fn seconds(seconds: f64) -> String {
    let shown = |value: f64, unit: &str| {
        let decimals = i32::from(value < 10.0);
        format!("{} {unit}", rounded(value, decimals))
    };
    match seconds {
        seconds if seconds < 120.0 => shown(seconds, "s"),
        seconds if seconds < 7_200.0 => shown(seconds / 60.0, "min"),
        seconds if seconds < 172_800.0 => shown(seconds / 3_600.0, "h"),
        seconds => shown(seconds / 86_400.0, "d"),
    }
}

/// Most characters of a text from elsewhere.
const BRIEF: usize = 240;

/// A text from elsewhere, cut to a length that a reader can bear.
pub(crate) fn brief(text: &str) -> String {
    let mut shown: String = text.chars().take(BRIEF).collect();
    if text.chars().nth(BRIEF).is_some() {
        shown.push_str("..");
    }
    shown
}

/// A text as lines of at most so many characters, broken at spaces where there are any, control characters
/// escaped: it may come from elsewhere.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let letters: Vec<char> = word.chars().flat_map(printed).collect();
        let length = lines.last().map_or(0, |line| line.chars().count());
        if let Some(line) = lines.last_mut().filter(|_| length > 0 && length + 1 + letters.len() <= columns) {
            line.push(' ');
            line.extend(letters);
            continue;
        }
        let pieces = letters.chunks(columns.max(1)).map(String::from_iter);
        if length == 0 {
            lines.pop();
        }
        lines.extend(pieces);
    }
    lines
}

fn printed(letter: char) -> impl Iterator<Item = char> {
    let (escaped, plain) = if letter.is_control() { (Some(letter), None) } else { (None, Some(letter)) };
    escaped.into_iter().flat_map(char::escape_default).chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_else_where_they_must() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrapped("ab abcdefgh", 4), ["ab", "abcd", "efgh"]);
        assert_eq!(wrapped("a\u{1b}[2J\nb", 20), ["a\\u{1b}[2J\\nb"]);
        assert_eq!(wrapped("", 4).len(), 0);
    }

    #[test]
    fn spans_are_about_right() {
        let shown: Vec<String> = [0.4, 42.0, 240.0, 5_400.0, 180_000.0].map(seconds).into();
        assert_eq!(shown, ["0.4 s", "42 s", "4 min", "90 min", "2.1 d"]);
    }
}
