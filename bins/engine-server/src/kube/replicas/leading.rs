//! Whether this replica may write, as its own watch has it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Leadership is held up to an instant that each renewal moves on; nobody is asked about it.
#[derive(Debug)]
pub(crate) struct Leading {
    begun: Instant,
    /// Milliseconds since then.
    until: AtomicU64,
    /// It will not be had again in this process.
    lost: AtomicBool,
}

impl Default for Leading {
    fn default() -> Self {
        Self { begun: Instant::now(), until: 0.into(), lost: false.into() }
    }
}

impl Leading {
    /// The lease was renewed by a request that began at `asked`: it holds from then on.
    pub(super) fn renew(&self, asked: Instant, lasts: Duration) {
        let until = (asked + lasts).saturating_duration_since(self.begun).as_millis();
        self.until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// It was given back.
    pub(super) fn give_back(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Somebody else leads.
    pub(super) fn lose(&self, why: &str) {
        if !self.lost.swap(true, Ordering::AcqRel) {
            tracing::warn!(target: "engine_server::kube", why, "this replica leads no more");
        }
        self.give_back();
    }

    /// Whether this replica may write now.
    pub(crate) fn is_held(&self) -> bool {
        let until = Duration::from_millis(self.until.load(Ordering::Acquire));
        Instant::now().saturating_duration_since(self.begun) < until
    }

    /// Whether somebody else has led since this one did.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_from_when_it_was_asked_for_until_its_time_is_over() {
        let leading = Leading::default();
        assert!(!leading.is_held());
        let now = Instant::now();
        leading.renew(now, Duration::from_mins(1));
        assert!(leading.is_held());
        // An answer that took longer than the lease lasts is worth nothing.
        leading.renew(now, Duration::ZERO);
        assert!(!leading.is_held());
        leading.renew(now, Duration::from_mins(1));
        leading.give_back();
        assert!(!leading.is_held() && !leading.is_lost());
        leading.renew(now, Duration::from_mins(1));
        leading.lose("a test");
        assert!(!leading.is_held() && leading.is_lost());
    }
}
