//! A small installation: realm `main`, people alice and bob, services `git` and `mail`.

use std::collections::BTreeMap;
use std::sync::Arc;

use counterfoil_authority::authority::{
    Answered, Authority, Binding, Expiry, IssueRequest, Settings, Verdict, VerifyRequest,
};
use counterfoil_authority::caller::{Caller, RequestContext};
use counterfoil_authority::clock::{Clock, Entropy, Timestamp};
use counterfoil_authority::event::Origin;
use counterfoil_authority::keys::KeyRing;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{ClientName, RealmName, ServiceLabel, Username};
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::scope::Scope;
use counterfoil_authority::secret_hash::SlowCost;
use counterfoil_authority::service::{ForwardAuth, Service, ServiceStatus, Services, Visibility};
use counterfoil_authority::store::Store;
use counterfoil_authority::subject::{User, UserStatus};
use counterfoil_authority::testing::{FrozenClock, SeededEntropy};
use counterfoil_authority::token::{AirlockAttributes, SentinelAttributes, Token};
use counterfoil_authority::verdict::{Door, Reason};
use counterfoil_store::MemoryStore;

pub(crate) struct World {
    pub(crate) authority: Arc<Authority>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<FrozenClock>,
    pub(crate) admin: Caller,
    pub(crate) realm: RealmName,
}

pub(crate) fn label(text: &str) -> ServiceLabel {
    ServiceLabel::parse(text).unwrap()
}

pub(crate) fn context() -> RequestContext {
    RequestContext { door: Door::Api, source: None, request_id: None }
}

pub(crate) fn wish(kind: Kind, user: &str, services: &[&str]) -> IssueRequest {
    IssueRequest {
        disguise: None,
        kind,
        user: Some(Username::parse(user).unwrap()),
        name: Some("laptop".into()),
        description: None,
        services: Some(Services::Named(services.iter().map(|text| label(text)).collect())),
        scopes: Vec::new(),
        permissions: None,
        expires: Expiry::Default,
        not_before: None,
        max_usages: None,
        networks: Vec::new(),
        doors: None,
        labels: BTreeMap::new(),
        airlock: AirlockAttributes::default(),
        sentinel: SentinelAttributes::default(),
        unit: None,
        secret: None,
        delivery: counterfoil_authority::authority::Delivery::Default,
        otp: None,
        repository: None,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::made(Arc::new(MemoryStore::new()), settings).await
    }

    /// The same over an empty store.
    pub(crate) async fn over(store: Arc<dyn Store>) -> Self {
        Self::made(store, Settings::default()).await
    }

    async fn made(store: Arc<dyn Store>, settings: Settings) -> Self {
        let clock = Arc::new(FrozenClock::at(Timestamp::from_seconds(1_790_000_000)));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let keys = KeyRing::generate(entropy.as_ref()).unwrap();
        let cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
        let settings = Settings { slow_cost: cost, ..settings };
        let authority = Arc::new(
            Authority::new(
                Arc::clone(&store),
                Arc::clone(&clock) as Arc<dyn Clock>,
                entropy,
                keys,
                settings,
            )
            .unwrap(),
        );
        let first = authority.initialise(&ClientName::parse("admin").unwrap()).await.unwrap();
        let key = first.unwrap().secret;
        let admin = authority.authenticate(key.reveal(), context()).await.unwrap();
        let realm = RealmName::parse("main").unwrap();
        let world = Self { authority, store, clock, admin, realm };
        for name in ["alice", "bob"] {
            world.add_user(name).await;
        }
        for service in ["git", "mail"] {
            world.add_service(service, TokenPolicy::default()).await;
        }
        world
    }

    /// The same installation, as a process with other settings finds it.
    pub(crate) async fn restarted(mut self, settings: Settings) -> Self {
        // What the first one drew first.
        let keys = KeyRing::generate(&SeededEntropy::new(1)).unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let entropy = Arc::new(SeededEntropy::new(2));
        let authority =
            Authority::new(Arc::clone(&self.store), clock, entropy, keys, settings).unwrap();
        authority.initialise(&ClientName::parse("admin").unwrap()).await.unwrap();
        self.authority = Arc::new(authority);
        self
    }

    fn now(&self) -> Timestamp {
        self.authority.now()
    }

    pub(crate) async fn add_user(&self, name: &str) {
        let user = User {
            realm: self.realm.clone(),
            username: Username::parse(name).unwrap(),
            display_name: None,
            emails: Vec::new(),
            attributes: BTreeMap::new(),
            status: UserStatus::Active,
            unit: None,
            groups: Vec::new(),
            locks: counterfoil_authority::lock::Locks::default(),
            provisioned: counterfoil_authority::subject::Provisioned::default(),
            created_at: self.now(),
            updated_at: self.now(),
            version: 1,
        };
        let origin = Origin::system(Door::Cli);
        let event = self.authority.event("user.created", &self.realm, &origin, self.now()).unwrap();
        self.store.user_insert(user, event).await.unwrap();
    }

    pub(crate) async fn add_service(&self, service: &str, token_policy: TokenPolicy) {
        let service = Service {
            realm: self.realm.clone(),
            label: label(service),
            name: service.into(),
            description: None,
            url: None,
            contact: None,
            logo_url: None,
            visibility: Visibility::Realm,
            locked: false,
            group: None,
            entitlement_uri: None,
            status: ServiceStatus::Active,
            unit: None,
            token_policy,
            forward_auth: ForwardAuth::default(),
            created_at: self.now(),
            updated_at: self.now(),
            version: 1,
        };
        let origin = Origin::system(Door::Cli);
        let kind = "service.created";
        let event = self.authority.event(kind, &self.realm, &origin, self.now()).unwrap();
        self.store.service_insert(service, event).await.unwrap();
    }

    /// Sets a person's status, as an administrator would.
    pub(crate) async fn set_status(&self, name: &str, status: UserStatus) {
        let name = Username::parse(name).unwrap();
        let user = self.store.user_find(&self.realm, &name).await.unwrap().unwrap();
        let origin = Origin::system(Door::Cli);
        let event = self.authority.event("user.updated", &self.realm, &origin, self.now()).unwrap();
        self.store.user_update(User { status, ..user }, event).await.unwrap();
    }

    pub(crate) async fn issue(&self, wish: IssueRequest) -> (Token, String) {
        let issued = self.authority.issue(&self.admin, &self.realm, wish, None).await.unwrap();
        fresh(issued)
    }

    /// What issuing is refused with.
    pub(crate) async fn refusal(&self, caller: &Caller, wish: IssueRequest) -> Refusal {
        self.authority.issue(caller, &self.realm, wish, None).await.unwrap_err()
    }

    /// The caller that a person becomes with a token for the API.
    pub(crate) async fn person(&self, name: &str, scopes: &[&str]) -> Caller {
        let mut wish = wish(Kind::PersonalAccessToken, name, &["counterfoil"]);
        wish.scopes = scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
        let (_, secret) = self.issue(wish).await;
        self.authority.authenticate(&secret, context()).await.unwrap()
    }

    pub(crate) async fn verify(&self, secret: &str, user: Option<&str>, service: &str) -> Verdict {
        self.ask(secret, user, Binding::Service(&label(service)), &[]).await
    }

    pub(crate) async fn ask(
        &self,
        presented: &str,
        username: Option<&str>,
        binding: Binding<'_>,
        scopes: &[Scope],
    ) -> Verdict {
        let origin = Origin::system(Door::Api);
        let request = VerifyRequest {
            realm: &self.realm,
            presented,
            username,
            binding,
            scopes,
            resource: None,
            action: None,
            client_ip: None,
            consume: true,
            throttled: true,
            origin: &origin,
        };
        self.authority.verify(request).await.unwrap()
    }

    pub(crate) async fn stored(&self, token: &Token) -> Token {
        self.store.token_find(&self.realm, token.id).await.unwrap().unwrap()
    }
}

pub(crate) fn fresh(answered: Answered) -> (Token, String) {
    match answered {
        Answered::Fresh { token, secret } => (token, secret.reveal().to_owned()),
        Answered::Replayed(_) => panic!("replayed"),
    }
}

/// The reason of a refusal; `None` if the token is good.
pub(crate) fn reason(verdict: &Verdict) -> Option<Reason> {
    match verdict {
        Verdict::Active(_) => None,
        Verdict::Inactive { reason, .. } => Some(*reason),
    }
}
