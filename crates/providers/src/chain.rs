//! Whom to ask, in order, and what was got from each that has to be kept between jobs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use models::Timestamp;

use crate::adapter::Adapter;
use crate::login::Token;

/// The providers to be asked, in order. Cheap to clone; clones share the tokens.
#[derive(Debug, Clone, Default)]
pub struct Chain(Arc<[Link]>);

/// One provider of a chain.
#[derive(Debug)]
pub struct Link {
    adapter: Arc<dyn Adapter>,
    token: Mutex<Option<Token>>,
}

impl Chain {
    /// The providers of `adapters`, the first one first.
    pub fn new(adapters: Vec<Arc<dyn Adapter>>) -> Self {
        Self(adapters.into_iter().map(|adapter| Link { adapter, token: Mutex::default() }).collect())
    }

    /// Every provider, in order.
    pub fn links(&self) -> &[Link] {
        &self.0
    }
}

impl Link {
    /// The provider.
    pub fn adapter(&self) -> &dyn Adapter {
        self.adapter.as_ref()
    }

    /// The token of an earlier login that is still good.
    pub(crate) fn token(&self, now: Timestamp) -> Option<Token> {
        self.kept().clone().filter(|token| now < token.good_until)
    }

    /// Keeps the token of a login for the jobs to come.
    pub(crate) fn keep(&self, token: &Token) {
        *self.kept() = Some(token.clone());
    }

    /// Forgets a token that was refused, unless another job has got a newer one meanwhile.
    pub(crate) fn forget(&self, refused: &Token) {
        let mut kept = self.kept();
        if kept.as_ref() == Some(refused) {
            *kept = None;
        }
    }

    // A token is replaced as a whole: the lock's poison says nothing.
    fn kept(&self) -> MutexGuard<'_, Option<Token>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
