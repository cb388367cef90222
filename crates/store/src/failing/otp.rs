//! Operations on authentication tokens, of a store that is down on command.

use async_trait::async_trait;
use counterfoil_authority::keys::KeyId;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    Issued, Otp, OtpAccept, OtpAccepted, OtpCodes, OtpImported, OtpIssue, OtpReplaced, OtpStore,
    SealedAt, Unavailable,
};

use super::{FailingStore, Fate, Told};

#[async_trait]
impl OtpStore for FailingStore {
    async fn otp_issue(&self, issue: OtpIssue) -> Result<Issued, Unavailable> {
        pass!(self.otp_issue(issue))
    }
    async fn otp_import(&self, issues: Vec<OtpIssue>) -> Result<OtpImported, Unavailable> {
        pass!(self.otp_import(issues))
    }
    async fn otp_find(
        &self,
        realm: &RealmName,
        token: TokenId,
    ) -> Result<Option<Otp>, Unavailable> {
        pass!(self.otp_find(realm, token))
    }
    async fn otp_of_person(
        &self,
        realm: &RealmName,
        user: &Username,
    ) -> Result<Vec<Otp>, Unavailable> {
        pass!(self.otp_of_person(realm, user))
    }
    async fn otp_accept(&self, accept: OtpAccept) -> Result<OtpAccepted, Unavailable> {
        pass!(self.otp_accept(accept))
    }
    async fn otp_replace_codes(&self, codes: OtpCodes) -> Result<OtpReplaced, Unavailable> {
        pass!(self.otp_replace_codes(codes))
    }
    async fn otp_missed(&self, token: TokenId) -> Result<(), Unavailable> {
        pass!(self.otp_missed(token))
    }
    async fn otp_sealed_before(
        &self,
        seal: KeyId,
        after: Option<SealedAt>,
        limit: u32,
    ) -> Result<Vec<Otp>, Unavailable> {
        pass!(self.otp_sealed_before(seal, after, limit))
    }
    async fn otp_reseal(
        &self,
        token: TokenId,
        old: Vec<u8>,
        new: Vec<u8>,
        seal: KeyId,
    ) -> Result<bool, Unavailable> {
        pass!(self.otp_reseal(token, old, new, seal))
    }
}
