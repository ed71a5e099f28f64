//! The best and the worst week, slot by slot.

use std::fmt::Write;

use super::axis::{Axis, DAY};
use super::course::{Sums, points};
use super::detail;
use super::story::{Course, Role, Story, less};
use super::text::{Moment, escape};

const WEEK: i64 = 7 * DAY;

/// Two weeks to open, where the drawings over all of the time cannot show slots.
pub(super) fn write(story: &Story<'_>, course: &Course<'_>, out: &mut String) {
    let Some(mix) = story.role(Role::ConstantMix).filter(|_| !story.axis.full) else {
        return;
    };
    let weeks = savings(story, course, mix);
    let by_saving = |one: &&(i64, f64), two: &&(i64, f64)| one.1.total_cmp(&two.1);
    let (Some(best), Some(worst)) = (weeks.iter().max_by(by_saving), weeks.iter().min_by(by_saving)) else {
        return;
    };
    if course.role == Role::ConstantMix || worst.1 == best.1 {
        return;
    }
    week(story, course, "Best", *best, out);
    week(story, course, "Worst", *worst, out);
}

/// First second and saving of every seven whole days within the time.
fn savings(story: &Story<'_>, course: &Course<'_>, mix: &Course<'_>) -> Vec<(i64, f64)> {
    let first = story.table_axis.start;
    let by_day = |course: &Course<'_>| -> Vec<(i64, Sums)> {
        let day = |second: i64| (second - first).div_euclid(DAY);
        let days =
            course.samples().chunk_by(|one, next| day(one.from.as_second()) == day(next.from.as_second()));
        days.map(|samples| (day(samples[0].from.as_second()), Sums::of(samples))).collect()
    };
    let (own, reference) = (by_day(course), by_day(mix));
    let same_days = own.iter().zip(&reference).all(|(own, reference)| own.0 == reference.0);
    if own.len() != reference.len() || !same_days {
        return Vec::new();
    }
    let emitted = |days: &[(i64, Sums)]| days.iter().map(|(_, sums)| sums.emissions).sum::<f64>();
    let windows = own.windows(7).zip(reference.windows(7));
    // Seven days in a row, not around a gap.
    let whole = windows.filter(|(own, _)| own[6].0 - own[0].0 == 6);
    whole
        .map(|(own, mix)| (first + own[0].0 * DAY, 1.0 - emitted(own) / emitted(mix)))
        .filter(|(_, saving)| saving.is_finite())
        .collect()
}

fn week(story: &Story<'_>, course: &Course<'_>, which: &str, (start, saving): (i64, f64), out: &mut String) {
    let axis = Axis::of_week(start, &story.page.recordings);
    let (from, to) = (Moment::of_second(start), Moment::of_second(start + WEEK - DAY));
    let _ = write!(
        out,
        "<details class=\"week\"><summary>{which} week of {}, {} to {}: {} than the constant mix</summary>",
        escape(course.name()),
        from.day(),
        to.date(),
        less(saving)
    );
    let points = points(course.recording, &axis);
    detail::grid(&axis, course, out);
    detail::mix(course, &axis, &points, out);
    detail::error(story, course, &axis, &points, out);
    detail::budget(course, &axis, &points, out);
    detail::credit(course, &axis, &points, out);
    out.push_str("</details>\n");
}
