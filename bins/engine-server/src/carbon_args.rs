//! Flags and environment of the carbon providers: what was typed, then the chain that was meant.

use std::sync::Arc;

use clap::Arg;
use jiff::SignedDuration;
use models::{Accounting, Signal};
use providers::electricity_maps::{ELECTRICITY_MAPS_BASE_URL, ELECTRICITY_MAPS_HEADER};
use providers::uk::UK_BASE_URL;
use providers::watttime::WATTTIME_BASE_URL;
use providers::{
    Adapter, CarbonAwareSdk, ConfigMap, ElectricityMaps, LegacyForecast, Prometheus, Secret,
    UkCarbonIntensity, WattTime,
};

use crate::args::{Given, text, variable};
use crate::forecasts::{CarbonChain, CarbonSource, FILE, Member};

/// Longest name of a header field.
const LONGEST_HEADER: usize = 64;

/// The flags, under their heading.
pub(crate) fn flags() -> Vec<Arg> {
    let secret = |name, env, help| text(name, env, "SECRET", help).hide_env_values(true);
    vec![
        text("carbon-provider", "CARBON_PROVIDER", "PROVIDERS", "Whom to ask, in order, with commas between: uk-carbon-intensity, electricity-maps, watttime, carbon-aware-sdk, configmap, prometheus, static:GRAMS (gCO2eq/kWh), or trace:FILE (repeated to cover now)")
            .default_value("uk-carbon-intensity"),
        text("carbon-api-url", "CARBON_API_URL", "URL", "Where the UK's carbon API is: its paths are asked first, then URL/forecast [default: the UK's own]"),
        text("carbon-api-target", "CARBON_API_TARGET", "TARGET", "What the first provider knows: national, region:1..17 or postcode:OUTWARD in the UK, zone:DE, region:CAISO_NORTH, location:northeurope [default: national]"),
        secret("electricity-maps-token", "ELECTRICITY_MAPS_TOKEN", "Key of Electricity Maps; the variable or a file keeps it out of the list of processes"),
        text("electricity-maps-token-file", "ELECTRICITY_MAPS_TOKEN_FILE", "FILE", "A file with that key"),
        text("electricity-maps-url", "ELECTRICITY_MAPS_URL", "URL", "Where Electricity Maps is, version included").default_value(ELECTRICITY_MAPS_BASE_URL),
        text("electricity-maps-header", "ELECTRICITY_MAPS_HEADER", "NAME", "Header field that takes the key").default_value(ELECTRICITY_MAPS_HEADER),
        text("electricity-maps-emission-factor-type", "ELECTRICITY_MAPS_EMISSION_FACTOR_TYPE", "TYPE", "Which emissions count: lifecycle or direct").default_value("lifecycle"),
        text("watttime-username", "WATTTIME_USERNAME", "NAME", "User name at WattTime").hide_env_values(true),
        secret("watttime-password", "WATTTIME_PASSWORD", "Password at WattTime; the variable or a file keeps it out of the list of processes"),
        text("watttime-password-file", "WATTTIME_PASSWORD_FILE", "FILE", "A file with that password"),
        text("watttime-url", "WATTTIME_URL", "URL", "Where WattTime is").default_value(WATTTIME_BASE_URL),
        text("carbon-aware-sdk-url", "CARBON_AWARE_SDK_URL", "URL", "Where the Carbon Aware SDK's WebApi is"),
        text("carbon-aware-sdk-signal", "CARBON_AWARE_SDK_SIGNAL", "SIGNAL", "What it tells, by the source behind it: average or marginal").default_value("average"),
        text("carbon-configmap-url", "CARBON_CONFIGMAP_URL", "URL", "Where the exporter's ConfigMap is answered as JSON"),
        text("carbon-configmap-file", "CARBON_CONFIGMAP_FILE", "FILE", "The file of that ConfigMap where it is mounted"),
        text("carbon-configmap-signal", "CARBON_CONFIGMAP_SIGNAL", "SIGNAL", "What it tells, by the source behind it: average or marginal").default_value("average"),
        text("carbon-prometheus-query", "CARBON_PROMETHEUS_QUERY", "PROMQL", "An expression in gCO2eq/kWh that gives one series"),
        text("carbon-prometheus-slot", "CARBON_PROMETHEUS_SLOT", "SECONDS", "How long such a value holds, in seconds in [1, 86400]").default_value("1800"),
        text("carbon-prometheus-signal", "CARBON_PROMETHEUS_SIGNAL", "SIGNAL", "What it tells: average or marginal").default_value("average"),
    ]
}

/// The chain that was meant.
///
/// # Errors
///
/// Names the flag or variable, and what was expected; never a key.
pub(crate) fn chain(given: &Given<'_>) -> anyhow::Result<CarbonChain> {
    let wrong = |problem: String| given.wrong("carbon-provider", &problem);
    let names = given.text("carbon-provider").unwrap_or("uk-carbon-intensity");
    let mut members = Vec::new();
    for name in names.split(',') {
        let source: CarbonSource = name.trim().parse().map_err(wrong)?;
        match source {
            CarbonSource::Uk => uk(given, &mut members)?,
            CarbonSource::ElectricityMaps => members.push(ready(electricity_maps(given)?)),
            CarbonSource::WattTime => members.push(ready(watttime(given)?)),
            CarbonSource::CarbonAwareSdk => members.push(ready(carbon_aware_sdk(given)?)),
            CarbonSource::ConfigMap => members.push(ready(configmap(given)?)),
            CarbonSource::Prometheus => members.push(ready(prometheus(given)?)),
            CarbonSource::Static(intensity) => members.push(Member::Static(intensity)),
            CarbonSource::Trace(path) => members.push(Member::Trace(path)),
        }
    }
    CarbonChain::new(members).map_err(wrong)
}

fn ready(adapter: impl Adapter + 'static) -> Member {
    Member::Ready(Arc::new(adapter))
}

/// With a URL of the operator's own, what answers there may be the origin's legacy service too: the UK paths
/// are tried first, then `{url}/forecast`.
fn uk(given: &Given<'_>, members: &mut Vec<Member>) -> anyhow::Result<()> {
    let Some(url) = given.url("carbon-api-url")? else {
        members.push(ready(UkCarbonIntensity::new(UK_BASE_URL)));
        return Ok(());
    };
    members.push(ready(UkCarbonIntensity::new(url.clone())));
    members.push(ready(LegacyForecast::new(url)));
    Ok(())
}

fn electricity_maps(given: &Given<'_>) -> anyhow::Result<ElectricityMaps> {
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
    let maps = ElectricityMaps::new(key).with_header(header).with_accounting(accounting);
    Ok(match given.url("electricity-maps-url")? {
        Some(url) => maps.at(&url),
        None => maps,
    })
}

fn watttime(given: &Given<'_>) -> anyhow::Result<WattTime> {
    let user = needed(given, "watttime-username", "the user name of an account")?;
    if user.contains(':') {
        anyhow::bail!("WATTTIME_USERNAME has a `:`: expected a user name without one");
    }
    let password =
        needed_secret(given, "watttime-password", "watttime-password-file", "the password of an account")?;
    let watttime = WattTime::new(user, &password);
    Ok(match given.url("watttime-url")? {
        Some(url) => watttime.at(&url),
        None => watttime,
    })
}

fn carbon_aware_sdk(given: &Given<'_>) -> anyhow::Result<CarbonAwareSdk> {
    needed(given, "carbon-aware-sdk-url", "the URL of its WebApi")?;
    let url = given.url("carbon-aware-sdk-url")?.unwrap_or_default();
    Ok(CarbonAwareSdk::new(&url, signal(given, "carbon-aware-sdk-signal")?))
}

fn configmap(given: &Given<'_>) -> anyhow::Result<ConfigMap> {
    let url = match (given.url("carbon-configmap-url")?, given.text("carbon-configmap-file")) {
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
    Ok(ConfigMap::new(url, signal(given, "carbon-configmap-signal")?))
}

fn prometheus(given: &Given<'_>) -> anyhow::Result<Prometheus> {
    let query = needed(given, "carbon-prometheus-query", "a PromQL expression in gCO2eq/kWh")?;
    needed(given, "prometheus-url", "the URL of the server it is asked at")?;
    let url = given.url("prometheus-url")?.unwrap_or_default();
    let expected = "a number of seconds in [1, 86400]";
    let slot: u32 = given.parse("carbon-prometheus-slot", expected)?.unwrap_or(1_800);
    if !(1..=86_400).contains(&slot) {
        return Err(given.wrong("carbon-prometheus-slot", &format_args!("expected {expected}")));
    }
    let signal = signal(given, "carbon-prometheus-signal")?;
    Ok(Prometheus::new(&url, query).with_slot(SignedDuration::from_secs(slot.into())).with_signal(signal))
}

fn signal(given: &Given<'_>, id: &str) -> anyhow::Result<Signal> {
    match given.text(id) {
        None => Ok(Signal::Average),
        Some(word) => Signal::parse(word).ok_or_else(|| given.wrong(id, &"expected average or marginal")),
    }
}

/// What the provider cannot do without.
fn needed<'g>(given: &'g Given<'_>, id: &str, what: &str) -> anyhow::Result<&'g str> {
    given.text(id).ok_or_else(|| {
        given.wrong("carbon-provider", &format_args!("{} is missing: expected {what} there", variable(id)))
    })
}

/// A secret out of its variable, or out of its file. It is part of no message.
fn needed_secret(given: &Given<'_>, id: &str, file: &str, what: &str) -> anyhow::Result<Secret> {
    let (secret, from) = match (given.text(id), given.text(file)) {
        (Some(text), None) => (Secret::new(text), id),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
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
        anyhow::bail!("{}: expected {what} in printable ASCII", variable(from));
    }
    Ok(secret)
}

fn missing(given: &Given<'_>, one: &str, other: &str, what: &str) -> anyhow::Error {
    let (one, other) = (variable(one), variable(other));
    given.wrong(
        "carbon-provider",
        &format_args!("{one} and {other} are missing: expected {what} in one of them"),
    )
}

fn both(one: &str, other: &str) -> anyhow::Error {
    anyhow::anyhow!("{} and {} are both set: expected one of them", variable(one), variable(other))
}
