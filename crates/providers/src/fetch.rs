//! The port to the network: one request, one body, or why not.

use core::time::Duration;

use jiff::SignedDuration;

use crate::adapter::Request;

/// Somebody who can make a GET and wait for it. `http::Client` is one.
pub trait Fetch {
    /// The body of a 2xx answer. Where it echoes a secret of the request, that may be masked.
    ///
    /// `timeout` is for the whole of it: resolving, connecting, redirects, the last byte of the body.
    ///
    /// # Errors
    ///
    /// [`FetchError`], without a word of what the request's header fields held.
    fn fetch(&self, request: &Request, timeout: Duration) -> Result<Vec<u8>, FetchError>;
}

/// A request that brought no body. The URLs in it carry neither user information nor query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// An answer, but not a 2xx one.
    #[error("{url} answered {status}: `{excerpt}`")]
    Status {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// How long to wait before asking again, as the answer's `Retry-After` has it.
        retry_after: Option<SignedDuration>,
        /// The beginning of the body.
        excerpt: String,
    },
    /// The time was up.
    #[error("{url} had not answered in full within {} s", timeout.as_secs_f64())]
    TimedOut {
        /// What was asked.
        url: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// A body beyond the limit.
    #[error("{url} answered more than {limit} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
        /// Most bytes that are read.
        limit: u64,
    },
    /// The connection failed, or broke off before the body's end.
    #[error("{url} could not be read: {problem}")]
    Connection {
        /// What was asked.
        url: String,
        /// What happened.
        problem: String,
    },
    /// Nothing was sent: the URL or a header field is not one.
    #[error("{url} cannot be asked for: {problem}")]
    BadRequest {
        /// What was to be asked.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}
