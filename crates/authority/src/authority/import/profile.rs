//! Personal access tokens in clear that somebody puts on a person's profile: taken over as those
//! of a directory are, but within the rights of whoever brings them.

use std::collections::HashMap;

use serde_json::Value;

use super::{AtDoor, IncomingPat, IncomingSecret, IncomingToken, Run};
use crate::authority::Authority;
use crate::authority::issue::{Asking, check_issuer};
use crate::cache::ServiceCell;
use crate::caller::Caller;
use crate::keys::KeyPurpose;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName, ServiceLabel, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::secret::{ClearSecret, Shape, TokenId};
use crate::secret_hash::keyed_hash;
use crate::store::{Arriving, IMPORT_BATCH_MAX, Imported, Unavailable};
use crate::subject::Owner;

/// Looks for what is new before giving up: whoever comes second finds what the first one brought.
const BRING_ATTEMPTS: usize = 2;

/// A token in clear, with what it brings along.
#[derive(Debug, Clone)]
pub struct ClearPat {
    /// The token.
    pub secret: ClearSecret,
    /// Its permissions, and whether it can be computed from them.
    pub brought: IncomingPat,
}

/// Whether a token in clear is here already.
enum Known {
    /// It is not.
    No,
    /// It is this person's, and counts or may count again.
    Theirs,
    /// It is somebody else's, or was revoked.
    Otherwise,
}

impl Authority {
    /// Takes over tokens that were put on a person's profile in clear, all of them or none. Those
    /// that the person has already stay as they are. Returns how many are new.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; its text never holds a token.
    pub async fn import_pats(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
        service: &ServiceLabel,
        pats: &[ClearPat],
    ) -> Result<usize, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensWrite)?;
        if !reach.whole {
            return Err(Refusal::Forbidden(ApiScope::TokensWrite));
        }
        // Such a token has no end of its own, and no limit of a grant would hold it.
        if reach.limits.iter().all(|limits| limits.lifetime_seconds_max.is_some())
            && !reach.limits.is_empty()
        {
            return Err(Refusal::BeyondGrant("tokens without an end exceed the caller's grant"));
        }
        if pats.len() > IMPORT_BATCH_MAX {
            return Err(Refusal::invalid("value", format!("are more than {IMPORT_BATCH_MAX}")));
        }
        let user = self.store.user_find(realm, username).await?;
        let user = user.ok_or(Refusal::NotFound(Thing::User))?;
        let owner = Owner::User(user.username.clone());
        let cell = self.service_facts(realm, service).await?;
        let cell = cell.filter(|_| service.as_str() != COUNTERFOIL);
        let cell = cell.ok_or(Refusal::NotFound(Thing::Service))?;
        let (kind, own) = (Kind::PersonalAccessToken, caller.is(&owner, realm));
        check_issuer(&[&cell.policy], caller, own)?;
        let asking = Asking { caller, reach: &reach, owner: &owner, kind, own };
        self.check_open(realm, &asking, std::slice::from_ref(&cell)).await?;
        let by_person = caller.subject.user().is_some();
        let run = Run {
            realm,
            realm_policy: self.realm_facts(realm).await?.realm.token_policy.clone(),
            origin: caller.origin.clone(),
            now: self.now(),
            at_door: AtDoor {
                ends_by: caller.token_expires_at.filter(|_| by_person),
                pending: cell.policy.approval,
            },
        };
        self.bring_pats(&run, &user.username, &owner, &cell, pats).await
    }

    /// Brings what is new of them. Where somebody else brought one at the same time, that one is
    /// not new any more when it is looked for again.
    async fn bring_pats(
        &self,
        run: &Run<'_>,
        username: &Username,
        owner: &Owner,
        cell: &ServiceCell,
        pats: &[ClearPat],
    ) -> Result<usize, Refusal> {
        let mut stopped = None;
        for _ in 0..BRING_ATTEMPTS {
            let batch = self.arriving_pats(run, username, owner, cell, pats).await?;
            let new = batch.len();
            match self.store.import(batch).await? {
                Imported::Done => return Ok(new),
                Imported::Refused { why, .. } => stopped = Some(why),
            }
        }
        Err(Refusal::Policy(stopped.unwrap_or_default().to_owned()))
    }

    /// Those that the person has not, each once.
    async fn arriving_pats(
        &self,
        run: &Run<'_>,
        username: &Username,
        owner: &Owner,
        cell: &ServiceCell,
        pats: &[ClearPat],
    ) -> Result<Vec<Arriving>, Refusal> {
        let mut batch = Vec::new();
        let mut seen: HashMap<[u8; 32], &Value> = HashMap::new();
        let keys = self.keys();
        for pat in pats {
            let secret = IncomingSecret::Clear(pat.secret.clone());
            if let Some(why) = self.unusable(&secret, &cell.policy) {
                return Err(Refusal::invalid("value", why));
            }
            crate::permission::check(&pat.brought.permissions)
                .map_err(|bad| Refusal::invalid("value", bad))?;
            if let Shape::Grouped(normal) = self.shape(pat.secret.reveal()) {
                let permissions = &pat.brought.permissions;
                match seen.insert(*keyed_hash(keys.pepper(), &normal).as_bytes(), permissions) {
                    None => {}
                    Some(before) if before == permissions => continue,
                    Some(_) => {
                        let why = "holds a token twice, with other permissions";
                        return Err(Refusal::invalid("value", why));
                    }
                }
            }
            match self.known_already(run.realm, owner, pat.secret.reveal()).await? {
                Known::No => {}
                Known::Theirs => continue,
                Known::Otherwise => {
                    let why = "holds a token that was revoked, or that somebody else has";
                    return Err(Refusal::invalid("value", why));
                }
            }
            let token = IncomingToken {
                id: TokenId::generate(self.entropy())?,
                user: username.clone(),
                service: cell.service.label.clone(),
                secret,
                drawn: !pat.brought.weak,
                locked: false,
                row: format!("forgerock {username}"),
                pat: Some(pat.brought.clone()),
                facts: super::IncomingFacts::default(),
            };
            let issue = self.arriving_token(run, &token, Some(&cell.policy)).await?;
            batch.push(Arriving::Token(issue));
        }
        Ok(batch)
    }

    async fn known_already(
        &self,
        realm: &RealmName,
        owner: &Owner,
        clear: &str,
    ) -> Result<Known, Refusal> {
        let Shape::Grouped(normal) = self.shape(clear) else { return Ok(Known::Otherwise) };
        let keys = self.keys();
        for pepper in keys.peppers() {
            let Some(record) = self.store.token_record_by_hash(keyed_hash(pepper, &normal)).await?
            else {
                continue;
            };
            let theirs = record.realm == *realm && record.owner == *owner && !record.revoked;
            return Ok(if theirs { Known::Theirs } else { Known::Otherwise });
        }
        keys.require_all(|of| of == KeyPurpose::Pepper).map_err(Unavailable::from)?;
        Ok(Known::No)
    }
}
