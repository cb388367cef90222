//! One count for every door, and what each says of tokens that are not good.

use serde_json::json;

use super::{DOOR, ask, basic, error, introspect, posted, registration, text};
use crate::wire::{Request, below_main};
use crate::world::{UNTHROTTLED, World};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const REGISTRATION: &str = "urn:counterfoil:params:oauth:token-type:registration-token";
const REGISTER: &str = "/realms/main/clients-registrations/openid-connect";

fn register(secret: &str, name: &str) -> Request {
    Request::new("POST", REGISTER).bearer(secret).json(&json!({ "client_name": name }))
}

#[test]
fn a31_registration_and_exchange_draw_from_one_count() {
    for world in World::on_each_store(UNTHROTTLED) {
        let token = registration(&world, &json!({ "count": 2 }));
        let made = world.admin.raw(&register(&token.secret, "till")).expect(201);
        let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
        assert!(made["registration_client_uri"].as_str().unwrap().ends_with(&id));
        let exchange = [
            ("grant_type", EXCHANGE),
            ("subject_token", token.secret.as_str()),
            ("subject_token_type", REGISTRATION),
            ("subject", "scanner"),
        ];
        let drawn = ask(&world.admin, &exchange).expect(200);
        assert!(drawn["refresh_token"].is_string() && drawn["expires_in"] == 300);
        assert_eq!(error(&ask(&world.admin, &exchange)), (400, "invalid_grant".into()));
        let late = world.admin.raw(&register(&token.secret, "late"));
        assert_eq!(error(&late), (401, "invalid_token".into()));
        let shown = world.admin.get(&token.path("")).expect(200);
        assert_eq!((&shown["used"], &shown["remaining"]), (&json!(2), &json!(0)));

        // What registered is a client: by its secret, and manages itself with it.
        let own = posted(&format!("{DOOR}/token"), &[("grant_type", "client_credentials")]);
        let own = world.admin.raw(&own.header("Authorization", basic(&id, &secret))).expect(200);
        let said = introspect(&world.verifier, &text(&own, "access_token")).expect(200);
        assert_eq!((&said["active"], &said["sub"]), (&json!(true), &json!("device:till")));
        let at = format!("{REGISTER}/{id}");
        let shown = world.admin.raw(&Request::new("GET", &at).bearer(&secret)).expect(200);
        assert_eq!(shown["client_name"], "till");
        let stranger = world.admin.raw(&Request::new("GET", &at).bearer(&token.secret));
        assert_eq!(stranger.status, 401);
        let removed = world.admin.raw(&Request::new("DELETE", &at).bearer(&secret));
        assert_eq!(removed.status, 204, "{}", removed.text());
        let said = introspect(&world.verifier, &text(&own, "access_token")).expect(200);
        assert_eq!(said, json!({ "active": false }));
    }
}

#[test]
fn a31_a_storm_over_three_doors_gives_exactly_the_count() {
    for world in World::on_each_store(UNTHROTTLED) {
        let token = registration(&world, &json!({ "count": 10 }));
        let line = std::sync::Barrier::new(60);
        let made: usize = std::thread::scope(|scope| {
            let racing: Vec<_> = (0..60)
                .map(|number| {
                    let (api, line, secret) = (world.admin.clone(), &line, token.secret.as_str());
                    scope.spawn(move || {
                        let name = format!("device-{number}");
                        line.wait();
                        let status = match number % 3 {
                            0 => api.raw(&register(secret, &name)).status,
                            1 => {
                                let body = json!({ "subject": name });
                                let at = below_main("/enrol");
                                api.raw(&Request::new("POST", at).json(&body).bearer(secret)).status
                            }
                            _ => {
                                let pairs = [
                                    ("grant_type", EXCHANGE),
                                    ("subject_token", secret),
                                    ("subject_token_type", REGISTRATION),
                                    ("subject", name.as_str()),
                                ];
                                ask(&api, &pairs).status
                            }
                        };
                        usize::from(status == 200 || status == 201)
                    })
                })
                .collect();
            racing.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(made, 10);
        assert_eq!(world.admin.get(&token.path("")).expect(200)["used"], 10);
    }
}

#[test]
fn a32_unknown_tokens_are_revoked_in_silence_and_inactive_without_a_word() {
    for world in World::on_each_store(UNTHROTTLED) {
        let strange = "cflp_000000000000_00000000000000000000000000000000000000";
        for token in [strange, "eyJhbGciOiJub25lIn0.e30.", "nonsense"] {
            let revoked = world.admin.raw(&posted(&format!("{DOOR}/revoke"), &[("token", token)]));
            assert_eq!((revoked.status, revoked.text()), (200, String::new()));
            let said = introspect(&world.verifier, token);
            assert_eq!((said.status, said.text().as_str()), (200, r#"{"active":false}"#));
        }
        let pat = world.pat();
        let nobody = posted(&format!("{DOOR}/token/introspect"), &[("token", &pat.secret)]);
        let refused = world.admin.raw(&nobody);
        assert_eq!(error(&refused), (401, "invalid_client".into()));
        assert!(refused.header("www-authenticate").starts_with("Basic "));
        // Of another service: as unknown; and a registration token authenticates nobody (A34).
        let other = crate::world::verifier(&world.admin, "none-verifier", &["counterfoil"]);
        assert_eq!(introspect(&other, &pat.secret).text(), r#"{"active":false}"#);
        let token = registration(&world, &json!({ "count": 1 }));
        let a34 = world.admin.raw(&nobody.clone().bearer(&token.secret));
        assert_eq!(error(&a34), (401, "invalid_client".into()));
        assert_eq!(introspect(&world.verifier, &token.secret).text(), r#"{"active":false}"#);
        let said = introspect(&world.verifier, &pat.secret).expect(200);
        assert_eq!((&said["active"], &said["username"]), (&json!(true), &json!("alice")));
        assert_eq!(world.usage_total(&pat), 0, "introspection looks without counting");
    }
}

#[test]
fn a33_every_metadata_names_the_issuer_that_signs() {
    for world in World::on_each_store(UNTHROTTLED) {
        let issuer = format!("http://{}/realms/main", world.server.address);
        let look = |path: &str| world.admin.raw(&Request::new("GET", path));
        let first = look("/realms/main/.well-known/openid-configuration").expect(200);
        assert_eq!(first["issuer"], issuer.as_str());
        for path in [
            "/auth/realms/main/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/realms/main",
            "/.well-known/oauth-authorization-server/auth/realms/main",
        ] {
            assert_eq!(look(path).expect(200), first, "{path}");
        }
        let keys = look(&format!("{DOOR}/certs"));
        assert_eq!(keys.header("cache-control"), "public, max-age=300");
        assert_eq!(keys.json()["keys"].as_array().unwrap().len(), 2);
        assert!(!keys.text().contains("\"d\""), "no private half");
        assert_eq!(look("/realms/elsewhere/protocol/openid-connect/certs").status, 404);
    }
}

#[test]
fn a_door_that_is_off_is_not_there() {
    for world in World::on_each_store("doors.oauth = false") {
        let look = |path: &str| world.admin.raw(&Request::new("GET", path)).status;
        assert_eq!(look("/realms/main/.well-known/openid-configuration"), 404);
        assert_eq!(ask(&world.admin, &[("grant_type", "client_credentials")]).status, 404);
        assert_eq!(introspect(&world.verifier, "x").status, 404);
    }
}
