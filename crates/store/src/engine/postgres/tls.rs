//! Whom to believe that it is the database.
//!
//! `sslmode` means what it means to libpq (PostgreSQL manual, table 34.1):
//! `prefer` and `require` encrypt and believe anybody, `verify-ca` believes
//! whom the given authority has certified, `verify-full` only if the name is
//! the host's as well.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::BadAddress;

/// How a server's certificate is looked at.
pub(super) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// What a mode of libpq means, and the driver's share of it.
    pub(super) fn of(
        mode: Option<&str>,
        root: Option<&str>,
    ) -> Result<(SslMode, Self), BadAddress> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (mode, trusted) = match mode {
            Some("disable") => (SslMode::Disable, Trusted::Anybody),
            None | Some("prefer") => (SslMode::Prefer, Trusted::Anybody),
            // So libpq does: whoever names an authority wants it to be asked.
            Some("require" | "verify-ca") if root.is_some() => {
                (SslMode::Require, Trusted::Certified(verifier(root, &provider)?))
            }
            Some("require") => (SslMode::Require, Trusted::Anybody),
            Some("verify-ca") => return Err(BadAddress::NoRootCertificate),
            Some("verify-full") => (SslMode::Require, Trusted::Named(verifier(root, &provider)?)),
            Some(_) => return Err(BadAddress::SslMode),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| BadAddress::RootCertificate(error.into()))?;
        let verifier = Arc::new(Verifier { trusted, provider });
        let config = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok((mode, Self(Arc::new(config.with_no_client_auth()))))
    }

    /// For one connection.
    pub(super) fn connector(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new((*self.0).clone())
    }
}

fn verifier(
    root: Option<&str>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, BadAddress> {
    let path = root.ok_or(BadAddress::NoRootCertificate)?;
    let mut roots = RootCertStore::empty();
    let bad = |error: Box<dyn std::error::Error + Send + Sync>| BadAddress::RootCertificate(error);
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.into()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| bad(error.into()))?;
        roots.add(certificate).map_err(|error| bad(error.into()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| bad(error.into()))
}

/// Who is believed.
#[derive(Debug)]
enum Trusted {
    /// Whoever answers.
    Anybody,
    /// Whoever has a certificate of the authority, whatever the name on it.
    Certified(Arc<WebPkiServerVerifier>),
    /// Whoever has one for the host's name.
    Named(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Verifier {
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        match &self.trusted {
            Trusted::Anybody => Ok(ServerCertVerified::assertion()),
            Trusted::Named(verifier) => verify(verifier),
            // The name is looked at last, so a wrong one says that the rest is in order.
            Trusted::Certified(verifier) => match verify(verifier) {
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                said => said,
            },
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
