//! For people: a line per decision, below it why, and between them what came in. Within 116 columns.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::tz::Offset;
use models::{ScheduleId, Timestamp};

use super::since::Since;
use super::{End, Row, Teller};
use crate::args::ExplainArgs;
use crate::replay::{Made, Pairs};
use crate::report::text::{Paint, brief, fixed, pad, significant, wrapped};

/// Widest line.
const COLUMNS: usize = 116;
/// How far what is below a row is indented.
const INDENT: usize = 10;

const COUNT: usize = 13;
const HEADS: [&str; COUNT] = [
    "time", "weights", "error", "now", "next", "age", "credit", "budget", "held", "left", "price", "req/s",
    "throt.",
];
const WIDTHS: [usize; COUNT] = [10, 13, 8, 7, 7, 8, 9, 10, 9, 10, 10, 8, 7];

pub(super) struct Text<'a, W: Write> {
    schedule: &'a ScheduleId,
    span: (Option<Timestamp>, Option<Timestamp>),
    file: String,
    paint: Paint,
    out: &'a mut W,
    day: Option<String>,
    names: Vec<Arc<str>>,
    source: Option<String>,
    /// What was said last of why.
    reason: Option<String>,
}

impl<'a, W: Write> Text<'a, W> {
    pub(super) fn new(args: &'a ExplainArgs, file: &str, color: bool, out: &'a mut W) -> Self {
        Self {
            schedule: &args.schedule,
            span: (args.from, args.to),
            file: file.to_owned(),
            paint: Paint(color),
            out,
            day: None,
            names: Vec::new(),
            source: None,
            reason: None,
        }
    }

    /// Something below or between rows: a mark and a text.
    fn say(&mut self, mark: &str, text: &str, paint: fn(&Paint, &str) -> String) -> io::Result<()> {
        let room = COLUMNS - INDENT - 2;
        for (index, line) in wrapped(text, room).iter().enumerate() {
            let mark = if index == 0 { mark } else { "" };
            let line = paint(&self.paint, line);
            writeln!(self.out, "{}{} {line}", " ".repeat(INDENT), pad(mark, 1, true))?;
        }
        Ok(())
    }

    fn came_in(&mut self, since: &Since) -> io::Result<()> {
        let plain = |_: &Paint, text: &str| text.to_owned();
        for event in &since.events {
            self.say("<", &format!("{} {}", clock(event.at), event.text), plain)?;
        }
        if since.more_events > 0 {
            self.say("<", &format!("and {} more", since.more_events), Paint::dim)?;
        }
        if let Some(vintages) = &since.forecasts {
            self.say("<", &format!("{} {}", clock(vintages.last_at()), vintages.in_words()), plain)?;
        }
        if let Some(posts) = &since.feedback {
            self.say("<", &posts.in_words(), plain)?;
        }
        Ok(())
    }

    fn left_out(&mut self, count: u64) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let text = format!("{count} decision{} that changed nothing", if count == 1 { "" } else { "s" });
        self.say("", &text, Paint::dim)
    }

    /// A head for every day.
    fn day(&mut self, at: Timestamp) -> io::Result<()> {
        let day = Offset::UTC.to_datetime(at).strftime("%A %Y-%m-%d, UTC").to_string();
        if self.day.as_ref() == Some(&day) {
            return Ok(());
        }
        let heads = HEADS.map(str::to_owned);
        writeln!(self.out, "\n{}\n{}", self.paint.bold(&day), self.paint.dim(&columns(&heads)))?;
        self.day = Some(day);
        Ok(())
    }

    /// Which weight is whose, wherever that changes.
    fn names(&mut self, made: &Made) -> io::Result<()> {
        let Pairs(weights) = &made.weights;
        let names = || weights.iter().map(|(name, _)| name);
        if names().eq(&self.names) {
            return Ok(());
        }
        self.names = names().cloned().collect();
        let names: Vec<&str> = self.names.iter().map(|name| &**name).collect();
        self.say("", &format!("weights of {}", brief(&names.join("/"))), Paint::dim)
    }

    fn below(&mut self, made: &Made) -> io::Result<()> {
        if shares(made).is_none() {
            let Pairs(weights) = &made.weights;
            let weights = weights.iter().filter(|(_, weight)| *weight > 0);
            let weights: Vec<String> = weights.map(|(name, weight)| format!("{name} {weight}")).collect();
            self.say("", &weights.join(", "), |_, text| text.to_owned())?;
        }
        let forecast = &made.forecast;
        let source = forecast.source.as_ref().map(|source| {
            let stands_in =
                forecast.stand_in_for.as_ref().map_or_else(String::new, |name| format!(" for {name}"));
            format!("{source}{stands_in}{}", if forecast.stale { ", ended" } else { "" })
        });
        if source != self.source {
            let text = source.as_ref().map_or_else(
                || "without a forecast".to_owned(),
                |source| format!("with the forecast from {source}"),
            );
            self.say("", &text, Paint::dim)?;
            self.source = source;
        }
        Ok(())
    }
}

impl<W: Write> Teller for Text<'_, W> {
    fn begin(&mut self) -> io::Result<()> {
        let head = self.paint.bold(&format!("engine-sim explain {}", self.schedule));
        let span = match self.span {
            (None, None) => String::new(),
            (Some(from), None) => format!(", from {from}"),
            (None, Some(to)) => format!(", to {to}"),
            (Some(from), Some(to)) => format!(", from {from} to {to}"),
        };
        writeln!(self.out, "{head}\n{}{span}", self.file)
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        self.left_out(row.left_out)?;
        self.day(row.decision.at)?;
        self.came_in(&row.since)?;
        let Some(made) = &row.decision.made else {
            writeln!(self.out, "{}nothing can be decided", pad(&clock(row.decision.at), WIDTHS[0], true))?;
            return self.say("", &brief(&row.decision.reason), Paint::red);
        };
        self.names(made)?;
        let line = columns(&cells(row.decision.at, made));
        writeln!(self.out, "{}", if row.is_before { self.paint.dim(&line) } else { self.paint.bold(&line) })?;
        self.below(made)?;
        if row.is_before {
            self.say("", "in force when the span begins", Paint::dim)?;
        }
        let reason = Some(format!("{}: {}", made.policy, row.decision.reason));
        if reason != self.reason {
            self.say("", reason.as_deref().unwrap_or_default(), |_, text| text.to_owned())?;
            self.reason = reason;
        }
        for warning in &row.new_warnings {
            self.say("+", &format!("warning: {}", brief(warning)), Paint::red)?;
        }
        for warning in &row.gone_warnings {
            self.say("-", &format!("no longer: {}", brief(warning)), Paint::green)?;
        }
        Ok(())
    }

    fn end(&mut self, end: &End) -> io::Result<()> {
        self.left_out(end.left_out)?;
        self.came_in(&end.since)?;
        writeln!(self.out)?;
        let left_out = end.decisions - end.shown;
        let left_out = if left_out > 0 { format!(", {left_out} of them left out") } else { String::new() };
        let span = end.span.map_or_else(
            || "the export has a base and no records".to_owned(),
            |(from, to)| format!("the export is of {from} to {to}"),
        );
        writeln!(self.out, "{} decisions{left_out}; {span}", end.decisions)?;
        if let Some(at) = end.unrecorded {
            for line in wrapped(
                &format!(
                    "From {at} on something was acted upon that could not be written down: what is shown for later need \
                     not be what happened. Export with a later --from."
                ),
                COLUMNS,
            ) {
                writeln!(self.out, "{}", self.paint.red(&line))?;
            }
        }
        if end.decisions > 0 {
            for line in LEGEND {
                writeln!(self.out, "{}", self.paint.dim(line))?;
            }
        }
        Ok(())
    }
}

/// What the columns are.
const LEGEND: [&str; 6] = [
    "Weights in percent; error is the mean error they come to; now and next gCO2eq/kWh, age that of the forecast;",
    "credit the balance of the credit ledger. Budget is the balance of the error budget, held what is held back of it",
    "for what was published and not reported yet, left what may be spent, all right after the decision, in requests x",
    "error (seconds x error as long as nobody reports); price the shadow price of that; throt. the throttle of",
    "processing. Where no sentence follows, the one above holds. < what came in before the decision (and when, or the sum",
    "of it), + a warning that is new, - one that is gone.",
];

fn cells(at: Timestamp, made: &Made) -> [String; COUNT] {
    let none = || "-".to_owned();
    let whole = |value: Option<f64>| value.map_or_else(none, |value| format!("{value:.0}"));
    let budget = made.budget.as_ref();
    let credit = |value: Option<f64>| value.map_or_else(none, amount);
    [
        clock(at),
        shares(made).unwrap_or_else(|| "below".to_owned()),
        fixed(made.error, 4),
        whole(made.forecast.now),
        whole(made.forecast.next),
        made.forecast.age_seconds.map_or_else(none, crate::report::text::seconds),
        fixed(made.credit_balance, 4),
        credit(budget.map(|budget| budget.balance)),
        credit(budget.map(|budget| budget.held)),
        credit(budget.map(|budget| budget.spendable)),
        made.shadow_price.map_or_else(none, price),
        made.demand.map_or_else(none, amount),
        fixed(made.throttle, 2),
    ]
}

/// `40/0/60`, where there is room.
fn shares(made: &Made) -> Option<String> {
    let Pairs(weights) = &made.weights;
    let shares: Vec<String> = weights.iter().map(|(_, weight)| weight.to_string()).collect();
    Some(shares.join("/")).filter(|shares| shares.chars().count() < WIDTHS[1])
}

/// Time of the day, UTC.
fn clock(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%H:%M:%S").to_string()
}

/// A number of any size in at most 8 characters, if it is below 10^7.
fn amount(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 10_000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 2,
        0.0 => 0,
        _ => 4,
    };
    fixed(value, decimals)
}

/// A price: three digits, or the exponent of what is next to nothing.
fn price(value: f64) -> String {
    if value > 0.0 && value < 0.000_1 { format!("{value:.2e}") } else { significant(value) }
}

fn columns(cells: &[String; COUNT]) -> String {
    let padded =
        cells.iter().zip(WIDTHS).enumerate().map(|(index, (cell, width))| pad(cell, width, index < 2));
    padded.collect::<String>().trim_end().to_owned()
}
