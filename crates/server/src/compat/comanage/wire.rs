//! Registry's envelope and the fields of its records, in the order in which Registry writes them.

use axum::http::StatusCode;
use axum::response::Response;
use counterfoil_authority::authority::AuthRefusal;
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::service::{Service, ServiceStatus, Visibility};
use counterfoil_authority::subject::{User, UserStatus};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::json;

/// The version of every message and record.
const VERSION: &str = "1.0";

/// The numbers by which Registry names records. Records have none here, so they are derived from
/// their names: the same always, and few enough digits for every reader of JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    /// The CO.
    pub(super) co: u32,
}

impl Numbers {
    /// The number of a service.
    pub(super) fn service(service: &Service) -> u64 {
        number("service", service.realm.as_str(), service.label.as_str())
    }

    /// The number of a person, and of their identifier.
    pub(super) fn person(user: &User) -> u64 {
        number("person", user.realm.as_str(), user.username.as_str())
    }
}

/// 52 bits, which JavaScript reads exactly; among a million records two share one with a chance
/// of one in nine thousand.
fn number(sort: &str, realm: &str, name: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(format!("{sort}\0{realm}\0{name}")).into();
    let head = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    (head >> 12).max(1)
}

/// `2018-03-02 10:00:00`, in UTC.
fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).unwrap_or_default().replace('T', " ")
}

/// A service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceEntry {
    version: &'static str,
    id: String,
    co_id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    short_label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    co_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entitlement_uri: Option<String>,
    visibility: &'static str,
    status: &'static str,
    created: String,
    modified: String,
    revision: String,
    deleted: bool,
}

impl ServiceEntry {
    pub(super) fn of(service: &Service, numbers: Numbers) -> Self {
        let group = service.group.as_ref();
        let group =
            group.map(|name| number("group", service.realm.as_str(), name.as_str()).to_string());
        Self {
            version: VERSION,
            id: Numbers::service(service).to_string(),
            co_id: numbers.co.to_string(),
            name: service.name.clone(),
            description: service.description.clone(),
            short_label: service.label.to_string(),
            co_group_id: group,
            service_url: service.url.clone(),
            contact_email: service.contact.clone(),
            logo_url: service.logo_url.clone(),
            entitlement_uri: service.entitlement_uri.clone(),
            visibility: match service.visibility {
                Visibility::Administrators => "CoAdmin",
                Visibility::Group => "CoGroupMember",
                Visibility::Realm => "CoMember",
                Visibility::Public => "Unauthenticated",
            },
            status: match service.status {
                ServiceStatus::Active => "Active",
                ServiceStatus::Suspended => "Suspended",
            },
            created: moment(service.created_at),
            modified: moment(service.updated_at),
            revision: (service.version - 1).to_string(),
            deleted: false,
        }
    }
}

/// A person.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Person {
    version: &'static str,
    id: String,
    co_id: String,
    status: &'static str,
    created: String,
    modified: String,
}

impl Person {
    pub(super) fn of(user: &User, numbers: Numbers) -> Self {
        Self {
            version: VERSION,
            id: Numbers::person(user).to_string(),
            co_id: numbers.co.to_string(),
            status: match user.status {
                UserStatus::Active => "Active",
                UserStatus::Suspended => "Suspended",
                UserStatus::Expired => "Expired",
            },
            created: moment(user.created_at),
            modified: moment(user.updated_at),
        }
    }
}

/// Whose an identifier is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PersonKey {
    #[serde(rename = "Type")]
    sort: &'static str,
    id: String,
}

/// A person's user name, the one identifier that they have here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Identifier {
    version: &'static str,
    id: String,
    #[serde(rename = "Type")]
    sort: &'static str,
    #[serde(rename = "Identifier")]
    value: String,
    login: bool,
    person: PersonKey,
    status: &'static str,
    created: String,
    modified: String,
}

impl Identifier {
    pub(super) fn of(user: &User) -> Self {
        let id = Numbers::person(user).to_string();
        Self {
            version: VERSION,
            id: id.clone(),
            sort: "uid",
            value: user.username.to_string(),
            login: false,
            person: PersonKey { sort: "CO", id },
            status: "Active",
            created: moment(user.created_at),
            modified: moment(user.updated_at),
        }
    }
}

/// A list of records.
pub(super) struct List;

impl List {
    /// The records in their envelope. Every type that comes here can be written.
    pub(super) fn answer<T: Serialize>(model: &str, records: &[T]) -> Response {
        let records = serde_json::to_string(records).unwrap_or_default();
        let body = format!(
            "{{\"ResponseType\":\"{model}\",\"Version\":\"{VERSION}\",\"{model}\":{records}}}"
        );
        json(StatusCode::OK, body.into_bytes())
    }
}

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    error: String,
}

impl Fault {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    /// No client, or not its key.
    pub(super) fn nobody() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized")
    }

    /// Whether the credential was not good.
    pub(super) fn is_nobody(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// There is no such record.
    pub(super) fn unknown(model: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{model} Unknown"))
    }

    /// The request cannot be understood.
    pub(super) fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// The answer.
    pub(super) fn answer(&self) -> Response {
        let error = serde_json::json!(self.error);
        let body = format!(
            "{{\"ResponseType\":\"ErrorResponse\",\"Version\":\"{VERSION}\",\"Error\":{error}}}"
        );
        let response = json(self.status, body.into_bytes());
        let challenge = self.is_nobody().then_some("Basic realm=\"registry\", charset=\"UTF-8\"");
        crate::compat::hinting(response, challenge)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable(_) | Refusal::Overloaded | Refusal::NoEntropy(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Temporarily Unavailable")
            }
            Refusal::Forbidden(_) | Refusal::BeyondGrant(_) => {
                Self::new(StatusCode::FORBIDDEN, "Forbidden")
            }
            Refusal::NotFound(_) => Self::unknown("CO"),
            other => Self::invalid(other.to_string()),
        }
    }
}

impl From<AuthRefusal> for Fault {
    fn from(refusal: AuthRefusal) -> Self {
        match refusal {
            AuthRefusal::Denied { .. } => Self::nobody(),
            AuthRefusal::Unavailable(refusal) => refusal.into(),
        }
    }
}
