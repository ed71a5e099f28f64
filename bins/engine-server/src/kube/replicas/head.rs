//! The head of a journal that several replicas share: a register that is changed by compare and swap, and that says
//! which objects are the journal. What it does not name was never written.
//!
//! ```text
//! head { epochs, base, next } ──> base  {group}-base-{id}-{place}     everything the engine was before record B
//!                             └─> journal {group}-journal-{first}-{epoch}, .. from record B up to next
//! ```
//!
//! Whoever leads begins an epoch of its own, by the same compare and swap, and writes under names of that epoch alone:
//! a leader that was deposed, however late its writes arrive, changes nothing that the head names.

use models::Timestamp;
use serde::{Deserialize, Serialize};

/// Number of this format.
const FORMAT: u32 = 1;

/// The register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Head {
    format: u32,
    /// Who began to write at which record, oldest first; those before the base are forgotten.
    epochs: Vec<Epoch>,
    pub(super) base: Base,
    /// Number of the next record.
    pub(super) next: u64,
    /// How often it went on otherwise than whoever followed could know: records were taken back, or something was
    /// decided without being written down, and a base says what came of it.
    breaks: u64,
}

/// From which record on names are of which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    number: u64,
    from: u64,
}

/// A base that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Base {
    pub(super) id: String,
    /// Number of the first record after it.
    pub(super) before: u64,
    pub(super) at: Timestamp,
    /// How many objects it is in.
    pub(super) objects: u64,
}

/// What a replica has to do to know what the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// Nothing is new.
    Nothing,
    /// Read the records from this one on.
    From(u64),
    /// Read everything: what is known is not how it went on.
    Anew,
}

impl Head {
    /// The first one, of a journal that begins with that base.
    pub(super) fn new(base: Base) -> Self {
        let epochs = vec![Epoch { number: 1, from: base.before }];
        Self { format: FORMAT, epochs, next: base.before, base, breaks: 0 }
    }

    /// The newest epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.epochs.last().map_or(0, |epoch| epoch.number)
    }

    /// The epoch under whose names record `number` stands.
    pub(super) fn epoch_of(&self, number: u64) -> u64 {
        self.epochs.iter().rev().find(|epoch| epoch.from <= number).map_or(0, |epoch| epoch.number)
    }

    /// The same with another writer, without any record from number `from` on.
    pub(super) fn begun(&self, from: u64) -> Self {
        let mut begun = self.clone();
        begun.epochs.retain(|epoch| epoch.from < from);
        begun.epochs.push(Epoch { number: self.epoch() + 1, from });
        begun.breaks += u64::from(from < self.next);
        begun.next = from;
        begun
    }

    /// The same with a base that does not follow from what was written before it.
    pub(super) fn broken(mut self) -> Self {
        self.breaks += 1;
        self
    }

    /// The same with records up to `next`, and with another base, where one is whole.
    pub(super) fn with(&self, next: u64, base: Option<Base>) -> Self {
        let mut with = self.clone();
        with.next = next;
        if let Some(base) = base {
            let current = with.epochs.iter().rposition(|epoch| epoch.from <= base.before).unwrap_or(0);
            with.epochs.drain(..current);
            with.base = base;
        }
        with
    }

    /// What whoever has acted upon the records before `next`, up to `known`, has to read.
    pub(super) fn after(&self, known: &Self, next: u64) -> Follow {
        if self.breaks != known.breaks || self.next < next || self.base.before > next {
            Follow::Anew
        } else if self.next == next {
            Follow::Nothing
        } else {
            Follow::From(next)
        }
    }

    /// As the object holds it.
    pub(super) fn to_text(&self) -> String {
        // Numbers, strings and lists: writing them into memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What an object holds.
    ///
    /// # Errors
    ///
    /// It is no head, or one of another format.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let head: Self =
            serde_json::from_str(text).map_err(|error| format!("it is no head of a journal: {error}"))?;
        if head.format != FORMAT {
            return Err(format!(
                "format {} is not one that this version reads: expected {FORMAT}",
                head.format
            ));
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(before: u64) -> Base {
        Base { id: format!("b{before}"), before, at: Timestamp::UNIX_EPOCH, objects: 1 }
    }

    #[test]
    fn every_record_is_of_the_epoch_that_wrote_it() {
        let head = Head::new(base(0)).with(5, None).begun(5).with(9, None);
        assert_eq!([0, 4, 5, 8].map(|number| head.epoch_of(number)), [1, 1, 2, 2]);
        // Records that may have been written are taken back by the next epoch.
        let taken_back = head.begun(7);
        assert_eq!((taken_back.next, taken_back.epoch()), (7, 3));
        assert_eq!([0, 5, 6, 7].map(|number| taken_back.epoch_of(number)), [1, 2, 2, 3]);
        // Two epochs may begin with the same record: the newer one wrote it.
        let again = taken_back.begun(7);
        assert_eq!((again.epoch_of(6), again.epoch_of(7), again.epoch()), (2, 4, 4));
        let from_the_base = Head::new(base(3)).begun(3);
        assert_eq!((from_the_base.epoch_of(3), from_the_base.epoch()), (2, 2));
    }

    #[test]
    fn a_base_forgets_the_epochs_before_it() {
        let head = Head::new(base(0)).with(5, None).begun(5).with(9, None).begun(9).with(12, Some(base(10)));
        assert_eq!((head.epochs.len(), head.epoch_of(10), head.base.before), (1, 3, 10));
        let earlier = Head::new(base(0)).with(5, None).begun(5).with(9, Some(base(3)));
        assert_eq!((earlier.epochs.len(), earlier.epoch_of(3), earlier.epoch_of(6)), (2, 1, 2));
    }

    #[test]
    fn whoever_follows_reads_on_unless_it_went_on_otherwise() {
        let known = Head::new(base(0)).with(5, None);
        for (newer, next, expected) in [
            (known.clone(), 5, Follow::Nothing),
            (known.with(8, None), 5, Follow::From(5)),
            (known.begun(5).with(8, None), 5, Follow::From(5)),
            // Some of what is known was taken back, however long ago.
            (known.begun(4).with(8, None), 5, Follow::Anew),
            (known.begun(4), 5, Follow::Anew),
            (known.begun(4).with(5, None).begun(5).with(9, Some(base(5))), 5, Follow::Anew),
            // What lies between is gone.
            (known.with(30, Some(base(20))), 5, Follow::Anew),
            (known.with(30, Some(base(5))), 5, Follow::From(5)),
            // The base says something else than the records before it.
            (known.with(5, Some(base(5))).broken(), 5, Follow::Anew),
        ] {
            assert_eq!(newer.after(&known, next), expected, "{newer:?}");
        }
    }

    #[test]
    fn a_head_is_read_back_and_another_format_is_refused() {
        let head = Head::new(base(3)).begun(3).with(7, None);
        assert_eq!(Head::from_text(&head.to_text()), Ok(head.clone()));
        let newer = head.to_text().replace("\"format\":1", "\"format\":2");
        assert!(Head::from_text(&newer).unwrap_err().contains("expected 1"));
        assert!(Head::from_text("{}").is_err());
    }
}
