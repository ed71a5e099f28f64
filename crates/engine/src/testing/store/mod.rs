//! A store, tried.

mod bench;
mod faults;
mod loaded;
mod pool;
mod recovery;

use super::dice::Dice;
use super::{Invariant, Violation};
use crate::journal::{Store, StoreError};
use bench::Bench;
pub use faults::failing_store;
use loaded::Loaded;
use pool::Pool;

/// Courses of any steps.
const COURSES: u64 = 8;
/// Steps of each.
const STEPS: u32 = 14;
/// More records than most commits have.
const MANY: u64 = 150;

/// Tries a store: bases and records, in one commit and in many, given up and healed, loaded and opened anew after
/// each step; then engines that are recovered from it and go on. `new` makes one that is empty, in a place of its own;
/// `reopen` opens the same one anew, as after a stop: where that leaves a file open, drop the store first.
///
/// Takes a few seconds in a build that is not optimised, and makes some dozen stores.
///
/// # Errors
///
/// The first [`Violation`].
pub fn store<S: Store>(
    mut new: impl FnMut() -> Result<S, StoreError>,
    mut reopen: impl FnMut(S) -> Result<S, StoreError>,
) -> Result<(), Violation> {
    let pool = Pool::new();
    one_by_one(&mut Bench::new("one step after the other", &pool, &mut new, &mut reopen)?)?;
    for seed in 0..COURSES {
        let what = format!("any steps of seed {seed}");
        any_steps(&mut Bench::new(&what, &pool, &mut new, &mut reopen)?, seed)?;
    }
    recovery::goes_on(&mut new, &mut reopen)
}

/// Every kind of step once, so that what is wrong is found where it is simplest.
fn one_by_one<S: Store>(bench: &mut Bench<'_, S>) -> Result<(), Violation> {
    bench.check("empty")?;
    bench.begin_base(2, 0)?;
    bench.check("with a base begun, and no other")?;
    bench.base(&[3], 0)?;
    bench.check("with a base in one commit")?;
    bench.records(1)?;
    bench.records(1)?;
    bench.check("with two records in two commits")?;
    bench.records(5)?;
    bench.check("with five records in one commit")?;
    bench.stop_early()?;
    bench.reopen("after records")?;
    bench.base(&[1, 2, 0], 1)?;
    bench.check("with a base in three commits, and a record beside each")?;
    bench.begin_base(2, 3)?;
    bench.check("with a base begun, and three records beside it")?;
    bench.reopen("with a base begun")?;
    bench.records(2)?;
    bench.check("with records after a base that was given up")?;
    bench.base(&[4], 2)?;
    bench.reopen("after a base in the place of one that was given up")?;
    bench.records(MANY)?;
    bench.check("with many records in one commit")?;
    bench.heal(3)?;
    bench.records(4)?;
    bench.check("with records under numbers that were forgotten")?;
    bench.reopen("after it was healed")?;
    bench.begin_base(2, 1)?;
    bench.heal(1)?;
    bench.records(1)?;
    bench.base(&[2], 0)?;
    bench.reopen("after a base that followed healing")
}

fn any_steps<S: Store>(bench: &mut Bench<'_, S>, seed: u64) -> Result<(), Violation> {
    let mut dice = Dice::new(seed);
    bench.base(&[4], 0)?;
    for step in 0..STEPS {
        let (few, fewer) = (dice.below(4) as usize, u64::from(dice.below(3)));
        match dice.below(8) {
            0..3 => bench.records(1 + u64::from(dice.below(30)))?,
            3 => bench.base(&[few + 1, dice.below(3) as usize], fewer)?,
            4 => bench.begin_base(few + 1, fewer)?,
            5 => bench.heal(u64::from(dice.below(6)))?,
            6 => bench.reopen(&format!("at step {step}"))?,
            _ => bench.stop_early()?,
        }
        bench.check(&format!("at step {step}"))?;
    }
    bench.reopen("at the end")
}

/// What a store answers where nothing is wrong with it.
fn works<T>(at: &str, answer: Result<T, StoreError>) -> Result<T, Violation> {
    answer.map_err(|error| {
        Violation::new(Invariant::StoreWorks, at, format!("it answered: {error}"), "no error")
    })
}
