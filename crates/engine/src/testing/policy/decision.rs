//! Whether a decision can be published.

use std::fmt::Display;

use models::weights::apportion;
use policies::{Decision, Situation};

use super::super::{Invariant, Violation};

/// How far shares may be from what they should sum to, and an error above its bound.
const SLACK: f64 = 1e-9;

/// Whether a decision can be published.
pub(super) fn check(
    situation: &Situation<'_>,
    decision: &Decision,
    looks_ahead: bool,
    at: &dyn Display,
) -> Result<(), Violation> {
    let wrong =
        |invariant, found: String, expected: String| Err(Violation::new(invariant, at, found, expected));
    let (shares, entries) = (&decision.shares, situation.menu.entries());
    if shares.len() != entries.len() {
        let found = format!("{} shares", shares.len());
        return wrong(
            Invariant::OneSharePerFlavour,
            found,
            format!("one for each of {} entries", entries.len()),
        );
    }
    if let Some(share) = shares.iter().find(|share| !(0.0..=1.0 + SLACK).contains(*share)) {
        let right = "each in [0, 1]; `Decision::finish` makes it so".into();
        return wrong(Invariant::SharesAreShares, format!("a share of {share}"), right);
    }
    let total: f64 = shares.iter().sum();
    if (total - 1.0).abs() > SLACK {
        let right = "1; `Decision::finish` makes it so".into();
        return wrong(Invariant::SharesSumToOne, format!("they sum to {total}"), right);
    }
    let mean: f64 = shares.iter().zip(entries).map(|(share, entry)| share * entry.precision).sum();
    if decision.avg_precision.is_nan() || (decision.avg_precision - mean).abs() > SLACK {
        let found = format!("`avg_precision` is {}", decision.avg_precision);
        let right = format!("{mean}, as `Decision::finish` sets it");
        return wrong(Invariant::SharesSumToOne, found, right);
    }
    figures(decision, at)?;
    if looks_ahead {
        guard(situation, decision, at)?;
    }
    Ok(())
}

fn figures(decision: &Decision, at: &dyn Display) -> Result<(), Violation> {
    let wrong =
        |found: String, expected: &str| Err(Violation::new(Invariant::FiguresAreFinite, at, found, expected));
    if let Some((name, value)) = decision.diagnostics.iter().find(|(_, value)| !value.is_finite()) {
        return wrong(
            format!("the diagnostic `{name}` is {value}"),
            "a finite one, as `Decision::note` sees to",
        );
    }
    let is_share = |value: &f64| (0.0..=1.0).contains(value);
    if let Some(allowance) = decision.allowance.filter(|allowance| !is_share(allowance)) {
        return wrong(format!("`allowance` is {allowance}"), "a share in [0, 1], or none");
    }
    if let Some(most) = decision.most_error.filter(|most| !is_share(most)) {
        return wrong(format!("`most_error` is {most}"), "an error in [0, 1], or none");
    }
    if let Some(plan) = decision.plan {
        let prices = plan.shadow_price.is_none_or(f64::is_finite);
        if !prices || !plan.horizon_seconds.is_finite() || !is_share(&plan.planned_error) {
            return wrong(format!("the plan is {plan:?}"), "finite figures, and an error in [0, 1]");
        }
    }
    if decision.reason.to_string().trim().is_empty() {
        return wrong("the reason is empty".into(), "a sentence, or `Reason::Unsaid`");
    }
    Ok(())
}

/// Whether the guard of the error budget is kept to, also by whole-number weights.
fn guard(situation: &Situation<'_>, decision: &Decision, at: &dyn Display) -> Result<(), Violation> {
    let Some(horizon) = situation.horizon else { return Ok(()) };
    let wrong = |found: String, expected: String| {
        Err(Violation::new(Invariant::KeepsToTheGuard, at, found, expected))
    };
    let menu = situation.menu;
    let least = menu.baseline().error;
    let credit = horizon.credit;
    let guarded = ledger::guarded_error(situation.target_error, credit, horizon.most_requests, least);
    let source = "what `ledger::guarded_error` answers";
    let error = mean_error(situation, decision.shares.iter().copied());
    if error > guarded + SLACK {
        return wrong(format!("a mean error of {error}"), format!("at most {guarded}, {source}"));
    }
    match decision.most_error {
        Some(most) if most <= guarded + SLACK => Ok(()),
        Some(most) => wrong(format!("`most_error` is {most}"), format!("at most {guarded}, {source}")),
        None => {
            // Rounded shares may err more: without a bound the engine cannot hold them below it.
            let mut percent = Vec::new();
            apportion(&decision.shares, 100, &mut percent);
            let rounded = mean_error(situation, percent.iter().map(|weight| f64::from(*weight) / 100.0));
            if rounded > guarded + SLACK {
                let found = format!("no `most_error`, and whole-percent weights that err by {rounded}");
                return wrong(found, format!("{guarded} as `most_error`, {source}"));
            }
            Ok(())
        }
    }
}

fn mean_error(situation: &Situation<'_>, shares: impl Iterator<Item = f64>) -> f64 {
    shares.zip(situation.menu.entries()).map(|(share, entry)| share * entry.error).sum()
}

/// The first thing in which two decisions differ.
pub(super) fn difference(one: &Decision, other: &Decision) -> Option<String> {
    let fields: [(&str, String, String); 7] = [
        ("shares", format!("{:?}", one.shares), format!("{:?}", other.shares)),
        ("avg_precision", one.avg_precision.to_string(), other.avg_precision.to_string()),
        ("most_error", format!("{:?}", one.most_error), format!("{:?}", other.most_error)),
        ("allowance", format!("{:?}", one.allowance), format!("{:?}", other.allowance)),
        ("plan", format!("{:?}", one.plan), format!("{:?}", other.plan)),
        ("diagnostics", format!("{:?}", one.diagnostics), format!("{:?}", other.diagnostics)),
        ("reason", format!("{:?}", one.reason), format!("{:?}", other.reason)),
    ];
    if one == other {
        return None;
    }
    let differs = fields.into_iter().find(|(_, one, other)| one != other);
    differs.map(|(name, one, other)| format!("`{name}` is {one} once and {other} then"))
}

pub(super) fn first_difference(one: &[Decision], other: &[Decision]) -> Option<String> {
    one.iter().zip(other).find_map(|(one, other)| difference(one, other))
}
