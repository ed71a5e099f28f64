//! Acting upon what is durable: here, or beside the next commit where more waits already.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use engine::Engine;
use engine::journal::{Answer, Input, Outcome, Outcomes, Record};
use models::Timestamp;
use tokio::sync::oneshot;

use super::{Queue, Refused};
use crate::state::State;
use crate::turn::Turn;

/// Who waits for an answer, if anybody does.
pub(super) type Reply = Option<oneshot::Sender<Result<Answer, Refused>>>;

/// What one commit made durable, by the records' numbers.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<(u64, Record)>,
    /// As many.
    pub(super) replies: Vec<Reply>,
}

/// What came of a batch.
pub(super) struct Acted {
    /// What was published by which record, where that can be compared with anything.
    pub(super) published: Vec<(u64, Vec<Outcome>)>,
    pub(super) evaluations: u64,
    /// When the next evaluation is due by then.
    pub(super) next_due: Option<Timestamp>,
}

/// A thread that acts upon one batch at a time.
pub(super) struct Actor {
    batches: SyncSender<Batch>,
    acted: Receiver<Acted>,
    is_busy: bool,
}

/// The thread that acts is gone: nothing that follows can be acted upon.
#[derive(Debug)]
pub(super) struct Gone;

impl Actor {
    pub(super) fn start(state: &Arc<State>, outcomes: &Arc<Outcomes>) -> std::io::Result<Self> {
        let (batches, received) = sync_channel::<Batch>(1);
        let (sender, acted) = sync_channel(1);
        let (state, outcomes) = (Arc::clone(state), Arc::clone(outcomes));
        let run = move || {
            for batch in received {
                let act = AssertUnwindSafe(|| batch.act(&state, &outcomes));
                // Whoever waits for it learns that it is gone.
                let Ok(acted) = catch_unwind(act) else { return };
                if sender.send(acted).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("actor".into()).spawn(run)?;
        Ok(Self { batches, acted, is_busy: false })
    }

    /// Whether a batch is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Hands a batch over; the one before has to be [done](Actor::wait).
    pub(super) fn hand_over(&mut self, batch: Batch) -> Result<(), Gone> {
        self.is_busy = true;
        self.batches.send(batch).map_err(|_| Gone)
    }

    /// Waits for the batch under way, if there is one.
    pub(super) fn wait(&mut self) -> Result<Option<Acted>, Gone> {
        if !std::mem::take(&mut self.is_busy) {
            return Ok(None);
        }
        self.acted.recv().map(Some).map_err(|_| Gone)
    }
}

impl Batch {
    /// Acts upon all of it, and answers.
    pub(super) fn act(self, state: &State, outcomes: &Outcomes) -> Acted {
        let mut acted =
            Acted { published: Vec::with_capacity(self.records.len()), evaluations: 0, next_due: None };
        let mut engine = state.engine();
        // What was published unrecorded is compared with nothing, nor is what follows from it.
        outcomes.take();
        let is_unrecorded = |queue: &Queue| queue.unrecorded.load(Ordering::Acquire);
        let is_comparable = !state.queue.as_ref().is_some_and(is_unrecorded);
        for ((number, record), reply) in self.records.iter().zip(self.replies) {
            let answer = act_upon(&mut engine, state, record);
            let outcomes = outcomes.take();
            acted.evaluations += outcomes.len() as u64;
            if is_comparable && !outcomes.is_empty() {
                acted.published.push((*number, outcomes));
            }
            if let Some(reply) = reply {
                // Whoever asked may have gone.
                let _ = reply.send(Ok(answer));
            }
        }
        acted.next_due = engine.next_due();
        state.wake_for(&engine);
        acted
    }
}

/// Acts upon one record: the engine, and the archive of what was forecast.
pub(crate) fn act_upon(engine: &mut Engine, state: &State, record: &Record) -> Answer {
    state.vintages.keep(record);
    let turn = matches!(record.input, Input::Tick).then(|| Turn::begin(engine.next_due()));
    let answer = engine.apply(record);
    if let (Some(turn), Answer::Ticked(tick)) = (turn, &answer) {
        turn.end(tick);
    }
    if let Answer::Observed(Err(problem)) = &answer {
        tracing::warn!(target: "engine_server::forecasts", "{problem}");
    }
    answer
}
