//! What surrounds every request: its id and source, the headers of its answer, its traces.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use counterfoil_authority::caller::RequestContext;
use counterfoil_authority::event::{Origin, RequestId};
use counterfoil_authority::names::RealmName;
use counterfoil_authority::verdict::Door;
use ipnet::IpNet;

use super::metrics::Metrics;
use super::problem::{Problem, Sort};
use super::state::{AppState, Connection, Shared};
use crate::clock::Stopwatch;
use crate::tls::Thumbprint;
use crate::traces::{self, Answered, Parent, Traces};

/// The header that names the request in answers, logs and events.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A request, as far as its connection and its proxies tell.
#[derive(Debug)]
pub struct Arrival {
    /// The other end of the connection.
    pub peer: Option<IpAddr>,
    /// Whether the peer is a proxy whose headers are believed.
    pub peer_is_trusted: bool,
    /// Whether the peer speaks TLS to us.
    tls: bool,
    /// The certificate that the client has proved to hold, to us or to a trusted proxy.
    pub certificate: Option<Thumbprint>,
    /// The client's address, after trusted proxies are taken away.
    pub source: Option<IpAddr>,
    /// Names the request everywhere.
    pub request_id: RequestId,
    /// The trace that the request belongs to, where traces are kept.
    parent: Option<Parent>,
    /// Who turned out to be calling; set once by the extractor, read for the record of refusals.
    caller: OnceLock<(RealmName, Origin)>,
}

impl Arrival {
    /// A request with these headers on a connection.
    pub fn new(state: &Shared, connection: Option<&Connection>, headers: &HeaderMap) -> Self {
        let peer = connection.map(|connection| connection.peer.ip().to_canonical());
        let proxies = &state.settings.trusted_proxies;
        let peer_is_trusted = peer.is_some_and(|peer| is_in(proxies, peer));
        let source = match peer {
            Some(peer) if peer_is_trusted => Some(forwarded_source(headers, proxies, peer)),
            other => other,
        };
        Self {
            peer,
            peer_is_trusted,
            certificate: match connection.and_then(|connection| connection.certificate) {
                // A proxy's own certificate is not that of the client behind it.
                _ if peer_is_trusted => passed_on(state, headers),
                own => own,
            },
            tls: connection.is_some_and(|connection| connection.tls),
            source,
            request_id: state.request_ids.issue(state.authority.now()),
            parent: state.traces.as_ref().and_then(|_| traces::parent_of(headers)),
            caller: OnceLock::new(),
        }
    }

    /// Whether the peer speaks TLS to us.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The context in which a credential is looked at.
    pub fn context(&self, door: Door) -> RequestContext {
        RequestContext { door, source: self.source, request_id: Some(self.request_id.clone()) }
    }

    /// The origin of an act by nobody in particular.
    pub fn anonymous(&self, door: Door) -> Origin {
        Origin::anonymous(self.context(door))
    }

    /// Notes who is calling.
    pub fn recognise(&self, realm: &RealmName, origin: &Origin) {
        // A second note would be the same caller; the first one stands.
        let _ = self.caller.set((realm.clone(), origin.clone()));
    }
}

/// The certificate of a client that a trusted proxy passes on. Two of them are none: nobody can
/// say which one the proxy wrote.
fn passed_on(state: &Shared, headers: &HeaderMap) -> Option<Thumbprint> {
    let names = state.settings.client_certificate_headers.iter();
    let mut lines = names.flat_map(|name| headers.get_all(name));
    let (line, more) = (lines.next()?, lines.next());
    line.to_str().ok().filter(|_| more.is_none()).and_then(Thumbprint::of_header)
}

/// Wraps every route of the router.
pub async fn envelope(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let connection = request.extensions().get::<Connection>();
    let arrival = Arc::new(Arrival::new(&state, connection, request.headers()));
    request.extensions_mut().insert(Arc::clone(&arrival));
    let response = match host_fault(request.version(), request.headers()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let template = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let served = Served { state: &state, arrival: &arrival, method: &method, template };
    served.finish(response, |metrics, status| metrics.served(template, status, watch.elapsed()))
}

/// A request whose answer is there.
pub struct Served<'a> {
    /// The doors.
    pub state: &'a Shared,
    /// The request.
    pub arrival: &'a Arrival,
    /// Its method.
    pub method: &'a Method,
    /// The route it took.
    pub template: &'a str,
}

impl Served<'_> {
    /// Gives the answer its id and headers, records a refusal, counts and logs. `note` counts
    /// and says how long it took.
    pub fn finish(
        self,
        mut response: Response,
        note: impl FnOnce(&Metrics, StatusCode) -> Duration,
    ) -> Response {
        let Self { state, arrival, method, template } = self;
        let problem = response.extensions_mut().remove::<Problem>();
        let request_id = || arrival.request_id.to_string();
        if let Some(problem) = &problem {
            record_refusal(state, arrival, problem, template);
            name_request(&mut response, problem, &request_id());
        }
        dress(response.headers_mut(), request_id(), arrival.tls);
        let elapsed = note(&state.metrics, response.status());
        // The class alone: a detail may name a field, and that name is whatever was sent.
        let problem = problem.as_ref().map_or("", |problem| problem.sort().entry().slug);
        let status = response.status().as_u16();
        if let Some(traces) = &state.traces {
            trace(state, traces, arrival, method, template, (status, problem), elapsed);
        }
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let changes = changes_something(method, template);
        // A name of ours: whatever word was sent as a method may be a secret.
        let method = traces::method_name(method);
        if status >= 500 {
            tracing::warn!(
                request_id = request_id(),
                method,
                route = template,
                status,
                micros,
                problem
            );
        } else if changes {
            tracing::info!(
                request_id = request_id(),
                method,
                route = template,
                status,
                micros,
                problem
            );
        } else {
            tracing::debug!(
                request_id = request_id(),
                method,
                route = template,
                status,
                micros,
                problem
            );
        }
        response
    }
}

/// Notes the span of a request that ended with this status and this class of a problem.
fn trace(
    state: &Shared,
    traces: &Traces,
    arrival: &Arrival,
    method: &Method,
    template: &str,
    (status, problem): (u16, &'static str),
    took: Duration,
) {
    let outcome = match (problem, traces::said()) {
        ("", Some(verdict)) => verdict,
        ("", None) if status < 400 => "ok",
        ("", None) => "refused",
        (problem, _) => problem,
    };
    let answered = Answered {
        request_id: Some(arrival.request_id.clone()),
        door: traces::door_of(template),
        method: traces::method_name(method),
        route: template,
        status: Some(status),
        outcome,
        failed: status >= 500,
        ended: state.authority.now(),
        took,
    };
    traces.note(state.authority.entropy(), arrival.parent, answered);
}

/// Whether a request is worth a line in an ordinary log: looks are not.
fn changes_something(method: &Method, template: &str) -> bool {
    !method.is_safe()
        && !template.contains("/verify")
        && !template.contains("/introspect")
        && !template.contains("_action=evaluate")
        && !template.starts_with("/authz")
}

/// What is wrong with the `Host` of a request (RFC 9112 section 3.2): with none or two of them, a
/// proxy and this server could take it for different hosts, and so for different realms.
pub fn host_fault(version: Version, headers: &HeaderMap) -> Option<Problem> {
    let mut lines = headers.get_all(header::HOST).iter();
    let first = lines.next();
    let fault = match first {
        // HTTP/1.0 knows no Host, and HTTP/2 has `:authority` instead.
        None if version != Version::HTTP_11 => return None,
        None => "a request of HTTP/1.1 needs a Host line",
        Some(_) if lines.next().is_some() => "a request has one Host line at most",
        Some(line) if !is_host(line.as_bytes()) => "Host must be a host name, with or without port",
        Some(_) => return None,
    };
    Some(Problem::new(Sort::Malformed, fault))
}

/// Whether a `Host` has the form `host[:port]`. It may be empty.
fn is_host(value: &[u8]) -> bool {
    is_plain_host(value) || (!value.contains(&b'@') && Authority::try_from(value).is_ok())
}

/// Whether it is the form that nearly every request has, of letters, digits, `.` and `-` before
/// the port: no need to take it apart and copy it.
fn is_plain_host(value: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let end = value.iter().position(|byte| !is_name(byte)).unwrap_or(value.len());
    match value.split_at(end) {
        (name, []) => name.len() < 256,
        ([], _) => false,
        (_, [b':', port @ ..]) => matches!(port.len(), 1..5) && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The rightmost address that is not a trusted proxy's: everything to its left was sent by
/// whoever sits there, and may be invented.
fn forwarded_source(headers: &HeaderMap, proxies: &[IpNet], peer: IpAddr) -> IpAddr {
    let mut source = peer;
    let lines: Vec<&str> =
        headers.get_all(X_FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = parse_hop(hop.trim()) else { break };
        source = address;
        if !is_in(proxies, address) {
            break;
        }
    }
    source
}

/// An address, with or without port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok();
    address.or_else(|| hop.parse::<SocketAddr>().ok().map(|a| a.ip())).map(|a| a.to_canonical())
}

/// Records refusals of the API. A bad credential is recorded where it was found bad.
fn record_refusal(state: &Shared, arrival: &Arrival, problem: &Problem, template: &str) {
    let known = arrival.caller.get();
    let recorded = match problem.sort() {
        Sort::InsufficientScope | Sort::BeyondGrant => true,
        Sort::Unauthenticated => !problem.was_presented(),
        _ => false,
    };
    if !recorded {
        return;
    }
    let anonymous = arrival.anonymous(Door::Api);
    let (realm, origin) = known.map_or((&state.main_realm, &anonymous), |(r, o)| (r, o));
    let authority = &state.authority;
    match authority.event("api.refused", realm, origin, authority.now()) {
        Ok(event) => {
            let detail = serde_json::json!({ "route": template });
            let event = event.with_reason(problem.sort().entry().slug).with_detail(detail);
            authority.record_refusal(event.refused());
        }
        Err(error) => tracing::error!(%error, "a refusal could not be recorded"),
    }
}

/// Writes the document again, now with the request's id; the answer's other headers stay.
fn name_request(response: &mut Response, problem: &Problem, request_id: &str) {
    let named = problem.render(Some(request_id));
    *response.body_mut() = named.into_body();
    response.headers_mut().remove(header::CONTENT_LENGTH);
}

/// Headers that every answer carries.
fn dress(headers: &mut HeaderMap, request_id: String, tls: bool) {
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::REFERRER_POLICY) {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(lines: &[&str]) -> String {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        forwarded_source(&headers, &proxies, "10.0.0.1".parse().unwrap()).to_string()
    }

    #[test]
    fn a_host_of_the_usual_form_is_one_of_the_standard_form() {
        for host in
            ["", "localhost", "127.0.0.1:8080", "a-b.example:1", "example:65535", "[::1]:80"]
        {
            assert!(is_host(host.as_bytes()), "{host}");
            let usual = is_plain_host(host.as_bytes()) && !host.is_empty();
            assert!(!usual || Authority::try_from(host).is_ok(), "{host}");
        }
        for other in ["a b", "user@host", "host/", "host:80:80", "a,b/c", "\u{e4}"] {
            assert!(!is_host(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_source_is_the_rightmost_address_that_is_no_proxy() {
        assert_eq!(source(&[]), "10.0.0.1");
        assert_eq!(source(&["203.0.113.9"]), "203.0.113.9");
        assert_eq!(source(&["198.51.100.1, 203.0.113.9, 10.0.0.7"]), "203.0.113.9");
        assert_eq!(source(&["198.51.100.1", "203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(source(&["203.0.113.9, unknown"]), "10.0.0.1");
        assert_eq!(source(&["[2001:db8::1]"]), "2001:db8::1");
    }
}
