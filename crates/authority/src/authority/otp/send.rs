//! Codes by mail: made when they are asked for, sealed until their letter is written.

use crate::authority::Authority;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::event::{Event, Origin, time_ordered_id};
use crate::names::{RealmName, Username};
use crate::otp::Method;
use crate::otp::codes::{self, EMAIL_ATTEMPTS_MAX, EMAIL_INTERVAL_SECONDS, EMAIL_LIFETIME_SECONDS};
use crate::provision::TargetKind;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, TokenId};
use crate::store::{OtpCode, OtpCodes, OtpReplaced, Unavailable};
use crate::subject::{User, UserStatus};
use crate::token::{State, Token};

/// A code that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The name by which it is answered.
    pub id: String,
    /// The token whose code it is.
    pub token: TokenId,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// What came of asking for a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenged {
    /// It is on its way.
    Sent(Challenge),
    /// One was sent a moment ago, and is good still.
    TooSoon(Challenge),
    /// One was sent a moment ago and is good no more, and the next one is sent after so long.
    Wait {
        /// Seconds, at least one.
        seconds: i64,
    },
    /// This person has no token that codes are sent for, or none that is active.
    None,
}

/// What a code is sealed to until its letter is written.
fn code_row(token: TokenId, code: &str) -> String {
    format!("code {token} {code}")
}

impl Authority {
    /// Sends a code for a token within the caller's reach to its owner's first address.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for a token of another method, [`Refusal::Policy`] where nothing sends
    /// letters for the realm.
    pub async fn otp_send(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Challenged, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        let otp = self.otp_of(&token).await?;
        if otp.method != Method::Email {
            return Err(Refusal::invalid("method", "codes are sent for the method email only"));
        }
        if !self.sends_letters(realm).await? {
            return Err(Refusal::Policy("no target of this realm sends mail".into()));
        }
        let state = token.state(self.now());
        if state != State::Active {
            return Err(Refusal::Ended(state));
        }
        self.send_code(&token, &caller.origin).await
    }

    /// Sends a code to somebody who wants to be let in, if they have a token for that.
    pub async fn otp_challenge(
        &self,
        realm: &RealmName,
        username: &str,
        origin: &Origin,
    ) -> Result<Challenged, Refusal> {
        let Ok(user) = Username::parse(username) else { return Ok(Challenged::None) };
        let otps = self.store.otp_of_person(realm, &user).await?;
        let by_mail = otps.iter().filter(|otp| otp.method == Method::Email);
        let by_mail: Vec<TokenId> = by_mail.map(|otp| otp.token).collect();
        if by_mail.is_empty() || !self.sends_letters(realm).await? {
            return Ok(Challenged::None);
        }
        // Nobody is written to who would be let in with no code.
        let owner = self.store.user_find(realm, &user).await?;
        let counts = |user: &User| user.status == UserStatus::Active && !user.locks.everywhere;
        if !owner.as_ref().is_some_and(counts) {
            return Ok(Challenged::None);
        }
        for id in by_mail {
            let Some(token) = self.store.token_find(realm, id).await? else { continue };
            let here = token.doors.as_ref().is_none_or(|doors| doors.contains(&origin.door));
            if here && token.state(self.now()) == State::Active {
                return self.send_code(&token, origin).await;
            }
        }
        Ok(Challenged::None)
    }

    async fn sends_letters(&self, realm: &RealmName) -> Result<bool, Unavailable> {
        let targets = self.store.target_list(realm).await?;
        Ok(targets.iter().any(|target| target.kind == TargetKind::Mail))
    }

    async fn send_code(&self, token: &Token, origin: &Origin) -> Result<Challenged, Refusal> {
        let at = self.now();
        let keys = self.keys();
        let pepper = keys.pepper();
        let clear = codes::generate_digits(self.entropy())?;
        let id = time_ordered_id(at, self.entropy())?;
        let expires_at = at.plus_seconds(EMAIL_LIFETIME_SECONDS);
        let sealed = keys.seal(&code_row(token.id, &id), clear.as_bytes(), self.entropy())?;
        let code = OtpCode {
            id: id.clone(),
            pepper: pepper.id(),
            mac: codes::hash(pepper, token.id, &clear),
            expires_at: Some(expires_at),
            attempts: 0,
            sealed: Some(sealed),
        };
        let event = self
            .event("code.sent", &token.realm, origin, at)?
            .with_token(token.id)
            .with_subject(token.owner.actor())
            .with_detail(serde_json::json!({ "code": id }));
        let replace = OtpCodes {
            realm: token.realm.clone(),
            token: token.id,
            codes: vec![code],
            unless_since: Some(at.plus_seconds(-EMAIL_INTERVAL_SECONDS)),
            at,
            event,
        };
        match self.store.otp_replace_codes(replace).await? {
            OtpReplaced::Done => {
                Ok(Challenged::Sent(Challenge { id, token: token.id, expires_at }))
            }
            OtpReplaced::NotFound => Ok(Challenged::None),
            OtpReplaced::TooSoon => Ok(self.sent_lately(token, at).await?),
        }
    }

    /// What there is instead of a code that would come too soon.
    async fn sent_lately(&self, token: &Token, at: Timestamp) -> Result<Challenged, Unavailable> {
        // Whoever was quicker has replaced what was read before.
        let Some(otp) = self.store.otp_find(&token.realm, token.id).await? else {
            return Ok(Challenged::None);
        };
        let open = otp.codes.iter().find_map(|code| {
            let good = |end: &Timestamp| *end > at && code.attempts < EMAIL_ATTEMPTS_MAX;
            let expires_at = code.expires_at.filter(good)?;
            Some(Challenge { id: code.id.clone(), token: token.id, expires_at })
        });
        let until = otp.codes_at.unwrap_or(at).plus_seconds(EMAIL_INTERVAL_SECONDS);
        let left = (until.micros() - at.micros() + 999_999) / 1_000_000;
        let seconds = left.clamp(1, EMAIL_INTERVAL_SECONDS);
        Ok(open.map_or(Challenged::Wait { seconds }, Challenged::TooSoon))
    }

    /// The code that an event tells of, while it can be used.
    pub(in crate::authority) async fn code_of(
        &self,
        event: &Event,
        token: &Token,
    ) -> Result<Option<(ClearSecret, Timestamp)>, Unavailable> {
        let named = event.detail.as_ref().and_then(|detail| detail.get("code")?.as_str());
        let Some(id) = named.filter(|_| event.kind == "code.sent") else { return Ok(None) };
        let Some(otp) = self.store.otp_find(&token.realm, token.id).await? else {
            return Ok(None);
        };
        let Some(code) = otp.codes.iter().find(|code| code.id == id) else { return Ok(None) };
        let (Some(end), Some(sealed)) = (code.expires_at, &code.sealed) else { return Ok(None) };
        if end <= self.now() {
            return Ok(None);
        }
        let opened = self.keys().open(&code_row(token.id, id), sealed).map_err(Unavailable::new)?;
        let clear = String::from_utf8_lossy(&opened).into_owned();
        Ok(Some((ClearSecret::new(clear), end)))
    }
}
