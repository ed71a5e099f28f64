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
    /// Whoever asks for one stretch after the other asks [`Self::ahead`].
    pub fn expect(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> f64 {
        self.ahead(now).expect(from, to)
    }

    /// The look ahead from `now`.
    pub fn ahead(&self, now: Timestamp) -> DemandAhead<'_> {
        let now = second(now);
        let ahead = |state| Ahead { state, now, fading: Fading::new(0.0) };
        DemandAhead(self.state.as_deref().map(ahead))
    }

    /// Requests per second expected at `now`, >= 0; `None` before the first report.
    pub fn rate(&self, now: Timestamp) -> Option<f64> {
        let mut ahead = self.ahead(now).0?;
        Some(ahead.rate(slot(ahead.now), 0.0))
    }

    /// Whether there was a report.
    pub fn is_known(&self) -> bool {
        self.state.is_some()
    }
}

/// Demand as seen from one instant. Cheapest where it is asked for one stretch after the other, each as long
/// as the one before: what is left of a level then falls by the same factor each time.
#[derive(Debug, Clone)]
pub struct DemandAhead<'a>(Option<Ahead<'a>>);

#[derive(Debug, Clone)]
struct Ahead<'a> {
    state: &'a State,
    now: f64,
    fading: Fading,
}

impl DemandAhead<'_> {
    /// [`DemandLearner::expect`] as seen from here; the same but for rounding.
    pub fn expect(&mut self, from: Timestamp, to: Timestamp) -> f64 {
        let Some(ahead) = &mut self.0 else { return 0.0 };
        let from = second(from);
        let mut requests = 0.0;
        for_slots(from, second(to).min(from + MAX_SPAN), |index, from, to| {
            let lead = (f64::midpoint(from, to) - ahead.now).max(0.0);
            requests += ahead.rate(index, lead) * (to - from);
        });
        requests
    }
}

impl Ahead<'_> {
    /// Requests per second in a slot `lead` seconds ahead.
    fn rate(&mut self, index: i64, lead: f64) -> f64 {
        let State { weekly, fast, slow, until } = self.state;
        if !weekly.is_known() {
            return weekly.so_far();
        }
        if weekly.knows(index) && !weekly.knows_a_day() {
            // On the first day the levels compare with the mean so far: right for times of day that are
            // not known, wrong for those that are.
            return weekly.usual(index);
        }
        self.fading.go_to(lead + (self.now - until).max(0.0));
        let (soon, later) = (self.fading.fast, self.fading.slow * (1.0 - self.fading.fast));
        fast.applied(slow.applied(weekly.usual(index), later), soon)
    }
}

/// What is left of the levels at some age.
#[derive(Debug, Clone)]
struct Fading {
    age: f64,
    fast: f64,
    slow: f64,
    /// The newest step from age to age, and what it left: most steps are as long as the one before, and a
    /// product is cheaper than an exponential.
    step: f64,
    left: [f64; 2],
}

impl Fading {
    fn new(age: f64) -> Self {
        let [fast, slow] = left_after(age);
        Self { age, fast, slow, step: 0.0, left: [1.0; 2] }
    }

    fn go_to(&mut self, age: f64) {
        let step = age - self.age;
        if step < 0.0 {
            // What has faded away altogether does not come back by a factor.
            *self = Self::new(age);
            return;
        }
        if step != self.step {
            (self.step, self.left) = (step, left_after(step));
        }
        self.age = age;
        self.fast *= self.left[0];
        self.slow *= self.left[1];
    }
}

/// What `seconds` leave of the fast level and of the slow one.
fn left_after(seconds: f64) -> [f64; 2] {
    [libm::exp(-seconds / FAST_REACH), libm::exp(-seconds / SLOW_REACH)]
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
}

/// Cuts `[from, to)` at the slots' ends.
fn for_slots(from: f64, to: f64, mut each: impl FnMut(i64, f64, f64)) {
    let (mut at, mut index) = (from, slot(from));
    while at < to {
        let end = ((index + 1) as f64 * SLOT).min(to);
        each(index, at, end);
        (at, index) = (end, index + 1);
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
