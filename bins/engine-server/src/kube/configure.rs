//! What the cluster asks for, put in force.

use std::sync::Arc;
use std::time::Duration;

use engine::ConfigureError;
use engine::journal::{Answer, Input};
use futures_util::StreamExt as _;
use kube::Resource as _;
use kube::api::DynamicObject;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use models::{Overrides, Problems, ScheduleId, Setting};
use tokio::sync::oneshot;

use super::args::Mode;
use super::objects::{Object, Outcome};
use super::watch::Unlisted;
use super::{Cluster, MANAGER, resource, spec};
use crate::store::Refused;

/// Objects that are settled beside each other: each may wait for the disk.
const AT_ONCE: usize = 64;
/// Pause where what is asked for cannot be kept now.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest that is waited for an Event to be taken.
const LONGEST_EVENT: Duration = Duration::from_secs(5);
/// Longest note of an Event, in bytes: Kubernetes takes 1 kB.
const LONGEST_NOTE: usize = 1_000;

/// Settles whatever is unsettled, for ever. `looked` hears when that was so for the first time.
pub(super) async fn configure(cluster: &Arc<Cluster>, unlisted: Unlisted, looked: oneshot::Sender<()>) {
    let reporter = Reporter { controller: MANAGER.into(), instance: std::env::var("HOSTNAME").ok() };
    let recorder = Recorder::new(cluster.client.clone(), reporter);
    let mut looked = Some(looked);
    let mut is_first = true;
    loop {
        // Before the lists are whole, whatever is missing may be there: flavours, and objects.
        if !unlisted.is_none() {
            cluster.unsettled.notified().await;
            continue;
        }
        if std::mem::take(&mut is_first) {
            left_behind(cluster);
        }
        let ids = cluster.objects().take_unsettled();
        if ids.is_empty() {
            // Whoever waits may have gone.
            looked.take().map(|looked| looked.send(()));
            cluster.unsettled.notified().await;
            continue;
        }
        let refused: Vec<ScheduleId> = futures_util::stream::iter(ids)
            .map(|id| settle(cluster, &recorder, id))
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        if !refused.is_empty() {
            cluster.objects().unsettle(refused);
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// What was known before this process began, of objects that have gone meanwhile.
fn left_behind(cluster: &Cluster) {
    let known: Vec<ScheduleId> = cluster.state.engine().in_cluster().cloned().collect();
    let mut objects = cluster.objects();
    let gone: Vec<ScheduleId> =
        known.into_iter().filter(|id| objects.get(id).is_none() && is_watched(cluster, id)).collect();
    objects.unsettle(gone);
}

fn is_watched(cluster: &Cluster, id: &ScheduleId) -> bool {
    let namespaces = &cluster.settings.namespaces;
    namespaces.is_empty() || namespaces.iter().any(|namespace| namespace == id.namespace())
}

/// Puts in force what is asked of one schedule, or frees it. Answers it again where that has to wait.
async fn settle(cluster: &Cluster, recorder: &Recorder, id: ScheduleId) -> Option<ScheduleId> {
    let object = cluster.objects().get(&id).cloned();
    let settled = match &object {
        None => leave(cluster, &id).await.map(|()| None),
        Some(object) => enter(cluster, &id, object).await.map(Some),
    };
    match settled {
        Err(refused) => {
            tracing::warn!(target: "engine_server::kube", schedule = %id, %refused, "what the cluster asks for is not in force yet");
            return Some(id);
        }
        Ok(None) => {}
        Ok(Some(outcome)) => {
            let problem = outcome.problem.clone();
            let is_news = cluster.objects().settle(&id, outcome);
            if let (true, Some(problem), Some(object)) = (is_news, problem, &object) {
                tracing::warn!(target: "engine_server::kube", schedule = %id, problem, "a spec is not in force");
                tell(recorder, &id, object, problem).await;
            }
        }
    }
    cluster.changes.note(&id);
    None
}

async fn leave(cluster: &Cluster, id: &ScheduleId) -> Result<(), Refused> {
    if cluster.settings.mode == Mode::StatusOnly || !cluster.state.engine().is_in_cluster(id) {
        return Ok(());
    }
    let stay = *id == cluster.state.default_id;
    cluster.state.act(Input::LeaveCluster { id: id.clone(), stay }).await?;
    tracing::info!(target: "engine_server::kube", schedule = %id, "its object is gone");
    cluster.objects().unsettle_refused();
    cluster.unsettled.notify_one();
    Ok(())
}

async fn enter(cluster: &Cluster, id: &ScheduleId, object: &Object) -> Result<Outcome, Refused> {
    let mut outcome = Outcome { generation: Some(object.generation), ..Outcome::default() };
    if cluster.settings.mode == Mode::StatusOnly {
        return Ok(outcome);
    }
    let state = &cluster.state;
    let (mut wanted, problem) = match spec::understand(&object.spec, &state.registry, &cluster.limits) {
        Ok(wanted) => (wanted, None),
        // The last good one stays, with the flavours there are now.
        Err(problems) => match state.engine().asked_in_cluster(id).cloned() {
            Some(last) => (last, Some(problems.to_string())),
            None => {
                outcome.problem = Some(problems.to_string());
                return Ok(outcome);
            }
        },
    };
    let namespace = id.namespace();
    wanted.flavours = cluster.objects().discovered(namespace).and_then(|found| found.flavours.clone());
    let refused = put_in_force(cluster, id, wanted).await?;
    outcome.is_one_too_many = matches!(refused, Some((_, true)));
    outcome.problem = problem.or(refused.map(|(problem, _)| problem));
    outcome.discovery_interval =
        state.engine().number(id, Setting::DiscoveryInterval).map(Duration::from_secs_f64);
    Ok(outcome)
}

/// Answers what is wrong with it, where it is not in force, and whether that is for want of room.
async fn put_in_force(
    cluster: &Cluster,
    id: &ScheduleId,
    wanted: Overrides,
) -> Result<Option<(String, bool)>, Refused> {
    let state = &cluster.state;
    if state.engine().asked_in_cluster(id) == Some(&wanted) {
        return Ok(None);
    }
    let refused = state.options.refused(&wanted);
    let configured = state.act(Input::ConfigureInCluster { id: id.clone(), wanted, refused }).await?;
    let Answer::Configured(Err(problem)) = configured else { return Ok(None) };
    Ok(Some(match problem {
        ConfigureError::Invalid(problems) => {
            let mut named = Problems::new();
            for field in &problems {
                named.push(spec::field_of_setting(&field.pointer), &field.problem);
            }
            (named.to_string(), false)
        }
        full @ ConfigureError::TooManySchedules { .. } => (full.to_string(), true),
    }))
}

/// Writes an Event that names what is wrong.
async fn tell(recorder: &Recorder, id: &ScheduleId, object: &Object, mut problem: String) {
    if problem.len() > LONGEST_NOTE {
        problem.truncate(problem.floor_char_boundary(LONGEST_NOTE));
    }
    let mut about = DynamicObject::new(id.name(), &resource()).within(id.namespace());
    about.metadata.uid = Some(object.uid.clone());
    about.metadata.resource_version = Some(object.resource_version.clone());
    let event = Event {
        type_: EventType::Warning,
        reason: "InvalidSpec".into(),
        note: Some(problem),
        action: "Configure".into(),
        secondary: None,
    };
    let about = about.object_ref(&resource());
    let published = tokio::time::timeout(LONGEST_EVENT, recorder.publish(&event, &about)).await;
    if let Ok(Err(problem)) = published {
        tracing::debug!(target: "engine_server::kube", schedule = %id, %problem, "an Event cannot be written");
    }
}
