//! What every handler shares, and what the listener tells them about a connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::http::HeaderName;
use counterfoil_authority::authority::Authority;
use counterfoil_authority::clock::NoEntropy;
use counterfoil_authority::names::{BadName, ClientName, MAIN_REALM, RealmName, ServiceLabel};
use counterfoil_authority::provision::Courier;
use counterfoil_authority::secret::ClearSecret;
use ipnet::IpNet;

use super::docs::Documents;
use super::metrics::Metrics;
use super::request_id::RequestIds;
use crate::leaks::{GithubKeys, GithubSettings};
use crate::provision::{Couriers, MailSettings};
use crate::sign_on::{OidcSettings, Provider, ProxySettings};
use crate::tls::Thumbprint;
use crate::traces::{TraceSettings, Traces};

/// Body limit for everything but batches, unless configured otherwise: no single record of the
/// API comes near it.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Body limit of routes that take many items at once: 100 verifications or 1000 credentials.
pub const BATCH_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where the LDAP door is.
#[derive(Debug, Clone)]
pub struct LdapPlace {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The name of its tree.
    pub base_dn: String,
}

/// What an operator may set about the HTTP doors.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Networks whose `X-Forwarded-*` and `X-Original-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Realms of host names, in lower case without port, for doors without a realm in their path.
    pub realm_by_host: BTreeMap<String, RealmName>,
    /// How the server is reached from outside, without a slash at the end.
    pub public_url: String,
    /// Where the LDAP door is, for recipes that people are shown; `None`: nothing listens.
    pub ldap: Option<LdapPlace>,
    /// Whether `/api/v1` is served.
    pub api: bool,
    /// Whether `/authz` is served.
    pub forward_auth: bool,
    /// Whether the OAuth endpoints are served.
    pub oauth: bool,
    /// Whether the token endpoint takes the password grant.
    pub password_grant: bool,
    /// Whether a DPoP proof must hold a nonce of ours.
    pub dpop_nonce: bool,
    /// Whether the listener asks TLS clients for certificates.
    pub client_certificates: bool,
    /// Headers in which trusted proxies pass on the certificate of a TLS client.
    pub client_certificate_headers: Vec<HeaderName>,
    /// Whether the console is served.
    pub console: bool,
    /// The OpenID provider of the console.
    pub console_oidc: Option<OidcSettings>,
    /// The reverse proxy whose word counts at the console.
    pub console_proxy: Option<ProxySettings>,
    /// Whether `/auth-admin/rest` is served.
    pub airlock: bool,
    /// Whether `/token/api/v5` is served.
    pub sentinel: bool,
    /// The public client that the Sentinel door names.
    pub sentinel_client_id: String,
    /// Days ahead that a registration token may end at the Sentinel door.
    pub sentinel_validity_days_max: u32,
    /// Whether `/registry` is served.
    pub comanage: bool,
    /// The number of the CO that the COmanage door shows a realm as.
    pub comanage_co_id: u32,
    /// Whether `/json` is served, as AM does.
    pub am: bool,
    /// How the header and the cookie of a session of the AM door are called.
    pub am_cookie_name: String,
    /// How long such a session lasts, in seconds.
    pub am_session_seconds: i64,
    /// How long such a session lasts that nobody uses, in seconds.
    pub am_idle_seconds: i64,
    /// The attribute in which clients of AM look for a person's tokens.
    pub am_pat_attribute: String,
    /// What tokens become good for that are put there; `None`: none can be.
    pub am_import_service: Option<ServiceLabel>,
    /// Whether `/validate/check` is served.
    pub validate: bool,
    /// Networks whose requests there count as those of a client of that name.
    pub validate_clients: Vec<(IpNet, ClientName)>,
    /// Whether an empty password there sends a code by mail to who has a token for that.
    pub validate_email_challenge: bool,
    /// Whether `/scim/v2` is served.
    pub scim: bool,
    /// Whether `/openapi.json` and `/api/docs` are served.
    pub docs: bool,
    /// Headers besides `Authorization` in which forward-auth accepts a token, `x-api-key` say.
    pub api_key_headers: Vec<HeaderName>,
    /// Largest request body, in bytes; batches have [`BATCH_BODY_BYTES_MAX`].
    pub body_bytes_max: usize,
    /// The bearer credential that opens `/metrics`, beside keys that may read the audit.
    pub metrics_bearer: Option<ClearSecret>,
    /// How mail leaves the server.
    pub mail: Option<MailSettings>,
    /// Where traces of requests go; `None`: nowhere.
    pub traces: Option<TraceSettings>,
    /// How reports of leaked tokens are known to be GitHub's; `None`: none are taken.
    pub github: Option<GithubSettings>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            realm_by_host: BTreeMap::new(),
            public_url: "http://127.0.0.1:8780".to_owned(),
            ldap: None,
            api: true,
            forward_auth: true,
            oauth: true,
            password_grant: false,
            dpop_nonce: false,
            client_certificates: false,
            client_certificate_headers: Vec::new(),
            console: true,
            console_oidc: None,
            console_proxy: None,
            airlock: true,
            sentinel: true,
            sentinel_client_id: crate::compat::sentinel::CLIENT_ID_DEFAULT.to_owned(),
            sentinel_validity_days_max: crate::compat::sentinel::VALIDITY_DAYS_MAX_DEFAULT,
            comanage: true,
            comanage_co_id: crate::compat::comanage::CO_ID_DEFAULT,
            am: true,
            am_cookie_name: crate::compat::forgerock::COOKIE_NAME_DEFAULT.to_owned(),
            am_session_seconds: crate::compat::forgerock::SESSION_SECONDS_DEFAULT,
            am_idle_seconds: crate::compat::forgerock::IDLE_SECONDS_DEFAULT,
            am_import_service: None,
            am_pat_attribute: crate::compat::forgerock::PAT_ATTRIBUTE_DEFAULT.to_owned(),
            validate: true,
            scim: true,
            validate_clients: Vec::new(),
            validate_email_challenge: false,
            docs: true,
            api_key_headers: Vec::new(),
            body_bytes_max: BODY_BYTES_MAX,
            metrics_bearer: None,
            mail: None,
            traces: None,
            github: None,
        }
    }
}

/// The peer of a connection. The listener puts one into the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// Whether it speaks TLS to us.
    pub tls: bool,
    /// The certificate that it has proved to hold.
    pub certificate: Option<Thumbprint>,
}

/// What every handler shares. Cloning it is one reference count.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// The fields of [`AppState`].
pub struct Shared {
    /// Decides.
    pub authority: Arc<Authority>,
    /// Brings things to targets.
    pub courier: Arc<dyn Courier>,
    /// What an operator set.
    pub settings: HttpSettings,
    /// Counts.
    pub metrics: Metrics,
    /// The realm of doors without a realm in their path, unless the host names one.
    pub main_realm: RealmName,
    /// Numbers requests.
    pub request_ids: RequestIds,
    /// The API's description.
    pub documents: Documents,
    /// The OpenID provider of the console.
    pub provider: Option<Provider>,
    /// Where traces of requests go.
    pub traces: Option<Traces>,
    /// The keys by which reports of leaked tokens are signed.
    pub github: Option<GithubKeys>,
}

/// Why the doors cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The generator failed.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The name of the main realm is none.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The provider of the console cannot be asked.
    #[error("console.oidc: {0}")]
    Provider(String),
    /// The collector of traces cannot be asked.
    #[error("telemetry: {0}")]
    Traces(String),
}

impl AppState {
    /// The state of the doors of `authority`.
    ///
    /// # Errors
    ///
    /// Fails when the generator of randomness does.
    pub fn new(authority: Arc<Authority>, settings: HttpSettings) -> Result<Self, StateError> {
        authority.issue_as(&settings.public_url);
        let provider = settings.console_oidc.clone();
        let provider = provider.map(|oidc| Provider::new(oidc, Arc::clone(authority.clock())));
        let metrics = Metrics::new(Arc::clone(&authority));
        let counts = metrics.spans();
        let traces = settings.traces.as_ref().map(|settings| Traces::new(settings, counts));
        Ok(Self(Arc::new(Shared {
            request_ids: RequestIds::new(authority.entropy())?,
            courier: Arc::new(Couriers::new(
                Arc::clone(authority.clock()),
                settings.mail.clone(),
                &settings.public_url,
            )),
            metrics,
            main_realm: RealmName::parse(MAIN_REALM)?,
            documents: Documents::default(),
            provider: provider.transpose().map_err(StateError::Provider)?,
            traces: traces.transpose().map_err(StateError::Traces)?,
            github: settings.github.clone().map(GithubKeys::new),
            authority,
            settings,
        })))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
