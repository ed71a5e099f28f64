//! Everything that is drawn, as numbers.

use std::fmt::Write;

use super::axis::DAY;
use super::course::points;
use super::story::{Course, Role, Story, Unit};
use super::text::{Moment, escape, number, percent, span};

/// The table of the report: header row first.
pub(super) fn report(rows: &[Vec<String>], out: &mut String) {
    let Some((header, rows)) = rows.split_first() else {
        return;
    };
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Results\"><table><thead><tr>",
    );
    for cell in header {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            let _ = if index == 0 {
                write!(out, "<th scope=\"row\">{cell}</th>")
            } else {
                write!(out, "<td>{cell}</td>")
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

/// One row per day of what is drawn of a policy, to open.
pub(super) fn days(story: &Story<'_>, course: &Course<'_>, out: &mut String) {
    let axis = &story.table_axis;
    let rows = points(course.recording, axis);
    let mix = story.role(Role::ConstantMix).map(|mix| points(mix.recording, axis));
    let largest = rows.iter().flatten().map(|point| point.emissions).fold(0.0, f64::max);
    let unit = Unit::of(story, largest);
    let length = if axis.step == DAY { "day".to_owned() } else { span(axis.step) };
    let _ = write!(
        out,
        "<details class=\"figures\"><summary>{0} in numbers, one row per {length}</summary>\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0} in numbers\"><table><thead><tr>\
         <th scope=\"col\">from</th><th scope=\"col\">intensity</th><th scope=\"col\">lowest</th>\
         <th scope=\"col\">highest</th><th scope=\"col\">requests</th>",
        escape(course.name())
    );
    for flavour in &course.recording.flavours {
        let _ = write!(out, "<th scope=\"col\">% {}</th>", escape(flavour));
    }
    let _ = write!(
        out,
        "<th scope=\"col\">mean error</th><th scope=\"col\">budget at end</th><th scope=\"col\">of capacity</th>\
         <th scope=\"col\">credit at end</th><th scope=\"col\">{}</th>\
         <th scope=\"col\">saved vs const. mix</th></tr></thead><tbody>",
        unit.name
    );
    for (index, point) in rows.iter().enumerate() {
        let Some(point) = point else {
            continue;
        };
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", Moment::of_second(axis.second(index)).iso());
        let mut cell = |text: String| {
            let _ = write!(out, "<td>{text}</td>");
        };
        cell(number(point.intensity.mean().unwrap_or(f64::NAN), 0));
        cell(number(point.intensity.min, 0));
        cell(number(point.intensity.max, 0));
        cell(number(point.requests, 0));
        for share in point.shares() {
            cell(number(100.0 * share, 1));
        }
        cell(number(if point.requests > 0.0 { point.errors / point.requests } else { 0.0 }, 4));
        let known = |mean: Option<f64>, text: String| mean.map_or_else(String::new, |_| text);
        cell(known(point.budget.mean(), number(point.budget.last, 1)));
        cell(known(point.budget_part.mean(), format!("{} %", number(100.0 * point.budget_part.last, 0))));
        cell(number(point.credit.last, 3));
        cell(number(unit.value(point.emissions), 3));
        let reference = mix.as_ref().and_then(|mix| mix[index].as_ref()).map(|mix| mix.emissions);
        let saved =
            reference.filter(|emissions| *emissions > 0.0).map(|reference| 1.0 - point.emissions / reference);
        cell(saved.map_or_else(String::new, percent));
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div></details>\n");
}
