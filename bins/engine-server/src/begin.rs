//! How a process begins: it brings back what there was, and starts what goes on beside the requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::journal::{Answer, Input};
use models::Overrides;
use tokio::sync::oneshot::error::TryRecvError;

use crate::feedback::{Counters, Polling};
use crate::forecasts::Refresh;
use crate::kube::{Connection, ReplicaSettings};
use crate::limit_args::Limits;
use crate::state::State;
use crate::store::{self, Queue, StoreSettings};

/// Longest that a start waits for what the cluster has.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// How often is looked for what a start waits for.
const LOOK: Duration = Duration::from_millis(5);
/// Pause between two attempts to write.
const AGAIN: Duration = Duration::from_millis(200);

/// Where what there was is, and what goes on.
pub(crate) struct Beginning {
    pub(crate) state: Arc<State>,
    pub(crate) refresh: Arc<Refresh>,
    pub(crate) counters: Option<Counters>,
    pub(crate) store: Option<StoreSettings>,
    pub(crate) cluster: Option<Connection>,
    pub(crate) replicas: Option<ReplicaSettings>,
    pub(crate) limits: Limits,
}

impl Beginning {
    /// Returns once requests can be sent here, or a stop was asked for. To be called where waiting is allowed.
    ///
    /// # Errors
    ///
    /// What there was cannot be read, or something cannot be started.
    pub(crate) fn begin(mut self) -> anyhow::Result<()> {
        if let Some(settings) = self.replicas.take() {
            return self.join(&settings);
        }
        if let Some(settings) = self.store.take() {
            let disk = store::open(&settings)?;
            let (keeper, start) = store::restore(&self.state, disk, &settings)?;
            store::start(&self.state, keeper)?;
            self.state.act_and_wait(start)?;
        } else {
            tracing::info!(
                "state is kept in memory: a restart forgets it, unless --state-dir says where to keep it"
            );
        }
        self.go_on()
    }

    /// One of several replicas: it follows, or goes on where the others ended.
    fn join(mut self, settings: &ReplicaSettings) -> anyhow::Result<()> {
        let state = Arc::clone(&self.state);
        let Some(cluster) = self.cluster.take() else {
            anyhow::bail!("--replicated: no cluster is known");
        };
        // No other process has the same, also none that is started in this one's place.
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "replica".into());
        let identity = format!("{host}-{:016x}", state.instance);
        let (from, lead) = (cluster.clone(), Arc::clone(&state));
        let lead = move |keeper, start| {
            store::start(&lead, keeper)?;
            if insist(&lead, &start).is_none() {
                return Ok(());
            }
            self.cluster = Some(cluster);
            self.go_on()
        };
        from.join(&state, settings, identity, Box::new(lead))?;
        let Some(replica) = state.replica.clone() else { return Ok(()) };
        while !state.life.is_restored() && !state.life.is_stopping() {
            if !replica.leads() && replica.follows() && is_published(&state) {
                state.life.set_restored();
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// What whoever decides does beside that.
    fn go_on(self) -> anyhow::Result<()> {
        let Self { state, refresh, counters, cluster, limits, .. } = self;
        // The default schedule exists from the first request on.
        if state.engine().config(&state.default_id).is_none() {
            let overrides = Overrides::default();
            let input = Input::Configure { id: state.default_id.clone(), overrides, refused: None };
            let answer = if state.replica.is_some() {
                insist(&state, &input)
            } else {
                Some(state.act_and_wait(input)?)
            };
            if let Some(Answer::Configured(configured)) = answer {
                configured?;
            }
        }
        // What was there is published again before anybody is told that there is nothing.
        while !is_published(&state) && state.queue.as_ref().is_none_or(Queue::is_well) {
            if state.life.is_stopping() {
                // Whoever would publish it may have ended already.
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        state.life.set_restored();
        refresh.start(&state)?;
        if let Some(counters) = counters {
            Arc::new(Polling::new(counters)).start(&state)?;
        }
        if let Some(cluster) = cluster {
            let mut first_look = cluster.start(&state, &limits)?;
            let began = Instant::now();
            // What the cluster has is there from the first request on, unless it cannot be asked.
            while first_look.try_recv() == Err(TryRecvError::Empty)
                && began.elapsed() < FIRST_LOOK
                && !state.life.is_stopping()
            {
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }
}

fn is_published(state: &State) -> bool {
    state.board.len() >= state.engine().len()
}

/// Has the engine act upon `input`, however long it takes until that can be kept. `None`: it is somebody else's by now.
fn insist(state: &State, input: &Input) -> Option<Answer> {
    loop {
        match state.act_and_wait(input.clone()) {
            Ok(answer) => return Some(answer),
            Err(problem) if state.life.is_stopping() => {
                tracing::warn!(%problem, "stopping before this replica has begun to lead");
                return None;
            }
            Err(problem) => {
                tracing::warn!(%problem, "this replica is to lead, and cannot write yet");
                std::thread::sleep(AGAIN);
            }
        }
    }
}
