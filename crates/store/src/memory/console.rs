//! Accounts, sessions and sign-in links of the console, in memory.

use std::net::IpAddr;

use async_trait::async_trait;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::console::{
    Account, ConsoleSession, SIGN_IN_LINK_RETENTION_SECONDS, SignInLink, SignInLinkEnd,
};
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::passkey::PasskeyUse;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::single_sign_on::{Identity, SignInFlow};
use counterfoil_authority::store::{
    ConsoleStore, Inserted, PasswordChange, PersonVouched, SessionAdd, SessionAdded, SessionsEnd,
    SignInLinkAdded, SignInLinkUse, SignInLinkUsed, Unavailable, VouchedOutcome,
};

use super::{MemoryStore, State};
use crate::console::{beyond_limit, end_of};

impl State {
    /// Forgets all that only the person could use.
    pub(super) fn forget_signer(&mut self, realm: &RealmName, username: &Username) {
        self.accounts.remove(&(realm.clone(), username.clone()));
        self.sessions.retain(|_, session| !is_of(session, realm, username));
        self.sign_in_links
            .retain(|_, link| link.realm != *realm || link.username.as_ref() != Some(username));
        self.identities.retain(|_, one| one.realm != *realm || one.username != *username);
        self.forget_passkeys(realm, username);
    }

    pub(super) fn end_other_sessions(
        &mut self,
        realm: &RealmName,
        username: &Username,
        keeps: Option<TokenId>,
    ) {
        self.sessions.retain(|id, one| Some(*id) == keeps || !is_of(one, realm, username));
    }

    fn account_rehash(&mut self, key: &(RealmName, Username), version: i64, hash: SecretHash) {
        let account = self.accounts.get_mut(key);
        if let Some(account) = account.filter(|account| account.version == version) {
            account.password = hash;
        }
    }

    fn session_proved(
        &mut self,
        id: TokenId,
        at: Timestamp,
        passkey: Option<PasskeyUse>,
        event: &Event,
    ) -> SessionAdded {
        let Some(session) = self.sessions.get(&id) else { return SessionAdded::Gone };
        let noted = self.passkey_counts(&session.realm, &session.username, passkey.as_ref());
        if noted != SessionAdded::Done {
            return noted;
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.proved_at = at;
        }
        if let Some(used) = passkey {
            self.passkey_used(used);
        }
        self.record(event);
        SessionAdded::Done
    }

    /// Forgets what has ended; says how much that was.
    pub(super) fn purge_console(&mut self, now: Timestamp) -> usize {
        let before = self.sessions.len() + self.sign_in_links.len() + self.flows.len();
        let end = now.plus_seconds(-SIGN_IN_LINK_RETENTION_SECONDS);
        self.sessions.retain(|_, session| session.expires_at > now);
        self.sign_in_links.retain(|_, link| link.expires_at > end);
        self.flows.retain(|_, flow| flow.expires_at > now);
        before - self.sessions.len() - self.sign_in_links.len() - self.flows.len()
    }

    fn has_account(&self, realm: &RealmName) -> bool {
        self.accounts.keys().any(|(of, _)| of == realm)
    }

    fn sessions_of(&self, realm: &RealmName, username: &Username) -> Vec<ConsoleSession> {
        let theirs = self.sessions.values().filter(|session| is_of(session, realm, username));
        theirs.cloned().collect()
    }

    fn session_add(&mut self, add: SessionAdd) -> SessionAdded {
        let SessionAdd { session, account_version, rehash, passkey, replaces, event } = add;
        let (realm, username) = (session.realm.clone(), session.username.clone());
        let key = (realm.clone(), username.clone());
        let stands = match account_version {
            Some(version) => self.accounts.get(&key).is_some_and(|own| own.version == version),
            None => self.users.contains_key(&key),
        };
        if !stands {
            return SessionAdded::Gone;
        }
        let noted = self.passkey_counts(&realm, &username, passkey.as_ref());
        if noted != SessionAdded::Done {
            return noted;
        }
        if let Some(used) = passkey {
            self.passkey_used(used);
        }
        if let (Some(version), Some(hash)) = (account_version, rehash) {
            self.account_rehash(&key, version, hash);
        }
        if let Some(former) = replaces {
            self.sessions.retain(|id, one| *id != former || !is_of(one, &realm, &username));
        }
        for resting in beyond_limit(self.sessions_of(&realm, &username)) {
            self.sessions.remove(&resting);
        }
        self.sessions.insert(session.id, session);
        self.record(&event);
        SessionAdded::Done
    }

    fn sign_in_link_add(&mut self, link: SignInLink, event: &Event) -> SignInLinkAdded {
        let allowed = match &link.username {
            Some(name) => self.users.contains_key(&(link.realm.clone(), name.clone())),
            None => !self.has_account(&link.realm),
        };
        if !allowed {
            return SignInLinkAdded::Refused;
        }
        self.sign_in_links.retain(|_, other| {
            other.realm != link.realm || other.username != link.username || other.used_at.is_some()
        });
        self.sign_in_links.insert(link.id, link);
        self.record(event);
        SignInLinkAdded::Done
    }

    fn sign_in_link_use(&mut self, using: SignInLinkUse) -> SignInLinkUsed {
        let SignInLinkUse { id, account, first, at, event } = using;
        let link = self.sign_in_links.get(&id);
        if !link.is_some_and(|link| link.used_at.is_none() && link.expires_at > at) {
            return SignInLinkUsed::Refused(end_of(link, at));
        }
        let key = (account.realm.clone(), account.username.clone());
        let superseded = match &first {
            Some(_) => self.has_account(&account.realm),
            None => !self.users.contains_key(&key),
        };
        if superseded {
            return SignInLinkUsed::Refused(SignInLinkEnd::Superseded);
        }
        if let Some(first) = first {
            self.user_insert(&first.user, &first.user_event);
            self.grant_insert(&first.grant, &first.grant_event);
        }
        if let Some(link) = self.sign_in_links.get_mut(&id) {
            link.used_at = Some(at);
        }
        let former = self.accounts.get(&key);
        let version = former.map_or(0, |former| former.version) + 1;
        let passkey_required = former.is_some_and(|former| former.passkey_required);
        let account = Account { version, passkey_required, ..account };
        self.sessions.retain(|_, session| !is_of(session, &key.0, &key.1));
        self.accounts.insert(key, account.clone());
        self.record(&event);
        SignInLinkUsed::Done(account)
    }

    fn password_change(&mut self, change: PasswordChange) -> bool {
        let PasswordChange { account, keeps, event } = change;
        let key = (account.realm.clone(), account.username.clone());
        let known = self.accounts.get(&key).filter(|own| own.version == account.version);
        let Some(known) = known else { return false };
        let (version, passkey_required) = (account.version + 1, known.passkey_required);
        self.accounts.insert(key.clone(), Account { version, passkey_required, ..account });
        self.end_other_sessions(&key.0, &key.1, keeps);
        self.record(&event);
        true
    }
}

impl State {
    fn person_vouched(&mut self, vouched: PersonVouched) -> VouchedOutcome {
        let PersonVouched { identity, event, new, gains, loses } = vouched;
        let Identity { realm, issuer, subject, username, .. } = &identity;
        let key = (realm.clone(), issuer.clone(), subject.clone());
        let person = (realm.clone(), username.clone());
        let known = self.identities.get(&key);
        let of_person = self
            .identities
            .values()
            .any(|one| one.realm == *realm && one.issuer == *issuer && one.username == *username);
        let taken = match known {
            Some(known) => known.username != *username,
            None => of_person,
        };
        let is_new = known.is_none();
        match (self.users.contains_key(&person), &new) {
            (true, Some(_)) => return VouchedOutcome::Taken,
            (false, None) => return VouchedOutcome::Gone,
            _ if taken => return VouchedOutcome::Taken,
            (true, None) => {}
            (false, Some((user, event))) => {
                if self.user_insert(user, event) != Inserted::Done {
                    return VouchedOutcome::Gone;
                }
            }
        }
        let linked_at = known_since(self.identities.get(&key), &identity);
        self.identities.insert(key, Identity { linked_at, ..identity });
        if is_new {
            self.record(&event);
        }
        for (id, event) in loses {
            self.grant_delete(&person.0, &id, &event);
        }
        for (grant, event) in gains {
            self.grant_insert(&grant, &event);
        }
        VouchedOutcome::Done
    }
}

fn known_since(known: Option<&Identity>, identity: &Identity) -> Timestamp {
    known.map_or(identity.linked_at, |known| known.linked_at)
}

fn is_of(session: &ConsoleSession, realm: &RealmName, username: &Username) -> bool {
    session.realm == *realm && session.username == *username
}

#[async_trait]
impl ConsoleStore for MemoryStore {
    async fn account_find(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Option<Account>, Unavailable> {
        let key = (realm.clone(), username.clone());
        Ok(self.read(|state| state.accounts.get(&key).cloned()))
    }

    async fn account_any(&self, realm: &RealmName) -> Result<bool, Unavailable> {
        Ok(self.read(|state| state.has_account(realm)))
    }

    async fn password_change(&self, change: PasswordChange) -> Result<bool, Unavailable> {
        Ok(self.write(|state| state.password_change(change)))
    }

    async fn account_rehash(
        &self,
        realm: &RealmName,
        username: &Username,
        version: i64,
        hash: SecretHash,
    ) -> Result<(), Unavailable> {
        let key = (realm.clone(), username.clone());
        self.write(|state| state.account_rehash(&key, version, hash));
        Ok(())
    }

    async fn session_add(&self, add: SessionAdd) -> Result<SessionAdded, Unavailable> {
        Ok(self.write(|state| state.session_add(add)))
    }

    async fn session_find(&self, id: TokenId) -> Result<Option<ConsoleSession>, Unavailable> {
        Ok(self.read(|state| state.sessions.get(&id).cloned()))
    }

    async fn session_used(
        &self,
        id: TokenId,
        at: Timestamp,
        source: Option<IpAddr>,
    ) -> Result<(), Unavailable> {
        self.write(|state| {
            if let Some(session) = state.sessions.get_mut(&id).filter(|one| one.used_at < at) {
                session.used_at = at;
                session.source = source;
            }
        });
        Ok(())
    }

    async fn session_list(
        &self,
        realm: &RealmName,
        username: &Username,
        now: Timestamp,
    ) -> Result<Vec<ConsoleSession>, Unavailable> {
        let mut sessions = self.read(|state| state.sessions_of(realm, username));
        sessions.retain(|session| session.expires_at > now);
        sessions.sort_by_key(|session| std::cmp::Reverse((session.used_at, session.id)));
        Ok(sessions)
    }

    async fn sessions_end(
        &self,
        realm: &RealmName,
        username: &Username,
        which: SessionsEnd,
        event: Event,
    ) -> Result<u64, Unavailable> {
        Ok(self.write(|state| {
            let before = state.sessions.len();
            state.sessions.retain(|id, session| {
                let meant = match which {
                    SessionsEnd::One(one) => *id == one,
                    SessionsEnd::All => true,
                };
                !(meant && is_of(session, realm, username))
            });
            let ended = before - state.sessions.len();
            if ended > 0 {
                state.record(&event);
            }
            ended as u64
        }))
    }

    async fn sign_in_link_add(
        &self,
        link: SignInLink,
        event: Event,
    ) -> Result<SignInLinkAdded, Unavailable> {
        Ok(self.write(|state| state.sign_in_link_add(link, &event)))
    }

    async fn sign_in_link_find(&self, id: TokenId) -> Result<Option<SignInLink>, Unavailable> {
        Ok(self.read(|state| state.sign_in_links.get(&id).cloned()))
    }

    async fn sign_in_link_use(&self, using: SignInLinkUse) -> Result<SignInLinkUsed, Unavailable> {
        Ok(self.write(|state| state.sign_in_link_use(using)))
    }

    async fn session_proved(
        &self,
        id: TokenId,
        at: Timestamp,
        passkey: Option<PasskeyUse>,
        event: Event,
    ) -> Result<SessionAdded, Unavailable> {
        Ok(self.write(|state| state.session_proved(id, at, passkey, &event)))
    }

    async fn identity_find(
        &self,
        realm: &RealmName,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Identity>, Unavailable> {
        let key = (realm.clone(), issuer.to_owned(), subject.to_owned());
        Ok(self.read(|state| state.identities.get(&key).cloned()))
    }

    async fn person_vouched(&self, vouched: PersonVouched) -> Result<VouchedOutcome, Unavailable> {
        Ok(self.write(|state| state.person_vouched(vouched)))
    }

    async fn flow_add(&self, flow: SignInFlow) -> Result<(), Unavailable> {
        self.write(|state| state.flows.insert(flow.id, flow));
        Ok(())
    }

    async fn flow_take(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<SignInFlow>, Unavailable> {
        Ok(self.write(|state| state.flows.remove(&id)).filter(|flow| flow.expires_at > now))
    }
}
