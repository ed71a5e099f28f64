//! One row per interval and policy, to a file.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Context;

use super::{FINE, Report, rounded};
use crate::run::Row;

pub(super) fn write(report: &Report<'_>, path: &Path) -> anyhow::Result<()> {
    let name = path.display();
    let file = File::create(path).with_context(|| format!("{name}: cannot be created"))?;
    let mut rows = csv::Writer::from_writer(BufWriter::new(file));
    let cannot_write = || format!("{name}: cannot be written");
    rows.write_record(header(report)).with_context(cannot_write)?;
    for outcome in &report.study.outcomes {
        for row in &outcome.intervals {
            rows.write_record(fields(&outcome.policy, row)).with_context(cannot_write)?;
        }
    }
    rows.flush().with_context(cannot_write)
}

fn header(report: &Report<'_>) -> Vec<String> {
    let emissions = if crate::account::in_grams(&report.world.flavours.menu) {
        "emissions_g"
    } else {
        "emissions_relative"
    };
    let fixed = [
        "policy",
        "from",
        "to",
        "intensity",
        "forecast_now",
        "forecast_next",
        "credit_balance",
        "throttle",
        "requests",
        "mean_error",
        emissions,
    ];
    let flavours = &report.world.flavours.set;
    let by_flavour =
        |what: &'static str| flavours.iter().map(move |flavour| format!("{what}:{}", flavour.name));
    fixed.into_iter().map(Into::into).chain(by_flavour("share")).chain(by_flavour("requests")).collect()
}

fn fields(policy: &str, row: &Row) -> Vec<String> {
    let known = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let fine = |value| rounded(value, FINE).to_string();
    let requests: u64 = row.counts.iter().sum();
    let mut fields = vec![
        policy.to_owned(),
        row.from.to_string(),
        row.to.to_string(),
        row.intensity.to_string(),
        known(row.forecast[0]),
        known(row.forecast[1]),
        fine(row.credit_balance),
        fine(row.throttle),
        requests.to_string(),
        fine(row.mean_error),
        fine(row.emissions),
    ];
    fields.extend(row.shares.iter().map(|share| fine(*share)));
    fields.extend(row.counts.iter().map(ToString::to_string));
    fields
}
