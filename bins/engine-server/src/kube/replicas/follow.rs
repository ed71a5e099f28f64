//! What a replica does: it learns what the leader wrote, looks at the lease, and leads when that is its own.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::journal::{BaseParts, Changes, Kept, Outcomes, Record, Store, StoreError};

use super::elect::Election;
use super::head::{Follow, Head};
use super::journal::{Journal, Objects};
use super::lease::Terms;
use super::{Lead, Replica};
use crate::state::{State, now};
use crate::store::{Keeper, Recovery, recover_into};

/// Longest pause between two looks at what the leader wrote.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Records that are acted upon without letting anybody in between.
const AT_ONCE: usize = 64;

/// A replica that does not lead, or not yet.
pub(super) struct Follower {
    state: Arc<State>,
    replica: Arc<Replica>,
    objects: Objects,
    interval: Duration,
    /// What is known.
    known: Option<Known>,
    /// Where the engine tells what it publishes: nobody asks for it as long as this one follows.
    outcomes: Arc<Outcomes>,
}

struct Known {
    head: Head,
    version: String,
    /// Number of the next record to act upon.
    next: u64,
}

/// What was read, for whoever makes an engine of it.
struct Loaded(Vec<Kept>);

impl Store for Loaded {
    fn commit(&mut self, _: &Changes) -> Result<(), StoreError> {
        Err(StoreError::Io("this can only be read".into()))
    }

    fn heal(&mut self, _: u64) -> Result<(), StoreError> {
        Err(StoreError::Io("this can only be read".into()))
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.0.iter().cloned().try_for_each(take)
    }
}

impl Follower {
    pub(super) fn new(
        state: Arc<State>,
        replica: Arc<Replica>,
        objects: Objects,
        interval: Duration,
    ) -> Self {
        Self { state, replica, objects, interval, known: None, outcomes: Arc::default() }
    }

    /// Follows, leads, and keeps the lease, for ever.
    pub(super) async fn run(mut self, mut election: Election, terms: Terms, lead: Lead) {
        let mut lead = Some(lead);
        let mut left = None;
        loop {
            let pause = match left.take() {
                _ if self.replica.leads() => terms.retry,
                // Looked at as soon as it may be over.
                Some(left) => terms.retry.min(LONGEST_PAUSE).min(left),
                None => terms.retry.min(LONGEST_PAUSE),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.replica.resigns.notified() => {
                    election.resign(&self.replica.leading).await;
                    self.replica.resigned.notify_one();
                    return;
                }
            }
            if !self.replica.leads() {
                self.outcomes.take();
                match self.follow().await {
                    Ok(()) => self.replica.hear(),
                    Err(problem) => {
                        tracing::warn!(target: "engine_server::kube", %problem, "what the other replicas know cannot be read");
                        continue;
                    }
                }
            }
            match election.turn(&self.replica.leading).await {
                Ok(others) => left = others,
                Err(problem) => {
                    tracing::warn!(target: "engine_server::kube", %problem, "the lease cannot be looked at, or another replica was faster");
                }
            }
            *self.replica.leader.lock().unwrap_or_else(PoisonError::into_inner) = election.address();
            if self.replica.leads() {
                if !election.is_ours() && !self.replica.leading.is_held() {
                    self.replica.leading.lose("another replica has the lease");
                }
                let is_held = self.replica.leading.is_held();
                metrics::gauge!("replica_leads").set(if is_held { 1.0 } else { 0.0 });
                if self.replica.leading.is_lost() && self.state.life.is_stopping() {
                    // It ends anyway, once it has answered.
                    continue;
                }
                if self.replica.leading.is_lost() {
                    // What it knows is not how it goes on: a process that begins anew follows.
                    tracing::error!(target: "engine_server::kube", "another replica leads: this process ends, and follows once it is started again");
                    std::process::exit(3);
                }
            } else if self.replica.leading.is_held()
                && let Some(begin) = lead.take()
            {
                // Where somebody else was faster there is another turn.
                lead = self.begin(begin).await;
            }
        }
    }

    /// Learns what is new.
    async fn follow(&mut self) -> Result<(), StoreError> {
        if self.replica.strayed.load(Ordering::Acquire) {
            // It decided for itself meanwhile: nothing of that was written down.
            self.known = None;
        }
        if let Some(known) = &mut self.known {
            let Some((head, version)) = self.objects.head().await? else {
                return Err(StoreError::Damaged("the head of the journal is gone".into()));
            };
            let records = match head.after(&known.head, known.next) {
                Follow::Nothing => Some(Vec::new()),
                Follow::From(next) => self.objects.news(&head, next).await?,
                Follow::Anew => None,
            };
            if let Some(records) = records {
                apply(&self.state, known, records).await;
                (known.head, known.version) = (head, version);
                return Ok(());
            }
            self.known = None;
        }
        let Some((head, version, kept)) = self.objects.load().await? else {
            return Ok(());
        };
        // From here on it decides nothing for itself: least of all with the engine that it is given now.
        self.replica.hear();
        self.replica.strayed.store(false, Ordering::Release);
        let Recovery { outcomes, next, .. } = recover_into(&self.state, &mut Loaded(kept), true)?;
        self.outcomes = outcomes;
        self.known = Some(Known { head, version, next });
        self.replica.follows.store(true, Ordering::Release);
        Ok(())
    }

    /// Begins to write. Answers what is to be done where somebody else has begun meanwhile.
    async fn begin(&mut self, lead: Lead) -> Option<Lead> {
        if self.follow().await.is_err() {
            return Some(lead);
        }
        if self.known.is_none() && !self.create().await {
            return Some(lead);
        }
        let Some(known) = &self.known else { return Some(lead) };
        let begun = (&known.head, known.version.as_str());
        let leading = Arc::clone(&self.replica.leading);
        let journal = match Journal::begin(self.objects.clone(), leading, begun, self.interval).await {
            Ok(journal) => journal,
            Err(problem) => {
                tracing::warn!(target: "engine_server::kube", %problem, "another replica was faster");
                return Some(lead);
            }
        };
        let start = crate::store::start_input(&self.state);
        let behind = known.next.saturating_sub(known.head.base.before);
        let keeper = Keeper::new(Box::new(journal), Arc::clone(&self.outcomes), known.next, behind);
        self.replica.leads.store(true, Ordering::Release);
        tracing::info!(target: "engine_server::kube", next = known.next, "this replica leads");
        self.outcomes.take();
        // The lease is renewed meanwhile.
        tokio::spawn(async move {
            let begun = tokio::task::spawn_blocking(move || lead(keeper, start)).await;
            if let Err(problem) = begun.map_err(anyhow::Error::from).and_then(|begun| begun) {
                tracing::error!(target: "engine_server::kube", problem = format!("{problem:#}"), "this replica cannot lead: its process ends");
                std::process::exit(1);
            }
        });
        None
    }

    /// Makes the journal, of an engine that knows nothing. Answers whether nobody else did.
    async fn create(&mut self) -> bool {
        let base = {
            let mut engine = self.state.engine();
            engine.begin_base();
            let mut parts = Vec::new();
            loop {
                let more = engine.base_parts(usize::MAX);
                if more.is_empty() {
                    break;
                }
                parts.extend(more);
            }
            BaseParts { before: 0, at: now(), first: 0, parts, is_last: true }
        };
        if let Err(problem) = Journal::create(&self.objects, &base).await {
            tracing::warn!(target: "engine_server::kube", %problem, "the journal cannot be begun, or another replica was faster");
            return false;
        }
        self.follow().await.is_ok() && self.known.is_some()
    }
}

/// Acts upon what the leader acted upon.
async fn apply(state: &State, known: &mut Known, records: Vec<(u64, Record)>) {
    for (index, (number, record)) in records.into_iter().enumerate() {
        if index % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let mut engine = state.engine();
        crate::store::act_upon(&mut engine, state, &record);
        drop(engine);
        known.next = number + 1;
    }
}
