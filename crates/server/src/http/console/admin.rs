//! `/admin`: what administrators and auditors see and do, each within their reach.
//!
//! The pages are made of [`parts`], and ask the same acts as the API: whoever may do less there
//! sees less here. What somebody may do nothing about is no link; that is for convenience, and
//! the act refuses it all the same.

mod audit;
mod batch;
mod bulk;
mod charts;
mod clients;
mod dashboard;
mod lists;
mod mint;
mod parts;
mod people;
mod policies;
mod policy_new;
mod realm;
mod registrations;
mod repositories;
mod search;
mod services;
mod settings;
mod target_new;
mod targets;
mod warnings;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use counterfoil_authority::authority::UserDraft;
use counterfoil_authority::caller::Caller;
use counterfoil_authority::names::Username;
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::store::PageRequest;

use super::page::{self, Around, Frame, Way};
use super::posted::PostedLately;
use super::sign_in_link_url;
use super::times::Moment;
use super::visit::Person;
use crate::http::query::Named;
use crate::http::state::AppState;

/// Rows on one page of a list.
const ROWS: u32 = 50;
/// Tokens of a large realm that one page of a filtered list looks at.
const LOOK_AT_MOST: u32 = 5_000;
/// Units and services that a form offers to choose from.
const CHOICES: u32 = 500;

/// The routes below `/admin`.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin", get(dashboard::page))
        .route("/admin/search", get(search::page).post(search::find))
        .route("/admin/people", get(people::list).post(invite))
        .route("/admin/people/{username}", get(people::page))
        .route("/admin/people/{username}/link", post(link))
        .route("/admin/people/{username}/act", post(people::act))
        .route("/admin/people/{username}/new", get(people::form).post(people::issue))
        .route("/admin/tokens", get(lists::page))
        .route("/admin/bulk", post(bulk::preview))
        .route("/admin/bulk/start", post(bulk::start))
        .route("/admin/jobs", get(bulk::jobs))
        .route("/admin/jobs/{id}", get(bulk::job))
        .route("/admin/jobs/{id}/cancel", post(bulk::cancel))
        .route("/admin/registration-tokens", get(registrations::list))
        .route("/admin/registration-tokens/new", get(mint::form).post(mint::mint))
        .route("/admin/registration-tokens/batch", get(batch::form).post(batch::mint))
        .route("/admin/registration-tokens/{id}", get(registrations::page))
        .route("/admin/registration-tokens/{id}/act", post(registrations::act))
        .route("/admin/services", get(services::list).post(services::create))
        .route("/admin/services/{label}", get(services::page).post(services::edit))
        .route("/admin/services/{label}/policy", post(services::policy))
        .route("/admin/targets", get(targets::list).post(target_new::create))
        .route(target_new::HERE, get(target_new::form))
        .route("/admin/targets/{name}", get(targets::page))
        .route("/admin/targets/{name}/act", post(targets::act))
        .route("/admin/repositories", get(repositories::list))
        .route("/admin/policies", get(policies::list).post(policy_new::act))
        .route("/admin/policies/test", post(policies::test))
        .route("/admin/clients", get(clients::list).post(clients::create))
        .route("/admin/clients/{name}", get(clients::page))
        .route("/admin/clients/{name}/act", post(clients::act))
        .route("/admin/audit", get(audit::page))
        .route("/admin/audit/export", get(audit::export))
        .route("/admin/audit/proof", get(audit::proof::page))
        .route("/admin/realm", get(realm::page).post(realm::edit))
}

/// A part of the administration, in the order of its links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Overview,
    People,
    Tokens,
    Registrations,
    Services,
    Targets,
    Repositories,
    Policies,
    Clients,
    Audit,
    Realm,
    Search,
}

const SECTIONS: [Section; 12] = [
    Section::Overview,
    Section::People,
    Section::Tokens,
    Section::Registrations,
    Section::Services,
    Section::Targets,
    Section::Repositories,
    Section::Policies,
    Section::Clients,
    Section::Audit,
    Section::Realm,
    Section::Search,
];

/// Whether a scope reaches something of others: all of the realm, a unit, or a service.
fn reaches_others(caller: &Caller, scope: ApiScope) -> bool {
    caller
        .reach(&caller.realm, scope)
        .is_ok_and(|reach| reach.whole || !reach.units.is_empty() || !reach.services.is_empty())
}

/// Whether a scope reaches all of the realm.
fn is_whole(caller: &Caller, scope: ApiScope) -> bool {
    caller.require_whole(&caller.realm, scope).is_ok()
}

/// Refuses who administers nothing of that sort: what they see of their own is elsewhere.
fn require_others(caller: &Caller, scope: ApiScope) -> Result<(), Refusal> {
    if reaches_others(caller, scope) { Ok(()) } else { Err(Refusal::Forbidden(scope)) }
}

impl Section {
    const fn path(self) -> &'static str {
        match self {
            Self::Overview => "/admin",
            Self::People => "/admin/people",
            Self::Tokens => "/admin/tokens",
            Self::Registrations => "/admin/registration-tokens",
            Self::Services => "/admin/services",
            Self::Targets => "/admin/targets",
            Self::Repositories => "/admin/repositories",
            Self::Policies => "/admin/policies",
            Self::Clients => "/admin/clients",
            Self::Audit => "/admin/audit",
            Self::Realm => "/admin/realm",
            Self::Search => "/admin/search",
        }
    }

    fn words(self, frame: &Frame) -> String {
        match self {
            Self::Overview => frame.say("admin-overview"),
            Self::People => frame.say("admin-title"),
            Self::Tokens => frame.say("admin-tokens"),
            Self::Registrations => frame.say("admin-registrations"),
            Self::Services => frame.say("admin-services"),
            Self::Targets => frame.say("admin-targets"),
            Self::Repositories => frame.say("admin-repositories"),
            Self::Policies => frame.say("admin-policies"),
            Self::Clients => frame.say("admin-clients"),
            Self::Audit => frame.say("admin-audit"),
            Self::Realm => frame.say("admin-realm"),
            Self::Search => frame.say("admin-search"),
        }
    }

    fn is_for(self, caller: &Caller) -> bool {
        match self {
            Self::Overview | Self::Search => true,
            Self::People => reaches_others(caller, ApiScope::UsersRead),
            Self::Tokens => reaches_others(caller, ApiScope::TokensRead),
            Self::Registrations => {
                reaches_others(caller, ApiScope::RegistrationTokensWrite)
                    || is_whole(caller, ApiScope::TokensRead)
            }
            Self::Services => {
                reaches_others(caller, ApiScope::ServicesWrite)
                    || is_whole(caller, ApiScope::ServicesRead)
            }
            Self::Targets => is_whole(caller, ApiScope::TargetsWrite),
            Self::Repositories => is_whole(caller, ApiScope::TokensRead),
            Self::Policies => {
                is_whole(caller, ApiScope::PoliciesWrite) || is_whole(caller, ApiScope::AuditRead)
            }
            Self::Clients => is_whole(caller, ApiScope::ClientsWrite),
            Self::Audit => is_whole(caller, ApiScope::AuditRead),
            Self::Realm => is_whole(caller, ApiScope::PoliciesWrite),
        }
    }
}

impl Person {
    fn caller(&self) -> &Caller {
        &self.signed_in.caller
    }

    /// What a page of administrators has around it; `here` is what it is about, below its section.
    fn admin_frame(&self, section: Section, here: &[&str]) -> Frame {
        let mut frame = self.frame();
        let way = |of: Section, current: bool| Way {
            href: of.path().to_owned(),
            words: of.words(&frame),
            current,
        };
        let links = SECTIONS.into_iter().filter(|of| of.is_for(self.caller()));
        let links = links.map(|of| way(of, of == section)).collect();
        let mut trail = vec![way(Section::Overview, section == Section::Overview)];
        if section != Section::Overview {
            trail.push(way(section, here.is_empty()));
        }
        let last = here.len().saturating_sub(1);
        trail.extend(here.iter().enumerate().map(|(place, words)| Way {
            href: section.path().to_owned(),
            words: (*words).to_owned(),
            current: place == last,
        }));
        frame.admin = Some(Around { links, trail });
        frame
    }
}

/// A name as it stands in the path of an address: it may hold anything.
fn escaped(name: impl AsRef<str>) -> String {
    let escaped: String = form_urlencoded::byte_serialize(name.as_ref().as_bytes()).collect();
    escaped.replace('+', "%20")
}

/// An address with what it says behind the question mark; what is empty is left out.
fn address(path: &str, fields: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let said = fields.iter().filter(|(_, value)| !value.is_empty());
    let query = query.extend_pairs(said).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// What stands in an address, without the blanks around it; `None` if nothing is left.
fn given(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Where the units of a form stand: id, name, whether it is chosen; the first one is none.
async fn unit_choices(
    person: &Person,
    none: String,
    chosen: &str,
) -> Result<Vec<(String, String, bool)>, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let page = PageRequest::first(CHOICES);
    let units = match authority.units(caller, &caller.realm, page).await {
        Ok(units) => units.items,
        Err(Refusal::Forbidden(_)) => Vec::new(),
        Err(refusal) => return Err(refusal),
    };
    let mut choices = vec![(String::new(), none, chosen.is_empty())];
    choices.extend(units.into_iter().map(|unit| {
        let is_chosen = unit.id == chosen;
        (unit.id, unit.name, is_chosen)
    }));
    Ok(choices)
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
    let frame = person.admin_frame(Section::People, &[username.as_str()]);
    let page = Linked {
        frame: &frame,
        username: username.to_string(),
        link: sign_in_link_url(&person.visit.state.settings.public_url, &link),
        ends: Moment::of(person.visit.language, end, authority.now()),
    };
    Ok(page::show(StatusCode::OK, &page))
}

/// Makes a link for somebody who is known. A reload makes another one, in place of the former.
async fn link(Named(username): Named, form: PostedLately) -> Response {
    let person = form.person;
    let made = async {
        let username = Username::parse(&username).map_err(|_| Refusal::NotFound(Thing::User))?;
        linked(&person, &username).await
    };
    made.await.unwrap_or_else(|refusal| person.failed(refusal))
}

/// How long a person is new to a form that adds them, in seconds.
const NEW_SECONDS: i64 = 600;

/// Whether there is just the person that a form asks for, made a moment ago.
async fn is_new(person: &Person, draft: &UserDraft) -> Result<bool, Refusal> {
    let (authority, caller) = (&person.visit.state.authority, person.caller());
    let user = authority.user(caller, &caller.realm, &draft.username).await?;
    let since = authority.now().plus_seconds(-NEW_SECONDS);
    let same = (&user.display_name, &user.unit) == (&draft.display_name, &draft.unit);
    Ok(same && user.created_at >= since)
}

/// Adds a person and makes their link.
async fn invite(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let made = async {
        let missing = || Refusal::invalid("username", "must not be empty");
        let username: Username = fields.word("username")?.ok_or_else(missing)?;
        let draft = UserDraft {
            display_name: fields.line("display_name")?,
            unit: fields.text("unit"),
            ..UserDraft::new(username.clone())
        };
        match authority.create_user(caller, &caller.realm, draft.clone()).await {
            // The same form again, because no link came of it the first time.
            Err(Refusal::Exists(Thing::User)) if is_new(&person, &draft).await? => {}
            made => drop(made?),
        }
        linked(&person, &username).await
    };
    made.await.unwrap_or_else(|refusal| person.failed(refusal))
}
