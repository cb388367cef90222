//! Conditions that ask a directory of people: a real slapd, that says yes, no, or nothing.

use std::time::Duration;

use counterfoil_server::clock::Stopwatch;
use serde_json::{Value, json};

use super::*;
use crate::harness::{PATIENCE, await_true};
use crate::slapd::{ADMIN, PASSWORD, PEOPLE, Setup, Slapd};

const POLICY: &str = "/openam/json/policies/AllPATs";
/// A decision gives the directory two seconds, and the machine may be busy.
const WAITED_MAX: Duration = Duration::from_secs(10);

struct Place {
    world: World,
    slapd: Slapd,
    above: String,
    evaluator: String,
    token: Issued,
}

impl Place {
    fn of(world: World) -> Self {
        let slapd = Slapd::new(&Setup::default());
        slapd.person("alice");
        let above = administrator(&world);
        let (evaluator, token) = super::evaluator(&world);
        Self { world, slapd, above, evaluator, token }
    }

    /// The built-in policy under a condition.
    fn under(&self, condition: &Value) -> Answer {
        let path = POLICY;
        let look = super::under(&self.above, "GET", path, &Value::Null);
        let mut policy = self.world.admin.raw(&look).expect(200);
        policy["condition"] = condition.clone();
        self.world.admin.raw(&super::under(&self.above, "PUT", path, &policy))
    }

    fn asked(&self) -> Answer {
        let resources = json!([format!("pat://alice:{}", self.token.secret)]);
        evaluated(&self.world, &self.evaluator, "PATValidator", &resources)
    }

    #[track_caller]
    fn allowed(&self) -> bool {
        allows(&self.asked().expect(200)[0])
    }

    fn titled(&self, title: &str) {
        self.slapd.modify(&format!(
            "dn: uid=alice,{PEOPLE}\nchangetype: modify\nreplace: title\ntitle: {title}\n"
        ));
    }

    fn add_target(&self, name: &str) {
        let body = json!({ "name": name, "kind": "ldap", "url": self.slapd.url(),
            "bind_dn": ADMIN, "bind_password": PASSWORD, "base_dn": PEOPLE, "schemes": ["SSHA"],
            "mode": "disabled" });
        self.world.admin.post("/targets", &body).expect(201);
    }
}

fn filter(text: &str) -> Value {
    json!({ "type": "LDAPFilter", "ldapFilter": text })
}

#[test]
fn a_directory_decides_by_what_it_says_and_never_by_silence() {
    for world in World::on_each_store(SETTINGS) {
        let mut place = Place::of(world);
        let engineers = filter("(title=engineer)");
        let none = place.under(&engineers).expect(400);
        assert!(none["message"].as_str().unwrap().contains("needs a directory"), "{none}");
        place.add_target("people");
        place.under(&engineers).expect(200);
        assert!(!place.allowed());
        place.titled("engineer");
        assert!(place.allowed());
        let decided = place.asked().expect(200);
        assert_ne!(decided[0]["ttl"], FOR_EVER, "an entry may change at any time");
        place.under(&json!({ "type": "NOT", "condition": engineers })).expect(200);
        assert!(!place.allowed());
        place.titled("gardener");
        assert!(place.allowed());
        let several = [filter("(title=gardener)"), filter("(&(uid=alice)(cn=a*))")];
        place.under(&json!({ "type": "AND", "conditions": several })).expect(200);
        assert!(place.allowed());

        // Silence is neither yes nor no, whatever the condition makes of it.
        let negated = json!({ "type": "NOT", "condition": filter("(title=engineer)") });
        place.under(&negated).expect(200);
        assert!(place.allowed());
        place.slapd.halt();
        // A thread of it may go on for a moment until all have heard.
        await_true("the directory is silent", PATIENCE, || place.asked().status == 503);
        let watch = Stopwatch::start();
        let away = place.asked();
        assert_eq!((away.status, away.header("retry-after")), (503, "1"), "{}", away.text());
        assert!(watch.elapsed() < WAITED_MAX, "{:?}", watch.elapsed());
        place.slapd.go_on();
        await_true("the directory answers again", PATIENCE, || place.asked().status == 200);
        place.slapd.stop();
        assert_eq!(place.asked().status, 503);
        // A bad token is a bad token all the same: the directory is not asked about it.
        let bad = json!(["pat://alice:x"]);
        let said = evaluated(&place.world, &place.evaluator, "PATValidator", &bad).expect(200);
        assert!(!allows(&said[0]));
        place.slapd.start(&Setup::default());
        await_true("the directory answers again", PATIENCE, || place.asked().status == 200);
        assert!(place.allowed());
        place.add_target("others");
        assert_eq!(place.asked().status, 503, "nobody knows which of two is meant");
        place.world.admin.delete("/targets/others").expect(204);
        assert!(place.allowed());
    }
}

#[test]
fn a_person_without_an_entry_or_who_merely_claims_a_name_matches_nothing() {
    for world in World::on_each_store(SETTINGS) {
        let place = Place::of(world);
        place.add_target("people");
        let policy = json!({
            "name": "staff", "active": true, "applicationName": "iPlanetAMWebAgentService",
            "resourceTypeUuid": "76656a38-5f8e-401b-83aa-4ccb74ce88d2",
            "resources": ["http://www.example.com/*"], "actionValues": { "GET": true },
            "subject": { "type": "NOT", "subject": { "type": "NONE" } },
            "condition": filter("(objectClass=inetOrgPerson)"),
        });
        let path = "/openam/json/policies?_action=create";
        place.world.admin.raw(&super::under(&place.above, "POST", path, &policy)).expect(201);
        let asked = |session: &str, subject: &Value| {
            let body = json!({ "resources": ["http://www.example.com/x"], "subject": subject });
            let said = super::under(session, "POST", EVALUATE, &body);
            place.world.admin.raw(&said).expect(200)[0]["actions"].clone()
        };
        let login = |name: &str| {
            let own = pat(
                &place.world.admin,
                &json!({ "user": name, "services": ["counterfoil"], "scopes": ["tokens:read"] }),
            );
            session(&place.world.admin, name, &own.secret)
        };
        let of = |session: &str| json!({ "ssoToken": session });
        crate::world::user(&place.world.admin, "bob");
        let (alice, bob) = (login("alice"), login("bob"));
        assert_eq!(asked(&place.evaluator, &of(&alice)), json!({ "GET": true }));
        assert_eq!(asked(&place.evaluator, &of(&bob)), json!({}));
        let claimed = json!({ "claims": { "sub": "alice" } });
        assert_eq!(asked(&place.evaluator, &claimed), json!({}));
        // A client of the same name is another one.
        let body = json!({ "name": "alice", "roles": ["verifier"], "services": ["git"] });
        let key = client(&place.world.admin, &body).key;
        let machine = session(&place.world.admin, "alice", &key);
        assert_eq!(asked(&place.evaluator, &of(&machine)), json!({}));
    }
}
