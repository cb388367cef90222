//! What somebody had begun before they were sent to a provider, or to their device: kept for when
//! they come back.
//!
//! It is sealed under what their browser holds, and handed out once. So whoever has a copy of the
//! database, or brings an answer that was meant for another browser, has nothing of it.
//!
//! Whoever begins anew has given up what they had begun before: a session has one way at a time,
//! and so has a browser without one, as far as it tells of the former.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Authority, ConsoleRefusal};
use crate::console::{generate_session, session_id};
use crate::keys::{open_under, seal_under};
use crate::names::RealmName;
use crate::refusal::Refusal;
use crate::secret::{ClearSecret, TokenId};
use crate::single_sign_on::{FLOW_BYTES_MAX, FLOW_BYTES_MAX_OF_ANYBODY, SignInFlow};

/// Who leaves for a provider, or is sent to their device.
#[derive(Debug, Clone, Copy)]
pub enum Leaving<'a> {
    /// Somebody who is signed in, by what their browser holds of the session. May have
    /// [`FLOW_BYTES_MAX`] kept.
    SignedIn(&'a ClearSecret),
    /// Anybody, with what their browser holds of a way that was begun before. May have
    /// [`FLOW_BYTES_MAX_OF_ANYBODY`] kept.
    Anybody(Option<&'a ClearSecret>),
}

impl Authority {
    /// Keeps `begun` for so many seconds, in place of what the same session or browser had begun
    /// before. What comes back is for the browser to hold.
    ///
    /// # Errors
    ///
    /// Refuses more than may be kept.
    pub async fn console_flow_begin(
        &self,
        realm: &RealmName,
        who: Leaving<'_>,
        begun: &[u8],
        seconds: i64,
    ) -> Result<ClearSecret, Refusal> {
        let most = match who {
            Leaving::SignedIn(_) => FLOW_BYTES_MAX,
            Leaving::Anybody(_) => FLOW_BYTES_MAX_OF_ANYBODY,
        };
        if begun.len() > most {
            return Err(Refusal::invalid("form", "is too large to be kept meanwhile"));
        }
        let id = match who {
            Leaving::SignedIn(session) => id_of(session),
            Leaving::Anybody(former) => {
                if let Some(former) = former.and_then(|held| session_id(held.reveal())) {
                    self.store.flow_take(former, self.now()).await?;
                }
                TokenId::generate(self.entropy())?
            }
        };
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

/// The one id of a session's ways. Nobody knows it who has not the session, so nobody else ends
/// or replaces them.
fn id_of(session: &ClearSecret) -> TokenId {
    let mut digest = Sha256::new();
    digest.update(b"counterfoil sign-in flow of a session 1\0");
    digest.update(session.reveal().as_bytes());
    TokenId::of_digest(&digest.finalize())
}

/// What the browser holds has 190 random bits, so a digest of it is a key.
fn key_of(held: &ClearSecret) -> Zeroizing<[u8; 32]> {
    let mut digest = Sha256::new();
    digest.update(b"counterfoil sign-in flow 1\0");
    digest.update(held.reveal().as_bytes());
    Zeroizing::new(digest.finalize().into())
}
