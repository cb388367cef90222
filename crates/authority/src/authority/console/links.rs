//! Links by which a person chooses a password: the first administrator's, and everybody else's.
//!
//! The link carries its secret in the fragment and is used up by a POST, like the links that
//! deliver tokens: a mail scanner that follows it has done nothing.

use std::collections::BTreeMap;

use super::sign_in::{Beginning, By};
use super::{Authority, ConsoleRefusal, SignInStep};
use crate::caller::{Caller, RequestContext};
use crate::clock::Timestamp;
use crate::console::{Account, FIRST_LINK_SECONDS, Password, SignInLink, SignInLinkEnd};
use crate::event::{Event, Origin, time_ordered_id};
use crate::kind::Kind;
use crate::lock::Locks;
use crate::names::{MAIN_REALM, RealmName, Username};
use crate::refusal::{Refusal, Thing};
use crate::scope::ApiScope;
use crate::secret::{ClearSecret, Shape, TokenId, generate_prefixed};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::store::{FirstAdministrator, SignInLinkAdded, SignInLinkUse, SignInLinkUsed};
use crate::subject::{Grant, GrantSubject, Limits, Owner, Provisioned, Role, User, UserStatus};
use crate::verdict::Door;

/// A link that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsableLink {
    /// The realm it leads to.
    pub realm: RealmName,
    /// Whose password it sets; `None`: of whoever becomes the first administrator.
    pub username: Option<Username>,
}

/// What somebody with a link types.
#[derive(Debug, Clone, Copy)]
pub struct ChosenPassword<'a> {
    /// The link, or what stands behind its `#`.
    pub link: &'a ClearSecret,
    /// The first administrator's name; of nobody else.
    pub username: Option<&'a Username>,
    /// The password.
    pub password: &'a str,
    /// What the browser says of itself.
    pub agent: Option<&'a str>,
}

impl Authority {
    /// A link for the first administrator of the realm `main`, and until when it can be used;
    /// `None` if somebody has a password there already, or operates it by the word of a provider
    /// or a proxy. It takes the place of the one before.
    pub async fn console_first_link(&self) -> Result<Option<(ClearSecret, Timestamp)>, Refusal> {
        let realm = RealmName::parse(MAIN_REALM).map_err(|e| Refusal::invalid("realm", e))?;
        if self.store.account_any(&realm).await? {
            return Ok(None);
        }
        let origin = Origin::system(Door::Cli);
        self.sign_in_link(&realm, None, FIRST_LINK_SECONDS, &origin).await
    }

    /// A link by which a person chooses a password, also where they have one and forgot it.
    ///
    /// Whoever has it signs in as that person, so it is made by those only who may do all that
    /// the person may. Nobody makes one for themselves in place of a password or a passkey that
    /// they have: those are changed by who proves to have them.
    pub async fn console_link_for(
        &self,
        caller: &Caller,
        realm: &RealmName,
        username: &Username,
    ) -> Result<(ClearSecret, Timestamp), Refusal> {
        let reach = caller.reach(realm, ApiScope::UsersWrite)?;
        let user = self.store.user_find(realm, username).await?;
        let owner = Owner::User(username.clone());
        let user = user.filter(|user| reach.covers_user(&owner, user.unit.as_ref()));
        if user.is_none() {
            return Err(Refusal::NotFound(Thing::User));
        }
        // Whoever sits down at a session that was left open would have the account by it.
        if caller.is(&owner, realm) && self.has_proof(realm, username).await? {
            return Err(Refusal::invalid("username", "is your own: see your account"));
        }
        self.require_above(caller, realm, &owner).await?;
        let life = self.settings.link_lifetime_seconds;
        let made = self.sign_in_link(realm, Some(username), life, &caller.origin).await?;
        made.ok_or(Refusal::NotFound(Thing::User))
    }

    async fn has_proof(&self, realm: &RealmName, username: &Username) -> Result<bool, Refusal> {
        Ok(self.store.account_find(realm, username).await?.is_some()
            || !self.store.passkey_list(realm, username).await?.is_empty())
    }

    async fn sign_in_link(
        &self,
        realm: &RealmName,
        username: Option<&Username>,
        seconds: i64,
        origin: &Origin,
    ) -> Result<Option<(ClearSecret, Timestamp)>, Refusal> {
        let (id, now) = (TokenId::generate(self.entropy())?, self.now());
        let clear = generate_prefixed(&self.settings.prefix, Kind::Link, id, self.entropy())?;
        let keys = self.keys();
        let pepper = keys.pepper();
        let mac = keyed_hash(pepper, clear.reveal());
        let link = SignInLink {
            id,
            realm: realm.clone(),
            username: username.cloned(),
            created_at: now,
            created_by: origin.actor.to_string(),
            expires_at: now.plus_seconds(seconds),
            hash: SecretHash::Keyed { pepper: pepper.id(), mac },
            used_at: None,
        };
        let end = link.expires_at;
        let event = self.link_event("sign-in-link.created", &link, origin, now)?;
        Ok(match self.store.sign_in_link_add(link, event).await? {
            SignInLinkAdded::Done => Some((clear, end)),
            SignInLinkAdded::Refused => None,
        })
    }

    /// Says what a link is for, to whoever holds it. Uses nothing up.
    pub async fn console_link(
        &self,
        presented: &ClearSecret,
        context: RequestContext,
    ) -> Result<UsableLink, ConsoleRefusal> {
        let link = self.usable_link(presented, &Origin::anonymous(context)).await?;
        Ok(UsableLink { realm: link.realm, username: link.username })
    }

    /// Uses a link: the password counts from now on, every session of the person ends, and one
    /// begins for who chose it, unless they need a passkey besides.
    pub async fn console_use_link(
        &self,
        chosen: ChosenPassword<'_>,
        context: RequestContext,
    ) -> Result<SignInStep, ConsoleRefusal> {
        let origin = Origin::anonymous(context);
        let link = self.usable_link(chosen.link, &origin).await?;
        let now = self.now();
        let Some(username) = link.username.as_ref().or(chosen.username) else {
            return Err(Refusal::invalid("username", "is missing").into());
        };
        let password = Password::chosen(chosen.password, username)?;
        let place = self.sign_in_place(username.as_str(), origin.source).await?;
        let hash = self.password_hash(&place, &link.realm, username, password).await?;
        let account = Account {
            realm: link.realm.clone(),
            username: username.clone(),
            password: hash,
            changed_at: now,
            version: 1,
            passkey_required: false,
        };
        let actor: std::sync::Arc<str> = format!("user:{username}").into();
        let origin = Origin { actor, ..origin };
        let first = match link.username {
            Some(_) => None,
            None => Some(self.first_administrator(&link.realm, username, &origin, now)?),
        };
        let event = self.link_event("sign-in-link.used", &link, &origin, now)?;
        let using = SignInLinkUse { id: link.id, account, first, at: now, event };
        let account = match self.store.sign_in_link_use(using).await? {
            SignInLinkUsed::Done(account) => account,
            SignInLinkUsed::Refused(end) => return self.refuse_sign_in_link(&link, end, &origin),
        };
        if let Some(proved) = self.passkey_after(&account).await? {
            return Ok(SignInStep::Passkey(proved));
        }
        let user = self.store.user_find(&account.realm, &account.username).await?;
        let user = user.ok_or(Refusal::NotFound(Thing::User))?;
        let agent = chosen.agent;
        let by = By::Password { version: account.version, rehash: None };
        let beginning = Beginning { user, by, agent, former: None };
        self.begin_session(beginning, &origin).await.map(SignInStep::Begun)
    }

    async fn usable_link(
        &self,
        presented: &ClearSecret,
        origin: &Origin,
    ) -> Result<SignInLink, ConsoleRefusal> {
        let now = self.now();
        let Some(link) = self.proved_sign_in_link(presented).await? else {
            self.reject(origin.source);
            return Err(ConsoleRefusal::NoLink);
        };
        if link.used_at.is_some() {
            return self.refuse_sign_in_link(&link, SignInLinkEnd::Used, origin);
        }
        if link.expires_at <= now {
            return self.refuse_sign_in_link(&link, SignInLinkEnd::Expired, origin);
        }
        Ok(link)
    }

    async fn proved_sign_in_link(
        &self,
        presented: &ClearSecret,
    ) -> Result<Option<SignInLink>, ConsoleRefusal> {
        let Shape::Prefixed { kind: Kind::Link, id } = self.shape(presented.reveal()) else {
            return Ok(None);
        };
        let Some(link) = self.store.sign_in_link_find(id).await? else { return Ok(None) };
        let keys = self.keys();
        keys.require_peppers([link.hash.pepper()])?;
        let is_right = match &link.hash {
            SecretHash::Keyed { pepper, mac } => keys
                .pepper_by_id(*pepper)
                .is_some_and(|pepper| keyed_hash(pepper, presented.reveal()) == *mac),
            SecretHash::Slow { .. } => false,
        };
        Ok(Some(link).filter(|_| is_right))
    }

    fn first_administrator(
        &self,
        realm: &RealmName,
        username: &Username,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<FirstAdministrator, Refusal> {
        let actor = format!("user:{username}");
        let user = User {
            realm: realm.clone(),
            username: username.clone(),
            display_name: None,
            emails: Vec::new(),
            attributes: BTreeMap::new(),
            status: UserStatus::Active,
            unit: None,
            groups: Vec::new(),
            locks: Locks::default(),
            provisioned: Provisioned::default(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let grant = Grant {
            realm: realm.clone(),
            id: time_ordered_id(now, self.entropy())?,
            subject: GrantSubject::User(username.clone()),
            role: Role::Operator,
            unit: None,
            service: None,
            limits: Limits::default(),
            created_at: now,
            created_by: actor.clone(),
        };
        let user_event = self.event("user.created", realm, origin, now)?.with_subject(&*actor);
        let detail = serde_json::json!({ "grant": grant.id, "role": grant.role.name() });
        let grant_event = self.event("grant.created", realm, origin, now)?;
        let grant_event = grant_event.with_subject(actor).with_detail(detail);
        Ok(FirstAdministrator { user, user_event, grant, grant_event })
    }

    fn link_event(
        &self,
        kind: &'static str,
        link: &SignInLink,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Event, Refusal> {
        let event = self.event(kind, &link.realm, origin, now)?;
        let event = event.with_detail(serde_json::json!({ "link": link.id.as_str() }));
        Ok(match &link.username {
            Some(username) => event.with_subject(format!("user:{username}")),
            None => event,
        })
    }

    fn refuse_sign_in_link<T>(
        &self,
        link: &SignInLink,
        end: SignInLinkEnd,
        origin: &Origin,
    ) -> Result<T, ConsoleRefusal> {
        let event = self.link_event("sign-in-link.refused", link, origin, self.now())?;
        self.record_refusal(event.with_reason(end.name()).refused());
        Err(ConsoleRefusal::LinkEnded(end))
    }
}
