//! The port to whoever keeps all of this, and how an engine comes back from there.

use std::sync::Arc;

use models::Timestamp;
use policies::Registry;

use super::{Answer, Outcome, Record};
use crate::board::Board;
use crate::engine::Engine;
use crate::options::TargetCheck;
use crate::stored::{BadState, Part};

/// A port: what lasts.
///
/// A store holds *bases*, each all the parts of one engine between two records, and the records themselves,
/// numbered upwards. It keeps the newest whole base and every record after it; what is older it may keep for
/// whoever wants to replay it.
pub trait Store: Send {
    /// Makes changes durable, all or none. Where it fails, none of them may be acted upon; a store that cannot
    /// tell whether they have reached the disk forgets them when it is [healed](Store::heal).
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nothing else can be committed before the store was healed.
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError>;

    /// Tries to be of use again after a failure, without any record from number `from` on.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as long as it is not.
    fn heal(&mut self, from: u64) -> Result<(), StoreError>;

    /// Hands out the newest whole base, part by part in the order they were made in, and then every record
    /// after it, in order. Answers nothing where the store is empty.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also one that `take` answers.
    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError>;
}

/// Something out of a store.
#[derive(Debug, Clone)]
pub enum Kept {
    /// A part of the base that stands before the record of this number.
    Part(u64, Part),
    /// A record, with its number.
    Record(u64, Box<Record>),
}

/// What is to be made durable at once.
#[derive(Debug, Default)]
pub struct Changes {
    /// Records with their numbers, rising by one from one to the next and from commit to commit.
    pub records: Vec<(u64, Record)>,
    /// What was published by which record of an earlier commit.
    pub outcomes: Vec<(u64, Vec<Outcome>)>,
    /// Some parts of a base.
    pub base: Option<BaseParts>,
}

/// Some parts of a base.
#[derive(Debug)]
pub struct BaseParts {
    /// Number of the first record after it.
    pub before: u64,
    /// When it was begun.
    pub at: Timestamp,
    /// The parts, numbered from here on.
    pub first: u64,
    /// The parts.
    pub parts: Vec<Part>,
    /// Whether it is whole with these.
    pub is_last: bool,
}

impl Changes {
    /// Whether there is nothing to be made durable.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.outcomes.is_empty() && self.base.is_none()
    }
}

/// What is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What is stored is not what was stored.
    #[error("damaged: {0}")]
    Damaged(String),
    /// It was written by another version.
    #[error("format {found} is not one that this version reads: expected {expected}")]
    Version {
        /// The format found.
        found: u64,
        /// The formats that are understood.
        expected: &'static str,
    },
    /// Another process has it.
    #[error("another process has it open: stop that one first")]
    InUse,
    /// The disk refused.
    #[error("{0}")]
    Io(String),
}

impl From<BadState> for StoreError {
    fn from(bad: BadState) -> Self {
        Self::Damaged(bad.to_string())
    }
}

/// An engine that came back.
#[non_exhaustive]
pub struct Recovered {
    /// The engine.
    pub engine: Engine,
    /// Number of the next record.
    pub next: u64,
    /// Parts taken up.
    pub parts: u64,
    /// Records acted upon again.
    pub records: u64,
}

/// Makes an engine of what a store holds: the base, then every record after it. `watch` sees each of them, after
/// the engine has acted upon it. Nothing where the store is empty.
///
/// Nothing is published meanwhile; [`Input::Start`](super::Input::Start) is to
/// follow.
///
/// # Errors
///
/// [`StoreError`]: the store cannot be read, or no engine can have been like that.
pub fn recover(
    store: &mut dyn Store,
    registry: &Registry,
    targets: &Arc<dyn TargetCheck>,
    watch: &mut dyn FnMut(Kept, Option<Answer>),
) -> Result<Option<Recovered>, StoreError> {
    recover_shown(store, registry, targets, None, watch)
}

/// [`recover`], publishing on `board` what the records published.
///
/// # Errors
///
/// As there.
pub fn recover_shown(
    store: &mut dyn Store,
    registry: &Registry,
    targets: &Arc<dyn TargetCheck>,
    board: Option<&Arc<Board>>,
    watch: &mut dyn FnMut(Kept, Option<Answer>),
) -> Result<Option<Recovered>, StoreError> {
    let mut recovered: Option<Recovered> = None;
    store.load(&mut |kept| {
        match (&kept, &mut recovered) {
            (Kept::Part(before, Part::Engine(state)), None) => {
                let mut engine = Engine::restore(state, registry.clone(), Arc::clone(targets));
                engine.is_quiet = board.is_none();
                if let Some(board) = board {
                    engine = engine.with_board(Arc::clone(board));
                }
                recovered = Some(Recovered { engine, next: *before, parts: 1, records: 0 });
                watch(kept, None);
            }
            (Kept::Part(before, part), Some(recovered)) if recovered.next == *before => {
                recovered.engine.restore_part(part.clone())?;
                recovered.parts += 1;
                watch(kept, None);
            }
            (Kept::Record(number, record), Some(recovered)) if recovered.next == *number => {
                let answer = recovered.engine.apply(record);
                recovered.next += 1;
                recovered.records += 1;
                watch(kept, Some(answer));
            }
            _ => {
                let problem = "expected the engine's own part, the other parts, and records one by one";
                return Err(StoreError::Damaged(format!("the state is out of order: {problem}")));
            }
        }
        Ok(())
    })?;
    if let Some(recovered) = &mut recovered {
        recovered.engine.is_quiet = false;
    }
    Ok(recovered)
}
