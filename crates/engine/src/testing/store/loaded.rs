//! What a store hands out.

use super::super::attempt::attempt;
use super::super::{Invariant, Violation};
use super::pool::text;
use crate::journal::{Kept, Store, StoreError};

/// All that a load hands out, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Loaded {
    /// Number of the first record after the base.
    pub(super) before: Option<u64>,
    pub(super) parts: Vec<String>,
    pub(super) records: Vec<(u64, String)>,
}

impl Loaded {
    /// What `store` hands out.
    pub(super) fn from(store: &mut impl Store, at: &str) -> Result<Self, Violation> {
        let mut loaded = Self::default();
        let mut disorder = None;
        let answer = attempt(|| {
            store.load(&mut |kept| {
                disorder = disorder.take().or(loaded.take(kept));
                Ok(())
            })
        });
        let problem = match answer {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("the load answered: {error}")),
            Err(panic) => Some(panic),
        };
        if let Some(found) = problem {
            return Err(Violation::new(Invariant::StoreWorks, at, found, "all that was committed"));
        }
        match disorder {
            None => Ok(loaded),
            Some(found) => {
                let right = "all parts of one base, then records";
                Err(Violation::new(Invariant::BaseComesFirst, at, found, right))
            }
        }
    }

    /// Notes what was handed out; answers what is out of order.
    fn take(&mut self, kept: Kept) -> Option<String> {
        match kept {
            Kept::Part(before, part) => {
                let known = *self.before.get_or_insert(before);
                self.parts.push(text(&part));
                if known != before {
                    return Some(format!("parts of bases before {known} and before {before}"));
                }
                (!self.records.is_empty()).then(|| "a part after a record".into())
            }
            Kept::Record(number, record) => {
                self.records.push((number, text(&record)));
                None
            }
        }
    }

    /// In what `self` is not `expected`: what was found, and what would be right.
    pub(super) fn base_differs(&self, expected: &Self) -> Option<(String, String)> {
        let shown = |loaded: &Self| match loaded.before {
            None => "no base".to_owned(),
            Some(before) => format!("a base before record {before}, of {} parts", loaded.parts.len()),
        };
        let (found, right) = (shown(self), shown(expected));
        if found != right {
            return Some((found, right));
        }
        let mut pairs = self.parts.iter().zip(&expected.parts);
        let place = pairs.position(|(one, other)| one != other)?;
        Some((format!("part {place} of it is another"), "each part as it was committed, in its place".into()))
    }

    /// The same of its records.
    pub(super) fn records_differ(&self, expected: &Self) -> Option<(String, String)> {
        let pairs = self.records.iter().zip(&expected.records);
        for (place, ((found, text), (right, expected))) in pairs.enumerate() {
            if found != right {
                return Some((
                    format!("number {found} at place {place} after the base"),
                    format!("number {right}"),
                ));
            }
            if text != expected {
                return Some((format!("record {found} is another"), "it as it was committed".into()));
            }
        }
        let (found, right) = (self.records.len(), expected.records.len());
        (found != right).then(|| {
            let first = expected.records.first().map(|(number, _)| *number);
            let from = first.map_or(String::new(), |first| format!(" from number {first} on"));
            (format!("{found} records after the base"), format!("{right}{from}"))
        })
    }
}

/// Whether a load ends where it is told to, with the error that it was told.
pub(super) fn stops(store: &mut impl Store, after: usize, at: &str) -> Result<(), Violation> {
    let error = StoreError::Damaged("the kit had enough".into());
    let mut calls = 0_usize;
    let answer = attempt(|| {
        store.load(&mut |_| {
            calls += 1;
            if calls > after { Err(error.clone()) } else { Ok(()) }
        })
    });
    let found = match answer {
        Err(panic) => panic,
        Ok(Ok(())) => "the load answered no error".into(),
        Ok(Err(other)) if other != error => format!("the load answered another error: {other}"),
        Ok(Err(_)) if calls > after + 1 => format!("{} more were handed out", calls - after - 1),
        Ok(Err(_)) => return Ok(()),
    };
    let situation = format!("{at}, where `take` refused what was handed out as number {after}");
    Err(Violation::new(Invariant::LoadStopsWhereTold, &situation, found, "its error, and nothing more"))
}
