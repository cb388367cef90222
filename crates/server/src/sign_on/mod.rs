//! Who else may say who somebody is at the console: an OpenID provider, or the reverse proxy in
//! front; and what a passkey says.
//!
//! What they say becomes a `Vouched`, and what a device answers a `PasskeyProved`; who that is
//! here, the authority decides.

mod metadata;
mod passkeys;
mod provider;
mod proxy;

use std::path::PathBuf;

use counterfoil_authority::names::RealmName;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::single_sign_on::{Accounts, RoleRule};
use http::HeaderName;
use ipnet::IpNet;

pub use passkeys::{Answer, Asked, NoPasskeys, Offered, Person, RelyingParty, Unproved, known_as};
pub use provider::{Provider, ProviderFault, Question};
pub use proxy::vouched_by_proxy;

/// What is known of an OpenID provider before it is asked.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// The provider, exactly as it calls itself.
    pub issuer: String,
    /// How it knows us.
    pub client_id: String,
    /// What proves that; `None`: nothing does.
    pub client_secret: Option<ClearSecret>,
    /// What is asked for, separated by blanks.
    pub scopes: String,
    /// The claim with the user name.
    pub username_claim: String,
    /// The claim with the groups.
    pub groups_claim: String,
    /// What members of groups may do.
    pub roles: Vec<RoleRule>,
    /// Who may come in.
    pub accounts: Accounts,
    /// What stands on the button.
    pub label: String,
    /// The realm it leads to.
    pub realm: RealmName,
    /// PEM of the certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

/// How a reverse proxy says who somebody is.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// Where it sends from.
    pub networks: Vec<IpNet>,
    /// The header with the user name.
    pub user_header: HeaderName,
    /// The header with what to call the person.
    pub name_header: HeaderName,
    /// The header with their address.
    pub email_header: HeaderName,
    /// The header with their groups, separated by commas.
    pub groups_header: HeaderName,
    /// What members of groups may do.
    pub roles: Vec<RoleRule>,
    /// Who may come in.
    pub accounts: Accounts,
    /// The realm it leads to.
    pub realm: RealmName,
}
