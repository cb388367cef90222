//! People's tokens in the history: issued, used, mistyped, guessed at, rotated, ended.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use counterfoil_authority::authority::{
    Act, Answered, Binding, DeriveRequest, Expiry, IssueRequest, LockAct, ServiceEdit, UserEdit,
    Verdict, VerifyRequest,
};
use counterfoil_authority::caller::RequestContext;
use counterfoil_authority::event::Origin;
use counterfoil_authority::names::ServiceLabel;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::service::ServiceStatus;
use counterfoil_authority::subject::UserStatus;
use counterfoil_authority::verdict::{Door, Reason};

use super::people::only;
use super::plan::{By, Fate, Life, Mistake, Turn, Wish};
use super::play::{Held, Play};
use super::{DemoError, Stage};

/// The lowest number of an address that belongs to a person.
const FIRST_HOST: u8 = 10;
/// Where guesses come from. All addresses here are those of documents (RFC 5737, RFC 3849).
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66));
/// What somebody guesses. Nobody's: secrets are drawn, not chosen.
const GUESS: &str = "Summer2026!";

/// A question about a presented text.
struct Asked<'a> {
    presented: &'a str,
    username: Option<&'a str>,
    service: &'a str,
    scope: Option<&'a str>,
    door: Door,
    source: IpAddr,
}

/// A scope list of names.
pub(super) fn scopes_of<S: AsRef<str>>(names: &[S]) -> Result<Vec<Scope>, DemoError> {
    Ok(names.iter().map(|name| Scope::parse(name.as_ref())).collect::<Result<_, _>>()?)
}

/// Where somebody is: at the office, at home, or on a telephone.
fn source_of(owner: usize, machine: bool, hour: i64) -> IpAddr {
    let host = u8::try_from(owner).unwrap_or(0).saturating_add(FIRST_HOST);
    match hour.rem_euclid(24) {
        _ if machine => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)),
        8..16 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)),
        16..18 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0x40, 0, 0, 0, u16::from(host))),
        _ => IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)),
    }
}

/// The same text with another last character.
fn mistyped(secret: &ClearSecret) -> ClearSecret {
    let mut text = secret.reveal().to_owned();
    let last = text.pop();
    text.push(if last == Some('x') { 'y' } else { 'x' });
    ClearSecret::new(text)
}

/// Whether something that became of the token, its owner or its service explains a refusal.
const fn is_a_fate(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Revoked
            | Reason::ParentRevoked
            | Reason::Disabled
            | Reason::Locked
            | Reason::Expired
            | Reason::Exhausted
            | Reason::OwnerInactive
            | Reason::ServiceInactive
    )
}

impl Play<'_> {
    /// Issues a planned token, by whom it was planned.
    pub(super) async fn issue(&mut self, token: usize) -> Result<(), DemoError> {
        let wish = self.wish(token)?;
        let owner = self.company.member(wish.owner)?;
        let (caller, user) = match wish.by {
            By::Owner => (&owner.caller, None),
            By::Onboarding => {
                (self.company.clients.named("onboarding")?, Some(owner.username.clone()))
            }
            By::Link => (self.company.administrator()?, Some(owner.username.clone())),
        };
        let request = IssueRequest {
            name: Some(wish.name.to_owned()),
            services: Some(only(wish.service)?),
            scopes: scopes_of(wish.scopes)?,
            expires: match wish.life {
                Life::Default => Expiry::Default,
                Life::Until(end) => Expiry::At(end),
            },
            not_before: wish.not_before,
            max_usages: wish.max_usages,
            ..IssueRequest::of(wish.kind, user)
        };
        let issued = self.stage.authority.issue(caller, &self.stage.realm, request, None).await?;
        if let Answered::Fresh { token: made, secret } = issued {
            self.tokens.insert(token, Held { id: made.id, secret });
        }
        Ok(())
    }

    /// Uses a token, or tries to.
    pub(super) async fn used(&mut self, token: usize, mistake: Mistake) -> Result<(), DemoError> {
        let wish = self.wish(token)?;
        let owner = self.company.member(wish.owner)?;
        let held = self.held(token)?;
        let wrong;
        let presented = match mistake {
            Mistake::Mistyped => {
                wrong = mistyped(&held.secret);
                &wrong
            }
            _ => &held.secret,
        };
        let hour = self.stage.authority.now().seconds().div_euclid(3_600);
        let asked = Asked {
            presented: presented.reveal(),
            username: (wish.door == Door::Ldap).then(|| owner.username.as_str()),
            service: match mistake {
                Mistake::OtherService(other) => other,
                _ => wish.service,
            },
            scope: match mistake {
                Mistake::OtherScope(scope) => Some(scope),
                _ => wish.scopes.first().copied(),
            },
            door: wish.door,
            source: source_of(wish.owner, wish.machine, hour),
        };
        let verdict = self.ask(&asked).await?;
        self.compare(wish, mistake, &verdict);
        Ok(())
    }

    async fn ask(&self, asked: &Asked<'_>) -> Result<Verdict, DemoError> {
        let service = ServiceLabel::parse(asked.service)?;
        let scopes = scopes_of(asked.scope.as_slice())?;
        let origin = if asked.door == Door::Api {
            self.company.clients.verifier(asked.service)?.origin.clone()
        } else {
            let (door, source) = (asked.door, Some(asked.source));
            Origin::anonymous(RequestContext { door, source, request_id: None })
        };
        let request = VerifyRequest {
            username: asked.username,
            scopes: &scopes,
            client_ip: Some(asked.source),
            ..VerifyRequest::of_holder(
                &self.stage.realm,
                asked.presented,
                Binding::Service(&service),
                &origin,
            )
        };
        Ok(self.stage.authority.verify(request).await?)
    }

    fn compare(&mut self, wish: &Wish, mistake: Mistake, verdict: &Verdict) {
        let as_planned = match (mistake, verdict) {
            (Mistake::None, Verdict::Active(_)) => true,
            (Mistake::None, Verdict::Inactive { reason, .. }) => is_a_fate(*reason),
            (_, Verdict::Active(_)) => false,
            (_, Verdict::Inactive { .. }) => true,
        };
        if !as_planned {
            let said = match verdict {
                Verdict::Active(_) => "was good",
                Verdict::Inactive { reason, .. } => reason.code(),
            };
            self.surprises.push(format!("{} at {}: {mistake:?}, {said}", wish.name, wish.service));
        }
    }

    /// Somebody who has read the list of names tries what people choose.
    pub(super) async fn guess(&self, person: usize) -> Result<(), DemoError> {
        let owner = self.company.member(person)?;
        let asked = Asked {
            presented: GUESS,
            username: Some(owner.username.as_str()),
            service: "mail",
            scope: None,
            door: Door::Ldap,
            source: STRANGER,
        };
        self.ask(&asked).await.map(drop)
    }

    /// The owner rotates a token.
    pub(super) async fn rotate(&mut self, token: usize) -> Result<(), DemoError> {
        let owner = self.company.member(self.wish(token)?.owner)?;
        let (authority, realm) = (&self.stage.authority, &self.stage.realm);
        let id = self.held(token)?.id;
        let rotated = authority.rotate(&owner.caller, realm, id, None, None, None).await?;
        if let Answered::Fresh { secret, .. } = rotated {
            self.tokens.insert(token, Held { id, secret });
        }
        Ok(())
    }

    /// Whoever looks after the cluster approves; the administrator what is theirs.
    pub(super) async fn approve(&self, token: usize) -> Result<(), DemoError> {
        let owner = &self.company.member(self.wish(token)?.owner)?.username;
        let manager = self.company.members.iter().find(|one| one.username.as_str() == MANAGER);
        let caller = match manager {
            Some(one) if one.username != *owner => &one.caller,
            _ => self.company.administrator()?,
        };
        let id = self.held(token)?.id;
        self.stage.authority.approve(caller, &self.stage.realm, id).await?;
        Ok(())
    }

    /// Switches a token off, locks it, or ends it.
    pub(super) async fn change(&self, token: usize, fate: Fate) -> Result<(), DemoError> {
        let owner = &self.company.member(self.wish(token)?.owner)?.caller;
        let (caller, act) = match fate {
            Fate::Revoked(reason) => (owner, Act::Revoke { reason: Some(reason.to_owned()) }),
            Fate::Disabled => (owner, Act::Disable),
            Fate::Locked => (self.company.administrator()?, Act::Lock),
        };
        let id = self.held(token)?.id;
        self.stage.authority.change(caller, &self.stage.realm, id, act, None).await?;
        Ok(())
    }

    /// The holder of a token makes a narrower one of it.
    pub(super) async fn derive(&self, token: usize, name: &'static str) -> Result<(), DemoError> {
        let authority = &self.stage.authority;
        let context = Stage::context(Door::Api);
        let holder = authority.authenticate(self.held(token)?.secret.reveal(), context).await?;
        let request = DeriveRequest {
            name: Some(name.to_owned()),
            description: None,
            services: None,
            scopes: None,
            permissions: None,
            expires: Expiry::Default,
            max_usages: None,
            networks: None,
            doors: None,
            labels: BTreeMap::new(),
        };
        authority.self_derive(&holder, request, None).await?;
        Ok(())
    }

    /// Something becomes of a person.
    pub(super) async fn turn(&self, person: usize, turn: Turn) -> Result<(), DemoError> {
        let (authority, realm) = (&self.stage.authority, &self.stage.realm);
        let boss = self.company.administrator()?;
        let name = &self.company.member(person)?.username;
        let status = match turn {
            Turn::Suspended => UserStatus::Suspended,
            Turn::Left => UserStatus::Expired,
            Turn::Locked => {
                let reason = Some("laptop stolen, police report 4471".to_owned());
                let act = LockAct { on: true, reason };
                authority.lock_user(boss, realm, name, None, &act).await?;
                return Ok(());
            }
        };
        let edit = UserEdit { status: Some(status), ..UserEdit::default() };
        authority.edit_user(boss, realm, name, edit, None).await?;
        Ok(())
    }

    /// The retired service takes no tokens any more.
    pub(super) async fn retire(&self) -> Result<(), DemoError> {
        let label = ServiceLabel::parse("ftp")?;
        let edit = ServiceEdit { status: Some(ServiceStatus::Suspended), ..Default::default() };
        let boss = self.company.administrator()?;
        self.stage.authority.edit_service(boss, &self.stage.realm, &label, edit, None).await?;
        Ok(())
    }
}

/// Who looks after the cluster.
const MANAGER: &str = "noor.haddad";
