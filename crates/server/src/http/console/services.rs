//! One service as a person sees it: what it is, what its tokens are like, and how they are put to
//! use. And the first service of an installation, which somebody makes who has none yet.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use counterfoil_authority::authority::{Offer, ServiceDraft};
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::policy::{AtLimit, EffectivePolicy};
use counterfoil_authority::refusal::{Refusal, Thing};
use counterfoil_authority::scope::ApiScope;
use counterfoil_authority::service::{Service, Visibility};

use super::home::is_web;
use super::page::{self, Frame};
use super::posted::{Posted, PostedLately};
use super::recipes::{Ingredients, Recipe};
use super::times::span;
use super::visit::{Person, see_other};
use super::words::Language;
use crate::http::query::Named;
use crate::http::state::AppState;

/// The routes of this file.
pub(super) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/services", post(first))
        .route("/services/{label}", get(page))
        .route("/services/{label}/membership", post(membership))
}

/// A service and what it offers.
pub(super) async fn offered(person: &Person, label: &str) -> Result<(Service, Offer), Refusal> {
    let label = ServiceLabel::parse(label).map_err(|_| Refusal::NotFound(Thing::Service))?;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let service = authority.service(caller, &caller.realm, &label).await?;
    let offer = authority.offer(caller, &caller.realm, &label).await?;
    Ok((service, offer))
}

#[derive(Template)]
#[template(path = "console/service.html")]
struct Page<'a> {
    frame: &'a Frame,
    label: String,
    name: String,
    description: Option<String>,
    url: Option<String>,
    contact: Option<String>,
    /// Who sees it, and who may use it.
    seen: String,
    group: Option<String>,
    /// What its policy says, each in a sentence.
    rules: Vec<String>,
    usable: bool,
    recipes: Vec<Recipe>,
    operators: Vec<Recipe>,
}

/// The page of a service.
pub(super) async fn page(person: Person, Named(label): Named) -> Response {
    let (service, offer) = match offered(&person, &label).await {
        Ok(found) => found,
        Err(refusal) => return person.failed(refusal),
    };
    let (frame, language) = (person.frame(), person.visit.language);
    let caller = &person.signed_in.caller;
    let ingredients = Ingredients {
        language,
        settings: &person.visit.state.settings,
        service: &service,
        policy: &offer.policy,
        username: person.username(),
        secret: None,
        is_bearer: true,
    };
    let runs = caller
        .reach(&caller.realm, ApiScope::ServicesWrite)
        .is_ok_and(|reach| reach.covers_service(&service.label, service.unit.as_ref()));
    let operators = if runs { ingredients.of_operator() } else { Vec::new() };
    let within = service.group.as_ref().is_none_or(|own| caller.groups.contains(own));
    let page = Page {
        frame: &frame,
        label: service.label.to_string(),
        seen: seen(language, service.visibility),
        group: service.group.as_ref().map(ToString::to_string),
        rules: rules(language, &offer.policy),
        usable: within && !service.locked && offer.policy.enabled,
        recipes: ingredients.of_person(),
        operators,
        name: service.name.clone(),
        description: service.description.clone(),
        url: service.url.clone().filter(|url| is_web(url)),
        contact: service.contact.clone(),
    };
    page::show(StatusCode::OK, &page)
}

/// Joins or leaves the group of a service.
pub(super) async fn membership(Named(label): Named, form: Posted) -> Response {
    let Posted { person, fields } = form;
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let changed = async {
        let member = match fields.get("act") {
            "join" => true,
            "leave" => false,
            _ => return Err(Refusal::invalid("act", "is neither join nor leave")),
        };
        let label = ServiceLabel::parse(&label).map_err(|_| Refusal::NotFound(Thing::Service))?;
        authority.set_own_membership(caller, &label, member).await
    };
    match changed.await {
        Ok(()) => see_other("/"),
        Err(refusal) => person.failed(refusal),
    }
}

/// Who sees a service, in words.
pub(super) fn seen(language: Language, visibility: Visibility) -> String {
    language.say(&format!("seen-by-{}", visibility.name()))
}

/// What a policy says, in sentences.
fn rules(language: Language, policy: &EffectivePolicy) -> Vec<String> {
    let mut rules = Vec::new();
    if let Some(seconds) = policy.max_lifetime_seconds {
        rules.push(language.about("rule-lifetime", span(language, seconds)));
    } else if policy.must_expire {
        rules.push(language.say("rule-must-end"));
    }
    if let Some(most) = policy.max_active_per_user {
        rules.push(language.about("rule-most", most));
        if policy.at_limit == AtLimit::ReplaceOldest {
            rules.push(language.say("rule-replaces"));
        }
    }
    if let Some(seconds) = policy.idle_expiry_seconds {
        rules.push(language.about("rule-idle", span(language, seconds)));
    }
    for networks in &policy.networks {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        rules.push(language.about("rule-networks", networks.join(", ")));
    }
    if let Some(doors) = &policy.doors {
        let doors: Vec<String> =
            doors.iter().map(|door| super::uses::door(language, *door)).collect();
        rules.push(language.about("rule-doors", doors.join(", ")));
    }
    if policy.approval {
        rules.push(language.say("new-approval"));
    }
    rules
}

/// A label made of a name: its letters and digits, and dashes for what is between them.
fn label_of(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            label.push(c);
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.trim_end_matches('-').to_owned()
}

/// Makes a service that has a name and nothing else.
pub(super) async fn first(PostedLately { person, fields }: PostedLately) -> Response {
    let (authority, caller) = (&person.visit.state.authority, &person.signed_in.caller);
    let made = async {
        let name = fields.title("name")?;
        let label = ServiceLabel::parse(&label_of(&name))
            .map_err(|bad| Refusal::invalid("name", format!("makes no label: {bad}")))?;
        let draft = ServiceDraft { name, ..ServiceDraft::new(label) };
        authority.create_service(caller, &caller.realm, draft).await
    };
    match made.await {
        Ok(service) => see_other(&format!("/services/{}", service.label)),
        Err(refusal) => person.failed(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_a_name_has_of_letters_and_digits() {
        for (name, label) in [
            ("Hello", "hello"),
            ("Git hosting", "git-hosting"),
            ("  E-Mail (new) ", "e-mail-new"),
            ("Ünïcode 7", "n-code-7"),
            ("!!", ""),
        ] {
            assert_eq!(label_of(name), label, "{name}");
        }
    }

    #[test]
    fn every_visibility_has_words() {
        for language in [Language::English, Language::German] {
            for one in [
                Visibility::Administrators,
                Visibility::Group,
                Visibility::Realm,
                Visibility::Public,
            ] {
                assert_ne!(seen(language, one), format!("seen-by-{}", one.name()));
            }
        }
    }
}
