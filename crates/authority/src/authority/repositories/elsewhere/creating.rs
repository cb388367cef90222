//! New tokens in repositories of other keepers: judged as ours are, with a secret that is made here.

use std::sync::atomic::{AtomicU64, Ordering};

use super::There;
use crate::authority::issue::{Lifetime, validity_of};
use crate::authority::link::is_by_link;
use crate::authority::repositories::{RepositoryDraft, RepositoryEntry, required};
use crate::authority::{Authority, Delivery, Expiry, IssueRequest};
use crate::caller::Caller;
use crate::clock::{Entropy, NoEntropy};
use crate::custom::{
    Addressing, Capability, ForeignDraft, SECRET_LENGTH_MIN, VerifyMode, hash_text,
};
use crate::kind::Kind;
use crate::names::{RealmName, Username};
use crate::policy::EffectivePolicy;
use crate::refusal::{Refusal, Thing};
use crate::repository::foreign::told_of;
use crate::repository::{Attribute, Repository, Value, Writes};
use crate::scope::ApiScope;
use crate::secret::{ClearSecret, generate_plain};
use crate::service::Services;

/// Characters of a new secret behind its public part: 238 random bits.
const SECRET_LENGTH: usize = 2 * SECRET_LENGTH_MIN;

/// A request to create a token that may be a repetition: its key, and the digest of all of it.
#[derive(Debug, Clone)]
pub struct Repeatable {
    /// The `Idempotency-Key`.
    pub key: String,
    /// SHA-256 over route and body.
    pub fingerprint: [u8; 32],
}

/// A stream of bytes that the same request draws again: who repeats it gets the secret that the
/// first answer showed, although nobody keeps it.
struct Again {
    key: [u8; 32],
    /// Blocks that were drawn: each draw goes on where the last one ended.
    drawn: AtomicU64,
}

impl Again {
    const fn of(key: [u8; 32]) -> Self {
        Self { key, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for Again {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        for part in bytes.chunks_mut(32) {
            let number = self.drawn.fetch_add(1, Ordering::Relaxed).to_le_bytes();
            let label = b"counterfoil repeated secret 1";
            let block = crate::secret_hash::hmac256(&self.key, label, &[&number]);
            part.copy_from_slice(block.as_bytes().get(..part.len()).unwrap_or_default());
        }
        Ok(())
    }
}

impl Authority {
    /// Creates a token in a custom repository. Its secret, if it gets one, is made here, and the
    /// repository is told the hash of it.
    pub async fn repository_create_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        draft: RepositoryDraft,
        again: Option<Repeatable>,
    ) -> Result<(RepositoryEntry, Option<ClearSecret>), Refusal> {
        let there = self.there(caller, realm, repository)?;
        required(repository, &draft.writes)?;
        self.refuse_pasted_writes(repository, &draft.writes)?;
        let reach = caller.reach(realm, ApiScope::TokensWrite)?;
        let services = Services::Named(repository.services.clone());
        if draft.user.is_none() && !reach.whole && !reach.covers_services(&services) {
            return Err(Refusal::BeyondGrant("the stock is for who administers the repository"));
        }
        let generates =
            there.kept.settings().generates && there.kept.settings().verify == VerifyMode::Local;
        let attributes = self.judged_elsewhere(&there, &draft, generates).await?;
        if let Some(user) = &draft.user {
            let known = self.store.user_find(realm, user).await?;
            known.ok_or(Refusal::NotFound(Thing::User))?;
        }
        self.offers(&there, Capability::Create).await?;
        let (secret, idempotency_key) = self.drawn_elsewhere(&there, again.as_ref(), generates)?;
        let settings = there.kept.settings();
        let selector = match (&secret, settings.addressing) {
            (Some(clear), Addressing::Prefix(length)) => clear.reveal().get(..length),
            _ => None,
        };
        let hash = secret.as_ref().map(|c| hash_text(c.reveal(), settings.hash_key.as_ref()));
        let foreign = ForeignDraft {
            user: draft.user.as_ref().map(|user| user.as_str().to_owned()),
            attributes: told_of(&attributes),
            selector: selector.map(str::to_owned),
            hash,
            idempotency_key,
        };
        let token = self.asked(&there, there.kept.driver().create(&foreign)).await?;
        self.noted(&there, "token.issued", (&token.id, draft.user.as_ref())).await?;
        Ok((self.entry_elsewhere(&there, token).await?, secret))
    }

    /// What policies say of a new token: the attributes that are written, with the end that they
    /// demand.
    async fn judged_elsewhere(
        &self,
        there: &There<'_>,
        draft: &RepositoryDraft,
        generates: bool,
    ) -> Result<Writes, Refusal> {
        let request = request_of(there.repository, draft.user.clone(), &draft.writes);
        let judged = self.may_issue(there.caller, there.realm, &request).await?;
        let policies: Vec<&EffectivePolicy> = judged.policies();
        if policies.iter().any(|policy| policy.approval) {
            let why = "tokens of this service wait for approval, which this repository cannot do";
            return Err(Refusal::Policy(why.to_owned()));
        }
        if generates {
            // There is no link to a secret whose hash is kept elsewhere: shown now, or refused.
            is_by_link(&policies, there.caller, &request, judged.own)?;
        }
        let lifetime = Lifetime::of(&request);
        let validity = validity_of(&policies, there.caller, &judged.reach, lifetime, self.now())?;
        let mut attributes = draft.writes.clone();
        if let Some(end) = validity.expires_at() {
            attributes.insert(Attribute::ValidTo, Some(Value::Instant(end)));
        }
        Ok(attributes)
    }

    /// A secret as this repository finds it, and what a repetition of the request is known by.
    fn drawn_elsewhere(
        &self,
        there: &There<'_>,
        again: Option<&Repeatable>,
        generates: bool,
    ) -> Result<(Option<ClearSecret>, String), Refusal> {
        let drawn = match again {
            Some(again) => self.seed_of(there, again),
            None => self.seed()?,
        };
        let settings = there.kept.settings();
        let prefix = settings.prefix.as_deref().unwrap_or_default();
        let public = match settings.addressing {
            Addressing::Prefix(length) => length.saturating_sub(prefix.len()),
            Addressing::User | Addressing::Sha256 => 0,
        };
        let behind = generate_plain(public + SECRET_LENGTH, &drawn)?;
        // Another part of the same stream, which tells nothing of the secret.
        let key = crate::custom::sha256_text(&format!("once {}", behind.reveal()));
        let key = key.trim_start_matches("sha256:").to_owned();
        let secret = generates.then(|| ClearSecret::new(format!("{prefix}{}", behind.reveal())));
        Ok((secret, key))
    }

    fn seed(&self) -> Result<Again, NoEntropy> {
        let mut seed = [0; 32];
        self.entropy.fill(&mut seed)?;
        Ok(Again::of(seed))
    }

    /// What the same caller's same request draws from. Who has nothing but the caller's key cannot
    /// draw it a second time: our pepper is in it, too.
    fn seed_of(&self, there: &There<'_>, again: &Repeatable) -> Again {
        let hmac = crate::secret_hash::hmac256;
        let key = there.caller.replay_key.derive();
        let (realm, name) = (there.realm.as_str(), there.repository.name.as_str());
        let parts =
            [realm.as_bytes(), name.as_bytes(), again.key.as_bytes(), &again.fingerprint[..]];
        let of_caller = hmac(&key, b"counterfoil repeatable 1", &parts);
        let keys = self.keys();
        let label = b"counterfoil repeatable 2";
        let seed = hmac(keys.pepper().bytes(), label, &[of_caller.as_bytes()]);
        Again::of(*seed.as_bytes())
    }
}

/// A new token as policies judge it.
pub(super) fn request_of(
    repository: &Repository,
    user: Option<Username>,
    writes: &Writes,
) -> IssueRequest {
    let services = Some(repository.services.clone()).filter(|labels| !labels.is_empty());
    let instant = |attribute| match writes.get(&attribute) {
        Some(Some(Value::Instant(at))) => Some(*at),
        _ => None,
    };
    IssueRequest {
        expires: match writes.get(&Attribute::ValidTo) {
            Some(Some(Value::Instant(end))) => Expiry::At(*end),
            Some(_) => Expiry::Never,
            None => Expiry::Open,
        },
        not_before: instant(Attribute::ValidFrom),
        services: services.map(Services::Named),
        delivery: Delivery::Response,
        ..IssueRequest::of(Kind::Generic, user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_draws_the_same_and_no_draw_is_like_the_one_before() {
        let (one, same) = (Again::of([7; 32]), Again::of([7; 32]));
        let draw = |from: &Again| {
            let mut bytes = [0; 40];
            from.fill(&mut bytes).unwrap();
            bytes
        };
        let first = draw(&one);
        assert_eq!(first, draw(&same));
        assert_ne!(first, draw(&one));
        assert_ne!(first[..8], first[32..]);
        assert_ne!(first, draw(&Again::of([8; 32])));
    }
}
