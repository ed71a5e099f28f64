//! The journal as objects of the cluster: the engine's `Store`, for several replicas of which one writes.
//!
//! What is written is first put into objects of its own, then named by the head ([`super::head`]): that one compare and
//! swap is when it is durable, and when it is known that nobody else has written meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Part;
use engine::journal::{BaseParts, Changes, Input, Kept, Record, Store, StoreError};
use futures_util::StreamExt as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tokio::runtime::Handle;

use super::head::{Base, Head};
use super::leading::Leading;
use crate::store::{Keep, inflate, pack, unpack};

/// Most bytes in one object: the API server takes a megabyte, and some more of a request.
const MOST: usize = 700 << 10;
/// Parts that are packed together.
const PARTS_AT_ONCE: usize = 64;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Objects that are read beside each other.
const AHEAD: usize = 8;
/// How often everything is read anew where it was replaced meanwhile.
const TRIES: usize = 5;
/// Which group of replicas an object belongs to.
const GROUP: &str = "carbon-aware-decision-engine/group";
/// Which base it belongs to, or follows.
const BASE: &str = "carbon-aware-decision-engine/base";
/// Where the value stands in an object, and in how many objects where one does not hold it.
const VALUE: &str = "value";
const PIECES: &str = "pieces";
/// More than anything needs.
const MOST_PIECES: usize = 4_096;
/// Each object counts for at least so many bytes: what is many is read one after the other at a start.
const AT_LEAST: u64 = 32 << 10;

/// The objects, read and written by whoever may.
#[derive(Clone)]
pub(super) struct Objects {
    api: Api<ConfigMap>,
    group: String,
}

/// Why an object cannot be had.
enum Missing {
    /// There is none.
    Gone,
    Failed(StoreError),
}

impl From<StoreError> for Missing {
    fn from(problem: StoreError) -> Self {
        Self::Failed(problem)
    }
}

impl Objects {
    pub(super) fn new(client: Client, namespace: &str, group: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), group: group.to_owned() }
    }

    /// The name of the head.
    pub(super) fn head_name(&self) -> String {
        format!("{}-head", self.group)
    }

    fn journal_name(&self, first: u64, epoch: u64) -> String {
        format!("{}-journal-{first:016x}-{epoch}", self.group)
    }

    fn base_name(&self, id: &str, place: u64) -> String {
        format!("{}-base-{id}-{place}", self.group)
    }

    /// The head with its version; `None` where nobody has written yet.
    pub(super) async fn head(&self) -> Result<Option<(Head, String)>, StoreError> {
        let found = within(self.api.get_opt(&self.head_name())).await?;
        found.map(|object| read_head(&object)).transpose()
    }

    /// Changes the head, if it still has that version. Answers its new version.
    async fn swap(&self, head: &Head, version: Option<&str>) -> Result<String, StoreError> {
        let text = BTreeMap::from([(VALUE.to_owned(), head.to_text())]);
        let mut metadata = self.metadata(self.head_name(), "head");
        metadata.resource_version = version.map(Into::into);
        let object = ConfigMap { metadata, data: Some(text), ..ConfigMap::default() };
        let params = PostParams::default();
        let written = match version {
            Some(_) => within(self.api.replace(&self.head_name(), &params, &object)).await?,
            None => within(self.api.create(&params, &object)).await?,
        };
        Ok(written.resource_version().unwrap_or_default())
    }

    fn metadata(&self, name: String, base: &str) -> ObjectMeta {
        let labels = [(GROUP.to_owned(), self.group.clone()), (BASE.to_owned(), base.to_owned())];
        ObjectMeta { name: Some(name), labels: Some(labels.into()), ..ObjectMeta::default() }
    }

    /// Writes a value that nothing names yet, in as many objects as it needs. Answers their names.
    async fn put(&self, name: String, base: &str, value: &[u8]) -> Result<Vec<String>, StoreError> {
        let pieces = value.chunks(MOST);
        let count = BTreeMap::from([(PIECES.to_owned(), pieces.len().to_string())]);
        let mut names = Vec::new();
        for (place, piece) in pieces.enumerate() {
            let name = piece_name(&name, place);
            let object = ConfigMap {
                metadata: self.metadata(name.clone(), base),
                data: Some(count.clone()),
                binary_data: Some(BTreeMap::from([(VALUE.to_owned(), ByteString(piece.to_vec()))])),
                immutable: Some(true),
            };
            within(self.api.create(&PostParams::default(), &object)).await?;
            names.push(name);
        }
        Ok(names)
    }

    async fn value(&self, name: String) -> Result<Vec<u8>, Missing> {
        let mut value = Vec::new();
        let (mut place, mut count) = (0, 1);
        while place < count {
            let name = piece_name(&name, place);
            let found = within(self.api.get_opt(&name)).await?.ok_or(Missing::Gone)?;
            let damaged = || StoreError::Damaged(format!("{name} holds no value"));
            let piece = found.binary_data.and_then(|mut data| data.remove(VALUE)).ok_or_else(damaged)?;
            let pieces = found.data.and_then(|data| data.get(PIECES)?.parse().ok());
            count = pieces.filter(|count| *count > 0 && *count < MOST_PIECES).ok_or_else(damaged)?;
            value.extend(piece.0);
            place += 1;
        }
        Ok(value)
    }

    /// The records from number `from` on, as far as `head` names any.
    async fn records(&self, head: &Head, from: u64) -> Result<Vec<(u64, Record)>, Missing> {
        let mut records = Vec::new();
        let mut next = from;
        while next < head.next {
            let packed = self.value(self.journal_name(next, head.epoch_of(next))).await?;
            let written: Vec<Record> = unpack(&inflate(&packed)?, "an object of the journal")?;
            if written.is_empty() {
                return Err(StoreError::Damaged("an object of the journal holds nothing".into()).into());
            }
            for record in written {
                records.push((next, record));
                next += 1;
            }
        }
        Ok(records)
    }

    /// What comes after the records before `from`; `None` where it is gone: then everything is to be read.
    pub(super) async fn news(
        &self,
        head: &Head,
        from: u64,
    ) -> Result<Option<Vec<(u64, Record)>>, StoreError> {
        match self.records(head, from).await {
            Ok(records) => Ok(Some(records)),
            Err(Missing::Gone) => Ok(None),
            Err(Missing::Failed(problem)) => Err(problem),
        }
    }

    /// Everything that the head names.
    async fn all(&self, head: &Head) -> Result<Vec<Kept>, Missing> {
        let base = &head.base;
        let mut kept = Vec::new();
        let names = (0..base.objects).map(|place| self.base_name(&base.id, place));
        let mut objects = futures_util::stream::iter(names.map(|name| self.value(name))).buffered(AHEAD);
        while let Some(packed) = objects.next().await {
            let parts: Vec<Part> = unpack(&inflate(&packed?)?, "a part of the state")?;
            kept.extend(parts.into_iter().map(|part| Kept::Part(base.before, part)));
        }
        let records = self.records(head, base.before).await?;
        kept.extend(records.into_iter().map(|(number, record)| Kept::Record(number, Box::new(record))));
        Ok(kept)
    }

    /// The newest of everything, with the head that names it.
    pub(super) async fn load(&self) -> Result<Option<(Head, String, Vec<Kept>)>, StoreError> {
        for _ in 0..TRIES {
            let Some((head, version)) = self.head().await? else { return Ok(None) };
            match self.all(&head).await {
                Ok(kept) => return Ok(Some((head, version, kept))),
                // Replaced while it was read.
                Err(Missing::Gone) => {}
                Err(Missing::Failed(problem)) => return Err(problem),
            }
        }
        Err(StoreError::Damaged("objects that the head names are not there".into()))
    }

    /// Every object of the group but the head.
    async fn names(&self) -> Result<Vec<String>, StoreError> {
        let params = ListParams::default().labels(&format!("{GROUP}={},{BASE}!=head", self.group));
        let found = within(self.api.list_metadata(&params)).await?;
        Ok(found.items.iter().map(ResourceExt::name_any).collect())
    }

    /// Deletes what nothing names any more; what is left by a failure is found by the next leader.
    async fn forget(self, names: Vec<String>) {
        for name in names {
            if let Err(problem) = within(self.api.delete(&name, &DeleteParams::default())).await {
                tracing::debug!(target: "engine_server::kube", name, %problem, "an object that nothing names stays");
            }
        }
    }
}

/// The name of one piece of a value.
fn piece_name(name: &str, place: usize) -> String {
    if place == 0 { name.to_owned() } else { format!("{name}-{place}") }
}

fn read_head(object: &ConfigMap) -> Result<(Head, String), StoreError> {
    let text = object.data.as_ref().and_then(|data| data.get(VALUE)).map(String::as_str).unwrap_or_default();
    let head = Head::from_text(text)
        .map_err(|problem| StoreError::Damaged(format!("{}: {problem}", object.name_any())))?;
    Ok((head, object.resource_version().unwrap_or_default()))
}

async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, StoreError> {
    let late = || kube::Error::Service(format!("no answer within {} s", PATIENCE.as_secs()).into());
    let answer = tokio::time::timeout(PATIENCE, request).await.unwrap_or_else(|_| Err(late()));
    answer.map_err(|problem| failed(&problem))
}

fn failed(problem: &kube::Error) -> StoreError {
    StoreError::Io(match problem {
        kube::Error::Api(status) => format!("the API server: {}", status.message),
        other => format!("the API server: {other}"),
    })
}

/// The journal in the hands of who leads.
pub(super) struct Journal {
    objects: Objects,
    runtime: Handle,
    leading: Arc<Leading>,
    head: Head,
    version: String,
    /// The head that was to be, where it is not known whether it is.
    attempted: Option<Head>,
    /// The base that is being written: its id, and how many values it has so far.
    base: Option<(String, u64)>,
    /// Objects that the head names, and older ones; then those since the base that is being written was begun.
    names: (Vec<String>, Vec<String>),
    /// Something was decided that is not written down: what came of it is in bases from this record on.
    broken_before: Option<u64>,
    /// Bytes written since the newest base.
    behind: u64,
    interval: Duration,
    committed: Option<Instant>,
}

impl Journal {
    /// Begins to write after `head`, in an epoch of its own.
    ///
    /// # Errors
    ///
    /// Somebody else has begun meanwhile, or the API server fails.
    pub(super) async fn begin(
        objects: Objects,
        leading: Arc<Leading>,
        (head, version): (&Head, &str),
        interval: Duration,
    ) -> Result<Self, StoreError> {
        let head = head.begun(head.next);
        let version = objects.swap(&head, Some(version)).await?;
        let names = (objects.names().await?, Vec::new());
        Ok(Self {
            objects,
            runtime: Handle::current(),
            leading,
            head,
            version,
            attempted: None,
            base: None,
            names,
            broken_before: None,
            behind: 0,
            interval,
            committed: None,
        })
    }

    /// The first of all: `parts` are what the engine is.
    pub(super) async fn create(objects: &Objects, base: &BaseParts) -> Result<(), StoreError> {
        let id = base_id(0, base);
        let mut place = 0;
        for packed in packed_parts(&base.parts)? {
            objects.put(objects.base_name(&id, place), &id, &packed).await?;
            place += 1;
        }
        let head = Head::new(Base { id, before: base.before, at: base.at, objects: place });
        // Whoever else has made one meanwhile was first.
        objects.swap(&head, None).await.map(drop)
    }

    async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        for (number, record) in &changes.records {
            if matches!(record.input, Input::Unrecorded) {
                self.broken_before = Some(number + 1);
            }
        }
        let mut whole = None;
        if let Some(parts) = &changes.base {
            if parts.first == 0 {
                self.base = Some((base_id(self.head.epoch(), parts), 0));
            }
            let (id, mut place) =
                self.base.clone().ok_or_else(|| StoreError::Io("a base goes on that never began".into()))?;
            for packed in packed_parts(&parts.parts)? {
                let name = self.objects.base_name(&id, place);
                self.names.1.extend(self.objects.put(name, &id, &packed).await?);
                place += 1;
            }
            if parts.is_last {
                whole = Some(Base { id: id.clone(), before: parts.before, at: parts.at, objects: place });
            }
            self.base = Some((id, place));
        }
        let mut next = self.head.next;
        if !changes.records.is_empty() {
            let follows = self.base.as_ref().map_or(&self.head.base.id, |(id, _)| id).clone();
            let records: Vec<&Record> = changes.records.iter().map(|(_, record)| record).collect();
            let packed = lz4_flex::compress_prepend_size(&pack(&records)?);
            let name = self.objects.journal_name(next, self.head.epoch());
            let names = self.objects.put(name, &follows, &packed).await?;
            self.behind += (packed.len() as u64).max(AT_LEAST);
            if self.base.is_some() {
                self.names.1.extend(names);
            } else {
                self.names.0.extend(names);
            }
            next += records.len() as u64;
        }
        if next == self.head.next && whole.is_none() {
            return Ok(());
        }
        let is_healed =
            whole.as_ref().is_some_and(|base| self.broken_before.is_some_and(|number| base.before >= number));
        let is_whole = whole.is_some();
        let head = self.head.with(next, whole);
        let version = self.version.clone();
        self.swap(if is_healed { head.broken() } else { head }, Some(&version)).await?;
        if is_healed {
            self.broken_before = None;
        }
        if is_whole {
            (self.base, self.behind) = (None, 0);
            let newer = std::mem::take(&mut self.names.1);
            let garbage = std::mem::replace(&mut self.names.0, newer);
            // By their names: whoever is late deletes nothing that a later leader wrote.
            self.runtime.spawn(self.objects.clone().forget(garbage));
        }
        Ok(())
    }

    /// Changes the head, if it still has that version, or makes it where there is to be none.
    async fn swap(&mut self, head: Head, version: Option<&str>) -> Result<(), StoreError> {
        self.attempted = Some(head.clone());
        self.version = self.objects.swap(&head, version).await?;
        (self.head, self.attempted) = (head, None);
        Ok(())
    }

    async fn take_up(&mut self, from: u64) -> Result<(), StoreError> {
        let (head, version) = match self.objects.head().await? {
            Some((head, version)) => (head, Some(version)),
            // Somebody has deleted it; all that it named is there.
            None => (self.head.clone(), None),
        };
        // Its own change may have come to be without an answer.
        if head.epoch() != self.head.epoch() && self.attempted.as_ref() != Some(&head) {
            self.leading.lose("another replica has begun to write");
            return Err(StoreError::InUse);
        }
        self.swap(head.begun(from), version.as_deref()).await?;
        // What was decided meanwhile is in bases from now on, and in nothing else.
        (self.base, self.broken_before) = (None, Some(from));
        let begun_in_vain = std::mem::take(&mut self.names.1);
        self.names.0.extend(begun_in_vain);
        Ok(())
    }
}

/// No two bases of one group have the same.
fn base_id(epoch: u64, base: &BaseParts) -> String {
    format!("{epoch}-{}-{:x}", base.before, base.at.as_millisecond())
}

/// Parts, some at a time. What was forecast once is not among them: it is of use for replays, and there are none here.
fn packed_parts(parts: &[Part]) -> Result<Vec<Vec<u8>>, StoreError> {
    let parts: Vec<&Part> = parts.iter().filter(|part| !matches!(part, Part::Archive(_))).collect();
    parts.chunks(PARTS_AT_ONCE).map(|parts| Ok(lz4_flex::compress_prepend_size(&pack(&parts)?))).collect()
}

impl Store for Journal {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if !self.leading.is_held() {
            return Err(StoreError::Io("this replica may not lead any more".into()));
        }
        if changes.records.is_empty() && changes.base.is_none() {
            // What was published is of no use here.
            return Ok(());
        }
        // Many inputs, one write: the cluster's database is shared with everybody.
        if let Some(committed) = self.committed.filter(|_| changes.base.is_none()) {
            std::thread::sleep(self.interval.saturating_sub(committed.elapsed()));
        }
        let runtime = self.runtime.clone();
        let written = runtime.block_on(self.write(changes));
        self.committed = Some(Instant::now());
        written
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        if !self.leading.is_held() {
            return Err(StoreError::Io("this replica may not lead now".into()));
        }
        let runtime = self.runtime.clone();
        runtime.block_on(self.take_up(from))
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let runtime = self.runtime.clone();
        let loaded = runtime.block_on(self.objects.load())?;
        loaded.map_or(Ok(()), |(_, _, kept)| kept.into_iter().try_for_each(take))
    }
}

impl Keep for Journal {
    fn behind(&self) -> u64 {
        self.behind
    }
}
