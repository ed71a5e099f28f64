//! How long providers take to answer.

use std::cell::Cell;
use std::time::{Duration, Instant};

use providers::{Fetch, FetchError, Request};

/// Asks by way of another one, and adds up the time that takes.
pub(super) struct Stopwatch<'f, F> {
    fetch: &'f F,
    spent: Cell<Option<Duration>>,
}

impl<'f, F> Stopwatch<'f, F> {
    pub(super) fn new(fetch: &'f F) -> Self {
        Self { fetch, spent: Cell::new(None) }
    }

    /// The time since it was last looked at that went into requests; none where there was no request.
    pub(super) fn lap(&self) -> Option<Duration> {
        self.spent.take()
    }
}

impl<F: Fetch> Fetch for Stopwatch<'_, F> {
    fn fetch(&self, request: &Request, timeout: Duration) -> Result<Vec<u8>, FetchError> {
        let started = Instant::now();
        let body = self.fetch.fetch(request, timeout);
        self.spent.set(Some(self.spent.get().unwrap_or_default() + started.elapsed()));
        body
    }
}
