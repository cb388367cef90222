//! Passkeys of people, in memory.

use async_trait::async_trait;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::passkey::{PASSKEYS_PER_PERSON_MAX, Passkey, PasskeyUse, counts_on};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    PasskeyAdd, PasskeyAdded, PasskeyStore, PasskeysRemove, SessionAdded, Unavailable,
};

use super::{MemoryStore, State};

impl State {
    fn passkeys_of(&self, realm: &RealmName, username: &Username) -> Vec<Passkey> {
        let theirs = self.passkeys.values().filter(|one| is_of(one, realm, username));
        let mut theirs: Vec<Passkey> = theirs.cloned().collect();
        theirs.sort_by_key(|one| (one.created_at, one.id));
        theirs
    }

    pub(super) fn forget_passkeys(&mut self, realm: &RealmName, username: &Username) {
        self.passkeys.retain(|_, one| !is_of(one, realm, username));
    }

    /// Whether this use would be noted.
    pub(super) fn passkey_counts(
        &self,
        realm: &RealmName,
        username: &Username,
        used: Option<&PasskeyUse>,
    ) -> SessionAdded {
        let Some(used) = used else { return SessionAdded::Done };
        let theirs = self.passkeys.get(&used.id).filter(|one| is_of(one, realm, username));
        match theirs {
            Some(passkey) if counts_on(passkey.counter, used.counter) => SessionAdded::Done,
            Some(_) => SessionAdded::Counted,
            None => SessionAdded::Gone,
        }
    }

    /// Notes it.
    pub(super) fn passkey_used(&mut self, used: PasskeyUse) {
        if let Some(passkey) = self.passkeys.get_mut(&used.id) {
            passkey.counter = used.counter;
            passkey.credential = used.credential;
            passkey.used_at = Some(used.at);
        }
    }

    fn passkey_add(&mut self, add: PasskeyAdd) -> PasskeyAdded {
        let PasskeyAdd { passkey, first_under, event } = add;
        let (realm, username) = (&passkey.realm, &passkey.username);
        let key = (realm.clone(), username.clone());
        let stands = match first_under {
            Some(version) => self.accounts.get(&key).is_some_and(|own| own.version == version),
            None => self.users.contains_key(&key),
        };
        if !stands {
            return PasskeyAdded::Gone;
        }
        let most = if first_under.is_some() { 1 } else { PASSKEYS_PER_PERSON_MAX };
        if self.passkeys_of(realm, username).len() >= most {
            return PasskeyAdded::TooMany;
        }
        let is_known = |one: &Passkey| {
            one.id == passkey.id
                || (one.realm == *realm && one.credential_id == passkey.credential_id)
        };
        if self.passkeys.values().any(is_known) {
            return PasskeyAdded::Known;
        }
        self.passkeys.insert(passkey.id, passkey);
        self.record(&event);
        PasskeyAdded::Done
    }

    fn passkeys_remove(
        &mut self,
        (realm, username): (&RealmName, &Username),
        which: PasskeysRemove,
        keeps: Option<TokenId>,
        event: &Event,
    ) -> u64 {
        let before = self.passkeys.len();
        self.passkeys.retain(|id, one| {
            let meant = match which {
                PasskeysRemove::One(one) => *id == one,
                PasskeysRemove::All => true,
            };
            !(meant && is_of(one, realm, username))
        });
        let removed = before - self.passkeys.len();
        if removed > 0 {
            if self.passkeys_of(realm, username).is_empty() {
                self.set_passkey_required(realm, username, false);
            }
            self.end_other_sessions(realm, username, keeps);
            self.record(event);
        }
        removed as u64
    }

    fn passkey_require(
        &mut self,
        (realm, username): (&RealmName, &Username),
        on: bool,
        event: &Event,
    ) -> bool {
        if on && self.passkeys_of(realm, username).is_empty() {
            return false;
        }
        let done = self.set_passkey_required(realm, username, on);
        if done {
            self.record(event);
        }
        done
    }

    fn set_passkey_required(&mut self, realm: &RealmName, username: &Username, on: bool) -> bool {
        let account = self.accounts.get_mut(&(realm.clone(), username.clone()));
        account.is_some_and(|account| {
            account.passkey_required = on;
            account.version += 1;
            true
        })
    }
}

fn is_of(passkey: &Passkey, realm: &RealmName, username: &Username) -> bool {
    passkey.realm == *realm && passkey.username == *username
}

#[async_trait]
impl PasskeyStore for MemoryStore {
    async fn passkey_list(
        &self,
        realm: &RealmName,
        username: &Username,
    ) -> Result<Vec<Passkey>, Unavailable> {
        Ok(self.read(|state| state.passkeys_of(realm, username)))
    }

    async fn passkey_find(
        &self,
        realm: &RealmName,
        credential_id: &str,
    ) -> Result<Option<Passkey>, Unavailable> {
        Ok(self.read(|state| {
            let mut all = state.passkeys.values();
            all.find(|one| one.realm == *realm && one.credential_id == credential_id).cloned()
        }))
    }

    async fn passkey_add(&self, add: PasskeyAdd) -> Result<PasskeyAdded, Unavailable> {
        Ok(self.write(|state| state.passkey_add(add)))
    }

    async fn passkey_rename(
        &self,
        realm: &RealmName,
        username: &Username,
        id: TokenId,
        name: &str,
        event: Event,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            let theirs = state.passkeys.get_mut(&id).filter(|one| is_of(one, realm, username));
            let Some(passkey) = theirs else { return false };
            name.clone_into(&mut passkey.name);
            state.record(&event);
            true
        }))
    }

    async fn passkeys_remove(
        &self,
        realm: &RealmName,
        username: &Username,
        which: PasskeysRemove,
        keeps: Option<TokenId>,
        event: Event,
    ) -> Result<u64, Unavailable> {
        Ok(self.write(|state| state.passkeys_remove((realm, username), which, keeps, &event)))
    }

    async fn passkey_require(
        &self,
        realm: &RealmName,
        username: &Username,
        on: bool,
        event: Event,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| state.passkey_require((realm, username), on, &event)))
    }
}
