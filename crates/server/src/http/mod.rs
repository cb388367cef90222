//! The HTTP doors: the native API below `/api/v1`, forward-auth, health, metrics and their pages.
//!
//! Invariant: a handler that has no [`caller::Authenticated`] among its arguments acts for
//! nobody; those handlers are listed as `security(())` in the OpenAPI document.

pub mod audit;
pub mod authz;
pub mod body;
pub mod calendar;
pub mod caller;
pub mod clients;
pub mod compliance;
pub mod console;
pub mod derive;
pub mod docs;
pub mod enrol;
pub mod envelope;
pub mod events;
pub mod front;
#[cfg(test)]
mod fuzzing;
pub mod grants;
pub mod groups;
pub mod hand_over;
pub mod health;
pub mod jobs;
pub mod leaks;
pub mod letters;
pub mod links;
pub mod locks;
pub mod metrics;
pub mod oauth;
pub mod offer;
pub mod parameters;
pub mod policy;
pub mod policy_test;
pub mod portal;
pub mod possession;
pub mod precondition;
pub mod problem;
pub mod query;
pub mod realms;
pub mod repositories;
pub mod request_id;
pub mod responses;
pub mod services;
pub mod shadow;
pub mod state;
pub(crate) mod sunset;
pub mod targets;
pub mod token_settings;
pub mod tokens;
pub mod units;
pub mod users;
pub mod verify;
pub mod verify_core;
pub mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::compat::described;

pub use front::Front;
use problem::{Problem, Sort};
pub use state::{AppState, Connection, HttpSettings, LdapPlace};

/// What the document says beside the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Counterfoil",
        description = "Issues, verifies, rotates and revokes long-lived credentials. Errors are \
                       problem documents (RFC 9457); times are RFC 3339 in UTC; lists are pages \
                       with a cursor."
    ),
    modifiers(&Schemes),
    security(("bearer" = [])),
    paths(authz::authz, docs_paths::openapi_json, docs_paths::problem, oauth::paths::token, oauth::paths::introspect, oauth::paths::revoke, oauth::paths::device, oauth::paths::certs, oauth::paths::revocations, oauth::paths::openid_configuration, oauth::paths::authorization_server, oauth::paths::register, oauth::paths::client_show, oauth::paths::client_replace, oauth::paths::client_remove)
)]
struct Base;

/// Descriptions of routes that are no handlers of the API proper.
mod docs_paths {
    /// This document.
    #[utoipa::path(
        get, path = "/openapi.json", tag = "operation", security(()),
        responses((status = 200, description = "The document", body = Object))
    )]
    #[expect(dead_code, reason = "only describes the route")]
    pub(super) fn openapi_json() {}

    /// What a problem's `type` means.
    #[utoipa::path(
        get, path = "/problems/{slug}", tag = "operation", security(()),
        params(("slug" = String, Path, description = "The end of the `type`")),
        responses(
            (status = 200, description = "A text", content_type = "text/plain", body = String),
            (status = 404, response = crate::http::responses::NotFound),
        )
    )]
    #[expect(dead_code, reason = "only describes the route")]
    pub(super) fn problem() {}
}

/// How callers present themselves.
struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_with(Default::default);
        for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)]
        {
            let http = HttpBuilder::new().scheme(scheme).build();
            components.add_security_scheme(name, SecurityScheme::Http(http));
        }
    }
}

/// The route table of the native API.
fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(realms::realm_list, realms::realm_create))
        .routes(routes!(realms::realm_show, realms::realm_edit))
        .routes(routes!(users::user_list, users::user_create))
        .routes(routes!(users::user_show, users::user_edit, users::user_delete))
        .merge(standing())
        .routes(routes!(portal::portal))
        .routes(routes!(
            token_settings::token_settings_show,
            token_settings::token_settings_replace
        ))
        .routes(routes!(groups::group_list, groups::group_create))
        .routes(routes!(groups::group_show, groups::group_delete))
        .routes(routes!(groups::group_member_list))
        .routes(routes!(groups::group_member_add, groups::group_member_remove))
        .routes(routes!(units::unit_list, units::unit_create))
        .routes(routes!(units::unit_show, units::unit_edit, units::unit_delete))
        .routes(routes!(grants::grant_list, grants::grant_create))
        .routes(routes!(grants::grant_delete))
        .routes(routes!(services::service_list, services::service_create))
        .routes(routes!(services::service_show, services::service_edit, services::service_delete))
        .routes(routes!(clients::client_list, clients::client_create))
        .routes(routes!(clients::client_show, clients::client_edit, clients::client_delete))
        .routes(routes!(tokens::token_list, tokens::token_issue))
        .routes(routes!(tokens::token_show, tokens::token_edit))
        .routes(routes!(tokens::token_rotate))
        .routes(routes!(tokens::token_enable))
        .routes(routes!(tokens::token_disable))
        .routes(routes!(tokens::token_lock))
        .routes(routes!(tokens::token_unlock))
        .routes(routes!(tokens::token_revoke))
        .routes(routes!(tokens::token_bulk))
        .routes(routes!(tokens::token_import))
        .routes(routes!(tokens::token_usage))
        .routes(routes!(tokens::token_children))
        .routes(routes!(tokens::token_blast_radius))
        .merge(fits())
        .routes(routes!(tokens::token_approve))
        .routes(routes!(tokens::token_deny))
        .routes(routes!(tokens::token_return_count))
        .routes(routes!(tokens::token_otp))
        .routes(routes!(tokens::token_otp_confirm))
        .routes(routes!(tokens::token_otp_resync))
        .routes(routes!(tokens::token_otp_codes))
        .routes(routes!(tokens::token_otp_send))
        .routes(routes!(enrol::enrol))
        .routes(routes!(enrol::poll))
        .routes(routes!(events::token_event_list))
        .routes(routes!(events::event_list))
        .merge(audit_routes())
        .routes(routes!(verify::verify))
        .routes(routes!(verify::verify_batch))
        .routes(routes!(possession::self_show, possession::self_revoke))
        .routes(routes!(possession::self_rotate))
        .routes(routes!(derive::self_derive))
        .routes(routes!(compliance::blocked_list))
        .routes(routes!(calendar::calendar_show))
        .routes(routes!(offer::offer_show))
        .routes(routes!(possession::credentials_revoke))
        .routes(routes!(links::link_open))
        .routes(routes!(targets::target_list, targets::target_create))
        .routes(routes!(targets::target_try))
        .routes(routes!(targets::target_show, targets::target_edit, targets::target_delete))
        .routes(routes!(targets::target_test))
        .routes(routes!(targets::target_reconcile))
        .routes(routes!(targets::delivery_list))
        .routes(routes!(policy_test::policy_test))
        .routes(routes!(repositories::repository_list))
        .routes(routes!(repositories::repository_show))
        .merge(stock())
}

/// What keeps people and services out or lets somebody in again, and what becomes of the tokens of
/// who leaves.
fn standing() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(hand_over::user_hand_over))
        .routes(routes!(users::user_passkeys_delete))
        .routes(routes!(locks::user_lock))
        .routes(routes!(locks::user_unlock))
        .routes(routes!(locks::service_lock))
        .routes(routes!(locks::service_unlock))
}

/// What tokens could do without.
fn fits() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(tokens::token_fit, tokens::token_shrink))
        .routes(routes!(tokens::fit_list))
}

/// What auditors are given to check the log by themselves.
fn audit_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(audit::audit_checkpoint))
        .routes(routes!(audit::audit_keys))
        .routes(routes!(audit::audit_entries))
        .routes(routes!(audit::audit_inclusion))
        .routes(routes!(audit::audit_consistency))
}

/// Acts on many tokens, letters that activate tokens, and the report on an old system.
fn stock() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(shadow::shadow_list, shadow::shadow_clear))
        .routes(routes!(jobs::job_start))
        .routes(routes!(jobs::job_list))
        .routes(routes!(jobs::job_show))
        .routes(routes!(jobs::job_cancel))
        .routes(routes!(letters::letter_list, letters::letter_order))
        .routes(routes!(letters::letter_redeem))
        .routes(routes!(letters::letter_show, letters::letter_cancel))
        .routes(routes!(letters::letter_print))
}

/// Reports of leaked tokens, where they are taken at all.
fn reports() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(leaks::leaks_github))
}

/// Routes for those who run the server; never switched off.
fn operation() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
}

/// The OpenAPI 3.1 document of every route, whether its door is on or not.
pub fn openapi() -> OpenApi {
    let mut document = Base::openapi();
    let components = responses::Components::openapi();
    let parts = [api(), reports(), operation()].map(OpenApiRouter::into_openapi);
    for part in std::iter::once(components).chain(parts) {
        document.merge(part);
    }
    document.paths.merge(described::paths());
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document
}

/// The document of the routes whose doors are on.
fn served(settings: &HttpSettings) -> OpenApi {
    let mut document = openapi();
    document.paths.paths.retain(|path, _| match path.as_str() {
        "/openapi.json" => settings.docs,
        "/api/v1/leaks/github" => settings.api && settings.github.is_some(),
        path if path.starts_with("/api/v1/") => settings.api,
        path if path.starts_with(authz::PREFIX) => settings.forward_auth,
        path if path.starts_with("/realms/") || path.starts_with("/.well-known/") => settings.oauth,
        path => described::door_of(path).is_none_or(|door| (door.is_on)(settings)),
    });
    document
}

/// Every HTTP door that is switched on.
pub fn router(state: AppState) -> Router {
    let (mut router, _) = operation().split_for_parts();
    if state.settings.api {
        let mut all = api();
        if state.settings.github.is_some() {
            all = all.merge(reports());
        }
        let (api, document) = all.split_for_parts();
        let known = Arc::new(parameters::Known::of(&document));
        let strict = axum::middleware::from_fn_with_state(known, parameters::refuse_unknown);
        router = router
            .merge(api.route_layer(strict))
            .route(links::PAGE, get(links::page).post(links::page_open))
            .route("/open/open.js", get(links::script))
            .route("/open/style.css", get(links::style));
    }
    if state.settings.forward_auth {
        router = router
            .route("/authz/{service}", any(authz::authz))
            .route("/authz/{service}/", any(authz::authz))
            .route("/authz/{service}/{*path}", any(authz::authz));
    }
    if state.settings.console {
        router = router.merge(console::routes());
    }
    if state.settings.airlock {
        router = router.merge(crate::compat::airlock::routes());
    }
    if state.settings.sentinel {
        router = router.merge(crate::compat::sentinel::routes());
    }
    if state.settings.comanage {
        router = router.merge(crate::compat::comanage::routes());
    }
    if state.settings.am {
        router = router.merge(crate::compat::forgerock::routes());
    }
    if state.settings.validate {
        router = router.merge(crate::compat::privacyidea::routes());
    }
    if state.settings.scim {
        router = router.merge(crate::compat::scim::routes());
    }
    if state.settings.oauth {
        router = router.merge(oauth::router());
    }
    if state.settings.docs {
        router = router
            .route("/openapi.json", get(docs::openapi_json))
            .route("/api/docs", get(docs::page))
            .route("/api/docs/style.css", get(docs::style));
    }
    router
        .route("/problems/{slug}", get(docs::problem_page))
        .fallback(async || Problem::new(Sort::NoSuchRoute, "there is no such route"))
        .method_not_allowed_fallback(async || {
            Problem::new(Sort::MethodNotAllowed, "the Allow header lists what can be done here")
        })
        .layer(axum::middleware::from_fn_with_state(state.clone(), envelope::envelope))
        .with_state(state)
}

/// Only `/metrics`, for an own listener that nobody else reaches.
pub fn metrics_router(state: AppState) -> Router {
    Router::new().route("/metrics", get(metrics::exposition)).with_state(state)
}
