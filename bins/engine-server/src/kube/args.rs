//! Flags of what is done in a cluster.

use std::fmt;
use std::time::Duration;

use clap::Arg;
use models::id::is_namespace;

use super::ReplicaSettings;
use crate::args::{Given, switch, text};

/// Most namespaces that are watched one by one.
const MAX_NAMESPACES: usize = 64;

/// Longest name of a group: more is added to it.
const MAX_GROUP: usize = 40;

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
pub(crate) fn flags() -> [Arg; 9] {
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
        switch("replicated", "REPLICATED", "Be one of several replicas: one leads, the others know what it knows, take over from it, and serve reads meanwhile; state is kept in the cluster"),
        text("replica-group", "REPLICA_GROUP", "NAME", "Name of the replicas' lease, and what the names of their objects begin with").default_value("engine-server"),
        text("replica-namespace", "REPLICA_NAMESPACE", "NAMESPACE", "Where those are [default: the pod's namespace, or that of KUBECONFIG]"),
        text("replica-address", "REPLICA_ADDRESS", "URL", "Where the others reach this one, e.g. http://10.1.2.3:80: what only the leader does is passed on to it, but not by https [default: where it listens, if that is one address]"),
        text("lease-seconds", "LEASE_SECONDS", "SECONDS", "How long a leader that is not heard of is waited for, 1 to 3600").default_value("10"),
        text("commit-interval-ms", "COMMIT_INTERVAL_MS", "MILLISECONDS", "Shortest time from one write of the replicas' state to the next, 0 to 2000: what waits is written together").default_value("200"),
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

impl ReplicaSettings {
    /// What was meant; `None`: this is the only one.
    ///
    /// # Errors
    ///
    /// Names the flag or variable, its value, and what was expected.
    pub(crate) fn read(given: &Given<'_>) -> anyhow::Result<Option<Self>> {
        let group = given.text("replica-group").unwrap_or_default();
        if !is_namespace(group) || group.len() > MAX_GROUP {
            let expected =
                format_args!("expected a DNS label of at most {MAX_GROUP} letters, e.g. engine-server");
            return Err(given.wrong("replica-group", &expected));
        }
        let namespace = given.text("replica-namespace").map(str::to_owned);
        if namespace.as_deref().is_some_and(|namespace| !is_namespace(namespace)) {
            return Err(given.wrong("replica-namespace", &"expected a DNS label, e.g. carbon"));
        }
        let address = given.text("replica-address").map(str::to_owned);
        if address
            .as_deref()
            .is_some_and(|address| !address.starts_with("http://") && !address.starts_with("https://"))
        {
            return Err(given.wrong("replica-address", &"expected a URL, e.g. http://10.1.2.3:80"));
        }
        let lease_seconds =
            given.within("lease-seconds", "a whole number of seconds in [1, 3600]", 1..=3_600, 10)?;
        let milliseconds = given.within(
            "commit-interval-ms",
            "a whole number of milliseconds in [0, 2000]",
            0..=2_000,
            200,
        )?;
        if !given.switch("replicated")? {
            return Ok(None);
        }
        if given.text("state-dir").is_some() {
            return Err(given.wrong(
                "state-dir",
                &"expected none with --replicated: replicas keep their state in the cluster",
            ));
        }
        Ok(Some(Self {
            group: group.to_owned(),
            namespace,
            lease_seconds: lease_seconds.into(),
            commit_interval: Duration::from_millis(milliseconds.into()),
            address,
        }))
    }
}
