//! The port: what every upstream format has to offer.

use core::fmt;
use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use models::{CarbonTarget, Forecast, Signal, Slot, Timestamp};

use crate::echo::{self, Extent};
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

    /// Whether there would be a [`Adapter::plan`]; cheap also where that is a whole forecast.
    ///
    /// # Errors
    ///
    /// As [`Adapter::plan`]'s.
    fn check(&self, target: &CarbonTarget, now: Timestamp) -> Result<(), NotUnderstood> {
        self.plan(target, now).map(|_: Plan| ())
    }

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
    /// Absolute URL, http or https. Shown in messages without user information and query.
    pub url: String,
    /// Header fields, name and value.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Whether the values in the URL's query are the operator's own, and may be keys.
    pub secret_query: bool,
}

impl Request {
    /// Asks `url` for JSON.
    pub fn json(url: String) -> Self {
        let headers = vec![("Accept".into(), "application/json".to_owned())];
        Self { url, headers, secret_query: false }
    }

    /// The same request; the values in its URL's query are the operator's own, and may be keys.
    #[must_use]
    pub fn with_secret_query(self) -> Self {
        Self { secret_query: true, ..self }
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

impl Request {
    /// What only the asked should know: the values of all header fields but `Accept`, the password in the URL,
    /// and the values of the query where it is [`with_secret_query`](Self::with_secret_query). Of
    /// `Bearer TOKEN` the token too, of a Basic login the password.
    fn secrets(&self) -> Vec<Vec<u8>> {
        let mut secrets = Vec::new();
        for (_, value) in self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(HARMLESS)) {
            let word = value.split_whitespace().last().unwrap_or_default();
            if is_basic(value) {
                push_login(&STANDARD.decode(word).unwrap_or_default(), &mut secrets);
            }
            secrets.extend([value.trim().into(), word.into()]);
        }
        let authority = self.url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next();
        if let Some((login, _)) = authority.unwrap_or_default().rsplit_once('@') {
            push_login(login.as_bytes(), &mut secrets);
        }
        if self.secret_query {
            secrets.extend(self.query_values());
        }
        secrets
    }

    fn query_values(&self) -> impl Iterator<Item = Vec<u8>> {
        let query = self.url.split_once('?').map_or("", |(_, query)| query).split(['&', ';', '#']);
        query.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value).into())
    }

    /// Whether it holds a password: what answers it may be in any form.
    pub(crate) fn has_password(&self) -> bool {
        self.url.contains('@') || self.headers.iter().any(|(_, value)| is_basic(value))
    }

    /// An answer without the secrets of the request, in case they were echoed.
    pub(crate) fn redacted(&self, body: Vec<u8>) -> Vec<u8> {
        echo::masked(body, &self.secrets(), Extent::Whole)
    }

    /// A text that is only shown, without any part of the secrets of the request or of its query, in case they
    /// were echoed. To be called before anything is cut off.
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "messages with an answer's words come by HTTP")
    )]
    pub(crate) fn shown(&self, text: Vec<u8>) -> Vec<u8> {
        let secrets: Vec<_> = self.secrets().into_iter().chain(self.query_values()).collect();
        echo::masked(text, &secrets, Extent::Part)
    }
}

fn is_basic(value: &str) -> bool {
    value.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("basic "))
}

/// `user:password` and the password; all of it where there is no colon.
fn push_login(login: &[u8], secrets: &mut Vec<Vec<u8>>) {
    let colon = login.iter().position(|byte| *byte == b':');
    secrets.extend(colon.and_then(|colon| login.get(colon + 1..)).map(<[u8]>::to_vec));
    secrets.push(login.to_vec());
}

impl fmt::Debug for Request {
    /// Header fields by name only, the URL without its query: what is left out may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("url", &self.shown_url())
            .field("headers", &names)
            .field("secret_query", &self.secret_query)
            .finish()
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
#[non_exhaustive]
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
