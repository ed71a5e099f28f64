//! What came in, in a line.

use engine::Polled;
use engine::journal::{Answer, Input, Record};
use jiff::SignedDuration;
use models::{Feedback, Forecast, Manual, Overrides, Slot, Timestamp};
use serde_json::Value;

use crate::report::text::{brief, seconds, thousands};

/// Most flavours that a line names.
const NAMED: usize = 6;

/// What came in and what it came to.
pub(crate) fn of(record: &Record, answer: &Answer) -> String {
    let told = match &record.input {
        Input::Start { refused, .. } if refused.is_empty() => "a process began".to_owned(),
        Input::Start { refused, .. } => {
            let refused: Vec<&str> = refused.values().map(String::as_str).collect();
            format!("a process began; {}", brief(&refused.join("; ")))
        }
        Input::Configure { overrides, .. } => {
            format!("PUT {}", asked(overrides))
        }
        Input::ConfigureInCluster { wanted, .. } => format!("its cluster asks for {}", asked(wanted)),
        Input::LeaveCluster { stay: true, .. } => "its object is gone: reset to the defaults".to_owned(),
        Input::LeaveCluster { stay: false, .. } => "its object is gone: removed".to_owned(),
        Input::Remove { .. } => "removed".to_owned(),
        Input::Reset { .. } => "reset to the defaults, with a fresh ledger".to_owned(),
        Input::SetManual { manual, .. } => set_manual(manual),
        Input::ClearManual { .. } => "the override was ended".to_owned(),
        Input::Feedback { feedback, .. } => served(feedback, record.at),
        Input::Poll { from, to, counts, .. } => {
            let span = seconds(to.duration_since(*from).as_secs_f64());
            format!("poll: {} over {span} to {to}", requests(counts.iter().map(|(name, n)| (&**name, *n))))
        }
        Input::Note { notes, .. } if notes.is_empty() => "whoever polls has nothing to say".to_owned(),
        Input::Note { notes, .. } => format!("whoever polls says: {}", brief(&notes.join("; "))),
        Input::Forecast { target, forecast, actuals, is_current } => {
            format!("forecast for {target} {}", received(forecast, actuals, *is_current, record.at))
        }
        Input::Tick => "tick".to_owned(),
        Input::Unrecorded => "something was acted upon without being written down".to_owned(),
    };
    match came_to(answer) {
        Some(end) => format!("{told}: {end}"),
        None => told,
    }
}

/// What an answer adds to what was asked for.
pub(crate) fn came_to(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Configured(Err(wrong)) | Answer::Left(Err(wrong)) | Answer::Reset(Err(wrong)) => {
            Some(format!("refused: {wrong}"))
        }
        Answer::Configured(Ok(accepted)) if !accepted.changed => Some("changed nothing".to_owned()),
        Answer::Configured(Ok(accepted)) => Some(format!("generation {}", accepted.generation)),
        Answer::Set(Ok(until)) => Some(format!("until {until}")),
        Answer::Set(Err(wrong)) | Answer::Counted(Err(wrong)) => Some(format!("refused: {wrong}")),
        Answer::Counted(Ok(report)) if report.duplicate => Some("counted before".to_owned()),
        Answer::Removed(Err(unknown))
        | Answer::Cleared(Err(unknown))
        | Answer::Polled(Err(unknown))
        | Answer::Noted(Err(unknown)) => Some(unknown.to_string()),
        Answer::Polled(Ok(Polled::Refused)) => Some("not counted, a router posts".to_owned()),
        Answer::Observed(Err(mixed)) => Some(format!("refused: {mixed}")),
        Answer::Ticked(tick) => Some(format!("evaluated {}", tick.evaluated)),
        Answer::Started(problems) if !problems.is_empty() => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Some(format!("defaults not put in force: {}", brief(&problems.join("; "))))
        }
        Answer::Removed(Ok(()))
        | Answer::Left(Ok(()))
        | Answer::Reset(Ok(()))
        | Answer::Cleared(Ok(_))
        | Answer::Counted(Ok(_))
        | Answer::Polled(Ok(Polled::Counted { .. }))
        | Answer::Noted(Ok(()))
        | Answer::Observed(Ok(()))
        | Answer::Started(_)
        | Answer::Unrecorded => None,
    }
}

/// How long after the end of its window a post came.
pub(crate) fn lateness(feedback: &Feedback, at: Timestamp) -> SignedDuration {
    feedback.window_end.map_or(SignedDuration::ZERO, |end| at.duration_since(end).max(SignedDuration::ZERO))
}

/// `340 requests (a 120, b 220)`.
pub(crate) fn requests<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let counts: Vec<(&str, u64)> = counts.filter(|(_, count)| *count > 0).collect();
    let total: f64 = counts.iter().map(|(_, count)| *count as f64).sum();
    if counts.is_empty() {
        return "0 requests".to_owned();
    }
    let named = counts.iter().take(NAMED).map(|(name, count)| format!("{name} {}", thousands(*count as f64)));
    let named: Vec<String> = named.collect();
    let more = if counts.len() > NAMED { ", .." } else { "" };
    format!("{} requests ({}{more})", thousands(total), named.join(", "))
}

/// `policy random, flavours large 1, small 0.85`.
fn asked(overrides: &Overrides) -> String {
    let body = overrides.to_json();
    let asked = body.iter().map(|(key, value)| match value {
        Value::String(text) => format!("{key} {text}"),
        Value::Array(list) if key == "flavours" => {
            let precision = |flavour: &Value| flavour.get("precision").map(Value::to_string);
            let name = |flavour: &Value| flavour.get("name").and_then(Value::as_str).map(str::to_owned);
            let named =
                list.iter().take(NAMED).filter_map(|one| Some(format!("{} {}", name(one)?, precision(one)?)));
            let named: Vec<String> = named.collect();
            format!("{key} {}{}", named.join(", "), if list.len() > NAMED { ", .." } else { "" })
        }
        other => format!("{key} {other}"),
    });
    let asked: Vec<String> = asked.collect();
    if asked.is_empty() { "that asks for the defaults".to_owned() } else { brief(&asked.join("; ")) }
}

fn served(feedback: &Feedback, at: Timestamp) -> String {
    let sender = feedback.sender.as_ref().map_or_else(String::new, |sender| match sender.sequence {
        Some(sequence) => format!(" of {} no. {sequence}", brief(&sender.source)),
        None => format!(" of {}", brief(&sender.source)),
    });
    let counts = requests(feedback.counts.iter().map(|(name, count)| (&**name, *count)));
    let late = lateness(feedback, at);
    let late = if late.is_zero() { String::new() } else { format!(", {} late", seconds(late.as_secs_f64())) };
    format!("feedback{sender}: {counts} over {}{late}", seconds(feedback.window_seconds))
}

fn set_manual(manual: &Manual) -> String {
    let weights: Vec<String> =
        manual.weights.iter().take(NAMED).map(|(name, weight)| format!("{name} {weight}")).collect();
    let more = if manual.weights.len() > NAMED { ", .." } else { "" };
    let reason = manual.reason.as_ref().map_or_else(String::new, |reason| format!(", \"{}\"", brief(reason)));
    format!("override {}{more}{reason}", weights.join(", "))
}

/// `from uk-carbon-intensity: 96 slots to 2026-..Z, issued 4 min before; 1 measured`.
pub(crate) fn received(forecast: &Forecast, actuals: &[Slot], is_current: bool, at: Timestamp) -> String {
    let until = forecast.slots().last().map_or_else(String::new, |slot| format!(" to {}", slot.to));
    let old = at.duration_since(forecast.issued_at.unwrap_or(forecast.retrieved_at)).as_secs_f64();
    let issued = if forecast.issued_at.is_some() { "issued" } else { "received" };
    let issued =
        if old < 1.0 { format!("{issued} just then") } else { format!("{issued} {} before", seconds(old)) };
    let stands_in = forecast.stand_in_for.as_ref().map_or_else(String::new, |name| format!(" for {name}"));
    let kept = if is_current { "" } else { "; a better one stays" };
    let measured = if actuals.is_empty() { String::new() } else { format!("; {} measured", actuals.len()) };
    format!(
        "from {}{stands_in}: {} slots{until}, {issued}{measured}{kept}",
        forecast.source,
        forecast.slots().len(),
    )
}
