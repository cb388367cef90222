//! `/policies?_action=evaluate` and `evaluateTree`: may this be done, asked by who has to allow it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::net::IpAddr;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil_authority::am::resource::{RESOURCE_BYTES_MAX, Requested, is_pat};
use counterfoil_authority::am::{Asker, Compiled, CompiledSet, builtin};
use counterfoil_authority::authority::{
    AmAnswer, AmDirectory, AmPresented, AmQuestion, AuthRefusal,
};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::zone_is_known;
use counterfoil_authority::verdict::Door;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::Fault;
use super::{Asked, Session};
use crate::http::body::parse;
use crate::http::wire::json_bytes;

/// Resources of one request at most: as many as one answer may keep waiting.
const RESOURCES_MAX: usize = 100;
/// Decisions of one tree at most.
const TREE_MAX: usize = 1_000;
/// AM's word for a decision that holds for ever.
const FOR_EVER: i64 = i64::MAX;
/// Room for an answer of usual size.
const ANSWER_BYTES: usize = 384;

/// What is asked. Unknown fields are ignored, as the product does.
#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow, default)]
    resources: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    resource: Option<Text<'a>>,
    #[serde(borrow, default)]
    application: Option<Text<'a>>,
    #[serde(default)]
    subject: Option<SentSubject>,
    #[serde(default)]
    environment: Option<BTreeMap<String, Vec<String>>>,
}

/// A text that is borrowed from the body where it stands there literally.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// On whose behalf. The three are combined.
#[derive(Deserialize)]
struct SentSubject {
    #[serde(rename = "ssoToken", default)]
    sso_token: Option<String>,
    #[serde(default)]
    jwt: Option<String>,
    #[serde(default)]
    claims: Option<Map<String, Value>>,
}

fn read(body: &[u8]) -> Result<Question<'_>, Fault> {
    parse(body).map_err(|problem| {
        // Which field it was, in AM's words; never what stood in it.
        let detail = problem.detail();
        let fields = ["resources", "resource", "application", "subject", "environment"];
        let at_fault = fields.into_iter().find(|field| {
            detail.strip_prefix(field).is_some_and(|rest| rest.starts_with([':', '.', '[']))
        });
        at_fault.map_or_else(|| Fault::from(problem), Fault::value)
    })
}

/// What several resources of a request have in common.
struct Inquiry<'a> {
    asked: &'a Asked<'a>,
    caller: &'a Caller,
    set: &'a CompiledSet,
    asker: Asker,
    address: Option<IpAddr>,
    dns_name: Option<String>,
    zone: Cow<'a, str>,
    scopes: Vec<String>,
}

impl Inquiry<'_> {
    async fn decide(&self, resource: &str) -> Result<AmAnswer, Fault> {
        if resource.len() > RESOURCE_BYTES_MAX {
            return if is_pat(resource) {
                Ok(AmAnswer::default())
            } else {
                Err(Fault::value("resources"))
            };
        }
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        let question = AmQuestion {
            realm: self.asked.realm,
            caller: self.caller,
            set: self.set,
            resource,
            asker: &self.asker,
            address: self.address,
            dns_name: self.dns_name.as_deref(),
            zone: &self.zone,
            scopes: &scopes,
            directory: AmDirectory(&*self.asked.state.courier),
        };
        let answer = self.asked.state.authority.am_decide(&question).await?;
        let metrics = &self.asked.state.metrics;
        match answer.presented {
            AmPresented::Nothing => {}
            AmPresented::Active => metrics.counted(Door::Am, None),
            AmPresented::Inactive(reason) => metrics.counted(Door::Am, Some(reason)),
        }
        Ok(answer)
    }
}

/// Asks who asks, in which policy set, about whom, under which circumstances.
async fn inquiry<'a>(
    asked: &'a Asked<'a>,
    session: &'a Session,
    documents: &'a Compiled,
    question: &Question<'_>,
) -> Result<Inquiry<'a>, Fault> {
    let set = set_of(asked, documents, question)?;
    let on_behalf_of = match &question.subject {
        Some(subject) => Box::pin(asker_of(asked, subject)).await?,
        None => asker_of_caller(&session.caller),
    };
    let none = BTreeMap::new();
    let told = question.environment.as_ref().unwrap_or(&none);
    let first = |names: &[&str]| {
        names.iter().find_map(|name| told.get(*name).and_then(|values| values.first()))
    };
    let address = match first(&["IP", "requestIp"]) {
        Some(text) => Some(text.parse().map_err(|_| Fault::value("environment"))?),
        None => None,
    };
    let zone = first(&["requestTimeZone"]).filter(|zone| zone_is_known(zone));
    let scopes = told.get("scope").into_iter().flatten();
    let scopes = scopes.flat_map(|text| text.split(' ')).filter(|word| !word.is_empty());
    Ok(Inquiry {
        asked,
        caller: &session.caller,
        set,
        asker: on_behalf_of,
        address,
        dns_name: first(&["dnsName", "requestDnsName"]).cloned(),
        zone: zone.map_or(Cow::Borrowed(documents.zone()), |named| Cow::Owned(named.clone())),
        scopes: scopes.map(str::to_owned).collect(),
    })
}

fn asker_of_caller(caller: &Caller) -> Asker {
    Asker {
        uid: Some(caller.subject.name().to_owned()),
        groups: caller.groups.iter().map(|group| group.as_str().to_owned()).collect(),
        is_authenticated: true,
        is_client: caller.subject.user().is_none(),
        claims: Map::new(),
    }
}

/// A subject that the request names: a session, which is proved, and claims, which are not.
async fn asker_of(asked: &Asked<'_>, sent: &SentSubject) -> Result<Asker, Fault> {
    let bad = || Fault::value("subject");
    let mut named = Asker::default();
    let mut is_named = false;
    if let Some(token) = &sent.sso_token {
        let session = match asked.session_of(token, asked.using(true)).await {
            Ok(session) => session,
            Err(AuthRefusal::Denied { .. }) => return Err(bad()),
            Err(AuthRefusal::Unavailable(refusal)) => return Err(refusal.into()),
        };
        if session.caller.realm != *asked.realm {
            return Err(bad());
        }
        named = asker_of_caller(&session.caller);
        is_named = true;
    }
    let of_jwt = match &sent.jwt {
        Some(jwt) => Some(payload(jwt).ok_or_else(bad)?),
        None => None,
    };
    for claims in of_jwt.iter().chain(&sent.claims) {
        let subject = claims.get("sub").and_then(Value::as_str).ok_or_else(bad)?;
        named.uid.get_or_insert_with(|| subject.to_owned());
        named.claims.extend(claims.iter().map(|(name, value)| (name.clone(), value.clone())));
        is_named = true;
    }
    if is_named { Ok(named) } else { Err(bad()) }
}

/// The claims of a JWT, whoever signed it: who asks has to know that.
fn payload(jwt: &str) -> Option<Map<String, Value>> {
    let mut parts = jwt.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    parse(&bytes).ok()
}

/// Answers about each resource once, in their order.
pub(super) async fn answer(
    asked: &Asked<'_>,
    session: &Session,
    body: &[u8],
) -> Result<Response, Fault> {
    let authority = &asked.state.authority;
    authority.am_may_evaluate(&session.caller, asked.realm)?;
    let question = read(body)?;
    let resources = question.resources.as_deref().unwrap_or_default();
    if resources.is_empty() || resources.len() > RESOURCES_MAX {
        return Err(Fault::value("resources"));
    }
    let documents = authority.am_documents(asked.realm).await?;
    let inquiry = inquiry(asked, session, &documents, &question).await?;
    let mut out = Vec::with_capacity(ANSWER_BYTES * resources.len());
    let mut seen = HashSet::new();
    for Text(text) in resources {
        let resource = text.as_ref();
        if resources.len() > 1 && !seen.insert(resource) {
            continue;
        }
        let answer = inquiry.decide(resource).await?;
        out.push(if out.is_empty() { b'[' } else { b',' });
        write(&mut out, text.into(), &answer);
    }
    out.push(b']');
    Ok(array(out))
}

/// Answers about a resource and what lies below it. Below `pat://` lies nothing: nobody is told
/// who has a token.
pub(super) async fn tree(
    asked: &Asked<'_>,
    session: &Session,
    body: &[u8],
) -> Result<Response, Fault> {
    let authority = &asked.state.authority;
    authority.am_may_evaluate(&session.caller, asked.realm)?;
    let question = read(body)?;
    let root = question.resource.as_ref().map(|text| text.0.as_ref());
    let root = root.filter(|root| !root.is_empty()).ok_or_else(|| Fault::value("resource"))?;
    let documents = authority.am_documents(asked.realm).await?;
    let inquiry = inquiry(asked, session, &documents, &question).await?;
    let mut resources = vec![root.to_owned()];
    if !is_pat(root) {
        let requested = Requested::read(root).map_err(|bad| Fault::invalid(bad.to_string()))?;
        let below = inquiry.set.below(&requested).map(|pattern| pattern.canonical().to_owned());
        resources.extend(below.filter(|name| name != root).take(TREE_MAX));
    }
    let mut out = Vec::with_capacity(ANSWER_BYTES * resources.len());
    for resource in &resources {
        let answer = inquiry.decide(resource).await?;
        out.push(if out.is_empty() { b'[' } else { b',' });
        write(&mut out, Named::By(resource), &answer);
    }
    out.push(b']');
    Ok(array(out))
}

fn set_of<'a>(
    asked: &Asked<'_>,
    documents: &'a Compiled,
    question: &Question<'_>,
) -> Result<&'a CompiledSet, Fault> {
    let name = question.application.as_ref().map_or(builtin::DEFAULT_SET, |text| &text.0);
    let unknown = || {
        let realm = asked.shown_realm(asked.realm);
        let message = format!("Unable to retrieve application under realm {realm}.");
        Fault::new(StatusCode::NOT_FOUND, message)
    };
    documents.set(name).map(|set| &**set).ok_or_else(unknown)
}

fn array(bytes: Vec<u8>) -> Response {
    let mut response = json_bytes(StatusCode::OK, bytes);
    // The answer repeats the resource, and that may hold a secret.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// How a resource is named in the answer.
#[derive(Clone, Copy)]
enum Named<'a> {
    /// As it stands in the request's JSON without an escape, so it may stand so in the answer's.
    Literally(&'a str),
    /// By this text.
    By(&'a str),
}

impl<'a> From<&'a Cow<'a, str>> for Named<'a> {
    /// A text is borrowed from the request exactly if it has no escape there.
    fn from(text: &'a Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(literal) => Self::Literally(literal),
            Cow::Owned(text) => Self::By(text),
        }
    }
}

/// Writes one decision. By hand, because this is the answer that is given most often; strings
/// and numbers cannot fail to be written into a vector.
fn write(out: &mut Vec<u8>, resource: Named<'_>, answer: &AmAnswer) {
    out.extend_from_slice(br#"{"resource":"#);
    match resource {
        Named::Literally(literal) => {
            out.push(b'"');
            out.extend_from_slice(literal.as_bytes());
            out.push(b'"');
        }
        Named::By(text) => drop(serde_json::to_writer(&mut *out, text)),
    }
    out.extend_from_slice(br#","actions":"#);
    drop(serde_json::to_writer(&mut *out, &answer.actions));
    out.extend_from_slice(br#","attributes":"#);
    drop(serde_json::to_writer(&mut *out, &answer.attributes));
    let until = answer.until.map_or(FOR_EVER, |until| until.micros().div_euclid(1_000));
    let _ = write!(out, r#","advices":{{}},"ttl":{until}}}"#);
}
