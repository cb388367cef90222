//! Secrets of another system: how they verify, what is refused, and what a second run does.

use counterfoil_authority::authority::{
    ClearPat, Fate, Incoming, IncomingFacts, IncomingPat, IncomingSecret, IncomingToken,
    PolicyEdit, ServiceDraft, ServiceEdit, UserDraft,
};
use counterfoil_authority::foreign::{ForeignHash, ForeignScheme};
use counterfoil_authority::kind::Kind;
use counterfoil_authority::names::{GroupName, Username};
use counterfoil_authority::policy::{AtLimit, SecretForm, TokenPolicy};
use counterfoil_authority::refusal::Refusal;
use counterfoil_authority::secret::{ClearSecret, TokenId};
use counterfoil_authority::verdict::Reason;

use crate::world::{World, label, reason, wish};

/// `m4xt-7wqe-b2nd-k9hs` with the salt `5e1f`.
const SSHA: &str = "{SSHA}KQQFGO5qESXnd9sNppXhk34+z9M1ZTFm";
const SECRET: &str = "m4xt-7wqe-b2nd-k9hs";

fn policy(schemes: &[ForeignScheme]) -> TokenPolicy {
    TokenPolicy {
        form: Some(SecretForm::Plain15),
        max_active_per_user: Some(1),
        at_limit: Some(AtLimit::ReplaceOldest),
        imported_schemes: Some(schemes.to_vec()),
        ..TokenPolicy::default()
    }
}

/// The service of every test as another system describes it.
fn wiki() -> ServiceDraft {
    ServiceDraft { name: "Wiki".into(), ..ServiceDraft::new(label("wiki")) }
}

fn user(name: &str) -> Incoming {
    Incoming::User(UserDraft::new(Username::parse(name).unwrap()))
}

fn token(id: &str, name: &str, secret: IncomingSecret) -> Incoming {
    Incoming::Token(IncomingToken {
        id: TokenId::parse(id).unwrap(),
        user: Username::parse(name).unwrap(),
        service: label("wiki"),
        secret,
        drawn: false,
        locked: false,
        row: format!("row of {name}"),
        pat: None,
        facts: IncomingFacts::default(),
    })
}

fn clear(text: &str) -> IncomingSecret {
    IncomingSecret::Clear(ClearSecret::new(text.to_owned()))
}

fn hashed() -> IncomingSecret {
    IncomingSecret::Foreign(ForeignHash::ssha(SSHA).unwrap())
}

/// Imports beside the service `wiki`, which is here already.
async fn import(world: &World, incoming: Vec<Incoming>, dry_run: bool) -> Vec<Fate> {
    let mut all = vec![Incoming::Service(wiki())];
    all.extend(incoming);
    let fates = world.authority.import(&world.realm, &all, dry_run, &|_| {}).await.unwrap();
    assert_eq!(fates[0], Fate::Kept);
    fates[1..].to_vec()
}

fn is_refused(fate: &Fate) -> bool {
    matches!(fate, Fate::Refused(_))
}

#[tokio::test]
async fn a_hash_that_was_taken_over_verifies_for_its_person_and_service_only() {
    let world = World::new().await;
    world.add_service("wiki", policy(&[ForeignScheme::Ssha])).await;
    let incoming = || vec![user("pat"), token("Token0000001", "pat", hashed())];
    assert_eq!(import(&world, incoming(), true).await, [Fate::New, Fate::New]);
    assert!(reason(&world.verify(SECRET, Some("pat"), "wiki").await).is_some());
    assert_eq!(import(&world, incoming(), false).await, [Fate::New, Fate::New]);
    for _ in 0..2 {
        assert_eq!(reason(&world.verify(SECRET, Some("pat"), "wiki").await), None);
    }
    let unknown = Some(Reason::Unknown);
    for (secret, name) in
        [(SECRET, "alice"), ("m4xt7wqeb2ndk9hs", "pat"), (&SSHA[6..], "pat"), (SSHA, "pat")]
    {
        assert_eq!(reason(&world.verify(secret, Some(name), "wiki").await), unknown, "{secret}");
    }
    assert_eq!(reason(&world.verify(SECRET, None, "wiki").await), unknown);
    assert_eq!(import(&world, incoming(), false).await, [Fate::Kept, Fate::Kept]);
}

#[tokio::test]
async fn a_newer_secret_of_a_row_replaces_the_older_and_the_older_dump_does_not_come_back() {
    let world = World::new().await;
    world.add_service("wiki", policy(&[ForeignScheme::Ssha])).await;
    let old = || vec![user("pat"), token("Token0000001", "pat", hashed())];
    let new = || vec![user("pat"), token("Token0000002", "pat", clear("Zq7Rt2LmXb9KdW4"))];
    import(&world, old(), false).await;
    assert_eq!(import(&world, new(), false).await, [Fate::Kept, Fate::New]);
    assert_eq!(import(&world, old(), false).await, [Fate::Kept, Fate::Kept]);
    assert!(reason(&world.verify(SECRET, Some("pat"), "wiki").await).is_some());
    assert_eq!(reason(&world.verify("Zq7Rt2LmXb9KdW4", Some("pat"), "wiki").await), None);
}

#[tokio::test]
async fn what_would_never_work_or_is_known_to_everybody_is_refused() {
    let world = World::new().await;
    world.add_service("wiki", policy(&[])).await;
    let published = ForeignHash::ssha("{SSHA}aTAOJG0ivhFFnnRoGfnx+9B/u1ExYTJi").unwrap();
    let (_, ours) = world.issue(wish(Kind::PersonalAccessToken, "alice", &["git"])).await;
    for (secret, why) in [
        (hashed(), "its service compares with no such hash"),
        (IncomingSecret::Foreign(published), "printed in a manual"),
        (clear("k7mq-2x9d-hw4t-p8zc"), "printed in a manual"),
        (clear(&ours), "one of ours"),
    ] {
        let fates = import(&world, vec![user("pat"), token("Token0000001", "pat", secret)], true);
        assert!(is_refused(&fates.await[1]), "{why}");
    }
    let stranger = vec![token("Token0000001", "nobody", clear("Zq7Rt2LmXb9KdW4"))];
    assert!(is_refused(&import(&world, stranger, false).await[0]));
    let twice = vec![user("pat"), user("pat")];
    assert!(is_refused(&import(&world, twice, false).await[1]));
}

#[tokio::test]
async fn a_service_that_forgets_the_schemes_forgets_the_secrets() {
    let world = World::new().await;
    world.add_service("wiki", policy(&[ForeignScheme::Ssha])).await;
    let incoming = vec![
        user("pat"),
        token("Token0000001", "pat", hashed()),
        user("kim"),
        token("Token0000002", "kim", clear("Zq7Rt2LmXb9KdW4")),
    ];
    import(&world, incoming, false).await;
    let forget = serde_json::json!({ "imported_schemes": null });
    let token_policy = forget.as_object().cloned().map(PolicyEdit::Merge);
    let edit = ServiceEdit { token_policy, ..ServiceEdit::default() };
    let (admin, realm) = (&world.admin, &world.realm);
    world.authority.edit_service(admin, realm, &label("wiki"), edit, None).await.unwrap();
    assert!(reason(&world.verify(SECRET, Some("pat"), "wiki").await).is_some());
    assert_eq!(reason(&world.verify("Zq7Rt2LmXb9KdW4", Some("kim"), "wiki").await), None);
}

#[tokio::test]
async fn many_people_arrive_in_batches() {
    let world = World::new().await;
    world.add_service("wiki", policy(&[])).await;
    let people: Vec<Incoming> = (0..450).map(|number| user(&format!("p{number}"))).collect();
    let fates = import(&world, people.clone(), false).await;
    assert!(fates.iter().all(|fate| *fate == Fate::New));
    let again = import(&world, people, false).await;
    assert!(again.iter().all(|fate| *fate == Fate::Kept));
}

#[tokio::test]
async fn a_token_that_is_sent_twice_arrives_once_and_with_one_set_of_permissions() {
    let world = World::new().await;
    let policy = TokenPolicy { form: Some(SecretForm::Plain15), ..TokenPolicy::default() };
    world.add_service("wiki", policy).await;
    let pat = |secret: &str, actions: &[&str]| ClearPat {
        secret: ClearSecret::new(secret.to_owned()),
        brought: IncomingPat {
            permissions: serde_json::json!({ "repo/one": actions }),
            weak: false,
        },
    };
    let bring = async |pats: &[ClearPat]| {
        let alice = Username::parse("alice").unwrap();
        let (admin, realm) = (&world.admin, &world.realm);
        world.authority.import_pats(admin, realm, &alice, &label("wiki"), pats).await
    };
    let (one, other) = ("h3kd-9w2m-x7qp-4rtz-b6ye-5hcs", "w8fn-2b6y-k5hc-9mqd-t3vx-7p4r");
    let both = [pat(one, &["read"]), pat(&one.to_uppercase(), &["read"]), pat(other, &["read"])];
    assert_eq!(bring(&both).await.unwrap(), 2);
    assert_eq!(bring(&both).await.unwrap(), 0);
    let third = "z4vk-7n3p-d9wt-6hxb-q2mc-8fre";
    let refusal = bring(&[pat(third, &["read"]), pat(third, &["write"])]).await.unwrap_err();
    let Refusal::Invalid { why, .. } = refusal else { panic!("{refusal}") };
    assert_eq!(why, "holds a token twice, with other permissions");
    assert!(reason(&world.verify(third, Some("alice"), "wiki").await).is_some());
}

#[tokio::test]
async fn a_row_with_one_of_our_tokens_in_a_name_is_refused_and_the_others_are_taken() {
    let world = World::new().await;
    world.add_service("wiki", policy(&[ForeignScheme::Ssha])).await;
    let (_, ours) = world.issue(wish(Kind::PersonalAccessToken, "alice", &["git"])).await;
    let named = |facts: IncomingFacts| {
        let Incoming::Token(token) = token("Token0000001", "pat", hashed()) else { panic!() };
        Incoming::Token(IncomingToken { facts, ..token })
    };
    let person = |draft: UserDraft| Incoming::User(draft);
    let new = |name: &str| UserDraft::new(Username::parse(name).unwrap());
    let facts = IncomingFacts { one_of_several: true, ..IncomingFacts::default() };
    let labels = [("note".to_owned(), format!("see {ours}"))].into();
    let within = Some(format!("see {ours}"));
    for (field, incoming) in [
        ("username", person(new(&ours))),
        ("username", person(new(&format!("pat@{ours}")))),
        ("display_name", person(UserDraft { display_name: within.clone(), ..new("kim") })),
        ("emails", person(UserDraft { emails: vec![format!("{ours}@a.b")], ..new("kim") })),
        ("name", Incoming::Group(GroupName::parse(&ours).unwrap(), None)),
        ("description", Incoming::Group(GroupName::parse("devs").unwrap(), within.clone())),
        ("name", Incoming::Service(ServiceDraft { name: ours.clone(), ..wiki() })),
        ("name", named(IncomingFacts { name: Some(ours.clone()), ..facts.clone() })),
        ("description", named(IncomingFacts { description: within.clone(), ..facts.clone() })),
        ("labels", named(IncomingFacts { labels, ..facts.clone() })),
    ] {
        let why = format!("{field}: holds a token; a secret is never part of a text");
        for dry_run in [true, false] {
            let fates = import(&world, vec![incoming.clone(), user("pat")], dry_run).await;
            assert_eq!(fates[0], Fate::Refused(why.clone()), "{incoming:?}");
            assert!(matches!(fates[1], Fate::New | Fate::Kept), "{fates:?}");
        }
    }
    // What is theirs has nobody to belong to.
    let theirs = vec![person(new(&ours)), token("Token0000001", &ours, hashed())];
    assert!(import(&world, theirs, false).await.iter().all(is_refused));
    let kept = vec![user("pat"), named(facts)];
    assert_eq!(import(&world, kept, false).await, [Fate::Kept, Fate::New]);
}
