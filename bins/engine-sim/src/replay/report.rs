//! What came of a replay, for people and for programs.

use std::io::{self, Write};

use engine::journal::Outcome;
use serde_json::{Value, json};

use super::check::{Difference, Told};
use super::decision::{Decision, Made};
use super::{Pairs, Replayed};
use crate::args::TextFormat;
use crate::report::text::{Paint, brief, pad, seconds, thousands, wrapped};

/// Widest line.
const COLUMNS: usize = 100;
/// Most schedules that are named to people.
const NAMED: usize = 20;

pub(super) fn write(
    replayed: &Replayed,
    name: &str,
    format: TextFormat,
    color: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match format {
        TextFormat::Text => text(replayed, name, &Paint(color), out)?,
        TextFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &document(replayed, name))?;
            writeln!(out)?;
        }
    }
    Ok(out.flush()?)
}

fn text(replayed: &Replayed, name: &str, paint: &Paint, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", paint.bold("engine-sim replay"))?;
    writeln!(out)?;
    let mut say = |what: &str, text: &str| row(what, text, paint, out);
    say("export", &format!("{name}, written {}", replayed.exported_at))?;
    match replayed.span {
        None => say("span", &format!("no records after the base before record {}", replayed.first))?,
        Some((from, to)) => {
            let long = seconds(to.duration_since(from).as_secs_f64().max(0.0));
            say("span", &format!("{from} to {to}, {long}"))?;
        }
    }
    let total: u64 = replayed.records.values().sum();
    let mut kinds: Vec<(&str, u64)> = replayed.records.iter().map(|(kind, count)| (*kind, *count)).collect();
    kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), *kind));
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{} {kind}", thousands(*count as f64))).collect();
    if total > 0 {
        say("records", &format!("{} from record {}: {}", number(total), replayed.first, kinds.join(", ")))?;
    }
    let mut schedules: Vec<_> = replayed.schedules.iter().collect();
    schedules.sort_by_key(|(id, count)| (std::cmp::Reverse(**count), *id));
    let named: Vec<String> =
        schedules.iter().take(NAMED).map(|(id, count)| format!("{id} {}", number(**count))).collect();
    let more =
        if schedules.len() > NAMED { format!(", {} more", schedules.len() - NAMED) } else { String::new() };
    let published = if named.is_empty() { "" } else { ", published: " };
    say("schedules", &format!("{}{published}{}{more}", schedules.len(), named.join(", ")))?;
    say("compared", &compared(replayed))?;
    if replayed.alone > 0 {
        let text = format!(
            "{} with nothing to compare with: what was published last before a stop, or before the export, was not \
             written down any more",
            publications(replayed.alone)
        );
        say("", &text)?;
    }
    if let Some((at, count)) = replayed.unrecorded {
        let text = format!(
            "from {at} on something was acted upon that could not be written down: the {} since then are compared with \
             nothing. A new base was written soon after: for later times export with a later --from",
            publications(count)
        );
        say("unrecorded", &text)?;
    }
    writeln!(out)?;
    match &replayed.difference {
        None if replayed.compared == 0 => writeln!(out, "  {}", paint.bold("Nothing was compared.")),
        None => writeln!(
            out,
            "  {}",
            paint.green("Every publication that was compared is the same, to the last byte.")
        ),
        Some((difference, after)) => self::difference(difference, after, paint, out),
    }
}

/// A word, and beside it what there is to say, in as many lines as it takes.
fn row(what: &str, text: &str, paint: &Paint, out: &mut impl Write) -> io::Result<()> {
    for (index, line) in wrapped(text, COLUMNS - 14).iter().enumerate() {
        let what = if index == 0 { what } else { "" };
        writeln!(out, "  {}{line}", paint.dim(&format!("{what:<12}")))?;
    }
    Ok(())
}

fn compared(replayed: &Replayed) -> String {
    let difference = if replayed.difference.is_some() { ", up to the first difference" } else { "" };
    format!("{}{difference}", publications(replayed.compared))
}

fn publications(count: u64) -> String {
    format!("{} publication{}", number(count), if count == 1 { "" } else { "s" })
}

fn number(count: u64) -> String {
    thousands(count as f64)
}

/// The first thing that is not as it was, and what there is to know of it.
fn difference(
    difference: &Difference,
    after: &[Told],
    paint: &Paint,
    out: &mut impl Write,
) -> io::Result<()> {
    let Difference { id, target, record, then, now, before } = difference;
    let head = format!("Not the same: {id} at {}, record {}, line {}", record.at, record.number, record.line);
    writeln!(out, "  {}", paint.red(&head))?;
    writeln!(out)?;
    let mut say = |what: &str, text: &str| row(what, text, paint, out);
    say("then", &then.as_ref().map_or_else(|| "nothing was published".to_owned(), shown))?;
    match now {
        None => say("now", "nothing is published")?,
        Some((outcome, decision)) => {
            say("now", &shown(outcome))?;
            if then.as_ref().is_some_and(|then| then.weights == outcome.weights) {
                say("", "the same weights: something else in the document is not the same")?;
            }
            for (what, text) in numbers(decision) {
                say(what, &text)?;
            }
        }
    }
    writeln!(out)?;
    let target = target.as_ref().map_or_else(String::new, |target| format!(", and forecasts for {target}"));
    writeln!(out, "  {}", paint.dim(&format!("What came in for {id}{target}:")))?;
    let width = after.last().unwrap_or(record).number.to_string().len();
    let marked = before.iter().map(|told| (' ', told)).chain([('>', record)]);
    for (mark, told) in marked.chain(after.iter().map(|told| (' ', told))) {
        let number = pad(&told.number.to_string(), width, false);
        let start = format!("{mark} {number}  {}  ", told.at);
        let indent = start.chars().count();
        for (index, line) in wrapped(&told.text, COLUMNS.saturating_sub(indent + 2)).iter().enumerate() {
            let start = if index == 0 { start.clone() } else { " ".repeat(indent) };
            let text = format!("  {start}{line}");
            writeln!(out, "{}", if mark == '>' { paint.bold(&text) } else { text })?;
        }
    }
    Ok(())
}

/// `weights 40 0 60, CRC-32 0x1a2b3c4d`.
fn shown(outcome: &Outcome) -> String {
    let weights: Vec<String> = outcome.weights.iter().map(ToString::to_string).collect();
    let weights = if weights.is_empty() { "none".to_owned() } else { weights.join(" ") };
    format!("weights {weights}, CRC-32 of the document {:#010x}", outcome.digest)
}

/// What is behind a decision, by a word for each.
fn numbers(decision: &Decision) -> Vec<(&'static str, String)> {
    let Some(made) = &decision.made else { return vec![("reason", decision.reason.clone())] };
    let Made { policy, error, target_error, forecast, credit_balance, throttle, .. } = made;
    let Pairs(weights) = &made.weights;
    let weights: Vec<String> = weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
    let mut said = vec![
        ("policy", format!("{policy}, generation {}: {}", made.generation, decision.reason)),
        ("weights", weights.join(", ")),
        ("error", format!("{error:.4} of a target of {target_error}, throttle {throttle:.2}")),
    ];
    let mut credit = format!("ledger {credit_balance:.4}");
    if let Some(budget) = &made.budget {
        credit.extend([format!(
            "; budget {:.2}, of it held {:.2}, spendable {:.2}",
            budget.balance, budget.held, budget.spendable
        )]);
    }
    said.push(("credit", credit));
    let intensity = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let source = forecast.source.as_deref().unwrap_or("no forecast");
    let age = forecast.age_seconds.map_or_else(String::new, |age| format!(", {} old", seconds(age)));
    let (now, next) = (intensity(forecast.now), intensity(forecast.next));
    said.push(("carbon", format!("{now} now, {next} next gCO2eq/kWh from {source}{age}")));
    for warning in &made.warnings {
        said.push(("warning", brief(warning)));
    }
    said
}

fn document(replayed: &Replayed, name: &str) -> Value {
    let schedules: serde_json::Map<String, Value> =
        replayed.schedules.iter().map(|(id, count)| (id.to_string(), json!(count))).collect();
    let (from, to) = replayed.span.unzip();
    json!({
        "command": "replay",
        "export": {"file": name, "exportedAt": replayed.exported_at, "firstRecord": replayed.first},
        "from": from,
        "to": to,
        "records": replayed.records,
        "schedules": schedules,
        "compared": replayed.compared,
        "notCompared": replayed.alone,
        "unrecorded": replayed.unrecorded.map(|(from, count)| json!({"from": from, "publications": count})),
        "difference": replayed.difference.as_ref().map(|(difference, after)| {
            let told = |told: &Told| json!({"record": told.number, "line": told.line, "at": told.at, "input": told.text});
            let Difference { id, target, record, then, now, before } = &**difference;
            json!({
                "schedule": id.to_string(),
                "carbonTarget": target,
                "record": told(record),
                "then": then.as_ref().map(outcome),
                "now": now.as_ref().map(|(now, _)| outcome(now)),
                "decision": now.as_ref().map(|(_, decision)| decision),
                "before": before.iter().map(told).collect::<Vec<_>>(),
                "after": after.iter().map(told).collect::<Vec<_>>(),
            })
        }),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    json!({"weights": outcome.weights, "digest": outcome.digest})
}
