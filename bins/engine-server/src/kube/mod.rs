//! In a cluster: `TrafficSchedule`s in, their status out.
//!
//! ```text
//! API server ──watch──> Objects ──configure──> State::act        what is asked for, settled one object at a time
//!                          ^                      │
//!                          │                      v
//! API server <──apply── publish <──Changes── Engine::publish     what was decided, written by its own task
//! ```
//!
//! Everything here runs on one thread of its own, so that neither requests nor evaluations wait for an API server.
//! What is decided goes over to who writes it as names alone, each at most once ([`Changes`]): however slow the API
//! server is, no more than that waits, and what is written is the newest there is by then.

mod args;
mod changes;
mod client;
mod configure;
mod crd;
mod discovery;
mod metrics;
mod objects;
mod pace;
mod publish;
mod replicas;
mod spec;
mod status;
mod watch;

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use tokio::sync::{Notify, oneshot};

pub(crate) use args::{KubernetesSettings, flags};
pub(crate) use changes::Changes;
pub(crate) use metrics::describe;
pub(crate) use replicas::{Lead, Replica, ReplicaSettings};

use crate::limit_args::Limits;
use crate::state::State;
use objects::Objects;

/// Who applies what is in a status.
const MANAGER: &str = "carbon-aware-decision-engine";

/// `engine-server crd`.
pub(crate) fn command() -> Command {
    Command::new("crd")
        .about("Print the custom resource definition of TrafficSchedule, to be applied to a cluster")
        .arg(
            Arg::new("format")
                .long("format")
                .value_parser(["yaml", "json"])
                .default_value("yaml")
                .help("In which words"),
        )
        .after_help("TRY IT\n  engine-server crd | kubectl apply -f -")
}

/// Prints it.
pub(crate) fn print(matches: &ArgMatches) -> anyhow::Result<()> {
    let is_json = matches.get_one::<String>("format").is_some_and(|format| format == "json");
    let definition = if is_json { crd::json()? } else { crd::yaml()? };
    std::io::stdout().lock().write_all(definition.as_bytes()).context("the definition cannot be printed")
}

/// What every task here knows.
struct Cluster {
    client: Client,
    settings: KubernetesSettings,
    limits: Limits,
    state: Arc<State>,
    changes: Arc<Changes>,
    objects: Mutex<Objects>,
    /// Something is to be configured, or another list is whole.
    unsettled: Notify,
}

impl Cluster {
    /// What is known, for a few microseconds: nobody holds it across a wait.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether statuses are written by this process: of several replicas by the one that leads.
    fn may_write(&self) -> bool {
        self.state.replica.as_ref().is_none_or(|replica| replica.leading.is_held())
    }

    /// The schedules' objects, in that namespace or in all.
    fn schedules(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = resource();
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }
}

/// What `TrafficSchedule` is to the API.
fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("scheduling.carbonrouter.io", "v1alpha1", "TrafficSchedule");
    ApiResource::from_gvk_with_plural(&kind, "trafficschedules")
}

/// A cluster that can be asked: its address and credentials are known.
#[derive(Clone)]
pub(crate) struct Connection {
    config: kube::Config,
    settings: Option<KubernetesSettings>,
}

impl Connection {
    /// Finds out where the cluster is: by `KUBECONFIG`, or as a pod in it.
    ///
    /// # Errors
    ///
    /// Neither is the case.
    pub(crate) fn find(settings: Option<KubernetesSettings>) -> anyhow::Result<Self> {
        Ok(Self { config: client::find()?, settings })
    }

    /// Begins to be one of several replicas, on a thread of its own: `lead` is done once this one leads.
    ///
    /// # Errors
    ///
    /// The credentials cannot be used, or there is no thread.
    pub(crate) fn join(
        &self,
        state: &Arc<State>,
        settings: &ReplicaSettings,
        identity: String,
        lead: Lead,
    ) -> anyhow::Result<()> {
        replicas::start(state, self.config.clone(), settings, identity, lead)
    }

    /// Begins on a thread of its own. The answer comes once every object that was there has been looked at.
    ///
    /// # Errors
    ///
    /// The credentials cannot be used, or there is no thread.
    pub(crate) fn start(self, state: &Arc<State>, limits: &Limits) -> anyhow::Result<oneshot::Receiver<()>> {
        let (looked, first_look) = oneshot::channel();
        let Some(settings) = self.settings else { return Ok(first_look) };
        let changes = state.cluster.clone().unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = {
            // What a client does beside its requests is done where it was made.
            let _here = runtime.enter();
            client::client(self.config)?
        };
        tracing::info!(target: "engine_server::kube", mode = %settings.mode, namespaces = %settings.where_to_look(), "in a cluster");
        let cluster = Arc::new(Cluster {
            client,
            settings,
            limits: limits.clone(),
            state: Arc::clone(state),
            changes,
            objects: Mutex::default(),
            unsettled: Notify::new(),
        });
        let run = move || {
            runtime.block_on(async {
                let watched = watch::watch(&cluster);
                tokio::join!(configure::configure(&cluster, watched, looked), publish::publish(&cluster));
            });
        };
        std::thread::Builder::new().name("kube".into()).spawn(run)?;
        Ok(first_look)
    }
}

/// Any bytes as what a cluster holds: an object's spec and status, a Deployment's labels, the head of a journal. What is
/// understood of a spec is what a PUT may say, and what is not is named by fields of the object.
///
/// # Panics
///
/// It is not so.
#[cfg(feature = "fuzzing")]
pub fn fuzz(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    replicas::fuzz(text);
    if let Ok(labels) = serde_json::from_str(text) {
        let found = discovery::Discovered::of(&[("one".to_owned(), labels)].into());
        assert!(found.flavours.is_none_or(|flavours| flavours.len() == 1));
    }
    let Ok(object) = serde_json::from_str::<DynamicObject>(text) else { return };
    let Some((_, object)) = watch::understood(object) else { return };
    let registry = policies::Registry::builtin();
    match spec::understand(&object.spec, &registry, &Limits::default()) {
        Ok(wanted) => {
            let again = models::Overrides::from_json(&wanted.to_json()).map(|parsed| parsed.overrides);
            assert_eq!(again, Ok(wanted));
        }
        Err(problems) => assert!(problems.iter().all(|field| field.pointer.starts_with("spec"))),
    }
    let _ = spec::evaluator(&object.spec);
}
