//! A store whose disk refuses.

use super::super::attempt::attempt;
use super::super::{Invariant, Violation};
use super::{Bench, Loaded, Pool, works};
use crate::journal::{Changes, Store, StoreError};

/// What happens after a refused commit.
#[derive(Debug, Clone, Copy)]
enum After {
    /// The store is healed.
    Healed,
    /// It was to be healed while it was still broken, too.
    HealedTwice,
    /// It is opened anew, as after a stop.
    OpenedAnew,
}

/// Tries a store whose commits fail: `set_broken` makes every commit of the store that `new` made last fail from now
/// on, or work again; it holds for stores that `reopen` opens, too. What was committed before is to be there, what was
/// refused whole or not at all, and nothing is to be committed before it was healed.
///
/// This is beside what [`store`](super::store) tries.
///
/// # Errors
///
/// The first [`Violation`].
pub fn failing_store<S: Store>(
    mut new: impl FnMut() -> Result<S, StoreError>,
    mut reopen: impl FnMut(S) -> Result<S, StoreError>,
    mut set_broken: impl FnMut(bool),
) -> Result<(), Violation> {
    let pool = Pool::new();
    let mut refused = false;
    for count in [1, 5, 40] {
        for after in [After::Healed, After::HealedTwice, After::OpenedAnew] {
            for has_base in [false, true] {
                let base = if has_base { " and the last part of a base" } else { "" };
                let plural = if count == 1 { "" } else { "s" };
                let what = format!("a refused commit of {count} record{plural}{base}, {}", after.as_str());
                let mut bench = Bench::new(&what, &pool, &mut new, &mut reopen)?;
                refused |= is_refused(&mut bench, count, has_base, after, &mut set_broken)?;
            }
        }
    }
    if refused {
        return Ok(());
    }
    let found = "every commit was acknowledged";
    Err(Violation::new(Invariant::FaultsAreNoticed, "commits of a store that is broken", found, "an error"))
}

impl After {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::HealedTwice => "healed while it was broken and after",
            Self::OpenedAnew => "opened anew",
        }
    }
}

/// One trial. Answers whether the commit was refused.
fn is_refused<S: Store>(
    bench: &mut Bench<'_, S>,
    count: u64,
    has_base: bool,
    after: After,
    set_broken: &mut dyn FnMut(bool),
) -> Result<bool, Violation> {
    bench.base(&[3], 0)?;
    bench.records(7)?;
    let before = bench.next;
    let mut parts = Vec::new();
    if has_base {
        let (base, texts) = bench.new_parts(0, before, 2, false);
        let at = bench.at("a base begun before that");
        works(&at, bench.commit(&Changes { base: Some(base), ..Changes::default() }, "a base begun")?)?;
        parts = texts;
    }
    let (mut changes, records) = bench.new_records(count);
    if has_base {
        let (base, texts) = bench.new_parts(parts.len(), before, 2, true);
        parts.extend(texts);
        changes.base = Some(base);
    }
    set_broken(true);
    let answer = bench.commit(&changes, "the commit");
    if matches!(after, After::HealedTwice) {
        let store = bench.store()?;
        // It may be of use or not, as long as it is broken.
        let _ = attempt(|| store.heal(before));
    }
    set_broken(false);
    let was_refused = answer?.is_err();
    // What may be there: all that was before; and with it the commit, whole.
    let without = bench.expected.clone();
    let mut bases = vec![without.clone()];
    if has_base {
        bases.push(Loaded { before: Some(before), parts: parts.clone(), records: Vec::new() });
    }
    let mut with = without.clone();
    with.records.extend(records.clone());
    if has_base {
        with = Loaded { before: Some(before), parts, records };
    }
    if !was_refused {
        if !matches!(after, After::HealedTwice) {
            bench.expected = with;
            bench.next += count;
            bench.reopen("after a commit that was acknowledged")?;
        }
        return Ok(false);
    }
    if matches!(after, After::Healed) {
        let (again, _) = bench.new_records(1);
        if bench.commit(&again, "the commit after it")?.is_ok() {
            let at = bench.at("before it was healed");
            return Err(Violation::new(
                Invariant::NothingBeforeHealed,
                &at,
                "a commit was acknowledged",
                "an error",
            ));
        }
    }
    let at = bench.at("afterwards");
    let possible = match after {
        After::Healed | After::HealedTwice => {
            let store = bench.store()?;
            let healed = attempt(|| store.heal(before));
            let healed =
                healed.map_err(|panic| Violation::new(Invariant::StoreWorks, &at, panic, "an answer"))?;
            works(&at, healed)?;
            bases
        }
        After::OpenedAnew => {
            bench.open_anew(&at)?;
            vec![without, with]
        }
    };
    let found = Loaded::from(bench.store()?, &at)?;
    let Some(is) = possible.iter().find(|possible| **possible == found) else {
        let differs =
            possible.first().and_then(|one| found.base_differs(one).or_else(|| found.records_differ(one)));
        let (found, right) = differs.unwrap_or_default();
        return Err(Violation::new(Invariant::RefusedLeavesTheRest, &at, found, right));
    };
    bench.next = is.records.last().map_or(is.before.unwrap_or(0), |(number, _)| number + 1);
    bench.expected = is.clone();
    bench.records(3)?;
    bench.reopen("after it went on")?;
    Ok(true)
}
