//! Which schedule is to be polled when, and what there is to say of it. Told the time, like everything that
//! keeps state here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use models::{ScheduleId, Timestamp, json};

/// Longest window without any series. Counters that are scraped at all are scraped twice within it, so that
/// nothing was served before that could still be told.
pub(super) const MAX_EMPTY: SignedDuration = SignedDuration::from_mins(5);
/// Longest pause after failures, or the interval where that is longer.
const MAX_BACKOFF: SignedDuration = SignedDuration::from_mins(5);
/// The first failure in a row of a schedule is worth a line, and no more lines than this in a row.
const MAX_LOGGED: u32 = 10;
/// Most flavours or schedules that one sentence names.
const MAX_NAMED: usize = 5;

const POSTED: &str = "not polled: a router posted to /feedback within the last hour, and what is posted and \
                      what is polled is never added up";
const FAILING: &str = "what was served could not be polled: Prometheus did not answer with counts, see the log; \
                       it is asked again for the same time";
const EMPTY: &str = "what was served cannot be polled: METRICS_QUERY finds no series for this schedule";

/// The schedules that are polled, and those that cannot be.
pub(super) struct Polls {
    interval: SignedDuration,
    alone: BTreeMap<ScheduleId, Poll>,
    due: BTreeSet<(Timestamp, ScheduleId)>,
    /// Those that are told the same requests as others, with what is said of that.
    shared: BTreeMap<ScheduleId, Arc<str>>,
    /// Failures in a row, over all.
    failures: u32,
}

struct Poll {
    /// Nothing before this is to be asked for.
    since: Timestamp,
    /// When it is queued; not while it is under way.
    due: Option<Timestamp>,
    /// In a row.
    failures: u32,
}

/// The schedules that are told the same requests as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Others {
    pub(super) count: usize,
    /// As many as a sentence names.
    pub(super) first: Vec<ScheduleId>,
}

/// Work for whoever may wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) id: ScheduleId,
    /// Nothing before this is to be asked for.
    pub(super) since: Timestamp,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Counted, but for flavours that are not the schedule's.
    Counted { unknown: Vec<(String, u64)> },
    /// No counter was scraped twice in a window that ended then.
    Empty { end: Timestamp },
    /// There is nothing to ask for yet.
    Early,
    /// Routers post.
    Posted,
    /// Nobody answered, or not with counts.
    Failed,
}

/// What is to be said after a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finished {
    /// In the schedule's warnings, until the next job; as before, where there is none.
    pub(super) notes: Option<Vec<Arc<str>>>,
    /// Whether a failure is worth a line.
    pub(super) log: bool,
}

impl Polls {
    pub(super) fn new(interval: SignedDuration) -> Self {
        Self { interval, alone: BTreeMap::new(), due: BTreeSet::new(), shared: BTreeMap::new(), failures: 0 }
    }

    /// Which schedules there are, each with the others that are told the same requests. Answers whose warnings
    /// change by that.
    pub(super) fn want(
        &mut self,
        wanted: &BTreeMap<ScheduleId, Others>,
        now: Timestamp,
    ) -> Vec<(ScheduleId, Vec<Arc<str>>)> {
        let is_alone = |id: &ScheduleId| wanted.get(id).is_some_and(|others| others.count == 0);
        self.alone.retain(|id, _| is_alone(id));
        self.due.retain(|(_, id)| is_alone(id));
        self.shared.retain(|id, _| wanted.contains_key(id));
        let mut changed = Vec::new();
        for (id, others) in wanted {
            if others.count == 0 {
                if self.shared.remove(id).is_some() {
                    changed.push((id.clone(), Vec::new()));
                }
                if !self.alone.contains_key(id) {
                    // What was served while others were told of it as well is nobody's.
                    self.alone.insert(id.clone(), Poll { since: now, due: None, failures: 0 });
                    self.queue(id, self.next(id, now));
                }
            } else {
                let note = told_alike(others);
                if self.shared.get(id) != Some(&note) {
                    changed.push((id.clone(), vec![Arc::clone(&note)]));
                    self.shared.insert(id.clone(), note);
                }
            }
        }
        changed
    }

    /// The next job, if one is due.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Job> {
        if self.due.first().is_none_or(|(due, _)| *due > now) {
            return None;
        }
        let (_, id) = self.due.pop_first()?;
        let poll = self.alone.get_mut(&id)?;
        poll.due = None;
        Some(Job { id, since: poll.since })
    }

    /// When the next job is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A schedule is gone.
    pub(super) fn forget(&mut self, id: &ScheduleId) {
        self.alone.remove(id);
        self.due.retain(|(_, queued)| queued != id);
    }

    /// A job has ended.
    pub(super) fn finish(&mut self, id: &ScheduleId, outcome: &Outcome, now: Timestamp) -> Finished {
        let next = self.next(id, now);
        let Some(poll) = self.alone.get_mut(id) else {
            return Finished { notes: None, log: false };
        };
        let failed = *outcome == Outcome::Failed;
        poll.failures = if failed { poll.failures.saturating_add(1) } else { 0 };
        if let Outcome::Empty { end } = outcome {
            poll.since = poll.since.max(earlier(*end, MAX_EMPTY));
        }
        let due = if failed { next.max(later(now, backoff(self.interval, poll.failures))) } else { next };
        let log = failed && poll.failures == 1 && self.failures < MAX_LOGGED;
        match outcome {
            Outcome::Failed => self.failures = self.failures.saturating_add(1),
            Outcome::Counted { .. } | Outcome::Empty { .. } => self.failures = 0,
            Outcome::Early | Outcome::Posted => {}
        }
        self.queue(id, due);
        let notes = match outcome {
            Outcome::Early => None,
            Outcome::Counted { unknown } => Some(not_counted(unknown).into_iter().collect()),
            Outcome::Empty { .. } => Some(vec![EMPTY.into()]),
            Outcome::Posted => Some(vec![POSTED.into()]),
            Outcome::Failed => Some(vec![FAILING.into()]),
        };
        Finished { notes, log }
    }

    fn queue(&mut self, id: &ScheduleId, due: Timestamp) {
        if let Some(poll) = self.alone.get_mut(id) {
            if let Some(before) = poll.due.replace(due) {
                self.due.remove(&(before, id.clone()));
            }
            self.due.insert((due, id.clone()));
        }
    }

    /// The next instant of a schedule's own: intervals are the same for all, and begin where a hash of the
    /// name says, so that no instant is everybody's.
    fn next(&self, id: &ScheduleId, now: Timestamp) -> Timestamp {
        let interval = self.interval.as_millis().max(1);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a part of the interval, which is at most an hour"
        )]
        let phase = (id.spread() * interval as f64) as i128;
        let passed = (i128::from(now.as_millisecond()) - phase).rem_euclid(interval);
        let wait = i64::try_from(interval - passed).unwrap_or(i64::MAX);
        later(now, SignedDuration::from_millis(wait))
    }
}

fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_sub(span).unwrap_or(Timestamp::MIN)
}

/// The interval, doubled with each failure after the first.
fn backoff(interval: SignedDuration, failures: u32) -> SignedDuration {
    let doubled =
        2_i32.checked_pow(failures.saturating_sub(1).min(16)).and_then(|factor| interval.checked_mul(factor));
    doubled.unwrap_or(MAX_BACKOFF).min(MAX_BACKOFF.max(interval))
}

impl Others {
    /// All of `ids` but `id`, which is one of them.
    pub(super) fn of(id: &ScheduleId, ids: &[ScheduleId]) -> Self {
        let others = ids.iter().filter(|other| *other != id);
        Self { count: ids.len().saturating_sub(1), first: others.take(MAX_NAMED).cloned().collect() }
    }
}

fn told_alike(others: &Others) -> Arc<str> {
    format!(
        "not polled: METRICS_QUERY is told the same requests for {}, and none is counted twice; name {{schedule}} in \
         it, or post to /feedback",
        named(others.first.iter().map(ToString::to_string), others.count)
    )
    .into()
}

/// Requests of flavours that are not the schedule's.
fn not_counted(unknown: &[(String, u64)]) -> Option<Arc<str>> {
    let mut names: Vec<_> =
        unknown.iter().filter(|(_, requests)| *requests > 0).map(|(name, _)| name).collect();
    names.sort_unstable();
    let shown = names.iter().map(|name| match name.as_str() {
        "" => "one without a name".to_owned(),
        name => format!("`{}`", json::excerpt(name)),
    });
    (!names.is_empty()).then(|| {
        let named = named(shown, names.len());
        format!("requests were polled and not counted, of flavours that are not this schedule's: {named}")
            .into()
    })
}

/// The first of some names, and how many there are beyond.
fn named(names: impl Iterator<Item = String>, count: usize) -> String {
    let list = names.take(MAX_NAMED).collect::<Vec<_>>().join(", ");
    match count.saturating_sub(MAX_NAMED) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn id(name: &str) -> ScheduleId {
        ScheduleId::new("shop", name).unwrap()
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn wanted(names: &[(&str, &[&str])]) -> BTreeMap<ScheduleId, Others> {
        let others = |others: &[&str]| Others {
            count: others.len(),
            first: others.iter().map(|name| id(name)).collect(),
        };
        names.iter().map(|(name, with)| (id(name), others(with))).collect()
    }

    fn alone(names: impl IntoIterator<Item = String>) -> BTreeMap<ScheduleId, Others> {
        names.into_iter().map(|name| (id(&name), Others { count: 0, first: Vec::new() })).collect()
    }

    fn polls(names: &[(&str, &[&str])]) -> Polls {
        let mut polls = Polls::new(seconds(15));
        polls.want(&wanted(names), at(0));
        polls
    }

    fn notes(finished: Finished) -> Vec<String> {
        finished.notes.unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_is_due_once_an_interval_at_an_instant_of_its_own() {
        let mut polls = Polls::new(seconds(15));
        assert!(polls.want(&alone((0..200).map(|index| format!("s{index}"))), at(0)).is_empty());
        let mut by_second = [0_u32; 15];
        for second in 1..=30 {
            while let Some(job) = polls.take_due(at(second)) {
                by_second[usize::try_from(second % 15).unwrap()] += 1;
                assert_eq!(job.since, at(0));
                polls.finish(&job.id, &Outcome::Counted { unknown: vec![] }, at(second));
            }
        }
        assert_eq!(by_second.iter().sum::<u32>(), 2 * 200);
        assert!(by_second.iter().all(|count| (8..60).contains(count)), "{by_second:?}");
    }

    #[test]
    fn failures_are_asked_again_ever_later_and_said_once() {
        let mut polls = polls(&[("a", &[])]);
        let (mut now, mut waits, mut logged) = (at(0), Vec::new(), 0);
        for _ in 0..9 {
            now = polls.next_due().unwrap();
            let job = polls.take_due(now).unwrap();
            assert_eq!(polls.take_due(now), None, "one at a time");
            let finished = polls.finish(&job.id, &Outcome::Failed, now);
            logged += u32::from(finished.log);
            assert_eq!(notes(finished), [FAILING]);
            waits.push(polls.next_due().unwrap().duration_since(now).as_secs());
        }
        assert_eq!((waits, logged), (vec![15, 30, 60, 120, 240, 300, 300, 300, 300], 1));
        let job = polls.take_due(later(now, seconds(300))).unwrap();
        assert_eq!(job.since, at(0), "nothing is lost meanwhile");
        assert_eq!(notes(polls.finish(&job.id, &Outcome::Counted { unknown: vec![] }, at(0))), [""; 0]);
        let job = polls.take_due(at(9_999)).unwrap();
        assert!(polls.finish(&job.id, &Outcome::Failed, at(9_999)).log);
    }

    #[test]
    fn a_dead_prometheus_is_no_flood_of_lines() {
        let mut polls = Polls::new(seconds(15));
        polls.want(&alone((0..50).map(|index| format!("s{index}"))), at(0));
        let jobs: Vec<Job> = std::iter::from_fn(|| polls.take_due(at(15))).collect();
        let failed = |job: Job| polls.finish(&job.id, &Outcome::Failed, at(15)).log;
        assert_eq!(jobs.len(), 50);
        assert_eq!(jobs.into_iter().map(failed).filter(|log| *log).count(), 10);
    }

    #[test]
    fn schedules_that_are_told_the_same_requests_are_not_polled_until_one_is_left() {
        let mut polls = polls(&[("a", &[])]);
        let both = wanted(&[("a", &["b"]), ("b", &["a"])]);
        let changed = polls.want(&both, at(100));
        assert_eq!(changed.iter().map(|(id, _)| id.name()).collect::<Vec<_>>(), ["a", "b"]);
        insta::assert_snapshot!(changed[0].1[0], @"not polled: METRICS_QUERY is told the same requests for shop/b, and none is counted twice; name {schedule} in it, or post to /feedback");
        assert_eq!((polls.want(&both, at(101)).len(), polls.next_due()), (0, None));
        let changed = polls.want(&wanted(&[("b", &[])]), at(200));
        assert_eq!(changed, [(id("b"), vec![])]);
        let job = polls.take_due(at(215)).unwrap();
        assert_eq!((job.id.name(), job.since), ("b", at(200)), "what both were told is nobody's");
        polls.want(&BTreeMap::new(), at(216));
        assert_eq!(polls.finish(&job.id, &Outcome::Failed, at(217)), Finished { notes: None, log: false });
        assert_eq!(polls.next_due(), None);
    }

    #[test]
    fn what_was_not_counted_is_named_in_a_sentence_that_ends() {
        let unknown: Vec<(String, u64)> =
            ["z", "", "a\n", "b", "c", "d", "e"].map(|name| (name.to_owned(), 5)).into();
        let mut polls = polls(&[("a", &[])]);
        let job = polls.take_due(at(15)).unwrap();
        let said = notes(polls.finish(&job.id, &Outcome::Counted { unknown }, at(15)));
        insta::assert_snapshot!(said[0], @r"requests were polled and not counted, of flavours that are not this schedule's: one without a name, `a\n`, `b`, `c`, `d` and 2 more");
        let unknown = vec![("z".to_owned(), 0)];
        let said = notes(polls.finish(&job.id, &Outcome::Counted { unknown }, at(15)));
        assert_eq!(said, [""; 0], "a series that stands still is no news");
    }

    #[test]
    fn an_empty_window_grows_only_so_far() {
        let mut polls = polls(&[("a", &[])]);
        for second in [15, 290, 310, 700] {
            let job = polls.take_due(at(second)).unwrap();
            polls.finish(&job.id, &Outcome::Empty { end: at(second) }, at(second - 15));
        }
        assert_eq!(polls.take_due(at(715)).unwrap().since, at(400));
    }

    proptest! {
        #[test]
        fn it_comes_to_a_rest_whatever_happens(
            events in prop::collection::vec((0..4_u8, 0..3_u8, 0..40_i64), 0..200),
        ) {
            let (mut polls, mut now) = (Polls::new(seconds(15)), 0);
            let names = ["a", "b", "c"];
            for (kind, which, step) in events {
                now += step;
                match kind {
                    0 => {
                        polls.want(&alone(names[..usize::from(which)].iter().map(ToString::to_string)), at(now));
                    }
                    1 => {
                        polls.want(&wanted(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]), at(now));
                    }
                    _ => while let Some(job) = polls.take_due(at(now)) {
                        prop_assert!(job.since <= at(now));
                        let outcome = [Outcome::Failed, Outcome::Posted, Outcome::Empty { end: at(now) }];
                        polls.finish(&job.id, &outcome[usize::from(which)], at(now));
                        prop_assert!(polls.next_due().is_none_or(|due| due > at(now) || due < at(now + 301)));
                    },
                }
                prop_assert!(polls.due.len() <= polls.alone.len());
                prop_assert!(polls.alone.keys().all(|id| !polls.shared.contains_key(id)));
            }
        }
    }
}
