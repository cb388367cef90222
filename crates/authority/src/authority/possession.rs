//! Revocation by possession: whoever holds a secret may end its token, without any other right.

use super::Authority;
use super::lifecycle::Act;
use crate::cache::Matched;
use crate::caller::RequestContext;
use crate::event::Origin;
use crate::keys::KeyPurpose;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, Shape, mark};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::store::{Record, Unavailable};
use crate::token::StoredSecret;

/// What a presented string proves.
enum Possession {
    /// That its holder may end this token.
    Proved(Box<Record>),
    /// Nothing any more, or it never could.
    Nothing,
    /// Nothing, though it has the form of a secret: a guess, for the limits on abuse.
    Guess,
}

impl Authority {
    /// Ends every token whose clear text is given, whoever presents it: possession is enough.
    /// Takes the forms that have an id in them; strings that are no tokens of ours are passed
    /// over in silence, and those that could have been are failed attempts of the source like any
    /// other. Says whether there were such.
    pub async fn revoke_by_possession(
        &self,
        credentials: &[ClearSecret],
        context: RequestContext,
    ) -> Result<bool, Refusal> {
        let mut guessed = false;
        let origin = Origin { actor: "holder".into(), ..Origin::anonymous(context) };
        for credential in credentials {
            if let Shape::Prefixed { .. } = self.shape(credential.reveal()) {
                guessed |= self.end_presented(None, credential, &origin).await?;
            }
        }
        Ok(guessed)
    }

    /// Ends a presented token of a realm, or of any. Says whether it was a guess, which is counted
    /// against its source then. A registration token stays: it is shared, and one holder does not
    /// end it for all.
    pub(super) async fn end_presented(
        &self,
        realm: Option<&RealmName>,
        presented: &ClearSecret,
        origin: &Origin,
    ) -> Result<bool, Refusal> {
        let guessed = match self.shape(presented.reveal()) {
            Shape::Jwt(_) | Shape::Prefixed { kind: Kind::AccessToken, .. } => {
                self.end_access(realm, presented.reveal(), origin).await?
            }
            _ => match self.possessed(presented, origin).await? {
                Possession::Proved(record) => {
                    self.end_proved(realm, &record, origin).await?;
                    false
                }
                Possession::Nothing => false,
                Possession::Guess => true,
            },
        };
        if guessed && let Some(source) = origin.source {
            self.throttle.failed(source, None, None, self.now());
        }
        Ok(guessed)
    }

    async fn end_proved(
        &self,
        realm: Option<&RealmName>,
        record: &Record,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        if !record.kind.may_use_self() || realm.is_some_and(|realm| *realm != record.realm) {
            return Ok(());
        }
        let Some(token) = self.store.token_find(&record.realm, record.id).await? else {
            return Ok(());
        };
        let reason = Some("revoked by possession".to_owned());
        self.change_token(origin, &token, Act::Revoke { reason }, None).await.map(drop)
    }

    /// Whether a string is the secret of an auth token of this realm, or was: who presents it is
    /// no stranger, and a refresh may look at the proof beside it.
    pub async fn was_refresh_secret(
        &self,
        realm: &RealmName,
        presented: &str,
    ) -> Result<bool, Refusal> {
        let Shape::Prefixed { kind: Kind::AuthToken, id } = self.shape(presented) else {
            return Ok(false);
        };
        let record = self.store.token_record(id).await?;
        let record = record.filter(|found| found.realm == *realm && found.kind == Kind::AuthToken);
        let Some(record) = record else { return Ok(false) };
        if self.matching_secret(&record, presented).is_some() {
            return Ok(true);
        }
        let keys = self.keys();
        let ours = mark::is_ours(keys.peppers(), presented);
        if !ours {
            // It may be, under a pepper that only other nodes have yet.
            keys.require_all(|of| of == KeyPurpose::Pepper).map_err(Unavailable::from)?;
        }
        Ok(ours)
    }

    pub(super) fn matching_secret<'a>(
        &self,
        record: &'a Record,
        presented: &str,
    ) -> Option<&'a StoredSecret> {
        let keys = self.keys();
        record.secrets.iter().find(|secret| match &secret.hash {
            SecretHash::Keyed { pepper, mac } => {
                keys.pepper_by_id(*pepper).is_some_and(|key| keyed_hash(key, presented) == *mac)
            }
            SecretHash::Slow { .. } => false,
        })
    }

    /// The record of the token that this secret belongs to, in whatever state it is.
    async fn possessed(
        &self,
        credential: &ClearSecret,
        origin: &Origin,
    ) -> Result<Possession, Refusal> {
        match self.shape(credential.reveal()) {
            Shape::Prefixed { kind, id } => {
                let Some(record) = self.store.token_record(id).await? else {
                    return Ok(Possession::Guess);
                };
                let is_decoy = self.is_decoy(&record, credential.reveal(), origin, None)?;
                if is_decoy || record.kind != kind {
                    return Ok(Possession::Guess);
                }
                self.judged(record, credential.reveal())
            }
            Shape::Grouped(normal) => {
                let keys = self.keys();
                for pepper in keys.peppers() {
                    let mac = keyed_hash(pepper, &normal);
                    if let Some(record) = self.store.token_record_by_hash(mac).await? {
                        return self.judged(record, &normal);
                    }
                }
                // Hashed under a pepper that is not here, it could not be found.
                keys.require_all(|of| of == KeyPurpose::Pepper).map_err(Unavailable::from)?;
                Ok(Possession::Guess)
            }
            // A self-chosen secret is nothing without its person and its service.
            _ => Ok(Possession::Nothing),
        }
    }

    /// What a string proves about the token that it points at.
    fn judged(&self, record: Record, canonical: &str) -> Result<Possession, Refusal> {
        let now = self.now();
        Ok(match self.matching_secret(&record, canonical) {
            // A retired secret proves nothing any more, not even the right to end the token.
            Some(secret) if crate::cache::matched(secret, now) == Matched::Retired => {
                Possession::Nothing
            }
            Some(_) => Possession::Proved(Box::new(record)),
            None => {
                let keys = self.keys();
                let peppers = record.secrets.iter().map(|secret| secret.hash.pepper());
                keys.require_peppers(peppers).map_err(Unavailable::from)?;
                let former =
                    record.kind == Kind::AuthToken && mark::is_ours(keys.peppers(), canonical);
                if former { Possession::Nothing } else { Possession::Guess }
            }
        })
    }
}
