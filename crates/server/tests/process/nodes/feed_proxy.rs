//! A way to the database on which the reading of the change log can be held up, and nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What only the statements that read the change log ask for.
const OF_THE_FEED: &[u8] = b"pg_current_snapshot";

/// The proxy. Its threads end with the connections that they carry.
pub(crate) struct FeedProxy {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl FeedProxy {
    /// Listens on a port of this machine and leads to a server's socket.
    pub(crate) fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&cut);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                carry(client.unwrap(), &socket, &told);
            }
        });
        Self { address, cut }
    }

    /// The way to a database.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://cf@{}/{name}?sslmode=disable", self.address)
    }

    /// From now on questions about the change log vanish; nobody is told so.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// Lets them through again.
    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

/// Carries one connection in both directions.
fn carry(client: TcpStream, socket: &Path, cut: &Arc<AtomicBool>) {
    client.set_nodelay(true).unwrap();
    let server = UnixStream::connect(socket).unwrap();
    let (mut asks, mut told) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let cut = Arc::clone(cut);
    std::thread::spawn(move || {
        let (mut is_feed, mut bytes) = (false, vec![0; 65_536]);
        while let Ok(length @ 1..) = asks.read(&mut bytes) {
            let asked = &bytes[..length];
            // One connection serves the log alone, so what it has asked once tells them apart.
            is_feed |= asked.windows(OF_THE_FEED.len()).any(|window| window == OF_THE_FEED);
            let vanishes = is_feed && cut.load(Ordering::SeqCst);
            if !vanishes && told.write_all(asked).is_err() {
                break;
            }
        }
        // Both fail only when the other side has gone first.
        let _ = told.shutdown(std::net::Shutdown::Both);
    });
    let (mut says, mut hears) = (server, client);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut says, &mut hears);
        let _ = hears.shutdown(std::net::Shutdown::Both);
    });
}
