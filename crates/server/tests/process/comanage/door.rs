//! The door for programs that read Registry's API, as they meet it over sockets.

use serde_json::{Value, json};

use crate::oauth::basic;
use crate::wire::{Answer, Request};
use crate::world::{UNTHROTTLED, World, client};

const PATHS: [&str; 6] = [
    "/registry/co_services.json?coid=2",
    "/registry/co_services/7.json",
    "/registry/co_people.json?coid=2",
    "/registry/co_people/7.json",
    "/registry/identifiers.json?copersonid=7",
    "/registry/identifiers/7.json",
];

fn ask(world: &World, method: &str, path: &str, credential: &str) -> Answer {
    let request = Request::new(method, path);
    let request = match credential {
        "" => request,
        credential => request.header("Authorization", credential),
    };
    world.admin.raw(&request)
}

#[test]
fn whoever_is_not_a_client_with_its_key_gets_the_same_401_and_a_verifier_403() {
    for world in World::on_each_store(UNTHROTTLED) {
        let reader = client(&world.admin, &json!({ "name": "sync", "roles": ["auditor"] })).key;
        let gone = client(&world.admin, &json!({ "name": "gone", "roles": ["auditor"] })).key;
        assert_eq!(world.admin.delete("/clients/gone").status / 100, 2);
        let pat = world.pat().secret;
        let wrong = [
            String::new(),
            "Basic !".to_owned(),
            format!("Bearer {reader}"),
            basic("sync", "nonsense"),
            basic("sync", ""),
            basic("other", &reader),
            basic("co_3.sync", &reader),
            basic("gone", &gone),
            basic("alice", &pat),
        ];
        for path in PATHS {
            let told: Vec<Answer> =
                wrong.iter().map(|one| ask(&world, "GET", path, one).lasting()).collect();
            assert!(told.iter().all(|answer| *answer == told[0]), "{path}: {told:#?}");
            assert_eq!(told[0].status, 401);
            assert_eq!(told[0].json()["Error"], "Unauthorized");
            assert!(told[0].header("www-authenticate").starts_with("Basic "));
            let verifier = ask(&world, "GET", path, &basic("git-verifier", &world.verifier.key));
            assert_eq!(verifier.expect(403)["ResponseType"], "ErrorResponse");
            for method in ["POST", "PUT", "DELETE"] {
                assert_eq!(ask(&world, method, path, &basic("sync", &reader)).status, 405);
            }
        }
        let list = ask(&world, "GET", PATHS[0], &basic("co_2.sync", &reader)).expect(200);
        let labels: Vec<&Value> =
            list["CoServices"].as_array().unwrap().iter().map(|one| &one["ShortLabel"]).collect();
        assert_eq!(labels, ["git"]);
    }
}
