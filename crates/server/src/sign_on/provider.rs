//! An OpenID provider, asked: where to send somebody, and who came back.
//!
//! It is asked when somebody signs in and not before, so a server starts while its provider is
//! away. Whatever is no whole answer is "away", which the person is told: it is no denial. What it
//! says to everybody alike, one request asks for all who wait; and where it did not answer, nobody
//! asks again for a moment.

use std::sync::Arc;
use std::time::Duration;

use counterfoil_authority::clock::{Clock, Timestamp};
use counterfoil_authority::single_sign_on::{
    IdClaims, IdTokenFault, IdTokenWanted, ProviderKeys, Vouched,
};
use parking_lot::Mutex;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::OidcSettings;
use super::metadata::Metadata;

/// How long what a provider says of itself is believed without asking again, in seconds.
const METADATA_SECONDS: i64 = 3_600;
/// How often new keys are asked for at most because one is not known, in seconds: who sends
/// tokens with made-up keys makes nobody ask the provider for each.
const KEYS_AGAIN_SECONDS: i64 = 10;
/// For how long nobody asks where it did not answer, in seconds. Whoever comes meanwhile is told
/// at once, instead of waiting for what others have waited for already; and that it is back is
/// noticed as soon.
const AWAY_SECONDS: i64 = 5;
/// Why it is away: nothing came back.
const NOT_IN_TIME: &str = "it did not answer in time";
/// Why it is away: there is no way to it.
const NO_WAY: &str = "it cannot be reached";
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why nobody came back from a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderFault {
    /// It cannot be asked, or does not answer as it should. The text is for who runs this server.
    Away(&'static str),
    /// It did answer, and the answer says nothing. The reason code in events.
    Refused(&'static str),
}

impl ProviderFault {
    /// Whether nothing came back at all.
    fn is_silence(&self) -> bool {
        matches!(self, Self::Away(NOT_IN_TIME | NO_WAY))
    }
}

/// What is asked of a provider, and has to be in its answer.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where it sends the person back to.
    pub redirect_uri: &'a str,
    /// Binds the answer to the browser.
    pub state: &'a str,
    /// Binds the token to the question.
    pub nonce: &'a str,
    /// Binds the code to us (RFC 7636).
    pub verifier: &'a str,
    /// Since when the person must have proved who they are.
    pub proved_since: Option<Timestamp>,
}

/// What it is asked for: one of these may be away while the others are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Metadata,
    Keys,
    Tokens,
    Userinfo,
}

/// What is known of it so far.
#[derive(Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Timestamp)>,
    keys: Option<Arc<ProviderKeys>>,
    keys_again: Option<Timestamp>,
    /// Where it did not answer, why, and when somebody asks again.
    away: Vec<(Place, &'static str, Timestamp)>,
}

impl Known {
    fn is_away(&self, place: Place, now: Timestamp) -> Option<ProviderFault> {
        let at = |(of, _, until): &&(Place, _, Timestamp)| *of == place && now < *until;
        self.away.iter().find(at).map(|(_, why, _)| ProviderFault::Away(why))
    }

    fn fresh(&self, now: Timestamp) -> Option<Arc<Metadata>> {
        let (metadata, at) = self.metadata.as_ref()?;
        (now < at.plus_seconds(METADATA_SECONDS)).then(|| Arc::clone(metadata))
    }
}

/// A provider.
pub struct Provider {
    settings: OidcSettings,
    clock: Arc<dyn Clock>,
    client: Client,
    known: Mutex<Known>,
    /// Whoever holds it asks what others wait for.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

impl Provider {
    /// A provider that is asked later.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the certificates to trust.
    pub fn new(settings: OidcSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let mut client = Client::builder()
            // A redirection would take the code to somebody who was not named.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE);
        if let Some(path) = &settings.ca {
            let pem =
                std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let ca = reqwest::Certificate::from_pem_bundle(&pem);
            let ca = ca.map_err(|_| format!("{} holds no certificates", path.display()))?;
            client = client.tls_certs_only(ca);
        }
        let client = client.build().map_err(|error| error.to_string())?;
        let (known, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { settings, clock, client, known, turn })
    }

    /// How it was configured.
    pub const fn settings(&self) -> &OidcSettings {
        &self.settings
    }

    /// Where to send somebody with a question (OpenID Connect Core section 3.1.2.1). `challenge`
    /// is the SHA-256 of the verifier; `again_seconds`: they are to prove anew who they are.
    ///
    /// # Errors
    ///
    /// [`ProviderFault::Away`] if nobody knows where.
    pub async fn ask(
        &self,
        question: Question<'_>,
        challenge: &str,
        again_seconds: Option<i64>,
    ) -> Result<Url, ProviderFault> {
        let mut url = self.metadata().await?.authorization.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.settings.client_id)
                .append_pair("redirect_uri", question.redirect_uri)
                .append_pair("scope", &self.settings.scopes)
                .append_pair("state", question.state)
                .append_pair("nonce", question.nonce)
                .append_pair("code_challenge", challenge)
                .append_pair("code_challenge_method", "S256");
            if let Some(seconds) = again_seconds {
                // With `max_age` the token has to say when that was.
                pairs.append_pair("prompt", "login").append_pair("max_age", &seconds.to_string());
            }
        }
        Ok(url)
    }

    /// Whether an answer is this provider's (RFC 9207 section 2.4): what another one said is not
    /// taken to it.
    ///
    /// # Errors
    ///
    /// [`ProviderFault::Refused`] if it is not.
    pub async fn answers(&self, issuer: Option<&str>) -> Result<(), ProviderFault> {
        let is_own = match issuer {
            Some(issuer) => issuer == self.settings.issuer,
            None => !self.metadata().await?.names_itself,
        };
        if is_own { Ok(()) } else { Err(ProviderFault::Refused("issuer")) }
    }

    /// Who somebody is who came back with a code.
    ///
    /// # Errors
    ///
    /// [`ProviderFault::Refused`] if the code or the token is not good.
    pub async fn redeem(
        &self,
        code: &str,
        question: Question<'_>,
    ) -> Result<Vouched, ProviderFault> {
        let metadata = self.metadata().await?;
        let tokens = self.tokens(&metadata, code, question).await?;
        let mut claims = self.claims(&metadata, &tokens.id_token, question).await?;
        let lacks = |name: &str| claims.claim(name).is_none();
        let more = lacks(&self.settings.username_claim)
            || (!self.settings.roles.is_empty() && lacks(&self.settings.groups_claim));
        if let (true, Some(url), Some(token)) = (more, &metadata.userinfo, tokens.access_token) {
            let told = self.userinfo(url.clone(), &token).await?;
            claims.add(told).map_err(|_| ProviderFault::Refused("userinfo_subject"))?;
        }
        self.vouched(&claims)
    }

    fn vouched(&self, claims: &IdClaims) -> Result<Vouched, ProviderFault> {
        let username = claims.text(&self.settings.username_claim);
        let username = username.ok_or(ProviderFault::Refused("no_user_name"))?;
        // Some do not say whether an address was proved; one that says it was not is not taken.
        let proved = claims.claim("email_verified").is_none_or(|is| is == true || is == "true");
        Ok(Vouched {
            issuer: self.settings.issuer.clone(),
            subject: claims.subject().to_owned(),
            username: username.to_owned(),
            display_name: claims.text("name").map(str::to_owned),
            email: claims.text("email").filter(|_| proved).map(str::to_owned),
            groups: claims.texts(&self.settings.groups_claim),
            proved_at: claims.proved_at(),
        })
    }

    /// Asks, unless it did not answer there a moment ago.
    async fn asked(
        &self,
        place: Place,
        request: RequestBuilder,
    ) -> Result<(StatusCode, Value), ProviderFault> {
        if let Some(away) = self.known.lock().is_away(place, self.clock.now()) {
            return Err(away);
        }
        let told = async {
            let answer = sent(request).await?;
            Ok::<_, ProviderFault>((answer.status(), json(answer).await?))
        };
        let told = told.await;
        // What it says of a code or a token it may say of a stranger's: an error there keeps nobody
        // else out, silence does.
        let ours = matches!(place, Place::Metadata | Place::Keys);
        let away = told.as_ref().err().filter(|fault| ours || fault.is_silence());
        self.note(place, away);
        told
    }

    /// Notes that it is there, or for how long nobody asks.
    fn note(&self, place: Place, fault: Option<&ProviderFault>) {
        let until = self.clock.now().plus_seconds(AWAY_SECONDS);
        let mut known = self.known.lock();
        known.away.retain(|(of, ..)| *of != place);
        if let Some(ProviderFault::Away(why)) = fault {
            known.away.push((place, why, until));
        }
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderFault> {
        let (fresh, former) = {
            let known = self.known.lock();
            let former = known.metadata.as_ref().map(|(metadata, _)| Arc::clone(metadata));
            (known.fresh(self.clock.now()), former)
        };
        if let Some(fresh) = fresh {
            return Ok(fresh);
        }
        let turn = match (self.turn.try_lock(), &former) {
            (Ok(turn), _) => turn,
            // Somebody is asking; what it said before is more likely than nothing.
            (Err(_), Some(former)) => return Ok(Arc::clone(former)),
            (Err(_), None) => self.turn.lock().await,
        };
        let now = self.clock.now();
        // Whoever held it before may have been told.
        let fresh = self.known.lock().fresh(now);
        let told = match fresh {
            Some(fresh) => Ok(fresh),
            None => self.metadata_now(now).await,
        };
        drop(turn);
        told.or_else(|fault| former.ok_or(fault))
    }

    async fn metadata_now(&self, now: Timestamp) -> Result<Arc<Metadata>, ProviderFault> {
        let issuer = &self.settings.issuer;
        let request = self.client.get(Metadata::place(issuer));
        let (_, document) = self.asked(Place::Metadata, request).await?;
        let metadata = Metadata::read(document, issuer);
        self.note(Place::Metadata, metadata.as_ref().err());
        let metadata = Arc::new(metadata?);
        self.known.lock().metadata = Some((Arc::clone(&metadata), now));
        Ok(metadata)
    }

    /// The request that exchanges a code (RFC 6749 section 4.1.3).
    fn exchange(&self, metadata: &Metadata, code: &str, question: Question<'_>) -> RequestBuilder {
        let OidcSettings { client_id, client_secret, .. } = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", question.redirect_uri)
            .append_pair("code_verifier", question.verifier);
        let mut request = self.client.post(metadata.token.clone());
        match client_secret {
            // Both are encoded first (section 2.3.1).
            Some(secret) if metadata.takes_basic => {
                request = request.basic_auth(escaped(client_id), Some(escaped(secret.reveal())));
            }
            secret => {
                form.append_pair("client_id", client_id);
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.reveal());
                }
            }
        }
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.finish())
    }

    /// What the provider gives for the code.
    async fn tokens(
        &self,
        metadata: &Metadata,
        code: &str,
        question: Question<'_>,
    ) -> Result<Tokens, ProviderFault> {
        let request = self.exchange(metadata, code, question);
        let (status, body) = self.asked(Place::Tokens, request).await?;
        if status.is_success() {
            return serde_json::from_value(body)
                .map_err(|_| ProviderFault::Away("its token endpoint gives no ID token"));
        }
        match body.get("error").and_then(Value::as_str) {
            Some("invalid_grant") => Err(ProviderFault::Refused("code")),
            Some("invalid_client" | "unauthorized_client") => {
                Err(ProviderFault::Away("it does not know us: look at client_id and client_secret"))
            }
            _ => Err(ProviderFault::Away("its token endpoint refuses the request")),
        }
    }

    /// What the token says, by the keys that are known, or else by those that there are now.
    async fn claims(
        &self,
        metadata: &Metadata,
        token: &str,
        question: Question<'_>,
    ) -> Result<IdClaims, ProviderFault> {
        let now = self.clock.now();
        let wanted = IdTokenWanted {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: question.nonce,
            proved_since: question.proved_since,
        };
        let known = self.known.lock().keys.clone();
        let keys = match known {
            Some(keys) => {
                match IdClaims::verified(token, &keys, wanted, now) {
                    // A key may have been replaced under its name.
                    Err(IdTokenFault::UnknownKey | IdTokenFault::Signature)
                        if self.may_ask_again(now) => {}
                    told => return told.map_err(|fault| ProviderFault::Refused(fault.name())),
                }
                self.keys(metadata, Some(&keys)).await?
            }
            None => self.keys(metadata, None).await?,
        };
        let told = IdClaims::verified(token, &keys, wanted, now);
        told.map_err(|fault| ProviderFault::Refused(fault.name()))
    }

    /// Notes that keys are asked for because one is not known, unless they just were.
    fn may_ask_again(&self, now: Timestamp) -> bool {
        let mut known = self.known.lock();
        let late = known.keys_again.is_none_or(|at| at.plus_seconds(KEYS_AGAIN_SECONDS) <= now);
        if late {
            known.keys_again = Some(now);
        }
        late
    }

    /// Other keys than the former ones.
    async fn keys(
        &self,
        metadata: &Metadata,
        former: Option<&Arc<ProviderKeys>>,
    ) -> Result<Arc<ProviderKeys>, ProviderFault> {
        let _turn = self.turn.lock().await;
        let known = self.known.lock().keys.clone();
        let is_other =
            |keys: &Arc<ProviderKeys>| former.is_none_or(|former| !Arc::ptr_eq(former, keys));
        if let Some(keys) = known.filter(is_other) {
            return Ok(keys);
        }
        let (_, told) = self.asked(Place::Keys, self.client.get(metadata.keys.clone())).await?;
        let keys = ProviderKeys::read(&told);
        let keys = keys.ok_or(ProviderFault::Away("its keys are no set of keys"));
        self.note(Place::Keys, keys.as_ref().err());
        let keys = Arc::new(keys?);
        self.known.lock().keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// What it says of a person beside the token (OpenID Connect Core section 5.3).
    async fn userinfo(&self, url: Url, token: &str) -> Result<Map<String, Value>, ProviderFault> {
        let request = self.client.get(url).bearer_auth(token);
        match self.asked(Place::Userinfo, request).await?.1 {
            Value::Object(claims) => Ok(claims),
            _ => Err(ProviderFault::Away("its userinfo endpoint tells nothing")),
        }
    }
}

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// An answer that is one: what a provider says who is in trouble is none.
async fn sent(request: RequestBuilder) -> Result<Response, ProviderFault> {
    let answer = request.send().await.map_err(|error| {
        ProviderFault::Away(if error.is_timeout() { NOT_IN_TIME } else { NO_WAY })
    })?;
    let status = answer.status();
    let busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    if busy || status.is_redirection() {
        return Err(ProviderFault::Away("it answers with an error"));
    }
    Ok(answer)
}

async fn json(mut answer: Response) -> Result<Value, ProviderFault> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER_BYTES_MAX => {
                return Err(ProviderFault::Away("its answer is larger than 1 MiB"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(_) => return Err(ProviderFault::Away("its answer broke off")),
        }
    }
    serde_json::from_slice(&body).map_err(|_| ProviderFault::Away("its answer is no JSON"))
}
