//! Proving anew who one is, before something is made or ended.
//!
//! A session that was left open is good for looking; whoever sits down at it makes no token.

use super::{Authority, ConsoleRefusal, SignedIn};
use crate::clock::Timestamp;
use crate::refusal::Refusal;
use crate::single_sign_on::Vouched;

impl Authority {
    /// Whether what somebody proved is recent enough for acts that ask for it.
    pub fn console_is_proved(&self, signed_in: &SignedIn) -> bool {
        let seconds = self.settings.console.step_up_seconds;
        seconds == 0 || self.now() < signed_in.session.proved_at.plus_seconds(seconds)
    }

    /// Whether somebody who is signed in has a password here.
    pub async fn console_has_password(&self, signed_in: &SignedIn) -> Result<bool, Refusal> {
        let session = &signed_in.session;
        Ok(self.store.account_find(&session.realm, &session.username).await?.is_some())
    }

    /// Takes the password of somebody who is signed in as proof of who they are.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] if it is wrong.
    pub async fn console_prove(
        &self,
        signed_in: &SignedIn,
        password: &str,
    ) -> Result<(), ConsoleRefusal> {
        let (username, origin) = (&signed_in.session.username, &signed_in.caller.origin);
        let place = self.sign_in_place(username.as_str(), origin.source).await?;
        self.known_signer(signed_in, &place, password).await?;
        self.proved(signed_in, "password", self.now()).await
    }

    /// Takes the word of a provider for it that somebody who is signed in has proved anew who they
    /// are.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] if it is somebody else who has.
    pub async fn console_prove_vouched(
        &self,
        signed_in: &SignedIn,
        vouched: &Vouched,
    ) -> Result<(), ConsoleRefusal> {
        let (session, origin) = (&signed_in.session, &signed_in.caller.origin);
        let realm = &session.realm;
        let found = self.store.identity_find(realm, &vouched.issuer, &vouched.subject).await?;
        let proved_at = vouched.proved_at;
        let same = found.is_some_and(|identity| identity.username == session.username);
        let (true, Some(proved_at)) = (same, proved_at) else {
            let name = Some(&session.username);
            return self.refuse_sign_in(realm, name, Some("somebody_else"), origin);
        };
        self.proved(signed_in, "oidc", proved_at).await
    }

    async fn proved(
        &self,
        signed_in: &SignedIn,
        by: &'static str,
        at: Timestamp,
    ) -> Result<(), ConsoleRefusal> {
        let (session, origin) = (&signed_in.session, &signed_in.caller.origin);
        let event = self.event("session.proved", &session.realm, origin, self.now())?;
        let detail = serde_json::json!({ "session": session.id.as_str(), "by": by });
        let event = event.with_subject(format!("user:{}", session.username)).with_detail(detail);
        if self.store.session_proved(session.id, at, event).await? {
            Ok(())
        } else {
            // It was ended meanwhile.
            Err(ConsoleRefusal::Denied)
        }
    }
}
