//! What is published, beside what was published then.

use std::collections::VecDeque;

use engine::Engine;
use engine::journal::{Input, Outcome, Record};
use models::{CarbonTarget, ScheduleId, Timestamp};

use super::decision::Decision;
use super::journal::Step;
use super::words;

/// Records that are remembered, to be shown before a difference.
const REMEMBERED: usize = 2_048;

/// Compares step by step, up to the first difference.
pub(crate) struct Check {
    /// Number of the first record after the base.
    first: u64,
    /// Publications that were the same to the byte.
    pub(crate) compared: u64,
    /// Publications that nothing was written down of: before a stop, or at the end.
    pub(crate) alone: u64,
    /// Since when a replay need not come to the same, and the publications since.
    pub(crate) unrecorded: Option<(Timestamp, u64)>,
    /// What nothing was written down of: a difference, should something be written down of what follows.
    suspect: Option<Box<Difference>>,
    before: VecDeque<Told>,
}

/// A record, shown.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) number: u64,
    pub(crate) line: usize,
    pub(crate) at: Timestamp,
    pub(crate) text: String,
    about: About,
    /// How many ticks this stands for.
    ticks: u64,
}

/// Whom a record concerns.
#[derive(Debug, Clone)]
enum About {
    Schedules(Vec<ScheduleId>),
    Target(CarbonTarget),
    All,
}

/// Something else was published.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) id: ScheduleId,
    /// What the schedule's forecast is of.
    pub(crate) target: Option<CarbonTarget>,
    pub(crate) record: Told,
    /// Nothing was published then where absent.
    pub(crate) then: Option<Outcome>,
    /// Nothing is published now where absent.
    pub(crate) now: Option<(Outcome, Decision)>,
    /// What came in before it that concerns the schedule, oldest first.
    pub(crate) before: Vec<Told>,
}

impl Told {
    pub(crate) fn of(step: &Step) -> Self {
        let Step { number, line, record: Record { at, input }, .. } = step;
        let about = match input {
            Input::Start { .. } | Input::Unrecorded => About::All,
            Input::Forecast { target, .. } => About::Target(target.clone()),
            Input::Tick => About::Schedules(step.views.iter().map(|(id, _)| id.clone()).collect()),
            input => About::Schedules(input.schedule().cloned().into_iter().collect()),
        };
        let text = words::of(&step.record, &step.answer);
        let ticks = u64::from(matches!(input, Input::Tick));
        Self { number: *number, line: *line, at: *at, text, about, ticks }
    }

    /// Adds it to those that are shown, unless they are enough; ticks in a row are shown as one.
    pub(crate) fn join(self, shown: &mut Vec<Self>) -> bool {
        let is_full = shown.len() >= super::AROUND;
        match shown.last_mut() {
            Some(last) if last.ticks > 0 && self.ticks > 0 => {
                last.ticks += self.ticks;
                last.text = format!("{} ticks", last.ticks);
            }
            _ if is_full => return false,
            _ => shown.push(self),
        }
        true
    }

    /// Whether it concerns that schedule, which follows that target's forecast.
    pub(crate) fn concerns(&self, id: &ScheduleId, target: Option<&CarbonTarget>) -> bool {
        match &self.about {
            About::All => true,
            About::Schedules(ids) => ids.contains(id),
            About::Target(of) => target == Some(of),
        }
    }
}

impl Check {
    /// Compares what a journal publishes whose first record has that number.
    pub(crate) fn new(first: u64) -> Self {
        Self { first, compared: 0, alone: 0, unrecorded: None, suspect: None, before: VecDeque::new() }
    }

    /// Looks at a step that `engine` has just made. Answers what is not as it was.
    pub(crate) fn look(&mut self, step: &Step, engine: &Engine) -> Option<Box<Difference>> {
        match step.record.input {
            // A base is begun right before this record is written: it has what was not written down.
            Input::Unrecorded if step.number == self.first => {}
            Input::Unrecorded => {
                self.unrecorded.get_or_insert((step.record.at, 0));
                self.suspect = None;
            }
            // What an earlier process published last, it had no time to write down.
            Input::Start { .. } => self.suspect = None,
            _ => {}
        }
        let found = self.compare(step, engine);
        if self.before.len() >= REMEMBERED {
            self.before.pop_front();
        }
        self.before.push_back(Told::of(step));
        found
    }

    fn compare(&mut self, step: &Step, engine: &Engine) -> Option<Box<Difference>> {
        let count = step.views.len() as u64;
        if let Some((_, published)) = &mut self.unrecorded {
            *published += count;
            return None;
        }
        let now: Vec<Outcome> = step.views.iter().map(|(id, view)| Outcome::of(id, view)).collect();
        let Some(then) = &step.then else {
            self.alone += count;
            if self.suspect.is_none()
                && let Some(first) = now.first()
            {
                let difference = self.difference(step, engine, &first.id, None, Some((first, 0)));
                self.suspect = Some(Box::new(difference));
            }
            return None;
        };
        if let Some(suspect) = self.suspect.take() {
            return Some(suspect);
        }
        let same = now.iter().zip(then).take_while(|(now, then)| now == then).count();
        self.compared += same as u64;
        let difference = match (then.get(same), now.get(same)) {
            (None, None) => return None,
            (Some(then), Some(now)) if then.id == now.id => {
                self.difference(step, engine, &then.id, Some(then), Some((now, same)))
            }
            // One more now, or one less.
            (Some(then), Some(_)) if now.iter().skip(same).all(|other| other.id != then.id) => {
                self.difference(step, engine, &then.id, Some(then), None)
            }
            (_, Some(now)) => self.difference(step, engine, &now.id, None, Some((now, same))),
            (Some(then), None) => self.difference(step, engine, &then.id, Some(then), None),
        };
        Some(Box::new(difference))
    }

    fn difference(
        &self,
        step: &Step,
        engine: &Engine,
        id: &ScheduleId,
        then: Option<&Outcome>,
        now: Option<(&Outcome, usize)>,
    ) -> Difference {
        let target = engine.target(id).cloned();
        let concerns = |told: &&Told| told.concerns(id, target.as_ref());
        let mut before = Vec::new();
        for told in self.before.iter().rev().filter(concerns) {
            if !told.clone().join(&mut before) {
                break;
            }
        }
        before.reverse();
        let decided = now.and_then(|(outcome, place)| {
            let (id, view) = step.views.get(place)?;
            Some((outcome.clone(), Decision::of(step.record.at, step.number, id, view, engine)))
        });
        Difference {
            id: id.clone(),
            record: Told::of(step),
            then: then.cloned(),
            now: decided,
            before,
            target,
        }
    }
}
