//! Which providers to ask, and their settings, as an operator says it: once for every binary.
//!
//! What was typed comes in through [`Given`]; this crate reads neither arguments nor environment nor files.

mod provider_chain;

use core::fmt::Display;
use std::sync::Arc;

use jiff::SignedDuration;
use models::{Accounting, CarbonIntensity, Signal, json, ranges};

use crate::electricity_maps::{ELECTRICITY_MAPS_BASE_URL, ELECTRICITY_MAPS_HEADER, Granularity, Horizon};
use crate::http::check_url;
use crate::watttime::WATTTIME_BASE_URL;
use crate::{
    Adapter, CarbonAwareSdk, ConfigMap, ElectricityMaps, LegacyForecast, Prometheus, Secret,
    UkCarbonIntensity, WattTime, Zone,
};

use provider_chain::Member;
pub use provider_chain::{MixedProviders, ProviderChain};

/// Whom to ask where nobody says.
const DEFAULT_PROVIDER: &str = "uk-carbon-intensity";
/// Longest name of a header field.
const LONGEST_HEADER: usize = 64;
/// How the URL of a file begins; its path follows as it is. A [`Fetch`](crate::Fetch) that is to ask a
/// ConfigMap's file knows it.
pub const FILE: &str = "file://";

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Its name, and that of its flag without `--`.
    pub flag: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// What kind of value it has, for help.
    pub value: &'static str,
    /// Whether its value is not to be shown.
    pub hidden: bool,
    /// What it is where nobody says.
    pub default: Option<&'static str>,
    /// What it is, in words.
    pub help: &'static str,
}

/// Every setting, `carbon-provider` first.
pub const SPECS: [Spec; 26] = [
    Spec {
        flag: "carbon-provider",
        variable: "CARBON_PROVIDER",
        value: "PROVIDERS",
        hidden: false,
        default: Some(DEFAULT_PROVIDER),
        help: "Whom to ask, in order, with commas between: uk-carbon-intensity, electricity-maps, watttime, carbon-aware-sdk, configmap, prometheus, static:GRAMS (gCO2eq/kWh), or trace:FILE (repeated to cover now)",
    },
    Spec {
        flag: "carbon-api-url",
        variable: "CARBON_API_URL",
        value: "URL",
        hidden: false,
        default: None,
        help: "Where the UK's carbon API is: its paths are asked first, then URL/forecast [default: the UK's own]",
    },
    Spec {
        flag: "carbon-api-target",
        variable: "CARBON_API_TARGET",
        value: "TARGET",
        hidden: false,
        default: None,
        help: "What the first provider knows: national, region:1..17 or postcode:OUTWARD in the UK, zone:DE, region:CAISO_NORTH, location:northeurope [default: national]",
    },
    Spec {
        flag: "carbon-api-zone",
        variable: "CARBON_API_ZONE",
        value: "TARGET",
        hidden: false,
        default: None,
        help: "The one grid that URL/forecast knows, as a carbonTarget: other targets are not asked there [default: it is taken for every target]",
    },
    Spec {
        flag: "electricity-maps-token",
        variable: "ELECTRICITY_MAPS_TOKEN",
        value: "SECRET",
        hidden: true,
        default: None,
        help: "Key of Electricity Maps; the variable or a file keeps it out of the list of processes",
    },
    Spec {
        flag: "electricity-maps-token-file",
        variable: "ELECTRICITY_MAPS_TOKEN_FILE",
        value: "FILE",
        hidden: false,
        default: None,
        help: "A file with that key",
    },
    Spec {
        flag: "electricity-maps-url",
        variable: "ELECTRICITY_MAPS_URL",
        value: "URL",
        hidden: false,
        default: Some(ELECTRICITY_MAPS_BASE_URL),
        help: "Where Electricity Maps is, version included",
    },
    Spec {
        flag: "electricity-maps-header",
        variable: "ELECTRICITY_MAPS_HEADER",
        value: "NAME",
        hidden: false,
        default: Some(ELECTRICITY_MAPS_HEADER),
        help: "Header field that takes the key",
    },
    Spec {
        flag: "electricity-maps-emission-factor-type",
        variable: "ELECTRICITY_MAPS_EMISSION_FACTOR_TYPE",
        value: "TYPE",
        hidden: false,
        default: Some("lifecycle"),
        help: "Which emissions count: lifecycle or direct",
    },
    Spec {
        flag: "electricity-maps-horizon-hours",
        variable: "ELECTRICITY_MAPS_HORIZON_HOURS",
        value: "HOURS",
        hidden: false,
        default: None,
        help: "How far ahead to ask: 6, 24, 48 or 72, as the plan covers [default: what the service thinks best]",
    },
    Spec {
        flag: "electricity-maps-granularity",
        variable: "ELECTRICITY_MAPS_GRANULARITY",
        value: "LENGTH",
        hidden: false,
        default: None,
        help: "Slots to ask for: hourly, 15_minutes or 5_minutes, as the plan covers [default: what the service thinks best]",
    },
    Spec {
        flag: "watttime-username",
        variable: "WATTTIME_USERNAME",
        value: "NAME",
        hidden: true,
        default: None,
        help: "User name at WattTime",
    },
    Spec {
        flag: "watttime-password",
        variable: "WATTTIME_PASSWORD",
        value: "SECRET",
        hidden: true,
        default: None,
        help: "Password at WattTime; the variable or a file keeps it out of the list of processes",
    },
    Spec {
        flag: "watttime-password-file",
        variable: "WATTTIME_PASSWORD_FILE",
        value: "FILE",
        hidden: false,
        default: None,
        help: "A file with that password",
    },
    Spec {
        flag: "watttime-url",
        variable: "WATTTIME_URL",
        value: "URL",
        hidden: false,
        default: Some(WATTTIME_BASE_URL),
        help: "Where WattTime is",
    },
    Spec {
        flag: "carbon-aware-sdk-url",
        variable: "CARBON_AWARE_SDK_URL",
        value: "URL",
        hidden: false,
        default: None,
        help: "Where the Carbon Aware SDK's WebApi is",
    },
    Spec {
        flag: "carbon-aware-sdk-signal",
        variable: "CARBON_AWARE_SDK_SIGNAL",
        value: "SIGNAL",
        hidden: false,
        default: Some("average"),
        help: "What it tells, by the source behind it: average or marginal",
    },
    Spec {
        flag: "carbon-configmap-url",
        variable: "CARBON_CONFIGMAP_URL",
        value: "URL",
        hidden: false,
        default: None,
        help: "Where the exporter's ConfigMap is answered as JSON",
    },
    Spec {
        flag: "carbon-configmap-file",
        variable: "CARBON_CONFIGMAP_FILE",
        value: "FILE",
        hidden: false,
        default: None,
        help: "The file of that ConfigMap where it is mounted",
    },
    Spec {
        flag: "carbon-configmap-signal",
        variable: "CARBON_CONFIGMAP_SIGNAL",
        value: "SIGNAL",
        hidden: false,
        default: Some("average"),
        help: "What it tells, by the source behind it: average or marginal",
    },
    Spec {
        flag: "carbon-configmap-zone",
        variable: "CARBON_CONFIGMAP_ZONE",
        value: "TARGET",
        hidden: false,
        default: None,
        help: "The one grid that it knows, as a carbonTarget: other targets are refused [default: it is taken for every target]",
    },
    Spec {
        flag: "carbon-prometheus-query",
        variable: "CARBON_PROMETHEUS_QUERY",
        value: "PROMQL",
        hidden: false,
        default: None,
        help: "An expression in gCO2eq/kWh that gives one series",
    },
    Spec {
        flag: "prometheus-url",
        variable: "PROMETHEUS_URL",
        value: "URL",
        hidden: false,
        default: None,
        help: "The server that expression is asked at",
    },
    Spec {
        flag: "carbon-prometheus-slot",
        variable: "CARBON_PROMETHEUS_SLOT",
        value: "SECONDS",
        hidden: false,
        default: Some("1800"),
        help: "How long such a value holds, in seconds in [1, 86400]",
    },
    Spec {
        flag: "carbon-prometheus-signal",
        variable: "CARBON_PROMETHEUS_SIGNAL",
        value: "SIGNAL",
        hidden: false,
        default: Some("average"),
        help: "What it tells: average or marginal",
    },
    Spec {
        flag: "carbon-prometheus-zone",
        variable: "CARBON_PROMETHEUS_ZONE",
        value: "TARGET",
        hidden: false,
        default: None,
        help: "The one grid that the expression is of, as a carbonTarget: other targets are refused [default: it is taken for every target]",
    },
];

/// What was typed.
pub trait Given {
    /// The text of a setting by its [`Spec::flag`]; empty is absent.
    fn text(&self, flag: &str) -> Option<&str>;

    /// What is wrong with it: names the flag or the variable, whichever was given, and its value.
    fn wrong(&self, flag: &str, problem: &dyn Display) -> BadSetting;

    /// The content of a file with a key.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// A setting that is missing or wrong: which, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSetting(String);

impl BadSetting {
    /// With these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// `WATTTIME_URL` for `watttime-url`.
fn variable(flag: &str) -> String {
    flag.to_ascii_uppercase().replace('-', "_")
}

/// A URL that can be asked.
///
/// # Errors
///
/// It is none.
pub fn url(given: &dyn Given, flag: &str) -> Result<Option<String>, BadSetting> {
    let Some(url) = given.text(flag) else { return Ok(None) };
    check_url(url).map_err(|wrong| given.wrong(flag, &wrong))?;
    Ok(Some(url.to_owned()))
}

/// The chain that was meant.
///
/// # Errors
///
/// Names the flag or variable, and what was expected; never a key.
pub fn chain(given: &dyn Given) -> Result<ProviderChain, BadSetting> {
    let names = given.text("carbon-provider").unwrap_or(DEFAULT_PROVIDER);
    let mut members = Vec::new();
    for name in names.split(',').map(str::trim) {
        match NAMED.iter().find(|named| named.name == name) {
            Some(named) => members.extend((named.make)(given)?),
            None => {
                members.push(spelled_out(name).map_err(|problem| given.wrong("carbon-provider", &problem))?);
            }
        }
    }
    ProviderChain::new(members).map_err(|mixed| given.wrong("carbon-provider", &mixed))
}

/// A provider whose name is all of it.
struct Named {
    name: &'static str,
    /// What is asked, in order.
    make: fn(&dyn Given) -> Result<Vec<Member>, BadSetting>,
}

/// In the order in which help and messages list them.
static NAMED: [Named; 6] = [
    Named { name: DEFAULT_PROVIDER, make: uk },
    Named { name: "electricity-maps", make: |given| Ok(vec![ready(electricity_maps(given)?)]) },
    Named { name: "watttime", make: |given| Ok(vec![ready(watttime(given)?)]) },
    Named { name: "carbon-aware-sdk", make: |given| Ok(vec![ready(carbon_aware_sdk(given)?)]) },
    Named { name: "configmap", make: |given| Ok(vec![ready(configmap(given)?)]) },
    Named { name: "prometheus", make: |given| Ok(vec![ready(prometheus(given)?)]) },
];

/// A provider whose name goes on with what it tells.
fn spelled_out(text: &str) -> Result<Member, String> {
    match text.split_once(':') {
        Some(("static", grams)) => {
            let grams = json::number_text(grams, &ranges::INTENSITY)?;
            CarbonIntensity::new(grams).map(Member::Static).map_err(|refused| refused.to_string())
        }
        Some(("trace", file)) if !file.is_empty() => Ok(Member::Trace(file.into())),
        _ => {
            let names = NAMED.each_ref().map(|named| named.name).join(", ");
            Err(format!(
                "`{}` is not a carbon provider: expected {names}, static:GRAMS (gCO2eq/kWh) or trace:FILE, or several \
                 of them with commas between",
                json::excerpt(text)
            ))
        }
    }
}

fn ready(adapter: impl Adapter + 'static) -> Member {
    Member::Ready(Arc::new(adapter))
}

/// With a URL of the operator's own, what answers there may be the origin's legacy service too: the UK paths
/// are tried first, then `{url}/forecast`.
fn uk(given: &dyn Given) -> Result<Vec<Member>, BadSetting> {
    let Some(url) = url(given, "carbon-api-url")? else {
        return Ok(vec![ready(UkCarbonIntensity::default())]);
    };
    let legacy = LegacyForecast::new(url.clone());
    let legacy = match zone(given, "carbon-api-zone")? {
        Some(zone) => legacy.with_zone(zone),
        None => legacy,
    };
    Ok(vec![ready(UkCarbonIntensity::new(url)), ready(legacy)])
}

fn electricity_maps(given: &dyn Given) -> Result<ElectricityMaps, BadSetting> {
    let key = needed_secret(
        given,
        "electricity-maps-token",
        "electricity-maps-token-file",
        "the key of an account",
    )?;
    let header = given.text("electricity-maps-header").unwrap_or(ELECTRICITY_MAPS_HEADER);
    let sound = header.len() <= LONGEST_HEADER
        && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !sound {
        let problem = format!("expected at most {LONGEST_HEADER} letters, digits, - and _");
        return Err(given.wrong("electricity-maps-header", &problem));
    }
    let accounting = match given.text("electricity-maps-emission-factor-type") {
        None | Some("lifecycle") => Accounting::LifeCycle,
        Some("direct") => Accounting::Direct,
        Some(_) => {
            return Err(given.wrong("electricity-maps-emission-factor-type", &"expected lifecycle or direct"));
        }
    };
    let mut maps = ElectricityMaps::new(key).with_header(header).with_accounting(accounting);
    if let Some(hours) = given.text("electricity-maps-horizon-hours") {
        let horizon = Horizon::parse(hours).ok_or_else(|| {
            given.wrong("electricity-maps-horizon-hours", &"expected 6, 24, 48 or 72 hours")
        })?;
        maps = maps.with_horizon(horizon);
    }
    if let Some(length) = given.text("electricity-maps-granularity") {
        let granularity = Granularity::parse(length).ok_or_else(|| {
            given.wrong("electricity-maps-granularity", &"expected hourly, 15_minutes or 5_minutes")
        })?;
        maps = maps.with_granularity(granularity);
    }
    Ok(match url(given, "electricity-maps-url")? {
        Some(url) => maps.at(&url),
        None => maps,
    })
}

fn watttime(given: &dyn Given) -> Result<WattTime, BadSetting> {
    let user = needed(given, "watttime-username", "the user name of an account")?;
    if user.contains(':') {
        return Err(BadSetting::new("WATTTIME_USERNAME has a `:`: expected a user name without one"));
    }
    let password =
        needed_secret(given, "watttime-password", "watttime-password-file", "the password of an account")?;
    let watttime = WattTime::new(user, &password);
    Ok(match url(given, "watttime-url")? {
        Some(url) => watttime.at(&url),
        None => watttime,
    })
}

fn carbon_aware_sdk(given: &dyn Given) -> Result<CarbonAwareSdk, BadSetting> {
    needed(given, "carbon-aware-sdk-url", "the URL of its WebApi")?;
    let url = url(given, "carbon-aware-sdk-url")?.unwrap_or_default();
    Ok(CarbonAwareSdk::new(&url, signal(given, "carbon-aware-sdk-signal")?))
}

fn configmap(given: &dyn Given) -> Result<ConfigMap, BadSetting> {
    let url = match (url(given, "carbon-configmap-url")?, given.text("carbon-configmap-file")) {
        (Some(url), None) => url,
        (None, Some(path)) => format!("{FILE}{path}"),
        (None, None) => {
            return Err(missing(
                given,
                "carbon-configmap-url",
                "carbon-configmap-file",
                "where the ConfigMap is",
            ));
        }
        (Some(_), Some(_)) => return Err(both("carbon-configmap-url", "carbon-configmap-file")),
    };
    let map = ConfigMap::new(url, signal(given, "carbon-configmap-signal")?);
    Ok(match zone(given, "carbon-configmap-zone")? {
        Some(zone) => map.with_zone(zone),
        None => map,
    })
}

fn prometheus(given: &dyn Given) -> Result<Prometheus, BadSetting> {
    let query = needed(given, "carbon-prometheus-query", "a PromQL expression in gCO2eq/kWh")?;
    needed(given, "prometheus-url", "the URL of the server it is asked at")?;
    let url = url(given, "prometheus-url")?.unwrap_or_default();
    let expected = "a number of seconds in [1, 86400]";
    let slot = given.text("carbon-prometheus-slot").map_or(Ok(1_800), str::parse::<u32>);
    let slot = slot
        .ok()
        .filter(|slot| (1..=86_400).contains(slot))
        .ok_or_else(|| given.wrong("carbon-prometheus-slot", &format_args!("expected {expected}")))?;
    let signal = signal(given, "carbon-prometheus-signal")?;
    let slot = SignedDuration::from_secs(slot.into());
    let prometheus = Prometheus::new(&url, query).with_slot(slot).with_signal(signal);
    Ok(match zone(given, "carbon-prometheus-zone")? {
        Some(zone) => prometheus.with_zone(zone),
        None => prometheus,
    })
}

fn signal(given: &dyn Given, id: &str) -> Result<Signal, BadSetting> {
    match given.text(id) {
        None => Ok(Signal::Average),
        Some(word) => Signal::parse(word).ok_or_else(|| given.wrong(id, &"expected average or marginal")),
    }
}

fn zone(given: &dyn Given, id: &str) -> Result<Option<Zone>, BadSetting> {
    given.text(id).map(Zone::new).transpose().map_err(|wrong| given.wrong(id, &wrong))
}

/// What the provider cannot do without.
fn needed<'g>(given: &'g dyn Given, id: &str, what: &str) -> Result<&'g str, BadSetting> {
    given.text(id).ok_or_else(|| {
        given.wrong("carbon-provider", &format_args!("{} is missing: expected {what} there", variable(id)))
    })
}

/// A secret out of its variable, or out of its file. It is part of no message.
fn needed_secret(given: &dyn Given, id: &str, file: &str, what: &str) -> Result<Secret, BadSetting> {
    let (secret, from) = match (given.text(id), given.text(file)) {
        (Some(text), None) => (Secret::new(text), id),
        (None, Some(path)) => {
            let text = given
                .file(path)
                .map_err(|error| given.wrong(file, &format_args!("{error}: expected a file with {what}")))?;
            (Secret::new(&text), file)
        }
        (None, None) => return Err(missing(given, id, file, what)),
        (Some(_), Some(_)) => return Err(both(id, file)),
    };
    // What else a header field takes no key has; and a file may be anything.
    let sound =
        !secret.expose().is_empty() && secret.expose().bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !sound {
        let problem = format!("{}: expected {what} in printable ASCII", variable(from));
        return Err(BadSetting::new(problem));
    }
    Ok(secret)
}

fn missing(given: &dyn Given, one: &str, other: &str, what: &str) -> BadSetting {
    let (one, other) = (variable(one), variable(other));
    given.wrong(
        "carbon-provider",
        &format_args!("{one} and {other} are missing: expected {what} in one of them"),
    )
}

fn both(one: &str, other: &str) -> BadSetting {
    let (one, other) = (variable(one), variable(other));
    BadSetting::new(format!("{one} and {other} are both set: expected one of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDERS: &str = include_str!("../../../../docs/providers.md");

    #[test]
    fn help_and_document_name_every_provider() {
        let names = NAMED.each_ref().map(|named| named.name);
        let listed = names.join(", ");
        assert!(SPECS[0].help.contains(&listed), "the help of --carbon-provider should list {listed}");
        for name in names {
            let row = format!("\n| `{name}`");
            assert!(
                PROVIDERS.contains(&row),
                "docs/providers.md, section Adapters, should have a row of `{name}`"
            );
        }
    }
}
