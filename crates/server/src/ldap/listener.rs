//! Accepts LDAP connections, in clear with `StartTLS` and inside TLS, within limits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::Shared;
use super::lanes::Lanes;
use super::limits::{ACCEPT_PAUSE, HANDSHAKE_PATIENCE};
use super::session::{Over, Session};
use crate::listener::{Share, Sources, stopped};
use crate::traces;

/// Whether a listener begins with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In clear; the client may ask for TLS.
    Clear,
    /// Inside TLS (`ldaps://`).
    Tls,
}

/// How many connections there may be.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time.
    pub connections_max: usize,
    /// Connections at the same time from one source; further ones are closed at once.
    pub connections_per_source_max: usize,
    /// Networks that may have any number of them.
    pub trusted: Vec<IpNet>,
}

/// A bound socket.
pub struct LdapDoor {
    socket: TcpListener,
    start: Start,
    places: Arc<Semaphore>,
    sources: Sources,
    connections_max: usize,
}

/// What a connection takes up, free again when it is dropped.
struct Place {
    _share: Share,
    _permit: OwnedSemaphorePermit,
}

impl LdapDoor {
    /// Binds `address`.
    ///
    /// # Errors
    ///
    /// When the address is taken or not of this machine.
    pub async fn bind(address: SocketAddr, start: Start, limits: Limits) -> io::Result<Self> {
        Ok(Self::on(TcpListener::bind(address).await?, start, limits))
    }

    /// Serves on a socket that listens already.
    pub fn on(socket: TcpListener, start: Start, limits: Limits) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let sources = Sources::new(limits.connections_per_source_max, limits.trusted);
        Self { socket, start, places, sources, connections_max: limits.connections_max }
    }

    /// How its URLs begin.
    pub const fn scheme(&self) -> &'static str {
        match self.start {
            Start::Clear => "ldap",
            Start::Tls => "ldaps",
        }
    }

    /// Where it listens, the port taken if 0 was asked for.
    ///
    /// # Errors
    ///
    /// When the system does not know.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop` turns true, then waits for what runs for at most `patience`. False
    /// if some were cut off.
    pub async fn serve(
        self,
        lanes: Arc<Lanes>,
        shared: Arc<Shared>,
        mut stop: watch::Receiver<bool>,
        patience: Duration,
    ) -> bool {
        loop {
            let accepted = tokio::select! {
                () = stopped(&mut stop) => break,
                accepted = self.accept() => accepted,
            };
            if let Some((stream, peer, place)) = accepted {
                let (shared, stop) = (Arc::clone(&shared), stop.clone());
                let start = self.start;
                lanes.converse(stream, peer, move |stream| async move {
                    if shared.state.traces.is_some() {
                        // Boxed, so that those who want no traces pay nothing for them.
                        let all = Box::pin(converse(&shared, stream, peer, start, stop));
                        traces::listening(all).await;
                    } else {
                        converse(&shared, stream, peer, start, stop).await;
                    }
                    drop(place);
                });
            }
        }
        drop(self.socket);
        let all = u32::try_from(self.connections_max).unwrap_or(u32::MAX);
        timeout(patience, self.places.acquire_many(all)).await.is_ok()
    }

    async fn accept(&self) -> Option<(TcpStream, SocketAddr, Place)> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok()?;
        match self.socket.accept().await {
            Ok((stream, peer)) => {
                let Some(share) = self.sources.admit(peer.ip()) else {
                    debug!(%peer, "closed: its source has as many connections as it may");
                    return None;
                };
                // An answer is one piece: waiting for more to send only delays it.
                let _ = stream.set_nodelay(true);
                Some((stream, peer, Place { _share: share, _permit: permit }))
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

async fn converse(
    shared: &Shared,
    stream: TcpStream,
    peer: SocketAddr,
    start: Start,
    mut stop: watch::Receiver<bool>,
) {
    let _open = shared.state.metrics.ldap_connection();
    if start == Start::Clear {
        let session = Session::new(shared, stream, peer, false);
        let (over, stream) = session.converse(&mut stop).await;
        if over == Over::StartTls {
            inside_tls(shared, stream, peer, &mut stop).await;
        }
    } else {
        inside_tls(shared, stream, peer, &mut stop).await;
    }
}

async fn inside_tls<S: AsyncRead + AsyncWrite + Unpin + Send>(
    shared: &Shared,
    stream: S,
    peer: SocketAddr,
    stop: &mut watch::Receiver<bool>,
) {
    let Some(certificates) = &shared.certificates else { return };
    let handshake = TlsAcceptor::from(certificates.config_without_alpn()).accept(stream);
    match timeout(HANDSHAKE_PATIENCE, handshake).await {
        Ok(Ok(stream)) => {
            // Boxed, because it is rare and as large as what surrounds it.
            Box::pin(Session::new(shared, stream, peer, true).converse(stop)).await;
        }
        Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => debug!(%peer, "TLS handshake took too long"),
    }
}
