//! Who asked for a job, kept so that it can be looked at again what they may do.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::authority::Authority;
use crate::caller::{Caller, ReplayKey};
use crate::event::Origin;
use crate::names::{ClientName, RealmName, Username};
use crate::refusal::Refusal;
use crate::scope::{ApiScope, ApiScopes};
use crate::secret::TokenId;
use crate::subject::{Owner, OwnerFacts, UserFacts};
use crate::verdict::Door;

/// Who asked, with which scopes, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AskedBy {
    realm: String,
    user: Option<String>,
    client: Option<String>,
    /// The scopes of the token; absent: all that the roles carry.
    scopes: Option<Vec<String>>,
    token: Option<String>,
    door: String,
    source: Option<std::net::IpAddr>,
    request_id: Option<String>,
}

impl AskedBy {
    pub(super) fn of(caller: &Caller) -> Self {
        let origin = &caller.origin;
        let (user, client) = match &caller.subject {
            Owner::User(name) => (Some(name.to_string()), None),
            Owner::Client(name) => (None, Some(name.to_string())),
        };
        // What the job does with them later nobody notes.
        caller.exercises_all();
        let scopes = |scopes: ApiScopes| {
            scopes.iter().map(ApiScope::name).map(str::to_owned).collect::<Vec<_>>()
        };
        Self {
            realm: caller.realm.to_string(),
            user,
            client,
            scopes: caller.token_scopes.map(scopes),
            token: origin.actor_token.map(|token| token.to_string()),
            door: origin.door.name().to_owned(),
            source: origin.source,
            request_id: origin.request_id.as_ref().map(ToString::to_string),
        }
    }
}

impl Authority {
    /// Who asked for a job, with what they may do now and could do then; `None` if they are gone,
    /// or the credential they asked with has ended.
    pub(super) async fn asker(&self, asked: &AskedBy) -> Result<Option<Caller>, Refusal> {
        let Ok(realm) = RealmName::parse(&asked.realm) else { return Ok(None) };
        let facts = match (&asked.user, &asked.client) {
            (Some(name), None) => self.person_now(&realm, name).await?,
            (None, Some(name)) => self.client_now(&realm, name).await?,
            _ => None,
        };
        let Some(facts) = facts else { return Ok(None) };
        let token = asked.token.as_deref().and_then(TokenId::parse);
        if let Some(token) = token
            && let Some(found) = self.store.token_find(&realm, token).await?
            && (found.revocation.is_some() || !found.enabled || found.locked)
        {
            return Ok(None);
        }
        let Some(door) = Door::from_name(&asked.door) else { return Ok(None) };
        let standing = Arc::new(self.standing_of(realm, &facts).await?);
        let origin = Origin {
            actor: Arc::clone(&standing.actor),
            actor_token: token,
            door,
            source: asked.source,
            request_id: asked.request_id.as_deref().map(Into::into),
        };
        let none = TokenId::parse(super::super::authenticate::NO_TOKEN);
        let Some(presented) = token.or(none) else { return Ok(None) };
        let names = asked.scopes.as_ref();
        Ok(Some(Caller {
            standing,
            token: presented,
            token_expires_at: None,
            former_secret: false,
            for_api: true,
            token_scopes: names.map(|n| ApiScopes::from_names(n.iter().map(String::as_str))),
            replay_key: ReplayKey::of(""),
            exercised: None,
            origin,
        }))
    }

    async fn person_now(
        &self,
        realm: &RealmName,
        name: &str,
    ) -> Result<Option<OwnerFacts>, Refusal> {
        let Ok(name) = Username::parse(name) else { return Ok(None) };
        let found = self.store.user_find(realm, &name).await?.map(UserFacts::of);
        Ok(found.filter(UserFacts::counts).map(OwnerFacts::User))
    }

    async fn client_now(
        &self,
        realm: &RealmName,
        name: &str,
    ) -> Result<Option<OwnerFacts>, Refusal> {
        let Ok(name) = ClientName::parse(name) else { return Ok(None) };
        let found = self.store.client_find(realm, &name).await?;
        Ok(found.filter(|client| client.enabled).map(|client| OwnerFacts::Client(client.into())))
    }
}
