//! The HTTP driver: `counterfoil-repo/1` as its client (docs/reference/counterfoil-repo-1.md).
//!
//! Everything that is not a whole answer of this protocol and version is "unavailable": another
//! status, another version, more than a mebibyte, something that is no JSON. Nothing that the
//! other side sent appears in an error.
//!
//! Length: the calls of the protocol one after the other, and their tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::clock::{Clock, Timestamp};
use counterfoil_authority::custom::{
    Capability, DelegatedQuestion, Descriptor, ForeignChange, ForeignConsumed, ForeignDraft,
    ForeignId, ForeignPage, ForeignToken, ForeignUse, ListQuery, RepositoryError, Selector,
    TokenRepository, VerifyRecord,
};
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::ClearSecret;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The header in which either side says which version it speaks.
const VERSION_HEADER: &str = "counterfoil-repo";
/// That version.
const VERSION: &str = "1";
/// The largest answer: a page of a hundred tokens has a tenth of it.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Records of one look-up at most; the rules compare fewer.
const RECORDS_MAX: usize = 256;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// How requests prove where they come from.
pub(crate) enum Proves {
    /// By nothing: for a program on this machine.
    Nothing,
    /// By an HMAC over each request.
    Signature(ClearSecret),
    /// By a bearer token.
    Bearer(ClearSecret),
}

/// What the driver needs to be told.
pub(crate) struct HttpSettings {
    pub(crate) url: String,
    pub(crate) proves: Proves,
    /// PEM of the certificate and key by which the client is known.
    pub(crate) identity: Option<Zeroizing<Vec<u8>>>,
    /// PEM of the certificates to trust instead of the system's.
    pub(crate) ca: Option<Vec<u8>>,
    /// How long one attempt may take; the guard limits the whole.
    pub(crate) timeout: Duration,
}

/// A repository that speaks the protocol.
pub(crate) struct HttpRepository {
    client: reqwest::Client,
    url: String,
    proves: Proves,
    clock: Arc<dyn Clock>,
}

/// A request of the protocol.
struct Asked<'a> {
    method: Method,
    path: &'a str,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    /// Whether asking twice does no more than asking once.
    idempotent: bool,
}

impl<'a> Asked<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, headers: Vec::new(), idempotent: true }
    }

    fn post(path: &'a str, body: Value) -> Self {
        let (method, headers) = (Method::POST, Vec::new());
        Self { method, path, body: Some(body), headers, idempotent: false }
    }

    fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    fn if_match(mut self, version: Option<&str>) -> Self {
        self.headers.extend(version.map(|version| ("if-match", format!("\"{version}\""))));
        self
    }
}

/// An answer of the protocol.
struct Answered {
    status: StatusCode,
    body: Value,
}

/// What went wrong on the way, and whether the request may have arrived.
struct Lost {
    why: &'static str,
    again: bool,
}

fn lost(why: &'static str) -> Lost {
    Lost { why, again: false }
}

fn unreadable(bad: counterfoil_authority::custom::BadRecord) -> RepositoryError {
    RepositoryError::unavailable(format!("its answer makes no sense: {bad}"))
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl HttpRepository {
    /// A repository at a URL, without a slash at its end.
    pub(crate) fn new(settings: HttpSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let mut client = reqwest::Client::builder()
            // A redirection would take the signed request to somebody who was not named.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .timeout(settings.timeout);
        if let Some(pem) = &settings.identity {
            let identity = reqwest::Identity::from_pem(pem);
            client = client.identity(identity.map_err(|_| "the client certificate is no PEM")?);
        }
        if let Some(pem) = &settings.ca {
            let ca = reqwest::Certificate::from_pem_bundle(pem);
            let ca = ca.map_err(|_| "ca_file holds no certificates")?;
            client = client.tls_certs_only(ca);
        }
        let client = client.build().map_err(|error| error.to_string())?;
        let url = settings.url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, proves: settings.proves, clock })
    }

    /// One attempt.
    async fn attempt(&self, asked: &Asked<'_>) -> Result<Answered, Lost> {
        let body = asked.body.as_ref().map(Value::to_string).unwrap_or_default();
        let url = reqwest::Url::parse(&format!("{}{}", self.url, asked.path));
        let url = url.map_err(|_| lost("its url cannot be read"))?;
        let path = path_of(&url);
        let mut request = self
            .client
            .request(asked.method.clone(), url)
            .header(VERSION_HEADER, VERSION)
            .header("accept", "application/json");
        for (name, value) in &asked.headers {
            request = request.header(*name, value);
        }
        match &self.proves {
            Proves::Nothing => {}
            Proves::Bearer(token) => request = request.bearer_auth(token.reveal()),
            Proves::Signature(key) => {
                let seconds = self.clock.now().seconds();
                let signed = signature(key, seconds, asked.method.as_str(), &path, &body);
                request = request
                    .header("counterfoil-timestamp", seconds)
                    .header("counterfoil-signature", signed);
            }
        }
        if asked.body.is_some() {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.map_err(|error| match error {
            error if error.is_timeout() => lost("it did not answer in time"),
            error if error.is_connect() => Lost { why: "it cannot be reached", again: true },
            // A kept connection that the other side closed meanwhile.
            _ => Lost { why: "the connection broke", again: true },
        })?;
        let status = answer.status();
        let version = answer.headers().get(VERSION_HEADER).and_then(|value| value.to_str().ok());
        if version != Some(VERSION) {
            return Err(lost("it speaks no counterfoil-repo/1"));
        }
        let body = bounded(answer).await?;
        if body.is_empty() {
            return Ok(Answered { status, body: Value::Null });
        }
        let body = serde_json::from_slice(&body).map_err(|_| lost("its answer is no JSON"))?;
        Ok(Answered { status, body })
    }

    /// Asks, a second time if nothing is lost by it, and reads refusals.
    async fn ask(&self, asked: Asked<'_>) -> Result<Value, RepositoryError> {
        let mut answer = self.attempt(&asked).await;
        if asked.idempotent && answer.as_ref().is_err_and(|lost| lost.again) {
            answer = self.attempt(&asked).await;
        }
        let answer = answer.map_err(|lost| RepositoryError::unavailable(lost.why))?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(refusal(answer.status, &answer.body))
    }

    async fn token(&self, asked: Asked<'_>) -> Result<ForeignToken, RepositoryError> {
        let told = self.ask(asked).await?;
        ForeignToken::read(&told).map_err(unreadable)
    }
}

/// The whole body, unless it is too large.
async fn bounded(mut answer: reqwest::Response) -> Result<Vec<u8>, Lost> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Err(lost("its answer is larger than 1 MiB"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) if error.is_timeout() => return Err(lost("it did not answer in time")),
            Err(_) => return Err(lost("its answer broke off")),
        }
    }
}

/// Path and query as the request line has them, whatever stands in front of ours in the address.
fn path_of(url: &reqwest::Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// `v1=` and HMAC-SHA-256 over time, method, path with query, and digest of the body.
fn signature(key: &ClearSecret, seconds: i64, method: &str, path: &str, body: &str) -> String {
    let digest = HEXLOWER.encode(&Sha256::digest(body.as_bytes()));
    let text = format!("{seconds}\n{method}\n{path}\n{digest}");
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    format!("v1={}", HEXLOWER.encode(&mac.finalize().into_bytes()))
}

/// What a refusal of the protocol says; any other one is no answer.
fn refusal(status: StatusCode, body: &Value) -> RepositoryError {
    let error = &body["errors"][0];
    let code = error["code"].as_str().unwrap_or_default();
    match (status.as_u16(), code) {
        (404, "TOKEN_NOT_FOUND") => RepositoryError::NotFound,
        (405, "OPERATION_NOT_SUPPORTED") => RepositoryError::Unsupported(Capability::Update),
        (409, "TOKEN_LIMIT_REACHED") => RepositoryError::LimitReached,
        (409, "VERSION_CONFLICT") => RepositoryError::VersionMismatch,
        (409, _) => RepositoryError::Conflict,
        (422, _) => {
            let pointer = error["source"]["pointer"].as_str().unwrap_or_default();
            let name = pointer.rsplit('/').next().unwrap_or_default();
            let plain = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric());
            RepositoryError::Invalid(if plain { name.to_owned() } else { String::new() })
        }
        (status, _) => RepositoryError::unavailable(format!("it answered {status}")),
    }
}

fn selector_of(selector: &Selector) -> Value {
    match selector {
        Selector::User { user, service } => {
            json!({ "by": "user", "user": user, "service": service })
        }
        Selector::Prefix(text) => json!({ "by": "selector", "selector": text }),
        Selector::Sha256(hex) => json!({ "by": "sha256", "sha256": hex }),
    }
}

fn query_of(query: &ListQuery) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.append_pair("limit", &query.limit.to_string());
    if let Some(user) = &query.user {
        text.append_pair("user", user);
    }
    if let Some(cursor) = &query.cursor {
        text.append_pair("cursor", cursor);
    }
    for (name, value) in &query.filter {
        text.append_pair(&format!("filter[{name}]"), value);
    }
    let sort =
        query.sort.iter().map(|(name, down)| format!("{}{name}", if *down { "-" } else { "" }));
    let sort: Vec<String> = sort.collect();
    if !sort.is_empty() {
        text.append_pair("sort", &sort.join(","));
    }
    format!("/v1/tokens?{}", text.finish())
}

fn draft_of(draft: &ForeignDraft) -> Value {
    let mut body = Map::new();
    body.insert("user".into(), json!(draft.user));
    body.insert("attributes".into(), json!(draft.attributes));
    if let Some(selector) = &draft.selector {
        body.insert("selector".into(), json!(selector));
    }
    if let Some(hash) = &draft.hash {
        body.insert("hash".into(), json!(hash.as_str()));
    }
    Value::Object(body)
}

#[async_trait]
impl TokenRepository for HttpRepository {
    fn driver(&self) -> &'static str {
        "http"
    }

    async fn describe(&self) -> Result<Descriptor, RepositoryError> {
        let told = self.ask(Asked::get("/v1/descriptor")).await?;
        Descriptor::read(&told).map_err(unreadable)
    }

    async fn lookup(&self, selector: &Selector) -> Result<Vec<VerifyRecord>, RepositoryError> {
        let asked = Asked::post("/v1/lookup", json!({ "selector": selector_of(selector) }));
        let told = self.ask(asked.idempotent()).await?;
        let records = told["records"].as_array().filter(|records| records.len() <= RECORDS_MAX);
        let Some(records) = records else {
            return Err(RepositoryError::unavailable("its answer has no list of records"));
        };
        records.iter().map(|record| VerifyRecord::read(record).map_err(unreadable)).collect()
    }

    async fn list(&self, query: &ListQuery) -> Result<ForeignPage, RepositoryError> {
        let told = self.ask(Asked::get(&query_of(query))).await?;
        ForeignPage::read(&told, query.limit).map_err(unreadable)
    }

    async fn find(&self, id: &ForeignId) -> Result<Option<ForeignToken>, RepositoryError> {
        let path = format!("/v1/tokens/{}", segment(id.as_str()));
        match self.token(Asked::get(&path)).await {
            Ok(token) => Ok(Some(token)),
            Err(RepositoryError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, draft: &ForeignDraft) -> Result<ForeignToken, RepositoryError> {
        let mut asked = Asked::post("/v1/tokens", draft_of(draft)).idempotent();
        asked.headers.push(("idempotency-key", draft.idempotency_key.clone()));
        self.token(asked).await
    }

    async fn update(
        &self,
        id: &ForeignId,
        change: &ForeignChange,
        if_version: Option<&str>,
    ) -> Result<ForeignToken, RepositoryError> {
        let path = format!("/v1/tokens/{}", segment(id.as_str()));
        let body = json!({ "attributes": change.attributes });
        let asked = Asked { method: Method::PATCH, ..Asked::post(&path, body) };
        self.token(asked.if_match(if_version)).await
    }

    async fn set_enabled(
        &self,
        id: &ForeignId,
        enabled: bool,
    ) -> Result<ForeignToken, RepositoryError> {
        let act = if enabled { "enable" } else { "disable" };
        let path = format!("/v1/tokens/{}/{act}", segment(id.as_str()));
        self.token(Asked::post(&path, json!({})).idempotent()).await
    }

    async fn assign(
        &self,
        id: &ForeignId,
        to: Option<&Username>,
    ) -> Result<ForeignToken, RepositoryError> {
        let act = if to.is_some() { "assign" } else { "unassign" };
        let path = format!("/v1/tokens/{}/{act}", segment(id.as_str()));
        let body = to.map_or_else(|| json!({}), |user| json!({ "user": user.as_str() }));
        self.token(Asked::post(&path, body)).await
    }

    async fn delete(
        &self,
        id: &ForeignId,
        if_version: Option<&str>,
    ) -> Result<(), RepositoryError> {
        let path = format!("/v1/tokens/{}", segment(id.as_str()));
        let asked = Asked { method: Method::DELETE, ..Asked::get(&path) };
        let asked = Asked { idempotent: false, ..asked.if_match(if_version) };
        self.ask(asked).await.map(drop)
    }

    async fn consume(
        &self,
        id: &ForeignId,
        limit: u64,
        at: Timestamp,
    ) -> Result<ForeignConsumed, RepositoryError> {
        let path = format!("/v1/tokens/{}/consume", segment(id.as_str()));
        let body = json!({ "limit": limit, "at": at.to_string() });
        let told = self.ask(Asked::post(&path, body)).await?;
        match (told["result"].as_str(), told["used"].as_u64()) {
            (Some("done"), Some(used)) => Ok(ForeignConsumed::Done(used)),
            (Some("exhausted"), _) => Ok(ForeignConsumed::Exhausted),
            (Some("not_active"), _) => Ok(ForeignConsumed::NotActive),
            _ => Err(RepositoryError::unavailable("its answer has no result")),
        }
    }

    async fn record_usage(&self, uses: &[ForeignUse]) -> Result<(), RepositoryError> {
        let uses = uses.iter().map(|one| {
            json!({ "id": one.id.as_str(), "accepted": one.accepted,
                "firstUsageDate": one.first_at.to_string(),
                "latestUsageDate": one.last_at.to_string() })
        });
        let body = json!({ "uses": uses.collect::<Vec<_>>() });
        self.ask(Asked::post("/v1/usage", body)).await.map(drop)
    }

    async fn verify_delegated(
        &self,
        question: &DelegatedQuestion,
    ) -> Result<Option<VerifyRecord>, RepositoryError> {
        let body = json!({ "user": question.username, "service": question.service,
            "secret": question.secret.as_str() });
        let told = self.ask(Asked::post("/v1/verify", body)).await?;
        match told.get("record") {
            Some(Value::Null) => Ok(None),
            Some(record) => VerifyRecord::read(record).map(Some).map_err(unreadable),
            None => Err(RepositoryError::unavailable("its answer has no record")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac` as the reference adapter does.
    #[test]
    fn a_request_is_signed_over_its_time_its_path_and_its_body() {
        let key = ClearSecret::new("key".to_owned());
        let one = signature(&key, 1_790_000_000, "POST", "/v1/lookup", "{}");
        let computed = "v1=c6599a7dc8d8505db2ac58f626938eb8581eff287e46d529dbbf961fc76a75a1";
        assert_eq!(one, computed);
        for other in [
            signature(&key, 1_790_000_001, "POST", "/v1/lookup", "{}"),
            signature(&key, 1_790_000_000, "PUT", "/v1/lookup", "{}"),
            signature(&key, 1_790_000_000, "POST", "/v1/usage", "{}"),
            signature(&key, 1_790_000_000, "POST", "/v1/lookup", "{ }"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_path_that_is_signed_is_the_one_that_is_asked_for() {
        for (asked, path) in [
            ("http://127.0.0.1:8080/v1/lookup", "/v1/lookup"),
            ("https://tokens.example.org/below/here/v1/lookup", "/below/here/v1/lookup"),
            (
                "https://tokens.example.org/below/v1/tokens?limit=2&user=a+b",
                "/below/v1/tokens?limit=2&user=a+b",
            ),
        ] {
            assert_eq!(path_of(&reqwest::Url::parse(asked).unwrap()), path);
        }
    }

    #[test]
    fn a_list_is_asked_for_in_the_query() {
        let query = ListQuery {
            user: Some("a b".into()),
            filter: vec![("serialId".into(), "A-17".into())],
            sort: vec![("validTo".into(), true), ("serialId".into(), false)],
            limit: 50,
            cursor: None,
        };
        let expected = "/v1/tokens?limit=50&user=a+b&filter%5BserialId%5D=A-17\
                        &sort=-validTo%2CserialId";
        assert_eq!(query_of(&query), expected);
    }

    #[test]
    fn a_refusal_shows_nothing_that_was_sent() {
        let body = json!({"errors": [{"code": "ATTRIBUTE_INVALID",
            "source": {"pointer": "/data/attributes/validTo"}}]});
        let invalid = refusal(StatusCode::UNPROCESSABLE_ENTITY, &body);
        assert_eq!(invalid, RepositoryError::Invalid("validTo".into()));
        let odd = json!({"errors": [{"source": {"pointer": "/x/<script>"}}]});
        let invalid = refusal(StatusCode::UNPROCESSABLE_ENTITY, &odd);
        assert_eq!(invalid, RepositoryError::Invalid(String::new()));
        assert!(refusal(StatusCode::UNAUTHORIZED, &Value::Null).is_unavailable());
        assert!(refusal(StatusCode::NOT_FOUND, &Value::Null).is_unavailable());
    }

    /// A repository is somebody else's program: whatever it says is read, or is no answer.
    #[test]
    fn mutations_of_answers_are_read_or_are_none() {
        let token = r#"{"id":"a-1","version":"3","user":"alice","enabled":true,"used":1,"attributes":{"serialId":"s","validTo":"2026-12-01T00:00:00Z","maxUsages":3,"genericTokenData":{"a":"b"}}}"#;
        let record = r#"{"id":"a-1","user":"alice","service":"git","hash":"{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=","enabled":true,"validFrom":"2026-01-01T00:00:00Z","validTo":"2026-12-01T00:00:00Z","maxUsages":3,"used":1,"scopes":["a:b"],"permissions":{"repo/*":["read"]}}"#;
        let texts = [
            token.to_owned(),
            record.to_owned(),
            format!(r#"{{"tokens":[{token},{token}],"next":"c"}}"#),
            r#"{"protocol":"counterfoil-repo/1","name":"n","capabilities":["lookup","list","create","update"],"attributes":{"serialId":{"filterable":true}}}"#.to_owned(),
            r#"{"errors":[{"code":"VERSION_CONFLICT","source":{"pointer":"/data/attributes/validTo"}}]}"#.to_owned(),
        ];
        let statuses = [400, 404, 405, 409, 422, 500];
        let mut round = 0;
        crate::mutations::try_json(&texts, 30_000, |value| {
            round += 1;
            let _ = (ForeignToken::read(&value), VerifyRecord::read(&value));
            let _ = Descriptor::read(&value);
            if let Ok(page) = ForeignPage::read(&value, 2) {
                assert!(page.tokens.len() <= 2, "{value}");
            }
            let status = StatusCode::from_u16(statuses[round % statuses.len()]).unwrap();
            // What is shown to a caller is a plain name, whatever the repository calls it.
            if let RepositoryError::Invalid(name) = refusal(status, &value) {
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
            }
        });
    }
}
