//! Tokens of another system: which are taken over, and what is stored of their secrets.

use super::{
    Fate, Holding, IMPORTED_FROM, IncomingFacts, IncomingSecret, IncomingToken, Known, Plan,
    ROTATE_IT, Run, WEAK_DERIVATION, refused,
};
use crate::authority::Authority;
use crate::authority::issue::{Drafted, SLOW_TOKENS_MAX, Whose, limit_of_realm};
use crate::authority::otp::CODE_DOORS;
use crate::clock::Timestamp;
use crate::foreign::{ForeignHash, ForeignKey, ForeignScheme};
use crate::kind::Kind;
use crate::policy::{AtLimit, DEFAULT_LIFETIME_SECONDS, EffectivePolicy, TokenPolicy};
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, Shape};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::service::Services;
use crate::store::{
    ActiveLimit, Arriving, Counted, OtpIssue, PageRequest, TokenFilter, TokenIssue,
};
use crate::subject::Owner;
use crate::token::Token;
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
/// Why such a secret is refused.
const IS_PUBLISHED: &str = "the secret is printed in a manual, so everybody has it";
/// Why a hash is refused that nobody would look at.
const NOT_COMPARED: &str = "the service that is here does not compare with such hashes";

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
        let Some(policy) = known.services.get(&token.service).cloned() else {
            return Ok(refused("its service is not taken over"));
        };
        if !known.users.contains(&token.user)
            && self.store.user_find(run.realm, &token.user).await?.is_none()
        {
            return Ok(refused("its person is not here, and not taken over"));
        }
        if let Some(why) = self.unusable(&token.secret, &policy) {
            let scheme = token.secret.scheme();
            return Ok(match scheme.filter(|scheme| *scheme != ForeignScheme::Own) {
                None => refused(why),
                Some(scheme) => refused(&format!(
                    "{why} (\"{}\" in token_policy.imported_schemes)",
                    scheme.name()
                )),
            });
        }
        if let Some(pat) = &token.pat {
            return Ok(match crate::permission::check(&pat.permissions) {
                Ok(_) => Plan::Hash(Box::new(token.clone())),
                Err(bad) => refused(&bad.to_string()),
            });
        }
        if let IncomingSecret::Codes(draft) = &token.secret
            && let Err(refusal) = draft.check()
        {
            return Ok(refused(&refusal.to_string()));
        }
        if let Some(why) = unfit(run, &token.facts, &policy) {
            return Ok(refused(&why));
        }
        if let Some(why) = self.key_taken(&token.secret, known).await? {
            return Ok(refused(why));
        }
        Ok(match self.no_room(run, token, &policy, known).await? {
            Some(why) => refused(why),
            None => Plan::Hash(Box::new(token.clone())),
        })
    }

    /// Why a person may not hold this token beside what they have.
    async fn no_room(
        &self,
        run: &Run<'_>,
        token: &IncomingToken,
        policy: &EffectivePolicy,
        known: &mut Known,
    ) -> Result<Option<&'static str>, Refusal> {
        let key = (token.user.clone(), token.service.clone(), kind_of(token));
        if !token.facts.one_of_several {
            if known.held.insert(key, Holding::default()).is_some() {
                return Ok(Some("another row holds a token of this person for this service"));
            }
            let why = "the person holds a token for this service that was issued here";
            let held = self.held(run, token).await?;
            let others = held.iter().any(|held| held.labels.get(IMPORTED_FROM) != Some(&token.row));
            return Ok(others.then_some(why));
        }
        if !known.held.contains_key(&key) {
            let held = u32::try_from(self.held(run, token).await?.len()).unwrap_or(u32::MAX);
            known.held.insert(key.clone(), Holding { tokens: held, slow: 0 });
        }
        let Some(holding) = known.held.get_mut(&key) else { return Ok(None) };
        if policy.max_active_per_user.is_some_and(|max| holding.tokens >= max) {
            return Ok(Some("the person holds as many tokens as the policy allows"));
        }
        let scheme = token.secret.scheme();
        let is_slow = scheme.is_some_and(ForeignScheme::is_of_few_bits);
        if is_slow && holding.slow >= SLOW_TOKENS_MAX {
            return Ok(Some("a person has three secrets of few bits for a service at most"));
        }
        holding.tokens = holding.tokens.saturating_add(1);
        holding.slow += u32::from(is_slow);
        Ok(None)
    }

    /// Why a key that is found by its hash alone cannot be taken over: it would be found twice.
    async fn key_taken(
        &self,
        secret: &IncomingSecret,
        known: &mut Known,
    ) -> Result<Option<&'static str>, Refusal> {
        let IncomingSecret::Key(key) = secret else { return Ok(None) };
        let keys = self.keys();
        for pepper in keys.peppers() {
            let mac = keyed_hash(pepper, &key.canonical());
            if self.store.token_record_by_hash(mac).await?.is_some() {
                return Ok(Some("another token that is here has this very key"));
            }
        }
        let mac = keyed_hash(keys.pepper(), &key.canonical());
        let is_new = known.keys.insert(*mac.as_bytes());
        Ok((!is_new).then_some("another line holds this very key"))
    }

    /// The tokens that the person holds for the service, and that may still be used.
    async fn held(&self, run: &Run<'_>, token: &IncomingToken) -> Result<Vec<Token>, Refusal> {
        let filter = TokenFilter {
            owner: Some(Owner::User(token.user.clone())),
            service: Some(token.service.clone()),
            kind: Some(kind_of(token)),
            ..TokenFilter::default()
        };
        let page = PageRequest::first(1000);
        let mut held = self.store.token_list(run.realm, filter, run.now, page).await?.items;
        held.retain(|held| {
            held.revocation.is_none() && held.validity.expires_at().is_none_or(|end| end > run.now)
        });
        Ok(held)
    }

    /// Why a secret can never be presented for a service with this policy.
    pub(super) fn unusable(
        &self,
        secret: &IncomingSecret,
        policy: &EffectivePolicy,
    ) -> Option<&'static str> {
        match secret {
            IncomingSecret::Clear(clear) => {
                let clear = clear.reveal();
                if PUBLISHED.contains(&clear) {
                    return Some(IS_PUBLISHED);
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
                    ForeignScheme::Bcrypt => ForeignHash::bcrypt(PUBLISHED_BCRYPT)
                        .is_ok_and(|known| known.recipe == hash.recipe),
                    // To try all of them through these would take too long.
                    ForeignScheme::Argon2
                    | ForeignScheme::Pbkdf2
                    | ForeignScheme::Sha256Crypt
                    | ForeignScheme::Sha512Crypt => false,
                    _ => PUBLISHED.iter().any(|clear| hash.is_of(clear)),
                };
                if published {
                    return Some(IS_PUBLISHED);
                }
                (!policy.imported_schemes.contains(&scheme)).then_some(NOT_COMPARED)
            }
            IncomingSecret::Codes(_) => None,
            IncomingSecret::Key(key) => {
                let is_key = |clear: &&str| ForeignKey::of(clear).is_some_and(|own| own == *key);
                if PUBLISHED.iter().any(is_key) {
                    return Some(IS_PUBLISHED);
                }
                let taken = policy.imported_schemes.contains(&ForeignScheme::Sha256);
                (!taken).then_some(NOT_COMPARED)
            }
        }
    }

    /// What is stored of a token.
    pub(super) async fn arriving(
        &self,
        run: &Run<'_>,
        token: &IncomingToken,
        policy: Option<&EffectivePolicy>,
    ) -> Result<Arriving, Refusal> {
        let IncomingSecret::Codes(draft) = &token.secret else {
            return Ok(Arriving::Token(self.arriving_token(run, token, policy).await?));
        };
        let owner = Owner::User(token.user.clone());
        let services = Services::Named(vec![token.service.clone()]);
        let limits = limits_of_arriving(run, token, policy, false);
        let event = self
            .imported(run, "token.issued")?
            .with_token(token.id)
            .with_subject(owner.actor())
            .with_service(token.service.as_str())
            .with_detail(serde_json::json!({ "method": draft.method.name() }));
        let mut token = token_of(run, token, owner, services, policy)?;
        token.doors = Some(CODE_DOORS.to_vec());
        token.otp = Some(draft.method);
        let realm = self.realm_facts(run.realm).await?;
        // Nobody is shown anything: the owner has the seed.
        let mut shown = ClearSecret::new(String::new());
        let otp = self.drawn_otp(draft, &token, &realm, &mut shown)?;
        let (data, idempotency) = (None, None);
        Ok(Arriving::Codes(Box::new(OtpIssue { token, otp, limits, data, idempotency, event })))
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
            IncomingSecret::Codes(_) => return Err(Refusal::invalid("otp", "has no secret")),
            IncomingSecret::Key(key) => {
                let keys = self.keys();
                let mac = keyed_hash(keys.pepper(), &key.canonical());
                (SecretHash::Keyed { pepper: keys.pepper().id(), mac }, true)
            }
            IncomingSecret::Clear(clear) => match self.shape(clear.reveal()) {
                Shape::Grouped(normal) => {
                    let keys = self.keys();
                    let mac = keyed_hash(keys.pepper(), &normal);
                    (SecretHash::Keyed { pepper: keys.pepper().id(), mac }, true)
                }
                _ => (self.slow_hash(&whose, clear).await?, false),
            },
        };
        let is_slow = matches!(hash, SecretHash::Slow { .. });
        let secret = self.stored(hash, by_hash, run.now)?;
        let secret = match &token.secret {
            IncomingSecret::Foreign(hash) => {
                self.keep_for_directories(run.realm, token.id, &services, hash, secret).await?
            }
            // Nobody can derive another hash from this one.
            IncomingSecret::Key(_) | IncomingSecret::Codes(_) => secret,
            IncomingSecret::Clear(clear) => {
                let (kind, drafted) = (kind_of(token), Drafted(clear.clone(), secret));
                let chosen = !token.drawn;
                let (realm, id) = (run.realm, token.id);
                self.derive_for_directories(realm, id, kind, &services, chosen, drafted).await?.1
            }
        };
        let limits = limits_of_arriving(run, token, policy, is_slow);
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
    match (&token.pat, &token.secret) {
        (Some(_), _) => Kind::PersonalAccessToken,
        (None, IncomingSecret::Codes(_)) => Kind::Generic,
        (None, _) => Kind::ServiceToken,
    }
}

/// The end of a token whose system knew none: none, or the latest that the policy allows.
fn end_of(run: &Run<'_>, policy: Option<&EffectivePolicy>) -> Option<Timestamp> {
    let policy = policy.filter(|policy| !policy.allows_lifetime(run.now.micros(), None))?;
    let longest = policy.max_lifetime_seconds.or(policy.default_lifetime_seconds);
    Some(run.now.plus_seconds(longest.unwrap_or(DEFAULT_LIFETIME_SECONDS)))
}

/// What the store counts before it takes the token: one of several never replaces another.
fn limits_of_arriving(
    run: &Run<'_>,
    token: &IncomingToken,
    policy: Option<&EffectivePolicy>,
    is_slow: bool,
) -> Vec<ActiveLimit> {
    let of = || Counted::Service(token.service.clone());
    let several = token.facts.one_of_several;
    let max = policy.and_then(|policy| policy.max_active_per_user);
    let of_service = max.zip(policy).map(|(max, policy)| {
        let at_limit = if several { AtLimit::Refuse } else { policy.at_limit };
        ActiveLimit { of: of(), max, at_limit, slow_only: false }
    });
    let of_slow = (several && is_slow).then(|| {
        let at_limit = AtLimit::Refuse;
        ActiveLimit { of: of(), max: SLOW_TOKENS_MAX, at_limit, slow_only: true }
    });
    let of_realm = TokenPolicy::default().effective(&run.realm_policy);
    let of_realm = limit_of_realm(kind_of(token), &of_realm);
    of_service.into_iter().chain(of_slow).chain(of_realm).collect()
}

/// Why what a token brings along does not fit the policy, or makes no sense.
fn unfit(run: &Run<'_>, facts: &IncomingFacts, policy: &EffectivePolicy) -> Option<String> {
    if facts.expires_at.is_some_and(|end| end <= run.now) {
        return Some("it has ended".to_owned());
    }
    let begins = facts.not_before.unwrap_or(run.now);
    if facts.expires_at.is_some_and(|end| end <= begins) {
        return Some("it ends before it begins".to_owned());
    }
    if facts.max_usages == Some(0) {
        return Some("no use of it is left".to_owned());
    }
    if let Some(Err(bad)) = facts.permissions.as_ref().map(crate::permission::check) {
        return Some(bad.to_string());
    }
    let end = facts.expires_at.map(Timestamp::micros);
    if policy.allows_lifetime(run.now.micros(), end) {
        return None;
    }
    Some(match facts.expires_at {
        None => "the policy wants tokens to end, and this one has no end".to_owned(),
        Some(_) => "it lives longer than the policy allows".to_owned(),
    })
}

/// The record of a token. It ends when it did in the other system; one that had no end there has
/// none here, but for a personal access token where the policy wants one.
fn token_of(
    run: &Run<'_>,
    token: &IncomingToken,
    owner: Owner,
    services: Services,
    policy: Option<&EffectivePolicy>,
) -> Result<Token, Refusal> {
    let (pat, facts) = (token.pat.as_ref(), &token.facts);
    let weak = pat.is_some_and(|pat| pat.weak);
    let permissions = pat.map(|pat| &pat.permissions).or(facts.permissions.as_ref());
    let permissions = permissions.map(crate::permission::check).transpose();
    let end = pat.and_then(|_| end_of(run, policy));
    let end = [end, run.at_door.ends_by, facts.expires_at].into_iter().flatten().min();
    let mut labels = facts.labels.clone();
    labels.insert(IMPORTED_FROM.to_owned(), token.row.clone());
    if weak {
        labels.insert(WEAK_DERIVATION.to_owned(), "true".to_owned());
    }
    let permissions = permissions.map_err(|e| Refusal::invalid("permissions", e))?;
    let begins = facts.not_before.unwrap_or(run.now);
    let validity = Validity::new(begins, end).map_err(|e| Refusal::invalid("expires_at", e))?;
    let created = (run.now, run.origin.actor.to_string());
    let what = (token.id, kind_of(token));
    Ok(Token {
        name: facts.name.clone(),
        description: weak.then(|| ROTATE_IT.to_owned()).or_else(|| facts.description.clone()),
        scopes: facts.scopes.clone(),
        networks: facts.networks.clone(),
        max_usages: facts.max_usages,
        enabled: !facts.disabled,
        permissions,
        locked: token.locked,
        pending: run.at_door.pending,
        activated_at: (!run.at_door.pending).then_some(run.now),
        labels,
        ..Token::new(what, run.realm.clone(), owner, services, validity, created)
    })
}
