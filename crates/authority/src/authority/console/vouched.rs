//! Somebody for whom a provider or a proxy vouches becomes a session: who they are here, the record
//! that they get, and the roles that follow from their groups there.

use std::collections::BTreeMap;

use super::sign_in::{Beginning, By};
use super::{Authority, ConsoleRefusal, SessionBegun};
use crate::caller::RequestContext;
use crate::clock::Timestamp;
use crate::console::SignInMethod;
use crate::event::{Event, Origin};
use crate::lock::Locks;
use crate::names::{RealmName, Username};
use crate::refusal::Refusal;
use crate::single_sign_on::{Accounts, Identity, RoleRule, Vouched, granted_by};
use crate::store::{PersonVouched, VouchedOutcome};
use crate::subject::{Grant, GrantSubject, Provisioned, User, UserStatus};
use crate::text::{check_email, check_line};

/// Somebody at the door of the console for whom somebody else vouches.
#[derive(Debug, Clone, Copy)]
pub struct VouchedSignIn<'a> {
    /// The tenant.
    pub realm: &'a RealmName,
    /// What is said of them.
    pub vouched: &'a Vouched,
    /// By what they come.
    pub method: SignInMethod,
    /// What their groups may do here.
    pub rules: &'a [RoleRule],
    /// As whom they may come in.
    pub accounts: Accounts,
    /// What the browser says of itself.
    pub agent: Option<&'a str>,
    /// The session that this browser has; it ends when another one begins.
    pub former: Option<&'a str>,
}

impl Authority {
    /// Lets a person in for whom somebody else vouches. Who is new gets a record, where that is
    /// wanted; roles that follow from groups elsewhere come and go with each sign-in.
    ///
    /// # Errors
    ///
    /// [`ConsoleRefusal::NotAdmitted`] if nobody here has the name, or somebody has who may not be
    /// meant; [`ConsoleRefusal::Denied`] if they do not count. The event `session.refused` names
    /// the reason.
    pub async fn console_sign_in_vouched(
        &self,
        sign_in: VouchedSignIn<'_>,
        context: RequestContext,
    ) -> Result<SessionBegun, ConsoleRefusal> {
        let VouchedSignIn { realm, vouched, method, agent, former, .. } = sign_in;
        let origin = Origin::anonymous(context);
        if !self.realm_facts(realm).await?.realm.enabled {
            return self.refuse_sign_in(realm, None, Some("realm_inactive"), &origin);
        }
        let username = self.admitted(sign_in, &origin).await?;
        let Some(user) = self.signer_that_counts(realm, &username).await? else {
            let reason = Some("owner_inactive");
            return self.refuse_sign_in(realm, Some(&username), reason, &origin);
        };
        let by = By::Vouched { method, proved_at: vouched.proved_at };
        self.begin_session(Beginning { user, by, agent, former }, &origin).await
    }

    /// Records that what came back from a provider was not taken.
    pub fn console_refuse_answer(
        &self,
        realm: &RealmName,
        reason: &'static str,
        context: RequestContext,
    ) -> Result<(), Refusal> {
        let origin = Origin::anonymous(context);
        let event = self.event("session.refused", realm, &origin, self.now())?;
        self.record_refusal(event.with_reason(reason).refused());
        Ok(())
    }

    /// Who they are here, after what is said of them has been taken over.
    async fn admitted(
        &self,
        sign_in: VouchedSignIn<'_>,
        origin: &Origin,
    ) -> Result<Username, ConsoleRefusal> {
        let VouchedSignIn { realm, vouched, method, accounts, .. } = sign_in;
        let found = self.store.identity_find(realm, &vouched.issuer, &vouched.subject).await?;
        let known = found.is_some();
        let username = match found {
            Some(identity) => identity.username,
            // What they are called is shown to others, and a secret never is.
            None => match Username::parse(&vouched.username) {
                Ok(username) if !self.names_token(&username, vouched) => username,
                _ => return self.not_admitted(realm, "bad_name", origin),
            },
        };
        let user = self.store.user_find(realm, &username).await?;
        let now = self.now();
        let origin = Origin { actor: granted_by(method).into(), ..origin.clone() };
        let new = match (&user, known) {
            (None, false) if accounts.creates() => {
                let event = self.event("user.created", realm, &origin, now)?;
                let event = event.with_subject(format!("user:{username}"));
                Some((self.newcomer(realm, &username, vouched, now), event))
            }
            (None, _) => return self.not_admitted(realm, "no_person", &origin),
            (Some(_), false) if !accounts.adopts() => {
                return self.not_admitted(realm, "name_taken", &origin);
            }
            (Some(_), _) => None,
        };
        let (gains, loses) = self.roles(sign_in, &username, &origin).await?;
        let event = self.event("identity.linked", realm, &origin, now)?;
        let event = event
            .with_subject(format!("user:{username}"))
            .with_detail(serde_json::json!({ "issuer": vouched.issuer }));
        let identity = Identity {
            realm: realm.clone(),
            issuer: vouched.issuer.clone(),
            subject: vouched.subject.clone(),
            username: username.clone(),
            linked_at: now,
            used_at: now,
        };
        let asked = (identity.issuer.clone(), identity.subject.clone());
        let vouched = PersonVouched { identity, event, new, gains, loses };
        match self.store.person_vouched(vouched).await? {
            VouchedOutcome::Done => Ok(username),
            VouchedOutcome::Taken => {
                // Another window of the same person may have been first.
                let now = self.store.identity_find(realm, &asked.0, &asked.1).await?;
                match now.filter(|identity| identity.username == username) {
                    Some(_) => Ok(username),
                    None => self.not_admitted(realm, "name_taken", &origin),
                }
            }
            VouchedOutcome::Gone => self.not_admitted(realm, "no_person", &origin),
        }
    }

    /// Roles that they do not have yet, and those that nothing gives them any more. What somebody
    /// gave them by hand is not touched.
    async fn roles(
        &self,
        sign_in: VouchedSignIn<'_>,
        username: &Username,
        origin: &Origin,
    ) -> Result<(Vec<(Grant, Event)>, Vec<(String, Event)>), ConsoleRefusal> {
        let VouchedSignIn { realm, vouched, method, rules, .. } = sign_in;
        let now = self.now();
        let subject = GrantSubject::User(username.clone());
        let ours =
            |grant: &Grant| grant.subject == subject && grant.created_by == granted_by(method);
        let mut had = self.store.grants_of_user(realm, username).await?;
        had.retain(ours);
        let of_groups = rules.iter().filter(|rule| rule.is_for(&vouched.groups));
        // Two groups with one role are one grant.
        let wanted: BTreeMap<String, Grant> = of_groups
            .map(|rule| rule.grant(realm, username, method, now))
            .map(|grant| (grant.id.clone(), grant))
            .collect();
        let event = |kind: &'static str, grant: &Grant| {
            let detail = serde_json::json!({ "grant": grant.id, "role": grant.role.name() });
            let event = self.event(kind, realm, origin, now)?;
            Ok::<_, Refusal>(event.with_subject(format!("user:{username}")).with_detail(detail))
        };
        let mut loses = Vec::new();
        for grant in had.iter().filter(|grant| !wanted.contains_key(&grant.id)) {
            loses.push((grant.id.clone(), event("grant.deleted", grant)?));
        }
        let mut gains = Vec::new();
        for grant in wanted.into_values() {
            if !had.iter().any(|own| own.id == grant.id) {
                let event = event("grant.created", &grant)?;
                gains.push((grant, event));
            }
        }
        Ok((gains, loses))
    }

    fn not_admitted<T>(
        &self,
        realm: &RealmName,
        reason: &'static str,
        origin: &Origin,
    ) -> Result<T, ConsoleRefusal> {
        let event = self.event("session.refused", realm, origin, self.now())?;
        self.record_refusal(event.with_reason(reason).refused());
        Err(ConsoleRefusal::NotAdmitted)
    }

    /// Whether a token was given as the name by which somebody is known here, or there.
    fn names_token(&self, username: &Username, vouched: &Vouched) -> bool {
        self.is_token_in_name(username.as_str()) || self.holds_token(&vouched.subject)
    }

    fn newcomer(
        &self,
        realm: &RealmName,
        username: &Username,
        vouched: &Vouched,
        now: Timestamp,
    ) -> User {
        // Bounded as what the API takes is.
        let display_name = vouched.display_name.clone();
        let display_name = display_name.filter(|n| check_line(n).is_ok() && !self.holds_token(n));
        let emails = vouched.email.iter();
        let emails = emails.filter(|email| check_email(email).is_ok() && !self.holds_token(email));
        User {
            realm: realm.clone(),
            username: username.clone(),
            display_name,
            emails: emails.cloned().collect(),
            attributes: BTreeMap::new(),
            status: UserStatus::Active,
            unit: None,
            groups: Vec::new(),
            locks: Locks::default(),
            provisioned: Provisioned::default(),
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }
}
