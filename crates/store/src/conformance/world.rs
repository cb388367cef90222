//! A realm of its own for each promise, and short ways to fill it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use counterfoil_authority::clock::{Entropy, Timestamp};
use counterfoil_authority::event::{Event, Origin};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::lock::Locks;
use counterfoil_authority::names::{ClientName, GroupName, RealmName, ServiceLabel, Username};
use counterfoil_authority::policy::{AtLimit, TokenPolicy};
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::secret_hash::{Mac256, SecretHash, SlowCost};
use counterfoil_authority::service::{
    ForwardAuth, Realm, Service, ServiceStatus, Services, Visibility,
};
use counterfoil_authority::store::{
    ActiveLimit, ClientCreated, Counted, EventFilter, Idempotency, Inserted, Issued, MemberChange,
    NewClient, PageRequest, Store, TokenAct, TokenChange, TokenIssue, TokenRotate, TokenUpdate,
    Updated,
};
use counterfoil_authority::subject::{
    Client, Grant, GrantSubject, Group, Limits, Owner, Provisioned, Role, Unit, User, UserStatus,
};
use counterfoil_authority::testing::SeededEntropy;
use counterfoil_authority::token::{SecretFacts, Slot, StoredSecret, Token};
use counterfoil_authority::validity::Validity;
use counterfoil_authority::verdict::Door;

/// 2026-01-01T00:00:00Z in seconds: when every world begins.
const BEGINNING: i64 = 1_767_225_600;

/// A store, and a realm in it that nobody else uses.
#[derive(Clone)]
pub struct World {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The realm.
    pub realm: RealmName,
    entropy: Arc<SeededEntropy>,
    /// Microseconds that have passed: no two records of a world have the same age.
    ticks: Arc<AtomicI64>,
}

impl World {
    /// A world with an empty realm whose built-in service exists.
    pub async fn new(store: &Arc<dyn Store>, number: u16) -> Self {
        let world = Self::existing(store, number);
        let event = world.event("realm.created");
        let builtin = world.service_named("counterfoil");
        let inserted = store.realm_insert(world.realm_record(), builtin, event).await.unwrap();
        assert_eq!(inserted, Inserted::Done);
        world
    }

    /// The world of that number, whose realm is in the store already.
    pub fn existing(store: &Arc<dyn Store>, number: u16) -> Self {
        let realm = RealmName::parse(&format!("realm-{number}")).unwrap();
        Self::within(store, realm, number)
    }

    /// A world in a realm that is yet to be made.
    pub(super) fn within(store: &Arc<dyn Store>, realm: RealmName, seed: u16) -> Self {
        Self {
            store: Arc::clone(store),
            realm,
            entropy: Arc::new(SeededEntropy::new(u64::from(seed))),
            ticks: Arc::new(AtomicI64::new(0)),
        }
    }

    /// An instant, in seconds since the world began.
    pub(super) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(BEGINNING + seconds)
    }

    /// The next instant of its first second.
    pub(super) fn now(&self) -> Timestamp {
        let tick = self.ticks.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_micros(Self::at(0).micros() + tick)
    }

    /// An id that sorts by time.
    pub(super) fn id(&self) -> String {
        counterfoil_authority::event::time_ordered_id(self.now(), &*self.entropy).unwrap()
    }

    /// An id that nobody has yet.
    pub(super) fn token_id(&self) -> TokenId {
        TokenId::generate(&*self.entropy).unwrap()
    }

    /// An event of this world.
    pub fn event(&self, kind: &'static str) -> Event {
        let origin = Origin { actor: "user:root".into(), ..Origin::system(Door::Api) };
        Event::new(kind, &self.realm, &origin, self.now(), &*self.entropy).unwrap()
    }

    /// Every event of this world, newest first.
    pub(super) async fn events(&self) -> Vec<Event> {
        let page = PageRequest::first(1_000);
        self.store.event_list(&self.realm, EventFilter::default(), page).await.unwrap().items
    }

    /// How many events of a kind there are.
    pub(super) async fn count_events(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|event| event.kind == kind).count()
    }

    /// The realm's record.
    pub(super) fn realm_record(&self) -> Realm {
        Realm {
            name: self.realm.clone(),
            display_name: Some("Wörld".into()),
            enabled: true,
            zone: "Europe/Berlin".into(),
            token_policy: TokenPolicy { max_active_per_user: Some(7), ..TokenPolicy::default() },
            created_at: Self::at(0),
            updated_at: Self::at(0),
            version: 1,
        }
    }

    /// A service's record.
    pub(super) fn service_named(&self, label: &str) -> Service {
        Service {
            realm: self.realm.clone(),
            label: ServiceLabel::parse(label).unwrap(),
            name: label.to_uppercase(),
            description: None,
            url: None,
            contact: None,
            logo_url: None,
            visibility: Visibility::Realm,
            group: None,
            entitlement_uri: None,
            status: ServiceStatus::Active,
            locked: false,
            unit: None,
            token_policy: TokenPolicy::default(),
            forward_auth: ForwardAuth::default(),
            created_at: Self::at(0),
            updated_at: Self::at(0),
            version: 1,
        }
    }

    /// Adds a service.
    pub(super) async fn service(&self, label: &str) -> Service {
        let service = self.service_named(label);
        let event = self.event("service.created");
        let inserted = self.store.service_insert(service.clone(), event).await.unwrap();
        assert_eq!(inserted, Inserted::Done);
        service
    }

    /// A person's record.
    pub fn user_named(&self, name: &str) -> User {
        User {
            realm: self.realm.clone(),
            username: Username::parse(name).unwrap(),
            display_name: None,
            emails: Vec::new(),
            attributes: BTreeMap::new(),
            status: UserStatus::Active,
            unit: None,
            groups: Vec::new(),
            locks: Locks::default(),
            provisioned: Provisioned::default(),
            created_at: Self::at(0),
            updated_at: Self::at(0),
            version: 1,
        }
    }

    /// Adds a person.
    pub async fn user(&self, name: &str) -> User {
        let user = self.user_named(name);
        let event = self.event("user.created");
        let inserted = self.store.user_insert(user.clone(), event).await.unwrap();
        assert_eq!(inserted, Inserted::Done);
        user
    }

    /// Adds a group with these people.
    pub(super) async fn group(&self, name: &str, members: &[&User]) -> GroupName {
        let group = self.group_named(name);
        let event = self.event("group.created");
        let inserted = self.store.group_insert(group.clone(), event).await.unwrap();
        assert_eq!(inserted, Inserted::Done);
        for member in members {
            let set = self.set_member(&group.name, &member.username, true).await;
            assert_eq!(set, MemberChange::Done);
        }
        group.name
    }

    /// A group's record.
    pub(super) fn group_named(&self, name: &str) -> Group {
        Group {
            realm: self.realm.clone(),
            name: GroupName::parse(name).unwrap(),
            description: Some("those who are in it".into()),
            members: 0,
            open: false,
            provisioned: Provisioned::default(),
            created_at: Self::at(0),
            updated_at: Self::at(0),
            version: 1,
        }
    }

    /// Puts somebody in or takes them out.
    pub(super) async fn set_member(
        &self,
        group: &GroupName,
        user: &Username,
        member: bool,
    ) -> MemberChange {
        let event = self.event("group.member-added");
        self.store.group_member_set(&self.realm, group, user, member, event).await.unwrap()
    }

    /// A unit's record, with its name as its id.
    pub(super) fn unit_named(&self, name: &str, parent: Option<&str>) -> Unit {
        Unit {
            realm: self.realm.clone(),
            id: format!("id-{name}"),
            name: name.to_owned(),
            identifier: Some("CUST-1".into()),
            external_id: None,
            parent: parent.map(ToOwned::to_owned),
            created_at: Self::at(0),
            updated_at: Self::at(0),
            version: 1,
        }
    }

    /// Adds a unit and says its id.
    pub(super) async fn unit(&self, name: &str) -> String {
        let unit = self.unit_named(name, None);
        let event = self.event("unit.created");
        let inserted = self.store.unit_insert(unit.clone(), event).await.unwrap();
        assert_eq!(inserted, Inserted::Done);
        unit.id
    }

    /// A grant's record.
    pub(super) fn grant_of(&self, subject: GrantSubject) -> Grant {
        Grant {
            realm: self.realm.clone(),
            id: self.id(),
            subject,
            role: Role::Auditor,
            unit: None,
            service: None,
            limits: Limits::default(),
            created_at: Self::at(0),
            created_by: "user:root".into(),
        }
    }

    /// Adds a grant.
    pub(super) async fn grant(&self, subject: GrantSubject) -> Grant {
        let grant = self.grant_of(subject);
        let event = self.event("grant.created");
        let inserted = self.store.grant_insert(grant.clone(), event).await.unwrap();
        assert_eq!(inserted, Inserted::Done);
        grant
    }

    /// A client's record.
    pub(super) fn client_named(&self, name: &str) -> Client {
        Client {
            realm: self.realm.clone(),
            name: ClientName::parse(name).unwrap(),
            description: None,
            roles: vec![Role::Verifier],
            scopes: None,
            services: None,
            unit: None,
            limits: Limits::default(),
            access: counterfoil_authority::access::AccessSettings::default(),
            enabled: true,
            created_at: Self::at(0),
            updated_at: Self::at(0),
            version: 1,
        }
    }

    /// A client with a key for it.
    pub(super) fn new_client(&self, client: Client) -> NewClient {
        let owner = Owner::Client(client.name.clone());
        let mut key = self.issue_for(owner, &["counterfoil"]);
        key.token.kind = Kind::ClientKey;
        NewClient { client, key }
    }

    /// Adds a client and says its key's token.
    pub(super) async fn client(&self, name: &str) -> (Client, Token) {
        let client = self.client_named(name);
        let new = self.new_client(client.clone());
        let event = self.event("client.created");
        match self.store.client_insert(new, event).await.unwrap() {
            ClientCreated::Done(token) => (client, token),
            other => panic!("{other:?}"),
        }
    }

    /// A fresh 256-bit value.
    pub(super) fn mac(&self) -> Mac256 {
        let mut bytes = [0; 32];
        self.entropy.fill(&mut bytes).unwrap();
        Mac256::from_bytes(bytes)
    }

    /// A fresh current secret with a keyed hash under pepper 1.
    pub(super) fn secret(&self) -> StoredSecret {
        StoredSecret {
            directory: Vec::new(),
            id: self.id(),
            facts: SecretFacts {
                slot: Slot::Current,
                created_at: self.now(),
                not_before: None,
                expires_at: None,
            },
            hash: SecretHash::Keyed { pepper: 1, mac: self.mac() },
            found_by_hash: false,
        }
    }

    /// The same with a slow hash.
    pub(super) fn slow_secret(&self) -> StoredSecret {
        let cost = SlowCost { memory_kib: 64, passes: 3, lanes: 1 };
        let hash = SecretHash::Slow { pepper: 1, digest: self.mac(), cost, recipe: None };
        StoredSecret { hash, ..self.secret() }
    }

    /// A token to issue.
    pub fn issue_for(&self, owner: Owner, services: &[&str]) -> TokenIssue {
        let created_at = self.now();
        let id = TokenId::generate(&*self.entropy).unwrap();
        let labels = services.iter().map(|label| ServiceLabel::parse(label).unwrap());
        let services = Services::Named(labels.collect());
        let validity = Validity::new(created_at, None).unwrap();
        let (what, created) = ((id, Kind::PersonalAccessToken), (created_at, "user:root".into()));
        let token = Token {
            activated_at: None,
            ..Token::new(what, self.realm.clone(), owner, services, validity, created)
        };
        let event = self.event("token.issued").with_token(id);
        let (secret, limits) = (self.secret(), Vec::new());
        TokenIssue { token, secret, limits, data: None, idempotency: None, event }
    }

    /// A token to issue to a person, for the built-in service.
    pub fn issue_to(&self, user: &User) -> TokenIssue {
        self.issue_for(Owner::User(user.username.clone()), &["counterfoil"])
    }

    /// Issues what must not be refused.
    pub(super) async fn issued(&self, issue: TokenIssue) -> Token {
        match self.store.token_issue(issue).await.unwrap() {
            Issued::Done { token, .. } => token,
            other => panic!("{other:?}"),
        }
    }

    /// Issues a plain token to a person.
    pub async fn token_of(&self, user: &User) -> Token {
        self.issued(self.issue_to(user)).await
    }

    /// A token of this realm that must be there.
    pub(super) async fn token(&self, id: TokenId) -> Token {
        self.store.token_find(&self.realm, id).await.unwrap().unwrap()
    }

    /// An edit of a token, now, without limits.
    pub(super) fn update(&self, token: Token) -> TokenUpdate {
        TokenUpdate {
            token,
            limits: Vec::new(),
            data: None,
            as_used: None,
            event: self.event("token.updated"),
        }
    }

    /// A rotation of a token, now.
    pub fn rotate(&self, token: &Token) -> TokenRotate {
        let at = self.now();
        TokenRotate {
            realm: self.realm.clone(),
            id: token.id,
            secret: self.secret(),
            previous_until: at.plus_seconds(60),
            expected_version: None,
            at,
            idempotency: None,
            only_replay: false,
            event: self.event("token.rotated").with_token(token.id),
        }
    }

    /// A switch of a token, now.
    pub(super) fn switch(&self, id: TokenId, act: TokenAct) -> TokenChange {
        TokenChange {
            realm: self.realm.clone(),
            id,
            act,
            expected_version: None,
            at: self.now(),
            event: self.event("token.disabled").with_token(id),
        }
    }

    /// Revokes a token.
    pub(super) async fn revoke(&self, id: TokenId) -> Token {
        let change = self.switch(id, revocation());
        match self.store.token_change(change).await.unwrap() {
            Updated::Done(token) => token,
            other => panic!("{other:?}"),
        }
    }

    /// A promise to answer a repeated request as before.
    pub(super) fn idempotency(caller: &str, key: &str, request: u8) -> Idempotency {
        Idempotency {
            caller: caller.to_owned(),
            key: key.to_owned(),
            fingerprint: [request; 32],
            expires_at: Self::at(3_600),
            answer: Arc::new(|token: &Token| format!("answer for {}", token.id).into_bytes()),
        }
    }
}

/// The act of revoking.
pub(super) fn revocation() -> TokenAct {
    TokenAct::Revoke { by: "user:root".into(), reason: Some("leaked".into()) }
}

/// At most `max`, of any hash.
pub(super) fn limit(max: u32, at_limit: AtLimit) -> ActiveLimit {
    limit_of("counterfoil", max, at_limit)
}

/// A limit on all tokens for one service.
pub(super) fn limit_of(service: &str, max: u32, at_limit: AtLimit) -> ActiveLimit {
    let label = ServiceLabel::parse(service).unwrap();
    ActiveLimit { of: Counted::Service(label), max, at_limit, slow_only: false }
}

/// Runs `n` tasks at the same time and gathers what they say.
pub(super) async fn race<T, F>(n: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..n).map(|number| tokio::spawn(task(number))).collect();
    let mut said = Vec::with_capacity(n);
    for task in tasks {
        said.push(task.await.unwrap());
    }
    said
}
