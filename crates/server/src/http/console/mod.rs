//! The console: pages for people, written by the server, that work without script.
//!
//! Invariant: a handler that acts takes `posted::Posted`, `PostedLately`, `PostedForPasskeys` or
//! `PostedByAnybody`, which exist only for forms that came from a page of ours; a GET acts on nothing. The one exception
//! is the way back from a provider, which is good once and for one browser.
//! Invariant: no page decides. What somebody may see or do is asked of the same acts as in the API.

mod account;
mod admin;
mod approvals;
mod assets;
mod devices;
mod fit;
mod home;
mod page;
mod passkeys;
mod posted;
mod qr;
mod recipes;
mod secrets;
mod services;
mod setup;
mod sign_in;
mod single_sign_on;
mod step_up;
mod times;
mod tokens;
mod try_again;
mod uses;
mod visit;
mod words;

use axum::Router;
use axum::routing::{get, post};
use counterfoil_authority::secret::ClearSecret;

use super::state::AppState;

/// Where people sign in.
const SIGN_IN: &str = "/sign-in";
/// Where a provider sends people back to.
const CALLBACK: &str = "/sign-in/oidc/callback";
/// Where a sign-in link leads.
const SETUP: &str = "/setup";

/// The address of a sign-in link: its secret stands behind the `#`, which browsers keep to
/// themselves.
pub fn sign_in_link_url(public_url: &str, link: &ClearSecret) -> String {
    format!("{public_url}{SETUP}#{}", link.reveal())
}

/// The routes of the console.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(home::page))
        .route(SIGN_IN, get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route(SETUP, get(setup::page).post(setup::look))
        .route("/setup/finish", post(setup::finish))
        .route("/services/{label}/new", get(secrets::form).post(secrets::issue))
        .route("/tokens/{id}", get(tokens::page))
        .route("/tokens/{id}/switch", post(tokens::switch))
        .route("/tokens/{id}/fit", post(fit::shrink))
        .route("/tokens/{id}/rotate", get(secrets::rotation).post(secrets::rotate))
        .route("/tokens/{id}/revoke", get(tokens::revocation).post(tokens::revoke))
        .route("/account", get(account::page))
        .route("/account/password", post(account::change_password))
        .route("/account/sessions/end-all", post(account::end_all))
        .route("/account/sessions/{id}/end", post(account::end_one))
        .route("/console/style.css", get(assets::style))
        .route("/console/console.js", get(assets::script))
        .route("/console/passkey.js", get(assets::passkey))
        .route("/console/icon.svg", get(assets::icon))
        .merge(single_sign_on::routes())
        .merge(passkeys::routes())
        .merge(services::routes())
        .merge(devices::routes())
        .merge(approvals::routes())
        .merge(admin::routes())
}
