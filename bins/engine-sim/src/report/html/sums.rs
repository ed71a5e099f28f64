//! Sums so far: emissions beside those of the references, and what that saved.

use std::fmt::Write;

use super::chart::{Chart, Layer};
use super::course::{Point, points};
use super::path;
use super::scale::Scale;
use super::story::{Course, Role, Story, Unit, less, part_of_that};
use super::text::{list, percent};

/// Both drawings, side by side where there is room.
pub(super) fn write(story: &Story<'_>, course: &Course<'_>, own: &[Option<Point>], out: &mut String) {
    out.push_str("<div class=\"pair\">");
    difference(story, course, own, out);
    emissions(story, course, own, out);
    out.push_str("</div>");
}

/// Emissions so far, by point.
fn so_far(points: &[Option<Point>]) -> Vec<f64> {
    let each = points.iter().map(|point| point.as_ref().map_or(0.0, |point| point.emissions));
    each.scan(0.0, |sum, emissions| {
        *sum += emissions;
        Some(*sum)
    })
    .collect()
}

const REFERENCES: [(Role, &str); 3] =
    [(Role::P100, "p100"), (Role::ConstantMix, "constant"), (Role::Hindsight, "hindsight")];

/// Cumulative emissions beside those of the references.
fn emissions(story: &Story<'_>, course: &Course<'_>, own: &[Option<Point>], out: &mut String) {
    let axis = &story.axis;
    let references: Vec<_> = REFERENCES
        .into_iter()
        .filter_map(|(role, class)| story.role(role).map(|reference| (reference, class)))
        .filter(|(reference, _)| reference.role != course.role)
        .collect();
    let all = references.iter().map(|(reference, _)| reference.sums.emissions).chain([course.sums.emissions]);
    let largest = all.fold(0.0, f64::max);
    let unit = Unit::of(story, largest);
    let scale = Scale::from_zero([unit.value(largest)]);
    let drawn =
        |points: &[Option<Point>]| path::sums(so_far(points).into_iter().map(|sum| unit.value(sum)), &scale);
    let mut layers: Vec<Layer> = references
        .iter()
        .map(|(reference, class)| {
            Layer::line(class, reference.name(), drawn(&points(reference.recording, axis)))
        })
        .collect();
    layers.push(Layer::line("policy", course.name(), drawn(own)));
    let others: Vec<String> = references
        .iter()
        .map(|(reference, _)| format!("{} {}", reference.name(), unit.show(reference.sums.emissions)))
        .collect();
    let against = if others.is_empty() { String::new() } else { format!("; {}", list(&others)) };
    let finding = format!("{} {}{against}.", course.name(), unit.show(course.sums.emissions));
    Chart {
        class: "sums",
        title: "Emissions so far",
        whose: course.name(),
        unit: unit.name,
        finding,
        axis,
        scale: scale.clone(),
        layers,
    }
    .write(out);
}

/// What was saved so far compared with the constant mix, beside what hindsight would have saved.
fn difference(story: &Story<'_>, course: &Course<'_>, own: &[Option<Point>], out: &mut String) {
    let Some(mix) = story.role(Role::ConstantMix).filter(|_| course.role != Role::ConstantMix) else {
        return;
    };
    let axis = &story.axis;
    let baseline = so_far(&points(mix.recording, axis));
    let saved = |points: &[Option<Point>]| -> Vec<f64> {
        baseline.iter().zip(so_far(points)).map(|(mix, own)| mix - own).collect()
    };
    let own_saved = saved(own);
    let hindsight = story.role(Role::Hindsight).filter(|_| course.role != Role::Hindsight);
    let possible = hindsight.map(|hindsight| saved(&points(hindsight.recording, axis)));
    let values = || own_saved.iter().chain(possible.iter().flatten()).copied();
    let unit = Unit::of(story, values().fold(0.0, |largest, value| value.abs().max(largest)));
    let scale = Scale::from_zero(values().map(|value| unit.value(value)));
    let drawn = |saved: &[f64]| path::sums(saved.iter().map(|value| unit.value(*value)), &scale);
    let mut layers = Vec::new();
    if let (Some(hindsight), Some(possible)) = (hindsight, &possible) {
        layers.push(Layer::line("hindsight", hindsight.name(), drawn(possible)));
    }
    layers.push(Layer::line("policy", course.name(), drawn(&own_saved)));
    let total = own_saved.last().copied().unwrap_or_default();
    let saving = course.sums.saving(&mix.sums).unwrap_or_default();
    let word = if total < 0.0 { "more emitted" } else { "saved" };
    let mut finding = format!("{} {word}, {} than the constant mix", unit.show(total.abs()), less(saving));
    if let Some(hindsight) = hindsight {
        let possible = hindsight.sums.saving(&mix.sums).unwrap_or_default();
        let _ = write!(finding, "; hindsight {}", percent(possible));
        if let Some(captured) = story.captured(course) {
            let _ = write!(finding, ", captured {}", part_of_that(captured));
        }
    }
    finding.push('.');
    Chart {
        class: "sums",
        title: "Saved so far against the constant mix",
        whose: course.name(),
        unit: unit.name,
        finding,
        axis,
        scale: scale.clone(),
        layers,
    }
    .write(out);
}
