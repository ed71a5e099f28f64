//! A whole engine under a policy.

use std::fmt::Display;
use std::sync::Arc;

use models::Timestamp;
use policies::Registry;
use serde_json::Value;

use super::super::history::{History, options};
use super::super::recorder::{Recorder, Seen};
use super::super::{Invariant, Violation};
use super::Make;
use super::walker::never_panics;
use crate::board::Published;
use crate::engine::Engine;
use crate::journal::{BaseParts, Changes, Memory, Outcome, Store as _, recover};
use crate::options::{AnyTarget, TargetCheck};

/// What the policy is called while it is tried.
const NAME: &str = "policy-under-test";

/// A life of an engine: what it publishes is whole, the same each time, and goes on where it was
/// written down.
pub(super) fn lives(make: &Arc<Make>, seed: u64) -> Result<(), Violation> {
    let at = format!("simulated hours of seed {seed}");
    let mut registry = Registry::builtin();
    let own = Arc::clone(make);
    if let Err(taken) = registry.register(NAME, move |seed| own(seed)) {
        // Of no built-in policy: only the kit itself can have done this.
        return Err(Violation::new(
            Invariant::PolicyNeverPanics,
            &at,
            taken.to_string(),
            "a name of its own",
        ));
    }
    let history = never_panics(&at, || History::of(&registry, NAME, seed))?;
    let (half, rest) = history.records.split_at(history.records.len() / 2);
    let recorder = Arc::new(Recorder::default());
    let run = || {
        let engine = Engine::new(options(seed), registry.clone());
        engine.with_publisher(Arc::clone(&recorder) as _)
    };
    let outcomes = |seen: &[Seen]| -> Vec<Outcome> {
        seen.iter().filter_map(|seen| Some(Outcome::of(&seen.id, seen.view.as_ref()?))).collect()
    };

    let mut one = run();
    let mut store = Memory::default();
    let mut published = Vec::new();
    for record in half {
        never_panics(&at, || drop(one.apply(record)))?;
        published.extend(recorder.take());
    }
    one.begin_base();
    let parts = never_panics(&at, || one.base_parts(usize::MAX))?;
    let base = BaseParts {
        before: 0,
        at: half.last().map_or(Timestamp::MIN, |record| record.at),
        first: 0,
        parts,
        is_last: true,
    };
    let written = store.commit(&Changes { base: Some(base), ..Changes::default() });
    for record in rest {
        never_panics(&at, || drop(one.apply(record)))?;
        published.extend(recorder.take());
    }
    published
        .iter()
        .filter_map(|seen| seen.view.as_ref()?.published())
        .try_for_each(|one| is_whole(one, &at))?;
    let published = outcomes(&published);

    let mut two = run();
    for record in &history.records {
        never_panics(&at, || drop(two.apply(record)))?;
    }
    same(Invariant::SameInputsSameBytes, &at, &published, &outcomes(&recorder.take()), "the same twice")?;

    let targets: Arc<dyn TargetCheck> = Arc::new(AnyTarget);
    let recovered = never_panics(&at, || {
        written.and_then(|()| recover(&mut store, &registry, &targets, &mut |_, _| ()))
    })?;
    let Ok(Some(recovered)) = recovered else {
        return Err(Violation::new(Invariant::WrittenDownGoesOn, &at, "no engine came back", "one"));
    };
    let mut three = recovered.engine.with_publisher(Arc::clone(&recorder) as _);
    for record in rest {
        never_panics(&at, || drop(three.apply(record)))?;
    }
    let again = outcomes(&recorder.take());
    let tail = published.len().checked_sub(again.len()).and_then(|from| published.get(from..));
    let right = "what the engine published that lived on; is all that decides in `memory`?";
    same(Invariant::WrittenDownGoesOn, &at, tail.unwrap_or_default(), &again, right)
}

fn same(
    invariant: Invariant,
    at: &dyn Display,
    one: &[Outcome],
    other: &[Outcome],
    right: &str,
) -> Result<(), Violation> {
    if one.len() != other.len() {
        let found = format!("{} views once and {} then", one.len(), other.len());
        return Err(Violation::new(invariant, at, found, right));
    }
    match one.iter().zip(other).position(|(one, other)| one != other) {
        None => Ok(()),
        Some(index) => {
            let found = format!("view {index} is {:?} once and {:?} then", one[index], other[index]);
            Err(Violation::new(invariant, at, found, right))
        }
    }
}

/// Whether what was published can be read and served by.
fn is_whole(published: &Arc<Published>, at: &dyn Display) -> Result<(), Violation> {
    let flavours = &published.schedule.flavours;
    let percent: u32 = flavours.iter().map(|share| u32::from(share.weight)).sum();
    let per_mille: u32 = flavours.iter().map(|share| u32::from(share.per_mille)).sum();
    let disabled = flavours.iter().find(|share| !share.enabled && (share.weight > 0 || share.per_mille > 0));
    if (percent, per_mille) != (100, 1000) {
        let found = format!("{percent} percent and {per_mille} per mille");
        return Err(Violation::new(Invariant::WeightsAreWhole, at, found, "100 and 1000"));
    }
    if let Some(share) = disabled {
        let found = format!("`{}` is disabled and has {} percent", share.name, share.weight);
        return Err(Violation::new(Invariant::WeightsAreWhole, at, found, "none"));
    }
    let document = serde_json::from_slice::<Value>(&published.document.to_bytes());
    let found = match document {
        Ok(document) => match path_to_null(&document) {
            None => return Ok(()),
            Some(path) => format!("{path} is null"),
        },
        Err(error) => error.to_string(),
    };
    Err(Violation::new(Invariant::DocumentsAreJson, at, found, "JSON, in which what is unknown is left out"))
}

fn path_to_null(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| path_to_null(item).map(|rest| format!("/{index}{rest}"))),
        Value::Object(fields) => {
            fields.iter().find_map(|(key, field)| path_to_null(field).map(|rest| format!("/{key}{rest}")))
        }
        _ => None,
    }
}
