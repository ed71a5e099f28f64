//! What the process is at: whether it may be asked, and whether the loop that evaluates still turns.
//!
//! Everything here is an atomic, so that a probe waits for nobody: least of all for what it asks about.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use models::Timestamp;

/// A loop that has not turned for so long hangs: it never waits longer than a second, and works for less.
const HANGS_AFTER: Duration = Duration::from_secs(30);
/// Evaluations that wait for so long come near the end of what is published: by default that is 12 s away when
/// they are due.
const LATE_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// No evaluation is due.
const NONE_DUE: i64 = i64::MAX;

/// Where the process stands. Its clock is told by whoever looks.
#[derive(Debug)]
pub(crate) struct Life {
    begun: Instant,
    restored: AtomicBool,
    serving: AtomicBool,
    stopping: AtomicBool,
    /// Whether the cluster, where there is one, tells what it has.
    cluster_read: AtomicBool,
    /// When the loop turned last, in milliseconds since the begin.
    turned: AtomicU64,
    /// When the next evaluation was due by then, in UNIX milliseconds.
    next_due: AtomicI64,
}

/// Whether requests are to be sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// They are, and this is wrong.
    Degraded(&'static str),
    /// They are not, for this reason.
    Unready(&'static str),
}

impl Life {
    /// A process that began just now; `restored` where there is nothing to be read first.
    pub(crate) fn new(restored: bool) -> Self {
        Self {
            begun: Instant::now(),
            restored: restored.into(),
            serving: false.into(),
            stopping: false.into(),
            cluster_read: true.into(),
            turned: 0.into(),
            next_due: NONE_DUE.into(),
        }
    }

    /// What there was is back: before that nobody can say what there is.
    pub(crate) fn set_restored(&self) {
        self.restored.store(true, Ordering::Release);
    }

    pub(crate) fn is_restored(&self) -> bool {
        self.restored.load(Ordering::Acquire)
    }

    /// The first evaluations are out, and the loop begins at `now`.
    pub(crate) fn set_serving(&self, now: Instant) {
        self.turned(now, None);
        self.serving.store(true, Ordering::Release);
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// A stop was asked for.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The cluster told something, or cannot be asked.
    pub(crate) fn set_cluster_read(&self, is_read: bool) {
        self.cluster_read.store(is_read, Ordering::Release);
    }

    /// The loop turned, and the next evaluation is due then.
    pub(crate) fn turned(&self, now: Instant, next_due: Option<Timestamp>) {
        let since = u64::try_from(now.duration_since(self.begun).as_millis()).unwrap_or(u64::MAX);
        self.turned.store(since, Ordering::Release);
        self.next_due.store(next_due.map_or(NONE_DUE, Timestamp::as_millisecond), Ordering::Release);
    }

    /// How long ago the loop turned last.
    pub(crate) fn idle(&self, now: Instant) -> Duration {
        let turned = Duration::from_millis(self.turned.load(Ordering::Acquire));
        now.duration_since(self.begun).saturating_sub(turned)
    }

    /// How long the evaluation that waits longest has been due.
    pub(crate) fn overdue(&self, wall: Timestamp) -> SignedDuration {
        let due = self.next_due.load(Ordering::Acquire);
        SignedDuration::from_millis(wall.as_millisecond().saturating_sub(due)).max(SignedDuration::ZERO)
    }

    /// Whether the loop turns, or need not yet.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        !self.is_serving() || self.idle(now) < HANGS_AFTER
    }

    /// Whether requests are to be sent here, `is_well` being whether the disk takes what is to be kept.
    pub(crate) fn readiness(&self, is_well: bool, now: Instant, wall: Timestamp) -> Readiness {
        if self.is_stopping() {
            Readiness::Unready("the process is stopping")
        } else if !self.is_serving() {
            Readiness::Unready("the state is being restored, and what follows from it evaluated")
        } else if !self.is_alive(now) {
            Readiness::Unready("the loop that evaluates does not turn any more")
        } else if self.overdue(wall) >= LATE_AFTER {
            // Readers that are sent away have nothing; here they have the newest there is.
            Readiness::Degraded("evaluations are late: schedules may expire before they are renewed")
        } else if !is_well {
            // A disk that fails takes nobody's schedules away: to be sent elsewhere would.
            Readiness::Degraded("the state cannot be written: changes are refused, schedules are still made")
        } else if !self.cluster_read.load(Ordering::Acquire) {
            Readiness::Degraded("the cluster cannot be read: schedules are made as it was last known")
        } else {
            Readiness::Ready
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn kind(readiness: Readiness) -> &'static str {
        match readiness {
            Readiness::Ready => "ready",
            Readiness::Degraded(_) => "degraded",
            Readiness::Unready(_) => "unready",
        }
    }

    #[test]
    fn nobody_is_ready_before_the_first_evaluations_nor_after_a_stop_was_asked_for() {
        let life = Life::new(false);
        let now = life.begun;
        let detail = |life: &Life| match life.readiness(true, now, wall(0)) {
            Readiness::Unready(detail) => detail,
            other => panic!("{other:?}"),
        };
        assert!(detail(&life).contains("restored") && life.is_alive(now + 3_600 * SECOND));
        life.set_restored();
        assert!(detail(&life).contains("evaluated"));
        life.set_serving(now);
        assert_eq!(life.readiness(true, now, wall(0)), Readiness::Ready);
        life.set_stopping();
        assert_eq!(detail(&life), "the process is stopping");
        assert!(life.is_alive(now), "a stop is no reason to be killed");
    }

    #[test]
    fn a_loop_that_hangs_is_neither_ready_nor_alive_until_it_turns_again() {
        let life = Life::new(true);
        let now = life.begun;
        life.set_serving(now);
        for (seconds, alive) in [(0, true), (29, true), (30, false), (3_600, false)] {
            let later = now + seconds * SECOND;
            assert_eq!(life.is_alive(later), alive, "{seconds}");
            let expected = if alive { "ready" } else { "unready" };
            assert_eq!(kind(life.readiness(true, later, wall(0))), expected, "{seconds}");
        }
        life.turned(now + 3_600 * SECOND, None);
        assert!(life.is_alive(now + 3_601 * SECOND));
        assert_eq!(life.idle(now + 3_601 * SECOND), SECOND);
    }

    #[test]
    fn evaluations_that_are_late_degrade_and_so_does_a_disk_that_fails() {
        let life = Life::new(true);
        let now = life.begun;
        life.set_serving(now);
        life.turned(now, Some(wall(10)));
        for (at, overdue, is_well, expected) in [
            (0, 0, true, "ready"),
            (10, 0, true, "ready"),
            (14, 4, true, "ready"),
            (15, 5, true, "degraded"),
            (3_600, 3_590, true, "degraded"),
            (0, 0, false, "degraded"),
        ] {
            assert_eq!(life.overdue(wall(at)), SignedDuration::from_secs(overdue));
            assert_eq!(kind(life.readiness(is_well, now, wall(at))), expected, "{at}");
        }
        life.turned(now, None);
        assert_eq!(life.overdue(wall(3_600)), SignedDuration::ZERO);
        assert_eq!(life.readiness(true, now, wall(3_600)), Readiness::Ready);
    }
}
