//! What lasts: everything that changes the engine goes through here.
//!
//! ```text
//! handlers, providers, polls ──act, tell──> queue ──> keeper ──> Disk::commit   many inputs, one fsync
//!                                                       │
//!                                                       └──────> Engine::apply, then the answers: beside the
//!                                                                next commit, where more waits by then
//! ```
//!
//! With a disk, an input is made durable before anything is seen of it, and ticks are inputs too; so what a
//! restart brings back is what there was. Without one, inputs are acted upon where they come in.
//!
//! A disk that fails or hangs stops nobody from reading: the engine goes on, unrecorded, while whoever wants
//! something kept is refused; then a new base is written, and all is well again.

mod acting;
mod cautious;
mod command;
mod disk;
mod errors;
mod keeper;
mod layout;
mod restore;
mod retention;
mod rows;

#[cfg(test)]
mod conforming;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod hanging;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use engine::journal::{Answer, Input, Store};
use tokio::sync::oneshot;

pub(crate) use acting::act_upon;
pub(crate) use command::{command, run};
pub(crate) use disk::Disk;
pub(crate) use keeper::{Keeper, start};
pub(crate) use restore::{Recovery, open, recover_into, restore, start_input};
pub(crate) use retention::Retention;
pub(crate) use rows::{inflate, pack, unpack};

/// Inputs that wait at most: about what one commit takes with it.
const QUEUE: usize = 4_096;
/// A commit that takes this long hangs: evaluations do not wait for it any longer.
const HANGS_AFTER: Duration = Duration::from_secs(1);
/// Longest that a request waits for the disk.
const LONGEST_ACT: Duration = Duration::from_secs(10);
/// Longest that a stop waits for the last base.
const LONGEST_STOP: Duration = Duration::from_secs(20);
/// The file's name in the state's folder.
pub(crate) const FILE: &str = "state.redb";

/// Where state is kept, and how much of its past.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    pub(crate) folder: PathBuf,
    pub(crate) retention: Retention,
}

impl StoreSettings {
    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }
}

/// Where a keeper writes.
pub(crate) trait Keep: Store {
    /// Bytes of records after the newest base.
    fn behind(&self) -> u64;
}

/// An input that was not acted upon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "this cannot be kept now, so it was not done: the state cannot be written ({0}); try again later"
    )]
    NotDurable(String),
    #[error("too much waits to be written already: try again later")]
    Busy,
    #[error("the state is being read: try again soon")]
    Restoring,
    #[error("another replica decides{0}: try again soon")]
    Elsewhere(String),
    #[error("the process is stopping")]
    Stopping,
    #[error(
        "the disk fails or does not answer, so whether this will be done is not known: look, and try again later"
    )]
    Unknown,
}

/// The way to the keeper.
#[derive(Default)]
pub(crate) struct Queue {
    sender: OnceLock<SyncSender<Order>>,
    /// Whether the disk cannot be written.
    failed: AtomicBool,
    /// Whether something was acted upon that was not written down.
    unrecorded: AtomicBool,
    /// When the commit under way began.
    committing: Mutex<Option<Instant>>,
    /// How long one may take before it hangs, where that is no disk.
    patience: Option<Duration>,
}

/// What the keeper is asked for.
enum Order {
    Act(Box<Input>, Option<oneshot::Sender<Result<Answer, Refused>>>),
    /// Write a last base, and end.
    Stop(oneshot::Sender<()>),
}

impl Queue {
    /// One whose commits may take so long.
    pub(crate) fn patient(patience: Duration) -> Self {
        Self { patience: Some(patience), ..Self::default() }
    }

    /// Whether the disk takes what is to be kept.
    pub(crate) fn is_well(&self) -> bool {
        !self.failed.load(Ordering::Acquire)
    }

    /// Whether the keeper does its work: the disk takes what it is given, and does not hang.
    pub(crate) fn is_moving(&self) -> bool {
        let since = *self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_well() && since.is_none_or(|since| since.elapsed() < self.patience.unwrap_or(HANGS_AFTER))
    }

    /// As [`crate::state::State::act`].
    pub(crate) async fn act(&self, input: Input) -> Result<Answer, Refused> {
        let (reply, answer) = oneshot::channel();
        self.put(Order::Act(Box::new(input), Some(reply))).map_err(|(refused, _)| refused)?;
        match tokio::time::timeout(LONGEST_ACT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refused::Stopping),
            Err(_) => Err(Refused::Unknown),
        }
    }

    /// As [`crate::state::State::act_and_wait`].
    pub(crate) fn act_and_wait(&self, input: Input) -> Result<Answer, Refused> {
        let (reply, answer) = oneshot::channel();
        self.put(Order::Act(Box::new(input), Some(reply))).map_err(|(refused, _)| refused)?;
        answer.blocking_recv().unwrap_or(Err(Refused::Stopping))
    }

    /// Hands over what nobody waits for; it comes back where there is no room.
    pub(crate) fn tell(&self, input: Input) -> Result<(), Box<Input>> {
        self.put(Order::Act(Box::new(input), None)).map_err(|(_, order)| match order {
            Order::Act(input, _) => input,
            Order::Stop(_) => Box::new(Input::Unrecorded),
        })
    }

    /// Has everything written that waits, and a base.
    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        let mut order = Order::Stop(done);
        while let Err((Refused::Busy, back)) = self.put(order) {
            order = back;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _ = tokio::time::timeout(LONGEST_STOP, stopped).await;
    }

    fn set_well(&self, well: bool) {
        self.failed.store(!well, Ordering::Release);
        metrics::gauge!("state_healthy").set(if well { 1.0 } else { 0.0 });
    }

    fn set_committing(&self, since: Option<Instant>) {
        *self.committing.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Something is acted upon that is not written down: to be called with the engine in hand.
    pub(crate) fn note_unrecorded(&self, inputs: u64) {
        self.unrecorded.store(true, Ordering::Release);
        metrics::counter!("state_unrecorded_inputs_total").increment(inputs);
    }

    fn put(&self, order: Order) -> Result<(), (Refused, Order)> {
        let Some(sender) = self.sender.get() else { return Err((Refused::Restoring, order)) };
        sender.try_send(order).map_err(|problem| match problem {
            TrySendError::Full(order) => (Refused::Busy, order),
            TrySendError::Disconnected(order) => (Refused::Stopping, order),
        })
    }
}
