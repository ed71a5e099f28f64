//! The demand to come: what is usual at that time of the week, times how things are going.

use models::{Timestamp, ranges};
use serde::{Deserialize, Serialize};

use super::level::Level;
use super::weekly::{SLOT, Weekly, slot};

/// A report counts half after this long, in seconds: in the level of now ..
const FAST_HALF_LIFE: f64 = 900.0;
/// .. and in that of today.
const SLOW_HALF_LIFE: f64 = 12.0 * 3_600.0;
/// Lead at which a level has faded by e, in seconds: a surge is over after hours, ..
const FAST_REACH: f64 = 4.0 * 3_600.0;
/// .. a busy day may begin a busy week.
const SLOW_REACH: f64 = 72.0 * 3_600.0;
/// A pause between reports of up to this long is time without requests, in seconds: idle routers report
/// nothing. Of a longer one nothing is known.
const PAUSE: f64 = 300.0;
/// Shortest report window, in seconds: a shorter one is taken as this.
const MIN_WINDOW: f64 = 1e-3;
/// Farthest that is looked ahead, in seconds: a year.
const MAX_SPAN: f64 = 366.0 * 86_400.0;

/// What one schedule's demand has been, and what may be expected of it.
///
/// What is usual is kept by half-hour of the week (UTC), helped by the half-hour of the day until a week
/// or so is known. It is multiplied with two ratios of what came to what was usual, one of the last
/// quarter of an hour and one of the last half a day, which fade with the lead.
///
/// It takes next to no memory when new and 3 kB once it has seen a day. Serialises to its state and back,
/// bit for bit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DemandLearner {
    state: Option<Box<State>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
struct State {
    /// End of the latest window, in seconds since 1970: the levels are as of here.
    #[serde(with = "super::packed::one")]
    until: f64,
    weekly: Weekly,
    fast: Level,
    slow: Level,
}

impl DemandLearner {
    /// Takes a report: `requests` were served in the `seconds` before `window_end`.
    ///
    /// Windows may have any length up to a day and overlap: those of several routers that cover the same
    /// time add up. One that comes late still counts, for what is usual up to half an hour late. A report
    /// that cannot be one (a window that is not in (0, 86 400] s, a count that is negative, either not
    /// finite) is left out. `window_end` must not lie ahead of the present, or what comes after it is taken
    /// for old.
    pub fn observe(&mut self, window_end: Timestamp, seconds: f64, requests: f64) {
        if !ranges::FEEDBACK_WINDOW.contains(seconds) || !ranges::REQUESTS.contains(requests) {
            return;
        }
        let seconds = seconds.max(MIN_WINDOW);
        let end = second(window_end);
        let begin = end - seconds;
        let state = self.state.get_or_insert_with(|| {
            let (fast, slow) = (Level::new(FAST_HALF_LIFE), Level::new(SLOW_HALF_LIFE));
            Box::new(State { until: begin, weekly: Weekly::starting(slot(begin)), fast, slow })
        });
        for_slots(begin, end, |_, from, to| state.observe(from, to, requests * (to - from) / seconds));
        state.fast.settle();
        state.slow.settle();
    }

    /// Requests expected in `[from, to)`, >= 0, as seen from `now`; what lies more than a year after
    /// `from` is not counted.
    ///
    /// In the first half-hour that is the mean so far. 0 before the first report: see [`Self::is_known`].
    pub fn expect(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> f64 {
        let Some(state) = &self.state else { return 0.0 };
        let (from, now) = (second(from), second(now));
        let mut requests = 0.0;
        for_slots(from, second(to).min(from + MAX_SPAN), |index, from, to| {
            let lead = (f64::midpoint(from, to) - now).max(0.0);
            requests += state.rate(index, lead, now) * (to - from);
        });
        requests
    }

    /// Requests per second expected at `now`, >= 0; `None` before the first report.
    pub fn rate(&self, now: Timestamp) -> Option<f64> {
        let now = second(now);
        self.state.as_ref().map(|state| state.rate(slot(now), 0.0, now))
    }

    /// Whether there was a report.
    pub fn is_known(&self) -> bool {
        self.state.is_some()
    }
}

impl State {
    /// Takes a piece of a window that lies in one slot.
    fn observe(&mut self, from: f64, to: f64, requests: f64) {
        if to > self.until {
            let known = if from - self.until <= PAUSE { self.until } else { from };
            let knew_a_day = self.weekly.knows_a_day();
            self.weekly.advance(slot(from));
            if self.weekly.knows_a_day() && !knew_a_day {
                // Only now is anything usual at each time of day: what it was compared with before says
                // nothing.
                self.fast = Level::new(FAST_HALF_LIFE);
                self.slow = Level::new(SLOW_HALF_LIFE);
            }
            for level in [&mut self.fast, &mut self.slow] {
                level.fade(to - self.until);
            }
            self.cover(known, to);
            self.until = to;
        }
        if self.weekly.is_known() {
            self.fast.add_requests(requests, self.until - to, to - from);
        }
        if self.weekly.knows_a_day() {
            self.slow.add_requests(requests, self.until - to, to - from);
        }
        self.weekly.add_requests(slot(from), requests);
    }

    /// Counts `[from, to)` as seen.
    fn cover(&mut self, from: f64, to: f64) {
        for_slots(from, to, |index, from, end| {
            self.weekly.add_seconds(index, end - from);
            let usual = self.weekly.usual(index) * (end - from);
            if self.weekly.is_known() {
                self.fast.add_usual(usual, to - end, end - from);
            }
            if self.weekly.knows_a_day() {
                self.slow.add_usual(usual, to - end, end - from);
            }
        });
    }

    /// Requests per second in a slot `lead` seconds ahead of `now`.
    fn rate(&self, index: i64, lead: f64, now: f64) -> f64 {
        if !self.weekly.is_known() {
            return self.weekly.so_far();
        }
        if self.weekly.knows(index) && !self.weekly.knows_a_day() {
            // On the first day the levels compare with the mean so far: right for times of day that are
            // not known, wrong for those that are.
            return self.weekly.usual(index);
        }
        let age = lead + (now - self.until).max(0.0);
        let fast = libm::exp(-age / FAST_REACH);
        let slow = libm::exp(-age / SLOW_REACH) * (1.0 - fast);
        self.fast.applied(self.slow.applied(self.weekly.usual(index), slow), fast)
    }
}

/// Cuts `[from, to)` at the slots' ends.
fn for_slots(from: f64, to: f64, mut each: impl FnMut(i64, f64, f64)) {
    let mut at = from;
    while at < to {
        let index = slot(at);
        let end = ((index + 1) as f64 * SLOT).min(to);
        each(index, at, end);
        at = end;
    }
}

/// Seconds since 1970.
fn second(at: Timestamp) -> f64 {
    at.as_second() as f64 + f64::from(at.subsec_nanosecond()) * 1e-9
}

/// The state as it was written down.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unchecked {
    #[serde(with = "super::packed::one")]
    until: f64,
    weekly: Weekly,
    fast: Level,
    slow: Level,
}

/// A stored learner that none can be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the state of a demand learner: expected finite numbers >= 0, 48 half-hours of the day and 336 of the week"
)]
struct BadState;

impl TryFrom<Unchecked> for State {
    type Error = BadState;

    fn try_from(stored: Unchecked) -> Result<Self, BadState> {
        let Unchecked { until, weekly, mut fast, mut slow } = stored;
        fast.set_half_life(FAST_HALF_LIFE);
        slow.set_half_life(SLOW_HALF_LIFE);
        let sound = until.abs() <= 1e12 && weekly.is_sound() && fast.is_sound() && slow.is_sound();
        if sound { Ok(Self { until, weekly, fast, slow }) } else { Err(BadState) }
    }
}
