//! Flags and environment: what was typed, then what was meant.
//!
//! Every variable of the contract is a flag too. The numeric settings come from the table in
//! [`models::settings`], so that key, variable, default, range and help cannot disagree.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use jiff::SignedDuration;
use models::{CarbonTarget, Config, FlavourSet, Overrides, SETTINGS, ScheduleId, json, ranges};
use policies::Registry;
use providers::CounterQuery;
use providers::archive::Bounds;
use providers::counters::{DEFAULT_LABEL, DEFAULT_QUERY};
use providers::settings::{self, ProviderChain};
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use crate::carbon_args;
use crate::feedback::Counters;
use crate::forecasts::CallLimits;
use crate::kube::{self, KubernetesSettings, ReplicaSettings};
use crate::limit_args::{self, Limits};
use crate::logging::{LogFormat, level};
use crate::security::{self, SecuritySettings};
use crate::store::{Retention, StoreSettings};

/// What the process was asked to do.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_listen: SocketAddr,
    pub(crate) default_id: ScheduleId,
    /// The layer below every schedule's own configuration.
    pub(crate) defaults: Overrides,
    pub(crate) call_limits: CallLimits,
    pub(crate) carbon: ProviderChain,
    /// How much is kept of what was forecast.
    pub(crate) vintages: Bounds,
    pub(crate) anonymous_writes: bool,
    pub(crate) security: SecuritySettings,
    /// Where state lasts, if anywhere.
    pub(crate) store: Option<StoreSettings>,
    /// What is done in a cluster, if anything.
    pub(crate) kubernetes: Option<KubernetesSettings>,
    /// How it is one of several, if it is.
    pub(crate) replicas: Option<ReplicaSettings>,
    pub(crate) limits: Limits,
    /// How long everything is still served once a stop was asked for.
    pub(crate) drain: Duration,
    /// Schedules that have series of their own, at most.
    pub(crate) metrics_max_schedules: usize,
    pub(crate) workers: usize,
    pub(crate) log_level: LevelFilter,
    pub(crate) log_format: LogFormat,
    /// Whom to ask what was served, if anybody.
    pub(crate) counters: Option<Counters>,
    /// Only say whether all this could be started.
    pub(crate) check: bool,
}

const ABOUT: &str = "Carbon-aware decision engine: what share of traffic each flavour of a service gets, \
so that emissions fall when the grid is dirty while the mean error stays within budget.";

const AFTER_HELP: &str = "\
TRY IT
  engine-server --listen 127.0.0.1:8080 --carbon-provider static:250
  curl http://127.0.0.1:8080/schedule
  curl -X PUT http://127.0.0.1:8080/config/default/default -H 'Content-Type: application/json' \\
       -d '{\"strategies\": [{\"precision\": 1.0}, {\"precision\": 0.85}, {\"precision\": 0.7}]}'

Every flag can be set by its variable; a flag wins. An empty variable is as good as none.

EXIT CODES
  0  stopped by SIGTERM or SIGINT, or --check found nothing wrong
  1  could not start, or stopped by a fault
  2  a flag or variable is wrong";

/// The command line.
pub(crate) fn command() -> Command {
    let scheduler = SETTINGS.iter().map(|spec| {
        Arg::new(spec.key)
            .long(flag(spec.env))
            .env(spec.env)
            .value_name("NUMBER")
            .allow_negative_numbers(true)
            .help(format!("{}: {} [default: {}]", spec.about, spec.range, spec.default))
            .help_heading("Schedule defaults")
    });
    Command::new("engine-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER_HELP)
        .next_help_heading("Server")
        .arg(text("listen", "LISTEN", "ADDRESS:PORT", "Where the API is served").default_value("0.0.0.0:80"))
        .arg(text(
            "metrics-listen",
            "METRICS_LISTEN",
            "ADDRESS:PORT",
            "Where /metrics is served [default: 0.0.0.0:METRICS_PORT]",
        ))
        .arg(text("metrics-port", "METRICS_PORT", "PORT", "Port of /metrics").default_value("8001"))
        .arg(switch(
            "allow-anonymous-writes",
            "ALLOW_ANONYMOUS_WRITES",
            "Let anyone who reaches the API write, not loopback alone",
        ))
        .arg(text("drain-seconds", "DRAIN_SECONDS", "SECONDS", "After SIGTERM, how long everything is still served while /readyz says 503, 0 to 3600").default_value("5"))
        .arg(text("metrics-max-schedules", "METRICS_MAX_SCHEDULES", "NUMBER", "Most schedules with series of their own on /metrics").default_value("10000"))
        .arg(text("workers", "WORKERS", "NUMBER", "Threads that serve the API [default: one per core]"))
        .arg(
            text(
                "loglevel",
                "LOGLEVEL",
                "LEVEL",
                "DEBUG (one line an evaluation), INFO, WARNING, ERROR or CRITICAL, in any case",
            )
            .default_value("INFO"),
        )
        .arg(
            text("log-format", "LOG_FORMAT", "FORMAT", "Logs on stderr as text or json")
                .default_value("text"),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Say whether this configuration could be started, and exit"),
        )
        .next_help_heading("Limits")
        .args(limit_args::flags())
        .next_help_heading("Access")
        .args(security::flags())
        .next_help_heading("State")
        .args(state_flags())
        .next_help_heading("Kubernetes")
        .args(kube::flags())
        .next_help_heading("Carbon forecasts")
        .args(carbon_args::flags())
        .args(CallLimits::flags())
        .args(vintages_flags())
        .next_help_heading("Schedule defaults")
        .arg(text("default-schedule-namespace", "DEFAULT_SCHEDULE_NAMESPACE", "NAMESPACE", "Namespace behind GET /schedule").default_value("default"))
        .arg(text("default-schedule-name", "DEFAULT_SCHEDULE_NAME", "NAME", "Name behind GET /schedule").default_value("default"))
        .arg(text("scheduler-policy", "SCHEDULER_POLICY", "POLICY", "Policy of schedules that name none [default: credit-greedy]"))
        .arg(text("scheduler-strategies", "SCHEDULER_STRATEGIES", "JSON", "Flavours of schedules that list none, as a JSON array [default: precision 1.0, 0.85 and 0.7]"))
        .arg(switch("scheduler-calibrate", "SCHEDULER_CALIBRATE", "Let decisions follow the precision and energy that feedback measured, in schedules that do not say [default: false]"))
        .args(scheduler)
        .next_help_heading("Feedback")
        .arg(text("prometheus-url", "PROMETHEUS_URL", "URL", "Where Prometheus is, to be asked for the requests that were served, and for CARBON_PROMETHEUS_QUERY [default: nobody is asked]"))
        .arg(text("metrics-poll-interval-sec", "METRICS_POLL_INTERVAL_SEC", "SECONDS", "How often each schedule's are asked for, 1 to 3600, or 0 for never [default: 15]"))
        .arg(text("metrics-query", "METRICS_QUERY", "PROMQL", "What is asked; {namespace}, {schedule}, {window} (seconds) and {label} are filled in [default: the increase of router_http_requests_total by flavour in the namespace]"))
        .arg(text("metrics-flavour-label", "METRICS_FLAVOUR_LABEL", "LABEL", "Label of the answer that names the flavour").default_value(DEFAULT_LABEL))
}

fn vintages_flags() -> [Arg; 2] {
    let days = "How far back received forecasts are kept for replays, in [1, 366]";
    let mib = "Most memory they take, in MiB in [0, 65535]; an eighth of it for one target";
    [
        text("vintages-days", "VINTAGES_DAYS", "DAYS", days).default_value("60"),
        text("vintages-mib", "VINTAGES_MIB", "MIB", mib).default_value("64"),
    ]
}

pub(crate) fn state_flags() -> [Arg; 3] {
    let folder = "Folder that configurations, ledgers and what was learned are kept in, made if need be; it outlasts kill -9 and power loss [default: none, a restart forgets]";
    let days = "How far back engine-sim replay can begin, in days in [0, 366]";
    let mib = "Most disk that only replays need, in MiB in [0, 65535]";
    [
        text("state-dir", "STATE_DIR", "FOLDER", folder),
        text("journal-days", "JOURNAL_DAYS", "DAYS", days).default_value("7"),
        text("journal-mib", "JOURNAL_MIB", "MIB", mib).default_value("256"),
    ]
}

impl Settings {
    /// Whether anything outlasts the process.
    pub(crate) fn keeps_state(&self) -> bool {
        self.store.is_some() || self.replicas.is_some()
    }

    /// What was meant.
    ///
    /// # Errors
    ///
    /// Names the flag or variable, its value, and what was expected.
    pub(crate) fn read(matches: &ArgMatches) -> anyhow::Result<Self> {
        let given = Given(matches);
        let mut defaults = Overrides::default();
        for spec in &SETTINGS {
            let Some(value) = given.text(spec.key) else { continue };
            let number =
                json::number_text(value, spec.range).map_err(|wrong| given.wrong(spec.key, &wrong))?;
            defaults.set_number(spec.setting, number).map_err(|wrong| given.wrong(spec.key, &wrong))?;
        }
        if let Some(policy) = given.text("scheduler-policy") {
            Registry::builtin().create(policy, 0).map_err(|wrong| given.wrong("scheduler-policy", &wrong))?;
            defaults.policy = Some(policy.into());
        }
        let carbon = settings::chain(&given)?;
        defaults.carbon_target = given.text("carbon-api-target").map(CarbonTarget::from);
        match &defaults.carbon_target {
            Some(target) => carbon.check(target).map_err(|wrong| given.wrong("carbon-api-target", &wrong))?,
            None => {
                let national = Config::resolve(&defaults, &Overrides::default()).carbon_target().clone();
                carbon
                    .check(&national)
                    .map_err(|wrong| anyhow::anyhow!("CARBON_API_TARGET is missing: {wrong}"))?;
            }
        }
        if let Some(list) = given.text("scheduler-strategies") {
            let list: Value = serde_json::from_str(list).map_err(|wrong| {
                let problem = format!("{wrong}: expected a JSON array such as [{{\"precision\": 0.85}}]");
                given.wrong("scheduler-strategies", &problem)
            })?;
            let flavours = FlavourSet::from_json(&list, "", &mut Vec::new());
            defaults.flavours = Some(flavours.map_err(|wrong| given.wrong("scheduler-strategies", &wrong))?);
        }
        let limits = Limits::read(&given)?;
        limits.check(&defaults, "").map_err(|wrong| given.wrong("scheduler-strategies", &wrong))?;
        let metrics_port: u16 = given.parse("metrics-port", "a port from 0 to 65535")?.unwrap_or(8001);
        let log_level = given.text("loglevel").unwrap_or("INFO");
        given.url("carbon-api-url")?;
        if given.text("scheduler-calibrate").is_some() {
            defaults.calibrate = Some(given.switch("scheduler-calibrate")?);
        }
        Ok(Self {
            listen: given.parse("listen", ADDRESS)?.unwrap_or_else(|| anywhere(80)),
            metrics_listen: given.parse("metrics-listen", ADDRESS)?.unwrap_or_else(|| anywhere(metrics_port)),
            default_id: given.default_id()?,
            defaults,
            call_limits: CallLimits::read(&given)?,
            carbon,
            vintages: given.vintages()?,
            store: given.store()?,
            anonymous_writes: given.switch("allow-anonymous-writes")?,
            security: SecuritySettings::read(&given)?,
            kubernetes: KubernetesSettings::read(&given)?,
            replicas: ReplicaSettings::read(&given)?,
            limits,
            drain: Duration::from_secs(
                given.within("drain-seconds", "a whole number of seconds in [0, 3600]", 0..=3600, 5)?.into(),
            ),
            metrics_max_schedules: given.parse("metrics-max-schedules", "a whole number")?.unwrap_or(10_000),
            workers: given
                .count("workers")?
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)),
            log_level: level(log_level).map_err(|wrong| given.wrong("loglevel", &wrong))?,
            log_format: match given.text("log-format") {
                None => LogFormat::Text,
                Some(text) => text.parse().map_err(|wrong: String| given.wrong("log-format", &wrong))?,
            },
            counters: given.counters()?,
            check: matches.get_flag("check"),
        })
    }
}

const ADDRESS: &str = "an address and port such as 127.0.0.1:8080";

fn anywhere(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), port)
}

/// What was typed.
pub(crate) struct Given<'a>(pub(crate) &'a ArgMatches);

impl Given<'_> {
    /// The text of a flag or variable; empty is absent.
    pub(crate) fn text(&self, id: &str) -> Option<&str> {
        self.0.get_one::<String>(id).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    pub(crate) fn parse<T: std::str::FromStr>(&self, id: &str, expected: &str) -> anyhow::Result<Option<T>> {
        let parsed = self.text(id).map(str::parse).transpose();
        parsed.map_err(|_| self.wrong(id, &format_args!("expected {expected}")))
    }

    fn count(&self, id: &str) -> anyhow::Result<Option<usize>> {
        let count = self.parse(id, "a whole number above 0")?;
        if count == Some(0) {
            return Err(self.wrong(id, &"expected a whole number above 0"));
        }
        Ok(count)
    }

    pub(crate) fn within(
        &self,
        id: &str,
        expected: &str,
        range: RangeInclusive<u16>,
        default: u16,
    ) -> anyhow::Result<u16> {
        match self.parse(id, expected)? {
            Some(number) if !range.contains(&number) => {
                Err(self.wrong(id, &format_args!("expected {expected}")))
            }
            number => Ok(number.unwrap_or(default)),
        }
    }

    /// Where state is kept, if anywhere. How much of it is judged also where none is.
    pub(crate) fn store(&self) -> anyhow::Result<Option<StoreSettings>> {
        let days = self.within("journal-days", "a whole number of days in [0, 366]", 0..=366, 7)?;
        let mib = self.within("journal-mib", "a whole number of MiB in [0, 65535]", 0..=u16::MAX, 256)?;
        let reach = SignedDuration::from_hours(24 * i64::from(days));
        let retention = Retention { reach, bytes: u64::from(mib) << 20 };
        Ok(self.text("state-dir").map(|folder| StoreSettings { folder: folder.into(), retention }))
    }

    fn vintages(&self) -> anyhow::Result<Bounds> {
        let days = self.within("vintages-days", "a whole number of days in [1, 366]", 1..=366, 60)?;
        let expected = "a whole number of MiB in [0, 65535]";
        let bytes = usize::from(self.within("vintages-mib", expected, 0..=u16::MAX, 64)?) << 20;
        let age = SignedDuration::from_hours(24 * i64::from(days));
        Ok(Bounds { age, target_bytes: bytes / 8, bytes, ..Bounds::default() })
    }

    /// All of it is judged, also where nobody is to be asked.
    fn counters(&self) -> anyhow::Result<Option<Counters>> {
        let label = self.text("metrics-flavour-label").unwrap_or(DEFAULT_LABEL);
        let query = match (self.text("metrics-query"), CounterQuery::new(DEFAULT_QUERY, label)) {
            (_, Err(wrong)) => return Err(self.wrong("metrics-flavour-label", &wrong)),
            (None, Ok(query)) => query,
            (Some(text), Ok(_)) => {
                CounterQuery::new(text, label).map_err(|wrong| self.wrong("metrics-query", &wrong))?
            }
        };
        let interval = self.text("metrics-poll-interval-sec").unwrap_or("15").trim();
        // The server may be wanted for carbon alone.
        let never = interval.parse() == Ok(0.0);
        let interval = if never { Ok(0.0) } else { json::number_text(interval, &ranges::POLL_INTERVAL) };
        let interval = interval.map_err(|wrong| {
            self.wrong("metrics-poll-interval-sec", &format_args!("{wrong}, or 0 for never"))
        })?;
        let url = self.url("prometheus-url")?.filter(|_| !never);
        Ok(url.map(|url| Counters { url, query, interval: Duration::from_secs_f64(interval) }))
    }

    fn url(&self, id: &str) -> anyhow::Result<Option<String>> {
        Ok(settings::url(self, id)?)
    }

    /// Namespace and name are judged one by one, so that the message names the right variable.
    fn default_id(&self) -> anyhow::Result<ScheduleId> {
        let (namespace_id, name_id) = ("default-schedule-namespace", "default-schedule-name");
        let namespace = self.text(namespace_id).unwrap_or("default");
        let name = self.text(name_id).unwrap_or("default");
        ScheduleId::new(namespace, "default").map_err(|wrong| self.wrong(namespace_id, &wrong))?;
        ScheduleId::new(namespace, name).map_err(|wrong| self.wrong(name_id, &wrong))
    }

    pub(crate) fn switch(&self, id: &str) -> anyhow::Result<bool> {
        match self.text(id).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0" | "no" | "off") => Ok(false),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some(_) => Err(self.wrong(id, &"expected true or false")),
        }
    }

    /// Names the flag or the variable, whichever was given, and its value.
    pub(crate) fn wrong(&self, id: &str, problem: &dyn std::fmt::Display) -> anyhow::Error {
        let command = command();
        let arg = command.get_arguments().find(|arg| arg.get_id() == id);
        let env = arg.and_then(Arg::get_env).and_then(std::ffi::OsStr::to_str).unwrap_or(id);
        let flag = arg.and_then(Arg::get_long).unwrap_or(id);
        let value = json::excerpt(self.text(id).unwrap_or_default());
        match self.0.value_source(id) {
            Some(ValueSource::EnvVariable) => anyhow::anyhow!("{env}={value}: {problem}"),
            _ => anyhow::anyhow!("--{flag} {value}: {problem}"),
        }
    }
}

pub(crate) fn text(name: &'static str, env: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).env(env).value_name(value).help(help)
}

/// A flag that needs no value, and a variable that has one.
pub(crate) fn switch(name: &'static str, env: &'static str, help: &'static str) -> Arg {
    text(name, env, "true|false", help)
        .value_parser(value_parser!(String))
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
}

/// `--target-error` for `TARGET_ERROR`.
fn flag(env: &str) -> String {
    env.to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");

    #[test]
    fn the_document_has_a_row_of_every_variable_and_of_nothing_else() {
        let command = command();
        let variables =
            command.get_arguments().filter_map(|arg| Some((arg.get_env()?.to_str()?, arg.get_long()?)));
        // The numbers of schedules have a table of their own, and a test of it where their table is.
        let variables = variables.filter(|(variable, _)| SETTINGS.iter().all(|spec| spec.env != *variable));
        let known: BTreeSet<String> =
            variables.map(|(variable, flag)| format!("| `{variable}` | `--{flag}` |")).collect();
        let rows = CONFIGURATION.lines().filter(|line| line.starts_with("| `") && line.contains("` | `--"));
        let heads = rows.map(|row| row.split_inclusive('|').take(3).collect::<String>());
        let told: BTreeSet<String> = heads.collect();
        let lacks: Vec<_> = known.difference(&told).collect();
        let beyond: Vec<_> = told.difference(&known).collect();
        assert!(
            lacks.is_empty() && beyond.is_empty(),
            "docs/configuration.md lacks rows that begin {lacks:#?} and has rows of what is no flag: {beyond:#?}"
        );
    }
}
