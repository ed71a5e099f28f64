//! Open connections: how many there are, and which of them go on for ever.
//!
//! The HTTP framework limits the time for the first head of a connection, and the pause before the next request.
//! It does not limit the time for that next head once its first byte is here, nor for an answer that nobody takes.
//! So every connection is looked at each second, and ended where it made no progress for as long as all of that
//! may take.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{Backlog, Shutdown, listen, shutdown};

/// How often connections are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Connections that wait to be accepted, at most.
const QUEUE: i32 = 1_024;
/// Files that are open beside connections: listeners, state, providers' connections, and room.
const OTHER_FILES: u64 = 256;

/// The open connections of one port.
pub(crate) struct Connections {
    /// A label of the metrics.
    port: &'static str,
    patience: Duration,
    /// By file descriptor: a connection stands here only while its own is open.
    open: Mutex<BTreeMap<RawFd, Open>>,
}

struct Open {
    progress: Progress,
    /// How long there has been none.
    quiet: Duration,
}

/// Whether anything happened since somebody looked.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<AtomicBool>);

/// One open connection, counted as long as this lives; it is part of what the framework keeps of a connection.
pub(crate) struct Connection {
    of: Arc<Connections>,
    descriptor: RawFd,
    progress: Progress,
}

impl Connections {
    /// None yet. Those without progress for `patience` are ended.
    pub(crate) fn new(port: &'static str, patience: Duration) -> Arc<Self> {
        metrics::gauge!("http_connections_open", "port" => port).set(0.0);
        metrics::counter!("http_connections_ended_total", "port" => port).absolute(0);
        Arc::new(Self { port, patience, open: Mutex::default() })
    }

    /// Counts a new connection, for as long as the framework keeps `data` of it.
    pub(crate) fn count_in(self: &Arc<Self>, descriptor: RawFd, data: &mut Extensions) {
        data.insert(self.count(descriptor));
    }

    fn count(self: &Arc<Self>, descriptor: RawFd) -> Connection {
        let progress = Progress::default();
        self.open().insert(descriptor, Open { progress: progress.clone(), quiet: Duration::ZERO });
        metrics::gauge!("http_connections_open", "port" => self.port).increment(1.0);
        Connection { of: Arc::clone(self), descriptor, progress }
    }

    /// Ends what makes no progress, for ever.
    pub(crate) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let ended = self.look(LOOK_EVERY);
            metrics::counter!("http_connections_ended_total", "port" => self.port).increment(ended);
        }
    }

    /// Looks at every connection, that long after the last look; answers how many were ended.
    fn look(&self, since: Duration) -> u64 {
        let mut ended = 0;
        for (descriptor, open) in self.open().iter_mut() {
            if open.progress.0.swap(false, Ordering::Relaxed) {
                open.quiet = Duration::ZERO;
                continue;
            }
            open.quiet += since;
            if open.quiet > self.patience {
                // As long as it stands here it is open, and nobody else's. It is the framework's to close: it
                // learns that both ways have ended. One that has ended already cannot be ended again.
                ended += u64::from(shutdown(*descriptor, Shutdown::Both).is_ok());
                open.quiet = Duration::ZERO;
            }
        }
        ended
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<RawFd, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// There was some.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// That of the connection which `request` came over.
    pub(crate) fn of(request: &HttpRequest) -> Option<&Self> {
        request.conn_data().map(Connection::progress)
    }
}

impl Connection {
    /// Whether anything happened on it.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Before the descriptor is closed: the framework drops what it keeps of a connection, then the connection.
        self.of.open().remove(&self.descriptor);
        metrics::gauge!("http_connections_open", "port" => self.of.port).decrement(1.0);
    }
}

/// Lets more connections wait until they are accepted than the standard library does: many routers come back at once.
pub(crate) fn lengthen_queue(listener: &TcpListener) {
    // Where the system allows less it takes that; where it refuses, the shorter queue stays.
    let _ = Backlog::new(QUEUE).and_then(|queue| listen(listener, queue));
}

/// Lets this process open as many files as so many connections need beside `others`, if it may.
///
/// Answers how many connections there can be.
pub(crate) fn allow(connections: usize, others: usize) -> usize {
    let others = (others as u64).saturating_add(OTHER_FILES);
    let wanted = (connections as u64).saturating_add(others);
    let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return connections };
    let raised = wanted.min(most).max(now);
    let allowed = setrlimit(Resource::RLIMIT_NOFILE, raised, most).map_or(now, |()| raised);
    if allowed >= wanted {
        return connections;
    }
    let possible = usize::try_from(allowed.saturating_sub(others)).unwrap_or(usize::MAX).max(1);
    tracing::warn!(
        "at most {possible} connections, not {connections}: this process may open {allowed} files; \
         raise that limit (ulimit -n, LimitNOFILE=) or lower --max-connections"
    );
    possible
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpStream;
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn what_makes_no_progress_is_ended_and_what_does_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let connections = Connections::new("test", Duration::from_secs(2));
        let connection = connections.count(stream.as_raw_fd());
        for _ in 0..10 {
            connection.progress.note();
            assert_eq!(connections.look(LOOK_EVERY), 0);
        }
        assert_eq!([1, 2].map(|_| connections.look(LOOK_EVERY)), [0, 0]);
        assert_eq!(connections.look(LOOK_EVERY), 1);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(connection);
        assert_eq!(connections.open().len(), 0);
    }
}
