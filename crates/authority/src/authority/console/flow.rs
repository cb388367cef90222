//! What somebody had begun before they were sent to a provider, or to their device: kept for when
//! they come back.
//!
//! It is sealed under what their browser holds, and handed out once. So whoever has a copy of the
//! database, or brings an answer that was meant for another browser, has nothing of it.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Authority, ConsoleRefusal};
use crate::console::{generate_session, session_id};
use crate::keys::{open_under, seal_under};
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, TokenId};
use crate::single_sign_on::{FLOW_BYTES_MAX, SignInFlow};

impl Authority {
    /// Keeps `begun` for so many seconds. What comes back is for the browser to hold.
    ///
    /// # Errors
    ///
    /// Refuses more than [`FLOW_BYTES_MAX`].
    pub async fn console_flow_begin(
        &self,
        realm: &RealmName,
        begun: &[u8],
        seconds: i64,
    ) -> Result<ClearSecret, Refusal> {
        if begun.len() > FLOW_BYTES_MAX {
            return Err(Refusal::invalid("form", "is too large to be kept meanwhile"));
        }
        let id = TokenId::generate(self.entropy())?;
        let held = generate_session(id, self.entropy())?;
        let sealed = seal_under(&key_of(&held), id.as_str(), begun, self.entropy())?;
        let expires_at = self.now().plus_seconds(seconds);
        let flow = SignInFlow { id, realm: realm.clone(), sealed, expires_at };
        self.store.flow_add(flow).await?;
        Ok(held)
    }

    /// What the holder had begun, once. `None` for whatever was never begun, is over, or was
    /// handed out before.
    pub async fn console_flow_take(
        &self,
        realm: &RealmName,
        held: &ClearSecret,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConsoleRefusal> {
        let Some(id) = session_id(held.reveal()) else { return Ok(None) };
        let Some(flow) = self.store.flow_take(id, self.now()).await? else { return Ok(None) };
        let opened = open_under(&key_of(held), id.as_str(), &flow.sealed).ok();
        Ok(opened.filter(|_| flow.realm == *realm))
    }
}

/// What the browser holds has 190 random bits, so a digest of it is a key.
fn key_of(held: &ClearSecret) -> Zeroizing<[u8; 32]> {
    let mut digest = Sha256::new();
    digest.update(b"counterfoil sign-in flow 1\0");
    digest.update(held.reveal().as_bytes());
    Zeroizing::new(digest.finalize().into())
}
