//! Structured logs on stderr; one line an evaluation at debug.

use std::str::FromStr;

use engine::{Publisher, View};
use models::ScheduleId;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::sampling::Sampling;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".into()),
        }
    }
}

/// A level by Python's name for it, in any case.
///
/// # Errors
///
/// Says which names there are.
pub(crate) fn level(name: &str) -> Result<LevelFilter, String> {
    match name.to_ascii_uppercase().as_str() {
        "TRACE" | "NOTSET" => Ok(LevelFilter::TRACE),
        "DEBUG" => Ok(LevelFilter::DEBUG),
        "INFO" => Ok(LevelFilter::INFO),
        "WARNING" | "WARN" => Ok(LevelFilter::WARN),
        "ERROR" | "CRITICAL" | "FATAL" => Ok(LevelFilter::ERROR),
        _ => Err("expected DEBUG, INFO, WARNING, ERROR or CRITICAL".into()),
    }
}

/// Starts logging. What dependencies say below a warning is theirs alone. What actix-http and rustls say are errors of
/// the other side, a line for every malformed request: anyone could fill the disk with them.
pub(crate) fn start(level: LevelFilter, format: LogFormat) {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("actix_http", LevelFilter::OFF)
        .with_target("rustls", LevelFilter::OFF)
        .with_target("engine_server", level);
    let registry = tracing_subscriber::registry().with(targets).with(Sampling);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(layer.with_ansi(ansi)).init();
        }
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}

/// Logs what is published.
pub(crate) struct EvaluationLog;

impl Publisher for EvaluationLog {
    fn publish(&self, id: &ScheduleId, view: &View) {
        if !tracing::enabled!(target: "engine_server::evaluation", tracing::Level::DEBUG) {
            return;
        }
        match view {
            View::Pending(reason) => {
                tracing::debug!(target: "engine_server::evaluation", schedule = %id, %reason, "nothing to evaluate");
            }
            View::Schedule(published) => {
                let schedule = &published.schedule;
                let weights: Vec<String> = schedule
                    .flavours
                    .iter()
                    .map(|share| format!("{}={}", share.name, share.weight))
                    .collect();
                tracing::debug!(
                    target: "engine_server::evaluation",
                    schedule = %id,
                    policy = %schedule.policy,
                    weights = weights.join(","),
                    avg_precision = schedule.avg_precision,
                    credit_balance = schedule.credits.balance,
                    throttle = schedule.processing.throttle,
                    carbon_now = schedule.forecast.now,
                    valid_until = %schedule.valid_until,
                    reason = schedule.reason,
                    "evaluated"
                );
            }
        }
    }

    fn withdraw(&self, id: &ScheduleId) {
        tracing::info!(target: "engine_server::evaluation", schedule = %id, "removed");
    }
}
