//! Enrolling: a seed is drawn or taken, sealed to its token, and shown once.

use zeroize::Zeroizing;

use crate::authority::{Authority, IssueRequest};
use crate::cache::RealmCell;
use crate::clock::Timestamp;
use crate::event::time_ordered_id;
use crate::kind::Kind;
use crate::otp::codes::{self, CODES_DEFAULT, CODES_MAX};
use crate::otp::uri::{Enrolment, uri};
use crate::otp::yubikey::DeviceSecret;
use crate::otp::{Method, Shape, SharedSeed};
use crate::refusal::Refusal;
use crate::repository::Place;
use crate::secret::{ClearSecret, TokenId};
use crate::service::Services;
use crate::store::{Issued, NOTHING_ACCEPTED, Otp, OtpCode, OtpIssue, TokenIssue};
use crate::subject::Owner;
use crate::token::Token;
use crate::verdict::Door;

/// Where an authentication token is good that names no doors: where an application asks that has
/// authenticated itself, and decides what a code is worth to it. A bind or a request with nothing
/// but six digits is nobody's wish unless they say so.
pub(in crate::authority) const CODE_DOORS: [Door; 2] = [Door::Api, Door::Validate];

/// The furthest counter that an authentication token begins with: no device comes so far, every
/// program reads the number exactly, and the places behind it are numbers still.
const COUNTER_MAX: u64 = (1 << 53) - 1;

/// An authentication token that somebody asks for.
#[derive(Debug, Clone)]
pub struct OtpDraft {
    /// How it is to prove itself.
    pub method: Method,
    /// What its codes look like.
    pub shape: Shape,
    /// A seed that another party made; absent: one is drawn here. For HOTP and TOTP.
    pub seed: Option<SharedSeed>,
    /// The counter of HOTP that comes next.
    pub counter: u64,
    /// What was written into a `YubiKey`, and its public id.
    pub device: Option<(DeviceSecret, String)>,
    /// How many backup codes; 10 unless given.
    pub codes: Option<u32>,
    /// Whether it is good for nothing until its owner has shown a code of it.
    pub confirm: bool,
}

impl OtpDraft {
    /// A token of this method, as it is by default.
    pub fn of(method: Method) -> Self {
        Self {
            method,
            shape: Shape::default(),
            seed: None,
            counter: 0,
            device: None,
            codes: None,
            confirm: false,
        }
    }

    /// Whether enrolling it shows what nobody knew before.
    pub(in crate::authority) const fn shows_secret(&self) -> bool {
        match self.method {
            Method::Totp | Method::Hotp => self.seed.is_none(),
            Method::Backup => true,
            Method::Yubikey | Method::Email => false,
        }
    }

    /// Whether there can be such a token.
    pub(in crate::authority) fn check(&self) -> Result<(), Refusal> {
        self.shape.check().map_err(|(field, why)| Refusal::invalid(field, why))?;
        let counts = matches!(self.method, Method::Totp | Method::Hotp);
        if self.seed.is_some() && !counts {
            return Err(Refusal::invalid("otp.seed", "only totp and hotp have a seed"));
        }
        if self.device.is_some() != (self.method == Method::Yubikey) {
            let why = "a yubikey, and nothing else, has the key and ids that are written into it";
            return Err(Refusal::invalid("otp.aes_key", why));
        }
        if self.codes.is_some_and(|n| self.method != Method::Backup || n == 0 || n > CODES_MAX) {
            let why = format!("a sheet of backup codes has 1 to {CODES_MAX}");
            return Err(Refusal::invalid("otp.codes", why));
        }
        if self.confirm && matches!(self.method, Method::Backup | Method::Email) {
            return Err(Refusal::invalid("otp.confirm", "is for what an owner holds in hand"));
        }
        if self.counter > 0 && self.method != Method::Hotp {
            return Err(Refusal::invalid("otp.counter", "is the next counter of hotp"));
        }
        if self.counter > COUNTER_MAX {
            return Err(Refusal::invalid("otp.counter", format!("is at most {COUNTER_MAX}")));
        }
        Ok(())
    }
}

impl Authority {
    /// What is not said of an authentication token: all services, and the doors of those who ask.
    pub(in crate::authority) fn completed_otp(
        mut request: IssueRequest,
    ) -> Result<IssueRequest, Refusal> {
        let Some(otp) = &request.otp else { return Ok(request) };
        if request.kind != Kind::Generic {
            return Err(Refusal::invalid("kind", "an authentication token is of the kind generic"));
        }
        if request.secret.is_some() {
            return Err(Refusal::invalid("secret", "an authentication token has no secret"));
        }
        otp.check()?;
        request.services.get_or_insert(Services::All);
        request.doors.get_or_insert_with(|| CODE_DOORS.to_vec());
        Ok(request)
    }

    /// Draws what makes a token an authentication token. `shown` becomes what its owner is shown:
    /// the URI for an authenticator, the backup codes one to a line, or nothing.
    pub(in crate::authority) fn drawn_otp(
        &self,
        draft: &OtpDraft,
        token: &Token,
        realm: &RealmCell,
        shown: &mut ClearSecret,
    ) -> Result<Otp, Refusal> {
        let in_stock = token.repository.as_ref().is_some_and(|at| at.place == Place::Stock);
        let account = match &token.owner {
            Owner::User(user) if !in_stock => user.as_str(),
            // Nobody is shown this one.
            _ if in_stock => token.id.as_str(),
            _ => return Err(Refusal::invalid("user", "name the person whose codes these are")),
        };
        let mut otp = Otp {
            token: token.id,
            method: draft.method,
            shape: draft.shape,
            seed: None,
            seal: None,
            public_id: None,
            accepted: i64::try_from(draft.counter).unwrap_or(0) + NOTHING_ACCEPTED,
            drift: 0,
            confirmed: !draft.confirm,
            codes_at: None,
            codes: Vec::new(),
        };
        *shown = ClearSecret::new(String::new());
        match draft.method {
            Method::Totp | Method::Hotp => {
                let seed = match &draft.seed {
                    Some(seed) => seed.clone(),
                    None => SharedSeed::generate(self.entropy())?,
                };
                self.seal_into(&mut otp, seed.bytes())?;
                let named = realm.realm.display_name.as_deref();
                let enrolment = Enrolment {
                    method: draft.method,
                    shape: draft.shape,
                    issuer: named.unwrap_or(realm.realm.name.as_str()),
                    account,
                    counter: draft.counter,
                };
                *shown = ClearSecret::new(uri(enrolment, &seed).to_string());
            }
            Method::Yubikey => {
                let Some((device, public_id)) = &draft.device else {
                    return Err(Refusal::invalid("otp.aes_key", "is needed"));
                };
                self.seal_into(&mut otp, device.bytes())?;
                otp.public_id = Some(public_id.to_ascii_lowercase());
            }
            Method::Backup => {
                let number = draft.codes.unwrap_or(CODES_DEFAULT);
                let (kept, sheet) = self.drawn_codes(token.id, number, token.created_at)?;
                (otp.codes, otp.codes_at) = (kept, Some(token.created_at));
                *shown = sheet;
            }
            Method::Email => {}
        }
        Ok(otp)
    }

    /// Stores a token with its secret, or with what it has in place of one.
    pub(in crate::authority) async fn store_drawn(
        &self,
        issue: TokenIssue,
        otp: Option<Otp>,
        clear: &ClearSecret,
    ) -> Result<Issued, Refusal> {
        let Some(otp) = otp else { return self.store_issue(issue, clear).await };
        let TokenIssue { token, limits, data, idempotency, event, .. } = issue;
        let detail = serde_json::json!({ "method": otp.method.name() });
        let event = event.with_detail(detail);
        let issue = OtpIssue { token, otp, limits, data, idempotency, event };
        Ok(self.store.otp_issue(issue).await?)
    }

    /// Seals what a token computes its codes from.
    pub(super) fn seal_into(&self, otp: &mut Otp, clear: &[u8]) -> Result<(), Refusal> {
        let keys = self.keys();
        let row = Otp::row(otp.token, otp.method);
        otp.seed = Some(keys.seal(&row, clear, self.entropy())?);
        otp.seal = Some(keys.newest_seal());
        Ok(())
    }

    /// Fresh backup codes: as they are kept, and as a sheet.
    pub(super) fn drawn_codes(
        &self,
        token: TokenId,
        number: u32,
        now: Timestamp,
    ) -> Result<(Vec<OtpCode>, ClearSecret), Refusal> {
        let keys = self.keys();
        let pepper = keys.pepper();
        let (mut kept, mut sheet) = (Vec::new(), Zeroizing::new(String::new()));
        for _ in 0..number {
            let code = codes::generate(self.entropy())?;
            let normal = codes::normal(&code).unwrap_or_default();
            kept.push(OtpCode {
                id: time_ordered_id(now, self.entropy())?,
                pepper: pepper.id(),
                mac: codes::hash(pepper, token, &normal),
                expires_at: None,
                attempts: 0,
                sealed: None,
            });
            if !sheet.is_empty() {
                sheet.push('\n');
            }
            sheet.push_str(&code);
        }
        kept.sort_by(|one, other| one.id.cmp(&other.id));
        Ok((kept, ClearSecret::new(sheet.to_string())))
    }
}
