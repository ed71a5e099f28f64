//! The port: what every upstream format has to offer.

use core::fmt;

use models::{CarbonTarget, Forecast, Timestamp};

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
    fn parse(&self, target: &CarbonTarget, body: &[u8], now: Timestamp) -> Result<Forecast, BadAnswer>;
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
    /// Absolute URL, http or https.
    pub url: String,
    /// Header fields, name and value.
    pub headers: Vec<(&'static str, String)>,
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
    pub expected: &'static str,
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
}
