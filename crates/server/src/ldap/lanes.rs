//! Threads that converse with LDAP clients, each with its own connections for as long as they last.
//!
//! A bind is a few microseconds of work between two system calls, so threads that take work from
//! each other, and wake each other for it, lose more than they gain; `cargo xtask bench ldap`
//! measures it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tracing::warn;

/// The threads. They end when this is dropped, and what still runs on them with them.
pub struct Lanes(Vec<Lane>);

struct Lane {
    handle: Handle,
    open: Arc<AtomicUsize>,
    /// Dropping it ends the thread.
    _end: oneshot::Sender<()>,
}

/// One connection of a lane.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// Starts a thread for every other core that the process has.
    ///
    /// More than half of a bind is the kernel's, on its own account or the client's. A thread for
    /// each core finds fewer clients waiting at a time, and sleeps and wakes the more often for it.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no event queue to give.
    pub fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        (0..cores.div_ceil(2)).map(Lane::start).collect::<io::Result<Vec<_>>>().map(Self)
    }

    /// Hands a connection to the lane that has the fewest.
    pub(super) fn converse<F>(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        conversation: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let fewest = self.0.iter().min_by_key(|lane| lane.open.load(Ordering::Relaxed));
        let (Some(lane), Ok(stream)) = (fewest, stream.into_std()) else { return };
        lane.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&lane.open));
        lane.handle.spawn(async move {
            let _open = open;
            // Events of the socket come to the lane from here on.
            match TcpStream::from_std(stream) {
                Ok(stream) => conversation(stream).await,
                Err(error) => warn!(%peer, %error, "a connection could not be served"),
            }
        });
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name(format!("ldap-{number}")).spawn(move || {
            // An error is the end that is waited for: nothing is ever sent.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { handle, open: Arc::default(), _end: end })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_and_end_with_their_lanes() {
        let lanes = Lanes((0..2).map(Lane::start).collect::<io::Result<_>>().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (told, mut hear) = mpsc::unbounded_channel();
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, peer) = listener.accept().await.unwrap();
            let told = told.clone();
            lanes.converse(stream, peer, move |stream| async move {
                let _ = told.send(thread::current().name().map(str::to_owned));
                stream.readable().await.unwrap();
            });
        }
        let mut names = Vec::new();
        for _ in 0..4 {
            names.push(hear.recv().await.unwrap().unwrap());
        }
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 2, "{names:?}");
        drop((lanes, told));
        // The conversations hold the other ends of the channel.
        assert_eq!(hear.recv().await, None);
    }
}
