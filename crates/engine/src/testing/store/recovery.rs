//! Engines that come back from a store and go on.

use std::sync::Arc;

use policies::Registry;

use super::super::attempt::attempt;
use super::super::history::{History, options};
use super::super::{Invariant, Violation};
use super::works;
use crate::engine::Engine;
use crate::journal::{BaseParts, Changes, Outcomes, Record, Store, StoreError, recover};
use crate::options::{AnyTarget, TargetCheck};

/// Policies that remember something: what they remember comes back, too.
const POLICIES: [&str; 2] = ["receding-horizon", "random"];
/// Records of one commit, in turn.
const BATCHES: [usize; 4] = [1, 3, 1, 8];
/// Parts of one commit.
const PARTS: usize = 2;

/// An engine whose records a store keeps first, as a process would have it.
struct Kept<S> {
    engine: Engine,
    outcomes: Arc<Outcomes>,
    store: S,
    /// Number of the next record.
    next: u64,
    /// What the record before published.
    published: Vec<(u64, Vec<crate::journal::Outcome>)>,
    /// The base that is being written: what it stands before, and how many parts of it there are.
    base: Option<(u64, u64)>,
}

/// An engine goes on after its store was opened anew; there are a base that was made whole meanwhile and one that was not.
pub(super) fn goes_on<S: Store>(
    new: &mut dyn FnMut() -> Result<S, StoreError>,
    reopen: &mut dyn FnMut(S) -> Result<S, StoreError>,
) -> Result<(), Violation> {
    for (seed, policy) in (7..).zip(POLICIES) {
        let registry = Registry::builtin();
        let history = History::of(&registry, policy, seed);
        let stop = 2 * history.records.len() / 3;
        let at = format!("an engine under {policy}, seed {seed}, recovered after {stop} inputs");
        let outcomes = Arc::new(Outcomes::default());
        let engine = Engine::new(options(seed), registry.clone()).with_publisher(Arc::clone(&outcomes) as _);
        let made = attempt(&mut *new);
        let made = made.map_err(|panic| Violation::new(Invariant::StoreWorks, &at, panic, "a store"))?;
        let store = works(&at, made)?;
        let mut kept = Kept { engine, outcomes, store, next: 0, published: Vec::new(), base: None };
        kept.begin_base();
        while kept.base.is_some() {
            kept.commit(&[], &at)?;
        }
        let mut records = history.until(stop);
        for batch in BATCHES.into_iter().cycle() {
            if records.is_empty() {
                break;
            }
            let (now, later) = records.split_at(batch.min(records.len()));
            records = later;
            // One base is whole soon; the last one is not when the process ends.
            let left = later.len();
            if (left <= stop / 2 && stop / 2 < left + now.len()) || left == 0 {
                kept.begin_base();
            }
            kept.commit(now, &at)?;
        }
        let rest = history.records.get(stop..).unwrap_or_default();
        kept.recover(reopen, &registry, rest, &at)?;
    }
    Ok(())
}

impl<S: Store> Kept<S> {
    fn begin_base(&mut self) {
        self.engine.begin_base();
        self.base = Some((self.next, 0));
    }

    /// Commits records, with some parts of the base that is being written, and acts upon them.
    fn commit(&mut self, records: &[Record], at: &str) -> Result<(), Violation> {
        let mut changes = Changes { outcomes: std::mem::take(&mut self.published), ..Changes::default() };
        changes.records = (self.next..).zip(records.iter().cloned()).collect();
        if let Some((before, first)) = self.base {
            let parts = self.engine.base_parts(PARTS);
            let is_last = parts.is_empty();
            self.base = (!is_last).then_some((before, first + parts.len() as u64));
            let written = records.first().map_or(jiff::Timestamp::UNIX_EPOCH, |record| record.at);
            changes.base = Some(BaseParts { before, at: written, first, parts, is_last });
        }
        let answer = attempt(|| self.store.commit(&changes));
        let answer = answer.map_err(|panic| Violation::new(Invariant::StoreWorks, at, panic, "an answer"))?;
        works(at, answer)?;
        for record in records {
            self.engine.apply(record);
            self.published.push((self.next, self.outcomes.take()));
            self.next += 1;
        }
        Ok(())
    }

    /// What comes back goes on as what lived on.
    fn recover(
        mut self,
        reopen: &mut dyn FnMut(S) -> Result<S, StoreError>,
        registry: &Registry,
        rest: &[Record],
        at: &str,
    ) -> Result<(), Violation> {
        let wrong =
            |found: String, right: &str| Violation::new(Invariant::WrittenDownGoesOn, at, found, right);
        let reopened = attempt(|| reopen(self.store));
        let reopened =
            reopened.map_err(|panic| Violation::new(Invariant::StoreWorks, at, panic, "a store"))?;
        let mut store = works(at, reopened)?;
        let targets: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
        let recovered = attempt(|| recover(&mut store, registry, &targets, &mut |_, _| ()));
        let recovered =
            recovered.map_err(|panic| Violation::new(Invariant::StoreWorks, at, panic, "an engine"))?;
        let recovered = recovered.map_err(|error| wrong(error.to_string(), "an engine"))?;
        let Some(recovered) = recovered else { return Err(wrong("no engine came back".into(), "one")) };
        if recovered.next != self.next {
            let found = format!("the next record would be number {}", recovered.next);
            return Err(wrong(found, &format!("number {}", self.next)));
        }
        let outcomes = Arc::new(Outcomes::default());
        let mut engine = recovered.engine.with_publisher(Arc::clone(&outcomes) as _);
        self.outcomes.take();
        for (number, record) in (self.next..).zip(rest) {
            self.engine.apply(record);
            engine.apply(record);
            let (found, right) = (outcomes.take(), self.outcomes.take());
            if found != right {
                let found = format!("record {number} published {found:?}");
                return Err(wrong(found, &format!("{right:?}")));
            }
        }
        Ok(())
    }
}
