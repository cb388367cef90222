//! Taking over records of another system, whole batches at a time.

use counterfoil_authority::foreign::{FOREIGN_SCHEMES, ForeignScheme, Recipe};
use counterfoil_authority::names::{GroupName, ServiceLabel, Username};
use counterfoil_authority::otp::Method;
use counterfoil_authority::policy::AtLimit;
use counterfoil_authority::secret_hash::{SecretHash, SlowCost};
use counterfoil_authority::service::Service;
use counterfoil_authority::store::{ActiveLimit, Arriving, Counted, Imported, Rehash, TokenIssue};
use counterfoil_authority::subject::{Group, Owner, Provisioned, Unit, User};

use super::World;

/// A group, a service for it, a person of a unit in it, and their token.
fn batch(world: &World) -> (Vec<Arriving>, TokenIssue) {
    let group = Group {
        realm: world.realm.clone(),
        name: GroupName::parse("staff").unwrap(),
        description: None,
        members: 0,
        open: false,
        provisioned: Provisioned::default(),
        created_at: world.now(),
        updated_at: world.now(),
        version: 1,
    };
    let service = world.service_named("wiki");
    let service = Service { group: Some(group.name.clone()), ..service };
    let unit = Unit {
        realm: world.realm.clone(),
        id: "unit-physics".into(),
        name: "Physics".into(),
        identifier: None,
        external_id: None,
        parent: None,
        created_at: world.now(),
        updated_at: world.now(),
        version: 1,
    };
    let user = User { unit: Some(unit.id.clone()), ..world.user_named("pat") };
    let mut issue = world.issue_for(Owner::User(user.username.clone()), &["wiki"]);
    issue.secret = world.slow_secret();
    let member = Arriving::Member {
        realm: world.realm.clone(),
        group: group.name.clone(),
        user: user.username.clone(),
        event: world.event("group.member-added"),
    };
    let records = vec![
        Arriving::Group(group, world.event("group.created")),
        Arriving::Unit(unit, world.event("unit.created")),
        Arriving::Service(service, world.event("service.created")),
        Arriving::User(user, world.event("user.created")),
        member,
        Arriving::Token(issue.clone()),
    ];
    (records, issue)
}

/// What comes later may name what came earlier.
pub(super) async fn a_batch_arrives_whole_and_in_its_order(world: World) {
    let (mut records, issue) = batch(&world);
    let codes = super::otp::enrolment(&world, &world.user("kim").await, Method::Hotp);
    records.push(Arriving::Codes(Box::new(codes.clone())));
    assert_eq!(world.store.import(records.clone()).await.unwrap(), Imported::Done);
    let again = world.store.import(records.split_off(6)).await.unwrap();
    assert_eq!(again, Imported::Refused { index: 0, why: "the id is taken" });
    let found = world.store.otp_find(&world.realm, codes.token.id).await.unwrap();
    assert_eq!(found, Some(codes.otp));
    let record = world.store.token_record(issue.token.id).await.unwrap().unwrap();
    assert_eq!(record.secrets, [issue.secret]);
    let pat = Username::parse("pat").unwrap();
    let user = world.store.user_find(&world.realm, &pat).await.unwrap().unwrap();
    assert_eq!(user.groups, [GroupName::parse("staff").unwrap()]);
    assert_eq!(user.unit.as_deref(), Some("unit-physics"));
}

/// Neither records nor events, whatever stood in its way.
pub(super) async fn a_batch_with_an_obstacle_leaves_no_trace(world: World) {
    let pat = Username::parse("pat").unwrap();
    let label = ServiceLabel::parse("wiki").unwrap();
    let (mut records, mut issue) = batch(&world);
    let limit = ActiveLimit {
        of: Counted::Service(label.clone()),
        max: 0,
        at_limit: AtLimit::Refuse,
        slow_only: false,
    };
    issue.limits = vec![limit];
    records.pop();
    records.push(Arriving::Token(issue.clone()));
    let refused = world.store.import(records.clone()).await.unwrap();
    assert!(matches!(refused, Imported::Refused { index: 5, .. }), "{refused:?}");
    records.pop();
    records.push(records[0].clone());
    let refused = world.store.import(records).await.unwrap();
    assert!(matches!(refused, Imported::Refused { index: 5, .. }), "{refused:?}");
    assert_eq!(world.store.user_find(&world.realm, &pat).await.unwrap(), None);
    assert_eq!(world.store.unit_find(&world.realm, "unit-physics").await.unwrap(), None);
    assert_eq!(world.store.service_find(&world.realm, &label).await.unwrap(), None);
    assert_eq!(world.store.token_record(issue.token.id).await.unwrap(), None);
    let (records, _) = batch(&world);
    assert_eq!(world.store.import(records).await.unwrap(), Imported::Done);
}

/// With every byte of its salt.
pub(super) async fn a_hash_that_was_taken_over_comes_back_with_its_recipe(world: World) {
    let alice = world.user("alice").await;
    for recipe in
        [Recipe::Ssha { salt: b"1a2b".to_vec() }, Recipe::Bcrypt { cost: 10, salt: [9; 16] }]
            .into_iter()
            .chain(FOREIGN_SCHEMES.into_iter().filter_map(ForeignScheme::stand_in))
    {
        let mut issue = world.issue_to(&alice);
        let cost = SlowCost { memory_kib: 64, passes: 3, lanes: 1 };
        let (digest, recipe) = (world.mac(), Some(recipe));
        issue.secret.hash = SecretHash::Slow { pepper: 1, digest, cost, recipe };
        let hash = issue.secret.hash.clone();
        let token = world.issued(issue).await;
        let record = world.store.token_record(token.id).await.unwrap().unwrap();
        assert_eq!(record.secrets[0].hash, hash);
        // What was presented is hashed as one of ours, once.
        let new = SecretHash::Slow { pepper: 1, digest: world.mac(), cost, recipe: None };
        let rehash = Rehash { token: token.id, old: hash.clone(), new: new.clone() };
        for _ in 0..2 {
            let rehashed = vec![rehash.clone()];
            world.store.usage_flush(Vec::new(), rehashed, Vec::new()).await.unwrap();
            let record = world.store.token_record(token.id).await.unwrap().unwrap();
            assert_eq!(record.secrets[0].hash, new);
        }
        // A secret that was rotated meanwhile stays as it is.
        let other = SecretHash::Slow { pepper: 1, digest: world.mac(), cost, recipe: None };
        let late = Rehash { token: token.id, old: hash, new: other };
        world.store.usage_flush(Vec::new(), vec![late], Vec::new()).await.unwrap();
        let record = world.store.token_record(token.id).await.unwrap().unwrap();
        assert_eq!(record.secrets[0].hash, new);
    }
}
