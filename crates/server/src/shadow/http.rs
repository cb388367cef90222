//! Old systems that are asked over HTTP: token introspection (RFC 7662), or any request that is
//! answered differently for what is good and what is not.

use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::names::Username;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::shadow::{Question, Said};
use reqwest::{Client, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{NoAnswer, Way};
use crate::config::{OldConfig, OldWay};
use crate::outbound;

/// The largest answer to an introspection that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// How it is asked.
enum How {
    Introspection { client_id: String, secret: ClearSecret },
    Request { post: bool, basic: bool },
}

/// An old system behind a URL.
pub(super) struct HttpOld {
    client: Client,
    url: String,
    how: How,
}

/// Client identifier or secret as HTTP Basic has them (RFC 6749 section 2.3.1).
fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

/// Why a request got no answer, without the URL, in which anything may stand.
fn lost(error: &reqwest::Error) -> NoAnswer {
    if error.is_timeout() {
        NoAnswer::away("it did not answer in time")
    } else if error.is_connect() {
        NoAnswer::away("it cannot be reached")
    } else {
        NoAnswer::away("the request failed")
    }
}

fn odd(status: StatusCode) -> NoAnswer {
    let why = format!("it answered {}", status.as_u16());
    if status.is_server_error() { NoAnswer::away(why) } else { NoAnswer::because(why) }
}

impl HttpOld {
    pub(super) fn new(old: &OldConfig) -> Result<Self, String> {
        let how = match &old.way {
            OldWay::Introspection { client_id, secret } => {
                How::Introspection { client_id: client_id.clone(), secret: secret.clone() }
            }
            OldWay::Http { post, basic } => How::Request { post: *post, basic: *basic },
            OldWay::Ldap { .. } => return Err("is asked over LDAP".to_owned()),
        };
        let make = || {
            Client::builder()
                // A redirection would take what was presented to somebody who was not named.
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .pool_idle_timeout(IDLE)
                .timeout(old.timeout)
                .user_agent(concat!("counterfoil/", env!("CARGO_PKG_VERSION")))
        };
        let client = if let Some(path) = &old.ca {
            let wrong = |why: String| format!("{}: {why}", path.display());
            let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let ca = reqwest::Certificate::from_pem_bundle(&pem);
            let ca = ca.map_err(|_| wrong("holds no certificates".to_owned()))?;
            make().tls_certs_only(ca).build()
        } else {
            outbound::client(make)
        };
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, url: old.url.clone(), how })
    }

    fn introspection(&self, id: &str, secret: &ClearSecret, token: &str) -> RequestBuilder {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish();
        self.client
            .post(&self.url)
            .basic_auth(&*encoded(id), Some(&*encoded(secret.reveal())))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(body)
    }

    fn request(&self, post: bool) -> RequestBuilder {
        if post { self.client.post(&self.url) } else { self.client.get(&self.url) }
    }
}

/// What an introspection says (RFC 7662 section 2.2).
async fn introspected(answer: Response, presented: &str) -> Result<Said, NoAnswer> {
    if answer.status() != StatusCode::OK {
        return Err(odd(answer.status()));
    }
    let body = bounded(answer).await?;
    let said: Value = serde_json::from_slice(&body)
        .map_err(|_| NoAnswer::because("its answer is no introspection"))?;
    match said["active"].as_bool() {
        Some(true) => {
            let name = said["username"].as_str().filter(|name| !name.contains(presented));
            Ok(Said::Good(name.and_then(|name| Username::parse(name).ok())))
        }
        Some(false) => Ok(Said::Bad),
        None => Err(NoAnswer::because("its answer is no introspection")),
    }
}

async fn bounded(mut answer: Response) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(NoAnswer::because("its answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What the status of any other answer says.
fn answered(status: StatusCode) -> Result<Said, NoAnswer> {
    match status.as_u16() {
        200..=299 => Ok(Said::Good(None)),
        401 | 403 | 404 => Ok(Said::Bad),
        _ => Err(odd(status)),
    }
}

#[async_trait]
impl Way for HttpOld {
    async fn ask(&self, question: &Question) -> Result<Said, NoAnswer> {
        let presented = question.presented.reveal();
        let request = match &self.how {
            How::Introspection { client_id, secret } => {
                let asked = self.introspection(client_id, secret, presented);
                let answer = asked.send().await.map_err(|error| lost(&error))?;
                return introspected(answer, presented).await;
            }
            How::Request { post, basic: false } => self.request(*post).bearer_auth(presented),
            How::Request { post, basic: true } => {
                let name = question.username.as_ref();
                let name = name.ok_or_else(|| NoAnswer::because("there is no user name"))?;
                if name.as_str().contains(':') {
                    // RFC 7617 section 2: the rest of the name would become part of the password.
                    return Err(NoAnswer::because("the user name holds a colon"));
                }
                self.request(*post).basic_auth(name.as_str(), Some(presented))
            }
        };
        let answer = request.send().await.map_err(|error| lost(&error))?;
        answered(answer.status())
    }

    async fn reach(&self) -> Result<(), NoAnswer> {
        // An introspection of nothing is answered by whoever takes our credentials; a request
        // without any is refused, which is an answer.
        match &self.how {
            How::Introspection { client_id, secret } => {
                let asked = self.introspection(client_id, secret, "counterfoil-doctor");
                let answer = asked.send().await.map_err(|error| lost(&error))?;
                introspected(answer, "counterfoil-doctor").await.map(drop)
            }
            How::Request { post, .. } => {
                let answer = self.request(*post).send().await.map_err(|error| lost(&error))?;
                unasked(answer.status())
            }
        }
    }
}

/// Whether an answer to a request without credentials is that of a door. Where there is none,
/// everybody would be good, or nobody.
fn unasked(status: StatusCode) -> Result<(), NoAnswer> {
    match answered(status)? {
        Said::Good(_) => Err(NoAnswer::elsewhere(format!(
            "it answered {} to a request without credentials: it says yes to everybody",
            status.as_u16()
        ))),
        _ if status == StatusCode::NOT_FOUND => {
            Err(NoAnswer::elsewhere("it answered 404: there may be nothing at this URL"))
        }
        Said::Bad | Said::Nothing => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_yes_a_no_or_no_answer() {
        for (status, said) in [
            (200, Ok(Said::Good(None))),
            (204, Ok(Said::Good(None))),
            (401, Ok(Said::Bad)),
            (403, Ok(Said::Bad)),
            (404, Ok(Said::Bad)),
        ] {
            assert_eq!(answered(StatusCode::from_u16(status).unwrap()), said, "{status}");
        }
        for status in [302, 400, 405, 429, 500, 502, 503] {
            assert!(answered(StatusCode::from_u16(status).unwrap()).is_err(), "{status}");
        }
    }

    #[test]
    fn who_says_yes_to_nobody_in_particular_is_no_old_system() {
        let said = |status| unasked(StatusCode::from_u16(status).unwrap());
        for status in [401, 403] {
            assert_eq!(said(status), Ok(()), "{status}");
        }
        for status in [200, 204, 302, 404, 405, 500] {
            assert!(said(status).is_err(), "{status}");
        }
        // That it runs is not what is wrong with these.
        for (status, elsewhere) in
            [(200, true), (204, true), (404, true), (302, false), (500, false)]
        {
            assert_eq!(said(status).unwrap_err().is_elsewhere(), elsewhere, "{status}");
        }
    }

    #[test]
    fn only_who_is_away_is_away_in_the_log() {
        let away = |status| odd(StatusCode::from_u16(status).unwrap()).is_away;
        assert!([500, 502, 503, 504].into_iter().all(away));
        assert!(![302, 400, 405, 429].into_iter().any(away));
    }

    #[test]
    fn credentials_are_encoded_before_they_are_put_together() {
        assert_eq!(*encoded("a:b c%"), "a%3Ab+c%25");
    }
}
