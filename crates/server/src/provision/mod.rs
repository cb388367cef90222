//! Couriers: one per protocol that a target speaks. They bring what they are given and decide
//! nothing.

mod ldap;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::clock::Clock;
use counterfoil_authority::provision::{
    Arrived, Courier, Failed, Fault, Finding, Freight, Holding, Looked, Target, TargetKind,
};

use self::ldap::LdapCourier;
use self::webhook::WebhookCourier;

/// The couriers of every kind of target.
pub struct Couriers {
    ldap: LdapCourier,
    webhook: WebhookCourier,
}

impl Couriers {
    /// Couriers that tell the time by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { ldap: LdapCourier::default(), webhook: WebhookCourier::new(clock) }
    }
}

/// A webhook holds no state that could be looked at.
fn stateless() -> Failed {
    Failed::new(Fault::Refused, "a webhook holds no state")
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
            (TargetKind::Webhook, Freight::Person(_)) => Err(stateless()),
            (_, Freight::Person(state)) => self.ldap.bring(target, secret, state, place).await,
            (_, Freight::Message(_)) => {
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
            (TargetKind::Webhook, _) | (_, Freight::Message(_)) => Err(stateless()),
            (_, Freight::Person(state)) => self.ldap.look(target, secret, state).await,
        }
    }

    async fn holders(&self, target: &Target, secret: Option<&str>) -> Result<Vec<Holding>, Failed> {
        match target.kind {
            TargetKind::Webhook => Err(stateless()),
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
            TargetKind::Webhook => Err(stateless()),
            _ => self.ldap.clear(target, secret, place).await,
        }
    }

    async fn test(&self, target: &Target, secret: Option<&str>) -> Vec<Finding> {
        match target.kind {
            TargetKind::Webhook => self.webhook.test(target, secret).await,
            _ => self.ldap.test(target, secret).await,
        }
    }
}
