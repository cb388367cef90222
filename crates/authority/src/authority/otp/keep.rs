//! Keeping authentication tokens in order: look, confirm, resynchronise, new codes, new seals.

use crate::authority::verify::{recognised, seed_of};
use crate::authority::{Authority, CODE_FIELD};
use crate::caller::Caller;
use crate::event::Event;
use crate::names::RealmName;
use crate::otp::{Method, oath};
use crate::refusal::{Refusal, Thing};
use crate::secret::{ClearSecret, TokenId};
use crate::store::{
    Otp, OtpAccept, OtpAccepted, OtpCodes, OtpProof, OtpReplaced, OtpUse, SealedAt, Unavailable,
};
use crate::token::Token;

/// Seeds that one step seals anew.
const RESEAL_BATCH: u32 = 100;

impl Authority {
    /// What is known of an authentication token within the caller's reach.
    pub async fn otp(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Otp, Refusal> {
        let token = self.token(caller, realm, id).await?;
        self.otp_of(&token).await
    }

    pub(super) async fn otp_of(&self, token: &Token) -> Result<Otp, Refusal> {
        let found = self.store.otp_find(&token.realm, token.id).await?;
        found.ok_or(Refusal::NotFound(Thing::Token))
    }

    /// Whether a token proves itself by codes.
    pub(in crate::authority) async fn is_otp(&self, token: &Token) -> Result<bool, Unavailable> {
        Ok(self.store.otp_find(&token.realm, token.id).await?.is_some())
    }

    /// Takes a code as proof that the owner has the token. The code is used up.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for a code that is wrong or was used.
    pub async fn otp_confirm(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        code: &ClearSecret,
    ) -> Result<Otp, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        let otp = self.otp_of(&token).await?;
        let proof = recognised(&self.keys(), &otp, code.reveal(), self.now())?;
        let proof = proof.ok_or_else(|| Refusal::invalid(CODE_FIELD, "is not a code of it now"))?;
        let event = self.otp_event(caller, &token, "authenticator.confirmed")?;
        self.adjust(otp, proof, event, CODE_FIELD).await
    }

    /// Brings the counter or clock of a token up to date, by two codes that follow each other.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] where they do not follow each other anywhere near.
    pub async fn otp_resync(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        codes: [&ClearSecret; 2],
    ) -> Result<Otp, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        let otp = self.otp_of(&token).await?;
        let Some(seed) = seed_of(&self.keys(), &otp)?.filter(|_| otp.method != Method::Yubikey)
        else {
            return Err(Refusal::invalid("codes", "only totp and hotp have a clock or a counter"));
        };
        let pair = codes.map(ClearSecret::reveal);
        let place = match otp.method {
            Method::Hotp => oath::resync_counter(&seed, otp.shape, otp.accepted, pair),
            _ => oath::resync_step(&seed, otp.shape, self.now(), pair),
        };
        let place = place
            .ok_or_else(|| Refusal::invalid("codes", "are no two codes that follow each other"))?;
        let proof = OtpProof::Place { at: place.at, drift: place.drift };
        let event = self.otp_event(caller, &token, "authenticator.resynchronised")?;
        self.adjust(otp, proof, event, "codes").await
    }

    /// Uses a code up that was shown for the token's own sake, and says how the token stands then.
    async fn adjust(
        &self,
        mut otp: Otp,
        proof: OtpProof,
        event: Event,
        field: &str,
    ) -> Result<Otp, Refusal> {
        let accept = OtpAccept {
            token: otp.token,
            proof: proof.clone(),
            purpose: OtpUse::Adjust,
            at: event.at,
            ip: event.origin.source,
            event: Some(event),
        };
        match self.store.otp_accept(accept).await? {
            OtpAccepted::Done { .. } => {}
            OtpAccepted::Spent => return Err(Refusal::invalid(field, "was used before")),
            OtpAccepted::Refused(state) => return Err(Refusal::Ended(state)),
        }
        match proof {
            OtpProof::Place { at, drift } => {
                (otp.accepted, otp.drift, otp.confirmed) = (at, drift, true);
            }
            OtpProof::Code(id) => otp.codes.retain(|code| code.id != id),
        }
        Ok(otp)
    }

    /// A new sheet of backup codes; the earlier ones are good for nothing any more.
    pub async fn otp_renew_codes(
        &self,
        caller: &Caller,
        realm: &RealmName,
        id: TokenId,
        number: Option<u32>,
    ) -> Result<ClearSecret, Refusal> {
        let token = self.reachable(caller, realm, id).await?;
        self.refuse_to_show(caller, &token).await?;
        let otp = self.otp_of(&token).await?;
        if otp.method != Method::Backup {
            return Err(Refusal::invalid("codes", "only a sheet of backup codes can be renewed"));
        }
        let number = number.unwrap_or(crate::otp::codes::CODES_DEFAULT);
        if number == 0 || number > crate::otp::codes::CODES_MAX {
            return Err(Refusal::invalid("codes", "a sheet has 1 to 50"));
        }
        let at = self.now();
        let (codes, sheet) = self.drawn_codes(id, number, at)?;
        let event = self.otp_event(caller, &token, "authenticator.codes-replaced")?;
        let (realm, token) = (realm.clone(), id);
        let replace = OtpCodes { realm, token, codes, unless_since: None, at, event };
        match self.store.otp_replace_codes(replace).await? {
            OtpReplaced::Done => Ok(sheet),
            OtpReplaced::TooSoon | OtpReplaced::NotFound => Err(Refusal::NotFound(Thing::Token)),
        }
    }

    pub(super) fn otp_event(
        &self,
        caller: &Caller,
        token: &Token,
        kind: &'static str,
    ) -> Result<Event, Refusal> {
        let event = self.event(kind, &token.realm, &caller.origin, self.now())?;
        Ok(event.with_token(token.id).with_subject(token.owner.actor()))
    }

    /// Seals a batch of seeds under the newest key that are under an older one, behind the one
    /// where the step before came to. Where the next one begins; `None` at the end. Every node may
    /// run it at once: a seed that changed meanwhile is left alone.
    ///
    /// # Errors
    ///
    /// The store could not answer, or the generator failed; the next run begins anew.
    pub async fn reseal_seeds(&self, after: Option<SealedAt>) -> Result<Option<SealedAt>, Refusal> {
        let keys = self.keys();
        let newest = keys.newest_seal();
        let old = self.store.otp_sealed_before(newest, after, RESEAL_BATCH).await?;
        let full = old.len() >= RESEAL_BATCH as usize;
        let last = old.last().and_then(|otp| Some(SealedAt { seal: otp.seal?, token: otp.token }));
        for mut otp in old {
            let row = Otp::row(otp.token, otp.method);
            let Some(sealed) = otp.seed.take() else { continue };
            // What does not open here is another node's to open, or nobody's.
            let Ok(clear) = keys.open(&row, &sealed) else { continue };
            self.seal_into(&mut otp, &clear)?;
            let (Some(new), Some(seal)) = (otp.seed, otp.seal) else { continue };
            self.store.otp_reseal(otp.token, sealed, new, seal).await?;
        }
        Ok(last.filter(|_| full))
    }
}
