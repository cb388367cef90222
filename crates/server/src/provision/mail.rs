//! Mail: letters to people, handed to the site's mail server by SMTP.
//!
//! A letter has one `Message-ID`, made of its event, however often it is sent: where the server
//! took it and the answer was lost it comes twice, and the id says that it is the same (RFC 5321
//! section 6.1 knows no better). `Auto-Submitted` (RFC 3834) keeps holiday replies away.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use counterfoil_authority::provision::letter::{Letter, Written};
use counterfoil_authority::provision::{Arrived, Failed, Fault, Finding, Severity, Target};
use counterfoil_authority::secret::ClearSecret;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;

use crate::http::links::link_url;

/// How long the mail server is given to answer, unless the target says otherwise.
const TIMEOUT_MS: u32 = 10_000;
/// Letters under way to the mail server at the same time: sites limit what one client may open.
const CONNECTIONS_MAX: usize = 4;

/// How mail leaves the server.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether and when the connection becomes TLS.
    pub tls: MailTls,
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// As whom to log in.
    pub user: Option<String>,
    /// With what.
    pub password: Option<ClearSecret>,
    /// Who the letters are from.
    pub from: Mailbox,
    /// Whom an answer goes to.
    pub reply_to: Option<Mailbox>,
}

/// When a connection to the mail server becomes TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// By `STARTTLS`, before anything is said (RFC 3207); a server without it gets nothing.
    StartTls,
    /// From the first byte (RFC 8314).
    Tls,
    /// Never; on the machine itself only.
    None,
}

/// Sends letters.
pub(super) struct MailCourier {
    settings: Option<Arc<MailSettings>>,
    public_url: String,
    places: tokio::sync::Semaphore,
}

impl MailCourier {
    /// A courier that sends as these settings say, and knows where people reach the server.
    pub(super) fn new(settings: Option<MailSettings>, public_url: String) -> Self {
        let places = tokio::sync::Semaphore::new(CONNECTIONS_MAX);
        Self { settings: settings.map(Arc::new), public_url, places }
    }

    /// Sends a letter.
    pub(super) async fn send(&self, target: &Target, letter: &Letter) -> Result<Arrived, Failed> {
        let settings = self.settings()?;
        let message = self.message(settings, letter)?;
        let envelope = message.envelope().clone();
        let time = Duration::from_millis(u64::from(target.config.timeout_ms.unwrap_or(TIMEOUT_MS)));
        let Ok(_place) = self.places.acquire().await else {
            return Err(Failed::new(Fault::Busy, "the server is ending"));
        };
        let opening = tokio::time::timeout(time, open(settings, time));
        let mut connection = match opening.await {
            Ok(opened) => opened?,
            Err(_) => return Err(Failed::new(Fault::Away, "the mail server does not answer")),
        };
        let sending = hand_over(&mut connection, &envelope, &message.formatted(), time).await;
        // It has the letter; whether it says goodbye makes no difference.
        let _ = tokio::time::timeout(time, connection.quit()).await;
        sending.map(|()| Arrived { place: None, changed: true })
    }

    /// Whether the mail server lets us in. Sends nothing.
    pub(super) async fn test(&self, target: &Target) -> Vec<Finding> {
        let finding =
            |check, severity, what: String| Finding { check, severity, what, remedy: None };
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(failed) => {
                let remedy =
                    "[mail]\nhost = \"mail.example.org\"\nfrom = \"Tokens <tokens@example.org>\"";
                let missing = finding("configuration", Severity::Failure, failed.what);
                return vec![Finding { remedy: Some(remedy.to_owned()), ..missing }];
            }
        };
        let time = Duration::from_millis(u64::from(target.config.timeout_ms.unwrap_or(TIMEOUT_MS)));
        let place = format!("{}:{}", settings.host, settings.port);
        let opened = tokio::time::timeout(time, open(settings, time)).await;
        let mut connection = match opened {
            Ok(Ok(connection)) => connection,
            Ok(Err(failed)) => return vec![finding("connection", Severity::Failure, failed.what)],
            Err(_) => {
                let what = format!("{place} does not answer");
                return vec![finding("connection", Severity::Failure, what)];
            }
        };
        let how = if connection.is_encrypted() { "inside TLS" } else { "without TLS" };
        let mut found =
            vec![finding("connection", Severity::Fine, format!("{place} answers {how}"))];
        found.push(match &settings.user {
            Some(user) => finding("login", Severity::Fine, format!("{user} is let in")),
            None => finding("login", Severity::Fine, "no user is configured".to_owned()),
        });
        let _ = tokio::time::timeout(time, connection.quit()).await;
        found
    }

    fn settings(&self) -> Result<&MailSettings, Failed> {
        self.settings.as_deref().ok_or_else(|| {
            Failed::new(Fault::Away, "no mail server is configured: mail.host is not set")
        })
    }

    fn message(&self, settings: &MailSettings, letter: &Letter) -> Result<Message, Failed> {
        let unwritable = |what: String| Failed::new(Fault::Final, what);
        let address = letter.address.parse().map_err(|_| {
            unwritable(format!("the person's address is none: {:?}", shown(&letter.address)))
        })?;
        let link = letter.link.as_ref().map(|link| link_url(&self.public_url, link));
        let Written { subject, text, html } = letter.written(link.as_deref());
        let micros = u64::try_from(letter.at.micros()).unwrap_or(0);
        let domain = settings.from.email.domain();
        let mut builder = Message::builder()
            .from(settings.from.clone())
            .to(Mailbox::new(Some(letter.name.clone()), address))
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
            .message_id(Some(format!("<{}@{domain}>", letter.event)));
        if let Some(reply_to) = &settings.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        for (name, value) in [
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
            ("Content-Language", &*letter.language),
        ] {
            let name = HeaderName::new_from_ascii(name.to_owned())
                .map_err(|bad| unwritable(bad.to_string()))?;
            builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
        }
        let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text);
        let message = match html {
            None => builder.singlepart(plain),
            Some(html) => {
                let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html);
                // A boundary of the event's id, so that a letter sent again is the same to the byte.
                let both = MultiPart::alternative().boundary(format!("={}=", letter.event));
                builder.multipart(both.singlepart(plain).singlepart(html))
            }
        };
        message.map_err(|bad| unwritable(bad.to_string()))
    }
}

/// What of a broken address is shown to administrators.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A connection that is as safe as the settings say, and logged in.
///
/// Whatever goes wrong here concerns all letters alike, so none of them is given up for it.
async fn open(settings: &MailSettings, time: Duration) -> Result<AsyncSmtpConnection, Failed> {
    let away = |what: &str, error: &lettre::transport::smtp::Error| {
        Failed::new(Fault::Away, format!("{what}: {}", said(error)))
    };
    let hello = ClientId::default();
    let tls = match settings.tls {
        MailTls::None => None,
        MailTls::StartTls | MailTls::Tls => Some(parameters(settings)?),
    };
    let at_once = tls.clone().filter(|_| settings.tls == MailTls::Tls);
    let server = (settings.host.as_str(), settings.port);
    let connecting =
        AsyncSmtpConnection::connect_tokio1(server, Some(time), &hello, at_once, None).await;
    let mut connection =
        connecting.map_err(|error| away("the mail server cannot be reached", &error))?;
    if settings.tls == MailTls::StartTls
        && let Some(tls) = tls
    {
        let started = connection.starttls(tls, &hello).await;
        started.map_err(|error| away("STARTTLS", &error))?;
    }
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
        let logged_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
        logged_in.map_err(|error| away("the login", &error))?;
    }
    Ok(connection)
}

/// Hands a letter over. Once its text is on the way, silence may mean that it arrived.
async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    text: &[u8],
    time: Duration,
) -> Result<(), Failed> {
    let Ok(sent) = tokio::time::timeout(time, connection.send(envelope, text)).await else {
        return Err(Failed::new(Fault::Unanswered, "the mail server did not answer in time"));
    };
    match sent {
        Ok(_) => Ok(()),
        Err(error) => {
            let fault = if error.is_permanent() || error.is_client() {
                Fault::Final
            } else if error.is_transient() {
                Fault::Busy
            } else {
                Fault::Unanswered
            };
            Err(Failed::new(fault, said(&error)))
        }
    }
}

fn parameters(settings: &MailSettings) -> Result<TlsParameters, Failed> {
    let unusable = |what: String| Failed::new(Fault::Away, format!("mail.ca: {what}"));
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.ca {
        let pem = fs::read(file).map_err(|error| unusable(error.to_string()))?;
        let trusted = Certificate::from_pem(&pem).map_err(|error| unusable(said(&error)))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(trusted);
    }
    builder.build_rustls().map_err(|error| Failed::new(Fault::Away, said(&error)))
}

/// What went wrong, with what the server said.
fn said(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}
