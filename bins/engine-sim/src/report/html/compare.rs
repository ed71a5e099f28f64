//! Policies side by side: what each saved and what it spent for it, and the day each makes of its grid.

use std::fmt::Write;

use super::chart::Layer;
use super::path::HEIGHT;
use super::scale::Scale;
use super::story::{Course, Role, Story, less};
use super::text::{escape, list, number, percent, whole_percent};

/// Bars of saving against the constant mix, and of error against the target.
pub(super) fn bars(story: &Story<'_>, out: &mut String) {
    let (rows, over): (Vec<&Course<'_>>, Vec<&Course<'_>>) =
        story.courses.iter().partition(|course| story.holds(course));
    let scale = BarScale::of(story, &rows);
    let finding = finding(story, &rows, &over);
    let _ = write!(
        out,
        "<figure class=\"compare\"><figcaption><p class=\"finding\">{0}</p></figcaption>\
         <div class=\"bars\" role=\"img\" aria-label=\"Policies side by side: {0}\">\
         <div class=\"row head\"><span></span><span>saved against the constant mix</span>\
         <span class=\"figure\">of possible</span><span class=\"figure\">against p100</span>\
         <span>mean error, target {1}</span></div>",
        escape(&finding),
        story.page.target_error
    );
    for course in rows {
        row(story, course, &scale, out);
    }
    if !over.is_empty() {
        out.push_str(
            "<p class=\"divide\">More error than allowed: what these save was not theirs to spend</p>",
        );
        for course in over {
            row(story, course, &scale, out);
        }
    }
    out.push_str("</div></figure>\n");
}

/// How far bars reach: those within the target fit, others are cut off and marked.
struct BarScale {
    low: f64,
    high: f64,
}

impl BarScale {
    fn of(story: &Story<'_>, rows: &[&Course<'_>]) -> Self {
        let shown = rows.iter().filter(|course| course.role != Role::P100);
        let savings = shown.filter_map(|course| story.saving_vs(Role::ConstantMix, course));
        let (low, high) =
            savings.fold((0.0, 0.001), |(low, high): (f64, f64), saving| (low.min(saving), high.max(saving)));
        Self { low: low.min(-0.12 * high), high: high * 1.04 }
    }

    /// Left edge and width in percent, and whether it was cut off.
    fn bar(&self, value: f64) -> (f64, f64, bool) {
        let part = |value: f64| 100.0 * (value - self.low) / (self.high - self.low);
        let shown = value.clamp(self.low, self.high);
        let (from, to) = (part(shown.min(0.0)), part(shown.max(0.0)));
        (from, to - from, shown != value)
    }
}

fn row(story: &Story<'_>, course: &Course<'_>, scale: &BarScale, out: &mut String) {
    let holds = story.holds(course);
    let class = match (course.role, holds) {
        (_, false) => "over",
        (Role::Policy, true) => "policy",
        (Role::P100, true) => "p100",
        (Role::ConstantMix, true) => "constant",
        (Role::Hindsight, true) => "hindsight",
    };
    let _ = write!(out, "<div class=\"row {class}\"><span class=\"name\">{}</span>", escape(course.name()));
    let saving = story.saving_vs(Role::ConstantMix, course);
    let (left, width, cut) = scale.bar(saving.unwrap_or_default());
    let zero = scale.bar(0.0).0;
    let cut = if cut { if saving < Some(0.0) { " cut low" } else { " cut" } } else { "" };
    let shown = |part: Option<f64>| part.map_or_else(|| "\u{2013}".to_owned(), percent);
    let _ = write!(
        out,
        "<span class=\"track\"><i class=\"origin\" style=\"left:{zero:.2}%\"></i>\
         <i class=\"bar{cut}\" style=\"left:{left:.2}%;width:{width:.2}%\"></i><b>{}</b></span>",
        shown(saving)
    );
    let captured = story.captured(course).filter(|_| course.role == Role::Policy && holds);
    let captured = captured.map_or_else(|| "\u{2013}".to_owned(), whole_percent);
    let p100 = shown(story.saving_vs(Role::P100, course));
    let _ = write!(
        out,
        "<span class=\"figure\" data-head=\"of possible\">{captured}</span>\
         <span class=\"figure\" data-head=\"against p100\">{p100}</span>"
    );
    // The target stands in the middle of its track.
    let (error, target) = (course.sums.error(), story.page.target_error.max(1e-9));
    let part = 50.0 * error / target;
    let cut = if part > 100.0 { " cut" } else { "" };
    let mark = if holds { "" } else { " !" };
    let _ = writeln!(
        out,
        "<span class=\"track error\"><i class=\"bar{cut}\" style=\"left:0;width:{:.2}%\"></i>\
         <i class=\"origin\" style=\"left:50%\"></i><b>{}{mark}</b></span></div>",
        part.min(100.0),
        number(error, 4),
    );
}

fn finding(story: &Story<'_>, rows: &[&Course<'_>], over: &[&Course<'_>]) -> String {
    let against = |course: &&Course<'_>| {
        story.saving_vs(Role::ConstantMix, course).map(|saving| format!("{} {}", course.name(), less(saving)))
    };
    let policies = rows.iter().filter(|course| course.role == Role::Policy);
    let mut sentences = Vec::new();
    let said: Vec<String> = policies.filter_map(against).collect();
    if !said.is_empty() {
        sentences.push(format!("Against the constant mix, within the target: {}.", list(&said)));
    }
    if let Some(bound) =
        story.role(Role::Hindsight).and_then(|bound| story.saving_vs(Role::ConstantMix, bound))
    {
        sentences.push(format!("Hindsight: {}.", less(bound)));
    }
    if !over.is_empty() {
        let of_target = |course: &&Course<'_>| {
            let part = course.sums.error() / story.page.target_error.max(1e-9);
            format!("{} ({} times the target)", course.name(), number(part, 1))
        };
        let named: Vec<String> = over.iter().map(of_target).collect();
        sentences.push(format!("More error than allowed: {}.", list(&named)));
    }
    sentences.join(" ")
}

const HOURS: usize = 24;

/// A card per policy: its mix by hour of the day, the grid's intensity first.
pub(super) fn days(story: &Story<'_>, out: &mut String) {
    let Some(first) = story.courses.first() else {
        return;
    };
    let grid = Day::of(first);
    if grid.known() < HOURS {
        return;
    }
    out.push_str("<h3>A usual day, by hour (UTC)</h3><div class=\"days\">");
    let scale = Scale::from_zero(grid.intensity());
    let (cleanest, dirtiest) = grid.extremes();
    let finding = format!(
        "{} gCO2eq/kWh at {cleanest:02}:00, {} at {dirtiest:02}:00",
        number(grid.hours[cleanest].intensity(), 0),
        number(grid.hours[dirtiest].intensity(), 0)
    );
    let path = super::path::steps(grid.intensity().map(Some), &scale, true);
    card("the grid", &finding, &[Layer::area("carbon", "intensity", path)], out);
    for course in &story.courses {
        let day = Day::of(course);
        let flavours = &course.recording.flavours;
        let share = |flavour: usize| day.hours.iter().map(move |hour| hour.share(flavour)).collect();
        let shares: Vec<Vec<Option<f64>>> = (0..flavours.len()).map(share).collect();
        let layers = Layer::stack(flavours, &shares, &Scale { low: 0.0, high: 100.0, step: 50.0 });
        let finding = format!(
            "error {} at {cleanest:02}:00, {} at {dirtiest:02}:00",
            number(day.hours[cleanest].error(), 3),
            number(day.hours[dirtiest].error(), 3)
        );
        card(course.name(), &finding, &layers, out);
    }
    out.push_str("</div>\n");
}

fn card(name: &str, finding: &str, layers: &[Layer], out: &mut String) {
    let (name, finding) = (escape(name), escape(finding));
    let width = 2 * HOURS;
    let _ = write!(
        out,
        "<figure class=\"day\"><figcaption><b>{name}</b></figcaption>\
         <svg role=\"img\" aria-label=\"A usual day, {name}: {finding}\" viewBox=\"0 0 {width} {HEIGHT}\" \
         preserveAspectRatio=\"none\">"
    );
    for layer in layers {
        layer.write(out);
    }
    let _ = writeln!(
        out,
        "<path class=\"times\" d=\"M12 0v{HEIGHT}M24 0v{HEIGHT}M36 0v{HEIGHT}\"/></svg>\
         <div class=\"hours\" aria-hidden=\"true\"><span>0</span><span>6</span><span>12</span><span>18</span>\
         <span>24</span></div><p class=\"finding\">{finding}</p></figure>"
    );
}

/// A recording by hour of the day.
struct Day {
    hours: Vec<Hour>,
}

#[derive(Clone, Default)]
struct Hour {
    intensity: f64,
    seconds: f64,
    errors: f64,
    traffic: f64,
    weights: Vec<f64>,
}

impl Day {
    fn of(course: &Course<'_>) -> Self {
        let empty = Hour { weights: vec![0.0; course.recording.flavours.len()], ..Hour::default() };
        let mut hours = vec![empty; HOURS];
        for sample in course.samples() {
            let index = usize::try_from(sample.from.as_second().rem_euclid(86_400) / 3600).unwrap_or(0);
            let hour = &mut hours[index];
            let traffic = sample.requests.max(1e-9);
            hour.intensity += sample.intensity * sample.seconds;
            hour.seconds += sample.seconds;
            hour.errors += sample.error * traffic;
            hour.traffic += traffic;
            for (weight, share) in hour.weights.iter_mut().zip(&sample.weights) {
                *weight += share * traffic;
            }
        }
        Self { hours }
    }

    fn known(&self) -> usize {
        self.hours.iter().filter(|hour| hour.seconds > 0.0).count()
    }

    fn intensity(&self) -> impl Iterator<Item = f64> {
        self.hours.iter().map(Hour::intensity)
    }

    /// The hours of lowest and of highest intensity.
    fn extremes(&self) -> (usize, usize) {
        let at =
            |one: &usize, two: &usize| self.hours[*one].intensity().total_cmp(&self.hours[*two].intensity());
        ((0..HOURS).min_by(at).unwrap_or(0), (0..HOURS).max_by(at).unwrap_or(0))
    }
}

impl Hour {
    fn intensity(&self) -> f64 {
        if self.seconds > 0.0 { self.intensity / self.seconds } else { 0.0 }
    }

    fn error(&self) -> f64 {
        if self.traffic > 0.0 { self.errors / self.traffic } else { 0.0 }
    }

    /// Percent of the traffic.
    fn share(&self, flavour: usize) -> Option<f64> {
        let whole: f64 = self.weights.iter().sum();
        (whole > 0.0).then(|| 100.0 * self.weights[flavour] / whole)
    }
}
