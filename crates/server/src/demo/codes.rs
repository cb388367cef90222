//! Codes in the history: authenticators and backup codes for the VPN, and what repositories of the
//! configuration hold.

use std::net::{IpAddr, Ipv4Addr};

use counterfoil_authority::authority::{
    Binding, IssueRequest, OtpDraft, RepositoryWish, Verdict, VerifyRequest,
};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{ServiceLabel, TargetName};
use counterfoil_authority::otp::{Method, Shape, SharedSeed, oath};
use counterfoil_authority::provision::{TargetConfig, TargetKind, TargetMode};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::repository::{Place, RepositoryKind};

use super::people::only;
use super::play::Play;
use super::{DemoError, Stage};

/// The service that asks for codes.
const VPN: &str = "vpn";
/// People who get a token of each repository.
const HOLDERS: usize = 8;

impl Play<'_> {
    /// A person sets an authenticator up, or prints backup codes.
    pub(super) async fn enrol(&mut self, person: usize, method: Method) -> Result<(), DemoError> {
        let authority = &self.stage.authority;
        let seed = match method {
            Method::Totp => Some(SharedSeed::generate(authority.entropy())?),
            _ => None,
        };
        let name = if seed.is_some() { "Authenticator on the telephone" } else { "Backup codes" };
        let request = IssueRequest {
            name: Some(name.to_owned()),
            services: Some(only(VPN)?),
            otp: Some(OtpDraft { seed: seed.clone(), ..OtpDraft::of(method) }),
            ..IssueRequest::of(Kind::Generic, None)
        };
        let caller = &self.company.member(person)?.caller;
        authority.issue(caller, &self.stage.realm, request, None).await?;
        if let Some(seed) = seed {
            self.seeds.insert(person, seed);
        }
        Ok(())
    }

    /// A person shows the code of this moment, or another one.
    pub(super) async fn code(&mut self, person: usize, right: bool) -> Result<(), DemoError> {
        let Some(seed) = self.seeds.get(&person) else { return Ok(()) };
        let (authority, shape) = (&self.stage.authority, Shape::default());
        let step = oath::step_of(shape, authority.now());
        // A step of yesterday is far outside every window.
        let code = oath::code(seed, shape, if right { step } else { step - 2_880 });
        let label = ServiceLabel::parse(VPN)?;
        let origin = &self.company.clients.verifier(VPN)?.origin;
        let username = &self.company.member(person)?.username;
        let host = u8::try_from(person).unwrap_or(0).saturating_add(10);
        let request = VerifyRequest {
            username: Some(username.as_str()),
            client_ip: Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, host))),
            ..VerifyRequest::of_holder(&self.stage.realm, &code, Binding::Service(&label), origin)
        };
        let verdict = authority.verify(request).await?;
        // Twice within one step is refused, and so is everything of a person who is suspended.
        if !right && matches!(verdict, Verdict::Active(_)) {
            self.surprises.push(format!("a wrong code of {username} was good"));
        }
        Ok(())
    }

    /// Some people get a token of each repository that is configured and kept here. What a
    /// repository asks for besides is its operator's choice, so one that refuses stays empty.
    pub(super) async fn stock(&mut self) -> Result<(), DemoError> {
        let Stage { authority, realm, .. } = self.stage;
        let caller = self.company.clients.named("onboarding")?;
        for repository in authority.repositories().all() {
            let place = match &repository.kind {
                RepositoryKind::Token(_) => Place::Held,
                RepositoryKind::Credential(_) => Place::Current,
                RepositoryKind::Custom(_) => continue,
            };
            for member in self.company.members.iter().take(HOLDERS) {
                let wish = RepositoryWish { name: repository.name.clone(), place, data: None };
                let request = IssueRequest {
                    repository: Some(wish),
                    ..IssueRequest::of(Kind::Generic, Some(member.username.clone()))
                };
                let issued = authority.issue(caller, realm, request, None).await;
                if let Err(Refusal::Unavailable(error)) = issued {
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Sets a target up that is switched off: the demo asks no other machine for anything.
    pub(super) async fn connect(&self) -> Result<(), DemoError> {
        let draft = counterfoil_authority::authority::TargetDraft {
            name: TargetName::parse("service-desk")?,
            kind: TargetKind::Webhook,
            mode: TargetMode::Disabled,
            order: None,
            config: TargetConfig {
                url: format!("https://servicedesk.{}/counterfoil", self.stage.organisation.domain),
                events: vec!["token.revoked".to_owned(), "token.locked".to_owned()],
                ..TargetConfig::default()
            },
            secret: None,
        };
        let boss = self.company.administrator()?;
        self.stage.authority.create_target(boss, &self.stage.realm, draft).await?;
        Ok(())
    }
}
