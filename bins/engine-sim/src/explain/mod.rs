//! `engine-sim explain`: one schedule's decisions over a span, and what came in between them.

mod changes;
mod json;
mod since;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use engine::journal::Input;
use models::{CarbonTarget, ScheduleId, Timestamp};
use serde_json::Value;

use crate::Ending;
use crate::args::{ExplainArgs, TextFormat};
use crate::explain::since::Since;
use crate::progress::Progress;
use crate::replay::{Check, Decision, Journal, Step};
use crate::report::wants_color;

/// Most schedules that a message names.
const NAMED: usize = 10;

/// A decision as it is shown.
struct Row {
    decision: Decision,
    since: Since,
    /// Decisions left out since the row before.
    left_out: u64,
    new_warnings: Vec<Arc<str>>,
    gone_warnings: Vec<Arc<str>>,
    /// Whether it was made before the span, and is in force when that begins.
    is_before: bool,
}

/// What a story ends with.
#[derive(Default)]
struct End {
    decisions: u64,
    shown: u64,
    /// First and last record.
    span: Option<(Timestamp, Timestamp)>,
    /// What came in after the last decision.
    since: Since,
    left_out: u64,
    unrecorded: Option<Timestamp>,
    /// Where something else is published than was, and of which schedule.
    different: Option<(Timestamp, u64, ScheduleId)>,
}

/// Where a story goes.
trait Teller {
    fn begin(&mut self) -> io::Result<()>;
    fn row(&mut self, row: &Row) -> io::Result<()>;
    fn end(&mut self, end: &End) -> io::Result<()>;
}

/// Explains a schedule's decisions.
///
/// # Errors
///
/// The export cannot be read or knows no such schedule, or nothing can be written.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<Ending> {
    // Rows come while the file is read: one terminal has no room for both.
    let progress = if io::stdout().is_terminal() { Progress::hidden() } else { Progress::bytes() };
    let journal = Journal::open(&args.replay.file, &progress)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let ended = match args.replay.format {
        TextFormat::Text => {
            let mut teller = text::Text::new(args, journal.name(), wants_color(args.replay.color), &mut out);
            tell(journal, args, &mut teller)
        }
        TextFormat::Json => {
            let mut teller = json::Json::new(args, journal.name(), &mut out);
            tell(journal, args, &mut teller)
        }
    };
    progress.finish();
    let end = ended?;
    out.flush().context("cannot write to standard output")?;
    if let Some((at, number, id)) = end.different {
        let note = format!(
            "note: from record {number} at {at} on, first of {id}, something else is published than was: what is shown \
             for later need not be what happened; engine-sim replay shows the difference"
        );
        writeln!(io::stderr(), "{note}").context("cannot write notes to standard error")?;
        return Ok(Ending::Different);
    }
    Ok(Ending::Fine)
}

fn tell(mut journal: Journal, args: &ExplainArgs, teller: &mut dyn Teller) -> anyhow::Result<End> {
    const WRITTEN: &str = "cannot write to standard output";
    let mut known: BTreeSet<ScheduleId> = journal.engine.schedules().cloned().collect();
    let mut story = Story::new(&journal, args);
    let mut check = Check::new(journal.first);
    let mut has_begun = false;
    while let Some(step) = journal.step()? {
        if let Input::Configure { id, .. } | Input::ConfigureInCluster { id, .. } | Input::Reset { id } =
            &step.record.input
            && !known.contains(id)
        {
            known.insert(id.clone());
        }
        if story.end.different.is_none()
            && let Some(difference) = check.look(&step, &journal.engine)
        {
            story.end.different = Some((difference.record.at, difference.record.number, difference.id));
        }
        for row in story.take(&step, &journal) {
            if !has_begun {
                teller.begin().context(WRITTEN)?;
                has_begun = true;
            }
            teller.row(&row).context(WRITTEN)?;
        }
    }
    if !known.contains(&args.schedule) {
        let names: Vec<String> = known.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if known.len() > NAMED { ", .." } else { "" };
        let expected = if names.is_empty() {
            "there is none in it".to_owned()
        } else {
            format!("expected one of {}{more}", names.join(", "))
        };
        bail!("{}: no schedule {}: {expected}", journal.name(), args.schedule);
    }
    if !has_begun {
        teller.begin().context(WRITTEN)?;
    }
    let mut end = story.end;
    (end.since, end.left_out) = (story.since, story.left_out);
    end.unrecorded = check.unrecorded.map(|(at, _)| at);
    teller.end(&end).context(WRITTEN)?;
    Ok(end)
}

/// What is told, as it is gathered.
struct Story<'a> {
    args: &'a ExplainArgs,
    config: Option<BTreeMap<String, Value>>,
    /// What the schedule's forecast is of.
    target: Option<CarbonTarget>,
    since: Since,
    /// The decision before, shown or not.
    last: Option<Decision>,
    /// The newest decision before the span.
    before: Option<Decision>,
    left_out: u64,
    end: End,
}

impl<'a> Story<'a> {
    fn new(journal: &Journal, args: &'a ExplainArgs) -> Self {
        let mut story = Self {
            args,
            config: None,
            target: None,
            since: Since::default(),
            last: None,
            before: None,
            left_out: 0,
            end: End::default(),
        };
        story.look_up(journal);
        story
    }

    /// Notes the configuration in force. Answers what it was before.
    fn look_up(&mut self, journal: &Journal) -> Option<BTreeMap<String, Value>> {
        let id = &self.args.schedule;
        self.target = journal.engine.target(id).cloned();
        let config = journal.engine.config(id).map(|(config, _)| config.into_iter().collect());
        std::mem::replace(&mut self.config, config)
    }

    /// What a step adds: rows to show.
    fn take(&mut self, step: &Step, journal: &Journal) -> Vec<Row> {
        let (id, at) = (&self.args.schedule, step.record.at);
        self.end.span = Some((self.end.span.map_or(at, |(from, _)| from), at));
        let is_over = self.args.to.is_some_and(|to| at >= to);
        let changed = match &step.record.input {
            Input::Start { .. } => true,
            Input::Configure { id: of, .. }
            | Input::ConfigureInCluster { id: of, .. }
            | Input::LeaveCluster { id: of, .. }
            | Input::Reset { id: of }
            | Input::Remove { id: of } => of == id,
            _ => false,
        };
        let before = if changed { self.look_up(journal) } else { None };
        if !is_over {
            let changes = match (changed, &before, &self.config) {
                (true, Some(before), Some(after)) => changes::between(before, after),
                _ => Vec::new(),
            };
            self.since.note(step, &self.args.schedule, self.target.as_ref(), &changes);
        }
        let mut rows = Vec::new();
        for (of, view) in &step.views {
            if of == &self.args.schedule {
                let decision = Decision::of(at, step.number, of, view, &journal.engine);
                self.decided(decision, is_over, &mut rows);
            }
        }
        rows
    }

    fn decided(&mut self, decision: Decision, is_over: bool, rows: &mut Vec<Row>) {
        if self.args.from.is_some_and(|from| decision.at < from) {
            self.since = Since::default();
            self.last = Some(decision.clone());
            self.before = Some(decision);
            return;
        }
        if is_over {
            return;
        }
        if let Some(before) = self.before.take() {
            rows.push(Row {
                decision: before,
                since: Since::default(),
                left_out: 0,
                new_warnings: Vec::new(),
                gone_warnings: Vec::new(),
                is_before: true,
            });
        }
        self.end.decisions += 1;
        let last = self.last.replace(decision.clone());
        let is_same = last.as_ref().is_some_and(|last| says_the_same(last, &decision));
        if self.args.only_changes && is_same && self.since.is_routine() {
            self.left_out += 1;
            return;
        }
        let (new_warnings, gone_warnings) = warnings(last.as_ref(), &decision);
        self.end.shown += 1;
        rows.push(Row {
            decision,
            since: std::mem::take(&mut self.since),
            left_out: std::mem::take(&mut self.left_out),
            new_warnings,
            gone_warnings,
            is_before: false,
        });
    }
}

/// Whether two decisions come to the same for whoever looks from outside.
fn says_the_same(one: &Decision, other: &Decision) -> bool {
    match (&one.made, &other.made) {
        (Some(one), Some(other)) => {
            one.weights == other.weights
                && one.policy == other.policy
                && one.manual == other.manual
                && one.warnings == other.warnings
        }
        (None, None) => one.reason == other.reason,
        _ => false,
    }
}

/// Which warnings are new, and which are gone.
fn warnings(last: Option<&Decision>, decision: &Decision) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
    let of = |decision: &Decision| decision.made.as_ref().map_or_else(Vec::new, |made| made.warnings.clone());
    let (before, after) = (last.map_or_else(Vec::new, of), of(decision));
    let missing = |these: &[Arc<str>], those: &[Arc<str>]| {
        these.iter().filter(|warning| !those.contains(warning)).cloned().collect()
    };
    (missing(&after, &before), missing(&before, &after))
}
