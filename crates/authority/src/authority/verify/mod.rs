//! Is this secret good here, whose is it, what may it do? Every door asks this one question.
//!
//! Order (design rule 3): shape, checksum, look-up by id, hash, owner and
//! service and door, state and time, network and scope and permission, limits.
//! The presenter learns nothing but "no".

use std::net::IpAddr;
use std::sync::Arc;

mod access;
mod answer;
mod at_hand;
mod binding;
mod code;
mod elsewhere;
mod idle;
mod judge;
mod lineage;
mod refusing;
mod slowly;
mod supposed;
mod wrapped;

pub use self::answer::{Active, Verdict};
use self::at_hand::surroundings_at_hand;
pub use self::code::Selected;
use self::code::{Coded, NoCode};
pub(super) use self::code::{recognised, seed_of};
pub(super) use self::elsewhere::away;
pub(super) use self::idle::SeenLately;
use self::judge::decide;
pub(super) use self::judge::network_allowed;
pub(super) use self::lineage::DERIVED_DEPTH_MAX;
use self::lineage::Left;
use super::Authority;
use crate::cache::{Entry, RealmCell, ServiceCell};
use crate::clock::Timestamp;
use crate::event::Origin;
use crate::keys::{KeyNotHere, KeyPurpose, KeyRing};
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel};
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::{Shape, TokenId};
use crate::secret_hash::keyed_hash;
use crate::store::{Consumed, Rehash, Unavailable};
use crate::token::State;
use crate::verdict::Reason;

/// Which service the token must be good for. Comes from the verifier, never from the presenter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding<'a> {
    /// This one.
    Service(&'a ServiceLabel),
    /// At least one of these.
    AnyOf(&'a [ServiceLabel]),
    /// Not checked; the answer says so.
    Unbound,
}

/// A question to verify.
#[derive(Debug, Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// The presented secret.
    pub presented: &'a str,
    /// The user name that came with it; the owner must be this one.
    pub username: Option<&'a str>,
    /// The service it must be good for.
    pub binding: Binding<'a>,
    /// Scopes it must carry, all of them.
    pub scopes: &'a [Scope],
    /// The resource it must have permission for.
    pub resource: Option<&'a str>,
    /// The action on that resource.
    pub action: Option<&'a str>,
    /// The end client's address, as far as it is known.
    pub client_ip: Option<IpAddr>,
    /// Whether an accepted answer is a use.
    pub consume: bool,
    /// Whether failures count against the source. Off for authenticated verifiers that name
    /// no client address: theirs is the address of everybody.
    pub throttled: bool,
    /// Who asks, through which door.
    pub origin: &'a Origin,
}

impl<'a> VerifyRequest<'a> {
    /// The question of whoever comes in with a credential of their own: an accepted answer is a
    /// use of it, and failures count against where it came from.
    pub const fn of_holder(
        realm: &'a RealmName,
        presented: &'a str,
        binding: Binding<'a>,
        origin: &'a Origin,
    ) -> Self {
        Self {
            realm,
            presented,
            username: None,
            binding,
            scopes: &[],
            resource: None,
            action: None,
            client_ip: origin.source,
            consume: true,
            throttled: true,
            origin,
        }
    }
}

/// What the cache can say without the store.
enum Decision {
    Good(Good),
    Bad {
        reason: Reason,
        right_secret: bool,
        retired: bool,
    },
    /// Cannot be told here.
    Keyless(KeyNotHere),
}

/// A token that is good as far as memory can say.
struct Good {
    active: Active,
    limit: Option<u64>,
    rehash: Option<Rehash>,
}

/// What is known of a secret among our own tokens.
enum Here {
    /// The answer.
    Said(Verdict),
    /// It is none of them, as of this instant. Nothing was recorded.
    NotOurs(Timestamp),
    /// The same, and it has the form of a code of somebody who has codes.
    NoCode(Timestamp, NoCode),
}

/// What a decision needs beside the token: services, realm, time.
struct Surroundings<'a> {
    request: VerifyRequest<'a>,
    services: &'a [Arc<ServiceCell>],
    realm: &'a RealmCell,
    keys: &'a KeyRing,
    now: Timestamp,
}

/// Whether a token needs more than its own record to be good. Nearly none does.
fn asks_more(around: &Surroundings<'_>, active: &Active) -> bool {
    active.kind() == Kind::DerivedToken || idle::window(around, active).is_some()
}

/// Whether a service took over hashes of secrets that may have few bits.
fn compares_slowly(cell: &ServiceCell) -> bool {
    cell.policy.imported_schemes.iter().any(|scheme| scheme.is_of_few_bits())
}

impl Authority {
    /// Whether the presented secret is good. The only errors are [`Refusal::Unavailable`],
    /// [`Refusal::Overloaded`] and [`Refusal::NoEntropy`]: none of them is a denial.
    pub async fn verify(&self, request: VerifyRequest<'_>) -> Result<Verdict, Refusal> {
        match self.verify_at_hand(&request)? {
            Some(verdict) => Ok(verdict),
            None => Box::pin(self.verify_asking(request)).await,
        }
    }

    /// The same by whatever way, for who has asked [`Self::verify_at_hand`] in vain: with the
    /// store, and with those who keep tokens elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Self::verify`].
    pub async fn verify_asking(&self, request: VerifyRequest<'_>) -> Result<Verdict, Refusal> {
        if !self.custom.load().all().is_empty()
            && let Some(verdict) = self.verify_remembered_elsewhere(&request).await?
        {
            return Ok(verdict);
        }
        match self.verify_here(request, None).await? {
            Here::Said(verdict) => Ok(verdict),
            Here::NotOurs(now) => self.verify_elsewhere(&request, now).await,
            Here::NoCode(now, no_code) => {
                let said = self.known_elsewhere(&request).await?;
                self.settled(&request, said, &no_code, now)
            }
        }
    }

    /// The same among our own tokens alone, by who has just recognised the presented secret's
    /// shape and found its token.
    pub(super) async fn verify_found(
        &self,
        request: VerifyRequest<'_>,
        found: Option<(Kind, &Arc<Entry>)>,
    ) -> Result<Verdict, Refusal> {
        if let Some(verdict) = self.found_at_hand(&request, found)? {
            return Ok(verdict);
        }
        match Box::pin(self.verify_here(request, found)).await? {
            Here::Said(verdict) => Ok(verdict),
            Here::NotOurs(now) => self.refused(&request, Reason::Unknown, None, now),
            Here::NoCode(now, no_code) => self.settled(&request, None, &no_code, now),
        }
    }

    async fn verify_here(
        &self,
        request: VerifyRequest<'_>,
        found: Option<(Kind, &Arc<Entry>)>,
    ) -> Result<Here, Refusal> {
        let now = self.now();
        let known = self.cache.realms();
        let read;
        let trusted = self.cache.is_trusted_to_verify(now);
        let at_hand = trusted.then(|| surroundings_at_hand(&known, &request)).flatten();
        // A token that was found before a read may have ended during it.
        let found = found.filter(|_| at_hand.is_some());
        let (realm, services) = match at_hand {
            Some(found) => found,
            None => match self.surroundings_read(&request).await? {
                Ok(found) => {
                    read = found;
                    (&*read.0, &*read.1)
                }
                Err(reason) => return self.refused(&request, reason, None, now).map(Here::Said),
            },
        };
        let keys = self.keys.load();
        let surroundings = Surroundings { request, services, realm, keys: &keys, now };
        if let Some((kind, entry)) = found {
            let decision = decide(entry, Some(kind), request.presented, &surroundings);
            let concluded = match kind {
                Kind::AccessToken => self.conclude_access(&surroundings, entry.id, decision).await,
                _ => self.conclude(&surroundings, entry.id, decision).await,
            };
            return concluded.map(Here::Said);
        }
        let said = match self.shape(request.presented) {
            Shape::Impossible | Shape::BadChecksum => {
                self.refused(&request, Reason::Unknown, None, now)
            }
            shape @ (Shape::Jwt(_) | Shape::Prefixed { kind: Kind::AccessToken, .. }) => {
                self.verify_access(&surroundings, &shape).await
            }
            Shape::Prefixed { kind, id } => {
                self.verify_by_id(&surroundings, kind, id, request.presented).await
            }
            // These two alone can be somebody else's: they say nothing of where they come from.
            Shape::Grouped(normal) => {
                return self.verify_by_hash(&surroundings, &normal).await;
            }
            Shape::Other => {
                return match self.verify_code(&surroundings, None).await? {
                    Coded::Said(verdict) => Ok(Here::Said(verdict)),
                    Coded::Nothing => match self.verify_wrapped(&surroundings).await? {
                        Some(verdict) => Ok(Here::Said(verdict)),
                        None => self.verify_slowly(&surroundings).await,
                    },
                    Coded::No(no_code) => self.verify_uncoded(&surroundings, no_code).await,
                };
            }
        };
        said.map(Here::Said)
    }

    /// The realm and the services that the binding names, from the store if need be; a reason if
    /// there are none.
    async fn surroundings_read(
        &self,
        request: &VerifyRequest<'_>,
    ) -> Result<Result<(Arc<RealmCell>, Vec<Arc<ServiceCell>>), Reason>, Refusal> {
        let Some(realm) = self.realm_facts(request.realm).await.map(Some).or_else(absent)? else {
            return Ok(Err(Reason::Unknown));
        };
        Ok(self.bound_services(request).await?.map(|services| (realm, services)))
    }

    /// The cells of the services that the binding names; a reason if none of them exists.
    async fn bound_services(
        &self,
        request: &VerifyRequest<'_>,
    ) -> Result<Result<Vec<Arc<ServiceCell>>, Reason>, Refusal> {
        let labels = match request.binding {
            Binding::Unbound => return Ok(Ok(Vec::new())),
            Binding::Service(label) => std::slice::from_ref(label),
            Binding::AnyOf(labels) => labels,
        };
        let mut cells = Vec::with_capacity(labels.len());
        for label in labels {
            cells.extend(self.service_facts(request.realm, label).await?);
        }
        Ok(if cells.is_empty() { Err(Reason::WrongService) } else { Ok(cells) })
    }

    async fn verify_by_id(
        &self,
        around: &Surroundings<'_>,
        kind: Kind,
        id: TokenId,
        canonical: &str,
    ) -> Result<Verdict, Refusal> {
        let look = |entry: &Arc<Entry>| decide(entry, Some(kind), canonical, around);
        if let Some(decision) = self.cache.with_token(around.now, id, look) {
            return self.conclude(around, id, decision).await;
        }
        let tag = self.cache.position(around.now);
        let Some(record) = self.store.token_record(id).await? else {
            // The store read another row in its place, and the hash is computed all the same, so
            // that time tells nothing.
            std::hint::black_box(keyed_hash(around.keys.pepper(), canonical));
            return self.refused(&around.request, Reason::Unknown, None, around.now);
        };
        let Surroundings { request, now, .. } = around;
        if self.is_decoy(&record, canonical, request.origin, request.client_ip)? {
            return self.refused(request, Reason::Unknown, None, *now);
        }
        let entry = self.cache.fill(record, tag);
        self.conclude(around, id, look(&entry)).await
    }

    /// For forms without an id: the keyed hash is the way to the token.
    async fn verify_by_hash(
        &self,
        around: &Surroundings<'_>,
        normal: &str,
    ) -> Result<Here, Refusal> {
        if let Some(verdict) = self.by_hash(around, normal).await? {
            return Ok(Here::Said(verdict));
        }
        if let Some(verdict) = self.verify_wrapped(around).await? {
            return Ok(Here::Said(verdict));
        }
        // Hashed under a pepper that is not here, it could not be found.
        around.keys.require_all(|of| of == KeyPurpose::Pepper).map_err(Unavailable::from)?;
        // What another system stored of a long secret is found by person and service alone.
        match around.services.first() {
            Some(cell) if compares_slowly(cell) => self.verify_slowly(around).await,
            _ => Ok(Here::NotOurs(around.now)),
        }
    }

    /// The answer about the token whose secret has this keyed hash, if there is one.
    async fn by_hash(
        &self,
        around: &Surroundings<'_>,
        canonical: &str,
    ) -> Result<Option<Verdict>, Refusal> {
        let look = |entry: &Arc<Entry>| decide(entry, None, canonical, around);
        for pepper in around.keys.peppers() {
            let mac = keyed_hash(pepper, canonical);
            if let Some(id) = self.cache.id_by_hash(&mac)
                && let Some(decision) = self.cache.with_token(around.now, id, look)
                && !matches!(decision, Decision::Bad { right_secret: false, .. })
            {
                return self.conclude(around, id, decision).await.map(Some);
            }
            let tag = self.cache.position(around.now);
            if let Some(record) = self.store.token_record_by_hash(mac).await? {
                let id = record.id;
                let entry = self.cache.fill(record, tag);
                return self.conclude(around, id, look(&entry)).await.map(Some);
            }
        }
        Ok(None)
    }

    /// The same with the store.
    async fn conclude(
        &self,
        around: &Surroundings<'_>,
        id: TokenId,
        decision: Decision,
    ) -> Result<Verdict, Refusal> {
        let request = &around.request;
        let Good { mut active, limit, rehash } =
            match self.conclude_at_hand(around, id, decision)? {
                Ok(verdict) => return Ok(verdict),
                Err(good) => good,
            };
        // Nearly no token asks for more than its own record.
        if asks_more(around, &active) {
            match Box::pin(self.left_beyond(around, &active)).await? {
                Ok(Some(left)) => active = active.under(left),
                Ok(None) => {}
                Err(reason) => {
                    self.ledger.denied(id);
                    return self.refused(request, reason, Some(id), around.now);
                }
            }
        }
        if let Some(rehash) = rehash {
            self.ledger.rehash(rehash);
        }
        let promotes = active.kind() == Kind::Generic && request.consume;
        let user = active.user().filter(|_| promotes).cloned();
        let verdict = if let Some(limit) = limit {
            Box::pin(self.conclude_limited(around, active, limit)).await?
        } else {
            self.note_use(around, &active);
            Verdict::Active(active)
        };
        if promotes && matches!(verdict, Verdict::Active(_)) {
            let (realm, origin) = (request.realm, request.origin);
            Box::pin(self.promote_on_use(realm, origin, id, user.as_ref())).await?;
        }
        Ok(verdict)
    }

    /// Notes an accepted use of a token without a limit. What it was good for is noted of a look,
    /// too: whoever looks goes by the answer.
    fn note_use(&self, around: &Surroundings<'_>, active: &Active) {
        let (request, now) = (&around.request, around.now);
        self.note_what_for(request, active, now);
        if !request.consume {
            return;
        }
        self.watch(&idle::policy(around, active).alarms, request, active, now);
        let (ip, door) = (request.client_ip, request.origin.door);
        match active.kind() {
            Kind::Generic => self.ledger.accepted_listed(active.token(), now, ip, door),
            _ => self.ledger.accepted(active.token(), now, ip, door),
        }
    }

    /// What its ancestors leave of a token that asks for more than its own record, or why it is
    /// refused.
    async fn left_beyond(
        &self,
        around: &Surroundings<'_>,
        active: &Active,
    ) -> Result<Result<Option<Left>, Reason>, Refusal> {
        let left = match self.left_by_ancestors(around, active).await? {
            Ok(left) => left,
            Err(reason) => return Ok(Err(reason)),
        };
        Ok(self.idle_refuses(around, active).await?.map_or(Ok(left), Err))
    }

    /// A limited token: the store alone says whether a use is left.
    async fn conclude_limited(
        &self,
        around: &Surroundings<'_>,
        active: Active,
        limit: u64,
    ) -> Result<Verdict, Refusal> {
        let request = &around.request;
        let id = active.token();
        let consumed = if request.consume {
            self.store.token_consume(id, around.now, request.client_ip).await?
        } else {
            match self.store.token_find(request.realm, id).await? {
                Some(token) if token.state(around.now) == State::Active => {
                    Consumed::Done { used: token.used }
                }
                Some(token) => Consumed::Refused(token.state(around.now)),
                None => Consumed::Refused(State::Revoked),
            }
        };
        match consumed {
            Consumed::Done { used } => {
                self.note_what_for(request, &active, around.now);
                if request.consume {
                    let (ip, door) = (request.client_ip, request.origin.door);
                    self.diary.used(id, around.now, ip, door);
                    self.watch(&idle::policy(around, &active).alarms, request, &active, around.now);
                }
                let remaining = Some(limit.saturating_sub(used));
                Ok(Verdict::Active(Active { remaining, ..active }))
            }
            Consumed::Refused(state) => {
                self.ledger.denied(id);
                let reason = state.refusal().unwrap_or(Reason::Exhausted);
                self.refused(request, reason, Some(id), around.now)
            }
        }
    }
}

/// No such realm is an answer; everything else stays an error.
fn absent<T>(refusal: Refusal) -> Result<Option<T>, Refusal> {
    match refusal {
        Refusal::NotFound(_) => Ok(None),
        other => Err(other),
    }
}
