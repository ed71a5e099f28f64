//! What came of it, for people, programs and spreadsheets.

mod csv;
pub(crate) mod html;
mod json;
mod page;
mod table;
pub(crate) mod text;
mod timeseries;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use models::Setting;

use crate::account::{Totals, in_grams};
use crate::args::{Color, Format};
use crate::guarantee::Verdict;
use crate::plan::Plan;
use crate::run::Outcome;
use crate::study::Study;
use crate::world::World;

/// A mean error above this multiple of the target is marked: less may be rounding.
pub(crate) const OVERSPENT: f64 = 1.005;

/// One study and what it was made of.
pub(crate) struct Report<'a> {
    pub(crate) command: &'static str,
    pub(crate) world: &'a World,
    pub(crate) plan: &'a Plan,
    pub(crate) study: &'a Study,
}

/// One policy as it is reported.
struct Line<'a> {
    policy: &'a str,
    totals: &'a Totals,
    /// Grams, or relative to p100.
    emissions: f64,
    saving_vs_p100: f64,
    saving_vs_constant_mix: f64,
    /// What is emitted beyond the optimum under the budget, as a part of it.
    regret: Option<f64>,
    /// Gain captured: the saving against the constant mix, as a part of that optimum's.
    skill: Option<f64>,
    verdict: Verdict,
}

impl Report<'_> {
    /// Writes the report alone.
    pub(crate) fn write(&self, format: Format, color: Color, out: &mut impl Write) -> anyhow::Result<()> {
        match format {
            Format::Table => table::write(self, wants_color(color), out)?,
            Format::Json => json::write(self, out)?,
            Format::Csv => csv::write(self, out)?,
        }
        Ok(out.flush()?)
    }

    /// Writes every interval of every policy to a file.
    pub(crate) fn write_timeseries(&self, path: &Path) -> anyhow::Result<()> {
        timeseries::write(self, path)
    }

    /// Writes what a reader of the results should know.
    pub(crate) fn say_notes(&self, out: &mut impl Write) -> io::Result<()> {
        self.notes().iter().try_for_each(|note| writeln!(out, "note: {note}"))
    }

    /// What was odd about the inputs and what the engine warned of, each once.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.world.notes.clone();
        for outcome in &self.study.outcomes {
            for warning in &outcome.warnings {
                // Said of the flavours already.
                if !notes.iter().any(|note| note.ends_with(warning.as_str())) {
                    notes.push(format!("{}: {warning}", outcome.policy));
                }
            }
        }
        for policy in self.study.broken() {
            notes.push(format!(
                "{policy}: broke the error budget it promises to keep: a defect, please report it"
            ));
        }
        notes
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.study.outcomes.iter().map(|outcome| self.line(outcome))
    }

    /// What policies are measured against, as far as it is not among them.
    fn reference_lines(&self) -> impl Iterator<Item = Line<'_>> {
        let asked = |name: &str| self.study.outcomes.iter().any(|outcome| outcome.policy == name);
        let references = self.study.references().into_iter();
        references.filter(move |reference| !asked(&reference.policy)).map(|reference| self.line(reference))
    }

    fn line<'t>(&self, outcome: &'t Outcome) -> Line<'t> {
        let totals = &outcome.totals;
        Line {
            policy: &outcome.policy,
            totals,
            emissions: self.emissions(totals),
            saving_vs_p100: saving(totals, &self.study.p100.totals),
            saving_vs_constant_mix: saving(totals, &self.study.constant_mix.totals),
            regret: self.study.regret(totals),
            skill: self.study.skill(totals),
            verdict: outcome.verdict,
        }
    }

    /// Grams where energies are Wh, otherwise relative to the best flavour throughout.
    fn emissions(&self, totals: &Totals) -> f64 {
        let reference = self.study.p100.totals.emissions;
        if in_grams(&self.world.flavours.menu) {
            totals.emissions
        } else if reference > 0.0 {
            totals.emissions / reference
        } else {
            0.0
        }
    }

    /// What [`Self::emissions`] is counted in.
    fn unit(&self) -> &'static str {
        if in_grams(&self.world.flavours.menu) { "gCO2eq" } else { "relative to p100" }
    }

    fn target_error(&self) -> f64 {
        self.plan.number(Setting::TargetError)
    }
}

/// The part of `reference`'s emissions that is saved; negative where more is emitted.
fn saving(totals: &Totals, reference: &Totals) -> f64 {
    if reference.emissions > 0.0 { 1.0 - totals.emissions / reference.emissions } else { 0.0 }
}

/// Whether to write colour.
pub(crate) fn wants_color(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            io::stdout().is_terminal() && !refused
        }
    }
}

/// A number for machines: as many decimals as mean something, so that reports can be compared as text.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    let rounded = (value * scale).round() / scale;
    // No reader should have to tell -0 from 0.
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// Decimals of errors, savings and churn.
pub(crate) const FINE: i32 = 6;
/// Decimals of grams.
pub(crate) const GRAMS: i32 = 3;
