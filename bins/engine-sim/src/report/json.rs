//! Everything, once, for programs.

use std::io::Write;

use models::{Setting, Signal, Timestamp};
use policies::EnergyBasis;
use serde::{Serialize, Serializer};

use super::{FINE, GRAMS, Line, Report, rounded};
use crate::account::in_grams;
use crate::args::{End, aims};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    command: &'a str,
    world: World<'a>,
    engine: Engine,
    /// Unit of every `emissions`.
    unit: &'a str,
    baselines: Baselines<'a>,
    results: Vec<Figures<'a>>,
    notes: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct World<'a> {
    carbon: Carbon<'a>,
    forecast: Forecast<'a>,
    demand: Demand<'a>,
    flavours: Flavours<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Carbon<'a> {
    source: &'a str,
    /// Left out where the trace does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<Signal>,
    from: Timestamp,
    to: Timestamp,
    slots: usize,
    slot_seconds: i64,
    mean_intensity: f64,
    min_intensity: f64,
    max_intensity: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Forecast<'a> {
    mode: String,
    source: &'a str,
    /// Mean absolute error for the current slot, gCO2eq/kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_error: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Demand<'a> {
    source: &'a str,
    requests: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Flavours<'a> {
    source: &'a str,
    energy_basis: &'static str,
    list: Vec<Flavour<'a>>,
}

#[derive(Serialize)]
struct Flavour<'a> {
    name: &'a str,
    precision: f64,
    energy: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Engine {
    target_error: f64,
    credit_min: f64,
    credit_max: f64,
    credit_window: f64,
    budget_window_seconds: f64,
    budget_overdraft: f64,
    /// Left out where it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_daily_aim: Option<f64>,
    evaluate_every_seconds: i64,
    feedback: String,
    end: String,
    seed: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Baselines<'a> {
    p100: Figures<'a>,
    constant_mix: Figures<'a>,
    hindsight_budget: Figures<'a>,
    hindsight_average: Figures<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures<'a> {
    policy: &'a str,
    emissions: f64,
    saving_vs_p100: f64,
    saving_vs_constant_mix: f64,
    /// Gain captured, where there is any to capture.
    skill: Option<f64>,
    regret: Option<f64>,
    mean_error: f64,
    worst_24h_error: f64,
    worst_overspend_days: Option<f64>,
    budget_promise: &'static str,
    weight_churn: f64,
    evaluations: u64,
    requests: u64,
    requests_by_flavour: Counts<'a>,
}

/// Requests by flavour, in the order of the flavours.
struct Counts<'a>(Vec<(&'a str, u64)>);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

pub(super) fn write(report: &Report<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    let study = report.study;
    let document = Document {
        command: report.command,
        world: world(report),
        engine: engine(report),
        unit: report.unit(),
        baselines: Baselines {
            p100: figures(report, &report.line(&study.p100)),
            constant_mix: figures(report, &report.line(&study.constant_mix)),
            hindsight_budget: figures(report, &report.line(&study.hindsight_budget)),
            hindsight_average: figures(report, &report.line(&study.hindsight_average)),
        },
        results: report.lines().map(|line| figures(report, &line)).collect(),
        notes: report.notes(),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(out.write_all(text.as_bytes())?)
}

fn figures<'a>(report: &'a Report<'_>, line: &Line<'a>) -> Figures<'a> {
    let fine = |value| rounded(value, FINE);
    let totals = line.totals;
    let names = report.world.flavours.set.iter().map(|flavour| &*flavour.name);
    Figures {
        policy: line.policy,
        emissions: rounded(line.emissions, if in_grams(&report.world.flavours.menu) { GRAMS } else { FINE }),
        saving_vs_p100: fine(line.saving_vs_p100),
        saving_vs_constant_mix: fine(line.saving_vs_constant_mix),
        skill: line.skill.map(fine),
        regret: line.regret.map(fine),
        mean_error: fine(totals.mean_error),
        worst_24h_error: fine(totals.worst_day_error),
        worst_overspend_days: totals.worst_overspend.map(fine),
        budget_promise: line.verdict.word(),
        weight_churn: fine(totals.churn),
        evaluations: totals.evaluations,
        requests: whole(totals.requests()),
        requests_by_flavour: Counts(names.zip(totals.by_flavour.iter().copied().map(whole)).collect()),
    }
}

fn world<'a>(report: &'a Report<'_>) -> World<'a> {
    let world = report.world;
    let (from, to) = world.span();
    let menu = &world.flavours.menu;
    let (mean, low, high) = super::table::intensities(world);
    World {
        carbon: Carbon {
            source: &world.carbon,
            signal: world.signal,
            from,
            to,
            slots: world.slots.len(),
            slot_seconds: world.step.as_secs(),
            mean_intensity: rounded(mean, GRAMS),
            min_intensity: low,
            max_intensity: high,
        },
        forecast: Forecast {
            mode: world.feed.mode.to_string(),
            source: &world.feed.name,
            mean_error: world.feed.skill.map(|skill| rounded(skill.mean_error, GRAMS)),
        },
        demand: Demand { source: &world.demand.name, requests: whole(report.study.p100.totals.requests()) },
        flavours: Flavours {
            source: &world.flavours.name,
            energy_basis: match menu.energy_basis() {
                EnergyBasis::WattHours => "Wh per request",
                EnergyBasis::Relative => "relative",
                EnergyBasis::Precision => "proportional to precision",
            },
            list: menu
                .entries()
                .iter()
                .map(|entry| Flavour { name: &entry.name, precision: entry.precision, energy: entry.energy })
                .collect(),
        },
    }
}

fn engine(report: &Report<'_>) -> Engine {
    let plan = report.plan;
    Engine {
        target_error: report.target_error(),
        credit_min: plan.number(Setting::CreditMin),
        credit_max: plan.number(Setting::CreditMax),
        credit_window: plan.number(Setting::CreditWindow),
        budget_window_seconds: plan.number(Setting::BudgetWindow),
        budget_overdraft: plan.number(Setting::BudgetOverdraft),
        budget_daily_aim: Some(plan.number(Setting::BudgetDailyAim)).filter(|aim| aims(*aim)),
        evaluate_every_seconds: plan.every.as_secs(),
        feedback: plan.reports.to_string(),
        end: if plan.ends_at.is_some() { End::Known } else { End::Open }.to_string(),
        seed: plan.seed,
    }
}

/// Requests of an optimum are no whole numbers.
fn whole(requests: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
    let whole = requests.round() as u64;
    whole
}
