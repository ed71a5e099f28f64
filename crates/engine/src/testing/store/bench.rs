//! A store beside what it should hold.

use models::Timestamp;

use super::super::attempt::attempt;
use super::super::{Invariant, Violation};
use super::loaded::stops;
use super::{Loaded, Pool, works};
use crate::journal::{BaseParts, Changes, Outcome, Store, StoreError};

/// Opens a store anew.
pub(super) type Reopen<'a, S> = dyn FnMut(S) -> Result<S, StoreError> + 'a;

/// A store beside what it should hold.
pub(super) struct Bench<'a, S> {
    what: String,
    pool: &'a Pool,
    /// None only after it could not be opened anew.
    store: Option<S>,
    reopen: &'a mut Reopen<'a, S>,
    /// What a load should hand out.
    pub(super) expected: Loaded,
    /// What was begun and not made whole.
    unfinished: Option<Loaded>,
    /// Number of the next record.
    pub(super) next: u64,
    /// So that nothing is committed twice: after healing, another record has a number.
    place: u64,
}

impl<'a, S: Store> Bench<'a, S> {
    pub(super) fn new(
        what: &str,
        pool: &'a Pool,
        new: &mut dyn FnMut() -> Result<S, StoreError>,
        reopen: &'a mut Reopen<'a, S>,
    ) -> Result<Self, Violation> {
        let at = format!("{what}, a new store");
        let made =
            attempt(new).map_err(|panic| Violation::new(Invariant::StoreWorks, &at, panic, "a store"))?;
        let store = Some(works(&at, made)?);
        let expected = Loaded::default();
        Ok(Self { what: what.into(), pool, store, reopen, expected, unfinished: None, next: 0, place: 0 })
    }

    pub(super) fn at(&self, when: &str) -> String {
        format!("{}, {when}", self.what)
    }

    pub(super) fn store(&mut self) -> Result<&mut S, Violation> {
        let what = &self.what;
        self.store.as_mut().ok_or_else(|| {
            Violation::new(Invariant::StoreWorks, what, "it could not be opened anew", "a store")
        })
    }

    /// New records with what the one before them published, and their text.
    pub(super) fn new_records(&mut self, count: u64) -> (Changes, Vec<(u64, String)>) {
        let mut changes = Changes::default();
        let mut texts = Vec::new();
        for number in self.next..self.next + count {
            let (record, text) = self.pool.record(self.place);
            self.place += 1;
            changes.records.push((number, record));
            texts.push((number, text));
        }
        changes.outcomes = self.next.checked_sub(1).map(outcome).into_iter().collect();
        (changes, texts)
    }

    /// Parts of a base that begins here or was begun, and their text.
    pub(super) fn new_parts(
        &mut self,
        first: usize,
        before: u64,
        count: usize,
        is_last: bool,
    ) -> (BaseParts, Vec<String>) {
        let (mut parts, mut texts) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (part, text) = self.pool.part(self.place);
            self.place += 1;
            parts.push(part);
            texts.push(text);
        }
        let at =
            Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(i64::try_from(self.place).unwrap_or(0));
        (BaseParts { before, at, first: first as u64, parts, is_last }, texts)
    }

    pub(super) fn commit(
        &mut self,
        changes: &Changes,
        when: &str,
    ) -> Result<Result<(), StoreError>, Violation> {
        let at = self.at(when);
        let store = self.store()?;
        attempt(|| store.commit(changes))
            .map_err(|panic| Violation::new(Invariant::StoreWorks, &at, panic, "an answer"))
    }

    /// What was committed is to be handed out from now on.
    pub(super) fn committed(&mut self, records: Vec<(u64, String)>) {
        self.next += records.len() as u64;
        self.expected.records.extend(records);
    }

    /// Commits so many records at once.
    pub(super) fn records(&mut self, count: u64) -> Result<(), Violation> {
        let (changes, texts) = self.new_records(count);
        let when = format!("a commit of {count} records from number {} on", self.next);
        works(&self.at(&when), self.commit(&changes, &when)?)?;
        self.committed(texts);
        Ok(())
    }

    /// A whole base in so many commits of so many parts, with so many records beside each.
    pub(super) fn base(&mut self, commits: &[usize], records: u64) -> Result<(), Violation> {
        let before = self.next;
        let mut all = Vec::new();
        for (index, count) in commits.iter().enumerate() {
            let is_last = index + 1 == commits.len();
            let (base, texts) = self.new_parts(all.len(), before, *count, is_last);
            let (changes, lines) = self.new_records(records);
            let when = format!("part {} and {count} more of a base before record {before}", all.len());
            works(&self.at(&when), self.commit(&Changes { base: Some(base), ..changes }, &when)?)?;
            all.extend(texts);
            self.committed(lines);
            if !is_last {
                self.unfinished =
                    Some(Loaded { before: Some(before), parts: all.clone(), records: Vec::new() });
                self.check("with a base of which a part is missing")?;
            }
        }
        self.made_whole(before, all);
        Ok(())
    }

    /// A base is whole: what it stands before need not be handed out any more.
    pub(super) fn made_whole(&mut self, before: u64, parts: Vec<String>) {
        self.unfinished = None;
        self.expected.records.retain(|(number, _)| *number >= before);
        (self.expected.before, self.expected.parts) = (Some(before), parts);
    }

    /// The first parts of a base that is not gone on with, and records beside it.
    pub(super) fn begin_base(&mut self, count: usize, records: u64) -> Result<(), Violation> {
        let before = self.next;
        let (base, parts) = self.new_parts(0, before, count, false);
        let (changes, lines) = self.new_records(records);
        let when = format!("the first parts of a base before record {before}");
        works(&self.at(&when), self.commit(&Changes { base: Some(base), ..changes }, &when)?)?;
        self.committed(lines);
        self.unfinished = Some(Loaded { before: Some(before), parts, records: Vec::new() });
        Ok(())
    }

    /// Heals the store from its last so many records on, as far as they follow the base.
    pub(super) fn heal(&mut self, last: u64) -> Result<(), Violation> {
        let from = self.next.saturating_sub(last).max(self.expected.before.unwrap_or(0));
        let at = self.at(&format!("healed from record {from} on"));
        let store = self.store()?;
        let answer = attempt(|| store.heal(from));
        let answer =
            answer.map_err(|panic| Violation::new(Invariant::StoreWorks, &at, panic, "an answer"))?;
        works(&at, answer)?;
        self.expected.records.retain(|(number, _)| *number < from);
        self.next = from;
        let found = Loaded::from(self.store()?, &at)?;
        if let Some((found, right)) = found.records_differ(&self.expected) {
            return Err(Violation::new(Invariant::HealedForgets, &at, found, right));
        }
        Ok(())
    }

    /// Whether what is loaded is what was committed.
    pub(super) fn check(&mut self, when: &str) -> Result<(), Violation> {
        let at = self.at(when);
        let found = Loaded::from(self.store()?, &at)?;
        if let Some((words, right)) = found.base_differs(&self.expected) {
            let unfinished = self.unfinished.as_ref();
            let is_unfinished = unfinished.is_some_and(|base| found.base_differs(base).is_none());
            let invariant = match self.expected.before {
                _ if is_unfinished => Invariant::UnfinishedBaseIsNone,
                None => Invariant::EmptyStoreIsEmpty,
                Some(_) => Invariant::BaseComesFirst,
            };
            return Err(Violation::new(invariant, &at, words, right));
        }
        match found.records_differ(&self.expected) {
            None => Ok(()),
            Some((words, right)) => Err(Violation::new(Invariant::RecordsFollow, &at, words, right)),
        }
    }

    /// Opens the store anew; everything is to be as before.
    pub(super) fn reopen(&mut self, when: &str) -> Result<(), Violation> {
        self.check(when)?;
        let at = self.at(&format!("opened anew {when}"));
        self.open_anew(&at)?;
        let found = Loaded::from(self.store()?, &at)?;
        let differs = found.base_differs(&self.expected).or_else(|| found.records_differ(&self.expected));
        if let Some((found, right)) = differs {
            return Err(Violation::new(Invariant::CommittedLasts, &at, found, right));
        }
        Ok(())
    }

    pub(super) fn open_anew(&mut self, at: &str) -> Result<(), Violation> {
        if let Some(before) = self.store.take() {
            let opened = attempt(|| (self.reopen)(before));
            let opened =
                opened.map_err(|panic| Violation::new(Invariant::StoreWorks, at, panic, "a store"))?;
            self.store = Some(works(at, opened)?);
        }
        Ok(())
    }

    /// Loads that are told to end, at the first thing, amid, and at the last.
    pub(super) fn stop_early(&mut self) -> Result<(), Violation> {
        let count = self.expected.parts.len() + self.expected.records.len();
        let at = self.at("a load");
        for after in [0, count / 2, count.saturating_sub(1)] {
            if after < count {
                stops(self.store()?, after, &at)?;
            }
        }
        Ok(())
    }
}

/// What a record published, for whoever keeps it.
fn outcome(number: u64) -> (u64, Vec<Outcome>) {
    (number, Vec::new())
}
