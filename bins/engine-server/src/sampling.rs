//! Log lines of which there are many: a few of each kind are written, then how many more there were. So no fault, and
//! nobody who causes one over and over, can fill a disk; all of them are counted.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// So long lines of one kind are counted together.
const WINDOW: Duration = Duration::from_mins(5);
/// Lines of one kind in that time.
const MOST: usize = 10;
/// The same line in that time: enough to see that something comes and goes.
const MOST_ALIKE: usize = 3;
/// What is said of lines that were left out is never left out itself.
const TARGET: &str = "engine_server::logging";
/// Longest part of a line that is told with the count.
const LONGEST: usize = 200;

/// A kind of lines is a place in the code: there are as many as the program was built with.
type Kind = tracing::callsite::Identifier;

static ROWS: LazyLock<Mutex<Rows<Kind>>> = LazyLock::new(Mutex::default);

/// Says of every kind whose time is over, or of all of them, how many lines were left out.
pub(crate) fn tell_left_out(now: Option<Instant>) {
    let over = ROWS.lock().unwrap_or_else(PoisonError::into_inner).over(now);
    for LeftOut { level, line, lines } in over {
        let message = "there were more lines like this";
        match level {
            Level::ERROR => tracing::error!(target: TARGET, lines, line, "{message}"),
            Level::WARN => tracing::warn!(target: TARGET, lines, line, "{message}"),
            _ => tracing::info!(target: TARGET, lines, line, "{message}"),
        }
    }
}

/// The layer that leaves lines out. Whoever asks for debugging gets all of that.
pub(crate) struct Sampling;

impl<S: Subscriber> Layer<S> for Sampling {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let Some(level) = word(event.metadata()) else { return true };
        let mut line = Line::default();
        event.record(&mut line);
        metrics::counter!("log_lines_total", "level" => level).increment(1);
        let kind = event.metadata().callsite();
        let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
        let said = rows.say(kind, *event.metadata().level(), &line, Instant::now());
        drop(rows);
        if !said {
            metrics::counter!("log_lines_left_out_total", "level" => level).increment(1);
        }
        said
    }
}

/// Lines that are counted, by the word for their level.
fn word(metadata: &Metadata<'_>) -> Option<&'static str> {
    if metadata.target() == TARGET {
        return None;
    }
    match *metadata.level() {
        Level::ERROR => Some("error"),
        Level::WARN => Some("warning"),
        Level::INFO => Some("info"),
        _ => None,
    }
}

/// What a line says: the beginning of its message, and a number for all of it.
#[derive(Default)]
struct Line {
    message: String,
    all: DefaultHasher,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        field.name().hash(&mut self.all);
        let text = format!("{value:?}");
        text.hash(&mut self.all);
        if field.name() == "message" {
            self.message = text.chars().take(LONGEST).collect();
        } else if self.message.len() < LONGEST {
            let _ = write!(self.message, " {field}={text}");
            self.message = self.message.chars().take(LONGEST).collect();
        }
    }
}

/// Lines of each kind in the time that they are counted together.
#[derive(Debug)]
struct Rows<K>(HashMap<K, Row>);

impl<K> Default for Rows<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[derive(Debug)]
struct Row {
    since: Instant,
    /// What was written.
    said: Vec<u64>,
    left_out: Option<LeftOut>,
}

/// Lines that were not written.
#[derive(Debug, Clone, PartialEq)]
struct LeftOut {
    level: Level,
    /// The first of them.
    line: String,
    lines: u64,
}

impl<K: Hash + Eq> Rows<K> {
    /// Whether a line is to be written.
    fn say(&mut self, kind: K, level: Level, line: &Line, now: Instant) -> bool {
        let all = line.all.finish();
        let begin = || Row { since: now, said: Vec::new(), left_out: None };
        let row = self.0.entry(kind).or_insert_with(begin);
        if row.left_out.is_none() && now.duration_since(row.since) >= WINDOW {
            *row = begin();
        }
        let alike = row.said.iter().filter(|said| **said == all).count();
        if row.said.len() < MOST && alike < MOST_ALIKE {
            row.said.push(all);
            return true;
        }
        let first = || LeftOut { level, line: line.message.clone(), lines: 0 };
        let left_out = row.left_out.get_or_insert_with(first);
        left_out.lines = left_out.lines.saturating_add(1);
        false
    }

    /// What was left out of the kinds whose time is over by then, or of all: they begin anew.
    fn over(&mut self, now: Option<Instant>) -> Vec<LeftOut> {
        let is_over = |row: &Row| now.is_none_or(|now| now.duration_since(row.since) >= WINDOW);
        let mut over: Vec<_> =
            self.0.extract_if(|_, row| is_over(row)).filter_map(|(_, row)| row.left_out).collect();
        over.sort_by(|one, other| one.line.cmp(&other.line));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn line(number: u32) -> Line {
        let mut line = Line { message: format!("number {number}"), ..Line::default() };
        number.hash(&mut line.all);
        line
    }

    fn left_out(number: u32, lines: u64) -> LeftOut {
        LeftOut { level: Level::WARN, line: format!("number {number}"), lines }
    }

    #[test]
    fn the_same_line_is_written_a_few_times_and_then_counted_until_its_time_is_over() {
        let (mut rows, begin) = (Rows::default(), Instant::now());
        let mut said = 0;
        for second in 0..299 {
            said += usize::from(rows.say("kind", Level::WARN, &line(1), begin + second * SECOND));
            assert_eq!(rows.over(Some(begin + second * SECOND)), []);
        }
        assert_eq!(said, MOST_ALIKE);
        let end = begin + WINDOW;
        assert!(!rows.say("kind", Level::WARN, &line(1), end), "nobody has told the count yet");
        assert_eq!(rows.over(Some(end)), [left_out(1, 299 + 1 - 3)]);
        assert_eq!(rows.over(Some(end)), [], "once");
        assert!(rows.say("kind", Level::WARN, &line(1), end), "it is news again");
    }

    #[test]
    fn lines_that_differ_are_written_ten_times_each_kind_for_itself() {
        let (mut rows, now) = (Rows::default(), Instant::now());
        for kind in ["one", "other"] {
            let said = (0..10_000).filter(|number| rows.say(kind, Level::WARN, &line(*number), now)).count();
            assert_eq!(said, MOST, "{kind}");
        }
        assert_eq!(rows.0.values().map(|row| row.said.len()).collect::<Vec<_>>(), [MOST; 2]);
        assert_eq!(rows.over(None), [left_out(10, 9_990), left_out(10, 9_990)]);
        assert!(rows.0.is_empty(), "nothing is kept of what is over");
    }

    #[test]
    fn what_is_rare_is_always_written() {
        let (mut rows, begin) = (Rows::default(), Instant::now());
        for times in 0..100 {
            let now = begin + times * WINDOW / 3;
            assert!(rows.say("kind", Level::ERROR, &line(1), now), "{times}");
        }
        assert_eq!(rows.over(None), []);
    }
}
