//! A port that speaks HTTP/1.1, encrypted or not.
//!
//! The framework's own server would do, but for one thing: it reads and understands whatever a client sends ahead,
//! also while that client takes no answer, some 3 kB of memory for a request of 30 bytes. So what it reads from is a
//! connection that gives little at once, and nothing while its client does not read.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_tls::accept::rustls_0_23::reexports::ServerConfig;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_tls::accept::{TlsError, max_concurrent_tls_connect};
use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connections::Connections;
use crate::http::door::Door;
use crate::security::HANDSHAKE_TIMEOUT;

/// Bytes after which others have their turn, and what was read is understood.
const AT_ONCE: usize = 4_096;
/// How long a client may take to notice that a connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a port is served.
pub(crate) struct Port {
    /// Threads.
    pub(crate) workers: usize,
    /// Most connections of each.
    pub(crate) per_worker: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) keep_alive: Duration,
    /// How long requests in flight may take once a stop was asked for, in seconds.
    pub(crate) drain_seconds: u64,
    pub(crate) connections: Arc<Connections>,
    pub(crate) tls: Option<ServerConfig>,
}

/// Serves what `rooms` makes, behind `door`, on `listener` until told to stop.
pub(crate) fn serve<F, I, S>(door: Door, rooms: F, listener: TcpListener, port: Port) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
        > + 'static,
    S::Service: 'static,
    S::Future: 'static,
    <S::Service as Service<Request>>::Future: 'static,
{
    let Port { workers, per_worker, request_timeout, keep_alive, drain_seconds, connections, tls } = port;
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections(per_worker)
        .shutdown_timeout(drain_seconds)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    // What is behind a connection of either kind.
    let http = move |rooms: &F| {
        let (stopping, connections) = (stopping.clone(), Arc::clone(&connections));
        let house = door.before(rooms()).map_err(|never| -> Response<BoxBody> { match never {} });
        let door = door.clone();
        HttpService::build()
            .expect(fn_service(move |request| std::future::ready(door.invite(request))))
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(keep_alive)
            .client_request_timeout(request_timeout)
            .client_disconnect_timeout(CLOSE_TIMEOUT)
            .on_connect_ext(move |stream: &Throttled, data| connections.count_in(stream.descriptor, data))
            .h1(map_config(house, |()| AppConfig::default()))
    };
    let server = match tls {
        None => server.listen("http", listener, move || {
            fn_service(|stream: TcpStream| {
                std::future::ready(Ok::<_, DispatchError>(Throttled::plain(stream)))
            })
            .and_then(http(&rooms))
        })?,
        Some(mut config) => {
            config.alpn_protocols.insert(0, b"http/1.1".to_vec());
            // A handshake is a connection like any other: it waits for no place of its own.
            max_concurrent_tls_connect(per_worker);
            server.listen("https", listener, move || {
                let mut acceptor = Acceptor::new(config.clone());
                acceptor.set_handshake_timeout(HANDSHAKE_TIMEOUT);
                acceptor
                    .map_err(TlsError::into_service_error)
                    .map(Throttled::encrypted)
                    .and_then(http(&rooms).map_err(TlsError::Service))
            })?
        }
    };
    Ok(server.run())
}

/// A connection that gives little at once, and nothing while its client does not read.
struct Throttled {
    stream: Stream,
    descriptor: RawFd,
    /// Bytes given since others had their turn.
    given: usize,
    /// Whether there is something to be written that the client does not take.
    is_blocked: bool,
}

enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Throttled {
    fn plain(stream: TcpStream) -> (Self, Option<SocketAddr>) {
        let (descriptor, peer) = (stream.as_raw_fd(), stream.peer_addr().ok());
        (Self::new(Stream::Plain(stream), descriptor), peer)
    }

    fn encrypted(stream: TlsStream<TcpStream>) -> (Self, Option<SocketAddr>) {
        let inner = stream.get_ref().0;
        let (descriptor, peer) = (inner.as_raw_fd(), inner.peer_addr().ok());
        (Self::new(Stream::Encrypted(Box::new(stream)), descriptor), peer)
    }

    fn new(stream: Stream, descriptor: RawFd) -> Self {
        Self { stream, descriptor, given: 0, is_blocked: false }
    }
}

/// The same of either kind of stream.
macro_rules! of_either {
    ($throttled:expr, $stream:ident => $what:expr) => {
        match &mut $throttled.stream {
            Stream::Plain(stream) => {
                let $stream = Pin::new(stream);
                $what
            }
            Stream::Encrypted(stream) => {
                let $stream = Pin::new(&mut **stream);
                $what
            }
        }
    };
}

impl AsyncRead for Throttled {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_blocked {
            // Whoever writes is told when that is over.
            return Poll::Pending;
        }
        if this.given >= AT_ONCE {
            this.given = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = of_either!(this, stream => stream.poll_read(context, buffer));
        match read {
            Poll::Pending => this.given = 0,
            Poll::Ready(_) => this.given += buffer.filled().len() - before,
        }
        read
    }
}

impl AsyncWrite for Throttled {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = of_either!(this, stream => stream.poll_write(context, bytes));
        let was_blocked = std::mem::replace(&mut this.is_blocked, written.is_pending());
        if was_blocked && !this.is_blocked {
            // Nobody waits for bytes: reading was left out.
            context.waker().wake_by_ref();
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self.get_mut(), stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self.get_mut(), stream => stream.poll_shutdown(context))
    }
}
