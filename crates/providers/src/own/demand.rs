//! The demand to come: what is usual at that time of the week, times how things are going.

use models::{Timestamp, ranges};

/// Length of a slot of the profile, in seconds.
const SLOT: f64 = 1_800.0;
/// Slots of a day and of a week.
const DAY: usize = 48;
const WEEK: usize = 7 * DAY;
/// Weight of a new day in the daily profile once a week was seen, and of a new week in the weekly one once
/// several were.
const NEW_DAY: f64 = 1.0 / 7.0;
const NEW_WEEK: f64 = 0.3;
/// How many weeks the daily profile counts for beside the weekly one.
const DAY_IN_WEEKS: f64 = 0.3;
/// A report counts half after this long in the level of now, and in that of today; in seconds.
const FAST: f64 = 900.0;
const SLOW: f64 = 12.0 * 3_600.0;
/// A level is forgotten by e after this lead, in seconds.
const FAST_REACH: f64 = 4.0 * 3_600.0;
const SLOW_REACH: f64 = 72.0 * 3_600.0;
/// Requests as usual that every level is diluted with: few requests say little.
const DILUTION: f64 = 4.0;
/// A pause between reports up to this long is time without requests, in seconds; of a longer one nothing
/// is known.
const PAUSE: f64 = 300.0;

/// Demand of one schedule.
#[derive(Debug, Clone, Default)]
pub struct DemandLearner {
    state: Option<Box<State>>,
}

#[derive(Debug, Clone)]
struct State {
    until: f64,
    open: [Bucket; 2],
    day: Vec<Cell>,
    week: Vec<Cell>,
    level: Cell,
    fast: Level,
    slow: Level,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    index: i64,
    requests: f64,
    seconds: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    mean: f32,
    seen: f32,
}

impl Cell {
    fn learn(&mut self, value: f64, newest: f64) {
        let seen = (f64::from(self.seen) + 1.0).min(1.0 / newest);
        self.mean = (f64::from(self.mean) + (value - f64::from(self.mean)) / seen) as f32;
        self.seen = seen as f32;
    }
}

/// Requests and what was usual, both fading.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    requests: f64,
    usual: f64,
}

impl Level {
    fn fade(&mut self, factor: f64) {
        self.requests *= factor;
        self.usual *= factor;
    }

    fn applied(&self, rate: f64, power: f64, half_life: f64) -> f64 {
        let ratio = (self.requests + DILUTION) / (self.usual + DILUTION);
        let dilution = DILUTION * core::f64::consts::LN_2 / half_life;
        ((rate + dilution) * libm::exp(power * libm::log(ratio)) - dilution).max(0.0)
    }
}

impl DemandLearner {
    /// Takes a report: `requests` were served in the `seconds` before `window_end`.
    pub fn observe(&mut self, window_end: Timestamp, seconds: f64, requests: f64) {
        if !ranges::FEEDBACK_WINDOW.contains(seconds) || !ranges::REQUESTS.contains(requests) {
            return;
        }
        let end = instant(window_end);
        let begin = end - seconds;
        let state = self.state.get_or_insert_with(|| {
            let index = slot(begin);
            Box::new(State {
                until: begin,
                open: [Bucket { index, ..Bucket::default() }, Bucket { index: index - 1, ..Bucket::default() }],
                day: Vec::new(),
                week: Vec::new(),
                level: Cell::default(),
                fast: Level::default(),
                slow: Level::default(),
            })
        });
        state.observe(begin, end, requests);
    }

    /// Requests expected in `[from, to)`.
    pub fn expect(&self, from: Timestamp, to: Timestamp, now: Timestamp) -> f64 {
        let Some(state) = &self.state else { return 0.0 };
        let (from, to, now) = (instant(from), instant(to), instant(now));
        let mut requests = 0.0;
        let mut at = from;
        while at < to {
            let index = slot(at);
            let end = ((index + 1) as f64 * SLOT).min(to);
            let lead = ((at + end) / 2.0 - now).max(0.0);
            requests += state.rate(index, lead, now) * (end - at);
            if end <= at {
                break;
            }
            at = end;
        }
        requests
    }

    /// Requests per second expected now.
    pub fn rate(&self, now: Timestamp) -> Option<f64> {
        let state = self.state.as_ref()?;
        let now = instant(now);
        Some(state.rate(slot(now), 0.0, now))
    }

    /// Whether anything was seen.
    pub fn is_known(&self) -> bool {
        self.state.is_some()
    }
}

impl State {
    fn observe(&mut self, begin: f64, end: f64, requests: f64) {
        if end > self.until {
            let known = if begin - self.until <= PAUSE { self.until } else { begin };
            self.advance(slot(end - 1e-3));
            let fast = libm::exp2(-(end - self.until) / FAST);
            let slow = libm::exp2(-(end - self.until) / SLOW);
            self.fast.fade(fast);
            self.slow.fade(slow);
            self.cover(known, end);
            self.until = end;
        }
        if self.level.seen > 0.0 {
            let (age, length) = (self.until - end, end - begin);
            self.fast.requests += requests * mean_weight(age, length, FAST);
            self.slow.requests += requests * mean_weight(age, length, SLOW);
        }
        for bucket in &mut self.open {
            let low = bucket.index as f64 * SLOT;
            let overlap = end.min(low + SLOT) - begin.max(low);
            if overlap > 0.0 {
                bucket.requests += requests * overlap / (end - begin);
            }
        }
    }

    /// Counts `[from, to)` as seen.
    fn cover(&mut self, from: f64, to: f64) {
        for bucket in &mut self.open {
            let low = bucket.index as f64 * SLOT;
            bucket.seconds += (to.min(low + SLOT) - from.max(low)).max(0.0);
        }
        if self.level.seen > 0.0 {
            let mut at = from;
            while at < to {
                let index = slot(at);
                let end = ((index + 1) as f64 * SLOT).min(to);
                let usual = self.usual(index) * (end - at);
                self.fast.usual += usual * mean_weight(to - end, end - at, FAST);
                self.slow.usual += usual * mean_weight(to - end, end - at, SLOW);
                if end <= at {
                    break;
                }
                at = end;
            }
        }
    }

    /// Opens the slot `index`, and closes what is two before it.
    fn advance(&mut self, index: i64) {
        while self.open[0].index < index {
            let closed = self.open[1];
            self.close(closed);
            self.open[1] = self.open[0];
            let next = if index - self.open[0].index > 2 { index - 1 } else { self.open[0].index + 1 };
            self.open[0] = Bucket { index: next, ..Bucket::default() };
        }
    }

    fn close(&mut self, bucket: Bucket) {
        if bucket.seconds < SLOT / 4.0 {
            return;
        }
        let rate = bucket.requests / bucket.seconds;
        if self.day.is_empty() {
            self.day = vec![Cell::default(); DAY];
        }
        self.day[bucket.index.rem_euclid(DAY as i64) as usize].learn(rate, NEW_DAY);
        if self.week.is_empty() {
            self.week = vec![Cell::default(); WEEK];
        }
        self.week[bucket.index.rem_euclid(WEEK as i64) as usize].learn(rate, NEW_WEEK);
        self.level.learn(rate, 1.0 / DAY as f64);
    }

    fn usual(&self, index: i64) -> f64 {
        let cell = |cells: &[Cell]| {
            if cells.is_empty() { Cell::default() } else { cells[index.rem_euclid(cells.len() as i64) as usize] }
        };
        let (day, week) = (cell(&self.day), cell(&self.week));
        let day = if day.seen > 0.0 { day } else { self.level };
        let (day_weight, week_weight) = (DAY_IN_WEEKS, f64::from(week.seen));
        (f64::from(day.mean) * day_weight + f64::from(week.mean) * week_weight) / (day_weight + week_weight)
    }

    fn rate(&self, index: i64, lead: f64, now: f64) -> f64 {
        if self.level.seen == 0.0 {
            let requests: f64 = self.open.iter().map(|bucket| bucket.requests).sum();
            let seconds: f64 = self.open.iter().map(|bucket| bucket.seconds).sum();
            return if seconds > 0.0 { requests / seconds } else { 0.0 };
        }
        let age = lead + (now - self.until).max(0.0);
        let fast = libm::exp(-age / FAST_REACH);
        let slow = libm::exp(-age / SLOW_REACH) * (1.0 - fast);
        let usual = self.usual(index);
        let usual = self.slow.applied(usual, slow, SLOW);
        self.fast.applied(usual, fast, FAST)
    }
}

/// Mean weight of the `length` seconds that ended `age` seconds ago.
fn mean_weight(age: f64, length: f64, half_life: f64) -> f64 {
    let exponent = core::f64::consts::LN_2 * length / half_life;
    let mean = if exponent > 1e-9 { -libm::expm1(-exponent) / exponent } else { 1.0 };
    libm::exp2(-age.max(0.0) / half_life) * mean
}

fn instant(at: Timestamp) -> f64 {
    at.as_second() as f64 + f64::from(at.subsec_nanosecond()) * 1e-9
}

fn slot(at: f64) -> i64 {
    libm::floor(at / SLOT) as i64
}
