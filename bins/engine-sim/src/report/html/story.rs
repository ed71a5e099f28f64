//! Who is who on the page, and what they come to: every chart and every sentence starts here.

use crate::recording::{Recording, Sample};

use super::axis::Axis;
use super::course::Sums;
use super::page::Page;
use super::text::{number, percent, significant, whole_percent};

const P100: &str = "p100";
const CONSTANT_MIX: &str = "constant-mix";
const HINDSIGHT: &str = "hindsight";
/// Differences below this part of the emissions are rounding.
const NOTHING: f64 = 5e-5;

/// The page, understood.
pub(super) struct Story<'a> {
    pub(super) page: &'a Page,
    /// Each name once; those within the target first, and of these the one that emitted least.
    pub(super) courses: Vec<Course<'a>>,
    pub(super) axis: Axis,
    pub(super) table_axis: Axis,
}

/// One recording with its sums.
pub(super) struct Course<'a> {
    pub(super) recording: &'a Recording,
    pub(super) sums: Sums,
    pub(super) role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Policy,
    P100,
    ConstantMix,
    Hindsight,
}

impl Course<'_> {
    pub(super) fn name(&self) -> &str {
        &self.recording.policy
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.recording.samples
    }
}

impl<'a> Story<'a> {
    /// `None` where nothing was recorded.
    pub(super) fn of(page: &'a Page) -> Option<Self> {
        let mut courses: Vec<Course<'a>> = Vec::new();
        for recording in &page.recordings {
            if recording.samples.is_empty() || courses.iter().any(|course| course.name() == recording.policy)
            {
                continue;
            }
            let role = match recording.policy.as_str() {
                P100 => Role::P100,
                CONSTANT_MIX => Role::ConstantMix,
                HINDSIGHT => Role::Hindsight,
                _ => Role::Policy,
            };
            courses.push(Course { recording, sums: Sums::of(&recording.samples), role });
        }
        // Stable: equals stay in the order of the page.
        courses.sort_by(|one, two| {
            let over = |course: &Course<'_>| !within(page.target_error, &course.sums);
            over(one).cmp(&over(two)).then(one.sums.emissions.total_cmp(&two.sums.emissions))
        });
        let (axis, table_axis) = (Axis::over(&page.recordings)?, Axis::of_table(&page.recordings)?);
        Some(Self { page, courses, axis, table_axis })
    }

    pub(super) fn role(&self, role: Role) -> Option<&Course<'a>> {
        self.courses.iter().find(|course| course.role == role)
    }

    /// Whether it kept to the target, but for rounding.
    pub(super) fn holds(&self, course: &Course<'_>) -> bool {
        within(self.page.target_error, &course.sums)
    }

    /// Where the page begins: the policy that saves most within the target; without one, the first.
    pub(super) fn best(&self) -> usize {
        self.courses.iter().position(|course| course.role == Role::Policy).unwrap_or(0)
    }

    pub(super) fn saving_vs(&self, role: Role, course: &Course<'_>) -> Option<f64> {
        course.sums.saving(&self.role(role)?.sums)
    }

    /// The part of what hindsight gains over the constant mix that was gained too.
    pub(super) fn captured(&self, course: &Course<'_>) -> Option<f64> {
        let possible = self.saving_vs(Role::ConstantMix, self.role(Role::Hindsight)?)?;
        let gained = self.saving_vs(Role::ConstantMix, course)?;
        (possible > NOTHING).then(|| gained / possible)
    }

    /// Mean error, and how much of the target that is.
    pub(super) fn error_in_words(&self, course: &Course<'_>) -> String {
        let (error, target) = (course.sums.error(), self.page.target_error);
        if target > 0.0 {
            format!(
                "{}, {}\u{a0}% of the target {target}",
                number(error, 4),
                number(100.0 * error / target, 1)
            )
        } else {
            format!("{}, with a target of 0", number(error, 4))
        }
    }

    /// The figures of the page: each with what it is, and whether it is too much.
    pub(super) fn figures(&self) -> Vec<(String, String, bool)> {
        let course = &self.courses[self.best()];
        let name = course.name();
        let mut figures = Vec::new();
        let against =
            |reference: Role| self.saving_vs(reference, course).filter(|_| course.role != reference);
        let mut say = |saving: f64, reference: &str, who: &str| {
            figures.push(if saving < -NOTHING {
                (percent(-saving), format!("more emitted{who} than by {reference}"), true)
            } else {
                (percent(saving.max(0.0)), format!("saved{who} against {reference}"), false)
            });
        };
        if let Some(saving) = against(Role::ConstantMix) {
            say(saving, "a constant mix", &format!(" by {name}"));
        }
        if let Some(saving) = against(Role::P100) {
            say(saving, "the best flavour throughout", "");
        }
        if let Some(captured) = self.captured(course).filter(|_| course.role != Role::Hindsight) {
            let part = if captured < 0.0 { "none".to_owned() } else { whole_percent(captured) };
            figures.push((part, "of what hindsight saves against a constant mix".to_owned(), captured < 0.0));
        }
        let words = format!("mean error; {} is allowed", self.page.target_error);
        figures.push((number(course.sums.error(), 4), words, !self.holds(course)));
        figures
    }

    /// The page in a sentence or two.
    pub(super) fn headline(&self) -> String {
        let course = &self.courses[self.best()];
        let mut sentences = Vec::new();
        let mix = self.saving_vs(Role::ConstantMix, course).filter(|_| course.role != Role::ConstantMix);
        let p100 = self.saving_vs(Role::P100, course).filter(|_| course.role != Role::P100);
        let name = course.name();
        match (mix, p100) {
            (Some(mix), Some(p100)) => sentences.push(format!(
                "{name} emitted {} than a constant mix that spends the target error whatever the grid does, \
                 and {} than serving everything with the best flavour.",
                less(mix),
                less(p100)
            )),
            (Some(saving), None) => {
                sentences.push(format!("{name} emitted {} than a constant mix.", less(saving)));
            }
            (None, Some(saving)) => {
                sentences.push(format!("{name} emitted {} than the best flavour throughout.", less(saving)));
            }
            (None, None) => {}
        }
        let hindsight = self.role(Role::Hindsight).filter(|_| course.role != Role::Hindsight);
        if let (Some(captured), Some(hindsight)) = (self.captured(course), hindsight) {
            let possible = self.saving_vs(Role::ConstantMix, hindsight).unwrap_or_default();
            sentences.push(format!(
                "Knowing everything in advance {} was possible: it captured {}.",
                percent(possible),
                part_of_that(captured)
            ));
        }
        let verdict = if self.holds(course) { "" } else { ": more than allowed" };
        sentences.push(format!("Its mean error was {}{verdict}.", self.error_in_words(course)));
        sentences.join(" ")
    }
}

fn within(target_error: f64, sums: &Sums) -> bool {
    sums.error() <= target_error * crate::report::OVERSPENT + 1e-9
}

/// `1.93 % less`, `0.40 % more`, `as much`; reads on with "than".
pub(super) fn less(saving: f64) -> String {
    if saving < -NOTHING {
        format!("{} more", percent(-saving))
    } else {
        format!("{} less", percent(saving.max(0.0)))
    }
}

/// `71 % of that`, `none of that`.
pub(super) fn part_of_that(captured: f64) -> String {
    if captured < 0.0 { "none of that".to_owned() } else { format!("{} of that", whole_percent(captured)) }
}

/// What emissions are shown in.
pub(super) struct Unit {
    divisor: f64,
    pub(super) name: &'static str,
}

impl Unit {
    /// The one in which `largest` is legible; relative to p100 where emissions are not grams.
    pub(super) fn of(story: &Story<'_>, largest: f64) -> Self {
        if story.page.unit == "g" {
            return match largest.abs() {
                grams if grams >= 1e6 => Self { divisor: 1e6, name: "t CO2eq" },
                grams if grams >= 1e3 => Self { divisor: 1e3, name: "kg CO2eq" },
                _ => Self { divisor: 1.0, name: "g CO2eq" },
            };
        }
        let whole = story.role(Role::P100).map_or(1.0, |course| course.sums.emissions);
        Self { divisor: if whole > 0.0 { whole / 100.0 } else { 1.0 }, name: "% of p100" }
    }

    pub(super) fn value(&self, emissions: f64) -> f64 {
        emissions / self.divisor
    }

    /// `12.3 kg CO2eq`.
    pub(super) fn show(&self, emissions: f64) -> String {
        format!("{}\u{a0}{}", significant(self.value(emissions)), self.name)
    }
}
