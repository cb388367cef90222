//! The API from a shell: who is asked, with which key, and how its refusals read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use counterfoil_authority::secret::ClearSecret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::failure::Failure;
use super::print;
use super::secret_input::{self, Wanted};
use crate::outbound;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Items per request of a list: the most that the API gives.
const PAGE_MAX: usize = 1000;
/// Everything but the unreserved characters of RFC 3986 section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a server listens unless it is told otherwise.
pub(crate) const URL_DEFAULT: &str = "http://127.0.0.1:8780";
/// The variable that holds the key.
pub(crate) const TOKEN_VARIABLE: &str = "COUNTERFOIL_TOKEN";

/// Which server is asked, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RemoteArgs {
    /// The server
    #[arg(
        long,
        env = "COUNTERFOIL_URL",
        hide_env_values = true,
        default_value = URL_DEFAULT,
        help_heading = "Server"
    )]
    url: String,
    /// The realm
    #[arg(
        long,
        env = "COUNTERFOIL_REALM",
        hide_env_values = true,
        default_value = "main",
        help_heading = "Server"
    )]
    realm: String,
    /// File with the key to call with, or `-` for standard input [default: the key in the variable `COUNTERFOIL_TOKEN`]
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    token_file: Option<String>,
    /// PEM file with a further certificate authority to trust
    #[arg(
        long,
        value_name = "FILE",
        env = "COUNTERFOIL_CA_FILE",
        hide_env_values = true,
        help_heading = "Server"
    )]
    ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = "Server")]
    pub(crate) json: bool,
}

/// Which part of a list is printed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PageArgs {
    /// Print at most so many
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Begin where a former list ended
    #[arg(long)]
    cursor: Option<String>,
}

impl PageArgs {
    /// All of it.
    pub(crate) const ALL: Self = Self { limit: u32::MAX, cursor: None };
}

/// A server, ready to be asked.
pub(crate) struct Api {
    client: reqwest::Client,
    base: String,
    realm: String,
    token: Option<ClearSecret>,
    /// Whether answers and refusals are printed as JSON.
    pub(crate) json: bool,
}

/// One request.
pub(crate) struct Ask<'a> {
    method: Method,
    path: String,
    query: Vec<(&'a str, String)>,
    body: Option<Value>,
    if_match: Option<&'a str>,
    idempotency_key: Option<&'a str>,
}

impl<'a> Ask<'a> {
    /// A request without body.
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self { method, path, query: Vec::new(), body: None, if_match: None, idempotency_key: None }
    }

    /// Reads.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Makes or does something.
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    /// Changes something, if it still has the version `if_match`.
    pub(crate) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PATCH, path) }
    }

    /// Removes something.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds parameters.
    #[must_use]
    pub(crate) fn with_query(mut self, query: Vec<(&'a str, String)>) -> Self {
        self.query = query;
        self
    }

    /// Only if it still has this version.
    #[must_use]
    pub(crate) fn if_match(mut self, version: Option<&'a str>) -> Self {
        self.if_match = version;
        self
    }

    /// Makes a repetition give the same answer.
    #[must_use]
    pub(crate) fn once(mut self, key: Option<&'a str>) -> Self {
        self.idempotency_key = key;
        self
    }
}

/// A path segment, safe in a URL.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// What asks servers, trusting the authorities in a file besides the system's.
///
/// # Errors
///
/// When the file cannot be used.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<reqwest::Client, Failure> {
    let make = || {
        reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // A key must not follow a redirect to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")))
    };
    let client = if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|error| Failure::about(path.display(), error))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| Failure::about(path.display(), error))?;
        make().tls_certs_merge(certificates).build()
    } else {
        outbound::client(make)
    };
    client.map_err(|error| Failure::Usage(error.to_string()))
}

impl Api {
    /// Prepares to ask the server of `args`.
    ///
    /// # Errors
    ///
    /// When there is no key, or the certificate file cannot be used.
    pub(crate) fn new(args: &RemoteArgs) -> Result<Self, Failure> {
        Ok(Self { token: Some(token(args)?), ..Self::without_key(args)? })
    }

    /// The same for what needs no key.
    ///
    /// # Errors
    ///
    /// When the certificate file cannot be used.
    pub(crate) fn without_key(args: &RemoteArgs) -> Result<Self, Failure> {
        let client = client(args.ca_file.as_deref())?;
        let base = base(&args.url)?;
        Ok(Self { client, base, realm: args.realm.clone(), token: None, json: args.json })
    }

    /// The same server, asked with another secret.
    #[must_use]
    pub(crate) fn presenting(self, token: ClearSecret) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The server's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A path below the realm: `R/...` of the API's description.
    pub(crate) fn in_realm(&self, rest: &str) -> String {
        format!("/api/v1/realms/{}/{rest}", segment(&self.realm))
    }

    /// Sends a request and returns the text that it answers.
    ///
    /// # Errors
    ///
    /// As [`Api::send`].
    pub(crate) async fn text(&self, ask: Ask<'_>) -> Result<String, Failure> {
        let answer = self.answer(ask).await?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| unreachable(&self.base, &error))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refusal(status, &serde_json::from_str(&body).unwrap_or(Value::Null)))
    }

    /// Sends a request and returns what it answers, `null` for an empty body.
    ///
    /// An object gets the `ETag` of the answer as its `version`.
    ///
    /// # Errors
    ///
    /// A refusal by the server with its reason, or that it cannot be reached.
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Value, Failure> {
        let answer = self.answer(ask).await?;
        let status = answer.status();
        let version = version_of(&answer);
        let body = answer.bytes().await.map_err(|error| unreachable(&self.base, &error))?;
        let mut value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if let (Value::Object(fields), Some(version)) = (&mut value, version) {
            fields.entry("version").or_insert(version);
        }
        if status.is_success() { Ok(value) } else { Err(self.refusal(status, &value)) }
    }

    async fn answer(&self, ask: Ask<'_>) -> Result<reqwest::Response, Failure> {
        let mut url = reqwest::Url::parse(&format!("{}{}", self.base, ask.path))
            .map_err(|error| Failure::Usage(format!("--url {}: {error}", self.base)))?;
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut request = self.with_key(self.client.request(ask.method, url));
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        if let Some(version) = ask.if_match {
            request = request.header(header::IF_MATCH, tag(version));
        }
        if let Some(key) = ask.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        request.send().await.map_err(|error| unreachable(&self.base, &error))
    }

    /// Whether the server says that there is no such thing; a caller who may not look learns
    /// nothing.
    ///
    /// # Errors
    ///
    /// That it cannot be reached.
    pub(crate) async fn is_missing(&self, path: &str) -> Result<bool, Failure> {
        let url = format!("{}{path}", self.base);
        let asked = self.with_key(self.client.get(url)).send().await;
        let status = asked.map_err(|error| unreachable(&self.base, &error))?.status();
        Ok(status == reqwest::StatusCode::NOT_FOUND)
    }

    /// The part of a list that was asked for, in as many requests as it takes.
    ///
    /// # Errors
    ///
    /// As [`Api::send`].
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        page: &PageArgs,
    ) -> Result<Value, Failure> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let mut cursor = page.cursor.clone();
        loop {
            let wanted = (limit - items.len()).min(PAGE_MAX);
            let mut query = query.to_vec();
            query.push(("limit", wanted.to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page = self.send(Ask::get(path).with_query(query)).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || items.len() >= limit {
                return Ok(json!({ "items": items, "next_cursor": cursor }));
            }
        }
    }

    fn with_key(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// A problem document (RFC 9457) in words, or as it is for programs.
    fn refusal(&self, status: StatusCode, problem: &Value) -> Failure {
        let unavailable = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if self.json && problem.is_object() {
            return Failure::Problem { document: format!("{problem:#}"), unavailable };
        }
        let text = readable(status, problem);
        if unavailable { Failure::Unavailable(text) } else { Failure::Refused(text) }
    }
}

/// That the server at `base` cannot be reached, and why.
pub(crate) fn unreachable(base: &str, error: &reqwest::Error) -> Failure {
    // The innermost cause says what happened; the outer ones repeat the URL.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let cause = cause.to_string();
    match spoken(base, &cause) {
        Some(scheme) => {
            Failure::Unavailable(format!("the server speaks {scheme} here; check --url"))
        }
        None => Failure::Unavailable(format!("{base} cannot be reached: {cause}")),
    }
}

/// The server's address without the path of the API, which requests add.
pub(crate) fn base(url: &str) -> Result<String, Failure> {
    let shown = url.trim();
    let url = shown.trim_end_matches('/');
    let url = url.strip_suffix("/api/v1").unwrap_or(url).trim_end_matches('/');
    let parsed = reqwest::Url::parse(url).ok();
    // `localhost:8780` parses, too: as a path of the scheme `localhost`.
    if parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
        Ok(url.to_owned())
    } else {
        Err(Failure::Usage(format!("--url {shown}: write {URL_DEFAULT}")))
    }
}

/// An `If-Match` header from a version as it is shown, or from a whole `ETag`.
fn tag(version: &str) -> String {
    if version == "*" || version.contains('"') {
        version.to_owned()
    } else {
        format!("\"{version}\"")
    }
}

/// The version in the `ETag` of an answer.
fn version_of(answer: &reqwest::Response) -> Option<Value> {
    let tag = answer.headers().get(header::ETAG)?.to_str().ok()?;
    let version = tag.strip_prefix('"')?.strip_suffix('"')?;
    Some(version.parse::<i64>().map_or_else(|_| version.into(), Value::from))
}

/// What the server speaks, if it is not what was asked in; known by what the libraries below say.
fn spoken(base: &str, cause: &str) -> Option<&'static str> {
    if base.starts_with("https:") && cause.contains("InvalidContentType") {
        Some("http")
    } else if base.starts_with("http:") && cause.contains("invalid HTTP version") {
        Some("https")
    } else {
        None
    }
}

fn readable(status: StatusCode, problem: &Value) -> String {
    let field = |name| problem.get(name).and_then(Value::as_str).map(print::clean);
    let title =
        field("title").unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_owned());
    let slug = field("type").and_then(|uri| uri.rsplit('/').next().map(str::to_owned));
    let slug = slug.map_or_else(String::new, |slug| format!(", {slug}"));
    let mut text = format!("{title} ({}{slug})", status.as_u16());
    if let Some(detail) = field("detail") {
        text = format!("{text}: {detail}");
    }
    if let Some(flag) = field("field").and_then(|field| flag_of(&field)) {
        text = format!("{text} ({flag})");
    }
    // What somebody needs who looks for the cause in the server's log.
    if let Some(id) = field("request_id").filter(|_| status.is_server_error()) {
        text = format!("{text} [request {id}]");
    }
    if status == StatusCode::UNAUTHORIZED {
        text = format!("{text}\n  (the key comes from {TOKEN_VARIABLE} or --token-file)");
    }
    text
}

/// The flag that gives a field of a request, where the two have other names.
fn flag_of(field: &str) -> Option<&'static str> {
    Some(match field {
        "expires_at" | "lifetime_seconds" => "--expires",
        "overlap_seconds" => "--overlap",
        "services" => "--service",
        "scopes" => "--scope",
        "networks" => "--network",
        _ => return None,
    })
}

fn token(args: &RemoteArgs) -> Result<ClearSecret, Failure> {
    if args.token_file.is_some() {
        return secret_input::secret(args.token_file.as_deref(), Wanted::Key);
    }
    match std::env::var(TOKEN_VARIABLE) {
        Ok(token) if !token.trim().is_empty() => Ok(ClearSecret::new(token.trim().to_owned())),
        _ => Err(Failure::Usage(format!(
            "no key to call with: set {TOKEN_VARIABLE}, or give --token-file"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_reads_as_a_sentence() {
        let problem = json!({ "type": "/problems/not-found", "title": "Not found", "status": 404,
            "detail": "there is no such user", "request_id": "0001" });
        let text = readable(StatusCode::NOT_FOUND, &problem);
        assert_eq!(text, "Not found (404, not-found): there is no such user");
        let text = readable(StatusCode::SERVICE_UNAVAILABLE, &json!({ "request_id": "0001" }));
        assert_eq!(text, "Service Unavailable (503) [request 0001]");
        let problem =
            json!({ "title": "Invalid", "field": "overlap_seconds", "detail": "too long" });
        let text = readable(StatusCode::UNPROCESSABLE_ENTITY, &problem);
        assert_eq!(text, "Invalid (422): too long (--overlap)");
        assert_eq!(readable(StatusCode::BAD_GATEWAY, &Value::Null), "Bad Gateway (502)");
    }

    #[test]
    fn an_address_is_taken_with_or_without_the_path_of_the_api() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/api/v1", " http://h:1/api/v1/ "] {
            assert_eq!(base(url), Ok("http://h:1".to_owned()), "{url}");
        }
        for url in ["", "localhost:8780", "127.0.0.1:8780", "ftp://h"] {
            let said = base(url).unwrap_err().to_string();
            assert!(said.ends_with("write http://127.0.0.1:8780"), "{said}");
        }
    }

    #[test]
    fn a_version_is_taken_as_it_is_shown_or_as_an_etag() {
        assert_eq!(
            (tag("3"), tag("\"3\""), tag("*")),
            ("\"3\"".into(), "\"3\"".into(), "*".into())
        );
    }

    #[test]
    fn names_are_safe_in_paths() {
        assert_eq!(segment("a/../b?c#d e"), "a%2F..%2Fb%3Fc%23d%20e");
    }
}
