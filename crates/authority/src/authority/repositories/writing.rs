//! Creating and editing tokens of repositories.

use super::{NOT_HERE, RepositoryDraft, RepositoryEntry, generates, number_of, plain_entry};
use crate::authority::issue::Whose;
use crate::authority::{
    Answered, Authority, Expiry, IssueRequest, Payload, Replay, RepositoryWish, TokenEdit,
};
use crate::caller::Caller;
use crate::clock::{NoEntropy, Timestamp};
use crate::kind::Kind;
use crate::names::{RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::repository::{Attribute, Mapped, Place, Repository, RepositoryKind, Value, Writes};
use crate::scope::ApiScope;
use crate::secret::ClearSecret;
use crate::store::{Listing, Rotated, TokenRotate};
use crate::token::{AirlockAttributes, State, Token};

/// The field that a refusal names when the end lies before the beginning.
const INVERTED: &str = "validity";

impl Authority {
    /// A token that was just created, as its repository shows it, and whether its secret is to be
    /// shown: a payload is known to who sent it.
    pub fn repository_created(
        &self,
        repository: &Repository,
        token: &Token,
        draft: &RepositoryDraft,
    ) -> (RepositoryEntry, bool) {
        let listing = Listing {
            token: token.clone(),
            held_since: draft.user.as_ref().map(|_| token.created_at),
            first_at: None,
            last_at: None,
            total: 0,
            sealed: None,
        };
        let mut entry = plain_entry(repository, listing, token.created_at);
        let data = repository.attributes.find(Attribute::Data);
        let sent = draft.writes.get(&Attribute::Data).cloned().flatten();
        let has_data = sent.is_some() && data.is_some();
        if let (Some(data), Some(sent)) = (data, sent)
            && !data.write_only
        {
            entry.values.insert(Attribute::Data, sent);
        }
        (entry, !has_data && generates(repository))
    }

    /// Creates a token in a repository. Its secret, if it gets one, is in the answer.
    pub async fn repository_create(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        draft: RepositoryDraft,
        replay: Option<Replay>,
    ) -> Result<Answered, Refusal> {
        if let RepositoryKind::Custom(_) = &repository.kind {
            return Err(NOT_HERE);
        }
        // Who fills the stock decides for everybody who is handed something of it.
        if draft.place == Place::Stock {
            caller.require_whole(realm, ApiScope::TokensWrite)?;
        }
        let generates = generates(repository);
        required(repository, &draft.writes)?;
        let data = payload(repository, &draft.writes, None)?;
        // One that gets none has a secret that nobody is told.
        let nothing = || Payload::Readable(ClearSecret::new(String::new()));
        let data = data.or_else(|| (!generates).then(nothing));
        let data_present = matches!(draft.writes.get(&Attribute::Data), Some(Some(_)));
        let mut airlock = AirlockAttributes { data_present, ..AirlockAttributes::default() };
        apply(&mut airlock, &draft.writes);
        let request = IssueRequest {
            expires: match draft.writes.get(&Attribute::ValidTo) {
                Some(Some(Value::Instant(end))) => Expiry::At(*end),
                Some(_) => Expiry::Never,
                None => Expiry::Open,
            },
            not_before: instant(&draft.writes, Attribute::ValidFrom),
            max_usages: count(&draft.writes, Attribute::MaxUsages),
            airlock,
            repository: Some(RepositoryWish {
                name: repository.name.clone(),
                place: draft.place,
                data,
            }),
            ..IssueRequest::of(Kind::Generic, draft.user)
        };
        self.issue(caller, realm, request, replay).await
    }

    /// Edits a token of a repository. A payload that verifies takes the place of the secret.
    pub async fn repository_edit(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        (user, id): (Option<&Username>, &str),
        writes: Writes,
        if_match: Option<&str>,
    ) -> Result<RepositoryEntry, Refusal> {
        if let RepositoryKind::Custom(_) = &repository.kind {
            let named = (user, id);
            return self.edit_elsewhere(caller, realm, repository, named, writes, if_match).await;
        }
        let listing = self.listing(caller, realm, repository, user, id).await?;
        if listing.token.revocation.is_some() {
            return Err(Refusal::Ended(State::Revoked));
        }
        refuse_cleared(repository, &writes)?;
        refuse_inverted(&listing.token, &writes)?;
        let encoding = listing.token.airlock.data_encoding.as_deref();
        let data = match cleared(repository, &writes)? {
            Some(nothing) => Some(nothing),
            None => payload(repository, &writes, encoding)?,
        };
        if let Some(Payload::Hashed(clear)) = &data {
            self.check_payload(clear)?;
            self.refuse_secret_if_held(&listing.token).await?;
        }
        let mut generic_data = listing.token.airlock.clone();
        apply(&mut generic_data, &writes);
        let clearable = |attribute| writes.get(&attribute).map(|value| text_of(value.as_ref()));
        let edit = TokenEdit {
            expires: writes.get(&Attribute::ValidTo).map(|value| match value {
                Some(Value::Instant(end)) => Expiry::At(*end),
                _ => Expiry::Never,
            }),
            not_before: writes.get(&Attribute::ValidFrom).map(|value| match value {
                Some(Value::Instant(at)) => *at,
                _ => listing.token.created_at,
            }),
            serial: clearable(Attribute::Serial),
            tracking_id: clearable(Attribute::TrackingId),
            data_encoding: clearable(Attribute::Encoding),
            delivery_date: writes
                .contains_key(&Attribute::DeliveryDate)
                .then(|| instant(&writes, Attribute::DeliveryDate)),
            generic_data: Some(generic_data.generic_data),
            max_usages: writes
                .contains_key(&Attribute::MaxUsages)
                .then(|| count(&writes, Attribute::MaxUsages)),
            data: match &data {
                Some(Payload::Readable(clear)) => Some(clear.clone()),
                _ => None,
            },
            ..TokenEdit::default()
        };
        let token =
            self.edit_token(caller, realm, listing.token.id, edit, number_of(if_match)).await?;
        if let Some(Payload::Hashed(clear)) = data {
            self.replace_secret(caller, &token, &clear).await?;
        }
        self.repository_found(realm, repository, token.id).await
    }

    /// Makes a chosen payload the one secret of a token, at once.
    async fn replace_secret(
        &self,
        caller: &Caller,
        token: &Token,
        clear: &ClearSecret,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let whose = Whose { realm: &token.realm, owner: &token.owner, services: &token.services };
        let hash = self.slow_hash(&whose, clear).await?;
        let secret = self.stored(hash, false, now)?;
        let event = self
            .event("token.rotated", &token.realm, &caller.origin, now)?
            .with_token(token.id)
            .with_subject(token.owner.actor());
        let rotate = TokenRotate {
            realm: token.realm.clone(),
            id: token.id,
            secret,
            previous_until: now,
            expected_version: None,
            at: now,
            idempotency: None,
            only_replay: false,
            event,
        };
        match self.store.token_rotate(rotate).await? {
            Rotated::Ended(state) => Err(Refusal::Ended(state)),
            Rotated::NotFound | Rotated::NotAnswered => Err(Refusal::NotFound(Thing::Token)),
            Rotated::VersionMismatch => Err(Refusal::VersionMismatch),
            Rotated::KeyReused => Err(Refusal::KeyReused),
            Rotated::Collision => Err(Refusal::NoEntropy(NoEntropy)),
            Rotated::Done(_) | Rotated::Replayed(_) => Ok(()),
        }
    }
}

/// An end that lies before the beginning, whichever of the two is written.
fn refuse_inverted(token: &Token, writes: &Writes) -> Result<(), Refusal> {
    let begins = match writes.get(&Attribute::ValidFrom) {
        Some(Some(Value::Instant(at))) => *at,
        Some(_) => token.created_at,
        None => token.validity.not_before(),
    };
    let ends = match writes.get(&Attribute::ValidTo) {
        Some(Some(Value::Instant(at))) => Some(*at),
        Some(_) => None,
        None => token.validity.expires_at(),
    };
    if ends.is_some_and(|end| end <= begins) {
        return Err(inverted());
    }
    Ok(())
}

/// An end before its beginning.
pub(super) fn inverted() -> Refusal {
    Refusal::invalid(INVERTED, "the end lies before the beginning")
}

/// What a token cannot be without is not cleared.
pub(super) fn refuse_cleared(repository: &Repository, writes: &Writes) -> Result<(), Refusal> {
    let cleared =
        |mapped: &&Mapped| mapped.required && writes.get(&mapped.attribute) == Some(&None);
    match repository.attributes.all().iter().find(cleared) {
        Some(mapped) => Err(Refusal::invalid(mapped.name.as_str(), "is required")),
        None => Ok(()),
    }
}

/// The name of an attribute that a token of the repository must have, and this one has not.
pub(in crate::authority) fn lacking(
    repository: &Repository,
    has: impl Fn(Attribute) -> bool,
) -> Option<&str> {
    let lacks = |mapped: &&Mapped| mapped.required && !has(mapped.attribute);
    repository.attributes.all().iter().find(lacks).map(|mapped| mapped.name.as_str())
}

/// Every attribute that a token cannot be without must be there.
pub(super) fn required(repository: &Repository, writes: &Writes) -> Result<(), Refusal> {
    match lacking(repository, |attribute| matches!(writes.get(&attribute), Some(Some(_)))) {
        Some(name) => Err(Refusal::invalid(name, "is required")),
        None => Ok(()),
    }
}

/// The empty payload of somebody who clears it; a secret cannot be cleared, only replaced.
fn cleared(repository: &Repository, writes: &Writes) -> Result<Option<Payload>, Refusal> {
    match (repository.attributes.find(Attribute::Data), writes.get(&Attribute::Data)) {
        (Some(mapped), Some(None)) if mapped.write_only => {
            Err(Refusal::invalid(mapped.name.as_str(), "cannot be cleared"))
        }
        (Some(_), Some(None)) => Ok(Some(Payload::Readable(ClearSecret::new(String::new())))),
        _ => Ok(None),
    }
}

/// The payload that is written, as the mapping says that it is kept.
fn payload(
    repository: &Repository,
    writes: &Writes,
    encoding: Option<&str>,
) -> Result<Option<Payload>, Refusal> {
    let Some(mapped) = repository.attributes.find(Attribute::Data) else { return Ok(None) };
    let binary = match writes.get(&Attribute::Encoding) {
        Some(value) => text_of(value.as_ref()).as_deref() == Some("BINARY"),
        None => encoding == Some("BINARY"),
    };
    let Some(Some(Value::Text(text))) = writes.get(&Attribute::Data) else { return Ok(None) };
    if binary && !crate::text::is_base64(text) {
        return Err(Refusal::invalid(mapped.name.as_str(), "BINARY data is Base64"));
    }
    let clear = ClearSecret::new(text.clone());
    Ok(Some(if mapped.write_only { Payload::Hashed(clear) } else { Payload::Readable(clear) }))
}

fn apply(airlock: &mut AirlockAttributes, writes: &Writes) {
    for (attribute, value) in writes {
        match attribute {
            Attribute::Serial => airlock.serial = text_of(value.as_ref()),
            Attribute::TrackingId => airlock.tracking_id = text_of(value.as_ref()),
            Attribute::Encoding => airlock.data_encoding = text_of(value.as_ref()),
            Attribute::DeliveryDate => {
                airlock.delivery_date = match value {
                    Some(Value::Instant(at)) => Some(*at),
                    _ => None,
                };
            }
            Attribute::Element(number) => match value {
                Some(value) => drop(airlock.generic_data.insert(*number, value.kept())),
                None => drop(airlock.generic_data.remove(number)),
            },
            _ => {}
        }
    }
}

fn text_of(value: Option<&Value>) -> Option<String> {
    value.map(Value::kept)
}

fn instant(writes: &Writes, attribute: Attribute) -> Option<Timestamp> {
    match writes.get(&attribute) {
        Some(Some(Value::Instant(at))) => Some(*at),
        _ => None,
    }
}

fn count(writes: &Writes, attribute: Attribute) -> Option<u64> {
    match writes.get(&attribute) {
        Some(Some(Value::Count(number))) => Some(*number),
        _ => None,
    }
}
