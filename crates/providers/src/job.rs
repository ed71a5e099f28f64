//! One refresh of one target: the chain of providers, asked in order.

use core::fmt;
use core::time::Duration;

use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Timestamp};

use crate::adapter::{Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::chain::{Chain, Link};
use crate::circuit::{CircuitChange, LONGEST_RETRY_AFTER};
use crate::fetch::{Fetch, FetchError};

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
    /// The provider whose call was counted when the job was taken.
    pub(crate) reserved: Option<usize>,
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
    /// A job for whoever has no [`Refresher`](crate::Refresher).
    pub fn new(target: CarbonTarget, timeout: SignedDuration, chain: Chain) -> Self {
        Self { target, timeout, chain, reserved: None }
    }

    /// Asks the providers of the chain in order, until one gives a forecast. Blocks as long as `fetch` does:
    /// at most [`Job::timeout`] for each provider, and three times that for one that wants a login. `clock`
    /// tells the time whenever that may have passed: what is said of a receipt is of after the wait.
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
        for (index, link) in self.chain.links().iter().enumerate() {
            let provider = link.adapter().name();
            let outcome = self.attempt(link, self.reserved == Some(index), fetch, &clock);
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
    ) -> Result<Answer, AttemptError> {
        let begun = clock();
        let (mut answer, received) = match link.adapter().plan(&self.target, begun)? {
            Plan::Known(forecast) => (Answer::from(forecast), begun),
            Plan::Ask(request) => {
                link.admit(&self.target, begun, reserved)?;
                let body = self.ask(link, request, fetch, clock)?;
                let received = clock();
                (link.adapter().parse(&self.target, &body, received)?, received)
            }
        };
        let ended = answer.forecast.slots().last().map_or(Timestamp::MIN, |slot| slot.to);
        if ended <= received {
            return Err(BadAnswer::Over { provider: link.adapter().name().into(), ended }.into());
        }
        answer.forecast.fill_gaps(LONGEST_FILLED);
        Ok(answer)
    }

    /// The answer's body, without what only the asked should know. Where a token is wanted: with the one at
    /// hand, and where that is refused, once more with a new one.
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
                Err(FetchError::Status { status: 401 | 403, .. }) => {
                    link.forget(&token);
                    link.again(clock());
                }
                other => return Ok(admitted.redacted(other?)),
            }
        }
        // Another job may have logged in while this one was refused.
        let token = match link.token(clock()) {
            Some(token) => token,
            None => {
                let failed =
                    |problem| AttemptError::Login { provider: link.adapter().name().into(), problem };
                link.again(clock());
                let asked = login.request();
                let body = fetch.fetch(&asked, self.patience()).map_err(failed)?;
                let token = login
                    .token(&asked.redacted(body), clock())
                    .map_err(|problem| if asked.has_password() { withheld(problem) } else { problem })?;
                link.keep(&token);
                token
            }
        };
        let admitted = login.admitted(request, &token);
        Ok(admitted.redacted(fetch.fetch(&admitted, self.patience())?))
    }

    fn patience(&self) -> Duration {
        self.timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT).unsigned_abs()
    }
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

    /// Whether the provider is well and only has nothing for this target.
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
