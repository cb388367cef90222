//! Secrets that came as hashes: what their first right use makes of them, and keys without a name.

use counterfoil_authority::authority::{
    Fate, Incoming, IncomingFacts, IncomingSecret, IncomingToken, PolicyEdit, ServiceDraft,
    ServiceEdit, UserDraft,
};
use counterfoil_authority::foreign::{ForeignHash, ForeignKey, ForeignScheme};
use counterfoil_authority::names::Username;
use counterfoil_authority::policy::TokenPolicy;
use counterfoil_authority::secret::{ClearSecret, TokenId};
use counterfoil_authority::secret_hash::SecretHash;
use counterfoil_authority::verdict::Reason;

use crate::world::{World, label, reason};

/// As `htpasswd -nbm` wrote it.
const APR1: &str = "$apr1$P88tK9gH$C0DKjzdQafkw7mUtQyntx1";
const SECRET: &str = "correct horse battery";
/// As another system shows its keys.
const KEY: &str = "prod_3ZW2kTzqjTbcBLW9XxTsY8vN";

fn token(id: &str, name: &str, secret: IncomingSecret) -> IncomingToken {
    IncomingToken {
        id: TokenId::parse(id).unwrap(),
        user: Username::parse(name).unwrap(),
        service: label("wiki"),
        secret,
        drawn: false,
        locked: false,
        row: format!("row {id}"),
        pat: None,
        facts: IncomingFacts { one_of_several: true, ..IncomingFacts::default() },
    }
}

fn hashed() -> IncomingSecret {
    IncomingSecret::Foreign(ForeignHash::of_any(APR1).unwrap())
}

fn key(clear: &str) -> IncomingSecret {
    IncomingSecret::Key(ForeignKey::of(clear).unwrap())
}

/// A world with the service `wiki` and the person `pat`.
async fn world(schemes: &[ForeignScheme]) -> World {
    let world = World::new().await;
    let imported_schemes = Some(schemes.to_vec());
    world.add_service("wiki", TokenPolicy { imported_schemes, ..TokenPolicy::default() }).await;
    world
}

async fn import(world: &World, tokens: Vec<IncomingToken>) -> Vec<Fate> {
    let mut all = vec![
        Incoming::Service(ServiceDraft::new(label("wiki"))),
        Incoming::User(UserDraft::new(Username::parse("pat").unwrap())),
    ];
    all.extend(tokens.into_iter().map(Incoming::Token));
    world.authority.import(&world.realm, &all, false, &|_| {}).await.unwrap()[2..].to_vec()
}

async fn hash_of(world: &World, id: &str) -> SecretHash {
    let id = TokenId::parse(id).unwrap();
    let record = world.store.token_record(id).await.unwrap().unwrap();
    record.secrets[0].hash.clone()
}

/// Flushes until what was hashed beside an answer is stored.
async fn upgraded(world: &World, id: &str) -> SecretHash {
    loop {
        world.authority.flush_usage().await.unwrap();
        let hash = hash_of(world, id).await;
        if matches!(hash, SecretHash::Slow { recipe: None, .. }) {
            return hash;
        }
        tokio::task::yield_now().await;
    }
}

async fn leave_schemes(world: &World, schemes: &[&str]) {
    let left = serde_json::json!({ "imported_schemes": schemes });
    let token_policy = left.as_object().cloned().map(PolicyEdit::Merge);
    let edit = ServiceEdit { token_policy, ..ServiceEdit::default() };
    let (admin, realm) = (&world.admin, &world.realm);
    world.authority.edit_service(admin, realm, &label("wiki"), edit, None).await.unwrap();
}

#[tokio::test]
async fn a_hash_becomes_one_of_ours_with_its_first_right_use_and_not_before() {
    let world = world(&[ForeignScheme::Md5Crypt, ForeignScheme::Own]).await;
    let fates = import(&world, vec![token("Token0000001", "pat", hashed())]).await;
    assert_eq!(fates, [Fate::New]);
    let arrived = hash_of(&world, "Token0000001").await;
    assert!(matches!(&arrived, SecretHash::Slow { recipe: Some(_), .. }));
    // A wrong secret, or the right one at a service that is not its own, changes nothing.
    for (secret, user) in [("wrong horse battery", "pat"), (SECRET, "alice")] {
        assert!(reason(&world.verify(secret, Some(user), "wiki").await).is_some());
    }
    world.authority.flush_usage().await.unwrap();
    assert_eq!(hash_of(&world, "Token0000001").await, arrived);

    assert_eq!(reason(&world.verify(SECRET, Some("pat"), "wiki").await), None);
    let ours = upgraded(&world, "Token0000001").await;
    assert_ne!(ours, arrived);
    assert_eq!(reason(&world.verify(SECRET, Some("pat"), "wiki").await), None);
    let wrong = world.verify("correct horse batterz", Some("pat"), "wiki").await;
    assert_eq!(reason(&wrong), Some(Reason::Unknown));
    // Nobody needs the recipe any more.
    leave_schemes(&world, &["own"]).await;
    assert_eq!(reason(&world.verify(SECRET, Some("pat"), "wiki").await), None);
    world.authority.flush_usage().await.unwrap();
    assert_eq!(hash_of(&world, "Token0000001").await, ours, "an upgrade happens once");
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_upgraded() {
    let world = world(&[ForeignScheme::Md5Crypt]).await;
    let locked = IncomingToken { locked: true, ..token("Token0000001", "pat", hashed()) };
    import(&world, vec![locked]).await;
    let arrived = hash_of(&world, "Token0000001").await;
    let said = world.verify(SECRET, Some("pat"), "wiki").await;
    assert_eq!(reason(&said), Some(Reason::Locked));
    world.authority.flush_usage().await.unwrap();
    assert_eq!(hash_of(&world, "Token0000001").await, arrived);
}

#[tokio::test]
async fn a_key_that_came_as_its_hash_is_found_without_a_name_and_where_it_was_taken_over_only() {
    let world = world(&[ForeignScheme::Sha256]).await;
    let (one, twin) = ("Token0000001", "Token0000002");
    let tokens = vec![token(one, "pat", key(KEY)), token(twin, "pat", key(KEY))];
    let fates = import(&world, tokens).await;
    assert_eq!(fates[0], Fate::New);
    let Fate::Refused(why) = &fates[1] else { panic!("{fates:?}") };
    assert_eq!(why, "another line holds this very key");
    for user in [None, Some("pat")] {
        assert_eq!(reason(&world.verify(KEY, user, "wiki").await), None);
    }
    let said = world.verify(KEY, Some("alice"), "wiki").await;
    assert_eq!(reason(&said), Some(Reason::WrongUser));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, KEY.as_bytes());
    let hex = data_encoding::HEXLOWER.encode(digest.as_ref());
    let canonical = format!("imported sha256 {hex}");
    for wrong in [&hex, &canonical, &KEY.to_lowercase(), &format!("{KEY}x")] {
        let said = world.verify(wrong, None, "wiki").await;
        assert_eq!(reason(&said), Some(Reason::Unknown), "{wrong}");
    }
    // Guessable secrets are not compared there: nobody took any over.
    assert_eq!(reason(&world.verify(SECRET, Some("pat"), "wiki").await), Some(Reason::Unknown));
    let again = import(&world, vec![token(twin, "pat", key(KEY))]).await;
    let Fate::Refused(why) = &again[0] else { panic!("{again:?}") };
    assert_eq!(why, "another token that is here has this very key");
    leave_schemes(&world, &["own"]).await;
    assert_eq!(reason(&world.verify(KEY, None, "wiki").await), Some(Reason::Unknown));
}

#[tokio::test]
async fn what_a_token_brings_along_counts_here_and_what_cannot_count_is_refused() {
    let world = world(&[ForeignScheme::Sha256, ForeignScheme::Own]).await;
    let now = world.authority.now();
    let with = |id: &str, facts: IncomingFacts| IncomingToken {
        facts: IncomingFacts { one_of_several: true, ..facts },
        ..token(id, "pat", key(&format!("{KEY}{id}")))
    };
    let fates = import(
        &world,
        vec![
            with("Token0000001", IncomingFacts { max_usages: Some(1), ..Default::default() }),
            with("Token0000002", IncomingFacts { disabled: true, ..Default::default() }),
            with(
                "Token0000003",
                IncomingFacts { not_before: Some(now.plus_seconds(60)), ..Default::default() },
            ),
            with(
                "Token0000004",
                IncomingFacts { expires_at: Some(now.plus_seconds(-1)), ..Default::default() },
            ),
            with("Token0000005", IncomingFacts { max_usages: Some(0), ..Default::default() }),
            with(
                "Token0000006",
                IncomingFacts { permissions: Some(serde_json::json!([])), ..Default::default() },
            ),
        ],
    )
    .await;
    assert_eq!(&fates[..3], [Fate::New, Fate::New, Fate::New]);
    let why: Vec<&str> = fates[3..]
        .iter()
        .map(|fate| match fate {
            Fate::Refused(why) => why.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(why[..2], ["it has ended", "no use of it is left"]);
    assert!(why[2].starts_with("permissions is an object"), "{why:?}");
    let one = format!("{KEY}Token0000001");
    assert_eq!(reason(&world.verify(&one, None, "wiki").await), None);
    for (id, expected) in [
        ("Token0000001", Reason::Exhausted),
        ("Token0000002", Reason::Disabled),
        ("Token0000003", Reason::NotYetValid),
    ] {
        let said = world.verify(&format!("{KEY}{id}"), None, "wiki").await;
        assert_eq!(reason(&said), Some(expected), "{id}");
    }
}

#[tokio::test]
async fn a_person_has_three_guessable_secrets_for_a_service_at_most() {
    let world = world(&[ForeignScheme::Own]).await;
    let clear = |n: u32| IncomingSecret::Clear(ClearSecret::new(format!("guessable secret {n}")));
    let tokens = (1..=4).map(|n| token(&format!("Token000000{n}"), "pat", clear(n))).collect();
    let fates = import(&world, tokens).await;
    assert_eq!(fates[..3], [Fate::New, Fate::New, Fate::New]);
    assert!(matches!(&fates[3], Fate::Refused(why) if why.contains("three secrets")), "{fates:?}");
}
