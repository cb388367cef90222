//! Who calls the API: an extractor, so that a handler without one cannot be written by accident.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use counterfoil_authority::authority::{AuthRefusal, Sender};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::verdict::Door;

use super::envelope::Arrival;
use super::oauth::error::{ErrorCode, OauthError};
use super::oauth::form;
use super::problem::{Problem, Sort};
use super::state::AppState;

/// The authenticated caller.
pub struct Authenticated(pub Caller);

/// The request's connection and id.
pub struct Arrived(pub Arc<Arrival>);

impl FromRequestParts<AppState> for Arrived {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let arrival = parts.extensions.get::<Arc<Arrival>>().cloned();
        // The envelope wraps every route; without it nothing is known of the request.
        arrival.map(Self).ok_or_else(|| Problem::new(Sort::Unavailable, "the server is starting"))
    }
}

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Arrived(arrival) = Arrived::from_request_parts(parts, state).await?;
        let caller = authenticated(state, &arrival, parts).await?;
        arrival.recognise(&caller.realm, &caller.origin);
        Ok(Self(caller))
    }
}

/// The caller whose token stands in this head, with a proof of its key where it is bound to one.
pub async fn authenticated(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
) -> Result<Caller, Problem> {
    if let Some(token) = with_proof(&parts.headers) {
        // Here too nobody learns more than that it is not good.
        let hidden = |error: OauthError| match error.code {
            ErrorCode::TemporarilyUnavailable => Problem::new(
                Sort::Unavailable,
                "the store or a repository is not reachable, try again",
            ),
            ErrorCode::UseDpopNonce => error.nonce_wanted(Problem::unauthenticated(true)),
            _ => Problem::unauthenticated(true),
        };
        let proof = form::proof_in(state, parts, Some(token)).map_err(hidden)?;
        let proved = form::confirmed(arrival, proof.as_ref());
        let caller = authenticated_sender(state, arrival, token, Sender::with(&proved)).await?;
        form::used(state, proof.as_ref()).await.map_err(hidden)?;
        return Ok(caller);
    }
    let presented = match bearer(&parts.headers) {
        Bearer::Token(presented) => presented,
        Bearer::Absent => return Err(Problem::unauthenticated(false)),
        Bearer::Unreadable => return Err(Problem::unauthenticated(true)),
    };
    let proved = form::confirmed(arrival, None);
    authenticated_sender(state, arrival, presented, Sender::with(&proved)).await
}

/// The caller who presents this token, and whose it is as far as they say and have proved that.
pub async fn authenticated_sender(
    state: &AppState,
    arrival: &Arrival,
    presented: &str,
    sender: Sender<'_>,
) -> Result<Caller, Problem> {
    let authority = &state.authority;
    match authority.authenticate_sender(presented, arrival.context(Door::Api), sender).await {
        Ok(caller) => Ok(caller),
        Err(AuthRefusal::Denied { guessed }) => {
            if guessed {
                authority.hold_back(arrival.source, None, None).await;
            }
            Err(Problem::unauthenticated(true))
        }
        Err(unavailable) => Err(unavailable.into()),
    }
}

/// The token of `Authorization: DPoP` (RFC 9449 section 7.1), if that is what the request has.
pub fn with_proof(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (line, more) = (lines.next()?, lines.next());
    let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("dpop")).then(|| token.trim())
}

/// What the `Authorization` header holds.
pub enum Bearer<'a> {
    /// A bearer token.
    Token(&'a str),
    /// Nothing, or another scheme.
    Absent,
    /// Two of them, or bytes that are no text: nobody can say which was meant.
    Unreadable,
}

/// Reads `Authorization: Bearer` (RFC 6750 section 2.1; the scheme in any case, RFC 9110 section
/// 11.1). Never the query: it ends up in logs.
pub fn bearer(headers: &HeaderMap) -> Bearer<'_> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Bearer::Absent };
    if lines.next().is_some() {
        return Bearer::Unreadable;
    }
    let Ok(text) = line.to_str() else { return Bearer::Unreadable };
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Bearer::Token(token.trim())
        }
        _ => Bearer::Absent,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case_and_two_headers_are_one_too_many() {
        let mut headers = HeaderMap::new();
        assert!(matches!(bearer(&headers), Bearer::Absent));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("bEaReR  abc"));
        assert!(matches!(bearer(&headers), Bearer::Token("abc")));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        assert!(matches!(bearer(&headers), Bearer::Unreadable));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic abc"));
        assert!(matches!(bearer(&headers), Bearer::Absent));
    }
}
