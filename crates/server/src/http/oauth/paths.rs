//! The OAuth endpoints in the API's description. Each stands for its copies too: the same below
//! `/auth/realms`, and for some a short form of the realm `main`.

#![expect(dead_code, reason = "only describes the routes")]

use utoipa::ToSchema;

/// A refusal (RFC 6749 section 5.2).
#[derive(ToSchema)]
pub struct OauthFault {
    /// The word of the standards.
    #[schema(example = "invalid_grant")]
    error: String,
    /// For the developer of the client.
    error_description: String,
}

/// What the token endpoint takes.
#[derive(ToSchema)]
pub struct TokenForm {
    /// Which grant.
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// Fewer scopes than there are.
    scope: Option<String>,
    /// The service that the access token is for; may be repeated.
    audience: Option<String>,
    /// A client's name, unless it authenticates by `Basic`.
    client_id: Option<String>,
    /// Its key.
    client_secret: Option<String>,
    /// For `refresh_token`.
    refresh_token: Option<String>,
    /// For the device code grant.
    device_code: Option<String>,
    /// For token exchange: a personal access token, service token or registration token.
    subject_token: Option<String>,
    /// What it is.
    subject_token_type: Option<String>,
    /// Whom the auth token speaks for, where a registration token is exchanged.
    subject: Option<String>,
}

/// A fresh access token (RFC 6749 section 5.1).
#[derive(ToSchema)]
pub struct TokenAnswer {
    /// The token.
    access_token: String,
    /// `Bearer` or `DPoP`.
    token_type: String,
    /// Seconds until it ends.
    expires_in: i64,
    /// Its scopes.
    scope: String,
    /// The next refresh token, where there is one.
    #[schema(required = false)]
    refresh_token: Option<String>,
}

/// A token to look at or to end.
#[derive(ToSchema)]
pub struct TokenParameter {
    /// The token.
    token: String,
    /// Taken, and not needed.
    token_type_hint: Option<String>,
}

/// What a device tells of itself.
#[derive(ToSchema)]
pub struct DeviceForm {
    /// Its name.
    client_id: Option<String>,
    /// The registration token, unless it is the bearer.
    client_secret: Option<String>,
    /// Fewer scopes than are handed on.
    scope: Option<String>,
}

/// What is known of a token; of one that is not good only that it is not.
#[derive(ToSchema)]
pub struct Introspected {
    /// Whether it is good.
    active: bool,
    /// Its scopes.
    #[schema(required = false)]
    scope: Option<String>,
    /// The client it was made for.
    #[schema(required = false)]
    client_id: Option<String>,
    /// The person it belongs to.
    #[schema(required = false)]
    username: Option<String>,
    /// `Bearer`, `DPoP` or `refresh_token`.
    #[schema(required = false)]
    token_type: Option<String>,
    /// When it ends.
    #[schema(required = false)]
    exp: Option<i64>,
    /// Whom it speaks for; a device begins with `device:`.
    #[schema(required = false)]
    sub: Option<String>,
    /// The services it is for.
    #[schema(required = false)]
    aud: Option<Vec<String>>,
    /// Its id.
    #[schema(required = false)]
    jti: Option<String>,
    /// The key its sender must prove to hold.
    #[schema(required = false, value_type = Option<Object>)]
    cnf: Option<serde_json::Value>,
}

/// Makes an access token, by one of the grants that the metadata lists.
///
/// Grants: `client_credentials`, `refresh_token`, token exchange (RFC 8693), device code (RFC 8628),
/// and, where it is switched on, `password`. Also at `/auth/realms/...` and, for `main`, at
/// `/oauth2/token`.
#[utoipa::path(
    post, path = "/realms/{realm}/protocol/openid-connect/token", tag = "oauth", operation_id = "oauth_token",
    params(("realm" = String, Path, description = "The realm")), security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The answer", body = TokenAnswer),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 408, response = super::super::responses::RequestTimeout),
        (status = 413, response = super::super::responses::BodyTooLarge),
        (status = 415, description = "The body is of another type", body = OauthFault),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn token() {}

/// Whether a token is good, for an authenticated verifier (RFC 7662).
///
/// Also at `/auth/realms/...` and, for `main`, at `/oauth2/introspect`.
#[utoipa::path(
    post, path = "/realms/{realm}/protocol/openid-connect/token/introspect", tag = "oauth", operation_id = "oauth_introspect",
    params(("realm" = String, Path, description = "The realm")), security(("basic" = []), ("bearer" = [])),
    request_body(content = TokenParameter, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The answer", body = Introspected, headers(
            ("Sunset" = String, description = "When the token ends, as an HTTP-date (RFC 8594)"),
        )),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 403, description = "The caller may not ask this", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 408, response = super::super::responses::RequestTimeout),
        (status = 413, response = super::super::responses::BodyTooLarge),
        (status = 415, description = "The body is of another type", body = OauthFault),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn introspect() {}

/// Ends a token, by possession (RFC 7009). Silent about what it was.
///
/// Also at `/auth/realms/...` and, for `main`, at `/oauth2/revoke`.
#[utoipa::path(
    post, path = "/realms/{realm}/protocol/openid-connect/revoke", tag = "oauth", operation_id = "oauth_revoke",
    params(("realm" = String, Path, description = "The realm")), security(()),
    request_body(content = TokenParameter, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Done"),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 408, response = super::super::responses::RequestTimeout),
        (status = 413, response = super::super::responses::BodyTooLarge),
        (status = 415, description = "The body is of another type", body = OauthFault),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn revoke() {}

/// Begins to wait for an approval (RFC 8628). The registration token is the bearer or the secret.
///
/// Also at `/auth/realms/...`.
#[utoipa::path(
    post, path = "/realms/{realm}/protocol/openid-connect/auth/device", tag = "oauth", operation_id = "oauth_device",
    params(("realm" = String, Path, description = "The realm")), security(()),
    request_body(content = DeviceForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The answer", body = Object),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 408, response = super::super::responses::RequestTimeout),
        (status = 413, response = super::super::responses::BodyTooLarge),
        (status = 415, description = "The body is of another type", body = OauthFault),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn device() {}

/// The public keys that sign access tokens (RFC 7517).
///
/// Also at `/auth/realms/...`.
#[utoipa::path(
    get, path = "/realms/{realm}/protocol/openid-connect/certs", tag = "oauth", operation_id = "oauth_certs",
    params(("realm" = String, Path, description = "The realm")), security(()),
    responses(
        (status = 200, description = "The answer", body = Object),
        (status = 404, response = super::super::responses::NotFound),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn certs() {}

/// What was revoked and could still be believed in by who reads JWTs without asking.
///
/// `jti`: access tokens; `cfl_parent`: tokens whose access tokens ended with them. Also at
/// `/auth/realms/...`.
#[utoipa::path(
    get, path = "/realms/{realm}/protocol/openid-connect/revocations", tag = "oauth", operation_id = "oauth_revocations",
    params(("realm" = String, Path, description = "The realm")), security(("basic" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "The answer", body = Object),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 403, description = "The caller may not ask this", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn revocations() {}

/// The metadata of a realm.
///
/// Also at `/auth/realms/...`.
#[utoipa::path(
    get, path = "/realms/{realm}/.well-known/openid-configuration", tag = "oauth", operation_id = "oauth_openid_configuration",
    params(("realm" = String, Path, description = "The realm")), security(()),
    responses(
        (status = 200, description = "The answer", body = Object),
        (status = 404, response = super::super::responses::NotFound),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn openid_configuration() {}

/// The metadata of a realm (RFC 8414).
///
/// Also at `/.well-known/oauth-authorization-server` for `main`.
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server/realms/{realm}", tag = "oauth", operation_id = "oauth_authorization_server",
    params(("realm" = String, Path, description = "The realm")), security(()),
    responses(
        (status = 200, description = "The answer", body = Object),
        (status = 404, response = super::super::responses::NotFound),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn authorization_server() {}

/// Registers a client (RFC 7591). The bearer is a registration token, of which this is one draw.
///
/// Also at `/auth/realms/...`.
#[utoipa::path(
    post, path = "/realms/{realm}/clients-registrations/openid-connect", tag = "oauth", operation_id = "oauth_register",
    params(("realm" = String, Path, description = "The realm")), security(("bearer" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 201, description = "Registered", body = Object),
        (status = 202, description = "It waits for approval", body = Object),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 408, response = super::super::responses::RequestTimeout),
        (status = 413, response = super::super::responses::BodyTooLarge),
        (status = 415, description = "The body is of another type", body = OauthFault),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn register() {}

/// A registered client, by its registration access token (RFC 7592).
///
/// Also at `/auth/realms/...`.
#[utoipa::path(
    get, path = "/realms/{realm}/clients-registrations/openid-connect/{client_id}", tag = "oauth", operation_id = "oauth_client_show",
    params(("realm" = String, Path, description = "The realm"), ("client_id" = String, Path, description = "The client")), security(("bearer" = [])),
    responses(
        (status = 200, description = "The answer", body = Object),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn client_show() {}

/// Replaces what a registered client says of itself, by its registration access token (RFC 7592).
///
/// Also at `/auth/realms/...`.
#[utoipa::path(
    put, path = "/realms/{realm}/clients-registrations/openid-connect/{client_id}", tag = "oauth", operation_id = "oauth_client_replace",
    params(("realm" = String, Path, description = "The realm"), ("client_id" = String, Path, description = "The client")), security(("bearer" = [])),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 200, description = "The answer", body = Object),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 408, response = super::super::responses::RequestTimeout),
        (status = 413, response = super::super::responses::BodyTooLarge),
        (status = 415, description = "The body is of another type", body = OauthFault),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn client_replace() {}

/// Ends a registered client, by its registration access token (RFC 7592).
///
/// Also at `/auth/realms/...`.
#[utoipa::path(
    delete, path = "/realms/{realm}/clients-registrations/openid-connect/{client_id}", tag = "oauth", operation_id = "oauth_client_remove",
    params(("realm" = String, Path, description = "The realm"), ("client_id" = String, Path, description = "The client")), security(("bearer" = [])),
    responses(
        (status = 204, description = "Done"),
        (status = 400, description = "Refused", body = OauthFault),
        (status = 401, description = "Nobody is authenticated", body = OauthFault),
        (status = 404, response = super::super::responses::NotFound),
        (status = 503, response = super::super::responses::Unavailable),
    )
)]
pub(in crate::http) fn client_remove() {}
