//! The heart of `R/verify`, without axum: bytes in, bytes out, so that a leaner front can serve it.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::marker::PhantomData;
use std::net::IpAddr;

use counterfoil_authority::authority::{Active, Authority, Binding, Verdict, VerifyRequest};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::body::{parse, parse_flat};
use super::metrics::Metrics;
use super::problem::Problem;

/// Verifications in one batch at most: as many as one answer may keep waiting.
pub const BATCH_LEN_MAX: usize = 100;
/// Bytes of a presented token at most. What people type into a password field is far shorter;
/// beyond it somebody sends a file. Up to here a string that cannot be ours is just inactive.
const TOKEN_BYTES_MAX: usize = 4096;
/// Bytes of a user name, resource or action at most.
const TEXT_BYTES_MAX: usize = 2048;
/// Scopes asked for at most.
const SCOPES_MAX: usize = 64;
/// Room for an answer of usual size.
const ANSWER_BYTES: usize = 384;

/// A text that is borrowed from the body where it stands there literally.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One question. [`super::verify::VerifyQuestion`] describes it for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow, default)]
    username: Option<Text<'a>>,
    #[serde(borrow, default)]
    service: Option<Text<'a>>,
    #[serde(borrow, default)]
    scopes: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    resource: Option<Text<'a>>,
    #[serde(borrow, default)]
    action: Option<Text<'a>>,
    #[serde(borrow, default)]
    client_ip: Option<Text<'a>>,
    #[serde(default)]
    consume: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Questions<'a> {
    #[serde(borrow)]
    requests: Vec<Object<Question<'a>>>,
}

/// What stands there as an object. Serde would take an array for one as well, field by field in
/// the order of our source.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Who asks whom about which realm.
pub struct Inquiry<'a> {
    /// Decides.
    pub authority: &'a Authority,
    /// Counts.
    pub metrics: &'a Metrics,
    /// The verifier.
    pub caller: &'a Caller,
    /// The tenant.
    pub realm: &'a RealmName,
}

impl Inquiry<'_> {
    /// Answers one question; also says when the token ends that was found good, if it does.
    pub async fn one(&self, body: &[u8]) -> Result<(Vec<u8>, Option<Timestamp>), Problem> {
        let question: Question<'_> = parse_flat(body)?;
        let mut answer = Vec::with_capacity(ANSWER_BYTES);
        let ends = self.answer(&question, &|field| field.to_owned(), &mut answer).await?;
        Ok((answer, ends))
    }

    /// Answers up to [`BATCH_LEN_MAX`] questions, in their order.
    pub async fn many(&self, body: &[u8]) -> Result<Vec<u8>, Problem> {
        let Questions { requests } = parse(body)?;
        if requests.len() > BATCH_LEN_MAX {
            let why = format!("at most {BATCH_LEN_MAX} at once");
            return Err(Problem::invalid("requests", why));
        }
        let mut answer = Vec::with_capacity(ANSWER_BYTES * requests.len() + 16);
        answer.extend_from_slice(br#"{"results":["#);
        for (index, Object(question)) in requests.iter().enumerate() {
            if index > 0 {
                answer.push(b',');
            }
            let named = |field: &str| format!("requests[{index}].{field}");
            self.answer(question, &named, &mut answer).await?;
        }
        answer.extend_from_slice(b"]}");
        Ok(answer)
    }

    async fn answer(
        &self,
        question: &Question<'_>,
        named: &(dyn Fn(&str) -> String + Sync),
        answer: &mut Vec<u8>,
    ) -> Result<Option<Timestamp>, Problem> {
        check_lengths(question, named)?;
        let service = question.service.as_ref().map(|text| ServiceLabel::parse(&text.0));
        let service = service.transpose().map_err(|bad| Problem::invalid(named("service"), bad))?;
        let client_ip: Option<IpAddr> = match &question.client_ip {
            Some(text) => {
                let address = text.0.parse().map_err(|_| "expected an IP address");
                Some(address.map_err(|why| Problem::invalid(named("client_ip"), why))?)
            }
            None => None,
        };
        let asked = question.scopes.iter().flatten().map(|text| Scope::parse(&text.0));
        let scopes: Vec<Scope> = asked
            .collect::<Result<_, _>>()
            .map_err(|bad| Problem::invalid(named("scopes"), bad))?;
        let binding = self.authority.binding(self.caller, self.realm, service.as_ref());
        let binding = binding.map_err(|refusal| match (&refusal, &service) {
            (Refusal::Forbidden(_), Some(label)) => {
                let detail = format!("{refusal} for the service {label}");
                Problem::from(refusal).saying(detail)
            }
            _ => refusal.into(),
        })?;
        let origin = &self.caller.origin;
        let request = VerifyRequest {
            realm: self.realm,
            presented: &question.token,
            username: question.username.as_ref().map(|text| text.0.as_ref()),
            binding,
            scopes: &scopes,
            resource: question.resource.as_ref().map(|text| text.0.as_ref()),
            action: question.action.as_ref().map(|text| text.0.as_ref()),
            client_ip,
            consume: question.consume.unwrap_or(true),
            // The verifier's own address is everybody's; only a named client's can fail.
            throttled: client_ip.is_some(),
            origin,
        };
        let verdict = self.authority.verify(request).await?;
        self.metrics.verified(origin.door, &verdict);
        self.authority.heard(&request, &verdict);
        write(&verdict, &binding, answer);
        Ok(match &verdict {
            Verdict::Active(active) => active.expires_at(),
            Verdict::Inactive { .. } => None,
        })
    }
}

fn check_lengths(
    question: &Question<'_>,
    named: &(dyn Fn(&str) -> String + Sync),
) -> Result<(), Problem> {
    if question.token.len() > TOKEN_BYTES_MAX {
        let why = format!("has at most {TOKEN_BYTES_MAX} bytes");
        return Err(Problem::invalid(named("token"), why));
    }
    let texts = [
        ("username", &question.username),
        ("resource", &question.resource),
        ("action", &question.action),
    ];
    for (field, text) in texts {
        if text.as_ref().is_some_and(|text| text.0.len() > TEXT_BYTES_MAX) {
            let why = format!("has at most {TEXT_BYTES_MAX} bytes");
            return Err(Problem::invalid(named(field), why));
        }
    }
    if question.scopes.as_ref().is_some_and(|scopes| scopes.len() > SCOPES_MAX) {
        return Err(Problem::invalid(named("scopes"), format!("at most {SCOPES_MAX} scopes")));
    }
    Ok(())
}

/// Writes a verdict as JSON. By hand, because this is the answer that is given most often and
/// its permissions are JSON text already.
fn write(verdict: &Verdict, asked: &Binding<'_>, out: &mut Vec<u8>) {
    match verdict {
        Verdict::Active(active) => write_active(active, asked, out),
        Verdict::Inactive { reason, .. } => {
            out.extend_from_slice(br#"{"active":false,"code":""#);
            out.extend_from_slice(reason.code().as_bytes());
            out.extend_from_slice(br#""}"#);
        }
    }
}

fn write_active(active: &Active, asked: &Binding<'_>, out: &mut Vec<u8>) {
    // Ids and kinds are plain ASCII by their types and need no escaping.
    out.extend_from_slice(br#"{"active":true,"token_id":""#);
    out.extend_from_slice(active.token().as_bytes());
    out.extend_from_slice(br#"","kind":""#);
    out.extend_from_slice(active.kind().name().as_bytes());
    out.extend_from_slice(br#"","username":"#);
    write_text(active.username(), out);
    out.extend_from_slice(br#","client":"#);
    write_text(active.client(), out);
    out.extend_from_slice(br#","service":"#);
    write_text(active.service(asked), out);
    out.extend_from_slice(br#","service_checked":"#);
    out.extend_from_slice(if active.service_checked() { b"true" } else { b"false" });
    out.extend_from_slice(br#","scopes":["#);
    for (index, scope) in active.scopes().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(Some(scope.as_str()), out);
    }
    out.extend_from_slice(br#"],"permissions":"#);
    out.extend_from_slice(active.permissions().unwrap_or("null").as_bytes());
    // Writing to a vector cannot fail.
    let _ = match active.expires_at() {
        Some(end) => write!(out, r#","expires_at":"{end}""#),
        None => write!(out, r#","expires_at":null"#),
    };
    let _ = match active.remaining() {
        Some(remaining) => write!(out, r#","remaining":{remaining}"#),
        None => write!(out, r#","remaining":null"#),
    };
    if let Some(next) = active.brown_out() {
        let (from, until) = (next.from, next.until);
        let _ = write!(out, r#","brown_out":{{"from":"{from}","until":"{until}"}}"#);
    }
    if let Some(access) = active.access() {
        out.extend_from_slice(br#","subject":"#);
        write_text(Some(&access.subject), out);
    }
    if let Some(cnf) = active.confirmation() {
        out.extend_from_slice(br#","cnf":"#);
        drop(serde_json::to_writer(&mut *out, cnf));
    }
    out.push(b'}');
}

fn write_text(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        // A string is always JSON, and a vector always takes it.
        Some(text) => drop(serde_json::to_writer(out, text)),
        None => out.extend_from_slice(b"null"),
    }
}
