//! How the process is asked to stop, and what it does until it takes nothing new any more.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What asks for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM: an orchestrator, which tells others meanwhile that nothing is to be sent here.
    ToTerminate,
    /// SIGINT: somebody at a terminal, who would wait for nobody's sake.
    ToInterrupt,
}

/// SIGTERM and SIGINT, caught from the begin of this value on.
pub(crate) struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::ToTerminate,
            _ = self.interrupt.recv() => Asked::ToInterrupt,
        }
    }

    /// Goes on serving until whoever sends requests here had `drain` to learn that it is to stop, or another
    /// signal says that nobody does.
    pub(crate) async fn drain(&mut self, asked: Asked, drain: Duration) {
        if asked == Asked::ToInterrupt || drain.is_zero() {
            return;
        }
        tracing::info!(seconds = drain.as_secs(), "stopping: /readyz says so, everything is still served");
        let _ = tokio::time::timeout(drain, self.next()).await;
    }
}
