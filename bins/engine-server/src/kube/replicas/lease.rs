//! Who leads: what is to be done about the lease, by what was seen of it.
//!
//! As client-go has it: nobody's clock is believed. A lease is over once it has not changed for as long as it lasts,
//! by the watch of whoever looks; so clocks that differ change nothing, and only that they go at about the same speed
//! is asked.

use std::time::{Duration, Instant};

/// How a lease is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// How long it lasts without being renewed.
    pub(super) lasts: Duration,
    /// How often it is renewed, and looked at by those who wait.
    pub(super) retry: Duration,
}

impl Terms {
    /// Those of a lease that lasts so many seconds: it can be renewed seven times in that time.
    pub(super) fn lasting(seconds: u32) -> Self {
        let lasts = Duration::from_secs(seconds.into());
        Self { lasts, retry: lasts * 2 / 15 }
    }
}

/// A lease, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Who has it; nobody, where it was given back.
    pub(super) holder: Option<String>,
    /// Changes with every write.
    pub(super) version: String,
    /// How long it lasts, in the words of who has it.
    pub(super) lasts: Duration,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is none: make one.
    Create,
    /// Take it: nobody has it, or it is over.
    Take,
    /// It is ours: renew it.
    Renew,
    /// Somebody else's, for so long at least.
    Wait(Duration),
}

/// What one replica knows of the lease.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The newest state, and when that was new.
    seen: Option<(Seen, Instant)>,
}

impl Watch {
    /// Takes note of the lease as it is at `now`; `None`: there is none.
    pub(super) fn see(&mut self, lease: Option<Seen>, now: Instant) {
        let Some(lease) = lease else {
            self.seen = None;
            return;
        };
        if self.seen.as_ref().is_none_or(|(before, _)| before.version != lease.version) {
            self.seen = Some((lease, now));
        }
    }

    /// What `me` is to do at `now`.
    pub(super) fn step(&self, me: &str, now: Instant) -> Step {
        match &self.seen {
            None => Step::Create,
            Some((Seen { holder: None, .. }, _)) => Step::Take,
            Some((Seen { holder: Some(holder), .. }, _)) if holder == me => Step::Renew,
            Some((seen, since)) => {
                let left = seen.lasts.saturating_sub(now.saturating_duration_since(*since));
                if left.is_zero() { Step::Take } else { Step::Wait(left) }
            }
        }
    }

    /// Who has it, as far as is known.
    pub(super) fn holder(&self) -> Option<&str> {
        self.seen.as_ref().and_then(|(seen, _)| seen.holder.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    fn lease(holder: Option<&str>, version: &str) -> Seen {
        Seen { holder: holder.map(Into::into), version: version.into(), lasts: LASTS }
    }

    #[test]
    fn a_lease_that_is_renewed_is_waited_for_and_one_that_is_not_is_taken_after_its_time() {
        let begin = Instant::now();
        let mut watch = Watch::default();
        assert_eq!(watch.step("b", begin), Step::Create);
        watch.see(Some(lease(Some("a"), "1")), begin);
        assert_eq!(watch.step("b", begin), Step::Wait(LASTS));
        assert_eq!(watch.step("a", begin), Step::Renew);
        // Seen again, it is no younger.
        watch.see(Some(lease(Some("a"), "1")), begin + Duration::from_secs(10));
        assert_eq!(watch.step("b", begin + Duration::from_secs(10)), Step::Wait(Duration::from_secs(5)));
        watch.see(Some(lease(Some("a"), "2")), begin + Duration::from_secs(14));
        assert_eq!(watch.step("b", begin + Duration::from_secs(15)), Step::Wait(Duration::from_secs(14)));
        assert_eq!(watch.step("b", begin + Duration::from_secs(29)), Step::Take);
    }

    #[test]
    fn one_that_was_given_back_or_deleted_is_taken_at_once() {
        let begin = Instant::now();
        let mut watch = Watch::default();
        watch.see(Some(lease(Some("a"), "1")), begin);
        watch.see(Some(lease(None, "2")), begin);
        assert_eq!((watch.step("b", begin), watch.holder()), (Step::Take, None));
        watch.see(Some(lease(Some("c"), "3")), begin);
        assert_eq!(watch.holder(), Some("c"));
        watch.see(None, begin);
        assert_eq!(watch.step("b", begin), Step::Create);
    }

    #[test]
    fn it_can_be_renewed_several_times_before_it_is_over() {
        for seconds in [1, 15, 3_600] {
            let terms = Terms::lasting(seconds);
            assert!(terms.retry * 7 <= terms.lasts && !terms.retry.is_zero());
        }
    }
}
