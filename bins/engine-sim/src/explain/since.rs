//! What came in for a schedule since its last decision.

use std::collections::{BTreeMap, BTreeSet};

use engine::Polled;
use engine::journal::{Answer, Input};
use models::{CarbonTarget, Feedback, ScheduleId, Timestamp};
use serde::Serialize;

use crate::replay::{Step, came_to, in_words, lateness, received, requests};
use crate::report::text::{brief, seconds};

/// Most events that are kept one by one.
const MOST_EVENTS: usize = 50;

/// What came in.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Since {
    /// Everything but feedback and forecasts, in order.
    pub(super) events: Vec<Event>,
    /// Events beyond the most.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) more_events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) feedback: Option<Posts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) forecasts: Option<Vintages>,
}

/// One thing that came in.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    record: u64,
    kind: &'static str,
    pub(super) text: String,
}

/// What was served, as it was told.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Posts {
    #[serde(rename = "posts")]
    count: u64,
    polls: u64,
    sources: BTreeSet<String>,
    requests: u64,
    requests_by_flavour: BTreeMap<String, u64>,
    /// Longest time between the end of a window and its post.
    latest_seconds: f64,
    /// Counted before.
    duplicates: u64,
    /// Not counted at all.
    refused: u64,
    /// Why, of the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
}

/// Forecasts for the schedule's target.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Vintages {
    received: u64,
    last_at: Timestamp,
    last: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Since {
    /// Takes up a record, as far as it concerns that schedule, which follows that target's forecast.
    pub(super) fn note(
        &mut self,
        step: &Step,
        id: &ScheduleId,
        target: Option<&CarbonTarget>,
        changes: &[String],
    ) {
        let record = &step.record;
        match &record.input {
            Input::Tick => {}
            Input::Feedback { id: of, feedback } if of == id => {
                self.feedback.get_or_insert_default().post(feedback, &step.answer, record.at);
            }
            Input::Poll { id: of, counts, .. } if of == id => {
                let posts = self.feedback.get_or_insert_default();
                posts.polls += 1;
                match &step.answer {
                    Answer::Polled(Ok(Polled::Counted { unknown })) => {
                        let known = counts.iter().filter(|count| !unknown.contains(count));
                        posts.add(known.map(|(name, count)| (&**name, *count)));
                    }
                    answer => posts.refuse(answer),
                }
            }
            Input::Forecast { target: of, forecast, actuals, is_current } if Some(of) == target => {
                let mut last = received(forecast, actuals, *is_current, record.at);
                if let Some(end) = came_to(&step.answer) {
                    last = format!("{last}: {end}");
                }
                let before = self.forecasts.as_ref().map_or(0, |vintages| vintages.received);
                self.forecasts = Some(Vintages { received: before + 1, last_at: record.at, last });
            }
            Input::Start { .. } => {
                let changed =
                    if changes.is_empty() { String::new() } else { format!("; {}", changes.join(", ")) };
                self.add(step, format!("restart: {}{changed}", in_words(record, &step.answer)));
            }
            Input::Configure { id: of, .. } | Input::ConfigureInCluster { id: of, .. }
                if of == id && !changes.is_empty() =>
            {
                let by = if matches!(record.input, Input::Configure { .. }) { "PUT" } else { "cluster" };
                let end = came_to(&step.answer).map_or_else(String::new, |end| format!(" ({end})"));
                self.add(step, format!("{by}: {}{end}", changes.join(", ")));
            }
            Input::Unrecorded => self.add(step, in_words(record, &step.answer)),
            input if input.schedule() == Some(id) => self.add(step, in_words(record, &step.answer)),
            _ => {}
        }
    }

    /// Whether nothing came in but feedback and forecasts.
    pub(super) fn is_routine(&self) -> bool {
        self.events.is_empty()
    }

    fn add(&mut self, step: &Step, text: String) {
        if self.events.len() >= MOST_EVENTS {
            self.more_events += 1;
            return;
        }
        let kind = step.record.input.kind();
        self.events.push(Event { at: step.record.at, record: step.number, kind, text });
    }
}

impl Posts {
    fn post(&mut self, feedback: &Feedback, answer: &Answer, at: Timestamp) {
        self.count += 1;
        if let Some(sender) = &feedback.sender
            && self.sources.len() < MOST_EVENTS
        {
            self.sources.insert(sender.source.clone());
        }
        self.latest_seconds = self.latest_seconds.max(lateness(feedback, at).as_secs_f64());
        match answer {
            Answer::Counted(Ok(report)) if report.duplicate => self.duplicates += 1,
            Answer::Counted(Ok(_)) => {
                self.add(feedback.counts.iter().map(|(name, count)| (&**name, *count)));
            }
            answer => self.refuse(answer),
        }
    }

    fn add<'a>(&mut self, counts: impl Iterator<Item = (&'a str, u64)>) {
        for (name, count) in counts {
            self.requests = self.requests.saturating_add(count);
            let counted = self.requests_by_flavour.entry(name.to_owned()).or_default();
            *counted = counted.saturating_add(count);
        }
    }

    fn refuse(&mut self, answer: &Answer) {
        self.refused += 1;
        self.refusal = came_to(answer);
    }

    /// `12 posts of 3 routers: 340 requests (a 120, b 220), up to 12 s late, 1 counted before`.
    pub(super) fn in_words(&self) -> String {
        let several = |count: u64, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            count => Some(format!("{count} {what}s")),
        };
        let came: Vec<String> =
            [several(self.count, "post"), several(self.polls, "poll")].into_iter().flatten().collect();
        let sources: Vec<&str> = self.sources.iter().map(String::as_str).collect();
        let by = match sources.as_slice() {
            [] => String::new(),
            [one] => format!(" of {}", brief(one)),
            several => format!(" of {} routers", several.len()),
        };
        let counts = requests(self.requests_by_flavour.iter().map(|(name, count)| (&**name, *count)));
        let mut text = format!("{}{by}: {counts}", came.join(" and "));
        if self.latest_seconds > 0.0 {
            let up_to = if self.count > 1 { "up to " } else { "" };
            text.extend([format!(", {up_to}{} late", seconds(self.latest_seconds))]);
        }
        if self.duplicates > 0 {
            text.extend([format!(", {} counted before", self.duplicates)]);
        }
        if self.refused > 0 {
            let why = self.refusal.as_deref().unwrap_or("not counted");
            text.extend([format!(", {} of them {why}", self.refused)]);
        }
        text
    }
}

impl Vintages {
    /// When the last came, and what it is.
    pub(super) fn in_words(&self) -> String {
        if self.received == 1 {
            return format!("forecast {}", self.last);
        }
        format!("{} forecasts, the last {}", self.received, self.last)
    }

    pub(super) fn last_at(&self) -> Timestamp {
        self.last_at
    }
}
