//! Limits are exact, usage arrives: what is counted, from how many sides it may come.

use std::process::{Command, Stdio};
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Site, await_true};
use crate::nodes::share_keys;
use crate::wire::{Api, Request};
use crate::world::{Issued, UNTHROTTLED, World, active, pat, verify};

/// The variable by which this test binary, started a second time, knows that it is a client.
const ROLE: &str = "COUNTERFOIL_TEST_CLIENT";
/// The test that starts the clients, and that they run.
const NAME: &str = "counting::a_limit_of_five_holds_for_200_requests_of_two_processes";
/// Requests of each client process.
const REQUESTS: usize = 100;

/// Verifies once on each of many connections, all at the same time. The number of accepted ones.
fn verify_at_once(verifier: &Api, secret: &str, requests: usize) -> usize {
    let line = Barrier::new(requests);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..requests)
            .map(|_| {
                let (verifier, line) = (verifier.clone(), &line);
                scope.spawn(move || {
                    // Connected before the start, so that the requests meet.
                    verify(&verifier, "nothing").expect(200);
                    line.wait();
                    active(&verify(&verifier, secret))
                })
            })
            .collect();
        clients.into_iter().map(|client| usize::from(client.join().unwrap())).sum()
    })
}

/// What the second and third process do: verify, and say how often they were let in.
fn be_a_client(role: &str) {
    let words: Vec<&str> = role.split(' ').collect();
    let [address, key, secret] = words[..] else { panic!("{ROLE} has three words") };
    let verifier = Api::new(address.parse().unwrap(), key);
    println!("accepted={};", verify_at_once(&verifier, secret, REQUESTS));
}

fn client_process(world: &World, token: &Issued) -> std::process::Child {
    let role = format!("{} {} {}", world.server.address, world.verifier.key, token.secret);
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn shown(world: &World, token: &Issued) -> Value {
    world.admin.get(&token.path("")).expect(200)
}

#[test]
fn a_limit_of_five_holds_for_200_requests_of_two_processes() {
    if let Ok(role) = std::env::var(ROLE) {
        return be_a_client(&role);
    }
    let world = World::new(UNTHROTTLED);
    let token = pat(&world.admin, &json!({ "max_usages": 5 }));
    for _ in 0..20 {
        let look = json!({ "token": token.secret, "consume": false });
        assert_eq!(world.verifier.post("/verify", &look).expect(200)["active"], true);
    }
    assert_eq!(shown(&world, &token)["used"], 0, "looking counts nothing");

    let clients = [client_process(&world, &token), client_process(&world, &token)];
    let accepted: usize = clients
        .into_iter()
        .map(|client| {
            let output = client.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let number = text.split("accepted=").nth(1).and_then(|rest| rest.split(';').next());
            number.unwrap_or_else(|| panic!("{text}")).parse::<usize>().unwrap()
        })
        .sum();
    assert_eq!(accepted, 5);
    let token_shown = shown(&world, &token);
    assert_eq!(
        (&token_shown["used"], &token_shown["remaining"], &token_shown["state"]),
        (&json!(5), &json!(0), &json!("exhausted")),
    );
    assert_eq!(world.verify(&token.secret)["code"], "exhausted");
}

/// Verifications of the check C1, and the connections that share them.
const VERIFICATIONS: usize = 10_000;
const CONNECTIONS: usize = 64;
/// The door that counts by the names of another product, with a repository behind it.
const DOOR: &str = "/auth-admin/rest/users/alice/tokens/generic/key";
const REPOSITORY: &str = "abuse.throttle = false
[repository.key]
kind = \"token\"
services = [\"git\"]
[repository.key.attributes]
totalUsages = {}
";

/// A token of the repository.
fn of_repository(admin: &Api) -> Issued {
    let body = json!({ "data": { "attributes": {} } });
    let made = admin.send(Request::new("POST", DOOR).json(&body)).expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Issued { id: text(&made["data"]["id"]), secret: text(&made["meta"]["secret"]) }
}

/// Uses a token up to the number of the check, over all these servers.
fn use_ten_thousand_times(verifiers: &[&Api], token: &Issued) {
    std::thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (verifier, secret) = (verifiers[number % verifiers.len()].clone(), &token.secret);
            scope.spawn(move || {
                for _ in (number..VERIFICATIONS).step_by(CONNECTIONS) {
                    assert!(active(&verify(&verifier, secret)));
                }
            });
        }
    });
}

/// How often a token was used, as both doors show it.
fn totals(admin: &Api, token: &Issued) -> (Value, Value) {
    let path = format!("{DOOR}/{}", token.id);
    let theirs = admin.send(Request::new("GET", path)).expect(200);
    let ours = admin.get(&token.path("")).expect(200);
    (theirs["data"]["attributes"]["totalUsages"].clone(), ours["usage_total"].clone())
}

/// What both doors show in the end.
fn all() -> (Value, Value) {
    (json!(VERIFICATIONS), json!(VERIFICATIONS))
}

#[test]
fn c1_ten_thousand_accepted_verifications_are_ten_thousand_after_the_flush() {
    let mut world = World::new(REPOSITORY);
    let token = of_repository(&world.admin);
    use_ten_thousand_times(&[&world.verifier], &token);
    await_true("the usage is flushed", PATIENCE, || totals(&world.admin, &token) == all());

    // Looks are not uses, and what was counted once is not counted again by the next server.
    let look = json!({ "token": token.secret, "consume": false });
    world.verifier.post("/verify", &look).expect(200);
    world.server.stop();
    world.serve_again(REPOSITORY);
    assert_eq!(totals(&world.admin, &token), all());
    let shown = shown(&world, &token);
    assert!(shown["first_used_at"].as_str() < shown["last_used_at"].as_str(), "{shown}");
}

#[test]
fn c1_ten_thousand_accepted_verifications_of_two_nodes_are_ten_thousand_on_both() {
    let world = World::on_postgres(REPOSITORY);
    let site = Site::new();
    share_keys(&world.site, &site);
    let host = world.cluster.as_ref().unwrap().host();
    let settings = format!("data.database = \"postgres://cf@{host}/cf\"\n{REPOSITORY}");
    let second = site.serve(&settings);
    let at = |key: &str| Api::new(second.address, key);
    let (admin, verifier) = (at(&world.admin.key), at(&world.verifier.key));
    let token = of_repository(&world.admin);
    use_ten_thousand_times(&[&world.verifier, &verifier], &token);
    for admin in [&world.admin, &admin] {
        await_true("the usage is flushed", PATIENCE, || totals(admin, &token) == all());
    }
}
