//! Flags of what is done in a cluster.

use std::fmt;

use clap::Arg;
use models::id::is_namespace;

use crate::args::{Given, text};

/// Most namespaces that are watched one by one.
const MAX_NAMESPACES: usize = 64;

/// Who configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The objects and what runs beside them.
    Full,
    /// Somebody else, by PUTs; the objects' statuses are written all the same.
    StatusOnly,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::StatusOnly => "status-only",
        })
    }
}

/// What is done in a cluster.
#[derive(Debug, Clone)]
pub(crate) struct KubernetesSettings {
    pub(crate) mode: Mode,
    /// Where to look; everywhere, if this is empty.
    pub(crate) namespaces: Vec<String>,
    /// Most statuses that are written in a second.
    pub(crate) writes_per_second: u32,
}

/// The flags.
pub(crate) fn flags() -> [Arg; 3] {
    let mode = text(
        "kubernetes",
        "KUBERNETES_MODE",
        "MODE",
        "Configure schedules by the TrafficSchedules of the cluster that KUBECONFIG or the pod's service account names, with flavours by its labelled Deployments, and write their status: `full`; or write their status alone: `status-only` [default: no cluster]",
    );
    let namespaces = "Namespaces to look at, with commas between [default: all]";
    let writes = "Most statuses written in a second, 1 to 10000";
    [
        mode.num_args(0..=1).require_equals(true).default_missing_value("full"),
        text("kubernetes-namespaces", "KUBERNETES_NAMESPACES", "NAMESPACES", namespaces),
        text("kubernetes-writes-per-second", "KUBERNETES_WRITES_PER_SECOND", "NUMBER", writes)
            .default_value("100"),
    ]
}

impl KubernetesSettings {
    /// What was meant; `None`: there is no cluster.
    ///
    /// # Errors
    ///
    /// Names the flag or variable, its value, and what was expected.
    pub(crate) fn read(given: &Given<'_>) -> anyhow::Result<Option<Self>> {
        let namespaces = given.text("kubernetes-namespaces").unwrap_or_default();
        let namespaces: Vec<String> =
            namespaces.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let expected = format!("at most {MAX_NAMESPACES} DNS labels with commas between, e.g. shop,search");
        if namespaces.len() > MAX_NAMESPACES || !namespaces.iter().all(|name| is_namespace(name)) {
            return Err(given.wrong("kubernetes-namespaces", &format_args!("expected {expected}")));
        }
        let mut writes_per_second = 100;
        let expected = "a whole number in [1, 10000]";
        if let Some(number) = given.parse("kubernetes-writes-per-second", expected)? {
            if !(1..=10_000).contains(&number) {
                return Err(given.wrong("kubernetes-writes-per-second", &format_args!("expected {expected}")));
            }
            writes_per_second = number;
        }
        let mode = match given.text("kubernetes") {
            None => return Ok(None),
            Some("full") => Mode::Full,
            Some("status-only") => Mode::StatusOnly,
            Some(_) => return Err(given.wrong("kubernetes", &"expected `full` or `status-only`")),
        };
        Ok(Some(Self { mode, namespaces, writes_per_second }))
    }

    /// The namespaces that are watched; `None` is all of them.
    pub(super) fn scopes(&self) -> Vec<Option<String>> {
        if self.namespaces.is_empty() {
            vec![None]
        } else {
            self.namespaces.iter().cloned().map(Some).collect()
        }
    }

    /// For people.
    pub(super) fn where_to_look(&self) -> String {
        if self.namespaces.is_empty() { "all".into() } else { self.namespaces.join(",") }
    }
}
