//! A way to the database that can be cut in the middle of a commit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use counterfoil_store::DatabaseUrl;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

use super::cluster::Cluster;

/// How the driver writes a commit: a simple query.
const COMMIT: &[u8] = b"commit\0";

/// When the next connection that commits is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The server does not hear of the commit.
    BeforeCommit,
    /// The server has committed, and its answer is lost.
    AfterCommit,
    /// The same, and from then on nobody comes through at all.
    AfterCommitForGood,
}

#[derive(Default)]
struct State {
    cut: Mutex<Option<When>>,
    closed: Mutex<bool>,
    cuts: AtomicU64,
    closing: Notify,
}

/// The proxy.
pub(crate) struct Proxy {
    state: Arc<State>,
    port: u16,
}

impl Proxy {
    /// Listens on a port of this machine.
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        tokio::spawn(accept(listener, cluster.socket(), Arc::clone(&state)));
        Self { state, port }
    }

    /// The way to a database.
    pub(crate) fn url(&self, name: &str) -> DatabaseUrl {
        let url = format!("postgres://cf@127.0.0.1:{}/{name}?sslmode=disable", self.port);
        DatabaseUrl::parse(&url).unwrap()
    }

    /// Cuts the next commit.
    pub(crate) fn cut(&self, when: When) {
        *self.state.cut.lock() = Some(when);
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        *self.state.closed.lock() = false;
    }

    /// How many commits were cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        if !*state.closed.lock() {
            let server = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(carry(client, server, Arc::clone(&state)));
        }
    }
}

/// Carries bytes until one side ends or the connection is cut.
async fn carry(mut client: TcpStream, mut server: UnixStream, state: Arc<State>) {
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            () = state.closing.notified() => return,
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let asks = &asked[..length];
                let commits = asks.windows(COMMIT.len()).any(|window| window == COMMIT);
                let cut = if commits { state.cut.lock().take() } else { None };
                if let Some(when) = cut {
                    state.cuts.fetch_add(1, Ordering::Relaxed);
                    if when == When::BeforeCommit {
                        return;
                    }
                    server.write_all(asks).await.unwrap();
                    // The answer means that the commit has taken place; nobody gets to see it.
                    read_until_idle(&mut server, &mut said).await;
                    if when == When::AfterCommitForGood {
                        *state.closed.lock() = true;
                        state.closing.notify_waiters();
                    }
                    return;
                }
                server.write_all(asks).await.unwrap();
            }
            read = server.read(&mut said) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&said[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Reads until the server says that no transaction is open: `ReadyForQuery` with state `I`.
async fn read_until_idle(server: &mut UnixStream, said: &mut [u8]) {
    let mut heard = Vec::new();
    while !heard.ends_with(&[b'Z', 0, 0, 0, 5, b'I']) {
        let length = server.read(said).await.unwrap();
        assert!(length > 0, "the server ended the session instead of committing");
        heard.extend_from_slice(&said[..length]);
    }
}
