//! Accepts connections and speaks HTTP/1.1 and HTTP/2 on them, within limits.

mod idle;
mod sources;

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::{debug, warn};

use crate::config::Server;
use crate::http::Front;
use crate::http::state::Connection;
use crate::tls::{Certificates, Thumbprint};
use idle::Activity;
pub(crate) use sources::{Share, Sources};

/// How long a TLS handshake may take; a client that needs longer holds a place for nothing.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests after the system refused (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Requests at the same time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// What bounds a connection.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time.
    pub connections_max: usize,
    /// Connections at the same time from one source; further ones are closed at once.
    pub connections_per_source_max: usize,
    /// Networks that may have any number of them.
    pub trusted_proxies: Vec<IpNet>,
    /// Bytes of a request's head.
    pub header_bytes_max: u32,
    /// Time for a request's head, idling included.
    pub header_timeout: Duration,
}

impl From<&Server> for Limits {
    fn from(server: &Server) -> Self {
        Self {
            connections_max: server.connections_max,
            connections_per_source_max: server.connections_per_source_max,
            trusted_proxies: server.trusted_proxies.clone(),
            header_bytes_max: server.header_bytes_max,
            header_timeout: Duration::from_secs(server.header_timeout_seconds),
        }
    }
}

/// A bound socket and what is served on it.
pub struct Door {
    socket: TcpListener,
    certificates: Option<Arc<Certificates>>,
    places: Arc<Semaphore>,
    sources: Sources,
    limits: Limits,
    http: auto::Builder<TokioExecutor>,
}

impl Door {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// When the address is taken or not of this machine.
    pub async fn bind(
        address: SocketAddr,
        certificates: Option<Arc<Certificates>>,
        limits: Limits,
    ) -> io::Result<Self> {
        Ok(Self::on(TcpListener::bind(address).await?, certificates, limits))
    }

    /// Serves on a socket that listens already.
    pub fn on(
        socket: TcpListener,
        certificates: Option<Arc<Certificates>>,
        limits: Limits,
    ) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        // Below 8 KiB hyper refuses to start; the configuration's bounds are above.
        let head = usize::try_from(limits.header_bytes_max).unwrap_or(usize::MAX);
        http.http1()
            // A head in time is what [`Activity::idle`] sees to.
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            // Answers are small: one buffer costs less than two.
            .writev(false)
            .max_buf_size(head);
        http.http2()
            .timer(TokioTimer::new())
            .max_header_list_size(limits.header_bytes_max)
            .max_concurrent_streams(STREAMS_MAX)
            .keep_alive_interval(limits.header_timeout)
            .keep_alive_timeout(HANDSHAKE_TIMEOUT);
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let exempt = limits.trusted_proxies.clone();
        let sources = Sources::new(limits.connections_per_source_max, exempt);
        Self { socket, certificates, places, sources, limits, http }
    }

    /// Where it listens, the port taken if 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the system does not know.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop` turns true, then waits for running requests for at most `patience`.
    /// False if some were cut off.
    pub async fn serve(
        self,
        front: impl Into<Front>,
        mut stop: watch::Receiver<bool>,
        patience: Duration,
    ) -> bool {
        let front = front.into();
        loop {
            let connection = tokio::select! {
                () = stopped(&mut stop) => break,
                connection = self.accept() => connection,
            };
            if let Some((stream, peer, place)) = connection {
                self.spawn(&front, stream, peer, place, stop.clone());
            }
        }
        drop(self.socket);
        let all = u32::try_from(self.limits.connections_max).unwrap_or(u32::MAX);
        // Every place is free again when the last connection has ended.
        tokio::time::timeout(patience, self.places.acquire_many(all)).await.is_ok()
    }

    async fn accept(&self) -> Option<(TcpStream, SocketAddr, Place)> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, peer)) => {
                let Some(share) = self.sources.admit(peer.ip()) else {
                    debug!(%peer, "closed: its source has as many connections as it may");
                    return None;
                };
                Some((stream, peer, Place { _share: share, _permit: permit }))
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }

    fn spawn(
        &self,
        front: &Front,
        stream: TcpStream,
        peer: SocketAddr,
        place: Place,
        stop: watch::Receiver<bool>,
    ) {
        // Answers are small and complete: waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let front = front.clone();
        let http = self.http.clone();
        let patience = self.limits.header_timeout;
        let tls = self.certificates.as_ref().map(|certificates| certificates.config());
        tokio::spawn(async move {
            match tls {
                None => {
                    let facts = Connection { peer, tls: false, certificate: None };
                    converse(http, stream, facts, front, stop, patience).await;
                }
                Some(config) => {
                    let handshake = tokio_rustls::TlsAcceptor::from(config).accept(stream);
                    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                        Ok(Ok(stream)) => {
                            let chain = stream.get_ref().1.peer_certificates();
                            let own = chain.and_then(|chain| chain.first());
                            let certificate = own.map(|own| Thumbprint::of(own));
                            let facts = Connection { peer, tls: true, certificate };
                            converse(http, stream, facts, front, stop, patience).await;
                        }
                        Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
                        Err(_) => debug!(%peer, "TLS handshake took too long"),
                    }
                }
            }
            drop(place);
        });
    }
}

/// How the usual life of a connection ends.
enum Until<T> {
    Ended(T),
    Idle,
    Stopping,
}

/// What a connection takes up, free again when it is dropped.
struct Place {
    _share: Share,
    _permit: OwnedSemaphorePermit,
}

/// Serves one connection to its end; when `stop` turns true, to the end of what runs on it. One
/// that is idle for `patience` is closed; what was answered has as long again to be read.
async fn converse(
    http: auto::Builder<TokioExecutor>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    facts: Connection,
    front: Front,
    mut stop: watch::Receiver<bool>,
    patience: Duration,
) {
    let activity = Arc::new(Activity::default());
    let (noted, front) = (Arc::clone(&activity), Arc::new(front));
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let (running, front) = (noted.begin(), Arc::clone(&front));
        async move {
            let answer = front.answer(request, facts).await;
            drop(running);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut idle = pin!(activity.idle(patience));
    let mut stopping = pin!(stopped(&mut stop));
    // By hand and in this order, because it runs with every request.
    let until = poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Until::Ended(ended));
        }
        if idle.as_mut().poll(context).is_ready() {
            return Poll::Ready(Until::Idle);
        }
        stopping.as_mut().poll(context).map(|()| Until::Stopping)
    });
    let ended = match until.await {
        Until::Ended(ended) => ended,
        Until::Idle => {
            debug!(peer = %facts.peer, "closed: nothing was asked for a while");
            if !activity.any() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            // Nothing runs any more: only what nobody reads is lost when it is cut off.
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = tokio::time::sleep(patience) => return,
                () = stopping.as_mut() => return,
            }
        }
        Until::Stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(peer = %facts.peer, %error, "a connection ended early");
    }
}

/// Waits until `stop` turns true, or nobody is left who could turn it.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The value is a lock on the channel; it must not be carried along.
    drop(stop.wait_for(|stop| *stop).await);
}

#[cfg(test)]
mod tests;
