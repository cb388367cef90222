//! Certificates of TLS clients (RFC 8705): who is asked for one, and by what one is known again.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};

use super::{TlsError, content};
use crate::config::{ClientCertificates, Tls};

/// Bytes of a certificate in a header at most; the head of a request is limited besides.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// SHA-256 of a certificate in DER, by which it is known again (RFC 8705 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Of a certificate that a proxy passes on: as an item of RFC 9440 section 2.1 (`:...:`), or
    /// as PEM whose special characters are percent-encoded, the way nginx writes it.
    pub fn of_header(value: &str) -> Option<Self> {
        if value.len() > HEADER_BYTES_MAX {
            return None;
        }
        if let Some(inner) = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')) {
            return STANDARD.decode(inner).ok().map(|der| Self::of(&der));
        }
        let text = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        Some(Self::of(&certificate))
    }

    /// As `x5t#S256` has it.
    pub fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Who is asked for a certificate at the handshake; `None`: nobody.
pub(super) fn verifier(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    match (tls.client_certificates, &tls.client_ca) {
        (ClientCertificates::Off, _) => Ok(None),
        (ClientCertificates::Any, _) => {
            let algorithms = provider.signature_verification_algorithms;
            Ok(Some(Arc::new(Holder { algorithms })))
        }
        (ClientCertificates::Trusted, None) => Err(TlsError::NoClientCa),
        (ClientCertificates::Trusted, Some(path)) => {
            let roots = Arc::new(roots(path)?);
            let built = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
                .allow_unauthenticated()
                .build();
            built.map(Some).map_err(|error| TlsError::ClientCa(error.to_string()))
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&content(path)?) {
        let certificate =
            certificate.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// Takes any certificate from whoever proves to hold its key. A client certificate is known by
/// its thumbprint here, and who signed it says nothing more (RFC 8705 section 2.2).
#[derive(Debug)]
struct Holder {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Holder {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_one_thumbprint_however_a_proxy_writes_it() {
        let pem = include_str!("cert.pem");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let known = Thumbprint::of(&der);
        let escaped =
            percent_encoding::utf8_percent_encode(pem, percent_encoding::NON_ALPHANUMERIC);
        assert_eq!(Thumbprint::of_header(&escaped.to_string()), Some(known));
        let item = format!(":{}:", STANDARD.encode(&der));
        assert_eq!(Thumbprint::of_header(&item), Some(known));
        assert_eq!(known.text().len(), 43);
        for wrong in ["", "::x:", ":%%%:", "nonsense", "%ff"] {
            assert_eq!(Thumbprint::of_header(wrong), None, "{wrong}");
        }
    }
}
