//! The one table of numeric settings: wire key, environment variable, default, range, sentence.

use crate::ranges::{self, Range};

/// A numeric setting of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is described by its row of SETTINGS")]
#[non_exhaustive]
pub enum Setting {
    TargetError,
    CreditMin,
    CreditMax,
    CreditWindow,
    BudgetWindow,
    BudgetOverdraft,
    BudgetDailyAim,
    ValidFor,
    DiscoveryInterval,
    CarbonTimeout,
    CarbonCacheTtl,
    ThrottleMin,
    ThrottleIntensityFloor,
    ThrottleIntensityCeiling,
}

/// How many numeric settings there are.
pub(crate) const SETTING_COUNT: usize = 14;

/// One row of [`SETTINGS`].
#[derive(Debug, Clone, Copy)]
pub struct SettingSpec {
    /// Which setting.
    pub setting: Setting,
    /// Its key in a PUT.
    pub key: &'static str,
    /// The environment variable that sets its default.
    pub env: &'static str,
    /// Its value where nobody says.
    pub default: f64,
    /// What it may be.
    pub range: &'static Range,
    /// What it means, for `--help` and the reference.
    pub about: &'static str,
}

const fn row(
    setting: Setting,
    key: &'static str,
    env: &'static str,
    default: f64,
    range: &'static Range,
    about: &'static str,
) -> SettingSpec {
    SettingSpec { setting, key, env, default, range, about }
}

/// Every numeric setting, in the order of [`Setting`].
#[rustfmt::skip]
pub static SETTINGS: [SettingSpec; SETTING_COUNT] = [
    row(Setting::TargetError, "targetError", "TARGET_ERROR", 0.05, &ranges::TARGET_ERROR, "Allowed mean error"),
    row(Setting::CreditMin, "creditMin", "CREDIT_MIN", -0.5, &ranges::CREDIT_MIN, "Lower bound of the credit ledger"),
    row(Setting::CreditMax, "creditMax", "CREDIT_MAX", 0.5, &ranges::CREDIT_MAX, "Upper bound of the credit ledger"),
    row(Setting::CreditWindow, "creditWindow", "CREDIT_WINDOW", 300.0, &ranges::CREDIT_WINDOW, "Smoothing window of the credit velocity, in seconds"),
    row(Setting::BudgetWindow, "budgetWindow", "BUDGET_WINDOW", 172_800.0, &ranges::BUDGET_WINDOW, "Window of the error budget, in seconds"),
    row(Setting::BudgetOverdraft, "budgetOverdraft", "BUDGET_OVERDRAFT", 0.0, &ranges::BUDGET_OVERDRAFT, "Overdraft of the error budget, in budgets of one window"),
    row(Setting::BudgetDailyAim, "budgetDailyAim", "BUDGET_DAILY_AIM", 2.0, &ranges::BUDGET_DAILY_AIM, "Multiple of the target error aimed at in any 24 h"),
    row(Setting::ValidFor, "validFor", "SCHEDULE_VALID_FOR", 60.0, &ranges::VALID_FOR, "How long a schedule is valid, in seconds"),
    row(Setting::DiscoveryInterval, "discoveryInterval", "STRATEGY_DISCOVERY_INTERVAL", 60.0, &ranges::DISCOVERY_INTERVAL, "Pause between flavour discoveries, in seconds"),
    row(Setting::CarbonTimeout, "carbonTimeout", "CARBON_API_TIMEOUT", 2.0, &ranges::CARBON_TIMEOUT, "Patience with the carbon provider, in seconds"),
    row(Setting::CarbonCacheTtl, "carbonCacheTTL", "CARBON_API_CACHE_TTL", 300.0, &ranges::CARBON_CACHE_TTL, "Life of a fetched forecast, in seconds"),
    row(Setting::ThrottleMin, "throttleMin", "THROTTLE_MIN", 0.2, &ranges::THROTTLE_MIN, "Smallest processing throttle"),
    row(Setting::ThrottleIntensityFloor, "throttleIntensityFloor", "THROTTLE_INTENSITY_FLOOR", 150.0, &ranges::THROTTLE_INTENSITY, "Carbon intensity up to which nothing is throttled, in gCO2eq/kWh"),
    row(Setting::ThrottleIntensityCeiling, "throttleIntensityCeiling", "THROTTLE_INTENSITY_CEILING", 350.0, &ranges::THROTTLE_INTENSITY, "Carbon intensity from which throttling is complete, in gCO2eq/kWh"),
];

impl Setting {
    /// Its row of the table.
    pub fn spec(self) -> &'static SettingSpec {
        &SETTINGS[self as usize]
    }

    /// The setting with this key in a PUT.
    pub(crate) fn from_key(key: &str) -> Option<Self> {
        SETTINGS.iter().find(|spec| spec.key == key).map(|spec| spec.setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_its_defaults_are_in_range() {
        for (index, spec) in SETTINGS.iter().enumerate() {
            assert_eq!(spec.setting as usize, index, "{}", spec.key);
            assert!(spec.range.contains(spec.default), "{}", spec.key);
            assert_eq!(Setting::from_key(spec.key), Some(spec.setting));
        }
    }
}
