//! What a person's tokens come to at a target, at one instant.
//!
//! Read from the store and not from the cache: what is written to a directory stays there, and so
//! must not rest on something that another node has changed a moment ago.

use std::collections::{BTreeMap, HashMap};

use super::hash_row;
use crate::authority::Authority;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel, Username};
use crate::provision::{PersonState, Target, TargetKind, TokenRecord};
use crate::service::{Service, ServiceStatus, Services};
use crate::store::{DirectorySecret, DirectoryToken, Unavailable};
use crate::subject::{User, UserStatus};
use crate::validity::Phase;
use crate::verdict::Door;

/// Services as they stood after a batch was claimed.
pub(super) type Seen = HashMap<(RealmName, ServiceLabel), Option<Service>>;

impl Authority {
    /// How a person is to stand at a target.
    pub(super) async fn person_state(
        &self,
        target: &Target,
        name: &str,
        now: Timestamp,
        seen: &tokio::sync::Mutex<Seen>,
    ) -> Result<PersonState, Unavailable> {
        let mut state = PersonState {
            username: name.to_owned(),
            user: None,
            values: BTreeMap::new(),
            records: Vec::new(),
            owned: target.config.owned(),
            again_at: None,
            lacking: Vec::new(),
        };
        let Ok(username) = Username::parse(name) else { return Ok(state) };
        let realm = self.store.realm_find(&target.realm).await?;
        state.user = self.store.user_find(&target.realm, &username).await?;
        let counts = state
            .user
            .as_ref()
            .is_some_and(|user| user.status == UserStatus::Active && !user.locks.everywhere)
            && realm.is_some_and(|realm| realm.enabled);
        if !counts {
            return Ok(state);
        }
        for token in self.store.directory_tokens(&target.realm, &username, now).await? {
            if !token.usable || token.bound_to_networks || token.counted {
                continue;
            }
            if token.doors.as_ref().is_some_and(|doors| !doors.contains(&Door::Ldap)) {
                continue;
            }
            state.again_at = earliest(state.again_at, boundary(&token, now));
            let Some(label) = self.label_at(target, &state, &token, seen).await? else { continue };
            self.add(&mut state, target, &token, &label, now)?;
        }
        for hashes in state.values.values_mut() {
            hashes.sort();
            hashes.dedup();
        }
        Ok(state)
    }

    /// Under which label a token stands at a target; empty for a record, `None`: not there.
    async fn label_at(
        &self,
        target: &Target,
        state: &PersonState,
        token: &DirectoryToken,
        seen: &tokio::sync::Mutex<Seen>,
    ) -> Result<Option<String>, Unavailable> {
        match (target.kind, token.kind) {
            (TargetKind::ProfileAttribute, Kind::PersonalAccessToken) => Ok(Some(String::new())),
            (TargetKind::Ldap | TargetKind::Entry, Kind::ServiceToken) => {
                let Services::Named(labels) = &token.services else { return Ok(None) };
                let Some(label) = labels.first() else { return Ok(None) };
                if !target.config.is_for(label.as_str()) || !is_an_option(label.as_str()) {
                    return Ok(None);
                }
                let lets = match &state.user {
                    Some(user) => self.lets_in(&target.realm, label, user, seen).await?,
                    None => false,
                };
                Ok(lets.then(|| label.to_string()))
            }
            _ => Ok(None),
        }
    }

    async fn lets_in(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
        user: &User,
        seen: &tokio::sync::Mutex<Seen>,
    ) -> Result<bool, Unavailable> {
        let key = (realm.clone(), label.clone());
        let known = seen.lock().await.get(&key).cloned();
        let service = if let Some(service) = known {
            service
        } else {
            let found = self.store.service_find(realm, label).await?;
            seen.lock().await.insert(key, found.clone());
            found
        };
        Ok(service.is_some_and(|service| {
            let member = service.group.as_ref().is_none_or(|group| user.groups.contains(group));
            let locked = service.locked || user.locks.hold_at(label);
            service.status == ServiceStatus::Active && member && !locked
        }))
    }

    fn add(
        &self,
        state: &mut PersonState,
        target: &Target,
        token: &DirectoryToken,
        label: &str,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        if token.validity.phase(now) != Phase::Within {
            return Ok(());
        }
        let keys = self.keys();
        for secret in token.secrets.iter().filter(|secret| counts(secret, now)) {
            for scheme in &target.config.schemes {
                let derived = secret.hashes.iter().find(|hash| hash.scheme == scheme.name());
                let Some(hash) = derived else {
                    state.lacking.push((token.id, scheme.name()));
                    continue;
                };
                let row = hash_row(token.id, &secret.id, &hash.scheme);
                let value = keys.open(&row, &hash.sealed).map_err(Unavailable::new)?;
                let value = String::from_utf8_lossy(&value).into_owned();
                if target.kind == TargetKind::ProfileAttribute {
                    state.records.push(record(token, value));
                } else {
                    state.values.entry(label.to_owned()).or_default().push(value);
                }
            }
        }
        Ok(())
    }
}

fn record(token: &DirectoryToken, hash: String) -> TokenRecord {
    TokenRecord {
        id: token.id,
        name: token.name.clone(),
        services: token.services.labels().into_iter().map(ToOwned::to_owned).collect(),
        created_at: token.created_at,
        expires_at: token.validity.expires_at(),
        hash,
    }
}

/// A label with an underscore is no attribute option (RFC 4512 section 2.5): it cannot be written.
fn is_an_option(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

fn counts(secret: &DirectorySecret, now: Timestamp) -> bool {
    secret.not_before.is_none_or(|begin| begin <= now)
        && secret.expires_at.is_none_or(|end| now < end)
}

/// When a token, or one of its secrets, begins or ends next.
fn boundary(token: &DirectoryToken, now: Timestamp) -> Option<Timestamp> {
    let of_token = [Some(token.validity.not_before()), token.validity.expires_at()];
    let of_secrets = token.secrets.iter().flat_map(|secret| [secret.not_before, secret.expires_at]);
    of_token.into_iter().chain(of_secrets).flatten().filter(|at| *at > now).min()
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
