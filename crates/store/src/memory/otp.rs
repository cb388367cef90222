//! Authentication tokens, in memory.

use async_trait::async_trait;
use counterfoil_authority::keys::KeyId;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::otp::codes::EMAIL_ATTEMPTS_MAX;
use counterfoil_authority::repository::Place;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::store::{
    Consumed, Issued, OTPS_PER_PERSON_MAX, Otp, OtpAccept, OtpAccepted, OtpCodes, OtpImported,
    OtpIssue, OtpProof, OtpReplaced, OtpStore, OtpUse, SealedAt, Unavailable,
};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::State as TokenState;

use super::{Earlier, Held, MemoryStore, State};
use crate::codec;

/// An authentication token; its codes are those that nobody has used.
pub(super) type Kept = Otp;

/// As the store shows it: codes by name.
fn shown(otp: &Otp) -> Otp {
    let mut otp = otp.clone();
    otp.codes.sort_by(|one, other| one.id.cmp(&other.id));
    otp
}

impl State {
    pub(super) fn issue_otp(&mut self, issue: &OtpIssue) -> Issued {
        let OtpIssue { token, otp, limits, data, idempotency, event } = issue;
        match self.earlier(idempotency.as_ref(), token.created_at) {
            Earlier::Answered(answer) => return Issued::Replayed(answer),
            Earlier::Other => return Issued::KeyReused,
            Earlier::None => {}
        }
        let issued = self.arrive(token, None, limits, idempotency.as_ref(), event);
        if matches!(issued, Issued::Done { .. }) {
            self.otps.insert(token.id, otp.clone());
            self.data.extend(data.clone().map(|sealed| (token.id, sealed)));
        }
        issued
    }

    fn within(&self, realm: &RealmName, token: TokenId) -> Option<&Held> {
        self.tokens.get(&token).filter(|held| held.token.realm == *realm)
    }

    fn accept(&mut self, accept: &OtpAccept) -> OtpAccepted {
        let OtpAccept { token, proof, purpose, at, ip, event } = accept;
        let adjusts = *purpose == OtpUse::Adjust;
        let state = self.tokens.get(token).map(|held| held.token.state(*at));
        match state.unwrap_or(TokenState::Revoked) {
            TokenState::Active => {}
            TokenState::Revoked => return OtpAccepted::Refused(TokenState::Revoked),
            _ if adjusts => {}
            ended => return OtpAccepted::Refused(ended),
        }
        let Some(otp) = self.otps.get_mut(token) else { return OtpAccepted::Spent };
        match proof {
            OtpProof::Place { at: place, drift } => {
                if otp.accepted >= *place || !(otp.confirmed || adjusts) {
                    return OtpAccepted::Spent;
                }
                (otp.accepted, otp.drift, otp.confirmed) = (*place, *drift, true);
            }
            OtpProof::Code(id) => {
                let found = otp.codes.iter().position(|code| {
                    code.id == *id
                        && code.expires_at.is_none_or(|end| end > *at)
                        && code.attempts < EMAIL_ATTEMPTS_MAX
                });
                let Some(place) = found else { return OtpAccepted::Spent };
                otp.codes.remove(place);
            }
        }
        let mut used = 0;
        if *purpose == (OtpUse::Verify { counted: true })
            && let Consumed::Done { used: taken } = self.consume(*token, *at, *ip)
        {
            used = taken;
        }
        if let Some(event) = event {
            self.record(event);
        }
        OtpAccepted::Done { used }
    }

    fn replace_codes(&mut self, codes: &OtpCodes) -> OtpReplaced {
        let OtpCodes { realm, token, codes, unless_since, at, event } = codes;
        let stands = self.within(realm, *token);
        if stands.is_none_or(|held| held.token.revocation.is_some()) {
            return OtpReplaced::NotFound;
        }
        let Some(otp) = self.otps.get_mut(token) else { return OtpReplaced::NotFound };
        if unless_since.is_some_and(|since| otp.codes_at.is_some_and(|made| made > since)) {
            return OtpReplaced::TooSoon;
        }
        otp.codes_at = Some(*at);
        otp.codes.clone_from(codes);
        self.record(event);
        OtpReplaced::Done
    }
}

#[async_trait]
impl OtpStore for MemoryStore {
    async fn otp_issue(&self, issue: OtpIssue) -> Result<Issued, Unavailable> {
        Ok(self.write(|state| state.issue_otp(&issue)))
    }

    async fn otp_import(&self, issues: Vec<OtpIssue>) -> Result<OtpImported, Unavailable> {
        Ok(self.write(|state| {
            let before = state.clone();
            for (index, issue) in issues.iter().enumerate() {
                let why = state.issue_otp(issue);
                if !matches!(why, Issued::Done { .. }) {
                    *state = before;
                    return OtpImported::Refused { index, why };
                }
            }
            OtpImported::Done
        }))
    }

    async fn otp_find(
        &self,
        realm: &RealmName,
        token: TokenId,
    ) -> Result<Option<Otp>, Unavailable> {
        Ok(self.read(|state| {
            state.within(realm, token)?;
            state.otps.get(&token).map(shown)
        }))
    }

    async fn otp_of_person(
        &self,
        realm: &RealmName,
        user: &Username,
    ) -> Result<Vec<Otp>, Unavailable> {
        Ok(self.read(|state| {
            let owner = Owner::User(user.clone());
            let mut found: Vec<(String, Otp)> = Vec::new();
            for otp in state.otps.values() {
                let Some(held) = state.within(realm, otp.token) else { continue };
                let token = &held.token;
                let theirs = token.owner == owner && token.kind == Kind::Generic;
                let in_stock = token.repository.as_ref().is_some_and(|at| at.place == Place::Stock);
                if theirs && !in_stock && token.revocation.is_none() {
                    found.push((codec::sort_key(token.created_at, token.id), shown(otp)));
                }
            }
            found.sort_by(|one, other| other.0.cmp(&one.0));
            let first = found.into_iter().take(OTPS_PER_PERSON_MAX as usize);
            first.map(|(_, otp)| otp).collect()
        }))
    }

    async fn otp_accept(&self, accept: OtpAccept) -> Result<OtpAccepted, Unavailable> {
        Ok(self.write(|state| state.accept(&accept)))
    }

    async fn otp_replace_codes(&self, codes: OtpCodes) -> Result<OtpReplaced, Unavailable> {
        Ok(self.write(|state| state.replace_codes(&codes)))
    }

    async fn otp_missed(&self, token: TokenId) -> Result<(), Unavailable> {
        self.write(|state| {
            let codes = state.otps.get_mut(&token).map(|otp| &mut otp.codes);
            for code in codes.into_iter().flatten().filter(|code| code.expires_at.is_some()) {
                code.attempts += 1;
            }
        });
        Ok(())
    }

    async fn otp_sealed_before(
        &self,
        seal: KeyId,
        after: Option<SealedAt>,
        limit: u32,
    ) -> Result<Vec<Otp>, Unavailable> {
        Ok(self.read(|state| {
            let old = state.otps.values().filter_map(|otp| {
                let at = SealedAt { seal: otp.seal?, token: otp.token };
                (at.seal < seal && after.is_none_or(|after| at > after)).then_some((at, otp))
            });
            let mut old: Vec<_> = old.collect();
            old.sort_by_key(|(at, _)| *at);
            let first = old.into_iter().take(limit as usize);
            first.map(|(_, otp)| Otp { codes: Vec::new(), ..otp.clone() }).collect()
        }))
    }

    async fn otp_reseal(
        &self,
        token: TokenId,
        old: Vec<u8>,
        new: Vec<u8>,
        seal: KeyId,
    ) -> Result<bool, Unavailable> {
        Ok(self.write(|state| {
            let Some(otp) = state.otps.get_mut(&token) else { return false };
            if otp.seed.as_ref() != Some(&old) {
                return false;
            }
            (otp.seed, otp.seal) = (Some(new), Some(seal));
            true
        }))
    }
}
