//! In a cluster. Scenarios run against a fake API server that speaks the real protocol over HTTP; those that need no
//! faults of it run against a real one, too, with `E2E=1` (CONTRIBUTING.md).

mod api;
mod configured;
mod deployed;
mod faults;
mod many;
mod origin;
mod published;
mod replicas;
mod schema;
mod storage;
mod takeovers;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use kube::api::{
    Api as Kind, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Launch, Server};
use crate::{eventually, within};
use api::Api;

/// The cluster that scenarios are to run against, where it is a real one: with `E2E=1` whatever `KUBECONFIG` names, or
/// what `E2E_KUBECONFIG` does. Nobody's cluster is used because it happens to be named.
fn real() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    given("E2E_KUBECONFIG").or_else(|| given("E2E").and_then(|_| given("KUBECONFIG"))).map(Into::into)
}

/// Names a namespace that no other test has.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A namespace of one's own in a cluster.
pub(crate) struct World {
    /// The fake one; none where the cluster is real.
    api: Option<Api>,
    /// The files that name the fake one are in it.
    folder: TempDir,
    kubeconfig: PathBuf,
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    pub(crate) namespace: String,
}

impl World {
    /// In whatever cluster there is.
    pub(crate) fn new() -> Self {
        match real() {
            Some(kubeconfig) => Self::of(None, Some(kubeconfig)),
            None => Self::fake(),
        }
    }

    /// In a fake one, which can be told to fail.
    pub(crate) fn fake() -> Self {
        let api = Api::start();
        api.define(&definition());
        Self::of(Some(api), None)
    }

    fn of(api: Option<Api>, kubeconfig: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = kubeconfig.unwrap_or_else(|| {
            let path = folder.path().join("kubeconfig");
            write_kubeconfig(&path, api.as_ref().unwrap(), "fake");
            path
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let config = Kubeconfig::read_from(&kubeconfig).unwrap();
            let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
            kube::Client::try_from(config.unwrap()).unwrap()
        });
        // One of an earlier run may still be going.
        let run = jiff::Timestamp::now().as_microsecond();
        let namespace = format!("e2e-{run}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let world = Self { api, folder, kubeconfig, runtime, client, namespace };
        if world.api.is_none() {
            world.apply_definition();
        }
        world.create("Namespace", json!({"metadata": {"name": world.namespace}}));
        world
    }

    fn apply_definition(&self) {
        let definition = definition();
        let crds: Kind<DynamicObject> =
            Kind::all_with(self.client.clone(), &resource("CustomResourceDefinition"));
        let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
        let apply = PatchParams::apply("e2e").force();
        self.runtime.block_on(crds.patch(&name, &apply, &Patch::Apply(&definition))).unwrap();
        let is_established = |crd: DynamicObject| {
            let conditions = crd.data["status"]["conditions"].as_array()?.clone();
            conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True").then_some(())
        };
        eventually("the definition is in force", || {
            self.runtime.block_on(crds.get(&name)).ok().and_then(is_established)
        });
    }

    /// Whether this one can be told to fail.
    pub(crate) fn is_fake(&self) -> bool {
        self.api.is_some()
    }

    pub(crate) fn api(&self) -> &Api {
        self.api.as_ref().unwrap()
    }

    pub(crate) fn api_mut(&mut self) -> &mut Api {
        self.api.as_mut().unwrap()
    }

    /// How a server is to be started that works in this namespace.
    pub(crate) fn launch(&self) -> Launch {
        self.launch_as("full")
    }

    /// One of several replicas, whose leases last a second.
    pub(crate) fn launch_replica(&self) -> Launch {
        self.launch_replica_by(&self.kubeconfig)
    }

    /// The same with a token of its own, so that it can be cut off.
    pub(crate) fn launch_replica_as(&self, token: &str) -> Launch {
        let Some(api) = &self.api else { return self.launch_replica() };
        let path = self.folder.path().join(token);
        write_kubeconfig(&path, api, token);
        self.launch_replica_by(&path)
    }

    fn launch_replica_by(&self, kubeconfig: &Path) -> Launch {
        Launch::new()
            .env("KUBECONFIG", kubeconfig.to_str().unwrap())
            .env("CARBON_PROVIDER", "static:250")
            .arg("--replicated")
            .arg("--replica-namespace")
            .arg(&self.namespace)
            .env("LEASE_SECONDS", "1")
            .arg("--commit-interval-ms")
            .arg("20")
    }

    /// The same, doing no more than that.
    pub(crate) fn launch_as(&self, mode: &str) -> Launch {
        Launch::new()
            .env("KUBECONFIG", self.kubeconfig.to_str().unwrap())
            .env("CARBON_PROVIDER", "static:250")
            .arg(&format!("--kubernetes={mode}"))
            .arg("--kubernetes-namespaces")
            .arg(&self.namespace)
    }

    pub(crate) fn server(&self) -> Server {
        ready(self.launch())
    }

    fn kind(&self, kind: &str) -> Kind<DynamicObject> {
        match kind {
            "Namespace" => Kind::all_with(self.client.clone(), &resource(kind)),
            kind => Kind::namespaced_with(self.client.clone(), &self.namespace, &resource(kind)),
        }
    }

    /// Makes an object of that kind.
    pub(crate) fn create(&self, kind: &str, object: Value) -> Value {
        let object = object_of(kind, object);
        let created = self.runtime.block_on(self.kind(kind).create(&PostParams::default(), &object));
        serde_json::to_value(created.unwrap()).unwrap()
    }

    /// A schedule of that name with that spec.
    pub(crate) fn create_schedule(&self, name: &str, spec: &Value) -> Value {
        self.create("TrafficSchedule", json!({"metadata": {"name": name}, "spec": spec}))
    }

    /// A Deployment with these labels and nothing to run.
    pub(crate) fn create_deployment(&self, name: &str, labels: &Value) -> Value {
        let pod = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "none.invalid/none"}]}});
        let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": pod});
        self.create("Deployment", json!({"metadata": {"name": name, "labels": labels}, "spec": spec}))
    }

    /// Merges a patch into an object.
    pub(crate) fn merge(&self, kind: &str, name: &str, patch: &Value) -> Value {
        let patched =
            self.runtime.block_on(self.kind(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)));
        serde_json::to_value(patched.unwrap()).unwrap()
    }

    /// Puts another status in the place of one, as a controller does that has read the object before; `None` where
    /// it has changed since.
    pub(crate) fn replace_status(&self, mut object: Value, status: Value) -> Option<Value> {
        object["status"] = status;
        let name = text(&object["metadata"]["name"]);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let replaced = self.runtime.block_on(self.kind("TrafficSchedule").replace_status(
            &name,
            &PostParams::default(),
            &object,
        ));
        match replaced {
            Ok(replaced) => Some(serde_json::to_value(replaced).unwrap()),
            Err(kube::Error::Api(problem)) if problem.code == 409 => None,
            Err(problem) => panic!("{problem}"),
        }
    }

    pub(crate) fn delete(&self, kind: &str, name: &str) {
        let _ = self.runtime.block_on(self.kind(kind).delete(name, &DeleteParams::default())).unwrap();
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Value {
        serde_json::to_value(self.runtime.block_on(self.kind(kind).get(name)).unwrap()).unwrap()
    }

    /// All objects of that kind here.
    pub(crate) fn list(&self, kind: &str) -> Vec<Value> {
        let list = self.runtime.block_on(self.kind(kind).list(&kube::api::ListParams::default())).unwrap();
        list.items.iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    /// The object, as soon as its status is as `wanted`.
    #[track_caller]
    pub(crate) fn status_when(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = within(crate::PATIENCE, || {
            last = self.get("TrafficSchedule", name);
            Some(last["status"].clone()).filter(&wanted)
        });
        found.unwrap_or_else(|| panic!("the status is never as wanted; it is {last:#}"))
    }

    /// A schedule's path.
    pub(crate) fn id(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.api.is_none() {
            // A real cluster is left as it was found.
            let _ = self
                .runtime
                .block_on(self.kind("Namespace").delete(&self.namespace, &DeleteParams::default()));
        }
    }
}

/// Names the fake cluster, and a user with that token.
fn write_kubeconfig(path: &Path, api: &Api, token: &str) {
    let server = format!("http://{}", api.address);
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": server}}],
        "users": [{"name": "fake", "user": {"token": token}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
    });
    std::fs::write(path, config.to_string()).unwrap();
}

/// Starts it, and waits until the cluster was looked at.
fn ready(launch: Launch) -> Server {
    let server = launch.start();
    eventually("it is ready", || (server.get("/readyz").status == 200).then_some(()));
    server
}

fn resource(kind: &str) -> ApiResource {
    let (group, version, plural) = match kind {
        "TrafficSchedule" => ("scheduling.carbonrouter.io", "v1alpha1", "trafficschedules"),
        "Deployment" => ("apps", "v1", "deployments"),
        "Namespace" => ("", "v1", "namespaces"),
        "Event" => ("events.k8s.io", "v1", "events"),
        "Lease" => ("coordination.k8s.io", "v1", "leases"),
        "ConfigMap" => ("", "v1", "configmaps"),
        "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
        other => panic!("no kind {other}"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

fn object_of(kind: &str, object: Value) -> DynamicObject {
    let resource = resource(kind);
    let mut object = object;
    object["apiVersion"] = resource.api_version.into();
    object["kind"] = resource.kind.into();
    serde_json::from_value(object).unwrap()
}

/// The definition the server prints.
fn definition() -> Value {
    let printed = Launch::bare().arg("crd").arg("--format").arg("json").run();
    assert!(printed.status.success(), "{printed:?}");
    serde_json::from_slice(&printed.stdout).unwrap()
}

/// A condition of a status: its status and reason.
fn condition(status: &Value, kind: &str) -> (String, String) {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut found =
        conditions.filter(|one| one["type"] == kind).map(|one| (text(&one["status"]), text(&one["reason"])));
    found.next_back().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whether a condition holds for that reason.
fn holds(status: &Value, kind: &str, reason: &str) -> bool {
    condition(status, kind) == ("True".into(), reason.into())
}

/// The flavours' weights in a status, by precision.
fn shares(status: &Value) -> Vec<(i64, i64)> {
    let flavours = status["flavours"].as_array().into_iter().flatten();
    flavours.map(|one| (one["precision"].as_i64().unwrap(), one["weight"].as_i64().unwrap())).collect()
}

/// A number on the metrics port.
fn metric(server: &Server, series: &str) -> f64 {
    let answer = server.metrics.send("GET", "/metrics", None);
    let text = answer.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    line.unwrap_or_default()
}
