//! Who looks at a page, over what kind of connection, and what their browser holds.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, HOST, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::authority::{ConsoleRefusal, SignedIn};
use counterfoil_authority::console::SignInMethod;
use counterfoil_authority::names::{RealmName, Username};
use counterfoil_authority::secret::{ClearSecret, HEX_TOKEN_LEN};
use counterfoil_authority::single_sign_on::{FLOW_SECONDS, Vouched};
use counterfoil_authority::verdict::Door;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::SIGN_IN;
use super::page::{self, Frame};
use super::try_again::Sent;
use super::words::Language;
use crate::http::authz::realm_of;
use crate::http::caller::Arrived;
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::sign_on::vouched_by_proxy;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
/// Sent with every request over TLS only, and settable by nobody but this very host (RFC 6265bis
/// section 4.1.3.2).
const COOKIE_SECURE: &str = "__Host-counterfoil";
/// On this machine itself, where there need be no TLS.
const COOKIE_LOOPBACK: &str = "counterfoil";

/// What somebody holds on their way to a provider and back, beside those two.
const FLOW_SECURE: &str = "__Host-counterfoil-flow";
const FLOW_LOOPBACK: &str = "counterfoil-flow";
/// Bytes of a name that is shown again: the shortest token that cannot be told from a name by its
/// form, a session of the AM door, has one more, and ours in base64 have many more.
const SHOWN_AGAIN_MAX: usize = HEX_TOKEN_LEN - 1;

/// Over what a browser talks to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// TLS, to us or to a trusted proxy.
    Secure,
    /// Nothing, but it does not leave this machine.
    Loopback,
    /// Nothing: passwords and sessions could be read on the way.
    Clear,
}

impl Transport {
    fn of(arrival: &Arrival, headers: &HeaderMap, uri: &Uri) -> Self {
        if arrival.is_tls() {
            return Self::Secure;
        }
        if arrival.peer_is_trusted {
            // Two of them were not written by one proxy.
            let mut lines = headers.get_all(X_FORWARDED_PROTO).iter();
            let https = lines.next().is_some_and(|line| line == "https") && lines.next().is_none();
            return if https { Self::Secure } else { Self::Clear };
        }
        // A proxy that nobody told us of makes strangers look local.
        let proxied = [X_FORWARDED_PROTO, X_FORWARDED_FOR, FORWARDED]
            .iter()
            .any(|name| headers.contains_key(name));
        let local = arrival.source.is_some_and(|source| source.is_loopback());
        if local && !proxied && host_of(headers, uri).is_some_and(|host| is_loopback(&host)) {
            Self::Loopback
        } else {
            Self::Clear
        }
    }

    const fn cookie(self) -> &'static str {
        match self {
            Self::Secure => COOKIE_SECURE,
            Self::Loopback | Self::Clear => COOKIE_LOOPBACK,
        }
    }

    const fn flow(self) -> &'static str {
        match self {
            Self::Secure => FLOW_SECURE,
            Self::Loopback | Self::Clear => FLOW_LOOPBACK,
        }
    }
}

/// The host that was asked for, with its port.
fn host_of(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let header = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(axum::http::uri::Authority::as_str).or(header)?;
    Some(host.to_ascii_lowercase())
}

fn is_loopback(host: &str) -> bool {
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = bare.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    bare == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A look at a page, by anybody.
pub(super) struct Visit {
    pub(super) state: AppState,
    pub(super) arrival: Arc<Arrival>,
    pub(super) language: Language,
    pub(super) transport: Transport,
    /// The realm that the host stands for.
    pub(super) realm: RealmName,
    /// Where they are.
    pub(super) uri: Uri,
    /// What the browser holds.
    pub(super) cookie: Option<ClearSecret>,
    /// What it holds of a way to a provider that was begun.
    pub(super) flow: Option<ClearSecret>,
    /// Who is there by the word of the proxy in front.
    pub(super) proxied: Option<Vouched>,
    /// What it says of itself.
    pub(super) agent: Option<String>,
    host: Option<String>,
}

impl FromRequestParts<AppState> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let arrived = Arrived::from_request_parts(parts, state).await;
        let Arrived(arrival) = arrived.map_err(axum::response::IntoResponse::into_response)?;
        let transport = Transport::of(&arrival, &parts.headers, &parts.uri);
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let realm = realm_of(state, parts).clone();
        let proxied =
            state.settings.console_proxy.as_ref().and_then(|settings| {
                vouched_by_proxy(settings, arrival.peer, &realm, &parts.headers)
            });
        let visit = Self {
            language: Language::preferred(&parts.headers),
            transport,
            realm,
            cookie: cookie(&parts.headers, transport.cookie()),
            flow: cookie(&parts.headers, transport.flow()),
            proxied,
            agent: agent.map(str::to_owned),
            host: host_of(&parts.headers, &parts.uri),
            uri: parts.uri.clone(),
            state: state.clone(),
            arrival,
        };
        if transport == Transport::Clear {
            return Err(page::insecure(&visit));
        }
        Ok(visit)
    }
}

/// The value of a cookie (RFC 6265 section 5.4).
fn cookie(headers: &HeaderMap, name: &str) -> Option<ClearSecret> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(own, _)| own.trim() == name)?;
    Some(ClearSecret::new(value.trim().to_owned()))
}

impl Visit {
    /// What was typed as a name, to stand in its field again, if it can be one and is short. Nothing
    /// else that somebody pasted there is shown: no token, and nothing in which one may be written
    /// some other way. Whoever has a long name types it again.
    pub(super) fn shown_again<'a>(&self, typed: &'a str) -> &'a str {
        let authority = &self.state.authority;
        let is_token = authority.holds_token(typed) || authority.is_token_in_name(typed);
        let is_name = typed.len() <= SHOWN_AGAIN_MAX && Username::parse(typed).is_ok();
        if is_name && !is_token { typed } else { "" }
    }

    /// What the authority is told of the request.
    pub(super) fn context(&self) -> counterfoil_authority::caller::RequestContext {
        self.arrival.context(Door::Console)
    }

    /// What a page has around it, for somebody who is not signed in.
    pub(super) fn frame(&self) -> Frame {
        Frame::of_visitor(self.language)
    }

    /// Where people are who look at this page: `server.public_url`, or the host name that their
    /// realm has for itself.
    pub(super) fn own_url(&self) -> String {
        let settings = &self.state.settings;
        let host = self.host.as_deref().unwrap_or_default();
        let bare = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let bound =
            settings.realm_by_host.contains_key(host) || settings.realm_by_host.contains_key(bare);
        let scheme = if self.transport == Transport::Secure { "https" } else { "http" };
        if bound { format!("{scheme}://{host}") } else { settings.public_url.clone() }
    }

    /// The header that gives the browser its session, or takes it away.
    pub(super) fn set_cookie(&self, session: Option<&ClearSecret>) -> HeaderValue {
        let end = if session.is_none() { "; Max-Age=0" } else { "" };
        self.cookie_line(self.transport.cookie(), session, end)
    }

    /// The same for what it holds of a way to a provider.
    pub(super) fn set_flow(&self, held: Option<&ClearSecret>) -> HeaderValue {
        let seconds = if held.is_some() { FLOW_SECONDS } else { 0 };
        self.cookie_line(self.transport.flow(), held, &format!("; Max-Age={seconds}"))
    }

    fn cookie_line(&self, name: &str, value: Option<&ClearSecret>, end: &str) -> HeaderValue {
        let value = value.map_or("", ClearSecret::reveal);
        let secure = if self.transport == Transport::Secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{end}");
        let header = HeaderValue::from_str(&text);
        header.map_or(HeaderValue::from_static(""), |mut header| {
            header.set_sensitive(true);
            header
        })
    }

    /// Whether a request that acts came from a page of ours. `strictly`: not if the browser says
    /// nothing about it.
    pub(super) fn is_from_us(&self, headers: &HeaderMap, strictly: bool) -> bool {
        if let Some(site) = headers.get("sec-fetch-site") {
            // `none`: the person themselves, by a reload.
            return site == "same-origin" || site == "none";
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return !strictly };
        let Ok(origin) = origin.to_str() else { return false };
        let Some((_, host)) = origin.split_once("://") else { return false };
        let own = self.host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(host));
        own || origin == self.state.settings.public_url
    }

    /// Who came by the word of the proxy is there for as long as it says so.
    pub(super) fn still(&self, signed_in: SignedIn) -> Result<SignedIn, ConsoleRefusal> {
        let session = &signed_in.session;
        let named = self.proxied.as_ref().is_some_and(|proxied| {
            Username::parse(&proxied.subject).is_ok_and(|name| name == session.username)
        });
        if session.method == SignInMethod::Proxy && !named {
            return Err(ConsoleRefusal::Denied);
        }
        Ok(signed_in)
    }

    /// Back to where people sign in, and then on to this page.
    fn to_sign_in(&self, method: &Method) -> Response {
        let next = match self.uri.path_and_query() {
            Some(path) if *method == Method::GET && path.as_str() != "/" => path.as_str(),
            _ => return see_other(SIGN_IN),
        };
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        see_other(&format!("{SIGN_IN}?next={next}"))
    }
}

/// On to another page of ours, by GET.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    page::dress(response.headers_mut());
    response
}

/// A path of ours, however it was spelled; the beginning for everything else. What begins with two
/// slashes, or with one that some browsers take for one, is another host (RFC 3986 section 4.2).
pub(super) fn next_path(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let ours = next.starts_with('/') && !next.starts_with("//") && next.len() <= 512;
    if plain && ours { next } else { "/" }
}

/// Somebody who is signed in.
pub(super) struct Person {
    pub(super) visit: Visit,
    pub(super) signed_in: SignedIn,
    /// The form that they have sent, if it may be shown to them again.
    pub(super) sent: Option<Sent>,
}

impl FromRequestParts<AppState> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let visit = Visit::from_request_parts(parts, state).await?;
        let Some(cookie) = &visit.cookie else { return Err(visit.to_sign_in(&parts.method)) };
        let recognised = state.authority.console_caller(cookie.reveal(), visit.context()).await;
        match recognised.and_then(|signed_in| visit.still(signed_in)) {
            Ok(signed_in) => {
                let caller = &signed_in.caller;
                visit.arrival.recognise(&caller.realm, &caller.origin);
                Ok(Self { visit, signed_in, sent: None })
            }
            Err(ConsoleRefusal::Denied) => {
                let mut response = visit.to_sign_in(&parts.method);
                response.headers_mut().append(header::SET_COOKIE, visit.set_cookie(None));
                Err(response)
            }
            Err(refusal) => Err(page::refused(&visit.frame(), &refusal)),
        }
    }
}

impl Person {
    /// What a page has around it.
    pub(super) fn frame(&self) -> Frame {
        Self::frame_of(&self.visit, &self.signed_in)
    }

    /// The same where somebody has just turned out to be signed in.
    pub(super) fn frame_of(visit: &Visit, signed_in: &SignedIn) -> Frame {
        let cookie = visit.cookie.as_ref().map_or("", ClearSecret::reveal);
        Frame::of_person(visit.language, signed_in, form_mark(cookie))
    }

    /// The name they have, as it is shown.
    pub(super) fn username(&self) -> &str {
        self.signed_in.session.username.as_str()
    }
}

/// What the forms of a session hold: nobody else can know it, and the session cannot be told from
/// it.
fn form_mark(session: &str) -> String {
    data_encoding::HEXLOWER.encode(&form_mac(session).finalize().into_bytes())
}

/// Whether a form is one of this session.
pub(super) fn is_form_of(session: &str, mark: &str) -> bool {
    let Ok(mark) = data_encoding::HEXLOWER.decode(mark.as_bytes()) else { return false };
    form_mac(session).verify_slice(&mark).is_ok()
}

fn form_mac(session: &str) -> Hmac<Sha256> {
    // HMAC takes a key of any length, so the error branch of the trait cannot occur.
    #[expect(clippy::expect_used, reason = "HMAC accepts keys of every length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(session.as_bytes()).expect("an HMAC key");
    mac.update(b"counterfoil console form 1");
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_is_one_of_ours() {
        for ours in ["/", "/tokens/abc", "/account?x=1", "/services/git/new"] {
            assert_eq!(next_path(ours), ours);
        }
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x",
            "\\\\evil.example",
            "account",
            "/\t/evil.example",
        ] {
            assert_eq!(next_path(other), "/", "{other}");
        }
    }

    #[test]
    fn the_form_of_one_session_is_none_of_another() {
        let mark = form_mark("one");
        assert!(is_form_of("one", &mark));
        assert!(!is_form_of("two", &mark));
        assert!(!is_form_of("one", ""));
        assert!(!is_form_of("one", &mark.to_uppercase()));
    }

    #[test]
    fn a_host_of_this_machine_is_known_by_its_name() {
        for host in ["localhost", "localhost:8780", "127.0.0.1:1", "127.9.9.9", "[::1]:8780"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.evil.example", "10.0.0.1", "example:80", "", "[::2]:1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; counterfoil=x.y"));
        headers.append(COOKIE, HeaderValue::from_static("counterfoil=second"));
        assert_eq!(cookie(&headers, "counterfoil").unwrap().reveal(), "x.y");
        assert!(cookie(&headers, "__Host-counterfoil").is_none());
    }
}
