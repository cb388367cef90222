//! Revocation by possession: whoever holds a secret may end its token, without any other right.

use super::Authority;
use super::lifecycle::Act;
use crate::cache::Matched;
use crate::caller::RequestContext;
use crate::event::Origin;
use crate::kind::Kind;
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, Shape};
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
    /// Strings that are no tokens of ours are passed over in silence; those that could have been
    /// are failed attempts of the source like any other. Says whether there were such.
    pub async fn revoke_by_possession(
        &self,
        credentials: &[ClearSecret],
        context: RequestContext,
    ) -> Result<bool, Refusal> {
        let mut guessed = false;
        let origin = Origin {
            actor: "holder".into(),
            actor_token: None,
            door: context.door,
            source: context.source,
            request_id: context.request_id,
        };
        for credential in credentials {
            let record = match self.possessed(credential).await? {
                Possession::Proved(record) => record,
                Possession::Nothing => continue,
                Possession::Guess => {
                    guessed = true;
                    if let Some(source) = origin.source {
                        self.throttle.failed(source, None, None, self.now());
                    }
                    continue;
                }
            };
            // A registration token is shared: one holder does not end it for all.
            if !record.kind.may_use_self() {
                continue;
            }
            let Some(token) = self.store.token_find(&record.realm, record.id).await? else {
                continue;
            };
            let reason = Some("revoked by possession".to_owned());
            self.change_token(&origin, &token, Act::Revoke { reason }, None).await?;
        }
        Ok(guessed)
    }

    /// The record of the token whose secret this is; `None` if it proves nothing.
    pub(super) async fn proved(&self, credential: &ClearSecret) -> Result<Option<Record>, Refusal> {
        Ok(match self.possessed(credential).await? {
            Possession::Proved(record) => Some(*record),
            Possession::Nothing | Possession::Guess => None,
        })
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
        Ok(record.is_some_and(|record| self.matching_secret(&record, presented).is_some()))
    }

    fn matching_secret<'a>(&self, record: &'a Record, presented: &str) -> Option<&'a StoredSecret> {
        let keys = self.keys();
        record.secrets.iter().find(|secret| match &secret.hash {
            SecretHash::Keyed { pepper, mac } => {
                keys.pepper_by_id(*pepper).is_some_and(|key| keyed_hash(key, presented) == *mac)
            }
            SecretHash::Slow { .. } => false,
        })
    }

    /// The record of the token that this secret belongs to, in whatever state it is.
    async fn possessed(&self, credential: &ClearSecret) -> Result<Possession, Refusal> {
        let Shape::Prefixed { kind, id } = self.shape(credential.reveal()) else {
            return Ok(Possession::Nothing);
        };
        let Some(record) = self.store.token_record(id).await? else {
            return Ok(Possession::Guess);
        };
        let now = self.now();
        Ok(match self.matching_secret(&record, credential.reveal()) {
            Some(_) if record.kind != kind => Possession::Guess,
            // A retired secret proves nothing any more, not even the right to end the token.
            Some(secret) if crate::cache::matched(secret, now) == Matched::Retired => {
                Possession::Nothing
            }
            Some(_) => Possession::Proved(Box::new(record)),
            None => {
                let peppers = record.secrets.iter().map(|secret| secret.hash.pepper());
                self.keys().require_peppers(peppers).map_err(Unavailable::from)?;
                Possession::Guess
            }
        })
    }
}
