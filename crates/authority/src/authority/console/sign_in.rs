//! Name and password become a session; a new password takes the place of the former one.

use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Authority, CONSOLE, ConsoleRefusal, SessionBegun, SignInStep, SignedIn};
use crate::abuse::Key;
use crate::caller::RequestContext;
use crate::clock::Timestamp;
use crate::console::{
    Account, ConsoleSession, Password, SignInMethod, agent_line, generate_session, session_id,
};
use crate::event::Origin;
use crate::keys::Pepper;
use crate::names::{RealmName, Username};
use crate::passkey::PasskeyUse;
use crate::refusal::Refusal;
use crate::secret::TokenId;
use crate::secret_hash::{Mac256, SecretHash, SlowCost, keyed_hash, slow_salt};
use crate::slow::{Holder, Place, Preimage};
use crate::store::{PasswordChange, SessionAdd, SessionAdded};
use crate::subject::{User, UserStatus};

/// Somebody at the door of the console.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// The name as it was typed.
    pub username: &'a str,
    /// The password as it was typed.
    pub password: &'a str,
    /// What the browser says of itself.
    pub agent: Option<&'a str>,
    /// The session that this browser has; it ends when another one begins.
    pub former: Option<&'a str>,
}

/// A person with a password, as far as they are known.
pub(super) struct Signer {
    account: Account,
    user: User,
}

impl Signer {
    fn counts(&self) -> bool {
        counts(&self.user)
    }
}

/// Whether somebody may sign in at all.
fn counts(user: &User) -> bool {
    user.status == UserStatus::Active && !user.locks.everywhere
}

impl Authority {
    /// Lets a person in by name and password, or asks them for a passkey besides.
    ///
    /// Every attempt costs one Argon2id, whether there is such a person or not, and the answer is
    /// the same. Who failed often waits before theirs is computed; nobody is ever locked out.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] for every reason; the event `session.refused` names it.
    pub async fn console_sign_in(
        &self,
        sign_in: SignIn<'_>,
        context: RequestContext,
    ) -> Result<SignInStep, ConsoleRefusal> {
        let SignIn { realm, username, agent, former, .. } = sign_in;
        let origin = Origin::anonymous(context);
        let name = Username::parse(username).ok();
        let place = self.sign_in_place(username, origin.source).await?;
        let signer = self.signer(realm, name.as_ref()).await?;
        let right = self.is_right(&place, sign_in, signer.as_ref()).await?;
        let reason = match (&signer, right) {
            (None, _) => Some("unknown"),
            (Some(_), false) => Some("wrong_password"),
            (Some(signer), true) if !signer.counts() => Some("owner_inactive"),
            (Some(_), true) if !self.realm_facts(realm).await?.realm.enabled => {
                Some("realm_inactive")
            }
            (Some(_), true) => None,
        };
        let (Some(signer), None) = (signer, reason) else {
            if !right {
                self.guessed_at(username, origin.source);
            }
            return self.refuse_sign_in(realm, name.as_ref(), reason, &origin);
        };
        let rehash = self.rehash(&place, &signer.account, sign_in.password).await?;
        let Signer { account, user } = signer;
        if let Some(proved) = self.passkey_after(&account).await? {
            if let Some(hash) = rehash {
                let (username, version) = (&account.username, account.version);
                self.store.account_rehash(realm, username, version, hash).await?;
            }
            return Ok(SignInStep::Passkey(proved));
        }
        let by = By::Password { version: account.version, rehash };
        let begun = self.begin_session(Beginning { user, by, agent, former }, &origin).await?;
        Ok(SignInStep::Begun(begun))
    }

    /// Replaces the password of somebody who is signed in and proves to know it. Their other
    /// sessions end: whoever sits at one of them may be the reason for the change.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::Denied`] if the former password is wrong.
    pub async fn console_change_password(
        &self,
        signed_in: &SignedIn,
        former: &str,
        chosen: &str,
    ) -> Result<(), ConsoleRefusal> {
        let (realm, origin) = (&signed_in.caller.realm, &signed_in.caller.origin);
        let username = &signed_in.session.username;
        let place = self.sign_in_place(username.as_str(), origin.source).await?;
        let signer = self.known_signer(signed_in, &place, former).await?;
        let password = Password::chosen(chosen, username)?;
        let now = self.now();
        let hash = self.password_hash(&place, realm, username, password).await?;
        let account = Account { password: hash, changed_at: now, ..signer.account };
        let event = self.event("account.password-changed", realm, origin, now)?;
        let event = event.with_subject(format!("user:{username}"));
        let change = PasswordChange { account, keeps: Some(signed_in.session.id), event };
        if self.store.password_change(change).await? {
            Ok(())
        } else {
            Err(Refusal::VersionMismatch.into())
        }
    }

    /// Somebody who is signed in, if this is their password.
    pub(super) async fn known_signer(
        &self,
        signed_in: &SignedIn,
        place: &Arc<Place>,
        password: &str,
    ) -> Result<Signer, ConsoleRefusal> {
        let (realm, origin) = (&signed_in.caller.realm, &signed_in.caller.origin);
        let username = &signed_in.session.username;
        let signer = self.signer(realm, Some(username)).await?;
        let sign_in =
            SignIn { realm, username: username.as_str(), password, agent: None, former: None };
        let right = self.is_right(place, sign_in, signer.as_ref()).await?;
        if let Some(signer) = signer.filter(|_| right) {
            return Ok(signer);
        }
        self.guessed_at(username.as_str(), origin.source);
        self.refuse_sign_in(realm, Some(username), Some("wrong_password"), origin)
    }

    /// A place for one comparison. Who failed often aiming at this name has one at a time, and
    /// waits in it.
    pub(super) async fn sign_in_place(
        &self,
        username: &str,
        source: Option<IpAddr>,
    ) -> Result<Arc<Place>, Refusal> {
        let Some(source) = source else {
            return self.slow.admit(vec![Holder::Caller(CONSOLE.into())]);
        };
        let mut holders = vec![Holder::Source(Key::of_source(source))];
        let delay = self.refusal_delay(Some(source), Some(username), Some(CONSOLE));
        if delay.is_zero() {
            return self.slow.admit(holders);
        }
        holders.push(Holder::Guesser(Key::of_aim(source, username, Some(CONSOLE))));
        let place = self.slow.admit(holders)?;
        tokio::time::sleep(delay).await;
        Ok(place)
    }

    fn guessed_at(&self, username: &str, source: Option<IpAddr>) {
        if let Some(source) = source {
            self.throttle.failed(source, Some(username), Some(CONSOLE), self.now());
        }
    }

    /// The person, if they may sign in at all.
    pub(super) async fn signer_that_counts(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Option<User>, Refusal> {
        Ok(self.store.user_find(realm, username).await?.filter(counts))
    }

    /// Reads the same for whoever there is and whoever there is not.
    async fn signer(
        &self,
        realm: &RealmName,
        username: Option<&Username>,
    ) -> Result<Option<Signer>, Refusal> {
        let Some(username) = username else { return Ok(None) };
        let account = self.store.account_find(realm, username).await?;
        let user = self.store.user_find(realm, username).await?;
        Ok(account.zip(user).map(|(account, user)| Signer { account, user }))
    }

    async fn is_right(
        &self,
        place: &Arc<Place>,
        sign_in: SignIn<'_>,
        signer: Option<&Signer>,
    ) -> Result<bool, ConsoleRefusal> {
        let keys = self.keys();
        let password = Password::typed(sign_in.password);
        // What is too long to be a password costs as much as one that is wrong.
        let clear = password.as_ref().map_or("", Password::reveal);
        let kept = signer.and_then(|signer| match &signer.account.password {
            SecretHash::Slow { pepper, digest, cost, .. } => Some((*pepper, *digest, *cost)),
            SecretHash::Keyed { .. } => None,
        });
        let (pepper, cost) = match kept {
            Some((id, _, cost)) => {
                keys.require_peppers([id])?;
                (keys.pepper_by_id(id).unwrap_or(keys.pepper()), cost)
            }
            None => (keys.pepper(), self.settings.slow_cost),
        };
        let digest =
            self.password_digest(place, pepper, cost, (sign_in.realm, sign_in.username), clear);
        let digest = digest.await?;
        Ok(password.is_some() && kept.is_some_and(|(_, kept, _)| kept == digest))
    }

    async fn password_digest(
        &self,
        place: &Arc<Place>,
        pepper: &Pepper,
        cost: SlowCost,
        (realm, username): (&RealmName, &str),
        clear: &str,
    ) -> Result<Mac256, Refusal> {
        let name = Username::parse(username);
        let name = name.as_ref().map_or(username, Username::as_str);
        let salt = slow_salt(pepper, realm.as_str(), name, CONSOLE);
        let preimage = Preimage::Clear(Zeroizing::new(clear.to_owned()));
        self.slow.digest_of(place, pepper, salt, preimage, cost).await
    }

    /// A password as it is kept.
    pub(super) async fn password_hash(
        &self,
        place: &Arc<Place>,
        realm: &RealmName,
        username: &Username,
        password: Password,
    ) -> Result<SecretHash, Refusal> {
        let (keys, cost) = (self.keys(), self.settings.slow_cost);
        let pepper = keys.pepper();
        let whose = (realm, username.as_str());
        let digest = self.password_digest(place, pepper, cost, whose, password.reveal()).await?;
        Ok(SecretHash::Slow { pepper: pepper.id(), digest, cost, recipe: None })
    }

    /// The same password under the present key and at the present cost, if it is kept otherwise:
    /// only now is it here in clear.
    async fn rehash(
        &self,
        place: &Arc<Place>,
        account: &Account,
        typed: &str,
    ) -> Result<Option<SecretHash>, Refusal> {
        let present = (self.keys().pepper().id(), self.settings.slow_cost);
        let kept = match &account.password {
            SecretHash::Slow { pepper, cost, .. } => (*pepper, *cost),
            SecretHash::Keyed { .. } => return Ok(None),
        };
        let Some(password) = Password::typed(typed).filter(|_| kept != present) else {
            return Ok(None);
        };
        self.password_hash(place, &account.realm, &account.username, password).await.map(Some)
    }

    pub(super) fn refuse_sign_in<T>(
        &self,
        realm: &RealmName,
        name: Option<&Username>,
        reason: Option<&'static str>,
        origin: &Origin,
    ) -> Result<T, ConsoleRefusal> {
        let event = self.event("session.refused", realm, origin, self.now())?;
        let event = event.with_reason(reason.unwrap_or("unknown"));
        // Of a name that nobody has only the form is known: it may be a password, typed too early.
        let event = match name.filter(|_| reason != Some("unknown")) {
            Some(name) => event.with_subject(format!("user:{name}")),
            None => event,
        };
        self.record_refusal(event.refused());
        Err(ConsoleRefusal::Denied)
    }

    /// A session of somebody who has proved who they are. Its id is drawn now, whatever the browser
    /// held before, so nobody sits in it who chose an id for somebody else.
    pub(super) async fn begin_session(
        &self,
        beginning: Beginning<'_>,
        origin: &Origin,
    ) -> Result<SessionBegun, ConsoleRefusal> {
        let Beginning { user, by, agent, former } = beginning;
        let now = self.now();
        let id = TokenId::generate(self.entropy())?;
        let secret = generate_session(id, self.entropy())?;
        let keys = self.keys();
        let pepper = keys.pepper();
        let mac = keyed_hash(pepper, secret.reveal());
        let session = ConsoleSession {
            id,
            realm: user.realm.clone(),
            username: user.username.clone(),
            hash: SecretHash::Keyed { pepper: pepper.id(), mac },
            created_at: now,
            used_at: now,
            expires_at: now.plus_seconds(self.settings.console.session_seconds),
            source: origin.source,
            agent: agent.and_then(agent_line),
            method: by.method(),
            proved_at: by.proved_at(now),
        };
        let actor = format!("user:{}", user.username);
        let origin = Origin { actor: actor.as_str().into(), ..origin.clone() };
        let event = self.event("session.opened", &user.realm, &origin, now)?;
        let detail = serde_json::json!({ "session": id.as_str(), "by": by.method().name() });
        let event = event.with_subject(actor).with_detail(detail);
        let (account_version, rehash, passkey) = match by {
            By::Password { version, rehash } => (Some(version), rehash, None),
            By::PasswordAndPasskey { version, used } => (Some(version), None, used),
            By::Passkey { used } => (None, None, Some(used)),
            By::Vouched { .. } => (None, None, None),
        };
        let used = passkey.as_ref().map(|used| used.id);
        let add = SessionAdd {
            session: session.clone(),
            account_version,
            rehash,
            passkey,
            replaces: former.and_then(session_id),
            event,
        };
        let (realm, name) = (&user.realm, &user.username);
        match (self.store.session_add(add).await?, used) {
            (SessionAdded::Done, _) => Ok(SessionBegun { secret, session }),
            (SessionAdded::Counted, Some(id)) => self.clone_suspected((realm, name), id, &origin),
            // The password was changed since it was compared, or the passkey or the person is gone.
            (_, Some(_)) => {
                self.refuse_sign_in(realm, Some(name), Some("passkey_unknown"), &origin)
            }
            (_, None) => self.refuse_sign_in(realm, Some(name), Some("wrong_password"), &origin),
        }
    }

    /// Whether now is an instant at which a session counts.
    pub(super) fn is_live(&self, session: &ConsoleSession, now: Timestamp) -> bool {
        let rested = session.used_at.plus_seconds(self.settings.console.idle_seconds);
        now < session.expires_at && now < rested
    }
}

/// What somebody has proved, before their session begins.
pub(super) enum By {
    /// They know the password of this version, which is to be hashed anew.
    Password { version: i64, rehash: Option<SecretHash> },
    /// They know the password of this version, and used a passkey then, or have just added it.
    PasswordAndPasskey { version: i64, used: Option<PasskeyUse> },
    /// They used a passkey.
    Passkey { used: PasskeyUse },
    /// Somebody else vouches for them, who may have said when they proved it there.
    Vouched { method: SignInMethod, proved_at: Option<Timestamp> },
}

impl By {
    const fn method(&self) -> SignInMethod {
        match self {
            Self::Password { .. } => SignInMethod::Password,
            Self::PasswordAndPasskey { .. } => SignInMethod::PasswordAndPasskey,
            Self::Passkey { .. } => SignInMethod::Passkey,
            Self::Vouched { method, .. } => *method,
        }
    }

    /// Nobody knows how long ago somebody proved anything whose provider does not say.
    fn proved_at(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Password { .. } | Self::PasswordAndPasskey { .. } | Self::Passkey { .. } => now,
            Self::Vouched { proved_at, .. } => proved_at.unwrap_or(Timestamp::from_seconds(0)),
        }
    }
}

/// A session to begin.
pub(super) struct Beginning<'a> {
    pub(super) user: User,
    pub(super) by: By,
    pub(super) agent: Option<&'a str>,
    pub(super) former: Option<&'a str>,
}

/// Which session an event is about.
pub(super) fn detail_of(id: TokenId) -> serde_json::Value {
    serde_json::json!({ "session": id.as_str() })
}
