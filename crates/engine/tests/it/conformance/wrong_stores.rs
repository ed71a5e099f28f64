//! Stores that each do one thing wrong.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::journal::{BaseParts, Changes, Kept, Record, Store, StoreError};
use engine::testing::{self, Invariant};

use super::Shared;

type Take<'a> = dyn FnMut(Kept) -> Result<(), StoreError> + 'a;

/// What is done to a store on the way in and out; right where nothing is said.
#[derive(Clone, Copy)]
struct Ways {
    commit: fn(&mut Shared, Changes) -> Result<(), StoreError>,
    heal: fn(&mut Shared, u64) -> Result<(), StoreError>,
    load: fn(&mut Shared, &mut Take<'_>) -> Result<(), StoreError>,
    reopen: fn(Shared) -> Result<Shared, StoreError>,
}

const RIGHT: Ways = Ways {
    commit: |store, changes| store.commit(&changes),
    heal: |store, from| store.heal(from),
    load: |store, take| store.load(take),
    reopen: Ok,
};

struct Bent(Shared, Ways);

impl Store for Bent {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        (self.1.commit)(&mut self.0, copy(changes))
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        (self.1.heal)(&mut self.0, from)
    }

    fn load(&mut self, take: &mut Take<'_>) -> Result<(), StoreError> {
        (self.1.load)(&mut self.0, take)
    }
}

fn copy(Changes { records, outcomes, base }: &Changes) -> Changes {
    let base = base.as_ref().map(|base| BaseParts { parts: base.parts.clone(), ..*base });
    Changes { records: records.clone(), outcomes: outcomes.clone(), base }
}

/// Everything that it holds.
fn all(store: &mut Shared) -> Vec<Kept> {
    let mut all = Vec::new();
    let noted = store.load(&mut |kept| {
        all.push(kept);
        Ok(())
    });
    noted.unwrap();
    all
}

fn hand_out(kept: impl IntoIterator<Item = Kept>, take: &mut Take<'_>) -> Result<(), StoreError> {
    kept.into_iter().try_for_each(take)
}

fn is_record(kept: &Kept) -> bool {
    matches!(kept, Kept::Record(..))
}

const WRONG: [(&str, Invariant, Ways); 19] = [
    (
        "the last of several records lost",
        Invariant::RecordsFollow,
        Ways {
            commit: |store, mut changes| {
                if changes.records.len() > 1 {
                    changes.records.pop();
                }
                store.commit(&changes)
            },
            ..RIGHT
        },
    ),
    (
        "records backwards",
        Invariant::RecordsFollow,
        Ways {
            load: |store, take| {
                let (records, parts): (Vec<_>, Vec<_>) = all(store).into_iter().partition(is_record);
                hand_out(parts.into_iter().chain(records.into_iter().rev()), take)
            },
            ..RIGHT
        },
    ),
    (
        "records counted anew",
        Invariant::RecordsFollow,
        Ways {
            load: |store, take| {
                let mut next = 0;
                hand_out(
                    all(store).into_iter().map(|kept| match kept {
                        Kept::Record(_, record) => {
                            next += 1;
                            Kept::Record(next - 1, record)
                        }
                        part @ Kept::Part(..) => part,
                    }),
                    take,
                )
            },
            ..RIGHT
        },
    ),
    (
        "times to the second",
        Invariant::RecordsFollow,
        Ways {
            commit: |store, mut changes| {
                for (_, Record { at, .. }) in &mut changes.records {
                    *at = models::Timestamp::from_second(at.as_second() / 60 * 60).unwrap();
                }
                store.commit(&changes)
            },
            ..RIGHT
        },
    ),
    (
        "records before the base, too",
        Invariant::RecordsFollow,
        Ways {
            load: |store, take| {
                let records = store.0.lock().unwrap().records.clone();
                let records =
                    records.into_iter().map(|(number, record)| Kept::Record(number, Box::new(record)));
                let parts: Vec<_> = all(store).into_iter().filter(|kept| !is_record(kept)).collect();
                let records = if parts.is_empty() { Vec::new() } else { records.collect() };
                hand_out(parts.into_iter().chain(records), take)
            },
            ..RIGHT
        },
    ),
    (
        "the records beside a base lost",
        Invariant::RecordsFollow,
        Ways {
            commit: |store, mut changes| {
                if changes.base.is_some() {
                    changes.records.clear();
                }
                store.commit(&changes)
            },
            ..RIGHT
        },
    ),
    (
        "records first",
        Invariant::BaseComesFirst,
        Ways {
            load: |store, take| {
                let (records, parts): (Vec<_>, Vec<_>) = all(store).into_iter().partition(is_record);
                hand_out(records.into_iter().chain(parts), take)
            },
            ..RIGHT
        },
    ),
    (
        "parts backwards",
        Invariant::BaseComesFirst,
        Ways {
            load: |store, take| {
                let (records, parts): (Vec<_>, Vec<_>) = all(store).into_iter().partition(is_record);
                hand_out(parts.into_iter().rev().chain(records), take)
            },
            ..RIGHT
        },
    ),
    (
        "the first base for ever",
        Invariant::BaseComesFirst,
        Ways {
            commit: |store, mut changes| {
                if all(store).iter().any(|kept| !is_record(kept)) {
                    changes.base = None;
                }
                store.commit(&changes)
            },
            ..RIGHT
        },
    ),
    (
        "a base that is whole when it is begun",
        Invariant::UnfinishedBaseIsNone,
        Ways {
            commit: |store, mut changes| {
                if let Some(base) = &mut changes.base {
                    base.is_last = true;
                }
                store.commit(&changes)
            },
            ..RIGHT
        },
    ),
    (
        "something in an empty store",
        Invariant::EmptyStoreIsEmpty,
        Ways {
            load: |store, take| {
                if all(store).is_empty() {
                    let engine =
                        engine::Engine::new(engine::EngineOptions::default(), policies::Registry::builtin());
                    let mut engine = engine;
                    engine.begin_base();
                    return hand_out(engine.base_parts(1).into_iter().map(|part| Kept::Part(0, part)), take);
                }
                store.load(take)
            },
            ..RIGHT
        },
    ),
    ("nothing after a stop", Invariant::CommittedLasts, Ways { reopen: |_| Ok(Shared::default()), ..RIGHT }),
    (
        "the last record lost at a stop",
        Invariant::CommittedLasts,
        Ways {
            reopen: |store| {
                store.0.lock().unwrap().records.pop();
                Ok(store)
            },
            ..RIGHT
        },
    ),
    ("healed of nothing", Invariant::HealedForgets, Ways { heal: |_, _| Ok(()), ..RIGHT }),
    (
        "healed of one record too few",
        Invariant::HealedForgets,
        Ways { heal: |store, from| store.heal(from + 1), ..RIGHT },
    ),
    (
        "an error that nobody hears of",
        Invariant::LoadStopsWhereTold,
        Ways {
            load: |store, take| {
                let _ = store.load(take);
                Ok(())
            },
            ..RIGHT
        },
    ),
    (
        "a load that goes on",
        Invariant::LoadStopsWhereTold,
        Ways {
            load: |store, take| {
                let answers: Vec<_> = all(store).into_iter().map(take).collect();
                answers.into_iter().collect()
            },
            ..RIGHT
        },
    ),
    (
        "no commit of many",
        Invariant::StoreWorks,
        Ways {
            commit: |store, changes| {
                if changes.records.len() > 100 {
                    return Err(StoreError::Io("too much at once".into()));
                }
                store.commit(&changes)
            },
            ..RIGHT
        },
    ),
    (
        "a base with a last commit of no parts",
        Invariant::StoreWorks,
        Ways {
            commit: |store, changes| {
                assert!(changes.base.as_ref().is_none_or(|base| !base.parts.is_empty()), "parts");
                store.commit(&changes)
            },
            ..RIGHT
        },
    ),
];

#[test]
fn what_a_store_does_wrong_is_found_and_named() {
    let mut messages = String::new();
    for (what, invariant, ways) in WRONG {
        let new = || Ok(Bent(Shared::default(), ways));
        let reopen = |Bent(store, ways): Bent| Ok(Bent((ways.reopen)(store)?, ways));
        let violation = testing::store(new, reopen).expect_err(what);
        assert_eq!(violation.invariant, invariant, "{what}: {violation}");
        writeln!(messages, "{what}\n  {violation}").unwrap();
    }
    insta::assert_snapshot!(messages);
}

/// What a disk does where it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// Refuses, and nothing of it is there.
    Refuses,
    /// Refuses, and all of it is there after all.
    RefusesTooLate,
    /// Refuses what has been written in part.
    Tears,
    /// Takes what comes after it.
    Forgives,
    /// Is never broken.
    Works,
    /// Refuses, and loses what it had.
    Loses,
    /// Panics.
    Panics,
}

struct Failing {
    store: Shared,
    disk: Disk,
    is_broken: Arc<AtomicBool>,
    failed: bool,
}

impl Store for Failing {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if self.failed && self.disk != Disk::Forgives {
            return Err(StoreError::Io("it was not healed".into()));
        }
        if !self.is_broken.load(Ordering::Relaxed) || self.disk == Disk::Works {
            return self.store.commit(changes);
        }
        self.failed = true;
        assert!(self.disk != Disk::Panics, "a disk");
        match self.disk {
            Disk::RefusesTooLate => self.store.commit(changes)?,
            Disk::Tears => {
                let mut torn = copy(changes);
                torn.records.truncate(changes.records.len().div_ceil(2));
                torn.base = None;
                self.store.commit(&torn)?;
            }
            Disk::Loses => drop(self.store.0.lock().unwrap().records.pop()),
            Disk::Refuses | Disk::Forgives | Disk::Works | Disk::Panics => {}
        }
        Err(StoreError::Io("the disk is full".into()))
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(StoreError::Io("the disk is full".into()));
        }
        self.failed = false;
        self.store.heal(from)
    }

    fn load(&mut self, take: &mut Take<'_>) -> Result<(), StoreError> {
        self.store.load(take)
    }
}

fn tried(disk: Disk) -> (Result<(), testing::Violation>, u32) {
    let is_broken = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&is_broken);
    let new =
        move || Ok(Failing { store: Shared::default(), disk, is_broken: Arc::clone(&broken), failed: false });
    let reopen = |before: Failing| Ok(Failing { failed: false, ..before });
    let times = Rc::new(Cell::new(0));
    let counted = Rc::clone(&times);
    let answer = testing::failing_store(new, reopen, move |broken| {
        counted.set(counted.get() + 1);
        is_broken.store(broken, Ordering::Relaxed);
    });
    (answer, times.get())
}

#[test]
fn a_store_that_refuses_as_it_should_is_not_refused() {
    for disk in [Disk::Refuses, Disk::RefusesTooLate] {
        let (answer, times) = tried(disk);
        answer.unwrap();
        assert!(times > 10, "{times}");
    }
}

#[test]
fn what_a_store_does_wrong_with_a_broken_disk_is_found_and_named() {
    let mut messages = String::new();
    for (disk, invariant) in [
        (Disk::Tears, Invariant::RefusedLeavesTheRest),
        (Disk::Loses, Invariant::RefusedLeavesTheRest),
        (Disk::Forgives, Invariant::NothingBeforeHealed),
        (Disk::Works, Invariant::FaultsAreNoticed),
        (Disk::Panics, Invariant::StoreWorks),
    ] {
        let violation = tried(disk).0.unwrap_err();
        assert_eq!(violation.invariant, invariant, "{disk:?}: {violation}");
        writeln!(messages, "{disk:?}\n  {violation}").unwrap();
    }
    insta::assert_snapshot!(messages);
}
