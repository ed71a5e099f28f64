//! A sweep in a table: how much of the possible gain was captured, by what was varied.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::row::Row;
use crate::report::text::{Paint, fixed, overspent, pad, whole_span};

const HEADS: [[&str; COUNT]; 2] = [
    ["", "", "target", "", "", "gain captured, %", "", "worst", "most"],
    ["forecast", "family", "error", "budget", "runs", "median", "least", "24 h", "overspent"],
];
const COUNT: usize = 9;
const WIDTHS: [usize; COUNT] = [11, 24, 8, 8, 6, 9, 9, 9, 12];

/// What rows of one line have in common. Seeds of noise are no difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    policy: &'a str,
    family: &'a str,
    forecast: &'a str,
    target: Number<'a>,
    window: Number<'a>,
}

/// A number as it was written, in the order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number<'a>(&'a str);

impl Number<'_> {
    fn value(self) -> f64 {
        self.0.parse().unwrap_or(0.0)
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value().total_cmp(&other.value()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Group<'a> {
    fn of(row: &'a Row) -> Self {
        let column = |name| row.key.column(name);
        let family = column("family");
        let forecast = column("forecast_mode");
        Self {
            policy: column("policy"),
            family: if family.is_empty() { column("flavours") } else { family },
            forecast: forecast.split_once(':').map_or(forecast, |(kind, _)| kind),
            target: Number(column("target_error")),
            window: Number(column("budget_window_seconds")),
        }
    }
}

pub(super) fn write(rows: &[Row], color: bool, out: &mut impl Write) -> io::Result<()> {
    let paint = Paint(color);
    let mut groups: BTreeMap<Group<'_>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        groups.entry(Group::of(row)).or_default().push(row);
    }
    let mut policy = "";
    for (group, rows) in &groups {
        if group.policy != policy {
            policy = group.policy;
            writeln!(out, "{}", paint.bold(policy))?;
            writeln!(out)?;
            for heads in HEADS {
                writeln!(out, "  {}", paint.bold(&columns(&heads.map(str::to_owned))))?;
            }
            writeln!(out, "  {}", paint.dim(&"─".repeat(WIDTHS.iter().sum())))?;
        }
        let mark = if rows.iter().any(|row| row.is_broken()) { "!!" } else { "  " };
        writeln!(out, "{mark}{}", columns(&cells(group, rows)))?;
        let last = groups.range(group.clone()..).nth(1).is_none_or(|(next, _)| next.policy != policy);
        if last {
            writeln!(out)?;
        }
    }
    let mut say = |text: &str| writeln!(out, "  {}", paint.dim(text));
    say("Gain captured is what a policy saves against the constant mix, as a part of what hindsight under")?;
    say("the same error budget saves; median and least are over the runs of a line. Worst 24 h is the")?;
    say("largest mean error of any 24 h, in targets; most overspent the most ever spent beyond the target")?;
    say("by then, in mean days of budget.")?;
    if rows.iter().any(Row::is_broken) {
        say("!! marks runs that broke the budget they promise to keep: a defect.")?;
    }
    Ok(())
}

fn cells(group: &Group<'_>, rows: &[&Row]) -> [String; COUNT] {
    let numbers = |name| rows.iter().filter_map(move |row| row.number(name));
    let mut skills: Vec<f64> = numbers("skill").collect();
    skills.sort_by(f64::total_cmp);
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| fixed(100.0 * value, 1));
    let target = group.target.value();
    let worst_day = numbers("worst_24h_error").fold(0.0, f64::max);
    let worst_overspend = numbers("worst_overspend_days").reduce(f64::max);
    [
        group.forecast.to_owned(),
        group.family.to_owned(),
        group.target.0.to_owned(),
        whole_span(group.window.value()),
        rows.len().to_string(),
        percent(median(&skills)),
        percent(skills.first().copied()),
        if target > 0.0 { format!("{:.2}x", worst_day / target) } else { "-".to_owned() },
        worst_overspend.map_or_else(|| "-".to_owned(), overspent),
    ]
}

/// Of sorted values; the mean of the middle two of an even number.
fn median(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[half - 1], upper) })
}

fn columns(cells: &[String; COUNT]) -> String {
    let left = 2;
    let padded = cells.iter().zip(WIDTHS).enumerate().map(|(index, (cell, width))| {
        let short: String = cell.chars().take(width - 1).collect();
        // A head over two columns is wider than its own.
        if cell.chars().count() > width && index >= left {
            cell.clone()
        } else {
            pad(&short, width, index < left)
        }
    });
    padded.collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0]), Some(1.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
    }
}
