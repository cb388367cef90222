//! A store that is down on command, or hangs, to prove that no door takes "down" for "no".
//!
//! Length: one short passage for every operation of the store, which belong side by side.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_authority::access::AccessRecord;
use counterfoil_authority::am::{AmKind, AmObject};
use counterfoil_authority::clock::Timestamp;
use counterfoil_authority::event::Event;
use counterfoil_authority::names::{
    ClientName, GroupName, RealmName, ServiceLabel, TargetName, Username,
};
use counterfoil_authority::provision::{Delivery, DeliveryKey, Mark, Target};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::Mac256;
use counterfoil_authority::service::{Realm, Service};
use counterfoil_authority::store::{
    AccessRevoke, AccessStore, AmChange, AmChanged, AmDeleted, AmStore, Arriving, Backlog,
    BlastRadius, ChangeListener, ChangesRead, ClientCreated, ClientStore, Consumed, CountReturn,
    DeliveryFilter, DirectoryToken, Enrol, Enrolled, EnrolmentStore, EventFilter, EventStore,
    GroupChange, GroupChanged, GroupRemoval, HandOver, HandedOver, ImportStore, Imported,
    Initialised, Inserted, Installation, InstallationStore, Issued, KeyRecord, KeyUse, Lease,
    LeaseStore, Link, LinkIssue, LinkOpen, LinkOpened, LinkStore, LogPlace, MemberChange,
    NewClient, NewInstallation, Page, PageRequest, PeopleStore, ProvisioningStore, Pulse, Purged,
    Record, Refresh, Refreshed, Rehash, Returned, Revocations, Rotated, ServiceDeleted,
    ServiceStore, Settled, Store, TokenChange, TokenFilter, TokenIssue, TokenLeak, TokenRotate,
    TokenStore, TokenUpdate, TokenUpdated, Unavailable, Updated, UsageDelta, UserFilter,
    UserRemoval,
};
use counterfoil_authority::subject::{Client, Grant, Group, Unit, User};
use counterfoil_authority::token::Token;
use parking_lot::Mutex;

/// Which calls fail, counted from 1 since the store was last armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// None.
    Sound,
    /// This one, before anything happens.
    Nth(usize),
    /// This one and all later ones, before anything happens.
    From(usize),
    /// This one, after everything happened: the answer is lost.
    AnswerLost(usize),
    /// This one is never answered, and nothing happens.
    Hangs(usize),
}

/// What is to become of a call.
enum Fate {
    Pass,
    Refuse,
    LoseAnswer,
    Hang,
}

/// What happens while a call is under way; it is told the method.
type Meanwhile = Arc<dyn Fn(&'static str) + Send + Sync>;

struct Progress {
    plan: Plan,
    calls: Vec<&'static str>,
}

/// A decorator that fails the calls it was told to fail, and notes all of them.
pub struct FailingStore {
    inner: Arc<dyn Store>,
    progress: Mutex<Progress>,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// Whether it keeps changes from its listeners.
    deaf: bool,
}

/// The failure that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("told to fail in {0}")]
struct Told(&'static str);

impl FailingStore {
    /// A store that fails nothing yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        let progress = Progress { plan: Plan::Sound, calls: Vec::new() };
        Self { inner, progress: Mutex::new(progress), meanwhile: Mutex::default(), deaf: false }
    }

    /// The store as another process has it: what is changed past it is only in the log.
    pub fn of_another_process(inner: Arc<dyn Store>) -> Self {
        Self { deaf: true, ..Self::new(inner) }
    }

    /// Lets something happen while each call from now on is under way, a clock go on say.
    pub fn meanwhile(&self, happens: impl Fn(&'static str) + Send + Sync + 'static) {
        *self.meanwhile.lock() = Some(Arc::new(happens));
    }

    /// Fails only the `n`-th call from now on; 1 is the next one.
    pub fn fail_nth(&self, n: usize) {
        self.arm(Plan::Nth(n));
    }

    /// Fails the `n`-th call from now on and all that follow.
    pub fn fail_from(&self, n: usize) {
        self.arm(Plan::From(n));
    }

    /// Lets the `n`-th call from now on happen, and says that it failed.
    pub fn lose_answer(&self, n: usize) {
        self.arm(Plan::AnswerLost(n));
    }

    /// Fails nothing any more, and counts from the beginning.
    pub fn heal(&self) {
        self.arm(Plan::Sound);
    }

    /// The methods called since the store was last armed or healed, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.progress.lock().calls.clone()
    }

    fn arm(&self, plan: Plan) {
        *self.progress.lock() = Progress { plan, calls: Vec::new() };
    }

    fn fate(&self, method: &'static str) -> Fate {
        let happens = self.meanwhile.lock().clone();
        if let Some(happens) = happens {
            happens(method);
        }
        let mut progress = self.progress.lock();
        progress.calls.push(method);
        let number = progress.calls.len();
        match progress.plan {
            Plan::Nth(n) if n == number => Fate::Refuse,
            Plan::From(n) if n <= number => Fate::Refuse,
            Plan::AnswerLost(n) if n == number => Fate::LoseAnswer,
            Plan::Hangs(n) if n == number => Fate::Hang,
            _ => Fate::Pass,
        }
    }
}

/// Passes a call on, or not.
macro_rules! pass {
    ($store:ident.$method:ident($($argument:expr),*)) => {
        match $store.fate(stringify!($method)) {
            Fate::Pass => $store.inner.$method($($argument),*).await,
            Fate::Refuse => Err(Unavailable::new(Told(stringify!($method)))),
            Fate::LoseAnswer => {
                $store.inner.$method($($argument),*).await?;
                Err(Unavailable::new(Told(stringify!($method))))
            }
            Fate::Hang => std::future::pending().await,
        }
    };
}

// Behind the macro that they need.
mod audit;
mod census;
mod console;
mod foreign_use;
mod jobs;
mod networks;
mod otp;
mod passkeys;
mod repositories;
mod shadow;
mod use_days;
mod use_notes;

#[async_trait]
impl InstallationStore for FailingStore {
    async fn ping(&self) -> Result<Pulse, Unavailable> {
        pass!(self.ping())
    }
    async fn installation(&self) -> Result<Option<Installation>, Unavailable> {
        pass!(self.installation())
    }
    async fn initialise(&self, new: NewInstallation) -> Result<Initialised, Unavailable> {
        pass!(self.initialise(new))
    }
    async fn key_list(&self) -> Result<Vec<KeyRecord>, Unavailable> {
        pass!(self.key_list())
    }
    async fn key_add(&self, key: KeyRecord, event: Event) -> Result<(), Unavailable> {
        pass!(self.key_add(key, event))
    }
    async fn key_use(&self) -> Result<Vec<KeyUse>, Unavailable> {
        pass!(self.key_use())
    }
    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        if !self.deaf {
            self.inner.listen(listener);
        }
    }
    async fn changes_end(&self) -> Result<LogPlace, Unavailable> {
        pass!(self.changes_end())
    }
    async fn changes_since(
        &self,
        place: &LogPlace,
        limit: u32,
    ) -> Result<ChangesRead, Unavailable> {
        pass!(self.changes_since(place, limit))
    }
    async fn purge(&self, now: Timestamp, under: Option<&Lease>) -> Result<Purged, Unavailable> {
        pass!(self.purge(now, under))
    }
}

#[async_trait]
impl LeaseStore for FailingStore {
    async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, Unavailable> {
        pass!(self.lease_take(name, holder, now, until))
    }
    async fn lease_end(&self, lease: &Lease, now: Timestamp) -> Result<(), Unavailable> {
        pass!(self.lease_end(lease, now))
    }
}

#[async_trait]
impl PeopleStore for FailingStore {
    async fn user_insert(&self, user: User, event: Event) -> Result<Inserted, Unavailable> {
        pass!(self.user_insert(user, event))
    }
    async fn user_find(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Option<User>, Unavailable> {
        pass!(self.user_find(realm, name))
    }
    async fn user_list(
        &self,
        realm: &RealmName,
        filter: UserFilter,
        page: PageRequest,
    ) -> Result<Page<User>, Unavailable> {
        pass!(self.user_list(realm, filter, page))
    }
    async fn user_update(&self, user: User, event: Event) -> Result<Updated<User>, Unavailable> {
        pass!(self.user_update(user, event))
    }
    async fn user_remove(&self, removal: UserRemoval) -> Result<Updated<()>, Unavailable> {
        pass!(self.user_remove(removal))
    }
    async fn group_insert(&self, group: Group, event: Event) -> Result<Inserted, Unavailable> {
        pass!(self.group_insert(group, event))
    }
    async fn group_find(
        &self,
        realm: &RealmName,
        name: &GroupName,
    ) -> Result<Option<Group>, Unavailable> {
        pass!(self.group_find(realm, name))
    }
    async fn group_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Group>, Unavailable> {
        pass!(self.group_list(realm, page))
    }
    async fn group_change(&self, change: GroupChange) -> Result<GroupChanged, Unavailable> {
        pass!(self.group_change(change))
    }
    async fn group_remove(&self, removal: GroupRemoval) -> Result<Updated<()>, Unavailable> {
        pass!(self.group_remove(removal))
    }
    async fn group_member_set(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable> {
        pass!(self.group_member_set(realm, group, user, member, event))
    }
    async fn group_join(
        &self,
        realm: &RealmName,
        group: &GroupName,
        user: &Username,
        member: bool,
        event: Event,
    ) -> Result<MemberChange, Unavailable> {
        pass!(self.group_join(realm, group, user, member, event))
    }
    async fn group_members(
        &self,
        realm: &RealmName,
        group: &GroupName,
        page: PageRequest,
    ) -> Result<Page<Username>, Unavailable> {
        pass!(self.group_members(realm, group, page))
    }
    async fn unit_insert(&self, unit: Unit, event: Event) -> Result<Inserted, Unavailable> {
        pass!(self.unit_insert(unit, event))
    }
    async fn unit_find(&self, realm: &RealmName, id: &str) -> Result<Option<Unit>, Unavailable> {
        pass!(self.unit_find(realm, id))
    }
    async fn unit_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Unit>, Unavailable> {
        pass!(self.unit_list(realm, page))
    }
    async fn unit_update(&self, unit: Unit, event: Event) -> Result<Updated<Unit>, Unavailable> {
        pass!(self.unit_update(unit, event))
    }
    async fn unit_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        pass!(self.unit_delete(realm, id, event))
    }
    async fn grant_insert(&self, grant: Grant, event: Event) -> Result<Inserted, Unavailable> {
        pass!(self.grant_insert(grant, event))
    }
    async fn grant_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Grant>, Unavailable> {
        pass!(self.grant_list(realm, page))
    }
    async fn grant_find(&self, realm: &RealmName, id: &str) -> Result<Option<Grant>, Unavailable> {
        pass!(self.grant_find(realm, id))
    }
    async fn grant_delete(
        &self,
        realm: &RealmName,
        id: &str,
        event: Event,
    ) -> Result<bool, Unavailable> {
        pass!(self.grant_delete(realm, id, event))
    }
    async fn grants_of_user(
        &self,
        realm: &RealmName,
        name: &Username,
    ) -> Result<Vec<Grant>, Unavailable> {
        pass!(self.grants_of_user(realm, name))
    }
    async fn service_keepers(
        &self,
        realm: &RealmName,
        service: &ServiceLabel,
        limit: u32,
    ) -> Result<Vec<Username>, Unavailable> {
        pass!(self.service_keepers(realm, service, limit))
    }
    async fn grants_of_client(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Vec<Grant>, Unavailable> {
        pass!(self.grants_of_client(realm, name))
    }
}

#[async_trait]
impl ServiceStore for FailingStore {
    async fn realm_insert(
        &self,
        realm: Realm,
        builtin: Service,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        pass!(self.realm_insert(realm, builtin, event))
    }
    async fn realm_find(&self, name: &RealmName) -> Result<Option<Realm>, Unavailable> {
        pass!(self.realm_find(name))
    }
    async fn realm_list(&self, page: PageRequest) -> Result<Page<Realm>, Unavailable> {
        pass!(self.realm_list(page))
    }
    async fn realm_update(
        &self,
        realm: Realm,
        event: Event,
    ) -> Result<Updated<Realm>, Unavailable> {
        pass!(self.realm_update(realm, event))
    }
    async fn service_insert(
        &self,
        service: Service,
        event: Event,
    ) -> Result<Inserted, Unavailable> {
        pass!(self.service_insert(service, event))
    }
    async fn service_find(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
    ) -> Result<Option<Service>, Unavailable> {
        pass!(self.service_find(realm, label))
    }
    async fn service_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Service>, Unavailable> {
        pass!(self.service_list(realm, page))
    }
    async fn service_update(
        &self,
        service: Service,
        event: Event,
    ) -> Result<Updated<Service>, Unavailable> {
        pass!(self.service_update(service, event))
    }
    async fn service_delete(
        &self,
        realm: &RealmName,
        label: &ServiceLabel,
        event: Event,
    ) -> Result<ServiceDeleted, Unavailable> {
        pass!(self.service_delete(realm, label, event))
    }
}

#[async_trait]
impl ClientStore for FailingStore {
    async fn client_insert(
        &self,
        new: NewClient,
        event: Event,
    ) -> Result<ClientCreated, Unavailable> {
        pass!(self.client_insert(new, event))
    }
    async fn client_find(
        &self,
        realm: &RealmName,
        name: &ClientName,
    ) -> Result<Option<Client>, Unavailable> {
        pass!(self.client_find(realm, name))
    }
    async fn client_list(
        &self,
        realm: &RealmName,
        page: PageRequest,
    ) -> Result<Page<Client>, Unavailable> {
        pass!(self.client_list(realm, page))
    }
    async fn client_update(
        &self,
        client: Client,
        event: Event,
    ) -> Result<Updated<Client>, Unavailable> {
        pass!(self.client_update(client, event))
    }
    async fn client_delete(
        &self,
        realm: &RealmName,
        name: &ClientName,
        at: Timestamp,
        event: Event,
    ) -> Result<bool, Unavailable> {
        pass!(self.client_delete(realm, name, at, event))
    }
}

#[async_trait]
impl TokenStore for FailingStore {
    async fn token_issue(&self, issue: TokenIssue) -> Result<Issued, Unavailable> {
        pass!(self.token_issue(issue))
    }
    async fn token_find(
        &self,
        realm: &RealmName,
        id: TokenId,
    ) -> Result<Option<Token>, Unavailable> {
        pass!(self.token_find(realm, id))
    }
    async fn token_list(
        &self,
        realm: &RealmName,
        filter: TokenFilter,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Token>, Unavailable> {
        pass!(self.token_list(realm, filter, now, page))
    }
    async fn token_hand_over(&self, hand_over: HandOver) -> Result<HandedOver, Unavailable> {
        pass!(self.token_hand_over(hand_over))
    }
    async fn token_update(&self, update: TokenUpdate) -> Result<TokenUpdated, Unavailable> {
        pass!(self.token_update(update))
    }
    async fn token_rotate(&self, rotate: TokenRotate) -> Result<Rotated, Unavailable> {
        pass!(self.token_rotate(rotate))
    }
    async fn token_change(&self, change: TokenChange) -> Result<Updated<Token>, Unavailable> {
        pass!(self.token_change(change))
    }
    async fn token_leaked(&self, leak: TokenLeak) -> Result<bool, Unavailable> {
        pass!(self.token_leaked(leak))
    }
    async fn token_record(&self, id: TokenId) -> Result<Option<Record>, Unavailable> {
        pass!(self.token_record(id))
    }
    async fn token_record_by_hash(&self, mac: Mac256) -> Result<Option<Record>, Unavailable> {
        pass!(self.token_record_by_hash(mac))
    }
    async fn token_records_slow(
        &self,
        realm: &RealmName,
        user: &Username,
        service: &ServiceLabel,
    ) -> Result<Vec<Record>, Unavailable> {
        pass!(self.token_records_slow(realm, user, service))
    }
    async fn token_last_active(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable> {
        pass!(self.token_last_active(id))
    }
    async fn token_consume(
        &self,
        id: TokenId,
        now: Timestamp,
        ip: Option<IpAddr>,
    ) -> Result<Consumed, Unavailable> {
        pass!(self.token_consume(id, now, ip))
    }
    async fn usage_flush(
        &self,
        usage: Vec<UsageDelta>,
        rehashed: Vec<Rehash>,
        events: Vec<Event>,
    ) -> Result<(), Unavailable> {
        pass!(self.usage_flush(usage, rehashed, events))
    }
    async fn usage_settle(&self) -> Result<bool, Unavailable> {
        pass!(self.usage_settle())
    }
}

#[async_trait]
impl ImportStore for FailingStore {
    async fn import(&self, batch: Vec<Arriving>) -> Result<Imported, Unavailable> {
        pass!(self.import(batch))
    }
}

#[async_trait]
impl LinkStore for FailingStore {
    async fn link_issue(&self, issue: LinkIssue) -> Result<Issued, Unavailable> {
        pass!(self.link_issue(issue))
    }
    async fn link_find(&self, id: TokenId) -> Result<Option<Link>, Unavailable> {
        pass!(self.link_find(id))
    }
    async fn link_open(&self, open: LinkOpen) -> Result<LinkOpened, Unavailable> {
        pass!(self.link_open(open))
    }
}

#[async_trait]
impl ProvisioningStore for FailingStore {
    async fn target_insert(&self, target: Target, event: Event) -> Result<Inserted, Unavailable> {
        pass!(self.target_insert(target, event))
    }
    async fn target_find(
        &self,
        realm: &RealmName,
        name: &TargetName,
    ) -> Result<Option<Target>, Unavailable> {
        pass!(self.target_find(realm, name))
    }
    async fn target_list(&self, realm: &RealmName) -> Result<Vec<Target>, Unavailable> {
        pass!(self.target_list(realm))
    }
    async fn target_all(&self) -> Result<Vec<Target>, Unavailable> {
        pass!(self.target_all())
    }
    async fn target_update(
        &self,
        target: Target,
        event: Event,
    ) -> Result<Updated<Target>, Unavailable> {
        pass!(self.target_update(target, event))
    }
    async fn target_delete(
        &self,
        realm: &RealmName,
        name: &TargetName,
        event: Event,
    ) -> Result<bool, Unavailable> {
        pass!(self.target_delete(realm, name, event))
    }
    async fn delivery_is_due(&self, now: Timestamp) -> Result<bool, Unavailable> {
        pass!(self.delivery_is_due(now))
    }
    async fn outbox_route(&self, now: Timestamp, limit: u32) -> Result<u32, Unavailable> {
        pass!(self.outbox_route(now, limit))
    }
    async fn delivery_claim(
        &self,
        lease: &Lease,
        realm: &RealmName,
        target: &TargetName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Unavailable> {
        pass!(self.delivery_claim(lease, realm, target, now, limit))
    }
    async fn delivery_rivals(
        &self,
        key: &DeliveryKey,
        now: Timestamp,
    ) -> Result<Vec<TargetName>, Unavailable> {
        pass!(self.delivery_rivals(key, now))
    }
    async fn delivery_settle(
        &self,
        lease: &Lease,
        settled: Vec<Settled>,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        pass!(self.delivery_settle(lease, settled, events, now))
    }
    async fn delivery_want(&self, marks: Vec<Mark>, now: Timestamp) -> Result<(), Unavailable> {
        pass!(self.delivery_want(marks, now))
    }
    async fn delivery_list(
        &self,
        realm: &RealmName,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Unavailable> {
        pass!(self.delivery_list(realm, filter, page))
    }
    async fn delivery_backlog(&self) -> Result<Vec<Backlog>, Unavailable> {
        pass!(self.delivery_backlog())
    }
    async fn event_find(&self, realm: &RealmName, id: &str) -> Result<Option<Event>, Unavailable> {
        pass!(self.event_find(realm, id))
    }
    async fn directory_tokens(
        &self,
        realm: &RealmName,
        user: &Username,
        now: Timestamp,
    ) -> Result<Vec<DirectoryToken>, Unavailable> {
        pass!(self.directory_tokens(realm, user, now))
    }
}

#[async_trait]
impl EnrolmentStore for FailingStore {
    async fn enrol(&self, enrol: Enrol) -> Result<Enrolled, Unavailable> {
        pass!(self.enrol(enrol))
    }
    async fn enrolled_device(
        &self,
        realm: &RealmName,
        registration: TokenId,
        device_key: &str,
        now: Timestamp,
    ) -> Result<Option<Token>, Unavailable> {
        pass!(self.enrolled_device(realm, registration, device_key, now))
    }
    async fn refresh(&self, refresh: Refresh) -> Result<Refreshed, Unavailable> {
        pass!(self.refresh(refresh))
    }
    async fn enrolment_waiting(
        &self,
        realm: &RealmName,
        user_code: &str,
    ) -> Result<Option<Token>, Unavailable> {
        pass!(self.enrolment_waiting(realm, user_code))
    }
    async fn count_return(&self, back: CountReturn) -> Result<Returned, Unavailable> {
        pass!(self.count_return(back))
    }
    async fn blast_radius(&self, id: TokenId, now: Timestamp) -> Result<BlastRadius, Unavailable> {
        pass!(self.blast_radius(id, now))
    }
    async fn enrolment_due(
        &self,
        now: Timestamp,
        limit: u32,
        cause: Event,
    ) -> Result<u64, Unavailable> {
        pass!(self.enrolment_due(now, limit, cause))
    }
}

#[async_trait]
impl AccessStore for FailingStore {
    async fn access_add(&self, record: AccessRecord) -> Result<(), Unavailable> {
        pass!(self.access_add(record))
    }
    async fn access_find(&self, id: TokenId) -> Result<Option<AccessRecord>, Unavailable> {
        pass!(self.access_find(id))
    }
    async fn access_used(&self, used: Vec<(TokenId, Timestamp)>) -> Result<(), Unavailable> {
        pass!(self.access_used(used))
    }
    async fn access_last_used(&self, id: TokenId) -> Result<Option<Timestamp>, Unavailable> {
        pass!(self.access_last_used(id))
    }
    async fn access_revoke(&self, revoke: AccessRevoke) -> Result<bool, Unavailable> {
        pass!(self.access_revoke(revoke))
    }
    async fn access_revoked(&self, id: TokenId) -> Result<bool, Unavailable> {
        pass!(self.access_revoked(id))
    }
    async fn access_revocations(
        &self,
        realm: &RealmName,
        now: Timestamp,
        parents_since: Timestamp,
        limit: u32,
    ) -> Result<Revocations, Unavailable> {
        pass!(self.access_revocations(realm, now, parents_since, limit))
    }
    async fn proof_use(
        &self,
        once: [u8; 32],
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, Unavailable> {
        pass!(self.proof_use(once, expires_at, now))
    }
}

#[async_trait]
impl AmStore for FailingStore {
    async fn am_insert(&self, object: AmObject, event: Event) -> Result<Inserted, Unavailable> {
        pass!(self.am_insert(object, event))
    }
    async fn am_find(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
    ) -> Result<Option<AmObject>, Unavailable> {
        pass!(self.am_find(realm, kind, name))
    }
    async fn am_list(&self, realm: &RealmName) -> Result<Vec<AmObject>, Unavailable> {
        pass!(self.am_list(realm))
    }
    async fn am_update(
        &self,
        object: AmObject,
        event: Event,
    ) -> Result<Updated<AmObject>, Unavailable> {
        pass!(self.am_update(object, event))
    }
    async fn am_change(
        &self,
        realm: &RealmName,
        changes: Vec<AmChange>,
    ) -> Result<AmChanged, Unavailable> {
        pass!(self.am_change(realm, changes))
    }
    async fn am_delete(
        &self,
        realm: &RealmName,
        kind: AmKind,
        name: &str,
        version: Option<i64>,
        event: Event,
    ) -> Result<AmDeleted, Unavailable> {
        pass!(self.am_delete(realm, kind, name, version, event))
    }
}

#[async_trait]
impl EventStore for FailingStore {
    async fn event_append(&self, events: Vec<Event>) -> Result<(), Unavailable> {
        pass!(self.event_append(events))
    }
    async fn event_list(
        &self,
        realm: &RealmName,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Page<Event>, Unavailable> {
        pass!(self.event_list(realm, filter, page))
    }
}
