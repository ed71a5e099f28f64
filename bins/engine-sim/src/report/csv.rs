//! One row per policy, and per what policies are measured against.

use std::io::Write;

use models::Setting;

use super::{FINE, GRAMS, Report, rounded};

const HEADER: [&str; 18] = [
    "policy",
    "emissions",
    "unit",
    "saving_vs_p100",
    "saving_vs_constant_mix",
    "skill",
    "regret",
    "mean_error",
    "target_error",
    "worst_24h_error",
    "worst_overspend_days",
    "budget_promise",
    "weight_churn",
    "evaluations",
    "requests",
    "forecast",
    "budget_window_seconds",
    "seed",
];

/// Policies, then what they are measured against.
pub(super) fn write(report: &Report<'_>, out: &mut impl Write) -> anyhow::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record(HEADER)?;
    for line in report.lines().chain(report.reference_lines()) {
        let fine = |value| rounded(value, FINE).to_string();
        let known = |value: Option<f64>| value.map(fine).unwrap_or_default();
        let decimals = if crate::account::in_grams(&report.world.flavours.menu) { GRAMS } else { FINE };
        rows.write_record([
            line.policy.to_owned(),
            rounded(line.emissions, decimals).to_string(),
            report.unit().to_owned(),
            fine(line.saving_vs_p100),
            fine(line.saving_vs_constant_mix),
            known(line.skill),
            known(line.regret),
            fine(line.totals.mean_error),
            report.target_error().to_string(),
            fine(line.totals.worst_day_error),
            known(line.totals.worst_overspend),
            line.verdict.word().to_owned(),
            fine(line.totals.churn),
            line.totals.evaluations.to_string(),
            line.totals.requests().round().to_string(),
            report.world.feed.mode.to_string(),
            report.plan.number(Setting::BudgetWindow).to_string(),
            report.plan.seed.to_string(),
        ])?;
    }
    Ok(rows.flush()?)
}
