//! The way to the API server.

use std::time::Duration;

use anyhow::Context as _;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::util::MapRequestLayer;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A watch is begun anew after so long, so that none that has died unseen is believed for longer.
pub(super) const WATCH_SECONDS: u32 = 60;
/// A watch on which nothing came for this long is dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// Where the cluster is, and who we are there.
///
/// # Errors
///
/// Neither `KUBECONFIG` nor a pod's service account says so.
pub(super) fn find() -> anyhow::Result<Config> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let found = runtime.block_on(Config::infer());
    let mut config = found.context(
        "--kubernetes: no cluster is known: set KUBECONFIG to a file that names one, or run in a pod with a service account",
    )?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    // What is turned away comes back at a pace of its own, and is counted.
    config.default_retry = false;
    Ok(config)
}

/// A client that counts what it asks. To be made where it is used.
///
/// # Errors
///
/// The credentials cannot be used.
pub(super) fn client(config: Config) -> anyhow::Result<Client> {
    let builder =
        ClientBuilder::try_from(config).context("--kubernetes: the cluster's credentials cannot be used")?;
    let counted = |request: http::Request<Body>| {
        let verb = match *request.method() {
            http::Method::GET if is_watch(request.uri()) => "watch",
            http::Method::GET => "read",
            _ => "write",
        };
        metrics::counter!("kubernetes_requests_total", "verb" => verb).increment(1);
        request
    };
    Ok(builder.with_layer(&MapRequestLayer::new(counted)).build())
}

fn is_watch(uri: &http::Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}
