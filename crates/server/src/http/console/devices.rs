//! `/devices`: what somebody proves themselves with by codes: authenticators and sheets of codes.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use counterfoil_authority::authority::{Act, Answered, Delivery, IssueRequest, OtpDraft};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::otp::Method;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::token::Token;
use zeroize::Zeroizing;

use super::home::Row;
use super::page::{self, Frame};
use super::posted::{Fields, Posted, PostedLately};
use super::qr::Picture;
use super::secrets::{self, Kept};
use super::tokens::id_of;
use super::visit::{Person, see_other};
use crate::http::query::Named;
use crate::http::state::AppState;

/// Devices on the page.
const DEVICES_MAX: u32 = 20;

/// The routes of this file.
pub(super) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/devices", get(page).post(enrol))
        .route("/devices/{id}", get(device))
        .route("/devices/{id}/confirm", post(confirm))
        .route("/devices/{id}/remove", post(remove))
}

/// A device in the list.
struct Device {
    row: Row,
    method: String,
    /// Whether its owner still has to show a code of it.
    unconfirmed: bool,
    /// Codes that are left of a sheet.
    left: Option<usize>,
}

async fn looked_at(person: &Person, token: &Token, method: Method) -> Result<Device, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let otp = authority.otp(caller, &caller.realm, token.id).await?;
    let language = person.visit.language;
    Ok(Device {
        row: Row::of(language, token, authority.now()),
        method: language.say(&format!("method-{}", method.name())),
        unconfirmed: !otp.confirmed,
        left: (method == Method::Backup).then_some(otp.codes.len()),
    })
}

#[derive(Template)]
#[template(path = "console/devices.html")]
struct Page<'a> {
    frame: &'a Frame,
    devices: Vec<Device>,
    once: String,
}

/// The list, and the form for one more.
pub(super) async fn page(person: Person) -> Response {
    match gather(&person).await {
        Ok((devices, once)) => {
            let frame = person.frame();
            page::show(StatusCode::OK, &Page { frame: &frame, devices, once })
        }
        Err(refusal) => person.failed(refusal),
    }
}

async fn gather(person: &Person) -> Result<(Vec<Device>, String), Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let owner = Owner::User(person.signed_in.session.username.clone());
    let filter =
        TokenFilter { owner: Some(owner), kind: Some(Kind::Generic), ..TokenFilter::default() };
    let request = PageRequest::first(DEVICES_MAX);
    let page = authority.tokens(caller, &caller.realm, filter, request).await?;
    let mut devices = Vec::new();
    for token in page.items {
        if let Some(method) = token.otp.filter(|_| token.revocation.is_none()) {
            devices.push(looked_at(person, &token, method).await?);
        }
    }
    Ok((devices, secrets::nonce(authority.entropy())?))
}

fn wish(fields: &Fields) -> Result<IssueRequest, Refusal> {
    let otp = match fields.get("method") {
        // Nothing is asked of it before its owner has shown that they hold it.
        "totp" => OtpDraft { confirm: true, ..OtpDraft::of(Method::Totp) },
        "backup" => OtpDraft::of(Method::Backup),
        _ => return Err(Refusal::invalid("method", "is none of those on offer")),
    };
    Ok(IssueRequest {
        name: Some(fields.title("name")?),
        delivery: Delivery::Response,
        otp: Some(otp),
        ..IssueRequest::of(Kind::Generic, None)
    })
}

#[derive(Template)]
#[template(path = "console/device-secret.html")]
struct Shown<'a> {
    frame: &'a Frame,
    row: Row,
    /// Of an authenticator: the picture to read, and what stands in it.
    picture: Option<Picture>,
    seed: Option<&'a str>,
    /// Of a sheet: the codes.
    codes: Vec<&'a str>,
}

/// The seed in an `otpauth` URI, for who cannot read the picture.
fn seed_in(uri: &str) -> Option<&str> {
    uri.split(['?', '&']).find_map(|field| field.strip_prefix("secret="))
}

/// Enrols a device and shows its secret.
pub(super) async fn enrol(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let enrolled = async {
        let (request, replay) = (wish(&fields)?, secrets::replay(&fields)?);
        let answered = authority.issue(caller, &caller.realm, request, Some(replay)).await?;
        let (token, secret) = match answered {
            Answered::Fresh { token, secret } => {
                (token, Zeroizing::new(secret.reveal().to_owned()))
            }
            Answered::Replayed(bytes) => {
                let (id, secret) = Kept::read(&Zeroizing::new(bytes))?;
                (authority.token(caller, &caller.realm, id).await?, secret)
            }
        };
        Ok::<_, Refusal>(shown(&person, &token, &secret))
    };
    enrolled.await.unwrap_or_else(|refusal| person.failed(refusal))
}

fn shown(person: &Person, token: &Token, secret: &str) -> Response {
    let frame = person.frame();
    let is_uri = secret.starts_with("otpauth://");
    let page = Shown {
        frame: &frame,
        row: Row::of(person.visit.language, token, person.visit.state.authority.now()),
        picture: if is_uri { Picture::of(secret) } else { None },
        seed: if is_uri { seed_in(secret) } else { None },
        codes: if is_uri { Vec::new() } else { secret.lines().collect() },
    };
    page::show(StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "console/device.html")]
struct One<'a> {
    frame: &'a Frame,
    device: Device,
    fault: Option<String>,
}

/// The page of one device.
pub(super) async fn device(person: Person, Named(id): Named) -> Response {
    answer(&person, &id, StatusCode::OK, None).await
}

async fn answer(person: &Person, id: &str, status: StatusCode, fault: Option<String>) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let found = async {
        let token = authority.token(caller, &caller.realm, id_of(id)?).await?;
        let method = token.otp.ok_or(Refusal::NotFound(Thing::Token))?;
        looked_at(person, &token, method).await
    };
    match found.await {
        Ok(device) => {
            let frame = person.frame();
            page::show(status, &One { frame: &frame, device, fault })
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Takes a code as proof that the owner has the device.
pub(super) async fn confirm(Named(id): Named, form: Posted) -> Response {
    let Posted { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    // Authenticators show their codes in groups.
    let code: String = fields.get("code").chars().filter(|c| !c.is_whitespace()).collect();
    let confirmed = async {
        let code = ClearSecret::new(code);
        authority.otp_confirm(caller, &caller.realm, id_of(&id)?, &code).await
    };
    match confirmed.await {
        Ok(_) => see_other("/devices"),
        Err(Refusal::Invalid { .. }) => {
            let fault = Some(person.visit.language.say("device-code-wrong"));
            answer(&person, &id, StatusCode::UNPROCESSABLE_ENTITY, fault).await
        }
        Err(refusal) => person.failed(refusal),
    }
}

/// Ends a device for good.
pub(super) async fn remove(Named(id): Named, form: PostedLately) -> Response {
    let person = form.person;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let removed = async {
        let id = id_of(&id)?;
        authority.change(caller, &caller.realm, id, Act::Revoke { reason: None }, None).await
    };
    match removed.await {
        Ok(_) => see_other("/devices"),
        Err(refusal) => person.failed(refusal),
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_authority::otp::METHODS;

    use super::*;
    use crate::http::console::words::Language;

    #[test]
    fn the_seed_is_found_in_its_uri() {
        let uri = "otpauth://totp/main:alice?secret=JBSWY3DPEHPK3PXP&issuer=main";
        assert_eq!(seed_in(uri), Some("JBSWY3DPEHPK3PXP"));
        assert_eq!(seed_in("otpauth://totp/x"), None);
    }

    #[test]
    fn every_method_has_a_word() {
        for language in [Language::English, Language::German] {
            for method in METHODS {
                let id = format!("method-{}", method.name());
                assert_ne!(language.say(&id), id);
            }
        }
    }
}
