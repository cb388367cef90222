//! Handing a token over: what must outlive a person who leaves gets another owner.
//!
//! The secret stays the same, so whoever knew it still does, and acts in the new owner's name from
//! then on. Hence nobody hands over what they could not have issued for the new owner, nothing that
//! opens the API, and nothing that is a person's own, such as a code generator.

use super::issue::limits_of;
use super::{Authority, Refusal};
use crate::caller::Caller;
use crate::event::Event;
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, RealmName, Username};
use crate::refusal::Thing;
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{ActiveLimit, HandOver, HandedOver};
use crate::subject::{Owner, OwnerFacts, UserFacts};
use crate::token::{State, Token};

/// Attempts at an act that races with others.
const ATTEMPTS_MAX: usize = 8;

impl Authority {
    /// Gives a token of `from` to `to`; its id, its secrets and what it is good for stay.
    ///
    /// For who administers people and tokens of the whole realm and may do all that both of them
    /// may.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] unless the token is one of `from`, [`Refusal::Policy`] if it cannot
    /// have another owner or not this one, [`Refusal::AtLimit`] if `to` holds as many as allowed.
    pub async fn hand_over_token(
        &self,
        caller: &Caller,
        realm: &RealmName,
        from: &Username,
        id: &str,
        to: &Username,
    ) -> Result<Token, Refusal> {
        caller.require_whole(realm, ApiScope::TokensWrite)?;
        caller.require_whole(realm, ApiScope::UsersWrite)?;
        if from == to {
            return Err(Refusal::invalid("to", "is who has it already"));
        }
        let known = self.store().user_find(realm, from).await?;
        known.ok_or(Refusal::NotFound(Thing::User))?;
        let found = self.store().user_find(realm, to).await?;
        let user = found.ok_or_else(|| Refusal::invalid("to", "there is no such person"))?;
        let taker = UserFacts::of(user);
        if !taker.counts() {
            return Err(Refusal::invalid("to", "nothing of theirs counts"));
        }
        let (giver, taker_owner) = (Owner::User(from.clone()), Owner::User(to.clone()));
        self.require_above(caller, realm, &giver).await?;
        self.require_above(caller, realm, &taker_owner).await?;
        let unknown = Refusal::NotFound(Thing::Token);
        let id = TokenId::parse(id).ok_or(unknown)?;
        for _ in 0..ATTEMPTS_MAX {
            let token = self.store().token_find(realm, id).await?;
            let token = token.filter(|token| token.owner == giver);
            let token = token.ok_or(Refusal::NotFound(Thing::Token))?;
            check_transferable(&token)?;
            let limits = self.limits_of_taker(&token, OwnerFacts::User(taker.clone())).await?;
            let events = self.handed_over(caller, &token, &giver, &taker_owner)?;
            let token = Token { owner: taker_owner.clone(), ..token };
            match self.store().token_hand_over(HandOver { token, limits, events }).await? {
                HandedOver::Done(token) => return Ok(token),
                HandedOver::VersionMismatch => {}
                HandedOver::NotFound => return Err(Refusal::NotFound(Thing::Token)),
                HandedOver::OwnerGone => {
                    return Err(Refusal::invalid("to", "there is no such person"));
                }
                HandedOver::AtLimit(max) => return Err(Refusal::AtLimit(max)),
                HandedOver::Bound => {
                    let why = "a short secret is good with the name of its person only";
                    return Err(Refusal::Policy(why.into()));
                }
            }
        }
        Err(Refusal::VersionMismatch)
    }

    /// The limits that the new owner has at the token's services, if they are for them.
    async fn limits_of_taker(
        &self,
        token: &Token,
        taker: OwnerFacts,
    ) -> Result<Vec<ActiveLimit>, Refusal> {
        let cells = self.cells_of(token).await?;
        if !cells.iter().all(|cell| taker.may_see(&cell.service)) {
            return Err(Refusal::Policy("a service of the token is not for its new owner".into()));
        }
        let realm = self.realm_facts(&token.realm).await?;
        Ok(limits_of(token.kind, &cells, &realm.policy, false))
    }

    /// Two events, so that the targets of both are brought up to date and both are told.
    fn handed_over(
        &self,
        caller: &Caller,
        token: &Token,
        giver: &Owner,
        taker: &Owner,
    ) -> Result<[Event; 2], Refusal> {
        let now = self.now();
        let about = |owner: &Owner| {
            let event = self.event("token.handed-over", &token.realm, &caller.origin, now)?;
            let detail = serde_json::json!({ "from": giver.actor(), "to": taker.actor() });
            let event = event.with_token(token.id).with_subject(owner.actor());
            Ok::<_, Refusal>(event.with_detail(detail))
        };
        Ok([about(giver)?, about(taker)?])
    }
}

/// Refuses what belongs to one person by what it is.
fn check_transferable(token: &Token) -> Result<(), Refusal> {
    if token.revocation.is_some() {
        return Err(Refusal::Ended(State::Revoked));
    }
    let why = match token.kind {
        Kind::PersonalAccessToken
        | Kind::ServiceToken
        | Kind::RegistrationToken
        | Kind::AuthToken
        | Kind::Generic
            if token.otp.is_none()
                && token.repository.is_none()
                && token.parent.is_none_or(|_| token.kind == Kind::AuthToken) =>
        {
            if token.pending {
                "a token that waits for its secret or for approval has its owner in a link"
            } else if token.services.includes(COUNTERFOIL) {
                "a token for counterfoil acts for its owner; issue one instead"
            } else {
                return Ok(());
            }
        }
        Kind::DerivedToken => "a derived token stays with the one that it was derived from",
        _ => "such a token is its owner's own; issue one instead",
    };
    Err(Refusal::Policy(why.into()))
}
