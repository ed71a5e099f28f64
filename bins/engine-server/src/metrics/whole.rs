//! The series of the whole process that are looked up at a scrape: of all schedules, whether they have series of
//! their own or not, of carbon targets and providers, and of the process itself.

use std::fmt::{Display, Write as _};
use std::time::{Instant, SystemTime};

use engine::Board;
use models::{CarbonTarget, Timestamp};
use providers::{CircuitState, Limits, LinkStatus, Status};

use super::families::escape;
use super::process::{Process, unix_seconds};
use crate::forecasts::Provider;
use crate::life::Life;

/// Schedules looked at in one go: nobody who adds one waits for more.
const AT_ONCE: usize = 1_024;
const UNKNOWN: &str = "unknown";

/// Text that families are added to.
pub(super) struct Text<'a>(pub(super) &'a mut String);

impl Text<'_> {
    /// The head of a family.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        let mut before = '{';
        for (label, value) in labels {
            let _ = write!(self.0, "{before}{label}=\"");
            escape(value, self.0);
            self.0.push('"');
            before = ',';
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A gauge without labels.
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// What was built, and what the system knows of it since `started`.
    pub(super) fn process(&mut self, started: SystemTime) {
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", option_env!("GIT_REVISION").unwrap_or(UNKNOWN)),
            ("rustc", option_env!("RUSTC_VERSION").unwrap_or(UNKNOWN)),
        ];
        self.family("engine_build_info", "gauge", "What was built, from what, with what.");
        self.sample("engine_build_info", &labels, 1);
        // The same at every scrape: another one is another start.
        let start = unix_seconds(started);
        self.gauge("process_start_time_seconds", "When the process started, UNIX seconds.", start);
        let process = Process::read();
        if let Some(seconds) = process.cpu_seconds {
            let name = "process_cpu_seconds_total";
            self.family(name, "counter", "Time spent by processors, as user and as system.");
            self.sample(name, &[], seconds);
        }
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory that is resident.", process.resident_bytes),
            ("process_open_fds", "Open files and connections.", process.open_files),
            ("process_max_fds", "Most files and connections that may be open.", process.max_files),
        ] {
            if let Some(value) = value {
                self.gauge(name, help, value);
            }
        }
    }

    /// How the loop that evaluates does.
    pub(super) fn life(&mut self, life: &Life, now: Instant, wall: Timestamp) {
        // Before it serves there is no loop that could hang.
        if life.is_serving() {
            self.gauge(
                "scheduler_heartbeat_timestamp_seconds",
                "When the loop that evaluates turned last, UNIX seconds.",
                unix_seconds(SystemTime::now()) - life.idle(now).as_secs_f64(),
            );
        }
        self.gauge(
            "scheduler_evaluations_overdue_seconds",
            "How long the evaluation that waits longest has been due.",
            life.overdue(wall).as_secs_f64(),
        );
    }

    /// All schedules of the board, `exported` of which have series of their own, `most` being allowed.
    pub(super) fn schedules(&mut self, board: &Board, exported: usize, most: usize, now: Timestamp) {
        let count = Schedules::of(board, now);
        self.gauge("scheduler_schedules", "Schedules configured.", count.all);
        self.gauge("scheduler_schedules_limit", "Most schedules that may be configured.", most);
        self.gauge(
            "scheduler_schedules_expired",
            "Schedules whose validity ended before a newer one was out.",
            count.expired,
        );
        self.gauge(
            "scheduler_schedules_pending",
            "Schedules that have nothing to evaluate: every flavour is disabled.",
            count.pending,
        );
        self.gauge(
            "metrics_schedules_left_out",
            "Schedules that have no series of their own here, beyond the limit.",
            count.all.saturating_sub(exported),
        );
    }

    /// What is known of each carbon target.
    pub(super) fn targets(&mut self, targets: &[(CarbonTarget, Status)], now: Timestamp) {
        let name = "carbon_forecast_age_seconds";
        self.family(name, "gauge", "Time since the newest forecast was received.");
        for (target, age) in targets.iter().filter_map(|(target, status)| Some((target, status.age(now)?))) {
            self.sample(name, &[("target", target.as_str())], age.as_secs_f64());
        }
        let name = "carbon_forecast_end_timestamp_seconds";
        self.family(name, "gauge", "When the newest forecast ends, UNIX seconds.");
        for (target, status) in targets {
            if let Some(last) = status.latest.as_ref().and_then(|forecast| forecast.slots().last()) {
                self.sample(name, &[("target", target.as_str())], last.to.as_second());
            }
        }
        let name = "carbon_forecast_stand_in";
        self.family(name, "gauge", "1 while another provider stands in for those preferred to it.");
        for (target, status) in targets {
            self.sample(name, &[("target", target.as_str())], u8::from(status.stood_in > 0));
        }
    }

    /// How each provider does.
    pub(super) fn providers(&mut self, providers: &[Provider]) {
        for (name, kind, help, value) in PROVIDERS {
            self.family(name, kind, help);
            for provider in providers {
                self.sample(name, &[("provider", &provider.name)], value(&provider.status));
            }
        }
        let name = "carbon_provider_quota_calls";
        self.family(name, "gauge", "Most calls to a provider in any window of that length.");
        for provider in providers {
            let Limits { per_hour, per_day, .. } = provider.limits;
            for (window, calls) in [("1h", per_hour), ("24h", per_day)] {
                if let Some(calls) = calls {
                    self.sample(name, &[("provider", &provider.name), ("window", window)], calls);
                }
            }
        }
    }

    /// How large the file is that state is kept in.
    pub(super) fn file(&mut self, bytes: u64) {
        self.gauge("state_file_bytes", "Size of the file that state is kept in.", bytes);
    }
}

/// One series of each provider: name, type, help, value.
type OfProvider = (&'static str, &'static str, &'static str, fn(&LinkStatus) -> u64);

const PROVIDERS: [OfProvider; 2] = [
    (
        "carbon_provider_calls_total",
        "counter",
        "Calls to a provider, logins among them, as its quota counts them.",
        |status| status.calls,
    ),
    (
        "carbon_provider_left_alone",
        "gauge",
        "1 while a provider is not asked, since it failed again and again or asked for it.",
        |status| u64::from(matches!(status.circuit, CircuitState::Open { .. })),
    ),
];

/// How many schedules there are.
#[derive(Debug, Default, PartialEq)]
struct Schedules {
    all: usize,
    expired: usize,
    pending: usize,
}

impl Schedules {
    fn of(board: &Board, now: Timestamp) -> Self {
        let mut count = Self::default();
        let mut after = None;
        loop {
            let page = board.page(after.as_ref(), AT_ONCE);
            for (_, view) in &page {
                count.all += 1;
                match view.valid_until() {
                    Some(until) => count.expired += usize::from(until < now),
                    None => count.pending += 1,
                }
            }
            match page.into_iter().nth(AT_ONCE - 1) {
                Some((last, _)) => after = Some(last),
                None => return count,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::{Engine, EngineOptions};
    use jiff::SignedDuration;
    use models::{Overrides, ScheduleId};
    use policies::Registry;
    use serde_json::json;

    use super::*;

    #[test]
    fn all_schedules_are_counted_and_those_that_are_past_or_have_nothing_to_say() {
        let start: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
        let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
        for index in 0..=2 * AT_ONCE {
            let body = match index {
                0 => json!({"flavours": [{"precision": 1, "enabled": false}]}),
                index if index % 2 == 0 => json!({"validFor": 60}),
                _ => json!({"validFor": 3600}),
            };
            let overrides = Overrides::from_json(body.as_object().unwrap()).unwrap().overrides;
            engine.configure(&ScheduleId::new("t", &format!("s{index}")).unwrap(), overrides, start).unwrap();
        }
        for (minutes, expired) in [(0, 0), (2, AT_ONCE), (120, 2 * AT_ONCE)] {
            let now = start + SignedDuration::from_mins(minutes);
            let expected = Schedules { all: 2 * AT_ONCE + 1, expired, pending: 1 };
            assert_eq!(Schedules::of(engine.board(), now), expected, "{minutes}");
        }
    }

    #[test]
    fn labels_are_escaped_and_need_not_be() {
        let mut text = String::new();
        let mut to = Text(&mut text);
        to.sample("plain", &[], 1);
        to.sample("labelled", &[("a", "b\"c"), ("d", "e")], 0.5);
        assert_eq!(text, "plain 1\nlabelled{a=\"b\\\"c\",d=\"e\"} 0.5\n");
    }
}
