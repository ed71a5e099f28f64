//! One refresh of one target: the chain of providers, asked in order.

use core::fmt;
use core::time::Duration;

use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Timestamp};

use crate::adapter::{Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::chain::{Chain, Link};
use crate::circuit::{CircuitChange, LONGEST_RETRY_AFTER};
use crate::fetch::{Fetch, FetchError};
use crate::login::{Login, Token};
use crate::reading;

/// Longest that one request may take, whatever is configured.
pub const MAX_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);
/// Longest gap between two slots of an answer that is filled by a straight line: longer ones stay gaps.
pub const LONGEST_FILLED: SignedDuration = SignedDuration::from_hours(1);
/// Shortest patience: less than a clock tick would refuse every answer.
const MIN_TIMEOUT: SignedDuration = SignedDuration::from_millis(1);

/// Work for whoever may wait: a target to be refreshed.
///
/// Whatever becomes of it, tell [`Refresher::finish`](crate::Refresher::finish): the target is not asked for
/// again before.
#[derive(Debug, Clone)]
pub struct Job {
    /// What a forecast is wanted for.
    pub target: CarbonTarget,
    /// Patience with one request, redirects and body included; held within 1 ms and [`MAX_TIMEOUT`].
    pub timeout: SignedDuration,
    /// Whom to ask, in order.
    pub chain: Chain,
    /// What another target's job was answered serves this one, where it may, while it is younger than that.
    pub(crate) lifetime: SignedDuration,
    /// The provider whose call was counted when the job was taken.
    pub(crate) reserved: Option<usize>,
    /// How many providers of the chain it may ask, the first ones; all where nothing is said.
    pub(crate) among: Option<usize>,
}

/// How one provider of the chain did.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its name.
    pub provider: &'a str,
    /// The forecast, or why there is none.
    pub outcome: Result<&'a Forecast, &'a AttemptError>,
    /// What that did to its circuit.
    pub circuit: Option<CircuitChange>,
}

impl Job {
    /// A job for whoever has no [`Refresher`](crate::Refresher). It asks for itself, whatever others were
    /// answered.
    pub fn new(target: CarbonTarget, timeout: SignedDuration, chain: Chain) -> Self {
        Self { target, timeout, chain, lifetime: SignedDuration::ZERO, reserved: None, among: None }
    }

    /// Asks the providers of the chain in order, until one gives a forecast. Blocks as long as `fetch` does:
    /// at most [`Job::timeout`] for each provider; twice that where another job asks for the same meanwhile,
    /// and four times that for one that wants a login. `clock` tells the time whenever that may have passed:
    /// what is said of a receipt is of after the wait.
    ///
    /// # Errors
    ///
    /// [`RefreshError`] with what every provider had to say.
    pub fn run(
        &self,
        fetch: &(impl Fetch + ?Sized),
        clock: impl Fn() -> Timestamp,
    ) -> Result<Answer, RefreshError> {
        self.run_watched(fetch, clock, |_| ())
    }

    /// As [`Job::run`], telling `watch` how each provider of the chain did: the failures before a success too.
    /// Nothing is told of an answer that another job was given and that serves this one.
    ///
    /// # Errors
    ///
    /// [`RefreshError`] with what every provider had to say.
    pub fn run_watched(
        &self,
        fetch: &(impl Fetch + ?Sized),
        clock: impl Fn() -> Timestamp,
        mut watch: impl FnMut(Asked<'_>),
    ) -> Result<Answer, RefreshError> {
        let mut attempts = Vec::new();
        let among = self.among.unwrap_or(usize::MAX);
        for (index, link) in self.chain.links().iter().enumerate().take(among) {
            let provider = link.adapter().name();
            let outcome = match self.attempt(link, self.reserved == Some(index), fetch, &clock) {
                Ok(Got::Shared(answer)) => return Ok(in_place_of(&attempts, answer)),
                Ok(Got::Own(answer)) => Ok(in_place_of(&attempts, answer)),
                Err(problem) => Err(problem),
            };
            let circuit = match &outcome {
                Err(problem) if !problem.was_asked() => None,
                outcome => link.note(&self.target, clock(), outcome.as_ref().map(drop)),
            };
            watch(Asked { provider, outcome: outcome.as_ref().map(|answer| &answer.forecast), circuit });
            match outcome {
                Ok(answer) => return Ok(answer),
                Err(problem) => attempts.push(Attempt { provider: provider.to_owned(), problem }),
            }
        }
        Err(RefreshError { target: self.target.clone(), attempts })
    }

    fn attempt(
        &self,
        link: &Link,
        reserved: bool,
        fetch: &(impl Fetch + ?Sized),
        clock: &impl Fn() -> Timestamp,
    ) -> Result<Got, AttemptError> {
        let begun = clock();
        let request = match link.adapter().plan(&self.target, begun)? {
            Plan::Known(forecast) => return sound(link, forecast.into(), begun).map(Got::Own),
            Plan::Ask(request) => request,
        };
        if !link.adapter().knows_one_grid() {
            return self.own(link, reserved, request, fetch, clock).map(Got::Own);
        }
        let shared = || link.shared(self.lifetime, clock()).map(Got::Shared);
        if let Some(shared) = shared() {
            return Ok(shared);
        }
        // Somebody may be asking for it right now.
        let turn = link.request_turn(self.patience());
        let _turn = turn.ok_or_else(|| self.too_late(&request))?;
        if let Some(shared) = shared() {
            return Ok(shared);
        }
        let answer = self.own(link, reserved, request, fetch, clock)?;
        link.share(&answer);
        Ok(Got::Own(answer))
    }

    fn own(
        &self,
        link: &Link,
        reserved: bool,
        request: Request,
        fetch: &(impl Fetch + ?Sized),
        clock: &impl Fn() -> Timestamp,
    ) -> Result<Answer, AttemptError> {
        link.admit(&self.target, clock(), reserved)?;
        let body = self.ask(link, request, fetch, clock)?;
        let received = clock();
        sound(link, link.adapter().parse(&self.target, &body, received)?, received)
    }

    /// The answer's body, without what only the asked should know. Where a token is wanted: with the one at
    /// hand, and where that is refused and may be the reason, once more with a new one.
    fn ask(
        &self,
        link: &Link,
        request: Request,
        fetch: &(impl Fetch + ?Sized),
        clock: &impl Fn() -> Timestamp,
    ) -> Result<Vec<u8>, AttemptError> {
        let Some(login) = link.adapter().login() else {
            return Ok(request.redacted(fetch.fetch(&request, self.patience())?));
        };
        if let Some(token) = link.token(clock()) {
            let admitted = login.admitted(request.clone(), &token);
            match fetch.fetch(&admitted, self.patience()) {
                Err(FetchError::Status { status, .. }) if link.doubt(&token, status, clock()) => {
                    link.again(clock());
                }
                other => return Ok(admitted.redacted(other?)),
            }
        }
        let token = self.log_in(link, login, fetch, clock)?;
        let admitted = login.admitted(request, &token);
        Ok(admitted.redacted(fetch.fetch(&admitted, self.patience())?))
    }

    /// A token: of this job's login, or of that of another job that was quicker.
    fn log_in(
        &self,
        link: &Link,
        login: &dyn Login,
        fetch: &(impl Fetch + ?Sized),
        clock: &impl Fn() -> Timestamp,
    ) -> Result<Token, AttemptError> {
        let failed = |problem| AttemptError::Login { provider: link.adapter().name().into(), problem };
        let asked = login.request();
        let _turn = link.login_turn(self.patience()).ok_or_else(|| failed(self.too_late(&asked)))?;
        if let Some(token) = link.token(clock()) {
            return Ok(token);
        }
        link.again(clock());
        let body = fetch.fetch(&asked, self.patience()).map_err(failed)?;
        let received = clock();
        let token = login
            .token(&asked.redacted(body), received)
            .map_err(|problem| if asked.has_password() { withheld(problem) } else { problem })?;
        link.keep(&token, received);
        Ok(token)
    }

    /// Another job asked for the same, and had no answer within this one's patience.
    fn too_late(&self, request: &Request) -> FetchError {
        FetchError::TimedOut { url: request.shown_url(), timeout: self.patience() }
    }

    fn patience(&self) -> Duration {
        self.timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT).unsigned_abs()
    }
}

/// The answer, as that of a stand-in where an attempt before it failed: for the first provider that has the
/// target.
fn in_place_of(attempts: &[Attempt], answer: Answer) -> Answer {
    let has_target = |attempt: &&Attempt| !matches!(attempt.problem, AttemptError::NotUnderstood(_));
    match attempts.iter().find(has_target) {
        Some(preferred) => {
            Answer { forecast: answer.forecast.standing_in_for(preferred.provider.as_str()), ..answer }
        }
        None => answer,
    }
}

/// Where a forecast came from.
enum Got {
    /// This job asked for it, or it was known.
    Own(Answer),
    /// Another job asked for it.
    Shared(Answer),
}

/// The answer with its short gaps filled, if there is anything left of it at `now`.
fn sound(link: &Link, mut answer: Answer, now: Timestamp) -> Result<Answer, AttemptError> {
    let ended = reading::end(&answer.forecast);
    if ended <= now {
        return Err(BadAnswer::Over { provider: link.adapter().name().into(), ended }.into());
    }
    answer.forecast.fill_gaps(LONGEST_FILLED);
    Ok(answer)
}

/// What is wrong with a login's answer, without its words: they may echo a password in any form.
fn withheld(problem: BadAnswer) -> BadAnswer {
    let words = || "withheld, since the request holds a password".to_owned();
    match problem {
        BadAnswer::NotTheFormat { provider, .. } => BadAnswer::NotTheFormat { provider, problem: words() },
        BadAnswer::Refused { provider, .. } => BadAnswer::Refused { provider, message: words() },
        BadAnswer::Over { .. } | BadAnswer::Empty { .. } => problem,
    }
}

/// No provider of the chain gave a forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshError {
    /// What a forecast was wanted for.
    pub target: CarbonTarget,
    /// What each provider had to say, in the chain's order.
    pub attempts: Vec<Attempt>,
}

/// How one provider of the chain failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The provider's name.
    pub provider: String,
    /// Why it gave no forecast.
    pub problem: AttemptError,
}

/// Why one provider gave no forecast.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttemptError {
    /// It has no such target.
    #[error(transparent)]
    NotUnderstood(#[from] NotUnderstood),
    /// It could not be asked, or did not answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It wants a login, which failed.
    #[error("logging in to {provider}: {problem}")]
    Login {
        /// Its name.
        provider: String,
        /// Why there is no token.
        problem: FetchError,
    },
    /// It answered something else.
    #[error(transparent)]
    BadAnswer(#[from] BadAnswer),
    /// It was not asked: it is to be left alone.
    #[error("{provider} is not asked before {until}: {by}")]
    Held {
        /// Its name.
        provider: String,
        /// Until when.
        until: Timestamp,
        /// Why.
        by: HeldBy,
    },
    /// The job itself was lost: for whoever runs jobs on threads that can die.
    #[error("the refresh was lost: {0}")]
    Lost(String),
}

/// Why a provider is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// It failed again and again, or asked for it.
    Circuit,
    /// The calls that it may be asked for are used up.
    Limits,
}

impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Circuit => "it failed again and again, or asked to be left alone",
            Self::Limits => "the calls allowed until then are used up",
        })
    }
}

impl AttemptError {
    /// Whether the provider was asked at all.
    pub fn was_asked(&self) -> bool {
        !matches!(self, Self::NotUnderstood(_) | Self::Held { .. } | Self::Lost(_))
    }

    /// How long the provider asked to be left alone.
    pub fn retry_after(&self) -> Option<SignedDuration> {
        match self {
            Self::Fetch(FetchError::Status { retry_after, .. })
            | Self::Login { problem: FetchError::Status { retry_after, .. }, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether it may be about this target only, though it looks like trouble with who asks, or like a page
    /// of somebody in between: zones outside of a plan are answered so.
    pub(crate) fn may_be_of_one_target(&self) -> bool {
        matches!(
            self,
            Self::Fetch(FetchError::Status { status: 401 | 403, .. })
                | Self::BadAnswer(BadAnswer::NotTheFormat { .. })
        )
    }

    /// Whether the provider answers and only has nothing for this target; where that is so of many targets it
    /// is not their matter.
    pub(crate) fn is_of_one_target(&self) -> bool {
        match self {
            // Who we are, how often we ask, and its own faults concern every target.
            Self::Fetch(FetchError::Status { status, .. }) => {
                !matches!(status, 401 | 403 | 407 | 408 | 429 | 500..)
            }
            Self::Fetch(FetchError::BadRequest { .. })
            | Self::BadAnswer(BadAnswer::Empty { .. } | BadAnswer::Refused { .. } | BadAnswer::Over { .. }) => {
                true
            }
            _ => false,
        }
    }
}

impl RefreshError {
    /// No provider has such a target: asking again soon cannot help.
    pub fn is_not_understood(&self) -> bool {
        self.attempts.iter().all(|attempt| matches!(attempt.problem, AttemptError::NotUnderstood(_)))
    }

    /// No provider was asked, as each that has the target is to be left alone: a pause, not a failure.
    pub fn is_held(&self) -> bool {
        let passed_over = |attempt: &Attempt| {
            matches!(attempt.problem, AttemptError::Held { .. } | AttemptError::NotUnderstood(_))
        };
        self.attempts.iter().all(passed_over) && !self.is_not_understood()
    }

    /// How long after `now` the first provider that has the target may be asked again.
    pub fn wait(&self, now: Timestamp) -> SignedDuration {
        let waits = self.attempts.iter().filter_map(|attempt| match &attempt.problem {
            AttemptError::NotUnderstood(_) => None,
            AttemptError::Held { until, .. } => Some(until.duration_since(now)),
            problem => Some(problem.retry_after().unwrap_or_default()),
        });
        waits.min().unwrap_or_default().clamp(SignedDuration::ZERO, LONGEST_RETRY_AFTER)
    }
}

impl core::error::Error for RefreshError {}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no forecast for `{}`: ", self.target)?;
        if self.attempts.is_empty() {
            return f.write_str("no provider is configured");
        }
        for (index, attempt) in self.attempts.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", attempt.problem)?;
        }
        Ok(())
    }
}
