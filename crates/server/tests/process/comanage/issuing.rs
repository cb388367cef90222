//! Issuing as people do it for themselves: forms (A1), what is left of a secret (A2), who is
//! refused (A16), and many at once (A17).

use std::sync::Barrier;
use std::thread;

use ldap3_proto::proto::LdapResultCode;
use serde_json::{Value, json};

use super::{Needles, OWN, ask_token, is_good, nothing_in_files, person, set_policy, single};
use crate::ldap;
use crate::wire::{Answer, Api, Request};
use crate::world::{Issued, UNTHROTTLED, World, authz, merged, service, user};

/// Issues at the same time in A17.
const AT_ONCE: usize = 100;
/// COmanage's 35 letters and digits: no capitals, and no `l`.
const AG_LETTERS: &str = "abcdefghijkmnopqrstuvwxyz0123456789";

/// Whether a text is so many groups of four of COmanage's letters, the last one perhaps shorter.
fn is_grouped(secret: &str, symbols: usize) -> bool {
    let groups: Vec<&str> = secret.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let whole = lengths[..lengths.len() - 1].iter().all(|length| *length == 4);
    let last = *lengths.last().unwrap();
    let known = groups.concat().chars().all(|symbol| AG_LETTERS.contains(symbol));
    whole && (1..=4).contains(&last) && lengths.iter().sum::<usize>() == symbols && known
}

fn is_plain(secret: &str, symbols: usize) -> bool {
    secret.len() == symbols && secret.chars().all(|symbol| symbol.is_ascii_alphanumeric())
}

/// Pat Lee with the services `wiki` and `imap`, where a person has one token at a time.
fn furnished(world: &World) -> Api {
    user(&world.admin, "plee");
    for label in ["wiki", "imap"] {
        service(&world.admin, label, &json!({ "token_policy": single(&json!({})) }));
    }
    person(world, "plee", &OWN)
}

/// Issues as the person, and checks that the secret is good.
#[track_caller]
fn issued(world: &World, plee: &Api, service: &str) -> Issued {
    let issued = Issued::of(&ask_token(plee, "plee", service).expect(201));
    assert!(is_good(world, ("plee", service, &issued.secret)), "{}", issued.secret);
    issued
}

#[test]
fn a1_issued_tokens_have_the_form_and_the_length_that_their_service_asks_for() {
    for world in World::on_each_store(UNTHROTTLED) {
        let plee = furnished(&world);
        for label in ["wiki", "imap"] {
            set_policy(&world, label, &json!({ "form": "plain15" }));
            let secret = issued(&world, &plee, label).secret;
            assert!(is_plain(&secret, 15), "{secret}");
        }
        set_policy(&world, "wiki", &json!({ "form": "plain08" }));
        let secret = issued(&world, &plee, "wiki").secret;
        assert!(is_plain(&secret, 8), "{secret}");
        set_policy(&world, "wiki", &json!({ "form": "ag" }));
        let secret = issued(&world, &plee, "wiki").secret;
        assert!(is_grouped(&secret, 16) && secret.len() == 19, "{secret}");
        for length in 8..=64 {
            set_policy(&world, "wiki", &json!({ "form": "ag", "length": length }));
            let secret = issued(&world, &plee, "wiki").secret;
            assert!(is_grouped(&secret, length), "{length}: {secret}");
        }
    }
}

/// Everything that the person, the administrator and the metrics tell, again and again.
fn read_everything(world: &World, plee: &Api, tokens: &[Issued]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for api in [plee, &world.admin] {
        for path in ["/tokens?limit=1000", "/tokens?user=plee&kind=service_token"] {
            answers.push(api.get(path));
        }
        for token in tokens {
            for rest in ["", "/usage", "/events", "/children", "/blast-radius", ""] {
                answers.push(api.get(&token.path(rest)));
            }
        }
    }
    for path in ["/events?limit=1000", "/users/plee", "/services/wiki", "/clients", "/grants"] {
        answers.push(world.admin.get(path));
    }
    answers.push(world.admin.send(Request::new("GET", "/metrics")));
    assert!(answers.iter().filter(|answer| answer.status == 200).count() > tokens.len() * 4);
    answers
}

/// Presents the secret rightly and wrongly at every door, and keeps what was answered.
fn present(world: &World, service: &str, secret: &str) -> Vec<Answer> {
    let question = json!({ "token": secret, "username": "plee", "service": service });
    let elsewhere = merged(question.clone(), &json!({ "service": "git" }));
    let mut door = world.ldap();
    assert_eq!(door.bind(&ldap::person("plee", service), secret), LdapResultCode::Success);
    assert_ne!(door.bind(&ldap::person("plee", "git"), secret), LdapResultCode::Success);
    vec![
        world.admin.post("/verify", &question),
        world.admin.post("/verify", &elsewhere),
        world.admin.raw(&authz(&format!("{service}/x"), "plee", secret)),
        world.admin.raw(&authz("git/x", "plee", secret)),
        world.admin.raw(&Request::new("GET", "/api/v1/self").bearer(secret)),
        world.admin.post("/tokens", &json!({ "kind": "service_token", "name": secret })),
    ]
}

#[test]
fn a2_a_token_is_in_one_answer_and_in_no_other_and_in_no_file() {
    let settings = format!("{UNTHROTTLED}\nlog.level = \"trace\"");
    for mut world in World::on_each_store(&settings) {
        let plee = furnished(&world);
        let (mut tokens, mut answers) = (Vec::new(), Vec::new());
        for form in ["plain15", "plain08", "ag", "grouped", "prefixed"] {
            let label = format!("of-{form}");
            let policy = json!({ "token_policy": single(&json!({ "form": form })) });
            service(&world.admin, &label, &policy);
            // A second time, because the first one is replaced and its end recorded.
            for _ in 0..2 {
                let answer = ask_token(&plee, "plee", &label);
                let token = Issued::of(&answer.expect(201));
                answers.push(answer);
                answers.extend(present(&world, &label, &token.secret));
                tokens.push(token);
            }
        }
        answers.extend(read_everything(&world, &plee, &tokens));
        for token in &tokens {
            let needle = Needles::of([token.secret.as_str()]);
            let holders = answers.iter().filter(|answer| needle.find(&answer.body).is_some());
            let with_headers = answers.iter().filter(|answer| {
                answer.headers.iter().any(|(_, value)| needle.find(value.as_bytes()).is_some())
            });
            assert_eq!(holders.count(), 1, "{} is in several answers", token.secret);
            assert_eq!(with_headers.count(), 0, "{} is in a header", token.secret);
        }
        let secrets = Needles::of(tokens.iter().map(|token| token.secret.as_str()));
        nothing_in_files(&mut world, &secrets, "of-plain15");
    }
}

/// What a refusal to issue comes to: its status and class, and no token.
#[track_caller]
fn refused(plee: &Api, service: &str) -> (u16, String) {
    let answer = ask_token(plee, "plee", service);
    let body = answer.json();
    assert!(body["secret"].is_null() && body["token"].is_null(), "{body}");
    (answer.status, body["type"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a16_who_may_have_no_token_there_is_refused_and_has_none_afterwards() {
    let not_open = (409, "/problems/not-open".to_owned());
    for world in World::on_each_store(UNTHROTTLED) {
        let admin = &world.admin;
        let plee = furnished(&world);
        set_policy(&world, "wiki", &json!({ "enabled": false }));
        assert_eq!(refused(&plee, "wiki"), not_open, "the setting is off");
        assert_eq!(refused(admin, "wiki"), not_open, "for the administrator too");
        admin.patch("/services/imap", &json!({ "status": "suspended" })).expect(200);
        assert_eq!(refused(&plee, "imap"), not_open, "the service is suspended");
        admin.post("/groups", &json!({ "name": "hpc-users" })).expect(201);
        service(admin, "hpc", &json!({ "group": "hpc-users" }));
        assert_eq!(refused(&plee, "hpc"), not_open, "not in the group");
        let pat = json!({ "kind": "personal_access_token", "name": "x", "services": ["hpc"] });
        plee.post("/tokens", &pat).expect(409);

        admin.post("/api/v1/realms", &json!({ "name": "other" })).expect(201);
        let there = "/api/v1/realms/other";
        let vault = json!({ "label": "vault", "name": "Vault" });
        admin.post(&format!("{there}/services"), &vault).expect(201);
        let foreign = refused(&plee, "vault");
        assert_eq!(foreign, refused(&plee, "no-such"), "as one that does not exist");
        assert_eq!(foreign, (422, "/problems/invalid".to_owned()));
        let body = json!({ "kind": "service_token", "user": "plee", "service": "vault" });
        plee.post(&format!("{there}/tokens"), &body).expect(404);

        let has = |api: &Api| {
            let page = api.get("/tokens?user=plee&kind=service_token").expect(200);
            page["items"].as_array().unwrap().len()
        };
        assert_eq!(has(admin), 0);
        // Nothing but this stood in the way.
        let membership =
            Request::new("PUT", crate::wire::below_main("/groups/hpc-users/members/plee"));
        assert_eq!(admin.send(membership).status, 204);
        set_policy(&world, "wiki", &json!({ "enabled": true }));
        admin.patch("/services/imap", &json!({ "status": "active" })).expect(200);
        for label in ["wiki", "imap", "hpc"] {
            issued(&world, &plee, label);
        }
        assert_eq!(has(&plee), 3);
    }
}

/// Issues at the same time, each over its own connection.
fn at_once(plee: &Api) -> Vec<Answer> {
    let start = &Barrier::new(AT_ONCE);
    thread::scope(|scope| {
        let one = |api: Api| {
            move || {
                start.wait();
                ask_token(&api, "plee", "wiki")
            }
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(one(plee.clone()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The tokens of a person for `wiki` that are active.
fn active(world: &World) -> Vec<Value> {
    let page = world.admin.get("/tokens?user=plee&service=wiki&state=active&limit=1000");
    page.expect(200)["items"].as_array().unwrap().clone()
}

#[test]
fn a17_of_a_hundred_issues_at_once_exactly_one_token_is_good_afterwards() {
    for world in World::on_each_store(UNTHROTTLED) {
        let plee = furnished(&world);
        for (form, at_limit) in [
            ("grouped", "replace_oldest"),
            ("plain15", "replace_oldest"),
            ("grouped", "refuse"),
            ("plain15", "refuse"),
        ] {
            for token in active(&world) {
                let id = token["id"].as_str().unwrap();
                world.admin.post(&format!("/tokens/{id}/revoke"), &json!({})).expect(200);
            }
            set_policy(&world, "wiki", &json!({ "form": form, "at_limit": at_limit }));
            let answers = at_once(&plee);
            let made: Vec<Issued> = answers
                .iter()
                .filter(|answer| answer.status == 201)
                .map(|answer| Issued::of(&answer.json()))
                .collect();
            // The queue of slow hashes may be full: nothing happened then.
            let others = answers.iter().map(|answer| answer.status).filter(|one| *one != 201);
            assert!(others.clone().all(|one| [409, 503].contains(&one)), "{form} {at_limit}");
            match (form, at_limit) {
                ("grouped", "replace_oldest") => assert_eq!(made.len(), AT_ONCE),
                (_, "refuse") => assert_eq!(made.len(), 1, "{form}"),
                _ => assert!(!made.is_empty()),
            }
            let left = active(&world);
            assert_eq!(left.len(), 1, "{form} {at_limit}");
            let good = made.iter().filter(|one| is_good(&world, ("plee", "wiki", &one.secret)));
            let good: Vec<&str> = good.map(|one| one.id.as_str()).collect();
            assert_eq!(good, [left[0]["id"].as_str().unwrap()], "{form} {at_limit}");
        }
    }
}
