//! A recording as a provider.

use std::path::Path;

use anyhow::Context as _;
use providers::trace::{CarbonTrace, Factors, TraceAdapter};

/// Reads a recording that is to be repeated around now.
///
/// # Errors
///
/// It cannot be read, or is shorter than a day.
pub(crate) fn trace(path: &Path) -> anyhow::Result<TraceAdapter> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the trace {shown}"))?;
    let trace = CarbonTrace::read(&shown, &bytes, Factors::default())?;
    for note in trace.notes().lines() {
        tracing::warn!(target: "engine_server::forecasts", "{note}");
    }
    TraceAdapter::looped(&trace).with_context(|| format!("cannot replay {shown}"))
}
