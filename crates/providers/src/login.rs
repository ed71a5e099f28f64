//! The part of the port for providers that want a token first: what to ask, how to read and use it.

use core::fmt;

use models::Timestamp;

use crate::adapter::{BadAnswer, Request};
use crate::secret::Secret;

/// How to come by a token, and what to do with it. Pure, as an adapter is: whoever runs the job keeps the
/// token and knows when a new one is needed.
pub trait Login: Send + Sync + fmt::Debug {
    /// The request that a token answers.
    fn request(&self) -> Request;

    /// Reads the token out of the answer; `now` is the receipt.
    ///
    /// # Errors
    ///
    /// [`BadAnswer`], which repeats nothing of the body: a token may be in it.
    fn token(&self, body: &[u8], now: Timestamp) -> Result<Token, BadAnswer>;

    /// The same request, with the token on it.
    fn admitted(&self, request: Request, token: &Token) -> Request;
}

/// What a login gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub secret: Secret,
    /// From when on it is not used any more: sooner than the provider forgets it.
    pub good_until: Timestamp,
}
