//! What demand is usual at which half-hour of the week.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::packed;
use super::ring::place;

/// Length of a slot, in seconds.
pub(super) const SLOT: f64 = 1_800.0;
/// Slots of a day.
const DAY: usize = 48;
/// Slots of a week.
const WEEK: usize = 7 * DAY;
/// Weight of a new day by time of day, once a week was seen.
const NEW_DAY: f64 = 1.0 / 7.0;
/// Weight of a new week by time of week, once several were seen: demand grows and shrinks.
const NEW_WEEK: f64 = 0.3;
/// Weight of a new slot in the mean of all, once a day was seen.
const NEW_SLOT: f64 = 1.0 / DAY as f64;
/// How many weeks the time of day counts for beside the time of week, before a week is known; each week
/// makes it less.
const DAY_IN_WEEKS: f64 = 1.0;
/// A slot that came to more than this many times the usual, or to less than that part of it, teaches no more
/// than this: an hour of great news must not be expected again in a week ..
const WILD: f64 = 3.0;
/// .. unless it goes on for longer than this many slots, four hours: that is no news but a new size.
const NEWS: u32 = 8;
/// Share of a slot that must be covered by reports to say how it was.
const COVERED: f64 = 0.25;
/// Highest rate that is kept, in requests per second.
const MAX_RATE: f64 = 1e30;

/// The slot that contains an instant, in seconds since 1970.
#[expect(clippy::cast_possible_truncation, reason = "years have some thousand slots")]
pub(super) fn slot(at: f64) -> i64 {
    libm::floor(at / SLOT) as i64
}

/// Usual rates, and the slots that are still open for reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Weekly {
    /// The newest slot first.
    open: [Open; 2],
    day: Cells,
    week: Cells,
    level: Cells,
    /// Slots in a row that came to something wild.
    wild: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Open {
    index: i64,
    #[serde(with = "packed::one")]
    requests: f64,
    #[serde(with = "packed::one")]
    seconds: f64,
}

/// Mean rates, each with the number of samples behind it; empty before the first.
#[derive(Debug, Clone, PartialEq, Default)]
struct Cells(Vec<Cell>);

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Cell {
    mean: f32,
    samples: f32,
}

impl Weekly {
    /// Nothing known; reports begin in slot `index`.
    pub(super) fn starting(index: i64) -> Self {
        let open = [Open { index, ..Open::default() }, Open { index: index - 1, ..Open::default() }];
        Self { open, day: Cells::default(), week: Cells::default(), level: Cells::default(), wild: 0 }
    }

    /// Whether any slot is known.
    pub(super) fn is_known(&self) -> bool {
        !self.level.0.is_empty()
    }

    /// Whether a day is known.
    pub(super) fn knows_a_day(&self) -> bool {
        f64::from(self.level.at(0).samples) * NEW_SLOT >= 1.0
    }

    /// Whether a slot's time of day is known.
    pub(super) fn knows(&self, index: i64) -> bool {
        self.day.at(place(index, DAY)).samples > 0.0
    }

    /// Requests per second that are usual in a slot.
    pub(super) fn usual(&self, index: i64) -> f64 {
        let (mut day, week) = (self.day.at(place(index, DAY)), self.week.at(place(index, WEEK)));
        if day.samples == 0.0 {
            day = self.level.at(0);
        }
        let weeks = f64::from(week.samples);
        let days = DAY_IN_WEEKS / (1.0 + weeks);
        (f64::from(day.mean) * days + f64::from(week.mean) * weeks) / (days + weeks)
    }

    /// Requests per second over the open slots.
    pub(super) fn so_far(&self) -> f64 {
        let requests: f64 = self.open.iter().map(|open| open.requests).sum();
        let seconds: f64 = self.open.iter().map(|open| open.seconds).sum();
        if seconds > 0.0 { requests / seconds } else { 0.0 }
    }

    /// Counts requests in a slot; one that is closed takes no more.
    pub(super) fn add_requests(&mut self, index: i64, requests: f64) {
        if let Some(open) = self.open.iter_mut().find(|open| open.index == index) {
            open.requests += requests;
        }
    }

    /// Counts seconds covered in a slot.
    pub(super) fn add_seconds(&mut self, index: i64, seconds: f64) {
        if let Some(open) = self.open.iter_mut().find(|open| open.index == index) {
            open.seconds += seconds;
        }
    }

    /// Opens the slots up to `index`, and closes what is two before it.
    pub(super) fn advance(&mut self, index: i64) {
        while self.open[0].index < index {
            let [newest, closed] = self.open;
            self.close(closed);
            // After a long pause there is nothing in between to close.
            let next = (newest.index + 1).max(index - 1);
            self.open = [Open { index: next, ..Open::default() }, newest];
        }
    }

    fn close(&mut self, slot: Open) {
        if slot.seconds >= COVERED * SLOT {
            let rate = self.plausible(slot.index, (slot.requests / slot.seconds).min(MAX_RATE));
            self.day.learn(DAY, slot.index, rate, NEW_DAY);
            self.week.learn(WEEK, slot.index, rate, NEW_WEEK);
            self.level.learn(1, slot.index, rate, NEW_SLOT);
        }
    }

    /// The nearest rate that is learned from.
    fn plausible(&mut self, index: i64, rate: f64) -> f64 {
        let usual = self.usual(index);
        let (low, high) = (usual / WILD, usual * WILD);
        if !(self.knows_a_day() && self.knows(index)) || (low..=high).contains(&rate) {
            self.wild = 0;
            return rate;
        }
        self.wild = self.wild.saturating_add(1);
        if self.wild > NEWS { rate } else { rate.clamp(low, high) }
    }

    /// Whether it can be one: asked of what was stored.
    pub(super) fn is_sound(&self) -> bool {
        let open = |open: &Open| {
            let filled = (0.0..=SLOT).contains(&open.seconds) && open.requests.is_finite();
            filled && open.requests >= 0.0 && open.index.unsigned_abs() < 1 << 40
        };
        let filled = |cells: &Cells, length: usize| cells.0.len() == if self.is_known() { length } else { 0 };
        let cells = self.day.0.iter().chain(&self.week.0).chain(&self.level.0);
        let sound = |cell: &Cell| {
            (0.0..=2e30).contains(&f64::from(cell.mean)) && (0.0..=1e3).contains(&f64::from(cell.samples))
        };
        let lengths = filled(&self.day, DAY) && filled(&self.week, WEEK) && self.level.0.len() <= 1;
        lengths && self.open.iter().all(open) && cells.into_iter().all(sound)
    }
}

impl Cells {
    fn at(&self, place: usize) -> Cell {
        self.0.get(place).copied().unwrap_or_default()
    }

    fn learn(&mut self, length: usize, index: i64, value: f64, newest: f64) {
        self.0.resize(length, Cell::default());
        let cell = &mut self.0[place(index, length)];
        let samples = (f64::from(cell.samples) + 1.0).min(1.0 / newest);
        let mean = f64::from(cell.mean);
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are plenty for what is usual")]
        let (mean, samples) = ((mean + (value - mean) / samples) as f32, samples as f32);
        *cell = Cell { mean, samples };
    }
}

impl Serialize for Cells {
    /// Both halves of a cell in the bits of one float.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bits = |cell: &Cell| (u64::from(cell.mean.to_bits()) << 32) | u64::from(cell.samples.to_bits());
        let packed: Vec<f64> = self.0.iter().map(|cell| f64::from_bits(bits(cell))).collect();
        packed::serialize(&packed, serializer)
    }
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let packed = packed::deserialize(deserializer)?;
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let halves = |bits: u64| ((bits >> 32) as u32, bits as u32);
        let cell = |packed: &f64| {
            let (mean, samples) = halves(packed.to_bits());
            Cell { mean: f32::from_bits(mean), samples: f32::from_bits(samples) }
        };
        Ok(Self(packed.iter().map(cell).collect()))
    }
}
