//! The secret of a new token: made or taken, hashed by its entropy, and kept sealed for a replay.

use std::sync::Arc;

use super::wishes::check_chosen;
use super::{Answered, Draft, IssueRequest, Replay};
use crate::authority::Authority;
use crate::caller::{Caller, ReplayKey};
use crate::clock::Timestamp;
use crate::event::{Origin, time_ordered_id};
use crate::foreign::{ForeignHash, Recipe};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, ClientName, RealmName, ServiceLabel};
use crate::policy::{AG_LENGTH, EffectivePolicy, SecretForm};
use crate::refusal::Refusal;
use crate::secret::{
    ClearSecret, Shape, TokenId, generate_ag, generate_grouped, generate_plain, generate_prefixed,
    mark,
};
use crate::secret_hash::{SecretHash, keyed_hash, slow_salt};
use crate::service::Services;
use crate::slow::{Holder, Preimage};
use crate::store::{Idempotency, TokenIssue};
use crate::subject::Owner;
use crate::token::{SecretFacts, Slot, StoredSecret, Token};
use crate::validity::Validity;
use zeroize::Zeroizing;

/// How long a replayable answer is kept.
const REPLAY_SECONDS: i64 = 86_400;

/// A secret in clear with what is stored of it.
pub(in crate::authority) struct Drafted(
    pub(in crate::authority) ClearSecret,
    pub(in crate::authority) StoredSecret,
);

/// Whom a secret is for: it has to be named with a secret of few bits.
pub(in crate::authority) struct Whose<'a> {
    pub(in crate::authority) realm: &'a RealmName,
    pub(in crate::authority) owner: &'a Owner,
    pub(in crate::authority) services: &'a Services,
}

impl Authority {
    /// Makes or takes the secret, and hashes it by its entropy.
    pub(super) async fn secret_of(
        &self,
        realm: &RealmName,
        request: &IssueRequest,
        draft: &Draft,
        policies: &[&EffectivePolicy],
        id: TokenId,
        now: Timestamp,
    ) -> Result<Drafted, Refusal> {
        if draft.by_link {
            let link = TokenId::generate(self.entropy())?;
            return self.generated(Kind::Link, link, now);
        }
        if request.kind == Kind::Decoy {
            let looks_like = request.disguise.unwrap_or(Kind::PersonalAccessToken);
            return self.generated(looks_like, id, now);
        }
        let whose = Whose { realm, owner: &draft.owner, services: &draft.services };
        let wish = request.repository.as_ref();
        if let Some(payload) = wish.and_then(|wish| wish.data.as_ref()) {
            return self.payload_secret(&whose, payload, id, now).await;
        }
        let Some(chosen) = &request.secret else {
            let form = match (request.kind, policies) {
                (Kind::ServiceToken, [policy]) => (policy.form, policy.length),
                _ => (SecretForm::Prefixed, AG_LENGTH),
            };
            return self.made(form, &whose, request.kind, id, now).await;
        };
        check_chosen(self, chosen, policies)?;
        if request.kind != Kind::ServiceToken {
            return Err(Refusal::invalid("secret", "only a service token takes a chosen secret"));
        }
        let hash = self.slow_hash(&whose, chosen).await?;
        Ok(Drafted(chosen.clone(), self.stored(hash, false, now)?))
    }

    /// A generated secret of any form, of which `ag` has a length, hashed by its entropy.
    pub(in crate::authority) async fn made(
        &self,
        (form, length): (SecretForm, u32),
        whose: &Whose<'_>,
        kind: Kind,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Drafted, Refusal> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let clear = match form {
            SecretForm::Plain15 => generate_plain(15, self.entropy())?,
            SecretForm::Plain08 => generate_plain(8, self.entropy())?,
            SecretForm::Ag => generate_ag(length, self.entropy())?,
            SecretForm::Grouped => generate_grouped(self.entropy())?,
            SecretForm::Prefixed => return self.generated(kind, id, now),
        };
        if let Shape::Grouped(normal) = self.shape(clear.reveal()) {
            let keys = self.keys();
            let (pepper, mac) = (keys.pepper().id(), keyed_hash(keys.pepper(), &normal));
            return Ok(Drafted(clear, self.stored(SecretHash::Keyed { pepper, mac }, true, now)?));
        }
        let hash = self.slow_hash(whose, &clear).await?;
        Ok(Drafted(clear, self.stored(hash, false, now)?))
    }

    /// Argon2id over a secret of few bits, for its person and service.
    pub(in crate::authority) async fn slow_hash(
        &self,
        whose: &Whose<'_>,
        clear: &ClearSecret,
    ) -> Result<SecretHash, Refusal> {
        let preimage = Preimage::Clear(Zeroizing::new(clear.reveal().to_owned()));
        self.slow_hash_of(whose, preimage, None).await
    }

    /// Argon2id over what another system stored of a secret.
    pub(in crate::authority) async fn foreign_hash(
        &self,
        whose: &Whose<'_>,
        hash: &ForeignHash,
    ) -> Result<SecretHash, Refusal> {
        let recipe = Some(hash.recipe.clone());
        self.slow_hash_of(whose, Preimage::Stored(hash.outcome()), recipe).await
    }

    async fn slow_hash_of(
        &self,
        whose: &Whose<'_>,
        preimage: Preimage,
        recipe: Option<Recipe>,
    ) -> Result<SecretHash, Refusal> {
        let label = match whose.services {
            Services::Named(labels) if labels.len() == 1 => labels.first(),
            _ => None,
        };
        let label = label.ok_or_else(|| {
            Refusal::invalid("services", "a secret of few bits is for exactly one service")
        })?;
        let keys = self.keys();
        let pepper = keys.pepper();
        let salt = slow_salt(pepper, whose.realm.as_str(), whose.owner.name(), label.as_str());
        let cost = self.settings.slow_cost;
        let place = self.slow.admit(vec![Holder::Caller(whose.owner.actor().into())])?;
        let digest = self.slow.digest_of(&place, pepper, salt, preimage, cost).await?;
        Ok(SecretHash::Slow { pepper: pepper.id(), digest, cost, recipe })
    }

    /// A generated secret in the `cfl` form, hashed.
    pub(in crate::authority) fn generated(
        &self,
        kind: Kind,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Drafted, Refusal> {
        let keys = self.keys();
        let pepper = keys.pepper();
        let clear = match kind {
            Kind::AuthToken => mark::generate(pepper, &self.settings.prefix, id, self.entropy())?,
            _ => generate_prefixed(&self.settings.prefix, kind, id, self.entropy())?,
        };
        let mac = keyed_hash(pepper, clear.reveal());
        let hash = SecretHash::Keyed { pepper: pepper.id(), mac };
        Ok(Drafted(clear, self.stored(hash, false, now)?))
    }

    /// A hash as it is stored for a new secret.
    pub(in crate::authority) fn stored(
        &self,
        hash: SecretHash,
        found_by_hash: bool,
        now: Timestamp,
    ) -> Result<StoredSecret, Refusal> {
        let facts = SecretFacts {
            slot: Slot::Current,
            created_at: now,
            not_before: None,
            expires_at: None,
        };
        let id = time_ordered_id(now, self.entropy())?;
        Ok(StoredSecret { id, facts, hash, found_by_hash, directory: Vec::new() })
    }

    /// The kept answer: rendered when the token is stored, sealed to the caller's credential.
    pub(in crate::authority) fn idempotency(
        &self,
        replay_key: &ReplayKey,
        caller: TokenId,
        replay: &Replay,
        secret: &ClearSecret,
        now: Timestamp,
    ) -> Idempotency {
        let (render, clear, key) =
            (Arc::clone(&replay.render), secret.clone(), replay_key.derive());
        let row = format!("replay {caller}");
        let entropy = Arc::clone(&self.entropy);
        Idempotency {
            caller: caller.as_str().to_owned(),
            key: replay.key.clone(),
            fingerprint: replay.fingerprint,
            expires_at: now.plus_seconds(REPLAY_SECONDS),
            answer: Arc::new(move |token| {
                let answer = zeroize::Zeroizing::new(render(token, &clear));
                // An answer that cannot be sealed is not kept: the repetition fails, nothing leaks.
                crate::keys::seal_under(&key, &row, &answer, entropy.as_ref()).unwrap_or_default()
            }),
        }
    }

    /// A key for a client: token and secret, ready to be stored with it.
    pub fn new_client_key(
        &self,
        realm: &RealmName,
        name: &ClientName,
        origin: &Origin,
        now: Timestamp,
        replay: Option<(&Replay, &Caller)>,
    ) -> Result<(TokenIssue, ClearSecret), Refusal> {
        let id = TokenId::generate(self.entropy())?;
        let secret = self.generated(Kind::ClientKey, id, now)?;
        let token = client_key_token(id, realm, name, origin, now)?;
        let event = self
            .event("token.issued", realm, origin, now)?
            .with_token(id)
            .with_subject(token.owner.actor())
            .with_service(COUNTERFOIL);
        let idempotency = replay.map(|(replay, caller)| {
            self.idempotency(&caller.replay_key, caller.token, replay, &secret.0, now)
        });
        let (secret, clear) = (secret.1, secret.0);
        let limits = Vec::new();
        let issue = TokenIssue { token, secret, limits, data: None, idempotency, event };
        Ok((issue, clear))
    }

    /// Opens the kept answer of a client's creation.
    pub fn replayed_client(&self, caller: &Caller, sealed: &[u8]) -> Result<Answered, Refusal> {
        replayed(caller, sealed)
    }
}

/// Opens a kept answer for the caller it was given to.
pub(in crate::authority) fn replayed(caller: &Caller, sealed: &[u8]) -> Result<Answered, Refusal> {
    let row = format!("replay {}", caller.token);
    let opened = crate::keys::open_under(&caller.replay_key.derive(), &row, sealed);
    opened.map(|clear| Answered::Replayed(clear.to_vec())).map_err(|_| Refusal::KeyReused)
}

/// Client keys have no default end: their role bounds them, not a lifetime.
fn client_key_token(
    id: TokenId,
    realm: &RealmName,
    name: &ClientName,
    origin: &Origin,
    now: Timestamp,
) -> Result<Token, Refusal> {
    let api = ServiceLabel::parse(COUNTERFOIL).map_err(|e| Refusal::invalid("service", e))?;
    let (owner, services) = (Owner::Client(name.clone()), Services::Named(vec![api]));
    let validity = Validity::new(now, None).map_err(|e| Refusal::invalid("expires_at", e))?;
    let (what, created) = ((id, Kind::ClientKey), (now, origin.actor.to_string()));
    Ok(Token {
        name: Some(name.as_str().to_owned()),
        ..Token::new(what, realm.clone(), owner, services, validity, created)
    })
}
