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

use crate::gaps::{Gaps, Span};
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
    /// Which numbers were passed over and have not come.
    #[serde(default)]
    gaps: Gaps,
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
    /// Up to when the newest was about what was served, at most its receipt.
    told: Timestamp,
    /// What [`Sources::forgotten`] was when it was first heard: it may have been one of those.
    unknown_until: Option<Timestamp>,
}

impl Sources {
    /// Whether these can be a schedule's: not too many.
    pub(crate) fn is_sound(&self) -> bool {
        self.known.len() <= MAX_SOURCES && self.gaps.is_sound()
    }

    /// Whether a post was counted before.
    pub(crate) fn has(&self, sender: &Sender) -> bool {
        let known = self.known.get(&*sender.source);
        sender.sequence.is_some_and(|sequence| known.is_some_and(|seen| seen.has(sequence)))
    }

    /// What speaks against counting a post about a window that ended at `end`, if it says so, and that was not
    /// counted as far as is known: it cannot be told from one that was, its source is one too many, or it is
    /// out of order and does not say which time it is about.
    pub(crate) fn check(
        &self,
        sender: &Sender,
        end: Option<Timestamp>,
        now: Timestamp,
        problems: &mut Problems,
    ) {
        let Some(sequence) = sender.sequence else {
            return;
        };
        let known = self.known.get(&*sender.source);
        let source = json::excerpt(&sender.source);
        if end.is_none()
            && let Some(seen) = known.filter(|seen| sequence < seen.newest)
        {
            problems.push(
                "/windowEnd",
                format_args!(
                    "missing: post {sequence} of `{source}` comes after its post {}, so what it says is not of \
                     the present; expected the instant its window ended",
                    seen.newest
                ),
            );
        }
        let end = end.unwrap_or(now);
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

    /// The spans of time that posts may be about which are known to be missing. Of what goes before the first
    /// that is heard of a source nobody knows.
    pub(crate) fn missing(&self) -> Vec<Span> {
        self.gaps.spans()
    }

    /// Nobody asks any more what is missing of the time up to `oldest`.
    pub(crate) fn forget_until(&mut self, oldest: Timestamp) {
        self.gaps.forget(oldest);
    }

    /// Remembers that a post about a window was counted; one that was counted before, that its source was
    /// heard.
    pub(crate) fn count(&mut self, sender: &Sender, (from, to): Span, now: Timestamp) {
        let Some(sequence) = sender.sequence else {
            return;
        };
        // A clock that is ahead of ours says nothing of what is to come.
        let told = to.min(now);
        if let Some(seen) = self.known.get_mut(&*sender.source) {
            if sequence > seen.newest {
                let missing = (seen.newest.saturating_add(1), sequence - 1);
                if missing.0 <= missing.1 {
                    let span = (seen.told.min(from), seen.told.max(to));
                    self.gaps.open(&sender.source, missing, span);
                }
                seen.told = told;
            } else if !seen.has(sequence) {
                self.gaps.fill(&sender.source, sequence, told);
            }
            seen.add(sequence);
            // A clock that was set back makes nobody forgettable earlier.
            seen.heard = seen.heard.max(now);
            return;
        }
        while self.known.len() >= MAX_SOURCES
            && let Some((silent, heard)) = self.silent(now)
        {
            self.known.remove(&silent);
            self.gaps.give_up(&silent);
            self.forgotten = self.forgotten.max(Some(heard));
        }
        let seen = Seen { newest: sequence, below: 0, heard: now, told, unknown_until: self.forgotten };
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
            sources.check(&sender, Some(end), now, &mut problems);
        }
        problems.or(()).map_err(|problems| problems.to_string())?;
        sources.count(&sender, (earlier(end, seconds(10.0)), end), now);
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

    /// Seconds that missing posts may be about.
    fn missing(sources: &Sources) -> Vec<(i64, i64)> {
        let spans = sources.missing();
        spans.iter().map(|(from, to)| (from.as_second(), to.as_second())).collect()
    }

    #[test]
    fn a_gap_shows_what_is_missing_until_it_comes() {
        let mut sources = Sources::default();
        let mut post = |sequence: u64, end: u32, missing_then: &[(i64, i64)]| {
            let counted = post(&mut sources, "router", sequence, (at(end), at(1_000)));
            assert_eq!(missing(&sources), missing_then, "{sequence}");
            counted
        };
        assert_eq!(post(7, 70, &[]), Ok(true), "what went before the first nobody knows");
        assert_eq!(post(8, 80, &[]), Ok(true));
        assert_eq!(post(6, 60, &[]), Ok(true));
        assert_eq!(post(13, 130, &[(80, 130)]), Ok(true));
        assert_eq!(post(13, 130, &[(80, 130)]), Ok(false));
        // Each says what those before and after it are not about.
        assert_eq!(post(10, 100, &[(80, 100), (100, 130)]), Ok(true));
        assert_eq!(post(10, 100, &[(80, 100), (100, 130)]), Ok(false));
        assert_eq!(post(9, 90, &[(100, 130)]), Ok(true));
        // One that is out of order says nothing of the others.
        assert_eq!(post(12, 95, &[(100, 130)]), Ok(true));
        assert_eq!(post(11, 110, &[]), Ok(true));
        // Windows that go back, and a clock ahead of ours, leave nothing out.
        assert_eq!(post(15, 40, &[(30, 130)]), Ok(true));
        assert_eq!(post(14, 40, &[]), Ok(true));
        assert_eq!(post(16, 1_060, &[]), Ok(true));
        assert_eq!(post(18, 1_080, &[(1_000, 1_080)]), Ok(true));
        // A number so far behind that it is taken as counted never comes.
        assert_eq!(post(200, 1_090, &[(1_000, 1_080), (1_000, 1_090)]), Ok(true));
        assert_eq!(post(17, 1_070, &[(1_000, 1_080), (1_000, 1_090)]), Ok(false));
        sources.forget_until(at(1_080));
        assert_eq!(missing(&sources), [(1_000, 1_090)]);
        sources.forget_until(at(1_090));
        assert_eq!(missing(&sources), []);
    }

    #[test]
    fn what_is_not_told_apart_any_more_stays_missing() {
        let mut sources = full();
        for source in 0..256 {
            let counted = prompt(&mut sources, &format!("router-{source}"), 2, 1_000 + source);
            assert_eq!(counted, Ok(true));
        }
        assert_eq!(missing(&sources).len(), 256);
        assert!(missing(&sources).contains(&(0, 1_000)));
        // One gap too many, and a source too many: the first ones are held together.
        assert_eq!(prompt(&mut sources, "router-7", 4, 1_300), Ok(true));
        assert_eq!(prompt(&mut sources, "router-8", 4, 1_300), Ok(true));
        assert_eq!(missing(&sources).len(), 257);
        assert_eq!(missing(&sources).last(), Some(&(0, 1_001)));
        assert_eq!(prompt(&mut sources, "another", 0, 9_000), Ok(true));
        assert!(!sources.known.contains_key("router-0"));
        assert_eq!(prompt(&mut sources, "yet-another", 0, 9_000), Ok(true));
        assert_eq!(missing(&sources).last(), Some(&(0, 1_001)));
        assert_eq!(prompt(&mut sources, "and-another", 0, 9_000), Ok(true));
        assert_eq!((missing(&sources).len(), missing(&sources).last()), (256, Some(&(0, 1_002))));
        // Whatever comes.
        assert_eq!(prompt(&mut sources, "router-7", 1, 1_300), Ok(true));
        assert!(missing(&sources).contains(&(0, 1_002)));
        sources.forget_until(at(1_300));
        assert_eq!(missing(&sources), []);
    }

    #[test]
    fn a_post_out_of_order_says_what_time_it_is_about() {
        let mut sources = Sources::default();
        assert_eq!(prompt(&mut sources, "router", 7, 0), Ok(true));
        let refused = |sequence, end| {
            let mut problems = Problems::new();
            let sender = Sender { source: "router".into(), sequence: Some(sequence) };
            sources.check(&sender, end, at(60), &mut problems);
            problems.or(()).map_err(|problems| problems.to_string())
        };
        insta::assert_snapshot!(refused(5, None).unwrap_err(), @"/windowEnd: missing: post 5 of `router` comes after its post 7, so what it says is not of the present; expected the instant its window ended");
        for said in [refused(5, Some(at(30))), refused(8, None), refused(80, None)] {
            assert_eq!(said, Ok(()));
        }
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
        sources.count(&sender, (at(0), at(0)), at(0));
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
                let end = *ends.entry((name, sequence)).or_insert(at((now + 60).saturating_sub(u32::from(kind))));
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
