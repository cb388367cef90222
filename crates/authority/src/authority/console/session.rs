//! Who sits at a browser, for as long as their session counts.

use std::sync::Arc;

use super::sign_in::detail_of;
use super::{Authority, ConsoleRefusal, SignedIn};
use crate::caller::{Caller, ReplayKey, RequestContext};
use crate::clock::Timestamp;
use crate::console::{ConsoleSession, SESSION_USE_NOTED_SECONDS, session_id};
use crate::event::Origin;
use crate::names::{RealmName, Username};
use crate::refusal::Refusal;
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::store::SessionsEnd;
use crate::subject::{Owner, OwnerFacts, UserFacts};

impl Authority {
    /// Recognises who sits at a browser by what it holds.
    ///
    /// The person is read anew each time: whoever was suspended or lost a role has lost it here
    /// with the next click.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] for whatever is no session that counts now.
    pub async fn console_caller(
        &self,
        presented: &str,
        context: RequestContext,
    ) -> Result<SignedIn, ConsoleRefusal> {
        let now = self.now();
        let denied = || ConsoleRefusal::Denied;
        let session = self.proved_session(presented).await?.ok_or_else(denied)?;
        if !self.is_live(&session, now) {
            return Err(ConsoleRefusal::Denied);
        }
        let found = self.store.user_find(&session.realm, &session.username).await;
        let facts = UserFacts::from(found?.ok_or_else(denied)?);
        if !facts.counts() || !self.realm_facts(&session.realm).await?.realm.enabled {
            return Err(ConsoleRefusal::Denied);
        }
        let facts = OwnerFacts::User(facts);
        let standing = Arc::new(self.standing_of(session.realm.clone(), &facts).await?);
        let origin = Origin { actor: Arc::clone(&standing.actor), ..Origin::anonymous(context) };
        self.note_session_use(&session, now, &origin).await?;
        let caller = Caller {
            standing,
            // Not a token: it only names the caller where answers are kept for repetition.
            token: session.id,
            token_expires_at: None,
            former_secret: false,
            for_api: true,
            token_scopes: None,
            replay_key: ReplayKey::of(presented),
            exercised: None,
            origin,
        };
        Ok(SignedIn { caller, session })
    }

    /// The session whose secret this is.
    async fn proved_session(
        &self,
        presented: &str,
    ) -> Result<Option<ConsoleSession>, ConsoleRefusal> {
        let Some(id) = session_id(presented) else { return Ok(None) };
        let Some(session) = self.store.session_find(id).await? else { return Ok(None) };
        let keys = self.keys();
        keys.require_peppers([session.hash.pepper()])?;
        let is_right = match &session.hash {
            SecretHash::Keyed { pepper, mac } => keys
                .pepper_by_id(*pepper)
                .is_some_and(|pepper| keyed_hash(pepper, presented) == *mac),
            SecretHash::Slow { .. } => false,
        };
        Ok(Some(session).filter(|_| is_right))
    }

    async fn note_session_use(
        &self,
        session: &ConsoleSession,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        let due = session.used_at.plus_seconds(SESSION_USE_NOTED_SECONDS);
        // An address that is new is noted at once: it is what a person looks for in the list.
        if now >= due || (now > session.used_at && origin.source != session.source) {
            self.store.session_used(session.id, now, origin.source).await?;
        }
        Ok(())
    }

    /// The sessions of who is signed in, the latest used first.
    pub async fn console_sessions(
        &self,
        signed_in: &SignedIn,
    ) -> Result<Vec<ConsoleSession>, Refusal> {
        let now = self.now();
        let (realm, username) = (&signed_in.session.realm, &signed_in.session.username);
        let mut sessions = self.store.session_list(realm, username, now).await?;
        sessions.retain(|session| self.is_live(session, now));
        Ok(sessions)
    }

    /// Ends one session of who is signed in; their own is signing out. Idempotent.
    pub async fn console_end_session(
        &self,
        signed_in: &SignedIn,
        id: TokenId,
    ) -> Result<(), Refusal> {
        self.end_sessions(signed_in, SessionsEnd::One(id), detail_of(id)).await
    }

    /// Ends every session of who is signed in, this one too: signing out everywhere.
    pub async fn console_end_all(&self, signed_in: &SignedIn) -> Result<(), Refusal> {
        let detail = serde_json::json!({ "session": "all" });
        self.end_sessions(signed_in, SessionsEnd::All, detail).await
    }

    /// The sessions of somebody else, for who administers them and may do all that they may.
    pub async fn console_sessions_of(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Vec<ConsoleSession>, Refusal> {
        self.may_sign_out(caller, realm, username).await?;
        let now = self.now();
        let mut sessions = self.store.session_list(realm, username, now).await?;
        sessions.retain(|session| self.is_live(session, now));
        Ok(sessions)
    }

    /// Ends every session of such a person.
    pub async fn console_end_all_of(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<(), Refusal> {
        self.may_sign_out(caller, realm, username).await?;
        self.end_sessions_of(caller, realm, username).await
    }

    /// The same for who has been found to be allowed to.
    pub(in crate::authority) async fn end_sessions_of(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<(), Refusal> {
        let event = self.event("session.ended", realm, &caller.origin, self.now())?;
        let detail = serde_json::json!({ "session": "all" });
        let event = event.with_subject(format!("user:{username}")).with_detail(detail);
        self.store.sessions_end(realm, username, SessionsEnd::All, event).await?;
        Ok(())
    }

    async fn may_sign_out(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<(), Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersWrite)?;
        let owner = Owner::User(username.clone());
        self.user_in_reach(&reach, realm, username).await?;
        self.require_above(caller, realm, &owner).await
    }

    async fn end_sessions(
        &self,
        signed_in: &SignedIn,
        which: SessionsEnd,
        detail: serde_json::Value,
    ) -> Result<(), Refusal> {
        let ConsoleSession { realm, username, .. } = &signed_in.session;
        let event = self.event("session.ended", realm, &signed_in.caller.origin, self.now())?;
        let event = event.with_subject(format!("user:{username}")).with_detail(detail);
        self.store.sessions_end(realm, username, which, event).await?;
        Ok(())
    }
}
