//! The port: what every upstream format has to offer.

use core::fmt;
use std::borrow::Cow;

use models::{CarbonTarget, Forecast, Signal, Slot, Timestamp};

use crate::login::Login;

/// One upstream format. Pure: it says what to ask and reads what came back; asking is somebody else's.
pub trait Adapter: Send + Sync + fmt::Debug {
    /// The provider's name, as published in `forecast.source`.
    fn name(&self) -> &str;

    /// What to do for `target` at `now`.
    ///
    /// # Errors
    ///
    /// [`NotUnderstood`] if this provider has no such target.
    fn plan(&self, target: &CarbonTarget, now: Timestamp) -> Result<Plan, NotUnderstood>;

    /// Reads the answer to the request that [`Adapter::plan`] made for `target`; `now` is the receipt.
    ///
    /// # Errors
    ///
    /// [`BadAnswer`], naming what was wrong.
    fn parse(&self, target: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Answer, BadAnswer>;

    /// What all its forecasts are of. A chain never mixes signals.
    fn signal(&self) -> Signal {
        Signal::Average
    }

    /// Whether it knows one grid only: one answer serves every target that it has, until it is too old.
    fn knows_one_grid(&self) -> bool {
        false
    }

    /// How to log in, where its requests need a token.
    fn login(&self) -> Option<&dyn Login> {
        None
    }
}

/// What an answer holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What is to be expected.
    pub forecast: Forecast,
    /// What was measured of slots that are over; estimates are none.
    pub actuals: Vec<Slot>,
}

impl From<Forecast> for Answer {
    fn from(forecast: Forecast) -> Self {
        Self { forecast, actuals: Vec::new() }
    }
}

/// How to come by a forecast.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Ask upstream.
    Ask(Request),
    /// Nothing to ask: it is known already.
    Known(Forecast),
}

/// A GET to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Absolute URL, http or https. Without keys: it is shown in messages.
    pub url: String,
    /// Header fields, name and value.
    pub headers: Vec<(Cow<'static, str>, String)>,
}

impl Request {
    /// Asks `url` for JSON.
    pub fn json(url: String) -> Self {
        Self { url, headers: vec![("Accept".into(), "application/json".to_owned())] }
    }

    /// The same request, with one more header field.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl Request {
    /// The URL without user information, query and fragment, which may hold keys.
    pub(crate) fn shown_url(&self) -> String {
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        let url = self.url.get(..end).unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let separator = if scheme.is_empty() { "" } else { "://" };
        format!("{scheme}{separator}{host}{path}")
    }
}

/// The one header field that says nothing about who asks.
pub(crate) const HARMLESS: &str = "accept";
/// A shorter value of a header field is no key; taking it out would only maim the text.
pub(crate) const SHORTEST_KEY: usize = 6;

impl Request {
    /// What only the asked should know: the values of all header fields but `Accept`. Of `Bearer TOKEN` the
    /// token too, which may be echoed without the word before it.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let fields = self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(HARMLESS));
        let values =
            fields.flat_map(|(_, value)| [value.trim(), value.split_whitespace().last().unwrap_or("")]);
        values.filter(|value| value.len() >= SHORTEST_KEY)
    }

    /// Whether it holds a password in a coded form, which could not be found in an echo.
    pub(crate) fn has_password(&self) -> bool {
        let basic =
            |value: &str| value.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("basic "));
        self.url.contains('@') || self.headers.iter().any(|(_, value)| basic(value))
    }

    /// An answer without the secrets of the request, in case they were echoed.
    pub(crate) fn redacted(&self, body: Vec<u8>) -> Vec<u8> {
        let echoes = |secret: &&str| body.windows(secret.len()).any(|window| window == secret.as_bytes());
        let echoed: Vec<&str> = self.secrets().filter(echoes).collect();
        if echoed.is_empty() {
            return body;
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        echoed.into_iter().fold(text, |text, secret| text.replace(secret, "***")).into_bytes()
    }
}

impl fmt::Debug for Request {
    /// Header fields by name only: their values may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request").field("url", &self.url).field("headers", &names).finish()
    }
}

/// A target this provider does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("carbonTarget `{target}` is not one of {provider}: expected {expected}")]
pub struct NotUnderstood {
    /// The target as configured.
    pub target: String,
    /// Which provider was asked.
    pub provider: String,
    /// What would be right.
    pub expected: Cow<'static, str>,
}

/// An answer that gives no forecast.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The body is not the format's JSON.
    #[error("the body is not the JSON of {provider}: {problem}")]
    NotTheFormat {
        /// Which provider was asked.
        provider: String,
        /// What was found, and where.
        problem: String,
    },
    /// The provider answered with an error of its own.
    #[error("{provider} answered an error: {message}")]
    Refused {
        /// Which provider was asked.
        provider: String,
        /// Its words.
        message: String,
    },
    /// The format was right but no slot had a value.
    #[error("{provider} answered no slot with an intensity")]
    Empty {
        /// Which provider was asked.
        provider: String,
    },
    /// Every slot is over: the provider stands still, or its clock does.
    #[error(
        "{provider} answered slots that are all over: the last one ended at {ended}, expected one that covers now"
    )]
    Over {
        /// Which provider was asked.
        provider: String,
        /// When the last slot ended.
        ended: Timestamp,
    },
}
