//! Codes that are good once: whose are they, of which token, and has anybody used them?
//!
//! A code names no token. It is compared with every authentication token of the person who is
//! named, and a wrong one belongs to none of them: it changes no counter of any token, and is
//! counted for the person and where it came from instead (`abuse::CodeThrottle`).

use std::sync::Arc;

use super::judge::decide_matched;
use super::{Decision, Good, Here, Surroundings, Verdict, VerifyRequest, idle};
use crate::abuse::Miss;
use crate::authority::Authority;
use crate::cache::{Entry, Matched};
use crate::clock::Timestamp;
use crate::keys::{KeyId, KeyPurpose, KeyRing};
use crate::names::Username;
use crate::otp::{self, Method, SharedSeed, codes, oath, yubikey};
use crate::refusal::Refusal;
use crate::secret::Shape;
use crate::store::{Otp, OtpAccept, OtpAccepted, OtpProof, OtpUse, Unavailable};
use crate::verdict::Reason;

/// The one token that a client says it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected<'a> {
    /// The token of this id or, of an authentication token, of this serial.
    Serial(&'a str),
    /// The authentication token that was sent the code of this id.
    Challenge(&'a str),
}

/// What a text with the form of a code was found to be.
pub(super) enum Coded {
    /// A code of this person's: the verdict about it.
    Said(Verdict),
    /// None that anything was compared with: nobody is named, or has any codes.
    Nothing,
    /// None of this person's, who has some. It may be a secret of another sort.
    No(NoCode),
}

/// Why a text is taken for none of its person's codes.
pub(super) enum NoCode {
    /// It was compared, and counted as a wrong one if there was anything to compare it with.
    Looked(Option<Box<Miss>>),
    /// So many wrong ones came before it that nobody looks.
    Waits,
}

impl Authority {
    /// The same as [`Authority::verify`], good only if it is the secret or code of one token.
    pub async fn verify_selected(
        &self,
        request: VerifyRequest<'_>,
        selected: Selected<'_>,
    ) -> Result<Verdict, Refusal> {
        let now = self.now();
        if otp::looks_like_code(request.presented) {
            return self.verify_selected_code(request, selected, now).await;
        }
        let Selected::Serial(serial) = selected else {
            return self.refused(&request, Reason::Unknown, None, now);
        };
        if let Shape::Prefixed { id, .. } = self.shape(request.presented) {
            return if id.as_str() == serial {
                self.verify(request).await
            } else {
                self.refused(&request, Reason::Unknown, None, now)
            };
        }
        // Which token it is shows when it is found; a use is counted only of the right one.
        match self.verify(VerifyRequest { consume: false, ..request }).await? {
            Verdict::Active(active) if active.token().as_str() == serial => {
                self.verify(request).await
            }
            Verdict::Active(_) => self.refused(&request, Reason::Unknown, None, now),
            inactive @ Verdict::Inactive { .. } => Ok(inactive),
        }
    }

    /// The same for what has the form of a code.
    async fn verify_selected_code(
        &self,
        request: VerifyRequest<'_>,
        selected: Selected<'_>,
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        let (realm, services) = match self.surroundings_read(&request).await? {
            Ok(found) => found,
            Err(reason) => return self.refused(&request, reason, None, now),
        };
        let keys = self.keys.load();
        let around = Surroundings { request, services: &services, realm: &realm, keys: &keys, now };
        let no_code = match self.verify_code(&around, Some(selected)).await? {
            Coded::Said(verdict) => return Ok(verdict),
            Coded::Nothing => NoCode::Looked(None),
            Coded::No(no_code) => no_code,
        };
        // What is left is a chosen secret with the form of a code. The codes of other tokens
        // are not looked at: a look uses them up.
        let Selected::Serial(serial) = selected else {
            return self.settled(&request, None, &no_code, now);
        };
        let look = VerifyRequest { consume: false, ..request };
        let looking = Surroundings { request: look, ..around };
        let mut said = self.verify_slowly(&looking).await?;
        if let Here::Said(Verdict::Active(active)) = &said {
            if active.token().as_str() != serial {
                return self.refused(&request, Reason::Unknown, None, now);
            }
            said = self.verify_slowly(&Surroundings { request, ..looking }).await?;
        }
        let said = match said {
            Here::Said(verdict) => Some(verdict),
            Here::NotOurs(_) | Here::NoCode(..) => None,
        };
        self.settled(&request, said, &no_code, now)
    }

    /// What comes of a text that may be a code.
    pub(super) async fn verify_code(
        &self,
        around: &Surroundings<'_>,
        selected: Option<Selected<'_>>,
    ) -> Result<Coded, Refusal> {
        let request = &around.request;
        if !otp::looks_like_code(request.presented) {
            return Ok(Coded::Nothing);
        }
        let Some(user) = request.username.and_then(|name| Username::parse(name).ok()) else {
            return Ok(Coded::Nothing);
        };
        let mut otps = self.store.otp_of_person(request.realm, &user).await?;
        if otps.is_empty() {
            return Ok(Coded::Nothing);
        }
        let (realm, name) = (request.realm.as_str(), user.as_str());
        let source = request.client_ip;
        let waits = || !self.codes.wait(source, realm, name, around.now).is_zero();
        if self.settings.throttle && waits() {
            return Ok(Coded::No(NoCode::Waits));
        }
        if let Some(selected) = selected {
            otps = self.only(request, otps, selected).await?;
            if otps.is_empty() {
                return Ok(Coded::Nothing);
            }
        }
        let mut last = None;
        for otp in &otps {
            let Some(proof) = recognised(around.keys, otp, request.presented, around.now)? else {
                continue;
            };
            let verdict = self.conclude_code(around, otp, proof).await?;
            if matches!(verdict, Verdict::Active(_)) {
                self.codes.accepted(source, realm, name, around.now);
                return Ok(Coded::Said(verdict));
            }
            last = Some(verdict);
        }
        if let Some(verdict) = last {
            return Ok(Coded::Said(verdict));
        }
        let miss = self.codes.failed(source, realm, name, around.now);
        if let (Some(_), [otp]) = (selected, otps.as_slice())
            && otp.method == Method::Email
        {
            self.store.otp_missed(otp.token).await?;
        }
        Ok(Coded::No(NoCode::Looked(Some(Box::new(miss)))))
    }

    /// Looks among the chosen secrets for what is no code of its person, although it looks like
    /// one and they have some.
    pub(super) async fn verify_uncoded(
        &self,
        around: &Surroundings<'_>,
        no_code: NoCode,
    ) -> Result<Here, Refusal> {
        match self.verify_slowly(around).await? {
            Here::Said(verdict) => {
                let said = Some(verdict);
                self.settled(&around.request, said, &no_code, around.now).map(Here::Said)
            }
            Here::NotOurs(now) | Here::NoCode(now, _) => Ok(Here::NoCode(now, no_code)),
        }
    }

    /// The end of a text that is no code: what was said of it as a secret of another sort, or that
    /// nobody knows it. Whoever presented a right secret did not guess at a code.
    pub(super) fn settled(
        &self,
        request: &VerifyRequest<'_>,
        said: Option<Verdict>,
        no_code: &NoCode,
        now: Timestamp,
    ) -> Result<Verdict, Refusal> {
        match (said, no_code) {
            (Some(verdict), NoCode::Looked(Some(miss))) => {
                if !matches!(verdict, Verdict::Inactive { token: None, .. }) {
                    self.codes.forgiven(miss);
                }
                Ok(verdict)
            }
            (Some(verdict), _) => Ok(verdict),
            (None, NoCode::Waits) => self.refused(request, Reason::RateLimited, None, now),
            (None, NoCode::Looked(_)) => self.refused(request, Reason::Unknown, None, now),
        }
    }

    /// Of a person's authentication tokens, the one that is meant.
    async fn only(
        &self,
        request: &VerifyRequest<'_>,
        otps: Vec<Otp>,
        selected: Selected<'_>,
    ) -> Result<Vec<Otp>, Refusal> {
        let mut left = Vec::new();
        for otp in otps {
            let is = match selected {
                Selected::Challenge(id) => otp.codes.iter().any(|code| code.id == id),
                Selected::Serial(serial) if otp.token.as_str() == serial => true,
                Selected::Serial(serial) => {
                    let token = self.store.token_find(request.realm, otp.token).await?;
                    token.is_some_and(|token| token.airlock.serial.as_deref() == Some(serial))
                }
            };
            if is {
                left.push(otp);
            }
        }
        Ok(left)
    }

    /// Judges the token whose code was recognised, and uses the code up.
    async fn conclude_code(
        &self,
        around: &Surroundings<'_>,
        otp: &Otp,
        proof: OtpProof,
    ) -> Result<Verdict, Refusal> {
        let (request, id) = (&around.request, otp.token);
        let denied = |reason| {
            self.ledger.denied(id);
            self.refused(request, reason, Some(id), around.now)
        };
        let Some(entry) = self.entry(id).await? else {
            return self.refused(request, Reason::Unknown, None, around.now);
        };
        let entry: &Arc<Entry> = &entry;
        if !otp.confirmed {
            return denied(Reason::Pending);
        }
        let (active, limit) = match decide_matched(entry, Matched::Good, None, around) {
            Decision::Good(Good { active, limit, .. }) => (active, limit),
            Decision::Bad { reason, .. } => return denied(reason),
            Decision::Keyless(lost) => return Err(Unavailable::from(lost).into()),
        };
        if idle::window(around, &active).is_some()
            && let Some(reason) = self.idle_refuses(around, &active).await?
        {
            return denied(reason);
        }
        let counted = limit.is_some() && request.consume;
        let accept = OtpAccept {
            token: id,
            proof,
            purpose: OtpUse::Verify { counted },
            at: around.now,
            ip: request.client_ip,
            event: None,
        };
        match self.store.otp_accept(accept).await? {
            OtpAccepted::Done { used } => {
                self.note_what_for(request, &active, around.now);
                if request.consume && !counted {
                    let (ip, door) = (request.client_ip, request.origin.door);
                    self.ledger.accepted_listed(id, around.now, ip, door);
                }
                let remaining = limit.filter(|_| counted).map(|limit| limit.saturating_sub(used));
                let method = Some(otp.method);
                Ok(Verdict::Active(super::Active { remaining, method, ..active }))
            }
            OtpAccepted::Spent => denied(Reason::Exhausted),
            OtpAccepted::Refused(state) => denied(state.refusal().unwrap_or(Reason::Exhausted)),
        }
    }
}

/// What a code is of this token, if it is one of its codes at all. Whether it was used is for the
/// store to say.
///
/// # Errors
///
/// A key that the installation has and this node has not: the code may be right.
pub(in crate::authority) fn recognised(
    keys: &KeyRing,
    otp: &Otp,
    presented: &str,
    now: Timestamp,
) -> Result<Option<OtpProof>, Unavailable> {
    let place = |place: oath::Place| OtpProof::Place { at: place.at, drift: place.drift };
    Ok(match otp.method {
        Method::Totp | Method::Hotp if !otp.shape.fits(presented) => None,
        Method::Totp => seed_of(keys, otp)?
            .and_then(|seed| oath::find_step(&seed, otp.shape, otp.drift, now, presented))
            .map(place),
        Method::Hotp => seed_of(keys, otp)?
            .and_then(|seed| oath::find_counter(&seed, otp.shape, otp.accepted, presented))
            .map(place),
        Method::Yubikey => {
            let public = yubikey::split(presented).map(|(public, _)| public.to_ascii_lowercase());
            if public.is_none() || public != otp.public_id {
                return Ok(None);
            }
            opened(keys, otp)?
                .and_then(|bytes| yubikey::DeviceSecret::from_bytes(&bytes))
                .and_then(|device| device.place_of(presented))
                .map(|at| OtpProof::Place { at, drift: 0 })
        }
        Method::Backup => match codes::normal(presented) {
            Some(normal) => kept(keys, otp, &normal, now)?,
            None => None,
        },
        Method::Email => {
            let digits = presented.bytes().all(|b| b.is_ascii_digit());
            if !digits || presented.len() != codes::EMAIL_DIGITS as usize {
                return Ok(None);
            }
            kept(keys, otp, presented, now)?
        }
    })
}

/// The kept code that this is.
fn kept(
    keys: &KeyRing,
    otp: &Otp,
    normal: &str,
    now: Timestamp,
) -> Result<Option<OtpProof>, Unavailable> {
    let open = || {
        let lasts = |code: &&crate::store::OtpCode| code.expires_at.is_none_or(|end| end > now);
        otp.codes.iter().filter(lasts)
    };
    for pepper in keys.peppers() {
        let mac = codes::hash(pepper, otp.token, normal);
        if let Some(code) = open().find(|code| code.pepper == pepper.id() && code.mac == mac) {
            return Ok(Some(OtpProof::Code(code.id.clone())));
        }
    }
    keys.require_peppers(open().map(|code| code.pepper))?;
    Ok(None)
}

/// The seed of a token of HOTP or TOTP.
pub(in crate::authority) fn seed_of(
    keys: &KeyRing,
    otp: &Otp,
) -> Result<Option<SharedSeed>, Unavailable> {
    Ok(opened(keys, otp)?.and_then(|bytes| SharedSeed::new(bytes.to_vec()).ok()))
}

/// What is sealed of a token. A value that was altered or moved here opens nothing, for nobody;
/// one whose key is elsewhere is no denial.
fn opened(keys: &KeyRing, otp: &Otp) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Unavailable> {
    let (Some(sealed), Some(seal)) = (&otp.seed, otp.seal) else { return Ok(None) };
    match keys.open(&Otp::row(otp.token, otp.method), sealed) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) if !keys.holds(KeyPurpose::Seal, seal) => Err(lost(seal)),
        Err(unsealable) => {
            tracing::error!(token = %otp.token, "the seed of a token was altered: {unsealable}");
            Ok(None)
        }
    }
}

fn lost(id: KeyId) -> Unavailable {
    Unavailable::from(crate::keys::KeyNotHere { purpose: KeyPurpose::Seal, id })
}
