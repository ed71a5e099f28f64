//! A publisher, tried.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use models::ScheduleId;
use policies::Registry;

use super::attempt::attempt;
use super::history::{History, options};
use super::{Invariant, Violation};
use crate::board::{Publisher, View};
use crate::engine::Engine;

const SEEDS: u64 = 2;

/// Tries a publisher: through some simulated hours with schedules that come, change, wait and go, `shows` says what
/// is to be seen of each of them after each input, and `expected` what that should be of its newest view, none where
/// there is no such schedule. The publisher is to show nothing at first.
///
/// # Errors
///
/// The first [`Violation`].
pub fn publisher<T: PartialEq + Debug>(
    publisher: &Arc<dyn Publisher>,
    shows: impl Fn(&ScheduleId) -> T,
    expected: impl Fn(&ScheduleId, Option<&View>) -> T,
) -> Result<(), Violation> {
    for seed in 0..SEEDS {
        let registry = Registry::builtin();
        let history = History::of(&registry, "random", seed);
        let engine = Engine::new(options(seed), registry);
        let mut engine = engine.with_publisher(Arc::clone(publisher));
        let mut known = BTreeSet::new();
        for (index, record) in history.records.iter().enumerate() {
            let situation = || format!("seed {seed}, input {index} ({})", record.input.kind());
            never_panics(&situation(), || engine.apply(record))?;
            known.extend(engine.schedules().cloned());
            for id in &known {
                let view = engine.board().view(id);
                let found = never_panics(&situation(), || shows(id))?;
                let right = never_panics(&situation(), || expected(id, view.as_deref()))?;
                if found != right {
                    let situation = format!("{}, {id}", situation());
                    let (found, right) = (format!("it shows {found:?}"), format!("{right:?}"));
                    return Err(Violation::new(Invariant::NewestViewIsShown, &situation, found, right));
                }
            }
        }
        // The next engine begins with none, and so does the publisher.
        for id in &known {
            never_panics(&format!("seed {seed}, {id} removed"), || drop(engine.remove(id)))?;
        }
    }
    Ok(())
}

fn never_panics<T>(at: &str, act: impl FnOnce() -> T) -> Result<T, Violation> {
    attempt(act).map_err(|panic| Violation::new(Invariant::NewestViewIsShown, at, panic, "no panic"))
}
