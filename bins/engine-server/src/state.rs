//! What handlers and tasks share.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::journal::{Answer, Input, Record};
use engine::{Board, Engine, EngineOptions, Tick};
use jiff::{RoundMode, SignedDuration, TimestampRound, Unit};
use models::{ScheduleId, Timestamp};
use policies::Registry;
use tokio::sync::Notify;

use crate::kube::{Changes, Replica};
use crate::life::Life;
use crate::store::{Queue, Refused, act_upon};
use crate::turn::Turn;
use crate::vintages::Vintages;

/// The one engine, its board, and what wakes its loop.
pub(crate) struct State {
    engine: Mutex<Engine>,
    pub(crate) board: Arc<Board>,
    /// What was forecast and measured so far.
    pub(crate) vintages: Vintages,
    /// Something is due sooner than the loop knew, or other forecasts are wanted.
    pub(crate) wake: Notify,
    /// What the loop knew when it last looked.
    pub(crate) known: Known,
    pub(crate) default_id: ScheduleId,
    /// What this process's engine is made with: the same after a restore.
    pub(crate) options: EngineOptions,
    pub(crate) registry: Registry,
    /// Different for every start: entity tags of one process never match another's.
    pub(crate) instance: u64,
    /// Whether anyone who reaches the port may write.
    pub(crate) anonymous_writes: bool,
    /// The way to what lasts, where something does.
    pub(crate) queue: Option<Queue>,
    /// The way to the cluster, where there is one.
    pub(crate) cluster: Option<Arc<Changes>>,
    /// What is known of the others, where this is one of several.
    pub(crate) replica: Option<Arc<Replica>>,
    pub(crate) life: Life,
}

impl State {
    pub(crate) fn new(
        engine: Engine,
        vintages: Vintages,
        default_id: ScheduleId,
        instance: u64,
        anonymous_writes: bool,
        queue: Option<Queue>,
    ) -> Self {
        let board = Arc::clone(engine.board());
        Self {
            board,
            vintages,
            wake: Notify::new(),
            known: Known::default(),
            default_id,
            options: engine.options().clone(),
            registry: engine.registry().clone(),
            instance,
            anonymous_writes,
            life: Life::new(queue.is_none()),
            queue,
            cluster: None,
            replica: None,
            engine: Mutex::new(engine),
        }
    }

    /// The same, telling a cluster what is published.
    pub(crate) fn in_cluster(mut self, changes: Option<Arc<Changes>>) -> Self {
        if let Some(changes) = changes {
            self.engine = Mutex::new(
                self.engine
                    .into_inner()
                    .unwrap_or_else(PoisonError::into_inner)
                    .with_publisher(Arc::clone(&changes) as _),
            );
            self.cluster = Some(changes);
            // What it has is to be read first.
            self.life = Life::new(false);
        }
        self
    }

    /// The same as one of several replicas.
    pub(crate) fn with_replica(mut self, replica: Option<Arc<Replica>>) -> Self {
        self.replica = replica;
        self
    }

    /// Where this is a replica that follows: who decides in its place.
    ///
    /// # Errors
    ///
    /// [`Refused::Elsewhere`], where this is one.
    fn decides(&self) -> Result<(), Refused> {
        match &self.replica {
            Some(replica) if !replica.leads() => {
                let at = replica.leader().map(|address| format!(", at {address}")).unwrap_or_default();
                Err(Refused::Elsewhere(at))
            }
            _ => Ok(()),
        }
    }

    /// Whether a schedule is there as long as its object is.
    pub(crate) fn is_held_by_cluster(&self, id: &ScheduleId) -> bool {
        self.cluster.is_some() && self.engine().is_in_cluster(id)
    }

    /// The engine, for a few microseconds: nobody holds it across a wait. To look at, not to change: what
    /// changes it is an [`Input`].
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the engine that was restored in place of the one there was.
    pub(crate) fn put_engine(&self, engine: Engine) {
        *self.engine() = engine;
    }

    /// Has the engine act upon `input`, durably where anything is durable.
    ///
    /// # Errors
    ///
    /// [`Refused`]: it was not acted upon.
    pub(crate) async fn act(&self, input: Input) -> Result<Answer, Refused> {
        self.decides()?;
        match &self.queue {
            None => Ok(self.act_at_once(input)),
            Some(queue) => queue.act(input).await,
        }
    }

    /// [`State::act`] for a thread that may wait.
    pub(crate) fn act_and_wait(&self, input: Input) -> Result<Answer, Refused> {
        self.decides()?;
        match &self.queue {
            None => Ok(self.act_at_once(input)),
            Some(queue) => queue.act_and_wait(input),
        }
    }

    /// Has the engine act upon what nobody waits for, whatever becomes of it on the disk.
    pub(crate) fn tell(&self, input: Input) {
        if self.decides().is_err() {
            // Whoever decides hears it, too.
            return;
        }
        let Some(queue) = &self.queue else {
            self.act_at_once(input);
            return;
        };
        if let Err(input) = queue.tell(input) {
            let mut engine = self.engine();
            queue.note_unrecorded(1);
            act_upon(&mut engine, self, &Record { at: now(), input: *input });
            self.wake_for(&engine);
        }
    }

    fn act_at_once(&self, input: Input) -> Answer {
        let mut engine = self.engine();
        let answer = act_upon(&mut engine, self, &Record { at: now(), input });
        self.wake_for(&engine);
        answer
    }

    /// Wakes the loop, if what it waits for has changed.
    pub(crate) fn wake_for(&self, engine: &Engine) {
        if self.known.is_outdated_by(engine) {
            self.wake.notify_one();
        }
    }

    /// Evaluates what is due, unless whoever writes things down does that. `None`: it does.
    pub(crate) fn tick(&self, now: Timestamp) -> Option<Tick> {
        // With the engine in hand: it is not replaced meanwhile.
        let mut engine = self.engine();
        let is_written = match &self.replica {
            Some(replica) if !replica.leads() => !replica.strays(),
            _ => self.queue.as_ref().is_some_and(Queue::is_moving),
        };
        if is_written {
            return None;
        }
        let due = engine.next_due();
        if let Some(queue) = &self.queue
            && due.is_some_and(|due| due <= now)
        {
            queue.note_unrecorded(1);
        }
        let turn = Turn::begin(due);
        let tick = engine.tick(now);
        drop(engine);
        turn.end(&tick);
        Some(tick)
    }
}

/// What the loop waits for: written and read with the engine in hand, so that nothing comes in between. A storm of
/// PUTs need not wake the loop for each.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The next evaluation, in milliseconds since 1970; nothing is due for ever where that is the last one there is.
    due: AtomicI64,
    wanted_revision: AtomicU64,
}

impl Known {
    /// Notes what there is to wait for.
    pub(crate) fn note(&self, engine: &Engine) {
        self.due.store(due_millis(engine), Ordering::Relaxed);
        self.wanted_revision.store(engine.wanted_revision(), Ordering::Relaxed);
    }

    fn is_outdated_by(&self, engine: &Engine) -> bool {
        due_millis(engine) < self.due.load(Ordering::Relaxed)
            || engine.wanted_revision() != self.wanted_revision.load(Ordering::Relaxed)
    }
}

fn due_millis(engine: &Engine) -> i64 {
    engine.next_due().map_or(i64::MAX, Timestamp::as_millisecond)
}

/// The wall clock, to the millisecond: what is published reads better, and nothing here is finer.
pub(crate) fn now() -> Timestamp {
    let exact = Timestamp::now();
    let rounding = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Floor);
    exact.round(rounding).unwrap_or(exact)
}

/// How long until `at`, from `now` on; nothing if it has passed.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> std::time::Duration {
    at.duration_since(now).max(SignedDuration::ZERO).unsigned_abs()
}
