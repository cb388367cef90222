//! Somebody leaves: from the answer to the provider's PATCH on, nothing of theirs is good at any
//! door, however much they hold.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use ldap3_proto::proto::LdapResultCode;
use serde_json::{Value, json};

use super::{provider, scim};
use crate::harness::await_true;
use crate::ldap::person;
use crate::nodes::Nodes;
use crate::wire::{Api, Request, below_main};
use crate::world::{Issued, UNTHROTTLED, World, active, authz, merged, verify};

/// Tokens of who leaves.
const TOKENS: usize = 10_000;
/// Connections that issue them.
const HANDS: usize = 16;
/// How soon nothing of theirs is good any more.
const AT_ONCE: Duration = Duration::from_secs(1);

fn issue(admin: &Api, more: &Value) -> Issued {
    let body = merged(json!({ "user": "alice", "name": "one of many" }), more);
    Issued::of(&admin.post("/tokens", &body).expect(201))
}

fn pat(admin: &Api) -> Issued {
    issue(admin, &json!({ "kind": "personal_access_token", "services": ["git"] }))
}

/// Fills alice's pockets; some of what she holds.
fn fill(admin: &Api) -> Vec<Issued> {
    let of_each = TOKENS / HANDS;
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..HANDS)
            .map(|_| {
                let admin = admin.clone();
                scope.spawn(move || {
                    let mut last = pat(&admin);
                    for _ in 1..of_each {
                        last = pat(&admin);
                    }
                    last
                })
            })
            .collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).collect()
    })
}

fn set_active(provider: &Api, path: &str, active: bool) {
    let operations = json!([{ "op": "Replace", "path": "active", "value": active }]);
    let answer = scim(provider, "PATCH", path, &json!({ "Operations": operations }));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn alice(provider: &Api) -> String {
    let found = scim(provider, "GET", "/Users?filter=userName%20eq%20%22alice%22", &Value::Null);
    format!("/Users/{}", found.expect(200)["Resources"][0]["id"].as_str().unwrap())
}

/// Whether a form that names a secret is answered with a yes.
fn posted(caller: &Api, path: &str, form: &[(&str, &str)], yes: &str) -> bool {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = caller.send(request).expect(200);
    answer.pointer(yes) == Some(&json!(true))
}

/// What alice holds, one of each sort.
struct Pocket {
    pats: Vec<Issued>,
    password: Issued,
    own: Issued,
    access: String,
}

impl Pocket {
    fn of(world: &World) -> Self {
        let admin = &world.admin;
        let pats = fill(admin);
        let password = world.service_token("alice", "git");
        let scopes = json!({ "kind": "personal_access_token", "services": ["counterfoil"],
            "scopes": ["tokens:read", "tokens:write", "registration-tokens:write"] });
        // A registration token belongs to whoever issues it, and not everybody may.
        let role = json!({ "subject": { "user": "alice" }, "role": "realm-admin" });
        let role = admin.post("/grants", &role).expect(201);
        let own = issue(admin, &scopes);
        let fleet = json!({ "kind": "registration_token", "services": ["git"], "name": "tills" });
        let fleet = admin.with_key(&own.secret).post("/tokens", &fleet);
        let fleet = Issued::of(&fleet.expect(201));
        let drawing = Request::new("POST", below_main("/enrol"))
            .bearer(&fleet.secret)
            .json(&json!({ "subject": "till" }));
        let drawn = admin.raw(&drawing).expect(201);
        admin.delete(&format!("/grants/{}", role["id"].as_str().unwrap()));
        let access = drawn["access_token"].as_str().unwrap().to_owned();
        Self { pats, password, own, access }
    }

    /// The doors at which something of hers is good.
    fn good_at(&self, world: &World) -> Vec<&'static str> {
        let (verifier, pat) = (&world.verifier, self.pats[0].secret.as_str());
        let introspect = "/realms/main/protocol/openid-connect/token/introspect";
        let bind = || {
            let code = world.ldap().bind(&person("alice", "git"), &self.password.secret);
            assert!(
                matches!(code, LdapResultCode::Success | LdapResultCode::InvalidCredentials),
                "{code:?}"
            );
            code == LdapResultCode::Success
        };
        let own = || {
            let request = Request::new("GET", "/api/v1/self").bearer(&self.own.secret);
            verifier.raw(&request).status == 200
        };
        let bearer = || {
            let request = Request::new("GET", "/authz/git").bearer(pat);
            verifier.raw(&request).status == 200
        };
        let drawn = [("token", self.access.as_str())];
        let doors: [(&'static str, &dyn Fn() -> bool); 9] = [
            ("verify", &|| active(&verify(verifier, pat))),
            ("another of many", &|| {
                self.pats.iter().any(|one| active(&verify(verifier, &one.secret)))
            }),
            ("introspection", &|| posted(verifier, introspect, &[("token", pat)], "/active")),
            ("forward-auth, Basic", &|| verifier.raw(&authz("git", "alice", pat)).status == 200),
            ("forward-auth, Bearer", &bearer),
            ("LDAP", &bind),
            ("the API", &own),
            ("privacyIDEA", &|| {
                let form = [("user", "alice"), ("pass", pat)];
                posted(verifier, "/validate/check", &form, "/result/value")
            }),
            ("an auth token's access", &|| posted(verifier, introspect, &drawn, "/active")),
        ];
        doors.into_iter().filter(|(_, asks)| asks()).map(|(name, _)| name).collect()
    }
}

#[test]
fn who_leaves_with_ten_thousand_tokens_is_out_at_every_door_at_once() {
    for world in World::on_each_store(UNTHROTTLED) {
        let pocket = Pocket::of(&world);
        let all = pocket.good_at(&world);
        assert_eq!(all.len(), 9, "good at {all:?}");
        let provider = provider(&world.admin);
        let path = alice(&provider);
        for _ in 0..3 {
            set_active(&provider, &path, false);
            let watch = Stopwatch::start();
            let still = pocket.good_at(&world);
            let took = watch.elapsed();
            assert!(still.is_empty(), "still good at {still:?}");
            println!("refused at all doors within {took:?}");
            assert!(took < AT_ONCE, "{took:?}");
            set_active(&provider, &path, true);
            assert_eq!(pocket.good_at(&world), all, "what was not revoked is back");
        }
        assert_eq!(scim(&provider, "DELETE", &path, &Value::Null).status, 204);
        let watch = Stopwatch::start();
        let still = pocket.good_at(&world);
        assert!(still.is_empty(), "still good at {still:?}");
        assert!(watch.elapsed() < AT_ONCE);
        scim(&provider, "POST", "/Users", &json!({ "userName": "alice" })).expect(201);
        assert!(pocket.good_at(&world).is_empty(), "a namesake inherited something");
    }
}

#[test]
fn who_leaves_at_one_node_is_out_at_all_of_them() {
    let nodes = Nodes::new();
    let admin = nodes.nodes[0].admin.clone();
    let pats = fill(&admin);
    let provider = provider(&admin);
    let account = alice(&provider);
    let good = |node: &crate::nodes::Node| {
        let asked = &node.admin;
        pats.iter().any(|pat| active(&verify(asked, &pat.secret)))
    };
    assert!(nodes.nodes.iter().all(good));
    for _ in 0..3 {
        set_active(&provider, &account, false);
        let watch = Stopwatch::start();
        for node in &nodes.nodes {
            await_true("she is out there too", AT_ONCE, || !good(node));
        }
        println!("out at all nodes within {:?}", watch.elapsed());
        assert!(watch.elapsed() < AT_ONCE, "{:?}", watch.elapsed());
        set_active(&provider, &account, true);
        for node in &nodes.nodes {
            await_true("she is back", AT_ONCE, || good(node));
        }
    }
}
