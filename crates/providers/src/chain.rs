//! Whom to ask, in order, and what is known of each between jobs: its token, its circuit, its budget of calls.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use models::{CarbonTarget, Timestamp};

use crate::adapter::{Adapter, Answer, Plan};
use crate::circuit::{Circuit, CircuitChange, CircuitState};
use crate::half_hour::later;
use crate::job::{AttemptError, HeldBy};
use crate::limits::{Limits, Meter};
use crate::login::Token;
use crate::reading;
use crate::turns::{Turn, Turns};

/// A trial that nobody has heard of for so long was lost with its thread: a request, another job's login, an
/// own one and one more request have failed by then, each at the end of the longest patience.
const LOST_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// So long a token counts as good after its login: who is refused with 403 meanwhile is refused for what was
/// asked for, and a new token would be refused too.
pub const TRUSTED_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Targets that are remembered as served; all are forgotten at once beyond.
const MAX_SERVED: usize = 4_096;
/// For so long after it was due a refresh waits for a provider's limits; where it would take longer the next
/// provider is asked.
pub const LONGEST_HOLD: SignedDuration = SignedDuration::from_mins(5);
/// The same where nothing is known, or nothing any more.
pub const FIRST_HOLD: SignedDuration = SignedDuration::from_secs(5);
/// Whoever stands in though nobody is seen to be preferred is asked again after this.
const NOBODY_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The providers to be asked, in order. Cheap to clone; clones share what is known of each.
#[derive(Debug, Clone, Default)]
pub struct Chain(Arc<[Link]>);

/// One provider of a chain.
#[derive(Debug)]
pub struct Link {
    adapter: Arc<dyn Adapter>,
    limits: Limits,
    known: Mutex<Known>,
    logins: Turns,
    /// Requests of a provider that knows one grid: they would all be the same.
    requests: Turns,
}

#[derive(Debug)]
struct Known {
    token: Option<Token>,
    /// When the token was given.
    logged_in: Timestamp,
    /// The last answer of a provider that knows one grid: it is every target's.
    shared: Option<Answer>,
    circuit: Circuit,
    /// How often the circuit has closed.
    closings: u64,
    meter: Meter,
    /// Targets that it has given a forecast for.
    served: BTreeSet<CarbonTarget>,
    status: LinkStatus,
}

/// How a provider does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Its circuit at the instant that was asked for.
    pub circuit: CircuitState,
    /// When its limits let it be asked next: at once, or then.
    pub ready_at: Timestamp,
    /// Requests made, logins among them.
    pub calls: u64,
    /// Failures since it last answered.
    pub failures: u32,
    /// When it last gave a forecast.
    pub last_success: Option<Timestamp>,
    /// What the last failure was.
    pub last_error: Option<String>,
}

/// Whether a job may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reservation {
    /// It may.
    Go {
        /// The provider whose call is counted already.
        reserved: Option<usize>,
        /// Somebody preferred to it is not asked, by its circuit or its limits.
        passed_over: bool,
    },
    /// Those to be asked have to be left alone until then.
    Wait(Timestamp),
}

/// Who may be asked, and for how long a preferred one is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Anybody; whose limits let it be asked by then is waited for.
    By(Timestamp),
    /// Only so many, the first ones: somebody after them stands in.
    First(usize),
}

impl Chain {
    /// The providers of `adapters`, the first one first, each to be asked as often as is wanted.
    pub fn new(adapters: Vec<Arc<dyn Adapter>>) -> Self {
        Self::with_limits(adapters.into_iter().map(|adapter| (adapter, Limits::default())).collect())
    }

    /// Providers with how often each may be asked, the first one first.
    pub fn with_limits(links: Vec<(Arc<dyn Adapter>, Limits)>) -> Self {
        Self(links.into_iter().map(|(adapter, limits)| Link::new(adapter, limits)).collect())
    }

    /// Every provider, in order.
    pub fn links(&self) -> &[Link] {
        &self.0
    }

    /// How often a provider has begun to answer again.
    pub(crate) fn closings(&self) -> u64 {
        self.0.iter().map(|link| link.known().closings).fold(0, u64::wrapping_add)
    }

    /// Whether a job for `target`, whose forecasts live for `lifetime`, may go now. The first provider that has
    /// the target and is not left alone is waited for, as long as `whom` says.
    pub(crate) fn reserve(
        &self,
        target: &CarbonTarget,
        lifetime: SignedDuration,
        whom: Whom,
        now: Timestamp,
    ) -> Reservation {
        let (among, patient_until) = match whom {
            Whom::By(until) => (self.0.len(), until),
            Whom::First(among) => (among, Timestamp::MIN),
        };
        // When the first one of those passed over may be asked, by its circuit and by its limits.
        let (mut closed_at, mut ready_at) = (None, None);
        let first = |one: Option<Timestamp>, other| Some(one.map_or(other, |one| one.min(other)));
        for (index, link) in self.0.iter().enumerate().take(among) {
            let passed_over = closed_at.is_some() || ready_at.is_some();
            match link.adapter.plan(target, now) {
                Err(_) => {}
                Ok(Plan::Known(_)) => return Reservation::Go { reserved: None, passed_over },
                Ok(Plan::Ask(_)) => {
                    let one_for_all = link.adapter.knows_one_grid();
                    let mut known = link.known();
                    known.notice(now);
                    if one_for_all && known.shared(lifetime, now).is_some() {
                        return Reservation::Go { reserved: None, passed_over };
                    }
                    if let Err(until) = known.circuit.check(target, now, LOST_AFTER) {
                        closed_at = first(closed_at, until);
                        continue;
                    }
                    let ready = known.meter.ready_at(now);
                    if ready <= now {
                        // Who comes first may ask for all: the call is counted when it is made.
                        let reserved = (!one_for_all).then_some(index);
                        if reserved.is_some() {
                            known.count(now);
                        }
                        return Reservation::Go { reserved, passed_over };
                    }
                    if ready <= patient_until {
                        return Reservation::Wait(ready);
                    }
                    ready_at = first(ready_at, ready);
                }
            }
        }
        match (whom, closed_at, ready_at) {
            // The job says whom it was not allowed to ask, and why.
            (Whom::By(_), _, None) => Reservation::Go { reserved: None, passed_over: closed_at.is_some() },
            (_, Some(closed), Some(ready)) => Reservation::Wait(closed.min(ready)),
            (_, Some(until), None) | (_, None, Some(until)) => Reservation::Wait(until),
            (Whom::First(_), None, None) => Reservation::Wait(later(now, NOBODY_AHEAD)),
        }
    }
}

impl Link {
    fn new(adapter: Arc<dyn Adapter>, limits: Limits) -> Self {
        let status = LinkStatus {
            circuit: CircuitState::Closed,
            ready_at: Timestamp::MIN,
            calls: 0,
            failures: 0,
            last_success: None,
            last_error: None,
        };
        let known = Known {
            token: None,
            logged_in: Timestamp::MIN,
            shared: None,
            circuit: Circuit::default(),
            closings: 0,
            meter: Meter::new(limits),
            served: BTreeSet::new(),
            status,
        };
        let (logins, requests) = Default::default();
        Self { adapter, limits, known: Mutex::new(known), logins, requests }
    }

    /// The provider.
    pub fn adapter(&self) -> &dyn Adapter {
        self.adapter.as_ref()
    }

    /// How often it may be asked.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How it does at `now`.
    pub fn status(&self, now: Timestamp) -> LinkStatus {
        let known = self.known();
        let (circuit, ready_at) = (known.circuit.state(now), known.meter.ready_at(now));
        LinkStatus { circuit, ready_at, ..known.status.clone() }
    }

    /// Lets a request go and counts it, unless that was done when its job was taken.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Held`]: the provider is to be left alone.
    pub(crate) fn admit(
        &self,
        target: &CarbonTarget,
        now: Timestamp,
        reserved: bool,
    ) -> Result<(), AttemptError> {
        let mut known = self.known();
        known.notice(now);
        let held = |until, by| AttemptError::Held { provider: self.adapter.name().to_owned(), until, by };
        if !reserved {
            let ready = known.meter.ready_at(now);
            if ready > now {
                return Err(held(ready, HeldBy::Limits));
            }
        }
        known.circuit.admit(target, now, LOST_AFTER).map_err(|until| held(until, HeldBy::Circuit))?;
        if !reserved {
            known.count(now);
        }
        Ok(())
    }

    /// Counts one more request of an attempt that was let go: a login, or a repeat after it.
    pub(crate) fn again(&self, now: Timestamp) {
        self.known().count(now);
    }

    /// Notes how an attempt that was let go ended.
    pub(crate) fn note(
        &self,
        target: &CarbonTarget,
        now: Timestamp,
        outcome: Result<(), &AttemptError>,
    ) -> Option<CircuitChange> {
        let mut known = self.known();
        let change = self.judge(&mut known, target, now, outcome);
        if change == Some(CircuitChange::Closed) {
            known.closings = known.closings.wrapping_add(1);
        }
        change
    }

    fn judge(
        &self,
        known: &mut Known,
        target: &CarbonTarget,
        now: Timestamp,
        outcome: Result<(), &AttemptError>,
    ) -> Option<CircuitChange> {
        let Err(problem) = outcome else {
            known.status.failures = 0;
            known.status.last_error = None;
            known.status.last_success = Some(now);
            if known.served.len() >= MAX_SERVED {
                known.served.clear();
            }
            known.served.insert(target.clone());
            return known.circuit.succeed();
        };
        known.status.failures = known.status.failures.saturating_add(1);
        known.status.last_error = Some(problem.to_string());
        let in_its_words = problem.is_of_one_target();
        if in_its_words && known.circuit.is_open_for_failures() {
            return known.circuit.succeed();
        }
        let all_alike = self.adapter.knows_one_grid();
        let of_target = in_its_words || problem.may_be_of_one_target();
        if of_target && !all_alike && !known.served.contains(target) {
            // Others were served: this one never was, and says nothing of them.
            let others = !known.served.is_empty();
            if known.circuit.pass_on(target) || others {
                return None;
            }
        }
        if in_its_words {
            return known.circuit.refuse(target, now);
        }
        known.circuit.fail(now, problem.retry_after())
    }

    /// The token of an earlier login that is still good.
    pub(crate) fn token(&self, now: Timestamp) -> Option<Token> {
        self.known().token.clone().filter(|token| now < token.good_until)
    }

    /// Keeps the token of a login for the jobs to come.
    pub(crate) fn keep(&self, token: &Token, now: Timestamp) {
        let mut known = self.known();
        known.token = Some(token.clone());
        known.logged_in = now;
    }

    /// Whether a refusal with HTTP `status` may be the token's fault, so that another one is worth a try. It
    /// is forgotten then, unless another job has got a newer one meanwhile.
    pub(crate) fn doubt(&self, refused: &Token, status: u16, now: Timestamp) -> bool {
        let mut known = self.known();
        if known.token.as_ref() != Some(refused) {
            return matches!(status, 401 | 403);
        }
        let age = now.duration_since(known.logged_in);
        let trusted = (SignedDuration::ZERO..TRUSTED_FOR).contains(&age);
        let doubted = status == 401 || (status == 403 && !trusted);
        if doubted {
            known.token = None;
        }
        doubted
    }

    /// The right to log in; `None` where another job has it for longer than `patience`.
    pub(crate) fn login_turn(&self, patience: Duration) -> Option<Turn<'_>> {
        self.logins.take(patience)
    }

    /// The right to ask for what serves every target; `None` where another job has it for longer than
    /// `patience`.
    pub(crate) fn request_turn(&self, patience: Duration) -> Option<Turn<'_>> {
        self.requests.take(patience)
    }

    /// What another target's job was answered, if that serves this one too and is younger than `lifetime`.
    pub(crate) fn shared(&self, lifetime: SignedDuration, now: Timestamp) -> Option<Answer> {
        self.known().shared(lifetime, now).cloned()
    }

    /// Keeps an answer that serves every target.
    pub(crate) fn share(&self, answer: &Answer) {
        self.known().shared = Some(answer.clone());
    }

    // Every change is whole: the lock's poison says nothing.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn shared(&self, lifetime: SignedDuration, now: Timestamp) -> Option<&Answer> {
        self.shared.as_ref().filter(|answer| {
            let age = now.duration_since(answer.forecast.retrieved_at);
            (SignedDuration::ZERO..lifetime).contains(&age) && reading::end(&answer.forecast) > now
        })
    }

    fn count(&mut self, now: Timestamp) {
        self.meter.count(now);
        self.status.calls = self.status.calls.saturating_add(1);
    }

    fn notice(&mut self, now: Timestamp) {
        self.meter.set_back(now);
        self.circuit.set_back(now);
    }
}
