//! Devices in the history: registration tokens, who draws from them, and who is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::authority::{
    Act, Answered, Drawn, EnrolAnswer, EnrolAnswered, EnrolRefusal, EnrolRequest, Expiry,
    IssueRequest, RefreshRequest, RenderEnrolment,
};
use counterfoil_authority::caller::{Caller, RequestContext};
use counterfoil_authority::enrolment::DeviceFacts;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::token::SentinelAttributes;
use counterfoil_authority::verdict::Door;

use super::organisation::RegistrationOf;
use super::people::only;
use super::play::{Held, Play};
use super::tokens::scopes_of;
use super::{DAY_SECONDS, DemoError, Stage};

/// The service that devices are for.
const TELEMETRY: &str = "telemetry";

/// Nobody reads the answers.
struct Unread;

#[async_trait]
impl EnrolAnswer for Unread {
    async fn prepare(&self, _drawn: &Drawn) -> Result<RenderEnrolment, Refusal> {
        Ok(Arc::new(|_, _| Vec::new()))
    }
}

/// What a device tells of itself.
fn facts(one: &RegistrationOf, device: usize, domain: &str) -> DeviceFacts {
    let name = format!("{}-{:02}", one.device, device + 1);
    let number = u8::try_from(device).unwrap_or(0);
    DeviceFacts {
        hostname: Some(format!("{name}.{domain}")),
        system_user: Some("telemetry".to_owned()),
        // Of the block for documents (RFC 7042 section 2.1.2).
        mac_address: Some(format!("00:00:5e:00:53:{number:02x}")),
        subject: name,
        ..DeviceFacts::default()
    }
}

fn from_the_field(device: usize) -> RequestContext {
    let host = u8::try_from(device).unwrap_or(0).saturating_add(20);
    let source = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)));
    RequestContext { door: Door::Oauth, source, request_id: None }
}

impl Play<'_> {
    fn registration(&self, number: usize) -> Result<&RegistrationOf, DemoError> {
        let missing = || DemoError::Missing(format!("registration token {number}"));
        self.stage.organisation.registration.get(number).ok_or_else(missing)
    }

    fn issuer(&self, one: &RegistrationOf) -> Result<&Caller, DemoError> {
        let found = self.company.members.iter().find(|member| member.username.as_str() == one.by);
        let missing = || DemoError::Missing(format!("person {}", one.by));
        Ok(&found.ok_or_else(missing)?.caller)
    }

    /// Issues a registration token.
    pub(super) async fn register(&mut self, number: usize) -> Result<(), DemoError> {
        let one = self.registration(number)?;
        let request = IssueRequest {
            name: Some(one.name.clone()),
            services: Some(only(TELEMETRY)?),
            scopes: scopes_of(&one.scopes)?,
            expires: Expiry::After(one.days * DAY_SECONDS),
            unit: Some(self.company.unit(&one.unit)?),
            sentinel: SentinelAttributes {
                count: one.count,
                ref_id_1: one.reference.clone(),
                constraints: one.constraints.clone(),
                approval: one.approval.clone(),
                ..SentinelAttributes::default()
            },
            labels: BTreeMap::from([("device".to_owned(), one.device.clone())]),
            ..IssueRequest::of(Kind::RegistrationToken, None)
        };
        let (authority, realm) = (&self.stage.authority, &self.stage.realm);
        let issued = authority.issue(self.issuer(one)?, realm, request, None).await?;
        if let Answered::Fresh { token, secret } = issued {
            self.registrations.insert(number, Held { id: token.id, secret });
        }
        Ok(())
    }

    async fn present(
        &self,
        number: usize,
        facts: DeviceFacts,
        context: RequestContext,
    ) -> Result<EnrolAnswered, EnrolRefusal> {
        let presented = self.registrations.get(&number).map_or("", |held| held.secret.reveal());
        let request = EnrolRequest {
            realm: &self.stage.realm,
            presented,
            facts,
            labels: BTreeMap::new(),
            confirmation: None,
            scopes: None,
            client: None,
            replay: None,
            context,
        };
        self.stage.authority.enrol(request, &Unread).await
    }

    /// A device draws an auth token.
    pub(super) async fn draw(&mut self, number: usize, device: usize) -> Result<(), DemoError> {
        let one = self.registration(number)?;
        let domain = if one.constraints.is_some() { "fleet.example" } else { "field.example" };
        let facts = facts(one, device, domain);
        let drawn = self.present(number, facts, from_the_field(device)).await?;
        if let EnrolAnswered::Fresh { token, secret, .. } = drawn
            && !token.pending
        {
            self.devices.insert((number, device), secret);
        }
        Ok(())
    }

    /// A device draws that must not: too late, or under another name.
    pub(super) async fn draw_in_vain(
        &mut self,
        number: usize,
        device: usize,
    ) -> Result<(), DemoError> {
        let one = self.registration(number)?;
        let facts = facts(one, 70 + device, "elsewhere.example");
        match self.present(number, facts, from_the_field(70 + device)).await {
            Err(EnrolRefusal::Other(refusal)) => Err(refusal.into()),
            Err(_) => Ok(()),
            Ok(_) => {
                let name = self.registration(number)?.name.clone();
                self.surprises.push(format!("{name}: a device was let in"));
                Ok(())
            }
        }
    }

    /// A device exchanges its refresh secret.
    pub(super) async fn renew(&mut self, number: usize, device: usize) -> Result<(), DemoError> {
        let Some(secret) = self.devices.remove(&(number, device)) else { return Ok(()) };
        let request = RefreshRequest {
            realm: &self.stage.realm,
            presented: secret.reveal(),
            confirmation: None,
            scopes: None,
            context: from_the_field(device),
        };
        let refreshed = self.stage.authority.refresh(request).await?;
        self.devices.insert((number, device), refreshed.secret);
        Ok(())
    }

    /// A registration token is revoked; what was drawn from it lives on.
    pub(super) async fn withdraw(&self, number: usize) -> Result<(), DemoError> {
        let one = self.registration(number)?;
        let Some(held) = self.registrations.get(&number) else { return Ok(()) };
        let act = Act::Revoke { reason: one.revoked.clone() };
        let Stage { authority, realm, .. } = self.stage;
        authority.change(self.issuer(one)?, realm, held.id, act, None).await?;
        Ok(())
    }
}
