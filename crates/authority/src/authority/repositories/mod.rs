//! Tokens of repositories: found by their repository's ids, created, edited, moved and deleted.
//!
//! Whose token somebody may touch is decided by the acts on tokens; here stands only what a
//! repository adds.

mod elsewhere;
mod moving;
mod overview;
mod writing;

use std::sync::Arc;

pub use self::elsewhere::Repeatable;
pub use self::overview::RepositoryStanding;
pub(super) use self::writing::lacking;
use self::writing::required;
use super::Authority;
use super::issue::payload_row;
use crate::caller::{Caller, Reach};
use crate::clock::Timestamp;
use crate::names::{RealmName, RepositoryName, Username};
use crate::refusal::{Refusal, Thing};
use crate::repository::{
    Attribute, Place, Repository, RepositoryKind, Value, Values, Writes, values_of,
};
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{Listing, ListingFilter, ListingRequest, Unavailable};
use crate::subject::Owner;
use crate::token::{State, Token};

/// A token that is to be created in a repository.
#[derive(Debug, Clone)]
pub struct RepositoryDraft {
    /// Whose; `None`: for the stock.
    pub user: Option<Username>,
    /// Which place.
    pub place: Place,
    /// What is said of it.
    pub writes: Writes,
}

/// A token as its repository shows it.
#[derive(Debug, Clone)]
pub struct RepositoryEntry {
    /// Its id in the repository: of a credential, its person and place.
    pub id: String,
    /// Whose it is; `None`: nobody's.
    pub user: Option<Username>,
    /// Its state now.
    pub state: State,
    /// Rises with each change; the `ETag`.
    pub version: String,
    /// What it says of itself.
    pub values: Values,
    /// The token, if it is one of ours.
    pub token: Option<Box<Token>>,
}

impl Authority {
    /// The repository of a name, for a caller who may see tokens of the realm.
    pub async fn repository(
        &self,
        caller: &Caller,
        realm: &RealmName,
        name: &RepositoryName,
    ) -> Result<Arc<Repository>, Refusal> {
        caller.reach(realm, ApiScope::TokensRead)?;
        self.realm_facts(realm).await?;
        let found = self.repositories().find(name).cloned();
        let here = found.filter(|found| self.is_of_realm(realm, found));
        here.ok_or(Refusal::NotFound(Thing::Repository))
    }

    /// Whether a realm has the repository: ours are in every realm, those of others in one.
    pub(super) fn is_of_realm(&self, realm: &RealmName, repository: &Repository) -> bool {
        match &repository.kind {
            RepositoryKind::Token(_) | RepositoryKind::Credential(_) => true,
            RepositoryKind::Custom(_) => {
                self.repository_elsewhere(realm, repository.name.as_str()).is_some()
            }
        }
    }

    /// Whether a caller may look at the tokens of a person, or of everybody, in a repository.
    async fn require_sight(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        user: Option<&Username>,
    ) -> Result<(), Refusal> {
        let reach: Reach = caller.reach(realm, ApiScope::TokensRead)?;
        let services = crate::service::Services::Named(repository.services.clone());
        if reach.whole || reach.covers_services(&services) {
            return Ok(());
        }
        let Some(user) = user else {
            return Err(Refusal::BeyondGrant("the inventory is for who sees the whole realm"));
        };
        let owner = Owner::User(user.clone());
        let unit = self.unit_of_owner(realm, &owner).await?;
        if reach.covers_user(&owner, unit.as_ref()) {
            return Ok(());
        }
        Err(Refusal::BeyondGrant("this caller may not look at that person's tokens"))
    }

    /// A page of a repository's tokens, of one person or of all.
    pub async fn repository_page(
        &self,
        caller: &Caller,
        repository: &Repository,
        mut request: ListingRequest,
    ) -> Result<(Vec<RepositoryEntry>, Option<String>), Refusal> {
        let realm = request.realm.clone();
        let user = request.filter.owner.clone();
        self.require_sight(caller, &realm, repository, user.as_ref()).await?;
        if let Some(user) = &user {
            let found = self.store.user_find(&realm, user).await?;
            found.ok_or(Refusal::NotFound(Thing::User))?;
        }
        if let RepositoryKind::Custom(_) = &repository.kind {
            return self.page_elsewhere(caller, repository, request).await;
        }
        request.now = self.now();
        let now = request.now;
        let (listed, next) = self.store.listing_page(request).await?;
        let entries = listed.into_iter().map(|one| self.shown_entry(repository, one, now));
        Ok((entries.collect::<Result<_, _>>()?, next))
    }

    /// How many tokens of a repository count towards a person's limit, and the limit.
    pub async fn repository_room(
        &self,
        realm: &RealmName,
        repository: &Repository,
        user: &Username,
    ) -> Result<(u32, u32), Refusal> {
        let now = self.now();
        let filter = ListingFilter { owner: Some(user.clone()), ..ListingFilter::default() };
        let request = listing_request(realm, &repository.name, filter, now);
        let (listed, _) = self.store.listing_page(request).await?;
        let live = |listing: &&Listing| {
            let token = &listing.token;
            let ended = token.validity.expires_at().is_some_and(|end| end <= now);
            let counted = match &repository.kind {
                RepositoryKind::Token(rules) => rules.count_expired || !ended,
                RepositoryKind::Credential(_) | RepositoryKind::Custom(_) => true,
            };
            token.revocation.is_none() && counted
        };
        let held = u32::try_from(listed.iter().filter(live).count()).unwrap_or(u32::MAX);
        Ok((held, limit_of(&repository.kind)))
    }

    /// The token of an id in a repository, of a person or of anybody.
    pub async fn repository_entry(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        user: Option<&Username>,
        id: &str,
    ) -> Result<RepositoryEntry, Refusal> {
        if let RepositoryKind::Custom(_) = &repository.kind {
            return self.found_elsewhere(caller, realm, repository, (user, id)).await;
        }
        let listing = self.listing(caller, realm, repository, user, id).await?;
        self.shown_entry(repository, listing, self.now())
    }

    async fn listing(
        &self,
        caller: &Caller,
        realm: &RealmName,
        repository: &Repository,
        user: Option<&Username>,
        id: &str,
    ) -> Result<Listing, Refusal> {
        self.require_sight(caller, realm, repository, user).await?;
        let nothing = || Refusal::NotFound(Thing::Token);
        let found = match (&repository.kind, user) {
            (RepositoryKind::Custom(_), _) => return Err(NOT_HERE),
            (RepositoryKind::Credential(_), Some(user)) => {
                let place = Place::of_credential(id, user).ok_or_else(nothing)?;
                let owner = Some(user.clone());
                let filter = ListingFilter { owner, place: Some(place), ..Default::default() };
                let request = listing_request(realm, &repository.name, filter, self.now());
                self.store.listing_page(request).await?.0.pop()
            }
            _ => {
                let id = TokenId::parse(id).ok_or_else(nothing)?;
                self.store.listing_find(realm, id).await?
            }
        };
        let listing = found.ok_or_else(nothing)?;
        let member = listing.token.repository.as_ref();
        let here = member.is_some_and(|member| member.name == repository.name);
        let theirs = user.is_none_or(|user| {
            listing.held_since.is_some() && listing.token.owner.user() == Some(user)
        });
        if here && theirs { Ok(listing) } else { Err(nothing()) }
    }

    /// A token as its repository shows it.
    fn shown_entry(
        &self,
        repository: &Repository,
        listing: Listing,
        now: Timestamp,
    ) -> Result<RepositoryEntry, Refusal> {
        let data = repository.attributes.find(Attribute::Data).filter(|m| !m.write_only);
        let opened = match (data, &listing.sealed) {
            (Some(_), Some(sealed)) => {
                let opened = self.keys().open(&payload_row(&listing.token), sealed);
                // A key that is missing is an outage of this node, not an empty payload.
                Some(opened.map_err(Unavailable::new)?)
            }
            _ => None,
        };
        let mut entry = plain_entry(repository, listing, now);
        if let Some(clear) = opened.filter(|clear| !clear.is_empty()) {
            let text = String::from_utf8_lossy(&clear).into_owned();
            entry.values.insert(Attribute::Data, Value::Text(text));
        }
        Ok(entry)
    }

    /// The repository that a token is in, whoever has it.
    pub async fn repository_name_of(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<RepositoryName, Refusal> {
        caller.reach(realm, ApiScope::TokensRead)?;
        let id = TokenId::parse(id).ok_or(Refusal::NotFound(Thing::Token))?;
        let found = self.store.listing_find(realm, id).await?;
        let member = found.and_then(|listing| listing.token.repository);
        member.map(|member| member.name).ok_or(Refusal::NotFound(Thing::Token))
    }

    /// The token as it stands now; whoever asks has touched it already.
    ///
    /// # Errors
    ///
    /// When the store could not answer, or the token is gone.
    pub async fn repository_found(
        &self,
        realm: &RealmName,
        repository: &Repository,
        id: TokenId,
    ) -> Result<RepositoryEntry, Refusal> {
        let found = self.store.listing_find(realm, id).await?;
        self.shown_entry(repository, found.ok_or(Refusal::NotFound(Thing::Token))?, self.now())
    }
}

/// The version that a tag of ours names; `None` demands none, and what is no tag of ours matches
/// nothing.
fn number_of(tag: Option<&str>) -> Option<i64> {
    const NO_VERSION: i64 = -1;
    let number = |tag: &str| tag.parse().ok().filter(|number: &i64| number.to_string() == tag);
    tag.map(|tag| number(tag).unwrap_or(NO_VERSION))
}

/// What is asked of a token of ours cannot be asked of one that somebody else keeps.
const NOT_HERE: Refusal = Refusal::NotSupported("this repository is kept elsewhere");

/// A token as its repository shows it, but for its payload.
fn plain_entry(repository: &Repository, listing: Listing, now: Timestamp) -> RepositoryEntry {
    let values = values_of(&listing, repository.attributes.all());
    let token = listing.token;
    let user = token.owner.user().filter(|_| listing.held_since.is_some()).cloned();
    let place = token.repository.as_ref().map(|member| member.place);
    let id = match (place, &user) {
        (Some(place @ (Place::Current | Place::Next)), Some(user)) => {
            format!("{user}-{}", place.name())
        }
        _ => token.id.as_str().to_owned(),
    };
    let (state, version) = (token.state(now), token.version.to_string());
    RepositoryEntry { id, user, state, version, values, token: Some(Box::new(token)) }
}

/// Whether a token without a payload gets a secret.
pub(super) const fn generates(repository: &Repository) -> bool {
    match &repository.kind {
        RepositoryKind::Token(rules) => rules.generate_secret,
        RepositoryKind::Credential(rules) => rules.generate_secret,
        RepositoryKind::Custom(_) => false,
    }
}

fn limit_of(kind: &RepositoryKind) -> u32 {
    match kind {
        RepositoryKind::Token(rules) => rules.max_tokens_per_user,
        RepositoryKind::Credential(rules) => 1 + u32::from(rules.support_next),
        RepositoryKind::Custom(_) => u32::MAX,
    }
}

/// The first page of a repository, in the order of issue.
pub(super) fn listing_request(
    realm: &RealmName,
    repository: &RepositoryName,
    filter: ListingFilter,
    now: Timestamp,
) -> ListingRequest {
    ListingRequest {
        realm: realm.clone(),
        repository: repository.clone(),
        filter,
        by: crate::store::ListedBy::Age,
        descending: false,
        limit: 1000,
        after: None,
        now,
    }
}
