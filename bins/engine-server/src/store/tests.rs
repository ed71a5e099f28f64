//! What lasts, on disks that fail.

use std::fmt::Write as _;

use engine::journal::{BaseParts, Changes, Input, Kept, Outcome, Record, Store as _, StoreError};
use engine::{Engine, EngineOptions, Part};
use jiff::{SignedDuration, Timestamp};
use models::{Overrides, ScheduleId};
use policies::Registry;
use proptest::prelude::*;
use providers::archive::{Archive, Bounds};

use redb::{ReadableTable as _, StorageBackend as _, TableDefinition};

use super::cautious::Cautious;
use super::disk::Disk;
use super::faulty::{Fault, Medium};
use super::layout::{COMMITS, META, RECORDS};
use super::retention::Retention;
use super::rows::{pack, unpack};

const ALL: Retention = Retention { reach: SignedDuration::MAX, bytes: u64::MAX };
/// Some instant; hours are counted from here.
const EPOCH: Timestamp = Timestamp::UNIX_EPOCH;

fn hour(hour: i64) -> Timestamp {
    EPOCH + SignedDuration::from_hours(hour)
}

fn id(number: u64) -> ScheduleId {
    ScheduleId::new("t", &format!("s{number}")).unwrap()
}

fn record(number: u64) -> (u64, Record) {
    (number, Record { at: EPOCH, input: Input::Remove { id: id(number) } })
}

fn outcome(number: u64) -> (u64, Vec<Outcome>) {
    (number, vec![Outcome { id: id(number), weights: vec![100], digest: 7 }])
}

fn records(numbers: std::ops::Range<u64>) -> Changes {
    Changes {
        records: numbers.clone().map(record).collect(),
        outcomes: numbers.map(outcome).collect(),
        base: None,
    }
}

/// Parts that say nothing, in one commit or as the first or last of several.
fn base(before: u64, at: Timestamp, first: u64, count: u64, is_last: bool) -> Changes {
    let bounds = Bounds::default();
    let parts = (0..count).map(|_| Part::Archive(Box::new(Archive::new(bounds)))).collect();
    Changes { base: Some(BaseParts { before, at, first, parts, is_last }), ..Changes::default() }
}

/// All that a restart would get: what the parts stand before, how many they are, and the records' numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Loaded {
    before: Option<u64>,
    parts: u64,
    records: Vec<u64>,
    all: String,
}

fn load_from(disk: &Disk, at: Option<Timestamp>) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    let mut published = String::new();
    disk.read(
        at,
        &mut |kept| {
            writeln!(loaded.all, "{kept:?}").unwrap();
            match kept {
                Kept::Part(before, _) => {
                    assert!(loaded.before.is_none_or(|known| known == before));
                    loaded.before = Some(before);
                    loaded.parts += 1;
                }
                Kept::Record(number, _) => loaded.records.push(number),
            }
            Ok(())
        },
        &mut |number, outcomes| {
            writeln!(published, "{number} {outcomes:?}").unwrap();
            Ok(())
        },
    )?;
    loaded.all += &published;
    Ok(loaded)
}

fn load(disk: &Disk) -> Loaded {
    load_from(disk, None).unwrap()
}

fn open(medium: &Medium, retention: Retention) -> Result<Disk, StoreError> {
    Disk::open(medium.opener(), retention)
}

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Step {
    /// So many records.
    Records(u64),
    /// A base, so many hours later, of so many parts in so many commits, each with a record beside it.
    Base { hours: i64, parts: u64, commits: u64 },
    /// A base that is begun and not gone on with.
    BaseBegun { parts: u64 },
    /// From so many changes on the disk is faulty.
    Fault(u64, Fault),
    /// The disk is well again, and so the store is to be.
    Mend,
    /// The power is cut, with these dice.
    Cut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![Just(Fault::Full), Just(Fault::Writes), Just(Fault::Syncs)];
    prop_oneof![
        4 => (1..20_u64).prop_map(Step::Records),
        2 => (0..30_i64, 1..20_u64, 1..4_u64)
            .prop_map(|(hours, parts, commits)| Step::Base { hours, parts, commits }),
        1 => (1..20_u64).prop_map(|parts| Step::BaseBegun { parts }),
        2 => (0..40_u64, fault).prop_map(|(changes, fault)| Step::Fault(changes, fault)),
        1 => Just(Step::Mend),
        2 => any::<u64>().prop_map(Step::Cut),
    ]
}

/// A store, and what is known of it.
struct Trial {
    medium: Medium,
    retention: Retention,
    disk: Option<Disk>,
    at: i64,
    /// Number of the next record.
    next: u64,
    /// The newest base that was acknowledged whole: what it stands before, and its parts.
    base: (u64, u64),
    /// What failed, and is not healed: so many records, and a base that it made whole.
    failed: Option<(u64, Option<(u64, u64)>)>,
}

impl Trial {
    fn new(retention: Retention) -> Self {
        let medium = Medium::default();
        let mut disk = open(&medium, retention).unwrap();
        disk.commit(&base(0, hour(0), 0, 3, true)).unwrap();
        Self { medium, retention, disk: Some(disk), at: 0, next: 0, base: (0, 3), failed: None }
    }

    /// Commits these changes, with so many records. Answers whether they were taken.
    fn commit(&mut self, mut changes: Changes, count: u64, whole: Option<(u64, u64)>) -> bool {
        let new = records(self.next..self.next + count);
        (changes.records, changes.outcomes) = (new.records, new.outcomes);
        let disk = self.disk.as_mut().unwrap();
        match disk.commit(&changes) {
            Ok(()) => {
                assert!(self.failed.is_none(), "a store that failed takes nothing until it is healed");
                self.next += count;
                self.base = whole.unwrap_or(self.base);
            }
            Err(_) => {
                self.failed.get_or_insert((count, whole));
            }
        }
        self.failed.is_none()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Records(count) => {
                self.commit(Changes::default(), count, None);
            }
            Step::Base { hours, parts, commits } => {
                self.at += hours;
                let before = self.next;
                for commit in 0..commits {
                    let is_last = commit + 1 == commits;
                    let changes = base(before, hour(self.at), commit * parts, parts, is_last);
                    if !self.commit(changes, 1, is_last.then_some((before, parts * commits))) {
                        return;
                    }
                }
            }
            Step::BaseBegun { parts } => {
                self.commit(base(self.next, hour(self.at), 0, parts, false), 1, None);
            }
            Step::Fault(changes, fault) => self.medium.fail_after(changes, fault),
            Step::Mend => {
                if self.failed.is_some() {
                    // As long as it is broken it may or may not be of use.
                    let _ = self.disk.as_mut().unwrap().heal(self.next);
                }
                self.medium.mend();
                self.disk.as_mut().unwrap().heal(self.next).unwrap();
                let loaded = load(self.disk.as_ref().unwrap());
                self.check_base(&loaded);
                assert_eq!(loaded.records, (self.base.0..self.next).collect::<Vec<_>>());
                self.failed = None;
            }
            Step::Cut(seed) => {
                self.medium.cut_power(dice(seed));
                // Whoever had it open is gone; what it would still write comes to nothing.
                self.disk = None;
                let disk = open(&self.medium, self.retention).unwrap();
                let loaded = load(&disk);
                self.check_base(&loaded);
                // What failed is there whole, or not at all.
                let next = loaded.records.last().map_or(self.base.0, |last| last + 1);
                let possible = [self.next, self.next + self.failed.map_or(0, |(count, _)| count)];
                assert!(possible.contains(&next), "{next}: {possible:?}");
                assert_eq!(loaded.records, (self.base.0..next).collect::<Vec<_>>());
                (self.next, self.failed, self.disk) = (next, None, Some(disk));
            }
        }
    }

    /// The newest whole base is there, or the one whose last commit failed.
    fn check_base(&mut self, loaded: &Loaded) {
        let found = (loaded.before.unwrap(), loaded.parts);
        if let Some((_, Some(whole))) = self.failed
            && found == whole
        {
            self.base = whole;
        }
        assert_eq!(found, self.base);
    }
}

/// Dice with as many sides as they are asked for.
fn dice(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |sides| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % sides
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Each of them is many openings.
        cases: ProptestConfig::default().cases / 4,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_acknowledged_lasts_and_what_was_refused_does_not(
        steps in prop::collection::vec(step(), 1..25),
        hours in prop_oneof![Just(0_i64), Just(24), Just(24 * 7)],
        bytes in prop_oneof![Just(0_u64), Just(4_096), Just(u64::MAX)],
    ) {
        let mut trial = Trial::new(Retention { reach: SignedDuration::from_hours(hours), bytes });
        for step in &steps {
            trial.step(step);
        }
        trial.step(&Step::Cut(7));
    }
}

/// Makes of a store what layout 1 would have made of it: a row for each record.
fn as_layout_1(medium: &Medium) {
    let file = Cautious::new(medium.opener()().unwrap());
    file.release().unwrap();
    let database = redb::Builder::new().create_with_backend(file).unwrap();
    let write = database.begin_write().unwrap();
    {
        let commits = write.open_table(COMMITS).unwrap();
        let mut rows = write.open_table(TableDefinition::<u64, &[u8]>::new("records")).unwrap();
        let mut outcomes = write.open_table(TableDefinition::<u64, &[u8]>::new("outcomes")).unwrap();
        for row in commits.iter().unwrap() {
            let (key, packed) = row.unwrap();
            match key.value() {
                (first, RECORDS) => {
                    let records: Vec<Record> = unpack(packed.value(), "").unwrap();
                    for (number, record) in (first..).zip(&records) {
                        rows.insert(number, pack(record).unwrap().as_slice()).unwrap();
                    }
                }
                _ => {
                    let published: Vec<(u64, Vec<Outcome>)> = unpack(packed.value(), "").unwrap();
                    for (number, published) in &published {
                        outcomes.insert(number, pack(published).unwrap().as_slice()).unwrap();
                    }
                }
            }
        }
    }
    assert!(write.delete_table(COMMITS).unwrap());
    write.open_table(META).unwrap().insert("format", 1).unwrap();
    write.commit().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn layout_1_becomes_this_one_whatever_comes_in_between(
        commits in prop::collection::vec((1..60_u64, 0..60_u64, any::<bool>()), 1..12),
        troubles in prop::collection::vec((0..60_u64, any::<bool>(), any::<u64>()), 0..4),
    ) {
        let medium = Medium::default();
        let mut disk = open(&medium, ALL).unwrap();
        disk.commit(&base(0, hour(0), 0, 3, true)).unwrap();
        let (mut next, mut published) = (0, 0);
        for (at, (count, behind, has_base)) in (1..).zip(commits) {
            if has_base {
                disk.commit(&base(next, hour(24 * at), 0, 3, true)).unwrap();
            }
            // What records published comes with some later commit.
            let until = next.saturating_sub(behind).max(published);
            let outcomes = (published..until).filter(|number| number % 3 > 0).map(outcome).collect();
            (published, next) = (until, next + count);
            let records = (next - count..next).map(record).collect();
            disk.commit(&Changes { records, outcomes, base: None }).unwrap();
        }
        let all = |disk: &Disk| [load(disk), load_from(disk, Some(EPOCH)).unwrap()];
        let before = all(&disk);
        prop_assert_eq!(before[1].records.len() as u64, next);
        drop(disk);
        as_layout_1(&medium);
        for (changes, is_cut, seed) in troubles {
            medium.fail_after(changes, Fault::Writes);
            // What was opened in time is what it is.
            drop(open(&medium, ALL));
            if is_cut {
                medium.cut_power(dice(seed));
            }
            medium.mend();
        }
        let mut disk = open(&medium, ALL).unwrap();
        prop_assert_eq!(&all(&disk), &before);
        disk.commit(&Changes { records: vec![record(next)], ..Changes::default() }).unwrap();
        prop_assert_eq!(load_from(&disk, Some(EPOCH)).unwrap().records.len() as u64, next + 1);
        drop(disk);
        let loaded = load(&open(&medium, ALL).unwrap());
        prop_assert_eq!(loaded.records.last(), Some(&next));
    }
}

#[test]
fn what_was_published_is_kept_whichever_commit_brings_it() {
    let medium = Medium::default();
    let mut disk = open(&medium, ALL).unwrap();
    let mut commit = |base: Changes, numbers: std::ops::Range<u64>, published: std::ops::Range<u64>| {
        let records = numbers.map(record).collect();
        disk.commit(&Changes { records, outcomes: published.map(outcome).collect(), ..base }).unwrap();
    };
    commit(base(0, hour(0), 0, 1, true), 0..4, 0..0);
    commit(Changes::default(), 4..8, 0..2);
    // With no record beside it, twice at the same place.
    commit(Changes::default(), 0..0, 2..4);
    commit(Changes::default(), 0..0, 4..6);
    commit(base(8, hour(1), 0, 1, false), 0..0, 6..7);
    commit(base(8, hour(1), 1, 1, true), 8..9, 7..8);
    // As an import has it: what records published comes with them.
    commit(Changes::default(), 9..12, 8..12);
    let mut found = Vec::new();
    let mut note = |number, outcomes: Vec<Outcome>| {
        assert_eq!((number, outcomes), outcome(number));
        found.push(number);
        Ok(())
    };
    disk.read(Some(EPOCH), &mut |_| Ok(()), &mut note).unwrap();
    assert_eq!(found, (0..12).collect::<Vec<_>>());
}

#[test]
fn a_base_that_is_not_whole_is_no_base() {
    let medium = Medium::default();
    // Also one that stands before the same record as a whole one: after a stop, at the next start.
    for retention in [ALL, Retention { reach: SignedDuration::ZERO, bytes: 0 }] {
        let mut disk = open(&medium, retention).unwrap();
        disk.commit(&base(0, hour(0), 0, 200, false)).unwrap();
        disk.commit(&base(0, hour(0), 200, 1, true)).unwrap();
        for _ in 0..3 {
            disk.commit(&base(0, hour(1), 0, 100, false)).unwrap();
            assert_eq!((load(&disk).before, load(&disk).parts), (Some(0), 201));
            drop(disk);
            disk = open(&medium, retention).unwrap();
            assert_eq!((load(&disk).before, load(&disk).parts), (Some(0), 201));
        }
        disk.commit(&records(0..1)).unwrap();
    }
    let mut disk = open(&medium, ALL).unwrap();
    let lost = disk.commit(&base(9, hour(1), 100, 1, true));
    assert!(lost.is_err(), "parts of a base that nobody began");
}

#[test]
fn as_much_is_kept_as_was_asked_for() {
    let retention = Retention { reach: SignedDuration::from_hours(48), bytes: 400_000 };
    let medium = Medium::default();
    let mut disk = open(&medium, retention).unwrap();
    disk.commit(&base(0, hour(0), 0, 10, true)).unwrap();
    let mut next = 0;
    let mut turn = |disk: &mut Disk, at: i64, count: u64| {
        disk.commit(&records(next..next + count)).unwrap();
        next += count;
        disk.commit(&base(next, hour(at), 0, 10, true)).unwrap();
        assert_eq!(load(disk).before, Some(next), "the newest base");
        let oldest = load_from(disk, Some(EPOCH)).unwrap();
        let first = oldest.before.unwrap();
        assert_eq!(oldest.records, (first..next).collect::<Vec<_>>(), "every record since the oldest base");
        disk.replay_from().unwrap()
    };
    // Little comes in: as far back as asked for, and some hours more.
    for at in (5..200).step_by(5) {
        let from = turn(&mut disk, at, 2);
        assert!(from <= hour((at - 48).max(0)), "{at}: {from}");
        assert!(from >= hour(at - 48 - 24), "{at}: {from}");
        if at % 3 == 0 {
            drop(disk);
            disk = open(&medium, retention).unwrap();
        }
    }
    // Much: as many bytes as asked for, most of them, also where bases lie close to each other, and although
    // the process is killed now and then.
    let mut size = 0;
    for number in 0..60 {
        let from = turn(&mut disk, 200 + number / 12, 300);
        if number > 30 {
            assert!(from > hour(150), "{from}");
        }
        if number % 7 == 0 {
            medium.cut_power(|_| 0);
            drop(disk);
            disk = open(&medium, retention).unwrap();
        }
        if number == 30 {
            size = medium.bytes().len();
        }
    }
    let kept = load_from(&disk, Some(EPOCH)).unwrap().records.len();
    assert!((1_500..6_000).contains(&kept), "{kept} records of about 80 bytes, and what they published");
    assert!(medium.bytes().len() <= size, "{} after {size}: room is used again", medium.bytes().len());
}

/// A small store of a real engine, and what it holds; closed, or as a power cut left it.
fn small(is_closed: bool) -> (Vec<u8>, [String; 2]) {
    let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
    for number in 0..2 {
        engine.configure(&id(number), Overrides::default(), EPOCH).unwrap();
    }
    engine.begin_base();
    let parts = engine.base_parts(usize::MAX);
    let medium = Medium::default();
    let mut disk = open(&medium, ALL).unwrap();
    let base = Some(BaseParts { before: 0, at: EPOCH, first: 0, parts, is_last: true });
    disk.commit(&Changes { base, ..Changes::default() }).unwrap();
    disk.commit(&records(0..8)).unwrap();
    let before = load(&disk).all;
    disk.commit(&records(8..9)).unwrap();
    let last = load(&disk).all;
    if is_closed {
        drop(disk);
    } else {
        medium.cut_power(|_| 0);
    }
    (medium.bytes(), [last, before])
}

/// Opens what is left of a store. Answers what it holds, or nothing where it was refused with a clear error and
/// left as it was.
fn try_open(bytes: &[u8], what: &str) -> Option<String> {
    let medium = Medium::of(bytes);
    match open(&medium, ALL).and_then(|disk| load_from(&disk, None)) {
        Ok(loaded) => Some(loaded.all),
        Err(StoreError::Damaged(_) | StoreError::Version { .. }) => {
            assert!(medium.bytes() == bytes, "{what}: refused, but changed");
            None
        }
        Err(other) => panic!("{what}: {other}"),
    }
}

/// Every so manieth position; all of them where the environment asks for that.
fn positions(bytes: &[u8], stride: usize) -> impl Iterator<Item = usize> {
    let all = std::env::var_os("EVERY_POSITION").is_some();
    let used: Vec<bool> = bytes.chunks(4_096).map(|page| page.iter().any(|byte| *byte != 0)).collect();
    (0..bytes.len()).filter(move |at| all || *at < 400 || (used[at / 4_096] && at % stride == 0))
}

#[test]
fn a_flipped_bit_is_noticed_or_changes_nothing() {
    let (bytes, [last, _]) = small(true);
    let mut refused = 0;
    for at in positions(&bytes, 127) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        match try_open(&flipped, &format!("byte {at}")) {
            Some(found) => assert!(found == last, "byte {at}: another state was read"),
            None => refused += 1,
        }
    }
    assert!(refused > 100, "{refused}");
}

/// A store that was not closed and damaged since: of one whose last commit does not check, nobody can know that
/// it was whole once.
#[test]
fn a_flipped_bit_after_a_power_cut_costs_the_last_commit_at_most() {
    let (bytes, possible) = small(false);
    for at in positions(&bytes, 211) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let found = try_open(&flipped, &format!("byte {at}"));
        assert!(found.is_none_or(|found| possible.contains(&found)), "byte {at}: another state was read");
    }
}

#[test]
fn a_store_that_was_cut_off_is_noticed() {
    let (bytes, [last, _]) = small(true);
    let every = (0..bytes.len()).step_by(4_096);
    let odd = (1..bytes.len()).step_by(4_099);
    for length in every.chain(odd).filter(|length| *length > 0) {
        let found = try_open(&bytes[..length], &format!("{length} bytes"));
        assert!(found.is_none_or(|found| found == last), "{length} bytes: another state was read");
    }
}

/// What is done to a file.
#[derive(Debug, Clone)]
enum Access {
    Length(u64),
    Write(u64, Vec<u8>),
    Sync,
    Release,
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![
        2 => (0..200_u64).prop_map(Access::Length),
        6 => (0..150_u64, prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(at, bytes)| Access::Write(at, bytes)),
        1 => Just(Access::Sync),
        1 => Just(Access::Release),
    ]
}

proptest! {
    #[test]
    fn what_is_held_back_reads_as_if_it_were_written(
        accesses in prop::collection::vec(access(), 1..30),
        (from, length) in (0..200_u64, 0..60_usize),
    ) {
        let begin: Vec<u8> = (1..=100).collect();
        let (medium, shadow) = (Medium::of(&begin), Medium::of(&begin));
        let file = Cautious::new(medium.opener()().unwrap());
        let plain = shadow.opener()().unwrap();
        let mut is_released = false;
        for access in accesses {
            match access {
                Access::Length(length) => (file.set_len(length).unwrap(), plain.set_len(length).unwrap()),
                Access::Write(at, bytes) => {
                    // No library writes beyond a file's end.
                    let end = at + bytes.len() as u64;
                    let length = plain.len().unwrap().max(end);
                    file.set_len(length).unwrap();
                    plain.set_len(length).unwrap();
                    (file.write(at, &bytes).unwrap(), plain.write(at, &bytes).unwrap())
                }
                Access::Sync => (file.sync_data().unwrap(), plain.sync_data().unwrap()),
                Access::Release => {
                    is_released = true;
                    (file.release().unwrap(), ())
                }
            };
            prop_assert_eq!(file.len().unwrap(), plain.len().unwrap());
            let (mut one, mut other) = (vec![7; length], vec![9; length]);
            let results = (file.read(from, &mut one), plain.read(from, &mut other));
            prop_assert_eq!(results.0.is_ok(), results.1.is_ok());
            prop_assert!(results.0.is_err() || one == other, "{:?} {:?}", one, other);
            if is_released {
                prop_assert_eq!(medium.bytes(), shadow.bytes());
            } else {
                prop_assert_eq!(&medium.bytes(), &begin);
            }
        }
    }
}
