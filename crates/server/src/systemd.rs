//! The service manager that started the server: systemd, or whoever speaks its two small protocols.
//!
//! Sockets that it has opened already are taken over by their names (`sd_listen_fds(3)`), and it is
//! told when the server is ready, reloads, lives and stops (`sd_notify(3)`). Without one nothing of
//! this happens.

use std::net::TcpListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// What the sockets are called that the server takes over, and which listener each one is for.
pub const SOCKET_NAMES: [&str; 4] = ["http", "metrics", "ldap", "ldaps"];

/// A socket that was handed over cannot be served on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The name in the socket unit is none that the server knows.
    #[error(
        "the service manager hands over a socket called `{0}`; FileDescriptorName= is one of \
         http, metrics, ldap, ldaps"
    )]
    Unknown(String),
    /// Two of one name, or one for a listener that the configuration does not have.
    #[error(
        "nothing is served on the socket `{0}` of the service manager: it comes twice, or the \
         configuration has no such listener"
    )]
    Left(String),
    /// It does not listen for TCP.
    #[error("the socket `{0}` of the service manager does not listen for TCP: {1}")]
    NotTcp(String, std::io::Error),
}

/// The sockets that the service manager has opened, by name.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(String, TcpListener)>);

impl Sockets {
    /// Takes over what this process was handed. To be called before anything else opens a file.
    ///
    /// A single socket without a name is the one for HTTP.
    ///
    /// # Errors
    ///
    /// When a socket has no known name or is none for TCP.
    pub fn of_environment() -> Result<Self, SocketError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for (number, name) in names_of(&names, handed.len()).into_iter().enumerate() {
            if !SOCKET_NAMES.contains(&name.as_str()) {
                return Err(SocketError::Unknown(name));
            }
            match handed.take_tcp_listener(number) {
                Ok(Some(socket)) => sockets.push((name, socket)),
                Ok(None) => {}
                Err(error) => return Err(SocketError::NotTcp(name, error)),
            }
        }
        Ok(Self(sockets))
    }

    /// The socket of this name, if there is one.
    pub fn take(&mut self, name: &str) -> Option<TcpListener> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(place).1)
    }

    /// Says if some were not taken: who connects there would wait for ever.
    ///
    /// # Errors
    ///
    /// Names the first of them.
    pub fn all_taken(&self) -> Result<(), SocketError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(SocketError::Left(name.clone())),
        }
    }
}

/// The names of `count` sockets. systemd calls one `unknown` that its unit does not name, and one
/// after its unit where nothing else is said.
fn names_of(names: &str, count: usize) -> Vec<String> {
    let mut said = names.split(':').filter(|name| !name.is_empty()).map(str::to_owned);
    let of = |name: Option<String>| match name {
        Some(name) if name == "unknown" || name == "counterfoil.socket" => "http".to_owned(),
        Some(name) => name,
        None if count == 1 => "http".to_owned(),
        None => String::new(),
    };
    (0..count).map(|_| of(said.next())).collect()
}

/// Whether somebody listens to what [`tell`] says.
pub fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// What the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Requests are answered.
    Ready,
    /// Certificates are being read again.
    Reloading,
    /// No new requests are answered any more.
    Stopping,
    /// The server lives.
    Alive,
}

/// Tells the service manager, if there is one. One that does not listen is no reason to stop.
pub fn tell(said: Said) {
    let told = match said {
        Said::Ready => sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("serving")]),
        Said::Reloading => sd_notify::notify(&[NotifyState::Reloading]),
        Said::Stopping => sd_notify::notify(&[
            NotifyState::Stopping,
            NotifyState::Status("running requests may end"),
        ]),
        Said::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// How often the server has to say that it lives: twice in the time after which it would be ended
/// (`sd_watchdog_enabled(3)`). `None`: nobody waits for it.
pub fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| !every.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_known_by_their_names_and_a_single_one_is_for_http() {
        assert_eq!(names_of("http:ldap", 2), ["http", "ldap"]);
        assert_eq!(names_of("", 1), ["http"]);
        assert_eq!(names_of("unknown", 1), ["http"]);
        assert_eq!(names_of("counterfoil.socket:ldap", 2), ["http", "ldap"]);
        // Of several nobody can say which is which.
        assert_eq!(names_of("", 2), ["", ""]);
        assert_eq!(names_of("http", 0), [""; 0]);
    }
}
