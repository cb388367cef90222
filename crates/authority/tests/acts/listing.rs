//! Lists: what lies within somebody's reach is in them, and nothing else.

use counterfoil_authority::caller::Caller;
use counterfoil_authority::event::Origin;
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::Username;
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::secret::TokenId;
use counterfoil_authority::service::Services;
use counterfoil_authority::store::{PageRequest, TokenFilter};
use counterfoil_authority::subject::{Grant, GrantSubject, Limits, Role, User};
use counterfoil_authority::token::Token;
use counterfoil_authority::verdict::Door;

use crate::world::{World, label, wish};

const PAT: Kind = Kind::PersonalAccessToken;

impl World {
    async fn put_into(&self, name: &str, unit: &str) {
        let name = Username::parse(name).unwrap();
        let user = self.store.user_find(&self.realm, &name).await.unwrap().unwrap();
        let (origin, now) = (Origin::system(Door::Cli), self.authority.now());
        let event = self.authority.event("user.updated", &self.realm, &origin, now).unwrap();
        let user = User { unit: Some(unit.into()), ..user };
        self.store.user_update(user, event).await.unwrap();
    }

    /// The tokens that somebody reads in the list of all.
    async fn listed(&self, caller: &Caller) -> Vec<TokenId> {
        let (filter, page) = (TokenFilter::default(), PageRequest::first(100));
        let list = self.authority.tokens(caller, &self.realm, filter, page).await.unwrap();
        list.items.iter().map(|token| token.id).collect()
    }

    /// The tokens that somebody is told to be blocked, and where.
    async fn blocked(&self, caller: &Caller, service: Option<&str>) -> Vec<(TokenId, String)> {
        let page = PageRequest::first(100);
        let list = self.authority.blocked_tokens(caller, &self.realm, service.map(label), page);
        let at = |service: Option<&_>| service.map_or("everywhere".to_owned(), ToString::to_string);
        let list = list.await.unwrap().items;
        list.iter().map(|hit| (hit.token.id, at(hit.service.as_ref()))).collect()
    }

    async fn of(&self, name: &str, service: &str) -> Token {
        self.issue(wish(PAT, name, &[service])).await.0
    }
}

/// Refuses every token there is.
fn off() -> TokenPolicy {
    TokenPolicy { enabled: Some(false), ..TokenPolicy::default() }
}

#[tokio::test]
async fn who_administers_a_unit_reads_the_tokens_of_its_people_in_every_list() {
    let world = World::new().await;
    world.unit("u1").await;
    let admin = world.client("ua", vec![Role::UnitAdmin], |c| c.unit = Some("u1".into())).await;
    world.put_into("alice", "u1").await;
    let of_alice = world.of("alice", "git").await;
    let of_bob = world.of("bob", "git").await;
    let mut put_there = wish(PAT, "bob", &["git"]);
    put_there.unit = Some("u1".into());
    let put_there = world.issue(put_there).await.0;
    let within = [put_there.id, of_alice.id];
    assert_eq!(world.listed(&admin).await, within);
    for id in within {
        world.authority.token(&admin, &world.realm, id).await.unwrap();
    }
    world.authority.token(&admin, &world.realm, of_bob.id).await.unwrap_err();
    assert_eq!(world.blocked(&admin, None).await, []);
    world.set_policy("git", off()).await;
    for service in [None, Some("git")] {
        let said = world.blocked(&admin, service).await;
        assert_eq!(said, within.map(|id| (id, "git".to_owned())), "{service:?}");
    }
    let (all, theirs) =
        (world.blocked(&world.admin, None).await, world.blocked(&admin, None).await);
    assert_eq!((all.len(), theirs.len()), (3, 2));
}

#[tokio::test]
async fn a_person_who_administers_a_unit_reads_their_own_tokens_beside_those_of_the_unit() {
    let world = World::new().await;
    world.unit("u1").await;
    world.put_into("alice", "u1").await;
    world.grant_unit("bob", "u1").await;
    let bob = world.person("bob", &["tokens:read"]).await;
    let of_alice = world.of("alice", "git").await;
    let of_bob = world.of("bob", "git").await;
    assert_eq!(world.listed(&bob).await, [of_bob.id, of_alice.id, bob.token]);
}

#[tokio::test]
async fn a_token_for_everything_is_listed_for_each_service_that_refuses_it() {
    let world = World::new().await;
    for service in ["wiki", "chooses", "open"] {
        world.add_service(service, TokenPolicy::default()).await;
    }
    let mut everything = wish(PAT, "alice", &[]);
    everything.services = Some(Services::All);
    let token = world.issue(everything).await.0;
    let alice = world.person("alice", &["tokens:read"]).await;
    assert_eq!(world.blocked(&alice, None).await, []);
    world.set_policy("wiki", off()).await;
    let chosen = Some(vec!["administrators".to_owned()]);
    world.set_policy("chooses", TokenPolicy { issue_by: chosen, ..TokenPolicy::default() }).await;
    let at = |service: &str| (token.id, service.to_owned());
    for caller in [&alice, &world.admin] {
        assert_eq!(world.blocked(caller, None).await, [at("chooses"), at("wiki")]);
        assert_eq!(world.blocked(caller, Some("wiki")).await, [at("wiki")]);
        assert_eq!(world.blocked(caller, Some("open")).await, []);
    }
    // What the realm refuses is refused everywhere, and said once.
    let realm = world.store.realm_find(&world.realm).await.unwrap().unwrap();
    let (origin, now) = (Origin::system(Door::Cli), world.authority.now());
    let event = world.authority.event("realm.updated", &world.realm, &origin, now).unwrap();
    let mut realm = realm;
    realm.token_policy.must_expire = Some(true);
    realm.token_policy.max_lifetime_seconds = Some(3_600);
    world.store.realm_update(realm, event).await.unwrap();
    let blocked = world.blocked(&world.admin, None).await;
    let mine: Vec<_> = blocked.into_iter().filter(|(id, _)| *id == token.id).collect();
    assert_eq!(mine, [at("everywhere")]);
}

impl World {
    async fn set_policy(&self, service: &str, policy: TokenPolicy) {
        let found = self.store.service_find(&self.realm, &label(service)).await.unwrap();
        let mut service = found.unwrap();
        service.token_policy = policy;
        let (origin, now) = (Origin::system(Door::Cli), self.authority.now());
        let event = self.authority.event("service.updated", &self.realm, &origin, now).unwrap();
        self.store.service_update(service, event).await.unwrap();
    }

    async fn grant_unit(&self, name: &str, unit: &str) {
        let now = self.authority.now();
        let grant = Grant {
            realm: self.realm.clone(),
            id: format!("grant-{name}"),
            subject: GrantSubject::User(Username::parse(name).unwrap()),
            role: Role::UnitAdmin,
            unit: Some(unit.into()),
            service: None,
            limits: Limits::default(),
            created_at: now,
            created_by: "system".into(),
        };
        let origin = Origin::system(Door::Cli);
        let event = self.authority.event("grant.created", &self.realm, &origin, now).unwrap();
        self.store.grant_insert(grant, event).await.unwrap();
    }
}
