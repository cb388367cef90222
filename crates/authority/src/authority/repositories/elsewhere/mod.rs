//! The same acts on tokens that somebody else keeps: who may is decided here, as for ours, and the
//! repository is asked to do it.
//!
//! What is changed there is told to every node before it is answered, so that nobody verifies by
//! what was remembered of it.

mod changing;
mod creating;

use std::sync::Arc;

use serde_json::json;

pub use self::creating::Repeatable;
use super::RepositoryEntry;
use crate::authority::Authority;
use crate::authority::verify::away;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::custom::{Capability, ForeignId, ForeignToken, Guarded, ListQuery, RepositoryError};
use crate::names::{RealmName, ServiceLabel, Username};
use crate::refusal::{Refusal, Thing};
use crate::repository::foreign::{state_of_foreign, values_of_foreign};
use crate::repository::{Attribute, Place, Repository, Value, Writes};
use crate::store::{ForeignChanged, ForeignUsage, ListedBy, ListingFilter, ListingRequest, Span};
use crate::subject::Owner;

/// Where an act was made and what it names: the one argument that all of them share.
struct There<'a> {
    caller: &'a Caller,
    realm: &'a RealmName,
    repository: &'a Repository,
    kept: Arc<Guarded>,
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

    /// Free text must hold no token: attributes stand in lists.
    fn refuse_pasted_writes(
        &self,
        repository: &Repository,
        writes: &Writes,
    ) -> Result<(), Refusal> {
        writes.iter().try_for_each(|(attribute, value)| {
            let Some(Value::Text(text)) = value else { return Ok(()) };
            let mapped = repository.attributes.find(*attribute);
            self.refuse_token(mapped.map_or("attributes", |mapped| mapped.name.as_str()), text)
        })
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
