//! Clients of other people's servers.

use reqwest::{Client, ClientBuilder};

/// The client that `make` describes, trusting the certificate authorities of the system.
///
/// Where the system has none it trusts nobody: what is asked over `http://` is asked all the same,
/// and what is asked over `https://` fails with the reason, instead of the program.
///
/// # Errors
///
/// When the description is of no client.
pub(crate) fn client(make: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    make().build().or_else(|_| make().tls_certs_only([]).build())
}
