//! The time axis: how long a point is, and where the labels stand.

use crate::recording::Recording;

use super::text::Moment;

pub(super) const DAY: i64 = 86_400;
const HOUR: i64 = 3600;
/// Most points of a series.
const MOST_POINTS: usize = 750;
/// Lengths of a point, seconds, where slots must be taken together. Between two hours and a day there is
/// none: half days would show day and night in turn, and nothing else.
const STEPS: [i64; 14] =
    [60, 120, 300, 600, 900, 1800, 3600, 7200, DAY, 7 * DAY, 28 * DAY, 91 * DAY, 364 * DAY, 3640 * DAY];

/// `count` points of `step` seconds each, from `start` on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) start: i64,
    pub(super) step: i64,
    pub(super) count: usize,
    /// Whether a point is a slot.
    pub(super) full: bool,
}

/// A label and where on the axis it stands, in [0, 1].
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
    pub(super) rank: Rank,
}

/// Which labels go first where there is little room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Always there.
    Major,
    /// Not on a phone.
    Minor,
    /// On wide screens only.
    Wide,
}

impl Axis {
    /// The axis that all recordings share; `None` without a sample.
    pub(super) fn over(recordings: &[Recording]) -> Option<Self> {
        let (start, end) = span(recordings)?;
        let slot = usual_slot(recordings);
        let points = |step: i64| count(end - start, step);
        if points(slot) <= MOST_POINTS {
            return Some(Self { start, step: slot, count: points(slot), full: true });
        }
        let fits = STEPS.into_iter().find(|step| *step > slot && points(*step) < MOST_POINTS);
        let step = fits.unwrap_or(end - start);
        // Days are whole days.
        let start = start - start.rem_euclid(step.min(DAY));
        Some(Self { start, step, count: count(end - start, step), full: false })
    }

    /// The axis of a table: days, or more where there are too many.
    pub(super) fn of_table(recordings: &[Recording]) -> Option<Self> {
        let (start, end) = span(recordings)?;
        let start = start - start.rem_euclid(DAY);
        let days = count(end - start, DAY);
        let step =
            if days <= MOST_ROWS { DAY } else { DAY * i64::try_from(days.div_ceil(MOST_ROWS)).unwrap_or(1) };
        let step = if step > DAY { step.max(7 * DAY) } else { step };
        Some(Self { start, step, count: count(end - start, step), full: false })
    }

    /// Seven days from `start` on, slot by slot where that is not too much.
    pub(super) fn of_week(start: i64, recordings: &[Recording]) -> Self {
        let slot = usual_slot(recordings);
        let fits = STEPS.into_iter().find(|step| count(7 * DAY, *step) <= MOST_POINTS).unwrap_or(DAY);
        let step = slot.max(fits);
        Self { start, step, count: count(7 * DAY, step), full: step == slot }
    }

    pub(super) fn end(&self) -> i64 {
        self.start + self.step * i64::try_from(self.count).unwrap_or(i64::MAX / self.step.max(1))
    }

    /// The point that an instant belongs to.
    pub(super) fn point(&self, second: i64) -> Option<usize> {
        let index = (second - self.start).div_euclid(self.step);
        usize::try_from(index).ok().filter(|index| *index < self.count)
    }

    /// First second of a point.
    pub(super) fn second(&self, point: usize) -> i64 {
        self.start + self.step * i64::try_from(point).unwrap_or(0)
    }

    /// Labels, most important ones few enough for a phone.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let mut ticks = match (self.end() - self.start) / DAY {
            0..2 => self.marks(|at| match at.hour() {
                0 => Some(at.day()),
                hour if hour % 3 == 0 => Some(at.clock()),
                _ => None,
            }),
            2..35 => self.marks(|at| (at.hour() == 0).then(|| at.day())),
            35..63 => self.marks(|at| (at.hour() == 0 && at.is_monday()).then(|| at.day())),
            63..800 => self.marks(|at| match (at.hour(), at.day_and_month()) {
                (0, (1, 1)) => Some(at.year()),
                (0, (1, _)) => Some(at.month().to_owned()),
                _ => None,
            }),
            _ => self.marks(|at| (at.hour() == 0 && at.day_and_month() == (1, 1)).then(|| at.year())),
        };
        // Of many every fourth, of some every other, is there on a phone too.
        let every = ticks.len().div_ceil(6).max(1);
        for (index, tick) in ticks.iter_mut().enumerate() {
            tick.rank = match index % every {
                0 => Rank::Major,
                _ if every <= 2 => Rank::Minor,
                _ => Rank::Wide,
            };
            // On a phone a letter takes some 3 % of the width, and a label stands to the right of its tick.
            if tick.rank == Rank::Major && tick.at + 0.03 * tick.label.len() as f64 > 1.0 {
                tick.rank = Rank::Wide;
            }
        }
        ticks
    }

    /// Ticks at full hours that have a label.
    fn marks(&self, label: impl Fn(&Moment) -> Option<String>) -> Vec<Tick> {
        let length = (self.end() - self.start).max(1);
        let first = self.start + (-self.start).rem_euclid(HOUR);
        let hours = std::iter::successors(Some(first), |second| Some(second + HOUR));
        let labels = hours.take_while(|second| *second < self.end()).filter_map(|second| {
            let at = (second - self.start) as f64 / length as f64;
            Some(Tick { at, label: label(&Moment::of_second(second))?, rank: Rank::Major })
        });
        labels.collect()
    }
}

/// Most rows of a table.
const MOST_ROWS: usize = 400;

fn count(seconds: i64, step: i64) -> usize {
    usize::try_from((seconds.max(1) + step - 1) / step.max(1)).unwrap_or(usize::MAX)
}

/// First second and first second after.
fn span(recordings: &[Recording]) -> Option<(i64, i64)> {
    let samples = || recordings.iter().flat_map(|recording| &recording.samples);
    let start = samples().map(|sample| sample.from.as_second()).min()?;
    let end = samples().map(|sample| sample.from.as_second() + whole_seconds(sample.seconds)).max()?;
    Some((start, end.max(start + 1)))
}

/// The median slot, of the recording that has the longest.
fn usual_slot(recordings: &[Recording]) -> i64 {
    let median = |recording: &Recording| {
        let mut lengths: Vec<i64> =
            recording.samples.iter().map(|sample| whole_seconds(sample.seconds)).collect();
        let middle = lengths.len() / 2;
        (!lengths.is_empty()).then(|| *lengths.select_nth_unstable(middle).1)
    };
    recordings.iter().filter_map(median).max().unwrap_or(DAY)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn whole_seconds(seconds: f64) -> i64 {
    if seconds.is_finite() { seconds.round().clamp(1.0, 3e9) as i64 } else { 1 }
}
