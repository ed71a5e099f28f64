//! The one thread that writes: many inputs, one commit, then the engine acts upon them, beside the next commit
//! where more waits already.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use engine::journal::{BaseParts, Changes, Input, Outcomes, Record, StoreError};
use engine::{MAX_EVALUATIONS_PER_TICK, Part};
use models::Timestamp;

use super::acting::{Acted, Actor, Batch, Gone, Reply, act_upon};
use super::{Keep, Order, QUEUE, Queue, Refused};
use crate::state::{State, now, until};

/// Most inputs of one commit.
const AT_ONCE: usize = 1_024;
/// Parts of a base that go with one commit: some milliseconds of copying.
const PARTS_AT_ONCE: usize = 512;
/// The same where nothing else is to be done.
const PARTS_WITHOUT_HURRY: usize = 8_192;
/// Ticks of one commit: some ten milliseconds of evaluations.
const TICKS_AT_ONCE: usize = 8;
/// What was published waits for a commit no longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Pause between two attempts at a disk that fails.
const HEAL_EVERY: Duration = Duration::from_secs(2);
/// Evaluations after which a restart would take noticeably longer, beside some for each schedule.
const EVALUATIONS_BEHIND: u64 = 20_000;
const EVALUATIONS_BEHIND_EACH: u64 = 2;
/// Bytes of records after which a base is due.
const BYTES_BEHIND: u64 = 32 << 20;
/// A base is due at least this often, so that a replay can begin within the last day.
const BASE_EVERY: Duration = Duration::from_hours(12);

/// What the thread knows.
pub(crate) struct Keeper {
    disk: Box<dyn Keep>,
    outcomes: Arc<Outcomes>,
    /// Number of the next record.
    next: u64,
    published: Vec<(u64, Vec<engine::journal::Outcome>)>,
    /// The base that is being written: number of the first record after it, its begin, parts written.
    base: Option<(u64, Timestamp, u64)>,
    base_is_due: bool,
    based: Instant,
    evaluations: u64,
    /// Since when the disk fails, and what it said.
    failed: Option<(Instant, String)>,
    next_due: Option<Timestamp>,
}

/// Begins to write what comes in. There is a whole base on the disk by then.
///
/// # Errors
///
/// [`StoreError`], where not even the first base can be written.
pub(crate) fn start(state: &Arc<State>, mut keeper: Keeper) -> anyhow::Result<()> {
    let Some(queue) = &state.queue else { return Ok(()) };
    if keeper.next == 0 {
        keeper.write_base(state).context("the state cannot be written")?;
    }
    let (sender, receiver) = sync_channel(QUEUE);
    let actor = Actor::start(state, &keeper.outcomes)?;
    let thread = Arc::clone(state);
    let run = move || {
        let Some(queue) = &thread.queue else { return };
        let run = AssertUnwindSafe(|| keeper.run(&thread, queue, &receiver, actor));
        if !matches!(catch_unwind(run), Ok(Ok(()))) {
            // Whoever else evaluates has to know.
            tracing::error!(target: "engine_server::store", "nothing can be kept until a restart: changes are refused, schedules are still made");
            queue.set_well(false);
        }
    };
    std::thread::Builder::new().name("keeper".into()).spawn(run)?;
    // Once per process.
    let _ = queue.sender.set(sender);
    queue.set_well(true);
    Ok(())
}

impl Keeper {
    /// A keeper of that disk, whose next record has that number, with so many records after its newest base.
    pub(crate) fn new(disk: Box<dyn Keep>, outcomes: Arc<Outcomes>, next: u64, behind: u64) -> Self {
        Self {
            disk,
            outcomes,
            next,
            published: Vec::new(),
            base: None,
            base_is_due: false,
            based: Instant::now(),
            evaluations: behind,
            failed: None,
            next_due: None,
        }
    }

    fn run(
        mut self,
        state: &State,
        queue: &Queue,
        receiver: &Receiver<Order>,
        mut actor: Actor,
    ) -> Result<(), Gone> {
        // What came while the last commit was under way.
        let mut waiting: Option<Order> = None;
        loop {
            if waiting.is_none() {
                self.catch_up(&mut actor)?;
                waiting = match receiver.recv_timeout(self.patience()) {
                    Ok(order) => Some(order),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                };
            }
            let mut batch: Vec<(Input, Reply)> = Vec::new();
            let mut stop = None;
            while let Some(next) = waiting.take() {
                match next {
                    Order::Act(input, reply) => batch.push((*input, reply)),
                    Order::Stop(done) => stop = Some(done),
                }
                waiting =
                    (batch.len() < AT_ONCE && stop.is_none()).then(|| receiver.try_recv().ok()).flatten();
            }
            if self.failed.is_some() {
                self.heal(state, queue);
            }
            if let Some(durable) = self.turn(state, queue, batch, &mut actor)? {
                self.catch_up(&mut actor)?;
                waiting = receiver.try_recv().ok();
                if waiting.is_some() {
                    actor.hand_over(durable)?;
                } else {
                    let acted = durable.act(state, &self.outcomes);
                    self.note(acted);
                }
            }
            if let Some(done) = stop {
                self.catch_up(&mut actor)?;
                if self.failed.is_none()
                    && let Err(problem) = self.write_base(state)
                {
                    tracing::warn!(target: "engine_server::store", %problem, "no last base was written: the next start takes longer");
                }
                // The file is closed before anybody is told, and opens it again.
                drop(self);
                let _ = done.send(());
                return Ok(());
            }
        }
    }

    /// Waits until everything that is durable has been acted upon.
    fn catch_up(&mut self, actor: &mut Actor) -> Result<(), Gone> {
        if let Some(acted) = actor.wait()? {
            self.note(acted);
        }
        Ok(())
    }

    fn note(&mut self, acted: Acted) {
        self.published.extend(acted.published);
        self.evaluations += acted.evaluations;
        self.next_due = acted.next_due;
    }

    /// How long to wait for inputs.
    fn patience(&self) -> Duration {
        if self.failed.is_some() {
            // What is due is evaluated elsewhere.
            return LONGEST_WAIT;
        }
        if self.base.is_some() || self.base_is_due {
            return Duration::ZERO;
        }
        let due = self.next_due.map_or(LONGEST_WAIT, |due| until(due, now()));
        due.min(LONGEST_WAIT)
    }

    /// One commit. Answers what is durable now, and to be acted upon.
    fn turn(
        &mut self,
        state: &State,
        queue: &Queue,
        mut batch: Vec<(Input, Reply)>,
        actor: &mut Actor,
    ) -> Result<Option<Batch>, Gone> {
        let at = now();
        if let Some((_, why)) = &self.failed {
            // What is published meanwhile is compared with nothing.
            self.outcomes.take();
            turn_away(state, queue, batch, &Refused::NotDurable(why.clone()));
            return Ok(None);
        }
        let ticks = self.ticks(state, at, actor);
        if queue.unrecorded.swap(false, Ordering::AcqRel) {
            // A base that a replay can begin with comes after this.
            batch.insert(0, (Input::Unrecorded, None));
            self.base_is_due = true;
        } else if self.base.is_none() && self.needs_base(state) {
            // It is of what there is before this commit.
            self.catch_up(actor)?;
            self.begin_base(state, at);
        }
        batch.extend((0..ticks).map(|_| (Input::Tick, None)));
        let mut changes = Changes { outcomes: std::mem::take(&mut self.published), ..Changes::default() };
        self.add_parts(&mut changes, state, PARTS_AT_ONCE);
        let mut replies: Vec<Reply> = Vec::with_capacity(batch.len());
        changes.records.reserve(batch.len());
        for ((input, reply), number) in batch.into_iter().zip(self.next..) {
            changes.records.push((number, Record { at, input }));
            replies.push(reply);
        }
        if changes.is_empty() {
            return Ok(None);
        }
        let started = Instant::now();
        queue.set_committing(Some(started));
        let committed = self.disk.commit(&changes);
        queue.set_committing(None);
        metrics::histogram!("state_commit_duration_seconds").record(started.elapsed().as_secs_f64());
        if let Err(problem) = committed {
            // In their order: what was durable before is acted upon before anything that is not.
            self.catch_up(actor)?;
            self.fail(queue, &problem);
            // Some of it may have reached the disk: only one that was healed surely has none of it.
            let is_gone = self.disk.heal(self.next).is_ok();
            let refused = if is_gone { Refused::NotDurable(problem.to_string()) } else { Refused::Unknown };
            let batch = changes.records.into_iter().map(|(_, record)| record.input).zip(replies);
            turn_away(state, queue, batch.collect(), &refused);
            return Ok(None);
        }
        metrics::counter!("state_commits_total").increment(1);
        metrics::counter!("state_records_total").increment(changes.records.len() as u64);
        self.end_base(&changes);
        self.next += changes.records.len() as u64;
        Ok(Some(Batch { records: changes.records, replies }))
    }

    /// How many ticks are due. The engine is not asked while it acts, unless something is due.
    fn ticks(&mut self, state: &State, at: Timestamp, actor: &Actor) -> usize {
        if actor.is_busy() && self.next_due.is_none_or(|due| due > at) {
            return 0;
        }
        let engine = state.engine();
        self.next_due = engine.next_due();
        let most = TICKS_AT_ONCE * MAX_EVALUATIONS_PER_TICK;
        engine.due(at, most).div_ceil(MAX_EVALUATIONS_PER_TICK)
    }

    fn fail(&mut self, queue: &Queue, problem: &StoreError) {
        tracing::error!(target: "engine_server::store", %problem, "the state cannot be written: changes are refused, schedules are still made");
        self.failed = Some((Instant::now(), problem.to_string()));
        self.base = None;
        self.published.clear();
        queue.note_unrecorded(0);
        queue.set_well(false);
    }

    /// Tries whether the disk can be written again: it can, once there is a base of what the engine is now.
    fn heal(&mut self, state: &State, queue: &Queue) {
        let Some((since, _)) = &self.failed else { return };
        if since.elapsed() < HEAL_EVERY {
            return;
        }
        match self.disk.heal(self.next).and_then(|()| self.write_base(state)) {
            Ok(()) => {
                tracing::info!(target: "engine_server::store", "the state can be written again");
                self.failed = None;
                queue.set_well(true);
            }
            Err(problem) => {
                self.base = None;
                self.failed = Some((Instant::now(), problem.to_string()));
            }
        }
    }

    fn needs_base(&self, state: &State) -> bool {
        let schedules = state.board.len() as u64;
        self.base_is_due
            || self.evaluations > EVALUATIONS_BEHIND + EVALUATIONS_BEHIND_EACH * schedules
            || self.disk.behind() > BYTES_BEHIND
            || self.based.elapsed() > BASE_EVERY
    }

    fn begin_base(&mut self, state: &State, at: Timestamp) {
        state.engine().begin_base();
        self.base = Some((self.next, at, 0));
        self.based = Instant::now();
        (self.base_is_due, self.evaluations) = (false, 0);
    }

    fn add_parts(&mut self, changes: &mut Changes, state: &State, most: usize) {
        let Some((before, at, first)) = self.base else { return };
        let mut parts = state.engine().base_parts(most);
        let is_last = parts.is_empty();
        if first == 0 {
            parts.push(Part::Archive(Box::new(state.vintages.lock().clone())));
        }
        self.base = Some((before, at, first + parts.len() as u64));
        changes.base = Some(BaseParts { before, at, first, parts, is_last });
    }

    /// A whole base, at once.
    fn write_base(&mut self, state: &State) -> Result<(), StoreError> {
        self.begin_base(state, now());
        while self.base.is_some() {
            let mut changes = Changes { outcomes: std::mem::take(&mut self.published), ..Changes::default() };
            self.add_parts(&mut changes, state, PARTS_WITHOUT_HURRY);
            self.disk.commit(&changes)?;
            self.end_base(&changes);
        }
        Ok(())
    }

    /// The base is whole, if what was committed was the last of it.
    fn end_base(&mut self, committed: &Changes) {
        if committed.base.as_ref().is_some_and(|base| base.is_last) {
            self.base = None;
            metrics::counter!("state_bases_total").increment(1);
        }
    }
}

/// Nothing can be kept: whoever wants that is refused, everything else is acted upon all the same.
fn turn_away(state: &State, queue: &Queue, batch: Vec<(Input, Reply)>, refused: &Refused) {
    let mut unrecorded = 0;
    let mut engine = state.engine();
    for (input, reply) in batch {
        match reply {
            Some(reply) => {
                metrics::counter!("state_refused_total").increment(1);
                let _ = reply.send(Err(refused.clone()));
            }
            None => {
                act_upon(&mut engine, state, &Record { at: now(), input });
                unrecorded += 1;
            }
        }
    }
    if unrecorded > 0 {
        queue.note_unrecorded(unrecorded);
    }
    state.wake_for(&engine);
}
