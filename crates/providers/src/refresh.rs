//! What to refresh, and when: one upstream call per lifetime, however many schedules share the forecast.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Slot, Timestamp};

use crate::adapter::{Adapter, Answer};
use crate::chain::{Chain, Reservation};
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

/// How many of those that wait longest are looked at for one whose provider may be asked.
const LOOKED_AT: usize = 32;
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
    /// Every wanted target that is not in flight, by when it is due.
    due: BTreeSet<(Timestamp, CarbonTarget)>,
    /// Until when what is due waits for the limits of its providers.
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
    /// The newest forecast.
    pub forecast: Arc<Forecast>,
    /// What was measured of slots that are over; most of it may have been told before.
    pub actuals: Vec<Slot>,
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
    /// When it is to be refreshed next; `None` while it is in flight.
    pub due: Option<Timestamp>,
    /// Who answered last, where the latest forecast is a preferred provider's and still good enough.
    pub stand_in: Option<Arc<str>>,
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
    last: Last,
    status: Status,
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
            due: BTreeSet::new(),
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
        let due = &mut self.due;
        self.entries.retain(|target, entry| {
            let stays = wanted.contains_key(target);
            if let Some(at) = entry.status.due.filter(|_| !stays) {
                due.remove(&(at, target.clone()));
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
        let mut found = None;
        for (at, target) in self.due.iter().take_while(|(at, _)| *at <= now).take(LOOKED_AT) {
            let lifetime = self.entries.get(target).map_or(SignedDuration::ZERO, |entry| entry.wanted.ttl);
            match self.chain.reserve(target, lifetime, now) {
                Reservation::Go(reserved) => {
                    found = Some(((*at, target.clone()), reserved));
                    break;
                }
                Reservation::Wait(until) => {
                    self.held_until = Some(self.held_until.map_or(until, |held| held.min(until)));
                }
            }
        }
        let (key, reserved) = found?;
        self.due.remove(&key);
        let (_, target) = key;
        let entry = self.entries.get_mut(&target)?;
        entry.status.due = None;
        let Wanted { ttl: lifetime, timeout } = entry.wanted;
        self.in_flight.insert(target.clone());
        Some(Job { target, timeout, chain: self.chain.clone(), lifetime, reserved })
    }

    /// When [`Refresher::take_due`] will have something next; `None` while nothing is waiting.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| self.held_until.map_or(*at, |held| held.max(*at)))
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
        let chain = self.chain.clone();
        let entry = self.entries.get_mut(target)?;
        let news = entry.take(outcome, now, alone, &chain);
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
        let held = self.entries.iter_mut().filter(|(_, entry)| entry.last == Last::Held);
        let held: Vec<CarbonTarget> = held
            .map(|(target, entry)| {
                entry.at_least = SignedDuration::ZERO;
                target.clone()
            })
            .collect();
        for target in &held {
            self.schedule(target);
        }
    }

    /// Puts the target where its entry says it is due, unless it is in flight.
    fn schedule(&mut self, target: &CarbonTarget) {
        let Some(entry) = self.entries.get_mut(target) else {
            return;
        };
        self.held_until = None;
        if let Some(before) = entry.status.due.take() {
            self.due.remove(&(before, target.clone()));
        }
        if !self.in_flight.contains(target) {
            let at = later(entry.since, entry.pause(self.seed, target));
            entry.status.due = Some(at);
            self.due.insert((at, target.clone()));
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
            .filter(|(_, entry)| entry.since > now)
            .map(|(target, _)| target.clone())
            .collect();
        for target in ahead {
            if let Some(entry) = self.entries.get_mut(&target) {
                entry.since = now;
            }
            self.schedule(&target);
        }
    }
}

impl Entry {
    fn new(wanted: Wanted, now: Timestamp) -> Self {
        let status = Status::default();
        Self { wanted, since: now, at_least: SignedDuration::ZERO, last: Last::None, status }
    }

    fn take(
        &mut self,
        outcome: Result<Answer, RefreshError>,
        now: Timestamp,
        alone: bool,
        chain: &Chain,
    ) -> Option<News> {
        self.since = now;
        self.status.stand_in = None;
        match outcome {
            Ok(Answer { forecast, actuals }) => {
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
                if self.status.latest.as_ref().is_some_and(|latest| is_kept(latest, &forecast, chain, now)) {
                    self.status.stand_in = Some(Arc::clone(&forecast.source));
                    return None;
                }
                self.status.latest = Some(Arc::clone(&forecast));
                Some(News { forecast, actuals })
            }
            Err(error) => {
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
                None
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
            Last::Failed => {
                // Room for the jitter below the cap, so that it spreads retries there too.
                let failures = self.status.failures;
                let doubled = FIRST_BACKOFF * (1 << failures.saturating_sub(1).min(9));
                let step = doubled.min(cap * 5 / 6);
                step + step * jitter(seed, target, failures) / 5_000
            }
        };
        pause.max(self.at_least)
    }
}

/// Whether the latest forecast stays although somebody answered: it is of a provider that stands further
/// ahead in the chain, covers now and the near future, and is not old.
fn is_kept(latest: &Forecast, newer: &Forecast, chain: &Chain, now: Timestamp) -> bool {
    let rank = |forecast: &Forecast| {
        chain.links().iter().position(|link| link.adapter().name() == &*forecast.source)
    };
    let preferred = rank(latest).zip(rank(newer)).is_some_and(|(latest, newer)| latest < newer);
    let covers =
        latest.at(now).is_some() && latest.slots().last().is_some_and(|last| last.to >= later(now, KEPT_FOR));
    preferred && covers && now.duration_since(latest.retrieved_at) < KEPT_FOR
}

/// A number in 0..1000 that only the arguments decide: no stream, so one target's failures leave the pauses
/// of another as they are.
fn jitter(seed: u64, target: &CarbonTarget, failures: u32) -> i32 {
    // FNV-1a over the name, finished with the mixer of SplitMix64.
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in target.as_str().bytes().chain(failures.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    i32::try_from(hash % 1_000).unwrap_or_default()
}
