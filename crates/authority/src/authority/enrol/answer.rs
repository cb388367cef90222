//! What comes of a draw, for the door that asked: an answer, or a refusal in words of the rules.

use std::sync::Arc;

use async_trait::async_trait;

use crate::enrolment::{Constraint, Counts, Grant};
use crate::refusal::Refusal;
use crate::scope::Scope;
use crate::secret::ClearSecret;
use crate::token::{State, Token};

/// An auth token that is about to be stored.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The auth token. Whether it will wait for approval is only known when it is stored.
    pub token: Token,
    /// What its access tokens need.
    pub grant: Grant,
    /// The registration token, as it was read.
    pub registration: Token,
    /// Its first refresh secret; while it waits, the `device_code` of RFC 8628.
    pub secret: ClearSecret,
}

impl Drawn {
    pub(super) fn of(token: Token, registration: Token, secret: ClearSecret) -> Self {
        let grant = Grant::of(&token).unwrap_or_else(|| Grant {
            auth_token: token.id,
            registration: Some(registration.id),
            realm: token.realm.clone(),
            owner: token.owner.clone(),
            subject: String::new(),
            scopes: token.scopes.clone(),
            services: token.services.clone(),
            confirmation: None,
            has_permissions: token.permissions.is_some(),
            access: crate::access::AccessFormat::default(),
            expires_at: token.validity.expires_at(),
            idle_ends_at: None,
            unit: token.unit.clone(),
            client: None,
        });
        Self { token, grant, registration, secret }
    }
}

/// Writes the answer, given the auth token as stored (`pending`: it waits) and the counts after
/// the draw. Called inside the transaction, perhaps more than once; must not block.
pub type RenderEnrolment = Arc<dyn Fn(&Token, Counts) -> Vec<u8> + Send + Sync>;

/// How a door answers a draw.
#[async_trait]
pub trait EnrolAnswer: Send + Sync {
    /// Makes everything that the answer needs beside the auth token, an access token say, and
    /// returns what writes it.
    async fn prepare(&self, drawn: &Drawn) -> Result<RenderEnrolment, Refusal>;
}

/// The answer to a draw.
#[derive(Debug)]
pub enum EnrolAnswered {
    /// It is counted, or waits if the token is pending.
    Fresh {
        /// The auth token as stored.
        token: Box<Token>,
        /// The counts after the draw.
        counts: Counts,
        /// Its refresh secret, or its `device_code`.
        secret: ClearSecret,
        /// What the door wrote.
        body: Vec<u8>,
    },
    /// The same request was answered so before.
    Replayed {
        /// Whether it waited for approval then.
        waiting: bool,
        /// What the door wrote then.
        body: Vec<u8>,
    },
}

impl EnrolAnswered {
    /// Whether the answer says that somebody has to approve first.
    pub fn is_waiting(&self) -> bool {
        match self {
            Self::Fresh { token, .. } => token.pending,
            Self::Replayed { waiting, .. } => *waiting,
        }
    }

    /// What the door wrote.
    pub fn into_body(self) -> Vec<u8> {
        match self {
            Self::Fresh { body, .. } | Self::Replayed { body, .. } => body,
        }
    }
}

/// Why nothing was drawn. All but the first and the last are told only to who has proved the
/// right secret, because they must act on it (design rule 3).
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnrolRefusal {
    /// Unknown, mistyped, wrong or retired.
    #[error("the registration token is not good")]
    Denied,
    /// It is not active.
    #[error("the registration token is {}", .0.name())]
    State(State),
    /// Who issued it is not active, or the realm is not.
    #[error("who issued the registration token is not active")]
    OwnerInactive,
    /// It may not be presented at this door.
    #[error("the registration token is not meant for this door")]
    WrongDoor,
    /// None of its services takes tokens.
    #[error("no service of the registration token takes tokens now")]
    NoService,
    /// A condition of it is broken.
    #[error("the condition {} of the registration token is not met", .0.name())]
    Constraint(Constraint),
    /// More was asked for than it hands on.
    #[error("the registration token does not hand on the scope {0}")]
    Scope(Scope),
    /// Anything that can be wrong with any request.
    #[error(transparent)]
    Other(#[from] Refusal),
}

impl EnrolRefusal {
    /// The reason in events; `None` of what is recorded elsewhere or is no refusal.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Denied | Self::Other(_) => None,
            Self::State(state) => Some(state.name().to_owned()),
            Self::OwnerInactive => Some("owner_inactive".to_owned()),
            Self::NoService => Some("no_service".to_owned()),
            Self::WrongDoor => Some("wrong_door".to_owned()),
            Self::Constraint(constraint) => Some(format!("constraint:{}", constraint.name())),
            Self::Scope(_) => Some("insufficient_scope".to_owned()),
        }
    }
}
