//! What is said of failures: the first of a row, and how many more there were, never a line for each target.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use models::{CarbonTarget, Timestamp};

/// So long the same of the same provider is said again only with a count.
const QUIET: SignedDuration = SignedDuration::from_mins(5);
/// But so many rows within that time are said that end and begin anew.
const MOST_ROWS: u32 = 3;

/// What each provider has been said to do wrong.
#[derive(Debug, Default)]
pub(super) struct Words(BTreeMap<Cause, Row>);

/// A provider, and how asking it ended in a word.
pub(super) type Cause = (String, &'static str);

/// Failures of one cause, until the target that was named is well.
#[derive(Debug)]
struct Row {
    /// Who was named, where it is not well yet.
    named: Option<CarbonTarget>,
    /// When the quiet began.
    since: Timestamp,
    /// Lines since then.
    rows: u32,
    /// Failures that were said nothing of.
    unsaid: u64,
}

impl Words {
    /// Whether a failure of `target` is to be said, and how many of the same causes were not said before it.
    /// One that is not the `first` of its target's row is only a reason to tell the count.
    pub(super) fn failed(
        &mut self,
        causes: &[Cause],
        target: &CarbonTarget,
        first: bool,
        now: Timestamp,
    ) -> Option<u64> {
        let mut said = None;
        for cause in causes {
            let row = self.0.entry(cause.clone()).or_insert(Row {
                named: None,
                since: Timestamp::MIN,
                rows: 0,
                unsaid: 0,
            });
            if let Some(unsaid) = row.failed(target, first, now) {
                said = Some(unsaid.max(said.unwrap_or_default()));
            }
        }
        said
    }

    /// Notes that a provider gave `target` a forecast.
    pub(super) fn well(&mut self, provider: &str, target: &CarbonTarget) {
        for ((of, _), row) in &mut self.0 {
            if of == provider && row.named.as_ref() == Some(target) {
                row.named = None;
            }
        }
    }
}

impl Row {
    fn failed(&mut self, target: &CarbonTarget, first: bool, now: Timestamp) -> Option<u64> {
        // A clock that was set back begins anew.
        let quiet = (SignedDuration::ZERO..QUIET).contains(&now.duration_since(self.since));
        let said = if quiet {
            first && self.named.is_none() && self.rows < MOST_ROWS
        } else {
            first || self.unsaid > 0
        };
        if !said {
            self.unsaid = self.unsaid.saturating_add(u64::from(first));
            return None;
        }
        if !quiet {
            (self.since, self.rows) = (now, 0);
        }
        self.rows = self.rows.saturating_add(1);
        self.named = Some(target.clone());
        Some(core::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn zone(index: i64) -> CarbonTarget {
        CarbonTarget::from(format!("zone:{index}"))
    }

    fn causes() -> [Cause; 1] {
        [("a".to_owned(), "bad_answer")]
    }

    #[test]
    fn a_thousand_targets_are_one_line_and_then_a_count() {
        let mut words = Words::default();
        let said: Vec<_> = (0..1_000_i64)
            .filter_map(|index| words.failed(&causes(), &zone(index), true, at(index / 10)))
            .collect();
        assert_eq!(said, [0]);
        assert_eq!(words.failed(&causes(), &zone(3), false, at(299)), None);
        assert_eq!(words.failed(&causes(), &zone(3), false, at(300)), Some(999));
        assert_eq!(words.failed(&causes(), &zone(3), false, at(900)), None, "nothing new to tell");
        assert_eq!(
            words.failed(&[("a".to_owned(), "timeout")], &zone(3), true, at(301)),
            Some(0),
            "another cause"
        );
        assert_eq!(words.failed(&[("b".to_owned(), "bad_answer")], &zone(3), true, at(301)), Some(0));
    }

    #[test]
    fn a_row_that_ended_is_said_anew_but_not_each_of_many() {
        let mut words = Words::default();
        let mut said = 0;
        for second in 0..100 {
            said += u32::from(words.failed(&causes(), &zone(1), true, at(second)).is_some());
            words.well("b", &zone(1));
            assert_eq!(words.failed(&causes(), &zone(2), true, at(second)), None, "the row goes on");
            words.well("a", &zone(1));
        }
        assert_eq!(said, MOST_ROWS);
        assert_eq!(words.failed(&causes(), &zone(1), true, at(-1)), Some(195), "the clock was set back");
    }
}
