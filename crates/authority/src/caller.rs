//! Who calls, and what they may do: the one place where roles, scopes and reach meet.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::event::{Origin, RequestId};
use crate::names::{GroupName, RealmName, ServiceLabel};
use crate::refusal::{Refusal, Thing};
use crate::scope::{API_SCOPES, ApiScope, ApiScopes, Scope};
use crate::secret::TokenId;
use crate::service::Services;
use crate::subject::{Client, Grant, Limits, Owner, Role};
use crate::token::Token;
use crate::use_notes::{Use, UseNotes};
use crate::verdict::Door;

/// What a door knows of a request before anybody is authenticated.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The door it came through.
    pub door: Door,
    /// The client's address, after trusted proxies are taken away.
    pub source: Option<IpAddr>,
    /// Its id, for logs and events.
    pub request_id: Option<RequestId>,
}

/// One role with its reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Power {
    /// The role.
    pub role: Role,
    /// The scopes it carries, already cut down to the client's own list.
    pub scopes: ApiScopes,
    /// The realm it counts in; `None`: everywhere.
    pub realm: Option<RealmName>,
    /// The unit it is limited to.
    pub unit: Option<String>,
    /// The services it is limited to.
    pub services: Option<Vec<ServiceLabel>>,
    /// Bounds on what it may hand out.
    pub limits: Limits,
}

/// Everything an owner may do, computed once per owner and shared by their requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Powers(pub Vec<Power>);

impl Powers {
    /// A client's powers: its own roles, and its grants.
    pub fn of_client(client: &Client, grants: &[Grant]) -> Self {
        let own = client.roles.iter().map(|&role| Power {
            role,
            scopes: client
                .scopes
                .map_or(role.scopes(), |s| s.intersection(role.scopes().expanded())),
            realm: (role != Role::Operator).then(|| client.realm.clone()),
            unit: client.unit.clone().filter(|_| role == Role::UnitAdmin),
            services: match role {
                Role::Verifier | Role::ServiceManager => client.services.clone(),
                _ => None,
            },
            limits: client.limits.clone(),
        });
        let granted = grants.iter().map(|grant| {
            let power = Self::of_grant(grant);
            let cut =
                client.scopes.map_or(power.scopes, |s| s.intersection(power.scopes.expanded()));
            Power { scopes: cut, ..power }
        });
        Self(own.chain(granted).collect())
    }

    /// A person's powers: their grants. What is theirs needs none.
    pub fn of_user(grants: &[Grant]) -> Self {
        Self(grants.iter().map(Self::of_grant).collect())
    }

    fn of_grant(grant: &Grant) -> Power {
        Power {
            role: grant.role,
            scopes: grant.role.scopes(),
            realm: (grant.role != Role::Operator).then(|| grant.realm.clone()),
            unit: grant.unit.clone(),
            services: grant.service.clone().map(|service| vec![service]),
            limits: grant.limits.clone(),
        }
    }
}

/// A key that only the presented credential yields; replayable answers are sealed under it.
#[derive(Clone)]
pub struct ReplayKey(Zeroizing<Box<str>>);

impl ReplayKey {
    /// The key that belongs to a presented secret: only who presents it again has it. Nearly no
    /// request needs it, so it is derived by who does.
    pub(crate) fn of(presented: &str) -> Self {
        Self(Zeroizing::new(presented.into()))
    }

    /// The key itself.
    pub(crate) fn derive(&self) -> Zeroizing<[u8; 32]> {
        let salt = b"counterfoil replay key, 32 bytes";
        let parts = [self.0.as_bytes()];
        let mac = crate::secret_hash::hmac256(salt, b"counterfoil replay 1", &parts);
        Zeroizing::new(*mac.as_bytes())
    }
}

impl std::fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplayKey(..)")
    }
}

/// What an owner is as a caller: found once per owner and shared by their requests.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The realm they belong to.
    pub realm: RealmName,
    /// Who they are.
    pub subject: Owner,
    /// The unit they belong to, if a person.
    pub unit: Option<String>,
    /// The groups they are in, if a person.
    pub groups: Vec<GroupName>,
    /// What they may do.
    pub powers: Powers,
    /// What events call them.
    pub(crate) actor: Arc<str>,
}

/// An authenticated caller of the API.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who they are and what they may do; its fields are the caller's.
    pub(crate) standing: Arc<Standing>,
    /// The token they presented.
    pub token: TokenId,
    /// When that token ends; what it issues ends no later, client keys excepted.
    pub token_expires_at: Option<Timestamp>,
    /// Whether they presented a former secret of it, inside its overlap.
    pub former_secret: bool,
    /// Whether the token was issued for `counterfoil`; if not, only `/self` is open to it.
    pub for_api: bool,
    /// The scopes of the token itself; `None`: all that its owner's roles carry (client keys).
    pub token_scopes: Option<ApiScopes>,
    /// Seals replayable answers.
    pub replay_key: ReplayKey,
    /// Notes which of the token's scopes were needed; `None` where nobody asks.
    pub(crate) exercised: Option<Arc<Exercised>>,
    /// For events.
    pub origin: Origin,
}

/// Which scopes of a token for the API its holder needed in one request; noted with its end.
pub(crate) struct Exercised {
    notes: Arc<UseNotes>,
    /// The token, the time and the place.
    of: (TokenId, Timestamp, Door, Option<IpAddr>),
    scopes: AtomicU32,
}

/// Stands for all scopes, where nobody can say which of them were needed.
const ALL_EXERCISED: u32 = 1 << 31;

impl Exercised {
    pub(crate) fn new(
        notes: Arc<UseNotes>,
        of: (TokenId, Timestamp, Door, Option<IpAddr>),
    ) -> Self {
        Self { notes, of, scopes: AtomicU32::new(0) }
    }
}

impl Drop for Exercised {
    fn drop(&mut self) {
        let (token, at, door, address) = self.of;
        let bits = *self.scopes.get_mut();
        let is_set = |scope: &ApiScope| bits & (1 << *scope as u32) != 0;
        let names = API_SCOPES.iter().filter(|scope| is_set(scope));
        let asked: Vec<Scope> = names.filter_map(|scope| Scope::parse(scope.name()).ok()).collect();
        let unasked = bits & ALL_EXERCISED != 0;
        if unasked || !asked.is_empty() {
            self.notes.used(&Use { token, at, door, asked: &asked, unasked, address });
        }
    }
}

impl std::fmt::Debug for Exercised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exercised(..)")
    }
}

/// How far a scope reaches for one caller in one realm: the union of all powers that carry it.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// The whole realm.
    pub whole: bool,
    /// These units.
    pub units: Vec<String>,
    /// These services.
    pub services: Vec<ServiceLabel>,
    /// What belongs to this person.
    pub own: Option<Owner>,
    /// The widest limits that apply; every act under them must satisfy one power's limits.
    pub limits: Vec<Limits>,
}

impl Deref for Caller {
    type Target = Standing;

    fn deref(&self) -> &Standing {
        &self.standing
    }
}

impl Caller {
    /// How far `scope` reaches in `realm`, or why not at all.
    ///
    /// A realm that is not the caller's answers as one that does not exist, so
    /// that nobody learns which realms there are.
    pub fn reach(&self, realm: &RealmName, scope: ApiScope) -> Result<Reach, Refusal> {
        let mut reach = Reach::default();
        for power in self.powers_in(realm, scope)? {
            match (&power.unit, &power.services) {
                (Some(unit), _) => reach.units.push(unit.clone()),
                (None, Some(services)) => reach.services.extend(services.iter().cloned()),
                (None, None) => reach.whole = true,
            }
            reach.limits.push(power.limits.clone());
        }
        let own_scope = matches!(
            scope,
            ApiScope::TokensRead
                | ApiScope::TokensWrite
                | ApiScope::UsersRead
                | ApiScope::ServicesRead
        );
        if own_scope && *realm == self.realm && self.subject.user().is_some() {
            reach.own = Some(self.subject.clone());
        }
        if reach.is_empty() { Err(Refusal::Forbidden(scope)) } else { Ok(reach) }
    }

    /// The powers in `realm` that carry `scope`.
    pub(crate) fn powers_in<'a>(
        &'a self,
        realm: &'a RealmName,
        scope: ApiScope,
    ) -> Result<impl Iterator<Item = &'a Power>, Refusal> {
        let everywhere = self.powers.0.iter().any(|power| power.realm.is_none());
        if *realm != self.realm && !everywhere {
            return Err(Refusal::NotFound(Thing::Realm));
        }
        if !self.token_allows(scope) {
            return Err(Refusal::Forbidden(scope));
        }
        let here = move |power: &&Power| power.realm.as_ref().is_none_or(|named| named == realm);
        Ok(self.powers.0.iter().filter(here).filter(move |power| power.scopes.contains(scope)))
    }

    /// Like [`Caller::reach`], for acts that need the whole realm.
    pub fn require_whole(&self, realm: &RealmName, scope: ApiScope) -> Result<(), Refusal> {
        let reach = self.reach(realm, scope)?;
        if reach.whole { Ok(()) } else { Err(Refusal::Forbidden(scope)) }
    }

    /// For acts on the installation: only an operator.
    pub fn require_operator(&self, scope: ApiScope) -> Result<(), Refusal> {
        let operator = |power: &Power| power.role == Role::Operator && power.scopes.contains(scope);
        if self.token_allows(scope) && self.powers.0.iter().any(operator) {
            Ok(())
        } else {
            Err(Refusal::Forbidden(scope))
        }
    }

    /// Whether the presented token lets its owner use `scope` at all.
    pub fn token_allows(&self, scope: ApiScope) -> bool {
        let allowed = self.for_api && self.token_scopes.is_none_or(|scopes| scopes.contains(scope));
        if let Some(exercised) = self.exercised.as_ref().filter(|_| allowed) {
            exercised.scopes.fetch_or(1 << scope as u32, Ordering::Relaxed);
        }
        allowed
    }

    /// Notes that this request went by all that the token may do.
    pub(crate) fn exercises_all(&self) {
        if let Some(exercised) = &self.exercised {
            exercised.scopes.fetch_or(ALL_EXERCISED, Ordering::Relaxed);
        }
    }

    /// Every scope the caller could use somewhere in `realm`: nobody gives more than they have.
    pub fn scopes_in(&self, realm: &RealmName) -> ApiScopes {
        self.exercises_all();
        let here = |power: &&Power| power.realm.as_ref().is_none_or(|named| named == realm);
        let powers = self.powers.0.iter().filter(here);
        let mut scopes =
            powers.fold(ApiScopes::NONE, |all, power| all.union(power.scopes.expanded()));
        if self.subject.user().is_some() && *realm == self.realm {
            scopes = scopes.union(ApiScopes::of(&[
                ApiScope::TokensRead,
                ApiScope::TokensWrite,
                ApiScope::UsersRead,
                ApiScope::ServicesRead,
            ]));
        }
        match self.token_scopes {
            _ if !self.for_api => ApiScopes::NONE,
            Some(own) => scopes.intersection(own.expanded()),
            None => scopes,
        }
    }

    /// Whether the caller acts on what belongs to somebody else.
    pub fn is(&self, owner: &Owner, realm: &RealmName) -> bool {
        self.subject == *owner && self.realm == *realm
    }
}

impl Reach {
    fn is_empty(&self) -> bool {
        !self.whole && self.units.is_empty() && self.services.is_empty() && self.own.is_none()
    }

    /// Whether a token lies within reach.
    pub fn covers_token(&self, token: &Token) -> bool {
        self.whole
            || self.own.as_ref() == Some(&token.owner)
            || token.unit.as_ref().is_some_and(|unit| self.units.contains(unit))
            || self.covers_services(&token.services)
    }

    /// Whether every one of `services` lies within reach.
    pub fn covers_services(&self, services: &Services) -> bool {
        match services {
            _ if self.whole => true,
            Services::All => false,
            Services::Named(labels) => {
                !labels.is_empty() && labels.iter().all(|label| self.services.contains(label))
            }
        }
    }

    /// Whether a service lies within reach, by itself or by its unit.
    pub fn covers_service(&self, label: &ServiceLabel, unit: Option<&String>) -> bool {
        self.whole
            || self.services.contains(label)
            || unit.is_some_and(|unit| self.units.contains(unit))
    }

    /// Whether a person lies within reach, by their unit or because it is the caller.
    pub fn covers_user(&self, owner: &Owner, unit: Option<&String>) -> bool {
        self.whole
            || self.own.as_ref() == Some(owner)
            || unit.is_some_and(|unit| self.units.contains(unit))
    }
}

#[cfg(test)]
mod tests;
