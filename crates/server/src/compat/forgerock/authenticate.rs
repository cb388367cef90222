//! `/authenticate`: a client by its key, a person by a token of theirs for the API. By headers,
//! or by the one exchange of two callbacks that clients of AM know how to answer.

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::authority::{AmLogin, AuthRefusal};
use counterfoil_authority::verdict::Door;
use serde::Deserialize;
use serde_json::json;

use super::Asked;
use super::fault::Fault;
use crate::http::body::parse;

const USERNAME: &str = "x-openam-username";
const PASSWORD: &str = "x-openam-password";
/// How every `authId` begins. Nothing is kept between the two halves of the exchange, so that it
/// only says that there was a first one.
const AUTH_ID: &str = "counterfoil-1.";
/// Callbacks of an answer at most.
const CALLBACKS_MAX: usize = 8;

/// What a client answers to callbacks.
#[derive(Deserialize)]
struct Continuation {
    #[serde(rename = "authId", default)]
    auth_id: Option<String>,
    #[serde(default)]
    callbacks: Vec<Callback>,
}

#[derive(Deserialize)]
struct Callback {
    #[serde(rename = "type", default)]
    sort: String,
    #[serde(default)]
    input: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    value: serde_json::Value,
}

/// Who wants to come in.
struct Credentials {
    username: String,
    password: zeroize::Zeroizing<String>,
}

/// Answers one request.
pub(super) async fn answer(asked: &Asked<'_>, body: &[u8]) -> Result<Response, Fault> {
    if *asked.method() != Method::POST {
        return Err(Fault::method());
    }
    let credentials = match continuation(body)? {
        Some(continuation) => Some(of_callbacks(&continuation)?),
        None => of_headers(asked)?,
    };
    match credentials {
        Some(credentials) => let_in(asked, &credentials).await,
        None => Ok(callbacks(asked)),
    }
}

/// The continuation of an exchange; `None` for an empty body or object.
fn continuation(body: &[u8]) -> Result<Option<Continuation>, Fault> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let read: Continuation = parse(body)?;
    let is_empty = read.auth_id.is_none() && read.callbacks.is_empty();
    Ok((!is_empty).then_some(read))
}

fn of_callbacks(continuation: &Continuation) -> Result<Credentials, Fault> {
    let known = continuation.auth_id.as_deref().is_some_and(|id| id.starts_with(AUTH_ID));
    if !known || continuation.callbacks.len() > CALLBACKS_MAX {
        return Err(Fault::not_authenticated());
    }
    let value = |sort: &str| -> String {
        let found = continuation.callbacks.iter().find(|callback| callback.sort == sort);
        let value = found.and_then(|callback| callback.input.first());
        value.and_then(|input| input.value.as_str()).unwrap_or_default().to_owned()
    };
    Ok(Credentials { username: value("NameCallback"), password: value("PasswordCallback").into() })
}

fn of_headers(asked: &Asked<'_>) -> Result<Option<Credentials>, Fault> {
    let read = |name: &str| -> Result<Option<String>, Fault> {
        let mut lines = asked.headers().get_all(name).iter();
        let Some(line) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(Fault::not_authenticated());
        }
        let text = std::str::from_utf8(line.as_bytes()).map_err(|_| Fault::not_authenticated())?;
        Ok(Some(decoded(text)))
    };
    let (username, password) = (read(USERNAME)?, read(PASSWORD)?);
    Ok(match (username, password) {
        (Some(username), Some(password)) => {
            Some(Credentials { username, password: password.into() })
        }
        _ => None,
    })
}

/// Decodes the words of RFC 2047 section 2 that are in UTF-8; everything else stays as it is.
fn decoded(text: &str) -> String {
    let words: Option<Vec<String>> = text.split(' ').map(encoded_word).collect();
    // White space between encoded words belongs to neither (section 6.2).
    words.map_or_else(|| text.to_owned(), |words| words.concat())
}

fn encoded_word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = inner.splitn(3, '?');
    let (charset, encoding, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(encoded).ok()?,
        "Q" | "q" => {
            let spaced = encoded.replace('_', " ").replace('%', "%25").replace('=', "%");
            percent_encoding::percent_decode_str(&spaced).collect()
        }
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

async fn let_in(asked: &Asked<'_>, credentials: &Credentials) -> Result<Response, Fault> {
    let keeps_session = asked.query.get("noSession").is_none_or(|text| text != "true");
    let login = AmLogin {
        realm: asked.realm,
        username: &credentials.username,
        password: &credentials.password,
        lifetime_seconds: asked.state.settings.am_session_seconds,
        keeps_session,
    };
    let context = asked.arrival.context(Door::Am);
    let session = match asked.state.authority.am_login(login, context).await {
        Ok(session) => session,
        Err(AuthRefusal::Denied { guessed }) => {
            if guessed {
                asked.hold_back(Some(&credentials.username)).await;
            }
            return Err(Fault::not_authenticated());
        }
        Err(AuthRefusal::Unavailable(refusal)) => return Err(refusal.into()),
    };
    let success_url = format!("{}/console", asked.place.prefix);
    let realm = asked.shown_realm(asked.realm);
    let Some(secret) = session.secret else {
        return Ok(asked.whole(
            StatusCode::OK,
            &json!({
                "message": "Authentication Successful",
                "successUrl": success_url,
                "realm": realm,
            }),
        ));
    };
    let secret = secret.reveal();
    let mut response = asked.whole(
        StatusCode::OK,
        &json!({ "tokenId": secret, "successUrl": success_url, "realm": realm }),
    );
    let name = &asked.state.settings.am_cookie_name;
    let secure =
        if asked.state.settings.public_url.starts_with("https:") { "; Secure" } else { "" };
    let cookie = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}");
    if let Ok(value) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// Asks for a name and a password.
fn callbacks(asked: &Asked<'_>) -> Response {
    let callback = |sort: &str, prompt: &str, name: &str| {
        json!({
            "type": sort,
            "output": [{ "name": "prompt", "value": prompt }],
            "input": [{ "name": name, "value": "" }],
        })
    };
    asked.whole(
        StatusCode::OK,
        &json!({
            "authId": format!("{AUTH_ID}{}", asked.arrival.request_id),
            "template": "",
            "stage": "DataStore1",
            "header": "Sign in",
            "infoText": ["", ""],
            "callbacks": [
                callback("NameCallback", "User Name:", "IDToken1"),
                callback("PasswordCallback", "Password:", "IDToken2"),
            ],
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded_and_other_texts_stay() {
        for (text, expected) in [
            ("=?UTF-8?B?asO8cmdlbg==?=", "jürgen"),
            ("=?utf-8?q?j=C3=BCrgen_x?=", "jürgen x"),
            ("=?UTF-8?B?asO8?= =?UTF-8?B?cmdlbg==?=", "jürgen"),
            ("plain", "plain"),
            ("two words", "two words"),
            ("=?UTF-8?B?%%?=", "=?UTF-8?B?%%?="),
            ("=?latin1?B?asO8cmdlbg==?=", "=?latin1?B?asO8cmdlbg==?="),
            ("100%=", "100%="),
        ] {
            assert_eq!(decoded(text), expected, "{text}");
        }
    }
}
