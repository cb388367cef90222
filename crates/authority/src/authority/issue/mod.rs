//! Issuing: policy, then a secret, then token and event in one transaction.
//!
//! Length: the request, and the one path on which every token comes to be.

mod judged;
mod lifetime;
mod limits;
mod member;
mod open;
mod secrets;
mod wishes;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use self::judged::Judged;
pub(super) use self::lifetime::{Lifetime, validity_of};
pub(super) use self::limits::{SLOW_TOKENS_MAX, limit_of_realm, limits_of};
pub(super) use self::member::payload_row;
pub(super) use self::open::Asking;
pub(super) use self::secrets::{Drafted, Whose, replayed};
pub(super) use self::wishes::{check_issuer, check_offer, unit_within};
use super::Authority;
use super::decoys;
use super::link::is_by_link;
use super::otp::OtpDraft;
use super::realms::missing;
use super::registration::{checked_stamp, completed};
use crate::cache::ServiceCell;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::kind::Kind;
use crate::names::{RealmName, RepositoryName, ServiceLabel, Username};
use crate::policy::EffectivePolicy;
use crate::refusal::{Refusal, Thing};
use crate::repository::{Membership, Place, Repository};
use crate::scope::Scope;
use crate::secret::{ClearSecret, TokenId};
use crate::secret_hash::SecretHash;
use crate::service::Services;
use crate::store::{ActiveLimit, Issued, Otp, TokenIssue};
use crate::subject::Owner;
use crate::token::{AirlockAttributes, SentinelAttributes, Token};
use crate::validity::Validity;
use crate::verdict::Door;

/// Draws of a new id before giving up; a collision of 71 random bits is a broken generator.
const ID_ATTEMPTS: usize = 3;

/// When a token is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Whatever the policy's default is.
    Default,
    /// Never where the policy allows it, by the policy's default otherwise: what a protocol says
    /// in which an absent end is no end.
    Open,
    /// Never, where the policy allows it.
    Never,
    /// At this instant.
    At(Timestamp),
    /// So many seconds after its beginning.
    After(i64),
}

/// How a new secret reaches its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// In the answer to who issues for themselves, and to clients; by a link otherwise.
    #[default]
    Default,
    /// In the answer, where that is allowed.
    Response,
    /// By a one-time link; the secret is made when it is opened.
    Link,
}

/// A token somebody asks for.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// What kind.
    pub kind: Kind,
    /// For whom; the caller, if absent.
    pub user: Option<Username>,
    /// What to call it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it is to be good for.
    pub services: Option<Services>,
    /// What it may ask for there.
    pub scopes: Vec<Scope>,
    /// Finer permissions.
    pub permissions: Option<serde_json::Value>,
    /// When it ends.
    pub expires: Expiry,
    /// When it begins; now, if absent.
    pub not_before: Option<Timestamp>,
    /// Uses allowed in all.
    pub max_usages: Option<u64>,
    /// Networks it may be used from.
    pub networks: Vec<ipnet::IpNet>,
    /// Doors it may be presented at.
    pub doors: Option<Vec<Door>>,
    /// Free text for filters.
    pub labels: BTreeMap<String, String>,
    /// Attributes of the Airlock model.
    pub airlock: AirlockAttributes,
    /// Attributes of the Sentinel model.
    pub sentinel: SentinelAttributes,
    /// The unit it belongs to.
    pub unit: Option<String>,
    /// A secret of the person's own choice, where the policy takes one.
    pub secret: Option<ClearSecret>,
    /// How its secret reaches its owner.
    pub delivery: Delivery,
    /// What makes it an authentication token, which has codes in place of a secret.
    pub otp: Option<OtpDraft>,
    /// The repository that a generic token is to be in.
    pub repository: Option<RepositoryWish>,
    /// What a decoy looks like; a personal access token unless it says so.
    pub disguise: Option<Kind>,
}

impl IssueRequest {
    /// A request for a token of this kind, for this person, that says nothing more.
    pub fn of(kind: Kind, user: Option<Username>) -> Self {
        Self {
            kind,
            user,
            name: None,
            description: None,
            services: None,
            scopes: Vec::new(),
            permissions: None,
            expires: Expiry::Default,
            not_before: None,
            max_usages: None,
            networks: Vec::new(),
            doors: None,
            labels: BTreeMap::new(),
            airlock: AirlockAttributes::default(),
            sentinel: SentinelAttributes::default(),
            unit: None,
            secret: None,
            delivery: Delivery::Default,
            otp: None,
            repository: None,
            disguise: None,
        }
    }
}

/// What is asked for of a repository.
#[derive(Debug, Clone)]
pub struct RepositoryWish {
    /// Which one.
    pub name: RepositoryName,
    /// Which place in it.
    pub place: Place,
    /// The payload that comes with it, if one does.
    pub data: Option<Payload>,
}

impl RepositoryWish {
    /// A place in a repository for who has it: with others of theirs, or as the current one.
    pub const fn of(name: RepositoryName) -> Self {
        Self { name, place: Place::Held, data: None }
    }
}

/// A payload, as the repository's mapping says that it is to be kept.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Shown again: sealed.
    Readable(ClearSecret),
    /// Never shown again: a secret, kept as a hash and verified.
    Hashed(ClearSecret),
}

/// An `Idempotency-Key`, and how the answer is written that a repetition gets again.
#[derive(Clone)]
pub struct Replay {
    /// The key.
    pub key: String,
    /// SHA-256 over route and body.
    pub fingerprint: [u8; 32],
    /// The exact answer for this token and secret.
    pub render: RenderAnswer,
}

/// Renders the exact answer for a token and its secret.
pub type RenderAnswer = Arc<dyn Fn(&Token, &ClearSecret) -> Vec<u8> + Send + Sync>;

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("key", &self.key).finish_non_exhaustive()
    }
}

/// An answer that shows a secret: fresh, or the same as before.
#[derive(Debug)]
pub enum Answered {
    /// A token with its secret, this once; or with the clear text of its one-time link.
    Fresh {
        /// The token.
        token: Token,
        /// Its secret, or its link's: [`Authority::is_link`] tells.
        secret: ClearSecret,
    },
    /// The rendered answer of the first time.
    Replayed(Vec<u8>),
}

/// Whether who administrates these services puts tokens for them into stock.
fn keeps_stock(reach: &crate::caller::Reach, services: &Services) -> bool {
    matches!(services, Services::Named(labels) if !labels.is_empty())
        && reach.covers_services(services)
}

/// What a request that may be fulfilled is decided by.
pub(super) struct Ready {
    repository: Option<Arc<Repository>>,
    judged: Judged,
    draft: Draft,
    in_stock: bool,
}

/// What a request came to, before anything is drawn.
struct Draft {
    owner: Owner,
    services: Services,
    validity: Validity,
    pending: bool,
    by_link: bool,
}

impl Authority {
    /// Issues a token for the caller or, for those who may, for somebody else.
    pub async fn issue(
        &self,
        caller: &Caller,
        realm: &RealmName,
        request: IssueRequest,
        replay: Option<Replay>,
    ) -> Result<Answered, Refusal> {
        let now = self.now();
        let (request, ready) = self.ready(caller, realm, request, now).await?;
        for _ in 0..ID_ATTEMPTS {
            let (issue, otp, clear) =
                self.drawn(caller, realm, (&request, &ready), replay.as_ref(), now).await?;
            match self.store_drawn(issue, otp, &clear).await? {
                Issued::Done { token, .. } => {
                    return Ok(Answered::Fresh { token, secret: clear });
                }
                Issued::Replayed(sealed) => return replayed(caller, &sealed),
                // A self-chosen secret can only collide by its id, like any other.
                Issued::Collision => {}
                refused => return Err(refusal_of(refused, request.kind)),
            }
        }
        Err(Refusal::NoEntropy(crate::clock::NoEntropy))
    }

    /// Whether the caller may have what is asked for, and what it comes to before it is drawn.
    pub(super) async fn ready(
        &self,
        caller: &Caller,
        realm: &RealmName,
        request: IssueRequest,
        now: Timestamp,
    ) -> Result<(IssueRequest, Ready), Refusal> {
        let mut request = completed(request)?;
        decoys::check(&request)?;
        let is_decoy = request.kind == Kind::Decoy;
        if is_decoy && request.expires == Expiry::Default {
            // It lies in wait, perhaps for years.
            request.expires = Expiry::Open;
        }
        let repository = self.repository_of(&mut request)?;
        let mut request = Self::completed_otp(request)?;
        let judged = self.may_issue(caller, realm, &request).await?;
        let policies = judged.policies();
        let (reach, own) = (&judged.reach, judged.own);
        if request.kind == Kind::RegistrationToken {
            let stamp = checked_stamp(request.sentinel.stamp.as_deref(), &policies, &reach.limits)?;
            request.sentinel.stamp = Some(stamp);
        }
        let validity = validity_of(&policies, caller, reach, Lifetime::of(&request), now)?;
        let in_stock = request.repository.as_ref().is_some_and(|r| r.place == Place::Stock);
        if in_stock && !reach.whole && !keeps_stock(reach, &judged.services) {
            return Err(Refusal::BeyondGrant("stock is for who administrates its repository"));
        }
        let by_letter = repository.as_ref().is_some_and(|found| found.activates_by_letter());
        let approved = policies.iter().any(|policy| policy.approval) && !is_decoy;
        let pending = in_stock || by_letter || approved;
        let has_payload = request.repository.as_ref().is_some_and(|wish| wish.data.is_some());
        let by_link = !has_payload && !is_decoy && is_by_link(&policies, caller, &request, own)?;
        let (owner, services) = (judged.owner.clone(), judged.services.clone());
        let draft = Draft { owner, services, validity, pending, by_link };
        Ok((request, Ready { repository, judged, draft, in_stock }))
    }

    /// What is to be stored of a request that may be fulfilled, drawn afresh, and what its owner
    /// is shown.
    pub(super) async fn drawn(
        &self,
        caller: &Caller,
        realm: &RealmName,
        (request, ready): (&IssueRequest, &Ready),
        replay: Option<&Replay>,
        now: Timestamp,
    ) -> Result<(TokenIssue, Option<Otp>, ClearSecret), Refusal> {
        let Ready { repository, judged, draft, in_stock } = ready;
        let (token, secret, otp) =
            self.draft(caller, realm, request, draft, &judged.policies(), now).await?;
        self.require_api_rank(caller, &token).await?;
        self.refuse_pasted_tokens(&token)?;
        let slow = matches!(secret.1.hash, SecretHash::Slow { .. });
        let mut limits = limits_of(request.kind, &judged.cells, &judged.realm.policy, slow);
        // What is in stock is nobody's yet; it counts for whom it is given to.
        limits.retain(|_| !in_stock && request.kind != Kind::Decoy);
        limits.extend(member::limit_of(repository.as_deref(), &token));
        let issue = self.issue_of(caller, token, &secret, limits, replay, now)?;
        Ok((self.with_payload(issue, request)?, otp, secret.0))
    }

    /// The unit that a person belongs to; a client's tokens belong to none.
    pub(super) async fn unit_of_owner(
        &self,
        realm: &RealmName,
        owner: &Owner,
    ) -> Result<Option<String>, Refusal> {
        let Owner::User(name) = owner else { return Ok(None) };
        Ok(self.store.user_find(realm, name).await?.and_then(|user| user.unit))
    }

    /// A unit that is named must exist: a token of a misspelt one would be nobody's to administer.
    pub(super) async fn check_unit(
        &self,
        realm: &RealmName,
        unit: Option<&str>,
    ) -> Result<(), Refusal> {
        match unit {
            Some(unit) if self.store.unit_find(realm, unit).await?.is_none() => {
                Err(missing("unit"))
            }
            _ => Ok(()),
        }
    }

    /// The services of the request with their facts; every named one must exist.
    async fn services_of(
        &self,
        realm: &RealmName,
        request: &IssueRequest,
        asking: &Asking<'_>,
    ) -> Result<(Services, Vec<Arc<ServiceCell>>), Refusal> {
        let field = services_field(request.kind);
        let services = match (&request.services, request.kind) {
            (Some(services), _) => services.clone(),
            (None, Kind::RegistrationToken | Kind::Generic | Kind::Decoy) => {
                Services::Named(Vec::new())
            }
            (None, _) => {
                return Err(Refusal::invalid(field, "name what the token is to be good for"));
            }
        };
        let Services::Named(labels) = &services else {
            if request.kind == Kind::ServiceToken {
                return Err(Refusal::invalid(field, "a service token names exactly one service"));
            }
            return Ok((services, Vec::new()));
        };
        let wrong_number = match request.kind {
            Kind::ServiceToken => labels.len() != 1,
            Kind::PersonalAccessToken => labels.is_empty(),
            _ => false,
        };
        if wrong_number {
            return Err(Refusal::invalid(
                field,
                "a service token names exactly one service, a personal access token at least one",
            ));
        }
        let labels: Vec<&ServiceLabel> = labels.iter().collect();
        let cells = self.cells_known_to(realm, &labels, asking, field).await?;
        Ok((services, cells))
    }

    /// The token and its secret, or what it has in place of one, drawn afresh.
    async fn draft(
        &self,
        caller: &Caller,
        realm: &RealmName,
        request: &IssueRequest,
        draft: &Draft,
        policies: &[&EffectivePolicy],
        now: Timestamp,
    ) -> Result<(Token, Drafted, Option<Otp>), Refusal> {
        let id = TokenId::generate(self.entropy())?;
        let drafted = self.secret_of(realm, request, draft, policies, id, now).await?;
        let chosen = request.secret.is_some();
        let drafted = self
            .derive_for_directories(realm, id, request.kind, &draft.services, chosen, drafted)
            .await?;
        let permissions = request.permissions.as_ref().map(crate::permission::check).transpose();
        let created = (now, caller.origin.actor.to_string());
        let (owner, services) = (draft.owner.clone(), draft.services.clone());
        let what = (id, request.kind);
        let token = Token {
            name: request.name.clone(),
            description: request.description.clone(),
            scopes: request.scopes.clone(),
            permissions: permissions.map_err(|e| Refusal::invalid("permissions", e))?,
            networks: request.networks.clone(),
            doors: request.doors.clone(),
            pending: draft.pending,
            activated_at: (!draft.pending).then_some(now),
            max_usages: request.max_usages,
            labels: request.labels.clone(),
            airlock: request.airlock.clone(),
            sentinel: request.sentinel.clone(),
            otp: request.otp.as_ref().map(|otp| otp.method),
            unit: request.unit.clone(),
            repository: request
                .repository
                .as_ref()
                .map(|wish| Membership { name: wish.name.clone(), place: wish.place }),
            ..Token::new(what, realm.clone(), owner, services, draft.validity, created)
        };
        let mut drafted = drafted;
        let otp = match &request.otp {
            Some(wanted) => {
                let cell = self.realm_facts(realm).await?;
                Some(self.drawn_otp(wanted, &token, &cell, &mut drafted.0)?)
            }
            None => None,
        };
        Ok((token, drafted, otp))
    }

    fn issue_of(
        &self,
        caller: &Caller,
        token: Token,
        secret: &Drafted,
        limits: Vec<ActiveLimit>,
        replay: Option<&Replay>,
        now: Timestamp,
    ) -> Result<TokenIssue, Refusal> {
        let event = self
            .event("token.issued", &token.realm, &caller.origin, now)?
            .with_token(token.id)
            .with_subject(token.owner.actor())
            .with_service(token.service_labels().join(" "));
        let idempotency = replay.map(|replay| {
            self.idempotency(&caller.replay_key, caller.token, replay, &secret.0, now)
        });
        let secret = secret.1.clone();
        Ok(TokenIssue { token, secret, limits, data: None, idempotency, event })
    }
}

/// Why a token was not stored.
pub(super) fn refusal_of(issued: Issued, kind: Kind) -> Refusal {
    match issued {
        Issued::KeyReused => Refusal::KeyReused,
        Issued::AtLimit(max) => Refusal::AtLimit(max),
        Issued::OwnerGone => Refusal::NotFound(Thing::User),
        Issued::ServiceGone(label) => no_such_service(services_field(kind), &label),
        Issued::SerialTaken => Refusal::SerialTaken,
        Issued::PlaceTaken => Refusal::PlaceTaken,
        Issued::Done { .. } | Issued::Replayed(_) | Issued::Collision => {
            Refusal::NoEntropy(crate::clock::NoEntropy)
        }
    }
}

/// The field of a request that names what a token of this kind is to be good for.
const fn services_field(kind: Kind) -> &'static str {
    if matches!(kind, Kind::ServiceToken) { "service" } else { "services" }
}

/// A service that is named and does not exist (any more).
pub(super) fn no_such_service(field: &str, label: &ServiceLabel) -> Refusal {
    Refusal::invalid(field, format!("there is no service {label}"))
}

/// Whose the token will be.
fn owner_of(caller: &Caller, realm: &RealmName, request: &IssueRequest) -> Result<Owner, Refusal> {
    match (request.kind, &request.user) {
        (Kind::ClientKey, _) => {
            Err(Refusal::invalid("kind", "a client key is made with its client (POST clients)"))
        }
        (Kind::AuthToken | Kind::DerivedToken | Kind::Link, _) => {
            Err(Refusal::invalid("kind", "tokens of this kind are never issued by hand"))
        }
        // Redeemed by anybody who holds it, so it speaks for nobody.
        (Kind::RegistrationToken, Some(_)) => {
            Err(Refusal::invalid("user", "a registration token belongs to who issues it"))
        }
        (_, Some(user)) => Ok(Owner::User(user.clone())),
        // Registration tokens and stock belong to whoever made them.
        (Kind::RegistrationToken | Kind::Generic, None) if caller.realm == *realm => {
            Ok(caller.subject.clone())
        }
        (_, None) => match &caller.subject {
            Owner::User(name) if caller.realm == *realm => Ok(Owner::User(name.clone())),
            _ => Err(Refusal::invalid("user", "name the person that the token is for")),
        },
    }
}
