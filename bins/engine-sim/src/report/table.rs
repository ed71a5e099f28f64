//! For people: what was simulated, then one line per policy, within 100 columns.

use std::io::{self, Write};

use models::Setting;
use policies::EnergyBasis;

use super::text::{Paint, fixed, overspent, pad, significant, span, thousands, whole_span};
use super::{Line, Report, rounded};
use crate::account::in_grams;
use crate::args::{Reports, aims};
use crate::guarantee::Verdict;
use crate::world::World;

/// Widest line.
const COLUMNS: usize = 100;

/// How a policy is marked that spends more error than it may.
const MARK: &str = "! ";
/// And how one that breaks a promise to keep its budget.
const BROKEN_MARK: &str = "!!";

const HEADS: [[&str; COUNT]; 2] = [
    ["", "emissions", "saved vs", "saved vs", "gain", "regret", "mean", "worst", "most", "churn"],
    ["policy", "", "p100, %", "mix, %", "capt. %", "%", "error", "24 h", "overspent", "%"],
];
const COUNT: usize = 10;
const WIDTHS: [usize; COUNT] = [21, 11, 9, 9, 9, 8, 8, 7, 10, 6];

pub(super) fn write(report: &Report<'_>, color: bool, out: &mut impl Write) -> io::Result<()> {
    let paint = Paint(color);
    writeln!(out, "{}", paint.bold(&format!("engine-sim {}", report.command)))?;
    writeln!(out)?;
    for (what, text) in head(report) {
        writeln!(out, "  {}{text}", paint.dim(&format!("{what:<10}")))?;
    }
    writeln!(out)?;
    let scale = Scale::of(report);
    for heads in heads(&scale) {
        writeln!(out, "  {}", paint.bold(&columns(&heads)))?;
    }
    let rule = paint.dim(&"─".repeat(WIDTHS.iter().sum()));
    writeln!(out, "  {rule}")?;
    for line in report.lines() {
        row(report, &line, &scale, &paint, out)?;
    }
    writeln!(out, "  {rule}")?;
    for line in report.reference_lines() {
        row(report, &line, &scale, &paint, out)?;
    }
    writeln!(out)?;
    foot(report, &scale, &paint, out)
}

/// The table alone, its head first: for whoever draws it otherwise.
pub(super) fn cells(report: &Report<'_>) -> Vec<Vec<String>> {
    let scale = Scale::of(report);
    let [above, below] = heads(&scale);
    let joined = above.iter().zip(&below).map(|(above, below)| format!("{above} {below}").trim().to_owned());
    let lines = report.lines().chain(report.reference_lines());
    let rows = lines.map(|line| row_cells(report, &line, &scale).to_vec());
    std::iter::once(joined.collect()).chain(rows).collect()
}

/// What was simulated: a word and what there is to say of it; no word where it goes on.
pub(super) fn head(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let world = report.world;
    let (from, to) = world.span();
    let (mean, low, high) = intensities(world);
    let slots = world.slots.len();
    let signal = world.signal.map(|signal| format!(", {signal}")).unwrap_or_default();
    let mut said = vec![
        ("carbon", format!("{}{signal}", world.carbon)),
        ("", format!("{from} to {to}, {slots} slots of {}", span(world.step.as_secs()))),
        ("", format!("{mean:.0} gCO2eq/kWh on average, {low:.0} to {high:.0}")),
        ("forecast", world.feed.name.clone()),
    ];
    if let Some(skill) = world.feed.skill {
        let (grams, percent) = (skill.mean_error, 100.0 * skill.relative);
        let text = format!("its value for the current slot errs by {grams:.1} gCO2eq/kWh ({percent:.1} %)");
        said.push(("", text));
    }
    let requests = thousands(report.study.p100.totals.requests());
    said.push(("demand", format!("{}; {requests} requests", world.demand.name)));
    for (index, text) in flavours(world).into_iter().enumerate() {
        said.push((if index == 0 { "flavours" } else { "" }, text));
    }
    let plan = report.plan;
    let number = |setting| plan.number(setting);
    said.push((
        "engine",
        format!(
            "target error {}, evaluated every {}, {}",
            report.target_error(),
            span(plan.every.as_secs()),
            told(plan.reports),
        ),
    ));
    let aim = number(Setting::BudgetDailyAim);
    said.push((
        "",
        format!(
            "budget of {}, overdraft {}, daily aim {}; credit {} to {}",
            whole_span(number(Setting::BudgetWindow)),
            number(Setting::BudgetOverdraft),
            if aims(aim) { aim.to_string() } else { "off".to_owned() },
            number(Setting::CreditMin),
            number(Setting::CreditMax),
        ),
    ));
    let knows = if plan.ends_at.is_some() { "knows, as hindsight does," } else { "does not know" };
    said.push(("", format!("it {knows} when the simulated time ends")));
    said
}

/// How the engine comes to know what was served.
fn told(reports: Reports) -> String {
    match reports {
        Reports::Prompt => "told what was served".to_owned(),
        Reports::Late(evaluations) => format!("told what was served {evaluations} evaluations late"),
        Reports::Lost(part) => format!("told what was served but for {} % of it", rounded(100.0 * part, 3)),
        Reports::Overtaken(part) => {
            format!("told by halves what was served, {} % of the first ones late", rounded(100.0 * part, 3))
        }
        Reports::Split => "told what was served by three routers".to_owned(),
        Reports::Duplicated => "told twice what was served".to_owned(),
        Reports::None => "not told what was served".to_owned(),
    }
}

/// Name, precision and energy of each flavour, some to a line.
fn flavours(world: &World) -> Vec<String> {
    let menu = &world.flavours.menu;
    let best = menu.baseline().energy;
    let (what, digits) = match menu.energy_basis() {
        EnergyBasis::WattHours => ("precision, Wh per request", None),
        EnergyBasis::Relative => ("precision, relative energy", Some(best)),
        EnergyBasis::Precision => ("precision; energy taken to be proportional to it", Some(best)),
    };
    let energy = |energy: f64| match digits {
        Some(best) if best > 0.0 => format!("{:.3}", energy / best),
        _ => significant(energy),
    };
    let mut lines = vec![format!("{} ({what})", world.flavours.name)];
    let mut line = String::new();
    for entry in menu.entries() {
        let text = format!("{} {:.3} {}", entry.name, entry.precision, energy(entry.energy));
        if !line.is_empty() && line.chars().count() + 3 + text.chars().count() > COLUMNS - 12 {
            lines.push(std::mem::take(&mut line));
        }
        line = if line.is_empty() { text } else { format!("{line} · {text}") };
    }
    lines.push(line);
    lines
}

fn heads(scale: &Scale) -> [[String; COUNT]; 2] {
    let mut heads = HEADS.map(|heads| heads.map(str::to_owned));
    scale.unit.clone_into(&mut heads[1][1]);
    heads
}

/// One policy as text, in the order of the heads.
fn row_cells(report: &Report<'_>, line: &Line<'_>, scale: &Scale) -> [String; COUNT] {
    let totals = line.totals;
    let target = report.target_error();
    let of_target = |error: f64| if target > 0.0 { format!("{:.2}x", error / target) } else { "-".into() };
    let known = |value: Option<f64>, decimals| {
        value.map_or_else(|| "-".to_owned(), |value| fixed(100.0 * value, decimals))
    };
    [
        line.policy.to_owned(),
        scale.show(line.emissions),
        fixed(100.0 * line.saving_vs_p100, 2),
        fixed(100.0 * line.saving_vs_constant_mix, 2),
        known(line.skill, 1),
        known(line.regret, 2),
        format!("{:.4}", totals.mean_error),
        of_target(totals.worst_day_error),
        totals.worst_overspend.map_or_else(|| "-".to_owned(), overspent),
        fixed(100.0 * totals.churn, 1),
    ]
}

fn row(
    report: &Report<'_>,
    line: &Line<'_>,
    scale: &Scale,
    paint: &Paint,
    out: &mut impl Write,
) -> io::Result<()> {
    let overspent = line.totals.mean_error > report.target_error() * super::OVERSPENT;
    let broken = line.verdict == Verdict::Broken;
    let mut text = String::new();
    for (index, (cell, width)) in row_cells(report, line, scale).iter().zip(WIDTHS).enumerate() {
        let padded = pad(cell, width, index == 0);
        text.push_str(&match index {
            0 => paint.bold(&padded),
            3 | 4 if !overspent && line.saving_vs_constant_mix >= 0.000_05 => paint.green(&padded),
            3 | 4 if line.saving_vs_constant_mix <= -0.000_05 => paint.red(&padded),
            6 if overspent => paint.red(&padded),
            _ => padded,
        });
    }
    let mark = match (broken, overspent) {
        (true, _) => BROKEN_MARK,
        (false, true) => MARK,
        (false, false) => "  ",
    };
    writeln!(out, "{mark}{}", text.trim_end())
}

/// What the columns mean, in this study's numbers.
fn foot(report: &Report<'_>, scale: &Scale, paint: &Paint, out: &mut impl Write) -> io::Result<()> {
    let shown = |outcome| {
        let line = report.line(outcome);
        format!("{} {}", scale.show(line.emissions), scale.unit_in_words)
    };
    let mut say = |text: &str| writeln!(out, "  {}", paint.dim(text));
    say(&format!("p100 serves everything with the best flavour: {}.", shown(&report.study.p100)))?;
    say(&format!(
        "The constant mix spends the target error whatever the grid does: {}, error {:.4}.",
        shown(&report.study.constant_mix),
        report.study.constant_mix.totals.mean_error
    ))?;
    say("Hindsight is the least that could have been emitted: within the error budget, and with one")?;
    say("average over all of the time. Gain captured is what a policy saves against the constant mix, as")?;
    say("a part of what hindsight (budget) saves; regret is what it emits beyond that hindsight.")?;
    say("Errors are means per request; worst 24 h is that of any 24 h, in targets; most overspent is the")?;
    say("most ever spent beyond the target by then, in mean days of budget; churn is the traffic that an")?;
    say("evaluation moves between flavours. ! marks a mean error more than 0.5 % above the target:")?;
    say("what such a policy saves is bought with errors nobody allowed.")?;
    if report.study.broken().next().is_some() {
        say("!! marks a policy that broke the budget it promises to keep: a defect.")?;
    }
    if !in_grams(&report.world.flavours.menu) {
        say("Without energyWh for every flavour emissions are relative to p100, not grams.")?;
    }
    if report.command == "run" {
        served(report, out)?;
    }
    Ok(())
}

/// Who served what, for a single policy.
fn served(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    let paint_name = |name: &str| pad(name, 32, true);
    for line in report.lines() {
        writeln!(out)?;
        writeln!(out, "  {}{:>16}{:>10}", paint_name("served by"), "requests", "share")?;
        let total = line.totals.requests().max(1.0);
        for (flavour, count) in report.world.flavours.set.iter().zip(&line.totals.by_flavour) {
            let share = 100.0 * count / total;
            writeln!(out, "  {}{:>16}{share:>8.2} %", paint_name(&flavour.name), thousands(*count))?;
        }
    }
    Ok(())
}

/// The unit in which emissions are legible.
struct Scale {
    divisor: f64,
    unit: &'static str,
    unit_in_words: &'static str,
}

impl Scale {
    fn of(report: &Report<'_>) -> Self {
        if !in_grams(&report.world.flavours.menu) {
            return Self { divisor: 0.01, unit: "% of p100", unit_in_words: "%" };
        }
        match report.study.p100.totals.emissions {
            grams if grams >= 1e7 => Self { divisor: 1e6, unit: "t CO2eq", unit_in_words: "t CO2eq" },
            grams if grams >= 1e4 => Self { divisor: 1e3, unit: "kg CO2eq", unit_in_words: "kg CO2eq" },
            _ => Self { divisor: 1.0, unit: "g CO2eq", unit_in_words: "g CO2eq" },
        }
    }

    fn show(&self, emissions: f64) -> String {
        format!("{:.2}", emissions / self.divisor)
    }
}

fn columns(cells: &[String; COUNT]) -> String {
    let padded =
        cells.iter().zip(WIDTHS).enumerate().map(|(index, (cell, width))| pad(cell, width, index == 0));
    padded.collect::<String>().trim_end().to_owned()
}

/// Mean, lowest and highest intensity, gCO2eq/kWh.
pub(super) fn intensities(world: &World) -> (f64, f64, f64) {
    let values = || world.slots.iter().map(|slot| slot.intensity);
    let mean = values().sum::<f64>() / world.slots.len().max(1) as f64;
    (mean, values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max))
}
