//! How often each provider may be asked, as the operator says it.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Arg;
use models::json::excerpt;
use providers::limits::{MAX_CALLS, MAX_CALLS_PER_SECOND};
use providers::{Adapter, Chain, Limits};

use crate::args::{Given, text};

/// Calls per second of each provider where nobody says: as many as the strictest of them documents.
const CALLS_PER_SECOND: u32 = 10;
const EXPECTED: &str = "expected PROVIDER=CALLS/h, PROVIDER=CALLS/d, or both joined by +, with commas between \
                        providers, as in electricity-maps=500/h+10000/d,watttime=3000/h";

/// `--carbon-rate` and `--carbon-quota`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallLimits {
    per_second: u32,
    budgets: BTreeMap<String, Limits>,
}

impl CallLimits {
    /// The flags.
    pub(crate) fn flags() -> [Arg; 2] {
        [
            text(
                "carbon-rate",
                "CARBON_RATE",
                "CALLS",
                "Most calls per second to each provider, evenly spread",
            )
            .default_value("10"),
            text(
                "carbon-quota",
                "CARBON_QUOTA",
                "QUOTAS",
                "Calls that may be made in any hour and any day, paced over them: PROVIDER=CALLS/h+CALLS/d, with commas between providers [default: as many as are wanted]",
            ),
        ]
    }

    /// What was typed.
    ///
    /// # Errors
    ///
    /// Names the flag or variable, its value, and what was expected.
    pub(crate) fn read(given: &Given<'_>) -> anyhow::Result<Self> {
        let expected = format!("a whole number from 1 to {MAX_CALLS_PER_SECOND}");
        let per_second = given.parse("carbon-rate", &expected)?.unwrap_or(CALLS_PER_SECOND);
        if !(1..=MAX_CALLS_PER_SECOND).contains(&per_second) {
            return Err(given.wrong("carbon-rate", &format_args!("expected {expected}")));
        }
        let budgets = given.text("carbon-quota").map_or_else(|| Ok(BTreeMap::new()), quotas);
        Ok(Self { per_second, budgets: budgets.map_err(|wrong| given.wrong("carbon-quota", &wrong))? })
    }

    /// The chain of these providers, each with its limits.
    ///
    /// # Errors
    ///
    /// A budget for a provider that is not among them.
    pub(crate) fn chain(&self, adapters: Vec<Arc<dyn Adapter>>) -> Result<Chain, String> {
        let names: Vec<&str> = adapters.iter().map(|adapter| adapter.name()).collect();
        if let Some(unknown) = self.budgets.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(format!(
                "CARBON_QUOTA names `{}`, which is not asked: expected one of {}",
                excerpt(unknown),
                names.join(", ")
            ));
        }
        let limits = |adapter: &Arc<dyn Adapter>| {
            let budget = self.budgets.get(adapter.name()).copied().unwrap_or_default();
            Limits { per_second: Some(self.per_second), ..budget }
        };
        Ok(Chain::with_limits(
            adapters.into_iter().map(|adapter| (Arc::clone(&adapter), limits(&adapter))).collect(),
        ))
    }
}

fn quotas(text: &str) -> Result<BTreeMap<String, Limits>, String> {
    let wrong = |part: &str| format!("`{}` is no quota: {EXPECTED}", excerpt(part));
    let mut budgets: BTreeMap<String, Limits> = BTreeMap::new();
    for part in text.split(',').map(str::trim) {
        let (name, calls) = part.split_once('=').ok_or_else(|| wrong(part))?;
        let mut limits = Limits::default();
        for one in calls.split('+').map(str::trim) {
            let (count, window) = one.split_once('/').ok_or_else(|| wrong(part))?;
            let count = count.trim().parse().ok().filter(|count| (1..=MAX_CALLS).contains(count));
            let budget = match window.trim() {
                "h" => &mut limits.per_hour,
                "d" => &mut limits.per_day,
                _ => return Err(wrong(part)),
            };
            if count.is_none() || budget.replace(count.unwrap_or_default()).is_some() {
                return Err(wrong(part));
            }
        }
        if name.trim().is_empty() || budgets.insert(name.trim().to_owned(), limits).is_some() {
            return Err(wrong(part));
        }
    }
    Ok(budgets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::CarbonIntensity;
    use providers::Fixed;

    #[test]
    fn quotas_are_read_or_the_wrong_one_is_named() {
        let read = quotas("electricity-maps=500/h+10000/d, watttime = 3000/h").unwrap();
        let limits = |per_hour, per_day| Limits { per_second: None, per_hour, per_day };
        assert_eq!(read["electricity-maps"], limits(Some(500), Some(10_000)));
        assert_eq!(read["watttime"], limits(Some(3_000), None));
        for wrong in [
            "a",
            "a=",
            "a=1",
            "a=1/m",
            "a=0/h",
            "a=-1/h",
            "=1/h",
            "a=1/h+2/h",
            "a=1/h,a=2/d",
            "a=1/h,",
            "a=1.5/h",
        ] {
            assert!(quotas(wrong).unwrap_err().contains("is no quota: expected PROVIDER=CALLS/h"), "{wrong}");
        }
    }

    #[test]
    fn a_budget_for_nobody_is_refused() {
        let adapters =
            || -> Vec<Arc<dyn Adapter>> { vec![Arc::new(Fixed::new(CarbonIntensity::new(1.0).unwrap()))] };
        let limits = |text: &str| CallLimits { per_second: 10, budgets: quotas(text).unwrap() };
        let chain = limits("static=5/h").chain(adapters()).unwrap();
        let expected = Limits { per_second: Some(10), per_hour: Some(5), per_day: None };
        assert_eq!(chain.links()[0].limits(), expected);
        assert_eq!(
            limits("watttime=5/h").chain(adapters()).unwrap_err(),
            "CARBON_QUOTA names `watttime`, which is not asked: expected one of static"
        );
    }
}
