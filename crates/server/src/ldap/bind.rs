//! Simple bind: a name and a token become somebody, by the same question that every door asks.
//!
//! A person names the service in the DN; a token for another one is refused like an unknown one.
//! A bind is a use. An empty password authenticates nobody (RFC 4513 section 5.1.2), and a failed
//! bind leaves nobody bound.

use std::net::IpAddr;

use counterfoil_authority::authority::{AuthRefusal, Binding, Verdict, VerifyRequest};
use counterfoil_authority::caller::{Caller, RequestContext};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Origin;
use counterfoil_authority::names::{ClientName, ServiceLabel, Username};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::subject::Owner;
use counterfoil_authority::verdict::{Door, Reason};
use ldap3_proto::proto::LdapResultCode;
use tokio::sync::SemaphorePermit;

use super::Shared;
use super::answer::End;
use super::dn::Dn;
use super::limits::PASSWORD_BYTES_MAX;
use super::tree::{Claim, Tree};
use super::wire::SimpleBind;
use crate::traces;

/// The only version of the protocol that is spoken.
const VERSION: i64 = 3;

/// Who a connection speaks for.
#[derive(Debug, Default)]
pub(crate) enum Bound {
    /// Nobody yet, or nobody any more.
    #[default]
    Nobody,
    /// A person, at one service.
    Person(Box<Person>),
    /// A client with its key.
    Client(Box<Client>),
}

/// A person who bound.
#[derive(Debug)]
pub(crate) struct Person {
    /// Their name.
    pub(crate) username: Username,
    /// The service.
    pub(crate) service: ServiceLabel,
    /// The template of the name they bound with, if it was one.
    pub(crate) template: Option<usize>,
    /// The token they came with, or the one it was made from.
    pub(crate) token: TokenId,
    /// When the token ends.
    pub(crate) until: Option<Timestamp>,
}

/// A client that bound.
#[derive(Debug)]
pub(crate) struct Client {
    /// What it is and may do.
    pub(crate) caller: Caller,
    /// Its name.
    pub(crate) name: ClientName,
}

impl Bound {
    /// Its name, if it is somebody.
    pub(crate) fn dn(&self, tree: &Tree) -> Option<Dn> {
        match self {
            Self::Nobody => None,
            Self::Person(person) => Some(person.dn(tree)),
            Self::Client(client) => Some(tree.client(client.name.as_str())),
        }
    }
}

impl Person {
    /// The name of their entry, in the form they bound with.
    pub(crate) fn dn(&self, tree: &Tree) -> Dn {
        tree.person_by(self.template, self.service.as_str(), self.username.as_str())
    }
}

/// Why a bind has come to nothing.
enum Failed {
    /// As many binds as may wait for an answer do so.
    Busy,
    /// The credential is not good, or cannot be.
    Denied,
    /// It could not be decided.
    Undecided(Refusal),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Undecided(refusal)
    }
}

/// What a bind asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// The version of the protocol.
    pub(crate) version: i64,
    /// Who wants to be bound.
    pub(crate) dn: &'a str,
    /// With what; `None` if it is no simple bind.
    pub(crate) password: Option<&'a str>,
}

impl<'a> From<SimpleBind<'a>> for Wish<'a> {
    fn from(read: SimpleBind<'a>) -> Self {
        Self { version: read.version, dn: read.dn, password: Some(read.password) }
    }
}

/// One bind of one connection.
pub(crate) struct Bind<'a> {
    /// The door.
    pub(crate) shared: &'a Shared,
    /// Where the client is.
    pub(crate) source: IpAddr,
    /// Whether nobody can read along.
    pub(crate) confidential: bool,
}

impl Bind<'_> {
    /// Decides about a bind, and who is bound from then on.
    pub(crate) async fn decide(&self, request: Wish<'_>) -> (End, Bound) {
        let failed = |end| (end, Bound::Nobody);
        if request.version != VERSION {
            let said = "this is a server of LDAP version 3";
            return failed(End::new(LdapResultCode::ProtocolError, said));
        }
        let Some(password) = request.password else {
            let said = "only simple binds are taken";
            return failed(End::new(LdapResultCode::AuthMethodNotSupported, said));
        };
        if password.is_empty() {
            return failed(without_password(request.dn));
        }
        if !self.confidential {
            let said = "use StartTLS or LDAPS; this credential was sent in clear text";
            return failed(End::new(LdapResultCode::ConfidentialityRequired, said));
        }
        let parsed;
        let claim = match self.shared.tree.claim_at_sight(request.dn) {
            None => {
                let Ok(dn) = Dn::parse(request.dn) else {
                    return failed(End::new(LdapResultCode::InvalidDNSyntax, ""));
                };
                parsed = dn;
                self.shared.tree.claim(&parsed)
            }
            seen => seen,
        };
        let decided = match &claim {
            _ if password.len() > PASSWORD_BYTES_MAX => self.refuse(None, None),
            None => self.refuse(None, None),
            Some(Claim::Person { user, service, template }) => {
                self.person(user, service, *template, password).await
            }
            Some(Claim::Client(name)) => Box::pin(self.client(name, password)).await,
        };
        match decided {
            Ok(bound) => (End::SUCCESS, bound),
            Err(Failed::Busy) => failed(End::BUSY),
            Err(Failed::Denied) => {
                Box::pin(self.hold_back(claim.as_ref())).await;
                failed(End::DENIED)
            }
            Err(Failed::Undecided(refusal)) => failed(End::from(&refusal)),
        }
    }

    /// A person with a token for the service.
    async fn person(
        &self,
        user: &str,
        label: &ServiceLabel,
        template: Option<usize>,
        presented: &str,
    ) -> Result<Bound, Failed> {
        let Shared { state, realm, .. } = self.shared;
        let origin = self.origin();
        let request = VerifyRequest {
            username: Some(user),
            ..VerifyRequest::of_holder(realm, presented, Binding::Service(label), &origin)
        };
        let verdict = if let Some(verdict) = state.authority.verify_at_hand(&request)? {
            verdict
        } else {
            let _place = self.place()?;
            Box::pin(state.authority.verify_asking(request)).await?
        };
        state.metrics.verified(Door::Ldap, &verdict);
        match &verdict {
            Verdict::Active(active) if active.user().is_none() => {
                state.authority.heard_refused(&request, active, Reason::WrongUser);
            }
            _ => state.authority.heard(&request, &verdict),
        }
        let Verdict::Active(active) = verdict else { return Err(Failed::Denied) };
        // A proof of possession cannot be sent here, and a device is not the person it is with.
        let name = active.user().cloned();
        let (true, Some(username)) = (active.is_bearer(), name) else {
            let reason = if active.is_bearer() { "wrong_user" } else { "wrong_sender" };
            return self.refuse_good(active.root(), label, reason);
        };
        Ok(Bound::Person(Box::new(Person {
            template,
            username,
            service: label.clone(),
            token: active.root(),
            until: active.expires_at(),
        })))
    }

    /// A client with its key.
    async fn client(&self, name: &ClientName, presented: &str) -> Result<Bound, Failed> {
        let Shared { state, realm, .. } = self.shared;
        let _place = self.place()?;
        let caller = match state.authority.authenticate(presented, self.context()).await {
            Ok(caller) => caller,
            Err(AuthRefusal::Denied { .. }) => return Err(Failed::Denied),
            Err(AuthRefusal::Unavailable(refusal)) => return Err(refusal.into()),
        };
        let named = matches!(&caller.subject, Owner::Client(owner) if owner == name);
        if !named || caller.realm != *realm || !caller.for_api {
            return self.refuse(Some(caller.token), Some(Reason::WrongUser));
        }
        Ok(Bound::Client(Box::new(Client { caller, name: name.clone() })))
    }

    /// A place among the binds that may have to wait.
    fn place(&self) -> Result<SemaphorePermit<'_>, Failed> {
        self.shared.binds.try_acquire().map_err(|_| Failed::Busy)
    }

    /// Refuses what the authority was never asked about, and says so where it would have.
    fn refuse(&self, token: Option<TokenId>, reason: Option<Reason>) -> Result<Bound, Failed> {
        let Shared { state, realm, .. } = self.shared;
        let authority = &state.authority;
        let reason = reason.unwrap_or(Reason::Unknown);
        authority.reject(Some(self.source));
        let event = authority.event("verify.refused", realm, &self.origin(), authority.now());
        let event = event.map_err(Refusal::from)?.with_reason(reason.code()).refused();
        authority.record_refusal(match token {
            Some(token) => event.with_token(token),
            None => event,
        });
        Err(Failed::Denied)
    }

    /// Refuses a token that is good, but not like this.
    fn refuse_good(
        &self,
        token: TokenId,
        label: &ServiceLabel,
        reason: &'static str,
    ) -> Result<Bound, Failed> {
        let Shared { state, realm, .. } = self.shared;
        let authority = &state.authority;
        let event = authority.event("verify.refused", realm, &self.origin(), authority.now());
        let event = event.map_err(Refusal::from)?.with_token(token).with_service(label.as_str());
        authority.record_refusal(event.with_reason(reason).refused());
        Err(Failed::Denied)
    }

    /// Waits as long as who failed often has to.
    async fn hold_back(&self, claim: Option<&Claim<'_>>) {
        let (user, service) = match claim {
            Some(Claim::Person { user, service, .. }) => (Some(*user), Some(service)),
            _ => (None, None),
        };
        let authority = &self.shared.state.authority;
        let service = service.map(ServiceLabel::as_str);
        authority.hold_back(Some(self.source), user, service).await;
    }

    fn context(&self) -> RequestContext {
        let state = &self.shared.state;
        let request_id = state.request_ids.issue(state.authority.now());
        traces::named(&request_id);
        RequestContext { door: Door::Ldap, source: Some(self.source), request_id: Some(request_id) }
    }

    fn origin(&self) -> Origin {
        Origin::anonymous(self.context())
    }
}

/// Nobody is authenticated by saying nothing: an application that asks with an empty password
/// must never take the answer for a yes.
fn without_password(dn: &str) -> End {
    if dn.is_empty() {
        let said = "anonymous binds are not taken; the root DSE can be read without a bind";
        return End::new(LdapResultCode::InappropriateAuthentication, said);
    }
    End::new(LdapResultCode::UnwillingToPerform, "a bind needs a password")
}
