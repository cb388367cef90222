//! New registration tokens, one at a time. The secret is shown by the answer to the form.

use axum::response::Response;
use counterfoil_authority::authority::{Answered, Delivery, Expiry, IssueRequest};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::token::SentinelAttributes;
use zeroize::Zeroizing;

use super::parts::{self, Button, Field, Form, Link, Part};
use super::{Section, require_others, unit_choices};
use crate::http::console::posted::{Fields, PostedLately, title, word};
use crate::http::console::secrets::{Kept, nonce, replay};
use crate::http::console::visit::Person;
use crate::http::wire::Line;

const DAY: i64 = 86_400;
/// Longest life that a form may ask for, in days.
const DAYS_MAX: i64 = 36_600;
/// Most draws that a form may ask for.
const COUNT_MAX: u64 = 9_007_199_254_740_991;

/// The id and the secret of an answer, the first time and whenever the same form comes again.
pub(super) fn kept_of(answered: Answered) -> Result<(String, Zeroizing<String>), Refusal> {
    match answered {
        Answered::Fresh { token, secret } => {
            Ok((token.id.to_string(), Zeroizing::new(secret.reveal().to_owned())))
        }
        Answered::Replayed(bytes) => {
            let bytes = Zeroizing::new(bytes);
            let kept: Kept = serde_json::from_slice(&bytes)
                .map_err(|_| Refusal::invalid("once", "was used for something else"))?;
            Ok((kept.token, Zeroizing::new(kept.secret)))
        }
    }
}

/// What is asked for of a registration token.
pub(super) struct Wish<'a> {
    pub(super) name: &'a str,
    pub(super) unit: Option<String>,
    pub(super) count: &'a str,
    pub(super) days: &'a str,
    pub(super) identifier: &'a str,
    pub(super) approval: &'a str,
}

impl Wish<'_> {
    /// The request to the authority.
    pub(super) fn request(self) -> Result<IssueRequest, Refusal> {
        let count = match super::given(self.count) {
            None => None,
            Some(text) => match text.parse() {
                Ok(count @ 1..=COUNT_MAX) => Some(count),
                _ => return Err(Refusal::invalid("count", "is a number of 1 at least")),
            },
        };
        let expires = match super::given(self.days) {
            None => Expiry::Default,
            Some(text) => match text.parse() {
                Ok(days @ 1..=DAYS_MAX) => Expiry::After(days * DAY),
                _ => return Err(Refusal::invalid("days", "is a number of days")),
            },
        };
        let line = |field, text| Ok::<_, Refusal>(word::<Line>(field, text)?.map(|line| line.0));
        Ok(IssueRequest {
            name: Some(title("name", self.name)?),
            expires,
            unit: self.unit,
            delivery: Delivery::Response,
            sentinel: SentinelAttributes {
                count,
                identifier: line("identifier", self.identifier)?,
                approval: line("approval", self.approval)?,
                ..SentinelAttributes::default()
            },
            ..IssueRequest::of(Kind::RegistrationToken, None)
        })
    }
}

/// The form.
pub(super) async fn form(person: Person) -> Response {
    let gathered = async {
        require_others(person.caller(), ApiScope::RegistrationTokensWrite)?;
        let frame = person.frame();
        let units = unit_choices(&person, frame.say("unit-none"), "").await?;
        Ok::<_, Refusal>((units, nonce(person.visit.state.authority.entropy())?))
    };
    let (mut units, once) = match gathered.await {
        Ok(gathered) => gathered,
        Err(refusal) => return person.failed(refusal),
    };
    let frame =
        person.admin_frame(Section::Registrations, &[&person.frame().say("registration-new")]);
    // Who administers one unit mints for that one.
    if let [_, only] = units.as_mut_slice() {
        only.2 = true;
    }
    let approvals = vec![
        (String::new(), frame.say("approval-automatic"), true),
        ("required".to_owned(), frame.say("approval-required"), false),
    ];
    let form = Form::acts("mint", format!("{}/new", Section::Registrations.path()))
        .with(Field::hidden("once", once))
        .with(Field::text("name", frame.say("field-name"), "").required())
        .with(Field::choice("unit", frame.say("field-unit"), units))
        .with(
            Field::number("count", frame.say("registration-count"), "")
                .hinted(frame.say("registration-count-hint")),
        )
        .with(
            Field::number("days", frame.say("registration-days"), "")
                .hinted(frame.say("registration-days-hint")),
        )
        .with(Field::text("identifier", frame.say("registration-identifier"), ""))
        .with(Field::choice("approval", frame.say("registration-approval"), approvals))
        .ending(Button::plain(frame.say("registration-do")));
    parts::show(&frame, frame.say("registration-new"), vec![Part::Form(form)])
}

fn request(fields: &Fields) -> Result<IssueRequest, Refusal> {
    let wish = Wish {
        name: fields.get("name"),
        unit: fields.text("unit"),
        count: fields.get("count"),
        days: fields.get("days"),
        identifier: fields.get("identifier"),
        approval: fields.get("approval"),
    };
    wish.request()
}

/// Makes a registration token and shows its secret.
pub(super) async fn mint(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let minted = async {
        let (request, replay) = (request(&fields)?, replay(&fields)?);
        let answered = authority.issue(caller, &caller.realm, request, Some(replay)).await?;
        kept_of(answered)
    };
    match minted.await {
        Ok((id, secret)) => {
            let frame = person
                .admin_frame(Section::Registrations, &[&person.frame().say("registration-new")]);
            let done = format!("{}/{id}", Section::Registrations.path());
            let name = fields.get("name").trim();
            let parts = vec![
                Part::Alert(frame.about("secret-what", name)),
                Part::Secret(secret.to_string()),
                Part::Text(frame.say("registration-use")),
                Part::Links(vec![Link::button(done, frame.say("secret-saved"))]),
            ];
            parts::show(&frame, frame.say("secret-title"), parts)
        }
        Err(refusal) => person.failed(refusal),
    }
}
