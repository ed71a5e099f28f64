//! What to refresh, and when: one upstream call per lifetime, however many schedules share the forecast.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Slot, Timestamp, hash};

use crate::adapter::{Adapter, Answer};
use crate::agenda::{Agenda, Times};
use crate::chain::{Chain, FIRST_HOLD, LONGEST_HOLD, Reservation, Whom};
use crate::circuit::LONGEST_RETRY_AFTER;
use crate::half_hour::{earlier, later};
use crate::job::{Job, RefreshError};

/// Pause after the first failure; it doubles with each further one.
pub const FIRST_BACKOFF: SignedDuration = SignedDuration::from_secs(1);
/// Longest pause after a failure; the lifetime of a forecast where that is shorter.
pub const MAX_BACKOFF: SignedDuration = SignedDuration::from_mins(5);
/// Shortest lifetime of a forecast: a shorter one is taken as this.
pub const MIN_TTL: SignedDuration = SignedDuration::from_secs(1);
/// Longest lifetime of a forecast: a longer one is taken as this.
pub const MAX_TTL: SignedDuration = SignedDuration::from_hours(24);

/// A preferred provider's forecast is kept while it covers so much of the future, and is no older: what
/// stands in for it knows less.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(6);
/// A clock that steps back by more than this moves what is due along; less is left to pass.
const BACKWARD_TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

/// The refresh state of all targets: sans-I/O, so whoever owns the threads asks it what is due, lets a
/// [`Job`] run, and tells it the outcome.
///
/// Per target at most one job is in flight. After a success the target is due again when its lifetime has
/// passed; after a failure the last good forecast stays and the target is due after 1 s, 2 s, 4 s .. up to
/// the smaller of its lifetime and 5 min, each up to a fifth later by a jitter that the seed decides. Where
/// an upstream answer says `Retry-After`, that is waited for, an hour at most; where no provider understands
/// the target, the longest pause at once. Where every provider is to be left alone, by its circuit or its
/// limits, nobody is asked and nothing has failed: the target is due when the first of them may be asked, or
/// as soon as one of them answers another target.
///
/// A preferred provider's limits are waited for up to [`LONGEST_HOLD`] from when the target was due, and
/// [`FIRST_HOLD`] where nothing is known of it; then whoever comes next is asked. While somebody stands in, those
/// preferred to it are asked for what they have failed to give, with the pauses of failures; at once where one
/// answers others again; and where it was their limits, in turn with all that wait for them. Who stands in is
/// asked once a lifetime meanwhile.
///
/// Of a provider that knows one grid, what one target was answered serves the others for their lifetimes,
/// counted from the receipt: they come due together and one of them asks.
///
/// Of several targets, each is due again somewhere in the second half of its first lifetime, so that from
/// then on they are spread.
///
/// `now` should not run backwards, but may: what is due moves along, and nothing is lost.
#[derive(Debug)]
pub struct Refresher {
    chain: Chain,
    seed: u64,
    entries: BTreeMap<CarbonTarget, Entry>,
    /// Every wanted target that is not in flight.
    agenda: Agenda,
    /// When the first of those that were found to wait for a provider may ask it.
    held_until: Option<Timestamp>,
    /// Jobs taken and not finished, those of forgotten targets too: a target that comes back waits for them.
    in_flight: BTreeSet<CarbonTarget>,
    /// How often a provider of the chain had begun to answer again when that was looked at last.
    closings: u64,
    newest_now: Timestamp,
}

/// How one target is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// How long a forecast lives; held within [`MIN_TTL`] and [`MAX_TTL`].
    pub ttl: SignedDuration,
    /// Patience with one request.
    pub timeout: SignedDuration,
}

/// What a refresh brought.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// The forecast received.
    pub forecast: Arc<Forecast>,
    /// What was measured of slots that are over; most of it may have been told before.
    pub actuals: Vec<Slot>,
    /// Whether the forecast is the one in force from now on. Where it is not, a preferred provider's stays: this
    /// one is to be recorded, and not to be published.
    pub is_current: bool,
}

/// How the refreshing of one target stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// The last good forecast, kept over failures.
    pub latest: Option<Arc<Forecast>>,
    /// Failures since the last success.
    pub failures: u32,
    /// What the last of those failures was.
    pub last_error: Option<String>,
    /// When a refresh last succeeded.
    pub last_success: Option<Timestamp>,
    /// When it is to be refreshed next, or was but for the limits of its providers; `None` while it is in
    /// flight.
    pub due: Option<Timestamp>,
    /// Who answered last, where the latest forecast is a preferred provider's and still good enough.
    pub stand_in: Option<Arc<str>>,
    /// How often in a row those preferred to the one that answers were asked in vain.
    pub stood_in: u32,
}

impl Status {
    /// How old the last good forecast is, never negative; `None` without one.
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        let forecast = self.latest.as_ref()?;
        Some(now.duration_since(forecast.retrieved_at).max(SignedDuration::ZERO))
    }

    /// Whether a job for it is running.
    pub fn is_in_flight(&self) -> bool {
        self.due.is_none()
    }
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    /// When the last job ended, or the target was first wanted; pauses count from here.
    since: Timestamp,
    /// The pause is at least this long: what upstream asked for.
    at_least: SignedDuration,
    /// The same for a retry of those preferred to the one that stands in.
    retry_at_least: SignedDuration,
    last: Last,
    /// Who answered, where it stands in for others.
    stand_in: Option<StandIn>,
    /// Where it is in the agenda; `None` while it is in flight.
    times: Option<Times>,
    /// What its job in flight is after.
    errand: Errand,
    status: Status,
}

/// Somebody answered in place of others.
#[derive(Debug, Clone, Copy)]
struct StandIn {
    /// How many of the chain are preferred to it.
    ahead: usize,
    /// When those are to be asked again; `None` where it is asked again itself before long, and they with it.
    retry: Option<Timestamp>,
}

/// What a job is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// A forecast of anybody.
    Refresh,
    /// The same, and somebody preferred was passed over: its place among those who wait for that one is kept.
    PassedOver(Timestamp),
    /// A forecast of those preferred to the one that stands in.
    Retry,
}

/// How the last job of a target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// There was none.
    None,
    /// Well, and it was the first of one target among several: its lifetime is cut short, so that they come
    /// due spread over it.
    FirstOfSeveral,
    Well,
    Failed,
    /// No provider understands the target.
    Hopeless,
    /// Nobody was asked: the pause is what was waited for, and nothing has failed.
    Held,
}

impl Refresher {
    /// Nothing wanted yet. The providers of `chain` are asked in order for every target; `seed` decides the
    /// jitter.
    pub fn new(chain: Vec<Arc<dyn Adapter>>, seed: u64) -> Self {
        Self::with_chain(Chain::new(chain), seed)
    }

    /// The same with a chain whose providers have limits.
    pub fn with_chain(chain: Chain, seed: u64) -> Self {
        Self {
            chain,
            seed,
            entries: BTreeMap::new(),
            agenda: Agenda::default(),
            held_until: None,
            in_flight: BTreeSet::new(),
            closings: 0,
            newest_now: Timestamp::MIN,
        }
    }

    /// Whom it has asked, and how each does.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Replaces the set of wanted targets: new ones are due at once, those no longer wanted are forgotten
    /// with their forecasts, and a changed lifetime counts from the last refresh.
    pub fn want(&mut self, wanted: &BTreeMap<CarbonTarget, Wanted>, now: Timestamp) {
        self.notice(now);
        let agenda = &mut self.agenda;
        self.entries.retain(|target, entry| {
            let stays = wanted.contains_key(target);
            if let Some(times) = entry.times.filter(|_| !stays) {
                agenda.remove(target, times);
            }
            stays
        });
        for (target, wanted) in wanted {
            let wanted = Wanted { ttl: wanted.ttl.clamp(MIN_TTL, MAX_TTL), ..*wanted };
            match self.entries.get_mut(target) {
                Some(entry) if entry.wanted == wanted => {}
                Some(entry) => {
                    entry.wanted = wanted;
                    self.schedule(target);
                }
                None => {
                    self.entries.insert(target.clone(), Entry::new(wanted, now));
                    self.schedule(target);
                }
            }
        }
    }

    /// The next job that is due at `now` and whose provider may be asked, marked as in flight; `None` if there
    /// is none. Jobs that have waited longest go first.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Job> {
        self.notice(now);
        self.held_until = None;
        let (target, errand, reserved) = self.find(now)?;
        let entry = self.entries.get_mut(&target)?;
        if let Some(times) = entry.times.take() {
            self.agenda.remove(&target, times);
        }
        entry.status.due = None;
        entry.errand = errand;
        let Wanted { ttl: lifetime, timeout } = entry.wanted;
        let among = entry.stand_in.filter(|_| errand == Errand::Retry).map(|stand_in| stand_in.ahead);
        self.in_flight.insert(target.clone());
        Some(Job { target, timeout, chain: self.chain.clone(), lifetime, reserved, among })
    }

    /// Whose turn it is, what for, and whose call was counted.
    fn find(&mut self, now: Timestamp) -> Option<(CarbonTarget, Errand, Option<usize>)> {
        let mut seen = BTreeSet::new();
        let waiting = self.agenda.waiting(now).into_iter();
        // After those before whom they wait for a call: they do without it.
        let overdue = self.agenda.overdue(now).map(|target| (target, false));
        for (target, retry) in waiting.chain(overdue) {
            if !retry && !seen.insert(target) {
                continue;
            }
            let Some((entry, times)) = self.entries.get(target).and_then(|entry| Some((entry, entry.times?)))
            else {
                continue;
            };
            let whom = match entry.stand_in {
                Some(stand_in) if retry => Whom::First(stand_in.ahead),
                _ => Whom::By(times.overdue),
            };
            match self.chain.reserve(target, entry.wanted.ttl, whom, now) {
                Reservation::Go { reserved, passed_over } => {
                    let errand = match (retry, passed_over) {
                        (true, _) => Errand::Retry,
                        (false, true) => Errand::PassedOver(times.retry.unwrap_or(times.due)),
                        (false, false) => Errand::Refresh,
                    };
                    return Some((target.clone(), errand, reserved));
                }
                Reservation::Wait(until) => {
                    self.held_until = Some(self.held_until.map_or(until, |held| held.min(until)));
                }
            }
        }
        None
    }

    /// When [`Refresher::take_due`] will have something next; `None` while nothing is waiting.
    pub fn next_due(&self) -> Option<Timestamp> {
        match self.held_until {
            None => self.agenda.first(),
            Some(held) => Some(self.agenda.first_after(self.newest_now).map_or(held, |next| held.min(next))),
        }
    }

    /// Takes the outcome of a job: what is to be passed on, if it brought anything.
    ///
    /// The outcome for a target that was forgotten meanwhile, or that has no job in flight, is dropped.
    pub fn finish(
        &mut self,
        target: &CarbonTarget,
        outcome: Result<Answer, RefreshError>,
        now: Timestamp,
    ) -> Option<News> {
        self.notice(now);
        // Circuits may stand otherwise now.
        self.held_until = None;
        self.release_held();
        if !self.in_flight.remove(target) {
            return None;
        }
        let alone = self.entries.len() == 1;
        let seed = self.seed;
        let entry = self.entries.get_mut(target)?;
        let news = match outcome {
            Ok(answer) => Some(entry.succeed(answer, now, alone, &self.chain)),
            Err(error) => {
                entry.fail(&error, now);
                None
            }
        };
        entry.plan_retry(now, seed, target);
        self.schedule(target);
        news
    }

    /// How a target stands; `None` if it is not wanted.
    pub fn status(&self, target: &CarbonTarget) -> Option<&Status> {
        self.entries.get(target).map(|entry| &entry.status)
    }

    /// How every wanted target stands, in order of targets.
    pub fn statuses(&self) -> impl Iterator<Item = (&CarbonTarget, &Status)> {
        self.entries.iter().map(|(target, entry)| (target, &entry.status))
    }

    /// Makes due at once what waits for a provider, where one answers again sooner than was thought.
    fn release_held(&mut self) {
        let closings = self.chain.closings();
        if closings == core::mem::replace(&mut self.closings, closings) {
            return;
        }
        let now = self.newest_now;
        let mut released = Vec::new();
        for (target, entry) in &mut self.entries {
            if entry.last == Last::Held {
                entry.at_least = SignedDuration::ZERO;
            } else if let Some(stand_in) = &mut entry.stand_in {
                stand_in.retry = Some(stand_in.retry.map_or(now, |retry| retry.min(now)));
            } else {
                continue;
            }
            released.push(target.clone());
        }
        for target in &released {
            self.schedule(target);
        }
    }

    /// Puts the target where its entry says it is due, unless it is in flight.
    fn schedule(&mut self, target: &CarbonTarget) {
        let Some(entry) = self.entries.get_mut(target) else {
            return;
        };
        self.held_until = None;
        if let Some(before) = entry.times.take() {
            self.agenda.remove(target, before);
        }
        if !self.in_flight.contains(target) {
            let times = entry.times(self.seed, target);
            entry.times = Some(times);
            entry.status.due = Some(times.retry.map_or(times.due, |retry| retry.min(times.due)));
            self.agenda.insert(target, times);
        }
    }

    /// Pulls what is due along with a clock that was set back, so that nothing waits for the old time.
    fn notice(&mut self, now: Timestamp) {
        if now.duration_since(self.newest_now) >= -BACKWARD_TOLERANCE {
            self.newest_now = self.newest_now.max(now);
            return;
        }
        self.newest_now = now;
        let ahead: Vec<CarbonTarget> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                let retry = entry.stand_in.and_then(|stand_in| stand_in.retry);
                entry.since > now || retry > Some(later(now, LONGEST_RETRY_AFTER))
            })
            .map(|(target, _)| target.clone())
            .collect();
        for target in ahead {
            if let Some(entry) = self.entries.get_mut(&target) {
                entry.since = entry.since.min(now);
                if let Some(stand_in) = &mut entry.stand_in {
                    stand_in.retry = stand_in.retry.map(|retry| retry.min(now));
                }
            }
            self.schedule(&target);
        }
    }
}

impl Entry {
    fn new(wanted: Wanted, now: Timestamp) -> Self {
        Self {
            wanted,
            since: now,
            at_least: SignedDuration::ZERO,
            retry_at_least: SignedDuration::ZERO,
            last: Last::None,
            stand_in: None,
            times: None,
            errand: Errand::Refresh,
            status: Status::default(),
        }
    }

    fn succeed(&mut self, answer: Answer, now: Timestamp, alone: bool, chain: &Chain) -> News {
        let Answer { forecast, actuals } = answer;
        let forecast = Arc::new(forecast);
        // What another target's job was answered lives no longer for being taken later.
        let oldest = earlier(now, self.wanted.ttl - MIN_TTL);
        self.since = forecast.retrieved_at.clamp(oldest, now);
        self.at_least = SignedDuration::ZERO;
        let first = self.status.last_success.is_none();
        self.last = if first && !alone { Last::FirstOfSeveral } else { Last::Well };
        self.status.failures = 0;
        self.status.last_error = None;
        self.status.last_success = Some(now);
        let ahead = rank(chain, &forecast).filter(|ahead| *ahead > 0 && forecast.stand_in_for.is_some());
        self.stand_in = ahead.map(|ahead| StandIn { ahead, retry: None });
        let is_current =
            !self.status.latest.as_ref().is_some_and(|latest| is_kept(latest, &forecast, chain, now));
        self.status.stand_in = (!is_current).then(|| Arc::clone(&forecast.source));
        if is_current {
            self.status.latest = Some(Arc::clone(&forecast));
        }
        News { forecast, actuals, is_current }
    }

    fn fail(&mut self, error: &RefreshError, now: Timestamp) {
        if self.errand == Errand::Retry && self.stand_in.is_some() {
            // What was asked for is at hand: nothing has failed but the try to better it.
            self.retry_at_least = error.wait(now);
            if error.is_held() {
                self.errand = Errand::PassedOver(later(now, self.retry_at_least));
            }
            return;
        }
        self.since = now;
        self.stand_in = None;
        self.status.stand_in = None;
        self.at_least = error.wait(now);
        self.last = if error.is_held() {
            Last::Held
        } else if error.is_not_understood() {
            Last::Hopeless
        } else {
            Last::Failed
        };
        let failed = u32::from(self.last != Last::Held);
        self.status.failures = self.status.failures.saturating_add(failed);
        self.status.last_error = Some(error.to_string());
    }

    /// Says when those preferred to the one that stands in are asked again.
    fn plan_retry(&mut self, now: Timestamp, seed: u64, target: &CarbonTarget) {
        let errand = core::mem::replace(&mut self.errand, Errand::Refresh);
        let wait = core::mem::take(&mut self.retry_at_least);
        let renewal = later(self.since, self.pause(seed, target));
        let cap = self.wanted.ttl.min(MAX_BACKOFF);
        let Some(stand_in) = &mut self.stand_in else {
            self.status.stood_in = 0;
            return;
        };
        if let Errand::PassedOver(place) = errand {
            stand_in.retry = Some(place);
            return;
        }
        self.status.stood_in = self.status.stood_in.saturating_add(1);
        let retry = later(now, backoff(self.status.stood_in, cap, seed, target).max(wait));
        stand_in.retry = Some(retry).filter(|retry| *retry < earlier(renewal, cap / 4));
    }

    /// Where it is in the agenda.
    fn times(&self, seed: u64, target: &CarbonTarget) -> Times {
        let due = later(self.since, self.pause(seed, target));
        match self.stand_in {
            Some(stand_in) => Times { due, overdue: due, retry: stand_in.retry },
            None => {
                let known = self.status.latest.as_ref().and_then(|latest| latest.slots().last());
                let hold = if known.is_some_and(|last| last.to > due) { LONGEST_HOLD } else { FIRST_HOLD };
                Times { due, overdue: later(due, hold), retry: None }
            }
        }
    }

    /// How long after `since` the next refresh is due.
    fn pause(&self, seed: u64, target: &CarbonTarget) -> SignedDuration {
        let cap = self.wanted.ttl.min(MAX_BACKOFF);
        let pause = match self.last {
            Last::None | Last::Held => SignedDuration::ZERO,
            Last::FirstOfSeveral => {
                let half = self.wanted.ttl / 2;
                half + half * jitter(seed, target, 0) / 1_000
            }
            Last::Well => self.wanted.ttl,
            Last::Hopeless => cap,
            Last::Failed => backoff(self.status.failures, cap, seed, target),
        };
        pause.max(self.at_least)
    }
}

/// The pause after so many failures in a row, `cap` at most.
fn backoff(failures: u32, cap: SignedDuration, seed: u64, target: &CarbonTarget) -> SignedDuration {
    // Room for the jitter below the cap, so that it spreads retries there too.
    let doubled = FIRST_BACKOFF * (1 << failures.saturating_sub(1).min(9));
    let step = doubled.min(cap * 5 / 6);
    step + step * jitter(seed, target, failures) / 5_000
}

/// Where in the chain the provider of a forecast stands.
fn rank(chain: &Chain, forecast: &Forecast) -> Option<usize> {
    chain.links().iter().position(|link| link.adapter().name() == &*forecast.source)
}

/// Whether the latest forecast stays although somebody answered: it is of a provider that stands further
/// ahead in the chain, covers now and the near future, and is not old.
fn is_kept(latest: &Forecast, newer: &Forecast, chain: &Chain, now: Timestamp) -> bool {
    let preferred = rank(chain, latest).zip(rank(chain, newer)).is_some_and(|(latest, newer)| latest < newer);
    let covers =
        latest.at(now).is_some() && latest.slots().last().is_some_and(|last| last.to >= later(now, KEPT_FOR));
    preferred && covers && now.duration_since(latest.retrieved_at) < KEPT_FOR
}

/// A number in 0..1000 that only the arguments decide: no stream, so one target's failures leave the pauses
/// of another as they are.
fn jitter(seed: u64, target: &CarbonTarget, failures: u32) -> i32 {
    let hash = hash::fnv_1a(seed, target.as_str().bytes().chain(failures.to_le_bytes()));
    i32::try_from(hash::mixed(hash) % 1_000).unwrap_or_default()
}
