//! Accounts, sessions and sign-in links of the console.

use std::net::IpAddr;

use async_trait::async_trait;

use super::Unavailable;
use crate::clock::Timestamp;
use crate::console::{Account, ConsoleSession, SignInLink, SignInLinkEnd};
use crate::event::Event;
use crate::names::{RealmName, Username};
use crate::passkey::PasskeyUse;
use crate::secret::TokenId;
use crate::secret_hash::SecretHash;
use crate::single_sign_on::{Identity, SignInFlow};
use crate::subject::{Grant, User};

/// A session that begins.
#[derive(Debug, Clone)]
pub struct SessionAdd {
    /// The session.
    pub session: ConsoleSession,
    /// The version of the account whose password was right; `None`: they came by no password.
    pub account_version: Option<i64>,
    /// The same password, hashed as passwords are hashed now.
    pub rehash: Option<SecretHash>,
    /// The passkey they came by, alone or after the password.
    pub passkey: Option<PasskeyUse>,
    /// The session that this browser had before; it ends.
    pub replaces: Option<TokenId>,
    /// What is recorded.
    pub event: Event,
}

/// What came of beginning a session, or of a proof in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionAdded {
    /// It counts.
    Done,
    /// Nothing is stored: the person, the session, the passkey, or that version of the account is
    /// gone.
    Gone,
    /// Nothing is stored: the passkey was used with a count at least as high. Either two devices
    /// have the same key, or one answer was sent twice.
    Counted,
}

/// A password that takes the place of another one.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The account as it is to be, with the version that it must still have.
    pub account: Account,
    /// The session that goes on; all others of the person end.
    pub keeps: Option<TokenId>,
    /// What is recorded.
    pub event: Event,
}

/// Which sessions of a person end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionsEnd {
    /// This one.
    One(TokenId),
    /// All of them.
    All,
}

/// What came of making a sign-in link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInLinkAdded {
    /// It is the only one of its person now.
    Done,
    /// There is no such person; or there is an account already, and the link is for the first.
    Refused,
}

/// The use of a sign-in link.
#[derive(Debug, Clone)]
pub struct SignInLinkUse {
    /// The link.
    pub id: TokenId,
    /// The account it makes; its version is set by the store.
    pub account: Account,
    /// Of the first administrator: their record, kept if there is one already, and what is
    /// recorded of it.
    pub first: Option<FirstAdministrator>,
    /// When.
    pub at: Timestamp,
    /// What is recorded of the use.
    pub event: Event,
}

/// What makes somebody the first administrator.
#[derive(Debug, Clone)]
pub struct FirstAdministrator {
    /// Their record.
    pub user: User,
    /// What is recorded if it is new.
    pub user_event: Event,
    /// Their role.
    pub grant: Grant,
    /// What is recorded of that.
    pub grant_event: Event,
}

/// What came of using a sign-in link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInLinkUsed {
    /// The password counts; here is the account.
    Done(Account),
    /// Nothing was stored.
    Refused(SignInLinkEnd),
}

/// What somebody else says of a person, as it is to stand here.
#[derive(Debug, Clone)]
pub struct PersonVouched {
    /// Who they are here. Its instants are those of now.
    pub identity: Identity,
    /// What is recorded if that was not known.
    pub event: Event,
    /// Their record, if they are new here, and what is recorded of it.
    pub new: Option<(User, Event)>,
    /// Roles that they get, and what is recorded of each. One that they have by the same id stays,
    /// and one whose unit or service is gone is passed over.
    pub gains: Vec<(Grant, Event)>,
    /// Grants by id that they lose, and what is recorded of each.
    pub loses: Vec<(String, Event)>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VouchedOutcome {
    /// All of it stands.
    Done,
    /// Nothing does: the name is somebody else's, or the person is known there by another name.
    Taken,
    /// Nothing does: there is no such person.
    Gone,
}

/// Whatever the console needs to know of who signs in. Removing a person removes all of it.
#[async_trait]
pub trait ConsoleStore {
    /// The password of a person, if they have one.
    async fn account_find(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Option<Account>, Unavailable>;
    /// Whether anybody in the realm has a password.
    async fn account_any(&self, realm: &RealmName) -> Result<bool, Unavailable>;
    /// Replaces a password on condition of its version, and ends the person's other sessions in
    /// the same transaction. False if the version is another one or there is no account.
    async fn password_change(&self, change: PasswordChange) -> Result<bool, Unavailable>;
    /// Keeps the same password by another hash, if the account still has the version.
    async fn account_rehash(
        &self,
        realm: &RealmName,
        username: &Username,
        version: i64,
        hash: SecretHash,
    ) -> Result<(), Unavailable>;
    /// Stores a session if all of what it came by still holds. Of more than
    /// [`crate::console::SESSIONS_PER_PERSON_MAX`] the one that rested longest ends.
    async fn session_add(&self, add: SessionAdd) -> Result<SessionAdded, Unavailable>;
    /// Finds a session, also one that has ended by time.
    async fn session_find(&self, id: TokenId) -> Result<Option<ConsoleSession>, Unavailable>;
    /// Notes a use. `used_at` only moves on.
    async fn session_used(
        &self,
        id: TokenId,
        at: Timestamp,
        source: Option<IpAddr>,
    ) -> Result<(), Unavailable>;
    /// Every session of a person that has not ended by its absolute end, the latest used first.
    async fn session_list(
        &self,
        realm: &RealmName,
        username: &Username,
        now: Timestamp,
    ) -> Result<Vec<ConsoleSession>, Unavailable>;
    /// Ends sessions of a person and says how many; the event is recorded if that is any.
    async fn sessions_end(
        &self,
        realm: &RealmName,
        username: &Username,
        which: SessionsEnd,
        event: Event,
    ) -> Result<u64, Unavailable>;
    /// Stores a link, in place of an unused one for the same person.
    async fn sign_in_link_add(
        &self,
        link: SignInLink,
        event: Event,
    ) -> Result<SignInLinkAdded, Unavailable>;
    /// Finds a link, also one that was used or has ended.
    async fn sign_in_link_find(&self, id: TokenId) -> Result<Option<SignInLink>, Unavailable>;
    /// Uses a link: the account is made or its password replaced, and its sessions end. Of any
    /// number of uses at the same time one is [`SignInLinkUsed::Done`], and of any number of links
    /// for a first administrator, too.
    async fn sign_in_link_use(&self, using: SignInLinkUse) -> Result<SignInLinkUsed, Unavailable>;
    /// Notes that somebody has proved anew who they are, and by which passkey if it was one of
    /// theirs.
    async fn session_proved(
        &self,
        id: TokenId,
        at: Timestamp,
        passkey: Option<PasskeyUse>,
        event: Event,
    ) -> Result<SessionAdded, Unavailable>;
    /// Who somebody is that is known elsewhere.
    async fn identity_find(
        &self,
        realm: &RealmName,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Identity>, Unavailable>;
    /// Takes over what somebody else says of a person: who they are, their record if they are new,
    /// their roles. All of it or nothing. One subject of an issuer is one person for good, and one
    /// person has one subject there.
    async fn person_vouched(&self, vouched: PersonVouched) -> Result<VouchedOutcome, Unavailable>;
    /// Keeps what somebody begun who is on their way to a provider, in place of what there is
    /// under its id.
    async fn flow_add(&self, flow: SignInFlow) -> Result<(), Unavailable>;
    /// Hands out what was begun, if it is not over, and forgets it: of any number who ask, one
    /// gets it.
    async fn flow_take(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<SignInFlow>, Unavailable>;
}
