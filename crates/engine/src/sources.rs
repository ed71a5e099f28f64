//! Which numbered posts were counted already: a repeat counts nothing.
//!
//! Each source numbers its posts upwards, one by one. Of each the newest number is remembered, and which of
//! the [`BEHIND`] numbers below it were counted. What is older than those may have been counted, so it is
//! taken as if it had been: a post may go uncounted here, but none is ever counted twice.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use models::feedback::Sender;
use models::{Problems, Timestamp, json};
use serde::{Deserialize, Serialize};

use crate::session::CLOCK_SKEW;
use crate::time::{earlier, later};

/// Most sources of numbered posts that a schedule tells apart.
pub const MAX_SOURCES: usize = 256;
/// How many numbers below a source's newest are told apart.
const BEHIND: u32 = u128::BITS;
/// How long a source was silent before another one may have its place: longer than anybody repeats a post.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The sources of one schedule's numbered posts, at most [`MAX_SOURCES`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sources {
    known: BTreeMap<Box<str>, Seen>,
    /// When the last one of those that were forgotten was last heard.
    forgotten: Option<Timestamp>,
}

/// What was counted of one source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Seen {
    newest: u64,
    /// Bit `i` says whether `newest - 1 - i` was counted.
    #[serde(with = "crate::halves")]
    below: u128,
    heard: Timestamp,
    /// What [`Sources::forgotten`] was when it was first heard: it may have been one of those.
    unknown_until: Option<Timestamp>,
}

impl Sources {
    /// Whether these can be a schedule's: not too many.
    pub(crate) fn is_sound(&self) -> bool {
        self.known.len() <= MAX_SOURCES
    }

    /// Whether a post was counted before.
    pub(crate) fn has(&self, sender: &Sender) -> bool {
        let known = self.known.get(&*sender.source);
        sender.sequence.is_some_and(|sequence| known.is_some_and(|seen| seen.has(sequence)))
    }

    /// What speaks against counting a post about a window that ended at `end`, and that was not counted as far
    /// as is known: it cannot be told from one that was, or its source is one too many.
    pub(crate) fn check(&self, sender: &Sender, end: Timestamp, now: Timestamp, problems: &mut Problems) {
        if sender.sequence.is_none() {
            return;
        }
        let known = self.known.get(&*sender.source);
        let source = json::excerpt(&sender.source);
        // No post that was counted ends later than it was received, but for the skew of clocks.
        let forgotten = known.map_or(self.forgotten, |seen| seen.unknown_until);
        if let Some(since) = forgotten.map(|heard| later(heard, CLOCK_SKEW)).filter(|since| end <= *since) {
            problems.push(
                "/windowEnd",
                format_args!(
                    "`{source}` may have posted then and been forgotten since, so whether this was counted \
                     before cannot be told: expected an instant after {since}, not {end}"
                ),
            );
        }
        if known.is_none() && self.known.len() >= MAX_SOURCES && self.silent(now).is_none() {
            problems.push(
                "/source",
                format_args!(
                    "`{source}` is one too many: {MAX_SOURCES} others posted within the last hour; expected one \
                     of them (a name is for each start of a router, not for each post)"
                ),
            );
        }
    }

    /// Whether posts are missing between this one and what was counted of its source. Of a source heard for
    /// the first time nobody knows.
    pub(crate) fn misses(&self, sender: &Sender) -> bool {
        let (seen, sequence) = (self.known.get(&*sender.source), sender.sequence);
        seen.zip(sequence).is_some_and(|(seen, sequence)| sequence > seen.newest.saturating_add(1))
    }

    /// Remembers that a post was counted; one of a known source, that it was heard.
    pub(crate) fn count(&mut self, sender: &Sender, now: Timestamp) {
        let Some(sequence) = sender.sequence else {
            return;
        };
        if let Some(seen) = self.known.get_mut(&*sender.source) {
            seen.add(sequence);
            // A clock that was set back makes nobody forgettable earlier.
            seen.heard = seen.heard.max(now);
            return;
        }
        while self.known.len() >= MAX_SOURCES
            && let Some((silent, heard)) = self.silent(now)
        {
            self.known.remove(&silent);
            self.forgotten = self.forgotten.max(Some(heard));
        }
        let seen = Seen { newest: sequence, below: 0, heard: now, unknown_until: self.forgotten };
        self.known.insert(sender.source.as_str().into(), seen);
    }

    /// The source that was silent for longest, if that was long enough to forget it.
    fn silent(&self, now: Timestamp) -> Option<(Box<str>, Timestamp)> {
        let (source, seen) = self.known.iter().min_by_key(|(_, seen)| seen.heard)?;
        (seen.heard <= earlier(now, FORGOTTEN_AFTER)).then(|| (source.clone(), seen.heard))
    }
}

impl Seen {
    fn has(&self, sequence: u64) -> bool {
        match self.newest.checked_sub(sequence) {
            None => false,
            Some(0) => true,
            Some(behind) => bit(behind).is_none_or(|bit| self.below & bit != 0),
        }
    }

    fn add(&mut self, sequence: u64) {
        if let Some(ahead) = sequence.checked_sub(self.newest).filter(|ahead| *ahead > 0) {
            let moved = u32::try_from(ahead).ok().and_then(|ahead| self.below.checked_shl(ahead));
            self.below = moved.unwrap_or(0) | bit(ahead).unwrap_or(0);
            self.newest = sequence;
        } else {
            self.below |= bit(self.newest - sequence).unwrap_or(0);
        }
    }
}

/// The bit of the number so far below the newest; none where it is the newest, or too old.
fn bit(behind: u64) -> Option<u128> {
    let shift = u32::try_from(behind.checked_sub(1)?).ok().filter(|shift| *shift < BEHIND)?;
    Some(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::seconds;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(second: u32) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, seconds(f64::from(second)))
    }

    /// Posts once; whether it is counted now, or why it is refused.
    fn post(
        sources: &mut Sources,
        name: &str,
        sequence: u64,
        (end, now): (Timestamp, Timestamp),
    ) -> Result<bool, String> {
        let sender = Sender { source: name.into(), sequence: Some(sequence) };
        let mut problems = Problems::new();
        let counted = sources.has(&sender);
        if !counted {
            sources.check(&sender, end, now, &mut problems);
        }
        problems.or(()).map_err(|problems| problems.to_string())?;
        sources.count(&sender, now);
        Ok(!counted)
    }

    fn prompt(sources: &mut Sources, name: &str, sequence: u64, second: u32) -> Result<bool, String> {
        post(sources, name, sequence, (at(second), at(second)))
    }

    /// As many sources as there may be, each heard a second after the one before.
    fn full() -> Sources {
        let mut sources = Sources::default();
        for second in 0..256 {
            assert_eq!(prompt(&mut sources, &format!("router-{second}"), 0, second), Ok(true));
        }
        assert_eq!(sources.known.len(), MAX_SOURCES);
        sources
    }

    #[test]
    fn a_gap_shows_what_is_missing() {
        let mut sources = Sources::default();
        let misses = |sources: &Sources, source: &str, sequence: Option<u64>| {
            sources.misses(&Sender { source: source.into(), sequence })
        };
        assert!(!misses(&sources, "router", Some(7)), "what went before the first nobody knows");
        assert_eq!(prompt(&mut sources, "router", 7, 0), Ok(true));
        for (sequence, missing) in [(6, false), (7, false), (8, false), (9, true), (u64::MAX, true)] {
            assert_eq!(misses(&sources, "router", Some(sequence)), missing, "{sequence}");
        }
        assert!(!misses(&sources, "another", Some(9)) && !misses(&sources, "router", None));
    }

    #[test]
    fn a_number_counts_once_in_any_order_within_the_window() {
        let mut sources = Sources::default();
        for (sequence, counted) in [
            (200, true),
            (200, false),
            // As far behind as is told apart, and one more.
            (72, true),
            (72, false),
            (71, false),
            (199, true),
            (201, true),
            (199, false),
            (72, false),
            // The window moves by more than its length: all of it is taken as counted.
            (330, true),
            (202, true),
            (201, false),
            (1 << 53, true),
            (330, false),
            (0, false),
            ((1 << 53) - 1, true),
            ((1 << 53) - 128, true),
            ((1 << 53) - 129, false),
        ] {
            assert_eq!(prompt(&mut sources, "a", sequence, 0), Ok(counted), "{sequence}");
        }
        assert_eq!(prompt(&mut sources, "b", 200, 0), Ok(true), "another source counts for itself");
    }

    #[test]
    fn a_label_alone_is_counted_always() {
        let mut sources = Sources::default();
        let sender = Sender { source: "a".into(), sequence: None };
        assert!(!sources.has(&sender));
        sources.count(&sender, at(0));
        assert_eq!(sources, Sources::default());
    }

    #[test]
    fn one_source_too_many_is_refused_until_another_has_been_silent() {
        let mut sources = full();
        // The first one repeats itself: it is heard, though nothing is counted.
        assert_eq!(prompt(&mut sources, "router-0", 0, 300), Ok(false));
        let refused = prompt(&mut sources, "one-more", 0, 3600).unwrap_err();
        insta::assert_snapshot!(refused, @"/source: `one-more` is one too many: 256 others posted within the last hour; expected one of them (a name is for each start of a router, not for each post)");
        assert_eq!(prompt(&mut sources, "router-7", 1, 3600), Ok(true), "those that are known go on");
        assert_eq!(prompt(&mut sources, "one-more", 0, 3601), Ok(true));
        assert!(!sources.known.contains_key("router-1") && sources.known.contains_key("router-0"));
        assert_eq!(sources.known.len(), MAX_SOURCES);
        assert!(prompt(&mut sources, "yet-another", 0, 3601).is_err());
    }

    #[test]
    fn who_was_forgotten_counts_nothing_twice() {
        let mut sources = full();
        assert_eq!(prompt(&mut sources, "one-more", 0, 5000), Ok(true));
        // The repeat of what was counted at 0, and anything its clock may have said then.
        for end in [0, 60] {
            let refused = post(&mut sources, "router-0", 0, (at(end), at(5000)));
            assert!(refused.is_err_and(|problem| problem.starts_with("/windowEnd: ")), "{end}");
        }
        let refused = post(&mut sources, "router-0", 0, (at(60), at(5000))).unwrap_err();
        insta::assert_snapshot!(refused, @"/windowEnd: `router-0` may have posted then and been forgotten since, so whether this was counted before cannot be told: expected an instant after 1970-01-01T00:01:00Z, not 1970-01-01T00:01:00Z");
        // A post that is surely new makes it known again, and the old one no newer.
        assert_eq!(post(&mut sources, "router-0", 1, (at(61), at(5000))), Ok(true));
        assert!(post(&mut sources, "router-0", 0, (at(60), at(5000))).is_err());
        assert_eq!(post(&mut sources, "router-9", 1, (at(0), at(5000))), Ok(true), "never forgotten");
    }

    #[test]
    fn what_is_stored_is_what_there_was() {
        let mut sources = full();
        for sequence in [1_000, 900, 873, 872] {
            assert_eq!(prompt(&mut sources, "router-3", sequence, 9_000), Ok(true));
        }
        assert_eq!(prompt(&mut sources, "one-more", 0, 9_000), Ok(true));
        // By way of a value, which holds no 128-bit numbers.
        let stored = serde_json::to_value(&sources).unwrap();
        assert_eq!(serde_json::from_value::<Sources>(stored).unwrap(), sources);
    }

    proptest! {
        #[test]
        fn all_within_the_window_are_counted_and_each_once(
            sequences in prop::collection::vec(
                prop_oneof![8 => 1000..1200_u64, 2 => 0..2000_u64, 1 => (1_u64 << 53) - 200..1 << 53],
                0..400,
            ),
        ) {
            let (mut sources, mut counted) = (Sources::default(), BTreeSet::new());
            for sequence in sequences {
                let newest = counted.last().copied().unwrap_or(sequence);
                let expected = sequence + u64::from(BEHIND) >= newest && !counted.contains(&sequence);
                prop_assert_eq!(prompt(&mut sources, "a", sequence, 0), Ok(expected), "{}", sequence);
                counted.extend(expected.then_some(sequence));
            }
        }

        /// Whoever is forgotten on the way, whatever the clock does: a post that says which window it is about
        /// is counted once at most.
        #[test]
        fn nothing_is_counted_twice_however_many_sources_there_are(
            posts in prop::collection::vec((0..600_u16, 0..3_u64, 0..60_u32, 0..100_u8), 0..3000),
        ) {
            let (mut sources, mut ends, mut now) = (Sources::default(), BTreeMap::new(), 10_000_u32);
            let mut counted = BTreeSet::new();
            for (name, sequence, step, kind) in posts {
                now = match kind {
                    0 => now + 4000,
                    1 => now.saturating_sub(2000),
                    _ => now + step,
                };
                // The same post says the same window whenever it comes; a clock may run ahead by a minute.
                let end = *ends.entry((name, sequence)).or_insert(at(now + 60 - u32::from(kind)));
                if end <= later(at(now), CLOCK_SKEW)
                    && post(&mut sources, &name.to_string(), sequence, (end, at(now))) == Ok(true)
                {
                    prop_assert!(counted.insert((name, sequence)), "{} {} twice", name, sequence);
                }
                prop_assert!(sources.known.len() <= MAX_SOURCES);
            }
        }
    }
}
