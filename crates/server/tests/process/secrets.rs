//! A clear secret exists in one request and one answer, and nowhere else afterwards.

mod elsewhere;
mod files;
mod needles;
mod stock;
mod taken_over;

use std::io::Write as _;

use serde_json::{Value, json};

use self::elsewhere::Elsewhere;
use self::needles::Needles;
use crate::harness::{files_below, long};
use crate::oauth::{DOOR, posted};
use crate::wire::{Api, MAIN, Request, below_main};
use crate::world::{Issued, World, authz, merged, pat_body, service, verify};

/// Secrets made by the test, at least.
const SECRETS_MIN: usize = 1000;
/// How often each way to get one is gone, and how often in a run that may take long.
const ROUNDS: u32 = 45;
const ROUNDS_LONG: u32 = 1000;
/// Tokens that each round leaves in the list, at least.
const LISTED_MIN: usize = 3;
/// Everything that the server can say, and no delays.
const TALKATIVE: &str = "log.level = \"trace\"\nabuse.throttle = false";
/// Two repositories: data that is a secret, and data that is shown again.
const REPOSITORIES: &str = "
[repository.pin]
kind = \"credential\"
services = [\"mail\"]
[repository.pin.attributes]
data = { write_only = true }
[repository.card]
kind = \"token\"
max_tokens_per_user = 9
activation_letter = true
[repository.card.attributes]
serialId = {}
[repository.vault]
kind = \"credential\"
[repository.vault.attributes]
data = {}
";
fn rounds() -> u32 {
    if long() { ROUNDS_LONG } else { ROUNDS }
}

/// Issues in all the ways in which secrets are made. Half of the tokens twice, with a key that
/// makes the second time a repetition.
fn issue_all(world: &World) -> Needles {
    let admin = &world.admin;
    service(admin, "mail", &json!({}));
    service(admin, "wiki", &json!({ "token_policy": { "form": "prefixed" } }));
    let mut needles = Needles::default();
    let kinds = [
        pat_body(&json!({})),
        json!({ "kind": "service_token", "user": "alice", "name": "phone", "service": "mail" }),
        json!({ "kind": "service_token", "user": "alice", "name": "bot", "service": "wiki" }),
    ];
    for round in 0..rounds() {
        for (number, body) in kinds.iter().enumerate() {
            let body = merged(body.clone(), &json!({ "name": format!("t-{round}-{number}") }));
            let key = format!("issue-{round}-{number}");
            let ask = || {
                let request = Request::new("POST", below_main("/tokens")).json(&body);
                admin.send(request.header("Idempotency-Key", key.as_bytes()))
            };
            let first = ask();
            let token = Issued::of(&first.expect(201));
            if round.is_multiple_of(2) {
                assert_eq!(ask().body, first.body, "a repetition answers the same");
            }
            needles.add(&token.secret);
            rotate(admin, &token, &key, &mut needles);
        }
        let decoy = json!({ "kind": "decoy", "user": "alice", "disguise": "service_token" });
        needles.add(&Issued::of(&admin.post("/tokens", &decoy).expect(201)).secret);
        deliver_by_link(world, round, &mut needles);
        let body = json!({ "name": format!("client-{round}"), "roles": ["verifier"],
            "services": ["git"] });
        let made = admin.post("/clients", &body).expect(201);
        needles.add(made["secret"].as_str().unwrap());
        enrol_authenticators(admin, round, &mut needles);
        draw(admin, round, &mut needles);
        grant(admin, round, &token_of(&made), &mut needles);
        decide(world, round, &token_of(&made), &mut needles);
    }
    keep_data(world, &mut needles);
    stock::take_over(admin, &mut needles);
    needles
}

/// Seeds and codes, each shown once, of which one is used.
fn enrol_authenticators(admin: &Api, round: u32, needles: &mut Needles) {
    let wish =
        |method: &str| json!({ "kind": "generic", "user": "alice", "otp": { "method": method } });
    for method in ["totp", "hotp"] {
        let request = Request::new("POST", below_main("/tokens")).json(&wish(method));
        let request = request.header("Idempotency-Key", format!("{method}-{round}"));
        let enrolled = admin.send(request).expect(201);
        let uri = enrolled["otpauth_uri"].as_str().unwrap();
        let seed = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
        needles.add_seed_or_code(seed);
    }
    let sheet = admin.post("/tokens", &wish("backup")).expect(201);
    for code in sheet["codes"].as_array().unwrap() {
        needles.add_seed_or_code(code.as_str().unwrap());
    }
    let code = sheet["codes"][0].as_str().unwrap();
    let used = json!({ "user": "alice", "pass": code });
    let said = admin.send(Request::new("POST", "/validate/check").json(&used)).expect(200);
    assert_eq!(said["result"]["value"], true);
}

/// Data of repositories, chosen by whoever creates the token: hashed, or sealed and shown again.
fn keep_data(world: &World, needles: &mut Needles) {
    let admin = &world.admin;
    for kind in ["pin", "vault"] {
        let path = format!("/auth-admin/rest/users/alice/tokens/generic/{kind}");
        // As random as a token's secret, and no token.
        let chosen = || {
            let letters: String = world.pat().secret.chars().rev().take(24).collect();
            format!("~{letters}")
        };
        let (first, second) = (chosen(), chosen());
        let write = |data: &str| json!({ "data": { "attributes": { "data": data } } });
        admin.send(Request::new("POST", &path).json(&write(&first))).expect(201);
        let one = format!("{path}/alice-current");
        admin.send(Request::new("PATCH", &one).json(&write(&second))).expect(200);
        let shown = admin.send(Request::new("GET", &one)).expect(200);
        let data = &shown["data"]["attributes"]["data"];
        assert_eq!(data.as_str(), (kind == "vault").then_some(&*second));
        if kind == "pin" {
            let question = json!({ "token": second, "username": "alice", "service": "mail" });
            assert_eq!(admin.post("/verify", &question).expect(200)["active"], true);
        }
        // Also where it does not belong.
        let wrong = json!({ "data": { "attributes": { (first.as_str()): second } } });
        assert!(admin.send(Request::new("PATCH", &one).json(&wrong)).status >= 400);
        needles.add(&first);
        needles.add(&second);
    }
}

fn token_of(made: &Value) -> String {
    made["secret"].as_str().unwrap().to_owned()
}

/// A session of the AM door, and a token in a resource; each also where it does not belong.
fn decide(world: &World, round: u32, key: &str, needles: &mut Needles) {
    let admin = &world.admin;
    let made = Request::new("POST", "/openam/json/authenticate")
        .header("X-OpenAM-Username", format!("client-{round}"))
        .header("X-OpenAM-Password", key)
        .body("{}");
    let session = admin.raw(&made).expect(200)["tokenId"].as_str().unwrap().to_owned();
    needles.add(&session);
    let token = world.pat();
    needles.add(&token.secret);
    let body = json!({ "resources": [format!("pat://alice:{}", token.secret)],
        "application": "PATValidator" });
    let under = |target: &str| {
        let request = Request::new("POST", target).header("iPlanetDirectoryPro", &*session);
        admin.raw(&request.json(&body))
    };
    let decided = under("/openam/json/policies?_action=evaluate").expect(200);
    assert_eq!(decided[0]["actions"]["access"], true);
    for secret in [&session, &token.secret] {
        assert!(under(&format!("/openam/json/{secret}/policies?_action=evaluate")).status >= 400);
        assert!(under(&format!("/json/policies/{secret}?_action={secret}")).status >= 400);
        assert!(under(&format!("/json/users/{secret}")).status >= 400);
    }
    under(&format!("/am/json/sessions/{session}?_action=logout")).expect(200);
}

/// What the OAuth door makes: access tokens of both forms, registered clients, refreshes, and
/// links between them; each is then presented where it does not belong.
fn grant(admin: &Api, round: u32, key: &str, needles: &mut Needles) {
    let token = |pairs: &[(&str, &str)]| admin.raw(&posted(&format!("{DOOR}/token"), pairs));
    let name = format!("client-{round}");
    let own = [("grant_type", "client_credentials"), ("client_id", &name), ("client_secret", key)];
    let access = token(&own).expect(200)["access_token"].as_str().unwrap().to_owned();
    needles.add_access(&access);
    let body = json!({ "kind": "registration_token", "services": ["git"], "count": 1,
        "stamp": { "access_token": "opaque" } });
    let issued = Issued::of(&admin.post("/tokens", &body).expect(201));
    needles.add(&issued.secret);
    let register = "/realms/main/clients-registrations/openid-connect";
    let register = Request::new("POST", register).bearer(&issued.secret);
    let made = admin.raw(&register.json(&json!({ "client_name": "till" }))).expect(201);
    let secret = made["client_secret"].as_str().unwrap();
    needles.add(secret);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", secret)];
    let fresh = token(&refresh).expect(200);
    needles.add(fresh["refresh_token"].as_str().unwrap());
    let opaque = fresh["access_token"].as_str().unwrap();
    needles.add_access(opaque);
    if !round.is_multiple_of(20) {
        return;
    }
    for secret in [key, &access, secret, opaque, &issued.secret] {
        let wrong: [&[(&str, &str)]; 6] = [
            &[("grant_type", secret)],
            &[("grant_type", "client_credentials"), ("client_id", secret), ("scope", secret)],
            &[("grant_type", "refresh_token"), ("refresh_token", secret), ("scope", secret)],
            &[("grant_type", "password"), ("username", secret), ("password", secret)],
            &[(secret, secret), (secret, secret)],
            &[own[0], own[1], own[2], ("audience", secret)],
        ];
        for pairs in wrong {
            token(pairs);
        }
        admin.raw(&posted(&format!("{DOOR}/token/introspect"), &[("token", secret)]));
        admin.raw(&posted(&format!("{DOOR}/revoke?token={secret}"), &[("tokn", secret)]));
        let metadata = format!("/realms/{secret}/.well-known/openid-configuration");
        admin.raw(&Request::new("GET", metadata));
        let proof = Request::new("GET", "/api/v1/self");
        let proof = proof.header("Authorization", format!("DPoP {secret}"));
        admin.raw(&proof.header("DPoP", secret.as_bytes()));
    }
}

/// Registration tokens, what is drawn from them at once and after approval, each twice.
fn draw(admin: &Api, round: u32, needles: &mut Needles) {
    for approval in ["automatic", "required"] {
        let body = json!({ "kind": "registration_token", "count": 3, "approval": approval });
        let token = Issued::of(&admin.post("/tokens", &body).expect(201));
        needles.add(&token.secret);
        let ask = || {
            let request = Request::new("POST", below_main("/enrol")).bearer(&token.secret);
            let request = request.json(&json!({ "subject": format!("device-{round}") }));
            admin.raw(&request.header("Idempotency-Key", "once"))
        };
        let first = ask();
        assert_eq!(ask().body, first.body, "a repetition answers the same");
        let mut said = first.json();
        if let Some(code) = said["device_code"].as_str() {
            needles.add(code);
            let children = admin.get(&token.path("/children")).expect(200);
            let id = children["items"][0]["id"].as_str().unwrap();
            admin.post(&format!("/tokens/{id}/approve"), &json!({})).expect(200);
            let poll = Request::new("POST", below_main("/enrol/poll")).bearer(code);
            let once = admin.raw(&poll.clone().json(&json!({}))).expect(201);
            said = admin.raw(&poll.json(&json!({}))).expect(201);
            assert_eq!(said["refresh_token"], once["refresh_token"]);
        }
        needles.add(said["refresh_token"].as_str().unwrap());
        needles.add_access(said["access_token"].as_str().unwrap());
    }
}

/// Issues by a link, opens it, and presents it again: the link and the secret behind it.
fn deliver_by_link(world: &World, round: u32, needles: &mut Needles) {
    let body = json!({ "kind": "service_token", "user": "alice", "service": "mail",
        "name": format!("l-{round}"), "delivery": "link" });
    let issued = world.admin.post("/tokens", &body).expect(201);
    let link = issued["link"].as_str().unwrap();
    needles.add(link.rsplit_once('#').unwrap().1);
    if round.is_multiple_of(2) {
        let open = Request::new("POST", "/api/v1/links/open").json(&json!({ "link": link }));
        let opened = world.admin.raw(&open).expect(200);
        needles.add(opened["secret"].as_str().unwrap());
        assert_eq!(world.admin.raw(&open).status, 410);
    }
}

/// Rotates, with and without repetition, and uses what came out.
fn rotate(admin: &Api, token: &Issued, key: &str, needles: &mut Needles) {
    let ask = |number: u32| {
        let request = Request::new("POST", below_main(&token.path("/rotate"))).json(&json!({}));
        admin.send(request.header("Idempotency-Key", format!("{key}-{number}")))
    };
    let first = ask(1);
    let rotated = Issued::of(&first.expect(200));
    assert_eq!(ask(1).body, first.body, "a repetition answers the same");
    needles.add(&rotated.secret);
    // What is derived, from that in turn, and the same again under its key.
    let mut parent = rotated.secret.clone();
    for _ in 0..2 {
        let derive = Request::new("POST", "/api/v1/self/derive").bearer(&parent);
        let derive = derive.json(&json!({})).header("Idempotency-Key", "derive");
        let derived = admin.raw(&derive);
        // Only personal access tokens hand something on.
        if derived.status != 201 {
            break;
        }
        assert_eq!(admin.raw(&derive).body, derived.body);
        parent = Issued::of(&derived.json()).secret;
        needles.add(&parent);
    }
    needles.add(&Issued::of(&ask(2).expect(200)).secret);
}

/// Presents secrets rightly and in every wrong place that people and programs choose.
fn present_everywhere(world: &World, needles: &Needles) {
    let nobody = world.admin.with_key("");
    for secret in needles.secrets.iter().step_by(97) {
        verify(&world.verifier, secret).expect(200);
        let wrong_bodies = [
            json!({ "tokn": secret }),
            json!({ secret: "x" }),
            json!({ "token": [secret] }),
            json!({ "token": { "value": secret } }),
            json!({ "token": "x", "username": secret }),
            json!({ "token": "x", "service": secret }),
            json!({ "token": "x", "client_ip": secret }),
            json!({ "token": secret, "username": "bob" }),
        ];
        for body in wrong_bodies {
            world.verifier.post("/verify", &body);
        }
        world.admin.post("/tokens", &json!({ "kind": secret, "user": secret }));
        world.admin.post("/users", &json!({ "usrname": secret }));
        let requests = [
            authz("git", "alice", secret),
            authz("git", "bob", secret),
            authz("git", secret, ""),
            authz("git", secret, "x-oauth-basic"),
            authz("mail", "alice", secret),
            authz("git", "alice", &format!("{secret}x")),
            Request::new("GET", format!("/authz/git?token={secret}")),
            Request::new("GET", format!("/authz/{secret}")).bearer(secret),
            Request::new("GET", "/authz/git").header("X-API-Key", secret.as_bytes()),
            Request::new("GET", "/authz/git").bearer(secret),
            Request::new("GET", "/authz/git").header("Authorization", format!("Token {secret}")),
            Request::new("GET", "/authz/git").header("X-Request-Id", secret.as_bytes()),
            Request::new("GET", format!("{MAIN}/tokens/{secret}")).bearer(&world.admin.key),
            Request::new("GET", format!("{MAIN}/tokens?name={secret}")).bearer(&world.admin.key),
            Request::new("GET", format!("/{secret}")),
            // Any word can be sent as a method.
            Request::new(secret, "/authz/git"),
            Request::new("GET", "/api/v1/self").bearer(secret),
            Request::new("GET", format!("{MAIN}/users")).bearer(secret),
            Request::new("GET", "/metrics").bearer(secret),
            Request::new("POST", "/api/v1/leaks/github")
                .header("Github-Public-Key-Identifier", secret.as_bytes())
                .header("Github-Public-Key-Signature", secret.as_bytes())
                .json(&json!([{ "token": secret, "type": secret, "url": secret }])),
        ];
        for request in &requests {
            nobody.raw(request);
        }
        present_by_ldap(world, secret);
        taken_over::present_at_registry(world, secret);
    }
}

/// Binds with a secret as the password, and with it in every part of the name; then asks for it.
fn present_by_ldap(world: &World, secret: &str) {
    let base = "dc=counterfoil,dc=local";
    let mut ldap = world.ldap();
    for (name, password) in [
        (format!("uid=alice,ou=git,ou=services,{base}"), secret),
        (format!("uid=bob,ou=git,ou=services,{base}"), secret),
        (format!("uid={secret},ou=git,ou=services,{base}"), "x"),
        (format!("uid=alice,ou={secret},ou=services,{base}"), "x"),
        (format!("cn={secret},ou=clients,{base}"), secret),
        (format!("cn=git-verifier,ou=clients,{base}"), secret),
        (format!("{secret}=alice"), secret),
        (secret.to_owned(), secret),
        (String::new(), secret),
    ] {
        ldap.bind(&name, password);
    }
    ldap.bind(&format!("cn=git-verifier,ou=clients,{base}"), &world.verifier.key);
    ldap.search(base, &format!("(uid={secret})"), &[secret]);
    ldap.search(&format!("uid={secret},{base}"), "(objectClass=*)", &[]);
    ldap.extended(secret);
    // And as something that is no LDAP at all.
    ldap.stream.write_all(secret.as_bytes()).unwrap();
    ldap.receive();
}

/// Every list that an administrator can read, and the metrics.
fn listings(admin: &Api) -> Vec<(String, Vec<u8>)> {
    let lists = ["tokens", "clients", "events", "users", "services", "groups", "units", "grants"];
    let mut found = Vec::new();
    for list in lists {
        let mut cursor = String::new();
        loop {
            let answer = admin.get(&format!("/{list}?limit=1000{cursor}"));
            let page = answer.expect(200);
            found.push((list.to_owned(), answer.body));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
    }
    let metrics = admin.send(Request::new("GET", "/metrics"));
    assert_eq!(metrics.status, 200, "{}", metrics.text());
    found.push(("metrics".to_owned(), metrics.body));
    found
}

fn search_files(world: &World, needles: &Needles, when: &str) {
    let mut files = world.site.files();
    let mut wanted = vec!["stderr.log"];
    match &world.cluster {
        None => wanted.push("counterfoil.db"),
        // Its write-ahead log lies there too, and what it has logged.
        Some(cluster) => {
            files.extend(files_below(cluster.directory()));
            wanted.extend(["PG_VERSION", "000000010000000000000001"]);
        }
    }
    for wanted in wanted {
        let there = |path: &std::path::Path| path.to_string_lossy().ends_with(wanted);
        assert!(files.iter().any(|(path, _)| there(path)), "no {wanted} {when}");
    }
    for (path, bytes) in files {
        // The one clear secret ever on disk, which `serve` says itself.
        if path.file_name().is_some_and(|name| name != "admin-key") {
            needles.absent(&format!("{} {when}", path.display()), &bytes);
        }
    }
}

/// Everything that is kept of a thousand secrets, and what can be made of it.
fn nowhere_but_in_their_answers(make: fn(&str) -> World) {
    let kept_elsewhere = Elsewhere::start();
    let settings = format!("{TALKATIVE}\n{REPOSITORIES}{}", kept_elsewhere.settings());
    let mut world = make(&settings);
    let mut needles = issue_all(&world);
    assert!(needles.secrets.len() >= SECRETS_MIN, "only {}", needles.secrets.len());
    needles.add(&world.admin.key);
    needles.add(&world.verifier.key);
    taken_over::take_over(&world, &mut needles);
    present_everywhere(&world, &needles);
    kept_elsewhere.present(&world, &mut needles);

    let listings = listings(&world.admin);
    let tokens: usize = listings
        .iter()
        .filter(|(list, _)| list == "tokens")
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap())
        .map(|page| page["items"].as_array().map_or(0, Vec::len))
        .sum();
    let all = LISTED_MIN * rounds() as usize;
    assert!(tokens >= all, "the lists are read to their end: {tokens}");
    for (place, body) in &listings {
        needles.absent(place, body);
    }
    search_files(&world, &needles, "while it is served");
    assert!(world.server.stop().success());
    search_files(&world, &needles, "after the end");
    files::lead_to_nothing(&world, &settings, &needles);
}

#[test]
fn d1_d2_a_thousand_secrets_are_nowhere_but_in_their_answers_on_sqlite() {
    nowhere_but_in_their_answers(World::new);
}

#[test]
fn d1_d2_a_thousand_secrets_are_nowhere_but_in_their_answers_on_postgresql() {
    nowhere_but_in_their_answers(World::on_postgres);
}
