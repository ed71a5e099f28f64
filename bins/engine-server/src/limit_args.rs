//! How much of everything: one table, from which flags, variables, defaults, ranges, messages and the document
//! come.

use std::ops::RangeInclusive;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use clap::Arg;
use models::config::MAX_WORD;
use models::flavour::{MAX_FLAVOUR_NAME, MAX_FLAVOURS};
use models::problem::pointer;
use models::{Overrides, Problems, json};

use crate::args::{Given, text};

/// One limit.
struct Spec {
    flag: &'static str,
    variable: &'static str,
    /// What it counts, as it stands in the help.
    unit: &'static str,
    about: &'static str,
    default: u64,
    range: RangeInclusive<u64>,
    /// What becomes of what is beyond it.
    beyond: &'static str,
}

/// Most bytes of a head that the framework takes.
const LARGEST_HEAD: u64 = 128 << 10;

const SPECS: [Spec; 11] = [
    Spec {
        flag: "max-body-bytes",
        variable: "MAX_BODY_BYTES",
        unit: "BYTES",
        about: "Largest body of a request",
        default: 1 << 20,
        range: 1_024..=1 << 26,
        beyond: "413",
    },
    Spec {
        flag: "max-head-bytes",
        variable: "MAX_HEAD_BYTES",
        unit: "BYTES",
        about: "Largest head of a request: its first line and its header fields, 96 at most",
        default: 32 << 10,
        range: 1_024..=LARGEST_HEAD,
        beyond: "431, and the connection is closed",
    },
    Spec {
        flag: "max-connections",
        variable: "MAX_CONNECTIONS",
        unit: "NUMBER",
        about: "Most open connections to the API, all workers together",
        default: 16_384,
        range: 1..=1_000_000,
        beyond: "they wait, unanswered, until another one ends",
    },
    Spec {
        flag: "max-metrics-connections",
        variable: "MAX_METRICS_CONNECTIONS",
        unit: "NUMBER",
        about: "Most open connections to the metrics port",
        default: 64,
        range: 1..=10_000,
        beyond: "they wait, unanswered, until another one ends",
    },
    Spec {
        flag: "max-requests-in-flight",
        variable: "MAX_REQUESTS_IN_FLIGHT",
        unit: "NUMBER",
        about: "Most requests under way of those that can wait: writes, lists, exports",
        default: 1_024,
        range: 1..=1_000_000,
        beyond: "503 with Retry-After",
    },
    Spec {
        flag: "max-scrapes-in-flight",
        variable: "MAX_SCRAPES_IN_FLIGHT",
        unit: "NUMBER",
        about: "Most answers of /metrics under way",
        default: 4,
        range: 1..=1_000,
        beyond: "503 with Retry-After",
    },
    Spec {
        flag: "request-timeout-seconds",
        variable: "REQUEST_TIMEOUT_SECONDS",
        unit: "SECONDS",
        about: "Longest time for a request's head to arrive, and for its body",
        default: 15,
        range: 1..=3_600,
        beyond: "408, and the connection is closed",
    },
    Spec {
        flag: "keep-alive-seconds",
        variable: "KEEP_ALIVE_SECONDS",
        unit: "SECONDS",
        about: "How long a connection may be idle between requests",
        default: 75,
        range: 1..=3_600,
        beyond: "it is closed",
    },
    Spec {
        flag: "max-schedules",
        variable: "MAX_SCHEDULES",
        unit: "NUMBER",
        about: "Most schedules",
        default: 100_000,
        range: 1..=10_000_000,
        beyond: "429 with Retry-After",
    },
    Spec {
        flag: "max-flavours",
        variable: "MAX_FLAVOURS",
        unit: "NUMBER",
        about: "Most flavours of a schedule",
        default: MAX_FLAVOURS as u64,
        range: 1..=MAX_FLAVOURS as u64,
        beyond: "422",
    },
    Spec {
        flag: "max-label-length",
        variable: "MAX_LABEL_LENGTH",
        unit: "BYTES",
        about: "Longest name of a flavour or component: both are labels in metrics",
        default: MAX_FLAVOUR_NAME as u64,
        range: 1..=MAX_FLAVOUR_NAME as u64,
        beyond: "422",
    },
];

/// How much there may be of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) head_bytes: usize,
    pub(crate) connections: usize,
    pub(crate) metrics_connections: usize,
    pub(crate) requests: usize,
    pub(crate) scrapes: usize,
    /// Longest time for a head, and for a body.
    pub(crate) request_timeout: Duration,
    /// Longest pause between two requests of a connection.
    pub(crate) keep_alive: Duration,
    pub(crate) schedules: usize,
    flavours: usize,
    label_bytes: usize,
}

/// The flags, under their heading.
pub(crate) fn flags() -> impl Iterator<Item = Arg> {
    SPECS.iter().map(|Spec { flag, variable, unit, about, default, range, beyond }| {
        let help = format!("{about}, in [{}, {}]; beyond it: {beyond}", range.start(), range.end());
        text(flag, variable, unit, "").help(help).default_value(default.to_string())
    })
}

impl Limits {
    /// What was typed.
    ///
    /// # Errors
    ///
    /// Names the flag or variable, its value, and what was expected.
    pub(crate) fn read(given: &Given<'_>) -> anyhow::Result<Self> {
        let mut numbers = SPECS.map(|spec| spec.default);
        for (number, spec) in numbers.iter_mut().zip(&SPECS) {
            *number = spec.read(given)?;
        }
        Ok(Self::of(numbers))
    }

    /// As in the table.
    fn of(numbers: [u64; SPECS.len()]) -> Self {
        let [
            body_bytes,
            head_bytes,
            connections,
            metrics_connections,
            requests,
            scrapes,
            request_timeout,
            keep_alive,
            schedules,
            flavours,
            label_bytes,
        ] = numbers;
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            body_bytes: count(body_bytes),
            head_bytes: count(head_bytes),
            connections: count(connections),
            metrics_connections: count(metrics_connections),
            requests: count(requests),
            scrapes: count(scrapes),
            request_timeout: Duration::from_secs(request_timeout),
            keep_alive: Duration::from_secs(keep_alive),
            schedules: count(schedules),
            flavours: count(flavours),
            label_bytes: count(label_bytes),
        }
    }

    /// Most bytes of the body of `request`, and longest time for it to arrive.
    pub(crate) fn of_a_body(request: &HttpRequest) -> (usize, Duration) {
        let limits = request.app_data::<web::Data<Self>>();
        let limits = limits.map_or_else(Self::default, |limits| (***limits).clone());
        (limits.body_bytes, limits.request_timeout)
    }

    /// Longest time that a connection may go without a new request and without taking any of an answer: it is
    /// idle for [`Limits::keep_alive`], then a head takes [`Limits::request_timeout`].
    pub(crate) fn patience(&self) -> Duration {
        self.keep_alive + self.request_timeout
    }

    /// Whether a layer of configuration keeps to what this server allows; its flavours stand at `list`.
    ///
    /// # Errors
    ///
    /// [`Problems`] with every field that does not.
    pub(crate) fn check(&self, overrides: &Overrides, list: &str) -> Result<(), Problems> {
        let mut problems = Problems::new();
        let flavours = overrides.flavours.as_deref().unwrap_or_default();
        if flavours.len() > self.flavours {
            let (count, most) = (flavours.len(), self.flavours);
            problems.push(list, format_args!("{count} flavours: this server takes at most {most}"));
            refused("flavours");
        }
        let flavours = flavours.iter().enumerate();
        let names = flavours.map(|(index, flavour)| (pointer(&pointer(list, index), "name"), &*flavour.name));
        let components = overrides.components.iter().flat_map(|components| components.iter());
        let components = components.map(|one| (pointer("/components", &one.name), &*one.name));
        for (at, name) in names.chain(components).filter(|(_, name)| name.len() > self.label_bytes) {
            let (long, given, most) = (name.len(), json::excerpt(name), self.label_bytes);
            problems
                .push(at, format_args!("`{given}` is {long} bytes long: this server takes at most {most}"));
            refused("label_length");
        }
        problems.or(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(SPECS.map(|spec| spec.default))
    }
}

impl Spec {
    fn read(&self, given: &Given<'_>) -> anyhow::Result<u64> {
        let expected = format!("a whole number in [{}, {}]", self.range.start(), self.range.end());
        match given.parse(self.flag, &expected)? {
            None => Ok(self.default),
            Some(number) if self.range.contains(&number) => Ok(number),
            Some(_) => Err(given.wrong(self.flag, &format_args!("expected {expected}"))),
        }
    }
}

/// Counts a request that was refused, or ended, at one of the limits.
pub(crate) fn refused(limit: &'static str) {
    metrics::counter!("http_requests_refused_total", "limit" => limit).increment(1);
}

// A component's name is shorter by contract, whatever the limit.
const _: () = assert!(MAX_WORD <= MAX_FLAVOUR_NAME);

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use clap::Command;
    use engine::{MAX_EVALUATIONS_PER_TICK, MAX_SOURCES};
    use models::body::MAX_DEPTH;
    use models::config::MAX_COMPONENTS;
    use models::feedback::{MAX_COUNTED, MAX_SOURCE};
    use models::forecast::{MAX_PUBLISHED_SLOTS, MAX_SHOWN_GAPS};
    use models::id::{MAX_NAME, MAX_NAMESPACE};
    use models::problem::MAX_PROBLEMS;
    use providers::archive::{MAX_ACTUALS, MAX_TARGET_BYTES, MAX_TARGETS, MAX_VINTAGES, PAGE_BYTES};
    use serde_json::{Value, json};

    const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
    const OPERATIONS: &str = include_str!("../../../docs/operations.md");
    const API: &str = include_str!("../../../docs/api.md");
    const KUBERNETES: &str = include_str!("../../../docs/kubernetes.md");

    fn limits(arguments: &[&str]) -> Limits {
        let command = Command::new("engine-server").args(flags());
        let arguments = ["engine-server"].iter().chain(arguments);
        Limits::read(&Given(&command.get_matches_from(arguments))).unwrap()
    }

    fn overrides(body: &Value) -> Overrides {
        Overrides::from_json(body.as_object().unwrap()).unwrap().overrides
    }

    #[test]
    fn the_document_has_this_table() {
        let mut table = String::from(
            "\n| variable | flag | default | range | what | beyond it |\n|---|---|---|---|---|---|\n",
        );
        for Spec { flag, variable, about, default, range, beyond, .. } in &SPECS {
            let (least, most) = (range.start(), range.end());
            let _ = writeln!(
                table,
                "| `{variable}` | `--{flag}` | {default} | [{least}, {most}] | {about} | {beyond} |"
            );
        }
        let section = CONFIGURATION.split_once("<!-- limits -->").unwrap().1;
        let section = section.split_once("<!-- /limits -->").unwrap().0;
        assert_eq!(section, table, "docs/configuration.md, section limits, should be:\n{table}");
    }

    /// `20,000` for 20000.
    fn grouped(number: usize) -> String {
        match (number / 1_000, number % 1_000) {
            (0, few) => few.to_string(),
            (thousands, rest) => format!("{},{rest:03}", grouped(thousands)),
        }
    }

    /// What has no flag stands where it is needed, and once more in the documents.
    #[test]
    fn the_documents_have_the_other_limits() {
        let vintages =
            [grouped(MAX_VINTAGES), grouped(MAX_ACTUALS), format!("{} MiB", MAX_TARGET_BYTES >> 20)];
        for (names, value) in [
            ("`MAX_DEPTH`", grouped(MAX_DEPTH)),
            ("`MAX_FLAVOURS`, `MAX_COMPONENTS`", format!("{MAX_FLAVOURS}; {MAX_COMPONENTS}")),
            ("`MAX_COUNTED`", grouped(MAX_COUNTED)),
            ("`MAX_SOURCES`", grouped(MAX_SOURCES)),
            ("`MAX_SOURCE`", format!("{MAX_SOURCE} bytes")),
            ("`MAX_PROBLEMS`", grouped(MAX_PROBLEMS)),
            ("`MAX_EVALUATIONS_PER_TICK`", grouped(MAX_EVALUATIONS_PER_TICK)),
            ("`MAX_VINTAGES`, `MAX_ACTUALS`, `VINTAGES_MIB` / 8", vintages.join("; ")),
            ("`MAX_TARGETS`", grouped(MAX_TARGETS)),
            ("`PAGE_BYTES`", format!("{} KiB and one vintage", PAGE_BYTES >> 10)),
        ] {
            let row = format!(" | {names} | {value} | ");
            assert!(OPERATIONS.contains(&row), "docs/operations.md, section Limits, should have:{row}");
        }
        for (name, document, words) in [
            ("api.md", API, format!("a DNS label (at most {MAX_NAMESPACE} bytes)")),
            ("api.md", API, format!("a DNS subdomain (at most {MAX_NAME})")),
            ("api.md", API, format!("`[{{from, to}}]`, {MAX_SHOWN_GAPS} at most")),
            ("api.md", API, format!("the provider's slots from this one on, at most {MAX_PUBLISHED_SLOTS}")),
            ("api.md", API, format!("1 to {MAX_SOURCE} bytes without control characters")),
            ("api.md", API, format!("- {MAX_SOURCES} sources are told apart per schedule")),
            ("api.md", API, format!("in pieces of about {} KiB", PAGE_BYTES >> 10)),
            ("api.md", API, format!("or nests deeper than {MAX_DEPTH} |")),
            ("api.md", API, format!("standing for all of them ({MAX_EVALUATIONS_PER_TICK} at most)")),
            ("kubernetes.md", KUBERNETES, format!("the API has {MAX_PUBLISHED_SLOTS}.")),
        ] {
            assert!(document.contains(&words), "docs/{name} should say: {words}");
        }
    }

    #[test]
    fn what_a_schedule_has_too_many_of_or_too_long_is_named() {
        let few = limits(&["--max-flavours", "2", "--max-label-length", "7"]);
        let good = overrides(
            &json!({"flavours": [{"name": "1234567", "precision": 1}, {"name": "b", "precision": 1}],
            "components": {"router": {}}}),
        );
        assert_eq!(few.check(&good, "/flavours"), Ok(()));
        let bad = overrides(&json!({
            "flavours": [{"name": "a", "precision": 1}, {"name": "12345678", "precision": 1}, {"name": "c", "precision": 1}],
            "components": {"consumers": {}},
        }));
        let problems = few.check(&bad, "/flavours").unwrap_err();
        let problems: Vec<String> =
            problems.iter().map(|field| format!("{}: {}", field.pointer, field.problem)).collect();
        assert_eq!(
            problems,
            [
                "/flavours: 3 flavours: this server takes at most 2",
                "/flavours/1/name: `12345678` is 8 bytes long: this server takes at most 7",
                "/components/consumers: `consumers` is 9 bytes long: this server takes at most 7",
            ]
        );
        assert_eq!(limits(&[]).check(&bad, "/flavours"), Ok(()));
    }
}
