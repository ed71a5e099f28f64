//! What was decided, written into the objects' statuses.
//!
//! A status is written when the one there runs out, and not before: readers have been told until when it holds. Only
//! what somebody asked for meanwhile (another spec, other flavours, a PUT, an override) is written at once. So each
//! object costs one write for each time that a schedule is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::View;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use kube::ResourceExt as _;
use kube::api::{DynamicObject, Patch, PatchParams};
use models::{ScheduleId, Timestamp};
use serde_json::json;

use super::objects::{Object, Outcome};
use super::pace::{Pace, pause};
use super::status::Facts;
use super::{Cluster, MANAGER};
use crate::state::{now, until};

/// Statuses that are written beside each other.
const AT_ONCE: usize = 16;
/// How long one write may take.
const LONGEST_WRITE: Duration = Duration::from_secs(10);
/// How long before its end a schedule's successor is written, at most.
const LEAD: Duration = Duration::from_secs(2);
/// Shortest time between two writes of one object, whatever was asked for.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long is waited before an object is tried again that the API server does not take.
const REJECTED: Duration = Duration::from_mins(1);
/// What waits to be written is looked at this often at least.
const LOOK: Duration = Duration::from_secs(1);

/// What a status was made of, as far as that is to be seen at once.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    outcome: Outcome,
    flavour_problems: Vec<String>,
    /// Counts configurations.
    generation: Option<u64>,
    manual_until: Option<Timestamp>,
    /// Why there is no schedule.
    pending: Option<Arc<str>>,
}

/// What was written last.
#[derive(Debug, Clone)]
struct Written {
    uid: String,
    asked: Asked,
    sequence: Option<u64>,
    valid_until: Option<Timestamp>,
    evaluated_at: Option<Timestamp>,
    at: Instant,
}

/// Where one object stands.
#[derive(Debug, Default)]
struct Standing {
    written: Option<Written>,
    failures: u32,
    /// Not to be written before.
    not_before: Option<Instant>,
    is_under_way: bool,
    /// When it is to be looked at, where it waits.
    due: Option<Instant>,
}

/// What became of a write.
enum Ended {
    Written(Box<Written>),
    /// Another one was there first, or the object has changed meanwhile.
    Conflict,
    /// The object is gone.
    Gone,
    /// The API server does not take it.
    Rejected(String),
    /// The API server takes nothing now, and says for how long.
    Throttled(Option<Duration>),
    /// There is no answer.
    Unavailable(String),
}

/// The queue of what is to be written.
#[derive(Default)]
struct Queue {
    standings: BTreeMap<ScheduleId, Standing>,
    due: BTreeSet<(Instant, ScheduleId)>,
}

impl Queue {
    fn push(&mut self, id: &ScheduleId, at: Instant) {
        let standing = self.standings.entry(id.clone()).or_default();
        if let Some(before) = standing.due.replace(at) {
            self.due.remove(&(before, id.clone()));
        }
        self.due.insert((at, id.clone()));
    }

    fn pop(&mut self, now: Instant) -> Option<ScheduleId> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, id) = self.due.pop_first()?;
        if let Some(standing) = self.standings.get_mut(&id) {
            standing.due = None;
        }
        Some(id)
    }

    fn forget(&mut self, id: &ScheduleId) {
        if let Some(Standing { due: Some(due), .. }) = self.standings.remove(id) {
            self.due.remove(&(due, id.clone()));
        }
    }
}

/// Writes statuses, for ever.
pub(super) async fn publish(cluster: &Arc<Cluster>) {
    let mut queue = Queue::default();
    let mut under_way = FuturesUnordered::new();
    let mut pace = Pace::new(cluster.settings.writes_per_second, Instant::now());
    // Failures one after the other that say nothing of one object, and when it is tried again.
    let (mut outages, mut resumes) = (0_u32, Instant::now());
    loop {
        for id in cluster.changes.take() {
            look(cluster, &mut queue, &id);
        }
        let mut wait = LOOK;
        loop {
            let clock = Instant::now();
            // After an outage one write shows first whether it is over.
            let room = if outages > 0 { 1 } else { AT_ONCE };
            if !cluster.may_write() {
                break;
            }
            if under_way.len() >= room || clock < resumes {
                if clock < resumes {
                    wait = wait.min(resumes - clock);
                }
                break;
            }
            let Some(first) = queue.due.first() else { break };
            if first.0 > clock {
                wait = wait.min(first.0 - clock);
                break;
            }
            if let Err(pause) = pace.take(clock) {
                wait = wait.min(pause);
                break;
            }
            let Some(id) = queue.pop(clock) else { break };
            let Some((object, content)) = content(cluster, &id) else {
                queue.forget(&id);
                continue;
            };
            if let Some(standing) = queue.standings.get_mut(&id) {
                standing.is_under_way = true;
            }
            under_way.push(write(Arc::clone(cluster), id, object, content));
        }
        let overdue = queue.due.first().map_or(Duration::ZERO, |(due, _)| due.elapsed());
        metrics::gauge!("kubernetes_status_lag_seconds").set(overdue.as_secs_f64());
        tokio::select! {
            () = cluster.changes.some() => {}
            Some((id, began, ended)) = under_way.next(), if !under_way.is_empty() => {
                let failed = matches!(ended, Ended::Throttled(_) | Ended::Unavailable(_));
                // Those that were under way beside the first that failed say nothing new.
                if failed && began >= resumes {
                    outages = outages.saturating_add(1);
                    let asked = if let Ended::Throttled(Some(asked)) = &ended { *asked } else { Duration::ZERO };
                    resumes = Instant::now() + pause(outages, chance(&id)).max(asked);
                } else if !failed {
                    outages = 0;
                }
                end(cluster, &mut queue, &id, ended);
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Queues what has changed, for when it is to be written.
fn look(cluster: &Cluster, queue: &mut Queue, id: &ScheduleId) {
    if cluster.objects().get(id).is_none() {
        queue.forget(id);
        return;
    }
    let clock = Instant::now();
    let standing = queue.standings.entry(id.clone()).or_default();
    if standing.is_under_way {
        // It is looked at again once that is over.
        return;
    }
    if let Some(at) = standing.when(cluster, id, clock) {
        queue.push(id, at);
    }
}

impl Standing {
    /// When it is to be written; `None`: what is written is what there is.
    fn when(&self, cluster: &Cluster, id: &ScheduleId, clock: Instant) -> Option<Instant> {
        let not_before = self.not_before.unwrap_or(clock);
        let Some(written) = &self.written else { return Some(not_before) };
        let (view, asked) = asked(cluster, id);
        let is_the_same = cluster.objects().get(id).is_some_and(|object| object.uid == written.uid);
        if !is_the_same || asked != written.asked {
            return Some(not_before.max(written.at + SHORTEST));
        }
        let published = view.as_deref().and_then(View::published);
        if published.map(|published| published.sequence) == written.sequence {
            return None;
        }
        let evaluated_at = published.map(|published| published.schedule.evaluated_at);
        if evaluated_at < written.evaluated_at {
            // The clock was set back: by the new one what is written holds for too long.
            return Some(not_before.max(written.at + SHORTEST));
        }
        let left = written.valid_until.map_or(Duration::ZERO, |valid_until| until(valid_until, now()));
        let lead = LEAD.min(left / 5);
        Some(not_before.max(clock + left.saturating_sub(lead)))
    }
}

/// What is published of a schedule, and what it was asked for.
fn asked(cluster: &Cluster, id: &ScheduleId) -> (Option<Arc<View>>, Asked) {
    let view = cluster.state.board.view(id);
    let published = view.as_deref().and_then(View::published);
    let schedule = published.map(|published| &published.schedule);
    let objects = cluster.objects();
    let asked = Asked {
        outcome: objects.outcome(id),
        flavour_problems: flavour_problems(&objects, id),
        generation: schedule.map(|schedule| schedule.generation),
        manual_until: schedule.and_then(|schedule| schedule.manual.as_ref()).map(|manual| manual.until),
        pending: match view.as_deref() {
            Some(View::Pending(reason)) => Some(Arc::clone(reason)),
            _ => None,
        },
    };
    drop(objects);
    (view, asked)
}

fn flavour_problems(objects: &super::objects::Objects, id: &ScheduleId) -> Vec<String> {
    objects.discovered(id.namespace()).map(|found| found.problems.clone()).unwrap_or_default()
}

/// A status that is to be written.
struct Content {
    status: serde_json::Value,
    asked: Asked,
    sequence: Option<u64>,
    valid_until: Option<Timestamp>,
    evaluated_at: Option<Timestamp>,
}

fn content(cluster: &Cluster, id: &ScheduleId) -> Option<(Object, Content)> {
    let (view, asked) = asked(cluster, id);
    let objects = cluster.objects();
    let object = objects.get(id).cloned()?;
    let evaluator = objects.evaluator(id);
    drop(objects);
    let published = view.as_deref().and_then(View::published);
    // Until it was looked at there is nothing to be said of it.
    asked.outcome.generation?;
    let facts = Facts {
        view: view.as_deref(),
        outcome: &asked.outcome,
        flavour_problems: &asked.flavour_problems,
        evaluator,
        before: &object.conditions,
        now: now(),
    };
    let content = Content {
        status: serde_json::to_value(facts.status()).unwrap_or_default(),
        sequence: published.map(|published| published.sequence),
        valid_until: published.map(|published| published.schedule.valid_until),
        evaluated_at: published.map(|published| published.schedule.evaluated_at),
        asked,
    };
    Some((object, content))
}

/// Applies one status, to the object as it is known: one that has changed meanwhile is looked at first.
async fn write(
    cluster: Arc<Cluster>,
    id: ScheduleId,
    object: Object,
    content: Content,
) -> (ScheduleId, Instant, Ended) {
    let began = Instant::now();
    let api = cluster.schedules(Some(id.namespace()));
    let resource = super::resource();
    let apply = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": id.name(), "namespace": id.namespace(), "uid": object.uid, "resourceVersion": object.resource_version},
        "status": content.status,
    });
    let params = PatchParams::apply(MANAGER).force();
    let patched =
        tokio::time::timeout(LONGEST_WRITE, api.patch_status(id.name(), &params, &Patch::Apply(&apply)))
            .await;
    let ended = match patched {
        Err(_) => Ended::Unavailable(format!("no answer within {} s", LONGEST_WRITE.as_secs())),
        Ok(Ok(answer)) => {
            note(&cluster, &id, &answer);
            let Content { asked, sequence, valid_until, evaluated_at, .. } = content;
            Ended::Written(Box::new(Written {
                uid: object.uid,
                asked,
                sequence,
                valid_until,
                evaluated_at,
                at: Instant::now(),
            }))
        }
        Ok(Err(kube::Error::Api(status))) => match status.code {
            404 | 410 => Ended::Gone,
            409 => {
                // What it is by now; where that cannot be had, the watch will tell.
                let newest = tokio::time::timeout(LONGEST_WRITE, api.get(id.name())).await;
                if let Ok(Ok(newest)) = newest {
                    note(&cluster, &id, &newest);
                }
                Ended::Conflict
            }
            429 => {
                let after = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
                Ended::Throttled((after > 0).then(|| Duration::from_secs(after.into())))
            }
            400..=499 => Ended::Rejected(status.message.clone()),
            _ => Ended::Unavailable(status.message.clone()),
        },
        Ok(Err(problem)) => Ended::Unavailable(problem.to_string()),
    };
    (id, began, ended)
}

fn note(cluster: &Cluster, id: &ScheduleId, newest: &DynamicObject) {
    let conditions = newest.data.pointer("/status/conditions").cloned().unwrap_or_default();
    let conditions = serde_json::from_value(conditions).unwrap_or_default();
    let version = newest.resource_version().unwrap_or_default();
    cluster.objects().note_version(id, newest.uid().as_deref().unwrap_or_default(), version, conditions);
}

/// Takes note of what became of a write, and queues the next one.
fn end(cluster: &Cluster, queue: &mut Queue, id: &ScheduleId, ended: Ended) {
    let outcome = match &ended {
        Ended::Written(_) => "written",
        Ended::Conflict => "conflict",
        Ended::Gone => "gone",
        Ended::Rejected(_) => "rejected",
        Ended::Throttled(_) => "throttled",
        Ended::Unavailable(_) => "unavailable",
    };
    metrics::counter!("kubernetes_status_writes_total", "outcome" => outcome).increment(1);
    let standing = queue.standings.entry(id.clone()).or_default();
    standing.is_under_way = false;
    let clock = Instant::now();
    let retry = match ended {
        Ended::Written(written) => {
            standing.written = Some(*written);
            (standing.failures, standing.not_before) = (0, None);
            look(cluster, queue, id);
            return;
        }
        // The watch tells whether there is another of that name.
        Ended::Gone => return queue.forget(id),
        Ended::Conflict => pause(standing.failures + 1, chance(id)),
        Ended::Throttled(_) => Duration::ZERO,
        Ended::Rejected(problem) => {
            tracing::error!(target: "engine_server::kube", schedule = %id, problem, "the API server does not take a status: is its TrafficSchedule definition the one of `engine-server crd`?");
            REJECTED
        }
        Ended::Unavailable(problem) => {
            tracing::warn!(target: "engine_server::kube", schedule = %id, problem, "the API server takes no status now");
            Duration::ZERO
        }
    };
    standing.failures = standing.failures.saturating_add(1);
    standing.not_before = Some(clock + retry);
    queue.push(id, clock + retry);
}

/// A number in [0, 1) that differs from object to object, and from time to time.
fn chance(id: &ScheduleId) -> f64 {
    let nanos = f64::from(now().subsec_millisecond());
    (id.spread() + nanos / 1_000.0).fract()
}
