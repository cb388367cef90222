//! Activation letters: ordered, printed once, redeemed once.
//!
//! A letter has no secret before it is printed, so none waits anywhere; what is kept of it then is
//! a keyed hash that no other kind of secret shares. Whoever redeems it needs nothing but it.

use super::Authority;
use crate::caller::{Caller, RequestContext};
use crate::clock::Timestamp;
use crate::event::{Event, Origin, time_ordered_id};
use crate::keys::KeyPurpose;
use crate::names::RealmName;
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::secret::{ClearSecret, Shape, TokenId, generate_grouped};
use crate::secret_hash::{Mac256, SecretHash, keyed_hash};
use crate::store::{
    Letter, LetterFilter, LetterOrdered, LetterPrint, LetterRedeem, LetterState, Page, PageRequest,
    Unavailable,
};
use crate::token::{State, Token};

/// How long a letter can be redeemed unless its order says otherwise: the post takes days, and
/// people are away.
pub const LETTER_LIFETIME_SECONDS: i64 = 30 * 86_400;
/// The longest that an order may ask for: a year.
pub const LETTER_LIFETIME_SECONDS_MAX: i64 = 366 * 86_400;

/// What stands before the secret of a letter when it is hashed: no other secret has its hash.
const SALT: &str = "counterfoil activation letter 1 ";

impl Authority {
    /// Orders a letter for a token that waits to be activated.
    ///
    /// # Errors
    ///
    /// [`Refusal::PlaceTaken`] if the token has an open letter; [`Refusal::NotSupported`] if it
    /// does not wait for one.
    pub async fn letter_order(
        &self,
        caller: &Caller,
        realm: &RealmName,
        token: TokenId,
        lifetime_seconds: Option<i64>,
    ) -> Result<Letter, Refusal> {
        // Who may not order at all learns nothing about what the order lacks.
        caller.reach(realm, ApiScope::TokensWrite)?;
        let lifetime = lifetime_seconds.unwrap_or(LETTER_LIFETIME_SECONDS);
        if !(1..=LETTER_LIFETIME_SECONDS_MAX).contains(&lifetime) {
            return Err(Refusal::invalid("lifetime_seconds", "is between 1 second and a year"));
        }
        let token = self.administered(caller, realm, token).await?;
        let (Some(member), Some(owner)) = (&token.repository, token.owner.user()) else {
            return Err(NOT_WAITING);
        };
        let now = self.now();
        let letter = Letter {
            id: time_ordered_id(now, self.entropy())?,
            realm: realm.clone(),
            repository: member.name.clone(),
            token: token.id,
            owner: owner.clone(),
            state: LetterState::Ordered,
            ordered_at: now,
            ordered_by: caller.origin.actor.to_string(),
            expires_at: now.plus_seconds(lifetime),
            printed_at: None,
            printed_by: None,
            ended_at: None,
            hash: None,
        };
        let event = self.letter_event("letter.ordered", &letter, &caller.origin, now)?;
        match self.store.letter_order(letter.clone(), event).await? {
            LetterOrdered::Done => Ok(letter),
            LetterOrdered::Already => Err(Refusal::PlaceTaken),
            LetterOrdered::NotPending => Err(NOT_WAITING),
        }
    }

    /// A letter of a token that the caller may look at.
    pub async fn letter_show(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<Letter, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensRead)?;
        let found = self.store.letter_find(realm, id).await?;
        let letter = found.ok_or(Refusal::NotFound(Thing::Letter))?;
        if !reach.whole {
            let seen = self.token(caller, realm, letter.token).await;
            seen.map_err(|refusal| match refusal {
                Refusal::NotFound(_) => Refusal::NotFound(Thing::Letter),
                other => other,
            })?;
        }
        Ok(letter)
    }

    /// Lists letters; of one person for who may see their tokens, of all for who sees the realm.
    pub async fn letters(
        &self,
        caller: &Caller,
        realm: &RealmName,
        filter: LetterFilter,
        page: PageRequest,
    ) -> Result<Page<Letter>, Refusal> {
        let reach = caller.reach(realm, ApiScope::TokensRead)?;
        self.realm_facts(realm).await?;
        if !reach.whole {
            let Some(owner) = filter.owner.clone().map(crate::subject::Owner::User) else {
                return Err(Refusal::BeyondGrant("all letters are for who sees the whole realm"));
            };
            let unit = self.unit_of_owner(realm, &owner).await?;
            if !reach.covers_user(&owner, unit.as_ref()) {
                return Err(Refusal::BeyondGrant("this caller may not look at that person"));
            }
        }
        Ok(self.store.letter_list(realm, filter, page).await?)
    }

    /// Prints a letter: draws its secret, and hands it out this once.
    ///
    /// # Errors
    ///
    /// [`Refusal::Ended`] if it was printed before, or has ended.
    pub async fn letter_print(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<(Letter, ClearSecret), Refusal> {
        let letter = self.letter_show(caller, realm, id).await?;
        self.administered(caller, realm, letter.token).await?;
        let now = self.now();
        let secret = generate_grouped(self.entropy())?;
        let Shape::Grouped(normal) = self.shape(secret.reveal()) else {
            return Err(Refusal::NoEntropy(crate::clock::NoEntropy));
        };
        let keys = self.keys();
        let pepper = keys.pepper();
        let mac = keyed_hash(pepper, &format!("{SALT}{}", normal.as_str()));
        let print = LetterPrint {
            realm: realm.clone(),
            id: letter.id.clone(),
            hash: SecretHash::Keyed { pepper: pepper.id(), mac },
            at: now,
            by: caller.origin.actor.to_string(),
            event: self.letter_event("letter.printed", &letter, &caller.origin, now)?,
        };
        match self.store.letter_print(print).await? {
            Some(printed) => Ok((printed, secret)),
            None => Err(self.letter_end(realm, id, now).await?),
        }
    }

    /// Takes a letter back; idempotent.
    pub async fn letter_cancel(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: &str,
    ) -> Result<Letter, Refusal> {
        let letter = self.letter_show(caller, realm, id).await?;
        self.administered(caller, realm, letter.token).await?;
        if letter.state == LetterState::Cancelled {
            return Ok(letter);
        }
        let now = self.now();
        let event = self.letter_event("letter.cancelled", &letter, &caller.origin, now)?;
        match self.store.letter_cancel(realm, id, now, event).await? {
            Some(cancelled) => Ok(cancelled),
            None => Err(self.letter_end(realm, id, now).await?),
        }
    }

    /// Redeems a letter: its token is active from now on.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] for whatever is no letter of ours, in the same words always;
    /// [`Refusal::LetterEnded`] to who holds the right one too late.
    pub async fn letter_redeem(
        &self,
        realm: &RealmName,
        presented: &ClearSecret,
        context: RequestContext,
    ) -> Result<Token, Refusal> {
        let now = self.now();
        let origin = Origin { actor: "holder".into(), ..Origin::anonymous(context) };
        let found = self.proved_letter(presented).await?;
        let Some(letter) = found.filter(|letter| letter.realm == *realm) else {
            if let Some(source) = origin.source {
                self.throttle.failed(source, None, None, now);
            }
            return Err(Refusal::NotFound(Thing::Letter));
        };
        let redeem = LetterRedeem {
            realm: realm.clone(),
            id: letter.id.clone(),
            token: letter.token,
            at: now,
            event: self.letter_event("letter.redeemed", &letter, &origin, now)?,
        };
        if let Some(token) = self.store.letter_redeem(redeem).await? {
            return Ok(token);
        }
        let why = self.letter_end(realm, &letter.id, now).await?;
        let event = self.letter_event("letter.refused", &letter, &origin, now)?;
        self.record_refusal(event.with_reason(why.to_string()).refused());
        Err(why)
    }

    /// The letter whose secret this is.
    async fn proved_letter(&self, presented: &ClearSecret) -> Result<Option<Letter>, Refusal> {
        let Shape::Grouped(normal) = self.shape(presented.reveal()) else { return Ok(None) };
        let keys = self.keys();
        let salted = zeroize::Zeroizing::new(format!("{SALT}{}", normal.as_str()));
        for pepper in keys.peppers() {
            let mac: Mac256 = keyed_hash(pepper, &salted);
            if let Some(letter) = self.store.letter_by_hash(mac).await? {
                return Ok(Some(letter));
            }
        }
        keys.require_all(|of| of == KeyPurpose::Pepper).map_err(Unavailable::from)?;
        Ok(None)
    }

    /// Why a letter that was asked for something does nothing.
    async fn letter_end(
        &self,
        realm: &RealmName,
        id: &str,
        now: Timestamp,
    ) -> Result<Refusal, Refusal> {
        let found = self.store.letter_find(realm, id).await?;
        let letter = found.ok_or(Refusal::NotFound(Thing::Letter))?;
        Ok(Refusal::LetterEnded(match letter.state {
            LetterState::Redeemed => "this letter was redeemed before",
            LetterState::Cancelled => "this letter was cancelled; ask for a new one",
            _ if letter.expires_at <= now => "this letter has expired; ask for a new one",
            LetterState::Printed => "this letter was printed before, or its token does not wait",
            LetterState::Ordered => "this letter is not printed yet",
        }))
    }

    /// A token that the caller administrates: its owner alone does not decide that it is good.
    async fn administered(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Token, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        let reach = caller.reach(realm, ApiScope::TokensWrite)?;
        let unit = self.unit_of_owner(realm, &token.owner).await?;
        let administrates = reach.whole
            || reach.covers_services(&token.services)
            || unit.is_some_and(|unit| reach.units.contains(&unit));
        if !administrates {
            return Err(Refusal::BeyondGrant("only an administrator orders activation letters"));
        }
        if token.revocation.is_some() {
            return Err(Refusal::Ended(State::Revoked));
        }
        Ok(token)
    }

    fn letter_event(
        &self,
        kind: &'static str,
        letter: &Letter,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        let detail = serde_json::json!({ "letter": letter.id });
        let event = self.event(kind, &letter.realm, origin, now)?.with_token(letter.token);
        Ok(event.with_subject(format!("user:{}", letter.owner)).with_detail(detail))
    }
}

/// What is active, or nobody's, needs no letter.
const NOT_WAITING: Refusal =
    Refusal::NotSupported("only the token of a person that waits to be activated has a letter");
