//! One policy over time, all on one time axis.

use std::fmt::Write;

use crate::recording::Sample;

use super::axis::{Axis, DAY};
use super::chart::{Chart, Layer};
use super::course::{Point, Sums, finite, points};
use super::path;
use super::scale::Scale;
use super::story::{Course, Story};
use super::sums;
use super::text::{Moment, list, number, significant, span, whole_percent};

/// The grid, the same for every policy.
pub(super) fn grid(axis: &Axis, course: &Course<'_>, out: &mut String) {
    let points = points(course.recording, axis);
    let spreads: Vec<_> = points.iter().map(|point| point.as_ref().map(|point| point.intensity)).collect();
    let known = || spreads.iter().flatten().filter(|spread| spread.mean().is_some());
    let scale = Scale::from_zero(known().map(|spread| spread.max));
    let mean = path::line(spreads.iter().map(|spread| spread.and_then(|spread| spread.mean())), &scale);
    let mut layers = Vec::new();
    if !axis.full {
        let edges: Vec<_> =
            spreads.iter().map(|spread| spread.map(|spread| (spread.min, spread.max))).collect();
        let name = "lowest to highest".to_owned();
        layers.push(Layer::band("carbon", Some(&name), path::band(&edges, &scale)));
    }
    let name = if axis.full { "intensity".to_owned() } else { format!("mean over {}", span(axis.step)) };
    layers.push(Layer::line("carbon", &name, mean));
    let finding = intensity_finding(course, axis);
    Chart {
        class: "intensity",
        title: "Carbon intensity",
        whose: "",
        unit: "gCO2eq/kWh",
        finding,
        axis,
        scale,
        layers,
    }
    .write(out);
}

fn intensity_finding(course: &Course<'_>, axis: &Axis) -> String {
    let inside = || course.samples().iter().filter(|sample| axis.point(sample.from.as_second()).is_some());
    let by_value = |one: &&Sample, two: &&Sample| one.intensity.total_cmp(&two.intensity);
    let (Some(low), Some(high)) = (inside().min_by(by_value), inside().max_by(by_value)) else {
        return "Nothing was recorded.".to_owned();
    };
    let seconds: f64 = inside().map(|sample| sample.seconds).sum();
    let mean = inside().map(|sample| finite(sample.intensity) * sample.seconds).sum::<f64>() / seconds;
    let when = |second: i64| {
        let moment = Moment::of_second(second);
        format!("{}, {} UTC", moment.date(), moment.clock())
    };
    format!(
        "{} on average; lowest {} ({}), highest {} ({}).",
        number(mean, 0),
        number(low.intensity, 0),
        when(low.from.as_second()),
        number(high.intensity, 0),
        when(high.from.as_second())
    )
}

/// Everything about one policy.
pub(super) fn panel(story: &Story<'_>, course: &Course<'_>, out: &mut String) {
    let axis = &story.axis;
    let points = points(course.recording, axis);
    mix(course, axis, &points, out);
    error(story, course, axis, &points, out);
    budget(course, axis, &points, out);
    credit(course, axis, &points, out);
    sums::write(story, course, &points, out);
}

/// Which flavour served how much.
pub(super) fn mix(course: &Course<'_>, axis: &Axis, points: &[Option<Point>], out: &mut String) {
    let flavours = &course.recording.flavours;
    let mut shares: Vec<Vec<Option<f64>>> = vec![Vec::with_capacity(points.len()); flavours.len()];
    for point in points {
        let mut known = point.iter().flat_map(Point::shares);
        for column in &mut shares {
            column.push(known.next().map(|share| 100.0 * share));
        }
    }
    let scale = Scale { low: 0.0, high: 100.0, step: 25.0 };
    let layers = Layer::stack(flavours, &shares, &scale);
    let finding = mix_finding(course, axis, points);
    Chart {
        class: "mix",
        title: "Mix of flavours",
        whose: course.name(),
        unit: "% of the traffic",
        finding,
        axis,
        scale,
        layers,
    }
    .write(out);
}

fn mix_finding(course: &Course<'_>, axis: &Axis, points: &[Option<Point>]) -> String {
    let mut totals = vec![0.0; course.recording.flavours.len()];
    for point in points.iter().flatten() {
        for (total, share) in totals.iter_mut().zip(point.shares()) {
            *total += share * point.requests.max(1e-9);
        }
    }
    let whole = totals.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let named = course.recording.flavours.iter().zip(&totals);
    let parts: Vec<String> =
        named.map(|(name, total)| format!("{} {name}", whole_percent(total / whole))).collect();
    let inside = course.samples().iter().filter(|sample| axis.point(sample.from.as_second()).is_some());
    let mut by_intensity: Vec<_> = inside.collect();
    by_intensity.sort_by(|one, two| one.intensity.total_cmp(&two.intensity));
    let quarter = by_intensity.len() / 4;
    if quarter == 0 {
        return format!("{}.", list(&parts));
    }
    let error = |part: &[&Sample]| Sums::of(part.iter().copied()).error();
    let (cleanest, dirtiest) =
        (error(&by_intensity[..quarter]), error(&by_intensity[by_intensity.len() - quarter..]));
    format!(
        "{}. Mean error {} in the cleanest quarter of the slots, {} in the dirtiest.",
        list(&parts),
        number(cleanest, 4),
        number(dirtiest, 4)
    )
}

/// The error that was served, against what is allowed.
pub(super) fn error(
    story: &Story<'_>,
    course: &Course<'_>,
    axis: &Axis,
    points: &[Option<Point>],
    out: &mut String,
) {
    let target = story.page.target_error;
    let means: Vec<_> =
        points.iter().map(|point| point.as_ref().and_then(|point| point.error.mean())).collect();
    let scale = Scale::from_zero(means.iter().flatten().copied().chain([target * 1.2]));
    let level = path::steps(means.iter().map(|_| Some(target)), &scale, false);
    let layers = vec![
        Layer::area("policy", "mean error", path::steps(means.iter().copied(), &scale, true)),
        Layer::line("target", "target", level),
    ];
    let mut finding = format!("Mean error per request {}", error_of(story, points));
    if let Some((at, worst)) = worst_day(course, axis) {
        let _ = write!(finding, "; {} on the worst day, {}", number(worst, 4), Moment::of_second(at).date());
    }
    finding.push('.');
    Chart {
        class: "small",
        title: "Served error",
        whose: course.name(),
        unit: "per request",
        finding,
        axis,
        scale,
        layers,
    }
    .write(out);
}

fn error_of(story: &Story<'_>, points: &[Option<Point>]) -> String {
    let requests: f64 = points.iter().flatten().map(|point| point.requests).sum();
    let errors: f64 = points.iter().flatten().map(|point| point.errors).sum();
    let error = if requests > 0.0 { errors / requests } else { 0.0 };
    let target = story.page.target_error;
    let of_target = if target > 0.0 {
        format!(", {}\u{a0}% of the target", number(100.0 * error / target, 1))
    } else {
        String::new()
    };
    format!("{}{of_target} {target}", number(error, 4))
}

/// The calendar day (UTC) with the largest mean error, of those the axis covers.
fn worst_day(course: &Course<'_>, axis: &Axis) -> Option<(i64, f64)> {
    let inside: Vec<_> =
        course.samples().iter().filter(|sample| axis.point(sample.from.as_second()).is_some()).collect();
    let day = |sample: &Sample| sample.from.as_second().div_euclid(DAY);
    let days = inside.chunk_by(|one, next| day(one) == day(next));
    let errors = days.map(|samples| (day(samples[0]) * DAY, Sums::of(samples.iter().copied()).error()));
    errors.reduce(|worst, next| if next.1 > worst.1 { next } else { worst })
}

/// The error budget, as a part of its capacity.
pub(super) fn budget(course: &Course<'_>, axis: &Axis, points: &[Option<Point>], out: &mut String) {
    let spreads: Vec<_> = points.iter().map(|point| point.as_ref().map(|point| point.budget_part)).collect();
    let known = || spreads.iter().flatten().filter(|spread| spread.mean().is_some());
    let (Some(lowest), Some(last)) = (known().map(|spread| spread.min).reduce(f64::min), known().next_back())
    else {
        return;
    };
    let highest = known().map(|spread| spread.max).fold(0.0, f64::max);
    let scale = Scale::around([0.0, 100.0, 100.0 * lowest, 100.0 * highest.min(2.0)]);
    let mut layers = Vec::new();
    if !axis.full {
        let edges: Vec<_> = spreads
            .iter()
            .map(|spread| spread.filter(|spread| spread.mean().is_some()))
            .map(|spread| spread.map(|spread| (100.0 * spread.min, 100.0 * spread.max)))
            .collect();
        layers.push(Layer::band("policy", Some("lowest to highest"), path::band(&edges, &scale)));
    }
    let means = spreads.iter().map(|spread| spread.and_then(|spread| spread.mean()).map(|part| 100.0 * part));
    layers.push(Layer::line("policy", "balance", path::line(means, &scale)));
    layers.push(Layer::line(
        "target",
        "capacity",
        path::steps(spreads.iter().map(|_| Some(100.0)), &scale, false),
    ));
    let parts = course.samples().iter().filter_map(|sample| sample.budget.map(|budget| (sample, budget)));
    let parts = parts.filter(|(sample, _)| axis.point(sample.from.as_second()).is_some());
    let (below, all) = parts.fold((0_u32, 0_u32), |(below, all), (_, (balance, _))| {
        (below + u32::from(balance < -1e-9), all + 1)
    });
    let verdict = if below == 0 {
        "never below zero".to_owned()
    } else {
        format!("below zero in {} of {} slots", number(f64::from(below), 0), number(f64::from(all), 0))
    };
    let finding = format!(
        "Lowest {} of its capacity, {} at the end; {verdict}.",
        whole_percent(lowest),
        whole_percent(last.last)
    );
    Chart {
        class: "small",
        title: "Error budget",
        whose: course.name(),
        unit: "% of its capacity",
        finding,
        axis,
        scale,
        layers,
    }
    .write(out);
}

/// The credit ledger; not drawn for what keeps none.
pub(super) fn credit(course: &Course<'_>, axis: &Axis, points: &[Option<Point>], out: &mut String) {
    if course.samples().iter().all(|sample| sample.credit == 0.0) {
        return;
    }
    let spreads: Vec<_> = points.iter().map(|point| point.as_ref().map(|point| point.credit)).collect();
    let known = || spreads.iter().flatten().filter(|spread| spread.mean().is_some());
    let (low, high) = known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), spread| {
        (low.min(spread.min), high.max(spread.max))
    });
    let scale = Scale::from_zero([low, high]);
    let mut layers = Vec::new();
    if !axis.full {
        let edges: Vec<_> =
            spreads.iter().map(|spread| spread.map(|spread| (spread.min, spread.max))).collect();
        layers.push(Layer::band("policy", Some("lowest to highest"), path::band(&edges, &scale)));
    }
    let means = spreads.iter().map(|spread| spread.and_then(|spread| spread.mean()));
    layers.push(Layer::line("policy", "balance", path::line(means, &scale)));
    let last = known().next_back().map_or(0.0, |spread| spread.last);
    let finding = format!(
        "Balance from {} to {}; {} at the end.",
        significant(low),
        significant(high),
        significant(last)
    );
    Chart {
        class: "small",
        title: "Credit ledger",
        whose: course.name(),
        unit: "banked credit",
        finding,
        axis,
        scale,
        layers,
    }
    .write(out);
}
