//! Taking over people, services and secrets of another system, by whoever holds the machine.
//!
//! What is there already stays as it is: whoever was given a secret here must not lose it to one
//! from elsewhere. So a second run changes nothing.

use std::collections::{HashMap, HashSet};

use super::Authority;
use super::UserDraft;
use super::issue::Whose;
use super::services::ServiceDraft;
use crate::clock::Timestamp;
use crate::event::{Event, Origin};
use crate::foreign::{ForeignHash, ForeignScheme};
use crate::kind::Kind;
use crate::names::{COUNTERFOIL, GroupName, RealmName, ServiceLabel, Username};
use crate::policy::{EffectivePolicy, TokenPolicy};
use crate::refusal::{Refusal, Thing};
use crate::secret::{ClearSecret, Shape, TokenId};
use crate::secret_hash::{SecretHash, keyed_hash};
use crate::service::Services;
use crate::store::{
    ActiveLimit, Arriving, IMPORT_BATCH_MAX, Imported, PageRequest, TokenFilter, TokenIssue,
};
use crate::subject::{Group, Owner, User};
use crate::token::{AirlockAttributes, SentinelAttributes, Token, Usage};
use crate::validity::Validity;
use crate::verdict::Door;

/// Secrets that stand in manuals: whoever has read one has the secret.
const PUBLISHED: [&str; 4] =
    ["k7mq-2x9d-hw4t-p8zc", "r3vn-6jyb-e5sg-u2fa", "abcd-efgh-jkmn-pqrs", "rasmuslerdorf"];
/// The bcrypt hash of one of them in PHP's manual; others would take too long to look for.
const PUBLISHED_BCRYPT: &str = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq";

/// The label by which a token says where it came from.
pub const IMPORTED_FROM: &str = "imported-from";

/// A secret as another system had it.
#[derive(Debug, Clone)]
pub enum IncomingSecret {
    /// In clear. It is hashed here, and was not stored before.
    Clear(ClearSecret),
    /// Hashed.
    Foreign(ForeignHash),
}

/// A token of another system: one secret of one person for one service.
#[derive(Debug, Clone)]
pub struct IncomingToken {
    /// Its id, the same in every run.
    pub id: TokenId,
    /// Whose it is.
    pub user: Username,
    /// What it is for.
    pub service: ServiceLabel,
    /// Its secret.
    pub secret: IncomingSecret,
    /// Whether it is locked.
    pub locked: bool,
    /// The row it stood in, the same for each secret that ever stood there.
    pub row: String,
}

/// A record of another system. What names another record comes after it.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A group.
    Group(GroupName, Option<String>),
    /// A service.
    Service(ServiceDraft),
    /// A person.
    User(UserDraft),
    /// A membership.
    Member(GroupName, Username),
    /// A token.
    Token(IncomingToken),
}

/// What became of a record, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was not here, and is taken over.
    New,
    /// It is here already, and stays as it is.
    Kept,
    /// It is not taken over.
    Refused(String),
}

/// What is known while a plan is made.
#[derive(Default)]
struct Known {
    groups: HashSet<GroupName>,
    users: HashSet<Username>,
    services: HashMap<ServiceLabel, EffectivePolicy>,
    held: HashSet<(Username, ServiceLabel)>,
}

/// What is to happen to a record.
enum Plan {
    Settled(Fate),
    Store(Box<Arriving>),
    Hash(Box<IncomingToken>),
}

/// One run.
struct Run<'a> {
    realm: &'a RealmName,
    realm_policy: TokenPolicy,
    origin: Origin,
    now: Timestamp,
}

impl Authority {
    /// Takes records over, or says what would become of them (`dry_run`). The fates are in the
    /// order of the records; `done` is told how many more were worked on.
    ///
    /// # Errors
    ///
    /// When the store does not answer. Batches that were stored before stay; running again goes on
    /// behind them.
    pub async fn import(
        &self,
        realm: &RealmName,
        incoming: &[Incoming],
        dry_run: bool,
        done: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<Vec<Fate>, Refusal> {
        let found = self.store.realm_find(realm).await?;
        let found = found.ok_or(Refusal::NotFound(Thing::Realm))?;
        let run = Run {
            realm,
            realm_policy: found.token_policy,
            origin: Origin::system(Door::Cli),
            now: self.now(),
        };
        let mut known = Known::default();
        let mut fates = Vec::with_capacity(incoming.len());
        for chunk in incoming.chunks(IMPORT_BATCH_MAX) {
            let mut batch = Vec::new();
            for one in chunk {
                let plan = self.plan(&run, one, &mut known).await?;
                let place = fates.len();
                fates.push(Fate::New);
                match plan {
                    Plan::Settled(fate) => fates[place] = fate,
                    Plan::Store(arriving) => batch.push((place, *arriving)),
                    Plan::Hash(token) if !dry_run => {
                        let policy = known.services.get(&token.service);
                        let issue = self.arriving_token(&run, &token, policy).await?;
                        batch.push((place, Arriving::Token(issue)));
                    }
                    Plan::Hash(_) => {}
                }
                done(1);
            }
            if !dry_run {
                self.store_batch(batch, &mut fates).await?;
            }
        }
        Ok(fates)
    }

    /// Stores what can be stored of a batch in one transaction, without what cannot.
    async fn store_batch(
        &self,
        mut batch: Vec<(usize, Arriving)>,
        fates: &mut [Fate],
    ) -> Result<(), Refusal> {
        while !batch.is_empty() {
            let records = batch.iter().map(|(_, arriving)| arriving.clone()).collect();
            let Imported::Refused { index, why } = self.store.import(records).await? else {
                return Ok(());
            };
            let (place, _) = batch.remove(index);
            if let Some(fate) = fates.get_mut(place) {
                *fate = Fate::Refused(format!("changed while it was taken over: {why}"));
            }
        }
        Ok(())
    }

    async fn plan(
        &self,
        run: &Run<'_>,
        one: &Incoming,
        known: &mut Known,
    ) -> Result<Plan, Refusal> {
        match one {
            Incoming::Group(name, description) => {
                self.plan_group(run, name, description.clone(), known).await
            }
            Incoming::Service(draft) => self.plan_service(run, draft, known).await,
            Incoming::User(draft) => self.plan_user(run, draft, known).await,
            Incoming::Member(group, user) => self.plan_member(run, group, user, known).await,
            Incoming::Token(token) => self.plan_token(run, token, known).await,
        }
    }

    async fn plan_group(
        &self,
        run: &Run<'_>,
        name: &GroupName,
        description: Option<String>,
        known: &mut Known,
    ) -> Result<Plan, Refusal> {
        let is_new = known.groups.insert(name.clone());
        if !is_new || self.store.group_find(run.realm, name).await?.is_some() {
            return Ok(Plan::Settled(Fate::Kept));
        }
        let group = Group {
            realm: run.realm.clone(),
            name: name.clone(),
            description,
            members: 0,
            created_at: run.now,
        };
        let event = self.imported(run, "group.created")?.with_subject(format!("group:{name}"));
        Ok(Plan::Store(Box::new(Arriving::Group(group, event))))
    }

    async fn plan_service(
        &self,
        run: &Run<'_>,
        draft: &ServiceDraft,
        known: &mut Known,
    ) -> Result<Plan, Refusal> {
        let label = draft.label.clone();
        if label.as_str() == COUNTERFOIL {
            return Ok(refused("the label is that of the API itself"));
        }
        if known.services.contains_key(&label) {
            return Ok(refused("another service has this label (compared in lower case)"));
        }
        if let Some(found) = self.store.service_find(run.realm, &label).await? {
            known.services.insert(label, found.token_policy.effective(&run.realm_policy));
            return Ok(Plan::Settled(Fate::Kept));
        }
        if let Some(group) = &draft.group
            && !known.groups.contains(group)
            && self.store.group_find(run.realm, group).await?.is_none()
        {
            return Ok(refused("its group is not here, and not among what is taken over"));
        }
        let service = draft.clone().into_service(run.realm, run.now);
        match self.check_service(&service).await {
            Err(Refusal::Unavailable(away)) => return Err(Refusal::Unavailable(away)),
            Err(refusal) => return Ok(refused(&refusal.to_string())),
            Ok(()) => {}
        }
        known.services.insert(label.clone(), service.token_policy.effective(&run.realm_policy));
        let event = self.imported(run, "service.created")?.with_service(label.as_str());
        Ok(Plan::Store(Box::new(Arriving::Service(service, event))))
    }

    async fn plan_user(
        &self,
        run: &Run<'_>,
        draft: &UserDraft,
        known: &mut Known,
    ) -> Result<Plan, Refusal> {
        if !known.users.insert(draft.username.clone()) {
            return Ok(refused("another person has this user name"));
        }
        if self.store.user_find(run.realm, &draft.username).await?.is_some() {
            return Ok(Plan::Settled(Fate::Kept));
        }
        let user = User {
            realm: run.realm.clone(),
            username: draft.username.clone(),
            display_name: draft.display_name.clone(),
            emails: draft.emails.clone(),
            attributes: draft.attributes.clone(),
            status: draft.status,
            unit: None,
            groups: Vec::new(),
            created_at: run.now,
            updated_at: run.now,
            version: 1,
        };
        let event = self.imported(run, "user.created")?;
        let event = event.with_subject(format!("user:{}", user.username));
        Ok(Plan::Store(Box::new(Arriving::User(user, event))))
    }

    async fn plan_member(
        &self,
        run: &Run<'_>,
        group: &GroupName,
        user: &Username,
        known: &Known,
    ) -> Result<Plan, Refusal> {
        if !known.groups.contains(group) || !known.users.contains(user) {
            return Ok(refused("its group or its person is not taken over"));
        }
        let found = self.store.user_find(run.realm, user).await?;
        if found.is_some_and(|found| found.groups.contains(group)) {
            return Ok(Plan::Settled(Fate::Kept));
        }
        let event = self.imported(run, "group.member-added")?;
        let event = event.with_subject(format!("user:{user}"));
        let (realm, group, user) = (run.realm.clone(), group.clone(), user.clone());
        Ok(Plan::Store(Box::new(Arriving::Member { realm, group, user, event })))
    }

    async fn plan_token(
        &self,
        run: &Run<'_>,
        token: &IncomingToken,
        known: &mut Known,
    ) -> Result<Plan, Refusal> {
        if self.store.token_find(run.realm, token.id).await?.is_some() {
            return Ok(Plan::Settled(Fate::Kept));
        }
        let Some(policy) = known.services.get(&token.service) else {
            return Ok(refused("its service is not taken over"));
        };
        if !known.users.contains(&token.user) {
            return Ok(refused("its person is not taken over"));
        }
        if let Some(why) = self.unusable(&token.secret, policy) {
            return Ok(refused(why));
        }
        let lasting = policy.allows_lifetime(run.now.micros(), None);
        if !lasting {
            return Ok(refused("the policy wants tokens to end, and this one has no end"));
        }
        if !known.held.insert((token.user.clone(), token.service.clone())) {
            return Ok(refused("another row holds a token of this person for this service"));
        }
        if self.holds_other(run, token).await? {
            return Ok(refused("the person holds a token for this service that was issued here"));
        }
        Ok(Plan::Hash(Box::new(token.clone())))
    }

    /// Whether the person holds a token for the service that did not come from the same row.
    async fn holds_other(&self, run: &Run<'_>, token: &IncomingToken) -> Result<bool, Refusal> {
        let filter = TokenFilter {
            owner: Some(Owner::User(token.user.clone())),
            service: Some(token.service.clone()),
            kind: Some(Kind::ServiceToken),
            ..TokenFilter::default()
        };
        let page = PageRequest::first(1000);
        let held = self.store.token_list(run.realm, filter, run.now, page).await?;
        let stands = |held: &Token| {
            held.revocation.is_none()
                && held.validity.expires_at().is_none_or(|end| end > run.now)
                && held.labels.get(IMPORTED_FROM) != Some(&token.row)
        };
        Ok(held.items.iter().any(stands))
    }

    /// Why a secret can never be presented for a service with this policy.
    fn unusable(&self, secret: &IncomingSecret, policy: &EffectivePolicy) -> Option<&'static str> {
        match secret {
            IncomingSecret::Clear(clear) => {
                let clear = clear.reveal();
                if PUBLISHED.contains(&clear) {
                    return Some("the secret is printed in a manual, so everybody has it");
                }
                match self.shape(clear) {
                    Shape::Other if policy.has_secrets_of_few_bits() => None,
                    Shape::Other => Some("the service that is here takes no secrets of few bits"),
                    Shape::Grouped(_) => None,
                    _ => Some("the secret has a form that is never compared with secrets"),
                }
            }
            IncomingSecret::Foreign(hash) => {
                let scheme = hash.recipe.scheme();
                let published = match scheme {
                    ForeignScheme::Ssha => PUBLISHED.iter().any(|clear| hash.is_of(clear)),
                    ForeignScheme::Bcrypt => ForeignHash::bcrypt(PUBLISHED_BCRYPT)
                        .is_ok_and(|known| known.recipe == hash.recipe),
                };
                if published {
                    return Some("the secret is printed in a manual, so everybody has it");
                }
                let taken = policy.imported_schemes.contains(&scheme);
                (!taken).then_some(
                    "the service that is here does not compare with such hashes \
                     (token_policy.imported_schemes)",
                )
            }
        }
    }

    async fn arriving_token(
        &self,
        run: &Run<'_>,
        token: &IncomingToken,
        policy: Option<&EffectivePolicy>,
    ) -> Result<TokenIssue, Refusal> {
        let owner = Owner::User(token.user.clone());
        let services = Services::Named(vec![token.service.clone()]);
        let whose = Whose { realm: run.realm, owner: &owner, services: &services };
        let (hash, by_hash) = match &token.secret {
            IncomingSecret::Foreign(hash) => (self.foreign_hash(&whose, hash).await?, false),
            IncomingSecret::Clear(clear) => match self.shape(clear.reveal()) {
                Shape::Grouped(normal) => {
                    let keys = self.keys();
                    let mac = keyed_hash(keys.pepper(), &normal);
                    (SecretHash::Keyed { pepper: keys.pepper().id(), mac }, true)
                }
                _ => (self.slow_hash(&whose, clear).await?, false),
            },
        };
        let secret = self.stored(hash, by_hash, run.now)?;
        let limits = policy.map_or_else(Vec::new, |policy| {
            let service = Some(token.service.clone());
            let at_limit = policy.at_limit;
            let max = policy.max_active_per_user;
            let limit = max.map(|max| ActiveLimit { service, max, at_limit, slow_only: false });
            limit.into_iter().collect()
        });
        let event = self
            .imported(run, "token.issued")?
            .with_token(token.id)
            .with_subject(owner.actor())
            .with_service(token.service.as_str());
        let token = token_of(run, token, owner, services)?;
        Ok(TokenIssue { token, secret, limits, idempotency: None, event })
    }

    fn imported(&self, run: &Run<'_>, kind: &'static str) -> Result<Event, Refusal> {
        Ok(self.event(kind, run.realm, &run.origin, run.now)?.with_reason("imported"))
    }
}

fn refused(why: &str) -> Plan {
    Plan::Settled(Fate::Refused(why.to_owned()))
}

/// The record of a token that has no end, as the other system's had none.
fn token_of(
    run: &Run<'_>,
    token: &IncomingToken,
    owner: Owner,
    services: Services,
) -> Result<Token, Refusal> {
    Ok(Token {
        id: token.id,
        realm: run.realm.clone(),
        kind: Kind::ServiceToken,
        name: None,
        description: None,
        owner,
        services,
        scopes: Vec::new(),
        permissions: None,
        networks: Vec::new(),
        doors: None,
        enabled: true,
        locked: token.locked,
        pending: false,
        validity: Validity::new(run.now, None).map_err(|e| Refusal::invalid("expires_at", e))?,
        revocation: None,
        created_at: run.now,
        created_by: run.origin.actor.to_string(),
        activated_at: Some(run.now),
        usage: Usage::default(),
        max_usages: None,
        used: 0,
        labels: [(IMPORTED_FROM.to_owned(), token.row.clone())].into(),
        airlock: AirlockAttributes::default(),
        sentinel: SentinelAttributes::default(),
        unit: None,
        parent: None,
        changed_at: None,
        device: None,
        version: 1,
        secrets: Vec::new(),
    })
}
