//! An API server on loopback that speaks the protocol of a real one: lists in pages, watches with bookmarks, versions,
//! conflicts, the status' own door, server-side apply, schemas; and that fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::storage::{Change, Failure, Happened, Key, Storage};

/// How often a watch without news is bookmarked.
const BOOKMARKS: Duration = Duration::from_millis(500);

/// What the server does wrong, by now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// Every answer takes so long.
    pub(crate) delay: Duration,
    /// So many writes are turned away with 429, to come back after a second.
    pub(crate) throttled: u64,
    /// So many writes meet a conflict.
    pub(crate) conflicts: u64,
    /// Whoever comes with one of these tokens gets no answer.
    pub(crate) cut_off: Vec<String>,
    /// Watches end after so long.
    pub(crate) watches_end: Option<Duration>,
}

/// One write that was made.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) at: Instant,
    pub(crate) key: Key,
    pub(crate) is_status: bool,
    pub(crate) code: u16,
    /// What is there afterwards.
    pub(crate) object: Option<Arc<Value>>,
}

/// What every handler shares; it outlives the server.
struct Shared {
    storage: Mutex<Storage>,
    faults: Mutex<Faults>,
    news: watch::Sender<u64>,
    requests: AtomicU64,
    writes: Mutex<Vec<Write>>,
    /// What was asked for, as roles have it.
    verbs: Mutex<BTreeSet<(String, String)>>,
    is_down: AtomicBool,
}

impl Shared {
    fn storage(&self) -> MutexGuard<'_, Storage> {
        self.storage.lock().unwrap()
    }

    fn tell(&self) {
        let version = self.storage().version();
        self.news.send_replace(version);
    }
}

/// The server. It ends when dropped.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Running {
    handle: actix_web::dev::ServerHandle,
    thread: std::thread::JoinHandle<()>,
}

impl Api {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            storage: Mutex::new(Storage::new()),
            faults: Mutex::default(),
            news: watch::Sender::new(0),
            requests: 0.into(),
            writes: Mutex::default(),
            verbs: Mutex::default(),
            is_down: false.into(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let running = Some(run(listener, Arc::clone(&shared)));
        Self { address, shared, running }
    }

    /// What a custom resource has to look like.
    pub(crate) fn define(&self, definition: &Value) {
        let spec = &definition["spec"];
        let version = &spec["versions"][0];
        let resource = ["group", "version", "resource"].map(|part| match part {
            "group" => spec["group"].as_str().unwrap(),
            "version" => version["name"].as_str().unwrap(),
            _ => spec["names"]["plural"].as_str().unwrap(),
        });
        let schema = version["schema"]["openAPIV3Schema"].clone();
        self.shared.storage().schemas.insert(resource.join("/"), schema);
    }

    /// Puts objects there, all at once.
    pub(crate) fn fill(&self, resource: &str, namespace: &str, objects: impl Iterator<Item = Value>) {
        for object in objects {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let key = Key { resource: resource.into(), namespace: namespace.into(), name };
            self.shared.storage().create(key, object).unwrap();
        }
        self.shared.tell();
    }

    /// Every object of a resource.
    pub(crate) fn all(&self, resource: &str) -> Vec<Arc<Value>> {
        self.shared.storage().list(resource, "")
    }

    /// Takes an object away, whether anybody listens or not.
    pub(crate) fn take(&self, resource: &str, namespace: &str, name: &str) {
        let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
        self.shared.storage().delete(&key).unwrap();
        self.shared.tell();
    }

    /// Nobody listens any more; what was told is kept.
    pub(crate) fn go_down(&mut self) {
        self.shared.is_down.store(true, Ordering::Release);
        self.shared.tell();
        if let Some(Running { handle, thread }) = self.running.take() {
            // The server's own thread drives this to its end.
            drop(handle.stop(false));
            thread.join().unwrap();
        }
    }

    /// It listens again, where it did.
    pub(crate) fn come_back(&mut self) {
        self.shared.is_down.store(false, Ordering::Release);
        let listener = crate::eventually("the port is free", || TcpListener::bind(self.address).ok());
        self.running = Some(run(listener, Arc::clone(&self.shared)));
    }

    pub(crate) fn set(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap() = faults;
    }

    /// Watches cannot begin in the past any more, and those under way end.
    pub(crate) fn compact(&self) {
        self.shared.storage().compact();
        self.shared.tell();
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Begins to take note of what is asked for.
    pub(crate) fn forget_verbs(&self) {
        self.shared.verbs.lock().unwrap().clear();
    }

    /// What was asked for so far: resources of their groups, each with the verb that a role has to allow.
    pub(crate) fn verbs(&self) -> BTreeSet<(String, String)> {
        self.shared.verbs.lock().unwrap().clone()
    }

    /// Every write so far.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.shared.writes.lock().unwrap().clone()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.go_down();
    }
}

fn run(listener: TcpListener, shared: Arc<Shared>) -> Running {
    let (sender, handle) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                App::new()
                    .app_data(web::PayloadConfig::new(8 << 20))
                    .app_data(web::Data::from(Arc::clone(&shared)))
                    .default_service(web::to(answer))
            };
            let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(0);
            let server = server.listen(listener).unwrap().run();
            sender.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    Running { handle: handle.recv().unwrap(), thread }
}

/// What a request is about.
struct Target {
    key: Key,
    is_status: bool,
}

impl Target {
    /// `/api/v1/..` or `/apis/{group}/{version}/..`, then `[namespaces/{namespace}/]{resource}[/{name}[/status]]`
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => (format!("/{version}"), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, resource, rest @ ..] => (*namespace, [&[*resource], rest].concat()),
            rest => ("", rest.to_vec()),
        };
        let (resource, name, door) = match rest.as_slice() {
            [resource] => (*resource, "", ""),
            [resource, name] => (*resource, *name, ""),
            [resource, name, door] => (*resource, *name, *door),
            _ => return None,
        };
        if !matches!(door, "" | "status") {
            return None;
        }
        let key =
            Key { resource: format!("{group}/{resource}"), namespace: namespace.into(), name: name.into() };
        Some(Self { key, is_status: door == "status" })
    }
}

type Query = BTreeMap<String, String>;

async fn answer(request: HttpRequest, shared: web::Data<Shared>, body: web::Bytes) -> HttpResponse {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let faults = shared.faults.lock().unwrap().clone();
    tokio::time::sleep(faults.delay).await;
    if is_cut_off(&request, &faults) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        return failure(&Failure::new(503, "ServiceUnavailable", "cut off"));
    }
    let query: Query =
        web::Query::from_query(request.query_string()).map(web::Query::into_inner).unwrap_or_default();
    let Some(target) = Target::of(request.path()) else {
        return failure(&Failure::new(404, "NotFound", "the server could not find the requested resource"));
    };
    shared.verbs.lock().unwrap().insert(verb(&request, &target, &query));
    let meta_only = request
        .headers()
        .get("accept")
        .is_some_and(|accept| accept.to_str().unwrap_or_default().contains("as=PartialObjectMetadata"));
    if request.method() == Method::GET {
        if query.get("watch").is_some_and(|watch| watch == "true" || watch == "1") {
            return watched(&shared, target.key, &query, meta_only, faults.watches_end);
        }
        let read = read(&shared, &target.key, &query, meta_only);
        return read.map_or_else(|problem| failure(&problem), |found| HttpResponse::Ok().json(found));
    }
    let written = turned_away(&shared).and_then(|()| write(&shared, &request, &target, &query, &body));
    let code = written.as_ref().map_or_else(|problem| problem.code, |(code, _)| *code);
    let object = written.as_ref().ok().map(|(_, object)| Arc::clone(object));
    let write = Write { at: Instant::now(), key: target.key, is_status: target.is_status, code, object };
    shared.writes.lock().unwrap().push(write);
    match written {
        Err(problem) => failure(&problem),
        Ok((code, object)) => {
            shared.tell();
            HttpResponse::build(StatusCode::from_u16(code).unwrap()).json(&*object)
        }
    }
}

/// The verb of a request and its resource, as a role names them.
fn verb(request: &HttpRequest, target: &Target, query: &Query) -> (String, String) {
    let is_one = !target.key.name.is_empty();
    let verb = match *request.method() {
        Method::GET if query.contains_key("watch") => "watch",
        Method::GET if is_one => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if is_one => "delete",
        Method::DELETE => "deletecollection",
        _ => "?",
    };
    let (group, rest) = target.key.resource.split_once('/').unwrap();
    let resource = rest.rsplit('/').next().unwrap();
    let door = if target.is_status { "/status" } else { "" };
    (format!("{group}/{resource}{door}"), verb.to_owned())
}

fn is_cut_off(request: &HttpRequest, faults: &Faults) -> bool {
    let token =
        request.headers().get("authorization").and_then(|field| field.to_str().ok()?.strip_prefix("Bearer "));
    token.is_some_and(|token| faults.cut_off.iter().any(|cut| cut == token))
}

fn failure(problem: &Failure) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(problem.code).unwrap()).json(problem.to_json())
}

/// Whether a fault turns a write away.
fn turned_away(shared: &Shared) -> Result<(), Failure> {
    let mut faults = shared.faults.lock().unwrap();
    if faults.throttled > 0 {
        faults.throttled -= 1;
        let mut problem = Failure::new(429, "TooManyRequests", "the server has received too many requests");
        problem.retry_after = 1;
        return Err(problem);
    }
    if faults.conflicts > 0 {
        faults.conflicts -= 1;
        return Err(Failure::new(409, "Conflict", "the object has been modified"));
    }
    Ok(())
}

fn read(shared: &Shared, key: &Key, query: &Query, meta_only: bool) -> Result<Value, Failure> {
    let storage = shared.storage();
    if !key.name.is_empty() {
        return storage.get(key).map(|object| shown(&object, meta_only));
    }
    let all = storage.list(&key.resource, &key.namespace);
    let chosen = all.iter().filter(|object| is_selected(object, query));
    // A page begins where the one before it ended.
    let from: usize = query.get("continue").and_then(|from| from.parse().ok()).unwrap_or_default();
    let limit = query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .filter(|limit| *limit > 0)
        .unwrap_or(usize::MAX);
    let items: Vec<Value> =
        chosen.clone().skip(from).take(limit).map(|object| shown(object, meta_only)).collect();
    let next = from + items.len();
    let mut meta = json!({"resourceVersion": storage.version().to_string()});
    if next < chosen.count() {
        meta["continue"] = next.to_string().into();
    }
    let (kind, api) =
        if meta_only { ("PartialObjectMetadataList", "meta.k8s.io/v1") } else { ("List", "v1") };
    Ok(json!({"kind": kind, "apiVersion": api, "metadata": meta, "items": items}))
}

fn shown(object: &Value, meta_only: bool) -> Value {
    if meta_only {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
    } else {
        object.clone()
    }
}

fn is_selected(object: &Value, query: &Query) -> bool {
    let labels = &object["metadata"]["labels"];
    let selector = query.get("labelSelector").map(String::as_str).unwrap_or_default();
    selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((label, value)) if label.ends_with('!') => labels[label.trim_end_matches('!')] != value,
        Some((label, value)) => labels[label] == value,
        None => labels.get(part).is_some(),
    })
}

fn write(
    shared: &Shared,
    request: &HttpRequest,
    target: &Target,
    query: &Query,
    body: &[u8],
) -> Result<(u16, Arc<Value>), Failure> {
    let bad = |problem: serde_json::Error| Failure::new(400, "BadRequest", problem.to_string());
    let mut storage = shared.storage();
    let Target { key, is_status } = target;
    match *request.method() {
        Method::POST => {
            let object: Value = serde_json::from_slice(body).map_err(bad)?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            storage.create(Key { name, ..key.clone() }, object).map(|object| (201, object))
        }
        Method::PUT => {
            let object = serde_json::from_slice(body).map_err(bad)?;
            storage.change(key, Change::Replace { object, is_status: *is_status }).map(|object| (200, object))
        }
        Method::PATCH => {
            let patch = serde_json::from_slice(body).map_err(bad)?;
            let kind = request.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
            let change = match kind.as_deref().unwrap_or_default() {
                "application/apply-patch+yaml" => {
                    let manager = query.get("fieldManager").cloned();
                    let manager = manager.ok_or_else(|| {
                        Failure::new(400, "BadRequest", "fieldManager is required for apply patch")
                    })?;
                    Change::Apply { patch, manager, is_status: *is_status }
                }
                "application/merge-patch+json" => Change::Merge { patch, is_status: *is_status },
                other => return Err(Failure::new(415, "UnsupportedMediaType", other)),
            };
            storage.change(key, change).map(|object| (200, object))
        }
        Method::DELETE if key.name.is_empty() => {
            let chosen = storage.list(&key.resource, &key.namespace);
            let chosen: Vec<_> = chosen.into_iter().filter(|object| is_selected(object, query)).collect();
            for object in &chosen {
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                storage.delete(&Key { name, ..key.clone() })?;
            }
            Ok((200, Arc::new(json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []}))))
        }
        Method::DELETE => storage.delete(key).map(|object| (200, object)),
        _ => Err(Failure::new(405, "MethodNotAllowed", "the server does not allow this method")),
    }
}

/// One watch.
struct Watch {
    shared: Arc<Shared>,
    news: watch::Receiver<u64>,
    key: Key,
    query: Query,
    meta_only: bool,
    /// What was told up to.
    version: u64,
    ends: Instant,
    is_over: bool,
}

fn watched(
    shared: &web::Data<Shared>,
    key: Key,
    query: &Query,
    meta_only: bool,
    ends_after: Option<Duration>,
) -> HttpResponse {
    let version = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or_default();
    let timeout = query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
    let ends =
        Instant::now() + ends_after.unwrap_or(Duration::from_secs(timeout)).min(Duration::from_secs(timeout));
    let watch = Watch {
        shared: Arc::clone(shared),
        news: shared.news.subscribe(),
        key,
        query: query.clone(),
        meta_only,
        version,
        ends,
        is_over: false,
    };
    let lines = stream::unfold(watch, |mut watch| async move {
        let text = watch.next().await?;
        Some((Ok::<_, actix_web::Error>(web::Bytes::from(text)), watch))
    });
    HttpResponse::Ok().content_type("application/json").streaming(lines)
}

impl Watch {
    /// The next lines; `None` ends the watch.
    async fn next(&mut self) -> Option<String> {
        if self.is_over || Instant::now() >= self.ends || self.shared.is_down.load(Ordering::Acquire) {
            return None;
        }
        self.news.borrow_and_update();
        let happened = self.shared.storage().since(self.version);
        let happened = match happened {
            Ok(happened) => happened,
            Err(problem) => {
                // What is forgotten is told within the watch, not by its status.
                self.is_over = true;
                return Some(line("ERROR", &problem.to_json()));
            }
        };
        let mut text = String::new();
        for happened in &happened {
            self.version = happened.version;
            text.extend(self.told(happened));
        }
        if text.is_empty() {
            let wait = BOOKMARKS.min(self.ends.saturating_duration_since(Instant::now()));
            let _ = tokio::time::timeout(wait, self.news.changed()).await;
            let version =
                json!({"metadata": {"resourceVersion": self.version.to_string(), "creationTimestamp": null}});
            if self.query.get("allowWatchBookmarks").is_some_and(|allowed| allowed == "true") {
                let (kind, api) = if self.meta_only {
                    ("PartialObjectMetadata", "meta.k8s.io/v1")
                } else {
                    ("TrafficSchedule", "v1")
                };
                let mut bookmark = version;
                bookmark["kind"] = kind.into();
                bookmark["apiVersion"] = api.into();
                return Some(line("BOOKMARK", &bookmark));
            }
            // A line without anything keeps it open.
            return Some("\n".into());
        }
        Some(text)
    }

    fn told(&self, happened: &Happened) -> Option<String> {
        let Happened { key, kind, object, before, .. } = happened;
        if key.resource != self.key.resource
            || !(self.key.namespace.is_empty() || self.key.namespace == key.namespace)
        {
            return None;
        }
        // Whatever a selector stops to choose is gone, as far as it is concerned.
        let was = before.as_ref().is_some_and(|before| is_selected(before, &self.query));
        let is = *kind != "DELETED" && is_selected(object, &self.query);
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(line(kind, &shown(object, self.meta_only)))
    }
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}
