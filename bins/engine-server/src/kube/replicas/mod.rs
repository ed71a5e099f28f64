//! Several replicas of one engine: one leads, the others know what it knows and wait.
//!
//! ```text
//! leader:    inputs ──> Keeper ──commit──> Journal ──> objects of the cluster, named by the head
//!                                                          │
//! follower:  Engine <──apply── the same records <──────────┘ ; and looks at the lease
//! ```
//!
//! Who leads is decided by a lease ([`lease`]); that only one writes, whatever clocks and networks do, by the head
//! ([`head`]). A follower acts upon the records that the leader wrote, so it serves the same bytes, and goes on where
//! the leader ended. A leader that finds another one has begun ends its process: its successor follows.

mod elect;
mod follow;
mod head;
mod journal;
mod leading;
mod lease;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::security::Security;
use crate::state::State;
use elect::Election;
use journal::Objects;
use leading::Leading;
use lease::Terms;

/// What several replicas have in common.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaSettings {
    /// Name of the lease, and beginning of the names of all objects.
    pub(crate) group: String,
    /// Where they are; the own namespace, if this is empty.
    pub(crate) namespace: Option<String>,
    pub(crate) lease_seconds: u32,
    /// Shortest time from one write to the next.
    pub(crate) commit_interval: Duration,
    /// Where this replica is reached by the others.
    pub(crate) address: Option<String>,
}

impl ReplicaSettings {
    /// The same, reached where it listens if nobody says otherwise, and if that is one address without certificates.
    pub(crate) fn reached_at(mut self, listens: SocketAddr, security: &Security) -> Self {
        if self.address.is_none() && !listens.ip().is_unspecified() && security.tls.is_none() {
            self.address = Some(format!("http://{listens}"));
        }
        self
    }
}

/// What a replica is by now.
#[derive(Default)]
pub(crate) struct Replica {
    pub(super) leading: Arc<Leading>,
    /// Whether it decides and writes.
    leads: AtomicBool,
    /// Whether it knows what the leader knows.
    follows: AtomicBool,
    /// How long it waits for the others to be heard of.
    patience: Duration,
    /// When the others were heard of last.
    heard: Mutex<Option<Instant>>,
    /// Whether it has decided for itself: then it has to forget that.
    strayed: AtomicBool,
    /// Who leads, and where that one is reached.
    leader: Mutex<Option<String>>,
    /// The lease is to be given back.
    resigns: Notify,
    resigned: Notify,
}

impl Replica {
    /// One of those.
    pub(crate) fn of(settings: &ReplicaSettings) -> Self {
        let terms = Terms::lasting(settings.lease_seconds);
        Self { patience: terms.lasts + terms.retry, ..Self::default() }
    }

    /// Whether this one decides.
    pub(crate) fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    /// Whether this one knows what the leader wrote.
    pub(crate) fn follows(&self) -> bool {
        self.follows.load(Ordering::Acquire)
    }

    /// Where the leader is reached, if that is known and somewhere else.
    pub(crate) fn leader(&self) -> Option<String> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|_| !self.leads())
    }

    /// Whether whoever follows is to decide for itself: it knows what there was, and has heard of nobody since.
    pub(crate) fn strays(&self) -> bool {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alone = self.follows.load(Ordering::Acquire)
            && heard.is_some_and(|heard| heard.elapsed() > self.patience);
        if is_alone && !self.strayed.swap(true, Ordering::AcqRel) {
            tracing::warn!(target: "engine_server::kube", "nothing is heard of the other replicas: this one goes on for itself, unrecorded");
        }
        is_alone
    }

    fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Gives the lease back, if this one has it: what it decided is written by then.
    pub(crate) async fn resign(&self) {
        if self.leading.is_held() {
            self.resigns.notify_one();
            let _ = tokio::time::timeout(Duration::from_secs(5), self.resigned.notified()).await;
        }
    }
}

/// What is to be done once this replica leads; on a thread that may wait.
pub(crate) type Lead =
    Box<dyn FnOnce(crate::store::Keeper, engine::journal::Input) -> anyhow::Result<()> + Send>;

/// Begins to follow, and to lead when it is time, on a thread of its own.
///
/// # Errors
///
/// The credentials cannot be used, or there is no thread.
pub(crate) fn start(
    state: &Arc<State>,
    config: kube::Config,
    settings: &ReplicaSettings,
    identity: String,
    lead: Lead,
) -> anyhow::Result<()> {
    let Some(replica) = state.replica.clone() else { anyhow::bail!("this process is no replica") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let namespace = settings.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = {
        let _here = runtime.enter();
        super::client::client(config)?
    };
    metrics::describe_gauge!("replica_leads", "1 while this replica decides and writes, 0 while it follows.");
    metrics::gauge!("replica_leads").set(0.0);
    let objects = Objects::new(client.clone(), &namespace, &settings.group);
    let terms = Terms::lasting(settings.lease_seconds);
    let election = Election::new(client, &namespace, settings, identity, terms);
    tracing::info!(target: "engine_server::kube", namespace, group = settings.group, "one of several replicas");
    let follower = follow::Follower::new(Arc::clone(state), replica, objects, settings.commit_interval);
    let run = move || {
        runtime.block_on(follower.run(election, terms, lead));
    };
    std::thread::Builder::new().name("replica".into()).spawn(run)?;
    Ok(())
}

/// Any text as the head of a journal: what is read says the same written down again.
#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(text: &str) {
    let Ok(head) = head::Head::from_text(text) else { return };
    assert_eq!(head::Head::from_text(&head.to_text()), Ok(head.clone()));
    let _ = (head.epoch(), head.epoch_of(head.next), head.after(&head, head.next));
}
