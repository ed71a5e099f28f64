//! The lease, asked for and renewed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};

use super::ReplicaSettings;
use super::leading::Leading;
use super::lease::{Seen, Step, Terms, Watch};

/// Where the leader says it is reached.
const ADDRESS: &str = "carbon-aware-decision-engine/address";

/// One replica's part in it.
pub(super) struct Election {
    api: Api<Lease>,
    group: String,
    me: String,
    address: Option<String>,
    terms: Terms,
    watch: Watch,
    /// The newest state of the object.
    object: Option<Lease>,
}

impl Election {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        settings: &ReplicaSettings,
        me: String,
        terms: Terms,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            group: settings.group.clone(),
            me,
            address: settings.address.clone(),
            terms,
            watch: Watch::default(),
            object: None,
        }
    }

    /// Looks at the lease, and does what is to be done about it: `leading` is renewed where it is ours. Answers how
    /// long it is somebody else's at least.
    ///
    /// # Errors
    ///
    /// The API server does not answer, or somebody else was faster.
    pub(super) async fn turn(&mut self, leading: &Leading) -> Result<Option<Duration>, kube::Error> {
        let found = self.within(self.api.get_opt(&self.group)).await?;
        let seen = found.as_ref().map(|lease| self.seen(lease));
        self.watch.see(seen, Instant::now());
        self.object = found;
        let step = self.watch.step(&self.me, Instant::now());
        if let Step::Wait(left) = step {
            return Ok(Some(left));
        }
        let asked = Instant::now();
        let lease = self.lease(step, Some(&self.me));
        let params = PostParams::default();
        let written = match step {
            Step::Create => self.within(self.api.create(&params, &lease)).await?,
            _ => self.within(self.api.replace(&self.group, &params, &lease)).await?,
        };
        leading.renew(asked, self.terms.lasts);
        self.watch.see(Some(self.seen(&written)), Instant::now());
        self.object = Some(written);
        Ok(None)
    }

    /// Gives it back, if it is ours.
    pub(super) async fn resign(&mut self, leading: &Leading) {
        leading.give_back();
        if self.watch.holder() == Some(&self.me) {
            let lease = self.lease(Step::Renew, None);
            // Where that fails it runs out.
            let _ = self.within(self.api.replace(&self.group, &PostParams::default(), &lease)).await;
        }
    }

    /// Where the leader is reached.
    pub(super) fn address(&self) -> Option<String> {
        // One that is over leads to nobody.
        if matches!(self.watch.step(&self.me, Instant::now()), Step::Take | Step::Create) {
            return None;
        }
        self.object.as_ref()?.annotations().get(ADDRESS).cloned()
    }

    /// Whether this one has it, as far as was seen.
    pub(super) fn is_ours(&self) -> bool {
        self.watch.holder() == Some(&self.me)
    }

    fn seen(&self, lease: &Lease) -> Seen {
        let spec = lease.spec.clone().unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Seen {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            version: lease.resource_version().unwrap_or_default(),
            lasts: seconds.map_or(self.terms.lasts, Duration::from_secs),
        }
    }

    fn lease(&self, step: Step, holder: Option<&str>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = self.object.as_ref().and_then(|object| object.spec.clone()).unwrap_or_default();
        let is_taken = step != Step::Renew;
        let spec = LeaseSpec {
            holder_identity: Some(holder.unwrap_or_default().to_owned()),
            lease_duration_seconds: i32::try_from(self.terms.lasts.as_secs()).ok(),
            acquire_time: if is_taken { Some(now.clone()) } else { before.acquire_time },
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(is_taken)),
            ..LeaseSpec::default()
        };
        let address = self.address.clone().filter(|_| holder.is_some());
        let annotations: BTreeMap<_, _> =
            address.map(|address| (ADDRESS.to_owned(), address)).into_iter().collect();
        let metadata = ObjectMeta {
            name: Some(self.group.clone()),
            annotations: Some(annotations),
            resource_version: self.object.as_ref().and_then(ResourceExt::resource_version),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// No answer is worth anything once the lease may be somebody else's.
    async fn within<T>(
        &self,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, kube::Error> {
        let patience = self.terms.lasts / 2;
        let late = || kube::Error::Service("no answer in time".into());
        tokio::time::timeout(patience, request).await.unwrap_or_else(|_| Err(late()))
    }
}
