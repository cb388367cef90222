//! Proving anew who one is, before something is made or ended.
//!
//! A session that was left open is good for looking; whoever sits down at it makes no token.

use super::{Authority, ConsoleRefusal, PasskeyRule, SignedIn};
use crate::clock::Timestamp;
use crate::passkey::PasskeyUse;
use crate::refusal::Refusal;
use crate::single_sign_on::Vouched;
use crate::store::SessionAdded;

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

    /// By what somebody who is signed in can prove who they are: a password, unless they need a
    /// passkey beside it and have one; and a passkey.
    pub async fn console_proofs(&self, signed_in: &SignedIn) -> Result<Proofs, Refusal> {
        let (realm, username) = (&signed_in.session.realm, &signed_in.session.username);
        let account = self.store.account_find(realm, username).await?;
        let passkey = !self.store.passkey_list(realm, username).await?.is_empty();
        let asked = self.passkey_rule(account.as_ref(), realm) != PasskeyRule::Free;
        Ok(Proofs { password: account.is_some() && !(asked && passkey), passkey })
    }

    /// Takes the password of somebody who is signed in as proof of who they are.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] if it is wrong, or not enough.
    pub async fn console_prove(
        &self,
        signed_in: &SignedIn,
        password: &str,
    ) -> Result<(), ConsoleRefusal> {
        let (username, origin) = (&signed_in.session.username, &signed_in.caller.origin);
        let place = self.sign_in_place(username.as_str(), origin.source).await?;
        self.known_signer(signed_in, &place, password).await?;
        if !self.console_proofs(signed_in).await?.password {
            let realm = &signed_in.session.realm;
            return self.refuse_sign_in(realm, Some(username), Some("passkey_needed"), origin);
        }
        self.proved(signed_in, "password", self.now(), None).await
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
        self.proved(signed_in, "oidc", proved_at, None).await
    }

    pub(super) async fn proved(
        &self,
        signed_in: &SignedIn,
        by: &'static str,
        at: Timestamp,
        passkey: Option<PasskeyUse>,
    ) -> Result<(), ConsoleRefusal> {
        let (session, origin) = (&signed_in.session, &signed_in.caller.origin);
        let event = self.event("session.proved", &session.realm, origin, self.now())?;
        let detail = serde_json::json!({ "session": session.id.as_str(), "by": by });
        let event = event.with_subject(format!("user:{}", session.username)).with_detail(detail);
        let used = passkey.as_ref().map(|used| used.id);
        match (self.store.session_proved(session.id, at, passkey, event).await?, used) {
            (SessionAdded::Done, _) => Ok(()),
            (SessionAdded::Counted, Some(id)) => {
                self.clone_suspected((&session.realm, &session.username), id, origin)
            }
            // It was ended meanwhile, or the passkey was removed.
            _ => Err(ConsoleRefusal::Denied),
        }
    }
}

/// By what somebody can prove anew who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proofs {
    /// By their password.
    pub password: bool,
    /// By a passkey.
    pub passkey: bool,
}
