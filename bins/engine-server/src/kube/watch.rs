//! What is told by the API server, taken up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DynamicObject, ListParams, PartialObjectMeta};
use kube::runtime::watcher::{self, Error, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_all};
use kube::{Resource, ResourceExt as _};
use models::ScheduleId;
use serde_json::Value;

use super::Cluster;
use super::args::Mode;
use super::client::WATCH_SECONDS;
use super::discovery::{Labels, PRECISION};
use super::objects::Object;

/// How often is looked whether it is time for another list of Deployments.
const LOOK: Duration = Duration::from_secs(1);
/// How long a list may take.
const LONGEST_LIST: Duration = Duration::from_secs(30);

/// How many lists have not been whole yet.
#[derive(Clone)]
pub(super) struct Unlisted(Arc<AtomicUsize>);

impl Unlisted {
    /// Whether every list was whole once: what is missing is missing in the cluster.
    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// Begins to watch everything that is to be watched, for ever.
pub(super) fn watch(cluster: &Arc<Cluster>) -> Unlisted {
    let scopes = cluster.settings.scopes();
    let is_full = cluster.settings.mode == Mode::Full;
    let lists = scopes.len() * if is_full { 2 } else { 1 };
    let unlisted = Unlisted(Arc::new(lists.into()));
    for scope in scopes {
        tokio::spawn(schedules(Arc::clone(cluster), scope.clone(), unlisted.clone()));
        if is_full {
            tokio::spawn(deployments(Arc::clone(cluster), scope.clone(), unlisted.clone()));
            tokio::spawn(discover(Arc::clone(cluster), scope));
        }
    }
    unlisted
}

/// One kind of objects in one scope: what a list and a watch come to.
struct Told<K> {
    /// What the list under way has so far.
    listed: Option<Vec<K>>,
    was_whole: bool,
}

/// What is to be done about it.
enum News<K> {
    Put(K),
    Gone(K),
    /// All there are.
    All(Vec<K>),
}

impl<K> Told<K> {
    fn take(&mut self, event: Event<K>) -> Option<News<K>> {
        match event {
            Event::Init => self.listed = Some(Vec::new()),
            Event::InitApply(object) => self.listed.get_or_insert_default().push(object),
            Event::InitDone => return Some(News::All(self.listed.take().unwrap_or_default())),
            Event::Apply(object) => return Some(News::Put(object)),
            Event::Delete(object) => return Some(News::Gone(object)),
        }
        None
    }
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Follows one watch for ever.
async fn follow<K: Debug>(
    cluster: &Cluster,
    kind: &'static str,
    unlisted: &Unlisted,
    events: impl Stream<Item = Result<Event<K>, Error>>,
    take: impl Fn(News<K>),
) {
    let mut told = Told { listed: None, was_whole: false };
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                cluster.state.life.set_cluster_read(true);
                let Some(news) = told.take(event) else { continue };
                let is_whole = matches!(news, News::All(_));
                metrics::counter!("kubernetes_watch_events_total", "kind" => kind).increment(1);
                take(news);
                if is_whole && !std::mem::replace(&mut told.was_whole, true) {
                    unlisted.0.fetch_sub(1, Ordering::AcqRel);
                }
                cluster.unsettled.notify_one();
            }
            // A watch that ended, also one whose past the server has forgotten, is begun anew.
            Err(problem) => {
                metrics::counter!("kubernetes_watch_errors_total", "kind" => kind).increment(1);
                let is_usual = matches!(&problem, Error::WatchError(status) if status.code == 410);
                if is_usual {
                    tracing::debug!(target: "engine_server::kube", kind, "a watch is begun anew");
                } else {
                    cluster.state.life.set_cluster_read(false);
                    tracing::warn!(target: "engine_server::kube", kind, %problem, "the cluster cannot be read");
                }
            }
        }
    }
}

async fn schedules(cluster: Arc<Cluster>, scope: Option<String>, unlisted: Unlisted) {
    let api = cluster.schedules(scope.as_deref());
    let events = watch_all(api, config()).default_backoff();
    follow(&cluster, "TrafficSchedule", &unlisted, events, |news| {
        let mut objects = cluster.objects();
        match news {
            News::Put(object) => {
                if let Some((id, object)) = understood(object) {
                    objects.put(id, object);
                }
            }
            News::Gone(object) => {
                if let Some(id) = name_of(&object) {
                    objects.remove(&id);
                }
            }
            News::All(all) => {
                let all: Vec<_> = all.into_iter().filter_map(understood).collect();
                let there: BTreeSet<&ScheduleId> = all.iter().map(|(id, _)| id).collect();
                let is_here = |id: &&ScheduleId| scope.as_deref().is_none_or(|scope| scope == id.namespace());
                let gone: Vec<ScheduleId> =
                    objects.ids().filter(is_here).filter(|id| !there.contains(id)).cloned().collect();
                for id in gone {
                    objects.remove(&id);
                }
                for (id, object) in all {
                    objects.put(id, object);
                }
            }
        }
        metrics::gauge!("kubernetes_objects").set(objects.len() as f64);
    })
    .await;
}

fn name_of(object: &impl ResourceWithNamespace) -> Option<ScheduleId> {
    let id = ScheduleId::new(&object.namespace_or_none(), &object.name_or_none());
    id.inspect_err(|problem| tracing::warn!(target: "engine_server::kube", %problem, "an object is left out"))
        .ok()
}

/// Objects that are in a namespace.
trait ResourceWithNamespace {
    fn namespace_or_none(&self) -> String;
    fn name_or_none(&self) -> String;
}

impl<K: Resource> ResourceWithNamespace for K {
    fn namespace_or_none(&self) -> String {
        self.meta().namespace.clone().unwrap_or_default()
    }

    fn name_or_none(&self) -> String {
        self.meta().name.clone().unwrap_or_default()
    }
}

pub(super) fn understood(mut object: DynamicObject) -> Option<(ScheduleId, Object)> {
    let id = name_of(&object)?;
    let conditions = object.data.pointer("/status/conditions").cloned().unwrap_or_default();
    let spec = object.data.get_mut("spec").map(Value::take).unwrap_or_default();
    let object = Object {
        uid: object.uid().unwrap_or_default(),
        generation: object.meta().generation.unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        spec,
        // Another writer's may look otherwise: then their times begin anew.
        conditions: serde_json::from_value(conditions).unwrap_or_default(),
    };
    Some((id, object))
}

async fn deployments(cluster: Arc<Cluster>, scope: Option<String>, unlisted: Unlisted) {
    let api = deployments_of(&cluster, scope.as_deref());
    let events = watch_all(api, config().labels(PRECISION)).default_backoff();
    follow(&cluster, "Deployment", &unlisted, events, |news| {
        let mut objects = cluster.objects();
        match news {
            News::Put(found) => {
                let (namespace, name, labels) = labels_of(found);
                objects.put_deployment(&namespace, &name, Some(labels));
            }
            News::Gone(found) => {
                let (namespace, name, _) = labels_of(found);
                objects.put_deployment(&namespace, &name, None);
            }
            News::All(all) => objects.put_deployments(scope.as_deref(), by_namespace(all)),
        }
    })
    .await;
}

fn deployments_of(cluster: &Cluster, scope: Option<&str>) -> Api<PartialObjectMeta<Deployment>> {
    match scope {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    }
}

fn labels_of(found: PartialObjectMeta<Deployment>) -> (String, String, Labels) {
    let meta = found.metadata;
    (meta.namespace.unwrap_or_default(), meta.name.unwrap_or_default(), meta.labels.unwrap_or_default())
}

fn by_namespace(all: Vec<PartialObjectMeta<Deployment>>) -> BTreeMap<String, BTreeMap<String, Labels>> {
    let mut namespaces: BTreeMap<String, BTreeMap<String, Labels>> = BTreeMap::new();
    for (namespace, name, labels) in all.into_iter().map(labels_of) {
        namespaces.entry(namespace).or_default().insert(name, labels);
    }
    namespaces
}

/// Lists the Deployments every now and then, as often as the schedules ask for: whatever a watch may have missed.
async fn discover(cluster: Arc<Cluster>, scope: Option<String>) {
    let api = deployments_of(&cluster, scope.as_deref());
    let mut listed = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        if listed.elapsed() < cluster.objects().discovery_interval(scope.as_deref()) {
            continue;
        }
        listed = Instant::now();
        let before = cluster.objects().deployment_news();
        let params = ListParams::default().labels(PRECISION);
        let answer = tokio::time::timeout(LONGEST_LIST, api.list(&params)).await;
        // Where it fails the watch fails, too, and says so.
        let Ok(Ok(list)) = answer else { continue };
        let mut objects = cluster.objects();
        objects.unsettle_refused();
        // What came by the watch meanwhile is newer than the list may be.
        if objects.deployment_news() == before {
            objects.put_deployments(scope.as_deref(), by_namespace(list.items));
        }
        drop(objects);
        cluster.unsettled.notify_one();
    }
}
