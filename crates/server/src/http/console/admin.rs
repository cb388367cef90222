//! `/admin`: who may sign in. Administrators let people in by a link, with which each chooses a
//! password that nobody else knows.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::UserDraft;
use counterfoil_authority::names::Username;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::{PageRequest, UserFilter};
use counterfoil_authority::subject::{User, UserStatus};
use serde::Deserialize;

use super::page::{self, Frame};
use super::posted::PostedLately;
use super::sign_in_link_url;
use super::times::Moment;
use super::visit::Person;

/// People on one page.
const PEOPLE_MAX: u32 = 100;

/// A person in the list.
struct Row {
    username: String,
    /// For the address of a form: a name may hold anything.
    escaped: String,
    display_name: Option<String>,
    status: String,
}

#[derive(Template)]
#[template(path = "console/admin.html")]
struct Page<'a> {
    frame: &'a Frame,
    people: Vec<Row>,
    prefix: String,
    next: Option<String>,
}

/// What the address of the page may say.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
    #[serde(default)]
    starts: String,
}

/// The people that somebody administers.
pub(super) async fn page(person: Person, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let Asked { after, starts } = asked.map(|Query(asked)| asked).unwrap_or_default();
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let found = async {
        caller.reach(&caller.realm, ApiScope::UsersWrite)?;
        let prefix = starts.trim().to_lowercase();
        let filter = UserFilter {
            prefix: (!prefix.is_empty()).then(|| prefix.clone()),
            ..UserFilter::default()
        };
        let page = PageRequest { limit: PEOPLE_MAX, after };
        Ok::<_, Refusal>((authority.users(caller, &caller.realm, filter, page).await?, prefix))
    };
    match found.await {
        Ok((people, prefix)) => {
            let frame = person.frame();
            let row = |user: User| Row {
                escaped: form_urlencoded::byte_serialize(user.username.as_str().as_bytes())
                    .collect::<String>()
                    .replace('+', "%20"),
                username: user.username.to_string(),
                display_name: user.display_name,
                status: frame.say(&format!("user-{}", user.status.name())),
            };
            let next = people.next;
            let people = people.items.into_iter().map(row).collect();
            page::show(StatusCode::OK, &Page { frame: &frame, people, prefix, next })
        }
        Err(refusal) => person.failed(refusal),
    }
}

#[derive(Template)]
#[template(path = "console/sign-in-link.html")]
struct Linked<'a> {
    frame: &'a Frame,
    username: String,
    link: String,
    ends: Moment,
}

async fn linked(person: &Person, username: &Username) -> Result<Response, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let (link, end) = authority.console_link_for(caller, &caller.realm, username).await?;
    let frame = person.frame();
    let page = Linked {
        frame: &frame,
        username: username.to_string(),
        link: sign_in_link_url(&person.visit.state.settings.public_url, &link),
        ends: Moment::of(person.visit.language, end, authority.now()),
    };
    Ok(page::show(StatusCode::OK, &page))
}

/// Makes a link for somebody who is known. A reload makes another one, in place of the former.
pub(super) async fn link(Path(username): Path<String>, form: PostedLately) -> Response {
    let person = form.person;
    let made = async {
        let username = Username::parse(&username).map_err(|_| Refusal::NotFound(Thing::User))?;
        linked(&person, &username).await
    };
    made.await.unwrap_or_else(|refusal| person.failed(refusal))
}

/// Adds a person and makes their link.
pub(super) async fn invite(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let made = async {
        let username = Username::parse(fields.get("username"));
        let username = username.map_err(|bad| Refusal::invalid("username", bad))?;
        let display_name = fields.text("display_name");
        if display_name
            .as_ref()
            .is_some_and(|name| name.chars().count() > 255 || name.chars().any(char::is_control))
        {
            return Err(Refusal::invalid("display_name", "is one line of 255 characters at most"));
        }
        let draft = UserDraft {
            username: username.clone(),
            display_name,
            emails: Vec::new(),
            attributes: std::collections::BTreeMap::new(),
            status: UserStatus::Active,
            unit: fields.text("unit"),
        };
        authority.create_user(caller, &caller.realm, draft).await?;
        linked(&person, &username).await
    };
    made.await.unwrap_or_else(|refusal| person.failed(refusal))
}
