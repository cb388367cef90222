//! TLS by certificate files, read again when they change.

mod clients;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
pub use clients::Thumbprint;

/// Protocols offered, the better one first (RFC 7301).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// A chain and key are a few KiB; anything larger is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds nothing of the kind.
    #[error("{path}: {source}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// Certificates of clients are to be checked, and nobody says against what.
    #[error("server.tls.client_certificates is \"trusted\": set server.tls.client_ca")]
    NoClientCa,
    /// The certificates of who signs them cannot be used.
    #[error("server.tls.client_ca cannot be used: {0}")]
    ClientCa(String),
    /// The two do not belong together, or the key is of an unknown sort.
    #[error("certificate and key cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The configuration of TLS as the files stand.
pub struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    clients: Tls,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    without_alpn: Arc<ServerConfig>,
    stamp: [Option<SystemTime>; 2],
}

impl Certificates {
    /// Loads the files, if TLS is configured.
    ///
    /// # Errors
    ///
    /// When they cannot be used.
    pub fn load(tls: &Tls) -> Result<Option<Self>, TlsError> {
        let (Some(cert), Some(key)) = (&tls.cert, &tls.key) else { return Ok(None) };
        let loaded = read(tls, cert, key)?;
        let current = ArcSwap::from_pointee(loaded);
        let clients = tls.clone();
        Ok(Some(Self { cert: cert.clone(), key: key.clone(), clients, current }))
    }

    /// The configuration for a new connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// The same for a protocol that names none (LDAP).
    pub fn config_without_alpn(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().without_alpn)
    }

    /// One step: takes the files anew if they changed. True if so.
    ///
    /// # Errors
    ///
    /// When the new ones cannot be used; the old ones stay in use then.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        if stamp(&self.cert, &self.key) == self.current.load().stamp {
            return Ok(false);
        }
        self.reload()?;
        Ok(true)
    }

    /// Takes the files anew, whether or not they look changed.
    ///
    /// # Errors
    ///
    /// When they cannot be used; the old ones stay in use then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let loaded = read(&self.clients, &self.cert, &self.key)?;
        self.current.store(Arc::new(loaded));
        Ok(())
    }
}

fn read(tls: &Tls, cert: &Path, key: &Path) -> Result<Loaded, TlsError> {
    // Before reading: a change in between is then seen as one the next time.
    let stamp = stamp(cert, key);
    let chain = CertificateDer::pem_slice_iter(&content(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem { path: cert.to_owned(), source })?;
    let key = PrivateKeyDer::from_pem_slice(&content(key)?)
        .map_err(|source| TlsError::Pem { path: key.to_owned(), source })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = clients::verifier(tls, &provider)?;
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    let without_alpn = Arc::new(config.clone());
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(Loaded { config: Arc::new(config), without_alpn, stamp })
}

fn content(path: &Path) -> Result<Vec<u8>, TlsError> {
    let error = |source| TlsError::Io { path: path.to_owned(), source };
    if fs::metadata(path).map_err(error)?.len() > FILE_BYTES_MAX {
        return Err(error(io::Error::other("the file is too large to be a certificate or key")));
    }
    fs::read(path).map_err(error)
}

fn stamp(cert: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [cert, key].map(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
}

#[cfg(test)]
mod tests;
