//! The HTTP service: arguments -> adapters -> engine.
//!
//! ```text
//!   http/ ──> requests ──┐                       ┌──> http/ (documents)   metrics/   kube/ (statuses)
//!   forecasts/ ──────────┼──> turn ──> Engine ───┤
//!   feedback/, kube/ ────┘    one thread's turn  └──> store/ (journal, bases)
//! ```
//!
//! What this program does not do: it decides nothing. Whatever it publishes is what the engine answered.

mod args;
mod begin;
mod carbon_args;
mod connections;
mod feedback;
mod forecasts;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod kube;
mod life;
mod limit_args;
mod listener;
mod logging;
mod metrics;
mod sampling;
mod security;
mod state;
mod stopping;
mod store;
mod turn;
mod vintages;
mod wanted;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use engine::{Engine, EngineOptions};
use models::{Config, Overrides};
use policies::Registry;

use args::Settings;
use begin::Beginning;
use forecasts::{ChainTargets, Refresh};
use kube::{Changes, Connection, Replica};
use security::Security;
use state::State;
use stopping::Stops;
use store::{Queue, StoreSettings};
use vintages::Vintages;

/// How long a write of the replicas' state may take before evaluations do not wait for it any longer.
const REPLICA_PATIENCE: Duration = Duration::from_secs(6);

/// The program: what was typed, then what was meant, then that. Returns its exit code.
pub fn main() -> ExitCode {
    let commands = [store::command(), http::openapi::command(), kube::command()];
    let matches = args::command().subcommands(commands).get_matches();
    let done = match matches.subcommand() {
        Some(("state", matches)) => Some(store::run(matches)),
        Some(("openapi", _)) => Some(http::openapi::print()),
        Some(("crd", matches)) => Some(kube::print(matches)),
        _ => None,
    };
    if let Some(done) = done {
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        };
    }
    let settings = match Settings::read(&matches) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, 2),
    };
    logging::start(settings.log_level, settings.log_format);
    let ended = run(&settings);
    sampling::tell_left_out(None);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(std::io::stderr(), "engine-server: {error:#}");
    ExitCode::from(code)
}

fn run(settings: &Settings) -> anyhow::Result<()> {
    let started = SystemTime::now();
    let seed = instance();
    let adapters = settings.carbon.adapters(forecasts::trace)?;
    let chain = settings.call_limits.chain(adapters.clone()).map_err(anyhow::Error::msg)?;
    let options = EngineOptions {
        defaults: settings.defaults.clone(),
        seed,
        max_schedules: settings.limits.schedules,
        targets: Arc::new(ChainTargets(adapters)),
        ..EngineOptions::default()
    };
    let engine =
        Engine::new(options.clone(), Registry::builtin()).with_publisher(Arc::new(logging::EvaluationLog));
    let warnings = engine.check_defaults().context("the defaults cannot be put in force")?;
    let mut security = Security::load(&settings.security)?;
    if settings.check {
        return report(settings, &warnings, &security);
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }

    let in_cluster = settings.kubernetes.is_some() || settings.replicas.is_some();
    let cluster = in_cluster.then(|| Connection::find(settings.kubernetes.clone())).transpose()?;
    let recorder = metrics::install(settings.keeps_state(), in_cluster)?;
    security.follow()?;
    let state = Arc::new(state_of(settings, engine, seed));
    let refresh = Arc::new(Refresh::new(chain, seed));
    let api = bind(settings.listen, "--listen")?;
    let metrics_listener = bind(settings.metrics_listen, "--metrics-listen")?;
    let addresses = (api.local_addr()?, metrics_listener.local_addr()?);
    let beginning = Beginning {
        state: Arc::clone(&state),
        refresh: Arc::clone(&refresh),
        counters: settings.counters.clone(),
        store: settings.store.clone(),
        cluster,
        replicas: settings.replicas.clone().map(|replicas| replicas.reached_at(addresses.0, &security)),
        limits: settings.limits.clone(),
    };

    let sources = metrics::Sources {
        state: Arc::clone(&state),
        refresh: Arc::clone(&refresh),
        recorder: recorder.clone(),
        started,
        file: settings.store.as_ref().map(StoreSettings::file),
        max_schedules: settings.limits.schedules,
        max_exported: settings.metrics_max_schedules,
    };
    let (workers, drain, limits) = (settings.workers, settings.drain, settings.limits.clone());
    actix_web::rt::System::new().block_on(async move {
        let api = http::serve(&state, &refresh, api, workers, &limits, &security)?;
        let metrics_server = metrics::serve(sources, metrics_listener, &limits, &security)?;
        // From the announcement on a stop is a good end.
        let mut stops = Stops::catch()?;
        let begun = tokio::task::spawn_blocking(|| beginning.begin());
        let handle = api.handle();
        let metrics_handle = metrics_server.handle();
        let begun = if state.life.is_restored() {
            // Without anything to be read the first request finds all there is.
            begun.await??;
            None
        } else {
            Some(begun)
        };
        let served = actix_web::rt::spawn(api);
        actix_web::rt::spawn(metrics_server);
        announce(addresses, &security);
        let is_stopped = match begun {
            None => false,
            Some(begun) => tokio::select! {
                begun = begun => { begun??; false }
                _ = stops.next() => true,
            },
        };
        let turning = (!is_stopped).then(|| {
            state.life.set_serving(Instant::now());
            actix_web::rt::spawn(turn::turn(Arc::clone(&state), refresh, recorder))
        });
        if is_stopped {
            state.life.set_stopping();
        } else {
            let asked = stops.next().await;
            state.life.set_stopping();
            stops.drain(asked, drain).await;
        }
        tracing::info!("stopping: requests in flight are answered first");
        handle.stop(true).await;
        served.await??;
        if let Some(queue) = &state.queue {
            queue.stop().await;
        }
        if let Some(replica) = &state.replica {
            // Whoever waits leads at once.
            replica.resign().await;
        }
        metrics_handle.stop(false).await;
        if let Some(turning) = turning {
            turning.abort();
        }
        Ok(())
    })
}

/// What handlers and tasks will share.
fn state_of(settings: &Settings, engine: Engine, seed: u64) -> State {
    let queue = match &settings.replicas {
        Some(_) => Some(Queue::patient(REPLICA_PATIENCE)),
        None => settings.store.as_ref().map(|_| Queue::default()),
    };
    let (vintages, default_id) = (Vintages::new(settings.vintages), settings.default_id.clone());
    State::new(engine, vintages, default_id, seed, settings.anonymous_writes, queue)
        .in_cluster(settings.kubernetes.as_ref().map(|_| Arc::new(Changes::default())))
        .with_replica(settings.replicas.as_ref().map(|replicas| Arc::new(Replica::of(replicas))))
}

/// Listens, or says which flag chooses another place.
fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}: choose another place with {flag}, e.g. {flag} 127.0.0.1:8080")
    })?;
    listener.set_nonblocking(true)?;
    connections::lengthen_queue(&listener);
    Ok(listener)
}

/// One line on stdout, whatever the log level: where the server is.
fn announce((api, metrics): (SocketAddr, SocketAddr), security: &Security) {
    let scheme = security::scheme(security.tls.as_ref());
    let metrics_scheme = security::scheme(security.metrics_tls());
    let mut out = std::io::stdout().lock();
    // Whoever closed stdout does not want to know.
    let _ = writeln!(
        out,
        "engine-server listens on {scheme}://{api} (metrics on {metrics_scheme}://{metrics}/metrics)"
    );
    let _ = out.flush();
}

/// `--check`: what would be in force.
fn report(settings: &Settings, warnings: &[String], security: &Security) -> anyhow::Result<()> {
    let config = Config::resolve(&settings.defaults, &Overrides::default());
    let mut out = std::io::stdout().lock();
    writeln!(out, "configuration is valid")?;
    for (key, value) in config.to_json() {
        writeln!(out, "  {key} = {} ({})", value["value"], value["source"].as_str().unwrap_or_default())?;
    }
    for line in security.summary() {
        writeln!(out, "  {line}")?;
    }
    for warning in warnings {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}

/// A number no other start has: what random streams and entity tags begin with.
fn instance() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library seeds its hasher from the system's randomness.
    std::hash::RandomState::new().build_hasher().finish()
}
