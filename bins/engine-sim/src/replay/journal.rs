//! An export acted upon again, record by record.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use engine::journal::{Answer, Line, Outcome, Record};
use engine::{AnyTarget, Engine, Part, Publisher, View};
use models::{ScheduleId, Timestamp};
use policies::Registry;

use super::lines::Lines;
use crate::progress::Progress;

/// An export, and the engine that was made of what was read of it so far.
pub(crate) struct Journal {
    lines: Lines,
    views: Arc<Views>,
    pub(crate) engine: Engine,
    pub(crate) exported_at: Timestamp,
    /// Number of the first record after the base.
    pub(crate) first: u64,
    next: u64,
    /// What was read ahead, with its line.
    ahead: Option<(Line, usize)>,
}

/// One record, acted upon.
pub(crate) struct Step {
    pub(crate) number: u64,
    /// The line it stands at.
    pub(crate) line: usize,
    pub(crate) record: Record,
    pub(crate) answer: Answer,
    /// What it published, in order.
    pub(crate) views: Vec<(ScheduleId, View)>,
    /// What it published then, where that was written down.
    pub(crate) then: Option<Vec<Outcome>>,
}

/// Gathers what is published.
#[derive(Default)]
struct Views(Mutex<Vec<(ScheduleId, View)>>);

impl Publisher for Views {
    fn publish(&self, id: &ScheduleId, view: &View) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((id.clone(), view.clone()));
    }

    fn withdraw(&self, _: &ScheduleId) {}
}

impl Journal {
    /// Reads the base of an export and makes an engine of it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no export, or has no base that an engine can be made of.
    pub(crate) fn open(path: &Path, progress: &Progress) -> anyhow::Result<Self> {
        let mut lines = Lines::open(path, progress)?;
        let name = lines.name().to_owned();
        let Some(Line::CarbonAwareEngineState { exported_at, .. }) = lines.next()? else {
            bail!("{name}: empty: expected what `engine-server state export` writes");
        };
        let views = Arc::new(Views::default());
        let Some(Line::Part(first, part)) = lines.next()? else {
            bail!("{name}: line 2: expected a base after the first line: there is no state in this export");
        };
        let Part::Engine(state) = *part else {
            bail!("{name}: line 2: expected the engine's own part, which comes first in a base");
        };
        let engine = Engine::restore(&state, Registry::builtin(), Arc::new(AnyTarget));
        let engine = engine.with_publisher(Arc::clone(&views) as _);
        let mut journal = Self { lines, views, engine, exported_at, first, next: first, ahead: None };
        while let Some(line) = journal.lines.next()? {
            let number = journal.lines.number();
            match line {
                Line::Part(before, part) if before == first => {
                    let taken = journal.engine.restore_part(*part);
                    taken.with_context(|| format!("{name}: line {number}"))?;
                }
                Line::Part(before, _) => bail!(
                    "{name}: line {number}: a part of the base before record {before} within the one before record \
                     {first}: expected one base"
                ),
                line => {
                    journal.ahead = Some((line, number));
                    break;
                }
            }
        }
        Ok(journal)
    }

    /// Acts upon the next record; none at the end.
    ///
    /// # Errors
    ///
    /// A line cannot be read, or is not the one that has to follow.
    pub(crate) fn step(&mut self) -> anyhow::Result<Option<Step>> {
        let mut then: Option<Vec<Outcome>> = None;
        let expected = self.next;
        loop {
            let (line, at) = match self.ahead.take() {
                Some(ahead) => ahead,
                None => match self.lines.next()? {
                    Some(line) => (line, self.lines.number()),
                    None if then.is_none() => return Ok(None),
                    None => bail!(
                        "{}: ends before record {expected}, of which line {} says what it published: expected a whole \
                         export",
                        self.lines.name(),
                        self.lines.number()
                    ),
                },
            };
            let name = self.lines.name();
            match line {
                Line::End { .. } if then.is_none() => match self.lines.next()? {
                    None => return Ok(None),
                    Some(_) => {
                        bail!("{}: line {at} is the last one: expected nothing after it", self.lines.name())
                    }
                },
                Line::Published(number, outcomes) if number == expected && then.is_none() => {
                    then = Some(outcomes);
                }
                Line::Record(number, record) if number == expected => {
                    self.next = expected.saturating_add(1);
                    let answer = self.engine.apply(&record);
                    let views =
                        std::mem::take(&mut *self.views.0.lock().unwrap_or_else(PoisonError::into_inner));
                    return Ok(Some(Step { number, line: at, record: *record, answer, views, then }));
                }
                Line::Published(number, _) => {
                    bail!("{name}: line {at}: what record {number} published: expected record {expected}")
                }
                Line::Record(number, _) => {
                    bail!("{name}: line {at}: record {number}: expected record {expected}")
                }
                Line::Part(..) | Line::CarbonAwareEngineState { .. } => {
                    bail!("{name}: line {at}: a part of a base among records: expected record {expected}")
                }
                Line::End { .. } => bail!("{name}: line {at}: the last line, expected record {expected}"),
            }
        }
    }

    /// What messages call the export.
    pub(crate) fn name(&self) -> &str {
        self.lines.name()
    }
}
