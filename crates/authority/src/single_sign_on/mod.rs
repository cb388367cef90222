//! People whom somebody else vouches for: an OpenID provider, or the reverse proxy in front.
//!
//! Who vouches says a name and groups; who the person is here, and what they may do, stands in
//! their record and its grants as for everybody else.

mod id_token;

use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::console::SignInMethod;
use crate::names::{RealmName, ServiceLabel, Username};
use crate::secret::TokenId;
use crate::subject::{Grant, GrantSubject, Limits, Role};

pub use id_token::{ID_TOKEN_LEEWAY_SECONDS, IdClaims, IdTokenFault, IdTokenWanted, ProviderKeys};

/// How long somebody may take on their way to a provider and back, in seconds.
pub const FLOW_SECONDS: i64 = 600;
/// The largest that is kept of what somebody had begun, in bytes.
pub const FLOW_BYTES_MAX: usize = 64 * 1024;
/// The same of somebody who is not signed in, and so sends no form to be kept, in bytes.
pub const FLOW_BYTES_MAX_OF_ANYBODY: usize = 4 * 1024;
/// Characters that a provider's name of a person may have (OpenID Connect Core section 2).
pub const SUBJECT_CHARS_MAX: usize = 255;

/// Somebody, as whoever vouches for them says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who says so: the issuer of an OpenID provider, or `proxy`.
    pub issuer: String,
    /// Their name there, which is never given to somebody else.
    pub subject: String,
    /// The user name that they are to have here.
    pub username: String,
    /// What to call them.
    pub display_name: Option<String>,
    /// Their address, if it was proved to be theirs.
    pub email: Option<String>,
    /// The groups they are in there.
    pub groups: Vec<String>,
    /// When they last proved there who they are, if that was said.
    pub proved_at: Option<Timestamp>,
}

/// Who may come in as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accounts {
    /// As somebody new. A name that is taken is refused: whoever chooses names at the provider
    /// would choose those of administrators.
    Create,
    /// As who is known here by that name already.
    Existing,
    /// Either.
    Both,
}

impl Accounts {
    /// The choice of a word of the configuration.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "create" => Some(Self::Create),
            "existing" => Some(Self::Existing),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    pub(crate) const fn creates(self) -> bool {
        matches!(self, Self::Create | Self::Both)
    }

    pub(crate) const fn adopts(self) -> bool {
        matches!(self, Self::Existing | Self::Both)
    }
}

/// What members of a group elsewhere may do here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleRule {
    group: String,
    role: Role,
    unit: Option<String>,
    service: Option<ServiceLabel>,
}

impl RoleRule {
    /// The rule that gives members of `group` a role: `auditor`, `unit-admin:UNIT`,
    /// `service-manager:LABEL`, `verifier:LABEL`.
    ///
    /// # Errors
    ///
    /// Says what would have been right.
    pub fn parse(group: &str, role: &str) -> Result<Self, String> {
        let (name, place) = match role.split_once(':') {
            Some((name, place)) => (name, Some(place)),
            None => (role, None),
        };
        let parsed = Role::from_name(name).ok_or_else(|| format!("`{name}` is no role"))?;
        let (unit, service) = match (parsed, place) {
            (Role::UnitAdmin, Some(unit)) if !unit.is_empty() => (Some(unit.to_owned()), None),
            (Role::UnitAdmin, _) => {
                return Err("unit-admin needs a unit: unit-admin:UNIT".to_owned());
            }
            (Role::ServiceManager | Role::Verifier, Some(label)) => {
                let label =
                    ServiceLabel::parse(label).map_err(|bad| format!("`{label}`: {bad}"))?;
                (None, Some(label))
            }
            (Role::ServiceManager, None) => {
                return Err("service-manager needs a service: service-manager:LABEL".to_owned());
            }
            (_, None) => (None, None),
            (_, Some(_)) => return Err(format!("{name} is for the whole realm: write {name}")),
        };
        Ok(Self { group: group.to_owned(), role: parsed, unit, service })
    }

    /// Whether it gives a role over every realm.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Operator
    }

    /// Whether it speaks of somebody in these groups.
    pub(crate) fn is_for(&self, groups: &[String]) -> bool {
        groups.contains(&self.group)
    }

    /// The grant that it makes. The same person, role and place is the same grant, whoever makes
    /// it how often.
    pub(crate) fn grant(
        &self,
        realm: &RealmName,
        username: &Username,
        method: SignInMethod,
        at: Timestamp,
    ) -> Grant {
        let mut digest = Sha256::new();
        let service = self.service.as_ref().map_or("", ServiceLabel::as_str);
        let unit = self.unit.as_deref().unwrap_or_default();
        for part in [method.name(), username.as_str(), self.role.name(), unit, service] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        let digest = data_encoding::HEXLOWER.encode(&digest.finalize()[..12]);
        Grant {
            realm: realm.clone(),
            id: format!("{}-{digest}", method.name()),
            subject: GrantSubject::User(username.clone()),
            role: self.role,
            unit: self.unit.clone(),
            service: self.service.clone(),
            limits: Limits::default(),
            created_at: at,
            created_by: granted_by(method).to_owned(),
        }
    }
}

/// Who makes the grants that follow from groups elsewhere. Only those are taken back.
pub const fn granted_by(method: SignInMethod) -> &'static str {
    match method {
        SignInMethod::Password | SignInMethod::Passkey | SignInMethod::PasswordAndPasskey => {
            "sign-in:password"
        }
        SignInMethod::Provider => "sign-in:oidc",
        SignInMethod::Proxy => "sign-in:proxy",
    }
}

/// Who somebody is that is known elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub realm: RealmName,
    /// Who vouches for them.
    pub issuer: String,
    /// Their name there.
    pub subject: String,
    /// Who they are here.
    pub username: Username,
    /// Since when that is known.
    pub linked_at: Timestamp,
    /// When they last came by it.
    pub used_at: Timestamp,
}

/// Somebody on their way to a provider and back: what was begun, sealed under what their browser
/// holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInFlow {
    /// Its public name, in what the browser holds.
    pub id: TokenId,
    /// The tenant.
    pub realm: RealmName,
    /// What was begun.
    pub sealed: Vec<u8>,
    /// Until when they may come back, exclusive.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_a_role_and_its_place() {
        let fine = ["auditor", "realm-admin", "operator", "verifier", "verifier:git"];
        for role in fine.into_iter().chain(["unit-admin:u1", "service-manager:git"]) {
            assert!(RoleRule::parse("g", role).is_ok(), "{role}");
        }
        let bad = ["", "admin", "auditor:git", "unit-admin", "unit-admin:", "service-manager"];
        for role in bad.into_iter().chain(["service-manager:No Label", "verifier:"]) {
            assert!(RoleRule::parse("g", role).is_err(), "{role}");
        }
    }

    #[test]
    fn the_same_role_is_the_same_grant() {
        let realm = RealmName::parse("main").unwrap();
        let alice = Username::parse("alice").unwrap();
        let made = |role: &str, method, at| {
            let rule = RoleRule::parse("g", role).unwrap();
            rule.grant(&realm, &alice, method, Timestamp::from_seconds(at)).id
        };
        let (oidc, proxy) = (SignInMethod::Provider, SignInMethod::Proxy);
        assert_eq!(made("auditor", oidc, 1), made("auditor", oidc, 2));
        assert_ne!(made("auditor", oidc, 1), made("auditor", proxy, 1));
        assert_ne!(made("verifier", oidc, 1), made("verifier:git", oidc, 1));
        assert_ne!(made("unit-admin:git", oidc, 1), made("service-manager:git", oidc, 1));
    }

    #[test]
    fn accounts_are_made_or_found_as_configured() {
        let choice = |name| Accounts::from_name(name).map(|one| (one.creates(), one.adopts()));
        assert_eq!(choice("create"), Some((true, false)));
        assert_eq!(choice("existing"), Some((false, true)));
        assert_eq!(choice("both"), Some((true, true)));
        assert_eq!(choice("any"), None);
    }
}
