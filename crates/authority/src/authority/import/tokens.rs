//! Tokens of another system: which are taken over, and what is stored of their secrets.

use std::collections::BTreeMap;

use super::{
    Fate, IMPORTED_FROM, IncomingSecret, IncomingToken, Known, Plan, ROTATE_IT, Run,
    WEAK_DERIVATION, refused,
};
use crate::authority::Authority;
use crate::authority::issue::{Drafted, Whose};
use crate::clock::Timestamp;
use crate::foreign::{ForeignHash, ForeignScheme};
use crate::kind::Kind;
use crate::policy::{DEFAULT_LIFETIME_SECONDS, EffectivePolicy};
use crate::refusal::Refusal;
use crate::secret::Shape;
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::service::Services;
use crate::store::{ActiveLimit, PageRequest, TokenFilter, TokenIssue};
use crate::subject::Owner;
use crate::token::{AirlockAttributes, SentinelAttributes, Token, Usage};
use crate::validity::Validity;

/// Secrets that stand in manuals: whoever has read one has the secret.
const PUBLISHED: [&str; 6] = [
    "k7mq-2x9d-hw4t-p8zc",
    "r3vn-6jyb-e5sg-u2fa",
    "abcd-efgh-jkmn-pqrs",
    "rasmuslerdorf",
    "f83ee64ef9d15a68e5c7a910395ea1611e2fa138b1b9dd7e090941dfed773b2c",
    "a011286605ff6a5de51f4d46eb511a9e8715498fca87965576c73b8fd27246fe",
];
/// The bcrypt hash of one of them in PHP's manual; others would take too long to look for.
const PUBLISHED_BCRYPT: &str = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";

impl Authority {
    pub(super) async fn plan_token(
        &self,
        run: &Run<'_>,
        token: &IncomingToken,
        known: &mut Known,
    ) -> Result<Plan, Refusal> {
        if self.store.token_find(run.realm, token.id).await?.is_some() {
            return Ok(Plan::Settled(Fate::Kept));
        }
        let Some(policy) = known.services.get(&token.service) else {
            return Ok(refused("its service is not taken over"));
        };
        if !known.users.contains(&token.user) {
            return Ok(refused("its person is not taken over"));
        }
        if let Some(why) = self.unusable(&token.secret, policy) {
            return Ok(refused(why));
        }
        if let Some(pat) = &token.pat {
            return Ok(match crate::permission::check(&pat.permissions) {
                Ok(_) => Plan::Hash(Box::new(token.clone())),
                Err(bad) => refused(&bad.to_string()),
            });
        }
        let lasting = policy.allows_lifetime(run.now.micros(), None);
        if !lasting {
            return Ok(refused("the policy wants tokens to end, and this one has no end"));
        }
        if !known.held.insert((token.user.clone(), token.service.clone())) {
            return Ok(refused("another row holds a token of this person for this service"));
        }
        if self.holds_other(run, token).await? {
            return Ok(refused("the person holds a token for this service that was issued here"));
        }
        Ok(Plan::Hash(Box::new(token.clone())))
    }

    /// Whether the person holds a token for the service that did not come from the same row.
    async fn holds_other(&self, run: &Run<'_>, token: &IncomingToken) -> Result<bool, Refusal> {
        let filter = TokenFilter {
            owner: Some(Owner::User(token.user.clone())),
            service: Some(token.service.clone()),
            kind: Some(Kind::ServiceToken),
            ..TokenFilter::default()
        };
        let page = PageRequest::first(1000);
        let held = self.store.token_list(run.realm, filter, run.now, page).await?;
        let stands = |held: &Token| {
            held.revocation.is_none()
                && held.validity.expires_at().is_none_or(|end| end > run.now)
                && held.labels.get(IMPORTED_FROM) != Some(&token.row)
        };
        Ok(held.items.iter().any(stands))
    }

    /// Why a secret can never be presented for a service with this policy.
    fn unusable(&self, secret: &IncomingSecret, policy: &EffectivePolicy) -> Option<&'static str> {
        match secret {
            IncomingSecret::Clear(clear) => {
                let clear = clear.reveal();
                if PUBLISHED.contains(&clear) {
                    return Some("the secret is printed in a manual, so everybody has it");
                }
                match self.shape(clear) {
                    Shape::Other if policy.has_secrets_of_few_bits() => None,
                    Shape::Other => Some("the service that is here takes no secrets of few bits"),
                    Shape::Grouped(_) => None,
                    _ => Some("the secret has a form that is never compared with secrets"),
                }
            }
            IncomingSecret::Foreign(hash) => {
                let scheme = hash.recipe.scheme();
                let published = match scheme {
                    ForeignScheme::Ssha => PUBLISHED.iter().any(|clear| hash.is_of(clear)),
                    ForeignScheme::Bcrypt => ForeignHash::bcrypt(PUBLISHED_BCRYPT)
                        .is_ok_and(|known| known.recipe == hash.recipe),
                };
                if published {
                    return Some("the secret is printed in a manual, so everybody has it");
                }
                let taken = policy.imported_schemes.contains(&scheme);
                (!taken).then_some(
                    "the service that is here does not compare with such hashes \
                     (token_policy.imported_schemes)",
                )
            }
        }
    }

    pub(super) async fn arriving_token(
        &self,
        run: &Run<'_>,
        token: &IncomingToken,
        policy: Option<&EffectivePolicy>,
    ) -> Result<TokenIssue, Refusal> {
        let owner = Owner::User(token.user.clone());
        let services = Services::Named(vec![token.service.clone()]);
        let whose = Whose { realm: run.realm, owner: &owner, services: &services };
        let (hash, by_hash) = match &token.secret {
            IncomingSecret::Foreign(hash) => (self.foreign_hash(&whose, hash).await?, false),
            IncomingSecret::Clear(clear) => match self.shape(clear.reveal()) {
                Shape::Grouped(normal) => {
                    let keys = self.keys();
                    let mac = keyed_hash(keys.pepper(), &normal);
                    (SecretHash::Keyed { pepper: keys.pepper().id(), mac }, true)
                }
                _ => (self.slow_hash(&whose, clear).await?, false),
            },
        };
        let secret = self.stored(hash, by_hash, run.now)?;
        let secret = match &token.secret {
            IncomingSecret::Foreign(hash) => {
                self.keep_for_directories(run.realm, token.id, &services, hash, secret).await?
            }
            IncomingSecret::Clear(clear) => {
                let (kind, drafted) = (kind_of(token), Drafted(clear.clone(), secret));
                let chosen = !token.drawn;
                let (realm, id) = (run.realm, token.id);
                self.derive_for_directories(realm, id, kind, &services, chosen, drafted).await?.1
            }
        };
        let limits = policy.map_or_else(Vec::new, |policy| {
            let service = Some(token.service.clone());
            let at_limit = policy.at_limit;
            let max = policy.max_active_per_user;
            let limit = max.map(|max| ActiveLimit {
                service,
                max,
                at_limit,
                slow_only: false,
                repository: None,
            });
            limit.into_iter().collect()
        });
        let event = self
            .imported(run, "token.issued")?
            .with_token(token.id)
            .with_subject(owner.actor())
            .with_service(token.service.as_str());
        let token = token_of(run, token, owner, services, policy)?;
        Ok(TokenIssue { token, secret, limits, data: None, idempotency: None, event })
    }
}

const fn kind_of(token: &IncomingToken) -> Kind {
    match token.pat {
        Some(_) => Kind::PersonalAccessToken,
        None => Kind::ServiceToken,
    }
}

/// The end of a token whose system knew none: none, or the latest that the policy allows.
fn end_of(run: &Run<'_>, policy: Option<&EffectivePolicy>) -> Option<Timestamp> {
    let policy = policy.filter(|policy| !policy.allows_lifetime(run.now.micros(), None))?;
    let longest = policy.max_lifetime_seconds.or(policy.default_lifetime_seconds);
    Some(run.now.plus_seconds(longest.unwrap_or(DEFAULT_LIFETIME_SECONDS)))
}

/// The record of a token that has no end, as the other system's had none, but for a personal
/// access token where the policy wants one.
fn token_of(
    run: &Run<'_>,
    token: &IncomingToken,
    owner: Owner,
    services: Services,
    policy: Option<&EffectivePolicy>,
) -> Result<Token, Refusal> {
    let pat = token.pat.as_ref();
    let weak = pat.is_some_and(|pat| pat.weak);
    let permissions = pat.map(|pat| crate::permission::check(&pat.permissions)).transpose();
    let end = pat.and_then(|_| end_of(run, policy));
    let mut labels = BTreeMap::from([(IMPORTED_FROM.to_owned(), token.row.clone())]);
    if weak {
        labels.insert(WEAK_DERIVATION.to_owned(), "true".to_owned());
    }
    Ok(Token {
        id: token.id,
        realm: run.realm.clone(),
        kind: kind_of(token),
        name: None,
        description: weak.then(|| ROTATE_IT.to_owned()),
        owner,
        services,
        scopes: Vec::new(),
        permissions: permissions.map_err(|e| Refusal::invalid("permissions", e))?,
        networks: Vec::new(),
        doors: None,
        enabled: true,
        locked: token.locked,
        pending: false,
        validity: Validity::new(run.now, end).map_err(|e| Refusal::invalid("expires_at", e))?,
        revocation: None,
        created_at: run.now,
        created_by: run.origin.actor.to_string(),
        activated_at: Some(run.now),
        usage: Usage::default(),
        max_usages: None,
        used: 0,
        labels,
        airlock: AirlockAttributes::default(),
        sentinel: SentinelAttributes::default(),
        unit: None,
        parent: None,
        changed_at: None,
        repository: None,
        device: None,
        version: 1,
        secrets: Vec::new(),
    })
}
