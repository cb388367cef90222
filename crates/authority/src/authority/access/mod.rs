//! Making access tokens, and ending them before their time.

mod certificate;
mod describe;
mod exchange;
mod nonce;
mod revoke;

use std::sync::Arc;

pub use exchange::{AccessRefusal, ExchangeRequest, Presented};

use super::Authority;
use crate::access::proof::{self, Proof, ProofFault, ProofFor};
use crate::access::{
    AccessFacts, AccessFormat, AccessGrant, AccessRecord, AccessSettings, MintedAccess, SigningAlg,
    claims,
};
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel};
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{ClearSecret, TokenId, generate_prefixed};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::store::Revocations;

/// Lines of the feed of revocations at most, of each sort: who needs more introspects.
const FEED_LEN_MAX: u32 = 10_000;

impl Authority {
    /// Says how the server is reached from outside. Every node must be told the same, or one
    /// does not know what another has signed.
    pub fn issue_as(&self, public_url: &str) {
        self.public_url.store(Arc::new(public_url.to_owned()));
    }

    /// The issuer of a realm: `{public_url}/realms/{realm}`, everywhere.
    pub fn issuer(&self, realm: &RealmName) -> String {
        [self.public_url.load().as_str(), "/realms/", realm.as_str()].concat()
    }

    /// Makes an access token. Stores nothing: an opaque one counts only after
    /// [`Self::keep_access`], which has to come before its string is shown.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoEntropy`]; [`Refusal::Policy`] if the parent has ended, or the installation
    /// has no key of the algorithm that is asked for.
    pub fn mint_access(
        &self,
        grant: &AccessGrant<'_>,
        now: Timestamp,
    ) -> Result<MintedAccess, Refusal> {
        let settings = grant.settings.or(&self.settings.access);
        let asked = now.plus_seconds(settings.lifetime_seconds());
        let end = grant.parent_expires_at.map_or(asked, |end| end.min(asked));
        let expires_in = end.seconds() - now.seconds();
        if expires_in <= 0 {
            return Err(Refusal::Policy("the token it is made from has ended".to_owned()));
        }
        let scope = joined(grant.scopes);
        let facts = AccessFacts {
            parent: grant.parent,
            subject: grant.subject.to_owned(),
            client_id: grant.client_id.to_owned(),
            scope: scope.clone(),
            audience: grant.audience.iter().map(ServiceLabel::to_string).collect(),
            confirmation: grant.confirmation.clone(),
            door: None,
            issued_at: now,
            expires_at: end,
        };
        let id = TokenId::generate(self.entropy())?;
        let token_type = facts.confirmation.token_type();
        let format = match settings.access_token_format.unwrap_or_default() {
            // Who reads a JWT by itself would take the token for one that may do everything.
            _ if grant.has_permissions => AccessFormat::Opaque,
            format => format,
        };
        let (secret, record) = match format {
            AccessFormat::Jwt => (self.signed(&settings, grant.realm, id, &facts)?, None),
            AccessFormat::Opaque => {
                let (secret, record) = self.referred(grant.realm, id, facts)?;
                (secret, Some(record))
            }
        };
        Ok(MintedAccess { id, secret, token_type, expires_in, scope, record })
    }

    /// Stores what an opaque access token needs; nothing for a JWT.
    pub async fn keep_access(&self, minted: &MintedAccess) -> Result<(), Refusal> {
        if let Some(record) = &minted.record {
            self.store.access_add(record.clone()).await?;
        }
        Ok(())
    }

    /// Makes an access token that counts.
    pub async fn issue_access(
        &self,
        grant: &AccessGrant<'_>,
        now: Timestamp,
    ) -> Result<MintedAccess, Refusal> {
        let minted = self.mint_access(grant, now)?;
        self.keep_access(&minted).await?;
        Ok(minted)
    }

    fn signed(
        &self,
        settings: &AccessSettings,
        realm: &RealmName,
        id: TokenId,
        facts: &AccessFacts,
    ) -> Result<ClearSecret, Refusal> {
        let alg = settings.access_token_signing_alg.unwrap_or_default();
        let keys = self.keys();
        let signer = keys.signing().current(alg, facts.issued_at);
        let jwt = signer.and_then(|signer| claims::sign(signer, id, &self.issuer(realm), facts));
        let none =
            || Refusal::Policy(format!("the installation has no signing key of {}", alg.name()));
        jwt.map(ClearSecret::new).ok_or_else(none)
    }

    pub(super) fn referred(
        &self,
        realm: &RealmName,
        id: TokenId,
        facts: AccessFacts,
    ) -> Result<(ClearSecret, AccessRecord), Refusal> {
        let prefix = &self.settings.prefix;
        let secret = generate_prefixed(prefix, Kind::AccessToken, id, self.entropy())?;
        let keys = self.keys();
        let pepper = keys.pepper();
        let mac = keyed_hash(pepper, secret.reveal());
        let hash = SecretHash::Keyed { pepper: pepper.id(), mac };
        Ok((secret, AccessRecord { realm: realm.clone(), id, hash, facts }))
    }

    /// Checks what a DPoP proof says. That it was not said before is asked by
    /// [`Self::use_proof`], after the credential beside it has been proved: whoever has none
    /// leaves nothing behind in the store.
    pub fn check_proof(&self, proof: &str, wanted: ProofFor<'_>) -> Result<Proof, ProofFault> {
        let now = self.now();
        let proof = proof::check(proof, wanted, now)?;
        let known = |nonce: &String| nonce::is_ours(self.keys().peppers(), nonce, now);
        if wanted.nonce && !proof.nonce.as_ref().is_some_and(known) {
            return Err(ProofFault::Nonce);
        }
        Ok(proof)
    }

    /// What DPoP proofs have to hold now, where a nonce is asked for (RFC 9449 section 8).
    pub fn dpop_nonce(&self) -> String {
        nonce::of(self.keys().pepper(), self.now())
    }

    /// Notes that a proof was used, unless it was used before.
    ///
    /// # Errors
    ///
    /// Only that the store could not be asked; a proof that was used is an answer.
    pub async fn use_proof(&self, proof: &Proof) -> Result<Result<(), ProofFault>, Refusal> {
        let fresh = self.store.proof_use(proof.once, proof.expires_at, self.now()).await?;
        Ok(if fresh { Ok(()) } else { Err(ProofFault::Replayed) })
    }

    /// What was revoked in a realm and could still be believed in by who reads JWTs.
    pub async fn revocations(&self, realm: &RealmName) -> Result<Revocations, Refusal> {
        let now = self.now();
        self.realm_facts(realm).await?;
        let since = now.plus_seconds(-crate::access::LIFETIME_SECONDS_MAX);
        Ok(self.store.access_revocations(realm, now, since, FEED_LEN_MAX).await?)
    }

    /// The public keys whose signatures count now, for the key set, newest of each kind last.
    pub fn public_keys(&self) -> Vec<jsonwebtoken::jwk::Jwk> {
        let keys = self.keys();
        let counting = keys.signing().counting(self.now(), self.settings.key_overlap_seconds);
        counting.map(|signer| signer.public().clone()).collect()
    }

    /// The algorithms that this installation can sign with.
    pub fn signing_algs(&self) -> Vec<SigningAlg> {
        self.keys().signing().algs().collect()
    }
}

/// Scopes as one text (RFC 6749 section 3.3).
pub(super) fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}
