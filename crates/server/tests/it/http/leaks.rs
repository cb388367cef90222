//! Reports of leaked tokens, and decoys: on every engine.
//!
//! Length: both are about strings that turn up where they should not, in one and the same world.

use std::fs;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil_authority::store::Store;
use counterfoil_server::http::HttpSettings;
use counterfoil_server::leaks::GithubSettings;
use counterfoil_store::{FailingStore, MemoryStore};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::world::{Alice, Answer, Engine, R, World};

const DOOR: &str = "/api/v1/leaks/github";

/// Who finds tokens and signs: GitHub, as far as the server can tell.
struct Github {
    key: EcdsaKeyPair,
    // The file with its key.
    dir: tempfile::TempDir,
}

impl Github {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let github = Self { key, dir: tempfile::tempdir().unwrap() };
        github.publish("k1");
        github
    }

    fn publish(&self, id: &str) {
        let head = data_encoding::HEXLOWER
            .decode(b"3059301306072a8648ce3d020106082a8648ce3d030107034200")
            .unwrap();
        let der = [&head[..], self.key.public_key().as_ref()].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        );
        let keys = json!({ "public_keys": [
            { "key_identifier": id, "key": pem, "is_current": true }
        ] });
        fs::write(self.dir.path().join("keys.json"), keys.to_string()).unwrap();
    }

    fn settings(&self) -> HttpSettings {
        let keys_file = Some(self.dir.path().join("keys.json"));
        let keys_url = "http://127.0.0.1:1/".to_owned();
        HttpSettings {
            github: Some(GithubSettings { keys_url, keys_file }),
            ..HttpSettings::default()
        }
    }

    fn signature(&self, body: &[u8]) -> String {
        STANDARD.encode(self.key.sign(&SystemRandom::new(), body).unwrap().as_ref())
    }

    async fn report(&self, world: &World, alerts: &Value) -> Answer {
        let body = alerts.to_string().into_bytes();
        let signature = self.signature(&body);
        send(
            world,
            &body,
            &[("github-public-key-identifier", "k1"), ("github-public-key-signature", &signature)],
        )
        .await
    }
}

async fn send(world: &World, body: &[u8], more: &[(&str, &str)]) -> Answer {
    let headers: Vec<(&str, &str)> =
        [("content-type", "application/json")].iter().chain(more).copied().collect();
    world.send("POST", DOOR, &headers, Some(body.to_vec())).await
}

fn alert(token: &str) -> Value {
    json!({ "token": token, "type": "counterfoil", "url": "https://example.org/o/r/blob/1/f",
        "source": "content" })
}

async fn on(engine: Engine, github: &Github) -> (World, Alice) {
    let world = World::on_set(engine, github.settings()).await;
    let alice = world.with_alice().await;
    (world, alice)
}

async fn state_of(world: &World, id: &str) -> String {
    let token = world.get(&format!("{R}/tokens/{id}")).await.expect(200);
    token["state"].as_str().unwrap().to_owned()
}

async fn events(world: &World, kind: &str) -> Vec<Value> {
    world.authority.flush_usage().await.unwrap();
    let page = world.get(&format!("{R}/events?kind={kind}&limit=100")).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

fn labels(answer: &Value) -> Vec<&str> {
    answer.as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_token_that_github_found_is_revoked_and_its_owner_told_where() {
    for engine in Engine::ALL {
        let github = Github::new();
        let (world, alice) = on(engine, &github).await;
        let nearly = alice.secret.replace("cflp_", "cfls_");
        let alerts = json!([alert("some_token"), alert(&alice.secret), alert(&nearly)]);
        let answer = github.report(&world, &alerts).await.expect(200);
        assert_eq!(labels(&answer), ["false_positive", "true_positive", "false_positive"]);
        // The SHA-256 of `some_token`, computed elsewhere.
        let hash = "9a45520a1213f15016d2d768b5fb3d904492a44ee274b44d4de8803e00fb536a";
        assert_eq!(answer[0]["token_hash"], hash);
        assert!(!answer.to_string().contains(&alice.secret));
        assert_eq!(state_of(&world, &alice.token).await, "revoked");
        let told = events(&world, "token.leaked").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["actor"], "github");
        assert_eq!(
            (&told[0]["reason"], &told[0]["subject"]),
            (&json!("revoke"), &json!("user:alice"))
        );
        assert_eq!(told[0]["detail"]["url"], "https://example.org/o/r/blob/1/f");
        // The same message again: the same answer, and nobody is told again.
        let again = github.report(&world, &alerts).await.expect(200);
        assert_eq!(again, answer);
        assert_eq!(events(&world, "token.leaked").await.len(), 1);
        assert_eq!(events(&world, "token.revoked").await.len(), 1);
    }
}

#[tokio::test]
async fn what_becomes_of_a_leaked_token_is_said_by_the_stricter_policy() {
    for engine in Engine::ALL {
        let github = Github::new();
        let (world, alice) = on(engine, &github).await;
        let set = async |path: &str, act: &str| {
            let body = json!({ "token_policy": { "on_leak": act } });
            world.patch(path, body).await.expect(200);
        };
        // Each time in another place: the same report does nothing twice.
        let found_in = async |place: &str| {
            let mut alert = alert(&alice.secret);
            alert["url"] = json!(format!("https://example.org/{place}"));
            github.report(&world, &json!([alert])).await.expect(200)
        };
        set(R, "notify").await;
        assert_eq!(labels(&found_in("1").await), ["true_positive"]);
        assert_eq!(state_of(&world, &alice.token).await, "active");
        assert_eq!(events(&world, "token.leaked").await[0]["reason"], "notify");
        set(&format!("{R}/services/git"), "lock").await;
        found_in("2").await;
        assert_eq!(state_of(&world, &alice.token).await, "locked");
        set(R, "revoke").await;
        found_in("3").await;
        assert_eq!(state_of(&world, &alice.token).await, "revoked");
    }
}

#[tokio::test]
async fn a_report_that_is_sent_again_does_not_undo_what_an_administrator_decided() {
    for engine in Engine::ALL {
        let github = Github::new();
        let (world, alice) = on(engine, &github).await;
        let body = json!({ "token_policy": { "on_leak": "lock" } });
        world.patch(&format!("{R}/services/git"), body).await.expect(200);
        let alerts = json!([alert(&alice.secret)]);
        let answer = github.report(&world, &alerts).await.expect(200);
        assert_eq!(state_of(&world, &alice.token).await, "locked");
        world.post(&format!("{R}/tokens/{}/unlock", alice.token), json!({})).await.expect(200);
        world.clock.advance_seconds(1);
        assert_eq!(github.report(&world, &alerts).await.expect(200), answer);
        assert_eq!(state_of(&world, &alice.token).await, "active");
        assert_eq!(events(&world, "token.leaked").await.len(), 1);
        assert_eq!(events(&world, "token.locked").await.len(), 1);
        // Found in another place it is another leak.
        let mut other = alert(&alice.secret);
        other["url"] = json!("https://example.org/another");
        github.report(&world, &json!([other])).await.expect(200);
        assert_eq!(state_of(&world, &alice.token).await, "locked");
        assert_eq!(events(&world, "token.leaked").await.len(), 2);
    }
}

#[tokio::test]
async fn of_equal_reports_at_the_same_instant_one_acts_and_all_are_answered_alike() {
    for engine in Engine::ALL {
        for (act, kind, state) in
            [("revoke", "token.revoked", "revoked"), ("lock", "token.locked", "locked")]
        {
            let github = Github::new();
            let (world, alice) = on(engine, &github).await;
            let body = json!({ "token_policy": { "on_leak": act } });
            world.patch(&format!("{R}/services/git"), body).await.expect(200);
            let shared = Arc::new((world, github, json!([alert(&alice.secret)])));
            let mut reports = JoinSet::new();
            for _ in 0..40 {
                let shared = Arc::clone(&shared);
                reports.spawn(async move { shared.1.report(&shared.0, &shared.2).await });
            }
            let answers: Vec<Value> =
                reports.join_all().await.into_iter().map(|answer| answer.expect(200)).collect();
            let world = &shared.0;
            assert_eq!(labels(&answers[0]), ["true_positive"]);
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
            assert_eq!(state_of(world, &alice.token).await, state);
            let told = [events(world, "token.leaked").await, events(world, kind).await];
            assert_eq!(told.map(|told| told.len()), [1, 1], "{act}");
        }
    }
}

#[tokio::test]
async fn no_answer_and_no_event_repeats_a_token_or_what_moves_a_cursor() {
    let github = Github::new();
    let (world, alice) = on(Engine::Memory, &github).await;
    let mut alert = alert(&alice.secret);
    alert["type"] = json!(format!("x {}", alice.secret));
    alert["source"] = json!("a\u{1b}[2Jb");
    let answer = github.report(&world, &json!([alert])).await.expect(200);
    assert!(!answer.to_string().contains(&alice.secret), "{answer}");
    assert_eq!(
        (labels(&answer), &answer[0]["token_type"]),
        (vec!["true_positive"], &json!("unknown"))
    );
    let told = events(&world, "token.leaked").await;
    assert_eq!((told.len(), &told[0]["detail"]["source"]), (1, &Value::Null));
}

#[tokio::test]
async fn without_a_good_signature_nobody_learns_or_does_anything() {
    for engine in Engine::ALL {
        let github = Github::new();
        let (world, alice) = on(engine, &github).await;
        let body = json!([alert(&alice.secret)]).to_string().into_bytes();
        let altered = json!([alert(&alice.secret), alert("x")]).to_string().into_bytes();
        let good = github.signature(&body);
        let other = Github::new().signature(&body);
        let (id, signed) = ("github-public-key-identifier", "github-public-key-signature");
        let mut answers = Vec::new();
        for (body, headers) in [
            (&body, vec![]),
            (&body, vec![(id, "k1")]),
            (&body, vec![(id, "k1"), (signed, "")]),
            (&body, vec![(id, "k1"), (signed, "AAAA")]),
            (&body, vec![(id, "k1"), (signed, other.as_str())]),
            (&body, vec![(id, "k2"), (signed, good.as_str())]),
            (&body, vec![(id, "k1"), (id, "k1"), (signed, good.as_str())]),
            (&altered, vec![(id, "k1"), (signed, good.as_str())]),
            (&b"[not even json".to_vec(), vec![(id, "k1"), (signed, good.as_str())]),
        ] {
            let mut answer = send(&world, body, &headers).await.refused(401, "unauthenticated");
            answer["request_id"].take();
            answers.push(answer);
        }
        assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
        assert_eq!(state_of(&world, &alice.token).await, "active");
        assert_eq!(events(&world, "token.leaked").await.len(), 0);
        let refused = events(&world, "leak.refused").await;
        let count = |reason: &str| refused.iter().filter(|one| one["reason"] == reason).count();
        assert_eq!((count("unsigned"), count("unknown_key"), count("bad_signature")), (3, 1, 5));
        // A key that is published later is asked for, once a minute.
        github.publish("k2");
        let headers = [(id, "k2"), (signed, good.as_str())];
        send(&world, &body, &headers).await.refused(401, "unauthenticated");
        world.clock.advance_seconds(60);
        send(&world, &body, &headers).await.expect(200);
        assert_eq!(state_of(&world, &alice.token).await, "revoked");
    }
}

#[tokio::test]
async fn a_report_has_bounds_and_the_door_is_shut_unless_it_is_opened() {
    let github = Github::new();
    let (world, alice) = on(Engine::Memory, &github).await;
    let many: Vec<Value> = (0..1001).map(|_| alert("x")).collect();
    github.report(&world, &json!(many)).await.refused(422, "invalid");
    assert_eq!(labels(&github.report(&world, &json!(many[..1000])).await.expect(200)).len(), 1000);
    let huge = vec![b' '; 5 << 20];
    send(&world, &huge, &[]).await.refused(413, "body-too-large");
    for body in [json!({}), json!([1]), json!([{ "token": 1, "type": "x" }]), json!([{}])] {
        let answer = github.report(&world, &body).await;
        assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
    }
    // What GitHub adds some day is no reason to refuse.
    let mut more = alert(&alice.secret);
    more["colour"] = json!("red");
    more["url"] = json!(null);
    github.report(&world, &json!([more])).await.expect(200);
    assert_eq!(state_of(&world, &alice.token).await, "revoked");
    let shut = World::new().await;
    let before = shut.send("POST", "/api/v1/leaks/nothing", &[], None).await;
    let answer = send(&shut, b"[]", &[]).await;
    assert_eq!((answer.status, before.status), (404, 404));
}

#[tokio::test]
async fn a_store_that_is_down_is_no_label_and_the_report_can_be_sent_again() {
    let github = Github::new();
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let world = World::over(Arc::clone(&store) as Arc<dyn Store>, github.settings()).await;
    let alice = world.with_alice().await;
    let alerts = json!([alert(&alice.secret)]);
    let mut failed = 0;
    loop {
        store.fail_nth(failed + 1);
        let answer = github.report(&world, &alerts).await;
        let calls = store.calls().len();
        store.heal();
        if calls < failed + 1 {
            assert_eq!(labels(&answer.expect(200)), ["true_positive"]);
            break;
        }
        answer.problem(503);
        failed += 1;
    }
    assert!(failed >= 3, "only {failed} calls could fail");
    assert_eq!(state_of(&world, &alice.token).await, "revoked");
    // What broke off left nothing behind, so it is told once.
    assert_eq!(events(&world, "token.leaked").await.len(), 1);
    assert_eq!(events(&world, "token.revoked").await.len(), 1);
}

/// A decoy of a person; its id and secret.
async fn decoy(world: &World, disguise: &str) -> (String, String) {
    let body = json!({ "kind": "decoy", "user": "alice", "name": "in the wiki",
        "disguise": disguise });
    let made = world.post(&format!("{R}/tokens"), body).await.expect(201);
    assert_eq!(made["token"]["kind"], "decoy");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["token"]["id"]), text(&made["secret"]))
}

#[tokio::test]
async fn a_decoy_is_refused_like_a_string_that_was_never_a_token_and_tells_who_presented_it() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let (id, secret) = decoy(&world, "personal_access_token").await;
        assert!(secret.starts_with("cflp_"));
        // Right in its form, and no token of this installation.
        let never = never_issued();
        let said = async |presented: &str| {
            let verify = format!("{R}/verify");
            let body = json!({ "token": presented, "service": "git" });
            let verified = world.call(&alice.gate, "POST", &verify, body).await.expect(200);
            let mut held =
                world.call(presented, "GET", "/api/v1/self", Value::Null).await.problem(401);
            held["request_id"].take();
            let form = format!("token={presented}");
            let headers = [
                ("content-type", "application/x-www-form-urlencoded"),
                ("authorization", &*format!("Bearer {}", alice.gate)),
            ];
            let asked =
                world.send("POST", "/oauth2/introspect", &headers, Some(form.into_bytes())).await;
            (verified, held, asked.status, asked.body)
        };
        assert_eq!(said(&secret).await, said(&never).await);
        let told = events(&world, "token.decoy-used").await;
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().all(|one| one["token"] == json!(id)));
        assert!(
            told.iter().all(|one| one["subject"] == "user:alice" && one["source"] == "127.0.0.1")
        );
        let doors: std::collections::BTreeSet<_> =
            told.iter().map(|one| one["door"].as_str().unwrap()).collect();
        assert_eq!(doors.into_iter().collect::<Vec<_>>(), ["api", "oauth"]);
        // It is nobody's to use, rotate or give an end to; and it never counts.
        world.post(&format!("{R}/tokens/{id}/rotate"), json!({})).await.refused(422, "invalid");
        world.patch(R, json!({ "token_policy": { "max_active_per_user": 2 } })).await.expect(200);
        let more = json!({ "kind": "personal_access_token", "user": "alice", "services": ["git"] });
        world.post(&format!("{R}/tokens"), more.clone()).await.expect(201);
        world.post(&format!("{R}/tokens"), more).await.problem(409);
        world.post(&format!("{R}/tokens/{id}/revoke"), json!({})).await.expect(200);
        said(&secret).await;
        assert_eq!(events(&world, "token.decoy-used").await.len(), 3);
    }
}

/// A token string that no server made.
fn never_issued() -> String {
    use counterfoil_authority::kind::Kind;
    use counterfoil_authority::secret::{Prefix, TokenId, generate_prefixed};
    use counterfoil_authority::testing::SeededEntropy;
    let entropy = SeededEntropy::new(99);
    let id = TokenId::generate(&entropy).unwrap();
    let kind = Kind::PersonalAccessToken;
    generate_prefixed(&Prefix::default(), kind, id, &entropy).unwrap().reveal().to_owned()
}

#[tokio::test]
async fn every_way_to_present_a_decoy_raises_its_alarm() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        world.with_alice().await;
        let (_, secret) = decoy(&world, "registration_token").await;
        assert!(secret.starts_with("cflr_"));
        let mut expected = 0;
        let mut tried = async |what: &str, status: u16, found: u16| {
            expected += 1;
            assert_eq!(found, status, "{what}");
            assert_eq!(events(&world, "token.decoy-used").await.len(), expected, "{what}");
        };
        let path = format!("{R}/enrol");
        let enrol = world.call(&secret, "POST", &path, json!({ "subject": "d" }));
        tried("enrol", 401, enrol.await.status).await;
        let credentials = json!({ "credentials": [secret] }).to_string().into_bytes();
        let json = [("content-type", "application/json")];
        let revoke = world.send("POST", "/api/v1/credentials/revoke", &json, Some(credentials));
        tried("revoke by possession", 202, revoke.await.status).await;
        let basic = format!("Basic {}", STANDARD.encode(format!("alice:{secret}")));
        let authz = world.send("GET", "/authz/git/x", &[("authorization", &basic)], None).await;
        tried("forward-auth", 401, authz.status).await;
        let form = format!("grant_type=refresh_token&refresh_token={secret}").into_bytes();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let refresh = world.send("POST", "/oauth2/token", &headers, Some(form)).await;
        tried("refresh", 400, refresh.status).await;
    }
}

#[tokio::test]
async fn only_what_makes_sense_is_a_decoy() {
    let world = World::new().await;
    world.user("alice").await;
    let tokens = format!("{R}/tokens");
    for more in [
        json!({ "disguise": "link" }),
        json!({ "disguise": "auth_token" }),
        json!({ "max_usages": 1 }),
        json!({ "delivery": "link" }),
    ] {
        let mut body = json!({ "kind": "decoy", "user": "alice" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.post(&tokens, body).await.refused(422, "invalid");
    }
    let body = json!({ "kind": "personal_access_token", "user": "alice", "services": ["*"],
        "disguise": "service_token" });
    world.post(&tokens, body).await.refused(422, "invalid");
}

#[tokio::test]
async fn an_alarm_locks_where_the_policy_says_so_and_only_there() {
    for engine in Engine::ALL {
        let other = Some(json!(["link_reopened"]));
        let this = Some(json!(["retired_secret"]));
        for (act, state) in [(None, "active"), (other, "active"), (this, "locked")] {
            let world = World::on(engine).await;
            let alice = world.with_alice().await;
            if let Some(act) = &act {
                let body = json!({ "token_policy": { "alarms": { "lock_on": act } } });
                world.patch(&format!("{R}/services/git"), body).await.expect(200);
            }
            let rotate = format!("{R}/tokens/{}/rotate", alice.token);
            world.post(&rotate, json!({ "overlap_seconds": 0 })).await.expect(200);
            let body = json!({ "token": alice.secret, "service": "git", "client_ip": "192.0.2.7" });
            let verify = format!("{R}/verify");
            world.call(&alice.gate, "POST", &verify, body.clone()).await.expect(200);
            let told = events(&world, "token.retired-secret-used").await;
            assert_eq!(told.len(), 1);
            assert_eq!(
                (&told[0]["subject"], &told[0]["source"]),
                (&json!("user:alice"), &json!("192.0.2.7"))
            );
            assert_eq!(state_of(&world, &alice.token).await, state, "{act:?}");
        }
        // A right secret raises none, whatever the policy.
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        let body = json!({ "token_policy": { "alarms": { "lock_on": ["retired_secret"] } } });
        world.patch(R, body).await.expect(200);
        let body = json!({ "token": alice.secret, "service": "git" });
        world.call(&alice.gate, "POST", &format!("{R}/verify"), body).await.expect(200);
        assert_eq!(events(&world, "token.retired-secret-used").await.len(), 0);
        assert_eq!(state_of(&world, &alice.token).await, "active");
    }
}

#[tokio::test]
async fn the_blast_radius_says_who_uses_a_token_from_where_and_for_what() {
    for engine in Engine::ALL {
        let world = World::on(engine).await;
        let alice = world.with_alice().await;
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.2"] {
            let body = json!({ "token": alice.secret, "service": "git", "client_ip": address });
            world.call(&alice.gate, "POST", &format!("{R}/verify"), body).await.expect(200);
            world.authority.flush_usage().await.unwrap();
            world.clock.advance_seconds(86_400);
        }
        let path = format!("{R}/tokens/{}/blast-radius", alice.token);
        let radius = world.get(&path).await.expect(200);
        assert_eq!((&radius["user"], &radius["services"]), (&json!("alice"), &json!(["git"])));
        assert_eq!((&radius["usage_total"], &radius["derived"]), (&json!(3), &json!(0)));
        let doors = radius["doors"].as_array().unwrap();
        assert_eq!(doors.len(), 1, "{radius}");
        assert_eq!((&doors[0]["door"], &doors[0]["uses"]), (&json!("api"), &json!(3)));
        assert_eq!(doors[0]["addresses"], json!(["192.0.2.2", "192.0.2.1"]));
        assert_eq!(radius["directories"], json!([]));
    }
}
