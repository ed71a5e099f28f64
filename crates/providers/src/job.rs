//! One refresh of one target: the chain of providers, asked in order.

use core::fmt;
use core::time::Duration;

use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Timestamp};

use crate::adapter::{Answer, BadAnswer, NotUnderstood, Plan, Request};
use crate::chain::{Chain, Link};
use crate::fetch::{Fetch, FetchError};

/// Longest that one request may take, whatever is configured.
pub const MAX_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);
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
}

impl Job {
    /// Asks the providers of the chain in order, until one gives a forecast. Blocks as long as `fetch` does:
    /// at most [`Job::timeout`] for each provider, and three times that for one that wants a login.
    ///
    /// # Errors
    ///
    /// [`RefreshError`] with what every provider had to say.
    pub fn run(&self, fetch: &(impl Fetch + ?Sized), now: Timestamp) -> Result<Answer, RefreshError> {
        self.run_watched(fetch, now, |_, _| ())
    }

    /// As [`Job::run`], telling `watch` how each provider of the chain did, by name: the failures before a
    /// success too.
    ///
    /// # Errors
    ///
    /// [`RefreshError`] with what every provider had to say.
    pub fn run_watched(
        &self,
        fetch: &(impl Fetch + ?Sized),
        now: Timestamp,
        mut watch: impl FnMut(&str, Result<&Forecast, &AttemptError>),
    ) -> Result<Answer, RefreshError> {
        let mut attempts = Vec::new();
        for link in self.chain.links() {
            let name = link.adapter().name();
            match self.attempt(link, fetch, now) {
                Ok(answer) => {
                    watch(name, Ok(&answer.forecast));
                    return Ok(answer);
                }
                Err(problem) => {
                    watch(name, Err(&problem));
                    attempts.push(Attempt { provider: name.to_owned(), problem });
                }
            }
        }
        Err(RefreshError { target: self.target.clone(), attempts })
    }

    fn attempt(
        &self,
        link: &Link,
        fetch: &(impl Fetch + ?Sized),
        now: Timestamp,
    ) -> Result<Answer, AttemptError> {
        match link.adapter().plan(&self.target, now)? {
            Plan::Known(forecast) => Ok(forecast.into()),
            Plan::Ask(request) => {
                let body = self.ask(link, request, fetch, now)?;
                Ok(link.adapter().parse(&self.target, &body, now)?)
            }
        }
    }

    /// The answer's body. Where a token is wanted: with the one at hand, and where that is refused, once more
    /// with a new one.
    fn ask(
        &self,
        link: &Link,
        request: Request,
        fetch: &(impl Fetch + ?Sized),
        now: Timestamp,
    ) -> Result<Vec<u8>, AttemptError> {
        let Some(login) = link.adapter().login() else {
            return Ok(fetch.fetch(&request, self.patience())?);
        };
        if let Some(token) = link.token(now) {
            match fetch.fetch(&login.admitted(request.clone(), &token), self.patience()) {
                Err(FetchError::Status { status: 401 | 403, .. }) => link.forget(&token),
                other => return Ok(other?),
            }
        }
        // Another job may have logged in while this one was refused.
        let token = match link.token(now) {
            Some(token) => token,
            None => {
                let failed =
                    |problem| AttemptError::Login { provider: link.adapter().name().into(), problem };
                let body = fetch.fetch(&login.request(), self.patience()).map_err(failed)?;
                let token = login.token(&body, now)?;
                link.keep(&token);
                token
            }
        };
        Ok(fetch.fetch(&login.admitted(request, &token), self.patience())?)
    }

    fn patience(&self) -> Duration {
        self.timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT).unsigned_abs()
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
    /// The job itself was lost: for whoever runs jobs on threads that can die.
    #[error("the refresh was lost: {0}")]
    Lost(String),
}

impl RefreshError {
    /// No provider has such a target: asking again soon cannot help.
    pub fn is_not_understood(&self) -> bool {
        self.attempts.iter().all(|attempt| matches!(attempt.problem, AttemptError::NotUnderstood(_)))
    }

    /// The longest wait that a provider of the chain asked for.
    pub fn retry_after(&self) -> Option<SignedDuration> {
        let asked = |attempt: &Attempt| match attempt.problem {
            AttemptError::Fetch(FetchError::Status { retry_after, .. })
            | AttemptError::Login { problem: FetchError::Status { retry_after, .. }, .. } => retry_after,
            _ => None,
        };
        self.attempts.iter().filter_map(asked).max()
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
