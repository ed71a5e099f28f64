//! The file keeps what every store keeps, also on disks that refuse.

use std::cell::RefCell;

use engine::journal::{Changes, Kept, Store, StoreError};
use engine::testing;
use jiff::SignedDuration;

use super::disk::Disk;
use super::faulty::{Fault, Medium};
use super::retention::Retention;

/// A store and the disk that it is on.
struct On {
    medium: Medium,
    disk: Disk,
}

impl Store for On {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.disk.commit(changes)
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        self.disk.heal(from)
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.disk.load(take)
    }
}

impl On {
    fn open(medium: Medium, retention: Retention) -> Result<Self, StoreError> {
        let disk = Disk::open(medium.opener(), retention)?;
        Ok(Self { medium, disk })
    }
}

/// All that there was, and as little as there may be.
fn retentions() -> [Retention; 2] {
    let all = Retention { reach: SignedDuration::MAX, bytes: u64::MAX };
    [all, Retention { reach: SignedDuration::ZERO, bytes: 0 }]
}

#[test]
fn the_file_keeps_what_every_store_keeps() {
    for retention in retentions() {
        let new = || On::open(Medium::default(), retention);
        testing::store(new, |On { medium, disk }| {
            drop(disk);
            On::open(medium, retention)
        })
        .unwrap();
    }
}

#[test]
fn the_file_keeps_that_over_power_cuts() {
    let [retention, _] = retentions();
    let new = || On::open(Medium::default(), retention);
    testing::store(new, |On { medium, disk }| {
        // Whoever had it open is gone, and with it what was not synced.
        medium.cut_power(|_| 0);
        drop(disk);
        On::open(medium, retention)
    })
    .unwrap();
}

#[test]
fn the_file_keeps_that_on_disks_that_refuse() {
    for fault in [Fault::Full, Fault::Writes, Fault::Syncs] {
        let [retention, _] = retentions();
        let current = RefCell::new(Medium::default());
        let new = || {
            let medium = Medium::default();
            *current.borrow_mut() = medium.clone();
            On::open(medium, retention)
        };
        let reopen = |On { medium, disk }| {
            drop(disk);
            On::open(medium, retention)
        };
        let set_broken = |broken| {
            if broken { current.borrow().fail_after(0, fault) } else { current.borrow().mend() }
        };
        let tried = testing::failing_store(new, reopen, set_broken);
        tried.unwrap_or_else(|violation| panic!("{fault:?}: {violation}"));
    }
}
