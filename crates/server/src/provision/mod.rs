//! Couriers: one per protocol that a target speaks. They bring what they are given and decide
//! nothing.

mod ldap;
mod mail;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::clock::Clock;
use counterfoil_authority::names::Username;
use counterfoil_authority::provision::{
    Arrived, Courier, Failed, Fault, Finding, Freight, Holding, Looked, Target, TargetKind,
};

use self::ldap::LdapCourier;
use self::mail::MailCourier;
use self::webhook::WebhookCourier;

pub(crate) use self::ldap::is_loopback;
pub use self::mail::{MailSettings, MailTls};

/// The couriers of every kind of target.
pub struct Couriers {
    ldap: LdapCourier,
    mail: MailCourier,
    webhook: WebhookCourier,
}

impl Couriers {
    /// Couriers that tell the time by this clock, send mail as `mail` says, and know where people
    /// reach the server.
    pub fn new(clock: Arc<dyn Clock>, mail: Option<MailSettings>, public_url: &str) -> Self {
        Self {
            ldap: LdapCourier::default(),
            mail: MailCourier::new(mail, public_url.to_owned()),
            webhook: WebhookCourier::new(clock),
        }
    }
}

/// Whether a text is one LDAP filter (RFC 4515) and nothing beside it.
pub(crate) fn is_filter(text: &str) -> bool {
    text.starts_with('(') && ldap3::parse_filter(text).is_ok()
}

/// Who is told of events holds no state that could be looked at.
fn stateless() -> Failed {
    Failed::new(Fault::Refused, "the target is told of events and holds no state")
}

#[async_trait]
impl Courier for Couriers {
    async fn bring(
        &self,
        target: &Target,
        secret: Option<&str>,
        freight: &Freight,
        place: Option<&str>,
    ) -> Result<Arrived, Failed> {
        match (target.kind, freight) {
            (TargetKind::Webhook, Freight::Message(event)) => {
                self.webhook.tell(target, secret, event).await
            }
            (TargetKind::Mail, Freight::Letter(letter)) => self.mail.send(target, letter).await,
            (TargetKind::Webhook | TargetKind::Mail, _) => Err(stateless()),
            (_, Freight::Person(state)) => self.ldap.bring(target, secret, state, place).await,
            (_, Freight::Message(_) | Freight::Letter(_)) => {
                Err(Failed::new(Fault::Refused, "a directory takes no messages"))
            }
        }
    }

    async fn look(
        &self,
        target: &Target,
        secret: Option<&str>,
        freight: &Freight,
    ) -> Result<Looked, Failed> {
        match (target.kind, freight) {
            (TargetKind::Webhook | TargetKind::Mail, _)
            | (_, Freight::Message(_) | Freight::Letter(_)) => Err(stateless()),
            (_, Freight::Person(state)) => self.ldap.look(target, secret, state).await,
        }
    }

    async fn holders(&self, target: &Target, secret: Option<&str>) -> Result<Vec<Holding>, Failed> {
        match target.kind {
            TargetKind::Webhook | TargetKind::Mail => Err(stateless()),
            _ => self.ldap.holders(target, secret).await,
        }
    }

    async fn clear(
        &self,
        target: &Target,
        secret: Option<&str>,
        place: &str,
    ) -> Result<(), Failed> {
        match target.kind {
            TargetKind::Webhook | TargetKind::Mail => Err(stateless()),
            _ => self.ldap.clear(target, secret, place).await,
        }
    }

    async fn matches(
        &self,
        target: &Target,
        secret: Option<&str>,
        username: &Username,
        filter: &str,
    ) -> Result<bool, Failed> {
        match target.kind {
            TargetKind::Webhook | TargetKind::Mail => Err(stateless()),
            _ => self.ldap.matches(target, secret, username, filter).await,
        }
    }

    async fn test(&self, target: &Target, secret: Option<&str>) -> Vec<Finding> {
        match target.kind {
            TargetKind::Webhook => self.webhook.test(target, secret).await,
            TargetKind::Mail => self.mail.test(target).await,
            _ => self.ldap.test(target, secret).await,
        }
    }
}
