//! Taking over people, services and secrets of another system, by whoever holds the machine.
//!
//! What is there already stays as it is: whoever was given a secret here must not lose it to one
//! from elsewhere. So a second run changes nothing.

mod profile;
mod tokens;
mod units;

pub use self::profile::ClearPat;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Authority;
use super::UserDraft;
use super::otp::OtpDraft;
use super::services::ServiceDraft;
use crate::clock::Timestamp;
use crate::event::{Event, IMPORTED, Origin};
use crate::foreign::{ForeignHash, ForeignKey, ForeignScheme};
use crate::kind::Kind;
use crate::lock::Locks;
use crate::names::{COUNTERFOIL, GroupName, RealmName, ServiceLabel, Username};
use crate::policy::{EffectivePolicy, TokenPolicy};
use crate::refusal::{Refusal, Thing};
use crate::scope::Scope;
use crate::secret::{ClearSecret, TokenId};
use crate::store::{Arriving, IMPORT_BATCH_MAX, Imported};
use crate::subject::{Group, Provisioned, User};
use crate::verdict::Door;

/// The label by which a token says where it came from.
pub const IMPORTED_FROM: &str = "imported-from";

/// A secret as another system had it.
#[derive(Debug, Clone)]
pub enum IncomingSecret {
    /// In clear. It is hashed here, and was not stored before.
    Clear(ClearSecret),
    /// Hashed.
    Foreign(ForeignHash),
    /// A key with many bits, as its SHA-256.
    Key(ForeignKey),
    /// None: it proves itself by codes.
    Codes(Box<OtpDraft>),
}

impl IncomingSecret {
    /// What a service has to compare with for it to be good there; nothing for codes.
    pub const fn scheme(&self) -> Option<ForeignScheme> {
        Some(match self {
            Self::Clear(_) => ForeignScheme::Own,
            Self::Foreign(hash) => hash.recipe.scheme(),
            Self::Key(_) => ForeignScheme::Sha256,
            Self::Codes(_) => return None,
        })
    }
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
    /// Whether a generator drew the secret, so that its length says its bits.
    pub drawn: bool,
    /// Whether it is locked.
    pub locked: bool,
    /// The row it stood in, the same for each secret that ever stood there.
    pub row: String,
    /// What a personal access token brings along; `None`: a service token.
    pub pat: Option<IncomingPat>,
    /// What else is known of it.
    pub facts: IncomingFacts,
}

/// What a service token of another system brings along beside its secret.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IncomingFacts {
    /// Whether its person may hold others for the same service: where each row is a token, and not
    /// the only one of a person.
    pub one_of_several: bool,
    /// What it is called.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// Resources and actions, as JSON.
    pub permissions: Option<serde_json::Value>,
    /// Networks it may be used from; empty: any.
    pub networks: Vec<ipnet::IpNet>,
    /// Labels beside the one that says where it came from.
    pub labels: BTreeMap<String, String>,
    /// When it begins; at once, if absent.
    pub not_before: Option<Timestamp>,
    /// When it ends; never, if absent.
    pub expires_at: Option<Timestamp>,
    /// How often it may still be used; without a limit, if absent.
    pub max_usages: Option<u64>,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// What a personal access token of another system brings along.
#[derive(Debug, Clone)]
pub struct IncomingPat {
    /// Its permissions, as JSON.
    pub permissions: serde_json::Value,
    /// Whether its secret can be computed from what everybody may know: it works, and its owner
    /// is told to rotate it.
    pub weak: bool,
}

/// The label of a token whose secret can be computed.
pub const WEAK_DERIVATION: &str = "weak-derivation";
/// What the owner of such a token reads.
const ROTATE_IT: &str =
    "Its secret can be computed from its permissions. Rotate this token and use the new secret.";

/// A unit of another system.
#[derive(Debug, Clone)]
pub struct IncomingUnit {
    /// What it is called by the records behind it.
    pub key: String,
    /// Its name. A unit of that name that is here already is the same one.
    pub name: String,
    /// The key of the unit above it.
    pub parent: Option<String>,
}

/// A record of another system. What names another record comes after it.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A group.
    Group(GroupName, Option<String>),
    /// A unit.
    Unit(IncomingUnit),
    /// A service. Its unit is the key of one before it.
    Service(ServiceDraft),
    /// A person. Their unit is the key of one before them.
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

/// What a token obeys that somebody brings along at a door, and not who holds the machine.
#[derive(Debug, Clone, Copy, Default)]
struct AtDoor {
    /// When the credential ends that brings it.
    ends_by: Option<Timestamp>,
    /// Whether it waits for an approval.
    pending: bool,
}

/// What is known while a plan is made.
#[derive(Default)]
struct Known {
    groups: HashSet<GroupName>,
    /// Ids of units by their keys.
    units: HashMap<String, String>,
    /// Ids of units by their names, once they were asked for.
    units_here: Option<HashMap<String, String>>,
    users: HashSet<Username>,
    services: HashMap<ServiceLabel, EffectivePolicy>,
    held: HashMap<(Username, ServiceLabel, Kind), Holding>,
    /// Keyed hashes of the secrets that are found by them.
    keys: HashSet<[u8; 32]>,
}

/// What a person holds for a service while a plan is made.
#[derive(Default)]
struct Holding {
    /// Tokens, once it was asked how many are here.
    tokens: u32,
    /// Those among them that arrive and are compared slowly.
    slow: u32,
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
    at_door: AtDoor,
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
            at_door: AtDoor::default(),
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
                        batch.push((place, self.arriving(&run, &token, policy).await?));
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
        if let Err(refusal) = self.refuse_tokens_in_incoming(one) {
            return Ok(refused(&refusal.to_string()));
        }
        match one {
            Incoming::Group(name, description) => {
                self.plan_group(run, name, description.clone(), known).await
            }
            Incoming::Unit(unit) => self.plan_unit(run, unit, known).await,
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
            open: false,
            provisioned: Provisioned::default(),
            created_at: run.now,
            updated_at: run.now,
            version: 1,
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
        let unit = match &draft.unit {
            None => None,
            // Without its unit, people could see it who could not before.
            Some(key) => match known.units.get(key) {
                Some(id) => Some(id.clone()),
                None => return Ok(refused("its unit is not taken over")),
            },
        };
        let draft = ServiceDraft { unit, ..draft.clone() };
        let service = draft.into_service(run.realm, run.now);
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
            unit: draft.unit.as_ref().and_then(|key| known.units.get(key)).cloned(),
            groups: Vec::new(),
            locks: Locks::default(),
            provisioned: draft.provisioned.clone(),
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

    fn imported(&self, run: &Run<'_>, kind: &'static str) -> Result<Event, Refusal> {
        Ok(self.event(kind, run.realm, &run.origin, run.now)?.with_reason(IMPORTED))
    }
}

fn refused(why: &str) -> Plan {
    Plan::Settled(Fate::Refused(why.to_owned()))
}
