//! What a client sends to the OAuth door: a form, its own name and key, and proofs.

use std::borrow::Cow;
use std::sync::OnceLock;

use axum::body::HttpBody;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use counterfoil_authority::access::Confirmation;
use counterfoil_authority::access::proof::{Proof, ProofFault, ProofFor};
use counterfoil_authority::authority::{EnrolRefusal, Sender};
use counterfoil_authority::caller::Caller;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{RealmName, ServiceLabel};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::{ClearSecret, Shape};
use counterfoil_authority::subject::Owner;
use counterfoil_authority::verdict::Door;
use zeroize::Zeroizing;

use super::error::{ErrorCode, OauthError, invalid_client, invalid_request};
use crate::http::body::{any_bytes_of, media_type};
use crate::http::caller::{Bearer, bearer, with_proof};
use crate::http::envelope::Arrival;
use crate::http::state::AppState;
use crate::tls::Thumbprint;

/// Parameters of a form at most.
const PARAMETERS_MAX: usize = 64;
/// Scopes asked for at most.
const SCOPES_MAX: usize = 64;

/// The one type of body that the endpoints for forms take.
const FORM: &str = "application/x-www-form-urlencoded";

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A name or a value: as it stands in the body, or decoded and wiped when it is no longer needed.
enum Word<'a> {
    Plain(&'a str),
    Decoded(Zeroizing<String>),
}

impl Word<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Decoded(text) => text,
        }
    }
}

/// A form.
pub(super) struct Form<'a>(Vec<(Word<'a>, Word<'a>)>);

/// A form in which nothing is encoded: most introspections send one, and nothing of it is copied.
fn plain(bytes: &[u8]) -> Option<&str> {
    // Without a branch, so that many bytes are looked at in one step.
    let encoded = bytes.iter().fold(0, |any, &b| any | u8::from(b == b'%') | u8::from(b == b'+'));
    if encoded == 0 { std::str::from_utf8(bytes).ok() } else { None }
}

impl<'a> Form<'a> {
    /// Reads a form. No parameter but `audience` and `resource` may come twice (RFC 6749 section
    /// 3.2, RFC 8693 section 2.1); an empty one counts as left out (RFC 6749 section 3.1).
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, OauthError> {
        let mut form = Self(Vec::new());
        if let Some(text) = plain(bytes) {
            for pair in text.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                form.add(Word::Plain(name), Word::Plain(value))?;
            }
            return Ok(form);
        }
        let decoded = |word: Cow<'_, str>| Word::Decoded(Zeroizing::new(word.into_owned()));
        for (name, value) in form_urlencoded::parse(bytes) {
            form.add(decoded(name), decoded(value))?;
        }
        Ok(form)
    }

    fn add(&mut self, name: Word<'a>, value: Word<'a>) -> Result<(), OauthError> {
        if self.0.len() == PARAMETERS_MAX {
            return Err(invalid_request(format!("at most {PARAMETERS_MAX} parameters")));
        }
        let again = self.0.iter().any(|(known, _)| known.as_str() == name.as_str());
        if again && !["audience", "resource"].contains(&name.as_str()) {
            return Err(invalid_request("a parameter is given twice"));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// A parameter, if it is there.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        let mut words = self.0.iter().map(|(known, value)| (known.as_str(), value.as_str()));
        words.find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// A parameter that must be there.
    pub(super) fn require(&self, name: &str) -> Result<&str, OauthError> {
        self.find(name).ok_or_else(|| invalid_request(format!("{name} is missing")))
    }

    /// The scopes that are asked for; `None` if none are named.
    pub(super) fn scopes(&self) -> Result<Option<Vec<Scope>>, OauthError> {
        let Some(text) = self.find("scope") else { return Ok(None) };
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        if words.len() > SCOPES_MAX {
            return Err(OauthError::new(ErrorCode::InvalidScope, "too many scopes"));
        }
        let bad = |_| OauthError::new(ErrorCode::InvalidScope, "a scope has another form");
        words.into_iter().map(Scope::parse).collect::<Result<_, _>>().map(Some).map_err(bad)
    }

    /// The services that are asked for.
    pub(super) fn audience(&self) -> Result<Vec<ServiceLabel>, OauthError> {
        let bad = |_| OauthError::new(ErrorCode::InvalidTarget, "an audience is a service's label");
        let words = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let named = words
            .filter(|(name, value)| !value.is_empty() && ["audience", "resource"].contains(name));
        named.map(|(_, value)| ServiceLabel::parse(value).map_err(bad)).collect()
    }
}

/// Reads the form of a request, which must say that it is one (RFC 6749 appendix B): a browser
/// can be made to send other types without asking the server first.
pub(in crate::http) async fn bytes_of(
    state: &AppState,
    headers: &HeaderMap,
    body: impl HttpBody<Data = Bytes>,
) -> Result<Bytes, OauthError> {
    let bytes = any_bytes_of(state, body).await?;
    let is_form = media_type(headers).is_some_and(|name| name.eq_ignore_ascii_case(FORM));
    if is_form || bytes.is_empty() {
        return Ok(bytes);
    }
    Err(OauthError::new(ErrorCode::NoForm, format!("send Content-Type: {FORM}")))
}

/// A client's name and key, as they were sent.
pub(super) struct Credentials {
    /// Its name.
    pub(super) id: String,
    /// Its key; `None`: a public client.
    pub(super) secret: Option<ClearSecret>,
}

/// Reads the name and key of a client: `Basic`, or in the form, never both (RFC 6749 section 2.3).
pub(super) fn credentials(
    headers: &HeaderMap,
    form: &Form<'_>,
) -> Result<Option<Credentials>, OauthError> {
    // A token in the head beside a key in the form: the name would be nobody's who was asked.
    if has_token(headers) && form.find("client_secret").is_some() {
        return Err(invalid_request("a client authenticates in one way at a time"));
    }
    let in_form = form.find("client_id").map(|id| Credentials {
        id: id.to_owned(),
        secret: form.find("client_secret").map(|text| ClearSecret::new(text.to_owned())),
    });
    let Some(basic) = basic(headers)? else { return Ok(in_form) };
    match in_form {
        Some(Credentials { secret: Some(_), .. }) => {
            Err(invalid_request("a client authenticates in one way at a time"))
        }
        Some(named) if named.id != basic.id => {
            Err(invalid_request("client_id is not the client that authenticates"))
        }
        _ => Ok(Some(basic)),
    }
}

/// `Basic`, both halves form-encoded (RFC 6749 section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<Credentials>, OauthError> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), more) = (lines.next(), lines.next()) else { return Ok(None) };
    if more.is_some() {
        return Err(invalid_client());
    }
    let text = line.to_str().map_err(|_| invalid_client())?;
    let Some((scheme, encoded)) = text.split_once(' ') else { return Err(invalid_client()) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let decoded = STANDARD.decode(encoded.trim()).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| invalid_client())?;
    let pair = std::str::from_utf8(&decoded).map_err(|_| invalid_client())?;
    let (id, secret) = pair.split_once(':').ok_or_else(invalid_client)?;
    let plain = |text: &str| {
        // Nearly no name or key has anything that is encoded.
        if !text.contains(['+', '%']) {
            return text.to_owned();
        }
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    Ok(Some(Credentials { id: plain(id), secret: Some(ClearSecret::new(plain(secret))) }))
}

/// The client that authenticates with its name and its key, and in no other way: where a client
/// gets its tokens no token counts as the client.
pub(super) async fn client(
    state: &AppState,
    arrival: &Arrival,
    credentials: &Credentials,
    realm: &RealmName,
) -> Result<Caller, OauthError> {
    let Credentials { id, secret: Some(secret) } = credentials else {
        return Err(invalid_client());
    };
    let proved = confirmed(arrival, None);
    let caller = recognised(state, arrival, Some(id), secret, &proved).await?;
    if caller.realm == *realm { Ok(caller) } else { Err(invalid_client()) }
}

/// Whether a token of the sender's stands in `Authorization`.
pub(super) fn has_token(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let basic = |line: &axum::http::HeaderValue| {
        let text = line.to_str().unwrap_or_default();
        text.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
    };
    lines.any(|line| !basic(line))
}

/// Who calls: a client with its name and key, or anybody with a token for the API, be it a bearer
/// token or one that comes with a proof of its key.
pub(super) async fn caller(
    state: &AppState,
    arrival: &Arrival,
    parts: &Parts,
    form: &Form<'_>,
) -> Result<Caller, OauthError> {
    let named = credentials(&parts.headers, form)?;
    let token = with_proof(&parts.headers);
    let proof = match token {
        Some(token) => proof_in(state, parts, Some(token))?,
        None => None,
    };
    let presented = match (token, bearer(&parts.headers)) {
        (Some(token), _) | (None, Bearer::Token(token)) => {
            (None, ClearSecret::new(token.to_owned()))
        }
        (None, Bearer::Unreadable) => return Err(invalid_client()),
        (None, Bearer::Absent) => match named {
            Some(Credentials { id, secret: Some(secret) }) => (Some(id), secret),
            _ => return Err(invalid_client()),
        },
    };
    let (name, secret) = presented;
    let confirmation = confirmed(arrival, proof.as_ref());
    let caller = recognised(state, arrival, name.as_deref(), &secret, &confirmation).await?;
    used(state, proof.as_ref()).await?;
    Ok(caller)
}

async fn recognised(
    state: &AppState,
    arrival: &Arrival,
    name: Option<&str>,
    secret: &ClearSecret,
    proved: &Confirmation,
) -> Result<Caller, OauthError> {
    let shape = state.authority.shape(secret.reveal());
    let fits = match name {
        // The secret of a client is its key and nothing else: what was made with the key would
        // outlive it, if it could take its place.
        Some(_) => matches!(shape, Shape::Prefixed { kind: Kind::ClientKey, .. }),
        // What is redeemed or exchanged authenticates nobody; its owner is not who presents it.
        None => !matches!(shape, Shape::Prefixed { kind: Kind::AuthToken, .. }),
    };
    if !fits {
        state.authority.reject(arrival.source);
        return Err(invalid_client().guess(true));
    }
    let context = arrival.context(Door::Oauth);
    let sender = Sender { name, proved };
    let caller = state.authority.authenticate_sender(secret.reveal(), context, sender).await?;
    let is_named = |name| matches!(&caller.subject, Owner::Client(own) if own.as_str() == name);
    if name.is_none_or(is_named) { Ok(caller) } else { Err(invalid_client()) }
}

/// What the sender proves to hold beside a token (RFC 9449 section 4.1). Nothing is an answer;
/// a proof that does not hold is an error. It still has to be [`used`].
pub(in crate::http) fn proof_in(
    state: &AppState,
    parts: &Parts,
    access_token: Option<&str>,
) -> Result<Option<Proof>, OauthError> {
    let mut lines = parts.headers.get_all(DPOP).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let text = line.to_str().ok().filter(|_| lines.next().is_none());
    let text = text.ok_or_else(|| {
        OauthError::new(ErrorCode::InvalidDpopProof, "a request has one DPoP proof at most")
    })?;
    let url = format!("{}{}", state.settings.public_url, parts.uri.path());
    let nonce = state.settings.dpop_nonce;
    let wanted = ProofFor { method: parts.method.as_str(), url: &url, access_token, nonce };
    let checked = state.authority.check_proof(text, wanted);
    Ok(Some(checked.map_err(|fault| match fault {
        ProofFault::Nonce => OauthError::from(fault).with_nonce(state.authority.dpop_nonce()),
        other => other.into(),
    })?))
}

/// Uses a proof, after the credential beside it was proved.
pub(in crate::http) async fn used(
    state: &AppState,
    proof: Option<&Proof>,
) -> Result<(), OauthError> {
    if let Some(proof) = proof {
        state.authority.use_proof(proof).await??;
    }
    Ok(())
}

/// What the sender has proved to hold: the key of a proof, and the key of a certificate.
pub(in crate::http) fn confirmed(arrival: &Arrival, proof: Option<&Proof>) -> Confirmation {
    Confirmation {
        jkt: proof.map(|proof| proof.jkt.clone()),
        x5t_s256: arrival.certificate.map(Thumbprint::text),
    }
}

/// The proof beside a registration token: used once, when the draw is about to be counted.
pub(in crate::http) struct ProofOfDraw<'a> {
    state: &'a AppState,
    arrival: &'a Arrival,
    proof: Option<Proof>,
    /// What came of it.
    fault: OnceLock<Option<ProofFault>>,
}

impl<'a> ProofOfDraw<'a> {
    /// The proof of a request.
    pub(super) fn of(
        state: &'a AppState,
        arrival: &'a Arrival,
        parts: &Parts,
    ) -> Result<Self, OauthError> {
        Ok(Self::with(state, arrival, proof_in(state, parts, None)?))
    }

    /// A proof whose signature has been looked at.
    pub(in crate::http) fn with(
        state: &'a AppState,
        arrival: &'a Arrival,
        proof: Option<Proof>,
    ) -> Self {
        Self { state, arrival, proof, fault: OnceLock::new() }
    }

    /// The key that it is about, or that of the sender's certificate.
    pub(in crate::http) fn confirmation(&self) -> Confirmation {
        confirmed(self.arrival, self.proof.as_ref())
    }

    /// Uses it, at the first of several attempts.
    pub(in crate::http) async fn take(&self) -> Result<(), Refusal> {
        let Some(proof) = &self.proof else { return Ok(()) };
        let fault = if let Some(known) = self.fault.get() {
            *known
        } else {
            let fault = self.state.authority.use_proof(proof).await?.err();
            *self.fault.get_or_init(|| fault)
        };
        fault.map_or(Ok(()), |fault| Err(Refusal::invalid("DPoP", fault.to_string())))
    }

    /// Why nothing was drawn, in the words of this door.
    pub(super) fn refused(&self, refusal: EnrolRefusal) -> OauthError {
        match self.fault.get() {
            Some(Some(fault)) => (*fault).into(),
            _ => refusal.into(),
        }
    }
}

/// The realm in the path, which must exist.
pub(in crate::http) async fn realm(state: &AppState, text: &str) -> Result<RealmName, OauthError> {
    use crate::http::query::Segment as _;
    let realm = RealmName::read(text)?;
    state.authority.realm_facts(&realm).await?;
    Ok(realm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form reads the same, whichever way it is read.
    #[test]
    fn a_plain_form_reads_like_one_that_is_decoded() {
        for text in [
            "",
            "&",
            "a",
            "a=",
            "=b",
            "a=b",
            "&&a=b&",
            "a=b&c=d=e",
            "token=x&token_type_hint=y",
            "audience=a&audience=b&resource=c",
        ] {
            let words = |form: &Form<'_>| -> Vec<(String, String)> {
                let word = |word: &Word<'_>| word.as_str().to_owned();
                form.0.iter().map(|(name, value)| (word(name), word(value))).collect()
            };
            let expected: Vec<(String, String)> =
                form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            let form = Form::parse(text.as_bytes()).ok().unwrap();
            assert_eq!(words(&form), expected, "{text}");
            assert!(form.0.iter().all(|(_, value)| matches!(value, Word::Plain(_))), "{text}");
        }
        let form = Form::parse(b"to%6ben=a+b&x=%3D").ok().unwrap();
        assert_eq!((form.find("token"), form.find("x")), (Some("a b"), Some("=")));
        assert!(Form::parse(b"a=1&%61=2").is_err());
        assert!(Form::parse(b"a=\xff").is_ok_and(|form| form.find("a") == Some("\u{fffd}")));
    }
}
