//! Paths of whole numbers, relative and so short: a year of a series is some kilobytes.

use std::fmt::Write;

use super::axis::Axis;
use super::scale::Scale;

/// Height of every drawing in its own units; the page stretches it.
pub(super) const HEIGHT: i32 = 500;

/// Width of a drawing in its own units: two per point, so that middles are whole too.
pub(super) fn width(axis: &Axis) -> i32 {
    x(axis.count)
}

fn x(point: usize) -> i32 {
    i32::try_from(2 * point).unwrap_or(i32::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to a little around the drawing")]
fn y(value: f64, scale: &Scale) -> i32 {
    let height = f64::from(HEIGHT);
    ((1.0 - scale.part(value)) * height).round().clamp(-height, 2.0 * height) as i32
}

/// A line through the middles of the points; broken where there is none.
pub(super) fn line(values: impl IntoIterator<Item = Option<f64>>, scale: &Scale) -> String {
    let mut pen = Pen::default();
    for (point, value) in values.into_iter().enumerate() {
        match value {
            Some(value) => pen.draw(x(point) + 1, y(value, scale)),
            None => pen.lift(),
        }
    }
    pen.path
}

/// A line from 0 through the ends of the points: sums so far. Level where there is none.
pub(super) fn sums(values: impl IntoIterator<Item = f64>, scale: &Scale) -> String {
    let mut pen = Pen::default();
    pen.draw(0, y(0.0, scale));
    for (point, value) in values.into_iter().enumerate() {
        pen.draw(x(point + 1), y(value, scale));
    }
    pen.path
}

/// A level for every point; broken where there is none. `filled` down to the ground.
pub(super) fn steps(values: impl IntoIterator<Item = Option<f64>>, scale: &Scale, filled: bool) -> String {
    let mut pen = Pen::default();
    for (point, value) in values.into_iter().enumerate() {
        match value {
            Some(value) => {
                let level = y(value, scale);
                pen.draw(x(point), level);
                pen.draw(x(point + 1), level);
            }
            None if filled => pen.ground(),
            None => pen.lift(),
        }
    }
    if filled {
        pen.ground();
    }
    pen.path
}

/// The band between two lines through the middles.
pub(super) fn band(values: &[Option<(f64, f64)>], scale: &Scale) -> String {
    let mut pen = Pen::default();
    let points: Vec<_> = values.iter().enumerate().collect();
    for run in points.chunk_by(|one, next| one.1.is_some() == next.1.is_some()) {
        let known = || run.iter().filter_map(|(point, value)| value.map(|value| (x(*point) + 1, value)));
        known().for_each(|(x, (_, high))| pen.draw(x, y(high, scale)));
        known().rev().for_each(|(x, (low, _))| pen.draw(x, y(low, scale)));
        pen.close();
    }
    pen.path
}

/// Writes a path; the shortest way to say each stroke.
#[derive(Default)]
struct Pen {
    path: String,
    /// Where the pen is, and where it was set down; `None` in the air.
    at: Option<(i32, i32)>,
    began: i32,
    slanted: bool,
}

impl Pen {
    fn draw(&mut self, x: i32, y: i32) {
        match self.at {
            None => {
                self.write(format_args!("M{x}{}{y}", if y < 0 { "" } else { " " }));
                self.began = x;
                self.slanted = false;
            }
            Some((from_x, from_y)) => self.stroke(x - from_x, y - from_y),
        }
        self.at = Some((x, y));
    }

    fn stroke(&mut self, right: i32, down: i32) {
        if down == 0 || right == 0 {
            self.slanted = false;
        }
        match (right, down) {
            (0, 0) => {}
            (right, 0) => self.write(format_args!("h{right}")),
            (0, down) => self.write(format_args!("v{down}")),
            (right, down) => {
                let sign = |value: i32| if value < 0 { "" } else { " " };
                let before = if self.slanted { sign(right) } else { "l" };
                self.slanted = true;
                self.write(format_args!("{before}{right}{}{down}", sign(down)));
            }
        }
    }

    /// Ends a filled shape at the bottom of the drawing.
    fn ground(&mut self) {
        if self.at.take().is_some() {
            let began = self.began;
            self.write(format_args!("V{HEIGHT}H{began}z"));
        }
    }

    fn close(&mut self) {
        if self.at.take().is_some() {
            self.write(format_args!("z"));
        }
    }

    fn lift(&mut self) {
        self.at = None;
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.path.write_fmt(text);
    }
}
