//! Passkeys: adding and removing them, and coming in by one.
//!
//! A door verifies what a device answers; who that lets in, and whether it still may, is decided
//! here. A passkey stands for its person in its realm and for nobody else: of a person who is
//! suspended or gone it is refused as one that nobody knows.

use super::sign_in::{Beginning, By};
use super::{Authority, ConsoleRefusal, SessionBegun, SignedIn};
use crate::caller::{Caller, RequestContext};
use crate::console::{Account, SignInMethod};
use crate::event::{Event, Origin};
use crate::names::{RealmName, Username};
use crate::passkey::{
    NewPasskey, PASSKEY_PROOF_SECONDS, PASSKEYS_PER_PERSON_MAX, Passkey, PasskeyFault, PasskeyUse,
    passkey_name,
};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::secret::TokenId;
use crate::store::{PasskeyAdd, PasskeyAdded, PasskeysRemove};
use crate::subject::Owner;

/// Somebody who has proved to know their password, and needs a passkey beside it. It is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordProved {
    /// Who.
    pub username: Username,
    /// The version of the account whose password it was.
    pub version: i64,
    /// Whether they have no passkey yet, and have to add their first one now.
    pub adds_first: bool,
}

/// What came of a right password.
#[derive(Debug)]
pub enum SignInStep {
    /// They are in.
    Begun(SessionBegun),
    /// They are asked for a passkey.
    Passkey(PasswordProved),
}

/// A passkey that somebody's device has used, and that the door has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyProved {
    /// The passkey as it was found.
    pub passkey: Passkey,
    /// How often it was used, as the device says now.
    pub counter: u32,
    /// What is to be kept of it from now on.
    pub credential: Vec<u8>,
}

/// Somebody at the door of the console with a passkey.
#[derive(Debug, Clone, Copy)]
pub struct PasskeySignIn<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// What they used.
    pub proved: &'a PasskeyProved,
    /// What they proved before, if they came by a password.
    pub after: Option<&'a PasswordProved>,
    /// What the browser says of itself.
    pub agent: Option<&'a str>,
    /// The session that this browser has; it ends when another one begins.
    pub former: Option<&'a str>,
}

/// What is asked of somebody beside their password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyRule {
    /// Nothing.
    Free,
    /// A passkey, because they want it so.
    Own,
    /// A passkey, because everybody of the realm is.
    Realm,
}

impl Authority {
    /// What is asked beside a password.
    pub(super) fn passkey_rule(&self, account: Option<&Account>, realm: &RealmName) -> PasskeyRule {
        if self.settings.console.passkey_realms.contains(realm) {
            PasskeyRule::Realm
        } else if account.is_some_and(|account| account.passkey_required) {
            PasskeyRule::Own
        } else {
            PasskeyRule::Free
        }
    }

    /// Whether somebody needs a passkey after their password, and what they have to do about it.
    pub(super) async fn passkey_after(
        &self,
        account: &Account,
    ) -> Result<Option<PasswordProved>, Refusal> {
        if self.passkey_rule(Some(account), &account.realm) == PasskeyRule::Free {
            return Ok(None);
        }
        let theirs = self.store.passkey_list(&account.realm, &account.username).await?;
        Ok(Some(PasswordProved {
            username: account.username.clone(),
            version: account.version,
            adds_first: theirs.is_empty(),
        }))
    }

    /// The passkeys of who is signed in, the first one first, and what is asked beside their
    /// password.
    pub async fn console_passkeys(
        &self,
        signed_in: &SignedIn,
    ) -> Result<(Vec<Passkey>, PasskeyRule), Refusal> {
        let (realm, username) = (&signed_in.session.realm, &signed_in.session.username);
        let theirs = self.store.passkey_list(realm, username).await?;
        let account = self.store.account_find(realm, username).await?;
        Ok((theirs, self.passkey_rule(account.as_ref(), realm)))
    }

    /// Whether what somebody proved is recent enough to change their passkeys.
    pub fn console_is_proved_for_passkeys(&self, signed_in: &SignedIn) -> bool {
        let limit = signed_in.session.proved_at.plus_seconds(PASSKEY_PROOF_SECONDS);
        self.console_is_proved(signed_in) && self.now() < limit
    }

    /// Checks that who is signed in may add a passkey of this name, and says which they have.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Passkey`] says why not.
    pub async fn console_passkey_offer(
        &self,
        signed_in: &SignedIn,
        name: &str,
    ) -> Result<(String, Vec<Passkey>), ConsoleRefusal> {
        let name = self.passkey_name(name)?;
        let (realm, username) = (&signed_in.session.realm, &signed_in.session.username);
        let theirs = self.store.passkey_list(realm, username).await?;
        if theirs.len() >= PASSKEYS_PER_PERSON_MAX {
            return Err(PasskeyFault::TooMany.into());
        }
        Ok((name, theirs))
    }

    /// Adds the passkey that the device of who is signed in has made.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Passkey`] says why not.
    pub async fn console_passkey_add(
        &self,
        signed_in: &SignedIn,
        new: NewPasskey,
    ) -> Result<(), ConsoleRefusal> {
        let (session, origin) = (&signed_in.session, &signed_in.caller.origin);
        self.passkey_add((&session.realm, &session.username), new, None, origin).await
    }

    /// Adds the first passkey of somebody who has just proved to know their password and needs one,
    /// and lets them in.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Passkey`] if somebody was quicker; [`ConsoleRefusal::Denied`] if the
    /// password is another one by now.
    pub async fn console_passkey_first(
        &self,
        sign_in: FirstPasskey<'_>,
        context: RequestContext,
    ) -> Result<SessionBegun, ConsoleRefusal> {
        let FirstPasskey { realm, after, new, agent, former } = sign_in;
        let origin = Origin::anonymous(context);
        let username = &after.username;
        let user = self.signer_that_counts(realm, username).await?;
        let Some(user) = user.filter(|_| after.adds_first) else {
            return self.refuse_sign_in(realm, Some(username), Some("owner_inactive"), &origin);
        };
        let own = Origin { actor: format!("user:{username}").into(), ..origin.clone() };
        self.passkey_add((realm, username), new, Some(after.version), &own).await?;
        let by = By::PasswordAndPasskey { version: after.version, used: None };
        self.begin_session(Beginning { user, by, agent, former }, &origin).await
    }

    /// The name of a passkey as it is kept, which is a line of text and no token.
    fn passkey_name(&self, typed: &str) -> Result<String, PasskeyFault> {
        let name = passkey_name(typed)?;
        if self.holds_token(&name) { Err(PasskeyFault::BadName) } else { Ok(name) }
    }

    async fn passkey_add(
        &self,
        (realm, username): (&RealmName, &Username),
        new: NewPasskey,
        first_under: Option<i64>,
        origin: &Origin,
    ) -> Result<(), ConsoleRefusal> {
        let (id, now) = (TokenId::generate(self.entropy())?, self.now());
        let passkey = Passkey {
            id,
            realm: realm.clone(),
            username: username.clone(),
            credential_id: new.credential_id,
            handle: new.handle,
            name: self.passkey_name(&new.name)?,
            credential: new.credential,
            counter: 0,
            created_at: now,
            used_at: None,
        };
        let event = self.passkey_event("passkey.added", (realm, username), id.as_str(), origin)?;
        match self.store.passkey_add(PasskeyAdd { passkey, first_under, event }).await? {
            PasskeyAdded::Done => Ok(()),
            PasskeyAdded::Known => Err(PasskeyFault::Known.into()),
            PasskeyAdded::TooMany => Err(PasskeyFault::TooMany.into()),
            PasskeyAdded::Gone => Err(ConsoleRefusal::Denied),
        }
    }

    /// Gives a passkey of who is signed in another name.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] if they have none of that id.
    pub async fn console_passkey_rename(
        &self,
        signed_in: &SignedIn,
        id: TokenId,
        name: &str,
    ) -> Result<(), ConsoleRefusal> {
        let name = self.passkey_name(name)?;
        let whose = (&signed_in.session.realm, &signed_in.session.username);
        let origin = &signed_in.caller.origin;
        let event = self.passkey_event("passkey.renamed", whose, id.as_str(), origin)?;
        if self.store.passkey_rename(whose.0, whose.1, id, &name, event).await? {
            Ok(())
        } else {
            Err(Refusal::NotFound(Thing::Passkey).into())
        }
    }

    /// Removes a passkey of who is signed in, and ends their other sessions: whoever sits at one of
    /// them may have come by it.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] if they have none of that id.
    pub async fn console_passkey_remove(
        &self,
        signed_in: &SignedIn,
        id: TokenId,
    ) -> Result<(), Refusal> {
        let whose = (&signed_in.session.realm, &signed_in.session.username);
        let (which, keeps) = (PasskeysRemove::One(id), Some(signed_in.session.id));
        let origin = &signed_in.caller.origin;
        let event = self.passkey_event("passkey.removed", whose, id.as_str(), origin)?;
        match self.store.passkeys_remove(whose.0, whose.1, which, keeps, event).await? {
            0 => Err(Refusal::NotFound(Thing::Passkey)),
            _ => Ok(()),
        }
    }

    /// Sets whether who is signed in is asked for a passkey after their password.
    ///
    /// # Errors
    ///
    /// [`PasskeyFault::None`] if they have no passkey to ask for, or no password to ask it after.
    pub async fn console_passkey_require(
        &self,
        signed_in: &SignedIn,
        on: bool,
    ) -> Result<(), ConsoleRefusal> {
        let (realm, username) = (&signed_in.session.realm, &signed_in.session.username);
        let event = self.event("passkey.required", realm, &signed_in.caller.origin, self.now())?;
        let detail = serde_json::json!({ "required": on });
        let event = event.with_subject(format!("user:{username}")).with_detail(detail);
        if self.store.passkey_require(realm, username, on, event).await? {
            Ok(())
        } else {
            Err(PasskeyFault::None.into())
        }
    }

    /// The passkeys of somebody else, for who administers them and may do all that they may.
    pub async fn passkeys_of(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Vec<Passkey>, Refusal> {
        self.may_remove_passkeys(caller, realm, username).await?;
        Ok(self.store.passkey_list(realm, username).await?)
    }

    /// Removes every passkey of such a person, who lost them say, ends their sessions, and says how
    /// many passkeys that were. Idempotent. Not of who asks: theirs are removed one by one, by who
    /// has proved just now who they are.
    pub async fn remove_passkeys_of(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<u64, Refusal> {
        if caller.is(&Owner::User(username.clone()), realm) {
            return Err(Refusal::invalid("username", "is your own: see your account"));
        }
        self.may_remove_passkeys(caller, realm, username).await?;
        let whose = (realm, username);
        let event = self.passkey_event("passkey.removed", whose, "all", &caller.origin)?;
        let all = PasskeysRemove::All;
        Ok(self.store.passkeys_remove(realm, username, all, None, event).await?)
    }

    async fn may_remove_passkeys(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<(), Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersWrite)?;
        self.user_in_reach(&reach, realm, username).await?;
        self.require_above(caller, realm, &Owner::User(username.clone())).await
    }

    /// The passkey that a device calls so. Nothing of it may be shown before the device has proved
    /// to hold it.
    pub async fn console_passkey(
        &self,
        realm: &RealmName,
        credential_id: &str,
    ) -> Result<Option<Passkey>, ConsoleRefusal> {
        Ok(self.store.passkey_find(realm, credential_id).await?)
    }

    /// Lets in whose passkey was used, alone or after their password.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] for every reason; the events name it.
    pub async fn console_sign_in_passkey(
        &self,
        sign_in: PasskeySignIn<'_>,
        context: RequestContext,
    ) -> Result<SessionBegun, ConsoleRefusal> {
        let PasskeySignIn { realm, proved, after, agent, former } = sign_in;
        let origin = Origin::anonymous(context);
        let passkey = &proved.passkey;
        let name = Some(&passkey.username);
        if passkey.realm != *realm {
            return self.refuse_sign_in(realm, None, Some("passkey_unknown"), &origin);
        }
        if after.is_some_and(|after| after.username != passkey.username) {
            return self.refuse_sign_in(realm, name, Some("somebody_else"), &origin);
        }
        if !self.realm_facts(realm).await?.realm.enabled {
            return self.refuse_sign_in(realm, name, Some("realm_inactive"), &origin);
        }
        let Some(user) = self.signer_that_counts(realm, &passkey.username).await? else {
            return self.refuse_sign_in(realm, name, Some("owner_inactive"), &origin);
        };
        let noted = self.use_of(proved);
        let by = match after {
            Some(after) => By::PasswordAndPasskey { version: after.version, used: Some(noted) },
            None => By::Passkey { used: noted },
        };
        self.begin_session(Beginning { user, by, agent, former }, &origin).await
    }

    /// Takes a passkey of somebody who is signed in as proof of who they are.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] if it is somebody else's.
    pub async fn console_prove_passkey(
        &self,
        signed_in: &SignedIn,
        proved: &PasskeyProved,
    ) -> Result<(), ConsoleRefusal> {
        let (session, origin) = (&signed_in.session, &signed_in.caller.origin);
        let passkey = &proved.passkey;
        if passkey.realm != session.realm || passkey.username != session.username {
            let name = Some(&session.username);
            return self.refuse_sign_in(&session.realm, name, Some("somebody_else"), origin);
        }
        let used = self.use_of(proved);
        let by = SignInMethod::Passkey.name();
        self.proved(signed_in, by, self.now(), Some(used)).await
    }

    fn use_of(&self, proved: &PasskeyProved) -> PasskeyUse {
        PasskeyUse {
            id: proved.passkey.id,
            counter: proved.counter,
            credential: proved.credential.clone(),
            at: self.now(),
        }
    }

    /// Records that the answer of a device was not taken, and denies.
    pub fn console_refuse_passkey<T>(
        &self,
        realm: &RealmName,
        passkey: Option<&Passkey>,
        reason: &'static str,
        context: RequestContext,
    ) -> Result<T, ConsoleRefusal> {
        let name = passkey.map(|passkey| &passkey.username);
        self.refuse_sign_in(realm, name, Some(reason), &Origin::anonymous(context))
    }

    /// Raises the alarm that a passkey was used with a count that it had before: somebody may have
    /// copied the device.
    pub fn console_passkey_clone_suspected<T>(
        &self,
        passkey: &Passkey,
        context: RequestContext,
    ) -> Result<T, ConsoleRefusal> {
        let whose = (&passkey.realm, &passkey.username);
        self.clone_suspected(whose, passkey.id, &Origin::anonymous(context))
    }

    /// The same, of whoever's it is.
    pub(super) fn clone_suspected<T>(
        &self,
        (realm, username): (&RealmName, &Username),
        id: TokenId,
        origin: &Origin,
    ) -> Result<T, ConsoleRefusal> {
        let kind = "passkey.clone-suspected";
        let event = self.passkey_event(kind, (realm, username), id.as_str(), origin)?;
        self.record_refusal(event.refused());
        self.refuse_sign_in(realm, Some(username), Some("passkey_counter"), origin)
    }

    fn passkey_event(
        &self,
        kind: &'static str,
        (realm, username): (&RealmName, &Username),
        which: &str,
        origin: &Origin,
    ) -> Result<Event, Refusal> {
        let event = self.event(kind, realm, origin, self.now())?;
        let detail = serde_json::json!({ "passkey": which });
        Ok(event.with_subject(format!("user:{username}")).with_detail(detail))
    }
}

/// Somebody who adds their first passkey on the way in.
#[derive(Debug)]
pub struct FirstPasskey<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// What they proved before.
    pub after: &'a PasswordProved,
    /// What their device made.
    pub new: NewPasskey,
    /// What the browser says of itself.
    pub agent: Option<&'a str>,
    /// The session that this browser has; it ends when another one begins.
    pub former: Option<&'a str>,
}
