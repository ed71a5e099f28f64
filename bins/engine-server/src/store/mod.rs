//! What lasts: everything that changes the engine goes through here.
//!
//! ```text
//! handlers, providers, polls ──act, tell──> queue ──> keeper ──> Disk::commit   many inputs, one fsync
//!                                                       │
//!                                                       └──────> Engine::apply, then the answers
//! ```
//!
//! With a disk, an input is made durable before anything is seen of it, and ticks are inputs too; so what a
//! restart brings back is what there was. Without one, inputs are acted upon where they come in.
//!
//! A disk that fails or hangs stops nobody from reading: the engine goes on, unrecorded, while whoever wants
//! something kept is refused; then a new base is written, and all is well again.

mod command;
mod disk;
mod keeper;
mod restore;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use engine::journal::{Answer, Input};
use tokio::sync::oneshot;

pub(crate) use command::{command, run};
pub(crate) use disk::{Disk, Retention};
pub(crate) use keeper::{Keeper, start};
pub(crate) use restore::{open, restore};

/// Inputs that wait at most: about what one commit takes with it.
const QUEUE: usize = 4_096;
/// The file's name in the state's folder.
pub(crate) const FILE: &str = "state.redb";

/// Where state is kept, and how much of its past.
#[derive(Debug, Clone)]
pub(crate) struct StoreSettings {
    pub(crate) folder: PathBuf,
    pub(crate) retention: Retention,
}

/// An input that was not acted upon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("this cannot be kept now, so it was not done: the state cannot be written ({0}); try again later")]
    NotDurable(String),
    #[error("too much waits to be written already: try again later")]
    Busy,
    #[error("the state is being read: try again soon")]
    Restoring,
    #[error("the process is stopping")]
    Stopping,
}

/// The way to the keeper.
#[derive(Default)]
pub(crate) struct Queue {
    sender: std::sync::OnceLock<SyncSender<Order>>,
    /// Whether the disk cannot be written.
    failed: AtomicBool,
    /// Whether something was acted upon that was not written down.
    unrecorded: AtomicBool,
}

/// What the keeper is asked for.
enum Order {
    Act(Box<Input>, Option<oneshot::Sender<Result<Answer, Refused>>>),
    /// Write a last base, and end.
    Stop(oneshot::Sender<()>),
}

impl Queue {
    /// Whether the disk takes what is to be kept.
    pub(crate) fn is_well(&self) -> bool {
        !self.failed.load(Ordering::Acquire)
    }

    fn set_well(&self, well: bool) {
        self.failed.store(!well, Ordering::Release);
        metrics::gauge!("state_healthy").set(if well { 1.0 } else { 0.0 });
    }

    /// Something is acted upon that is not written down: to be called with the engine in hand.
    pub(crate) fn note_unrecorded(&self, inputs: u64) {
        self.unrecorded.store(true, Ordering::Release);
        metrics::counter!("state_unrecorded_inputs_total").increment(inputs);
    }

    fn put(&self, order: Order) -> Result<(), Refused> {
        let sender = self.sender.get().ok_or(Refused::Restoring)?;
        sender.try_send(order).map_err(|problem| match problem {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Disconnected(_) => Refused::Stopping,
        })
    }
}
