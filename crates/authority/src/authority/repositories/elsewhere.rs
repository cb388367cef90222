//! The same acts on tokens that somebody else keeps: who may is decided here, as for ours, and the
//! repository is asked to do it.
//!
//! What is changed there is told to every node before it is answered, so that nobody verifies by
//! what was remembered of it.

use std::sync::Arc;

use serde_json::json;

use super::{RepositoryDraft, RepositoryEntry, required};
use crate::authority::issue::{Lifetime, validity_of};
use crate::authority::link::is_by_link;
use crate::authority::verify::away;
use crate::authority::{Authority, Delivery, Expiry, IssueRequest};
use crate::caller::Caller;
use crate::clock::{Entropy, NoEntropy, Timestamp};
use crate::custom::{
    Addressing, Capability, ForeignChange, ForeignDraft, ForeignId, ForeignToken, Guarded,
    ListQuery, RepositoryError, SECRET_LENGTH_MIN, VerifyMode, hash_text,
};
use crate::kind::Kind;
use crate::names::{RealmName, ServiceLabel, Username};
use crate::policy::EffectivePolicy;
use crate::refusal::{Refusal, Thing};
use crate::repository::foreign::{instant_of, state_of_foreign, told_of, values_of_foreign};
use crate::repository::{Attribute, Place, Repository, Value, Writes};
use crate::scope::ApiScope;
use crate::secret::{ClearSecret, generate_plain};
use crate::service::Services;
use crate::store::{ForeignChanged, ForeignUsage, ListedBy, ListingFilter, ListingRequest, Span};
use crate::subject::Owner;
use crate::token::State;

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

/// Where an act was made and what it names: the one argument that all of them share.
struct There<'a> {
    caller: &'a Caller,
    realm: &'a RealmName,
    repository: &'a Repository,
    kept: Arc<Guarded>,
}

/// A stream of bytes that the same request draws again: who repeats it gets the secret that the
/// first answer showed, although nobody keeps it.
struct Again([u8; 32]);

impl Entropy for Again {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        for (number, part) in bytes.chunks_mut(32).enumerate() {
            let number = u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes();
            let label = b"counterfoil repeated secret 1";
            let block = crate::secret_hash::hmac256(&self.0, label, &[&number]);
            part.copy_from_slice(block.as_bytes().get(..part.len()).unwrap_or_default());
        }
        Ok(())
    }
}

impl There<'_> {
    fn refusal(&self, why: RepositoryError) -> Refusal {
        match why {
            RepositoryError::Unavailable(_) => away(&self.kept, why),
            RepositoryError::Unsupported(lacks) => Refusal::NotSupported(lacks.lacking()),
            RepositoryError::NotFound => Refusal::NotFound(Thing::Token),
            RepositoryError::Conflict => Refusal::Exists(Thing::Token),
            RepositoryError::VersionMismatch => Refusal::VersionMismatch,
            RepositoryError::LimitReached => Refusal::RepositoryFull,
            RepositoryError::Invalid(field) => {
                let attribute = Attribute::from_name(&field);
                let mapped = attribute.and_then(|one| self.repository.attributes.find(one));
                let name = mapped.map_or("attributes", |mapped| mapped.name.as_str());
                Refusal::invalid(name, "the repository does not take it")
            }
        }
    }
}

impl Authority {
    /// The repository behind its guard, in this realm.
    fn there<'a>(
        &self,
        caller: &'a Caller,
        realm: &'a RealmName,
        repository: &'a Repository,
    ) -> Result<There<'a>, Refusal> {
        let kept = self.repository_elsewhere(realm, repository.name.as_str());
        let kept = kept.ok_or(Refusal::NotFound(Thing::Repository))?;
        Ok(There { caller, realm, repository, kept })
    }

    async fn offers(&self, there: &There<'_>, capability: Capability) -> Result<(), Refusal> {
        let offered = there.kept.require(self.clock.as_ref(), capability).await;
        offered.map_err(|why| there.refusal(why))
    }

    async fn asked<T>(
        &self,
        there: &There<'_>,
        call: impl Future<Output = Result<T, RepositoryError>> + Send,
    ) -> Result<T, Refusal> {
        let answer = there.kept.ask(self.clock.as_ref(), call).await;
        answer.map_err(|why| there.refusal(why))
    }

    /// Whether a custom repository takes new tokens of the realm's people.
    pub async fn repository_takes(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
    ) -> Result<bool, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let told = there.kept.descriptor(self.clock.as_ref()).await;
        let told = told.map_err(|why| there.refusal(why))?;
        Ok(told.capabilities.contains(Capability::Create))
    }

    /// A page of a custom repository's tokens; whoever asks may see them.
    pub(super) async fn page_elsewhere(
        &self,
        caller: &Caller,
        repository: &Repository,
        request: ListingRequest,
    ) -> Result<(Vec<RepositoryEntry>, Option<String>), Refusal> {
        let there = self.there(caller, &request.realm, repository)?;
        let query = query_of(&request)?;
        self.offers(&there, Capability::List).await?;
        if !query.filter.is_empty() {
            self.offers(&there, Capability::Filter).await?;
        }
        if !query.sort.is_empty() {
            self.offers(&there, Capability::Sort).await?;
        }
        let page = self.asked(&there, there.kept.driver().list(&query)).await?;
        let filter = &request.filter;
        // A repository that shows more than it was asked for shows nobody else's tokens here.
        let wanted = |token: &ForeignToken| {
            let held = person(token);
            let theirs = filter.owner.is_none() || filter.owner == held;
            let placed = filter.place.is_none_or(|place| (place == Place::Stock) == held.is_none());
            theirs && placed
        };
        let tokens: Vec<ForeignToken> = page.tokens.into_iter().filter(wanted).collect();
        Ok((self.entries_elsewhere(&there, tokens).await?, page.next))
    }

    async fn entries_elsewhere(
        &self,
        there: &There<'_>,
        tokens: Vec<ForeignToken>,
    ) -> Result<Vec<RepositoryEntry>, Refusal> {
        let name = there.repository.name.as_str();
        let ids = tokens.iter().map(|token| token.id.token_id(there.realm, name)).collect();
        let known = self.store.foreign_use_find(there.realm, ids).await?;
        let now = self.now();
        let entry = |token: ForeignToken| {
            let usage = known.iter().find(|usage| usage.key.id == token.id);
            entry_of(there, token, usage, now)
        };
        Ok(tokens.into_iter().map(entry).collect())
    }

    async fn entry_elsewhere(
        &self,
        there: &There<'_>,
        token: ForeignToken,
    ) -> Result<RepositoryEntry, Refusal> {
        let mut entries = self.entries_elsewhere(there, vec![token]).await?;
        entries.pop().ok_or(Refusal::NotFound(Thing::Token))
    }

    /// A token of a custom repository, of a person or of anybody, that the caller may see.
    pub(super) async fn found_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (user, id): (Option<&Username>, &str),
    ) -> Result<RepositoryEntry, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.told_elsewhere(&there, user, id).await?;
        self.entry_elsewhere(&there, token).await
    }

    /// What the repository tells of a token.
    async fn told_elsewhere(
        &self,
        there: &There<'_>,
        user: Option<&Username>,
        id: &str,
    ) -> Result<ForeignToken, Refusal> {
        self.require_sight(there.caller, there.realm, there.repository, user).await?;
        let nothing = || Refusal::NotFound(Thing::Token);
        let id = ForeignId::parse(id).map_err(|_| nothing())?;
        self.offers(there, Capability::List).await?;
        let found = self.asked(there, there.kept.driver().find(&id)).await?;
        // One that tells of another token than it was asked for tells of none.
        let token = found.filter(|token| token.id == id).ok_or_else(nothing)?;
        let theirs = user.is_none_or(|user| person(&token).as_ref() == Some(user));
        if theirs { Ok(token) } else { Err(nothing()) }
    }

    /// A token that the caller may change; one beyond their reach does not exist for them.
    async fn writable_elsewhere(
        &self,
        there: &There<'_>,
        (user, id): (Option<&Username>, &str),
        if_match: Option<&str>,
    ) -> Result<ForeignToken, Refusal> {
        let token = self.told_elsewhere(there, user, id).await?;
        let reach = there.caller.reach(there.realm, ApiScope::TokensWrite)?;
        let services = Services::Named(there.repository.services.clone());
        if !reach.whole && !reach.covers_services(&services) {
            let nothing = Refusal::NotFound(Thing::Token);
            let owner = person(&token).map(Owner::User).ok_or(nothing.clone())?;
            let unit = self.unit_of_owner(there.realm, &owner).await?;
            if !reach.covers_user(&owner, unit.as_ref()) {
                return Err(nothing);
            }
        }
        match if_match {
            Some(version) if token.version.as_deref() != Some(version) => {
                Err(Refusal::VersionMismatch)
            }
            _ => Ok(token),
        }
    }

    /// Notes what happened to a token there. What it was remembered by is forgotten even if this
    /// cannot be stored, and the event is stored later.
    async fn noted(
        &self,
        there: &There<'_>,
        kind: &'static str,
        (id, user): (&ForeignId, Option<&Username>),
    ) -> Result<(), Refusal> {
        let name = &there.repository.name;
        let token = id.token_id(there.realm, name.as_str());
        let labels = there.repository.services.iter().map(ServiceLabel::as_str);
        let mut event = self
            .event(kind, there.realm, &there.caller.origin, self.now())?
            .with_token(token)
            .with_service(labels.collect::<Vec<_>>().join(" "))
            .with_detail(json!({ "repository": name.as_str(), "foreign_id": id.as_str() }));
        if let Some(user) = user {
            event = event.with_subject(Owner::User(user.clone()).actor());
        }
        let removed = kind == "token.deleted";
        let realm = there.realm.clone();
        let changed = ForeignChanged { realm, token, removed, event: event.clone() };
        if let Err(lost) = self.store.foreign_changed(changed).await {
            there.kept.remembered.forget();
            self.ledger.refused(event);
            return Err(lost.into());
        }
        Ok(())
    }

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
        Ok(Again(seed))
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
        Again(*seed.as_bytes())
    }

    /// Changes attributes of a token of a custom repository.
    pub(super) async fn edit_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        named: (Option<&Username>, &str),
        writes: Writes,
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.writable_elsewhere(&there, named, if_match).await?;
        if token.revoked {
            return Err(Refusal::Ended(State::Revoked));
        }
        super::writing::refuse_cleared(repository, &writes)?;
        self.refuse_pasted_writes(repository, &writes)?;
        refuse_inverted(&token, &writes)?;
        self.judge_widening(&there, &token, &writes).await?;
        self.offers(&there, Capability::Update).await?;
        let change = ForeignChange { attributes: told_of(&writes) };
        let asked = there.kept.driver().update(&token.id, &change, if_match);
        let token = self.asked(&there, asked).await?;
        let user = person(&token);
        self.noted(&there, "token.updated", (&token.id, user.as_ref())).await?;
        self.entry_elsewhere(&there, token).await
    }

    /// A later end, or none, is held to what issuing is.
    async fn judge_widening(
        &self,
        there: &There<'_>,
        token: &ForeignToken,
        writes: &Writes,
    ) -> Result<(), Refusal> {
        let Some(end) = writes.get(&Attribute::ValidTo) else { return Ok(()) };
        let before = instant_of(token, Attribute::ValidTo);
        let narrower = match (end, before) {
            (Some(Value::Instant(end)), Some(before)) => *end <= before,
            (Some(Value::Instant(end)), None) => *end <= self.now(),
            _ => false,
        };
        if narrower {
            return Ok(());
        }
        let mut request = request_of(there.repository, person(token), writes);
        request.not_before = None;
        if request.expires == Expiry::Open {
            request.expires = Expiry::Never;
        }
        let judged = self.may_issue(there.caller, there.realm, &request).await?;
        let lifetime = Lifetime::of(&request);
        let policies = judged.policies();
        validity_of(&policies, there.caller, &judged.reach, lifetime, self.now()).map(drop)
    }

    /// Free text must hold no token: attributes stand in lists.
    fn refuse_pasted_writes(
        &self,
        repository: &Repository,
        writes: &Writes,
    ) -> Result<(), Refusal> {
        let pasted = |value: &Option<Value>| match value {
            Some(Value::Text(text)) => self.holds_token(text),
            _ => false,
        };
        let Some((attribute, _)) = writes.iter().find(|(_, value)| pasted(value)) else {
            return Ok(());
        };
        let mapped = repository.attributes.find(*attribute);
        let name = mapped.map_or("attributes", |mapped| mapped.name.as_str());
        Err(Refusal::invalid(name, "holds a token; a secret is never part of a text"))
    }

    /// Switches a token of a custom repository on or off.
    pub async fn repository_switch_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (named, on): ((Option<&Username>, &str), bool),
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.writable_elsewhere(&there, named, if_match).await?;
        if token.revoked {
            return Err(Refusal::Ended(State::Revoked));
        }
        self.offers(&there, Capability::Enable).await?;
        let before = token.enabled;
        let asked = there.kept.driver().set_enabled(&token.id, on);
        let token = self.asked(&there, asked).await?;
        let kind = if on { "token.enabled" } else { "token.disabled" };
        if before == on {
            // What stands already is no event. Here it may be remembered otherwise.
            there.kept.remembered.forget();
        } else {
            self.noted(&there, kind, (&token.id, person(&token).as_ref())).await?;
        }
        self.entry_elsewhere(&there, token).await
    }

    /// Removes a token from a custom repository.
    pub(super) async fn delete_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        named: (Option<&Username>, &str),
        if_match: Option<&str>,
    ) -> Result<(), Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.writable_elsewhere(&there, named, if_match).await?;
        self.offers(&there, Capability::Delete).await?;
        self.asked(&there, there.kept.driver().delete(&token.id, if_match)).await?;
        self.noted(&there, "token.deleted", (&token.id, person(&token).as_ref())).await
    }

    /// Gives a token of a custom repository to a person, or takes it back.
    pub(super) async fn assign_elsewhere(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (id, to): (&str, Option<Username>),
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        let there = self.there(caller, realm, repository)?;
        let token = self.told_elsewhere(&there, None, id).await?;
        caller.require_whole(realm, ApiScope::TokensWrite)?;
        if if_match.is_some_and(|version| token.version.as_deref() != Some(version)) {
            return Err(Refusal::VersionMismatch);
        }
        match (&to, person(&token)) {
            (Some(_), Some(_)) => return Err(Refusal::PlaceTaken),
            (None, None) => return Err(Refusal::NotSupported("nobody has this token")),
            _ => {}
        }
        if let Some(user) = &to {
            let known = self.store.user_find(realm, user).await?;
            known.ok_or(Refusal::NotFound(Thing::User))?;
        }
        self.offers(&there, Capability::Assign).await?;
        let asked = there.kept.driver().assign(&token.id, to.as_ref());
        let after = self.asked(&there, asked).await?;
        let kind = if to.is_some() { "token.assigned" } else { "token.unassigned" };
        let subject = to.or_else(|| person(&token));
        self.noted(&there, kind, (&after.id, subject.as_ref())).await?;
        self.entry_elsewhere(&there, after).await
    }
}

/// Whose a token is, if that is the name of a person.
fn person(token: &ForeignToken) -> Option<Username> {
    token.user.as_deref().and_then(|name| Username::parse(name).ok())
}

fn entry_of(
    there: &There<'_>,
    token: ForeignToken,
    usage: Option<&ForeignUsage>,
    now: Timestamp,
) -> RepositoryEntry {
    let counted = there.kept.settings().usage;
    RepositoryEntry {
        id: token.id.to_string(),
        user: person(&token),
        state: state_of_foreign(&token, usage, counted, now),
        values: values_of_foreign(&token, there.repository.attributes.all(), usage, counted),
        version: token.version.unwrap_or_default(),
        token: None,
    }
}

/// A new token as policies judge it.
fn request_of(repository: &Repository, user: Option<Username>, writes: &Writes) -> IssueRequest {
    let services = Some(repository.services.clone()).filter(|labels| !labels.is_empty());
    let instant = |attribute| match writes.get(&attribute) {
        Some(Some(Value::Instant(at))) => Some(*at),
        _ => None,
    };
    IssueRequest {
        expires: instant(Attribute::ValidTo).map_or(Expiry::Open, Expiry::At),
        not_before: instant(Attribute::ValidFrom),
        services: services.map(Services::Named),
        delivery: Delivery::Response,
        ..IssueRequest::of(Kind::Generic, user)
    }
}

/// What the repository is asked for. Whatever it could only be asked for in our own terms is
/// refused.
fn query_of(request: &ListingRequest) -> Result<ListQuery, Refusal> {
    let ListingFilter { serial, tracking, element, enabled, state, .. } = &request.filter;
    let whole = Span::default();
    let spans = [
        request.filter.last_use,
        request.filter.total,
        request.filter.ends,
        request.filter.begins,
        request.filter.issued,
    ];
    if state.is_some() || spans.iter().any(|span| *span != whole) {
        return Err(Refusal::NotSupported(
            "lists of this repository are filtered by equal texts alone",
        ));
    }
    let mut filter = Vec::new();
    let mut equal = |attribute: Attribute, text: Option<String>| {
        filter.extend(text.map(|text| (attribute.name(), text)));
    };
    equal(Attribute::Serial, serial.clone());
    equal(Attribute::TrackingId, tracking.clone());
    equal(Attribute::Enabled, enabled.map(|flag| flag.to_string()));
    if let Some((number, text)) = element {
        equal(Attribute::Element(*number), Some(text.clone()));
    }
    let by = match request.by {
        ListedBy::Age if !request.descending => None,
        ListedBy::Age => Some(Attribute::GenerationDate),
        ListedBy::LastUse => Some(Attribute::LatestUsageDate),
        ListedBy::Total => Some(Attribute::TotalUsages),
        ListedBy::End => Some(Attribute::ValidTo),
    };
    Ok(ListQuery {
        user: request.filter.owner.as_ref().map(|user| user.as_str().to_owned()),
        filter,
        sort: by.into_iter().map(|by| (by.name(), request.descending)).collect(),
        limit: request.limit,
        cursor: request.after.clone(),
    })
}

/// An end that lies before the beginning, whichever of the two is written.
fn refuse_inverted(token: &ForeignToken, writes: &Writes) -> Result<(), Refusal> {
    let after = |attribute| match writes.get(&attribute) {
        Some(Some(Value::Instant(at))) => Some(*at),
        Some(_) => None,
        None => instant_of(token, attribute),
    };
    match (after(Attribute::ValidFrom), after(Attribute::ValidTo)) {
        (Some(begins), Some(ends)) if ends <= begins => Err(super::writing::inverted()),
        _ => Ok(()),
    }
}
